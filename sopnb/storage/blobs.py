"""Blobs as files of a folder: ``blobs/<name>``.

A blob is written under a temporary name, synced, linked to its own name, and the directory synced: it is whole or it is not there.
What a crash leaves is listed under its temporary name, which begins with the owner's id too: to everybody it is a blob that no
commit names, and goes with the others of an owner that is dead. Descriptors of blobs being read are kept, a bounded number of them;
a read in progress keeps its own open.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sopnb.errors import Corruption, InvalidInput, ReadOnly
from sopnb.protocols import Clock
from sopnb.storage.files import Files, Forkable

_DRAFT = ".tmp"


class LocalBlobs(Forkable):
    """The ``Blobs`` protocol over the folder of a database. ``descriptors`` is the most that stay open between reads."""

    def __init__(self, folder: Path, *, files: Files, clock: Clock, descriptors: int = 64, writable: bool = True) -> None:
        self._folder, self._files, self._clock = folder / "blobs", files, clock
        self._most, self._writable = descriptors, writable
        self._mutex = threading.Lock()
        self._open: OrderedDict[str, int] = OrderedDict()
        self._users: dict[int, int] = {}
        files.at_fork(self)

    def after_fork(self) -> None:
        """Forget what the parent has open; the descriptors are closed, the child opens its own."""
        descriptors = {*self._open.values(), *self._users}
        self._mutex = threading.Lock()
        self._open, self._users = OrderedDict(), {}
        for fd in descriptors:
            self._files.close(fd)

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a blob, durable with its name before this returns."""
        self._must_write()
        path = self._path(name)
        if name.endswith(_DRAFT):
            raise InvalidInput(f"{name!r} is no name of a blob")
        draft = path.with_name(f"{name}.{self._clock.new_id(4).hex()}{_DRAFT}")
        fd = self._files.create(draft)
        try:
            try:
                length = 0
                for chunk in chunks:
                    self._files.pwrite(fd, chunk, length)
                    length += len(chunk)
                self._files.sync(fd)
            finally:
                self._files.close(fd)
            try:
                self._files.link(draft, path)
            except FileExistsError as error:
                raise InvalidInput(f"blob {name!r} is already there; a name is never used twice") from error
            try:
                self._files.unlink(draft)
                self._files.sync_dir(self._folder)
            except BaseException:
                self._files.unlink(path, missing_ok=True)
                raise
        finally:
            self._files.unlink(draft, missing_ok=True)
        return length

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        """Return the bytes of each range, never fewer."""
        with self._descriptor(name) as fd:
            parts = []
            for offset, length in ranges:
                data = self._files.pread(fd, length, offset) if length else b""
                if len(data) != length:
                    raise Corruption(f"blob {name}", f"it ends at {offset + len(data)}; {length} bytes were asked for at {offset}")
                parts.append(data)
            return parts

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs. Their names are not synced: one that comes back after a power cut is listed, and removed again."""
        self._must_write()
        for name in names:
            path = self._path(name)
            with self._mutex:
                fd = self._open.pop(name, None)
                if fd is not None and fd not in self._users:
                    self._files.close(fd)
            self._files.unlink(path, missing_ok=True)

    def names(self, owner: str | None = None) -> Iterator[tuple[str, int]]:
        """Yield every blob's name and length."""
        for name in sorted(self._files.listdir(self._folder)):
            if owner is None or name.startswith(owner):
                try:
                    yield name, self._files.size(self._folder / name)
                except FileNotFoundError:
                    continue

    def close(self) -> None:
        """Close the descriptors; a later read opens them again."""
        with self._mutex:
            unused = [fd for fd in self._open.values() if fd not in self._users]
            self._open.clear()
        for fd in unused:
            self._files.close(fd)

    def _must_write(self) -> None:
        if not self._writable:
            raise ReadOnly('the database was opened with mode="r"; open it with mode="a" to write')

    def _path(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise InvalidInput(f"{name!r} is no name of a blob")
        return self._folder / name

    @contextmanager
    def _descriptor(self, name: str) -> Iterator[int]:
        with self._mutex:
            fd = self._open.get(name)
            if fd is None:
                fd = self._files.open_read(self._path(name))
                self._open[name] = fd
            self._open.move_to_end(name)
            self._users[fd] = self._users.get(fd, 0) + 1
        try:
            yield fd
        finally:
            with self._mutex:
                if fd in self._users:
                    self._users[fd] -= 1
                    if not self._users[fd]:
                        del self._users[fd]
                        self._settle(name, fd)

    def _settle(self, name: str, fd: int) -> None:
        """Close what is no longer kept: this one if its blob was deleted meanwhile, else the one that was used longest ago."""
        if self._open.get(name) != fd:
            self._files.close(fd)
        while len(self._open) > self._most:
            for old, other in self._open.items():
                if other not in self._users:
                    del self._open[old]
                    self._files.close(other)
                    break
            else:
                return
