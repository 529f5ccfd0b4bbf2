"""The conversions of the language between plain values, as the engine in C++ makes them: for the other one, whose own are laxer.

Each raises ``ValueError`` for what has no such value, and ``TypeError`` for a kind that it does not take.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sopnb.cel.span import nanoseconds
from sopnb.cel.words import LEAST_INT, MOST_INT, MOST_UINT

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_LONGEST_SPAN = 315_576_000_000
"""Seconds of a duration: about ten thousand years."""
_BLANKS = " \t\n\v\f\r"
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_HEX = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?", re.IGNORECASE)
_MOMENT = re.compile(
    r"([0-9]{1,4})-([0-9]{1,2})-([0-9]{1,2})[Tt]([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))"
)
_TRUE, _FALSE = {"true", "True", "TRUE", "t", "1"}, {"false", "False", "FALSE", "f", "0"}


def to_int(value: Any) -> int:
    """Return ``int(value)``."""
    match value:
        case bool():
            raise TypeError(value)
        case int():
            return _within(value, LEAST_INT, MOST_INT)
        case float():
            return _within(int(value), LEAST_INT, MOST_INT)  # int() raises for what is not a number or without end
        case str():
            return _within(_whole(value), LEAST_INT, MOST_INT)
        case datetime():
            return (value - _EPOCH) // _SECOND
    raise TypeError(value)


def to_uint(value: Any) -> int:
    """Return ``uint(value)``."""
    if isinstance(value, str) and value.strip(_BLANKS).startswith("-"):
        raise ValueError(value)
    if isinstance(value, datetime):
        raise TypeError(value)
    return _within(_whole(value) if isinstance(value, str) else int(value) if isinstance(value, float) else _plain(value), 0, MOST_UINT)


def to_double(value: Any) -> float:
    """Return ``double(value)``."""
    if not isinstance(value, str):
        return float(_plain(value))
    text = value.strip(_BLANKS)
    if _HEX.fullmatch(text):
        return float.fromhex(text)
    if not _NUMBER.fullmatch(text):
        raise ValueError(value)
    return float(text)


def to_text(value: Any) -> str:
    """Return ``string(value)``."""
    match value:
        case bool():
            return str(value).lower()
        case int() | str():
            return str(value)
        case float():
            return _double_text(value)
        case bytes():
            return value.decode()
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + _fraction(value.microsecond) + "Z"
        case timedelta():
            micros = value // timedelta(microseconds=1)
            return f"{'-' if micros < 0 else ''}{abs(micros) // 10**6}{_fraction(abs(micros) % 10**6)}s"
    raise TypeError(value)


def to_bool(value: Any) -> bool:
    """Return ``bool(value)``."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise TypeError(value)
    if value not in _TRUE | _FALSE:
        raise ValueError(value)
    return value in _TRUE


def to_bytes(value: Any) -> bytes:
    """Return ``bytes(value)``."""
    if isinstance(value, bytes | str):
        return value.encode() if isinstance(value, str) else value
    raise TypeError(value)


def to_moment(value: Any) -> datetime:
    """Return ``timestamp(value)``."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return _EPOCH + timedelta(seconds=value)
    if not isinstance(value, str):
        raise TypeError(value)
    found = _MOMENT.fullmatch(value.strip(_BLANKS))
    if found is None:
        raise ValueError(value)
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    if second > 60:
        raise ValueError(value)
    moment = datetime(year, month, day, hour, minute, 0, int((found[7] or "")[:6].ljust(6, "0")), UTC) + timedelta(seconds=second)
    offset = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
    return moment + offset if found[8] == "-" else moment - offset


def to_span(value: Any) -> timedelta:
    """Return ``duration(value)``."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise TypeError(value)
    nanos = nanoseconds(value)
    if nanos is None or abs(int(nanos)) > _LONGEST_SPAN * 10**9:
        raise ValueError(value)
    return timedelta(microseconds=int(nanos) // 1000)


def milliseconds(value: Any) -> int:
    """Return ``value.getMilliseconds()``: those beyond whole seconds."""
    if isinstance(value, datetime):
        return value.microsecond // 1000
    if not isinstance(value, timedelta):
        raise TypeError(value)
    micros = value // timedelta(microseconds=1)
    beyond = abs(micros) // 1000 % 1000
    return -beyond if micros < 0 else beyond


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return value


def _whole(text: str) -> int:
    text = text.strip(_BLANKS)
    if not _WHOLE.fullmatch(text) or len(text) > 100:
        raise ValueError(text)
    return int(text)


def _within(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(value)
    return value


def _fraction(micros: int) -> str:
    if not micros:
        return ""
    return f".{micros // 1000:03}" if micros % 1000 == 0 else f".{micros:06}"


def _double_text(value: float) -> str:
    """Return the fewest digits that mean this double, with an exponent from a million on, and below a ten thousandth."""
    if value - value != 0:
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    if value == 0:
        return "-0" if repr(value).startswith("-") else "0"
    number = Decimal(repr(value)).normalize()
    power = number.adjusted()
    if -4 <= power < 6:
        return f"{number:f}"
    sign, digits, _ = number.as_tuple()
    said = "".join(map(str, digits))
    return f"{'-' if sign else ''}{said[0]}{'.' + said[1:] if said[1:] else ''}e{'-' if power < 0 else '+'}{abs(power):02}"
