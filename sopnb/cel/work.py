"""How much work an expression may be for one record, before it is done.

Extents and steps are upper bounds, made of the tree and of the extents of what the record gives: a loop takes as many steps as the list
over which it goes may have members, times those of its body. An engine is asked only for what is bounded by its limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sopnb.cel.tree import Call, Column, ListOf, Literal, Macro, MapOf, Missing, Name, Node, Select, everything

MOST_SIZE = 16 * 1024 * 1024
"""No value on the way is larger: characters, bytes and members together."""
_BEYOND = 10**15
"""More than any limit; no bound is counted further."""
_LONGEST_NUMBER = 32
_PER_STEP = 64
"""So many characters are one step of an engine."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a value is at most: how many members it has, the size of the largest of them, and of all together."""

    members: int = 1
    largest: int = 1
    size: int = 1

    @classmethod
    def of(cls, value: Any) -> Extent:
        """Return the extent of a plain value."""
        if isinstance(value, str | bytes):
            return cls.flat(len(value) + 1)
        if isinstance(value, list | tuple):
            sizes = [cls.of(each).size for each in value]
        elif isinstance(value, dict):
            sizes = [cls.of(each).size for pair in value.items() for each in pair]
        else:
            return ONE
        return cls(len(value), max(sizes, default=1), 1 + sum(sizes))

    @classmethod
    def flat(cls, size: int) -> Extent:
        """Return the extent of a value of this size of whose members nothing is known."""
        return cls(size, size, size)

    def __or__(self, other: Extent) -> Extent:
        """Return what either may be."""
        return Extent(max(self.members, other.members), max(self.largest, other.largest), max(self.size, other.size))

    def __add__(self, other: Extent) -> Extent:
        """Return what both are, one after the other."""
        return Extent(self.members + other.members, max(self.largest, other.largest), self.size + other.size)


ONE = Extent()


def widest(values: Iterable[Any]) -> Extent:
    """Return what any of these plain values may be."""
    found = ONE
    for value in values:
        found |= Extent.of(value)
    return found


def loops(node: Node) -> bool:
    """Say whether an expression has loops; without them its work is bounded by its length."""
    return any(isinstance(each, Macro) for each in everything(node))


def work(node: Node, extents: Mapping[tuple[str, ...], Extent]) -> tuple[int, int]:
    """Return (the largest size of a value, the most steps) for columns of these extents."""
    largest = 0

    def done(extent: Extent, steps: int) -> tuple[Extent, int]:
        nonlocal largest
        largest = max(largest, min(extent.size, _BEYOND))
        capped = Extent(min(extent.members, _BEYOND), min(extent.largest, _BEYOND), min(extent.size, _BEYOND))
        return capped, min(steps, _BEYOND)

    def walk(node: Node, members: Mapping[str, int]) -> tuple[Extent, int]:
        match node:
            case Literal():
                return done(Extent.of(node.value), 1)
            case Column():
                return done(extents.get(node.path, ONE), 1)
            case Missing():
                return ONE, 1
            case Name():
                return Extent.flat(members.get(node.text, 1)), 1
            case Select():
                extent, steps = walk(node.operand, members)
                return Extent.flat(extent.largest), steps + 1
            case Macro():
                return loop(node, members)
        if isinstance(node, ListOf | MapOf):
            below = [walk(each, members) for each in node.items]
            sizes = [extent.size for extent, _ in below]
            return done(Extent(len(sizes), max(sizes, default=1), 1 + sum(sizes)), 1 + sum(steps for _, steps in below))
        below = [walk(each, members) for each in node.arguments]
        total = sum((extent for extent, _ in below), Extent(0, 1, 0))
        return done(_result(node, total, below), 1 + total.size // _PER_STEP + sum(steps for _, steps in below))

    def loop(node: Macro, members: Mapping[str, int]) -> tuple[Extent, int]:
        over, steps = walk(node.range, members)
        results = [walk(each, {**members, node.variable: over.largest}) for each in node.bodies]
        steps += over.members * (1 + sum(each for _, each in results))
        if node.name == "map":
            size = results[-1][0].size
            return done(Extent(over.members, size, 1 + over.members * size), steps)
        return done(over if node.name == "filter" else ONE, steps)

    _, steps = walk(node, {})
    return largest, steps


def _result(node: Call, total: Extent, below: list[tuple[Extent, int]]) -> Extent:
    """Return what a call may give."""
    if node.function == "_[_]":
        return Extent.flat(below[0][0].largest)
    if node.function == "string":
        return Extent.flat(total.size + _LONGEST_NUMBER)
    # any other that gives text or a list gives no more than all that it takes
    return total if node.kind in ("string", "bytes", "list", "map", "dyn") else ONE
