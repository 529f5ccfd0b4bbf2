r"""Keys as bytes that compare as the keys do.

A field is encoded as ``[null marker] value``; a key is its fields one after another. No encoded key is the beginning of another one
of the same codec, so keys of different length compare rightly even when they are padded with zeros.

============================  ==================================================================
field                         bytes
============================  ==================================================================
null marker                   only if the *schema* says the field may be null, never by the batch:
                              01 for a value; 00 (nulls first) or 02 (nulls last) alone for null
bool, signed, date, time ...  big-endian in the width of the type, sign bit flipped
unsigned                      big-endian
float32, float64              IEEE bits; all flipped if negative, else the sign bit; -0.0 is 0.0; NaN is null
decimal128                    the unscaled integer as 16 bytes, sign bit flipped
text, bytes                   00 becomes 00 FF, then 00 00 ends it; text as UTF-8
fixed-size bytes              as they are
descending                    every byte of the value inverted; the null marker stays
============================  ==================================================================

Python values here are *storage values*: int for dates, times, timestamps and durations, in the column's unit.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.errors import InvalidInput
from sopnb.index.specification import IndexField, IndexSpecification

ID_BYTES = 16
WIDEST = 256
_EXACT = Context(prec=40)
"""A decimal128 has up to 38 digits; the context that Python begins with rounds to 28."""
_INVERTED = bytes(255 - i for i in range(256))
_UNSIGNED64 = struct.Struct(">Q")

Bounds = tuple[bytes, bytes | None]


class Keys:
    """A vector of encoded keys: ``array`` compares, sorts and searches in numpy; ``[i]`` and ``tolist`` give the exact bytes.

    ``array`` is of fixed width (numpy drops the zeros at the end of an item, so the lengths are kept beside it), or of Python bytes
    when a key is longer than 256 bytes.
    """

    __slots__ = ("array", "lengths")

    def __init__(self, array: Any, lengths: Any) -> None:
        self.array, self.lengths = array, lengths

    @classmethod
    def of(cls, keys: Sequence[bytes]) -> Keys:
        """Return the vector of these keys."""
        lengths = np.fromiter(map(len, keys), np.int64, len(keys))
        width = int(lengths.max(initial=1))
        if width > WIDEST:
            array = np.empty(len(keys), object)
            array[:] = keys
            return cls(array, lengths)
        return cls(np.array(keys, dtype=f"S{max(width, 1)}"), lengths)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, i: int) -> bytes:
        return bytes(self.array[i]).ljust(int(self.lengths[i]), b"\0")

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.tolist())

    def tolist(self) -> list[bytes]:
        """Return the keys as Python bytes."""
        items: list[bytes] = self.array.tolist()
        if self.array.dtype == object:
            return items
        return [item if len(item) == n else item.ljust(n, b"\0") for item, n in zip(items, self.lengths.tolist(), strict=True)]

    def slice(self, start: int, stop: int) -> Keys:
        """Return a piece, without a copy."""
        return Keys(self.array[start:stop], self.lengths[start:stop])

    def take(self, indices: Any) -> Keys:
        """Return the keys at these positions."""
        return Keys(self.array[indices], self.lengths[indices])

    @classmethod
    def concatenated(cls, parts: Sequence[Keys]) -> Keys:
        """Return several vectors one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(np.concatenate(_alike(parts)), np.concatenate([part.lengths for part in parts]))

    def search(self, bound: bytes) -> int:
        """Return how many of these keys, ascending, lie before ``bound``, which may be any bytes."""
        at = bisect_left(self.array, bound)
        while at and self[at - 1] >= bound:  # numpy shows a key without the zeros at its end
            at -= 1
        return at

    def match(self, keys: Keys) -> tuple[Any, Any]:
        """Return (where each of ``keys`` stands among these, ascending; whether it is one of them)."""
        mine, theirs = self.array, keys.array
        if mine.dtype.hasobject or theirs.dtype.hasobject:
            mine, theirs = _alike([self, keys])
        at = mine.searchsorted(theirs)
        if not len(mine):
            return at, np.zeros(len(theirs), bool)
        return at, mine[np.minimum(at, len(mine) - 1)] == theirs

    def equal(self, keys: Keys) -> Any:
        """Say for each of these keys whether it is the one at the same place of ``keys``."""
        mine, theirs = self.array, keys.array
        if mine.dtype.hasobject or theirs.dtype.hasobject:
            mine, theirs = _alike([self, keys])
        return np.asarray(mine == theirs, bool)


