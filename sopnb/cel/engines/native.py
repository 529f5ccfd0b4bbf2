"""Google's engine in C++ (cel-expr-python): three to eight millionths of a second for a record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from sopnb.cel.engines.engine import Evaluate
from sopnb.cel.rendering import spelled

_TYPES = {
    "bool": cel.Type.BOOL, "int": cel.Type.INT, "uint": cel.Type.UINT, "double": cel.Type.DOUBLE, "string": cel.Type.STRING,
    "bytes": cel.Type.BYTES, "timestamp": cel.Type.TIMESTAMP, "duration": cel.Type.DURATION,
}  # fmt: skip


class Native:
    """The engine in C++. It has limits of its own on loops and on depth besides."""

    most_steps = 500_000

    def program(self, text: str, kinds: Mapping[str, str]) -> Evaluate:
        """Return what evaluates a text whose variables are of these kinds."""
        try:
            # unchecked, for the checker of the library refuses comparisons of int and double, which its evaluator knows
            expression = _environment(tuple(kinds.items())).compile(text, disable_check=True)
        except RuntimeError as error:
            raise ValueError(str(error).splitlines()[0]) from None

        def evaluate(values: dict[str, Any]) -> Any:
            zeros = [name for name, value in values.items() if _has_zero(value)]
            if zeros:
                return _result(*_spelled(text, kinds, values, zeros))
            return _result(expression, values)

        return evaluate


def _result(expression: Any, values: dict[str, Any]) -> Any:
    try:
        found = expression.eval(data=values)
        if found.type().name() == "ERROR":
            return None
        value = found.plain_value()
    except (RuntimeError, TypeError, ValueError, OverflowError):
        return None
    return bytes(value) if type(value) is bytearray else value


def _has_zero(value: Any) -> bool:
    """Say whether text or bytes have a zero in them, where the library would cut them off."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, bytes):
        return b"\0" in value
    if isinstance(value, list):
        return any(map(_has_zero, value))
    return isinstance(value, dict) and (any(map(_has_zero, value)) or any(map(_has_zero, value.values())))


def _spelled(text: str, kinds: Mapping[str, str], values: dict[str, Any], names: list[str]) -> tuple[Any, dict[str, Any]]:
    """Return an expression in which some values are constants, and the other values."""
    for name in names:
        text = f"[{spelled(values[name])}].map({name}, {text})[0]"
    rest = {name: value for name, value in values.items() if name not in names}
    environment = _environment(tuple((name, kind) for name, kind in kinds.items() if name not in names))
    try:
        return environment.compile(text, disable_check=True), rest
    except RuntimeError as error:
        raise ValueError(f"a text with a zero in it is too long for the engine: {str(error).splitlines()[0]}") from None


def make() -> Native:
    """Return the engine."""
    return Native()


@lru_cache(maxsize=64)
def _environment(kinds: tuple[tuple[str, str], ...]) -> Any:
    variables = {name: _TYPES.get(kind, cel.Type.DYN) for name, kind in kinds}
    # the extension brings lowerAscii and upperAscii; of the others it brings none is let through to here
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings()])
