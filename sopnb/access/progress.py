"""Progress bars for work that a person waits for."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sopnb.protocols import Clock
from sopnb.settings import HandleSettings

PATIENCE = 1.0
"""Seconds after which a bar appears by itself."""

Done = Callable[[int], object]
Total = int | None | Callable[[], int | None]
"""How much there is to do, or what says it as soon as it is known."""


Hear = Callable[[str, int, int | None], object]
"""Is told what is done, how much of it is, and how much there is, None if that is not known."""
_hears: ContextVar[Hear | None] = ContextVar("hears", default=None)


@contextmanager
def heard(hear: Hear) -> Iterator[None]:
    """Tell ``hear`` how far the work of this thread is, instead of showing bars."""
    before = _hears.set(hear)
    try:
        yield
    finally:
        _hears.reset(before)


class Progress:
    """Makes bars as the settings of a handle say; ``bar`` may be called from any thread, but only a person's own thread shows one."""

    def __init__(self, settings: HandleSettings, clock: Clock) -> None:
        self._wanted, self._clock = settings.progress, clock

    @contextmanager
    def bar(self, what: str, total: Total, *, unit: str = " rows") -> Iterator[Done]:
        """Show how far some work is: gives what is called with the number of rows (or of another unit) done since the last call."""
        hear = _hears.get()
        if hear is not None:
            yield _Told(hear, what, total).add
            return
        if self._wanted is False or threading.current_thread() is not threading.main_thread():
            yield lambda done: None
            return
        shown = _Bar(what, total, unit, self._clock, at_once=self._wanted is True)
        try:
            yield shown.add
        finally:
            shown.close()


class _Told:
    def __init__(self, hear: Hear, what: str, total: Total) -> None:
        self._hear, self._what, self._total, self._done = hear, what, total, 0
        self.add(0)

    def add(self, done: int) -> None:
        self._done += done
        self._hear(self._what, self._done, self._total() if callable(self._total) else self._total)


class _Bar:
    def __init__(self, what: str, total: Total, unit: str, clock: Clock, *, at_once: bool) -> None:
        self._what, self._total, self._unit, self._clock = what, total, unit, clock
        self._limit = clock.monotonic() + (0 if at_once else PATIENCE)
        self._done = 0
        self._bar: Any = None
        if at_once:
            self._show()

    def add(self, done: int) -> None:
        self._done += done
        if self._bar is not None:
            if callable(self._total):
                self._bar.total = self._total()
            self._bar.update(done)
        elif self._clock.monotonic() >= self._limit:
            self._show()

    def _show(self) -> None:
        # loaded only when there is something to show: in a notebook it brings the widgets with it
        tqdm = importlib.import_module("tqdm.auto").tqdm
        total = self._total() if callable(self._total) else self._total
        self._bar = tqdm(desc=self._what, total=total, initial=self._done, unit=self._unit, unit_scale=True, leave=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
