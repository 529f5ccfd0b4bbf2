"""What cannot be kept as it is, is refused with the column named; all else that people have in frames is kept. This is the whole table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dateutil.tz import tzoffset

import sopnb
from sopnb.errors import InvalidInput
from tests.api_support import QUIET
from tests.frames.support import assert_same, objects


def _with(values: Any) -> Callable[[], Any]:
    return lambda: pd.DataFrame({"k": range(len(values)), "x": values})


def _table(array: Any) -> Callable[[], Any]:
    return lambda: pa.table({"k": pa.array(range(len(array))), "x": array})


def _levels(*labels: Any) -> Callable[[], Any]:
    return lambda: pd.DataFrame([range(len(labels))], columns=pd.MultiIndex.from_tuples(labels))


Refused = dict[str, tuple[Callable[[], Any], str]]
DUPLICATE_NAMES: Refused = {
    "a column name twice": (lambda: pd.DataFrame([[1, 2, 3]], columns=["k", "x", "x"]), "'x' is there twice"),
    "a column name that the index has too": (
        lambda: pd.DataFrame({"k": [1], "x": [1]}, index=pd.Index([1], name="x")),
        "'x' is there twice",
    ),
    "labels that are one as text": (
        lambda: pd.DataFrame({"k": [1], 7: [1], "7": [1]}),
        "column '7' would have the same name as 7 in a store; rename one",
    ),
    "labels of levels that are one as text": (
        _levels(("k", ""), ("a_b", "c"), ("a", "b_c")),
        r"column \('a', 'b_c'\) would have the same name as \('a_b', 'c'\)",
    ),
}
COMPLEX: Refused = {
    "complex numbers": (_with(np.array([1j])), "'x'.*complex"),
    "complex objects": (_with(objects([1j])), "'x'.*complex"),
}
SPARSE: Refused = {"sparse columns": (_with(pd.arrays.SparseArray([0, 1])), "'x'.*dense")}
MIXED_OBJECTS: Refused = {
    "several kinds that are no JSON": (_with(objects([b"x", 1])), "'x' mixes"),
    "no kind": (_with(objects([object()])), "'x' mixes"),
    "sets of several kinds": (_with(objects([{1, "a"}])), "'x' mixes what its sets hold"),
    "dicts that JSON would change": (_with(objects([{1: "a"}])), "'x' mixes.*would come back as"),
    "NaN in documents": (_with(objects([{"a": float("nan")}])), "'x' mixes"),
    "arrays of several dtypes": (_with(objects([np.array([1]), np.array([1.5])])), "'x' mixes"),
    "several sorts of missing": (_with(objects(["a", None, float("nan")])), "'x' mixes what stands for a missing value"),
    "several zones": (_with(objects([datetime(2013, 1, 1), datetime(2013, 1, 1, tzinfo=UTC)])), "'x' mixes time zones"),
    "times of day in several zones": (_with(objects([time(1), time(1, tzinfo=UTC)])), "'x' mixes time zones"),
    "Timestamps in several zones": (_with(objects([pd.Timestamp("2013"), pd.Timestamp("2013", tz="UTC")])), "'x' mixes zones"),
    "categories that read alike": (_with(pd.Categorical.from_codes([0], pd.Index([1, "1"], dtype=object))), "'x'.*alike"),
    "objects as labels": (
        lambda: pd.DataFrame([[1, 2]], columns=pd.Index(["k", object], dtype=object)),
        r"labels of the columns cannot be kept: columns\[1\] is of type builtins.type",
    ),
    "objects in attrs": (
        lambda: pd.DataFrame({"k": [1]}).pipe(_attrs, {"x": [object()]}),
        r"attrs\['x'\]\[0\] is of type builtins.object, which cannot be kept.*, or delete attrs\['x'\]",
    ),
}
RULES: Refused = {  # what may be told of an index, what is reserved, how much a column holds
    "an index of which some levels have no name": (
        lambda: pd.DataFrame({"k": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)], names=["x", None])),
        "levels without a name.*'x', None",
    ),
    "reserved names": (lambda: pd.DataFrame({"k": [1], "_seq": [1]}), "'_seq'.*reserved"),
    "reserved labels": (_levels(("k", ""), ("_seq", "")), "'_seq'.*reserved"),
    "integers beyond 64 bits": (_with([2**70]), "'x'.*decimal column, or JSON"),
    "durations beyond 64 bits": (_with(objects([timedelta(999_999_999)])), "'x'"),
}
NO_ARROW: Refused = {  # values, zones and types that Arrow has not, or cannot make
    "decimals that are infinite": (_with(objects([Decimal("Infinity")])), "'x' holds the Decimal Infinity"),
    "decimals that are another NaN": (_with(objects([Decimal("-NaN")])), "'x' holds the Decimal -NaN"),
    "decimals that signal": (_with(objects([Decimal("sNaN")])), "'x'"),
    "text that UTF-8 has not": (_with(objects(["\ud800"])), "'x'"),
    "zones of other libraries": (
        lambda: pd.DataFrame({"k": [1], "x": pd.DatetimeIndex(["2013"]).tz_localize(tzoffset(None, 3600))}),
        r"'x' is in a zone of another library, which would not come back; use tz_convert\('\+01:00'\)",
    ),
    "objects in zones of a part of a minute": (
        _with(objects([datetime(2013, 1, 1, tzinfo=timezone(timedelta(seconds=30)))])),
        "'x'.*whole number of minutes",
    ),
    "views of lists": (_table(pa.array([[1]], pa.list_view(pa.int64()))), "'x': columns of type list_view.* cannot be stored"),
    "unions": (
        _table(pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])),
        "'x': columns of type dense_union.* cannot be stored",
    ),
}
REFUSED: Refused = DUPLICATE_NAMES | COMPLEX | SPARSE | MIXED_OBJECTS | RULES | NO_ARROW


def _attrs(frame: Any, attrs: Any) -> Any:
    frame.attrs = attrs
    return frame


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_kept_is_refused_by_name(what: str) -> None:
    make, reason = REFUSED[what]
    with sopnb.open(":memory:", handle=QUIET) as db:
        with pytest.raises(InvalidInput, match=reason):
            db.load("frame", make(), "k")
        assert db.stores() == ()
        assert db.check().ok


def test_a_store_that_is_there_takes_frames_that_it_could_not_have_been_made_of() -> None:
    """Of such a frame only the values are written; what it says beside them does not matter."""
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("frame", pd.DataFrame({"k": [1], "x": objects(["a"])}), "k")
        more = _attrs(pd.DataFrame({"k": [2, 3, 4], "x": objects(["b", None, float("nan")])}), {"plot": object()})
        assert store.insert(more).inserted == 3
        assert store[:].to_pandas()["x"].tolist() == ["a", "b", None, None]


CUT = pd.cut(pd.Series([1.0, 5.0, float("nan"), 9.0]), [0, 2, 6, 100])


def test_cut_categories_documents_nan_beside_na_and_attrs_come_back() -> None:
    numbers = pd.arrays.FloatingArray(np.array([1.0, float("nan"), 3.0, -0.0]), np.array([False, False, True, False]))
    frame = pd.DataFrame({"k": range(4), "cut": CUT, "n": numbers, "doc": objects([{"a": [1, {"b": None}]}, {}, None, {"é": 2**70}])})
    frame.attrs = {"source": "made up", "nested": {"limits": [0, 2.5, None]}}
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("frame", frame, "k")
        assert_same(store[:].to_pandas(), frame)
        assert store.select("cut").to_dicts()[0] == {"cut": "(0, 2]"}
        assert store[2:3].to_pandas()["cut"].dtype == CUT.dtype
        assert store.upsert(frame.assign(cut=frame["cut"].cat.set_categories(CUT.cat.categories[:2])).head(2)).unchanged == 2


@pytest.mark.parametrize("value", [[0, 0.0], [1, 2.5], [[1], [2.5]], [True, 1.0], [None, 1, 0.5]])
def test_whole_numbers_beside_others_in_a_list_stay_whole(value: Any) -> None:
    """A list of doubles would hold them, but they would come back as other numbers."""
    frame = pd.DataFrame({"k": [1], "x": objects([value])})
    with sopnb.open(":memory:", handle=QUIET) as db:
        assert_same(db.load("frame", frame, "k")[:].to_pandas(), frame)
        with pytest.raises(InvalidInput, match="'x' mixes"):
            db.load("tuples", frame.assign(x=objects([tuple(value)])), "k")


def test_empty_lists_fit_lists_of_anything() -> None:
    frame = pd.DataFrame({"k": [1, 2, 3], "x": objects([[], [["a"]], [[]]]), "y": objects([[], [[1.5]], []])})
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("frame", frame, "k")
        assert store.upsert(frame.iloc[:1]).unchanged == 1
        assert store.upsert(frame.iloc[:1].assign(k=9)).inserted == 1
        assert_same(store[:3].to_pandas(), frame.iloc[:2])
        with pytest.raises(InvalidInput, match="'x'"):
            store.upsert(frame.iloc[:1].assign(x=objects([[1]])))


def test_the_frequency_of_an_index_comes_back_where_its_rows_do() -> None:
    frame = pd.DataFrame({"v": range(5)}, index=pd.date_range("2013-01-01", periods=5, freq="6h", name="at"))
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("frame", frame)
        pd.testing.assert_frame_equal(store[:].to_pandas(), frame, check_freq=True)
        pd.testing.assert_frame_equal(store[:].rows(1, 3), frame.iloc[1:3], check_freq=True)
        store.delete(frame.index[2])
        assert store[:].to_pandas().index.freq is None


def test_a_period_is_no_number_and_no_other_period() -> None:
    months = pd.DataFrame({"k": [1, 2], "p": pd.period_range("2013-01", periods=2, freq="M")})
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.load("frame", months, "k")
        for wrong in (months.assign(p=[1, 2]), months.assign(p=pd.period_range("2013", periods=2, freq="D"))):
            with pytest.raises(InvalidInput, match=r"'p': store period\[M\], frame"):
                store.upsert(wrong)
        assert store.upsert(store[:].to_arrow()).unchanged == 2


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_a_dtype_backend_gives_its_dtypes_for_pages_and_the_whole(backend: Any) -> None:
    from sopnb.frames.arrow import adopt
    from sopnb.frames.pandas import to_pandas
    from sopnb.index import IndexSpecification
    from sopnb.schema import Schema

    frame = pd.DataFrame(
        {"k": [1, 2], "f": [1.5, None], "b": [True, False], "s": ["a", None], "cut": CUT[:2], "d": objects([{"a": 1}, {}])}
    )
    for data in (frame, pa.table(frame.drop(columns=["cut", "d"]))):
        table, _, says = adopt(data)
        categories = {} if says is None else {"cut": table["cut"].chunk(0).dictionary}
        schema = Schema(table.schema, IndexSpecification.of("k"), categories=categories, frame=says)
        whole = to_pandas(schema.present(schema.conform(table)), schema, dtype_backend=backend)
        assert to_pandas(schema.present(schema.conform(table[:0])), schema, dtype_backend=backend).dtypes.equals(whole.dtypes)
        names = [str(dtype) for dtype in whole.dtypes[:4]]
        if backend == "numpy_nullable":
            assert names == ["Int64", "Float64", "boolean", "string"]
        else:
            assert names[:3] == ["int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]"]
            assert all(isinstance(dtype, pd.ArrowDtype) for dtype in whole.dtypes[:4])
        if says is not None:
            assert whole["cut"].dtype == CUT.dtype
            assert whole["d"].tolist() == [{"a": 1}, {}]
    with pytest.raises(InvalidInput, match="numpy_nullable"):
        to_pandas(table, schema, dtype_backend="numpy")  # type: ignore[arg-type]
