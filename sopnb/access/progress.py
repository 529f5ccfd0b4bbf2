"""Progress bars for work that a person waits for."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sopnb.protocols import Clock
from sopnb.settings import HandleSettings

PATIENCE = 1.0
"""Seconds after which a bar appears by itself."""

Done = Callable[[int], object]


class Progress:
    """Makes bars as the settings of a handle say; ``bar`` may be called from any thread, but only a person's own thread shows one."""

    def __init__(self, settings: HandleSettings, clock: Clock) -> None:
        self._wanted, self._clock = settings.progress, clock

    @contextmanager
    def bar(self, what: str, rows: int | None) -> Iterator[Done]:
        """Show how far some work is: gives what is called with the number of rows that were done since the last call."""
        if self._wanted is False or threading.current_thread() is not threading.main_thread():
            yield lambda done: None
            return
        shown = _Bar(what, rows, self._clock, at_once=self._wanted is True)
        try:
            yield shown.add
        finally:
            shown.close()


class _Bar:
    def __init__(self, what: str, rows: int | None, clock: Clock, *, at_once: bool) -> None:
        self._what, self._rows, self._clock = what, rows, clock
        self._limit = clock.monotonic() + (0 if at_once else PATIENCE)
        self._done = 0
        self._bar: Any = None
        if at_once:
            self._show()

    def add(self, done: int) -> None:
        self._done += done
        if self._bar is not None:
            self._bar.update(done)
        elif self._clock.monotonic() >= self._limit:
            self._show()

    def _show(self) -> None:
        # loaded only when there is something to show: in a notebook it brings the widgets with it
        tqdm = importlib.import_module("tqdm.auto").tqdm
        self._bar = tqdm(desc=self._what, total=self._rows, initial=self._done, unit=" rows", unit_scale=True, leave=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