def _alike(vectors: Sequence[Keys]) -> list[Any]:
    """Return arrays of keys that compare with each other: all of Python bytes if one is."""
    wide = [vector.array.dtype.hasobject for vector in vectors]
    if all(wide) or not any(wide):
        return [vector.array for vector in vectors]
    arrays = [np.empty(len(vector), object) for vector in vectors]
    for array, vector in zip(arrays, vectors, strict=True):
        array[:] = vector.tolist()
    return arrays


def successor(prefix: bytes) -> bytes | None:
    r"""Return the smallest bytes above everything that begins with ``prefix``; None if there are none.

    >>> successor(b"ab"), successor(b"a\xff"), successor(b"\xff")
    (b'ac', b'b', None)
    """
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


@dataclass(frozen=True, slots=True)
class _Field:
    """One key field: how it is written, read and vectorised."""

    spec: IndexField
    nullable: bool
    kind: Any
    encode: Callable[[Any], bytes]
    width: int | None
    """Bytes of a value, None where it varies."""

    @property
    def null(self) -> bytes:
        return b"\0" if self.spec.nulls == "first" else b"\2"

    def writer(self) -> Callable[[Any], bytes]:
        """Return what ``full`` does, without asking again what the field is."""
        if self.nullable or self.spec.descending or pa.types.is_floating(self.kind):
            return self.full
        encode = self.encode

        def write(value: Any) -> bytes:
            return self.full(value) if value is None else encode(value)

        return write

    def full(self, value: Any) -> bytes:
        """Encode a value or null with its marker."""
        if value is None or value != value:
            if not self.nullable:
                raise InvalidInput(f"key column {self.spec.name!r} may not be null")
            return self.null
        data = self.encode(value)
        if self.spec.descending:
            data = data.translate(_INVERTED)
        return b"\1" + data if self.nullable else data


