"""What the drafts of a store make of its projections, computed from each old row and the new one.

Deletions come before everything that is put, for two rows of the source may exchange what is their key here.
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
from sopnb.index import Keys
from sopnb.schema import Schema

FEW = 256
"""So many single operations at most are mirrored one by one."""


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
