"""Values out of line: those larger than a setting lie in the blob beside the leaves, and the leaf says where.

The hidden column ``_far`` holds for such a row a msgpack list of ``[column, blob, offset, length, checksum]``; the column itself is
null there. A value lies in pieces of at most 1 MiB, in the order of its entries in the list, so that it can be read and checked piece by
piece. A row keeps pointing to the blob that its value was first written to, however often it is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from sopnb.engine.branch import Extent
from sopnb.engine.entries import Entries
from sopnb.schema import Schema

FAR = "_far"
"""The name of the hidden column."""
Far = list[tuple[int, str, int, int, int]]
PIECE = 1024 * 1024
"""Bytes of a piece of a value, but for its last one; who wrote the value may have made them larger."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Far)


def may_be_far(kind: Any) -> bool:
    """Say whether values of a column of this type may lie out of line: plain text and bytes."""
    t = pa.types
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind) or t.is_large_binary(kind))


def decode(cell: bytes) -> Far:
    """Return where the values of one row lie."""
    return _decoder.decode(cell)


def places(entries: Entries, row: int, column: int) -> list[Extent]:
    """Return where the pieces of a value lie; none if it does not lie out of line."""
    cell = None if entries.far is None else entries.far[row].as_py()
    return [] if cell is None else [Extent(*place[1:]) for place in decode(cell) if place[0] == column]


def replaced(entries: Entries, column: int, value: bytes | str | None, pieces: Sequence[Extent]) -> Entries:
    """Return one row as a new one of which a column holds this value, or that which lies in these pieces."""
    cell = None if entries.far is None else entries.far[0].as_py()
    cells = [*(place for place in (decode(cell) if cell else []) if place[0] != column), *((column, *piece) for piece in pieces)]
    arrays = list(entries.batch.columns)
    arrays[column] = pa.array([value], arrays[column].type)
    batch = pa.RecordBatch.from_arrays(arrays, schema=entries.batch.schema)
    return Entries(batch, delta=0, far=pa.array([_cell(cells)], pa.binary()) if cells else None)


def staying(cells: Any, columns: Collection[int]) -> Any:
    """Return a ``_far`` column that names the values of these columns only."""
    return pa.array(
        [None if cell is None else _cell([p for p in decode(cell) if p[0] in columns]) for cell in cells.to_pylist()], pa.binary()
    )


def together(one: Any, other: Any) -> Any:
    """Return a ``_far`` column that names what two of as many rows name."""
    cells = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return pa.array([_cell([*(decode(a) if a else ()), *(decode(b) if b else ())]) for a, b in cells], pa.binary())


def _cell(values: Far) -> bytes | None:
    return _encoder.encode(values) if values else None


class FarReader:
    """Puts values back into the rows that they belong to. ``fetch`` reads an extent and checks it."""

    def __init__(self, fetch: Callable[[Extent], bytes]) -> None:
        self._fetch = fetch

    def resolved(self, entries: Entries, schema: Schema) -> Entries:
        """Return the entries with their values in place, as far as their columns are there."""
        batch, far = entries.batch, entries.far
        if far is None:
            return entries
        wanted: dict[str, dict[int, list[bytes]]] = {}
        for row in np.flatnonzero(far.is_valid().to_numpy(zero_copy_only=False)).tolist():
            for column, blob, offset, length, checksum in decode(far[row].as_py()):
                name = schema.physical.names[column]
                if name in batch.schema.names:
                    wanted.setdefault(name, {}).setdefault(row, []).append(self._fetch(Extent(blob, offset, length, checksum)))
        arrays = list(batch.columns)
        for name, values in wanted.items():
            at = batch.schema.get_field_index(name)
            arrays[at] = _filled(arrays[at], {row: b"".join(pieces) for row, pieces in values.items()})
        if wanted:  # a batch of no columns would forget how many rows it has
            batch = pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
        return Entries(batch, op=entries.op, seq=entries.seq, delta=entries.delta, keys=entries._keys)


