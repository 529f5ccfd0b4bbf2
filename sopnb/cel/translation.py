"""A checked tree as an expression of Arrow's, where Arrow gives for every record what an engine does, and null where an engine errs.

What no rule here knows has no translation, and neither has what contains it. An error of CEL (overflow, division by zero) is null, never
an error of Arrow's: that would end the whole batch. A comparison of a column with a constant keeps the column bare and the constant in
the column's own type, so that key ranges and the bounds of leaves can be made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from functools import reduce
from operator import and_, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.cel.checking import nanoseconds
from sopnb.cel.tree import Call, Column, ListOf, Literal, Missing, Node
from sopnb.cel.words import LEAST_INT, MOST_INT
from sopnb.values import EXACT

t = pa.types
TYPES = {
    "bool": pa.bool_(), "int": pa.int64(), "uint": pa.uint64(), "double": pa.float64(), "string": pa.string(), "bytes": pa.binary(),
    "timestamp": pa.timestamp("us", "UTC"), "duration": pa.duration("us"), "null": pa.null(),
}  # fmt: skip
"""The Arrow type of what an expression of each kind gives."""
EXACT_DIGITS = 15
"""Decimals of so many digits at most are doubles of which no two are the same."""
_COMPARE = {"_==_": "equal", "_!=_": "not_equal", "_<_": "less", "_<=_": "less_equal", "_>_": "greater", "_>=_": "greater_equal"}
_FLIPPED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}
_CLOCK = {"getHours": pc.hour, "getMinutes": pc.minute, "getSeconds": pc.second, "getMilliseconds": pc.millisecond}
_CALENDAR = {
    "getFullYear": (pc.year, 0), "getMonth": (pc.month, 1), "getDate": (pc.day, 0), "getDayOfMonth": (pc.day, 1),
    "getDayOfYear": (pc.day_of_year, 1), "getDayOfWeek": (lambda day: pc.day_of_week(day, count_from_zero=True, week_start=7), 0),
}  # fmt: skip


def translated(node: Node) -> Any:
    """Return an Arrow expression for a checked tree, of the type of its kind; None if there is none."""
    match node:
        case Literal():
            return _scalar(node)
        case Column():
            return _column(node)
        case Missing():
            return None if (field := _field(node.column)) is None else field.is_null()
        case Call():
            rule = _RULES.get(node.function)
            return None if rule is None else rule(node)
    return None


# -- values -------------------------------------------------------------------------------------------------------------------


def _field(column: Column) -> Any:
    """Return a reference to a column, None within a document, where only the record knows what there is."""
    if column.type is None or t.is_float16(column.type):
        return None
    return pc.field(column.path[0]) if len(column.path) == 1 else pc.field(column.path)


def _column(column: Column) -> Any:
    field, kind = _field(column), column.type
    if field is None:
        return None
    if column.kind in ("int", "uint", "bool", "string", "bytes") or t.is_floating(kind):
        return _as(field, kind, TYPES[column.kind])
    if (t.is_timestamp(kind) or t.is_duration(kind)) and kind.unit == "us":
        return _as(field, kind, TYPES[column.kind])
    return None


def _as(field: Any, type: Any, wanted: Any) -> Any:
    return field if type == wanted else field.cast(wanted)


def _scalar(literal: Literal) -> Any:
    if literal.kind in ("timestamp", "duration"):
        whole, rest = divmod(literal.value, 1000)
        return None if rest or not LEAST_INT <= whole <= MOST_INT else pc.scalar(pa.scalar(whole, TYPES[literal.kind]))
    return pc.scalar(pa.scalar(literal.value, TYPES[literal.kind])) if literal.kind in TYPES else None


def _in_type(literal: Literal, type: Any) -> Any:
    """Return a constant of a column's kind as a scalar of its type, None if it does not fit."""
    value = literal.value
    if literal.kind in ("timestamp", "duration"):
        value, rest = divmod(value, nanoseconds(type))
        if rest:
            return None
    elif literal.kind == "double" and t.is_float32(type):
        return pa.scalar(value, pa.float64())
    try:
        return pa.scalar(value, type)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return None


# -- conditions ---------------------------------------------------------------------------------------------------------------


def _joined(join: Callable[[Any, Any], Any]) -> Callable[[Call], Any]:
    def rule(node: Call) -> Any:
        if not all(each.kind == "bool" for each in node.arguments):
            return None
        parts = [translated(each) for each in node.arguments]
        return None if any(part is None for part in parts) else reduce(join, parts)

    return rule


