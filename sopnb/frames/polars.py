"""polars frames: tables as DataFrames, and tables that lie elsewhere as lazy frames that polars reads piece by piece.

polars hands over what a query asks of a lazy frame, its columns, a predicate and a number of rows, and does not apply the predicate
again. Here it is applied in full, by polars itself, to every piece; what of it can be said as an expression of Arrow is pushed down
before that, so that what cannot match is not read. An expression that is pushed down may pass more than polars would, never less: where
the two could differ (NaN, which is the largest number for polars, other types on both sides, the order of categories) nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.fields import empty, formed, holds, plain_type
from sopnb.frames.optional import optional

Read = Callable[[Sequence[str] | None, Any], Iterator[Any]]
"""Takes columns (None: all) and an expression that more rows may pass than are wanted (None: all), yields Arrow batches."""
t = pa.types
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {"Eq": eq, "NotEq": ne, "Lt": lt, "LtEq": le, "Gt": gt, "GtEq": ge}
_FLIPPED = {"Eq": "Eq", "NotEq": "NotEq", "Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq"}
_UNITS = {"Nanoseconds": "ns", "Microseconds": "us", "Milliseconds": "ms"}
_BETWEEN = {"Both": (ge, le), "Left": (ge, lt), "Right": (gt, le), "None": (gt, lt)}
_NUMBERS = {
    "Int8": pa.int8(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Boolean": pa.bool_(),
}


class _Unknown(Exception):
    """A predicate says something that is not said in Arrow."""


def to_polars(table: Any) -> Any:
    """Return an Arrow table as a polars DataFrame. Raises ``MissingPackage``."""
    return optional("polars", "polars").from_arrow(_known(table))


def _known(data: Any) -> Any:
    """Return a table or batch with runs and calendar intervals, which polars has not, as what they are stored as."""
    odd = [holds(field.type, lambda kind: t.is_run_end_encoded(kind) or t.is_interval(kind)) for field in data.schema]
    if not any(odd):
        return data
    columns = [formed(column, plain_type(column.type)) if is_odd else column for column, is_odd in zip(data.columns, odd, strict=True)]
    return pa.table(columns, names=data.schema.names)


def lazy(schema: Any, read: Read) -> Any:
    """Return a polars LazyFrame of the columns of an Arrow schema, which reads when it is collected. Raises ``MissingPackage``."""
    polars = optional("polars", "polars")

    def source(columns: list[str] | None, predicate: Any, n_rows: int | None, _size: int | None) -> Iterator[Any]:
        condition = None if predicate is None or n_rows is not None else pushed(predicate, schema)
        left = n_rows
        for batch in read(columns, condition):
            frame = polars.from_arrow(_known(batch if left is None else batch.slice(0, left)))
            left = None if left is None else left - frame.height
            yield frame if predicate is None else frame.filter(predicate)
            if left == 0:
                return

    known = polars.from_arrow(_known(empty(schema))).schema
    return optional("polars.io.plugins", "polars").register_io_source(source, schema=known)


def pushed(predicate: Any, schema: Any) -> Any:
    """Return an expression of Arrow that every row passes which a polars predicate keeps; None if there is none that says anything."""
    try:
        node = json.loads(predicate.meta.serialize(format="json"))
    except Exception:  # a function in Python, or a form that this version of polars has not: it is applied to what was read
        return None
    said = []
    for part in _conjuncts(node):
        try:
            said.append(_expression(part, schema))
        except (_Unknown, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, pa.ArrowException):
            continue
    return reduce(and_, said) if said else None


def _conjuncts(node: Any) -> Iterator[Any]:
    both = node.get("BinaryExpr") if isinstance(node, Mapping) else None
    if both is not None and both["op"] in ("And", "LogicalAnd"):
        yield from _conjuncts(both["left"])
        yield from _conjuncts(both["right"])
    else:
        yield node


def _expression(node: Any, schema: Any) -> Any:
    """Return what is true for the same rows and more: null may have become true or false, for nothing keeps null."""
    (kind, said), *others = node.items()
    if others:
        raise _Unknown
    if kind == "Column" and t.is_boolean(schema.field(said).type):
        return pc.field(said)
    if kind == "BinaryExpr":
        return _binary(said, schema)
    if kind != "Function":
        raise _Unknown
    ((family, function),) = said["function"].items()
    first, *rest = said["input"]
    if (family, function) == ("Boolean", "Not"):
        return ~_expression(first, schema)
    column = pc.field(name := _column(first))
    kind = _kind(schema, name)
    if family == "Boolean" and function in ("IsNull", "IsNotNull"):
        return column.is_null() if function == "IsNull" else column.is_valid()
    if (family, function) == ("StringExpr", "StartsWith") and (t.is_string(kind) or t.is_large_string(kind)):
        return pc.starts_with(column, _scalar(rest[0], "String"))
    if family == "Boolean" and "IsIn" in function:
        return column.isin(_members(_scalar(rest[0], "List"), kind))
    if family == "Boolean" and "IsBetween" in function:
        above, below = _BETWEEN[function["IsBetween"]["closed"]]
        low, high = (_literal(each, _ordered(kind)) for each in rest)
        return above(column, low) & below(column, high)
    raise _Unknown


def _binary(said: Any, schema: Any) -> Any:
    op, left, right = said["op"], said["left"], said["right"]
    if op in ("And", "LogicalAnd", "Or", "LogicalOr"):
        return (and_ if op.endswith("And") else or_)(_expression(left, schema), _expression(right, schema))
    if "Literal" in left:
        op, left, right = _FLIPPED[op], right, left
    name = _column(left)
    kind = _kind(schema, name)
    if op not in ("Eq", "NotEq"):
        kind = _ordered(kind)
    if t.is_floating(kind) and op in ("NotEq", "Gt", "GtEq"):
        raise _Unknown  # NaN passes
    return _COMPARISONS[op](pc.field(name), _literal(right, kind))


def _column(node: Any) -> str:
    return str(node["Column"])


def _kind(schema: Any, name: str) -> Any:
    """Return the type in which the values of a column are stored and judged: no views."""
    kind = schema.field(name).type
    if t.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _viewless(kind.value_type), kind.ordered)
    return _viewless(kind)


def _viewless(kind: Any) -> Any:
    if t.is_run_end_encoded(kind):
        return _viewless(kind.value_type)
    return pa.string() if t.is_string_view(kind) else pa.binary() if t.is_binary_view(kind) else kind


def _ordered(kind: Any) -> Any:
    """Return a type whose values have the same order for both."""
    if t.is_dictionary(kind):
        raise _Unknown
    return kind


def _constant(node: Any) -> tuple[str, Any]:
    """Return (the kind of a constant, what is said of it); polars 1 wrote its type beside it."""
    said = node["Literal"]["Scalar"]
    said = said["value"] if "dtype" in said else said
    ((name, value),) = said.items()
    return name.removesuffix("Owned"), value


def _scalar(node: Any, wanted: str) -> Any:
    name, value = _constant(node)
    if name != wanted:
        raise _Unknown
    return value


def _literal(node: Any, kind: Any) -> Any:
    """Return a constant; it must be of the very type of the column."""
    name, value = _constant(node)
    kind = kind.value_type if t.is_dictionary(kind) else kind
    if name in _NUMBERS:
        found = pa.scalar(value, _NUMBERS[name])
        if value is None or value != value:
            raise _Unknown
    elif name == "String" and (t.is_string(kind) or t.is_large_string(kind)):
        found = pa.scalar(value, kind)
    elif name == "Binary" and (t.is_binary(kind) or t.is_large_binary(kind)):
        found = pa.scalar(bytes(value), kind)
    elif name == "Date":
        found = pa.scalar(date(1970, 1, 1) + timedelta(days=value), pa.date32())
    elif name == "Datetime":
        zone = value[2] if value[2] is None or isinstance(value[2], str) else value[2]["inner"]
        found = pa.scalar(value[0], pa.int64()).cast(pa.timestamp(_UNITS[value[1]], zone))
    elif name == "Duration":
        found = pa.scalar(value[0], pa.int64()).cast(pa.duration(_UNITS[value[1]]))
    else:
        raise _Unknown
    if found.type != kind:
        raise _Unknown
    return pc.scalar(found)


def _members(data: Any, kind: Any) -> Any:
    """Return the values of a list, which polars writes as a stream of Arrow; of the very type of the column."""
    kind = kind.value_type if t.is_dictionary(kind) else kind
    with pa.ipc.open_stream(bytes(data)) as reader:
        values = reader.read_all().column(0).combine_chunks()
    if t.is_string(kind) or t.is_large_string(kind):
        values = values.cast(kind)
    if values.type != kind or t.is_floating(kind):
        raise _Unknown
    return values.drop_null()
