"""The engine in Python (cel-python), for where the quick one has no build: some hundred times slower.

Its comparisons, which know no numbers of two kinds, and its look-up, which counts from the end, are replaced by the language's own.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import add, ge, gt, le, lt, mod, mul, sub, truediv
from typing import Any

import celpy
from celpy import celtypes
from celpy.evaluation import CELEvalError

from sopnb.cel.engines import conversions
from sopnb.cel.engines.engine import Evaluate

for _name in ("celpy", "Environment", "Evaluator", "NameContainer"):
    logging.getLogger(_name).setLevel(logging.WARNING)

DEEP = 2500
"""Python's limit of recursion is raised to this: the engine walks down an expression by some forty calls for each part in a part."""
_ASCII = {
    "lowerAscii": {code: code + 32 for code in range(65, 91)},
    "upperAscii": {code: code - 32 for code in range(97, 123)},
}


class Python:
    """The engine in Python."""

    most_steps = 20_000

    def program(self, text: str, kinds: Mapping[str, str]) -> Evaluate:
        """Return what evaluates a text whose variables are of these kinds."""
        limit = sys.getrecursionlimit()
        try:
            environment = celpy.Environment()  # sets that limit, higher or lower
            program = environment.program(environment.compile(text), functions=_FUNCTIONS)
        except (celpy.CELParseError, RecursionError) as error:
            raise ValueError(str(error).splitlines()[0]) from None
        finally:
            sys.setrecursionlimit(max(limit, DEEP))
        takers = {name: _TAKERS.get(kind, _taken) for name, kind in kinds.items()}

        def evaluate(values: dict[str, Any]) -> Any:
            try:
                found = program.evaluate({name: takers[name](value) for name, value in values.items()})
            except RecursionError:
                raise
            except Exception:  # whatever it stumbles over, the value is not known
                return None
            return _given(found)

        return evaluate


def make() -> Python:
    """Return the engine."""
    return Python()


def _taken(value: Any) -> Any:
    """Return a plain value as one of the engine's."""
    if value is None:
        return None
    if isinstance(value, list):
        return celtypes.ListType([_taken(each) for each in value])
    if isinstance(value, dict):
        return celtypes.MapType({_taken(name): _taken(each) for name, each in value.items()})
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**63:
        return celtypes.UintType(value)
    return _BY_TYPE[type(value)](value)


_BY_TYPE: dict[type, Callable[[Any], Any]] = {
    bool: celtypes.BoolType, int: celtypes.IntType, float: celtypes.DoubleType, str: celtypes.StringType, bytes: celtypes.BytesType,
    datetime: celtypes.TimestampType, timedelta: celtypes.DurationType,
}  # fmt: skip
_TAKERS: dict[str, Callable[[Any], Any]] = {"uint": celtypes.UintType}


def _given(value: Any) -> Any:
    """Return a value of the engine as a plain one; what it could not compute is None."""
    match value:
        case None | Exception():
            return None
        case celtypes.BoolType() | bool():
            return bool(value)
        case celtypes.TimestampType() | datetime():
            moment = value.astimezone(UTC)
            return datetime.combine(moment.date(), moment.time(), UTC)
        case celtypes.DurationType() | timedelta():
            return timedelta(value.days, value.seconds, value.microseconds)
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str(value)
        case bytes():
            return bytes(value)
        case list() | tuple():
            return [_given(each) for each in value]
        case dict():
            return {_given(name): _given(each) for name, each in value.items()}
    return value


# -- the language's own rules -------------------------------------------------------------------------------------------------


def _error(*values: Any) -> Any:
    """Return the first error among values, and among those of a map, where the engine leaves them."""
    for each in values:
        if isinstance(each, CELEvalError):
            return each
        if isinstance(each, dict) and (inner := _error(*each.values())) is not None:
            return inner
    return None


def _equal(one: Any, other: Any) -> Any:
    return _error(one, other) or celtypes.BoolType(_same(one, other))


def _size(value: Any) -> Any:
    if not isinstance(value, str | bytes | list | dict):
        raise TypeError("no such overload")
    return _error(value) or celtypes.IntType(len(value))


