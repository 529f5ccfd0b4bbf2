"""The tree of a CEL expression.

A node says at which character of the text it begins, and of what kind its value is. Kinds are CEL's types by name; "dyn" is known only when
a record is there. The parser makes ``Name`` and ``Select``; ``checking`` puts columns and constants in their place, so that beneath it
none of them is left but ``Name`` for the variable of a macro.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ROW = "row"
"""The name of the whole record."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. A timestamp is nanoseconds since 1970 in UTC, a duration nanoseconds, a list a tuple of plain values.

    ``given`` is what a parameter was before; a datetime may lack a zone.
    """

    value: Any
    kind: str
    at: int
    given: Any = None


@dataclass(frozen=True, slots=True)
class Name:
    """A word that is a column, a parameter, the variable of a macro, a type, or ``row``."""

    text: str
    at: int
    kind: str = "dyn"


@dataclass(frozen=True, slots=True)
class Select:
    """A field of what stands before the dot."""

    operand: Node
    field: str
    at: int
    kind: str = "dyn"


@dataclass(frozen=True, slots=True)
class Call:
    """A function, method or operator by CEL's name: ``_+_``, ``!_``, ``_?_:_``, ``_[_]``, ``size``.

    ``_&&_`` and ``_||_`` have two arguments or more. The first argument of a method is what it is called on.
    """

    function: str
    arguments: tuple[Node, ...]
    at: int
    method: bool = False
    kind: str = "dyn"


@dataclass(frozen=True, slots=True)
class Macro:
    """A loop over ``range``: all, exists, exists_one, filter, map; ``bodies`` are two for a map that filters."""

    name: str
    range: Node
    variable: str
    bodies: tuple[Node, ...]
    at: int
    kind: str = "dyn"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list written out."""

    items: tuple[Node, ...]
    at: int
    kind: str = "list"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map written out: keys and values in turn."""

    items: tuple[Node, ...]
    at: int
    kind: str = "map"


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or with a longer path a field within one; ``type`` is its Arrow type, None within a document."""

    path: tuple[str, ...]
    kind: str
    at: int
    type: Any = None


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a column, or a field within one, is null or not there at all."""

    column: Column
    at: int
    kind: str = "bool"


Node = Literal | Name | Select | Call | Macro | ListOf | MapOf | Column | Missing


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly beneath one."""
    match node:
        case Call(arguments=below) | ListOf(items=below) | MapOf(items=below):
            return below
        case Select():
            return (node.operand,)
        case Macro():
            return (node.range, *node.bodies)
    return ()


def everything(node: Node) -> Iterator[Node]:
    """Yield a node and all beneath it."""
    yield node
    for each in children(node):
        yield from everything(each)
