"""The bytes of the local log: records, the head file, and what an interrupted write may have made of them.

A record is a header of 128 bytes, the payload, zeros up to the alignment and a closing checksum, all in one segment. The header
has a checksum of its own, so a length can be trusted before the payload is; every 16 bytes of it hold something that is never
zero, and it counts the sectors of the record that are zeros by nature, so bytes that were never written can be told from bytes
that were damaged. ``previous`` is the closing checksum of the record before: the records are a chain. ``durable`` is the place
up to which everything was synced before this record was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from xxhash import xxh3_64_intdigest, xxh3_128_digest

from sopnb.protocols import Commit, Draft

SECTOR = 512
"""A disk is assumed to write this many bytes, at a multiple of this, wholly or not at all."""
ALIGNMENT = 16
"""Records begin at a multiple of this, and a killed process is assumed to leave a multiple of this written."""
PADDED = 4096
"""The alignment where records are padded."""
VERSION = 1

_MAGIC = b"SOPR"
_HEAD_MAGIC = b"SOPH"
_HEADER = struct.Struct("<4sHHQ16sQQ8sqQQQQQQQ")
_HEAD = struct.Struct("<4sHH16sQQQQQq")
_SUM = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size + _SUM.size
POISON_AT = _HEAD.size + _SUM.size
HEAD_BYTES = POISON_AT + 1
CLEAN, POISON = b"\0", b"\1"


class Position(NamedTuple):
    """A byte of the log; positions are ordered as the log is."""

    segment: int
    offset: int


class Place(NamedTuple):
    """The end of the log as it was after commit ``seq``: where the next record goes, and what it must name and follow."""

    position: Position
    seq: int
    hash: int
    time: int


class Entry(NamedTuple):
    """A commit, where its record begins, and the log's end just after it."""

    commit: Commit
    start: Position
    end: Place


class Header(NamedTuple):
    """The fields of a record's header. ``length`` is that of the whole record, ``size`` that of its payload."""

    length: int
    epoch: int
    seq: int
    id: bytes
    time: int
    durable: Position
    previous: int
    size: int
    zeros: int


class HeadState(NamedTuple):
    """What the head file says: ``place`` is durable; ``poisoned`` means that something may have been written after it."""

    boot: bytes
    epoch: int
    place: Place
    poisoned: bool = False


