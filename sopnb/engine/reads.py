"""What a transaction read of one store, for validation."""

from __future__ import annotations

import numpy as np

from sopnb.index import Keys

MOST_POINTS = 65_536
"""More single keys than this become a range."""


class Reads:
    """Single keys, present or absent, and half-open ranges of encoded keys."""

    def __init__(self) -> None:
        self.points: set[bytes] = set()
        self.bulk: list[Keys] = []
        """Many keys at once, each vector ascending."""
        self.ranges: list[tuple[bytes, bytes | None]] = []

    def point(self, key: bytes) -> None:
        """Note one key."""
        self.points.add(key)
        if len(self.points) > MOST_POINTS:
            self.range(min(self.points), max(self.points) + b"\0")
            self.points.clear()

    def many(self, keys: Keys) -> None:
        """Note many keys, ascending."""
        if not len(keys):
            return
        if len(keys) + sum(map(len, self.bulk)) > MOST_POINTS:
            self.range(keys[0], keys[len(keys) - 1] + b"\0")
        elif len(keys) <= 16:
            self.points.update(keys.tolist())
        else:
            self.bulk.append(keys)

    def range(self, lo: bytes, hi: bytes | None) -> None:
        """Note a range."""
        if hi is not None and hi <= lo:
            return
        if self.ranges and self.ranges[-1][0] <= lo and self.ranges[-1][1] == hi:
            return
        self.ranges.append((lo, hi))

    def touched(self, keys: list[bytes]) -> bytes | None:
        """Return one of these changed keys, ascending, that was read; None if none was."""
        for key in keys:
            if key in self.points:
                return key
            for lo, hi in self.ranges:
                if lo <= key and (hi is None or key < hi):
                    return key
        if self.bulk:
            changed = Keys.of(keys)
            for vector in self.bulk:
                hit = vector.match(changed)[1]
                if hit.any():
                    return keys[int(np.argmax(hit))]
        return None
