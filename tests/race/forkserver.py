"""A process that has imported everything and forks a worker whenever it is asked: hundreds of kills take seconds, not minutes.

``ForkServer.start`` runs a function of ``tests.race.workers`` in a forked worker, which gets a ``Line`` to talk through. What it says is
in the pipe the moment they are said, so what was said before a ``kill`` can be read after it. Every wait has a limit.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

LIMIT = 30.0
"""Seconds within which whatever is waited for must come, on a machine that others use too."""
ROOT = Path(__file__).parent.parent.parent


class Line:
    """What a worker talks through."""

    def __init__(self, out: int, into: int) -> None:
        self.out, self._into = out, into

    def say(self, text: object) -> None:
        """Tell the test something."""
        os.write(self.out, f"{text}\n".encode())

    def hear(self) -> str:
        """Wait for a line from the test; empty when the test lets go."""
        text = b""
        while not text.endswith(b"\n"):
            part = os.read(self._into, 1)
            if not part:
                return ""
            text += part
        return text.decode().strip()

    def told(self) -> bool:
        """Say whether there is a line to hear, without waiting."""
        return bool(select.select([self._into], [], [], 0)[0])


class Worker:
    """A worker as the test sees it."""

    def __init__(self, server: ForkServer, pid: int, out: int, into: int, name: str) -> None:
        self.server, self.pid, self.name = server, pid, name
        self._out, self._into = out, into
        self._text = b""
        self.lines: list[str] = []
        """All that was said and read so far."""
        self.over = False
        """Whether the worker can say no more."""

    def fileno(self) -> int:
        return self._out

    def read(self) -> None:
        """Read what there is."""
        part = os.read(self._out, 65536)
        self.over = not part
        *lines, self._text = (self._text + part).split(b"\n")
        self.lines += [line.decode() for line in lines]
        if self.over and self._text:
            self.lines.append(self._text.decode())
            self._text = b""

    def wait_for(self, count: int, limit: float = LIMIT) -> None:
        """Wait until so many lines were said."""
        wait_for([self], lambda: len(self.lines) >= count, limit)

    def tell(self, text: str = "") -> None:
        """Tell the worker something."""
        os.write(self._into, f"{text}\n".encode())

    def kill(self) -> None:
        """Kill it, and read what it had said."""
        self.server.ask(kill=self.pid)
        self.drain()

    def end(self, limit: float = LIMIT) -> list[str]:
        """Wait for its end, which must be a good one; return all that it said."""
        wait_for([self], lambda: self.over, limit)
        status = self.server.ask(reap=self.pid)
        self.close()
        assert status == 0, f"{self.name} ended with {status}: {self.lines[-30:]}"
        return self.lines

    def drain(self) -> None:
        while not self.over:
            self.read()
        self.close()

    def close(self) -> None:
        for fd in (self._out, self._into):
            os.close(fd)


def wait_for(workers: Iterable[Worker], done: Any, limit: float = LIMIT) -> None:
    """Read what the workers say until ``done()``; fail if it takes too long or a worker ended too soon."""
    end = time.monotonic() + limit
    while not done():
        living = [worker for worker in workers if not worker.over]
        left = end - time.monotonic()
        told = {worker.name: worker.lines[-3:] for worker in workers}
        assert left > 0, f"nothing more within {limit} s: {told}\n{stacks(living)}"
        assert living, f"the workers have ended: {told}"
        for worker in select.select(living, [], [], left)[0]:
            worker.read()


def stacks(workers: Iterable[Worker]) -> str:
    """Return where the threads of workers are, for who wonders what they wait for."""
    said = ""
    for worker in workers:
        before = len(worker.lines)
        os.kill(worker.pid, signal.SIGUSR1)
        end = time.monotonic() + 2
        while not worker.over and select.select([worker], [], [], max(end - time.monotonic(), 0))[0]:
            worker.read()  # until the end, for a worker that talks on
        said += "\n".join([worker.name, *worker.lines[before : before + 80], ""])
    return said


class ForkServer:
    """The test's side."""

    def __enter__(self) -> ForkServer:
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.race.forkserver", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT)
        theirs.close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()  # the server kills its workers and ends
        self._process.wait()

    def start(self, function: str, *args: Any) -> Worker:
        """Start a worker."""
        out, their_out = os.pipe()
        their_in, into = os.pipe()
        pid = self.ask([their_out, their_in], start=function, args=[str(a) if isinstance(a, Path) else a for a in args])
        os.close(their_out)
        os.close(their_in)
        return Worker(self, pid, out, into, f"{function}{args[1:]} (process {pid})")

    def ask(self, fds: Iterable[int] = (), **request: Any) -> int:
        """Send a request and return the answer."""
        socket.send_fds(self._socket, [json.dumps(request).encode()], list(fds))
        return int(self._socket.recv(64))


# -- the server's side --------------------------------------------------------------------------------------------------------


def serve(sock: socket.socket) -> None:
    """Answer requests until the test is gone."""
    importlib.import_module("tests.race.workers")
    living: set[int] = set()
    while True:
        data, fds, _, _ = socket.recv_fds(sock, 65536, 2)
        if not data:
            break
        request = json.loads(data)
        if "start" in request:
            pid = os.fork()
            if not pid:
                _run(sock, request["start"], request["args"], Line(*fds))
            for fd in fds:
                os.close(fd)
            living.add(pid)
            answer = pid
        elif "kill" in request:
            answer = _ended(request["kill"], living, kill=True)
        else:
            answer = _ended(request["reap"], living, kill=False)
        sock.send(str(answer).encode())
    for pid in list(living):
        _ended(pid, living, kill=True)


def _ended(pid: int, living: set[int], *, kill: bool) -> int:
    if kill:
        os.kill(pid, signal.SIGKILL)
    living.discard(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run(sock: socket.socket, name: str, args: list[Any], line: Line) -> None:
    status = 1
    try:
        sock.close()
        faulthandler.register(signal.SIGUSR1, line.out, all_threads=True)
        getattr(importlib.import_module("tests.race.workers"), name)(line, *args)
        status = 0
    except BaseException:
        line.say(traceback.format_exc())
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
