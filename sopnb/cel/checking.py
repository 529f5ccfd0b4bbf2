"""What the words of an expression mean over the columns of a record, and of what kind each value is.

Kinds of columns: integers up to 32 bits unsigned are int, uint64 is uint; floating point and decimal numbers are double; a date is the
timestamp of its midnight, a time without a zone that of the same clock in UTC, a time of day the duration since midnight; a document, and
what lies within a list, is dyn. ``row`` is the whole record: ``row["odd name"]`` is a column whatever its name. A parameter is a
constant.

Beyond the language's own rules, so that people need not write what is plain: an integer beside a double is a double; text beside a time
column is that instant, in the column's zone if it names none. A comparison of a whole number with a constant that has a fraction is turned
into one of whole numbers, so that it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.cel.constants import DAY, NANOS, constant, instant, span, time_of
from sopnb.cel.refusal import refusal
from sopnb.cel.tree import ROW, Call, Column, ListOf, Literal, Macro, MapOf, Missing, Name, Node, Select
from sopnb.cel.words import LEAST_INT, MOST_INT, MOST_UINT
from sopnb.errors import InvalidInput
from sopnb.values import UNITS

t = pa.types
_NUMBERS = ("int", "uint", "double")
_TIMES = ("timestamp", "duration")
_EXACT_DOUBLE = 2**53
_TYPES = {"bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"}
_COMPARED = (
    "bool,bool int,int int,uint int,double uint,int uint,uint uint,double double,int double,uint double,double "
    "string,string bytes,bytes timestamp,timestamp duration,duration"
)
_CLOCK = {"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
_CALENDAR = {"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"}


def _overloads(said: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    pairs = (each.split(">") for each in said.split())
    return tuple((tuple(taken.split(",")), given) for taken, given in pairs)


_relation = _overloads(" ".join(f"{each}>bool" for each in _COMPARED.split()))
OPERATORS = {
    "_+_": _overloads("int,int>int uint,uint>uint double,double>double string,string>string bytes,bytes>bytes list,list>list "
                      "timestamp,duration>timestamp duration,timestamp>timestamp duration,duration>duration"),
    "_-_": _overloads("int,int>int uint,uint>uint double,double>double timestamp,timestamp>duration timestamp,duration>timestamp "
                      "duration,duration>duration"),
    "_*_": _overloads("int,int>int uint,uint>uint double,double>double"),
    "_/_": _overloads("int,int>int uint,uint>uint double,double>double"),
    "_%_": _overloads("int,int>int uint,uint>uint"),
    "-_": _overloads("int>int double>double"),
    "!_": _overloads("bool>bool"),
    "_<_": _relation, "_<=_": _relation, "_>_": _relation, "_>=_": _relation,
    "_[_]": _overloads("list,int>dyn list,uint>dyn list,double>dyn map,string>dyn map,int>dyn map,uint>dyn map,bool>dyn map,double>dyn"),
}  # fmt: skip
FUNCTIONS = {
    "size": _overloads("string>int bytes>int list>int map>int"),
    "matches": _overloads("string,string>bool"),
    "int": _overloads("int>int uint>int double>int string>int timestamp>int"),
    "uint": _overloads("int>uint uint>uint double>uint string>uint"),
    "double": _overloads("int>double uint>double double>double string>double"),
    "string": _overloads("bool>string int>string uint>string double>string string>string bytes>string timestamp>string duration>string"),
    "bytes": _overloads("bytes>bytes string>bytes"),
    "bool": _overloads("bool>bool string>bool"),
    "timestamp": _overloads("timestamp>timestamp string>timestamp int>timestamp"),
    "duration": _overloads("duration>duration string>duration"),
}
METHODS = {
    "size": FUNCTIONS["size"],
    "matches": FUNCTIONS["matches"],
    **dict.fromkeys(("contains", "startsWith", "endsWith"), _overloads("string,string>bool")),
    **dict.fromkeys(("lowerAscii", "upperAscii"), _overloads("string>string")),
    **dict.fromkeys(_CLOCK, _overloads("timestamp>int timestamp,string>int duration>int")),
    **dict.fromkeys(_CALENDAR, _overloads("timestamp>int timestamp,string>int")),
}
_SIGNS = {function: function.strip("_") for function in OPERATORS} | {"_[_]": "[ ]", "-_": "-", "!_": "!"}


def kind_of(type: Any, *, document: bool = False) -> str:
    """Return of what kind the values of a column are."""
    if document:
        return "dyn"
    if t.is_dictionary(type):
        return kind_of(type.value_type)
    for kind, is_one in _KINDS:
        if is_one(type):
            return kind
    return "dyn"


_KINDS: tuple[tuple[str, Any], ...] = (
    ("bool", t.is_boolean),
    ("uint", t.is_uint64),
    ("int", t.is_integer),
    ("double", lambda kind: t.is_floating(kind) or t.is_decimal(kind)),
    ("string", lambda kind: t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind)),
    ("bytes", lambda kind: any(is_one(kind) for is_one in (t.is_binary, t.is_large_binary, t.is_fixed_size_binary, t.is_binary_view))),
    ("timestamp", lambda kind: t.is_timestamp(kind) or t.is_date(kind)),
    ("duration", lambda kind: t.is_duration(kind) or t.is_time(kind)),
    ("list", lambda kind: any(is_one(kind) for is_one in (t.is_list, t.is_large_list, t.is_fixed_size_list))),
    ("map", t.is_struct),
)  # fmt: skip


def nanoseconds(type: Any) -> int:
    """Return how many nanoseconds one step of a date, time or duration type is."""
    if t.is_date(type):
        return DAY if t.is_date32(type) else 10**6
    return NANOS // int(UNITS[type.unit])


@dataclass(frozen=True)
class Scope:
    """What words mean: the columns by their Arrow types, which of them are documents, and the parameters."""

    columns: Mapping[str, Any]
    documents: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] | None = None


def checked(node: Node, text: str, scope: Scope) -> Node:
    """Return the tree with columns, constants and kinds in their place. Raises ``InvalidInput`` with the place that means nothing."""
    checker = _Checker(text, scope)
    tree = checker.check(node, ())
    unused = [name for name in scope.parameters or {} if name not in checker.used]
    if unused:
        raise InvalidInput(f"the expression {text!r} does not use the parameter {unused[0]!r}; leave it out, or name it in the expression")
    if isinstance(tree, Column) and tree.kind == "map" and not tree.path:
        raise refusal(text, tree.at, f"{ROW!r} is the whole record; name a column of it")
    return tree


class _Checker:
    def __init__(self, text: str, scope: Scope) -> None:
        self._text, self._scope = text, scope
        self.used: set[str] = set()

    def _refuse(self, node: Node, reason: str) -> InvalidInput:
        return refusal(self._text, node.at, reason)

    def check(self, node: Node, bound: tuple[str, ...]) -> Node:
        """Return a node checked; ``bound`` are the variables of the macros around it."""
        match node:
            case Name():
                return self._name(node, bound)
            case Select():
                return self._select(node, self.check(node.operand, bound))
            case Macro():
                return self._macro(node, bound)
            case Call(function="has", method=False):
                return self._has(node, bound)
            case Call():
                return self._call(node, tuple(self.check(each, bound) for each in node.arguments))
            case ListOf() | MapOf():
                return replace(node, items=tuple(self._value(self.check(each, bound)) for each in node.items))
        return node

    # -- names ----------------------------------------------------------------------------------------------------------------

    def _name(self, node: Name, bound: tuple[str, ...]) -> Node:
        name, parameters = node.text, self._scope.parameters or {}
        if name in bound:
            return node
        if name in parameters:
            if name in self._scope.columns:
                raise self._refuse(node, f"{name!r} is a column and a parameter too; give the parameter another name")
            self.used.add(name)
            return self._parameter(node, parameters[name])
        if name == ROW:
            return Column((), "map", node.at)
        if name in self._scope.columns:
            return self._column((name,), self._scope.columns[name], node.at)
        if name in _TYPES:
            return replace(node, kind="type")
        known = ", ".join(map(repr, self._scope.columns))
        raise self._refuse(node, f"there is no column or parameter {name!r}; the columns are {known}")

    def _column(self, path: tuple[str, ...], type: Any, at: int) -> Column:
        if t.is_dictionary(type):
            type = type.value_type
        if path[0] in self._scope.documents:
            return Column(path, "dyn", at)
        return Column(path, kind_of(type), at, type)

    def _select(self, node: Select, operand: Node) -> Node:
        found = self._within(operand, node.field, node) if isinstance(operand, Column) else None
        if found is not None:
            return found
        if operand.kind not in ("map", "dyn"):
            raise self._refuse(node, f"{operand.kind} has no field {node.field!r}")
        return replace(node, operand=operand)

    def _within(self, operand: Column, field: str, node: Node) -> Column | None:
        """Return a column by its name in the row, or a field of a struct or document; None if that is known only later."""
        if not operand.path:
            if field not in self._scope.columns:
                raise self._refuse(node, f"there is no column {field!r}; the columns are {', '.join(map(repr, self._scope.columns))}")
            return self._column((field,), self._scope.columns[field], node.at)
        path = (*operand.path, field)
        if operand.type is None:
            return Column(path, "dyn", node.at)
        if t.is_struct(operand.type):
            at = operand.type.get_field_index(field)
            if at < 0:
                names = ", ".join(repr(each.name) for each in operand.type)
                raise self._refuse(node, f"{'.'.join(operand.path)} has no field {field!r}; its fields are {names}")
            return self._column(path, operand.type.field(at).type, node.at)
        return None

    def _has(self, node: Call, bound: tuple[str, ...]) -> Node:
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], Select):
            raise self._refuse(node, "has() takes one field, as has(row.x) or has(column.x)")
        select = self.check(node.arguments[0], bound)
        if isinstance(select, Column):
            return Call("!_", (Missing(select, node.at),), node.at, kind="bool")
        return replace(node, arguments=(select,), kind="bool")

    def _parameter(self, node: Name, value: Any) -> Literal:
        try:
            plain, kind = constant(value)
        except InvalidInput as error:
            raise InvalidInput(f"parameter {node.text!r}: {error}") from None
        return Literal(plain, kind, node.at, value)

    # -- calls ----------------------------------------------------------------------------------------------------------------

    def _macro(self, node: Macro, bound: tuple[str, ...]) -> Node:
        over = self._value(self.check(node.range, bound))
        if over.kind not in ("list", "map", "dyn"):
            raise self._refuse(node, f"{node.name} goes over a list or a map, not {over.kind}")
        if node.variable in self._scope.columns or node.variable in (self._scope.parameters or {}) or node.variable == ROW:
            raise self._refuse(node, f"{node.variable!r} is a column or parameter; use another name for the member")
        bodies = tuple(self._value(self.check(each, (*bound, node.variable))) for each in node.bodies)
        if (node.name != "map" or len(bodies) > 1) and bodies[0].kind not in ("bool", "dyn"):
            raise self._refuse(bodies[0], f"{node.name} asks whether something is true, and this is {bodies[0].kind}")
        return replace(node, range=over, bodies=bodies, kind="list" if node.name in ("map", "filter") else "bool")

    def _value(self, node: Node) -> Node:
        if isinstance(node, Column) and not node.path:
            raise self._refuse(node, f"{ROW!r} is the whole record; name a column of it")
        return node

    def _call(self, node: Call, arguments: tuple[Node, ...]) -> Node:
        if node.function == "_[_]" and isinstance(arguments[0], Column):
            container, field = arguments[0], arguments[1]
            if isinstance(field, Literal) and field.kind == "string" and (found := self._within(container, field.value, node)) is not None:
                return found
        arguments = tuple(map(self._value, arguments))
        match node.function:
            case "_&&_" | "_||_":
                for each in arguments:
                    if each.kind not in ("bool", "dyn"):
                        raise self._refuse(each, f"{node.function[1:3]} joins conditions, and this is {each.kind}")
                return replace(node, arguments=arguments, kind="bool")
            case "_?_:_":
                return self._chosen(node, arguments)
            case "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_":
                return self._compared(node, *arguments)
            case "_in_":
                return self._among(node, *arguments)
            case "dyn" | "type" if not node.method and len(arguments) == 1:
                return replace(node, arguments=arguments, kind=node.function)
            case "timestamp" | "duration" if len(arguments) == 1 and isinstance(arguments[0], Literal) and arguments[0].kind == "string":
                return self._moment(node.function, arguments[0])
            case "_+_" | "_-_" | "_*_" | "_/_" if len(arguments) == 2:
                arguments = self._alike(*arguments)
            case "matches" if len(arguments) == 2:
                self._pattern(arguments[-1])
        return self._overloaded(node, arguments)

    def _overloaded(self, node: Call, arguments: tuple[Node, ...]) -> Node:
        table = OPERATORS if node.function.endswith("_") or node.function == "_[_]" else METHODS if node.method else FUNCTIONS
        overloads = table.get(node.function)
        if overloads is None:
            raise self._refuse(node, f"there is no {'method' if node.method else 'function'} {node.function!r}")
        kinds = tuple(each.kind for each in arguments)
        given = {gives for takes, gives in overloads if len(takes) == len(kinds) and all(map(_fits, kinds, takes))}
        if not given:
            what = f"{_SIGNS[node.function]!r}" if node.function in _SIGNS else f"{node.function}()"
            raise self._refuse(node, f"{what} does not take {', '.join(kinds) or 'nothing'}{_remedy(kinds)}")
        return replace(node, arguments=arguments, kind=given.pop() if len(given) == 1 else "dyn")

    def _chosen(self, node: Call, arguments: tuple[Node, ...]) -> Node:
        if arguments[0].kind not in ("bool", "dyn"):
            raise self._refuse(arguments[0], f"? asks whether something is true, and this is {arguments[0].kind}")
        one, other = self._alike(*arguments[1:])
        kinds = {one.kind, other.kind} - {"null"}
        if len(kinds) > 1 and "dyn" not in kinds:
            raise self._refuse(node, f"the two outcomes are {one.kind} and {other.kind}; make them alike{_remedy((one.kind, other.kind))}")
        return replace(node, arguments=(arguments[0], one, other), kind=kinds.pop() if len(kinds) == 1 else "dyn" if kinds else "null")

    def _alike(self, one: Node, other: Node) -> tuple[Node, Node]:
        """Return two numbers as doubles if one of them is, and constants as uint beside a uint."""
        return _beside(one, other), _beside(other, one)

    def _pattern(self, node: Node) -> None:
        if not isinstance(node, Literal) or node.kind != "string":
            raise self._refuse(node, "matches() takes its pattern as text, not from a record")
        try:
            pc.match_substring_regex(pa.array([""]), node.value)
        except pa.ArrowException as error:
            raise self._refuse(node, f"{node.value[:100]!r} is no pattern: {str(error)[:200]}") from None

    def _moment(self, kind: str, said: Literal) -> Literal:
        try:
            value = instant(said.value) if kind == "timestamp" else span(said.value)
        except InvalidInput as error:
            raise self._refuse(said, str(error)) from None
        return Literal(value, kind, said.at)

    # -- comparisons ----------------------------------------------------------------------------------------------------------

    def _compared(self, node: Call, one: Node, other: Node) -> Node:
        if node.function in ("_==_", "_!=_"):
            for known, null in ((one, other), (other, one)):
                if isinstance(null, Literal) and null.kind == "null" and isinstance(known, Column):
                    missing = Missing(known, node.at)
                    return missing if node.function == "_==_" else Call("!_", (missing,), node.at, kind="bool")
        one, other = self._timed(one, other), self._timed(other, one)
        if isinstance(other, Literal) and not isinstance(one, Literal):
            return self._with_constant(node, node.function, one, other)
        if isinstance(one, Literal) and not isinstance(other, Literal):
            return self._with_constant(node, _FLIPPED.get(node.function, node.function), other, one)
        return self._related(node, node.function, one, other)

    def _related(self, node: Call, function: str, one: Node, other: Node) -> Node:
        if function in ("_==_", "_!=_"):
            kinds = {one.kind, other.kind}
            if not (len(kinds) == 1 or kinds & {"dyn", "null"} or kinds <= set(_NUMBERS)):
                raise self._refuse(node, f"{one.kind} is never equal to {other.kind}{_remedy((one.kind, other.kind))}")
            return replace(node, function=function, arguments=(one, other), kind="bool")
        return self._overloaded(replace(node, function=function), (one, other))

    def _with_constant(self, node: Call, function: str, one: Node, constant: Literal) -> Node:
        if one.kind in _TIMES and constant.kind == one.kind:
            exact = _stepped(function, constant, _step(one))
        else:
            exact = _exactly(function, one.kind, constant)
        if isinstance(exact, bool):  # true or false of every value that is there
            return replace(node, function="_==_" if exact else "_!=_", arguments=(one, one), kind="bool")
        return self._related(node, exact[0], one, exact[1])

    def _among(self, node: Call, one: Node, many: Node) -> Node:
        if many.kind not in ("list", "map", "dyn"):
            raise self._refuse(node, f"in looks into a list or a map, not {many.kind}")
        items: tuple[Node, ...] | None = None
        if isinstance(many, ListOf):
            items = many.items
        elif isinstance(many, Literal) and many.kind == "list":
            try:
                items = tuple(Literal(*constant(each), many.at, each) for each in many.value)
            except InvalidInput as error:
                raise self._refuse(many, str(error)) from None
        if items is None or not all(isinstance(item, Literal) for item in items):
            return replace(node, arguments=(one, many), kind="bool")
        members: list[Node] = []
        for item in items:
            member = self._timed(item, one)
            assert isinstance(member, Literal)
            numbers = one.kind in _NUMBERS and member.kind in _NUMBERS
            if not (numbers or member.kind == one.kind or "dyn" in (one.kind, member.kind) or member.kind == "null"):
                raise self._refuse(item, f"{one.kind} is never equal to {member.kind}{_remedy((one.kind, member.kind))}")
            exact = _stepped("_==_", member, _step(one)) if one.kind in _TIMES else _exactly("_==_", one.kind, member)
            if not isinstance(exact, bool):
                members.append(exact[1])
        return replace(node, arguments=(one, ListOf(tuple(members), many.at)), kind="bool")

    def _timed(self, one: Node, other: Node) -> Node:
        """Return a text or parameter as the time that it means beside another value, if that is one."""
        if not isinstance(one, Literal) or other.kind not in _TIMES or isinstance(other, Literal):
            return one
        type = other.type if isinstance(other, Column) else None
        try:
            if one.kind == "string" and (other.kind == "timestamp" or (type is not None and t.is_time(type))):
                return Literal(time_of(one.value, type), other.kind, one.at)
            if one.kind == other.kind and one.given is not None:
                return Literal(time_of(one.given, type), other.kind, one.at)
        except InvalidInput as error:
            raise self._refuse(one, str(error)) from None
        return one


_FLIPPED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}


def _step(node: Node) -> int:
    """Return of how many nanoseconds a time is a multiple."""
    type = node.type if isinstance(node, Column) else None
    return 1000 if type is None else nanoseconds(type)


def _fits(kind: str, wanted: str) -> bool:
    return kind in (wanted, "dyn")


def _remedy(kinds: tuple[str, ...]) -> str:
    if set(kinds) == {"int", "uint"}:
        return "; write int(x) or uint(x)"
    if "string" in kinds and set(kinds) & set(_NUMBERS):
        number = next(kind for kind in kinds if kind in _NUMBERS)
        return f"; write {number}(x) or string(x)"
    return ""


def _beside(node: Node, other: Node) -> Node:
    """Return a number as one of the kind that the other is."""
    if other.kind == "double" and node.kind in ("int", "uint"):
        if isinstance(node, Literal):
            return replace(node, value=float(node.value), kind="double", given=None)
        return Call("double", (node,), node.at, kind="double")
    if other.kind == "uint" and isinstance(node, Literal) and node.kind == "int" and node.value >= 0:
        return replace(node, kind="uint", given=None)
    if other.kind == "int" and isinstance(node, Literal) and node.kind == "uint" and node.value <= MOST_INT:
        return replace(node, kind="int", given=None)
    return node


def _exactly(function: str, kind: str, constant: Literal) -> tuple[str, Literal] | bool:
    """Return a comparison of a value of a kind with a constant as one with a constant of that kind; or what it is for every value."""
    if kind not in _NUMBERS or constant.kind not in _NUMBERS or kind == constant.kind:
        return function, constant
    value = constant.value
    if kind == "double":
        return (function, replace(constant, value=float(value), kind="double")) if abs(value) <= _EXACT_DOUBLE else (function, constant)
    low, high = (LEAST_INT, MOST_INT) if kind == "int" else (0, MOST_UINT)
    if value != value:
        return function == "_!=_"
    if value > high or value < low:
        return function == "_!=_" if function in ("_==_", "_!=_") else (function in ("_<_", "_<=_")) is (value > high)
    return _stepped(function, replace(constant, kind=kind, given=None), 1)


def _stepped(function: str, constant: Literal, step: int) -> tuple[str, Literal] | bool:
    """Return a comparison of a multiple of ``step`` with a constant as one with a multiple; or what it is for every value."""
    whole = floor(constant.value) if step == 1 else constant.value // step * step
    if whole != constant.value:
        if function in ("_==_", "_!=_"):
            return function == "_!=_"
        function = "_<=_" if function in ("_<_", "_<=_") else "_>_"
    return function, replace(constant, value=whole)
