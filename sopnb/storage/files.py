"""Every operation on the files of a database, in one place; files that users bring or ask for go through ``frames/files``.

``Files`` is the real disk. ``sopnb.testing.disk.SimulatedDisk`` overrides every method, so the same storage code runs on a disk
that loses power. Errors are translated here and nowhere else: a full disk is ``NoSpace``, any other failure ``StorageError``;
``FileNotFoundError`` and ``FileExistsError`` pass, for they are answers rather than failures.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from sopnb.errors import NoSpace, StorageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers that mean: nothing is broken, there is no room."""

SHARED_FILESYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse", "fuseblk", "ceph", "glusterfs", "afs", "lustre", "virtiofs")
"""File systems on which ``flock`` or the page cache are not shared by all who write; see ``Files.shared``."""

_NO_ATIME = getattr(os, "O_NOATIME", 0)
_send = getattr(os, "posix_fadvise", None)
_fork_guard = threading.RLock()
_at_fork: weakref.WeakSet[Forkable] = weakref.WeakSet()


class Forkable(ABC):
    """Something that holds descriptors which a forked child must not keep; see ``register_at_fork``."""

    @abstractmethod
    def after_fork(self) -> None:
        """Close inherited descriptors without unlocking them. Runs in the child, before anything else."""


def register_at_fork(owner: Forkable) -> None:
    """Have ``owner.after_fork()`` called in every forked child, as long as the owner lives.

    A child that kept a lock's descriptor would hold the lock after its parent died; one that unlocked it would take it from
    the parent. So it closes the descriptor, and opens its own before first use.
    """
    _at_fork.add(owner)


def _in_child() -> None:
    _fork_guard.release()
    errors = []
    for owner in list(_at_fork):
        try:
            owner.after_fork()
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]


os.register_at_fork(before=_fork_guard.acquire, after_in_parent=_fork_guard.release, after_in_child=_in_child)


@contextmanager
def translated(where: object) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except OSError as error:
        _fail(error, where)


def _fail(error: OSError, where: object) -> NoReturn:
    """Raise an error of the system as ours; what is an answer as it is.

    No error is its own cause, or a variable of a frame that it passed: such a cycle would keep every state in those frames readable.
    """
    try:
        if isinstance(error, FileNotFoundError | FileExistsError | StorageError):
            raise error
        reason = os.strerror(error.errno) if error.errno else str(error)
        kind = NoSpace if error.errno in FULL else StorageError
        raise kind(str(where), reason, errno=error.errno) from error
    finally:
        del error


