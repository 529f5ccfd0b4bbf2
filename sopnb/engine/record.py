"""The payload of one commit, and its encoding (msgpack).

A payload is ``[format, kinds, author, message, catalogue, changes, folds, tags]``:

- ``kinds``: the parts that a reader must understand; one that it does not know is ``UnsupportedFormat``.
- ``catalogue``: stores created, dropped, renamed.
- ``changes``: per store the operations themselves (``ops``, decoded only when wanted) or a run blob that holds them.
- ``folds``: layers replaced by one that says the same.
- ``tags``: names given to a state (0 takes the name away).

An operation is ``[op, key, delta, previous, row]``: ``previous`` is the seq of the row version that it replaces, 0 if there was
none, and ``delta`` what it adds to the row count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from sopnb.errors import Corruption, UnsupportedFormat

FORMAT = 1
KNOWN = frozenset({"catalogue", "changes", "folds", "tags"})

PUT, DELETE = 0, 1
Operation = tuple[int, bytes, int, int, tuple[Any, ...] | None]


class CatalogueChange(msgspec.Struct, array_like=True, frozen=True):
    """A store created, dropped or renamed; ``schema`` only for ``create``."""

    kind: str
    store: int
    layout: int
    name: str
    schema: dict[str, Any] | None = None


class StoreChange(msgspec.Struct, array_like=True, frozen=True):
    """The changes of one store: its operations, or the run (``TreeRef.to_list()``) that holds them."""

    store: int
    layout: int
    first: bytes
    last: bytes
    inserted: int
    updated: int
    deleted: int
    ops: bytes = b""
    run: list[Any] | None = None


class Fold(msgspec.Struct, array_like=True, frozen=True):
    """The layers of commits ``(lo, hi]`` replaced by one, or by nothing when they cancelled out."""

    store: int
    layout: int
    lo: int
    hi: int
    run: list[Any] | None


class Payload(msgspec.Struct, array_like=True, frozen=True):
    """One commit."""

    format: int = FORMAT
    kinds: list[str] = []
    author: str = ""
    message: str = ""
    catalogue: list[CatalogueChange] = []
    changes: list[StoreChange] = []
    folds: list[Fold] = []
    tags: list[tuple[str, int]] = []


_encoder = msgspec.msgpack.Encoder()
_payloads = msgspec.msgpack.Decoder(Payload)
_operations = msgspec.msgpack.Decoder(list[tuple[int, bytes, int, int, Any]])


def encode(payload: Payload) -> bytes:
    """Return the stored form; ``kinds`` is filled in from the parts that are there."""
    kinds = [name for name in sorted(KNOWN) if getattr(payload, name)]
    return _encoder.encode(msgspec.structs.replace(payload, kinds=kinds))


def decode(data: bytes, where: str = "commit") -> Payload:
    """Return the payload. Raises ``UnsupportedFormat`` for parts of a newer release, ``Corruption`` for what is no payload."""
    try:
        payload = _payloads.decode(data)
    except msgspec.DecodeError as error:
        raise Corruption(where, f"the payload cannot be decoded ({error})") from error
    unknown = sorted(set(payload.kinds) - KNOWN)
    if payload.format > FORMAT or unknown:
        raise UnsupportedFormat(f"{where} was written by a newer sopnb (format {payload.format}, {unknown}); install a newer release")
    return payload


def encode_operations(operations: Sequence[Operation]) -> bytes:
    """Return the stored form of operations."""
    return _encoder.encode(operations)


def decode_operations(data: bytes, physical: pa.Schema) -> list[Operation]:
    """Return operations with rows as storage tuples in the order of ``physical``."""
    restore = row_restorer(physical)
    return [(op, key, delta, previous, None if row is None else restore(row)) for op, key, delta, previous, row in _operations.decode(data)]


def row_restorer(physical: pa.Schema) -> Callable[[Any], tuple[Any, ...]]:
    """Return what turns a decoded row into a storage tuple: msgpack has no decimals, they travel as text."""
    cures = [(i, cure) for i, field in enumerate(physical) if (cure := _cure(field.type)) is not None]
    if not cures:
        return tuple

    def restore(row: Any) -> tuple[Any, ...]:
        values = list(row)
        for i, cure in cures:
            if values[i] is not None:
                values[i] = cure(values[i])
        return tuple(values)

    return restore


def _cure(kind: Any) -> Callable[[Any], Any] | None:
    if pa.types.is_decimal(kind):
        return Decimal
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _cure(kind.value_type)
        return None if inner is None else lambda values: [None if v is None else inner(v) for v in values]
    if pa.types.is_struct(kind):
        cures = {field.name: cure for field in kind if (cure := _cure(field.type)) is not None}
        if cures:
            return lambda value: {k: cures[k](v) if k in cures and v is not None else v for k, v in value.items()}
    return None
