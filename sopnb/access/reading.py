"""What can be read of one store, in a committed state or in a transaction, and how reading is noted for the latter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from sopnb.access.expression import SEQ
from sopnb.engine.entries import Entries, Entry
from sopnb.engine.layer import Group, Layer
from sopnb.engine.layers import Found, Stack
from sopnb.engine.projection import Projection, in_its_order
from sopnb.engine.prune import Prune
from sopnb.engine.storework import StoreWork
from sopnb.errors import Corruption, SopError
from sopnb.index import Keys
from sopnb.schema import Schema


class Reading(Protocol):
    """A store in one state. The engine's ``Stack`` is one; its ``StoreWork`` too, which notes for the commit what was read."""

    schema: Schema

    @property
    def rows(self) -> int:
        """How many records there are."""

    def get(self, key: bytes) -> Entry | None:
        """Return the record of a key, or None."""

    def find(self, keys: Keys) -> Found:
        """Find many keys, ascending and each once."""

    def scan(self, lo: bytes = b"", hi: bytes | None = None, *, reverse: bool = False, columns: Sequence[str] | None = None,
             prune: Prune | None = None) -> Iterator[Entries]:  # fmt: skip
        """Yield the records of ``[lo, hi)``; each part ascending, the parts themselves descending with ``reverse``.

        With ``prune`` leaves may be left out that hold nothing that is sought; what is yielded need not be it.

        In a transaction what counts as read goes as far as the parts are taken.
        """

    def count(self, lo: bytes = b"", hi: bytes | None = None) -> int:
        """Return how many records a key range holds."""

    def rank(self, key: bytes | None) -> int:
        """Return how many records lie before ``key``; all of them for None."""

    def select(self, position: int) -> bytes:
        """Return the key at a position."""

    def slice(self, start: int, stop: int, *, columns: Sequence[str] | None = None) -> Iterator[Entries]:
        """Yield the records at positions ``[start, stop)``, as far as there are."""

    def first(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the first record of a key range and its key."""

    def last(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the last record of a key range and its key."""


class Indexed:
    """A store in the order of one of its secondary indexes: what is counted and found by position is the index, what is read the records.

    It is a ``Reading`` like any other. Its keys are those of the index: the fields that were asked for, then the store's own key.
    """

    def __init__(self, index: Reading, source: Reading, projection: Projection, *, covered: bool = False) -> None:
        self.schema = in_its_order(source.schema, projection)
        self.index, self.source, self.projection = index, source, projection
        self._covered = covered
        self._own = tuple(name for name in self.schema.physical_names if name not in source.schema.physical_names)
        """Key fields that only the index has: expressions."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the index."""
        return unnoted(self.index).layers

    @property
    def rows(self) -> int:
        """How many records there are."""
        return self.index.rows

    def covering(self, columns: Sequence[str]) -> Indexed:
        """Return what reads these columns from the index alone, if they are all there; it does not know who wrote the records."""
        if SEQ in columns or not set(columns) <= set(self.index.schema.physical_names):
            return self
        return Indexed(self.index, self.source, self.projection, covered=True)

    def get(self, key: bytes) -> Entry | None:
        """Return the record of a key, or None."""
        return self._of(self.index.get(key))

    def _of(self, entry: Entry | None) -> Entry | None:
        if entry is None or entry.row is None:
            return None
        values = dict(zip(self.index.schema.physical_names, entry.row, strict=True))
        found = self.source.get(self.source.schema.encode_key([values[name] for name in self.source.schema.stored_key_names]))
        if found is None:
            raise self._astray()
        return found

    def find(self, keys: Keys) -> Found:
        """Find many keys, ascending and each once."""
        found = self.index.find(keys)
        there = np.flatnonzero(found.there)
        seq = np.zeros(len(keys), np.int64)
        if not len(there):
            return Found(seq)
        records, place = self._records(found.fetch(self.index.schema, self.source.schema.stored_key_names))
        seq[there[place]] = records.seq
        groups = []
        for group in records.groups:
            where = there[place[group.where]]
            order = np.argsort(where)
            groups.append(Group(where[order], group.entries, group.rows[order]))
        return Found(seq, groups, records.far)

    def _records(self, batch: Any) -> tuple[Found, Any]:
        """Return the records of rows of the index, in the order of their own keys, and of which row each is."""
        keys = self.source.schema.keys(batch)
        place = np.argsort(keys.array, kind="stable")
        found = self.source.find(keys.take(place))
        if not found.there.all():
            raise self._astray()
        return found, place

    def _astray(self) -> SopError:
        return Corruption(f"index {self.projection.name!r}", "it names a record that its store does not hold; run check()")

    def scan(self, lo: bytes = b"", hi: bytes | None = None, *, reverse: bool = False, columns: Sequence[str] | None = None,
             prune: Prune | None = None) -> Iterator[Entries]:  # fmt: skip
        """Yield the records of ``[lo, hi)``; each part ascending, the parts themselves descending with ``reverse``."""
        return (self._joined(part, columns) for part in self.index.scan(lo, hi, reverse=reverse, columns=self._wanted(columns)))

    def _wanted(self, columns: Sequence[str] | None) -> Sequence[str] | None:
        return with_keys(columns, self.index.schema) if self._covered else self.index.schema.stored_key_names

    def _joined(self, part: Entries, columns: Sequence[str] | None) -> Entries:
        keys = part.keys(self.index.schema)
        if self._covered:
            return Entries(part.batch, seq=part.seq, keys=keys)
        found, place = self._records(part.batch)
        where = np.empty(len(place), np.int64)
        where[place] = np.arange(len(place))
        wanted = self.schema.physical_names if columns is None else with_keys(columns, self.schema) or ()
        batch = found.fetch(self.source.schema, [name for name in wanted if name not in self._own]).take(pa.array(where))
        for name in self._own:
            if name in wanted:
                batch = batch.append_column(part.batch.schema.field(name), part.batch.column(part.batch.schema.get_field_index(name)))
        return Entries(batch.select(list(wanted)), seq=found.seq[where], keys=keys)

    def count(self, lo: bytes = b"", hi: bytes | None = None) -> int:
        """Return how many records a key range holds."""
        return self.index.count(lo, hi)

    def rank(self, key: bytes | None) -> int:
        """Return how many records lie before ``key``; all of them for None."""
        return self.index.rank(key)

    def select(self, position: int) -> bytes:
        """Return the key at a position."""
        return self.index.select(position)

    def slice(self, start: int, stop: int, *, columns: Sequence[str] | None = None) -> Iterator[Entries]:
        """Yield the records at positions ``[start, stop)``, as far as there are."""
        return (self._joined(part, columns) for part in self.index.slice(start, stop, columns=self._wanted(columns)))

    def walk(self, start: int, stop: int, *, columns: Sequence[str] | None = None) -> Iterator[tuple[Entries, int]]:
        """Yield the same as ``slice``, with 0 for each part: of deletions in the index nothing is known."""
        return ((part, 0) for part in self.slice(start, stop, columns=columns))

    def first(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the first record of a key range and its key."""
        return self._with(self.index.first(lo, hi))

    def last(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the last record of a key range and its key."""
        return self._with(self.index.last(lo, hi))

    def _with(self, found: tuple[bytes, Entry] | None) -> tuple[bytes, Entry] | None:
        entry = None if found is None else self._of(found[1])
        return None if found is None or entry is None else (found[0], entry)


def covering(reading: Reading, columns: Sequence[str]) -> Reading:
    """Return what reads these columns, and does not say who wrote the records, from an index alone where it can."""
    return reading.covering(columns) if isinstance(reading, Indexed) else reading


def unnoted(reading: Reading) -> Stack:
    """Return the same order of records without the notes."""
    if isinstance(reading, Indexed):
        return Indexed(unnoted(reading.index), unnoted(reading.source), reading.projection, covered=reading._covered)  # type: ignore[return-value]
    return reading.stack if isinstance(reading, StoreWork) else reading  # type: ignore[return-value]


def noted(reading: Reading) -> StoreWork | None:
    """Return where it is noted which keys are read, None outside transactions."""
    ordered = reading.index if isinstance(reading, Indexed) else reading
    return ordered if isinstance(ordered, StoreWork) else None


def note(reading: Reading, lo: bytes, hi: bytes | None) -> None:
    """Say that a key range was read; it counts in a transaction."""
    work = noted(reading)
    if work is not None:
        work.reads.range(lo, hi)


def window(reading: Reading, lo: bytes, hi: bytes | None, start: int, stop: int, *, reverse: bool = False,
           columns: Sequence[str] | None = None) -> list[Entries]:  # fmt: skip
    """Return the records at positions ``[start, stop)`` of a key range, counted from its end with ``reverse``; parts as ``scan`` has them.

    The positions are found from the row counts: what lies before them is not read, but a transaction notes that it counts.
    """
    stack = unnoted(reading)
    first, end = stack.rank(lo), stack.rank(hi)
    if reverse:
        low, high = max(end - stop, first), end - start
    else:
        low, high = first + start, min(first + stop, end)
    parts = list(stack.slice(low, high, columns=with_keys(columns, reading.schema))) if low < high else []
    if noted(reading) is not None:
        whole = low >= high or (low == first if reverse else high == end)
        if not whole:
            keys = parts[0 if reverse else -1].keys(reading.schema)
            lo, hi = (keys[0], hi) if reverse else (lo, keys[len(keys) - 1] + b"\0")
        note(reading, lo, hi)
    return parts[::-1] if reverse else parts


def with_keys(columns: Sequence[str] | None, schema: Schema) -> tuple[str, ...] | None:
    """Return columns and the ones that make the key; None for all of them."""
    return None if columns is None else tuple(dict.fromkeys((*columns, *schema.stored_key_names)))


def commit_of(reading: Reading, seq: int) -> int:
    """Return the commit that wrote a record; 0 for what the transaction itself is about to write."""
    work = noted(reading)
    return 0 if work is not None and seq > work.base.seq else seq


def with_commits(reading: Reading, entries: Entries) -> Any:
    """Return the entries' batch with the column ``_seq``."""
    seqs = entries.seqs
    work = noted(reading)
    if work is not None:
        seqs = np.where(seqs > work.base.seq, 0, seqs)
    return entries.batch.append_column(pa.field(SEQ, pa.int64(), nullable=False), pa.array(seqs, pa.int64()))