def _not(node: Call) -> Any:
    inner = translated(node.arguments[0]) if node.arguments[0].kind == "bool" else None
    return None if inner is None else ~inner


def _chosen(node: Call) -> Any:
    if node.kind not in TYPES or node.kind == "null" or node.arguments[0].kind != "bool":
        return None
    condition, *outcomes = (translated(each) for each in node.arguments)
    if condition is None or any(each is None for each in outcomes):
        return None
    one, other = (each.cast(TYPES[node.kind]) if n.kind == "null" else each for each, n in zip(outcomes, node.arguments[1:], strict=True))
    return pc.if_else(condition, one, other)


def _compared(node: Call) -> Any:
    function = _COMPARE[node.function]
    one, other = node.arguments
    if isinstance(one, Literal) and isinstance(other, Column):
        one, other, function = other, one, _FLIPPED.get(function, function)
    if isinstance(one, Column) and isinstance(other, Literal) and one.kind == other.kind:
        return _with_constant(function, one, other)
    if isinstance(one, Column) and isinstance(other, Column) and one.type is not None and one.type == other.type and _comparable(one):
        return _call(function, _field(one), _field(other))
    if one.kind != other.kind or one.kind not in TYPES or one.kind == "null":
        return None
    return _call(function, translated(one), translated(other))


def _comparable(column: Column) -> bool:
    return column.kind in TYPES and not t.is_decimal(column.type) and not t.is_float16(column.type)


def _with_constant(function: str, column: Column, constant: Literal) -> Any:
    if column.type is not None and t.is_decimal128(column.type) and column.type.precision <= EXACT_DIGITS:
        return _decimal(function, _field(column), column.type, constant.value)
    if column.type is None or not _comparable(column):
        return None
    value = _in_type(constant, column.type)
    if value is not None:
        return _call(function, _field(column), pc.scalar(value))
    if column.kind in ("int", "timestamp", "duration"):
        return _always(function, constant.value, _field(column))
    return None


def _decimal(function: str, field: Any, type: Any, value: float) -> Any:
    """Return a comparison of decimals with a double: as doubles they are in the same order, and no two of so few digits are alike."""
    if value != value or abs(value) >= 10 ** (type.precision - type.scale):
        return _always(function, value, field)
    short = Decimal(repr(value))
    exact = short if len(short.as_tuple().digits) <= EXACT_DIGITS else Decimal(value)
    whole = exact.quantize(Decimal(1).scaleb(-type.scale), ROUND_FLOOR, EXACT)
    if whole != exact:
        if function in ("equal", "not_equal"):
            return _call("not_equal" if function == "equal" else "equal", field, field)
        function = "less_equal" if function.startswith("less") else "greater"
    try:
        return _call(function, field, pc.scalar(pa.scalar(whole, type)))
    except pa.ArrowException:
        return _always(function, value, field)


def _always(function: str, value: Any, field: Any) -> Any:
    """Return a comparison with what is beyond all values of a column, or not a number: the same for every value that is there."""
    same = function in ("equal", "not_equal") or value != value
    holds = function == "not_equal" if same else function.startswith("less") is (value > 0)
    return _call("equal" if holds else "not_equal", field, field)


def _call(function: str, *arguments: Any) -> Any:
    return None if any(each is None for each in arguments) else getattr(pc, function)(*arguments)


def _among(node: Call) -> Any:
    one, many = node.arguments
    if not isinstance(many, ListOf) or not all(isinstance(item, Literal) and item.kind == one.kind for item in many.items):
        return None
    if isinstance(one, Column) and one.type is not None and _comparable(one):
        field, type = _field(one), one.type
    else:
        field, type = translated(one), TYPES.get(one.kind)
    if field is None or type is None or one.kind == "null":
        return None
    if t.is_float32(type):
        field, type = field.cast(pa.float64()), pa.float64()
    members = [_in_type(item, type) for item in many.items if isinstance(item, Literal) and item.value == item.value]
    there = [member.value if t.is_temporal(type) else member.as_py() for member in members if member is not None]
    return pc.if_else(field.is_valid(), field.isin(pa.array(there, type)), pc.scalar(pa.scalar(None, pa.bool_())))


