"""What can be read of one store, in a committed state or in a transaction, and how reading is noted for the latter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from sopnb.access.expression import SEQ
from sopnb.engine.entries import Entries, Entry
from sopnb.engine.layers import Found, Stack
from sopnb.engine.prune import Prune
from sopnb.engine.storework import StoreWork
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


def unnoted(reading: Reading) -> Stack:
    """Return the same order of records without the notes."""
    return reading.stack if isinstance(reading, StoreWork) else reading  # type: ignore[return-value]


def note(reading: Reading, lo: bytes, hi: bytes | None) -> None:
    """Say that a key range was read; it counts in a transaction."""
    if isinstance(reading, StoreWork):
        reading.reads.range(lo, hi)


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
    if isinstance(reading, StoreWork):
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
    return 0 if isinstance(reading, StoreWork) and seq > reading.base.seq else seq


def with_commits(reading: Reading, entries: Entries) -> Any:
    """Return the entries' batch with the column ``_seq``."""
    seqs = entries.seqs
    if isinstance(reading, StoreWork):
        seqs = np.where(seqs > reading.base.seq, 0, seqs)
    return entries.batch.append_column(pa.field(SEQ, pa.int64(), nullable=False), pa.array(seqs, pa.int64()))
