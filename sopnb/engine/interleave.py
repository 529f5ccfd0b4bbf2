"""Sorted trees read as one, in memory bounded by a few leaves of each: how more rows than fit into memory are put in order.

Unlike ``merge``, nothing is laid over anything: rows of equal keys come side by side, those of the earlier tree first, and whoever asked
decides between them. Leaves between which no other tree has any rows are handed on as they are, not even read, and values out of line
stay where they are: but only those of trees of which most is kept in this way, for the rest of the blob is wasted then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sopnb.engine.entries import Entries, concatenated
from sopnb.engine.far import FarReader
from sopnb.engine.layer import Piece
from sopnb.engine.tree import Tree
from sopnb.index import arrange
from sopnb.schema import Schema


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in key order; ``repeats`` says for each whether its key is that of the row before it (None: no row's is)."""

    entries: Entries
    repeats: Any


def interleaved(
    trees: Sequence[Tree], schema: Schema, far: FarReader, size: int, spans: Sequence[tuple[bytes, bytes]] | None
) -> Iterator[Piece | Rows]:
    """Yield all rows of the trees, ascending, about ``size`` bytes at a time; a key's rows are never apart.

    A leaf that comes as a ``Piece`` has a ``stop``. No leaf of a tree does that lies mostly within ``spans``, pairs of keys; none at all
    if that is None.
    """
    streams = []
    for tree in trees:
        around = [other.span for other in trees if other is not tree]
        apart = spans is not None and _lies_apart(tree, [*spans, *around])
        streams.append(_Stream(tree, schema, far=None if _is_mostly_values(tree) else far, apart=apart))
    while streams := [stream for stream in streams if stream.more]:
        lowest, *others = sorted(streams, key=lambda stream: stream.first)
        leaf = lowest.leaf(before=others[0].first if others else None)
        if leaf is not None:
            yield leaf
            continue
        for stream in streams:
            stream.fill(size // len(streams))
        bound = min((last for stream in streams if (last := stream.last) is not None), default=None)
        yield _in_order([part for stream in streams if len(part := stream.taken(bound))], schema)


def _in_order(parts: list[Entries], schema: Schema) -> Rows:
    rows = concatenated(parts)
    arrays = [rows.batch.column(name) for name in schema.key_names]
    order, repeats = arrange(arrays, schema.specification, None if schema.unique else rows.batch.column("_id"))
    return Rows(rows if order is None else rows.take(order), repeats)


def _lies_apart(tree: Tree, spans: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether most rows of a tree lie in none of these spans."""
    shared, done = 0, b""
    for first, last in sorted(spans):
        lo, hi = max(first, done), last + b"\0"
        if lo < hi:
            shared += tree.before(hi) - tree.before(lo)
            done = hi
    return 2 * shared <= tree.entries


def _is_mostly_values(tree: Tree) -> bool:
    """Say whether most bytes of a tree are values out of line."""
    values = sum(size for branch, i, _ in tree.children() for _, size in branch.child(i).values)
    return 2 * values >= tree.ref.size


class _Stream:
    """The rows of one tree that were not handed on yet, their values put in place by ``far`` if there is one."""

    def __init__(self, tree: Tree, schema: Schema, *, far: FarReader | None, apart: bool) -> None:
        self._far, self._apart = far, apart
        self._pieces, self._end, self._schema = tree.pieces(b"", None), tree.ref.last + b"\0", schema
        self._next = next(self._pieces, None)
        self._held: list[Entries] = []

    @property
    def more(self) -> bool:
        """Whether there are any."""
        return bool(self._held) or self._next is not None

    @property
    def first(self) -> bytes:
        """The first key."""
        return self._held[0].key(0, self._schema) if self._held or self._next is None else self._next.first

    @property
    def last(self) -> bytes | None:
        """The last key up to which all rows are held; None if these are all there are."""
        return None if self._next is None else self._held[-1].key(len(self._held[-1]) - 1, self._schema)

    def leaf(self, before: bytes | None) -> Piece | None:
        """Return the next leaf unread, if all of it lies before that key, and go on."""
        if self._held or self._next is None or not self._apart:
            return None
        leaf, stop = self._next, self._next.stop or self._end
        if before is not None and stop > before:
            return None
        self._next = next(self._pieces, None)
        return replace(leaf, stop=stop)

    def fill(self, size: int) -> None:
        """Hold about so many bytes, at least some."""
        held = sum(part.nbytes for part in self._held)
        while self._next is not None and (not self._held or held < size):
            entries = self._next.load()
            self._held.append(entries if self._far is None else self._far.resolved(entries, self._schema))
            held += self._held[-1].nbytes
            self._next = next(self._pieces, None)

    def taken(self, bound: bytes | None) -> Entries:
        """Return the rows held up to a key, that one too, and go on."""
        held = concatenated(self._held)
        stop = len(held) if bound is None else held.before(bound + b"\0", self._schema)
        self._held = [held.slice(stop, len(held))] if stop < len(held) else []
        return held.slice(0, stop)