def _text(function: Callable[..., Any]) -> Callable[[Call], Any]:
    def rule(node: Call) -> Any:
        if len(node.arguments) != 2:
            return None
        text, pattern = node.arguments
        if not isinstance(pattern, Literal) or text.kind != "string" or pattern.kind != "string":
            return None
        if isinstance(text, Column) and text.type is not None and t.is_string(text.type):
            return function(_field(text), pattern.value)
        value = translated(text)
        return None if value is None else function(value, pattern.value)

    return rule


# -- numbers and text ---------------------------------------------------------------------------------------------------------


def _sum(node: Call) -> Any:
    if node.kind in ("string", "bytes") and all(each.kind == node.kind for each in node.arguments):
        between = pc.scalar(pa.scalar("" if node.kind == "string" else b"", TYPES[node.kind]))
        return _call("binary_join_element_wise", *map(translated, node.arguments), between)
    return _number(node, "add", lambda a, b, r: pc.bit_wise_and(pc.bit_wise_xor(a, r), pc.bit_wise_xor(b, r)) < 0)


def _difference(node: Call) -> Any:
    return _number(node, "subtract", lambda a, b, r: pc.bit_wise_and(pc.bit_wise_xor(a, b), pc.bit_wise_xor(a, r)) < 0)


def _number(node: Call, function: str, overflows: Callable[[Any, Any, Any], Any]) -> Any:
    """Return a sum or difference; of integers it is null where it overflows."""
    if node.kind not in ("int", "double") or any(each.kind != node.kind for each in node.arguments):
        return None
    a, b = (translated(each) for each in node.arguments)
    if a is None or b is None:
        return None
    result = getattr(pc, function)(a, b)
    if node.kind == "double" or _small(node):
        return result
    return pc.if_else(overflows(a, b, result), pc.scalar(pa.scalar(None, pa.int64())), result)


def _product(node: Call) -> Any:
    a, b = node.arguments
    if node.kind == "double" and a.kind == b.kind == "double":
        return _call("multiply", translated(a), translated(b))
    if node.kind != "int" or a.kind != "int" or b.kind != "int":
        return None
    if _small(node):
        return _call("multiply", translated(a), translated(b))
    if isinstance(a, Literal):
        a, b = b, a
    value = translated(a)
    if value is None or not isinstance(b, Literal) or abs(b.value) < 2:
        return None
    low, high = sorted((_toward_zero(LEAST_INT, b.value), _toward_zero(MOST_INT, b.value)))
    return _if((value >= low) & (value <= high), pc.multiply(value, pc.scalar(b.value)))


def _toward_zero(number: int, by: int) -> int:
    whole = abs(number) // abs(by)
    return whole if (number < 0) is (by < 0) else -whole


def _quotient(node: Call) -> Any:
    a, b = node.arguments
    if node.kind == "double" and a.kind == b.kind == "double":
        return _call("divide", translated(a), translated(b))
    return _call("divide", translated(a), translated(b)) if _divides(node) else None


def _remainder(node: Call) -> Any:
    if not _divides(node):
        return None
    a, b = (translated(each) for each in node.arguments)
    return None if a is None else pc.subtract(a, pc.multiply(pc.divide(a, b), b))


def _divides(node: Call) -> bool:
    """Say whether an integer is divided by a constant for which nothing can go wrong."""
    a, b = node.arguments
    return node.kind == a.kind == "int" and isinstance(b, Literal) and b.kind == "int" and b.value not in (0, -1)


def _negated(node: Call) -> Any:
    value = translated(node.arguments[0])
    if value is None or node.kind not in ("int", "double") or node.arguments[0].kind != node.kind:
        return None
    return pc.negate(value) if node.kind == "double" else _if(value != LEAST_INT, pc.negate(value))


def _if(condition: Any, value: Any) -> Any:
    """Return an integer where a condition holds, else null."""
    return pc.if_else(condition, value, pc.scalar(pa.scalar(None, pa.int64())))


def _small(node: Node) -> bool:
    """Say whether an integer cannot come near 64 bits."""
    return (bounds := _range(node)) is not None and bounds[0] >= LEAST_INT and bounds[1] <= MOST_INT


