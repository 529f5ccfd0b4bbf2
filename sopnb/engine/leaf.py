"""The stored form of a leaf: the encapsulated message of one Arrow record batch, uncompressed.

Its columns are the physical ones of the schema and, where the rows differ in them, the hidden ones ``_op`` (int8), ``_seq`` (int64),
``_delta`` (int8) and ``_far`` (binary), in this order; what all rows share stands in the branch (``Shape``). The message's own metadata
is the table of its buffers: Arrow reads it in a few microseconds without copying a value, so no table of ours repeats it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.engine import cells
from sopnb.engine.branch import Shape
from sopnb.engine.entries import Entries, Entry
from sopnb.engine.record import DELETE
from sopnb.errors import Corruption
from sopnb.index import Keys
from sopnb.schema import Schema

_HIDDEN = (("_op", pa.int8()), ("_seq", pa.int64()), ("_delta", pa.int8()), ("_far", pa.binary()))
_LIST_AFTER = 16
"""A leaf asked for single keys this many times keeps a list of its keys."""
_FEW = 4
"""So many keys are sought in a leaf by bisecting its rows as they lie: making all its keys takes as long as some ten of them."""
_KEY_BYTES = 60
"""About what Python needs for one key in a list, besides its bytes."""
_ENTRY_BYTES, _VALUE_BYTES = 600, 60


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
    except (pa.ArrowException, OSError, EOFError) as error:
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
    """A leaf that was read. Its keys are kept as a list once single ones were sought here often; before, rows are bisected as they lie."""

    def __init__(self, entries: Entries, schema: Schema, size: int) -> None:
        self.entries, self._schema, self._size = entries, schema, size
        self._list: list[bytes] | None = None
        self._asked = 0
        self.used = 0
        self.grown = False
        """Whether it takes more than when it was weighed."""

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        keys = self.entries._keys
        width = 0 if keys is None else keys.array.itemsize + 8
        if self._list is not None:
            width += keys.array.itemsize + _KEY_BYTES if keys is not None else _KEY_BYTES
        return self._size + width * len(self.entries)

    @cached_property
    def _cells(self) -> list[cells.Reader]:
        return [make(column) for make, column in zip(cells.makers(self._schema).values(), self.entries.batch.columns, strict=True)]

    @cached_property
    def _key_at(self) -> Callable[[int], bytes]:
        return cells.key_reader(self.entries.batch, self._schema)

    @property
    def bare(self) -> bool:
        """Whether it has no keys yet."""
        return self.entries._keys is None

    def give_keys(self, keys: Keys) -> None:
        """Let it keep its keys, which were made with those of others: a copy, so that it does not keep theirs too."""
        self.entries._keys = Keys(keys.array.copy(), keys.lengths.copy())
        self.grown = True

    def keys(self) -> Keys:
        """Return the encoded keys, which it keeps."""
        if self.entries._keys is None:
            self.grown = True
        return self.entries.keys(self._schema)

    def before(self, key: bytes) -> int:
        """Return how many rows lie before a key, which may be any bytes."""
        if self._list is None:
            self._asked += 1
            if self._asked < _LIST_AFTER:
                return bisect_left(range(len(self.entries)), key, key=self._key_at)
            self._list = self.keys().tolist()
            self.grown = True
        return bisect_left(self._list, key)

    def for_few(self, count: int) -> bool:
        """Say whether so many keys are better sought one by one than among all its keys, which are then there for others too."""
        return self.bare and self._asked + count <= _FEW

    def find(self, key: bytes) -> int:
        """Return the row of a key, -1 if it is not there."""
        at = self.before(key)
        if at == len(self.entries):
            return -1
        return at if (self._key_at(at) if self._list is None else self._list[at]) == key else -1

    def entry(self, at: int) -> Entry:
        """Return a row; values out of line are null in it."""
        e = self.entries
        op = e.op if isinstance(e.op, int) else int(e.op[at])
        seq = e.seq if isinstance(e.seq, int) else int(e.seq[at])
        delta = e.delta if isinstance(e.delta, int) else int(e.delta[at])
        return Entry(op, seq, delta, None if op == DELETE else tuple([read(at) for read in self._cells]))

    def delta_before(self, at: int) -> int:
        """Return the sum of the deltas of the rows before row ``at``."""
        delta = self.entries.delta
        return delta * at if isinstance(delta, int) else int(np.sum(delta[:at], dtype=np.int64))


def entry_bytes(schema: Schema) -> int:
    """Return about how many bytes Python needs for one entry that is kept, with what is made of it, besides those of its values."""
    return _ENTRY_BYTES + _VALUE_BYTES * len(schema.physical)
