"""Writing a tree: sorted entries in, one blob of leaves and branches out, in memory bounded by a few leaves.

Leaves, values out of line and branches follow each other as they are filled, the root comes last. ``blob`` says how they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
import pyarrow as pa

from sopnb.engine import branch as branches
from sopnb.engine import leaf as leaves
from sopnb.engine.blob import BlobBytes
from sopnb.engine.branch import Child
from sopnb.engine.entries import Entries, concatenated
from sopnb.engine.far import FarWriter, bytes_by_blob, far_columns, row_bytes
from sopnb.engine.statistics import statistics
from sopnb.engine.tree import TreeRef
from sopnb.errors import InternalError
from sopnb.protocols import Blobs
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings

GATHERED = 16
"""Leaves are cut from about this many leaves' worth of entries at a time."""
LEAF_VALUES = 8 * 1024 * 1024
"""Values out of line of one leaf take at most this many bytes, or those of one row do."""

_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Named:
    """A leaf of another blob that a tree takes over as it is; ``load`` returns its entries, as they are to be written if they must be."""

    child: Child
    load: Callable[[], Entries]


Part = Entries | Named


def write_tree(
    blobs: Blobs, name: str, schema: Schema, settings: DatabaseSettings, parts: Iterable[Part], *, uuid: bytes
) -> TreeRef | None:
    """Write sorted parts as a tree in a new blob, durable before this returns; None if there are no entries at all."""
    stream = (part for part in parts if isinstance(part, Named) or len(part))
    first = next(stream, None)
    if first is None:
        return None
    builder = _Builder(name, schema, settings, uuid)
    blobs.put(name, builder.chunks(chain([first], stream)))
    return builder.ref()


class _Builder:
    def __init__(self, name: str, schema: Schema, settings: DatabaseSettings, uuid: bytes) -> None:
        self._name, self._schema, self._settings = name, schema, settings
        self._out = BlobBytes(name, uuid)
        self._levels: list[list[Child]] = [[]]
        self._sizes: list[int] = [0]
        self._pending: list[Entries] = []
        self._pending_bytes = 0
        self._leaf_count = self._entries = 0
        self._live: dict[str, int] = {}
        self._last = b""
        self._top: Child | None = None
        self._far = FarWriter(schema, settings.value_bytes, self._out.emit)

    # -- the blob -------------------------------------------------------------------------------------------------------------

    def chunks(self, parts: Iterator[Part]) -> Iterator[bytes]:
        """Yield the bytes of the blob."""
        held: Named | None = None  # the last part is never named but loaded, so that the tree knows its last key
        for part in parts:
            if held is not None:
                self._settle()
                self._add(held.child)
            held = part if isinstance(part, Named) else None
            if isinstance(part, Entries):
                self._take(part)
            yield from self._out.flushed()
        if held is not None:
            self._take(held.load())
        self._settle()
        self._finish()
        yield from self._out.flushed()

    def ref(self) -> TreeRef:
        """Return the name of the tree, after all chunks were taken."""
        if self._top is None:
            raise InternalError("a tree was named before it was finished", blob=self._name)
        top = self._top
        live = sorted(self._live.items())
        return TreeRef(*top.extent, top.entries, top.delta, top.key, self._last, self._leaf_count, live)

    # -- leaves ---------------------------------------------------------------------------------------------------------------

    def _take(self, entries: Entries) -> None:
        entries = self._far.extracted(entries)
        self._pending.append(entries)
        self._pending_bytes += entries.nbytes
        if self._pending_bytes >= GATHERED * self._settings.leaf_bytes:
            self._cut(final=False)

    def _settle(self) -> None:
        if self._pending:
            self._cut(final=True)

    def _cut(self, *, final: bool) -> None:
        """Cut what is gathered into leaves; unless ``final``, keep the rest for the next one."""
        entries = concatenated(self._pending)
        self._pending, self._pending_bytes = [], 0
        each = max(entries.nbytes // len(entries), 1)
        rows = max(1, min(self._settings.leaf_bytes // each, self._settings.leaf_rows))
        starts = _starts(entries, rows, even=final)
        if not final and len(entries) - starts[-1] < rows:
            kept = entries.slice(starts.pop(), len(entries))
            self._pending, self._pending_bytes = [kept], kept.nbytes
            entries = entries.slice(0, len(entries) - len(kept))
        if starts:
            self._write_leaves(entries, starts)

    def _write_leaves(self, entries: Entries, starts: list[int]) -> None:
        keys = self._schema.keys(entries.batch.take(pa.array([*starts, len(entries) - 1]))).tolist()
        stats = statistics(entries.batch, starts, self._schema)
        deltas = np.add.reduceat(entries.deltas.astype(np.int64), starts)
        for i, start in enumerate(starts):
            part = entries.slice(start, starts[i + 1] if i + 1 < len(starts) else len(entries))
            shape = leaves.shape(part)
            extent = self._out.emit(leaves.encode(part, shape, self._schema))
            values = bytes_by_blob(part.far) if shape.far else ()
            for column in far_columns(part.far) if shape.far else ():
                stats[i][column] = None
            self._add(Child(keys[i], extent, len(part), int(deltas[i]), shape, _encoder.encode(stats[i]), values))
        self._last = keys[-1]

    def _add(self, child: Child) -> None:
        self._leaf_count += 1
        self._entries += child.entries
        self._need(child.extent.blob, child.extent.length)
        for blob, size in child.values:
            self._need(blob, size)
        self._add_child(0, child)

    def _need(self, blob: str, size: int) -> None:
        self._live[blob] = self._live.get(blob, 0) + size

    # -- branches -------------------------------------------------------------------------------------------------------------

    def _add_child(self, level: int, child: Child) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._sizes.append(0)
        self._levels[level].append(child)
        self._sizes[level] += len(child.key) + len(child.stats) + 40
        if self._sizes[level] >= self._settings.branch_bytes and len(self._levels[level]) > 1:
            self._close(level)

    def _close(self, level: int) -> None:
        """Write the branch that is being filled on this level, and name it on the next."""
        children, self._levels[level], self._sizes[level] = self._levels[level], [], 0
        extent = self._out.emit(branches.encode(level, children))
        self._need(self._name, extent.length)
        entries, delta = sum(c.entries for c in children), sum(c.delta for c in children)
        self._add_child(level + 1, Child(children[0].key, extent, entries, delta))

    def _finish(self) -> None:
        level = 0
        while True:
            above = any(self._levels[level + 1 :])
            if not above and len(self._levels[level]) == 1 and level:
                break
            if self._levels[level]:
                self._close(level)
            level += 1
        self._top = top = self._levels[level][0]
        if top.entries != self._entries:
            raise InternalError("the root of a tree does not count what was written", written=self._entries, counted=top.entries)
        self._out.end(top.extent)


def _starts(entries: Entries, rows: int, *, even: bool) -> list[int]:
    """Return where leaves begin of at most so many rows and, for who reads a leaf reads its values, so many bytes out of line."""
    sizes = [] if entries.far is None else row_bytes(entries.far)
    if sum(sizes) <= LEAF_VALUES:
        starts = list(range(0, len(entries), rows))
        if even and len(starts) > 1 and len(entries) - starts[-1] < rows // 2:
            starts[-1] = starts[-2] + (len(entries) - starts[-2]) // 2
        return starts
    starts, held = [0], 0
    for row, size in enumerate(sizes):
        if row - starts[-1] == rows or (held and held + size > LEAF_VALUES):
            starts.append(row)
            held = 0
        held += size
    return starts
