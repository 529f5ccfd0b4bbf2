"""Values on the wire: what JSON can carry of a value of a column, and the value again. Exact both ways; nothing is ever rounded.

What comes in and goes out on the other side are storage values, as rows of the engine hold them. Whole numbers, decimals and times go as
text, for a browser has no numbers of 64 bits; what is nested is JSON text, in which whole numbers are numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.fields import one_array
from sopnb.values import UNITS, storage_type, to_storage, zone

LONGEST = 1000
"""Longer values come cut."""
SHOWN = 200
"""So many characters of them are shown."""
_DAY = 86_400
_INTEGER = re.compile(r"-?\d{1,100}")
_DURATION = re.compile(r"(-?)(\d{1,40})(?:\.(\d{1,9}))?")
_CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
_DATE = r"(\d{4,12}|-\d{3,12})-(\d\d)-(\d\d)"
_TIME = re.compile(_CLOCK)
_ONLY_DATE = re.compile(_DATE)
_MOMENT = re.compile(rf"{_DATE}(?:[T ]{_CLOCK})?\s?(Z|[+-]\d\d:?\d\d(?::\d\d)?)?")
_COUNTED = re.compile(r"@(-?\d{1,20})")
_INSIGNIFICANT = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
_EPOCH = datetime(1970, 1, 1)
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}
_NOT_A_TIME = -(1 << 63)
t = pa.types

Say = Callable[[Any], Any]


@dataclass(frozen=True)
class Form:
    """How the values of a column go over the wire: ``kind`` as the browser knows it, ``say`` and ``read`` for one value, never null.

    ``read`` raises ``InvalidInput`` with the reason. ``inner`` are the same two for a value within another one, in JSON.
    """

    kind: str
    say: Say
    read: Say
    inner: tuple[Say, Say]
    many: Callable[[Any], list[Any]] | None = None
    """What makes the wire values of a whole array without nulls at once, where there is a quick way."""

    def column(self, array: Any) -> list[Any]:
        """Return a column of values in physical types as they go over the wire, long ones cut."""
        array = one_array(array)
        if array.null_count == len(array):
            return [None] * len(array)
        if self.many is None:
            values = array.cast(storage_type(array.type)).to_pylist()
            return [None if value is None else cut(self.say(value)) for value in values]
        if not array.null_count:
            return self.many(array)
        told = iter(self.many(array.drop_null()))
        return [next(told) if valid else None for valid in array.is_valid().to_pylist()]


def cut(value: Any) -> Any:
    """Return a wire value, what is too long as its beginning and its length."""
    return {"cut": value[:SHOWN], "size": len(value)} if isinstance(value, str) and len(value) > LONGEST else value


def form(kind: Any, *, document: bool = False) -> Form:
    """Return how values of an Arrow type go over the wire."""
    if document:
        return _scalar("json", _same, _document, many=_texts)
    if t.is_dictionary(kind):
        inner = form(kind.value_type)
        return Form("category", inner.say, inner.read, inner.inner, inner.many) if inner.kind == "text" else inner
    if t.is_run_end_encoded(kind):
        return form(kind.value_type)
    if t.is_boolean(kind):
        return _scalar("bool", bool, _of(bool, "true or false"), many=lambda array: array.to_pylist())
    if t.is_integer(kind):
        return _integers(kind)
    if t.is_floating(kind):
        return _floats(kind)
    if t.is_decimal(kind):
        return _decimals(kind)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        return _scalar("text", _same, text, many=_texts)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        return _bytes(kind)
    if t.is_date(kind):
        return _dates(kind)
    if t.is_timestamp(kind):
        return _timestamps(kind)
    if t.is_time(kind):
        return _times(kind)
    if t.is_duration(kind):
        return _durations(kind)
    if t.is_null(kind):
        return _scalar("text", str, _nothing)
    say, read = _nested(kind)
    return Form("json", lambda value: _dumped(say(value)), lambda wire: _refusing(read, _loaded(wire)), (say, read))


def text(value: Any) -> str:
    """Return text that may be stored. Raises ``InvalidInput`` for other values, and for halves of characters."""
    if not isinstance(value, str):
        raise InvalidInput(f"text was expected, not {_kind_of(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput("this text holds half a character (a lone surrogate), which cannot be stored") from None
    return value


# -- kinds --------------------------------------------------------------------------------------------------------------------


def _scalar(kind: str, say: Say, read: Say, many: Callable[[Any], list[Any]] | None = None, inner: tuple[Say, Say] | None = None) -> Form:
    return Form(kind, say, read, inner or (say, read), many)


def _same(value: Any) -> Any:
    return value


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    told = repr(value) if isinstance(value, str | int | float | bool) else _kind_of(value)
    return told if len(told) <= 60 else told[:57] + "…"


def _of(wanted: type, what: str) -> Say:
    def read(value: Any) -> Any:
        if type(value) is not wanted:
            raise InvalidInput(f"{_short(value)} is not {what}")
        return value

    return read


def _nothing(value: Any) -> Any:
    raise InvalidInput("the column holds nothing but null")


def _texts(array: Any) -> list[Any]:
    return [cut(value) for value in array.to_pylist()]


def _integers(kind: Any) -> Form:
    fits = to_storage(kind)

    def read(value: Any) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            value = int(value)
        if type(value) is not int:
            raise InvalidInput(f"{_short(value)} is not a whole number")
        if value.bit_length() > 400:
            raise InvalidInput("the number is too large")
        number: int = fits(value)
        return number

    return _scalar("int", str, read, lambda array: array.cast(pa.string()).to_pylist(), (int, read))


def _floats(kind: Any) -> Form:
    fits = to_storage(kind)
    narrow = {16: np.float16, 32: np.float32}.get(kind.bit_width)

    def plain(value: float) -> Any:
        if math.isfinite(value):
            return value if narrow is None else float(str(narrow(value)))  # the shortest number that is this one
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"

    def say(value: float) -> Any:  # a browser writes the number -0 as 0
        return "-0" if value == 0 and math.copysign(1, value) < 0 else plain(value)

    def read(value: Any) -> float:
        if isinstance(value, str):
            if value not in _WORDS:
                raise InvalidInput(f"{_short(value)} is not a number; NaN, Infinity and -Infinity are written so")
            return _WORDS[value]
        if type(value) is int and value.bit_length() > 1100:
            raise InvalidInput("the number is too large")
        if type(value) not in (int, float):
            raise InvalidInput(f"{_short(value)} is not a number")
        number: float = fits(value)
        return number

    def many(array: Any) -> list[Any]:
        return [say(value) for value in array.cast(pa.float64()).to_pylist()]

    return _scalar("float", say, read, many, (plain, read))


def _decimals(kind: Any) -> Form:
    fits = to_storage(kind)

    def read(value: Any) -> Decimal:
        if type(value) is int and value.bit_length() < 400:
            value = str(value)
        if not isinstance(value, str) or len(value) > 200:
            raise InvalidInput(f"{_short(value)} is not a decimal number")
        try:
            number: Decimal = fits(Decimal(value.strip().replace("_", " ")))
        except InvalidOperation:
            raise InvalidInput(f"{_short(value)} is not a decimal number") from None
        return number

    return _scalar("decimal", lambda value: format(value, "f"), read)


def _bytes(kind: Any) -> Form:
    fits = to_storage(kind)

    def read(value: Any) -> bytes:
        if not isinstance(value, str):
            raise InvalidInput(f"{_short(value)} is not text in base 64")
        try:
            data: bytes = fits(base64.b64decode("".join(value.split()), validate=True))
        except (binascii.Error, ValueError) as error:
            raise error if isinstance(error, InvalidInput) else InvalidInput(f"{_short(value)} is not base 64: {error}") from None
        return data

    def many(array: Any) -> list[Any]:
        return [_cut_bytes(value) for value in array.to_pylist()]

    return _scalar("bytes", lambda value: base64.b64encode(value).decode(), read, many)


def _cut_bytes(value: bytes) -> Any:
    size = 4 * -(-len(value) // 3)
    return {"cut": base64.b64encode(value[: SHOWN * 3 // 4]).decode(), "size": size} if size > LONGEST else base64.b64encode(value).decode()


# -- times --------------------------------------------------------------------------------------------------------------------


def _day(year: str, month: str, day: str) -> int:
    """Return a date as days since 1970."""
    sign, digits = ("-", year[1:]) if year.startswith("-") else ("", year)
    try:
        return int(np.datetime64(f"{sign}{digits.zfill(4)}-{month}-{day}", "D").astype(np.int64))
    except (ValueError, OverflowError):
        raise InvalidInput(f"there is no day {year}-{month}-{day}") from None


def _dates(kind: Any) -> Form:
    scale = 1 if t.is_date32(kind) else 86_400_000
    most = 1 << (31 if scale == 1 else 63)

    def read(value: Any) -> int:
        found = _ONLY_DATE.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise InvalidInput(f"{_short(value)} is not a date; write it as 2013-01-31")
        number = _day(*found.groups()) * scale
        if not -most <= number < most:
            raise InvalidInput(f"{_short(value)} is beyond what the column holds")
        return number

    def many(array: Any) -> list[Any]:
        days = array.cast(storage_type(kind)).to_numpy(zero_copy_only=False).astype(np.int64) // scale
        told: list[Any] = np.datetime_as_string(days.astype("datetime64[D]")).tolist()
        return told

    return _scalar("date", lambda value: str(np.datetime64(value // scale, "D")), read, many)


def _seconds(hour: str | None, minute: str | None, second: str | None) -> int:
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        raise InvalidInput(f"there is no time of day {hour}:{minute}:{second or '00'}")
    return (h * 60 + m) * 60 + s


def _ticks(fraction: str | None, unit: str) -> int:
    """Return the digits of a fraction of a second in a unit. Raises ``InvalidInput`` if they are finer."""
    whole, rest = divmod(int((fraction or "").ljust(9, "0")), 10**9 // UNITS[unit])
    if rest:
        raise InvalidInput(f".{fraction} seconds are finer than the column, which counts {_UNITS[unit]}")
    return whole


_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def _fraction(rest: int, unit: str) -> str:
    """Return a part of a second as it stands after the second."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    return f".{rest:0{digits}d}".rstrip("0") if rest else ""


