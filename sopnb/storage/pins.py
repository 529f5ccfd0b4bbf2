"""Pins as locked files of a folder: ``pins/<owner>``, which holds the seq.

The lock says that the owner lives: the system lets go of it when the process dies, however it dies. A file that nobody locks is
dead and is removed by whoever looks. Between making its file and locking it an owner may be taken for dead; so it looks, after
locking, whether the file is still the one of that name, and makes another if it is not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from sopnb.protocols import Clock, Pin
from sopnb.storage.files import Files, Forkable, register_at_fork

_WIDTH = 20


class LocalPins(Forkable):
    """The ``Pins`` protocol over a folder."""

    def __init__(self, folder: Path, *, files: Files, clock: Clock) -> None:
        self._folder, self._files, self._clock = folder / "pins", files, clock
        self._owner = clock.new_id(8).hex()
        self._mutex = threading.Lock()
        self._fd: int | None = None
        self._seq: int | None = None
        register_at_fork(self)

    @property
    def owner(self) -> str:
        """This engine's id; a forked child draws its own."""
        return self._owner

    def after_fork(self) -> None:
        """Close the parent's lock without unlocking it; the child is another owner and pins before its next use."""
        fd, self._fd = self._fd, None
        self._mutex = threading.Lock()
        self._owner = self._clock.new_id(8).hex()
        if fd is not None:
            self._files.close(fd)

    def pin(self, seq: int) -> None:
        """Hold ``seq``: visible to every ``held`` that begins after this returns."""
        with self._mutex:
            self._seq = seq
            if self._fd is None:
                self._fd = self._locked_file()
            self._write(self._fd, seq)

    def advance(self, seq: int) -> None:
        """Move the pin forward."""
        with self._mutex:
            if self._seq is not None and seq > self._seq and self._fd is not None:
                self._seq = seq
                self._write(self._fd, seq)

    def held(self) -> Sequence[Pin]:
        """Return every living pin; the files of the dead are removed."""
        pins = []
        for owner in sorted(self._owners()):
            seq = self._read(owner)
            if seq is not None:
                pins.append(Pin(owner, seq))
        return pins

    def alive(self, owner: str) -> bool:
        """Say whether this owner's file is there and locked."""
        return owner in self._owners() and self._read(owner) is not None

    def close(self) -> None:
        """Give the pin up."""
        with self._mutex:
            if self._fd is not None:
                self._files.unlink(self._folder / self._owner, missing_ok=True)
                self._files.unlock(self._fd)
                self._files.close(self._fd)
            self._fd = self._seq = None

    def _owners(self) -> list[str]:
        return self._files.listdir(self._folder) if self._files.exists(self._folder) else []

    def _locked_file(self) -> int:
        path = self._folder / self._owner
        self._files.mkdir(self._folder)
        while True:
            fd = self._files.create(path)
            self._write(fd, self._seq or 0)
            if self._files.flock(fd) and self._files.exists(path) and self._files.identity(path) == self._files.identity(fd):
                return fd
            self._files.close(fd)
            self._files.unlink(path, missing_ok=True)

    def _write(self, fd: int, seq: int) -> None:
        self._files.pwrite(fd, b"%0*d" % (_WIDTH, seq), 0)

    def _read(self, owner: str) -> int | None:
        """Return the seq of a living pin; None if it is dead."""
        if owner == self._owner and self._fd is not None:
            return self._seq
        path = self._folder / owner
        try:
            fd = self._files.open_read(path)
        except FileNotFoundError:
            return None
        try:
            if self._files.flock(fd):
                self._files.unlink(path, missing_ok=True)
                return None
            text = self._files.pread(fd, _WIDTH, 0)
            return int(text) if text.isdigit() else 0
        finally:
            self._files.close(fd)
