"""What every layer of a store answers: the changes of one range of commits, in key order.

A layer covers the commits ``(lo, hi]``. It never changes. The delta of an entry speaks of what lies below its layer, so the sums of
deltas over all layers of a store are its row counts, for any key range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sopnb.engine.entries import Entries, Entry
from sopnb.engine.prune import Prune
from sopnb.index import Keys
from sopnb.schema import Schema

Below = Callable[[bytes], bool]
"""Says whether what is sought stands at this key or after it; once False, False for every greater key."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some neighbouring entries of a layer: all its keys from ``first``, which is one of them, up to before ``stop`` (None: all).

    ``leaf`` is the leaf of a tree that holds just these, where there is one; ``made`` the entries, where they are no layer's own.
    """

    first: bytes
    stop: bytes | None
    load: Callable[[], Entries]
    leaf: Any = None
    made: Entries | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the keys that a bulk look-up found: ``keys[where[i]]`` is row ``rows[i]`` of ``entries``."""

    where: Any
    entries: Entries
    rows: Any


@runtime_checkable
class Layer(Protocol):
    """One layer of a store."""

    @property
    def lo(self) -> int:
        """The layer holds changes after this commit."""

    @property
    def hi(self) -> int:
        """The newest commit whose changes it holds."""

    @property
    def entries(self) -> int:
        """How many keys it changes."""

    @property
    def delta(self) -> int:
        """What all its changes add to the row count."""

    @property
    def span(self) -> tuple[bytes, bytes]:
        """Two keys between which (both included) all its entries lie. Not asked of a layer without entries."""

    def get(self, key: bytes) -> Entry | None:
        """Return the change of one key, or None."""

    def find(self, keys: Keys) -> Iterator[Group]:
        """Yield where ``keys``, ascending, are found, in groups of ascending keys; those that are not there are in none."""

    def pieces(self, lo: bytes, hi: bytes | None, *, reverse: bool = False, prune: Prune | None = None, lowest: bool = False
               ) -> Iterator[Piece]:  # fmt: skip
        """Yield the pieces that reach into ``[lo, hi)``, ascending or descending; the outermost may reach beyond.

        What cannot hold what ``prune`` seeks may be left out, above other layers only what hides nothing in them (``prune.kept``).
        """

    def before(self, key: bytes) -> int:
        """Return the sum of the deltas of the entries before ``key``, which may be any bytes."""

    def narrow(self, lo: bytes, hi: bytes | None, below: Below) -> tuple[bytes, bytes | None]:
        """Return the part of ``[lo, hi)`` that ``below`` leaves between two keys that this layer knows to lie close together."""


class MemoryLayer:
    """Entries in memory as a layer: the bulk writes of a transaction."""

    STEP = 64

    def __init__(self, entries: Entries, schema: Schema, lo: int, hi: int) -> None:
        self._entries, self._schema, self.lo, self.hi = entries.settled(hi), schema, lo, hi
        self._keys = entries.keys(schema)
        self._sums = np.concatenate([[0], np.cumsum(entries.deltas, dtype=np.int64)])

    @property
    def entries(self) -> int:
        """How many keys it changes."""
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        return self._entries.nbytes + len(self._keys) * int(self._keys.array.itemsize + 16)

    @property
    def delta(self) -> int:
        """What all its changes add to the row count."""
        return int(self._sums[-1])

    @property
    def span(self) -> tuple[bytes, bytes]:
        """The first and the last key."""
        return self._keys[0], self._keys[len(self._keys) - 1]

    def get(self, key: bytes) -> Entry | None:
        """Return the change of one key, or None."""
        at = self._keys.search(key)
        if at == len(self._keys) or self._keys[at] != key:
            return None
        one = self._entries.slice(at, at + 1)
        op = int(one.ops[0])
        return Entry(op, int(one.seqs[0]), int(one.deltas[0]), None if op else self._schema.rows(one.batch)[0])

    def find(self, keys: Keys) -> Iterator[Group]:
        """Yield where keys are found."""
        at, hit = self._keys.match(keys)
        if hit.any():
            where = np.flatnonzero(hit)
            yield Group(where, self._entries, at[where])

    def pieces(self, lo: bytes, hi: bytes | None, *, reverse: bool = False, prune: Prune | None = None, lowest: bool = False
               ) -> Iterator[Piece]:  # fmt: skip
        """Yield the one piece there is."""
        start = self._keys.search(lo)
        stop = len(self._keys) if hi is None else self._keys.search(hi)
        if start < stop:
            cut = self._entries.slice(start, stop)
            yield Piece(self._keys[start], hi if stop == len(self._keys) else self._keys[stop], lambda: cut)

    def before(self, key: bytes) -> int:
        """Return the sum of the deltas before a key."""
        return int(self._sums[self._keys.search(key)])

    def narrow(self, lo: bytes, hi: bytes | None, below: Below) -> tuple[bytes, bytes | None]:
        """Narrow a range to a few of these keys."""
        return narrowed(self._keys, lo, hi, below, self.STEP)


def narrowed(keys: Any, lo: bytes, hi: bytes | None, below: Below, step: int = 1) -> tuple[bytes, bytes | None]:
    """Narrow ``[lo, hi)`` between two of ``keys`` (ascending, with exact items) that stand at most ``step`` apart."""
    left, right = -1, len(keys)
    while right - left > step:
        middle = (left + right) // 2
        key = keys[middle]
        if key <= lo:
            left = middle
        elif hi is not None and key >= hi:
            right = middle
        elif below(key):
            left = middle
        else:
            right = middle
    if left >= 0:
        lo = max(lo, keys[left])
    if right < len(keys):
        hi = keys[right] if hi is None else min(hi, keys[right])
    return lo, hi
