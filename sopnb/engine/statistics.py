"""The smallest and largest value and the number of nulls of each column of each leaf, as storage values; decimals as their text.

They bound what a filter can match. A column whose values have no order, are very long or lie out of line has none (None). NaN is left
out of the bounds, like null; a leaf's column without any other value has the bounds None, None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.engine import cells
from sopnb.schema import Schema
from sopnb.values import storage_type

LONGEST = 64
"""Texts and bytes longer than this make no bounds."""

Stored = tuple[Any, Any, int]
"""The smallest value, the largest, the number of nulls."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of one column in each of several leaves, as Arrow arrays with a row for each leaf.

    ``low`` and ``high`` are of the column's type, null where a leaf has no value but nulls and NaN; ``known`` says whether the three say
    anything at all.
    """

    low: Any
    high: Any
    nulls: Any
    known: Any

    @classmethod
    def of(cls, stored: Sequence[Stored | None], kind: Any) -> Bounds:
        """Return what was stored of a column of this type, None where nothing was."""
        low = [None if each is None else each[0] for each in stored]
        high = [None if each is None else each[1] for each in stored]
        nulls = pa.array([0 if each is None else each[2] for each in stored], pa.int64())
        known = pa.array([each is not None for each in stored], pa.bool_())
        return cls(_restored(low, kind), _restored(high, kind), nulls, known)


def _restored(values: list[Any], kind: Any) -> Any:
    t = pa.types
    if t.is_decimal(kind):
        return pa.array([None if value is None else Decimal(value) for value in values], kind)
    if t.is_boolean(kind):
        return pa.array(values, pa.uint8()).cast(kind)
    return pa.array(values, storage_type(kind)).cast(kind)


def statistics(batch: Any, starts: list[int], schema: Schema) -> list[list[Stored | None]]:
    """Return the bounds of each column for each of the pieces that begin at ``starts``; the rows are in the order of the key."""
    known = _by_edges(batch, starts, schema)
    columns = [_column(batch.column(i), starts, known.get(i, {})) for i in range(batch.num_columns)]
    return [list(piece) for piece in zip(*columns, strict=True)] if columns else [[] for _ in starts]


def _by_edges(batch: Any, starts: list[int], schema: Schema) -> dict[int, dict[int, Stored | None]]:
    """Return the bounds, by column and piece, of those texts of the key that ascend or descend throughout a piece.

    They do where the key fields before them are all the same in it, and looking at its first and last row is several times as quick.
    """
    ends = [*starts[1:], batch.num_rows]
    found: dict[int, dict[int, Stored | None]] = {}
    steady = list(range(len(starts)))
    for field in schema.specification.fields:
        at = batch.schema.get_field_index(field.name)
        column = batch.column(at)
        if column.null_count or not steady:
            break
        read = cells.makers(schema)[field.name](column)
        edges = {n: (read(starts[n]), read(ends[n] - 1)) for n in steady}
        if _is_text(column.type):
            found[at] = {n: _bounds(*(edge[::-1] if field.descending else edge), 0) for n, edge in edges.items()}
        steady = [n for n, (first, last) in edges.items() if first == last]
    return found


def _is_text(kind: Any) -> bool:
    t = pa.types
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind) or t.is_large_binary(kind))


def _column(array: Any, starts: list[int], known: dict[int, Stored | None]) -> list[Stored | None]:
    t, kind = pa.types, array.type
    if (
        t.is_boolean(kind)
        or t.is_integer(kind)
        or t.is_float32(kind)
        or t.is_float64(kind)
        or (t.is_temporal(kind) and not t.is_interval(kind))
    ):
        return _numbers(array, starts)
    if t.is_decimal128(kind) or t.is_decimal256(kind) or _is_text(kind):
        ends = [*starts[1:], len(array)]
        long = _all_long(array, starts) if _is_text(kind) and len(known) < len(starts) else [False] * len(starts)
        return [
            known[n] if n in known else None if long[n] else _ordered(array.slice(start, end - start))
            for n, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]
    return [None] * len(starts)


def _all_long(array: Any, starts: list[int]) -> list[bool]:
    """Say for each piece whether all its texts are too long for bounds: then there is no need to compare them."""
    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    lengths = pc.fill_null(pc.utf8_length(array) if text else pc.binary_length(array), 0).to_numpy(zero_copy_only=False)
    return (np.minimum.reduceat(lengths, starts) > LONGEST).tolist()  # type: ignore[no-any-return]


def _numbers(array: Any, starts: list[int]) -> list[Stored | None]:
    kind = array.type
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif pa.types.is_temporal(kind):
        array = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    null = array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False) if array.null_count or pa.types.is_floating(kind) else None
    if null is None or not null.any():
        values = array.to_numpy(zero_copy_only=False)
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        return list(zip(low.tolist(), high.tolist(), [0] * len(starts), strict=True))
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    floating = values.dtype.kind == "f"
    top = np.inf if floating else np.iinfo(values.dtype).max
    bottom = -np.inf if floating else np.iinfo(values.dtype).min
    low = np.minimum.reduceat(np.where(null, top, values).astype(values.dtype), starts).tolist()
    high = np.maximum.reduceat(np.where(null, bottom, values).astype(values.dtype), starts).tolist()
    absent = ~array.is_valid().to_numpy(zero_copy_only=False)
    nulls = np.add.reduceat(absent.astype(np.int64), starts).tolist()
    empty = np.logical_and.reduceat(null, starts).tolist()
    return [(None, None, n) if e else (a, b, n) for a, b, n, e in zip(low, high, nulls, empty, strict=True)]


def _ordered(array: Any) -> Stored | None:
    if array.null_count == len(array):
        return None, None, len(array)
    both = pc.min_max(array)
    return _bounds(both["min"].as_py(), both["max"].as_py(), array.null_count)


def _bounds(low: Any, high: Any, nulls: int) -> Stored | None:
    if isinstance(low, str | bytes) and max(len(low), len(high)) > LONGEST:
        return None
    return low, high, nulls
