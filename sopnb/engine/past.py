"""What became of a database between two commits: read from the log where it says so, else from the two states.

The operations of a stretch of commits are layers like any others. Laid over each other they are the net change of the stretch, in key
order, each key once, in bounded memory and never larger than what was written: the rest of a store is not looked at. Where the log no
longer tells, or speaks of another store or layout, two states are read side by side, but for leaves that both of them name.

Stores without a name are the engine's own: the past of those is nobody's business, and nothing here speaks of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sopnb.engine import record
from sopnb.engine.entries import Entries, Entry, concatenated
from sopnb.engine.layers import Found
from sopnb.engine.merge import Part, loaded, merged
from sopnb.engine.projection import Projection
from sopnb.engine.record import Payload, StoreChange
from sopnb.engine.same import differ
from sopnb.engine.state import State, StoreState, tree_ref
from sopnb.engine.tail import Tail
from sopnb.engine.tree import Tree
from sopnb.errors import HistoryTrimmed, InvalidInput, SchemaMismatch, Trimmed
from sopnb.fields import fits
from sopnb.protocols import Commit
from sopnb.schema import Schema

if TYPE_CHECKING:
    from sopnb.engine.engine import Engine

TOGETHER = 16_384
"""Records that are compared at a time, as far as they come in pieces."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Neighbouring records that differ: ``old`` as they were, ``new`` as they are, each ascending and whole, its values in place.

    ``gone`` says for each of the old ones that it was deleted, ``fresh`` for each of the new ones that it was inserted; all others were
    updated, and stand in both.
    """

    old: Entries
    new: Entries
    gone: Any
    fresh: Any

    @property
    def turned(self) -> Difference:
        """The same, seen from the other side."""
        return Difference(self.new, self.old, self.fresh, self.gone)


@dataclass(frozen=True, slots=True)
class Step:
    """One commit, and the states before and after it."""

    commit: Commit
    payload: Payload
    before: State
    after: State

    def store(self, id: int) -> StoreState:
        """Return a store that it left, or that it dropped."""
        return self.after.store(id) if id in self.after.by_id else self.before.store(id)

    def parts(self, change: StoreChange) -> Iterator[Entries]:
        """Yield what it wrote of the records of one store, ascending, about ``TOGETHER`` at a time."""
        store = self.store(change.store)
        return blocks(merged(_alone(store, self.commit.seq - 1).changed_by(change, self.commit.seq).parts, store.schema), store)


Fit = Callable[[Entries], Entries]
"""Brings whole records of one schema into another."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A store between its creation by commit ``since`` (0: before all that is looked at) and ``until``, when another one took its name.

    ``fit`` brings its records into the schema of the first of the line; where that cannot be, ``fault`` says why. ``moved`` says that the
    store was made of the records of the one before it, with other columns or another key.
    """

    id: int
    since: int
    until: int
    schema: Schema
    fit: Fit
    fault: InvalidInput | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True)
class _Birth:
    """How a store came to be: after those of its name that were dropped (``before``), or as a projection that took its source's place."""

    seq: int
    id: int
    schema: Schema
    before: tuple[int, ...]
    projection: Projection | None = None


