"""One value at a time: what a person types, what is stored, what comes back.

A *storage value* is what the log and the key encoding hold: an int in the column's unit for dates, times, timestamps and durations,
else int, float, str, bytes, bool or Decimal; lists and dicts of these for nested columns; None for null. ``to_storage`` is strict:
a value is never rounded, cut or turned into another kind without a word.
"""

from __future__ import annotations

import json
import math
import numbers
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from sopnb.errors import InvalidInput

EXACT = Context(prec=100)
"""Calculates with more digits than any decimal column has; the one that Python begins with rounds to 28."""
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_OFFSET = re.compile(r"[+-]\d\d:\d\d")
_FRACTION = re.compile(r"\.(\d+)")
t = pa.types

Converter = Callable[[Any], Any]


def storage_type(kind: Any) -> Any:
    """Return the Arrow type whose Python values are the storage values of ``kind``."""
    if t.is_dictionary(kind):
        return storage_type(kind.value_type)
    if t.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    if t.is_float16(kind):
        return pa.float32()
    if t.is_list(kind):
        return pa.list_(kind.value_field.with_type(storage_type(kind.value_type)))
    if t.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(storage_type(kind.value_type)))
    if t.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(storage_type(kind.value_type)), kind.list_size)
    if t.is_struct(kind):
        return pa.struct([field.with_type(storage_type(field.type)) for field in kind])
    return kind


def scalar_reader(kind: Any) -> Converter:
    """Return what turns an Arrow scalar of this type into its storage value."""
    if t.is_temporal(kind):
        return lambda scalar: scalar.value
    if t.is_nested(kind) or t.is_float16(kind):
        stored = storage_type(kind)
        return lambda scalar: scalar.cast(stored).as_py()
    return lambda scalar: scalar.as_py()


def restorer(kind: Any) -> Converter | None:
    """Return what turns a value that went through msgpack into the storage value that it was; None where they are the same."""
    if t.is_decimal(kind):
        return Decimal
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = restorer(kind.value_type)
        return None if inner is None else lambda values: [None if v is None else inner(v) for v in values]
    if t.is_struct(kind):
        inners = {field.name: inner for field in kind if (inner := restorer(field.type)) is not None}
        if inners:
            return lambda value: {k: inners[k](v) if k in inners and v is not None else v for k, v in value.items()}
    return None


def zone(name: str) -> Any:
    """Return the time zone of a column."""
    if _OFFSET.fullmatch(name):
        sign = -1 if name[0] == "-" else 1
        return timezone(sign * timedelta(hours=int(name[1:3]), minutes=int(name[4:6])))
    return UTC if name == "UTC" else ZoneInfo(name)


def from_storage(kind: Any, *, document: bool = False) -> Converter | None:
    """Return what turns storage values into Python values; None where they are the same."""
    if document:
        return lambda value: None if value is None else json.loads(value)
    make = _maker(_bare(kind))
    return None if make is None else lambda value: None if value is None else make(value)


