"""Sorting rows by an index specification without a Python object per row.

Every key column becomes whole numbers that order as the column should (texts by the rank of their distinct values, descending ones
counted down, nulls below or above all). Where their bits and the row number fit into 64 together, one sort of plain integers does it
all; else the columns are sorted by ``numpy.lexsort``. Packed is about three times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.index.specification import IndexField, IndexSpecification

_TOP64 = np.uint64(1 << 63)


def sort_indices(arrays: Sequence[Any], specification: IndexSpecification, ids: Any = None) -> Any:
    """Return the row numbers in key order (int64), or None if the rows are in order already. Equal keys keep their order.

    ``arrays`` are the key columns in the order of the specification, ``ids`` the 16-byte ids of a store that is not unique.

    >>> sort_indices([pa.array([3, 1, 2])], IndexSpecification.of("-a")).tolist()
    [0, 2, 1]
    """
    return arrange(arrays, specification, ids)[0]


def arrange(arrays: Sequence[Any], specification: IndexSpecification, ids: Any = None) -> tuple[Any, Any]:
    """Return what ``sort_indices`` does, and for each row in that order whether it has the key of the row before (None: no row has)."""
    codes = [_codes(array, field) for array, field in zip(arrays, specification.fields, strict=True)]
    if ids is not None:
        codes.append(_text_codes(ids))
    in_order, tied = _in_order(codes)
    if in_order:
        return None, _repeats(tied)
    packed = _packed(codes)
    if packed is None:
        order = np.lexsort(codes[::-1])
        tied = np.ones(max(len(order) - 1, 0), bool)
        for column in codes:
            tied &= column[order[1:]] == column[order[:-1]]
            if not tied.any():
                break
        return order, _repeats(tied)
    n = len(packed)
    bits = _bits(max(n - 1, 1))
    packed = (packed << np.uint64(bits)) | np.arange(n, dtype=np.uint64)
    packed.sort()
    order = (packed & np.uint64((1 << bits) - 1)).astype(np.int64)
    packed >>= np.uint64(bits)
    return order, _repeats(packed[1:] == packed[:-1])


def _repeats(tied: Any) -> Any:
    return np.concatenate([[False], tied]) if tied.any() else None


def _bits(most: int) -> int:
    return int(most).bit_length()


def _in_order(codes: Sequence[Any]) -> tuple[bool, Any]:
    """Return whether the rows ascend, and if they do, which of them repeat the one before."""
    tied = np.ones(max(len(codes[0]) - 1, 0), bool)
    for column in codes:
        if (tied & (column[1:] < column[:-1])).any():
            return False, tied
        tied &= column[1:] == column[:-1]
        if not tied.any():
            break
    return True, tied


def _packed(codes: Sequence[Any]) -> Any:
    """Return all columns in one number, or None if that and the row number do not fit into 64 bits."""
    n = len(codes[0])
    lows = [column.min() for column in codes]
    widths = [_bits(int(column.max()) - int(low)) for column, low in zip(codes, lows, strict=True)]
    if sum(widths) + _bits(max(n - 1, 1)) > 64:
        return None
    packed = np.zeros(n, np.uint64)
    for column, low, width in zip(codes, lows, widths, strict=True):
        packed = (packed << np.uint64(width)) | (column - low)
    return packed


def _codes(array: Any, field: IndexField) -> Any:
    """Return a column as uint64 in the order wanted."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    null = array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    kind = array.type
    number = pa.types.is_integer(kind) or (pa.types.is_temporal(kind) and not pa.types.is_interval(kind))
    if number:
        codes = _integer_codes(array)
    elif pa.types.is_floating(kind):
        codes = _float_codes(array, null)
    elif pa.types.is_boolean(kind):
        codes = pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(np.uint64)
    else:
        codes = _text_codes(array)
    if field.descending:
        codes = ~codes
    if null.any():
        codes = _nulls_placed(codes, null, field)
    return codes


def _integer_codes(array: Any) -> Any:
    width = array.type.bit_width // 8
    signed = not pa.types.is_unsigned_integer(array.type)
    dtype = f"{'i' if signed else 'u'}{width}"
    values = np.frombuffer(array.buffers()[1] or b"", dtype)[array.offset : array.offset + len(array)]
    if signed:
        return values.astype(np.int64).view(np.uint64) ^ _TOP64
    return values.astype(np.uint64)


def _float_codes(array: Any, null: Any) -> Any:
    values = array.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
    bits = np.where(null, 0.0, values).view(np.uint64)
    return np.where(bits & _TOP64, ~bits, bits | _TOP64)


def _text_codes(array: Any) -> Any:
    """Return the rank of each value among the distinct ones; texts by their UTF-8 bytes."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = array.cast(pa.large_binary())
    encoded = array.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.zeros(len(order) + 1, np.uint64)
    rank[order] = np.arange(len(order), dtype=np.uint64)
    return rank[pc.fill_null(encoded.indices, len(order)).to_numpy(zero_copy_only=False)]


def _nulls_placed(codes: Any, null: Any, field: IndexField) -> Any:
    """Put nulls below or above every value; when the values take all of 64 bits they are replaced by their ranks first."""
    if null.all():
        return np.zeros(len(codes), np.uint64)
    values = codes[~null]
    low, high = int(values.min()), int(values.max())
    if high - low >= (1 << 64) - 2:
        codes = codes.copy()
        codes[~null] = np.unique(values, return_inverse=True)[1].astype(np.uint64)
        low, high = 0, len(values)
    placed = codes - np.uint64(low) + np.uint64(1)
    placed[null] = 0 if field.nulls == "first" else high - low + 2
    return placed
