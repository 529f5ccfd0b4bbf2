"""Undoing one commit by a new one: what it did is done the other way round, as long as nobody has built on it.

A record that the commit wrote must be as the commit left it, value by value; so must the name of each store that it created, dropped or
renamed, the whole of one that it created, and each tag that it moved. Otherwise ``Conflict`` names the store, the key and the later
commit, and nothing is written. Whether something was changed and changed back does not matter: reverting the newest commit, then the one
before it, and so on leads back to the beginning, and a revert is reverted like any other commit.

A dropped store comes back under its old id, with the next layout: it is the same store as before, and its history goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sopnb.engine.bulk import Progress
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entries
from sopnb.engine.past import Step, Stretch, differences_of, differs, visible
from sopnb.engine.projection import Projection, index_of
from sopnb.engine.record import DELETE, PUT, Payload, StoreChange, decode
from sopnb.engine.state import State, StoreState
from sopnb.engine.storework import StoreWork
from sopnb.engine.work import Work
from sopnb.errors import Conflict, InvalidInput, Trimmed
from sopnb.index import IndexSpecification

if TYPE_CHECKING:
    from sopnb.engine.engine import Engine


def revert(engine: Engine, work: Work, seq: int, progress: Progress) -> tuple[Counts, str]:
    """Write what undoes a commit into a transaction; return what that does to records, and the message of that commit.

    Raises ``Conflict`` if it was built on, ``HistoryTrimmed`` if what was before it is not kept, ``InvalidInput`` if there is no such
    commit, or nothing that could be undone here.
    """
    stretch, step = _found(engine, seq, work.state)
    return _Revert(stretch, work, step, progress).done(), step.payload.message


def _found(engine: Engine, seq: int, until: State) -> tuple[Stretch, Step]:
    if not 0 < seq <= until.seq:
        raise InvalidInput(f"there is no commit {seq} to revert; the newest is {until.seq}")
    stretch = Stretch.after(engine, seq - 1, until)
    return stretch, next(stretch.steps())


def _payload(engine: Engine, seq: int) -> Payload:
    """Return what the log says of a commit."""
    if 0 < seq <= engine.state().seq:
        with suppress(Trimmed):
            return decode(engine.backend.registry.read(seq - 1, seq)[0].payload, f"commit {seq}")
    return Payload()


@dataclass(frozen=True, slots=True)
class IndexChange:
    """A commit that did nothing but take a secondary index into use, or drop it."""

    seq: int
    message: str
    store: int
    name: str
    specification: IndexSpecification
    dropped: bool

    @classmethod
    def of(cls, engine: Engine, seq: int) -> IndexChange | None:
        """Return what a commit did to an index, None if it is no such commit. Raises as ``revert``."""
        payload = _payload(engine, seq)
        told = [each for each in payload.projections if each.kind in ("finish", "drop") and each.what]
        if len(told) != 1 or payload.catalogue or payload.changes or payload.tags:
            return None
        _, step = _found(engine, seq, engine.state())
        dropped, store = told[0].kind == "drop", told[0].of
        found = _indexes(step.before if dropped else step.after, store)
        name = (told[0].what or {})["index"]
        return cls(seq, payload.message, store, name, found[name], dropped) if name in found else None

    def revert(self, engine: Engine, message: str) -> int:
        """Drop the index, or build it again; return the seq of the commit that has done so.

        Raises ``Conflict`` unless the store has the index, or has it not, as the commit left it; ``InvalidState`` if an index is to come
        back to a store that is being altered.
        """
        while True:
            state = engine.state()
            self._check(engine, state)
            try:
                if not self.dropped:
                    return engine.upkeep.end_projection(state.indexes(self.store)[self.name], message)
                return engine.builder.build(self.store, partial(self._again, engine), message=message)
            except Conflict:  # another was quicker: see what became of it
                continue

    def _again(self, engine: Engine, store: StoreState, state: State) -> Projection:
        self._check(engine, state)
        return index_of(store.id, self.name, store.schema, self.specification, engine.backend.pins.owner, store=store.name)

    def _check(self, engine: Engine, state: State) -> None:
        name = visible(state).get(self.store)
        there = _indexes(state, self.store).get(self.name) if name is not None else None
        taken = name is not None and self.name in state.indexes(self.store)
        if name is not None and (not taken if self.dropped else there == self.specification):
            return
        later = Stretch.after(engine, self.seq, state).last_change(self.store, after=self.seq) or None
        what = "the store was dropped, replaced or altered" if name is None else f"its index {self.name!r} was changed"
        raise Conflict(f"{what} later", store=name, seq=later, remedy=_REMEDY)


class _Revert:
    """One commit that is being undone in a transaction."""

    def __init__(self, stretch: Stretch, work: Work, step: Step, progress: Progress) -> None:
        self._stretch, self._work, self._step, self._progress = stretch, work, step, progress
        self._before, self._after, self._now = visible(step.before), visible(step.after), visible(work.state)
        self._seq = step.commit.seq
        self._counts = Counts()

    def done(self) -> Counts:
        """Do it; return what it does to records."""
        payload = self._step.payload
        if payload.upkeep:
            raise InvalidInput(f"commit {self._seq} only kept the database in order: there is nothing to revert")
        of_created = {change.store for change in payload.catalogue if change.kind == "create"}
        if any(step.of not in of_created for step in payload.projections):
            raise InvalidInput(
                f"commit {self._seq} changed the columns or the key of a store, which is not reverted; use db.unlock() to alter it back"
            )
        touched = dict.fromkeys([*(change.store for change in payload.catalogue), *(change.store for change in payload.changes)])
        ids = [id for id in touched if id in self._before or id in self._after]
        for id in ids:
            self._check_store(id)
        changes = {change.store: change for change in payload.changes}
        for id in ids:
            if id not in self._before:
                self._drop(id)
        renamed = {id: self._before[id] for id in ids if id in self._before and id in self._after}
        renamed = {id: name for id, name in renamed.items() if name != self._after[id]}
        for id in ids:
            if id in self._before and id in self._after and id in changes:
                self._undo(self._work.store(self._now[id]), changes[id])
        self._rename(renamed)
        for id in ids:
            if id not in self._after:
                self._restore(id)
        for name, _ in payload.tags:
            self._tag(name)
        return self._counts

    # -- stores ---------------------------------------------------------------------------------------------------------------

    def _check_store(self, id: int) -> None:
        """Raise ``Conflict`` unless a store has the name and the columns that the commit left it with."""
        name, now = self._after.get(id), self._now.get(id)
        told = name or now or self._before[id]
        if name != now:
            became = "dropped, replaced or altered" if now is None else "created again" if name is None else f"renamed to {now!r}"
            raise self._conflict(f"it was {became}", told, self._stretch.last_change(id, after=self._seq))
        if name is None:
            return
        then, there = self._step.after.by_id[id], self._work.state.by_id[id]
        if then.schema != there.schema:
            raise self._conflict("its columns or its key were changed", told, self._stretch.last_change(id, after=self._seq))
        if id not in self._before and _indexes(self._step.after, id) != _indexes(self._work.state, id):
            raise self._conflict("its indexes were changed", told, self._stretch.last_change(id, after=self._seq))

    def _drop(self, id: int) -> None:
        """Drop a store that the commit created, if nobody wrote to it since."""
        name, then = self._now[id], self._step.after.store(id)
        store = self._work.store(name)
        for difference in differences_of(self._stretch, self._step.after, then, store.base):
            rows = difference.old if len(difference.old) else difference.new
            raise self._changed(store, rows.key(0, store.schema))
        store.reads.range(b"", None)
        self._counts += Counts(deleted=store.base.rows)
        self._progress(store.base.rows)
        self._work.drop(name)

    def _rename(self, wanted: Mapping[int, str]) -> None:
        """Give stores other names, which may be each other's."""
        left = dict(wanted)
        while left:
            free = [id for id, name in left.items() if self._work.names.get(name, id) == id]
            if free:
                self._work.rename(self._named(free[0]), left.pop(free[0]))
                continue
            id, name = next(iter(left.items()))
            there = self._work.names[name]
            if there not in left:
                raise self._taken(name, there)
            self._work.rename(self._named(id), f"{self._named(id)} #{id:x}")  # they stand in a circle

    def _named(self, id: int) -> str:
        return next(name for name, there in self._work.names.items() if there == id)

    def _restore(self, id: int) -> None:
        """Create a store that the commit dropped, with its records and indexes."""
        name, old = self._before[id], self._step.before.store(id)
        if name in self._work.names:
            raise self._taken(name, self._work.names[name])
        store = self._work.create(name, old.schema, id=id, layout=old.layout + 1)
        for index, specification in _indexes(self._step.before, id).items():
            self._work.add_index(store, index, specification)
        self._counts += store.change(
            Entries(part.batch, op=PUT, delta=1, keys=part._keys) for part in _seen(old.stack.scan(), self._progress)
        )  # fmt: skip

    def _taken(self, name: str, by: int) -> Conflict:
        return self._conflict("another store has this name now", name, self._stretch.last_change(by, after=self._seq))

    # -- records and tags -----------------------------------------------------------------------------------------------------

    def _undo(self, store: StoreWork, change: StoreChange) -> None:
        """Write the records of one store as they were before the commit."""
        parts = _seen(self._step.parts(change), self._progress)
        self._counts += store.change(self._undone(store, part) for part in parts)

    def _undone(self, store: StoreWork, left: Entries) -> Entries:
        """Return what undoes these changes. Raises ``Conflict`` for the first record that is no longer as they left it."""
        schema, keys = store.schema, left.keys(store.schema)
        put = left.ops == PUT
        now = store.base.stack.find(keys)
        wrong = now.there != put
        same = np.flatnonzero(put & now.there)
        if len(same):
            found = Entries(now.fetch(schema)).take(np.flatnonzero(put[now.there]))
            wrong[same] = differs(found, left.take(same), schema)
        if wrong.any():
            raise self._changed(store, keys[int(np.argmax(wrong))])
        old = self._step.before.store(store.id).stack.find(keys)
        store.note(keys, now.seq)
        where = np.where(old.there, np.cumsum(old.there) - 1, int(old.there.sum()) + np.cumsum(~old.there) - 1)
        columns = []
        gone = left.batch.take(pa.array(np.flatnonzero(~old.there)))
        for column, field in zip(old.fetch(schema).columns, schema.physical, strict=True):
            blank = gone.column(field.name) if field.name in schema.stored_key_names else pa.nulls(len(gone), field.type)
            columns.append(pa.concat_arrays([column, blank]).take(pa.array(where)))
        ops = np.where(old.there, PUT, DELETE).astype(np.int8)
        deltas = np.where(old.there, np.where(now.there, 0, 1), -1).astype(np.int8)
        return Entries(pa.RecordBatch.from_arrays(columns, schema=schema.physical), op=ops, delta=deltas, keys=keys)

    def _tag(self, name: str) -> None:
        """Let a tag say what it said before the commit."""
        then, now = self._step.after.tags.get(name, 0), self._work.state.tags.get(name, 0)
        if then != now:
            later = next((c.seq for c, p in self._stretch.commits(newest_first=True) if any(tag == name for tag, _ in p.tags)), None)
            raise Conflict(f"the tag {name!r} was changed later", seq=later, remedy=_REMEDY)
        self._work.tag(name, self._step.before.tags.get(name, 0))

    # -- conflicts ------------------------------------------------------------------------------------------------------------

    def _changed(self, store: StoreWork, key: bytes) -> Conflict:
        later = self._stretch.last_change(store.id, key, store.schema, after=self._seq)
        return self._conflict("the record was changed later", store.name, later, store.told(key))

    def _conflict(self, reason: str, store: str, seq: int, key: object = None) -> Conflict:
        return Conflict(reason, store=store, key=key, seq=seq or None, remedy=_REMEDY)


_REMEDY = "nothing was written; revert the later commit first, or mend it by hand"


def _seen(parts: Iterator[Entries], progress: Progress) -> Iterator[Entries]:
    for part in parts:
        yield part
        progress(len(part))


def _indexes(state: State, id: int) -> dict[str, IndexSpecification]:
    """Return the indexes of a store that may be used, by name."""
    found = {name: each.projection for name, each in state.indexes(id).items()}
    return {name: projection.specification for name, projection in found.items() if projection is not None and projection.ready}
