"""Pins as locked files of a folder: ``pins/<owner>``, which holds the seq.

The lock says that the owner lives: the system lets go of it when the process dies, however it dies. A file has its owner's name
only while it is locked: it is made and locked under another, then renamed; it is removed before it is unlocked. So a file that can
be locked is dead, and whoever looks removes it, after making sure under the lock that it still is the file of that name. The seq
is written twice: one that is read while it is written differs from itself, and then counts as 0, which keeps everything. Behind it
stand the layers that the owner is folding, each in three numbers; of those that are read while they are written any may be missing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from sopnb.errors import ReadOnly
from sopnb.protocols import Clock, Pin, Reserved
from sopnb.storage.files import Files, Forkable

_DRAFT = ".tmp"
_WIDTH = 20
_LENGTH = 2 * _WIDTH
_RESERVED = 3 * _WIDTH
MOST_RESERVED = 8
"""Others are told of so many folds at most that one engine makes at a time."""


class LocalPins(Forkable):
    """The ``Pins`` protocol over a folder. With ``writable`` false it only looks."""

    def __init__(self, folder: Path, *, files: Files, clock: Clock, writable: bool = True) -> None:
        self._folder, self._files, self._clock, self._writable = folder / "pins", files, clock, writable
        self._owner = clock.new_id(8).hex()
        self._mutex = threading.Lock()
        self._fd: int | None = None
        self._seq: int | None = None
        files.at_fork(self)

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
        if not self._writable:
            raise ReadOnly('a database opened with mode="r" pins nothing')
        with self._mutex:
            if self._fd is None:
                self._make(seq)
            else:
                self._write(self._fd, seq)
            self._seq = seq

    def advance(self, seq: int) -> None:
        """Move the pin forward."""
        with self._mutex:
            if self._seq is not None and seq > self._seq and self._fd is not None:
                self._write(self._fd, seq)
                self._seq = seq

    def reserve(self, reserved: Sequence[Reserved]) -> None:
        """Write down what is being folded."""
        texts = [b"%0*d%0*d%0*d" % (_WIDTH, each.store, _WIDTH, each.lo, _WIDTH, each.hi) for each in reserved[:MOST_RESERVED]]
        with self._mutex:
            if self._fd is not None:
                self._files.pwrite(self._fd, b"".join(texts).ljust(MOST_RESERVED * _RESERVED), _LENGTH)

    def held(self) -> Sequence[Pin]:
        """Return every living pin; the files of the dead are removed."""
        pins = (self._read(owner) for owner in sorted(self._owners()))
        return [pin for pin in pins if pin is not None and not pin.owner.endswith(_DRAFT)]

    def alive(self, owner: str) -> bool:
        """Say whether this owner's file is there and locked."""
        return owner in self._owners() and self._read(owner) is not None

    def close(self) -> None:
        """Give the pin up."""
        with self._mutex, self._files.no_fork():
            fd, self._fd, self._seq = self._fd, None, None
            if fd is not None:
                self._files.unlink(self._folder / self._owner, missing_ok=True)
                self._files.unlock(fd)
                self._files.close(fd)

    def _owners(self) -> list[str]:
        return self._files.listdir(self._folder) if self._files.exists(self._folder) else []

    def _make(self, seq: int) -> None:
        """Make the file; again, if somebody took it for dead before it was locked."""
        self._files.mkdir(self._folder)
        draft = self._folder / f"{self._owner}{_DRAFT}"
        while self._fd is None:
            with self._files.no_fork():
                fd = self._fd = self._files.create(draft)
            self._write(fd, seq)
            try:
                if self._files.flock(fd):
                    self._files.rename(draft, self._folder / self._owner)
                    return
            except FileNotFoundError:
                pass
            with self._files.no_fork():
                self._fd = None
                self._files.close(fd)
            self._files.unlink(draft, missing_ok=True)

    def _write(self, fd: int, seq: int) -> None:
        self._files.pwrite(fd, b"%0*d" % (_WIDTH, seq) * 2, 0)

    def _read(self, owner: str) -> Pin | None:
        """Return a living pin; None if it is dead."""
        path = self._folder / owner
        try:
            fd = self._files.open_read(path)
        except FileNotFoundError:
            return None
        try:
            if not self._files.flock(fd):
                text = self._files.pread(fd, _LENGTH + MOST_RESERVED * _RESERVED, 0)
                first, second = text[:_WIDTH], text[_WIDTH:_LENGTH]
                return Pin(owner, int(first) if first == second and first.isdigit() else 0, _reserved(text[_LENGTH:]))
            try:
                if self._writable and self._files.identity(path) == self._files.identity(fd):
                    self._files.unlink(path, missing_ok=True)
            except FileNotFoundError:
                pass
            finally:
                self._files.unlock(fd)  # a child forked meanwhile shares it
            return None
        finally:
            self._files.close(fd)


def _reserved(text: bytes) -> tuple[Reserved, ...]:
    """Return what is being folded; what is no number is left out."""
    found = []
    for start in range(0, len(text), _RESERVED):
        numbers = [text[start + at : start + at + _WIDTH] for at in range(0, _RESERVED, _WIDTH)]
        if all(len(number) == _WIDTH and number.isdigit() for number in numbers):
            found.append(Reserved(*map(int, numbers)))
    return tuple(found)
