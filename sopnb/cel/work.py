"""How much work an expression may be for one record, before it is done.

Sizes and steps are upper bounds, made of the tree and of the sizes of what the record gives: a loop takes as many steps as the list over
which it goes may have members, times those of its body. An engine is asked only for what is bounded by its limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from sopnb.cel.tree import Call, Column, ListOf, Literal, Macro, MapOf, Missing, Name, Node, Select, everything

MOST_SIZE = 16 * 1024 * 1024
"""No value on the way is larger: characters, bytes and members together."""
_BEYOND = 10**15
"""More than any limit; no bound is counted further."""
_PER_STEP = 64
"""So many characters are one step of an engine."""


def loops(node: Node) -> bool:
    """Say whether an expression has loops; without them its work is bounded by its length."""
    return any(isinstance(each, Macro) for each in everything(node))


def size_of(value: Any) -> int:
    """Return the size of a plain value."""
    if isinstance(value, str | bytes):
        return len(value) + 1
    if isinstance(value, list | tuple):
        return 1 + sum(map(size_of, value))
    if isinstance(value, dict):
        return 1 + sum(map(size_of, value)) + sum(map(size_of, value.values()))
    return 1


def work(node: Node, sizes: Mapping[tuple[str, ...], int]) -> tuple[int, int]:
    """Return (the largest size of a value, the most steps) for columns of these sizes."""
    largest = 0

    def done(size: int, steps: int) -> tuple[int, int]:
        nonlocal largest
        size = min(size, _BEYOND)
        largest = max(largest, size)
        return size, min(steps, _BEYOND)

    def walk(node: Node, members: Mapping[str, int]) -> tuple[int, int]:
        match node:
            case Literal():
                return done(size_of(node.value), 1)
            case Column():
                return done(sizes.get(node.path, 1), 1)
            case Missing():
                return 1, 1
            case Name():
                return members.get(node.text, 1), 1
            case Select():
                size, steps = walk(node.operand, members)
                return size, steps + 1
            case Macro():
                return loop(node, members)
        if isinstance(node, ListOf | MapOf):
            below = [walk(each, members) for each in node.items]
            return done(1 + sum(size for size, _ in below), 1 + sum(steps for _, steps in below))
        below = [walk(each, members) for each in node.arguments]
        total = sum(size for size, _ in below)
        size = total if _grows(node) else 1
        return done(size, 1 + total // _PER_STEP + sum(steps for _, steps in below))

    def loop(node: Macro, members: Mapping[str, int]) -> tuple[int, int]:
        size, steps = walk(node.range, members)
        inner = {**members, node.variable: 1 if _of_numbers(node.range) else size}
        results = [walk(each, inner) for each in node.bodies]
        steps += size * (1 + sum(each for _, each in results))
        if node.name == "map":
            return done(size * max(results[-1][0], 1), steps)
        return done(size if node.name == "filter" else 1, steps)

    _, steps = walk(node, {})
    return largest, steps


def _of_numbers(node: Node) -> bool:
    """Say whether a list has members of a fixed size."""
    type = node.type if isinstance(node, Column) else None
    return type is not None and pa.types.is_primitive(getattr(type, "value_type", pa.null()))


def _grows(node: Call) -> bool:
    """Say whether the result may be as large as all arguments together."""
    return node.kind in ("string", "bytes", "list", "map", "dyn")