class KeyCodec:
    """Turns keys of one index specification into bytes and back.

    >>> schema = pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())])
    >>> codec = KeyCodec(IndexSpecification.of("a", "-b"), schema)
    >>> codec.decode(codec.encode((7, "x")))
    (7, 'x')
    """

    def __init__(self, specification: IndexSpecification, schema: pa.Schema) -> None:
        specification.validate(schema)
        self.specification = specification
        self.fields = tuple(_field(spec, schema.field(spec.name)) for spec in specification.fields)
        self._writers = [field.writer() for field in self.fields]

    def encode(self, values: Sequence[Any], id: bytes = b"") -> bytes:
        """Return the bytes of a key; ``id`` ends it in a store that is not unique."""
        return b"".join([write(value) for write, value in zip(self._writers, values, strict=True)]) + id

    def encode_prefix(self, values: Sequence[Any]) -> bytes:
        """Return the bytes with which every key of these leading fields begins."""
        if len(values) > len(self.fields):
            raise InvalidInput(f"a key has {len(self.fields)} fields ({self.specification}), {len(values)} were given")
        return b"".join([field.full(value) for field, value in zip(self.fields, values, strict=False)])

    def encode_startswith(self, values: Sequence[Any], piece: str | bytes) -> Bounds:
        """Return the range of the keys that have these leading fields and whose next field begins with ``piece``."""
        if len(values) >= len(self.fields) or (field := self.fields[len(values)]).width is not None:
            raise InvalidInput(f"startswith needs a text field after the {len(values)} given; the index is {self.specification}")
        data = (piece.encode() if isinstance(piece, str) else piece).replace(b"\0", b"\0\xff")
        lo = self.encode_prefix(values) + (b"\1" if field.nullable else b"")
        lo += data.translate(_INVERTED) if field.spec.descending else data
        return lo, successor(lo)

    def decode(self, key: bytes) -> tuple[Any, ...]:
        """Return the storage values of a key, without its id."""
        values: list[Any] = []
        at = 0
        for field in self.fields:
            if field.nullable:
                marker = key[at]
                at += 1
                if marker != 1:
                    values.append(None)
                    continue
            rest = key[at:].translate(_INVERTED) if field.spec.descending else key[at:]
            value, used = _decode(field.kind, rest, field.width)
            values.append(value)
            at += used
        return tuple(values)

    def ends(self, prefix: bytes) -> tuple[int, ...]:
        """Return where each whole field ends in the beginning of a key, or in other bytes as far as they are like one."""
        found: list[int] = []
        at = 0
        for field in self.fields:
            if field.nullable:
                marker = prefix[at : at + 1]
                at += 1
                if marker == field.null:
                    found.append(at)
                    continue
                if marker != b"\1":
                    break
            rest = prefix[at:].translate(_INVERTED) if field.spec.descending else prefix[at:]
            try:
                at += _decode(field.kind, rest, field.width)[1]
            except (ValueError, IndexError, struct.error):
                break
            if at > len(prefix):
                break
            found.append(at)
        return tuple(found)

    def bounds(self, start: Sequence[Any] | None, stop: Sequence[Any] | None, closed: str = "left") -> Bounds:
        """Return the half-open range of bytes between two keys, in index order.

        A short tuple bounds every key that begins with it; None is open. ``closed`` is "left", "right", "both" or "neither".
        """
        if closed not in ("left", "right", "both", "neither"):
            raise InvalidInput(f'closed={closed!r}; it is one of "left", "right", "both", "neither"')
        lo = b"" if start is None else self.encode_prefix(start)
        hi = None if stop is None else self.encode_prefix(stop)
        if hi is not None and lo > hi and not lo.startswith(hi):
            down = [f.spec.name for f in self.fields if f.spec.descending]
            why = f"; {', '.join(map(repr, down))} is descending, so larger values come first" if down else ""
            raise InvalidInput(
                f"the range starts at {start!r}, after its stop {stop!r}, in the order of the index ({self.specification}){why}"
            )
        if start is not None and closed in ("right", "neither"):
            after = successor(lo)
            if after is None:
                return b"\xff" * (len(lo) + 1), b"\xff" * (len(lo) + 1)
            lo = after
        if hi is not None and closed in ("right", "both"):
            hi = successor(hi)
        return lo, hi

    def encode_columns(self, arrays: Sequence[Any], ids: Any = None) -> Keys:
        """Return the keys of many rows, one Arrow array for each field (and one of 16-byte ids), equal to ``encode`` row by row."""
        n = len(arrays[0])
        parts = [part for field, array in zip(self.fields, arrays, strict=True) for part in _vector(field, array)]
        if ids is not None:
            raw = np.frombuffer(ids.buffers()[1], np.uint8)[ids.offset * ID_BYTES : (ids.offset + n) * ID_BYTES]
            parts.append(raw.reshape(n, ID_BYTES))
        return _joined(parts, n)


# -- one field ----------------------------------------------------------------------------------------------------------------


def _field(spec: IndexField, field: Any) -> _Field:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    encode, width = _encoder(kind)
    return _Field(spec, field.nullable, kind, encode, width)


