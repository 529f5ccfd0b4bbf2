"""A store's layers as one order: what the newest of them says of each key.

Row counts and positions are sums over the layers, so they are exact however much is unfolded: the rank of a key is what all deltas
before it add up to, and the key at a position is found by narrowing the key space layer by layer until a few entries remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.engine.entries import Entries, Entry
from sopnb.engine.far import FAR, FarReader
from sopnb.engine.layer import Group, Layer
from sopnb.engine.merge import loaded, merged
from sopnb.engine.prune import Prune
from sopnb.engine.record import DELETE
from sopnb.fields import one_array
from sopnb.index import Keys
from sopnb.schema import Schema


@dataclass
class Found:
    """What a bulk look-up found. ``seq`` holds for each key the commit that wrote its record, 0 where there is none."""

    seq: Any
    groups: list[Group] = field(default_factory=list)
    far: FarReader | None = None

    @property
    def there(self) -> Any:
        """For each key, whether there is a record."""
        return self.seq != 0

    def fetch(self, schema: Schema, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Return the records that are there, in the order of their keys."""
        names = schema.physical.names if columns is None else list(columns)
        if not self.groups:
            return schema.empty(names)
        if self.far is not None and any(group.entries.far is not None for group in self.groups):
            whole, row = _side_by_side([self._resolved(group, names, schema, self.far) for group in self.groups])
        else:
            whole, row = self._side_by_side
        table = whole.select(names).take(row).combine_chunks()
        return pa.RecordBatch.from_arrays([one_array(column) for column in table.columns], schema=table.schema)

    def apart(self, schema: Schema, columns: Sequence[str]) -> tuple[pa.RecordBatch, Any]:
        """Return the records that are there without their values out of line, and the column that says where those lie, None if none do."""
        if all(group.entries.far is None for group in self.groups):
            return self.fetch(schema, columns), None
        parts = []
        for group in self.groups:
            entries = group.entries.select(columns)
            far = pa.nulls(len(entries), pa.binary()) if entries.far is None else entries.far
            parts.append(Group(group.where, Entries(entries.batch.append_column(FAR, far)), group.rows))
        whole, row = _side_by_side(parts)
        table = whole.take(row).combine_chunks()
        arrays = {name: one_array(table[name]) for name in table.column_names}
        far = arrays.pop(FAR)
        return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)), far

    @cached_property
    def _side_by_side(self) -> tuple[pa.Table, pa.Array]:
        return _side_by_side(self.groups)

    def _resolved(self, group: Group, names: Sequence[str], schema: Schema, far: FarReader) -> Group:
        """Return a group of just the rows that were found, their values in place."""
        entries = group.entries.select(names)
        if entries.far is None:
            return Group(group.where, entries, group.rows)
        return Group(group.where, far.resolved(entries.take(group.rows), schema), np.arange(len(group.rows)))


def _side_by_side(groups: Sequence[Group]) -> tuple[pa.Table, pa.Array]:
    """Return (the entries of all groups as one table, the rows that were found in the order of their keys)."""
    batches = [group.entries.batch for group in groups]
    rows = [group.rows for group in groups]
    starts = np.cumsum([0, *(batch.num_rows for batch in batches[:-1])])
    where = np.concatenate([group.where for group in groups])
    row = np.concatenate(rows) + np.repeat(starts, [len(picked) for picked in rows])
    if len(groups) > 1 and (where[1:] < where[:-1]).any():
        row = row[np.argsort(where, kind="stable")]
    return pa.Table.from_batches(batches), pa.array(row)


