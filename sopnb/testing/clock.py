"""A clock that stands still until it is moved, and chance that repeats itself."""

from __future__ import annotations

import random


class ManualClock:
    """The ``Clock`` protocol by hand: ``sleep`` moves it, ``seed`` fixes what it draws, ``reboot`` gives it another boot id."""

    def __init__(self, *, start: int = 1_700_000_000_000_000, seed: int = 0) -> None:
        self._micros = start
        self._random = random.Random(seed)
        self._boots = 1

    def now(self) -> int:
        """Return microseconds since 1970 UTC."""
        return self._micros

    def monotonic(self) -> float:
        """Return the same clock in seconds."""
        return self._micros / 1e6

    def sleep(self, seconds: float) -> None:
        """Move the clock forward at once."""
        self._micros += int(seconds * 1e6)

    def set(self, micros: int) -> None:
        """Set the wall clock, back too."""
        self._micros = micros

    def new_id(self, size: int = 16) -> bytes:
        """Return the next bytes of the seed."""
        return self._random.randbytes(size)

    def random(self) -> float:
        """Return the next number of the seed."""
        return self._random.random()

    def boot_id(self) -> str:
        """Return the name of this boot."""
        return f"boot-{self._boots}"

    def reboot(self) -> None:
        """Begin another boot."""
        self._boots += 1