class Stretch:
    """The commits after state ``since`` up to state ``until``. All of it stays readable as long as this object lives."""

    def __init__(self, engine: Engine, since: State, until: State, *, held: bool = False) -> None:
        """``since`` is a state that the engine handed out, ``held`` from a time on when it was not older than what is kept for everybody.

        Raises ``HistoryTrimmed`` if what came after it need not be there any more.
        """
        self._engine, self.since, self.until = engine, since, until
        horizon = engine.state().horizon
        commits: Sequence[Commit] = ()
        try:
            if since.seq < until.seq:
                if since.seq < horizon and not (held and engine.backend.writable):
                    raise Trimmed(since.seq, horizon + 1)
                commits = engine.backend.registry.read(since.seq, until.seq)
        except Trimmed:
            raise HistoryTrimmed(f"the commits after {since.seq} are no longer kept; the oldest are those after {horizon}") from None
        self._commits = commits

    @classmethod
    def after(cls, engine: Engine, seq: int, until: State) -> Stretch:
        """Return the commits after ``seq``. Raises ``HistoryTrimmed`` or ``InvalidInput``."""
        return cls(engine, engine.at(seq=seq), until)

    def commits(self, *, newest_first: bool = False) -> Iterator[tuple[Commit, Payload]]:
        """Yield the commits as they stand in the log."""
        for commit in reversed(self._commits) if newest_first else self._commits:
            yield commit, record.decode(commit.payload, f"commit {commit.seq}")

    def steps(self) -> Iterator[Step]:
        """Yield the commits with their states, which cost next to nothing: nothing is read for them."""
        state = self.since
        for commit, payload in self.commits():
            after = state.apply(commit, payload, self._engine.reader)
            yield Step(commit, payload, state, after)
            state = after

    def named(self, name: str) -> int | None:
        """Return the store of this name, or the last one that was dropped with it; None if there was none."""
        id = self.until.names.get(name)
        for _, payload in self.commits(newest_first=True) if id is None else ():
            for change in reversed(payload.catalogue):
                if change.kind == "drop" and change.name == name:
                    return change.store
        return id

    def lineage(self, id: int) -> list[Ancestor]:
        """Return a store; the one whose place it took, or that had its name and was dropped before it was created; and so on."""
        born = {birth.id: birth for birth in reversed(list(self._births()))}
        there = visible(self.since)
        line: list[Ancestor] = []
        here: int | None = id
        child: _Birth | None = None
        while here is not None:
            birth = None if here in there else born[here]
            schema = self.since.by_id[here].schema if birth is None else birth.schema
            since, until = 0 if birth is None else birth.seq, self.until.seq if child is None else child.seq
            fit, fault = (_as_it_is, None) if child is None else _fit_for(child, schema, line[-1], visible(self.until).get(id, ""))
            line.append(Ancestor(here, since, until, schema, fit, fault, birth is not None and birth.projection is not None))
            known = {ancestor.id for ancestor in line}
            child, here = birth, None if birth is None else next((each for each in birth.before if each not in known), None)
        return line

    def successor(self, id: int) -> int:
        """Return the store that has taken the place of this one by now, which may be itself."""
        for birth in self._births():
            if birth.projection is not None and birth.projection.of == id:
                id = birth.id
        return id

    def _births(self) -> Iterator[_Birth]:
        """Yield the stores that came to be, each with those that may be the one before it, the likeliest first."""
        dropped: dict[str, list[int]] = {}
        begun = {id: store.projection for id, store in self.since.by_id.items() if store.projection is not None}
        for commit, payload in self.commits():
            for change in payload.catalogue:
                if change.kind == "drop":
                    dropped.setdefault(change.name, []).insert(0, change.store)
                elif change.schema is not None:
                    yield _Birth(commit.seq, change.store, Schema.from_dict(change.schema), tuple(dropped.get(change.name, ())))
            for step in payload.projections:
                if step.kind == "begin" and step.what is not None:
                    begun[step.store] = Projection.from_dict(step.of, step.what)
                elif step.kind == "replace" and step.store in begun:
                    projection = begun[step.store]
                    yield _Birth(commit.seq, step.store, projection.schema, (step.of,), projection)

    def net(self, id: int, since: State) -> Iterator[Difference] | None:
        """Return what became of the records of a store that is there in a state of the stretch; None if the log cannot say it."""
        store = since.store(id)
        net = _alone(store, since.seq)
        for commit, payload in self.commits():
            if commit.seq <= since.seq:
                continue
            if any(change.store == id and change.kind != "rename" for change in payload.catalogue):
                return None
            for change in payload.changes:
                if change.store == id:
                    if change.layout != store.layout:
                        return None
                    net = net.changed_by(change, commit.seq)
        return self._net(store, replace(net, seq=self.until.seq))

    def _net(self, store: StoreState, net: StoreState) -> Iterator[Difference]:
        """Yield how the records that these layers touch differ from those of the store beneath; the stretch must live as long."""
        for entries in blocks(merged(net.parts, store.schema), store):
            found = store.stack.find(entries.keys(store.schema))
            yield from _told(_found(found, entries, store.schema), entries.live(), store.schema)

    def last_change(self, id: int, key: bytes | None = None, schema: Schema | None = None, *, after: int) -> int:
        """Return the newest commit beyond ``after`` that changed a record, or what a store is, where there is no key; 0 if none did."""
        for commit, payload in self.commits(newest_first=True):
            if commit.seq <= after:
                return 0
            if any(change.store == id and (key is None or change.kind != "rename") for change in payload.catalogue):
                return commit.seq
            if key is None or schema is None:
                if any(id in (step.store, step.of) for step in payload.projections):
                    return commit.seq
                continue
            for change in payload.changes:
                if change.store == id and change_of(change, commit.seq, key, schema, self._engine) is not None:
                    return commit.seq
        return 0


