"""The head file: how far the log is durable, for everybody of this boot to read without a lock.

It is written in place and never synced. After a power cut it is of another boot, or torn, and then only evidence: what any old
version of it covers was durable. A reader and a writer may meet in it; what was read torn is read again.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

from sopnb.storage.files import Files, Forkable
from sopnb.storage.log import HEAD_BYTES, POISON, POISON_AT, HeadState, LogFormat

_TRIES = 3


class Seen(NamedTuple):
    """The bytes of the head file as they were read, and what they say; None if they say nothing."""

    raw: bytes
    state: HeadState | None


class HeadFile(Forkable):
    """One process's view of the head file. Reading is for all threads, writing for the holder of the lock."""

    def __init__(self, path: Path, *, files: Files, format: LogFormat, writable: bool) -> None:
        self._path, self._files, self._format, self._writable = path, files, format, writable
        self._mutex = threading.Lock()
        self._fd: int | None = None
        self._seen = Seen(b"", None)
        files.at_fork(self)

    def after_fork(self) -> None:
        """Close the parent's descriptor."""
        self._mutex = threading.Lock()
        self.close()

    def close(self) -> None:
        """Close the descriptor; the next use opens it again."""
        with self._mutex:
            fd, self._fd = self._fd, None
        if fd is not None:
            self._files.close(fd)

    def read(self) -> Seen:
        """Return what the file says now. Costs one ``pread`` when that is what it said before."""
        for _ in range(_TRIES):
            fd = self._fd or self._open()
            raw = b"" if fd is None else self._files.pread(fd, HEAD_BYTES, 0)
            seen = self._seen
            if raw == seen.raw:
                return seen
            seen = Seen(raw, self._format.decode_head(raw))
            if seen.state is not None:
                self._seen = seen
                return seen
        return seen

    def saying(self, head: HeadState) -> Seen:
        """Return the bytes that say this, for ``publish``."""
        return Seen(self._format.encode_head(head), head)

    def publish(self, seen: Seen) -> None:
        """Write the file. Only who holds the lock may."""
        fd = self._fd or self._open() or self._create()
        self._files.pwrite(fd, seen.raw, 0)
        self._seen = seen

    def poison(self) -> None:
        """Say that something may be written past the end. Only who holds the lock may."""
        fd = self._fd or self._open() or self._create()
        self._files.pwrite(fd, POISON, POISON_AT)

    def _open(self) -> int | None:
        with self._mutex:
            if self._fd is None:
                try:
                    self._fd = self._files.open_write(self._path) if self._writable else self._files.open_read(self._path)
                except FileNotFoundError:
                    return None
            return self._fd

    def _create(self) -> int:
        with self._mutex:
            self._fd = self._files.create(self._path)
            return self._fd