def _encoder(kind: Any) -> tuple[Callable[[Any], bytes], int | None]:
    t = pa.types
    if t.is_string(kind) or t.is_large_string(kind):
        return lambda text: text.encode().replace(b"\0", b"\0\xff") + b"\0\0", None
    if t.is_binary(kind) or t.is_large_binary(kind):
        return lambda data: data.replace(b"\0", b"\0\xff") + b"\0\0", None
    if t.is_fixed_size_binary(kind) and not t.is_decimal(kind):
        return bytes, kind.byte_width
    if t.is_boolean(kind):
        return lambda value: b"\1" if value else b"\0", 1
    if t.is_decimal(kind):
        return lambda value: (int(_EXACT.scaleb(Decimal(value), kind.scale)) + (1 << 127)).to_bytes(16, "big"), 16
    if t.is_floating(kind):
        return (_float64, 8) if kind.bit_width == 64 else (_float32, 4)
    width = kind.bit_width // 8
    if t.is_unsigned_integer(kind):
        return lambda value: value.to_bytes(width, "big"), width
    half = 1 << (8 * width - 1)
    if width == 8:
        pack = _UNSIGNED64.pack
        return lambda value: pack(value + half), width
    return lambda value: (value + half).to_bytes(width, "big"), width


def _float64(value: float) -> bytes:
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))
    return int(bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63)).to_bytes(8, "big")


def _float32(value: float) -> bytes:
    (bits,) = struct.unpack(">I", struct.pack(">f", value + 0.0))
    return int(bits ^ (0xFFFFFFFF if bits >> 31 else 1 << 31)).to_bytes(4, "big")


def _decode(kind: Any, data: bytes, width: int | None) -> tuple[Any, int]:
    t = pa.types
    if width is None:
        end = 0
        while (end := data.index(b"\0", end)) >= 0 and data[end + 1]:
            end += 2
        raw = data[:end].replace(b"\0\xff", b"\0")
        return (raw if t.is_binary(kind) or t.is_large_binary(kind) else raw.decode()), end + 2
    raw = data[:width]
    number = int.from_bytes(raw, "big")
    if t.is_decimal(kind):
        return _EXACT.scaleb(Decimal(number - (1 << 127)), -kind.scale), width
    if t.is_fixed_size_binary(kind):
        return raw, width
    if t.is_boolean(kind):
        return raw == b"\1", width
    if t.is_floating(kind):
        top = 1 << (8 * width - 1)
        bits = number ^ top if number & top else number ^ ((1 << (8 * width)) - 1)
        return struct.unpack(">d" if width == 8 else ">f", bits.to_bytes(width, "big"))[0], width
    if t.is_unsigned_integer(kind):
        return number, width
    return number - (1 << (8 * width - 1)), width


# -- many rows ----------------------------------------------------------------------------------------------------------------


