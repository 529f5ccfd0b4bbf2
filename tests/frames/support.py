"""Frames of every kind that pandas has, drawn at random, and the comparison that no difference escapes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from sopnb.frames.labels import text
from tests.frames.labels import LABELS, labels

TEXT = st.text(st.sampled_from("ab\0é\U0001f600 "), max_size=4)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
SECONDS = MOMENTS.map(lambda at: at.replace(microsecond=0))
SPANS = st.timedeltas(timedelta(-10_000), timedelta(10_000))
FLOATS = st.floats() | st.sampled_from([-0.0, 0.0, float("nan"), float("inf")])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
PANDAS3 = int(pd.__version__.split(".")[0]) >= 3
ZONES: list[Any] = ["Europe/Berlin", "UTC", ZoneInfo("America/New_York"), timezone(timedelta(hours=5, minutes=30)), UTC]
SECONDS_APART = timezone(timedelta(seconds=30))


@dataclass(frozen=True)
class Kind:
    """A sort of column: the values it may have, and how a list of them becomes a column."""

    values: Any
    make: Callable[[list[Any]], Any]
    key: bool = False
    """Whether it can be part of a key."""


def objects(values: Iterable[Any]) -> Any:
    return pd.Series(np.fromiter(values, object), dtype=object)


def missing(values: Any, what: Any = None) -> Any:
    """Return a strategy with the values, and sometimes what stands for none."""
    return st.one_of(values, values, st.just(what))


def _numpy(dtype: str, values: Any, *, key: bool = True) -> Kind:
    return Kind(values, lambda drawn: pd.Series(np.array(drawn, dtype=dtype), dtype=dtype), key)


def _integer(dtype: str) -> Any:
    bounds = np.iinfo(dtype.lower())
    return st.integers(int(bounds.min), int(bounds.max)) | st.sampled_from([0, int(bounds.min), int(bounds.max)])


def _series(dtype: Any, values: Any, *, key: bool = True) -> Kind:
    return Kind(missing(values), lambda drawn: pd.Series(pd.array(drawn, dtype=dtype)), key)


def _masked_floats(dtype: Any, kind: str) -> Kind:
    def make(drawn: list[Any]) -> Any:
        null = np.array([value is None for value in drawn], bool)
        numbers = np.array([0.0 if value is None else value for value in drawn], kind)
        return pd.Series(pd.arrays.FloatingArray(numbers, null))

    return Kind(missing(st.floats(width=32) | st.just(-0.0)), make, True)


def _moments(unit: str, zone: Any = None) -> Kind:
    def make(drawn: list[Any]) -> Any:
        index = pd.DatetimeIndex([pd.NaT if value is None else pd.Timestamp(value) for value in drawn], dtype="datetime64[ns]").as_unit(
            unit
        )
        return pd.Series(index if zone is None else index.tz_localize("UTC").tz_convert(zone))

    return Kind(missing(SECONDS if unit == "s" else MOMENTS.map(_milli) if unit == "ms" else MOMENTS), make, True)


def _milli(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _durations(unit: str) -> Kind:
    def make(drawn: list[Any]) -> Any:
        index = pd.TimedeltaIndex([pd.NaT if value is None else pd.Timedelta(value) for value in drawn], dtype="timedelta64[ns]")
        return pd.Series(index.as_unit(unit))

    return Kind(missing(SPANS.map(lambda span: timedelta(span.days, span.seconds))), make, True)


def _objects(values: Any, *, gaps: bool = True, key: bool = False, more: Any = None) -> Kind:
    """Objects of one form; where there are gaps, they are of one sort."""
    if not gaps:
        return Kind(values, objects, key)
    sorts: Any = st.sampled_from([None, float("nan"), pd.NA, pd.NaT])
    drawn = st.tuples(sorts if more is None else sorts | st.just(more), st.just(values))
    return Kind(drawn, objects, key)


def _arrow(kind: Any, values: Any, *, key: bool = False) -> Kind:
    return Kind(missing(values), lambda drawn: pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(drawn, kind)]))), key)


def _category(categories: Any, *, ordered: bool = False, key: bool = False) -> Kind:
    dtype = pd.CategoricalDtype(categories, ordered)
    codes = st.integers(-1, len(dtype.categories) - 1)
    return Kind(codes, lambda drawn: pd.Series(pd.Categorical.from_codes(np.array(drawn, np.int64), dtype=dtype)), key)


def _periods(freq: str) -> Kind:
    return Kind(missing(st.integers(-5000, 5000)), lambda drawn: pd.Series(pd.PeriodIndex.from_ordinals(
        np.array([np.iinfo(np.int64).min if value is None else value for value in drawn], np.int64), freq=freq)), True)  # fmt: skip


def _intervals(make_side: Callable[[list[int]], Any], closed: str, *, gaps: bool = True) -> Kind:
    def make(drawn: list[Any]) -> Any:
        left = make_side([0 if value is None else value[0] for value in drawn])
        right = make_side([0 if value is None else value[0] + value[1] for value in drawn])
        array = pd.arrays.IntervalArray.from_arrays(left, right, closed=closed)
        if any(value is None for value in drawn):
            array[[value is None for value in drawn]] = np.nan
        return pd.Series(array)

    pairs = st.tuples(st.integers(-50, 50), st.integers(0, 9))
    return Kind(missing(pairs) if gaps else pairs, make)


def _array_of(dtype: str) -> Any:
    return st.lists(st.integers(0, 100), max_size=3).map(lambda values: np.array(values, dtype))


_DAYS = pd.date_range("2013-01-01", periods=3, freq="D")
KINDS: dict[str, Kind] = {
    **{name: _numpy(name, _integer(name)) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "bool": _numpy("bool", st.booleans()),
    "float16": _numpy("float16", st.floats(width=16) | st.just(-0.0), key=False),
    "float32": _numpy("float32", st.floats(width=32)),
    "float64": _numpy("float64", FLOATS),
    **{name: _series(name, _integer(name)) for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")},
    "Float32": _masked_floats(pd.Float32Dtype(), "float32"),
    "Float64": _masked_floats(pd.Float64Dtype(), "float64"),
    "boolean": _series("boolean", st.booleans()),
    "string python": _series(pd.StringDtype("python"), TEXT),
    "string pyarrow": _series(pd.StringDtype("pyarrow"), TEXT),
    "str": _series("str" if PANDAS3 else pd.StringDtype("pyarrow_numpy"), TEXT),
    **{f"datetime {unit}": _moments(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"zoned {unit} {zone}": _moments(unit, zone) for unit, zone in zip(("s", "ms", "us", "ns", "ns"), ZONES, strict=True)},
    "zoned us seconds apart": _moments("us", SECONDS_APART),
    "zoned ns named": _moments("ns", timezone(timedelta(hours=1), "X")),
    **{f"timedelta {unit}": _durations(unit) for unit in ("s", "ms", "us", "ns")},
    "objects text": _objects(TEXT, key=True),
    "objects bytes": _objects(st.binary(max_size=3), key=True),
    "objects bool": _objects(st.booleans()),
    "objects int": _objects(st.integers(-(2**63), 2**63 - 1)),
    "objects uint": _objects(st.integers(0, 2**64 - 1)),
    "objects float": _objects(st.floats(allow_nan=False)),
    "objects decimal": _objects(
        st.decimals(-1000, 1000, places=3) | st.sampled_from([Decimal("1E+3"), Decimal("0.10"), Decimal("12345678901234567890.5")]),
        more=Decimal("NaN"),
    ),
    "objects date": _objects(st.dates(), key=True),
    "objects time": _objects(st.times()),
    "objects time aware": _objects(st.times(timezones=st.just(UTC))),
    "objects time offset": _objects(st.times(timezones=st.just(timezone(timedelta(seconds=90))))),
    "objects datetime": _objects(st.datetimes()),
    "objects aware": _objects(st.datetimes(timezones=st.just(UTC))),
    "objects timedelta": _objects(SPANS),
    "objects moments apart": _objects(MOMENTS.map(lambda at: pd.Timestamp(at, tz=SECONDS_APART))),
    "objects Timestamp": _objects(MOMENTS.map(pd.Timestamp)),
    "objects Period": _objects(st.integers(0, 99).map(lambda n: pd.Period(ordinal=n, freq="M"))),
    "objects Interval": _objects(st.integers(0, 99).map(lambda n: pd.Interval(n, n + 1))),
    "objects none": _objects(st.nothing()),
    "lists of int": _objects(st.lists(st.none() | st.integers(-5, 5), max_size=3)),
    "lists of text": _objects(st.lists(TEXT, max_size=3)),
    "lists of float": _objects(st.lists(st.none() | st.floats(), max_size=3)),
    "lists of lists": _objects(st.lists(st.lists(st.integers(0, 5), max_size=2), max_size=2)),
    "lists of moments": _objects(st.lists(MOMENTS, max_size=2)),
    "lists of dicts": _objects(st.lists(st.dictionaries(TEXT, st.integers(), max_size=2), max_size=2)),
    "sets of int": _objects(st.sets(st.integers(-5, 5), max_size=3)),
    "sets of text": _objects(st.frozensets(TEXT, max_size=3)),
    "tuples": _objects(st.lists(st.integers(0, 9), max_size=3).map(tuple)),
    **{f"arrays of {dtype}": _objects(_array_of(dtype)) for dtype in ("int64", "float32", "uint8", "datetime64[us]")},
    "dicts": _objects(st.dictionaries(TEXT, JSON, max_size=3)),
    "documents": _objects(JSON.filter(lambda value: value is not None)),
    "arrow int32": _arrow(pa.int32(), st.integers(-(2**31), 2**31 - 1), key=True),
    "arrow uint64": _arrow(pa.uint64(), st.integers(0, 2**64 - 1), key=True),
    "arrow bool": _arrow(pa.bool_(), st.booleans(), key=True),
    "arrow float": _arrow(pa.float32(), st.floats(width=32)),
    "arrow double": _arrow(pa.float64(), FLOATS),
    "arrow string": _arrow(pa.string(), TEXT, key=True),
    "arrow large_string": _arrow(pa.large_string(), TEXT, key=True),
    "arrow binary": _arrow(pa.binary(), st.binary(max_size=3), key=True),
    "arrow fixed": _arrow(pa.binary(2), st.binary(min_size=2, max_size=2), key=True),
    "arrow decimal": _arrow(pa.decimal128(20, 3), st.decimals(-1000, 1000, places=3), key=True),
    "arrow decimal256": _arrow(pa.decimal256(60, 3), st.decimals(-1000, 1000, places=3)),
    "arrow date32": _arrow(pa.date32(), st.dates(), key=True),
    "arrow date64": _arrow(pa.date64(), st.dates(), key=True),
    "arrow time32": _arrow(pa.time32("s"), st.times().map(lambda at: at.replace(microsecond=0)), key=True),
    "arrow time64": _arrow(pa.time64("ns"), st.times(), key=True),
    "arrow timestamp": _arrow(pa.timestamp("ms"), MOMENTS.map(_milli), key=True),
    "arrow zoned": _arrow(pa.timestamp("us", "Asia/Tokyo"), MOMENTS.map(lambda at: at.replace(tzinfo=UTC)), key=True),
    "arrow duration": _arrow(pa.duration("us"), SPANS, key=True),
    "arrow list": _arrow(pa.list_(pa.int16()), st.lists(st.none() | st.integers(-5, 5), max_size=3)),
    "arrow large_list": _arrow(pa.large_list(pa.string()), st.lists(st.none() | TEXT, max_size=3)),
    "arrow struct": _arrow(
        pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))]),
        st.fixed_dictionaries({"a": st.none() | st.integers(-9, 9), "b": st.none() | st.lists(TEXT, max_size=2)}),
    ),
    "arrow dictionary": _arrow(pa.dictionary(pa.int32(), pa.string()), TEXT),
    "arrow null": _arrow(pa.null(), st.none()),
    "arrow map": _arrow(pa.map_(pa.string(), pa.int64()), st.lists(st.tuples(TEXT, st.none() | st.integers(0, 9)), max_size=2)),
    "arrow lists of nothing": _arrow(pa.list_(pa.null()), st.lists(st.none(), max_size=2)),
    "arrow lists of words": _arrow(pa.list_(pa.dictionary(pa.int32(), pa.string())), st.lists(st.none() | TEXT, max_size=2)),
    "category text": _category(["b", "a", "unused"], ordered=True, key=True),
    "category objects": _category(pd.Index(["b", "a"], dtype=object), key=True),
    "category int": _category([3, 1, 2], key=True),
    "category float": _category([0.5, -1.0]),
    "category bool": _category([True, False]),
    "category none": _category(pd.Index([], dtype=object)),
    "category moments": _category(_DAYS, ordered=True),
    "category zoned": _category(_DAYS.tz_localize("Europe/Berlin")),
    "category durations": _category(pd.to_timedelta([1, 2], "s")),
    "category periods": _category(pd.period_range("2013-01", periods=3, freq="M")),
    "category intervals": _category(pd.interval_range(0, 4), ordered=True),
    "category intervals of floats": _category(pd.IntervalIndex.from_breaks([0.5, 1.25, 9.0]), ordered=True),
    "category intervals of moments": _category(pd.IntervalIndex.from_breaks(_DAYS, closed="left")),
    "category dates": _category(pd.Index([date(2013, 1, 1), date(2012, 1, 1)], dtype=object)),
    "category mixed": _category(pd.Index([1, "one", 2.5], dtype=object)),
    "category nullable": _category(pd.Index(pd.array([5, 4], "Int64"))),
    "category arrow": _category(pd.Index(pd.array(["x", "y"], pd.ArrowDtype(pa.string())))),
    **{f"period {freq}": _periods(freq) for freq in ("M", "D", "Y", "W-SUN", "2D", "h")},
    "interval int": _intervals(lambda values: pd.Index(values, dtype="int64"), "right", gaps=False),
    "interval float": _intervals(lambda values: pd.Index(values, dtype="float64"), "both"),
    "interval moments": _intervals(lambda values: pd.Timestamp("2013-01-01") + pd.to_timedelta(values, "h"), "left"),
    "interval zoned": _intervals(lambda values: pd.Timestamp("2013-01-01", tz="Europe/Berlin") + pd.to_timedelta(values, "h"), "neither"),
    "interval durations": _intervals(lambda values: pd.to_timedelta(values, "s"), "right"),
}
NAMES = st.sampled_from(
    [
        "",
        " ",
        "a",
        "b",
        "A",
        "a b",
        "a.b",
        "é\U0001f600",
        'quo"ted',
        "it's",
        "x`y",
        "_x",
        "__index_level_0__",
        "index",
        "level_0",
        "0",
        "\n",
        "None",
    ]
)
ATTRS = st.sampled_from([{}, {}, {"source": "drawn", "n": 3, "nested": {"a": [1, None, 2.5, True]}}])


@st.composite
def series(draw: Any, name: str, n: int) -> Any:
    """Draw a column of this kind and length."""
    kind = KINDS[name]
    if isinstance(kind.make, type(objects)) and kind.make is objects:
        gap, values = draw(kind.values)
        whole = draw(st.sampled_from([0, 0, 1, 2])) if name != "objects none" else 2
        drawn = [gap if whole == 2 or (whole and draw(st.booleans())) else draw(values) for _ in range(n)]
        return objects(drawn)
    return kind.make(draw(st.lists(kind.values, min_size=n, max_size=n)))


@dataclass
class Drawn:
    """A frame, and the ``index=`` that it is to be loaded with. Its column at the place ``row`` numbers the rows."""

    frame: Any
    index: list[Any] | None
    row: int


@st.composite
def frames(draw: Any) -> Drawn:
    """Draw a frame with a key that tells its rows apart, as columns or as index."""
    n = draw(st.sampled_from([0, 1, 2, 3, 5, 8]))
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=4))
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique=True))
    columns = {name: draw(series(kind, n)) for name, kind in zip(names, kinds, strict=True)}
    keys = [name for name, kind in zip(names, kinds, strict=True) if KINDS[kind].key and _is_key(columns[name]) and draw(st.booleans())]
    columns["row"] = pd.Series(np.arange(n))
    places = np.array(draw(st.permutations(range(n))), dtype=np.int64)
    frame = pd.DataFrame(columns)
    if draw(st.booleans()):
        frame.columns = pd.Index(list(columns), dtype=draw(st.sampled_from([object, *(["str"] if PANDAS3 else []), "string"])))
    frame.columns.name = draw(st.sampled_from([None, None, "columns", ""]))
    if draw(st.booleans()):
        frame = frame.set_index([*(pd.Index(frame.pop(name), name=name) for name in keys), pd.Index(places, name="k")])
        index = None
    else:
        frame.insert(draw(st.integers(0, len(frame.columns))), "k", places)
        index = [*keys, "k"]
    row = frame.columns.get_loc("row")
    if draw(st.integers(0, 2)) == 0:
        frame, index = _relabelled(draw, frame, index)
    frame.attrs = draw(ATTRS)
    return Drawn(frame, index, row)


def _relabelled(draw: Any, frame: Any, index: list[str] | None) -> tuple[Any, list[Any] | None]:
    """Return a frame with labels that are more than text, and what to load it with: labels, or the names that they have in a store."""
    drawn = draw(labels(len(frame.columns)))
    taken = set(map(text, drawn))
    if index is None:
        names = [draw(LABELS) if draw(st.booleans()) else name for name in frame.index.names]
        texts = list(map(text, names))
        if len({*taken, *texts}) < len(taken) + len(texts):
            return frame, None
        return frame.set_axis(drawn, axis=1).rename_axis(index=names), None
    keys = [drawn[frame.columns.get_loc(name)] for name in index]
    by_text = any(text(key).startswith("-") or not isinstance(key, Hashable) for key in keys)
    return frame.set_axis(drawn, axis=1), [key if by_text or draw(st.booleans()) else text(key) for key in keys]


def _is_key(column: Any) -> bool:
    """Say whether a column can be part of a key: objects that are all missing have no type."""
    return bool(column.dtype != object or column.notna().any())


def expected(drawn: Drawn, order: Any) -> Any:
    """Return the frame in the order in which the store has its rows."""
    frame = drawn.frame.iloc[np.asarray(order, dtype=np.int64)]
    return frame if drawn.index is None else frame.reset_index(drop=True)


def assert_same(got: Any, want: Any) -> None:
    """Compare two frames: dtypes, values, names, frequency, attrs; NaN and null, -0.0 and 0.0, None and NaN are not the same."""
    assert got.dtypes.tolist() == want.dtypes.tolist()
    pd.testing.assert_index_equal(got.columns, want.columns, exact=True)
    assert list(map(told, got.columns)) == list(map(told, want.columns))
    for at in range(got.shape[1]):
        assert _told(got.iloc[:, at]) == _told(want.iloc[:, at])
    assert list(map(told, got.index.names)) == list(map(told, want.index.names))
    for one, other in zip(_levels(got.index), _levels(want.index), strict=True):
        assert _told(pd.Series(one)) == _told(pd.Series(other))
    assert got.attrs == want.attrs
    solid = [
        at for at in range(got.shape[1]) if got.dtypes.iloc[at].kind != "O" or not isinstance(got.dtypes.iloc[at], np.dtype)
    ]  # pandas compares nested values loosely
    pd.testing.assert_frame_equal(
        _with_used_levels(got.iloc[:, solid]),
        _with_used_levels(want.iloc[:, solid]),
        check_exact=True,
        check_freq=True,
        check_names=True,
        check_column_type="exact",
        check_flags=True,
    )


def _levels(index: Any) -> list[Any]:
    bare = index.set_names([None] * index.nlevels)  # numbers may be names of levels
    return [bare.get_level_values(at) for at in range(index.nlevels)]


def _with_used_levels(frame: Any) -> Any:
    """Return a frame without what a slice of it keeps of the whole: levels that no row has; pandas 2.2 compares them too."""
    return frame.set_axis(frame.index.remove_unused_levels()) if isinstance(frame.index, pd.MultiIndex) else frame


def _told(values: Any) -> list[str]:
    """Return the values as text that says what they are."""
    if isinstance(values.dtype, pd.ArrowDtype) or values.dtype.name in ("Float32", "Float64"):
        return [repr(value) for value in pa.chunked_array(values.array.__arrow_array__()).to_pylist()]
    if values.dtype == object:
        return [told(value) for value in values]
    return [repr(value) for value in values.tolist()] if values.dtype.kind == "f" else []


def told(value: Any) -> str:
    """Return a value as text that says what it is, and what all that it holds is."""
    if isinstance(value, dict):
        return f"dict({', '.join(f'{name!r}: {told(item)}' for name, item in value.items())})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(told, value))})"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({', '.join(sorted(map(told, value)))})"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}({', '.join(map(told, value.tolist()))})"
    if isinstance(value, pd.Interval):
        return f"{value.closed} {value}"
    if isinstance(value, Decimal):
        return f"Decimal {value.normalize()}"
    return f"{type(value).__name__} {'' if isinstance(value, datetime | time) else repr(value)}"
