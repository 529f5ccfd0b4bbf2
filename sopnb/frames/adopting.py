"""Columns of pandas made into Arrow arrays, with the kind that says what Arrow does not.

What could not be brought back as it is, is told as a fault, and what Arrow has no form for is refused, each naming the column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sopnb import literals
from sopnb.errors import InvalidInput
from sopnb.fields import MEANING, from_ipc, to_ipc
from sopnb.frames.kinds import (
    NULLABLE,
    OFFSET,
    ZONES,
    Arrow,
    Category,
    Interval,
    Kind,
    Nullable,
    Numpy,
    Objects,
    Period,
    Text,
    Zoned,
    freq_text,
    index,
    restored,
    zone_dtype,
)

_NULLABLE_TYPES = (*map(type, NULLABLE.values()), pd.Float32Dtype, pd.Float64Dtype)
_MISSING_TYPES = {type(None): "None", type(pd.NA): "NA", type(pd.NaT): "NaT", float: "nan", np.float64: "nan", Decimal: "Decimal"}
_FORMS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((str, np.str_), "text"),
    ((bytes, np.bytes_), "bytes"),
    ((bool, np.bool_), "bool"),
    ((int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64), "int"),
    ((float, np.float16, np.float32, np.float64), "float"),
    ((Decimal,), "decimal"),
    ((date,), "date"),
    ((time,), "time"),
    ((datetime,), "datetime"),
    ((timedelta,), "timedelta"),
    ((pd.Timestamp,), "scalars"),
    ((pd.Timedelta,), "scalars"),
    ((pd.Period,), "scalars"),
    ((pd.Interval,), "scalars"),
    ((list,), "list"),
    ((tuple,), "tuple"),
    ((set,), "set"),
    ((frozenset,), "frozenset"),
    ((np.ndarray,), "array"),
)
_ARROW_FORMS = {"text": pa.string(), "bytes": pa.binary(), "bool": pa.bool_(), "float": pa.float64(), "date": pa.date32()}
_REFUSED = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ArithmeticError, UnicodeEncodeError)


@dataclass
class Column:
    """A column in Arrow. ``faults`` says what of it could not be brought back as it is."""

    array: Any
    kind: Kind
    meaning: str | None = None
    faults: list[str] = field(default_factory=list)

    def field(self, name: str, *, solid: bool) -> Any:
        """Return its Arrow field; one that is ``solid`` may not be null."""
        return pa.field(name, self.array.type, nullable=not solid, metadata={MEANING: self.meaning.encode()} if self.meaning else None)


def adopted(values: Any, name: Any) -> Column:
    """Return a Series or an Index in Arrow. Raises ``InvalidInput`` naming the column if Arrow cannot hold it."""
    try:
        return _adopted(values if isinstance(values, pd.Series) else pd.Series(values, dtype=values.dtype), name)
    except _REFUSED as error:
        raise InvalidInput(
            f"column {name!r} cannot be stored ({error}); cast it to one type, to decimal for larger numbers, or to JSON text"
        ) from None


def _adopted(values: Any, name: Any) -> Column:
    dtype = values.dtype
    if isinstance(dtype, pd.SparseDtype) or getattr(dtype, "kind", "") == "c":
        raise InvalidInput(f"column {name!r} of dtype {dtype} cannot be stored; make it dense, or two columns of real numbers")
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(values.array, name)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _zoned(values, name)
    if isinstance(dtype, pd.PeriodDtype):
        ordinals = pd.PeriodIndex(values).asi8
        freq = dtype.name.removeprefix("period[").removesuffix("]")
        return Column(pa.array(ordinals, mask=values.isna().to_numpy()), Period(freq), dtype.name)
    if isinstance(dtype, pd.IntervalDtype):
        sides = [adopted(side, name) for side in (values.array.left, values.array.right)]
        array = pa.StructArray.from_arrays([s.array for s in sides], ["left", "right"], mask=pa.array(values.isna().to_numpy()))
        return Column(array, Interval(dtype.closed, sides[0].kind), f"interval[{dtype.closed}]", sides[0].faults)
    if isinstance(dtype, pd.StringDtype):
        missing = "NA" if dtype.na_value is pd.NA else "nan"
        return Column(pa.array(values.array), Text("python" if dtype.storage == "python" else "pyarrow", missing))
    if isinstance(dtype, pd.ArrowDtype):
        return Column(values.array.__arrow_array__(), Arrow())
    if isinstance(dtype, _NULLABLE_TYPES):
        return Column(pa.array(values.array), Nullable())
    if isinstance(dtype, pd.api.extensions.ExtensionDtype):
        raise InvalidInput(f"column {name!r} of dtype {dtype} cannot be stored; cast it to a dtype of pandas or numpy")
    if dtype.kind == "O":
        return _objects(values.to_numpy(), name)
    return Column(pa.array(values.to_numpy(), from_pandas=dtype.kind in "fmM"), Numpy())


def solid(dtype: Any) -> bool:
    """Say whether a column of this dtype can never hold null."""
    return isinstance(dtype, np.dtype) and dtype.kind in "iub"


def _zoned(values: Any, name: Any) -> Column:
    zone = values.dtype.tz
    if isinstance(zone, timezone) and zone.utcoffset(None) % timedelta(minutes=1):
        offset = zone.utcoffset(None).total_seconds()
        return Column(pa.array(values.dt.tz_convert("UTC")), Zoned(f"{OFFSET}{offset!r}"))
    array = pa.array(values)
    for by in ZONES:
        if zone_dtype(array.type, by) == values.dtype:
            return Column(array, Numpy() if by == "pandas" else Zoned(by))
    remedy = f"use tz_convert({array.type.tz!r})"
    return Column(array, Numpy(), faults=[f"column {name!r} is in a zone of another library, which would not come back; {remedy}"])


def _categories(values: Any, name: Any) -> Column:
    dtype = values.dtype
    inner = adopted(dtype.categories, name)
    known = pa.array(inner.array.combine_chunks() if isinstance(inner.array, pa.ChunkedArray) else inner.array)
    kept = None
    if inner.meaning or not _plain(known.type):
        kept = to_ipc(known)
        known = pa.array([str(category) for category in dtype.categories], pa.string())
        if len(pc.unique(known)) < len(known):
            raise InvalidInput(f"column {name!r} has categories that read alike as text; rename them")
    codes = pa.array(values.codes, mask=values.codes < 0)
    array = pa.DictionaryArray.from_arrays(codes, known, ordered=dtype.ordered)
    label = dtype.categories.name
    given = dtype.categories
    counted = [given.start, given.stop, given.step] if isinstance(given, pd.RangeIndex) else None
    kind = Category(inner.kind, label if isinstance(label, str) else None, freq_text(given), kept, counted)
    return Column(array, kind, None if kept is None else f"category of {inner.meaning or inner.array.type}", inner.faults)


def grown(old: Category, new: Category) -> Category:
    """Return the kind of a category column with the categories of two; those of the first come first."""
    if old.values is None or new.values is None:
        return msgspec.structs.replace(old, freq=None, counted=None)
    there, given = (_known(kind) for kind in (old, new))
    labels = set(map(str, there))
    fresh = [at for at, category in enumerate(given) if str(category) not in labels]
    values = pa.concat_arrays([from_ipc(old.values), from_ipc(new.values).take(pa.array(fresh, pa.int64()))])
    return msgspec.structs.replace(old, freq=None, values=to_ipc(values))


def _known(kind: Category) -> Any:
    return index(pa.chunked_array([from_ipc(kind.values or b"")]), kind.of)


def _plain(kind: Any) -> bool:
    """Say whether Arrow finds values of this type among others."""
    t = pa.types
    return not (t.is_nested(kind) or t.is_dictionary(kind) or t.is_null(kind) or t.is_float16(kind))


# -- objects ------------------------------------------------------------------------------------------------------------------


def _objects(values: Any, name: Any) -> Column:
    null = pd.isna(values)
    missing, faults = _missing(values[null], name)
    there = values[~null]
    form = _form(set(map(type, there)), name)
    if form == "time":
        column = _times(values, null, there, missing, name)
    elif form in ("set", "frozenset"):
        column = _sets(values, null, Objects(form, missing), name)
    elif form in ("list", "tuple", "array"):
        column = _nested(values, null, Objects(form, missing), name)
    elif form == "scalars":
        column = _scalars(there, null, missing, name)
    elif form == "document":
        column = documents(values, name)
    else:
        column = Column(_of_form(form, values, null, there, name), Objects(form, missing))
    column.faults += faults
    return column


def _missing(gone: Any, name: Any) -> tuple[str, list[str]]:
    """Return (what stands for null, what is wrong with it)."""
    found = []
    for kind in sorted(set(map(type, gone)), key=str):
        if kind not in _MISSING_TYPES or (kind is Decimal and any(str(value) != "NaN" for value in gone if type(value) is Decimal)):
            raise InvalidInput(f"column {name!r} holds the {kind.__name__} {gone[0]}, which is none that can be stored; use None")
        found.append(_MISSING_TYPES[kind])
    found = sorted(set(found))
    if len(found) < 2:
        return (found or ["None"])[0], []
    remedy = "make it one with frame[name] = frame[name].where(frame[name].notna(), None)"
    return found[0], [f"column {name!r} mixes what stands for a missing value ({', '.join(found)}); {remedy}"]


def _form(types: set[type], name: Any) -> str:
    if not types:
        return "null"
    for members, form in _FORMS:
        if types <= set(members):
            return form
    if any(issubclass(kind, complex | np.complexfloating) for kind in types):
        raise InvalidInput(f"column {name!r} holds complex numbers, which cannot be stored; make it two columns of real numbers")
    return "document"


def _of_form(form: str, values: Any, null: Any, there: Any, name: Any) -> Any:
    """Return objects of one form as an array."""
    if form == "null":
        return pa.nulls(len(values))
    if form == "int":
        return _integers(values, null, name)
    if form == "decimal":
        odd = next((value for value in there if not value.is_finite()), None)
        if odd is not None:
            raise InvalidInput(f"column {name!r} holds the Decimal {odd}, which is none that can be stored; use None")
        return _decimals(values, null)
    kind = _ARROW_FORMS.get(form)
    if form == "timedelta":
        kind = pa.duration("us")
    elif form == "datetime":
        zones = {None if value.tzinfo is None else pa.lib.tzinfo_to_string(value.tzinfo) for value in there}
        if len(zones) > 1:
            raise InvalidInput(f"column {name!r} mixes time zones, or times with and without one; use pd.to_datetime(..., utc=True)")
        kind = pa.timestamp("us", zones.pop())
    return pa.array(values, kind, mask=null)


def _integers(values: Any, null: Any, name: Any) -> Any:
    for kind in (pa.int64(), pa.uint64()):
        try:
            return pa.array(values, kind, mask=null)
        except (OverflowError, pa.ArrowInvalid):
            continue
    raise InvalidInput(f"column {name!r} holds integers beyond 64 bits; make it a decimal column, or JSON text")


def _decimals(values: Any, null: Any) -> Any:
    """Return decimals with room for as many digits as the type has: objects say nothing of how long later ones may be."""
    array = pa.array(values, mask=null)
    roomy = pa.decimal128(38, array.type.scale) if pa.types.is_decimal128(array.type) else pa.decimal256(76, array.type.scale)
    return array.cast(roomy)


def _scalars(there: Any, null: Any, missing: str, name: Any) -> Column:
    """Return objects of pandas, such as Timestamps in an object column, by way of their own dtype."""
    mixed = InvalidInput(f"column {name!r} mixes zones, units, frequencies or sides of pandas objects; cast it to one dtype")
    try:
        inner = pd.Series(pd.array(list(there)))
        if inner.dtype == object or not all(a == b and type(a) is type(b) for a, b in zip(inner, there, strict=True)):
            raise mixed
    except (TypeError, ValueError):
        raise mixed from None
    column = adopted(inner, name)
    place = np.cumsum(~null) - 1
    array = pa.chunked_array([column.array]).combine_chunks().take(pa.array(place, mask=null))
    return Column(array, Objects("scalars", missing, column.kind), column.meaning, column.faults)


def _times(values: Any, null: Any, there: Any, missing: str, name: Any) -> Column:
    zones = {literals.dumps(time(tzinfo=zone), f"column {name!r}") for zone in {value.tzinfo for value in there}}
    if len(zones) > 1:
        raise InvalidInput(f"column {name!r} mixes time zones, or times of day with and without one; use one zone for all")
    zone = next(iter(zones), None)
    if zone is None or literals.loads(zone).tzinfo is None:
        return Column(pa.array(values, pa.time64("us"), mask=null), Objects("time", missing))
    plain = np.fromiter((None if gone else value.replace(tzinfo=None) for value, gone in zip(values, null, strict=True)), object)
    return Column(
        pa.array(plain, pa.time64("us"), mask=null), Objects("time", missing, zone=zone), f"time in {literals.loads(zone).tzinfo}"
    )


def _sets(values: Any, null: Any, kind: Objects, name: Any) -> Column:
    """Return sets as lists of their members in order."""
    try:
        ordered = np.fromiter((None if gone else sorted(value) for value, gone in zip(values, null, strict=True)), object)
        column = _nested(ordered, null, Objects("list", kind.missing), name)
    except (TypeError, InvalidInput):
        column = None
    if column is None or column.meaning is not None:
        raise InvalidInput(f"column {name!r} mixes what its sets hold; cast the members to one type that has an order")
    return Column(column.array, kind, kind.form)


def _nested(values: Any, null: Any, kind: Objects, name: Any) -> Column:
    """Return lists, tuples or arrays as lists of Arrow, if they come back as they are, else as documents."""
    try:
        array = pa.array(values, mask=null, from_pandas=False)
        if array.type != (wanted := _of_text(array.type)):
            array = pa.array(values, wanted, mask=null, from_pandas=False)
        alike = kind.form != "array" or len({(value.dtype, value.ndim) for value in values[~null]}) < 2
        if alike and not _holds_dicts(array.type):
            back = restored(pa.chunked_array([array]), kind)
            if all(_alike(a, b) for a, b in zip(values[~null], back[~null], strict=True)):
                return Column(array, kind)
    except _REFUSED:
        pass
    return documents(values, name)


def _holds_dicts(kind: Any) -> bool:
    """Say whether a type holds structs: those are dicts, which need not have the same keys later on, and become documents."""
    return bool(pa.types.is_struct(kind)) or (bool(pa.types.is_nested(kind)) and _holds_dicts(kind.value_type))


def _of_text(kind: Any) -> Any:
    """Return a type with lists of text for lists of nothing, with which Arrow cannot work."""
    if pa.types.is_list(kind):
        return pa.list_(_of_text(kind.value_type))
    return pa.string() if pa.types.is_null(kind) else kind


def _alike(a: Any, b: Any) -> bool:
    """Say whether a value that went into Arrow came back: of the same kind, and NaN where NaN was."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and all(map(_alike, a.tolist(), b.tolist()))
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float | np.floating):
        return isinstance(b, float) and (bool(a == b) or (a != a and b != b))
    kinds = (str, bool | np.bool_, float)  # of what compares equal
    return bool(a == b) and all(isinstance(a, each) == isinstance(b, each) for each in kinds)


def documents(values: Iterable[Any], name: Any) -> Column:
    """Return values as JSON text. Raises ``InvalidInput`` naming the column if one would not come back from it."""
    values = np.fromiter(values, object)
    null = pd.isna(values)
    texts = [None if gone else _text(value, name) for value, gone in zip(values, null, strict=True)]
    missing, faults = _missing(values[null], name)
    return Column(pa.array(texts, pa.string()), Objects("document", missing), "json", faults)


def _text(value: Any, name: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if json.loads(text) == value:
            return text
        reason: object = f"{value!r} would come back as {json.loads(text)!r}"
    except (TypeError, ValueError) as error:
        reason = error
    raise InvalidInput(f"column {name!r} mixes kinds that are no JSON document ({reason}); cast it to one type")
