"""The stored form of a leaf: the encapsulated message of one Arrow record batch, uncompressed.

Its columns are the physical ones of the schema and, where the rows differ in them, the hidden ones ``_op`` (int8), ``_seq`` (int64),
``_delta`` (int8) and ``_far`` (binary), in this order; what all rows share stands in the branch (``Shape``). The message's own metadata
is the table of its buffers: Arrow reads it in a few microseconds without copying a value, so no table of ours repeats it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.engine.branch import Shape
from sopnb.engine.entries import Entries, Entry
from sopnb.engine.record import DELETE
from sopnb.errors import Corruption
from sopnb.schema import Schema

_HIDDEN = (("_op", pa.int8()), ("_seq", pa.int64()), ("_delta", pa.int8()), ("_far", pa.binary()))
_LIST_AFTER = 3
"""A leaf asked for single keys this many times keeps a list of its keys."""
_KEY_BYTES = 60
"""About what Python needs for one key in a list, besides its bytes."""
_VALUE_BYTES = 40
"""About what Python needs for one value of a row that is kept."""


def shape(entries: Entries) -> Shape:
    """Return what all rows share."""
    return Shape(
        _shared(entries.op), _shared(entries.seq), _shared(entries.delta), entries.far is not None and entries.far.null_count < len(entries)
    )


def _shared(numbers: Any) -> int | None:
    if isinstance(numbers, int):
        return numbers
    first = numbers[0]
    return int(first) if (numbers == first).all() else None


def encode(entries: Entries, shape: Shape, schema: Schema) -> Any:
    """Return the bytes of a leaf."""
    columns = (entries.op, entries.seq, entries.delta)
    extra = [pa.array(c, kind) for (_, kind), c, shared in zip(_HIDDEN, columns, shape, strict=False) if shared is None]
    if shape.far:
        extra.append(entries.far)
    if not extra:
        return entries.batch.serialize()
    return pa.RecordBatch.from_arrays([*entries.batch.columns, *extra], schema=_schema(schema, _hidden(shape))).serialize()


def _schema(schema: Schema, hidden: tuple[bool, ...]) -> pa.Schema:
    """Return the columns of a leaf; kept with the schema, for Arrow schemas are slow to compare."""
    made = schema.memo.get(hidden)
    if made is None:
        fields = [pa.field(name, kind) for (name, kind), there in zip(_HIDDEN, hidden, strict=True) if there]
        made = schema.memo[hidden] = pa.schema([*schema.physical, *fields])
    return made


def _hidden(shape: Shape) -> tuple[bool, ...]:
    return (shape.op is None, shape.seq is None, shape.delta is None, shape.far)


def decode(data: Any, schema: Schema, shape: Shape, where: str) -> Entries:
    """Return the entries of a leaf, without a copy. Raises ``Corruption``."""
    try:
        batch = pa.ipc.read_record_batch(pa.py_buffer(data), _schema(schema, _hidden(shape)))
    except (pa.ArrowInvalid, OSError) as error:
        raise Corruption(where, f"a leaf cannot be decoded ({error})") from error
    at = len(schema.physical)
    numbers: list[Any] = []
    for shared in shape[:3]:
        if shared is None:
            numbers.append(batch.column(at).to_numpy())
            at += 1
        else:
            numbers.append(shared)
    far = batch.column(at) if shape.far else None
    if len(batch.columns) > len(schema.physical):
        batch = pa.RecordBatch.from_arrays(batch.columns[: len(schema.physical)], schema=schema.physical)
    return Entries(batch, op=numbers[0], seq=numbers[1], delta=numbers[2], far=far)


class Leaf:
    """A leaf that was read. What was looked for in it is kept: keys after a few look-ups, rows that were asked for."""

    def __init__(self, entries: Entries, schema: Schema, size: int) -> None:
        self.entries, self._schema, self._size = entries, schema, size
        self._list: list[bytes] | None = None
        self._asked = 0
        self._rows: dict[int, Entry] = {}
        self.used = 0

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        keys = self.entries._keys
        width = 0 if keys is None else keys.array.itemsize + 8
        if self._list is not None:
            width += width + _KEY_BYTES
        row = 100 + _VALUE_BYTES * len(self._schema.physical)
        return self._size + width * len(self.entries) + len(self._rows) * row

    def find(self, key: bytes) -> int:
        """Return the row of a key, -1 if it is not there."""
        keys = self._list
        if keys is None:
            vector = self.entries.keys(self._schema)
            self._asked += 1
            if self._asked < _LIST_AFTER:
                at = vector.search(key)
                return at if at < len(vector) and vector[at] == key else -1
            keys = self._list = vector.tolist()
        at = bisect_left(keys, key)
        return at if at < len(keys) and keys[at] == key else -1

    def entry(self, at: int) -> Entry:
        """Return a row; values out of line are null in it."""
        entry = self._rows.get(at)
        if entry is None:
            e = self.entries
            op = e.op if isinstance(e.op, int) else int(e.op[at])
            seq = e.seq if isinstance(e.seq, int) else int(e.seq[at])
            delta = e.delta if isinstance(e.delta, int) else int(e.delta[at])
            row = None if op == DELETE else self._schema.row_at(e.batch, at)
            entry = self._rows[at] = Entry(op, seq, delta, row)
        return entry

    def delta_before(self, at: int) -> int:
        """Return the sum of the deltas of the rows before row ``at``."""
        delta = self.entries.delta
        return delta * at if isinstance(delta, int) else int(np.sum(delta[:at], dtype=np.int64))
