"""Arrow types that are a matter of form: maps, runs, dictionaries and nothing within others, calendar intervals."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sopnb.errors import SchemaMismatch
from sopnb.fields import formed, plain_type, stored_type

INDEXED = pa.dictionary(pa.int8(), pa.string())
COLUMNS: dict[str, tuple[Any, list[Any], Any]] = {
    "map": (pa.map_(pa.string(), pa.int64()), [[("a", 1), ("b", None)], None, []], {"z": 5}),
    "runs": (pa.run_end_encoded(pa.int32(), pa.string()), ["x", "x", None], "y"),
    "calendar": (pa.month_day_nano_interval(), [(1, -2, 3), None, (0, 0, 2**40)], pa.MonthDayNano([1, 2, 3])),
    "words": (pa.list_(INDEXED), [["a", "b"], None, ["a"]], ["c"]),
    "nothing": (pa.list_(pa.null()), [[None], None, []], [None, None]),
    "deep": (
        pa.struct([("m", pa.map_(pa.int32(), INDEXED)), ("n", pa.null())]),
        [{"m": [(1, "x")], "n": None}, None, {"m": None, "n": None}],
        {"m": [(2, "y")], "n": None},
    ),
}
TABLE = pa.table(
    [pa.array([1, 2, 3]), *(pa.array(values, kind) for kind, values, _ in COLUMNS.values())],
    schema=pa.schema([pa.field("k", pa.int64(), nullable=False), *((name, kind) for name, (kind, _, _) in COLUMNS.items())]),
)


@pytest.fixture
def store(db: Any) -> Any:
    return db.load("table", TABLE, "k")


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_stored_plainly_and_given_as_it_was(name: str) -> None:
    column = TABLE[name]
    for part in (column, column[1:], column[:1], column[3:], pa.chunked_array([column.chunk(0), column.chunk(0)[1:]])):
        plain = formed(part, plain_type(column.type))
        assert plain.type == plain_type(column.type)
        back = formed(formed(plain, stored_type(column.type)), column.type)
        assert back.type == column.type
        assert back.to_pylist() == part.to_pylist()


def test_tables_come_back_equal_to_arrow(store: Any, db: Any, tmp_path: Any) -> None:
    assert store[:].to_arrow().equals(TABLE)
    assert store[1:3].to_arrow().equals(TABLE[:2])
    db.fold()
    assert store[:].to_reader().read_all().equals(TABLE)
    assert store.upsert(TABLE).unchanged == 3
    store[:].to_feather(tmp_path / "x.feather")
    assert db.load("again", tmp_path / "x.feather", "k")[:].to_arrow().equals(TABLE)


def test_records_have_their_values_and_take_them(store: Any) -> None:
    for at, key in enumerate((1, 2, 3)):
        assert dict(store[key]) == {"k": key, **{name: values[at] for name, (_, values, _) in COLUMNS.items()}}
    store.insert({"k": 4, **{name: value for name, (_, _, value) in COLUMNS.items()}})
    assert store[4]["map"] == [("z", 5)]
    assert store[4]["calendar"] == pa.MonthDayNano([1, 2, 3])
    assert store.upsert([dict(record) for record in store[:].records()]).unchanged == 4
    assert store[3:].to_arrow()["deep"].to_pylist() == [{"m": None, "n": None}, {"m": [(2, "y")], "n": None}]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("map", [1], r"'map': \[1\] .* does not fit map.*give a dict, or a list of pairs"),
        ("map", [(None, 1)], "'map'.*its keys may not be None"),
        ("map", {"a": 1.5}, "'map'.*does not fit int64"),
        ("calendar", 5, "'calendar': 5 .*MonthDayNano"),
        ("calendar", (2**40, 0, 0), "'calendar'.*does not fit int32"),
        ("nothing", [5], "'nothing'.*nothing but null"),
    ],
)
def test_what_does_not_fit_is_refused_by_column(store: Any, name: str, value: Any, reason: str) -> None:
    with pytest.raises(SchemaMismatch, match=reason):
        store.update(1, {name: value})
    if name == "nothing":
        with pytest.raises(SchemaMismatch, match="'nothing': store list<item: null>, frame list<item: int64>"):
            store.upsert(pa.table({"k": [1], "nothing": [value]}))


def test_plain_values_go_into_columns_of_any_form(store: Any) -> None:
    plain = pa.table([formed(column, plain_type(column.type)) for column in TABLE.columns], names=TABLE.column_names)
    assert store.upsert(plain).unchanged == 3
    bad = TABLE.set_column(0, "k", pa.array([1, None, 3]))
    counts = store.upsert(bad, on_error="report")
    assert (counts.unchanged, counts.inserted) == (2, 0)
    assert counts.rejected["_reason"].tolist() == ["store 'table', column 'k' may not be null"]


def test_an_index_of_few_bits_counts_what_comes_from_many_leaves(db: Any) -> None:
    rows = [[[f"{part} {n}"] for n in range(100)] for part in range(4)]
    lists = pa.chunked_array([pa.array(part, pa.list_(INDEXED)) for part in rows])
    flat = pa.chunked_array([pa.array([value for [value] in part], INDEXED) for part in rows])
    table = pa.table({"k": np.arange(400), "lists": lists, "flat": flat})
    got = db.load("many", table, "k")[:].to_arrow()
    assert got.schema == table.schema
    assert got.to_pylist() == table.to_pylist()


def test_pandas_has_the_values_that_arrow_makes_and_keeps_its_own_dtypes(store: Any, db: Any) -> None:
    got = store[:].to_pandas()
    assert got["map"].tolist() == [[("a", 1), ("b", None)], None, []]
    assert got["words"].map(lambda words: None if words is None else list(words)).tolist() == [["a", "b"], None, ["a"]]
    assert got["runs"].tolist()[:2] == ["x", "x"]
    dtypes = {name: pd.ArrowDtype(kind) for name, (kind, _, _) in COLUMNS.items() if name not in ("runs", "deep", "words")}
    frame = pd.DataFrame({"k": [1, 2, 3], **{name: pd.arrays.ArrowExtensionArray(TABLE[name]) for name in dtypes}})
    again = db.load("pandas", frame, "k")[:].to_pandas()
    assert again.dtypes.tolist() == frame.dtypes.tolist()
    for name in dtypes:
        assert pa.chunked_array(again[name].array.__arrow_array__()).equals(TABLE[name])


def test_conditions_and_sql_see_the_values(store: Any, db: Any) -> None:
    assert store.where(pc.field("runs") == "x").count() == 2
    assert store.where(pc.field("map").is_null()).count() == 1
    if find_spec("duckdb"):
        assert db.sql("select map['a'] as a, words[1] as w, runs from \"table\" where runs = 'x' order by k").to_arrow().to_pylist() == [
            {"a": 1, "w": "a", "runs": "x"},
            {"a": None, "w": None, "runs": "x"},
        ]
    if find_spec("polars"):
        assert store.to_polars()["runs"].to_list() == ["x", "x", None]
        assert store.to_polars(lazy=True).select("calendar", "runs").collect()["calendar"].to_list()[0]["days"] == -2


def test_maps_are_widened_to_wider_maps_and_nothing_to_something(db: Any) -> None:
    store = db.load("narrow", pa.table({"k": [1], "m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())), "n": [[None]]}), "k")
    wide = pa.table({"k": [2], "m": pa.array([[("a", 2**40)]], pa.map_(pa.string(), pa.int64())), "n": [["x"]]})
    db.load("narrow", wide, "k", if_exists="upsert", widen=True)
    assert store[:].to_arrow().schema == wide.schema
    assert store[:].to_arrow().to_pylist() == [{"k": 1, "m": [("a", 1)], "n": [None]}, {"k": 2, "m": [("a", 2**40)], "n": ["x"]}]