def _converted(convert: Callable[[Any], Any], make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a conversion of the language for values of the engine."""

    def result(value: Any) -> Any:
        try:
            return make(convert(_given(value)))
        except OverflowError as error:
            raise ValueError(str(error)) from None

    return result


def _type(value: Any) -> Any:
    """Return what the engine takes the name of a type for: the conversion to it, where there is one."""
    name = next((name for sort, name in _TYPES.items() if isinstance(value, sort)), None)
    return type(None) if value is None else _FUNCTIONS.get(name or "") or _OTHER_TYPES.get(name or "", celtypes.TypeType)


_TYPES = {
    celtypes.BoolType: "bool", celtypes.IntType: "int", celtypes.UintType: "uint", celtypes.DoubleType: "double",
    celtypes.StringType: "string", celtypes.BytesType: "bytes", celtypes.TimestampType: "timestamp", celtypes.DurationType: "duration",
    celtypes.ListType: "list", celtypes.MapType: "map",
}  # fmt: skip
_OTHER_TYPES = {"list": celtypes.ListType, "map": celtypes.MapType}


def _milliseconds(value: Any, zone: Any = None) -> Any:
    return celtypes.IntType(conversions.milliseconds(_given(value)))


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or callable(one) or callable(other):
        return one is other
    if _number(one) and _number(other):
        # as doubles where one of them is: so does the engine in C++
        return float(one) == float(other) if isinstance(one, float) or isinstance(other, float) else int(one) == int(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(name in other and _same(each, other[name]) for name, each in one.items())
    if _sort(one) is not _sort(other):
        return False
    return bool(_sort(one).__eq__(one, other))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, celtypes.BoolType | bool)


def _sort(value: Any) -> Any:
    sorts: tuple[type, ...] = (celtypes.BoolType, str, bytes, datetime, timedelta, list, dict)
    return next((sort for sort in sorts if isinstance(value, sort)), type(value))


def _different(one: Any, other: Any) -> Any:
    return _error(one, other) or celtypes.BoolType(not _same(one, other))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def judge(one: Any, other: Any) -> Any:
        if (error := _error(one, other)) is not None:
            return error
        if _number(one) and _number(other):
            doubles = isinstance(one, float) or isinstance(other, float)
            return celtypes.BoolType(compare(float(one), float(other)) if doubles else compare(int(one), int(other)))
        sort = _sort(one)
        if sort is not _sort(other) or sort not in (celtypes.BoolType, str, bytes, datetime, timedelta):
            raise TypeError("no such overload")
        return celtypes.BoolType(compare(*(_bare(each) for each in (one, other))))

    return judge


def _bare(value: Any) -> Any:
    """Return a value of the engine as Python compares it."""
    return int(value) if isinstance(value, celtypes.BoolType) else _given(value)


def _among(one: Any, many: Any) -> Any:
    if (error := _error(one, many)) is not None:
        return error
    if not isinstance(many, list | dict):
        raise TypeError("no such overload")
    return celtypes.BoolType(any(_same(one, each) for each in many))


def _at(container: Any, place: Any) -> Any:
    if (error := _error(container, place)) is not None:
        return error
    if isinstance(container, list):
        if not _number(place) or place != int(place):
            raise TypeError("no such overload")
        if not 0 <= place < len(container):
            raise IndexError(place)
        return container[int(place)]
    if isinstance(container, dict):
        for name, each in container.items():
            if _same(name, place):
                return each
        raise KeyError(place)
    raise TypeError("no such overload")


def _calculated(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def result(one: Any, other: Any) -> Any:
        if (error := _error(one, other)) is not None:
            return error
        if _number(one) and _number(other):
            if type(one) is not type(other) or (isinstance(one, float) and compute is mod):
                raise TypeError("no such overload")
            if compute is mod and int(other) == -1 and int(one) == -(2**63):
                raise ValueError("overflow")
            # as plain floats, for those of the engine cannot be compared with a plain zero
            return celtypes.DoubleType(compute(float(one), float(other))) if isinstance(one, float) else compute(one, other)
        if type(one) is type(other) is celtypes.BoolType:
            raise TypeError("no such overload")
        return compute(one, other)

    return result


def _divided(one: Any, other: Any) -> Any:
    if isinstance(one, float) and other == 0:
        return math.nan if one != one or one == 0 else math.copysign(math.inf, one) * math.copysign(1, other)
    return truediv(one, other)


def _cased(table: dict[int, int]) -> Callable[[Any], Any]:
    def change(text: Any) -> Any:
        if not isinstance(text, str):
            raise TypeError("no such overload")
        return celtypes.StringType(text.translate(table))

    return change


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_==_": _equal, "_!=_": _different, "_<_": _ordered(lt), "_<=_": _ordered(le), "_>_": _ordered(gt), "_>=_": _ordered(ge),
    "_+_": _calculated(add), "_-_": _calculated(sub), "_*_": _calculated(mul), "_/_": _calculated(_divided), "_%_": _calculated(mod),
    "int": _converted(conversions.to_int, celtypes.IntType), "uint": _converted(conversions.to_uint, celtypes.UintType),
    "double": _converted(conversions.to_double, celtypes.DoubleType), "string": _converted(conversions.to_text, celtypes.StringType),
    "bool": _converted(conversions.to_bool, celtypes.BoolType), "bytes": _converted(conversions.to_bytes, celtypes.BytesType),
    "timestamp": _converted(conversions.to_moment, celtypes.TimestampType),
    "duration": _converted(conversions.to_span, celtypes.DurationType),
    "_in_": _among, "size": _size, "type": _type, "getMilliseconds": _milliseconds,
    "_[_]": _at, **{name: _cased(table) for name, table in _ASCII.items()},
}  # fmt: skip
