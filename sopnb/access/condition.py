"""What a ``pyarrow.compute`` expression says, as a tree: Arrow itself shows no more of it than a text.

An expression can be serialised: as a record batch of its literals whose metadata spells out the tree, in order and with repeated names.
Python's view of metadata is a dict and drops those, so they are taken from Arrow's C data interface. An expression that cannot be read
(another version of Arrow may write it otherwise) is no tree at all, and whoever wanted one does without.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Field:
    """A column; ``path`` has more than one name for a field within it."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, an Arrow scalar."""

    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A function of Arrow's, by name; ``options`` are a scalar of a struct, None where it has none."""

    function: str
    arguments: tuple[Node, ...]
    options: Any = None


Node = Field | Literal | Call


def tree(expression: Any) -> Node | None:
    """Return the tree of an expression, None if it cannot be read."""
    try:
        (data,) = expression.__reduce__()[1]
        with pa.ipc.open_file(data) as reader:
            literals = reader.get_batch(0)
        steps = _metadata(reader.schema)
        node = _node(next(steps), steps, literals)
        return node if next(steps, None) is None else None
    except (pa.ArrowException, ValueError, TypeError, IndexError, StopIteration):
        return None


def both(one: Node, other: Node) -> Node:
    """Return the tree of ``one & other``."""
    return Call("and_kleene", (one, other))


def _node(step: tuple[str, str], steps: Iterator[tuple[str, str]], literals: Any) -> Node:
    kind, said = step
    if kind == "field_ref":
        return Field((said,))
    if kind == "nested_field_ref":
        return Field(tuple(next(steps)[1] for _ in range(int(said))))
    if kind == "literal":
        return Literal(literals.column(int(said))[0])
    if kind != "call":
        raise ValueError(kind)
    arguments: list[Node] = []
    options = None
    for step in steps:
        if step[0] == "end":
            return Call(said, tuple(arguments), options)
        if step[0] == "options":
            options = literals.column(int(step[1]))[0]
        else:
            arguments.append(_node(step, steps, literals))
    raise ValueError(said)


class _ArrowSchema(ctypes.Structure):
    """The beginning of Arrow's C structure."""

    _fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p)]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _metadata(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield the metadata of a schema in order: a number of pairs, then each name and value behind its length."""
    capsule = schema.__arrow_c_schema__()
    at = _ArrowSchema.from_address(_pointer(capsule, b"arrow_schema")).metadata
    if at is None:
        return

    def number() -> int:
        nonlocal at
        value = ctypes.c_int32.from_address(at).value
        at += 4
        return value

    def text() -> str:
        nonlocal at
        size = number()
        value = ctypes.string_at(at, size).decode()
        at += size
        return value

    for _ in range(number()):
        name = text()
        yield name, text()
