"""The machine's own clock, chance and identity: the one place that asks the system for them."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The ``Clock`` protocol over the operating system."""

    def now(self) -> int:
        """Return microseconds since 1970 UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Pause this thread."""
        time.sleep(seconds)

    def new_id(self, size: int = 16) -> bytes:
        """Return random bytes of the operating system: a forked child draws others than its parent."""
        return os.urandom(size)

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()

    def boot_id(self) -> str:
        """Return the kernel's name of this boot; where there is none, one that is new each time, which is always safe."""
        try:
            return _BOOT.read_text().strip()
        except OSError:
            return self.new_id().hex()
