"""What commits wrote: every change of a record, in the order of the commits, as people are told of it.

A deletion comes with the record that it deleted, which is looked up in the state before. What many small commits wrote to one store comes
together, so that it costs little more than to decode it; what a large one wrote comes piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from sopnb.engine import record
from sopnb.engine.entries import Entries
from sopnb.engine.past import TOGETHER, Ancestor, Step, Stretch, visible
from sopnb.engine.record import DELETE, StoreChange
from sopnb.engine.state import StoreState
from sopnb.fields import one_array

SMALL_BYTES = 8 * 1024 * 1024
"""Operations of small commits are told together up to so many bytes."""


class Made(NamedTuple):
    """What people are told of a commit."""

    seq: int
    time: int
    author: str
    message: str

    @classmethod
    def of(cls, step: Step) -> Made:
        """Return what is told of a step's commit."""
        return cls(step.commit.seq, step.commit.time, step.payload.author, step.payload.message)


@dataclass(frozen=True, slots=True)
class Written:
    """Records that one commit, or several after each other, wrote in one store: ``kinds`` says of each "insert", "update" or "delete".

    ``entries`` holds them with the commit that wrote them, one of ``made``; of a deletion the record that was deleted, and the commit that
    did it.
    """

    made: tuple[Made, ...]
    store: StoreState
    entries: Entries
    kinds: Any


KINDS = np.array(["insert", "update", "delete"], object)
Wanted = Callable[[int, str, int], bool]
"""Says of a store, by its id and the name that it has with a commit, and by that commit, whether it is asked for."""


def written(steps: Iterable[Step], wanted: Wanted = lambda id, name, seq: True) -> Iterator[Written]:
    """Yield all that commits did to records, in their order, then that of names, then of keys; to drop a store is to delete its records.

    Small commits come several together.
    """
    small = _Small()
    for step in steps:
        made = Made.of(step)
        dropped = {change.store for change in step.payload.catalogue if change.kind == "drop"}
        before = visible(step.before) if dropped else {}
        for id in sorted(dropped & before.keys(), key=lambda id: before[id]):
            if wanted(id, before[id], made.seq):
                yield from small.taken()
                store = step.before.store(id)
                for part in store.stack.scan():
                    gone = Entries(part.batch, seq=made.seq, keys=part._keys)
                    yield Written((made,), store, gone, np.full(len(part), "delete", object))
        stores = {change.store: step.after.by_id[change.store] for change in step.payload.changes}
        changes = [
            c for c in step.payload.changes if stores[c.store].projection is None and wanted(c.store, stores[c.store].name, made.seq)
        ]
        for change in sorted(changes, key=lambda change: stores[change.store].name):
            store = stores[change.store]
            if change.run is None:
                if not small.fits(store):
                    yield from small.taken()
                small.add(step, made, store, change)
                continue
            yield from small.taken()
            for part in step.parts(change):
                kinds = KINDS[np.where(part.ops == DELETE, 2, np.where(part.deltas > 0, 0, 1))]
                deleted = np.flatnonzero(part.ops == DELETE)
                if len(deleted):
                    part = _with_deleted(part, deleted, step.before.store(change.store))
                yield Written((made,), store, Entries(part.batch, seq=made.seq, keys=part._keys), kinds)
    yield from small.taken()


class _Small:
    """Single operations of several commits on one store, put together."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._store: StoreState | None = None
        self._bytes = 0
        self._made: list[Made] = []
        self._rows: list[tuple[Any, ...]] = []
        self._seqs: list[int] = []
        self._kinds: list[str] = []

    def fits(self, store: StoreState) -> bool:
        """Say whether operations on this store may be put to those that are here."""
        here = self._store
        if here is None:
            return True
        few = len(self._rows) < TOGETHER and self._bytes < SMALL_BYTES
        return few and here.id == store.id and here.name == store.name and here.schema is store.schema

    def add(self, step: Step, made: Made, store: StoreState, change: StoreChange) -> None:
        """Put the operations of a commit to the others."""
        self._store = store
        self._bytes += len(change.ops)
        self._made.append(made)
        for op, key, delta, _, row in record.decode_operations(change.ops, store.schema):
            if op == DELETE:
                old = step.before.store(store.id).stack.get(key)
                row = store.schema.blank(key) if old is None else old.row
            self._rows.append(row or ())
            self._seqs.append(made.seq)
            self._kinds.append("delete" if op == DELETE else "insert" if delta > 0 else "update")

    def taken(self) -> Iterator[Written]:
        """Yield what is here, if there is anything, and begin anew."""
        if self._store is not None:
            rows = Entries(self._store.schema.batch(self._rows), seq=np.array(self._seqs, np.int64))
            yield Written(tuple(self._made), self._store, rows, np.array(self._kinds, object))
            self._begin()


def all_written(stretch: Stretch, line: Sequence[Ancestor] | None) -> Iterator[Written]:
    """Yield all that the commits of a stretch did to records: in every store, or in one and those before it."""
    if line is None:
        return written(stretch.steps())
    known = {ancestor.id: ancestor for ancestor in line}
    return written(stretch.steps(), lambda id, name, seq: id in known and known[id].since <= seq <= known[id].until)


def _with_deleted(part: Entries, deleted: Any, before: StoreState) -> Entries:
    """Return changes with the records that they delete in place of blank ones."""
    schema = before.schema
    old = before.stack.find(part.keys(schema).take(deleted)).fetch(schema)
    where = np.arange(len(part))
    where[deleted] = len(part) + np.arange(len(deleted))
    rows = pa.Table.from_batches([part.batch, old]).take(pa.array(where)).combine_chunks()
    batch = pa.RecordBatch.from_arrays([one_array(column) for column in rows.columns], schema=schema.physical)
    return Entries(batch, op=part.op, seq=part.seq, delta=part.delta, keys=part._keys)
