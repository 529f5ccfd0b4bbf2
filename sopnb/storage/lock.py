"""One lock for all processes of a machine: ``flock`` on a file that is never removed.

The lock belongs to an open file description. It is let go of by ``LOCK_UN``, for a description that a forked child shares would
otherwise keep it; and the child closes what it inherited, for else it would hold the lock of a parent that died. Waiting is a few
tries without blocking, for a turn is mostly over within a sync, and then a blocking ``flock`` in a helper thread on a description of
the helper's own: when the wait is given up that description is closed, so the lock goes back the moment the helper gets it, and
nobody takes it for his own.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from sopnb.errors import StorageError, Timeout
from sopnb.protocols import Clock
from sopnb.storage.files import Files, Forkable

PATIENCE = 0.5
"""Seconds that a thread waits at a stretch: an interrupt that came just before the wait began is heeded after it."""
FIRST_PAUSE = 0.0001
"""Seconds, about, between the first tries; each next pause is half as long again,"""
LONGEST_PAUSE = 0.001
"""and after the one of this length the lock is waited for: whoever only tries may never be in time."""


class FileLock(Forkable):
    """A lock, exclusive or ``shared``; a shared one needs no right to write. Its user sees to it that one thread at a time calls."""

    def __init__(self, path: Path, *, files: Files, clock: Clock, shared: bool = False) -> None:
        self._path, self._files, self._clock, self._shared = path, files, clock, shared
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        self._waiting: set[int] = set()
        files.at_fork(self)

    def after_fork(self) -> None:
        """Close what the parent has open, without unlocking it."""
        inherited = {*self._waiting} if self._fd is None else {self._fd, *self._waiting}
        self._fd, self._waiting = None, set()
        for fd in inherited:
            self._files.close(fd)

    def acquire(self, timeout: float) -> None:
        """Take the lock. Raises ``Timeout`` naming the holder; ``StorageError`` if the path is another file than at first."""
        if self._fd is None:
            with self._files.no_fork():
                self._fd = self._open()
        if self._identity is None:
            self._identity = self._files.identity(self._fd)
        if not self._files.flock(self._fd, exclusive=not self._shared):
            self._contend(self._fd, timeout)
        try:
            self._check()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go of the lock."""
        if self._fd is not None:
            self._files.unlock(self._fd)

    def close(self) -> None:
        """Close the descriptor; the next ``acquire`` opens one."""
        with self._files.no_fork():
            fd, self._fd = self._fd, None
            if fd is not None:
                self._files.close(fd)

    def _open(self) -> int:
        return self._files.open_read(self._path) if self._shared else self._files.open_write(self._path)

    def _check(self) -> None:
        """See that the locked file still is the one of that name: others lock the one of that name."""
        try:
            if self._files.identity(self._path) == self._identity:
                return
        except FileNotFoundError:
            pass
        raise StorageError(str(self._path), "the folder was moved, replaced or removed while it was open; open it again")

    def _contend(self, fd: int, timeout: float) -> None:
        """Try a few times more, then wait. The pauses are of random length, so that those who wait do not all try at once."""
        clock, left, pause = self._clock, timeout, FIRST_PAUSE
        started = clock.monotonic()
        while pause < LONGEST_PAUSE and pause * 2 < left:
            clock.sleep(pause * (0.5 + clock.random()))
            if self._files.flock(fd, exclusive=not self._shared):
                return
            left = timeout - (clock.monotonic() - started)
            pause *= 1.5
        if left <= 0 or not self._wait(left):
            raise Timeout("the lock of the database", waited=timeout, holder=self._files.holder(self._path))

    def _wait(self, timeout: float) -> bool:
        """Wait for the lock on another description, which becomes this lock's; return whether it was got in time."""
        got = False
        with self._files.no_fork():
            fd = self._open()
            self._waiting.add(fd)
        helper = _Helper(fd, self._files, exclusive=not self._shared)
        try:
            helper.start()
            got = helper.wait(timeout)
        finally:
            with self._files.no_fork():
                self._waiting.discard(fd)
                if not got and helper.give_up():
                    self._files.unlock(fd)
                done, self._fd = (self._fd, fd) if got else (fd, self._fd)
                if done is not None:
                    self._files.close(done)
        if helper.error is not None:
            raise helper.error
        return got


class _Helper(threading.Thread):
    """Blocks in ``flock`` for another thread."""

    def __init__(self, fd: int, files: Files, *, exclusive: bool) -> None:
        super().__init__(name="sopnb lock", daemon=True)
        self._fd, self._files, self._exclusive = fd, files, exclusive
        self._mutex = threading.Lock()
        self._done = threading.Event()
        self._got = self._given_up = False
        self.error: Exception | None = None

    def run(self) -> None:
        """Wait for the lock. No signal may interrupt it: it would be tried again on a number that may name another file by then."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._files.flock(self._fd, self._exclusive, block=True)
        except Exception as error:
            self.error = error
        else:
            with self._mutex:
                self._got = not self._given_up
        self._done.set()

    def wait(self, timeout: float) -> bool:
        """Return whether the lock was got in time."""
        left = timeout
        while not self._done.wait(min(left, PATIENCE)) and left > PATIENCE:
            left -= PATIENCE
        return self._got

    def give_up(self) -> bool:
        """End the wait; return whether the lock was got all the same. After False the descriptor is to be closed at once."""
        with self._mutex:
            self._given_up = True
            return self._got