def _times(kind: Any) -> Form:
    unit = kind.unit

    def say(value: int) -> str:
        seconds, rest = divmod(value, UNITS[unit])
        if not 0 <= seconds < _DAY:
            return f"@{value}"
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{_fraction(rest, unit)}"

    def read(value: Any) -> int:
        if (counted := _counted(value, kind.bit_width)) is not None:
            return counted
        found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise InvalidInput(f"{_short(value)} is not a time of day; write it as 10:30:00")
        return _seconds(*found.groups()[:3]) * UNITS[unit] + _ticks(found[4], unit)

    return _scalar("time", say, read)


def _durations(kind: Any) -> Form:
    unit = kind.unit

    def say(value: int) -> str:
        seconds, rest = divmod(abs(value), UNITS[unit])
        return f"{'-' if value < 0 else ''}{seconds}{_fraction(rest, unit)}"

    def read(value: Any) -> int:
        found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise InvalidInput(f"{_short(value)} is not a number of seconds, such as 90 or 0.5")
        number = int(found[2]) * UNITS[unit] + _ticks(found[3], unit)
        return _in_64(-number if found[1] else number, value)

    return _scalar("duration", say, read)


def _in_64(number: int, value: Any, bits: int = 64) -> int:
    if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise InvalidInput(f"{_short(value)} is beyond what the column holds")
    return number


