"""Nested Python values as JSON text and back, equal, the types included.

What JSON has no word for is an object of one field that begins with ``$``: ``{"$tuple": [1, 2]}``. Invariants: what comes back has the
type that went in, so subclasses and anything else that is not listed here are refused; nothing that is read is ever run.
"""

from __future__ import annotations

import importlib
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from sopnb.errors import Corruption, InvalidInput

_SAFE = 2**63
"""Larger integers are written in base 16, whose length Python does not limit."""
_REMEDY = "keep numbers, text, bytes, dates and times, and lists, tuples, sets and dicts of them"


def dumps(value: Any, what: str) -> str:
    """Return a value as JSON text. Raises ``InvalidInput`` naming the place in ``what`` that cannot be kept.

    >>> dumps({"size": (3, 4), "day": date(2013, 1, 31)}, "v")
    '{"size":{"$tuple":[3,4]},"day":{"$date":"2013-01-31"}}'
    """
    try:
        return json.dumps(_said(value, what), allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise InvalidInput(f"{what} is nested too deep, or holds itself; keep its parts one by one") from None


def loads(text: str) -> Any:
    """Return the value of a text that ``dumps`` wrote."""
    return json.loads(text, object_hook=_made)


def is_plain(kind: Any) -> bool:
    """Say whether a numpy type is numbers, times, text or bytes: its arrays are what their bytes say, and hold no objects."""
    return kind.kind in "biufcmMSU"


def plain_type(text: str) -> Any:
    """Return the plain numpy type that a text means. Raises ``Corruption`` for others: bytes taken for objects would crash Python."""
    kind = np.dtype(text)
    if not is_plain(kind):
        raise Corruption("a kept value", f"it says that it is an array of {text!r}")
    return kind


def _said(value: Any, what: str) -> Any:
    say = _SAYS.get(type(value))
    if say is not None:
        return say(value, what)
    if type(value).__module__.partition(".")[0] == "pandas" and type(value).__qualname__ in _PANDAS:
        return _PANDAS[type(value).__qualname__](value, what)
    if isinstance(value, np.generic) and is_plain(value.dtype):
        return {"$numpy": [value.dtype.str, _base64(value.tobytes())]}
    raise InvalidInput(f"{what} is of type {type(value).__module__}.{type(value).__qualname__}, which cannot be kept; {_REMEDY}")


def _made(fields: dict[str, Any]) -> Any:
    if len(fields) == 1:
        ((tag, inner),) = fields.items()
        if tag in _MAKES:
            return _MAKES[tag](inner)
    return fields


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _integer(value: int, what: str) -> Any:
    return value if -_SAFE <= value < _SAFE else {"$int": hex(value)}


def _float(value: float, what: str) -> Any:
    return value if math.isfinite(value) else {"$float": repr(value)}


def _plain_text(value: str) -> bool:
    """Say whether this is text that a file may hold: no halves of characters, which JSON would join."""
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)


def _text(value: str, what: str) -> Any:
    return value if _plain_text(value) else {"$text": _base64(value.encode("utf-8", "surrogatepass"))}


def _items(values: Any, what: str) -> list[Any]:
    return [_said(value, f"{what}[{i}]") for i, value in enumerate(values)]


def _members(values: Any, what: str) -> list[Any]:
    """Return the members of a set, in an order that does not change from process to process."""
    return sorted((_said(value, f"a member of {what}") for value in values), key=json.dumps)


def _dict(value: dict[Any, Any], what: str) -> Any:
    if all(type(key) is str and _plain_text(key) and not key.startswith("$") for key in value):
        return {key: _said(each, f"{what}[{key!r}]") for key, each in value.items()}
    return {"$dict": [[_said(key, f"a key of {what}"), _said(each, f"{what}[{key!r}]")] for key, each in value.items()]}


def _zone(zone: tzinfo | None, what: str) -> Any:
    """Return a time zone as its name, its offset in seconds, or None."""
    if zone is None:
        return None
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key
    if type(zone) is timezone and (offset := zone.utcoffset(None)).microseconds == 0:
        return int(offset.total_seconds())
    raise InvalidInput(f"{what} is in the time zone {zone!r}, which cannot be kept; use a zoneinfo.ZoneInfo or datetime.timezone")


def _in_zone(name: Any) -> tzinfo | None:
    if name is None or isinstance(name, str):
        return None if name is None else ZoneInfo(name)
    return UTC if name == 0 else timezone(timedelta(seconds=name))


