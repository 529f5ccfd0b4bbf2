"""The kinds of columns that pandas has, and how Arrow arrays become columns of a kind again; ``adopting`` finds the kind.

A kind says what Arrow does not: that numbers are nullable, that text is held as Python objects, the frequency of periods. Widths, units
and zones are Arrow's, so they come from the schema of a store and never from rows; what a column becomes depends on nothing else, and a
page has the dtypes of the whole.

In a numpy column NaN and null are one thing, which Arrow holds as null; in a nullable or an Arrow column they are two, and stay so.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from datetime import timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sopnb import literals
from sopnb.fields import from_ipc, one_array


class Plain(msgspec.Struct, frozen=True, tag="plain"):
    """What Arrow makes of it, numbers that may be null as nullable: columns that did not come from pandas."""


class Numpy(msgspec.Struct, frozen=True, tag="numpy"):
    """Numbers, truth values, times and durations as numpy holds them; times in a zone as pandas does by itself."""


class Zoned(msgspec.Struct, frozen=True, tag="zoned"):
    """Times in a zone; ``by`` names the library that the zone is of, or gives its offset in seconds where Arrow has none such."""

    by: str


class Nullable(msgspec.Struct, frozen=True, tag="nullable"):
    """``Int64``, ``Float32``, ``boolean`` and their like."""


class Text(msgspec.Struct, frozen=True, tag="text"):
    """The ``string`` and ``str`` dtypes; ``missing`` is "NA" or "nan"."""

    storage: str
    missing: str


class Arrow(msgspec.Struct, frozen=True, tag="arrow"):
    """``pd.ArrowDtype``."""


class Period(msgspec.Struct, frozen=True, tag="period"):
    """Periods, in Arrow their ordinals."""

    freq: str


class Interval(msgspec.Struct, frozen=True, tag="interval"):
    """Intervals, in Arrow structs of ``left`` and ``right``, which are of the kind ``of``."""

    closed: str
    of: Kind


class Category(msgspec.Struct, frozen=True, tag="category"):
    """Categories of the kind ``of``. ``values`` holds those that Arrow knows by a label only, as intervals.

    ``counted`` is the start, stop and step of categories that are a range.
    """

    of: Kind
    name: str | None = None
    freq: str | None = None
    values: bytes | None = None
    counted: list[int] | None = None


class Objects(msgspec.Struct, frozen=True, tag="objects"):
    """Python objects of one form, or of the dtype that ``of`` describes; ``missing`` says what stands for null.

    ``zone`` is, as a literal, midnight in the zone that times of day are in, if they are in one.
    """

    form: str
    missing: str = "None"
    of: Kind | None = None
    zone: str | None = None


Kind = Plain | Numpy | Zoned | Nullable | Text | Arrow | Period | Interval | Category | Objects


NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
"""The dtypes of numbers and truth values that may be null, in stores that were not loaded from pandas."""
ZONES: dict[str, Callable[[str], Any]] = {
    "pandas": str,
    "zoneinfo": ZoneInfo,
    "arrow": pa.lib.string_to_tzinfo,
    "dateutil": lambda name: importlib.import_module("dateutil.tz").gettz(name),
}
OFFSET = "offset "
_MISSING: dict[str, Any] = {"None": None, "nan": float("nan"), "NA": pd.NA, "NaT": pd.NaT, "Decimal": Decimal("NaN")}
_BUILT: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def dtype_of(kind: Kind, arrow: Any, *, nullable: bool = False) -> tuple[bool, Any]:
    """Return (whether Arrow itself makes such a column of this type, for which dtype; None for the one of numpy); see ``restored``."""
    if isinstance(kind, Plain) and not _arrow_makes(arrow):
        return False, None
    if isinstance(kind, Plain) or (isinstance(kind, Numpy) and nullable):
        return not _is_zoned(arrow), NULLABLE.get(arrow)
    if isinstance(kind, Numpy):
        return not _is_zoned(arrow), None
    if isinstance(kind, Nullable):
        return arrow in NULLABLE, NULLABLE.get(arrow)
    if isinstance(kind, Text):
        return True, _text_dtype(kind)
    return isinstance(kind, Arrow), pd.ArrowDtype(arrow)


@lru_cache
def _arrow_makes(arrow: Any) -> bool:
    """Say whether Arrow has a form of its own for columns of this type in pandas; it lacks some nested ones."""
    try:
        pa.chunked_array([pa.array([], arrow)]).to_pandas()
    except pa.ArrowNotImplementedError:
        return False
    return True


def _is_zoned(arrow: Any) -> bool:
    return bool(pa.types.is_timestamp(arrow)) and arrow.tz is not None


def restored(column: Any, kind: Kind, *, nullable: bool = False) -> Any:
    """Return a chunked array as pandas had it: a numpy array or one of pandas.

    With ``nullable`` numbers and truth values that may not be null come as nullable ones, because rows may be missing.
    """
    if isinstance(kind, Plain) and not _arrow_makes(column.type):
        return np.fromiter(column.to_pylist(), object, len(column))
    if isinstance(kind, Plain) and not _is_zoned(column.type):
        return pa.table({"": column}).to_pandas(types_mapper=NULLABLE.get)[""].array
    if isinstance(kind, Plain | Numpy | Zoned):
        return _numpy(column, kind, nullable=nullable)
    if isinstance(kind, Nullable):
        return _nullable(column)
    if isinstance(kind, Text):
        return _text_dtype(kind).__from_arrow__(column)
    if isinstance(kind, Arrow):
        return pd.arrays.ArrowExtensionArray(column)
    if isinstance(kind, Period):
        ordinals = pc.fill_null(column, np.iinfo(np.int64).min).to_numpy()
        return pd.arrays.PeriodArray(ordinals.copy(), dtype=pd.PeriodDtype(kind.freq))
    if isinstance(kind, Interval):
        sides = [restored(pa.chunked_array([side]), kind.of) for side in one_array(column).flatten()]
        return pd.arrays.IntervalArray.from_arrays(*sides, closed=kind.closed)
    if isinstance(kind, Category):
        return _categorical(column, kind)
    return _restored_objects(column, kind)


def index(column: Any, kind: Kind, name: Any = None, freq: str | None = None) -> Any:
    """Return a chunked array as an Index, which has the frequency if its values do."""
    values = restored(column, kind)
    made = pd.Index(values, dtype=values.dtype, name=name)
    if freq is None or not isinstance(made, pd.DatetimeIndex | pd.TimedeltaIndex):
        return made
    try:
        return type(made)(made, freq=freq, name=name)
    except ValueError:  # values between are not there any more
        return made


def freq_text(index: Any) -> str | None:
    """Return the frequency of an index as text; None if it has none, or none that text says."""
    freq = getattr(index, "freq", None)
    if freq is None or isinstance(index, pd.PeriodIndex):
        return None
    try:
        return str(freq.freqstr) if pd.tseries.frequencies.to_offset(freq.freqstr) == freq else None
    except ValueError:
        return None


def _numpy(column: Any, kind: Kind, *, nullable: bool) -> Any:
    if nullable and (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        return _nullable(column)
    if _is_zoned(column.type):
        plain = column.cast(pa.timestamp(column.type.unit)).to_numpy()
        dtype = zone_dtype(column.type, kind.by if isinstance(kind, Zoned) else "pandas") or zone_dtype(column.type, "pandas")
        return pd.DatetimeIndex(plain).tz_localize("UTC").tz_convert(dtype.tz).array
    return column.to_numpy()


def _nullable(column: Any) -> Any:
    dtype = NULLABLE.get(column.type) or (pd.Float32Dtype() if pa.types.is_float32(column.type) else pd.Float64Dtype())
    mask = column.is_null().to_numpy()
    filled = column.fill_null(pa.scalar(0, pa.int8()).cast(column.type)) if column.null_count else column
    return dtype.construct_array_type()(np.array(filled.to_numpy()), np.array(mask))


def _text_dtype(kind: Text) -> Any:
    if kind.missing == "NA":
        return pd.StringDtype(kind.storage)
    try:
        return pd.StringDtype(kind.storage, na_value=np.nan)
    except TypeError:  # before pandas 2.3
        return pd.StringDtype("pyarrow_numpy")


def _categorical(column: Any, kind: Category) -> Any:
    array = one_array(column)
    codes = pc.fill_null(array.indices, -1).to_numpy()
    known = array.dictionary if kind.values is None else from_ipc(kind.values)
    categories = index(pa.chunked_array([known]), kind.of, kind.name, kind.freq)
    if kind.counted is not None and len(known) == len(range(*kind.counted)):  # no more have come since
        categories = pd.RangeIndex(*kind.counted, name=kind.name)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(categories, array.type.ordered))


def _restored_objects(column: Any, kind: Objects) -> Any:
    null = column.is_null().to_numpy()
    if kind.of is None:
        values = np.fromiter(_python(column, kind.form), object, len(column))
    else:
        values = np.empty(len(column), object)
        values[~null] = pd.Series(restored(column.drop_null(), kind.of)).astype(object).to_numpy()
    if kind.zone is not None:
        zone = literals.loads(kind.zone).tzinfo
        values[~null] = [value.replace(tzinfo=zone) for value in values[~null]]
    values[null] = _MISSING[kind.missing]
    return values


def _python(column: Any, form: str) -> Iterable[Any]:
    if form in ("text", "bytes", "decimal"):
        values: Iterable[Any] = column.to_numpy()
        return values
    if form == "array":
        return np.asarray(column.to_pandas(), dtype=object)
    listed = column.to_pylist()
    if form in _BUILT:
        return [None if value is None else _BUILT[form](value) for value in listed]
    return [None if text is None else json.loads(text) for text in listed] if form == "document" else listed


def zone_dtype(kind: Any, by: str) -> Any:
    """Return the dtype of moments in a zone as one of the libraries of ``ZONES`` has it; None if it has none."""
    if by.startswith(OFFSET):
        return pd.DatetimeTZDtype(kind.unit, timezone(timedelta(seconds=float(by.removeprefix(OFFSET)))))
    try:
        return pd.DatetimeTZDtype(kind.unit, ZONES[by](kind.tz))
    except (KeyError, ValueError, TypeError):
        return None
