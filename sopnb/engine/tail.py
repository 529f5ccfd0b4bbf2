"""The newest changes of a store, in memory: one operation of one commit after another, by key.

One ``Tail`` is shared by all the newest states of a store and only grows; a state looks at it through a ``TailView`` up to its own
seq. Operations arrive as the bytes of their commits and are decoded when somebody first looks. An interrupt may break off any of this
in the main thread: whatever was begun is begun again, and a commit that was taken already is not taken twice.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from sopnb.engine import forks, record
from sopnb.engine.entries import Entries, Entry
from sopnb.engine.layer import Below, Group, Piece, narrowed
from sopnb.engine.prune import Prune
from sopnb.engine.record import DELETE, Operation
from sopnb.index import Keys
from sopnb.schema import Schema

CHUNK = 512
_VERSION_BYTES = 200
"""About what Python needs for one operation besides its payload."""


class Tail:
    """The changes after commit ``lo``; ``own`` for those that one transaction has to itself.

    ``total`` and ``operations`` are exact before anything is decoded.
    """

    def __init__(self, lo: int, schema: Schema, *, own: bool = False) -> None:
        self.lo, self.schema = lo, schema
        self.total = 0
        """The sum of all deltas."""
        self.operations = 0
        self.bytes = 0
        self._mutex = threading.Lock()
        if not own:
            forks.register(self)
        self._newest = lo
        self._raw: list[tuple[int, bytes]] = []
        self._versions: dict[bytes, list[Entry]] = {}
        self._sorted: list[bytes] = []
        self._unsorted: list[bytes] = []

    def after_fork(self) -> None:
        """Make the lock anew; what another thread had begun is begun again."""
        self._mutex = threading.Lock()

    def add(self, seq: int, ops: bytes, count: int, delta: int) -> None:
        """Take the encoded operations of one commit; harmless to repeat."""
        size = len(ops) + count * _VERSION_BYTES
        with self._mutex:
            if seq > self._newest:
                self._newest = seq
                self.total += delta
                self.operations += count
                self.bytes += size
                self._raw.append((seq, ops))  # no call stands between these lines, so no interrupt comes between them

    def put(self, seq: int, operations: Sequence[Operation]) -> None:
        """Take operations that are decoded already."""
        self.versions()
        with self._mutex:
            for op, key, delta, _, row in operations:
                self._append(seq, op, key, delta, row)
                self.total += delta
        self.operations += len(operations)

    def versions(self) -> dict[bytes, list[Entry]]:
        """Return the versions of each key, oldest first."""
        if self._raw:
            with self._mutex:
                while self._raw:
                    seq, ops = self._raw[0]
                    for op, key, delta, _, row in record.decode_operations(ops, self.schema):
                        known = self._versions.get(key)
                        if known is None or known[-1].seq < seq:
                            self._append(seq, op, key, delta, row)
                    del self._raw[0]
        return self._versions

    def _append(self, seq: int, op: int, key: bytes, delta: int, row: tuple[object, ...] | None) -> None:
        entry = Entry(op, seq, delta, row)
        versions = self._versions.get(key)
        if versions is None:
            self._unsorted.append(key)
            self._versions[key] = [entry]
        else:
            versions.append(entry)

    def ascending(self) -> list[bytes]:
        """Return every key there ever was, ascending; the list is never changed afterwards."""
        self.versions()
        if self._unsorted:
            with self._mutex:
                if self._unsorted:
                    self._sorted = sorted({*self._sorted, *self._unsorted})
                    self._unsorted = []
        return self._sorted

    def after(self, seq: int) -> Tail:
        """Return a tail of the changes after ``seq`` only."""
        later = Tail(seq, self.schema)
        for s, operations in self.commits():
            if s > seq:
                later.put(s, operations)
        later.bytes = self.bytes * later.operations // max(self.operations, 1)
        return later

    def commits(self, hi: int | None = None) -> list[tuple[int, list[Operation]]]:
        """Return the operations of each commit up to ``hi``, in order; what they replaced is no longer known here (0)."""
        by_seq: dict[int, list[Operation]] = {}
        for key, versions in list(self.versions().items()):
            for entry in list(versions):
                if hi is None or entry.seq <= hi:
                    by_seq.setdefault(entry.seq, []).append((entry.op, key, entry.delta, 0, entry.row))
        return sorted(by_seq.items())

    def view(self, seq: int, total: int) -> TailView:
        """Return the tail as it was after commit ``seq``, when its deltas made ``total``."""
        return TailView(self, seq, total)


class TailView:
    """A tail up to one commit, as a layer."""

    def __init__(self, tail: Tail, seq: int, total: int) -> None:
        self.tail, self._schema = tail, tail.schema
        self.lo, self.hi, self.delta = tail.lo, seq, total

    @property
    def entries(self) -> int:
        """How many keys it changes; an upper bound of it while nothing needed the exact number."""
        if "_keys" in self.__dict__:
            return len(self._keys)
        return self.tail.operations

    @property
    def span(self) -> tuple[bytes, bytes]:
        """The first and the last key."""
        keys = self.tail.ascending()
        return keys[0], keys[-1]

    @cached_property
    def _keys(self) -> list[bytes]:
        versions = self.tail.versions()
        return [key for key in self.tail.ascending() if versions[key][0].seq <= self.hi]

    @cached_property
    def _sums(self) -> np.ndarray:
        versions = self.tail.versions()
        deltas = [self._delta(versions[key]) for key in self._keys]
        return np.concatenate([[0], np.cumsum(deltas, dtype=np.int64)])

    def _delta(self, versions: list[Entry]) -> int:
        return sum(e.delta for e in versions if e.seq <= self.hi)

    def _newest(self, versions: list[Entry]) -> Entry | None:
        return next((entry for entry in reversed(versions) if entry.seq <= self.hi), None)

    def get(self, key: bytes) -> Entry | None:
        """Return the change of one key, or None."""
        versions = self.tail.versions().get(key)
        if versions is None:
            return None
        newest = versions[-1]
        return newest if newest.seq <= self.hi else self._newest(versions)

    def find(self, keys: Keys) -> Iterator[Group]:
        """Yield where keys are found."""
        versions = self.tail.versions()
        found = [(i, key) for i, key in enumerate(keys.tolist()) if key in versions and versions[key][0].seq <= self.hi]
        if found:
            entries = self._entries([key for _, key in found])
            yield Group(np.array([i for i, _ in found]), entries, np.arange(len(found)))

    def pieces(self, lo: bytes, hi: bytes | None, *, reverse: bool = False, prune: Prune | None = None, lowest: bool = False
               ) -> Iterator[Piece]:  # fmt: skip
        """Yield pieces of a few hundred keys."""
        keys = self._keys
        start = bisect_left(keys, lo)
        stop = len(keys) if hi is None else bisect_left(keys, hi)
        cuts = list(range(start, stop, CHUNK))
        for at in reversed(cuts) if reverse else cuts:
            end = min(at + CHUNK, stop)
            yield Piece(keys[at], keys[end] if end < len(keys) else None, lambda at=at, end=end: self._entries(keys[at:end]))  # type: ignore[misc]

    def before(self, key: bytes) -> int:
        """Return the sum of the deltas before a key."""
        return int(self._sums[bisect_left(self._keys, key)])

    def narrow(self, lo: bytes, hi: bytes | None, below: Below) -> tuple[bytes, bytes | None]:
        """Narrow a range to a few of these keys."""
        return narrowed(self._keys, lo, hi, below, CHUNK // 8)

    def _entries(self, keys: list[bytes]) -> Entries:
        versions = self.tail.versions()
        chosen = [versions[key] for key in keys]
        newest = [self._seen(v) for v in chosen]
        rows = [self._schema.blank(key) if e.row is None else e.row for key, e in zip(keys, newest, strict=True)]
        ops = np.array([e.op for e in newest], np.int8)
        return Entries(
            self._schema.batch(rows),
            op=ops if DELETE in ops else 0,
            seq=np.array([e.seq for e in newest], np.int64),
            delta=np.array([self._delta(v) for v in chosen], np.int8),
            keys=Keys.of(keys),
        )

    def _seen(self, versions: list[Entry]) -> Entry:
        """Return the newest version up to the view's commit. Another thread may add one between two looks at the list."""
        last = versions[-1]
        return last if last.seq <= self.hi else versions[bisect_right(versions, self.hi, key=_seq) - 1]


def _seq(entry: Entry) -> int:
    return entry.seq