def _range(node: Node) -> tuple[int, int] | None:
    """Return bounds of an integer that are known from types and constants alone."""
    if isinstance(node, Literal):
        return node.value, node.value
    if isinstance(node, Column) and node.type is not None and t.is_integer(node.type):
        bits = node.type.bit_width
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if t.is_signed_integer(node.type) else (0, 2**bits - 1)
    if isinstance(node, Call) and len(node.arguments) == 2 and node.function in ("_+_", "_-_", "_*_"):
        a, b = map(_range, node.arguments)
        if a is None or b is None:
            return None
        match node.function:
            case "_+_":
                found = (a[0] + b[0], a[1] + b[1])
            case "_-_":
                found = (a[0] - b[1], a[1] - b[0])
            case _:
                corners = [x * y for x in a for y in b]
                found = (min(corners), max(corners))
        return found if found[0] >= LEAST_INT and found[1] <= MOST_INT else None
    return None


def _size(node: Call) -> Any:
    inner = node.arguments[0]
    if isinstance(inner, Column) and inner.kind == "list":
        field = _field(inner)
        return None if field is None or t.is_fixed_size_list(inner.type) else pc.list_value_length(field).cast(pa.int64())
    value = translated(inner) if inner.kind in ("string", "bytes") else None
    if value is None:
        return None
    return (pc.utf8_length(value) if inner.kind == "string" else pc.binary_length(value)).cast(pa.int64())


def _cased(function: Callable[[Any], Any]) -> Callable[[Call], Any]:
    def rule(node: Call) -> Any:
        inner = node.arguments[0]
        value = translated(inner) if inner.kind == "string" else None
        if value is None:
            return None
        if not (isinstance(inner, Column) and t.is_string(inner.type)):
            # made anew: of a part of a column that was cast, Arrow's function reads beyond the end
            value = pc.binary_join_element_wise(value, pc.scalar(""))
        return function(value)

    return rule


def _converted(node: Call) -> Any:
    if len(node.arguments) != 1 or node.method:
        return None
    inner = node.arguments[0]
    value = translated(inner)
    if value is None or inner.kind not in TYPES:
        return None
    match inner.kind, node.function:
        case one, other if one == other:
            return value
        case "int", "double":
            return value.cast(pa.float64(), safe=False)
        case "int", "string":
            return value.cast(pa.string())
    return None


def _part(node: Call) -> Any:
    """Return a part of a date or time of day; ``getHours("Europe/Berlin")`` with the zone as a constant."""
    moment, *zones = node.arguments
    if not isinstance(moment, Column) or moment.kind != "timestamp" or moment.type is None:
        return None
    field = _field(moment)
    if t.is_date(moment.type):
        if zones or node.function in _CLOCK:
            return None
    elif zones:
        name = zones[0]
        if not isinstance(name, Literal) or name.kind != "string" or not _zone(name.value):
            return None
        if node.function == "getSeconds":
            return None  # Arrow takes zones for whole minutes, which before 1900 they were not
        field = _into(field, moment.type, name.value)
    else:
        field = _into(field, moment.type, "UTC")
    function, less = (_CLOCK[node.function], 0) if node.function in _CLOCK else _CALENDAR[node.function]
    found = function(field)
    return (pc.subtract(found, pc.scalar(less)) if less else found).cast(pa.int64())


def _into(field: Any, type: Any, zone: str) -> Any:
    return _as(field, type, pa.timestamp(type.unit, zone))


_ZONE = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)+|UTC")


def _zone(name: str) -> bool:
    """Say whether Arrow knows a time zone."""
    if not _ZONE.fullmatch(name):
        return False
    try:
        pc.hour(pa.array([0], pa.timestamp("s", name)))
    except pa.ArrowException:
        return False
    return True


_RULES: dict[str, Callable[[Call], Any]] = {
    "_&&_": _joined(and_), "_||_": _joined(or_), "!_": _not, "_?_:_": _chosen, "_in_": _among,
    **dict.fromkeys(_COMPARE, _compared),
    "_+_": _sum, "_-_": _difference, "_*_": _product, "_/_": _quotient, "_%_": _remainder, "-_": _negated,
    "size": _size, "startsWith": _text(pc.starts_with), "endsWith": _text(pc.ends_with), "contains": _text(pc.match_substring),
    "matches": _text(pc.match_substring_regex), "lowerAscii": _cased(pc.ascii_lower), "upperAscii": _cased(pc.ascii_upper),
    **dict.fromkeys(("int", "double", "string", "bytes", "bool", "uint", "timestamp", "duration"), _converted),
    **dict.fromkeys((*_CLOCK, *_CALENDAR), _part),
}  # fmt: skip
