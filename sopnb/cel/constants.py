"""Constants of an expression: what stands for a value of Python, and for text that means a time.

A timestamp is nanoseconds since 1970 in UTC, a duration nanoseconds; what the language has no kind for (a set, a Series) is a list.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.cel.span import nanoseconds
from sopnb.cel.words import LEAST_INT, MOST_INT, MOST_UINT
from sopnb.errors import InvalidInput
from sopnb.values import to_storage

NANOS = 10**9
DAY = 86_400 * NANOS
t = pa.types


def constant(value: Any) -> tuple[Any, str]:
    """Return (what stands for a parameter in an expression, its kind)."""
    value = value.as_py() if isinstance(value, pa.Scalar) else value
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = value.item()
    name = type(value).__name__
    if value is None or name in ("NaTType", "NAType"):
        return None, "null"
    if isinstance(value, bool):
        return value, "bool"
    if isinstance(value, int):
        if not LEAST_INT <= value <= MOST_UINT:
            raise InvalidInput(f"{value} does not fit 64 bits")
        return (int(value), "int") if value <= MOST_INT else (int(value), "uint")
    if isinstance(value, float):
        return float(value), "double"
    if isinstance(value, Decimal):
        return float(value), "double"
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidInput("half of a character (a surrogate) is no text")
        return str(value), "string"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), "bytes"
    if name == "UUID":
        return value.bytes, "bytes"
    if name in ("date", "datetime", "Timestamp", "datetime64"):
        return time_of(value, None), "timestamp"
    if name in ("timedelta", "Timedelta", "timedelta64"):
        return int(to_storage(pa.duration("ns"))(value)), "duration"
    if name == "time":
        return int(to_storage(pa.time64("ns"))(value)), "duration"
    if isinstance(value, list | tuple | set | frozenset | np.ndarray) or hasattr(value, "to_pylist") or hasattr(value, "tolist"):
        items = value.to_pylist() if hasattr(value, "to_pylist") else value.tolist() if hasattr(value, "tolist") else list(value)
        return tuple(items), "list"
    raise InvalidInput(f"{value!r} ({name}) is no value of an expression; give a number, text, bytes, a time, or a list of them")


def time_of(value: Any, kind: Any) -> int:
    """Return what someone gave for a time as nanoseconds, read as a column of this Arrow type would read it."""
    if kind is None:
        naive = not isinstance(value, str) and getattr(value, "tzinfo", None) is None
        if type(value).__name__ == "date":
            return int(to_storage(pa.date32())(value)) * DAY
        return int(to_storage(pa.timestamp("ns", None if naive else "UTC"))(value))
    if t.is_date(kind):
        if type(value).__name__ == "date" or (isinstance(value, str) and len(value) == 10):
            return int(to_storage(pa.date32())(value)) * DAY
        return time_of(value, None)
    if t.is_timestamp(kind):
        if type(value).__name__ == "date":
            value = f"{value.isoformat()} 00:00"
        return int(to_storage(pa.timestamp("ns", kind.tz))(value))
    if t.is_time(kind):
        return int(to_storage(pa.time64("ns"))(value))
    return int(to_storage(pa.duration("ns"))(value))


def instant(text: str) -> int:
    """Return what ``timestamp("...")`` means, in nanoseconds; without a zone it is in UTC."""
    return int(to_storage(pa.timestamp("ns", "UTC"))(text))


def span(text: str) -> int:
    """Return what ``duration("1h30m")`` means, in nanoseconds."""
    nanos = nanoseconds(text)
    if nanos is None:
        raise InvalidInput(f"{text[:100]!r} is no duration; write it as 1h30m or 1.5s")
    if nanos.denominator != 1 or abs(nanos) > MOST_INT:
        raise InvalidInput(f"{text!r} is finer or longer than a duration can be")
    return int(nanos)
