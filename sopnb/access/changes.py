"""Changes of single records, as they are made within a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sopnb.engine.bulk import Kind, OnError
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entry
from sopnb.engine.storework import StoreWork
from sopnb.errors import InvalidInput, KeyNotFound
from sopnb.schema import ID, Schema


def put(store: StoreWork, kind: Kind, record: Mapping[str, Any]) -> Counts:
    """Write one record: ``insert`` and ``replace`` a whole one, ``upsert`` and ``update`` the columns that are given.

    Raises ``DuplicateKey``, ``KeyNotFound``, or ``SchemaMismatch`` naming the column.
    """
    schema = store.schema
    if kind in ("insert", "replace"):
        return store.put(kind, schema.row(record, store=store.name))
    given = schema.partial(record, store=store.name)
    if not schema.unique:
        given[ID] = record.get(ID)
        if kind == "upsert" or given[ID] is None:
            return store.put(kind, schema.row(record, store=store.name))
    schema.needs_key(given, store=store.name)
    key = schema.encode_key([given[name] for name in schema.stored_key_names])
    old = store.get(key)
    if old is None and kind == "upsert":
        return store.become(key, None, schema.filled(given, store=store.name))
    return _changed(store, key, old, given)


def change(store: StoreWork, key: bytes, changes: Mapping[str, Any], *, on_error: OnError = "raise") -> Counts:
    """Change columns of the record with this encoded key; ``on_error`` is for what unique indexes do not allow.

    Raises ``KeyNotFound``, ``InvalidInput`` for another key, ``SchemaMismatch``.
    """
    schema = store.schema
    given = schema.partial(changes, store=store.name)
    own: dict[str, Any] = {}
    if not given.keys().isdisjoint(schema.key_names):
        own = dict(zip(schema.key_names, schema.codec.decode(key), strict=True))
    old = store.get(key)
    if schema.computed and old is not None and old.row is not None:
        own |= {name: value for name, value in zip(schema.names, old.row, strict=False) if name in schema.key_sources}
    refuse_key_fields({name: value for name, value in given.items() if name not in own or value != own[name]}, schema, store.name)
    return _changed(store, key, old, given, on_error)


def _changed(store: StoreWork, key: bytes, old: Entry | None, given: Mapping[str, Any], on_error: OnError = "raise") -> Counts:
    if old is None or old.row is None:
        raise KeyNotFound(store.name, store.told(key))
    return store.become(key, old, tuple(map(given.get, store.schema.physical_names, old.row)), on_error=on_error)


def replace(store: StoreWork, key: bytes, record: Mapping[str, Any]) -> Counts:
    """Replace the record with this encoded key by a whole one of the same key. Raises as ``change`` does."""
    schema = store.schema
    row = schema.row({**({} if schema.unique else {ID: key[-16:]}), **record}, store=store.name)
    if schema.key_bytes(row) != key:
        raise InvalidInput(f"store {store.name!r}: the key {store.told(key)!r} cannot be changed; delete the record and insert it anew")
    return store.put("update", row)


def refuse_key_fields(values: Mapping[str, Any], schema: Schema, store: str) -> None:
    """Raise ``InvalidInput`` if a change names key fields, or nothing at all."""
    if not values:
        raise InvalidInput(f"store {store!r}: there is nothing to change; give columns and their new values")
    for name, field in schema.key_sources.items():
        if name in values:
            what = "is part of the key, which" if field == name else f"is what the key field {field!r} is computed from, and so"
            raise InvalidInput(f"store {store!r}: {name!r} {what} cannot be changed; delete the record and insert it anew")