class Files:
    """The real disk.

    Descriptors are plain numbers. Every method may raise ``NoSpace`` or ``StorageError``; those that take a name may raise
    ``FileNotFoundError``, those that make one ``FileExistsError``. A name that was made, linked, renamed or removed is durable
    only after ``sync_dir`` of its directory; bytes only after ``sync``.
    """

    def at_fork(self, owner: Forkable) -> None:
        """Have ``owner.after_fork()`` called in every forked child."""
        register_at_fork(owner)

    def no_fork(self) -> AbstractContextManager[object]:
        """Keep forks waiting while a descriptor is opened or closed together with the note of it that ``after_fork`` reads."""
        return _fork_guard

    def open_read(self, path: Path) -> int:
        """Open an existing file for reading."""
        return self._open_file(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_write(self, path: Path) -> int:
        """Open an existing file for reading and writing."""
        return self._open_file(path, os.O_RDWR | os.O_CLOEXEC)

    def create(self, path: Path) -> int:
        """Make a new file and open it for reading and writing; ``FileExistsError`` if the name is taken."""
        return self._open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)

    def _open_file(self, path: Path, flags: int) -> int:
        """Open without keeping the time of access: a file that is written and read in turn would have it written each time."""
        try:
            try:
                return os.open(path, flags | _NO_ATIME, 0o666)
            except PermissionError:  # only a file's owner may ask for it
                return os.open(path, flags, 0o666)
        except OSError as error:
            _fail(error, path)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Read up to ``size`` bytes; fewer only at the end of the file."""
        try:
            data = os.pread(fd, size, offset)
            if len(data) == size or not data:
                return data
            parts = [data]
            got = len(data)
            while got < size:
                data = os.pread(fd, size - got, offset + got)
                if not data:
                    break
                parts.append(data)
                got += len(data)
            return b"".join(parts)
        except OSError as error:
            _fail(error, f"descriptor {fd}")

    def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write all of ``data``; several times where the system takes less at once."""
        try:
            done = os.pwrite(fd, data, offset)
            if done == len(data):
                return
            view = memoryview(data).cast("B")
            while done < len(view):
                done += os.pwrite(fd, view[done:], offset + done)
        except OSError as error:
            _fail(error, f"descriptor {fd}")

    def sync(self, fd: int) -> None:
        """Make the file's bytes durable. After a failure they must be written again, through another descriptor."""
        try:
            os.fdatasync(fd)
        except OSError as error:
            _fail(error, f"descriptor {fd}")

    def begin_sync(self, fd: int, offset: int) -> None:
        """Send the page at ``offset`` on its way to the disk without waiting, so that ``sync`` waits for less. It promises nothing."""
        if _send is not None:
            with suppress(OSError):
                _send(fd, offset, 1, os.POSIX_FADV_DONTNEED)  # one byte: only whole pages would be dropped from memory

    def sync_dir(self, path: Path) -> None:
        """Make the names in a directory durable."""
        with translated(path):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut or lengthen a file."""
        with translated(f"descriptor {fd}"):
            os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        try:
            os.close(fd)
        except OSError as error:
            _fail(error, f"descriptor {fd}")

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; ``FileExistsError`` if that is taken."""
        with translated(target):
            os.link(source, target)

    def rename(self, source: Path, target: Path) -> None:
        """Move a name, over another if need be."""
        with translated(target):
            os.rename(source, target)

    def unlink(self, path: Path, missing_ok: bool = False) -> None:
        """Remove a name."""
        with translated(path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def mkdir(self, path: Path) -> None:
        """Make a directory and those above it; harmless if it is there."""
        with translated(path):
            os.makedirs(path, exist_ok=True)

    def rmdir(self, path: Path) -> None:
        """Remove an empty directory."""
        with translated(path):
            os.rmdir(path)

    def listdir(self, path: Path) -> list[str]:
        """Return the names in a directory, in no order."""
        with translated(path):
            return os.listdir(path)

    def size(self, file: Path | int) -> int:
        """Return the length in bytes of a file, given by name or descriptor."""
        with translated(file):
            return os.stat(file).st_size

    def exists(self, path: Path) -> bool:
        """Say whether there is a file or directory of this name."""
        with translated(path):
            try:
                os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def is_folder(self, path: Path) -> bool:
        """Say whether there is a directory of this name."""
        with translated(path):
            return os.path.isdir(path)

    def identity(self, file: Path | int) -> tuple[int, int]:
        """Return (device, inode) of a file, given by name or descriptor."""
        try:
            found = os.stat(file)
        except OSError as error:
            _fail(error, file)
        return found.st_dev, found.st_ino

    def flock(self, fd: int, exclusive: bool = True, block: bool = False) -> bool:
        """Lock an open file; False if another holds it and ``block`` is false.

        The lock belongs to the open file description: a forked child shares it, another ``open_*`` does not.
        """
        how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if block else fcntl.LOCK_NB)
        try:
            fcntl.flock(fd, how)
        except BlockingIOError:
            return False
        except OSError as error:
            _fail(error, f"lock on descriptor {fd}")
        return True

    def unlock(self, fd: int) -> None:
        """Let go of the lock, for every process that shares the descriptor."""
        try:
            fcntl.flock(fd, fcntl.LOCK_UN)
        except OSError as error:
            _fail(error, f"lock on descriptor {fd}")

    def holder(self, file: Path | int) -> str | None:
        """Name the processes that hold a lock on this file, as far as the system tells."""
        try:
            device, inode = self.identity(file)
            mine = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
            lines = Path("/proc/locks").read_text().splitlines()
        except OSError:
            return None
        pids = [w[4] for w in (line.split() for line in lines) if len(w) > 5 and w[1] == "FLOCK" and w[5] == mine and "->" not in w]
        return ", ".join(_process_name(pid) for pid in dict.fromkeys(pids)) or None

    def filesystem(self, path: Path) -> str:
        """Return the type of the file system that a folder is on, or will be on; ``""`` if the system does not tell."""
        while not self.exists(path):
            path = path.parent
        try:
            device = os.stat(path).st_dev
            lines = Path("/proc/self/mountinfo").read_text().splitlines()
        except OSError:
            return ""
        wanted, real = f"{os.major(device)}:{os.minor(device)}", os.path.realpath(path)
        best, found = -1, ""
        for line in lines:
            left, _, right = line.partition(" - ")
            fields = left.split()
            mount = fields[4].replace("\\040", " ")
            inside = real == mount or real.startswith(mount.rstrip("/") + "/")
            score = (len(mount) if inside else -1) + (100_000 if fields[2] == wanted else 0)
            if inside and score >= best:
                best, found = score, right.split()[0]
        return found

    def shared(self, path: Path) -> str | None:
        """Return the file system's type if a folder is on one that may be mounted elsewhere too, so ``flock`` cannot be trusted."""
        kind = self.filesystem(path)
        return kind if kind in SHARED_FILESYSTEMS or kind.startswith("fuse.") else None


def _process_name(pid: str) -> str:
    try:
        command = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({command})"
