"""What the drafts of a store make of its projections, computed from each old row and the new one.

Deletions come before everything that is put, for two rows of the source may exchange what is their key here. Of a unique projection
every new key is read as a range, so that of two transactions which give the same one the second is refused, whoever they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from sopnb.engine.entries import Entries
from sopnb.engine.merge import loaded, merged
from sopnb.engine.projection import Projection
from sopnb.engine.record import DELETE, PUT
from sopnb.engine.same import differ, same_row
from sopnb.engine.storework import StoreWork
from sopnb.errors import DuplicateKey
from sopnb.fields import one_array
from sopnb.index import IndexSpecification, KeyCodec, Keys, successor
from sopnb.schema import Schema

FEW = 256
"""So many single operations at most are mirrored one by one."""
SPARSE = 50
"""New keys of a unique index are looked up one by one if there are so many times as many rows, else the rows are read."""


def mirror(source: StoreWork, child: StoreWork) -> None:
    """Make the drafts of a projection what those of its source ask for. Raises ``SchemaMismatch`` for a value that does not fit it."""
    projection = child.base.how
    child.forget()
    if source.single and source.operations <= FEW and projection.plain(source.schema):
        _one_by_one(source, child, projection)
        return
    exchanging = projection.role != "index"  # of an index the source's key is a part of the key
    for part in _parts(source, child, projection):
        child.lay(part.deletions)
        if not exchanging:
            child.lay(part.puts)
    if exchanging:
        for part in _parts(source, child, projection):
            child.lay(part.puts)


def _one_by_one(source: StoreWork, child: StoreWork, projection: Projection) -> None:
    at = projection.positions(source.schema)
    before, key_of = source.base.stack, child.schema.key_bytes
    puts: list[tuple[bytes, int, tuple[Any, ...]]] = []
    for operation, key, _, _, row in source.net_operations():
        entry = before.get(key)
        old = None if entry is None or entry.row is None else tuple([entry.row[i] for i in at])
        new = None if operation == DELETE or row is None else tuple([row[i] for i in at])
        old_key = None if old is None else key_of(old)
        new_key = None if new is None else key_of(new)
        if old_key is not None and old_key != new_key:
            child.draft(old_key, DELETE, -1, None)
        if new is not None and new_key is not None and not (old_key == new_key and same_row(old or (), new)):
            puts.append((new_key, int(old_key != new_key), new))
    for new_key, delta, new in puts:
        child.draft(new_key, PUT, delta, new)


class _Part(NamedTuple):
    """What some changes of the source make of a projection."""

    deletions: Entries
    puts: Entries


def _parts(source: StoreWork, child: StoreWork, projection: Projection) -> Iterator[_Part]:
    schema, far = source.schema, source.work.room.reader.far
    wanted = tuple(dict.fromkeys((*projection.sources, *schema.stored_key_names)))
    for part in merged(source.drafts(), schema):
        changes = loaded(part)
        found = source.base.stack.find(changes.keys(schema))
        there, stays = found.there, changes.ops != DELETE
        old = projection.batch(found.fetch(schema, wanted), schema)
        new = projection.batch(far.resolved(changes.live().select(wanted), schema).batch, schema)
        old_keys, new_keys = _keys(child.schema, old), _keys(child.schema, new)
        both = there & stays
        in_old, in_new = (np.cumsum(there) - 1)[both], (np.cumsum(stays) - 1)[both]
        same_key = old_keys.take(in_old).equal(new_keys.take(in_new))
        in_old, in_new = in_old[same_key], in_new[same_key]
        changed = _changed(child.schema, old, in_old, new, in_new)
        gone, put, delta = np.ones(len(old_keys), bool), np.ones(len(new_keys), bool), np.ones(len(new_keys), np.int8)
        gone[in_old] = False
        put[in_new[~changed]] = False
        delta[in_new] = 0
        yield _Part(_deletions(child.schema, old, old_keys, np.flatnonzero(gone)), _puts(new, new_keys, delta, np.flatnonzero(put)))


def _keys(schema: Schema, batch: Any) -> Keys:
    return schema.keys(batch) if batch.num_rows else Keys.of([])


def _changed(schema: Schema, old: Any, in_old: Any, new: Any, in_new: Any) -> Any:
    """Say of rows that keep their key whether anything else differs."""
    if not schema.not_in_key or not len(in_old):
        return np.zeros(len(in_old), bool)
    a, b = (pa.Table.from_batches([batch.select(schema.not_in_key).take(pa.array(rows))]) for batch, rows in ((new, in_new), (old, in_old)))
    return differ(a, b)


def _deletions(schema: Schema, batch: Any, keys: Keys, rows: Any) -> Entries:
    rows = rows[np.argsort(keys.array[rows], kind="stable")]
    keyed = batch.select(list(schema.stored_key_names)).take(pa.array(rows))
    columns = [
        keyed.column(keyed.schema.get_field_index(f.name)) if f.name in keyed.schema.names else pa.nulls(len(rows), f.type)
        for f in schema.physical
    ]
    return Entries(pa.RecordBatch.from_arrays(columns, schema=schema.physical), op=DELETE, delta=-1, keys=keys.take(rows))


def _puts(batch: Any, keys: Keys, delta: Any, rows: Any) -> Entries:
    rows = rows[np.argsort(keys.array[rows], kind="stable")]
    return Entries(batch.take(pa.array(rows)), delta=delta[rows], keys=keys.take(rows))


# -- unique keys --------------------------------------------------------------------------------------------------------------


def check_unique(child: StoreWork) -> None:
    """Raise ``DuplicateKey`` naming the index and the key if the drafts of a projection give a key that another row has.

    While a projection is being built it cannot be known; whoever builds it finds out in the end.
    """
    projection = child.base.how
    if not (projection.unique and projection.attached) or not child.operations:
        return
    for part in merged(child.drafts(), child.schema):
        entries = loaded(part)
        new = entries.take(np.flatnonzero((entries.ops == PUT) & (entries.deltas > 0)))
        if not len(new):
            continue
        if projection.role == "successor":
            keys = new.keys(child.schema)
            child.claims.many(keys)
            there = child.base.stack.find(keys).there
            if there.any():
                raise DuplicateKey(
                    child.name, child.told(keys[int(np.argmax(there))]), reason="is there in the key that the store is getting"
                )
        else:
            _among_others(child, projection, leading(projection, new.batch))


def leading(projection: Projection, batch: Any) -> Keys:
    """Return the encoded leading fields of rows of an index, those that were asked for, in the order of the rows."""
    codec = leading_codec(projection)
    names = codec.specification.names
    return codec.encode_columns([one_array(batch.column(batch.schema.get_field_index(name))) for name in names])


def leading_codec(projection: Projection) -> KeyCodec:
    """Return what encodes the leading fields of an index."""
    schema = projection.schema
    found = schema.memo.get("leading")
    if found is None:
        specification = IndexSpecification(schema.specification.fields[: projection.fields])
        fields = [pa.field(n, schema.physical.field(n).type, nullable=schema.field(n).nullable) for n in specification.names]
        found = schema.memo["leading"] = KeyCodec(specification, pa.schema(fields))
    return found


def _among_others(child: StoreWork, projection: Projection, prefixes: Keys) -> None:
    stack = child.stack
    if len(prefixes) * SPARSE < stack.rows or len(prefixes) == 1:
        for prefix in prefixes.tolist():
            hi = successor(prefix)
            child.claims.range(prefix, hi)
            if stack.count(prefix, hi) > 1:
                raise duplicate_of(_source_name(child, projection), projection, prefix)
        return
    lo, hi = prefixes[0], successor(prefixes[len(prefixes) - 1])
    child.claims.range(lo, hi)
    twice = repeated(stack.scan(lo, hi, columns=child.schema.stored_key_names), projection)
    if twice is not None:
        raise duplicate_of(_source_name(child, projection), projection, twice)


def repeated(parts: Iterator[Entries], projection: Projection) -> bytes | None:
    """Return the leading fields that two rows of an index have, None if all differ; the parts come in key order."""
    last: bytes | None = None
    for part in parts:
        prefixes = leading(projection, part.batch)
        if last is not None and prefixes[0] == last:
            return last
        again = prefixes.slice(1, len(prefixes)).equal(prefixes.slice(0, len(prefixes) - 1))
        if again.any():
            return prefixes[int(np.argmax(again))]
        last = prefixes[len(prefixes) - 1]
    return None


def duplicate_of(store: str, projection: Projection, prefix: bytes) -> DuplicateKey:
    """Return the error for leading fields that two rows of an index have."""
    return DuplicateKey(store, told(projection, prefix), reason=f"is there already in the unique index {projection.name!r}")


def told(projection: Projection, prefix: bytes) -> object:
    """Return encoded leading fields as people know them."""
    return projection.schema.public_key(leading_codec(projection).decode(prefix))


def _source_name(child: StoreWork, projection: Projection) -> str:
    return child.name.removesuffix(f"/{projection.name}")
