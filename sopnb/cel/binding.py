"""What a record gives to an engine: plain values of a kind that both engines take, and nothing where it is null.

Invariants: None stands for what is missing; times are datetimes in UTC and timedeltas, in microseconds (what is finer is cut off); within
lists and documents a time is text, as JSON has it, for an engine has no way in for others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.cel.checking import nanoseconds
from sopnb.cel.rendering import Variable
from sopnb.cel.tree import Column, Literal, Missing
from sopnb.fields import one_array
from sopnb.values import from_storage, storage_type

t = pa.types
MOST_DEPTH = 100
"""A document is nested so deep at most."""
Take = Callable[[Any], Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def bound(table: Any, variables: Mapping[str, Variable]) -> dict[str, list[Any]]:
    """Return for each variable its plain values over the rows of a table of physical columns."""
    found: dict[tuple[str, ...], list[Any]] = {}

    def values(column: Column) -> list[Any]:
        if column.path not in found:
            found[column.path] = _values(table, column)
        return found[column.path]

    rows = {}
    for name, variable in variables.items():
        match variable:
            case Column():
                rows[name] = values(variable)
            case Missing():
                rows[name] = [value is None for value in values(variable.column)]
            case Literal():
                rows[name] = [constant(variable)] * table.num_rows
    return rows


def constant(literal: Literal) -> Any:
    """Return a constant as a plain value."""
    match literal.kind:
        case "timestamp":
            return moment(literal.value)
        case "duration":
            return span(literal.value)
        case "list":
            return [_plain(value) for value in literal.value]
    return literal.value


def moment(nanos: int) -> datetime | None:
    """Return nanoseconds since 1970 as a datetime in UTC; None if there is no such year."""
    try:
        return _EPOCH + timedelta(microseconds=nanos // 1000)
    except OverflowError:
        return None


def span(nanos: int) -> timedelta | None:
    """Return nanoseconds as a timedelta; None if it is too long."""
    try:
        return timedelta(microseconds=nanos // 1000)
    except OverflowError:
        return None


def stored(value: Any, kind: str) -> Any:
    """Return a plain value of a kind as what its Arrow array is made of; None if it is not of that kind."""
    match kind:
        case "timestamp":
            return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else None
        case "duration":
            return value // _MICROSECOND if isinstance(value, timedelta) else None
    return value if type(value) is _PLAIN.get(kind) else None


_PLAIN = {"bool": bool, "int": int, "uint": int, "double": float, "string": str, "bytes": bytes}


def _values(table: Any, column: Column) -> list[Any]:
    """Return a column, or a field within one, as plain values."""
    array, path = one_array(table.column(column.path[0])), list(column.path[1:])
    while path and t.is_struct(array.type):
        array = pc.struct_field(array, [path.pop(0)])
    if column.type is None:
        take: Take = _document
    elif path:
        take = _inner(array.type)
    else:
        take = _outer(array.type)
    rows = array.cast(storage_type(array.type)).to_pylist()
    return [None if value is None else _walked(take(value), path) for value in rows]


def _document(text: str) -> Any:
    """Return the value of a JSON document; half of a character, which JSON may hold, as the sign for one that is damaged."""
    value = json.loads(text)
    if text.count("[") + text.count("{") > MOST_DEPTH and _depth(value) > MOST_DEPTH:
        raise RecursionError
    return _mended(value) if "\\ud" in text.lower() else value


def _depth(value: Any) -> int:
    """Return how deep lists and dicts are within each other."""
    depth, layer = 0, [value]
    while layer := [each for each in layer if isinstance(each, list | dict)]:
        depth += 1
        layer = [each for one in layer for each in (one if isinstance(one, list) else one.values())]
    return depth


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(each) for name, each in value.items()}
    return value


def _walked(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict) or (value := value.get(name)) is None:
            return None
    return value


def _outer(type: Any) -> Take:
    """Return what makes plain values of the storage values of a type."""
    if t.is_dictionary(type):
        return _outer(type.value_type)
    if t.is_timestamp(type) or t.is_date(type):
        per = nanoseconds(type)
        return lambda number: moment(number * per)
    if t.is_duration(type) or t.is_time(type):
        per = nanoseconds(type)
        return lambda number: span(number * per)
    return _inner(type)


def _inner(type: Any) -> Take:
    """Return what makes plain values of storage values within others."""
    if t.is_decimal(type):
        return float
    if t.is_list(type) or t.is_large_list(type) or t.is_fixed_size_list(type):
        item = _or_none(_inner(type.value_type))
        return lambda values: [item(value) for value in values]
    if t.is_struct(type):
        takers = {field.name: _or_none(_inner(field.type)) for field in type}
        return lambda fields: {name: takers[name](value) for name, value in fields.items() if value is not None}
    if t.is_temporal(type):
        make = from_storage(type)
        return lambda number: _plain(number if make is None else make(number))
    return lambda value: value


def _or_none(take: Take) -> Take:
    return lambda value: None if value is None else take(value)


def _plain(value: Any) -> Any:
    """Return a Python value as one that an engine takes."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat().replace("+00:00", "Z")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
