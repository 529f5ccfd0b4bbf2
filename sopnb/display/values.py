"""One value of a record as a piece of text on one line: fixed, printable, never long."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from sopnb.values import UNITS, zone

LONGEST_VALUE = 48


def clean(value: str, longest: int = LONGEST_VALUE) -> str:
    """Return text on one line, what does not print escaped, cut where it is too long.

    >>> clean("a" + chr(10) + "b")
    'a\\\\nb'
    """
    cut = value[: longest + 1]
    shown = cut if cut.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return shown if len(value) <= longest and len(shown) <= 2 * longest else shown[: longest - 1] + "…"


def told(value: Any, kind: Any) -> str:
    """Return a storage value of a column of this type as text; a time beyond what a calendar can say as its number."""
    t = pa.types
    try:
        if t.is_timestamp(kind):
            return _moment(value, kind.unit, kind.tz)
        if t.is_time(kind):
            return _moment(value, kind.unit).partition(" ")[2]
        if t.is_date(kind):
            days = value if t.is_date32(kind) else value // 86_400_000
            return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
        if t.is_duration(kind):
            return str(timedelta(microseconds=value * 1_000_000 // UNITS[kind.unit]))
    except (OverflowError, ValueError):
        return str(value)
    return _plain(value)


def _moment(n: int, unit: str, tz: str | None = None) -> str:
    seconds, rest = divmod(n, UNITS[unit])
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    if tz is not None:
        there = there.astimezone(zone(tz))
    fraction = f".{rest + UNITS[unit]}".replace(".1", ".", 1).rstrip("0") if rest else ""
    return there.replace(tzinfo=None).isoformat(" ", "seconds") + fraction


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes | memoryview):
        return clean(repr(bytes(value[: LONGEST_VALUE + 1])))
    if isinstance(value, float):
        short = repr(value)
        return short if len(short) <= 12 else f"{value:.6g}"
    if isinstance(value, bool | int | Decimal):
        return str(value)
    return clean(json.dumps(value, ensure_ascii=False, default=lambda other: str(other)[:LONGEST_VALUE]))