def _vector(field: _Field, array: Any) -> list[Any]:
    """Return the parts that make a key column side by side: equally long rows of bytes, Arrow binary arrays, bytes that all rows share."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    floating = pa.types.is_floating(array.type)
    null = array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False) if floating or array.null_count else None
    if null is not None and not null.any():
        null = None
    if null is not None and not field.nullable:
        raise InvalidInput(f"key column {field.spec.name!r} may not be null; row {int(null.argmax())} is")
    if field.width is None:
        return _text(field, array, null)
    data = _fixed(field, array, np.zeros(len(array), bool) if null is None else null)
    if field.spec.descending:
        data = ~data
    if not field.nullable:
        return [data]
    marked = np.empty((len(data), data.shape[1] + 1), np.uint8)
    marked[:, 0] = 1
    marked[:, 1:] = data
    if null is None:
        return [marked]
    return [pc.if_else(pa.array(null), pa.scalar(field.null, pa.large_binary()), _binary(marked))]


def _fixed(field: _Field, array: Any, null: Any) -> Any:
    kind, n, width = field.kind, len(array), field.width or 0
    t = pa.types
    if t.is_boolean(kind):
        return pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(np.uint8).reshape(n, 1)
    if t.is_decimal(kind) or t.is_fixed_size_binary(kind):
        raw = np.frombuffer(array.buffers()[1] or b"", np.uint8)[array.offset * width : (array.offset + n) * width].reshape(n, width)
        if t.is_decimal(kind):
            raw = raw[:, ::-1].copy()
            raw[:, 0] ^= 0x80
        return raw
    dtype = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}[width]
    bits = np.frombuffer(array.buffers()[1] or b"", dtype)[array.offset : array.offset + n].copy()
    top = np.array(1 << (8 * width - 1), dtype)
    if t.is_floating(kind):
        values = bits.view(f"f{width}") + np.array(0.0, f"f{width}")
        bits = np.where(null, 0, values).astype(f"f{width}").view(dtype)
        bits = np.where(bits & top, ~bits, bits | top)
    elif not t.is_unsigned_integer(kind):
        bits ^= top
    return bits.astype(f">{dtype}").view(np.uint8).reshape(n, width)


def _text(field: _Field, array: Any, null: Any) -> list[Any]:
    """Return texts or bytes with their ends, inverted and marked where the field wants it."""
    wide = array if pa.types.is_large_binary(array.type) else array.cast(pa.large_binary())
    offsets = np.frombuffer(wide.buffers()[1], np.int64)[wide.offset : wide.offset + len(wide) + 1]
    body = np.frombuffer(wide.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]] if len(wide) else np.zeros(0, np.uint8)
    if body.size and not body.all():
        wide = pa.array([None if v is None else v.replace(b"\0", b"\0\xff") for v in wide.to_pylist()], pa.large_binary())
    if field.spec.descending:
        raw = np.frombuffer(wide.buffers()[2] or b"", np.uint8)
        wide = pa.Array.from_buffers(wide.type, len(wide), [wide.buffers()[0], wide.buffers()[1], pa.py_buffer(~raw)], -1, wide.offset)
    end = b"\xff\xff" if field.spec.descending else b"\0\0"
    parts = [b"\1", wide, end] if field.nullable else [wide, end]
    if null is None:
        return parts
    return [pc.fill_null(_concatenated(parts), pa.scalar(field.null, pa.large_binary()))]


def _binary(rows: Any) -> Any:
    """Return equally long rows of bytes as an Arrow binary array."""
    n, width = rows.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int64) if width else np.zeros(n + 1, np.int64)
    return pa.Array.from_buffers(pa.large_binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))])


def _concatenated(parts: Sequence[Any]) -> Any:
    """Return parts side by side as one Arrow binary array."""
    joined: list[Any] = []
    for shared, group in groupby(parts, key=lambda part: isinstance(part, bytes)):
        if shared:
            joined.append(pa.scalar(b"".join(group), pa.large_binary()))
        else:
            joined.extend(_binary(part) if isinstance(part, np.ndarray) else part for part in group)
    return pc.binary_join_element_wise(*joined, pa.scalar(b"", pa.large_binary())) if len(joined) > 1 else joined[0]


def _joined(parts: Sequence[Any], n: int) -> Keys:
    if all(isinstance(part, np.ndarray) for part in parts):
        out = np.ascontiguousarray(np.hstack(parts))
        width = out.shape[1]
        if 0 < width <= WIDEST:
            return Keys(out.view(f"S{width}").reshape(n), np.full(n, width, np.int64))
    whole = _concatenated(parts)
    offsets = np.frombuffer(whole.buffers()[1], np.int64)[whole.offset : whole.offset + n + 1] if n else np.zeros(1, np.int64)
    lengths = np.diff(offsets)
    width = max(int(lengths.max(initial=1)), 1)
    if width > WIDEST:
        array = np.empty(n, object)
        array[:] = whole.to_pylist()
        return Keys(array, lengths)
    if not n:
        return Keys(np.zeros(0, f"S{width}"), lengths)
    if (lengths < width).any():
        whole = _padded(whole, width)
    body = np.frombuffer(whole.buffers()[2], np.uint8, n * width, int(np.frombuffer(whole.buffers()[1], np.int64)[whole.offset]))
    return Keys(body.view(f"S{width}"), lengths)


def _padded(array: Any, width: int) -> Any:
    """Return a binary array with zeros after shorter values; padding "ascii" copies bytes and is several times as quick as numpy."""
    text = pa.Array.from_buffers(pa.large_string(), len(array), array.buffers(), array.null_count, array.offset)
    return pc.ascii_rpad(text, width, "\0")
