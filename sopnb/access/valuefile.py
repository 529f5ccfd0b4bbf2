"""Opening one value of a record as a file."""

from __future__ import annotations

import codecs
import io
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal

import pyarrow as pa

from sopnb.access.changes import refuse_key_fields
from sopnb.access.ways import Access
from sopnb.engine.branch import Extent
from sopnb.engine.counts import Counts
from sopnb.engine.far import may_be_far, places
from sopnb.engine.storework import StoreWork
from sopnb.engine.value import ValueReader, ValueWriter
from sopnb.engine.work import Work
from sopnb.errors import CommitUnknown, InvalidInput, InvalidState, KeyNotFound, SchemaMismatch, SopError
from sopnb.index import Keys
from sopnb.schema import Schema

BUFFER = 64 * 1024
"""Bytes that reading in small steps asks for at a time."""
ValueMode = Literal["r", "rb", "w", "wb"]


def open_value(access: Access, key: bytes, column: str, mode: ValueMode, message: str) -> Any:
    """Return a value as a file; see ``Store.open_value``."""
    schema = access.peek().schema
    text = _is_text(schema, column, access.name)
    if mode not in ("r", "rb", "w", "wb"):
        raise InvalidInput(f'mode={mode!r}; it is "r" or "rb" to read, "w" or "wb" to write')
    if not text and not mode.endswith("b"):
        raise InvalidInput(f'store {access.name!r}: column {column!r} holds bytes; open it with mode="{mode}b"')
    if mode.startswith("r"):
        raw = io.BufferedReader(_reader(access, key, column), BUFFER)
        return raw if mode == "rb" else io.TextIOWrapper(raw, encoding="utf-8", newline="")
    refuse_key_fields({column: None}, schema, access.name)
    into = _writer(access, key, column, message, text=text)
    return into if mode == "wb" else _TextWriter(into, encoding="utf-8", newline="")


def _is_text(schema: Schema, column: str, store: str) -> bool:
    """Say whether a column holds texts, and not bytes. Raises ``SchemaMismatch`` if it holds neither."""
    if column not in schema.names:
        known = ", ".join(map(repr, schema.names))
        raise SchemaMismatch(f"store {store!r} has no column {column!r}; its columns are {known}", store=store, column=column)
    kind = schema.arrow.field(column).type
    if not may_be_far(kind) or column in schema.documents:
        what = "JSON documents" if column in schema.documents else str(kind)
        raise SchemaMismatch(
            f"store {store!r}: column {column!r} holds {what}, only text and bytes open as a file; read the record",
            store=store,
            column=column,
        )
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _reader(access: Access, key: bytes, column: str) -> ValueReader:
    reading = access.reading()
    schema = reading.schema
    found = reading.find(Keys.of([key]))
    if not found.groups:
        raise KeyNotFound(access.name, _told(schema, key))
    (group,) = found.groups
    one = group.entries.take(group.rows)

    def alive() -> object:
        return access.engine  # raises once the database is closed

    pieces = places(one, 0, schema.physical.get_field_index(column))
    if pieces:
        return ValueReader(pieces, lambda piece: access.engine.reader.value(piece), alive, reading)
    value = one.batch.column(column)[0].as_py()
    if value is None:
        raise InvalidInput(
            f"store {access.name!r}, key {_told(schema, key)!r}: column {column!r} is null, so there is nothing to read; "
            'mode="wb" gives it a value'
        )
    data = value.encode() if isinstance(value, str) else value

    return ValueReader([Extent("", 0, len(data), 0)] if data else [], lambda piece: data, alive, reading)


def _writer(access: Access, key: bytes, column: str, message: str, *, text: bool) -> ValueWriter:
    engine, schema = access.engine, access.peek().schema

    def there(store: StoreWork) -> Counts:
        if not store.find(Keys.of([key])).groups:
            raise KeyNotFound(store.name, store.told(key), remedy="insert the record first, then write its value")
        return Counts()

    access.write(there)  # at once, not when everything was written

    def finish(value: bytes | None, pieces: list[Extent]) -> None:
        blobs = {piece.blob for piece in pieces}
        works: list[Work] = []

        def change(store: StoreWork) -> Counts:
            if store.schema != schema:
                raise InvalidState(f"store {store.name!r} has another schema than when this value was opened; write it anew")
            works.append(store.work)
            return store.put_value(key, column, value.decode() if text and value is not None else value, pieces)

        try:
            access.write(change, message)
        except CommitUnknown:
            raise
        except Exception:  # it is sure that no commit names the blobs
            engine.discard(blobs)
            raise
        if not works[-1].done:  # a transaction goes on, and they go when it does not commit
            works[-1].spilled |= blobs

    return ValueWriter(column, engine.write_values, engine.discard, finish, _Utf8(access.name, column) if text else None)


class _Utf8:
    """Raises ``SchemaMismatch`` if bytes, one piece after another, are no text."""

    def __init__(self, store: str, column: str) -> None:
        self._store, self._column = store, column
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def __call__(self, piece: bytes, final: bool) -> None:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise SchemaMismatch(
                f"store {self._store!r}: column {self._column!r} holds text, and these bytes are no UTF-8 ({error.reason})",
                store=self._store,
                column=self._column,
            ) from error


class _TextWriter(io.TextIOWrapper):
    """The same for texts: what leaves ``with`` by an exception, or is forgotten, is not committed."""

    buffer: ValueWriter

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.buffer.abandon()
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            with suppress(SopError):
                self.buffer.abandon()
            self.close()


def _told(schema: Schema, key: bytes) -> Any:
    return schema.public_key(schema.codec.decode(key))
