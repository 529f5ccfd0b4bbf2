"""The payload of one commit, and its encoding (msgpack).

A payload is an array of the fields of ``Payload`` in their order:

- ``kinds``: the parts that a reader must understand; one that it does not know is ``UnsupportedFormat``.
- ``catalogue``: stores created, dropped, renamed.
- ``changes``: per store the operations themselves (``ops``, decoded only when wanted) or a run blob that holds them.
- ``folds``: layers replaced by one that says the same.
- ``tags``: names given to a state (0 takes the name away).
- ``collect``: from now on states before ``horizon`` may lose their blobs, and the ``fenced`` owners may commit no more.
- ``gone``: blobs that were deleted.
- ``projections``: stores that hold the rows of another one in another order, begun, completed, taken into use or given up.

An operation is ``[op, key, delta, previous, row]``: ``previous`` is the seq of the row version that it replaces, 0 if there was
none, and ``delta`` what it adds to the row count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sopnb.errors import Corruption, UnsupportedFormat
from sopnb.schema import Schema

FORMAT = 1
_ORDER = ("catalogue", "changes", "collect", "folds", "gone", "projections", "tags")
KNOWN = frozenset(_ORDER)

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
    """The changes of one store: ``count`` operations, or the run (a ``TreeRef`` as a list) that holds them.

    ``inserted``, ``updated`` and ``deleted`` are what people are told; ``delta`` is what the row count grows by.
    """

    store: int
    layout: int
    first: bytes
    last: bytes
    inserted: int
    updated: int
    deleted: int
    delta: int
    count: int
    ops: bytes = b""
    run: list[Any] | None = None


class Fold(msgspec.Struct, array_like=True, frozen=True):
    """The layers of commits ``(lo, hi]`` replaced by one, or by nothing when they cancelled out."""

    store: int
    layout: int
    lo: int
    hi: int
    run: list[Any] | None


class Collect(msgspec.Struct, array_like=True, frozen=True):
    """The oldest state that stays readable, and the owners that are dead."""

    horizon: int
    fenced: list[str]


class ProjectionChange(msgspec.Struct, array_like=True, frozen=True):
    """A step in the life of the projection ``store`` of the store ``of``.

    ``kind`` is "begin" (``what`` describes it; from now on whoever changes ``of`` changes it too), "attach" (``run`` holds what was there
    before it began, None if nothing was), "finish" (it is complete and right, and may be read), "replace" (so it takes the place of
    ``of``), "drop" (it is no longer wanted) or "end" (it is given up). ``what`` tells the log of what people see: which ``index`` came or
    went, or which store (``name``) got another ``schema``.
    """

    kind: str
    store: int
    of: int
    what: dict[str, Any] | None = None
    run: list[Any] | None = None


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
    collect: Collect | None = None
    gone: list[str] = []
    projections: list[ProjectionChange] = []

    @property
    def upkeep(self) -> bool:
        """Whether the commit only keeps the database in order and changes nothing that people see."""
        return not (self.changes or self.catalogue or self.tags or any(each.kind != "begin" and each.what for each in self.projections))


_encoder = msgspec.msgpack.Encoder()
_payloads = msgspec.msgpack.Decoder(Payload)
_operations = msgspec.msgpack.Decoder(list[tuple[int, bytes, int, int, Any]])


def encode(payload: Payload) -> bytes:
    """Return the stored form; ``kinds`` is filled in from the parts that are there."""
    p = payload
    kinds = [name for name in _ORDER if getattr(p, name)]
    stored = Payload(
        p.format, kinds, p.author, p.message, p.catalogue, p.changes, p.folds, p.tags, p.collect, p.gone, p.projections
    )  # fmt: skip
    return _encoder.encode(stored)


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


def decode_operations(data: bytes, schema: Schema) -> list[Operation]:
    """Return operations with rows as storage tuples in physical order."""
    restored = schema.restored
    return [(op, key, delta, previous, None if row is None else restored(row)) for op, key, delta, previous, row in _decoded(data)]


def decode_keys(data: bytes) -> list[bytes]:
    """Return only the keys of operations."""
    return [operation[1] for operation in _decoded(data)]


def _decoded(data: bytes) -> list[tuple[int, bytes, int, int, Any]]:
    try:
        return _operations.decode(data)
    except msgspec.DecodeError as error:
        raise Corruption("commit", f"its operations cannot be decoded ({error})") from error
