"""The stored form of a branch: what it says of each child, and where that child lies.

A branch is a msgpack array of columns, one item for each child. Level 0 speaks of leaves, level n of branches of level n - 1. Invariants:
``keys[i]`` is the first key in child i, exactly; keys ascend; ``entries`` and ``delta`` count what is in the child; an extent's checksum
is seeded by the database and the blob's name, so a stale or swapped extent is never taken for the right one.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import numpy as np

from sopnb.engine.statistics import Bounds
from sopnb.errors import Corruption


class Extent(NamedTuple):
    """Some bytes of a blob, and their checksum."""

    blob: str
    offset: int
    length: int
    checksum: int


class Shape(NamedTuple):
    """What all rows of a leaf share; None for what differs and is a hidden column of the leaf.

    ``seq`` 0 stands for the commit that brought the tree. ``far`` says that there is a column of values out of line.
    """

    op: int | None
    seq: int | None
    delta: int | None
    far: bool


class Child(NamedTuple):
    """One child of a branch; ``stats`` (smallest, largest, nulls by column) and ``values`` (bytes out of line by blob) only for leaves."""

    key: bytes
    extent: Extent
    entries: int
    delta: int
    shape: Shape | None = None
    stats: bytes = b"\xc0"
    values: tuple[tuple[str, int], ...] = ()


class Node(msgspec.Struct, array_like=True, frozen=True):
    """The stored form."""

    level: int
    blobs: list[str]
    keys: list[bytes]
    blob: list[int]
    offset: list[int]
    length: list[int]
    checksum: list[int]
    entries: list[int]
    delta: list[int]
    shapes: list[tuple[int | None, int | None, int | None, bool]]
    stats: list[msgspec.Raw]
    values: list[list[tuple[int, int]]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Node)
_stats = msgspec.msgpack.Decoder()


class Branch:
    """A branch that was read. ``keys`` are the first keys of its children."""

    def __init__(self, node: Node, nbytes: int) -> None:
        self._node = node
        self.level, self.keys = node.level, node.keys
        self.nbytes = nbytes * 4
        self.decoded: list[weakref.ref[Any] | None] = [None] * len(node.keys)
        """For each child, what was decoded of it, as long as the cache keeps it."""
        self._bounds: dict[int, Bounds] = {}

    @classmethod
    def decode(cls, data: Any, where: str) -> Branch:
        """Return the branch that these bytes are. Raises ``Corruption``."""
        try:
            return cls(_decoder.decode(data), len(data))
        except msgspec.DecodeError as error:
            raise Corruption(where, f"a branch cannot be decoded ({error})") from error

    def __len__(self) -> int:
        return len(self.keys)

    def extent(self, i: int) -> Extent:
        """Return where child i lies."""
        node = self._node
        return Extent(node.blobs[node.blob[i]], node.offset[i], node.length[i], node.checksum[i])

    def child(self, i: int) -> Child:
        """Return all that is said of child i."""
        node = self._node
        if node.level:
            return Child(node.keys[i], self.extent(i), node.entries[i], node.delta[i])
        values = tuple((node.blobs[blob], size) for blob, size in node.values[i])
        return Child(node.keys[i], self.extent(i), node.entries[i], node.delta[i], self.shape(i), bytes(node.stats[i]), values)

    def shape(self, i: int) -> Shape:
        """Return the shape of leaf i."""
        return Shape(*self._node.shapes[i])

    def stats(self, i: int) -> list[tuple[Any, Any, int] | None] | None:
        """Return for each physical column of leaf i its smallest and largest storage value and its nulls; None where not known."""
        decoded: list[tuple[Any, Any, int] | None] | None = _stats.decode(self._node.stats[i])
        return decoded

    def bounds(self, columns: Mapping[int, Any]) -> list[Bounds]:
        """Return what is known of these physical columns (number: type) in the leaves; kept, for the same are asked for again."""
        if not columns.keys() <= self._bounds.keys():
            stored = [self.stats(i) for i in range(len(self))]
            for at, kind in columns.items():
                self._bounds[at] = Bounds.of([None if each is None else each[at] for each in stored], kind)
        return [self._bounds[at] for at in columns]

    @cached_property
    def deltas_before(self) -> list[int]:
        """For each child, what the children before it add to the row count; and the sum at the end."""
        return list(accumulate(self._node.delta, initial=0))

    @property
    def entries(self) -> list[int]:
        """How many entries each child holds."""
        return self._node.entries

    @cached_property
    def key_array(self) -> Any:
        """The first keys as an array of Python bytes."""
        array = np.empty(len(self.keys), object)
        array[:] = self.keys
        return array


def encode(level: int, children: list[Child]) -> bytes:
    """Return the stored form of a branch over these children."""
    names: dict[str, int] = {}
    for child in children:
        names.setdefault(child.extent.blob, len(names))
        for blob, _ in child.values:
            names.setdefault(blob, len(names))
    leaves = [] if level else children
    node = Node(
        level=level,
        blobs=list(names),
        keys=[c.key for c in children],
        blob=[names[c.extent.blob] for c in children],
        offset=[c.extent.offset for c in children],
        length=[c.extent.length for c in children],
        checksum=[c.extent.checksum for c in children],
        entries=[c.entries for c in children],
        delta=[c.delta for c in children],
        shapes=[(c.shape.op, c.shape.seq, c.shape.delta, c.shape.far) for c in leaves if c.shape is not None],
        stats=[msgspec.Raw(c.stats) for c in leaves],
        values=[[(names[blob], size) for blob, size in c.values] for c in leaves],
    )
    return _encoder.encode(node)