def _clock(value: Any, what: str) -> list[Any]:
    return [value.replace(tzinfo=None).isoformat(), _zone(value.tzinfo, what), value.fold]


def _zone_of_pandas(zone: tzinfo | None, what: str) -> Any:
    """Return the zone of a Timestamp: before pandas 3 its zones are of pytz by themselves."""
    name = getattr(zone, "zone", None)
    return f"pytz:{name}" if type(zone).__module__.partition(".")[0] == "pytz" and name is not None else _zone(zone, what)


def _in_zone_of_pandas(name: Any) -> Any:
    if not (isinstance(name, str) and name.startswith("pytz:")):
        return _in_zone(name)
    name = name.removeprefix("pytz:")
    return importlib.import_module("pytz").timezone(name) if find_spec("pytz") else ZoneInfo(name)


def _ticks(value: Any) -> list[Any]:
    """Return a Timestamp (in UTC) or Timedelta of pandas as a number and its unit."""
    plain = value.to_numpy()
    return [int(plain.astype(np.int64)), np.datetime_data(plain.dtype)[0]]


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _timestamp(parts: list[Any]) -> Any:
    number, unit, name = parts
    naive = _pandas().Timestamp(np.datetime64(number, unit))
    return naive if name is None else naive.tz_localize(UTC).tz_convert(_in_zone_of_pandas(name))


_PANDAS: dict[str, Callable[[Any, str], Any]] = {
    "Timestamp": lambda value, what: {"$timestamp": [*_ticks(value), _zone_of_pandas(value.tzinfo, what)]},
    "Timedelta": lambda value, what: {"$duration": _ticks(value)},
    "Period": lambda value, what: {"$period": [value.ordinal, value.freqstr]},
    "Interval": lambda value, what: {"$interval": [_said(value.left, what), _said(value.right, what), value.closed]},
    "NaTType": lambda value, what: {"$missing": "NaT"},
    "NAType": lambda value, what: {"$missing": "NA"},
}
_SAYS: dict[type, Callable[[Any, str], Any]] = {
    type(None): lambda value, what: value,
    bool: lambda value, what: value,
    int: _integer,
    float: _float,
    str: _text,
    list: _items,
    dict: _dict,
    tuple: lambda value, what: {"$tuple": _items(value, what)},
    set: lambda value, what: {"$set": _members(value, what)},
    frozenset: lambda value, what: {"$frozenset": _members(value, what)},
    bytes: lambda value, what: {"$bytes": _base64(value)},
    complex: lambda value, what: {"$complex": [_float(value.real, what), _float(value.imag, what)]},
    range: lambda value, what: {"$range": _items((value.start, value.stop, value.step), what)},
    Decimal: lambda value, what: {"$decimal": str(value)},
    date: lambda value, what: {"$date": value.isoformat()},
    datetime: lambda value, what: {"$datetime": _clock(value, what)},
    time: lambda value, what: {"$time": _clock(value, what)},
    timedelta: lambda value, what: {"$timedelta": [value.days, value.seconds, value.microseconds]},
}
_MAKES: dict[str, Callable[[Any], Any]] = {
    "$int": lambda text: int(text, 16),
    "$float": float,
    "$text": lambda text: b64decode(text).decode("utf-8", "surrogatepass"),
    "$dict": dict,
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$bytes": b64decode,
    "$complex": lambda parts: complex(*parts),
    "$range": lambda parts: range(*parts),
    "$decimal": Decimal,
    "$date": date.fromisoformat,
    "$datetime": lambda parts: datetime.fromisoformat(parts[0]).replace(tzinfo=_in_zone(parts[1]), fold=parts[2]),
    "$time": lambda parts: time.fromisoformat(parts[0]).replace(tzinfo=_in_zone(parts[1]), fold=parts[2]),
    "$timedelta": lambda parts: timedelta(*parts),
    "$timestamp": _timestamp,
    "$duration": lambda parts: _pandas().Timedelta(np.timedelta64(*parts)),
    "$period": lambda parts: _pandas().Period(ordinal=parts[0], freq=parts[1]),
    "$interval": lambda parts: _pandas().Interval(*parts),
    "$missing": lambda name: getattr(_pandas(), name),
    "$numpy": lambda parts: np.ndarray((), plain_type(parts[0]), b64decode(parts[1]))[()],
}