class FarWriter:
    """Takes values out of rows. ``write`` appends bytes to the blob being written and returns where they are."""

    def __init__(self, schema: Schema, threshold: int, write: Callable[[bytes], Extent]) -> None:
        self._columns = [
            (i, field) for i, field in enumerate(schema.physical) if may_be_far(field.type) and field.name not in schema.key_names
        ]
        self._threshold, self._write = threshold, write

    def extracted(self, entries: Entries) -> Entries:
        """Return the entries with large values replaced by null and named in ``far``."""
        found: dict[int, Far] = {}
        arrays = None
        for i, field in self._columns:
            rows = _larger(entries.batch.column(i), self._threshold)
            if not len(rows):
                continue
            column = entries.batch.column(i)
            for row in rows.tolist():
                value = column[row].as_py()
                raw = value.encode() if isinstance(value, str) else value
                pieces = (raw[start : start + PIECE] for start in range(0, len(raw), PIECE))
                found.setdefault(row, []).extend((i, *self._write(piece)) for piece in pieces)
            arrays = list(entries.batch.columns) if arrays is None else arrays
            mask = np.zeros(len(entries), bool)
            mask[rows] = True
            arrays[i] = _blanked(column, mask, field.type)
        if arrays is None:
            return entries
        cells: list[bytes | None] = [None] * len(entries) if entries.far is None else entries.far.to_pylist()
        for row, new in found.items():
            old = cells[row]
            cells[row] = _encoder.encode((decode(old) if old else []) + new)
        batch = pa.RecordBatch.from_arrays(arrays, schema=entries.batch.schema)
        return Entries(batch, op=entries.op, seq=entries.seq, delta=entries.delta, far=pa.array(cells, pa.binary()), keys=entries._keys)


def bytes_by_blob(far: Any) -> tuple[tuple[str, int], ...]:
    """Return how many bytes out of line the rows of a ``_far`` column hold, by blob."""
    sums: dict[str, int] = {}
    for cell in far.drop_null().to_pylist():
        for _, blob, _, length, _ in decode(cell):
            sums[blob] = sums.get(blob, 0) + length
    return tuple(sums.items())


def extents(far: Any) -> Iterator[Extent]:
    """Yield where all pieces of values lie that a ``_far`` column names."""
    for cell in far.drop_null().to_pylist():
        yield from (Extent(*place[1:]) for place in decode(cell))


def row_bytes(far: Any) -> list[int]:
    """Return how many bytes out of line each row of a ``_far`` column holds."""
    return [0 if cell is None else sum(length for _, _, _, length, _ in decode(cell)) for cell in far.to_pylist()]


def far_columns(far: Any) -> set[int]:
    """Return the columns of which a ``_far`` column names any value."""
    return {column for cell in far.drop_null().to_pylist() for column, *_ in decode(cell)}


def _larger(column: Any, threshold: int) -> Any:
    """Return the rows whose text or bytes are longer than the threshold."""
    wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    offsets = np.frombuffer(column.buffers()[1], np.int64 if wide else np.int32)[column.offset : column.offset + len(column) + 1]
    if not len(column) or offsets[-1] - offsets[0] <= threshold:
        return np.zeros(0, np.int64)
    return np.flatnonzero((np.diff(offsets) > threshold) & column.is_valid().to_numpy(zero_copy_only=False))


def _blanked(column: Any, mask: Any, kind: Any) -> Any:
    keep = np.where(mask, -1, np.arange(len(column)))
    return column.take(pa.array(keep, mask=mask)).cast(kind)


def _filled(column: Any, values: dict[int, bytes]) -> Any:
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    extra = pa.array([value.decode() if text else value for value in values.values()], column.type)
    where = np.arange(len(column))
    where[list(values)] = len(column) + np.arange(len(values))
    return pa.concat_arrays([column, extra]).take(pa.array(where))