class Stack:
    """Layers, oldest first, over disjoint and ascending ranges of commits. ``hold`` keeps them readable as long as this object lives."""

    def __init__(self, layers: Sequence[Layer], schema: Schema, far: FarReader | None = None, hold: object = None) -> None:
        self.layers = tuple([layer for layer in layers if layer.entries])
        self.schema, self._far, self._hold = schema, far, hold
        self._newest_first = self.layers[::-1]

    @property
    def rows(self) -> int:
        """How many records there are."""
        return sum(layer.delta for layer in self.layers)

    # -- by key ---------------------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        """Return the record of a key, or None."""
        for layer in self._newest_first:
            entry = layer.get(key)
            if entry is not None:
                return None if entry.op == DELETE else entry
        return None

    def find(self, keys: Keys) -> Found:
        """Find many keys, ascending and each once."""
        seq = np.zeros(len(keys), np.int64)
        groups: list[Group] = []
        rest = np.arange(len(keys))
        for layer in self._newest_first:
            if not len(rest):
                break
            whole = len(rest) == len(keys)
            told, seqs = [], []
            for group in layer.find(keys if whole else keys.take(rest)):
                if not whole:
                    group = Group(rest[group.where], group.entries, group.rows)
                entries = group.entries
                told.append(group.where)
                live = None if entries.all_live else entries.ops[group.rows] != DELETE
                found = entries.seq if isinstance(entries.seq, int) else entries.seq[group.rows]
                seqs.append(np.full(len(group.where), found) if live is None else np.where(live, found, 0))
                if live is not None:
                    group = Group(group.where[live], entries, group.rows[live])
                if len(group.where):
                    groups.append(group)
            if told:
                where = np.concatenate(told)
                seq[where] = np.concatenate(seqs)
                left = np.ones(len(keys), bool)
                left[where] = False
                rest = rest[left[rest]]
        return Found(seq, groups, self._far)

    def first(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the first record of a key range and its key."""
        for entries in self.scan(lo, hi):
            return self._one(entries, 0)
        return None

    def last(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the last record of a key range and its key."""
        for entries in self.scan(lo, hi, reverse=True):
            return self._one(entries, len(entries) - 1)
        return None

    def _one(self, entries: Entries, at: int) -> tuple[bytes, Entry]:
        one = entries.slice(at, at + 1)
        (row,) = self.schema.rows(one.batch)
        return self.schema.key_bytes(row), Entry(0, int(one.seqs[0]), int(one.deltas[0]), row)

    def reaches(self, first: bytes, last: bytes) -> bool:
        """Say whether any layer may hold keys between these two; False is certain."""
        return any(layer.span[0] <= last and first <= layer.span[1] for layer in self.layers)

    # -- by range -------------------------------------------------------------------------------------------------------------

    def scan(self, lo: bytes = b"", hi: bytes | None = None, *, reverse: bool = False, columns: Sequence[str] | None = None,
             prune: Prune | None = None) -> Iterator[Entries]:  # fmt: skip
        """Yield the records of ``[lo, hi)``; each part ascending, the parts themselves descending with ``reverse``.

        With ``prune`` leaves may be left out that hold nothing that is sought; what is yielded need not be it.
        """
        names = self.schema.physical.names if columns is None else columns
        for part in merged(self.layers, self.schema, lo, hi, columns=columns, reverse=reverse, prune=prune):
            entries = loaded(part, names).live()
            if len(entries):
                yield entries if entries.far is None or self._far is None else self._far.resolved(entries, self.schema)

    def count(self, lo: bytes = b"", hi: bytes | None = None) -> int:
        """Return how many records a key range holds."""
        return max(self.rank(hi) - self.rank(lo), 0)

    # -- by position ----------------------------------------------------------------------------------------------------------

    def rank(self, key: bytes | None) -> int:
        """Return how many records lie before ``key``, which may be any bytes; all of them for None."""
        if key is None:
            return self.rows
        return sum(layer.before(key) for layer in self.layers) if key else 0

    def near(self, position: int) -> tuple[bytes, bytes | None]:
        """Return a small key range that holds the record at a position."""
        lo: bytes = b""
        hi: bytes | None = None
        for layer in sorted(self.layers, key=lambda layer: -layer.entries):
            lo, hi = layer.narrow(lo, hi, lambda key: self.rank(key) <= position)
        return lo, hi

    def select(self, position: int) -> bytes:
        """Return the key of the record at a position. Raises ``IndexError`` beyond the end."""
        for entries in self.slice(position, position + 1):
            return entries.keys(self.schema)[0]
        raise IndexError(f"there are {self.rows} records, none at position {position}")

    def walk(self, start: int, stop: int, *, columns: Sequence[str] | None = None) -> Iterator[tuple[Entries, int]]:
        """Yield the records at positions ``[start, stop)``, which there must be, with how many deletions were gone through for each part.

        A part may be empty, and its values out of line are left where they are. ``columns`` must have those that make the key.
        """
        lo, _ = self.near(start)
        skip, left = start - self.rank(lo), stop - start
        for part in merged(self.layers, self.schema, lo, columns=columns):
            changes = loaded(part, columns)
            entries = changes.live()
            taken = entries.slice(min(skip, len(entries)), min(skip + left, len(entries)))
            skip = max(skip - len(entries), 0)
            left -= len(taken)
            yield taken, len(changes) - len(entries)
            if not left:
                return

    def slice(self, start: int, stop: int, *, columns: Sequence[str] | None = None) -> Iterator[Entries]:
        """Yield the records at positions ``[start, stop)``, as far as there are."""
        start, stop = max(start, 0), min(stop, self.rows)
        if start >= stop:
            return
        wanted = None if columns is None else tuple(dict.fromkeys((*columns, *self.schema.stored_key_names)))
        lo, _ = self.near(start)
        at = self.rank(lo)
        for entries in self.scan(lo, None, columns=wanted):
            first, end = max(start - at, 0), min(stop - at, len(entries))
            if first < end:
                yield entries.slice(first, end)
            at += len(entries)
            if at >= stop:
                return