class LogFormat:
    """Encodes and decodes for one database: its uuid seeds every checksum, so another database's bytes are never valid."""

    def __init__(self, uuid: bytes, pad: bool = False) -> None:
        self.uuid = uuid
        self.alignment = PADDED if pad else ALIGNMENT
        self._seed = int.from_bytes(uuid[:8], "little")
        self.genesis = Place(Position(1, 0), 0, self.checksum(uuid), 0)

    def checksum(self, data: bytes | memoryview) -> int:
        """Return a checksum that is never zero."""
        return int(xxh3_64_intdigest(data, self._seed)) or 1

    def length(self, size: int) -> int:
        """Return how long the record of a payload of ``size`` bytes is."""
        length = HEADER_BYTES + size + _SUM.size
        return length + -length % self.alignment

    # -- records --------------------------------------------------------------------------------------------------------------

    def encode(self, drafts: Sequence[Draft], after: Place, at: Position, epoch: int, now: int) -> tuple[bytes, list[Entry]]:
        """Return the bytes of a group of records that begins at ``at``, and its entries."""
        parts: list[bytes] = []
        entries: list[Entry] = []
        segment, offset = at
        seq, previous, time = after.seq, after.hash, max(now, after.time, 1)
        for draft in drafts:
            id, payload = draft.id, draft.payload
            size = len(payload)
            length = self.length(size)
            seq += 1
            header = _HEADER.pack(
                _MAGIC, VERSION, 0, length, self.uuid, epoch, seq, id, time, segment, offset, *after.position,
                previous, size, self._zeros(payload, size, offset, length),
            )  # fmt: skip
            body = b"".join((header, _SUM.pack(self.checksum(header)), payload, bytes(length - HEADER_BYTES - size - _SUM.size)))
            previous = self.checksum(body)
            parts.append(body)
            parts.append(_SUM.pack(previous))
            start = Position(segment, offset)
            offset += length
            end = Place(Position(segment, offset), seq, previous, time)
            entries.append(Entry(Commit(epoch, seq, id, time, payload), start, end))
        return b"".join(parts), entries

    def header(self, data: bytes, at: int, position: Position) -> Header | None:
        """Return the header at ``data[at:]``, which was read at ``position``; None if it is not whole or not meant for there."""
        if data[at : at + 4] != _MAGIC or len(data) - at < HEADER_BYTES:
            return None
        fields = _HEADER.unpack_from(data, at)
        _, version, _, length, uuid, epoch, seq, id, time, segment, offset, durable_segment, durable_offset, previous, size, zeros = fields
        (check,) = _SUM.unpack_from(data, at + _HEADER.size)
        if check != self.checksum(memoryview(data)[at : at + _HEADER.size]) or uuid != self.uuid or version != VERSION:
            return None
        if (segment, offset) != position or length != self.length(size):
            return None
        return Header(length, epoch, seq, id, time, Position(durable_segment, durable_offset), previous, size, zeros)

    def decode(self, data: bytes, at: int, position: Position) -> tuple[Header, Entry] | None:
        """Return the record at ``data[at:]``, which was read at ``position``; None if it is not whole."""
        header = self.header(data, at, position)
        if header is None:
            return None
        closing = at + header.length - _SUM.size
        if closing + _SUM.size > len(data):
            return None
        (hash,) = _SUM.unpack_from(data, closing)
        if hash != self.checksum(memoryview(data)[at:closing]):
            return None
        payload = data[at + HEADER_BYTES : at + HEADER_BYTES + header.size]
        commit = Commit(header.epoch, header.seq, header.id, header.time, payload)
        end = Place(Position(position.segment, position.offset + header.length), header.seq, hash, header.time)
        return header, Entry(commit, position, end)

    def torn(self, data: bytes, position: Position) -> bool:
        """Say whether ``data``, which runs from ``position`` to the end of its segment, may come of an interrupted write.

        Before a record is written its place reads as zeros, durably; and zeros are what recovery writes over one that is torn. So
        what an interrupted write left reads as zeros where the whole record does not: at its beginning, in a sector's share of it,
        or at its end. Bytes of which none is true were whole once.
        """
        offset = position.offset
        if _blank(data[:ALIGNMENT]):
            return True
        header = self.header(data, 0, position)
        if header is None:
            return _blank(data[_HEADER.size : HEADER_BYTES]) or _blank_sectors(data, offset, HEADER_BYTES) > 0
        if header.length > len(data):
            return False
        if self.decode(data, 0, position) is not None:
            return True  # whole, but it does not follow what is before it
        return _blank(data[header.length - _SUM.size : header.length]) or _blank_sectors(data, offset, header.length) > header.zeros

    def later(self, data: bytes, position: Position, beyond: Position) -> bool:
        """Say whether a whole record in ``data``, which was read at ``position``, says that the log was durable past ``beyond``."""
        at = data.find(_MAGIC)
        while at >= 0:
            where = Position(position.segment, position.offset + at)
            if where.offset % self.alignment == 0 and where > beyond:
                found = self.decode(data, at, where)
                if found is not None and found[0].durable > beyond:
                    return True
            at = data.find(_MAGIC, at + 1)
        return False

    def _zeros(self, payload: bytes, size: int, offset: int, length: int) -> int:
        """Return how many sectors' shares of a record are zeros by nature.

        The header and the closing checksum leave no share of theirs blank, so it takes a sector of zeros in what lies between.
        """
        between = length - HEADER_BYTES - _SUM.size
        if between < SECTOR or (between == size and bytes(SECTOR) not in payload):
            return 0
        data = b"".join((b"\1" * HEADER_BYTES, payload, bytes(between - size), b"\1" * _SUM.size))
        return _blank_sectors(data, offset, length)

    # -- the head file --------------------------------------------------------------------------------------------------------

    def encode_head(self, head: HeadState) -> bytes:
        """Return the bytes of the head file. The last one says whether it is poisoned; it may be written by itself."""
        boot, epoch, (position, seq, hash, time), poisoned = head
        data = _HEAD.pack(_HEAD_MAGIC, VERSION, 0, boot, epoch, *position, seq, hash, time)
        return b"".join((data, _SUM.pack(self.checksum(data)), POISON if poisoned else CLEAN))

    def decode_head(self, data: bytes) -> HeadState | None:
        """Return what the head file says, None if it is torn, damaged or not there."""
        if len(data) != HEAD_BYTES:
            return None
        magic, version, _, boot, epoch, segment, offset, seq, hash, time = _HEAD.unpack_from(data)
        (check,) = _SUM.unpack_from(data, _HEAD.size)
        if magic != _HEAD_MAGIC or version != VERSION or check != self.checksum(memoryview(data)[: _HEAD.size]):
            return None
        return HeadState(boot, epoch, Place(Position(segment, offset), seq, hash, time), data[POISON_AT:] != CLEAN)


def boot_key(boot_id: str) -> bytes:
    """Return 16 bytes for the name of a boot."""
    return bytes(xxh3_128_digest(boot_id.encode()))


def _blank(data: bytes) -> bool:
    return not data.strip(b"\0")


def _blank_sectors(data: bytes, offset: int, size: int) -> int:
    """Return how many sectors' shares of ``data[:size]``, which lies at ``offset`` of its file, are all zeros."""
    return sum(_blank(data[at:end]) for at, end in _shares(offset, size))


def _shares(offset: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        end = min(size, at + SECTOR - (offset + at) % SECTOR)
        yield at, end
        at = end
