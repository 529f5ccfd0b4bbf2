"""Processes of their own for tests of the local registry, and files that tell when something begins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sopnb.protocols import Backend, Draft
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.files import Files
from sopnb.storage.local import LocalRegistry
from sopnb.storage.location import open_backend

SCRIPT = """
import os, signal, sys
from tests.storage.support import opened, append
what, path = sys.argv[1], sys.argv[2]
registry = opened(path).registry
if what == "hold":
    with registry.turn(60):
        print("held", flush=True)
        sys.stdin.readline()
elif what == "hold and fork":
    with registry.turn(60):
        child = os.fork()
        if child:
            print(child, flush=True)
        signal.pause()
elif what == "append":
    for i in range(int(sys.argv[3])):
        print(append(registry, os.urandom(30)), flush=True)
elif what == "append in the dark":
    registry._files.sync = lambda fd: signal.pause()
    print("ready", flush=True)
    append(registry, b"in the dark")
"""


def opened(path: str | Path, *, lock_seconds: float = 60, files: Files | None = None, settings: DatabaseSettings | None = None) -> Backend:
    """Open a database for writing."""
    backend, _ = open_backend(path, handle=HandleSettings(lock_seconds=lock_seconds), files=files, settings=settings)
    return backend


def local(backend: Backend) -> LocalRegistry:
    """Return the registry under its own type."""
    assert isinstance(backend.registry, LocalRegistry)
    return backend.registry


def append(registry: object, *payloads: bytes) -> int:
    """Append in a turn, and return the newest seq."""
    assert isinstance(registry, LocalRegistry)
    with registry.turn(60):
        drafts = [Draft(os.urandom(8), payload) for payload in payloads]
        return registry.append(drafts, registry.head().seq)[-1].seq


@contextmanager
def process(what: str, path: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run one of the scripts; it is killed at the end, if it still lives."""
    command = [sys.executable, "-c", SCRIPT, what, str(path), *map(str, arguments)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def line(started: subprocess.Popen[str]) -> str:
    """Return the next line of its output."""
    assert started.stdout is not None
    return started.stdout.readline().strip()


def rest(started: subprocess.Popen[str]) -> list[str]:
    """Return the whole lines that a process has written since; one that was killed may have begun another.

    Read through the file that ``line`` reads: it may have taken more from the pipe than its line.
    """
    assert started.stdout is not None
    return [text.strip() for text in started.stdout.read().splitlines(keepends=True) if text.endswith("\n")]


class Waiting(Files):
    """Files that set ``blocked`` when somebody begins to wait for a lock, and ``over`` when the wait ends."""

    def __init__(self) -> None:
        self.blocked, self.over = threading.Event(), threading.Event()

    def flock(self, fd: int, exclusive: bool = True, block: bool = False) -> bool:
        """Lock, and tell."""
        if not block:
            return super().flock(fd, exclusive, block)
        self.blocked.set()
        try:
            return super().flock(fd, exclusive, block)
        finally:
            self.over.set()


def forked(work: Callable[[], bool]) -> int:
    """Do work in a forked child, and return its exit code: 0 if it returned True."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