def change_of(change: StoreChange, seq: int, key: bytes, schema: Schema, engine: Engine) -> Entry | None:
    """Return what a commit wrote of one record, None if nothing; the operations are decoded only if the key may be among them."""
    if not change.first <= key <= change.last:
        return None
    if change.run is not None:
        return Tree(tree_ref(change.run), seq - 1, seq, schema, engine.reader).get(key)
    for op, written, delta, _, row in record.decode_operations(change.ops, schema):
        if written == key:
            return Entry(op, seq, delta, row)
    return None


# -- two states ---------------------------------------------------------------------------------------------------------------


def differences(engine: Engine, old: State, new: State, name: str) -> tuple[Schema, Iterator[Difference]] | None:
    """Return (the schema of the newer store, how the records of a store differ); None if neither state has a store of that name.

    A store is followed under its other names. Rows of another schema come in that of the newer state. Raises ``InvalidInput`` if the key
    is another one, ``SchemaMismatch`` if a column cannot be told in its new type.
    """
    if old.seq > new.seq:
        found = differences(engine, new, old, name)
        return None if found is None else (found[0], (difference.turned for difference in found[1]))
    before, after, fit = _followed(engine, old, new, name)
    if before is None:
        return None if after is None else (after.schema, (difference.turned for difference in _one_sided(after)))
    if after is None:
        return before.schema, _one_sided(before)
    if before.id == after.id:
        with suppress(HistoryTrimmed):  # the states are tagged, the log between them is gone
            return after.schema, differences_of(Stretch(engine, old, new), old, before, after)
    return after.schema, side_by_side(before, after, fit or fitting(before.schema, after.schema, name))


def differences_of(stretch: Stretch, old: State, before: StoreState, after: StoreState) -> Iterator[Difference]:
    """Yield how one store differs between a state of a stretch and its last one."""
    net = stretch.net(before.id, old)
    return side_by_side(before, after, fitting(before.schema, after.schema, after.name)) if net is None else net


def _followed(engine: Engine, old: State, new: State, name: str) -> tuple[StoreState | None, StoreState | None, Fit | None]:
    """Return a store in two states, by the name that it has in the newer one, or else had in the older one, and what fits the older to it.

    Raises ``InvalidInput`` if that is known and cannot be.
    """
    there = visible(old)
    id = new.names.get(name)
    if id is None:
        id = old.names.get(name)
        if id is None:
            return None, None, None
        if id in visible(new):
            return old.store(id), new.store(id), None
        with suppress(HistoryTrimmed):
            later = visible(new).get(Stretch(engine, old, new).successor(id))
            if later is not None:
                return _followed(engine, old, new, later)
        return old.store(id), None, None
    if id in there:
        return old.store(id), new.store(id), None
    with suppress(HistoryTrimmed):
        for ancestor in Stretch(engine, old, new).lineage(id):
            if ancestor.id in there:
                if ancestor.fault is not None:
                    raise ancestor.fault
                return old.store(ancestor.id), new.store(id), ancestor.fit
    earlier = old.names.get(name)
    return None if earlier is None else old.store(earlier), new.store(id), None


def _one_sided(store: StoreState) -> Iterator[Difference]:
    """Yield all records of a store as deleted ones."""
    nothing = Entries(store.schema.empty(store.schema.physical.names))
    for part in store.stack.scan():
        yield Difference(part, nothing, np.ones(len(part), bool), np.zeros(0, bool))


def side_by_side(before: StoreState, after: StoreState, fit: Fit) -> Iterator[Difference]:
    """Yield how two stores differ, read together from one end to the other. What one leaf holds for both of them is not read."""
    schema = after.schema
    old, new = (_Records(store) for store in (before, after))
    while old.more and new.more:
        if old.leaf is not None and old.leaf == new.leaf:
            old.skip()
            new.skip()
            continue
        bound = min(old.reach, new.reach)
        yield from _told(fit(old.taken(bound)), new.taken(bound), schema)
    while old.more:
        yield from _told(fit(old.taken(old.reach)), new.none, schema)
    while new.more:
        yield from _told(fit(old.none), new.taken(new.reach), schema)


