"""A disk that exists in memory only, loses power, fails and lies, for several simulated processes of one machine.

``SimulatedDisk.process()`` gives what a process would have as ``Files``; the storage code runs on it unchanged. Of a file there
are the bytes in the page cache and the bytes on the disk, in sectors of 512 bytes: a sync brings the cache to the disk; a failed
one brings any part of it, and the pages pass for clean all the same. A name is on the disk only after ``sync_dir``. When power
fails, each sector and each name that was not synced is any of its versions since; a file that was never synced may be torn
inside a sector too. A killed process leaves the cache as it is, but for a write that it was in: that may have come to any multiple
of 16 bytes. Locks belong to open descriptions, as with ``flock``.

``before`` is asked before each operation, by the thread that does it: it may say how the operation fails, or let others work first.
``choose(n)`` picks one of n outcomes wherever there are several. A blocking lock does not wait: it fails, for nobody would wake it.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from sopnb.errors import NoSpace, StorageError
from sopnb.storage.files import FULL, Files, Forkable

SECTOR = 512
GRAIN = 16
"""A killed process leaves a multiple of so many bytes of a write."""

TEAR = 50
"""Where in a sector a file that was never synced is torn."""

Choose = Callable[[int], int]


def chance(seed: object) -> Choose:
    """Return what picks outcomes at random, always the same ones for a seed."""
    return random.Random(repr(seed)).randrange


class Killed(BaseException):
    """The simulated process is dead; nothing that it goes on to do has an effect."""


class PowerCut(Killed):
    """The machine is off, until ``power_on``."""


class Misuse(BaseException):
    """The storage code did what it must never do on any disk."""


class Step(NamedTuple):
    """An operation that is about to be done: the ``number`` of it on this disk, and whether it ``changes`` anything."""

    number: int
    process: str
    name: str
    path: Path
    changes: bool


class Fault(NamedTuple):
    """How an operation fails: with an ``error``, by the ``kill`` of its process, or by a power ``cut``, in the middle of it."""

    kind: Literal["error", "kill", "cut"]
    errno: int = errno.EIO


@dataclass(slots=True, eq=False)
class File:
    """A file: ``cache`` is what processes see, ``disk`` what is durable, ``pending`` the versions of sectors since the last sync."""

    number: int
    cache: bytearray = field(default_factory=bytearray)
    disk: bytearray = field(default_factory=bytearray)
    pending: dict[int, list[bytes]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    synced: bool = False
    locks: list[_Description] = field(default_factory=list)

    def write(self, data: bytes, offset: int) -> None:
        """Write into the cache."""
        end = offset + len(data)
        if end > len(self.cache):
            self.cache.extend(bytes(end - len(self.cache)))
            self.lengths.append(end)
        self.cache[offset:end] = data
        for sector in range(offset // SECTOR, -(-end // SECTOR)):
            new = _sector(self.cache, sector)
            versions = self.pending.setdefault(sector, [_sector(self.disk, sector)])
            if versions[-1] != new:
                versions.append(new)

    def cut(self, length: int) -> None:
        """Set the length in the cache."""
        self.cache = self.cache[:length].ljust(length, b"\0")
        self.lengths.append(length)

    def sync(self) -> None:
        """Bring the cache to the disk: what is dirty in it, and no more."""
        self.disk = self.disk[: len(self.cache)].ljust(len(self.cache), b"\0")
        for sector in self.pending:
            start = sector * SECTOR
            self.disk[start : start + SECTOR] = self.cache[start : start + SECTOR]
        self.pending, self.lengths, self.synced = {}, [], True

    def settle(self, choose: Choose) -> None:
        """Bring any version of each unsynced sector to the disk; nothing is pending any more, the cache is as it was."""
        lengths = [len(self.disk), *self.lengths]
        length = lengths[choose(len(lengths))] if len(lengths) > 1 else lengths[0]
        disk = self.disk.ljust(max(lengths), b"\0")
        for sector, versions in sorted(self.pending.items()):
            outcomes = list(dict.fromkeys(versions))
            if not self.synced:
                outcomes[1:1] = [old[:TEAR] + new[TEAR:] for old, new in itertools.pairwise(outcomes)]
            new = outcomes[choose(len(outcomes))] if len(outcomes) > 1 else outcomes[0]
            start = sector * SECTOR
            disk[start : start + SECTOR] = new[: max(0, len(disk) - start)]
        self.disk, self.pending, self.lengths = disk[:length], {}, []

    def evict(self) -> None:
        """Drop the clean pages from the cache: then what is on the disk shows."""
        for sector in range(-(-len(self.disk) // SECTOR)):
            if sector not in self.pending:
                start = sector * SECTOR
                self.cache[start : start + SECTOR] = self.disk[start : start + SECTOR]

    def copy(self, made: dict[int, File | Folder]) -> File:
        """Return another such file, with no locks; ``made`` are the copies made so far."""
        if self.number not in made:
            pending = {sector: list(versions) for sector, versions in self.pending.items()}
            made[self.number] = File(self.number, self.cache[:], self.disk[:], pending, self.lengths[:], self.synced)
        found = made[self.number]
        assert isinstance(found, File)
        return found

    def flip(self, offset: int, mask: int) -> None:
        """Damage a byte, in the cache and on the disk."""
        self.cache[offset] ^= mask
        self.disk[offset] ^= mask


@dataclass(slots=True, eq=False)
class Folder:
    """A directory: names in the cache, on the disk, and the versions of a name since the last sync."""

    number: int
    cache: dict[str, File | Folder] = field(default_factory=dict)
    disk: dict[str, File | Folder] = field(default_factory=dict)
    pending: dict[str, list[File | Folder | None]] = field(default_factory=dict)

    def copy(self, made: dict[int, File | Folder]) -> Folder:
        """Return another such directory, and copies of all that it has or had."""
        found = made.get(self.number)
        if isinstance(found, Folder):
            return found
        other = made[self.number] = Folder(self.number)
        other.cache = {name: entry.copy(made) for name, entry in self.cache.items()}
        other.disk = {name: entry.copy(made) for name, entry in self.disk.items()}
        other.pending = {name: [entry and entry.copy(made) for entry in versions] for name, versions in self.pending.items()}
        return other

    def set(self, name: str, entry: File | Folder | None) -> None:
        """Make or remove a name in the cache."""
        self.pending.setdefault(name, [self.disk.get(name)]).append(entry)
        if entry is None:
            self.cache.pop(name, None)
        else:
            self.cache[name] = entry

    def sync(self) -> None:
        """Bring the names to the disk."""
        self.disk, self.pending = dict(self.cache), {}

    def settle(self, choose: Choose) -> None:
        """Bring any version of each unsynced name to the disk, and what lies below likewise; the cache is what the disk has then."""
        for name, versions in sorted(self.pending.items()):
            outcomes = list(dict.fromkeys(versions))
            entry = outcomes[choose(len(outcomes))] if len(outcomes) > 1 else outcomes[0]
            if entry is None:
                self.disk.pop(name, None)
            else:
                self.disk[name] = entry
        self.cache, self.pending = dict(self.disk), {}


@dataclass(slots=True, eq=False)
class _Description:
    """An open file: what a lock belongs to."""

    file: File
    path: Path
    writable: bool
    lock: str = ""
    failed: bool = False


class SimulatedDisk:
    """The disk of one machine. ``dead`` is a device that is gone: it swallows writes and syncs, and opens nothing."""

    def __init__(self, choose: Choose = lambda n: n - 1) -> None:
        self.choose = choose
        self.before: Callable[[Step], Fault | None] = lambda step: None
        self.dead = False
        self.kind = "simulated"
        self.steps = 0
        self._numbers = itertools.count(2)
        self._descriptors = itertools.count(1000)
        self._names = itertools.count(1)
        self._root = Folder(1)
        self._processes: list[SimulatedFiles] = []

    def process(self) -> SimulatedFiles:
        """Return the files as a new process of this machine sees them."""
        process = SimulatedFiles(self, f"process {next(self._names)}")
        self._processes.append(process)
        return process

    def copy(self) -> SimulatedDisk:
        """Return a disk in the same state, without processes or hooks."""
        other = SimulatedDisk()
        other._root = self._root.copy({})
        other._numbers, other.kind = itertools.count(next(self._numbers) + 1000), self.kind
        return other

    def kill(self, process: SimulatedFiles) -> None:
        """Let a process die: its descriptors close, the cache stays."""
        process.die()
        self._processes.remove(process)

    def power_off(self) -> None:
        """Let every process die; what is durable is decided by ``power_on``."""
        for process in self._processes:
            process.die()
        self._processes.clear()

    def power_on(self, choose: Choose | None = None) -> None:
        """Begin again from the disk, as any outcome of a power cut that ``choose`` picks."""
        choose = choose or self.choose
        self.power_off()
        self.dead = False
        for _, folder in _folders(Path("/"), self._root):
            folder.settle(choose)
        for file in self.files():
            file.settle(choose)
            file.cache = bytearray(file.disk)

    def file(self, path: Path) -> File:
        """Return the file of a name, as processes see it. Raises ``FileNotFoundError``."""
        found = self.find(path)
        if not isinstance(found, File):
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        return found

    def tree(self) -> Iterator[tuple[Path, File]]:
        """Yield every file by each of its names."""
        for path, folder in _folders(Path("/"), self._root):
            for name in sorted(folder.cache):
                entry = folder.cache[name]
                if isinstance(entry, File):
                    yield path / name, entry

    def files(self) -> list[File]:
        """Return every file that has a name, once."""
        return list(dict.fromkeys(file for _, file in self.tree()))

    def find(self, path: Path) -> File | Folder:
        """Return what has this name. Raises ``FileNotFoundError``."""
        found: File | Folder = self._root
        for part in path.parts[1:]:
            if not isinstance(found, Folder) or part not in found.cache:
                raise FileNotFoundError(errno.ENOENT, "no such file or directory", str(path))
            found = found.cache[part]
        return found

    def folder(self, path: Path) -> Folder:
        """Return the directory of a name."""
        found = self.find(path)
        if not isinstance(found, Folder):
            raise StorageError(str(path), "not a directory", errno=errno.ENOTDIR)
        return found

    def new_file(self) -> File:
        """Return a file without a name."""
        return File(next(self._numbers))

    def new_folder(self) -> Folder:
        """Return a directory without a name."""
        return Folder(next(self._numbers))

    def new_descriptor(self) -> int:
        """Return a number that was never used on this disk, so that a late use of a closed one shows."""
        return next(self._descriptors)


class SimulatedFiles(Files):
    """``Files`` on a simulated disk, for one process."""

    def __init__(self, disk: SimulatedDisk, name: str) -> None:
        self.disk, self.name, self.alive = disk, name, True
        self._open: dict[int, _Description] = {}

    def die(self) -> None:
        """Close everything, and do nothing any more."""
        self.alive = False
        for description in self._open.values():
            _unlock(description)
        self._open.clear()

    @property
    def descriptors(self) -> int:
        """How many descriptors are open."""
        return len(self._open)

    @contextmanager
    def _doing(self, name: str, path: Path, changes: bool = False) -> Iterator[Fault | None]:
        """Do one operation. The body makes the change of one that fails half-way; ``sync`` makes none."""
        if not self.alive:
            raise Killed
        disk = self.disk
        disk.steps += 1
        fault = disk.before(Step(disk.steps, self.name, name, path, changes))
        if not self.alive:
            raise Killed
        if fault is None:
            yield None
        elif fault.kind == "error":
            if name in ("pwrite", "sync"):
                yield fault
            kind = NoSpace if fault.errno in FULL else StorageError
            raise kind(str(path), f"{os.strerror(fault.errno)} (made on purpose)", errno=fault.errno)
        elif fault.kind == "kill":
            if name == "pwrite":
                yield fault
            disk.kill(self)
            raise Killed
        else:
            try:
                if changes and name not in ("sync", "sync_dir"):
                    yield None
            finally:
                disk.power_off()
                raise PowerCut

    def _description(self, fd: int) -> _Description:
        if not self.alive:
            raise Killed
        if fd not in self._open:
            raise StorageError(f"descriptor {fd}", os.strerror(errno.EBADF), errno=errno.EBADF)
        return self._open[fd]

    def _opened(self, file: File, path: Path, writable: bool) -> int:
        if self.disk.dead:
            raise StorageError(str(path), "the device is gone", errno=errno.EIO)
        fd = self.disk.new_descriptor()
        self._open[fd] = _Description(file, path, writable)
        return fd

    def at_fork(self, owner: Forkable) -> None:
        """Do nothing: simulated processes do not fork."""

    def no_fork(self) -> AbstractContextManager[object]:
        """Do nothing: simulated processes do not fork."""
        return nullcontext()

    def open_read(self, path: Path) -> int:
        """Open an existing file for reading."""
        with self._doing("open_read", path):
            return self._opened(self.disk.file(path), path, False)

    def open_write(self, path: Path) -> int:
        """Open an existing file for reading and writing."""
        with self._doing("open_write", path):
            return self._opened(self.disk.file(path), path, True)

    def create(self, path: Path) -> int:
        """Make a new file."""
        with self._doing("create", path, True):
            file = self.disk.new_file()
            self._name(path, file)
            return self._opened(file, path, True)

    def _name(self, path: Path, entry: File | Folder) -> None:
        folder = self.disk.folder(path.parent)
        if path.name in folder.cache:
            raise FileExistsError(errno.EEXIST, "file exists", str(path))
        folder.set(path.name, entry)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Read from the cache."""
        description = self._description(fd)
        with self._doing("pread", description.path):
            return bytes(description.file.cache[offset : offset + size])

    def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write into the cache; a killed or failed one comes to some multiple of the grain."""
        description = self._description(fd)
        if not description.writable:
            raise StorageError(str(description.path), os.strerror(errno.EBADF), errno=errno.EBADF)
        if description.failed:
            raise Misuse(f"{description.path} is written through a descriptor whose sync failed")
        with self._doing("pwrite", description.path, True) as fault:
            done = bytes(data)
            if fault is not None:
                grains = -(-len(done) // GRAIN)
                done = done[: self.disk.choose(grains + 1) * GRAIN]
            description.file.write(done, offset)

    def sync(self, fd: int) -> None:
        """Bring the cache to the disk; a failed sync brings any part of it, and makes the pages pass for clean."""
        description = self._description(fd)
        if description.failed:
            raise Misuse(f"{description.path} is synced again after a failure")
        with self._doing("sync", description.path, True) as fault:
            if fault is not None:
                description.failed = True
                description.file.settle(self.disk.choose)
            elif not self.disk.dead:
                description.file.sync()

    def begin_sync(self, fd: int, offset: int) -> None:
        """Do nothing: what is in the cache may come to the disk at any time anyway."""
        self._description(fd)

    def sync_dir(self, path: Path) -> None:
        """Bring the names to the disk."""
        with self._doing("sync_dir", path, True):
            folder = self.disk.folder(path)
            if not self.disk.dead:
                folder.sync()

    def truncate(self, fd: int, size: int) -> None:
        """Set the length in the cache."""
        description = self._description(fd)
        with self._doing("truncate", description.path, True):
            description.file.cut(size)

    def close(self, fd: int) -> None:
        """Close a descriptor; its lock goes with it."""
        description = self._description(fd)
        with self._doing("close", description.path):
            _unlock(self._open.pop(fd))

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name."""
        with self._doing("link", target, True):
            self._name(target, self.disk.file(source))

    def rename(self, source: Path, target: Path) -> None:
        """Move a name."""
        with self._doing("rename", target, True):
            entry = self.disk.find(source)
            self.disk.folder(target.parent).set(target.name, entry)
            self.disk.folder(source.parent).set(source.name, None)

    def unlink(self, path: Path, missing_ok: bool = False) -> None:
        """Remove a name."""
        with self._doing("unlink", path, True):
            try:
                self.disk.file(path)
            except FileNotFoundError:
                if not missing_ok:
                    raise
            else:
                self.disk.folder(path.parent).set(path.name, None)

    def mkdir(self, path: Path) -> None:
        """Make a directory and those above it."""
        with self._doing("mkdir", path, True):
            for made in [*reversed(path.parents), path][1:]:
                if made.name not in self.disk.folder(made.parent).cache:
                    self._name(made, self.disk.new_folder())

    def rmdir(self, path: Path) -> None:
        """Remove an empty directory."""
        with self._doing("rmdir", path, True):
            if self.disk.folder(path).cache:
                raise StorageError(str(path), os.strerror(errno.ENOTEMPTY), errno=errno.ENOTEMPTY)
            self.disk.folder(path.parent).set(path.name, None)

    def listdir(self, path: Path) -> list[str]:
        """Return the names in a directory."""
        with self._doing("listdir", path):
            return list(self.disk.folder(path).cache)

    def size(self, file: Path | int) -> int:
        """Return the length in the cache."""
        found, path = self._file(file)
        with self._doing("size", path):
            return len(found().cache)

    def exists(self, path: Path) -> bool:
        """Say whether there is this name."""
        with self._doing("exists", path):
            try:
                self.disk.find(path)
            except FileNotFoundError:
                return False
            return True

    def is_folder(self, path: Path) -> bool:
        """Say whether this name is a directory's."""
        with self._doing("is_folder", path):
            try:
                return isinstance(self.disk.find(path), Folder)
            except FileNotFoundError:
                return False

    def identity(self, file: Path | int) -> tuple[int, int]:
        """Return the disk's number and the file's."""
        if isinstance(file, int):
            path = self._description(file).path
            with self._doing("identity", path):
                return 1, self._description(file).file.number
        with self._doing("identity", file):
            return 1, self.disk.find(file).number

    def _file(self, file: Path | int) -> tuple[Callable[[], File], Path]:
        if isinstance(file, int):
            description = self._description(file)
            return lambda: description.file, description.path
        path = file
        return lambda: self.disk.file(path), path

    def flock(self, fd: int, exclusive: bool = True, block: bool = False) -> bool:
        """Lock an open description; one that would wait fails, for nobody would wake it."""
        description = self._description(fd)
        with self._doing("flock", description.path):
            others = [other for other in description.file.locks if other is not description]
            if any(exclusive or other.lock == "exclusive" for other in others):
                if block:
                    raise StorageError(str(description.path), os.strerror(errno.EDEADLK), errno=errno.EDEADLK)
                return False
            _unlock(description)
            description.lock = "exclusive" if exclusive else "shared"
            description.file.locks.append(description)
            return True

    def unlock(self, fd: int) -> None:
        """Let go of the lock."""
        description = self._description(fd)
        with self._doing("unlock", description.path):
            _unlock(description)

    def holder(self, file: Path | int) -> str | None:
        """Name the processes that hold a lock on this file."""
        found, path = self._file(file)
        with self._doing("holder", path):
            locks = found().locks
            names = [process.name for process in self.disk._processes if any(d in locks for d in process._open.values())]
            return ", ".join(names) or None

    def filesystem(self, path: Path) -> str:
        """Return the kind of file system that the disk was given."""
        return self.disk.kind


def _unlock(description: _Description) -> None:
    if description.lock:
        description.file.locks.remove(description)
        description.lock = ""


def _folders(path: Path, folder: Folder) -> Iterator[tuple[Path, Folder]]:
    """Yield a directory and those below it: those that it has once the caller went on from it."""
    yield path, folder
    for name in sorted(folder.cache):
        entry = folder.cache[name]
        if isinstance(entry, Folder):
            yield from _folders(path / name, entry)


def _sector(data: bytearray, sector: int) -> bytes:
    return bytes(data[sector * SECTOR : (sector + 1) * SECTOR]).ljust(SECTOR, b"\0")