def _counted(value: Any, bits: int = 64) -> int | None:
    """Return what was said by its number, in the column's unit, because no calendar or clock has it."""
    found = _COUNTED.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else _in_64(int(found[1]), value, bits)


def _timestamps(kind: Any) -> Form:
    unit, per, place = kind.unit, UNITS[kind.unit], None if kind.tz is None else _Zone(kind.tz)

    def many(array: Any) -> list[Any]:
        ticks = array.cast(pa.int64()).to_numpy(zero_copy_only=False)
        seconds, rests = np.divmod(ticks, per)
        offsets = [] if place is None else [place.offset(second) for second in seconds.tolist()]
        local = seconds if place is None else seconds + np.array(offsets, np.int64)
        told: list[Any] = np.datetime_as_string(local.astype("datetime64[s]")).tolist()
        if rests.any():
            told = [f"{said}{_fraction(rest, unit)}" for said, rest in zip(told, rests.tolist(), strict=True)]
        if place is not None:
            told = [f"{said}{_offset(offset)}" for said, offset in zip(told, offsets, strict=True)]
        if (ticks == _NOT_A_TIME).any():
            told = [f"@{tick}" if tick == _NOT_A_TIME else said for said, tick in zip(told, ticks.tolist(), strict=True)]
        return told

    def read(value: Any) -> int:
        if (counted := _counted(value)) is not None:
            return counted
        found = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise InvalidInput(f"{_short(value)} is not a time; write it as 2013-01-31 10:00 or 2013-01-31T10:00:00+01:00")
        year, month, day, hour, minute, second, fraction, offset = found.groups()
        seconds = _day(year, month, day) * _DAY + _seconds(hour, minute, second)
        if place is None and offset is not None:
            raise InvalidInput("the column has no time zone; leave the offset out")
        if place is not None:
            seconds -= place.offset_of(seconds) if offset is None else _offset_seconds(offset)
        return _in_64(seconds * per + _ticks(fraction, unit), value)

    return _scalar("timestamp", lambda value: many(pa.array([value], pa.int64()))[0], read, many)


