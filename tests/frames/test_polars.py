"""polars: frames in and out, and lazy frames that read only what a query can use and give what polars gives over the whole."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import sopnb
from sopnb import DatabaseSettings
from sopnb.frames import polars as frames
from tests.api_support import QUIET

c = pl.col
NAN = float("nan")
NOON = datetime(2013, 1, 1, 12)
COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "i": (pl.Int64, [-1, 0, 1, 2]),
    "small": (pl.Int8, [-1, 0, 1]),
    "u": (pl.UInt64, [0, 1, 2**63 + 1]),
    "f": (pl.Float64, [-1.5, -0.0, 0.0, 0.1, 2.0, NAN, float("inf")]),
    "g": (pl.Float32, [-1.5, 0.1, NAN]),
    "s": (pl.String, ["", "a", "ab", "b", "é"]),
    "raw": (pl.Binary, [b"", b"a", b"b"]),
    "flag": (pl.Boolean, [True, False]),
    "day": (pl.Date, [date(2013, 1, day) for day in (1, 2, 3)]),
    "moment": (
        pl.Datetime("us", "America/New_York"),
        [NOON.replace(tzinfo=ZoneInfo("America/New_York")) + timedelta(hours=h) for h in range(3)],
    ),
    "naive": (pl.Datetime("ns"), [NOON + timedelta(hours=h) for h in range(3)]),
    "took": (pl.Duration("us"), [timedelta(seconds=n) for n in range(3)]),
    "clock": (pl.Time, [time(hour) for hour in range(3)]),
    "price": (pl.Decimal(10, 2), [Decimal("-1.50"), Decimal("0.10"), Decimal("2.00")]),
    "kind": (pl.Categorical, ["b", "a", "c"]),
    "level": (pl.Enum(["low", "high", "above"]), ["low", "high", "above"]),
    "list": (pl.List(pl.Int64), [[], [1], [1, 2]]),
    "pair": (pl.Struct({"a": pl.Int64, "b": pl.String}), [{"a": 1, "b": "x"}, {"a": None, "b": None}]),
}
ORDERED = [name for name in COLUMNS if name not in ("list", "pair")]
SCHEMA = {"n": pl.Int64, **{name: kind for name, (kind, _) in COLUMNS.items()}}


def stored(frame: pl.DataFrame, **settings: Any) -> Any:
    db = sopnb.open(":memory:", settings=DatabaseSettings(leaf_rows=4, **settings), handle=QUIET)
    return db.load("things", frame, index="n")


@st.composite
def rows(draw: Any) -> pl.DataFrame:
    made = draw(st.lists(st.fixed_dictionaries({k: st.none() | st.sampled_from(v) for k, (_, v) in COLUMNS.items()}), max_size=30))
    return pl.DataFrame([{"n": n, **row} for n, row in enumerate(made)], schema=SCHEMA)


@st.composite
def comparisons(draw: Any) -> Any:
    name = draw(st.sampled_from(ORDERED))
    kind, values = COLUMNS[name]
    value = draw(st.sampled_from(values))
    constant = value if draw(st.booleans()) else pl.lit(value, dtype=kind)
    sides = (c(name), constant) if draw(st.booleans()) else (pl.lit(value, dtype=kind), c(name))
    op = draw(st.sampled_from(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "eq_missing"]))
    return getattr(sides[0], op)(sides[1])


@st.composite
def others(draw: Any) -> Any:
    name = draw(st.sampled_from(ORDERED))
    kind, values = COLUMNS[name]
    closed = draw(st.sampled_from(["both", "left", "right", "none"]))
    some = draw(st.lists(st.none() | st.sampled_from(values), max_size=4))
    return draw(
        st.sampled_from(
            [
                c(name).is_null(),
                c(name).is_not_null(),
                c(name).is_in(pl.Series(some, dtype=kind).implode()),
                c(name).is_between(pl.lit(values[0], dtype=kind), pl.lit(values[-1], dtype=kind), closed=closed),
                c("s").str.starts_with(draw(st.sampled_from(["", "a", "é"]))),
                c("flag"),
                c("i") + 1 > 1,
                c("small").cast(pl.Int64) > 0,
                c("i") > 0.5,
                c("f").is_nan(),
                c("s").str.len_bytes() > 1,
                c("list").list.len() > 1,
            ]
        )
    )


PREDICATES = st.recursive(
    st.one_of(comparisons(), others()),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner), st.builds(lambda a, b: a | b, inner, inner), st.builds(lambda a: ~a, inner)
    ),
    max_leaves=5,
)


@given(rows(), st.lists(PREDICATES, min_size=1, max_size=6), st.booleans())
def test_a_lazy_frame_gives_what_polars_gives_over_the_whole(frame: pl.DataFrame, predicates: list[Any], streaming: bool) -> None:
    store = stored(frame)
    engine = "streaming" if streaming else "auto"
    whole = store.to_polars()
    assert_frame_equal(whole, frame, categorical_as_str=True)
    for predicate in predicates:
        try:
            want = whole.filter(predicate)
        except pl.exceptions.PolarsError:
            continue
        lazy = store.to_polars(lazy=True)
        assert_frame_equal(lazy.filter(predicate).collect(engine=engine), want, categorical_as_str=True)
        assert_frame_equal(lazy.filter(predicate).select("s", "n").collect(), want.select("s", "n"))
        assert_frame_equal(lazy.filter(predicate).head(2).select("n").collect(), want.head(2).select("n"))
        assert_frame_equal(lazy.head(5).filter(predicate).select("n").collect(), whole.head(5).filter(predicate).select("n"))
        passing = frames.pushed(predicate, store.schema)
        if passing is not None:
            assert set(want["n"]) <= set(store.where(passing).select("n").to_arrow().column("n").to_pylist()), str(predicate)


def test_dtypes_come_back() -> None:
    frame = pl.DataFrame([{"n": 1, **{name: values[0] for name, (_, values) in COLUMNS.items()}}, {"n": 2}], schema=SCHEMA)
    store = stored(frame)
    assert store.to_polars().schema == frame.schema
    assert store.to_polars(lazy=True).collect_schema() == frame.schema
    assert store.to_polars(lazy=True).collect().schema == frame.schema


@pytest.fixture
def trips() -> Any:
    frame = pl.DataFrame({"n": range(1000), "day": [n // 50 for n in range(1000)], "name": [f"d{n // 50:02}" for n in range(1000)]})
    db = sopnb.open(":memory:", settings=DatabaseSettings(leaf_rows=10, inline_rows=3), handle=QUIET)
    yield db.load("trips", frame.with_columns(pl.col("day").cast(pl.Int64)), index="n")
    assert db.check().ok


@pytest.mark.parametrize(
    ("predicate", "leaves"),
    [
        (c("day") == 3, 5),
        (pl.lit(17) < c("day"), 10),
        (~(c("day") <= 17), 10),
        (c("day").is_in([3, 19]), 10),
        (c("day").is_between(3, 4), 10),
        (c("name").str.starts_with("d0"), 50),
        ((c("day") == 3) & (c("name").str.len_bytes() == 3), 5),
        ((c("day") == 3) | (c("name").str.len_bytes() == 3), 100),
        (c("n") == 500, 1),
        (c("day").is_null(), 0),
        (c("day") + 1 == 4, 100),
    ],
)
def test_only_leaves_that_can_match_are_read(trips: Any, predicate: Any, leaves: int) -> None:
    reader = trips._access.engine.reader
    before = reader.leaves
    got = trips.to_polars(lazy=True).filter(predicate).collect()
    assert reader.leaves - before == leaves
    assert_frame_equal(got, trips.to_polars().filter(predicate))


def test_the_first_rows_are_read_and_no_more(trips: Any) -> None:
    reader = trips._access.engine.reader
    before = reader.leaves
    assert trips.to_polars(lazy=True).head(3).collect()["n"].to_list() == [0, 1, 2]
    assert reader.leaves - before < 10


def test_a_lazy_frame_keeps_its_state(trips: Any) -> None:
    lazy = trips.to_polars(lazy=True)
    trips.delete(list(range(500)))
    assert lazy.select(pl.len()).collect().item() == 1000
    assert lazy.join(lazy, on="n").select(pl.len()).collect().item() == 1000
    assert trips.to_polars(lazy=True).select(pl.len()).collect().item() == 500


def test_a_lazy_frame_of_a_selection(trips: Any) -> None:
    lazy = trips[100:200].where(pa.compute.field("day") == 3).select("name", "n").reverse().to_polars(lazy=True)
    assert lazy.collect_schema().names() == ["name", "n"]
    assert lazy.filter(c("n") < 160).collect()["n"].to_list() == list(range(159, 149, -1))


def test_in_a_transaction_all_of_it_counts_as_read(trips: Any) -> None:
    db = sopnb.open(":memory:", handle=QUIET)
    store = db.load("trips", trips.to_polars(), index="n")
    tx = db.transaction()
    tx["trips"].update(1, {"name": "own"})
    lazy = tx["trips"].to_polars(lazy=True)
    tx["trips"].update(2, {"name": str(lazy.filter(c("name") == "own").collect()["n"].to_list())})
    store.update(900, {"day": 3})
    with pytest.raises(sopnb.Conflict):
        tx.commit()
    assert db.check().ok


def test_the_key_of_a_frame_is_a_column() -> None:
    db = sopnb.open(":memory:", handle=QUIET)
    store = db.load("planes", pd.DataFrame({"seats": [1, 2]}, index=pd.Index(["N1", "N2"], name="tailnum")))
    assert store.to_polars().columns == ["seats", "tailnum"]


def test_polars_frames_need_polars(trips: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    for lazy in (False, True):
        with pytest.raises(sopnb.MissingPackage, match=r"pip install 'sopnb\[polars\]'"):
            trips.to_polars(lazy=lazy)


class Odd:
    """A predicate in a form that no version of polars has."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def meta(self) -> Any:
        return self

    def serialize(self, format: str) -> str:
        return self.text


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", '"x"', "{}", '{"Column": "nosuch"}', '{"BinaryExpr": {"op": "New", "left": {"Column": "day"}, "right": {}}}',
     '{"Function": {"input": [], "function": "Odd"}}', '{"Literal": {"New": 1}}', '{"A": 1, "B": 2}', "null"],
)  # fmt: skip
def test_an_unknown_form_is_not_pushed_down_and_no_error(trips: Any, text: str) -> None:
    assert frames.pushed(Odd(text), trips.schema) is None