class _Records:
    """The records of a store from one end to the other, a leaf or another small part at a time, unread as long as nobody needs them."""

    def __init__(self, store: StoreState) -> None:
        self._store, self._schema = store, store.schema
        self._parts = merged(store.stack.layers, store.schema)
        self._entries: Entries | None = None
        self._part: Part | None = None
        self.none = Entries(self._schema.empty(self._schema.physical.names))
        self.skip()

    @property
    def more(self) -> bool:
        """Whether there are any left."""
        while self._entries is not None and not len(self._entries):
            self.skip()
        return self._part is not None

    def skip(self) -> None:
        """Go on to the next part."""
        self._part, self._entries = next(self._parts, None), None
        if isinstance(self._part, Entries):
            self._entries = self._live(self._part)

    def _live(self, part: Part) -> Entries:
        entries = loaded(part).live()
        return self._store.reader.far.resolved(entries, self._schema)

    @property
    def leaf(self) -> Any:
        """Where the leaf lies that is the next part as a whole; None if there is none."""
        if self._entries is not None or self._part is None or isinstance(self._part, Entries) or self._part.leaf is None:
            return None
        tree, branch, i = self._part.leaf
        child = tree.child(branch, i)
        return child.extent, child.shape

    @property
    def reach(self) -> bytes:
        """The last key of the next part, which is read for it."""
        if self._entries is None and self._part is not None:
            self._entries = self._live(self._part)
        entries = self._entries or self.none
        return entries.key(len(entries) - 1, self._schema) if len(entries) else b""

    def taken(self, bound: bytes) -> Entries:
        """Return what of the next part lies up to a key, that one too, and go on."""
        entries = self._entries if self._entries is not None else self.none
        at = entries.before(bound + b"\0", self._schema)
        self._entries = entries.slice(at, len(entries))
        return entries.slice(0, at)


def _as_it_is(entries: Entries) -> Entries:
    return entries


def _fit_for(birth: _Birth, old: Schema, later: Ancestor, name: str) -> tuple[Fit, InvalidInput | None]:
    """Return what brings records of the store before ``later`` into the first schema of the line, or says why that cannot be."""
    try:
        fit = fitting(old, birth.schema, name) if birth.projection is None else _moving(old, birth.projection, name)
    except InvalidInput as fault:
        return _as_it_is, fault
    return lambda entries: later.fit(fit(entries)), later.fault


def _moving(old: Schema, projection: Projection, name: str) -> Fit:
    """Return what makes the records of a projection of those of its source. Raises ``InvalidInput`` if they have other keys."""
    new = projection.schema
    source = {column.name: column.source or column.name for column in projection.columns}  # an expression has the same name in both
    theirs, mine = ([(field.name, field.descending, field.nulls) for field in schema.specification.fields] for schema in (old, new))
    if old.unique != new.unique or theirs != [(source[name], *rest) for name, *rest in mine]:
        raise _other_key(old, new, name)
    kinds = [[(f.type, f.nullable) for f in map(schema.field, names)] for schema, names in
             ((old, [source[each] for each in new.key_names]), (new, new.key_names))]  # fmt: skip
    if kinds[0] != kinds[1]:
        raise _other_key(old, new, name)

    def fit(entries: Entries) -> Entries:
        return Entries(projection.batch(entries.batch, old), op=entries.op, seq=entries.seq, delta=entries.delta, keys=entries._keys)

    return fit


