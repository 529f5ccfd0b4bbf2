"""The bytes of a blob as they are made: ``[mark] [extent ...] [mark]``; every extent begins at a multiple of 64 bytes.

The mark at the end says where the root of a tree is, so a blob can be read without the record that names it. A blob that holds nothing
but values has no root: an extent of no bytes at 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from xxhash import xxh3_64_intdigest

from sopnb.engine.branch import Extent
from sopnb.engine.tree import seed
from sopnb.protocols import Blobs

MAGIC = b"SOPBLOB1"
MARK = struct.Struct("<8s16sQQQQ")
"""Magic, database, then offset, length and checksum of the root (0 at the beginning of the blob), and a checksum of the mark."""
ALIGNMENT = 64

Tell = Callable[[str], object]
"""Hears the name of a blob that is about to be written: who is interrupted knows what to delete."""


def untold(name: str) -> None:
    """Tell nobody."""


class BlobBytes:
    """The bytes of one blob, of which what was not handed on yet is held."""

    def __init__(self, name: str, uuid: bytes) -> None:
        self.name, self._uuid = name, uuid
        self._seed = seed(uuid, name)
        self._at = 0
        self._out: list[Any] = []
        self.emit(MARK.pack(MAGIC, uuid, 0, 0, 0, 0))

    def emit(self, data: Any) -> Extent:
        """Append bytes at the next multiple of the alignment; return where they are."""
        gap = -self._at % ALIGNMENT
        if gap:
            self._out.append(bytes(gap))
        extent = Extent(self.name, self._at + gap, len(data), int(xxh3_64_intdigest(data, self._seed)))
        self._out.append(data)
        self._at += gap + len(data)
        return extent

    def end(self, root: Extent | None) -> None:
        """Append the mark at the end."""
        mark = MARK.pack(MAGIC, self._uuid, *((0, 0, 0) if root is None else root[1:]), 0)[:-8]
        self.emit(mark + struct.pack("<Q", xxh3_64_intdigest(mark, self._seed)))

    def flushed(self) -> Iterator[bytes]:
        """Yield what was appended since, as one piece."""
        if self._out:
            yield b"".join(self._out)
            self._out = []


def write_values(blobs: Blobs, name: str, pieces: Iterable[bytes], *, uuid: bytes) -> list[Extent]:
    """Write pieces of values as a new blob without a root, durable before this returns; return where each lies."""
    out = BlobBytes(name, uuid)
    extents: list[Extent] = []

    def chunks() -> Iterator[bytes]:
        for piece in pieces:
            extents.append(out.emit(piece))
            yield from out.flushed()
        out.end(None)
        yield from out.flushed()

    blobs.put(name, chunks())
    return extents


def is_whole(blobs: Blobs, name: str, size: int, *, uuid: bytes) -> bool:
    """Say whether a blob of ``size`` bytes ends as it was written to."""
    if size < MARK.size:
        return False
    mark = blobs.read(name, [(size - MARK.size, MARK.size)])[0]
    return mark[: len(MAGIC)] == MAGIC and mark[-8:] == struct.pack("<Q", xxh3_64_intdigest(mark[:-8], seed(uuid, name)))
