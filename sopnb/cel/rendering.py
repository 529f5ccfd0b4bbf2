"""A checked tree as text: for an engine, with names of our own so that no column's name needs to suit the language; and for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sopnb.cel.constants import NANOS
from sopnb.cel.parser import RESERVED
from sopnb.cel.tree import ROW, Call, Column, ListOf, Literal, Macro, MapOf, Missing, Name, Node, Select

Variable = Column | Missing | Literal
"""What is given to an engine under a name; a constant where the language has no words for it."""


@dataclass(frozen=True)
class Rendered:
    """Text for an engine, and what each of its variables is."""

    text: str
    variables: dict[str, Variable]


def rendered(node: Node) -> Rendered:
    """Return a checked tree as text for an engine."""
    names: dict[Any, str] = {}
    variables: dict[str, Variable] = {}

    def name(variable: Variable) -> str:
        match variable:
            case Column():
                key: Any = variable.path
            case Missing():
                key = (variable.column.path, "missing")
            case Literal():
                key = id(variable)
        if key not in names:
            names[key] = f"v{len(names)}"
            variables[names[key]] = variable
        return names[key]

    return Rendered(_Renderer(name, "m_").said(node), variables)


def told(node: Node) -> str:
    """Return a checked tree as text for people: with the names of columns, and constants in the place of parameters.

    Times and durations are told to the nanosecond, so that expressions told alike give the same.
    """

    def name(variable: Variable) -> str:
        match variable:
            case Column(path=(first, *fields)):
                plain = all(map(_plain, (first, *fields)))
                return ".".join(variable.path) if plain else f"row{''.join(f'[{spelled(part)}]' for part in variable.path)}"
            case Missing():
                return f"({name(variable.column)} == null)"
            case Literal(kind="timestamp"):
                seconds, nanos = divmod(variable.value, NANOS)
                return f'timestamp("{np.datetime64(seconds, "s")}.{nanos:09}Z")'
            case Literal(kind="duration"):
                seconds, nanos = divmod(abs(variable.value), NANOS)
                fraction = f".{nanos:09}".rstrip("0") if nanos else ""
                return f'duration("{"-" if variable.value < 0 else ""}{seconds}{fraction}s")'
            case Literal(kind="list"):
                return f"[{', '.join(map(repr, variable.value))}]"
        return str(variable.value) if isinstance(variable, Literal) else ROW

    text = _Renderer(name, "").said(node)
    # the outermost parentheses say nothing
    return text[1:-1] if isinstance(node, Missing) or (isinstance(node, Call) and node.function.endswith("_")) else text


def _plain(name: str) -> bool:
    return name.isascii() and name.isidentifier() and name not in RESERVED and name != ROW


@dataclass(frozen=True)
class _Renderer:
    """Writes a tree as text; ``name`` says what a variable is called, ``prefix`` stands before the variables of loops."""

    name: Callable[[Variable], str]
    prefix: str

    def said(self, node: Node) -> str:
        match node:
            case Literal():
                return _constant(node) or self.name(node)
            case Column() | Missing():
                return self.name(node)
            case Name():
                return node.text if node.kind == "type" else f"{self.prefix}{node.text}"
            case Select():
                return f"{self.said(node.operand)}[{_quoted(node.field)}]"
            case ListOf():
                return f"[{', '.join(map(self.said, node.items))}]"
            case MapOf():
                pairs = zip(node.items[::2], node.items[1::2], strict=True)
                return f"{{{', '.join(f'{self.said(key)}: {self.said(value)}' for key, value in pairs)}}}"
            case Macro():
                over, variable = self.said(node.range), f"{self.prefix}{node.variable}"
                *conditions, body = map(self.said, node.bodies)
                over += "".join(f".filter({variable}, {each})" for each in conditions)
                return f"{over}.{node.name}({variable}, {body})"
            case Call():
                return self._call(node)

    def _call(self, node: Call) -> str:
        arguments = [self.said(each) for each in node.arguments]
        match node.function:
            case "_&&_" | "_||_":
                return _balanced(arguments, node.function.strip("_"))
            case "_?_:_":
                condition, one, other = arguments
                nested = isinstance(node.arguments[2], Call) and node.arguments[2].function == "_?_:_"
                # without parentheses a chain is as deep as it is long in one engine, not twice that
                return f"({condition} ? {one} : {other[1:-1] if nested else other})"
            case "_[_]":
                return f"{arguments[0]}[{arguments[1]}]"
            case "dyn":
                return arguments[0]
            case "has":
                select = node.arguments[0]
                assert isinstance(select, Select)
                return f"has({self.said(select.operand)}.{select.field})"
            case "_in_":
                return f"({' in '.join(arguments)})"
            case function if function.endswith("_"):
                sign = function.strip("_")
                return f"({sign}{arguments[0]})" if len(arguments) == 1 else f"({f' {sign} '.join(arguments)})"
        first, *rest = arguments or [""]
        return f"{first}.{node.function}({', '.join(rest)})" if node.method else f"{node.function}({', '.join([first, *rest])})"


def _balanced(parts: list[str], sign: str) -> str:
    """Return a join of many as joins of halves, for engines do not like a long chain."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_balanced(parts[:middle], sign)} {sign} {_balanced(parts[middle:], sign)})"


def _constant(node: Literal) -> str | None:
    """Return the words for a constant, None if it has none."""
    value = node.value
    match node.kind:
        case "null":
            return "null"
        case "bool":
            return "true" if value else "false"
        case "int":
            return str(value) if value >= 0 else f"({value})"
        case "uint":
            return f"{value}u"
        case "double" if value - value == 0:
            return repr(value) if value > 0 or repr(value) == "0.0" else f"({value!r})"
        case "string":
            return _quoted(value)
        case "bytes":
            return spelled(value)
    return None


def spelled(value: Any) -> str:
    """Return a plain value of text, bytes, numbers, and lists and dicts of them, as a constant of the language."""
    match value:
        case None | bool():
            return "null" if value is None else str(value).lower()
        case str():
            return _quoted(value)
        case bytes():
            return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
        case list():
            return f"[{', '.join(map(spelled, value))}]"
        case dict():
            return f"{{{', '.join(f'{spelled(name)}: {spelled(each)}' for name, each in value.items())}}}"
    return repr(value)


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPED.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'


_ESCAPED = {'"': '\\"', "\\": "\\\\"}
