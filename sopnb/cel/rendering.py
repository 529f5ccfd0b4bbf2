"""A checked tree as text for an engine: names of our own for what a record gives, so that no column's name needs to suit the language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sopnb.cel.tree import Call, Column, ListOf, Literal, Macro, MapOf, Missing, Name, Node, Select

Variable = Column | Missing | Literal
"""What is given to an engine under a name; a constant where the language has no words for it."""


@dataclass(frozen=True)
class Rendered:
    """Text for an engine, and what each of its variables is."""

    text: str
    variables: dict[str, Variable]


def rendered(node: Node) -> Rendered:
    """Return a checked tree as text."""
    names: dict[Any, str] = {}
    variables: dict[str, Variable] = {}

    def name(key: Any, variable: Variable) -> str:
        if key not in names:
            names[key] = f"v{len(names)}"
            variables[names[key]] = variable
        return names[key]

    def said(node: Node) -> str:
        match node:
            case Literal():
                return _constant(node) or name(id(node), node)
            case Column():
                return name(node.path, node)
            case Missing():
                return name((node.column.path, "missing"), node)
            case Name():
                return node.text if node.kind == "type" else f"m_{node.text}"
            case Select():
                return f"{said(node.operand)}[{_quoted(node.field)}]"
            case ListOf():
                return f"[{', '.join(map(said, node.items))}]"
            case MapOf():
                pairs = zip(node.items[::2], node.items[1::2], strict=True)
                return f"{{{', '.join(f'{said(key)}: {said(value)}' for key, value in pairs)}}}"
            case Macro():
                over, variable = said(node.range), f"m_{node.variable}"
                *conditions, body = map(said, node.bodies)
                over += "".join(f".filter({variable}, {each})" for each in conditions)
                return f"{over}.{node.name}({variable}, {body})"
            case Call():
                return call(node)

    def call(node: Call) -> str:
        match node.function:
            case "_&&_" | "_||_":
                return _balanced([said(each) for each in node.arguments], node.function.strip("_"))
            case "_?_:_":
                condition, one, other = map(said, node.arguments)
                nested = isinstance(node.arguments[2], Call) and node.arguments[2].function == "_?_:_"
                # without parentheses a chain is as deep as it is long in one engine, not twice that
                return f"({condition} ? {one} : {other[1:-1] if nested else other})"
            case "_[_]":
                return "{}[{}]".format(*map(said, node.arguments))
            case "dyn":
                return said(node.arguments[0])
            case "has":
                select = node.arguments[0]
                assert isinstance(select, Select)
                return f"has({said(select.operand)}.{select.field})"
            case "_in_":
                return "({} in {})".format(*map(said, node.arguments))
            case function if function.endswith("_"):
                arguments = [said(each) for each in node.arguments]
                sign = function.strip("_")
                return f"({sign}{arguments[0]})" if len(arguments) == 1 else f"({f' {sign} '.join(arguments)})"
        first, *rest = [said(each) for each in node.arguments] or [""]
        return f"{first}.{node.function}({', '.join(rest)})" if node.method else f"{node.function}({', '.join([first, *rest])})"

    return Rendered(said(node), variables)


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
