"""Single values of a batch, read from its buffers as storage values: no Arrow object for a cell, next to nothing for a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from sopnb.schema import Schema
from sopnb.values import scalar_reader

Reader = Callable[[int], Any]
Maker = Callable[[Any], Reader]
_SIGNED, _UNSIGNED = {8: "b", 16: "h", 32: "i", 64: "q"}, {8: "B", 16: "H", 32: "I", 64: "Q"}


def makers(schema: Schema) -> dict[str, Maker]:
    """Return the makers of a schema's physical columns by name."""
    if "cells" not in schema.memo:
        schema.memo["cells"] = {field.name: maker(field.type) for field in schema.physical}
    made: dict[str, Maker] = schema.memo["cells"]
    return made


def key_reader(batch: Any, schema: Schema) -> Callable[[int], bytes]:
    """Return a function from a row of a batch that holds the key columns to its encoded key."""
    made = makers(schema)
    readers = [made[name](batch.column(name)) for name in schema.stored_key_names]
    return lambda row: schema.encode_key([read(row) for read in readers])


def maker(kind: Any) -> Maker:
    """Return what makes, of an array of this type, a function from a row to its storage value."""
    t = pa.types
    if t.is_integer(kind):
        return _numbers((_UNSIGNED if t.is_unsigned_integer(kind) else _SIGNED)[kind.bit_width], kind.bit_width // 8)
    if t.is_temporal(kind) and not t.is_interval(kind):
        return _numbers(_SIGNED[kind.bit_width], kind.bit_width // 8)
    if t.is_float64(kind) or t.is_float32(kind):
        return _numbers("d" if kind.bit_width == 64 else "f", kind.bit_width // 8)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind) or t.is_large_binary(kind):
        wide = t.is_large_string(kind) or t.is_large_binary(kind)
        return _texts("q" if wide else "i", 8 if wide else 4, text=t.is_string(kind) or t.is_large_string(kind))
    read = scalar_reader(kind)
    return lambda array: lambda row: read(array[row])


def _numbers(code: Any, width: int) -> Maker:
    def make(array: Any) -> Reader:
        valid, values = array.buffers()
        start = array.offset
        plain = memoryview(values or b"")[start * width : (start + len(array)) * width].cast(code).__getitem__
        return _nulls(array, valid, plain) if array.null_count else plain

    return make


def _texts(code: Any, width: int, *, text: bool) -> Maker:
    def make(array: Any) -> Reader:
        valid, offsets, values = array.buffers()
        start = array.offset
        at = memoryview(offsets or b"")[start * width : (start + len(array) + 1) * width].cast(code)
        body = memoryview(values or b"")

        def string(row: int) -> str:
            return str(body[at[row] : at[row + 1]], "utf8")

        def raw(row: int) -> bytes:
            return bytes(body[at[row] : at[row + 1]])

        plain: Reader = string if text else raw
        return _nulls(array, valid, plain) if array.null_count else plain

    return make


def _nulls(array: Any, valid: Any, plain: Reader) -> Reader:
    bits, start = memoryview(valid).cast("B"), array.offset

    def read(row: int) -> Any:
        at = start + row
        return plain(row) if bits[at >> 3] >> (at & 7) & 1 else None

    return read
