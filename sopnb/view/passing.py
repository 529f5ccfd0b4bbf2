"""What is known of the records that pass a condition: they are found on one walk, which may stop anywhere and goes on later.

So no request takes long, however many records there are and however few of them pass: it looks for as long as its patience, and tells
what it found and how far it came. Who wants more asks again; who wants something else asks for that, and nothing goes on unasked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

import numpy as np

from sopnb.access.keyrange import NOTHING, KeyRange
from sopnb.access.reading import Reading
from sopnb.access.scan import Scan, turned
from sopnb.engine.entries import Entries
from sopnb.engine.projection import own_schema
from sopnb.index import Keys
from sopnb.protocols import Clock

COUNTED = 10_000
"""What passes a condition is counted so far, if nobody asks for more."""
PATIENCE = 0.3
"""Seconds that a request looks for records that pass."""
MOST = 16
"""Of so many conditions at most something is remembered."""
KEPT = 20_000
"""Of so many records that pass at most the keys are remembered."""


@dataclass
class Passing:
    """The records that pass in one state of a store, as far as the walk has come. Not for use by two threads at once.

    Invariants: ``seen`` records pass before ``rest``, the keys that the walk has not come to, None at its end; the record at position
    ``i * apart`` of them has the key ``keys[i]``, the last one ``last``; in the direction of the scan.
    """

    scan: Scan
    patience: float = PATIENCE
    spent: float = 0.0
    """Seconds that the walk took so far."""
    seen: int = 0
    rest: KeyRange | None = None
    apart: int = 1
    keys: list[bytes] = field(default_factory=list)
    last: bytes | None = None
    counted: bool = False
    """Whether it was counted as far as it is told unasked."""
    found: bool = True
    """Whether what was asked for last was found."""

    def __post_init__(self) -> None:
        self.rest = self.scan.keys

    # -- what is asked --------------------------------------------------------------------------------------------------------

    def page(self, reading: Reading, start: int, stop: int, names: tuple[str, ...], clock: Clock) -> tuple[Entries | None, int]:
        """Return what passes at these positions, and how many do; ``exact`` and ``found`` say whether that is all.

        To find them the columns of the condition and of the key are read; only the records that are found are read whole.
        """
        self._walk(reading, clock, lambda: self.seen > stop, lambda: self.counted or self.seen > COUNTED)
        self.counted = self.counted or self.found
        keys = self._between(reading, start, min(stop, self.seen))
        return self._fetched(keys, reading, names), self.seen if self.exact or not self.found else max(stop, min(self.seen, COUNTED))

    def count(self, reading: Reading, clock: Clock) -> int:
        """Return how many pass, as far as is known."""
        self._walk(reading, clock, lambda: False)
        return self.seen

    def place(self, reading: Reading, lo: bytes, hi: bytes | None, clock: Clock) -> tuple[int, bool]:
        """Return how many pass before the keys in ``[lo, hi)``, and whether one of these does, as far as is known."""
        reverse = self.scan.reverse

        def before(key: bytes) -> bool:
            return (hi is not None and key >= hi) if reverse else key < lo

        self._walk(reading, clock, lambda: self.last is not None and not before(self.last))
        if not self.found:
            return self.seen, False
        at = bisect_left(self.keys, True, key=lambda key: not before(key))
        if at and self.apart > 1:
            mark = self.keys[at - 1]
            between = (NOTHING if hi is None else KeyRange(hi, mark + b"\0")) if reverse else KeyRange(mark, lo)
            at = (at - 1) * self.apart + replace(self.scan, keys=between.meet(self.scan.keys)).count(reading)
        first = self._between(reading, at, min(at + 1, self.seen))
        return at, any(lo <= key and (hi is None or key < hi) for key in first)

    @property
    def exact(self) -> bool:
        """Whether ``seen`` are all that pass."""
        return self.rest is None

    def searched(self, reading: Reading) -> float | None:
        """Return which share of the records was looked at, None if what was asked for last was found."""
        if self.found or self.rest is None:
            return None
        return 1 - reading.count(self.rest.lo, self.rest.hi) / max(reading.count(self.scan.keys.lo, self.scan.keys.hi), 1)

    # -- the walk -------------------------------------------------------------------------------------------------------------

    def _walk(self, reading: Reading, clock: Clock, found: Callable[[], bool], enough: Callable[[], bool] = lambda: True) -> None:
        """Go on until it is ``found`` and ``enough``, or the end comes, or patience does: at least by one part."""
        began = clock.monotonic()

        def over() -> bool:
            return (found() and enough()) or clock.monotonic() - began > self.patience

        if self.rest is not None and not (found() and enough()):
            try:
                self.rest = self._gone(reading, self.rest, over)
            except BaseException:  # of what was come to some is counted, and some is not
                self.seen, self.apart, self.keys, self.last, self.rest = 0, 1, [], None, self.scan.keys
                raise
            self.spent += clock.monotonic() - began
        self.found = self.rest is None or found()

    def _gone(self, reading: Reading, rest: KeyRange, over: Callable[[], bool]) -> KeyRange | None:
        """Count and remember what passes of ``rest`` until it is over, and return what is left; None at the end."""
        scan, names = replace(self.scan, keys=rest), self.scan.schema.stored_key_names
        left: KeyRange | None = None

        def more(part: Entries) -> bool:
            nonlocal left
            ended = over()
            if ended and scan.reverse:
                left = KeyRange(rest.lo, part.key(0, scan.schema))
            elif ended:
                left = KeyRange(part.key(len(part) - 1, scan.schema) + b"\0", rest.hi)
            return not ended

        for part in scan.parts(scan.covering(reading, names), names, more=more):
            self._add(part)
        return left

    def _add(self, part: Entries) -> None:
        schema = self.scan.schema
        while len(self.keys) + len(part) // self.apart > KEPT:
            self.keys, self.apart = self.keys[::2], 2 * self.apart
        rows = np.arange(-self.seen % self.apart, len(part), self.apart)
        self.keys += part.take(rows).keys(schema).tolist()
        self.last = part.key(len(part) - 1, schema)
        self.seen += len(part)

    # -- what was come to -----------------------------------------------------------------------------------------------------

    def _between(self, reading: Reading, start: int, stop: int) -> list[bytes]:
        """Return the keys of what passes at these positions, which the walk has come to."""
        if self.apart == 1 or start >= stop:
            return self.keys[start:stop]
        mark, at = self.keys[start // self.apart], start // self.apart * self.apart
        scan = replace(self.scan, keys=self.scan.keys.meet(KeyRange(b"", mark + b"\0") if self.scan.reverse else KeyRange(mark)))
        found: list[bytes] = []
        for part in scan.at(reading, start - at, stop - at, scan.schema.stored_key_names):
            found += part.keys(scan.schema).tolist()
        return found

    def _fetched(self, keys: list[bytes], reading: Reading, names: tuple[str, ...]) -> Entries | None:
        """Return the records with these keys, in the direction of the scan; None where there are no keys."""
        if not keys:
            return None
        found = reading.find(Keys.of(keys[::-1] if self.scan.reverse else keys))
        part = Entries(found.fetch(own_schema(self.scan.schema), names), seq=found.seq)
        return turned(part) if self.scan.reverse else part


class Memory:
    """What is known of the conditions that were asked for last, each in the newest state that it was asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[Hashable, Passing]] = OrderedDict()

    def of(self, question: Hashable, state: Hashable, scan: Scan) -> Passing:
        """Return what is known of a question in a state of what it is about.

        What is known of another state is forgotten. Where somebody still waits for it, all the time that was spent is added to the
        patience: so he gets his answer even where the state changes all the while.
        """
        then, known = self._known.pop(question, (None, None))
        if known is None or then != state:
            waited = 0.0 if known is None or known.found else known.patience - PATIENCE + known.spent
            known = Passing(scan, PATIENCE + waited)
        self._known[question] = state, known
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return known
