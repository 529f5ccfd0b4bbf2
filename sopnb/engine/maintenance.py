"""Who folds, checkpoints and collects behind the commits: one thread, started when there is something to do.

An interrupt of the user never reaches that thread, so it never loses the answer of a finished commit. ``"inline"`` does the same within
the call that made it due, as tests want it; ``"off"`` leaves it to ``fold`` and ``compact``. What goes wrong here harms no commit: it is
kept as ``trouble`` and tried again when there is more to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sopnb.errors import SopError


class Maintenance:
    """Calls ``task`` (which returns whether there is more to do) after ``wake``."""

    def __init__(self, mode: str, task: Callable[[], bool]) -> None:
        self._mode, self._task = mode, task
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._thread: threading.Thread | None = None
        self._again = False
        self._closed = False
        self.trouble: Exception | None = None

    def after_fork(self) -> None:
        """Begin anew in a forked child, which has no such thread."""
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._thread, self._again = None, False

    def wake(self) -> None:
        """Say that something is due."""
        if self._mode == "inline":
            self._work()
        elif self._mode == "thread":
            with self._mutex:
                self._again = True
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(target=self._run, name="sopnb-maintenance", daemon=True)
                    self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Return when nothing is being done, False after ``timeout`` seconds."""
        with self._idle:
            return self._idle.wait_for(lambda: self._thread is None, timeout)

    def close(self) -> None:
        """Let the task that is being done come to its end, and begin no other."""
        with self._mutex:
            self._closed, self._again = True, False
        self.wait()

    def _run(self) -> None:
        while True:
            with self._idle:
                if not self._again or self._closed:
                    self._thread = None
                    self._idle.notify_all()
                    return
                self._again = False
            try:
                self._work()
            except Exception as error:
                self.trouble = error

    def _work(self) -> None:
        try:
            while self._task() and not self._closed:
                pass
            self.trouble = None
        except SopError as error:
            self.trouble = error
