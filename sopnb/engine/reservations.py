"""Who is folding what: whoever folds says so beside its pin, and others leave those layers alone while it lives.

A fold that reads much would otherwise lose against every quicker one of some of its layers, again and again, and several processes would
make the same fold at once. It is only a hint. That no two folds of the same layers are committed is seen to by their validation.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sopnb.errors import StorageError
from sopnb.protocols import Clock, Pins, Reserved

PAUSE = 0.01
"""Seconds between two looks at whether others are done."""


class Reservations:
    """The layers that this engine is folding, and a view of those of others. Safe for threads."""

    def __init__(self, pins: Pins, clock: Clock) -> None:
        self._pins, self._clock = pins, clock
        self._mutex = threading.Lock()
        self._mine: list[Reserved] = []

    def after_fork(self) -> None:
        """Begin anew in a forked child, whose folds are its own."""
        self._mutex = threading.Lock()
        self._mine = []

    def above(self, store: int) -> int:
        """Return up to which commit the layers of a store are being folded, 0 if they are not."""
        with self._mutex:
            mine = list(self._mine)
        theirs = (reserved for pin in self._pins.held() if pin.owner != self._pins.owner for reserved in pin.reserved)
        return max((each.hi for each in (*mine, *theirs) if each.store == store), default=0)

    @contextmanager
    def taken(self, wanted: Reserved, wait: float = 0.0) -> Iterator[bool]:
        """Reserve layers, at once or not at all; with ``wait`` after so many seconds at the latest, whatever others do.

        Yields whether to go on. Of two that wait for each other the owner with the smaller id goes first.
        """
        deadline = self._clock.monotonic() + wait
        said = False
        try:
            while True:
                said = said or self._say(wanted)
                others = self._others(wanted) if said else [""]
                if not others:
                    break
                late = self._clock.monotonic() >= deadline
                if said and not (wait and (late or self._pins.owner < min(others))):
                    said = self._unsay(wanted)
                if late:
                    break
                self._clock.sleep(PAUSE)
            yield said or wait > 0
        finally:
            if said:
                self._unsay(wanted)

    def _others(self, wanted: Reserved) -> list[str]:
        """Return the other owners that are folding some of these layers."""
        pins = self._pins.held()
        return [pin.owner for pin in pins if pin.owner != self._pins.owner and any(map(wanted.meets, pin.reserved))]

    def _say(self, wanted: Reserved) -> bool:
        """Reserve layers unless another thread is folding some of them."""
        with self._mutex:
            if any(map(wanted.meets, self._mine)):
                return False
            self._mine.append(wanted)
            self._tell()
        return True

    def _unsay(self, wanted: Reserved) -> bool:
        with self._mutex:
            self._mine.remove(wanted)
            self._tell()
        return False

    def _tell(self) -> None:
        with suppress(StorageError):  # others may do useless work then
            self._pins.reserve(self._mine)
