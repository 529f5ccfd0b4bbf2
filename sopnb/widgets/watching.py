"""Telling a browser of commits as they come, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sopnb.errors import SopError, Timeout
from sopnb.view import View

PATIENCE = 0.2
"""Seconds after which the thread looks whether it is still wanted."""


class Watching:
    """Calls ``tell`` with each event of a view from ``begin`` to ``end``; whatever ends the database ends it too."""

    def __init__(self, view: View, tell: Callable[[dict[str, Any]], object]) -> None:
        self._view, self._tell = view, tell
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def running(self) -> bool:
        """Whether new commits are still told."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, seq: int) -> None:
        """Tell of commits after ``seq`` from now on; harmless to repeat."""
        with self._mutex:
            if not self.running and not self._ended:
                self._thread = threading.Thread(target=self._run, args=(seq,), name="sopnb-browser", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Tell of nothing more, for good; harmless to repeat."""
        with self._mutex:
            self._ended = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, seq: int) -> None:
        while not self._ended:
            try:
                event = self._view.changed_since(seq, PATIENCE)
            except Timeout:  # a long request is being answered: the commits are told after it
                continue
            except SopError:  # closed, or somebody else will say what is wrong
                return
            if event is not None and not self._ended:
                seq = max(seq, event["seq"])
                self._tell(event)
