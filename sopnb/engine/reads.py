"""What a transaction read of one store, for validation."""

from __future__ import annotations

import numpy as np

from sopnb.index import Keys

MOST_POINTS = 65_536
"""More single keys than this become a range."""
MOST_RANGES = 4096
"""More ranges than this are joined with their neighbours."""

Range = tuple[bytes, bytes | None]


class Reads:
    """Single keys, present or absent, and half-open ranges of encoded keys. Bounded in memory: what is too much is noted coarser.

    With ``noted`` false nothing is kept: a transaction that only reads conflicts with nobody.
    """

    def __init__(self, *, noted: bool = True) -> None:
        self._noted = noted
        self.points: set[bytes] = set()
        self.bulk: list[Keys] = []
        """Many keys at once, each vector ascending."""
        self.ranges: list[Range] = []

    def point(self, key: bytes) -> None:
        """Note one key."""
        if not self._noted:
            return
        self.points.add(key)
        if len(self.points) > MOST_POINTS:
            self.range(min(self.points), max(self.points) + b"\0")
            self.points.clear()

    def many(self, keys: Keys) -> None:
        """Note many keys, ascending."""
        if not len(keys) or not self._noted:
            return
        if len(keys) + sum(map(len, self.bulk)) > MOST_POINTS:
            self.range(keys[0], keys[len(keys) - 1] + b"\0")
        elif len(keys) <= 16:
            self.points.update(keys.tolist())
        else:
            self.bulk.append(keys)

    def range(self, lo: bytes, hi: bytes | None) -> None:
        """Note a range."""
        if (hi is not None and hi <= lo) or not self._noted:
            return
        if self.ranges and _within((lo, hi), self.ranges[-1]):
            return
        if self.ranges and _within(self.ranges[-1], (lo, hi)):
            self.ranges[-1] = lo, hi
            return
        self.ranges.append((lo, hi))
        if len(self.ranges) > MOST_RANGES:
            self.ranges = _coarser(self.ranges)

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


def _within(inner: Range, outer: Range) -> bool:
    return outer[0] <= inner[0] and (outer[1] is None or (inner[1] is not None and inner[1] <= outer[1]))


def _coarser(ranges: list[Range]) -> list[Range]:
    """Return at most half as many ranges that cover these."""
    ordered = sorted(ranges, key=lambda r: r[0])
    each = -(-len(ordered) // (MOST_RANGES // 2))
    groups = [ordered[i : i + each] for i in range(0, len(ordered), each)]
    return [(group[0][0], None if any(hi is None for _, hi in group) else max(hi for _, hi in group if hi)) for group in groups]