def fitting(old: Schema, new: Schema, name: str) -> Fit:
    """Return what brings records into another schema, column by column of the same name; columns that were not there are null.

    Raises ``InvalidInput`` if they have other keys, ``SchemaMismatch`` if a column does not fit its new type.
    """
    if old is new or (old.physical == new.physical and same_key(old, new)):
        return _as_it_is
    if not same_key(old, new):
        raise _other_key(old, new, name)
    for field in new.arrow:
        at = old.arrow.get_field_index(field.name)
        if at >= 0 and not fits(old.arrow.field(at), field):
            told = f"it was {old.arrow.field(at).type} and is {field.type} now"
            raise SchemaMismatch(f"{_where(name)}, column {field.name!r}: {told}; compare the frames of db.at(...)", column=field.name)

    def fit(entries: Entries) -> Entries:
        arrays = []
        for field in new.physical:
            known = field.name in entries.batch.schema.names
            arrays.append(entries.batch.column(field.name).cast(field.type) if known else pa.nulls(len(entries), field.type))
        batch = pa.RecordBatch.from_arrays(arrays, schema=new.physical)
        return Entries(batch, op=entries.op, seq=entries.seq, delta=entries.delta, keys=entries._keys)

    return fit


def _where(name: str) -> str:
    return f"store {name!r}" if name else "the store"


def _other_key(old: Schema, new: Schema, name: str) -> InvalidInput:
    told = f"the key was {_key(old)} and is {_key(new)} now"
    return InvalidInput(f"{_where(name)}: {told}, so its records cannot be paired; compare the frames of db.at(...)")


def _key(schema: Schema) -> str:
    return f"{schema.specification} ({', '.join(str(schema.field(name).type) for name in schema.key_names)})"


def same_key(one: Schema, other: Schema) -> bool:
    """Say whether two schemas encode their keys alike."""
    if one.specification != other.specification:
        return False
    return all(one.field(n).type == other.field(n).type and one.field(n).nullable == other.field(n).nullable
               for n in one.key_names)  # fmt: skip


# -- helpers ------------------------------------------------------------------------------------------------------------------


def blocks(parts: Iterable[Part], store: StoreState) -> Iterator[Entries]:
    """Yield changes in blocks of about ``TOGETHER``, values in place; large values are not gathered."""
    waiting: list[Entries] = []
    rows = 0
    for part in parts:
        entries = loaded(part)
        if entries.far is not None:
            if waiting:
                yield concatenated(waiting)
            waiting, rows = [], 0
            yield store.reader.far.resolved(entries, store.schema)
            continue
        waiting.append(entries)
        rows += len(entries)
        if rows >= TOGETHER:
            yield concatenated(waiting)
            waiting, rows = [], 0
    if waiting:
        yield concatenated(waiting)


def _alone(store: StoreState, seq: int) -> StoreState:
    """Return the store without anything in it, for changes after ``seq`` alone."""
    return StoreState(store.id, store.name, store.layout, store.schema, (), Tail(seq, store.schema, own=True), seq, store.reader)


def _found(found: Found, entries: Entries, schema: Schema) -> Entries:
    """Return the records that were found under the keys of these entries."""
    there = np.flatnonzero(found.there)
    return Entries(found.fetch(schema), seq=found.seq[there], keys=entries.keys(schema).take(there))


def _told(old: Entries, new: Entries, schema: Schema) -> Iterator[Difference]:
    """Yield how these records, both ascending and of one key range, differ; nothing if they do not."""
    if not (len(old) or len(new)):
        return
    at, hit = (
        old.keys(schema).match(new.keys(schema)) if len(old) and len(new) else (np.zeros(len(new), np.int64), np.zeros(len(new), bool))
    )
    in_new, in_old = np.flatnonzero(hit), at[hit]
    changed = differs(new.take(in_new), old.take(in_old), schema) if len(in_new) else np.zeros(0, bool)
    keep_old, keep_new = np.ones(len(old), bool), np.ones(len(new), bool)
    keep_old[in_old[~changed]] = False
    keep_new[in_new[~changed]] = False
    gone, fresh = np.ones(len(old), bool), ~hit
    gone[in_old] = False
    rows_old, rows_new = np.flatnonzero(keep_old), np.flatnonzero(keep_new)
    if len(rows_old) or len(rows_new):
        yield Difference(old.take(rows_old), new.take(rows_new), gone[rows_old], fresh[rows_new])


def differs(new: Entries, old: Entries, schema: Schema) -> Any:
    """Say for each of as many records of the same keys whether any value differs."""
    if not schema.not_in_key:
        return np.zeros(len(old), bool)
    return differ(*(pa.Table.from_batches([part.batch.select(schema.not_in_key)]) for part in (new, old)))


def visible(state: State) -> dict[int, str]:
    """Return the names of the stores that people see, by id."""
    return {id: name for name, id in state.names.items()}
