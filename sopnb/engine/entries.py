"""Sorted changes side by side: the form in which every layer, scan, merge and leaf hands records on.

Invariants: keys ascend strictly; ``op``, ``seq`` and ``delta`` are one number where all rows share it, else an array of one number
for each row; ``far`` is None or holds for each row null or where its values out of line are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.engine import cells
from sopnb.engine.record import DELETE, PUT
from sopnb.index import Keys
from sopnb.schema import Schema

Numbers = Any
"""One integer, or an array of them."""


class Entry:
    """One change of one key: ``row`` holds storage values in physical order, None for a deletion.

    ``record`` is for whoever shows the row to people: what was made of it once may be kept here, where it can never be changed.
    """

    __slots__ = ("delta", "op", "record", "row", "seq")

    def __init__(self, op: int, seq: int, delta: int, row: tuple[Any, ...] | None) -> None:
        self.op, self.seq, self.delta, self.row = op, seq, delta, row
        self.record: Any = None

    def __repr__(self) -> str:
        return f"Entry(op={self.op}, seq={self.seq}, delta={self.delta}, row={self.row!r})"


class Entries:
    """Changes of many keys, ascending. ``batch`` holds physical columns: all of them, or those that were asked for."""

    __slots__ = ("_keys", "batch", "delta", "far", "op", "seq")

    def __init__(self, batch: Any, *, op: Numbers = PUT, seq: Numbers = 0, delta: Numbers = 1, far: Any = None, keys: Keys | None = None):
        self.batch, self.op, self.seq, self.delta, self.far, self._keys = batch, op, seq, delta, far, keys

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def keys(self, schema: Schema) -> Keys:
        """Return the encoded keys; made once."""
        if self._keys is None:
            self._keys = schema.keys(self.batch)
        return self._keys

    def before(self, key: bytes, schema: Schema) -> int:
        """Return how many rows lie before a key, which may be any bytes; keys that were not made yet are not made for this."""
        if self._keys is not None:
            return self._keys.search(key)
        return bisect_left(range(len(self)), key, key=cells.key_reader(self.batch, schema))

    def key(self, row: int, schema: Schema) -> bytes:
        """Return the encoded key of one row."""
        return self._keys[row] if self._keys is not None else cells.key_reader(self.batch, schema)(row)

    @property
    def ops(self) -> Any:
        """The operations, one for each row."""
        return spread(self.op, len(self), np.int8)

    @property
    def seqs(self) -> Any:
        """The commits that wrote the rows, one for each row."""
        return spread(self.seq, len(self), np.int64)

    @property
    def deltas(self) -> Any:
        """What each row adds to the row count."""
        return spread(self.delta, len(self), np.int8)

    @property
    def nbytes(self) -> int:
        """About how many bytes the columns take."""
        return int(self.batch.nbytes)

    @property
    def all_live(self) -> bool:
        """Whether there is no deletion among the rows, as far as can be said without looking at each."""
        return isinstance(self.op, int) and self.op == PUT

    def live(self) -> Entries:
        """Return the rows without the deletions."""
        if isinstance(self.op, int):
            return self if self.op == PUT else self.slice(0, 0)
        kept = np.flatnonzero(self.op == PUT)
        return self if len(kept) == len(self) else self.take(kept)

    def slice(self, start: int, stop: int) -> Entries:
        """Return a piece, without a copy."""
        if start == 0 and stop == len(self):
            return self
        return Entries(
            self.batch.slice(start, max(stop - start, 0)),
            op=self.op if isinstance(self.op, int) else self.op[start:stop],
            seq=self.seq if isinstance(self.seq, int) else self.seq[start:stop],
            delta=self.delta if isinstance(self.delta, int) else self.delta[start:stop],
            far=None if self.far is None else self.far.slice(start, max(stop - start, 0)),
            keys=None if self._keys is None else self._keys.slice(start, stop),
        )

    def take(self, indices: Any) -> Entries:
        """Return the rows at these positions."""
        where = pa.array(indices)
        return Entries(
            self.batch.take(where),
            op=self.op if isinstance(self.op, int) else self.op[indices],
            seq=self.seq if isinstance(self.seq, int) else self.seq[indices],
            delta=self.delta if isinstance(self.delta, int) else self.delta[indices],
            far=None if self.far is None else self.far.take(where),
            keys=None if self._keys is None else self._keys.take(indices),
        )

    def select(self, columns: Sequence[str]) -> Entries:
        """Return the same rows with these columns only."""
        if self.batch.schema.names == list(columns):
            return self
        return Entries(self.batch.select(columns), op=self.op, seq=self.seq, delta=self.delta, far=self.far, keys=self._keys)

    def apart(self) -> Entries:
        """Return the same rows; keys that are made for it are not kept with this one."""
        return Entries(self.batch, op=self.op, seq=self.seq, delta=self.delta, far=self.far, keys=self._keys)

    def settled(self, seq: int) -> Entries:
        """Return the same rows with ``seq`` written out where it stood for the commit that brought the layer."""
        if isinstance(self.seq, int):
            if self.seq:
                return self
            new: Numbers = seq
        else:
            new = np.where(self.seq == 0, seq, self.seq)
        return Entries(self.batch, op=self.op, seq=new, delta=self.delta, far=self.far, keys=self._keys)


def spread(numbers: Numbers, n: int, dtype: Any) -> Any:
    """Return an array of one number for each row."""
    return np.full(n, numbers, dtype) if isinstance(numbers, int) else numbers


def gathered(numbers: Sequence[Numbers], lengths: Sequence[int], dtype: Any) -> Numbers:
    """Return the numbers of several pieces one after another; still one number if they all share it."""
    if all(isinstance(n, int) for n in numbers) and len(set(numbers)) == 1:
        return numbers[0]
    return np.concatenate([spread(n, length, dtype) for n, length in zip(numbers, lengths, strict=True)])


def concatenated(parts: Sequence[Entries]) -> Entries:
    """Return several pieces one after another. Their keys must ascend, or be put in order by the caller."""
    if len(parts) == 1:
        return parts[0]
    lengths = [len(part) for part in parts]
    far = None
    if any(part.far is not None for part in parts):
        far = pa.concat_arrays([pa.nulls(len(p), pa.binary()) if p.far is None else p.far for p in parts])
    keys = None
    if all(part._keys is not None for part in parts):
        keys = Keys.concatenated([part._keys for part in parts if part._keys is not None])
    return Entries(
        _one_batch([part.batch for part in parts]),
        op=gathered([p.op for p in parts], lengths, np.int8),
        seq=gathered([p.seq for p in parts], lengths, np.int64),
        delta=gathered([p.delta for p in parts], lengths, np.int8),
        far=far,
        keys=keys,
    )


def _one_batch(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return several batches as one."""
    if hasattr(pa, "concat_batches"):
        return pa.concat_batches(batches)
    columns = [pa.concat_arrays([batch.column(at) for batch in batches]) for at in range(batches[0].num_columns)]  # before pyarrow 19
    return pa.RecordBatch.from_arrays(columns, schema=batches[0].schema)


def overlaid(lower: Entries, upper: Entries, schema: Schema) -> Entries:
    """Return both as one, the upper one's changes over the lower one's.

    The delta of a key that both change is the sum, so it still speaks of what lies below both. What was put above nothing and is
    deleted again leaves nothing.
    """
    if not len(upper):
        return lower
    if not len(lower):
        return upper
    low, up = lower.keys(schema), upper.keys(schema)
    at, hit = low.match(up)
    n = len(lower)
    delta_up = upper.deltas.astype(np.int8, copy=True)
    if hit.any():
        delta_up[hit] += lower.deltas[at[hit]]
    keep_low = np.ones(n, bool)
    keep_low[at[hit]] = False
    keep_up = ~((upper.ops == DELETE) & (delta_up == 0) & hit)
    kept_low, kept_up = np.flatnonzero(keep_low), np.flatnonzero(keep_up)
    both = concatenated([lower, Entries(upper.batch, op=upper.op, seq=upper.seq, delta=delta_up, far=upper.far, keys=up)])
    if not len(kept_up):
        return both.take(kept_low)
    gaps = np.searchsorted(kept_low, at[kept_up])
    return both.take(np.insert(kept_low, gaps, kept_up + n))
