"""A condition skips leaves and narrows the key range, and what it finds is what it would find by looking at every record."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import sopnb
from sopnb import DatabaseSettings, IndexField, IndexSpecification
from tests.api_support import QUIET, SMALL

f = pc.field
NAN = float("nan")
NOON = datetime(2013, 1, 1, 12)
HOURS = [NOON + timedelta(hours=hour) for hour in range(4)]

COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "i8": (pa.int8(), [-2, -1, 0, 1, 2]),
    "i64": (pa.int64(), [-(2**60), -1, 0, 1, 2**60]),
    "u64": (pa.uint64(), [0, 1, 2, 2**63 + 1]),
    "f32": (pa.float32(), [-1.5, -0.0, 0.0, 0.1, 2.0, NAN, float("inf")]),
    "f64": (pa.float64(), [-1.5, -0.0, 0.0, 0.1, 2.0, NAN, float("-inf")]),
    "flag": (pa.bool_(), [True, False]),
    "text": (pa.string(), ["", "a", "ab", "a\0", "b", "é", "x" * 70]),
    "long": (pa.large_string(), ["", "a", "ab", "b"]),
    "raw": (pa.binary(), [b"", b"a", b"a\xff", b"b"]),
    "day": (pa.date32(), [date(2013, 1, day) for day in range(1, 5)]),
    "clock": (pa.time64("us"), [time(hour) for hour in range(4)]),
    "naive": (pa.timestamp("ns"), HOURS),
    "moment": (pa.timestamp("us", "America/New_York"), [hour.replace(tzinfo=UTC) for hour in HOURS]),
    "took": (pa.duration("ms"), [timedelta(seconds=s) for s in range(4)]),
    "price": (pa.decimal128(10, 2), [Decimal("-1.50"), Decimal("0.00"), Decimal("0.10"), Decimal("2.00")]),
    "kind": (pa.dictionary(pa.int32(), pa.string()), ["a", "b", "c"]),
    "list": (pa.list_(pa.int64()), [[], [1], [1, 2]]),
}
KEYS = [name for name in COLUMNS if name not in ("list", "kind")]
PLAIN = {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, (kind, _) in COLUMNS.items()}


@st.composite
def stores(draw: Any) -> Any:
    """Draw a store of a base, runs, a tail and deletions, with a key of one or two columns."""
    names = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True))
    fields = tuple(IndexField(name, draw(st.booleans()), draw(st.sampled_from(["first", "last"]))) for name in names)
    unique = draw(st.booleans())
    schema = pa.schema([pa.field(name, kind) for name, (kind, _) in COLUMNS.items()] + [pa.field("n", pa.int64())])
    db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
    store = db.create("things", schema, IndexSpecification(fields, unique))
    n = 0
    for step in range(draw(st.integers(1, 4))):
        rows = draw(st.lists(st.fixed_dictionaries({k: st.none() | st.sampled_from(v) for k, (_, v) in COLUMNS.items()}), max_size=14))
        rows = [{**row, "n": n + i} for i, row in enumerate(rows)]
        n += len(rows)
        if unique:
            rows = list({tuple(None if row[k] != row[k] else row[k] for k in names): row for row in rows}.values())
        if rows:
            table = pa.Table.from_pylist(rows, schema=schema)
            store.replace(table) if unique else store.insert(table)
        held = list(store.keys())
        gone = draw(st.lists(st.sampled_from(held), max_size=3)) if held else []
        store.delete([key if isinstance(key, tuple) else (key,) for key in gone])
        if step == 0 and draw(st.booleans()):
            db.fold()
    return db, store


def literals(name: str) -> Any:
    kind, values = COLUMNS[name]
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    own = st.sampled_from(values).map(lambda value: pa.scalar(value, plain))
    if name in ("i8", "i64", "u64", "f32", "f64", "price"):
        other = st.sampled_from([0, 1, -1, 7, 0.1, 0.5, 1.0, 1e30, NAN, Decimal("0.1"), Decimal("1")]).map(pa.scalar)
        return own | other
    return own | st.just(pa.scalar(None, plain))


@st.composite
def comparisons(draw: Any) -> Any:
    name = draw(st.sampled_from([name for name in COLUMNS if name != "list"]))
    other = draw(st.one_of(literals(name).map(pc.scalar), st.sampled_from([each for each in COLUMNS if PLAIN[each] == PLAIN[name]]).map(f)))
    sides = (f(name), other) if draw(st.booleans()) else (other, f(name))
    return draw(st.sampled_from([pc.equal, pc.not_equal, pc.less, pc.less_equal, pc.greater, pc.greater_equal]))(*sides)


@st.composite
def memberships(draw: Any) -> Any:
    name = draw(st.sampled_from([name for name in COLUMNS if name != "list"]))
    values = draw(st.lists(st.none() | st.sampled_from(COLUMNS[name][1]), max_size=20))
    return f(name).isin(pa.array(values, PLAIN[name]))


LEAVES = st.one_of(
    comparisons(),
    memberships(),
    st.builds(lambda name, nan: f(name).is_null(nan_is_null=nan), st.sampled_from(list(COLUMNS)), st.booleans()),
    st.builds(lambda name: f(name).is_valid(), st.sampled_from(list(COLUMNS))),
    st.builds(lambda piece, fold: pc.starts_with(f("text"), piece, ignore_case=fold), st.sampled_from(["", "a", "ab", "é"]), st.booleans()),
    st.just(f("flag")),
    st.sampled_from([True, False, None]).map(lambda value: pc.scalar(pa.scalar(value, pa.bool_()))),
    st.builds(lambda a, b: f("i8") + a > b, st.integers(-2, 2), st.integers(-2, 2)),
    st.builds(lambda a: f("i64").cast("float64", safe=False) > a, st.integers(-2, 2)),
    st.builds(lambda a: f("_seq") > a, st.integers(0, 4)),
    st.builds(lambda a: pc.coalesce(f("i8"), pc.scalar(a)) == a, st.integers(-2, 2)),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
        st.builds(lambda a, b: pc.and_(a, b), inner, inner),
        st.builds(lambda a, b: pc.xor(a, b), inner, inner),
        st.builds(lambda a, b, c: pc.if_else(a, b, c), inner, inner, inner),
    ),
    max_leaves=6,
)


def looked_at(store: Any) -> pa.Table:
    """Return all records, in physical types and with the commits that wrote them."""
    whole = store.select(*COLUMNS, "n", "_seq").to_arrow()
    return whole.set_column(whole.schema.get_field_index("kind"), "kind", whole.column("kind").cast(pa.string()))


def skipped(store: Any) -> int:
    return int(store._access.engine.reader.skipped)


@given(stores(), st.lists(CONDITIONS, min_size=1, max_size=8))
def test_a_condition_finds_what_looking_at_every_record_finds(made: Any, conditions: list[Any]) -> None:
    db, store = made
    whole = looked_at(store)
    for condition in conditions:
        try:
            selection = store.where(condition)
            want = whole.filter(condition).column("n").to_pylist()
        except (sopnb.SopError, pa.ArrowException):
            continue  # types that do not compare, or a value that cannot be judged
        before = skipped(store)
        assert selection.select("n").to_arrow().column("n").to_pylist() == want, str(condition)
        event("skipped" if skipped(store) > before else "read all")
        assert selection.reverse().select("n").to_arrow().column("n").to_pylist() == want[::-1]
        assert selection.count() == len(want)
        with db.transaction() as tx:
            assert tx["things"].where(condition).count() == len(want)
    assert db.check().ok
    db.close()


@given(stores(), CONDITIONS, CONDITIONS)
def test_conditions_one_after_another_are_one(made: Any, one: Any, other: Any) -> None:
    db, store = made
    try:
        want = looked_at(store).filter(one & other).column("n").to_pylist()
        got = store.where(one).where(other)
    except (sopnb.SopError, pa.ArrowException):
        return
    assert got.select("n").to_arrow().column("n").to_pylist() == want
    db.close()


# -- what is skipped ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def trips() -> Any:
    """A store of 100 leaves in the order of ``at``, with a column that ascends with the key and one that does not."""
    db = sopnb.open(":memory:", settings=DatabaseSettings(leaf_rows=10, inline_rows=3), handle=QUIET)
    frame = pd.DataFrame({"at": range(1000), "day": [n // 50 for n in range(1000)], "noise": [n * 7919 % 1000 for n in range(1000)]})
    frame["name"] = [f"d{n // 50:02}" for n in range(1000)]
    yield db.load("trips", frame, index="at")
    assert db.check().ok


@pytest.mark.parametrize(
    ("condition", "leaves"),
    [
        (f("day") == 3, 5),
        (f("day") <= 1, 10),
        (f("day") > 17, 10),
        (~(f("day") <= 17), 10),
        ((f("day") == 3) | (f("day") == 5), 10),
        ((f("day") == 3) & (f("noise") > 500), 5),
        ((f("day") == 3) & (f("noise") + 1 > 500), 5),
        (f("day").isin([3, 5, 19]), 15),
        (f("name") == "d03", 5),
        (pc.starts_with(f("name"), "d0"), 50),
        (f("day").is_null(), 0),
        (f("day") == 77, 0),
        (f("day") == None, 0),  # noqa: E711
        (f("day") + 1 == 4, 100),
        (f("at") == 500, 1),
        (f("at").isin([500]), 1),
        ((f("at") >= 500) & (f("at") < 520), 2),
        ((f("at") >= 500) & (f("day") == 3), 0),
    ],
)
def test_only_leaves_that_can_match_are_read(trips: Any, condition: Any, leaves: int) -> None:
    told = trips.where(condition).explain(run=True)
    assert told.leaves == leaves
    assert told.found == trips[:].to_arrow().filter(condition).num_rows


def test_explain_says_what_is_pushed_down(trips: Any) -> None:
    told = trips.where((f("at") >= 500) & (f("day") == 13) & (f("noise") > 3)).select("name").explain(run=True)
    assert told.pushed == ("keys by 'at'", "leaves by the bounds of 'at', 'day', 'noise'")
    assert told.columns == ("at", "day", "noise", "name")
    assert (told.leaves, told.leaves_skipped) == (5, 45)
    assert "5 leaves (45 skipped)" in repr(told)
    assert trips.where(f("day") + 1 == 4).explain().pushed == ()


def test_an_older_version_does_not_come_back_from_below_a_leaf_that_cannot_match(trips: Any) -> None:
    trips.update(pd.DataFrame({"at": range(150, 170), "day": 99}))
    trips.delete(list(range(170, 180)))
    assert trips.where(f("day") == 3).count() == 20
    assert trips.where(f("day") == 99).count() == 20


def test_a_run_of_new_records_is_skipped_like_the_base(trips: Any) -> None:
    day = pd.DataFrame({"at": range(1000, 1100), "day": 50, "noise": 0, "name": "d50"})
    trips.insert(day)
    told = trips.where(f("day") == 3).explain(run=True)
    assert (told.layers, told.leaves, told.leaves_skipped) == (2, 5, 105)
    assert trips.where(f("day") == 50).explain(run=True).leaves == 10


def test_a_record_written_into_a_skipped_leaf_conflicts(trips: Any) -> None:
    db = sopnb.open(":memory:", settings=DatabaseSettings(leaf_rows=10), handle=QUIET)
    store = db.load("trips", trips[:].to_pandas(), index="at")
    log = db.create("log", schema={"n": "int64"}, index="n")
    tx = db.transaction()
    tx["log"].insert({"n": tx["trips"].where(f("day") == 3).count()})
    store.update(900, {"day": 3})
    with pytest.raises(sopnb.Conflict):
        tx.commit()
    assert len(log) == 0
    tx = db.transaction()
    tx["log"].insert({"n": tx["trips"].where(f("at") < 100).count()})
    store.update(900, {"day": 4})
    assert tx.commit(), "nothing outside of the keys that can match is in the way"
    assert list(log) == [100]
    assert db.check().ok


def test_reading_some_columns_makes_no_array_of_the_others(trips: Any) -> None:
    parts = list(trips._access.reading().scan(columns=("day",)))
    assert {tuple(part.batch.schema.names) for part in parts} == {("day",)}
