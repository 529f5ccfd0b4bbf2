"""What is known of the records that pass a condition, so that the next page of them need not begin at the first record."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from sopnb.access.keyrange import KeyRange
from sopnb.access.reading import Reading
from sopnb.access.scan import Scan, turned
from sopnb.engine.entries import Entries
from sopnb.engine.projection import own_schema
from sopnb.index import Keys
from sopnb.protocols import Clock

COUNTED = 10_000
"""What passes a condition is counted so far."""
PATIENCE = 0.3
"""Seconds after which no more is counted, once the records that were asked for are found."""
MOST = 64
"""Of so many conditions at most something is remembered."""
APART = 500
"""At most so many records that pass lie between those whose keys are remembered."""
MOST_MARKS = 50_000


@dataclass
class Passing:
    """How many records pass in one state, as far as it is known, and the keys of some of them by position.

    Invariant: the record at position ``positions[i]`` of those that pass has the key ``keys[i]``; both ascend in the direction of the scan.
    """

    total: int | None = None
    seen: int = 0
    """At least so many pass."""
    counted: bool = False
    """Whether it was counted as far as it is told."""
    positions: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    def page(
        self, scan: Scan, reading: Reading, start: int, stop: int, names: tuple[str, ...], clock: Clock
    ) -> tuple[Entries | None, int, bool]:
        """Return what passes at these positions, how many do, and whether that is all of them or as far as was counted.

        To find them the columns of the condition and of the key are read; only the records that are found are read whole.
        """
        keys: list[bytes] = []
        at, rest = self._before(start, reverse=scan.reverse)
        limit = clock.monotonic() + PATIENCE
        for part in self._parts(replace(scan, keys=scan.keys.meet(rest)), reading, at):
            first, end = max(start - at, 0), min(stop - at, len(part))
            if first < end:
                keys += part.slice(first, end).keys(scan.schema).tolist()
            at += len(part)
            self.seen = max(self.seen, at)
            if at >= stop and self.total is not None:
                return _fetched(keys, scan, reading, names), self.total, True
            if at > stop and (self.counted or self.seen > COUNTED or clock.monotonic() > limit):
                self.counted = True
                return _fetched(keys, scan, reading, names), max(stop, min(self.seen, COUNTED)), False
        self.total = self.seen = at
        return _fetched(keys, scan, reading, names), at, True

    def _before(self, position: int, *, reverse: bool) -> tuple[int, KeyRange]:
        """Return a position at or before this one, and the keys from there on."""
        i = bisect_right(self.positions, position)
        if not i:
            return 0, KeyRange()
        return self.positions[i - 1], KeyRange(b"", self.keys[i - 1] + b"\0") if reverse else KeyRange(self.keys[i - 1])

    def _parts(self, scan: Scan, reading: Reading, at: int) -> Iterator[Entries]:
        for part in scan.parts(reading, scan.schema.stored_key_names):
            for row in range(0, len(part), APART):
                if (not self.positions or at + row > self.positions[-1]) and len(self.positions) < MOST_MARKS:
                    self.positions.append(at + row)
                    self.keys.append(part.slice(row, row + 1).keys(scan.schema)[0])
            yield part
            at += len(part)


def _fetched(keys: list[bytes], scan: Scan, reading: Reading, names: tuple[str, ...]) -> Entries | None:
    """Return the records with these keys, in the direction of the scan; None where there are no keys."""
    if not keys:
        return None
    found = reading.find(Keys.of(keys[::-1] if scan.reverse else keys))
    part = Entries(found.fetch(own_schema(scan.schema), names), seq=found.seq)
    return turned(part) if scan.reverse else part


class Memory:
    """What is known of the conditions that were asked for last, each in one state."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Passing] = OrderedDict()

    def of(self, question: Hashable) -> Passing:
        """Return what is known of a question, nothing if it is a new one."""
        found = self._known.setdefault(question, Passing())
        self._known.move_to_end(question)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return found
