"""Telling a browser of commits as they come, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sopnb.errors import SopError
from sopnb.view import View

PATIENCE = 0.5
"""Seconds after which the thread looks whether it is still wanted."""


class Watching:
    """Calls ``tell`` with each event of a view while it is switched on; whatever ends the database ends it too."""

    def __init__(self, view: View, tell: Callable[[dict[str, Any]], object]) -> None:
        self._view, self._tell = view, tell
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._seq = 0

    def switch(self, *, on: bool, seq: int = 0) -> None:
        """Begin to tell of commits after ``seq``, or stop; harmless to repeat."""
        with self._mutex:
            self._wanted, self._seq = on, max(seq, self._seq)
            if on and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="sopnb-browser", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._wanted:
            try:
                event = self._view.changed_since(self._seq, PATIENCE)
            except SopError:  # closed, or somebody else will say what is wrong
                return
            if event is not None and self._wanted:
                self._seq = max(self._seq, event["seq"])
                self._tell(event)