def _maker(kind: Any) -> Converter | None:
    if t.is_timestamp(kind):
        return _timestamp_maker(kind)
    if t.is_date32(kind):
        return lambda days: date.fromordinal(days + _EPOCH_DAY)
    if t.is_date64(kind):
        return lambda millis: date.fromordinal(millis // 86_400_000 + _EPOCH_DAY)
    if t.is_duration(kind) or t.is_time(kind):
        per = UNITS[kind.unit]
        if t.is_duration(kind):
            return (lambda n: np.timedelta64(n, "ns")) if per == 10**9 else lambda n: timedelta(microseconds=n * (1_000_000 // per))
        return lambda n: (_NAIVE_EPOCH + timedelta(microseconds=n * 1_000_000 // per)).time()
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = from_storage(kind.value_type)
        return None if inner is None else lambda values: [inner(value) for value in values]
    if t.is_struct(kind):
        makers = {field.name: make for field in kind if (make := from_storage(field.type)) is not None}
        return (lambda value: {k: makers[k](v) if k in makers else v for k, v in value.items()}) if makers else None
    if t.is_map(kind):
        key, item = ((field.name, from_storage(field.type) or _same) for field in (kind.key_field, kind.item_field))
        return lambda entries: [(key[1](entry[key[0]]), item[1](entry[item[0]])) for entry in entries]
    if t.is_interval(kind):
        return lambda value: pa.MonthDayNano([value["months"], value["days"], value["nanoseconds"]])
    return None


def _same(value: Any) -> Any:
    return value


def _bare(kind: Any) -> Any:
    """Return the type of the values of dictionaries, runs and views."""
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return _bare(kind.value_type)
    return pa.string() if t.is_string_view(kind) else pa.binary() if t.is_binary_view(kind) else kind


def _timestamp_maker(kind: Any) -> Converter:
    if kind.unit == "ns":
        import pandas as pd  # loaded only for nanoseconds, which no standard type can hold

        return lambda n: pd.Timestamp(n, unit="ns", tz=kind.tz)
    step = 1_000_000 // UNITS[kind.unit]
    if kind.tz is None:
        return lambda n: _NAIVE_EPOCH + timedelta(microseconds=n * step)
    place = zone(kind.tz)
    if place is UTC:
        return lambda n: _EPOCH + timedelta(microseconds=n * step)
    return lambda n: (_EPOCH + timedelta(microseconds=n * step)).astimezone(place)


def to_storage(kind: Any, *, document: bool = False) -> Converter:
    """Return what turns a Python value into its storage value; it raises ``InvalidInput`` with the reason and the remedy."""
    if document:
        return lambda value: None if value is None else _document(value)
    kind = _bare(kind)
    take = _taker(kind)
    plain = _plain(kind)

    def convert(value: Any) -> Any:
        if type(value) is plain:
            return value
        if value is None or type(value).__name__ in ("NaTType", "NAType"):
            return None
        return take(value)

    return convert


def _plain(kind: Any) -> type | None:
    """Return the type whose values are storage values as they are."""
    if t.is_string(kind) or t.is_large_string(kind):
        return str
    if t.is_float64(kind):
        return float
    return bool if t.is_boolean(kind) else None


def _refuse(value: Any, kind: Any, remedy: str = "") -> InvalidInput:
    return InvalidInput(f"{value!r} ({type(value).__name__}) does not fit {kind}{'; ' + remedy if remedy else ''}")


def _taker(kind: Any) -> Converter:
    if t.is_boolean(kind):
        return lambda v: bool(v) if isinstance(v, bool | np.bool_) else _raise(_refuse(v, kind, "give True or False"))
    if t.is_integer(kind):
        return _integer(kind)
    if t.is_floating(kind):
        return lambda v: _floating(v, kind)
    if t.is_decimal(kind):
        return lambda v: _decimal(v, kind)
    if t.is_string(kind) or t.is_large_string(kind):
        return lambda v: str(v) if isinstance(v, str) else _raise(_refuse(v, kind, "give text, or str(value)"))
    if t.is_fixed_size_binary(kind):
        width = kind.byte_width
        return lambda v: bytes(v) if isinstance(v, bytes) and len(v) == width else _raise(_refuse(v, kind, f"give {width} bytes"))
    if t.is_binary(kind) or t.is_large_binary(kind):
        return lambda v: bytes(v) if isinstance(v, bytes | bytearray | memoryview) else _raise(_refuse(v, kind, "give bytes"))
    if t.is_timestamp(kind):
        return _moment(kind) if kind.unit == "us" else lambda v: _timestamp(v, kind)
    if t.is_date(kind):
        scale = 1 if t.is_date32(kind) else 86_400_000
        return lambda v: _date(v, kind) * scale
    if t.is_time(kind) or t.is_duration(kind):
        return lambda v: _span(v, kind)
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = to_storage(kind.value_type)
        return lambda v: [inner(x) for x in v] if isinstance(v, list | tuple | np.ndarray) else _raise(_refuse(v, kind, "give a list"))
    if t.is_struct(kind):
        return _struct(kind)
    if t.is_map(kind):
        return _map(kind)
    if t.is_interval(kind):
        return lambda v: _calendar(v, kind)
    if t.is_null(kind):
        return lambda v: _raise(_refuse(v, kind, "the column holds nothing but null"))
    raise InvalidInput(f"columns of type {kind} cannot be stored; cast them to a type that can")


def _raise(error: InvalidInput) -> Any:
    raise error


def _map(kind: Any) -> Converter:
    (key, take_key), (item, take_item) = ((field.name, to_storage(field.type)) for field in (kind.key_field, kind.item_field))

    def convert(value: Any) -> list[dict[str, Any]]:
        pairs = value.items() if isinstance(value, Mapping) else value
        if not isinstance(value, Mapping | list | tuple) or any(not isinstance(pair, tuple) or len(pair) != 2 for pair in pairs):
            raise _refuse(value, kind, "give a dict, or a list of pairs")
        if any(one is None for one, _ in pairs):
            raise _refuse(value, kind, "its keys may not be None")
        return [{key: take_key(one), item: take_item(other)} for one, other in pairs]

    return convert


def _calendar(value: Any, kind: Any) -> dict[str, int]:
    if not isinstance(value, tuple) or len(value) != 3:
        raise _refuse(value, kind, "give pyarrow.MonthDayNano([months, days, nanoseconds])")
    months, days, nanoseconds = value
    small, large = to_storage(pa.int32()), to_storage(pa.int64())
    return {"months": small(months), "days": small(days), "nanoseconds": large(nanoseconds)}


def _integer(kind: Any) -> Converter:
    signed = not t.is_unsigned_integer(kind)
    low = -(1 << (kind.bit_width - 1)) if signed else 0
    high = (1 << (kind.bit_width - 1)) - 1 if signed else (1 << kind.bit_width) - 1

    def convert(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
            raise _refuse(value, kind, "give a whole number")
        number = int(value)
        if not low <= number <= high:
            raise _refuse(value, kind, f"it holds {low} to {high}; larger numbers need a decimal or JSON column")
        return number

    return convert


def _floating(value: Any, kind: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise _refuse(value, kind, "give a number")
    number = float(value)
    if isinstance(value, numbers.Integral) and int(number) != int(value):
        raise _refuse(value, kind, "a float cannot hold it exactly")
    if kind.bit_width < 64 and math.isfinite(number):
        with np.errstate(over="ignore"):
            number = float(np.float32(number) if kind.bit_width == 32 else np.float16(number))
        if not math.isfinite(number):
            raise _refuse(value, kind, "it is too large")
    return number


def _decimal(value: Any, kind: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise _refuse(value, kind, "give a Decimal or a whole number")
    number = Decimal(value)
    if number.is_finite() and (not number or number.adjusted() < kind.precision - kind.scale):
        placed = number.quantize(Decimal((0, (1,), -kind.scale)), context=EXACT)
        if placed == number:
            return placed
    raise _refuse(value, kind, f"it holds {kind.precision} digits, {kind.scale} of them after the point")


def _date(value: Any, kind: Any) -> int:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise _refuse(value, kind, "write a date as 2013-01-31") from None
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refuse(value, kind, "give a date")
    return value.toordinal() - _EPOCH_DAY


def _span(value: Any, kind: Any) -> int:
    """Return a time of day or a duration in the column's unit."""
    per = UNITS[kind.unit]
    if t.is_time(kind):
        if isinstance(value, str):
            try:
                value = time.fromisoformat(value)
            except ValueError:
                raise _refuse(value, kind, "write a time as 10:30:00") from None
        if not isinstance(value, time) or value.tzinfo is not None:
            raise _refuse(value, kind, "give a time of day without a zone")
        nanos = ((value.hour * 60 + value.minute) * 60 + value.second) * 10**9 + value.microsecond * 1000
    elif isinstance(value, timedelta):
        nanos = ((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1000 + getattr(value, "nanoseconds", 0)
    elif isinstance(value, np.timedelta64):
        nanos = int(value.astype("timedelta64[ns]").astype(np.int64))
    else:
        raise _refuse(value, kind, "give a timedelta")
    return _exact(nanos, per, value, kind)


def _exact(nanos: int, per: int, value: Any, kind: Any) -> int:
    number, rest = divmod(nanos, 10**9 // per)
    if rest:
        raise _refuse(value, kind, f"it is finer than the column's unit {kind.unit!r}")
    return number


def _moment(kind: Any) -> Converter:
    """Return what takes moments in microseconds: the unit of Python's own datetimes, which need no rounding."""
    naive = kind.tz is None
    epoch = _NAIVE_EPOCH if naive else _EPOCH

    def convert(value: Any) -> int:
        if type(value) is datetime and (value.tzinfo is None) is naive:
            return (value - epoch) // _MICROSECOND
        return _timestamp(value, kind)

    return convert


def _timestamp(value: Any, kind: Any) -> int:
    per = UNITS[kind.unit]
    nanos = 0
    if isinstance(value, str):
        text = value
        if found := _FRACTION.search(text):
            nanos = int(found[1].ljust(9, "0")[:9])
            text = text.replace(found[0], "", 1)
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise _refuse(value, kind, "write a time as 2013-01-31 10:00 or 2013-01-31T10:00+01:00") from None
        if kind.tz is not None and value.tzinfo is None:
            value = value.replace(tzinfo=zone(kind.tz))
        elif kind.tz is None and value.tzinfo is not None:
            raise _refuse(text, kind, "the column has no time zone; leave the offset out")
    elif isinstance(value, np.datetime64) and kind.tz is None:
        return _exact(int(value.astype("datetime64[ns]").astype(np.int64)), per, value, kind)
    if not isinstance(value, datetime):
        raise _refuse(value, kind, "give a datetime, or text as 2013-01-31 10:00")
    if (value.tzinfo is None) != (kind.tz is None):
        remedy = (
            f"the column is in {kind.tz}: give a datetime with a zone" if kind.tz else "the column has no time zone: give a naive datetime"
        )
        raise _refuse(value, kind, remedy)
    nanos += getattr(value, "nanosecond", 0)
    plain = datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold
    )
    since = plain - (_NAIVE_EPOCH if plain.tzinfo is None else _EPOCH)
    return _exact(((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000 + nanos, per, value, kind)


def _struct(kind: Any) -> Converter:
    takers = {field.name: to_storage(field.type) for field in kind}

    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not set(value) <= set(takers):
            raise _refuse(value, kind, f"give a dict with the keys {', '.join(takers)}")
        return {name: take(value.get(name)) for name, take in takers.items()}

    return convert


def _document(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{value!r} is no JSON document ({error}); give dicts, lists, text, numbers, True, False or None") from None
