"""M11, through a store: any frame comes back equal, or is refused naming the column; pages and pieces of it have its dtypes."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.errors import InvalidInput
from tests.api_support import QUIET, SMALL

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
TEXT = st.text(st.sampled_from("ab\0é\U0001f600"), max_size=5)
DTYPES: dict[str, tuple[Any, Any]] = {
    "int8": ("int8", st.integers(-128, 127)),
    "uint16": ("uint16", st.integers(0, 65535)),
    "int64": ("int64", st.integers(-(2**63), 2**63 - 1)),
    "uint64": ("uint64", st.integers(0, 2**64 - 1)),
    "float32": ("float32", st.none() | st.floats(width=32, allow_nan=False)),
    "float64": ("float64", st.none() | st.floats(allow_nan=False)),
    "bool": ("bool", st.booleans()),
    "Int64": ("Int64", st.none() | st.integers(-(2**63), 2**63 - 1)),
    "UInt8": ("UInt8", st.none() | st.integers(0, 255)),
    "Float64": ("Float64", st.none() | st.floats(allow_nan=False)),
    "boolean": ("boolean", st.none() | st.booleans()),
    "str": ("str", st.none() | TEXT),
    "string": ("string", st.none() | TEXT),
    "bytes": (object, st.none() | st.binary(max_size=4)),
    "date": (object, st.none() | st.dates()),
    "decimal": (object, st.none() | st.decimals(-1000, 1000, places=3)),
    "seconds": ("datetime64[s]", st.none() | MOMENTS.map(lambda at: at.replace(microsecond=0))),
    "nanoseconds": ("datetime64[ns]", st.none() | MOMENTS),
    "zoned": ("datetime64[us, Europe/Berlin]", st.none() | MOMENTS.map(lambda at: at.replace(tzinfo=UTC))),
    "timedelta": ("timedelta64[us]", st.none() | st.timedeltas(timedelta(-10_000), timedelta(10_000))),
    "category": (pd.CategoricalDtype(["b", "a", "unused"], ordered=True), st.none() | st.sampled_from("ab")),
    "list": (object, st.none() | st.lists(st.integers(-5, 5), max_size=3)),
    "document": (object, st.none() | st.dictionaries(st.sampled_from("xy"), st.none() | st.integers() | st.text(max_size=3), max_size=2)),
    "arrow": (pd.ArrowDtype(pa.int32()), st.none() | st.integers(-(2**31), 2**31 - 1)),
}


@st.composite
def frames(draw: Any) -> Any:
    n = draw(st.integers(1, 12))
    names = draw(st.lists(st.sampled_from(list(DTYPES)), min_size=1, max_size=5))
    columns: dict[str, Any] = {"k": np.array(draw(st.permutations(range(n))))}
    for letter, name in zip(string.ascii_lowercase, names, strict=False):
        dtype, values = DTYPES[name]
        drawn = draw(st.lists(values, min_size=n, max_size=n))
        columns[f"{letter} {name}"] = pd.Series(drawn, dtype=dtype)
    frame = pd.DataFrame(columns)
    frame.attrs = draw(st.sampled_from([{}, {"source": "drawn", "n": 3}]))
    return frame


def _comparable(frame: Any) -> Any:
    """Lists come back as arrays, and what is missing among objects as None."""
    frame = frame.copy()
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = [list(v) if isinstance(v, np.ndarray) else None if v is None or v is pd.NaT or v != v else v for v in frame[name]]
            frame[name] = frame[name].astype(object)
    return frame


@given(frames(), st.booleans())
def test_m11_any_frame_comes_back_equal(frame: Any, as_index: bool) -> None:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        if as_index:
            frame = frame.set_index("k")
            store, want = db.load("frame", frame), frame.sort_index()
        else:
            store, want = db.load("frame", frame, "k"), frame.sort_values("k").reset_index(drop=True)
        for _ in range(2):
            got = store[:].to_pandas()
            pd.testing.assert_frame_equal(_comparable(got), _comparable(want))
            assert got.attrs == frame.attrs
            assert store.upsert(frame).unchanged == store.upsert(got).unchanged == len(frame)
            for page in (
                store[:].head(2),
                store[:].rows(1, 3),
                store[:0].to_pandas(),
                store.get_many(list(store)[::-1]),
                *store[:].iter_batches(size=3),
            ):
                assert page.dtypes.equals(want.dtypes)
            db.fold()


def test_an_index_that_is_a_range_of_its_own_comes_back(tmp_path: Any) -> None:
    frame = pd.DataFrame({"v": [1.5, 2.5, 3.5]}, index=pd.RangeIndex(10, 40, 10, name="k"))
    with sopnb.open(tmp_path / "x.sop") as db:
        pd.testing.assert_frame_equal(db.load("frame", frame)[:].to_pandas(), frame, check_index_type=False)


def test_times_as_keys_come_back_as_index() -> None:
    index = pd.date_range("2013-01-01", periods=4, freq="h", tz="America/New_York", name="at", unit="ns")
    frame = pd.DataFrame({"v": range(4)}, index=index)
    with sopnb.open(":memory:") as db:
        store = db.load("frame", frame)
        pd.testing.assert_frame_equal(store[:].to_pandas(), frame, check_freq=False)
        assert store["2013-01-01 02:00"]["v"] == 2
        assert store[index[1] : index[3]].to_pandas()["v"].tolist() == [1, 2]
        pd.testing.assert_frame_equal(store.get_many(index[::-1]), frame[::-1], check_freq=False)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pd.DataFrame({"k": [1], "big": [2**70]}), "'big'.*decimal column, or JSON"),
        (pd.DataFrame({"k": [1], "z": [1j]}), "'z'"),
        (pd.DataFrame({"k": [1], "o": [object()]}), "'o'"),
        (pd.DataFrame({"k": [1], "_seq": [1]}), "'_seq'.*reserved"),
        (pd.DataFrame({"k": [pd.Interval(0, 1)], "v": [1]}), "'k'"),
    ],
)
def test_m11_what_cannot_be_kept_is_refused_by_name(frame: Any, reason: str) -> None:
    with sopnb.open(":memory:") as db:
        with pytest.raises(InvalidInput, match=reason):
            db.load("frame", frame, "k")
        assert db.stores() == ()


def test_a_store_made_by_hand_takes_and_gives_frames() -> None:
    with sopnb.open(":memory:") as db:
        store = db.create("things", {"k": "int64", "n": "int64", "b": "bool", "d": "date", "c": "decimal(5, 1)"}, "k")
        n, b = pd.array([None, 5], "Int64"), pd.array([True, None], "boolean")
        store.insert(pd.DataFrame({"k": [1, 2], "n": n, "b": b, "d": [date(2013, 1, 1), None], "c": [Decimal("1.5"), None]}))
        got = store[:].to_pandas()
        assert got["n"].tolist() == [pd.NA, 5]
        assert got["b"].tolist() == [True, pd.NA]
        assert store.upsert(got).unchanged == 2
        assert store.upsert(pd.DataFrame({"k": [1], "n": np.array([7], np.int8)})).updated == 1