class _Zone:
    """A time zone; beyond the years that a calendar of Python has it is taken for UTC."""

    def __init__(self, name: str) -> None:
        self._place = zone(name)

    def offset(self, second: int) -> int:
        """Return the offset in seconds at a moment, in seconds since 1970."""
        return self._of(lambda: (_EPOCH + timedelta(seconds=second)).replace(tzinfo=UTC).astimezone(self._place))

    def offset_of(self, local: int) -> int:
        """Return the offset in seconds where clocks show this; the earlier one where they show it twice."""
        return self._of(lambda: (_EPOCH + timedelta(seconds=local)).replace(tzinfo=self._place))

    def _of(self, moment: Callable[[], datetime]) -> int:
        try:
            return int((moment().utcoffset() or timedelta()).total_seconds())
        except (OverflowError, ValueError):
            return 0


def _offset(seconds: int) -> str:
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    rest = f":{seconds % 60:02d}" if seconds % 60 else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}{rest}"


def _offset_seconds(said: str) -> int:
    if said == "Z":
        return 0
    digits = said[1:].replace(":", "").ljust(6, "0")
    seconds = _seconds(digits[:2], digits[2:4], digits[4:])
    return -seconds if said.startswith("-") else seconds


# -- what holds other values --------------------------------------------------------------------------------------------------


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _loaded(value: Any) -> Any:
    if not isinstance(value, str):
        raise InvalidInput(f"JSON text was expected, not {_kind_of(value)}")
    text(value)
    try:
        return json.loads(value, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidInput("the JSON is nested too deep") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"this is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise InvalidInput(f"this is no JSON: {error}") from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"it has no {word}")


def _refusing(read: Say, value: Any) -> Any:
    if value is None:
        raise InvalidInput("null within JSON text; send null itself to make the value missing")
    return read(value)


def _document(value: Any) -> str:
    """Return the text of a document as it is, without the space between its parts: numbers keep every digit, keys their order."""
    _loaded(value)
    return _INSIGNIFICANT.sub(lambda found: found[1] or "", value)


def _nested(kind: Any) -> tuple[Say, Say]:
    """Return what says a nested value as plain JSON, and reads it."""
    if t.is_struct(kind):
        return _structs(kind)
    if t.is_map(kind):
        return _maps(kind)
    if t.is_interval(kind):
        return _structs(pa.struct([("months", pa.int32()), ("days", pa.int32()), ("nanoseconds", pa.int64())]))
    (say, read), size = _nullable(kind.value_type), kind.list_size if t.is_fixed_size_list(kind) else None

    def read_list(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidInput(f"a list was expected, not {_kind_of(value)}")
        if size is not None and len(value) != size:
            raise InvalidInput(f"the list needs {size} values, {len(value)} were given")
        return [read(each) for each in value]

    return lambda values: [say(each) for each in values], read_list


def _nullable(kind: Any) -> tuple[Say, Say]:
    say, read = form(kind).inner
    return (lambda value: None if value is None else say(value)), (lambda value: None if value is None else read(value))


def _structs(kind: Any) -> tuple[Say, Say]:
    fields = {field.name: _nullable(field.type) for field in kind}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not set(value) <= set(fields):
            raise InvalidInput(f"an object with the keys {', '.join(fields)} was expected")
        return {name: each[1](value.get(name)) for name, each in fields.items()}

    return lambda value: {name: each[0](value[name]) for name, each in fields.items()}, read


def _maps(kind: Any) -> tuple[Say, Say]:
    """Maps are lists of pairs: their keys may be anything, and there twice."""
    key, item = kind.key_field.name, kind.item_field.name
    (say_key, read_key), (say_item, read_item) = form(kind.key_type).inner, _nullable(kind.item_type)

    def read(value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or any(not isinstance(pair, list) or len(pair) != 2 or pair[0] is None for pair in value):
            raise InvalidInput("a list of pairs, [[key, value], ...], was expected")
        return [{key: read_key(one), item: read_item(other)} for one, other in value]

    return lambda pairs: [[say_key(pair[key]), say_item(pair[item])] for pair in pairs], read
