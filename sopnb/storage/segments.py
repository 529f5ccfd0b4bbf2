"""The files of the local log: ``log/<number>.segment``, made of zeros ahead of use, and the chain of records through them.

A segment is written with zeros under a temporary name, synced, linked, and the directory synced before its first use; so a record
overwrites blocks that exist, and what was never written reads as zeros. Segments are never used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import ENOENT
from pathlib import Path

from sopnb.protocols import Clock
from sopnb.storage.files import Files
from sopnb.storage.log import HEADER_BYTES, SECTOR, Entry, LogFormat, Place, Position

_SUFFIX = ".segment"
_DRAFT = ".tmp"
_CHUNK = 256 * 1024
_ZEROS = bytes(1024 * 1024)


class Segments:
    """The segments of one log. ``first`` is the size of segment 1; each next one is twice as large, up to ``limit``."""

    def __init__(self, folder: Path, *, files: Files, clock: Clock, format: LogFormat, first: int, limit: int) -> None:
        self.folder, self.files, self.format = folder, files, format
        self._clock, self._first, self._limit = clock, first, limit

    def path(self, number: int) -> Path:
        """Return the name of a segment."""
        return self.folder / f"{number:010}{_SUFFIX}"

    def numbers(self) -> list[int]:
        """Return the numbers of the segments that there are, in order."""
        stems = (name.removesuffix(_SUFFIX) for name in self.files.listdir(self.folder) if name.endswith(_SUFFIX))
        return sorted(int(stem) for stem in stems if stem.isdigit())

    def number(self, missing: FileNotFoundError) -> int | None:
        """Return the number of the segment that an error speaks of; None if it is none."""
        path = Path(str(missing.filename))
        stem = path.name.removesuffix(_SUFFIX)
        return int(stem) if path.parent == self.folder and stem.isdigit() else None

    def run(self, last: int) -> list[int]:
        """Return the numbers of the segments up to ``last`` that there are without a gap; never none. What lies below is trimmed.

        Raises ``FileNotFoundError`` if ``last`` itself is missing.
        """
        numbers = self.numbers()
        if last not in numbers:
            raise FileNotFoundError(ENOENT, "no such segment", str(self.path(last)))
        first = last
        while first - 1 in numbers:
            first -= 1
        return list(range(first, last + 1))

    def size(self, number: int) -> int:
        """Return the length of a segment's file."""
        return self.files.size(self.path(number))

    # -- making and removing --------------------------------------------------------------------------------------------------

    def ensure(self, number: int, room: int = 0) -> None:
        """Make a segment, unless it is there with ``room`` bytes: zeros under a durable name when this returns.

        One that is there but too small was never used; it makes place for a larger one. Only who holds the turn asks for room.
        """
        path = self.path(number)
        if not self.files.exists(path):
            draft = self._draft(number, room)
            try:
                self.files.link(draft, path)
            except FileExistsError:
                pass
            finally:
                self.files.unlink(draft)
        if room and self.files.size(path) < room:
            self.files.rename(self._draft(number, room), path)
        self.files.sync_dir(self.folder)

    def remove_below(self, number: int) -> None:
        """Remove the segments before ``number``, and what is left of making them."""
        for name in self.files.listdir(self.folder):
            stem, _, rest = name.partition(".")
            if rest and stem.isdigit() and int(stem) < number:
                self.files.unlink(self.folder / name, missing_ok=True)

    def remove_drafts(self) -> None:
        """Remove what interrupted writers left; only where nobody can be making a segment."""
        for name in self.files.listdir(self.folder):
            if name.endswith(_DRAFT):
                self.files.unlink(self.folder / name, missing_ok=True)

    def _draft(self, number: int, room: int) -> Path:
        """Write a file of zeros under a temporary name, synced."""
        unit = max(SECTOR, self.format.alignment)
        size = max(min(self._first << min(number - 1, 40), self._limit), self._first, room)
        size += -size % unit
        draft = self.folder / f"{number}.{self._clock.new_id(4).hex()}{_DRAFT}"
        fd = self.files.create(draft)
        try:
            try:
                self.zero(fd, 0, size)
                self.files.sync(fd)
            finally:
                self.files.close(fd)
        except BaseException:
            self.files.unlink(draft, missing_ok=True)
            raise
        return draft

    def zero(self, fd: int, start: int, end: int) -> None:
        """Write zeros from ``start`` to ``end``."""
        for at in range(start, end, len(_ZEROS)):
            self.files.pwrite(fd, _ZEROS[: end - at], at)

    # -- reading --------------------------------------------------------------------------------------------------------------

    def entries(self, start: Place, until: Position | None = None) -> Iterator[Entry]:
        """Follow the chain from ``start`` and yield the commits: up to ``until``, or as far as it goes.

        Bytes at or past ``until`` are not looked at. A chain that ends before it simply ends. The log goes on in the next segment
        if that one's first record follows the last one here, whatever bytes lie between. Raises ``FileNotFoundError`` if the
        segment of ``start`` is missing, or a later one up to ``until``.
        """
        return (entry for entry, _, _ in self._follow(start, until))

    def records(self, start: Place) -> Iterator[tuple[Entry, bytes]]:
        """Follow the chain from ``start`` as far as it goes, and yield each commit with the bytes of its record."""
        for entry, data, at in self._follow(start, None):
            yield entry, data[at : at + entry.end.position.offset - entry.start.offset]

    def _follow(self, start: Place, until: Position | None) -> Iterator[tuple[Entry, bytes, int]]:
        """Yield each commit of the chain, with bytes that its record is in, and where in them."""
        place, rolled = start, False
        while True:
            segment = place.position.segment
            end = until.offset if until is not None and until.segment == segment else None
            before = place
            try:
                for found in self._in_one(place, end):
                    yield found
                    place = found[0].end
            except FileNotFoundError:
                if rolled and until is None:
                    return
                raise
            if (rolled and place is before) or (until is not None and segment >= until.segment):
                return
            place, rolled = place._replace(position=Position(segment + 1, 0)), True

    def first(self, number: int) -> Place | None:
        """Return the place before a segment's first record; None if it has none, or is not there."""
        try:
            fd = self.files.open_read(self.path(number))
        except FileNotFoundError:
            return None
        try:
            position = Position(number, 0)
            header = self.format.header(self.files.pread(fd, HEADER_BYTES, 0), 0, position)
        finally:
            self.files.close(fd)
        return None if header is None else Place(position, header.seq - 1, header.previous, 0)

    def rest(self, position: Position) -> bytes:
        """Return the bytes from a position to the end of its segment; none if the segment is not there."""
        try:
            fd = self.files.open_read(self.path(position.segment))
        except FileNotFoundError:
            return b""
        try:
            return self.files.pread(fd, max(0, self.files.size(fd) - position.offset), position.offset)
        finally:
            self.files.close(fd)

    def _in_one(self, place: Place, end: int | None) -> Iterator[tuple[Entry, bytes, int]]:
        """Follow the chain inside one segment, up to ``end`` or the end of the file."""
        segment, offset = place.position
        fd = self.files.open_read(self.path(segment))
        try:
            size = self.files.size(fd) if end is None else end
            data, base = b"", offset
            while offset < size:
                position = Position(segment, offset)
                found = self.format.decode(data, offset - base, position)
                if found is None:
                    claimed = self.format.header(data, offset - base, position)
                    wanted = min(size - offset, max(_CHUNK, claimed.length if claimed else 0))
                    if len(data) - (offset - base) >= wanted:
                        return
                    data, base = self.files.pread(fd, wanted, offset), offset
                    size = size if len(data) == wanted else offset + len(data)
                    continue
                header, entry = found
                if header.seq != place.seq + 1 or header.previous != place.hash:
                    return
                yield entry, data, offset - base
                place, offset = entry.end, entry.end.position.offset
        finally:
            self.files.close(fd)
