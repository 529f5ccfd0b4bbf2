"""How a selection uses an index: what is said is true of the records that are read, for any range, condition and index."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import IndexSpecification, InvalidInput
from sopnb.usage import Usage
from tests.api_support import QUIET

of = IndexSpecification.of
VALUES: dict[str, list[Any]] = {"a": ["a", "b\0", "bb", None], "b": [1, 255, 300, 310], "c": ["x", "y", None]}
GRID = list(product(*VALUES.values()))
SCHEMA = pa.schema([("a", pa.string()), pa.field("b", pa.int16(), nullable=False), ("c", pa.string()), ("n", pa.int64())])
INDEXES = [("b", "a"), ("-c",), ("c", "-b", "a"), ("-a", "b", "-c"), ("n",), ("b", "-c", "n")]


def named(fields: tuple[str, ...]) -> str:
    return f"by {' '.join(fields)}"


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[tuple[str, ...], sopnb.Store]]:
    """The same grid of values under several keys, each with several indexes."""
    columns = list(zip(*GRID, strict=True))
    table = pa.Table.from_arrays([pa.array(v, f.type) for v, f in zip((*columns, range(len(GRID))), SCHEMA, strict=True)], schema=SCHEMA)
    with sopnb.open(":memory:", handle=QUIET) as db:
        found = {}
        for key in (("a", "b", "c"), ("-b", "a", "-c")):
            store = found[key] = db.load(named(key), table, index=list(key))
            for fields in INDEXES:
                store.create_index(named(fields), list(fields))
        yield found
        assert db.check().ok


@st.composite
def selections(draw: Any) -> Any:
    """Draw (the key of a store, what makes a selection of it)."""
    key = draw(st.sampled_from([("a", "b", "c"), ("-b", "a", "-c")]))
    values = [VALUES[name.removeprefix("-")] for name in key]

    def prefix() -> tuple[Any, ...]:
        return tuple(draw(st.sampled_from(values[at])) for at in range(draw(st.integers(1, 3))))

    way = draw(st.sampled_from(["all", "prefix", "range", "from"]))
    start, stop, closed = prefix(), prefix(), draw(st.sampled_from(["left", "right", "both", "neither"]))
    conditions = []
    for name in draw(st.lists(st.sampled_from("abcn"), max_size=3)):
        known = [v for v in VALUES.get(name, [3, 17, 40]) if v is not None]
        literal, few = draw(st.sampled_from(known)), known[::2]
        field = pc.field(name)
        how = [
            field == literal,
            field > literal,
            field <= literal,
            field.isin([literal]),
            field.isin(few),
            field != literal,
            field.is_null(),
        ]
        conditions.append(draw(st.sampled_from([*how, (field == literal) | (pc.field("n") > 30)])))
    reverse = draw(st.booleans())

    def make(store: sopnb.Store) -> sopnb.Selection:
        found = store[:]
        if way == "prefix":
            found = store.prefix(*start)
        elif way == "from":
            found = store.range(start, None, closed=closed)
        elif way == "range":
            try:
                found = store.range(start, stop, closed=closed)
            except InvalidInput:
                found = store.range(stop, start, closed=closed)
        for condition in conditions:
            found = found.where(condition)
        return found.reverse() if reverse else found

    return key, make, bool(conditions)


def rows(selection: sopnb.Selection) -> list[tuple[Any, ...]]:
    return [tuple(record[name] for name in "abcn") for record in selection.records()]


@given(selections(), st.sampled_from([None, *INDEXES]))
def test_what_is_said_holds_for_the_records(stores: Any, drawn: Any, index: Any) -> None:
    key, make, conditioned = drawn
    store = stores[key]
    selection = make(store)
    specification = store.index if index is None else of(*index, unique=False)
    said: Usage = specification.explain(selection)
    read = rows(selection)
    place = {name: at for at, name in enumerate("abcn")}
    fields = [field.name for field in said.fields]
    assert fields[: len(said.bound)] == list(said.bound)
    assert said.ranged is None or fields[len(said.bound)] == said.ranged
    for name in said.bound:  # one value at most
        assert len({row[place[name]] for row in read}) <= 1
    if not conditioned and index is None:
        assert said.filtered == ()
        assert said.ordered
    wanted = {row[3] for row in read}
    whole = rows(store[:] if index is None else store.by(named(index)))
    there = [row for row in whole if row[3] in wanted]
    if said.ordered:
        assert there in (read, read[::-1])
    if read and not said.filtered:  # they stand together in the index, with all that has the same value
        first = whole.index(there[0])
        assert whole[first : first + len(there)] == there
        if said.ranged is None:
            assert len([r for r in whole if all(r[place[n]] == read[0][place[n]] for n in said.bound)]) == len(read)


@pytest.fixture
def flights() -> Iterator[sopnb.Store]:
    frame = pd.DataFrame(
        {
            "hour": pd.to_datetime(["2013-01-01 05:00", "2013-01-01 06:00", "2013-01-01 06:00"], utc=True),
            "carrier": ["UA", "AA", "UA"],
            "origin": ["EWR", "JFK", "LGA"],
            "delay": [2.0, None, -4.0],
            "number": [15, 8, 23],
        }
    )
    with sopnb.open(":memory:", handle=QUIET) as db:
        yield db.load("flights", frame, index=["hour", "carrier"])
        assert db.check().ok


def test_it_is_told_in_words(flights: sopnb.Store) -> None:
    late = flights["2013-01-01 05:00+00:00":"2013-01-02"].where((pc.field("carrier") == "UA") & (pc.field("delay") > 0))  # type: ignore[misc]
    assert repr(flights.index.explain(late)) == (
        "index (hour, carrier) for a selection of store 'flights'\n"
        "  keys      a range of hour; carrier in vain, as hour comes before\n"
        "  filtered  carrier, delay, record by record\n"
        "  order     hour: free"
    )
    assert repr(of("carrier", "-hour").explain(late)) == (
        "index (carrier, -hour) for a selection of store 'flights'\n"
        "  keys      carrier by value, then a range of hour\n"
        "  filtered  delay, record by record\n"
        "  order     hour: free but for the place of nulls"
    )
    later = flights["2013-01-01 06:00+00:00":]  # type: ignore[misc]
    assert of("-hour").explain(later).filtered == ("hour",)  # where hours that are null stand apart
    assert repr(of("origin").explain(flights[:].reverse())) == (
        "index (origin) for a selection of store 'flights'\n"
        "  keys      all: origin, the first field, is not asked for\n"
        "  filtered  nothing\n"
        "  order     -hour, -carrier: to be sorted, the index has another"
    )
    one = flights.prefix("2013-01-01 05:00+00:00", "UA")
    assert "  order     at most one key: free" in repr(flights.index.explain(one))
    assert "carrier by value, then a range of hour" in of("carrier", "-hour").explain(late)._repr_html_()


def test_an_index_in_use_is_told_too(flights: sopnb.Store) -> None:
    flights.create_index("by_origin", ["origin", "-hour"])
    said = flights.indexes()["by_origin"].explain(flights.by("by_origin").prefix("JFK"))
    assert (said.bound, said.ranged, said.filtered, said.ordered) == (("origin",), None, (), True)
    assert repr(said).endswith("order     -hour, carrier: free")


def test_what_is_judged_record_by_record_is_filtered(flights: sopnb.Store) -> None:
    divided = "number / number == 1"
    assert flights.index.explain(flights.where(divided)).filtered == ("number",)
    chosen = flights.where(f"origin == 'EWR' && {divided}")
    assert [how.partition(":")[0] for how in chosen.explain().judged] == ["many at once", "record by record"]
    said = of("origin").explain(chosen)
    assert (said.bound, said.filtered) == (("origin",), ("number",))


def test_a_field_that_is_an_expression_is_told_like_a_column(flights: sopnb.Store) -> None:
    flights.create_index("by_route", of("cel: origin + carrier", "-hour", unique=False))
    said = flights.indexes()["by_route"].explain(flights.by("by_route").prefix("JFKAA"))
    assert (said.bound, said.ranged, said.filtered, said.ordered) == (("cel: origin + carrier",), None, (), True)


def test_an_expression_that_is_null_for_some_records_has_its_place_for_nulls() -> None:
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("size", pa.int64())])
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("sizes", pa.table({"n": [1, 2, 3], "size": [5, None, 7]}, schema=schema), index=["cel: size * 2", "n"])
        said = of("-cel: size * 2", "-n").explain(store[:])
        assert (said.ordered, said.nulls_apart) == (False, True)
        down = db.load("down", store[:].to_arrow(), index=["-cel: size * 2", "-n"])
        assert [record["n"] for record in down[:].records()] == [3, 1, 2]
        assert [record["n"] for record in store[:].reverse().records()] == [2, 3, 1]
        assert db.check().ok


def test_a_column_that_is_not_there_is_refused(flights: sopnb.Store) -> None:
    with pytest.raises(InvalidInput, match="no column 'orgin' to index; did you mean 'origin'"):
        of("orgin").explain(flights[:])
