"""Checkpoints as immutable files: ``checkpoints/<seq>.checkpoint``, with the place in the log that they stand for.

A file is a header with a checksum of its own, which gives the place, and the state with another. It is written under a temporary
name, synced, renamed, and the directory synced: it is whole, or it is damaged, and then it is passed over.
"""

from __future__ import annotations

import struct
from pathlib import Path

from sopnb.protocols import Clock
from sopnb.storage.files import Files
from sopnb.storage.log import LogFormat, Place, Position

_MAGIC = b"SOPC"
_VERSION = 1
_HEADER = struct.Struct("<4sHH16sQQQQqQQQ")
_SUM = struct.Struct("<Q")
_SUFFIX = ".checkpoint"
_DRAFT = ".tmp"


class Checkpoints:
    """The checkpoints of one database."""

    def __init__(self, folder: Path, *, files: Files, clock: Clock, format: LogFormat) -> None:
        self._folder, self._files, self._clock, self._format = folder, files, clock, format

    def seqs(self) -> list[int]:
        """Return the seqs of the checkpoints that there are, damaged ones too, newest first."""
        if not self._files.exists(self._folder):
            return []
        stems = (name.removesuffix(_SUFFIX) for name in self._files.listdir(self._folder) if name.endswith(_SUFFIX))
        return sorted((int(stem) for stem in stems if stem.isdigit()), reverse=True)

    def newest(self, at_or_before: int | None = None) -> Place | None:
        """Return the place of the newest checkpoint whose place can be read."""
        for seq in self.seqs():
            if at_or_before is None or seq <= at_or_before:
                found = self._read(seq, state=False)
                if found is not None:
                    return found[0]
        return None

    def load(self, seq: int) -> tuple[Place, bytes] | None:
        """Return a checkpoint's place and state; None if it is damaged or not there."""
        return self._read(seq, state=True)

    def save(self, place: Place, state: bytes) -> None:
        """Keep a checkpoint: durable when this returns. One that is already there and whole is left as it is."""
        path = self._path(place.seq)
        if self.load(place.seq) is None:
            header = _HEADER.pack(
                _MAGIC, _VERSION, 0, self._format.uuid, *place.position, place.seq, place.hash, place.time,
                len(state), self._format.checksum(state), 0,
            )[: -_SUM.size]  # fmt: skip
            draft = path.with_name(f"{place.seq}.{self._clock.new_id(4).hex()}{_DRAFT}")
            try:
                fd = self._files.create(draft)
                try:
                    self._files.pwrite(fd, b"".join((header, _SUM.pack(self._format.checksum(header)), state)), 0)
                    self._files.sync(fd)
                finally:
                    self._files.close(fd)
                self._files.rename(draft, path)
            finally:
                self._files.unlink(draft, missing_ok=True)
        self._files.sync_dir(self._folder)

    def remove(self, seqs: list[int]) -> None:
        """Remove checkpoints; those that are not there are passed over."""
        for seq in seqs:
            self._files.unlink(self._path(seq), missing_ok=True)

    def remove_drafts(self) -> None:
        """Remove what interrupted writers left; only where nobody can be saving a checkpoint."""
        for name in self._files.listdir(self._folder):
            if name.endswith(_DRAFT):
                self._files.unlink(self._folder / name, missing_ok=True)

    def _path(self, seq: int) -> Path:
        return self._folder / f"{seq:020}{_SUFFIX}"

    def _read(self, seq: int, *, state: bool) -> tuple[Place, bytes] | None:
        try:
            fd = self._files.open_read(self._path(seq))
        except FileNotFoundError:
            return None
        try:
            header = self._files.pread(fd, _HEADER.size, 0)
            if len(header) < _HEADER.size:
                return None
            magic, version, _, uuid, segment, offset, named, hash, time, length, sum, check = _HEADER.unpack(header)
            sealed = memoryview(header)[: -_SUM.size]
            if (
                magic != _MAGIC
                or version != _VERSION
                or uuid != self._format.uuid
                or named != seq
                or check != self._format.checksum(sealed)
            ):
                return None
            place = Place(Position(segment, offset), seq, hash, time)
            if not state:
                return place, b""
            data = self._files.pread(fd, length, _HEADER.size)
            return (place, data) if len(data) == length and self._format.checksum(data) == sum else None
        finally:
            self._files.close(fd)
