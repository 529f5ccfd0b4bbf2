"""What a commit leaves: an immutable value made from the state before it and the commit.

A state names the stores and, for each, its stack of layers. States share what did not change. Invariants: the layers of a store
cover disjoint, ascending ranges of commits; everything a state names stays readable while it is pinned; ``apply`` is a pure
function of the state and the commit, so every process comes to the same state. The newest tail of a store is shared by its newest
states and only grows; a state looks at it up to its own seq.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from sopnb.engine.catalogue import Catalogue
from sopnb.engine.layer import Layer
from sopnb.engine.layers import Stack
from sopnb.engine.projection import Projection
from sopnb.engine.record import CatalogueChange, Fold, Payload, ProjectionChange, StoreChange
from sopnb.engine.tail import Tail
from sopnb.engine.tree import Tree, TreeReader, TreeRef
from sopnb.errors import InternalError
from sopnb.protocols import Commit
from sopnb.schema import Schema


def tree_ref(data: list[Any]) -> TreeRef:
    """Return the tree that a record names."""
    return msgspec.convert(data, TreeRef)


def tree_data(ref: TreeRef | None) -> list[Any] | None:
    """Return what a record says of a tree."""
    return None if ref is None else list(msgspec.structs.astuple(ref))


_NO_STORES: Catalogue[StoreState] = Catalogue()


class Hold:
    """As long as this object lives somebody reads the state after commit ``seq``."""

    __slots__ = ("__weakref__", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq


class Holds:
    """The holds that somebody still has, of all that were added. Adding costs next to nothing, for it is done at every commit."""

    def __init__(self) -> None:
        self._refs: list[weakref.ref[Hold]] = []
        self._most = 64

    def add(self, hold: Hold) -> None:
        """Keep an eye on a hold."""
        self._refs.append(weakref.ref(hold))
        if len(self._refs) > self._most:
            self._refs = [weakref.ref(living) for living in self]
            self._most = 2 * len(self._refs) + 64

    def __iter__(self) -> Iterator[Hold]:
        return (hold for ref in self._refs if (hold := ref()) is not None)


@dataclass(eq=False)
class StoreState:
    """One store in one state, never changed. ``total`` is what the operations of the tail up to ``seq`` add to the row count.

    Not a frozen dataclass, which takes three times as long to make, and every commit makes some.
    """

    id: int
    name: str
    layout: int
    schema: Schema
    layers: tuple[Layer, ...]
    tail: Tail
    seq: int
    """The newest commit that this state of the store has seen."""
    reader: TreeReader
    total: int = 0
    changed: int = 0
    """The newest commit that changed the store's records or name."""
    hold: Hold | None = None
    projection: Projection | None = None
    """What it is a projection of, None for a store with a name."""
    _stack: Stack | None = field(init=False, default=None)

    @property
    def stack(self) -> Stack:
        """All layers as one order."""
        if self._stack is None:
            self._stack = Stack(self.parts, self.schema, self.reader.far, hold=self.hold)
        return self._stack

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers, oldest first, with the tail as the newest of them where there is one."""
        if not self.tail.operations:
            return self.layers
        return (*self.layers, self.tail.view(self.seq, self.total))

    @property
    def trees(self) -> tuple[Tree, ...]:
        """The layers that lie in blobs."""
        return tuple(layer for layer in self.layers if isinstance(layer, Tree))

    @property
    def rows(self) -> int:
        """How many records the store holds."""
        return sum(layer.delta for layer in self.layers) + self.total

    @property
    def blobs(self) -> dict[str, int]:
        """How many bytes the store needs of each blob."""
        sums: dict[str, int] = {}
        for tree in self.trees:
            for blob, size in tree.ref.blobs:
                sums[blob] = sums.get(blob, 0) + size
        return sums

    def changed_by(self, change: StoreChange, seq: int) -> StoreState:
        """Return the store after this change of commit ``seq``."""
        if change.run is not None:
            run = Tree(tree_ref(change.run), seq - 1, seq, self.schema, self.reader)
            sealed = replace(self, seq=seq - 1).parts
            return replace(self, layers=(*sealed, run), tail=Tail(seq, self.schema), total=0, seq=seq, changed=seq)
        self.tail.add(seq, change.ops, change.count, change.delta)
        return self._as(seq, seq, self.total + change.delta, None)

    def as_of(self, seq: int, hold: Hold) -> StoreState:
        """Return the same store in a later state that did not change it."""
        return self._as(seq, self.changed, self.total, hold)

    def _as(self, seq: int, changed: int, total: int, hold: Hold | None) -> StoreState:
        return StoreState(
            self.id, self.name, self.layout, self.schema, self.layers, self.tail, seq, self.reader, total, changed, hold, self.projection
        )  # fmt: skip

    @property
    def how(self) -> Projection:
        """How it is made of another store. Raises ``InternalError`` for a store with a name of its own."""
        if self.projection is None:
            raise InternalError("a store is taken for a projection", store=self.name)
        return self.projection

    @property
    def whole(self) -> bool:
        """Whether all that it stands for is there: of a projection that is being built, what was there before is missing beneath."""
        return self.projection is None or self.projection.attached

    def stepped(self, change: ProjectionChange, seq: int) -> StoreState:
        """Return a projection after a step of its life, "attach", "finish" or "replace"."""
        if change.kind != "attach":
            return replace(self, projection=replace(self.how, ready=True), changed=seq)
        base = () if change.run is None else (Tree(tree_ref(change.run), 0, self.how.since - 1, self.schema, self.reader),)
        return replace(self, layers=(*base, *self.layers), projection=replace(self.how, attached=True))

    def folded(self, fold: Fold) -> StoreState:
        """Return the store with the layers of ``(fold.lo, fold.hi]`` replaced by the fold's one."""
        below = tuple(layer for layer in self.layers if layer.hi <= fold.lo)
        above = tuple(layer for layer in self.layers if layer.lo >= fold.hi)
        one = () if fold.run is None else (Tree(tree_ref(fold.run), fold.lo, fold.hi, self.schema, self.reader),)
        if fold.hi <= self.tail.lo:
            return replace(self, layers=(*below, *one, *above))
        tail = self.tail.after(fold.hi)
        return replace(self, layers=(*below, *one, *above), tail=tail, total=tail.total)

    def holds(self, fold: Fold) -> bool:
        """Say whether the layers that the fold replaces are present, adjacent and of the same layout."""
        edges = {self.tail.lo, *(layer.lo for layer in self.layers), *(layer.hi for layer in self.layers)}
        inside = fold.hi in edges or self.tail.lo < fold.hi <= self.seq
        whole = all(layer.hi <= fold.lo or layer.lo >= fold.hi or (fold.lo <= layer.lo and layer.hi <= fold.hi) for layer in self.layers)
        return self.layout == fold.layout and fold.lo in edges and inside and whole


class Dropped(NamedTuple):
    """A blob that the newest state does not need: first needed after ``born``, no longer after ``dropped``."""

    born: int
    dropped: int
    size: int


class Live(NamedTuple):
    """A blob that the newest state needs: since after ``born``, then ``size`` bytes of it."""

    born: int
    size: int


@dataclass(eq=False)
class State:
    """The database after commit ``seq``; never changed. ``time`` is that commit's, in microseconds since 1970 UTC.

    ``live`` says which blobs it needs, ``dropped`` which blobs past states need, ``horizon`` the oldest state that stays readable,
    ``fenced`` the owners that may commit no more.
    """

    seq: int = 0
    time: int = 0
    by_id: Catalogue[StoreState] = field(default_factory=lambda: _NO_STORES)
    names: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    live: Mapping[str, Live] = field(default_factory=dict)
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
    horizon: int = 0
    fenced: frozenset[str] = frozenset()
    hold: Hold = field(init=False)
    """What keeps this state readable."""
    _as_of: dict[int, StoreState] = field(init=False, default_factory=dict)
    _projections: Mapping[int, tuple[int, ...]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.hold = Hold(self.seq)

    @cached_property
    def stores(self) -> Mapping[str, StoreState]:
        """The stores by name, in the order of their names, each as of this state."""
        return {name: self.store(id) for name, id in sorted(self.names.items())}

    @property
    def projections(self) -> Mapping[int, tuple[int, ...]]:
        """The ids of the projections of each store that has some, in the order in which they were begun."""
        if self._projections is None:
            self._projections = _projections(self.by_id)
        return self._projections

    @property
    def every(self) -> Iterator[StoreState]:
        """Every store, those with names in their order and each followed by its projections, as of this state."""
        waiting = [self.names[name] for name in sorted(self.names, reverse=True)]
        while waiting:
            id = waiting.pop()
            yield self.store(id)
            waiting += reversed(self.projections.get(id, ()))

    def indexes(self, id: int) -> Mapping[str, StoreState]:
        """Return the secondary indexes of a store by name, those that are being built among them."""
        found = (self.store(each) for each in self.projections.get(id, ()))
        return {each.how.name: each for each in found if each.how.role == "index"}

    def readable(self, id: int) -> Mapping[str, StoreState]:
        """Return the secondary indexes of a store that are complete, in the order of their names."""
        return {name: each for name, each in sorted(self.indexes(id).items()) if each.how.ready}

    def successor(self, id: int) -> StoreState | None:
        """Return the store that is being built to take the place of this one, None if none is."""
        found = (self.by_id[each] for each in self.projections.get(id, ()))
        return next((each for each in found if each.how.role == "successor"), None)

    def store(self, id: int) -> StoreState:
        """Return a store as of this state, which it keeps readable."""
        store = self._as_of.get(id)
        if store is None:
            store = self._as_of[id] = self.by_id[id].as_of(self.seq, self.hold)
        return store

    def apply(self, commit: Commit, payload: Payload, reader: TreeReader) -> State:
        """Return the state after ``commit``."""
        if commit.seq != self.seq + 1:
            raise InternalError("commits must be applied in order", at=self.seq, got=commit.seq)
        new: dict[int, StoreState | None] = {}
        for change in payload.catalogue:
            new[change.store] = _catalogued(new.get(change.store) or self.by_id.get(change.store), change, commit.seq, reader)
            if change.kind == "drop":
                new |= dict.fromkeys(_under(self.projections, change.store))
            elif change.kind == "rename":
                new |= self._renamed(new, change)
        for step in payload.projections:
            self._step(new, step, commit.seq, reader)
        trees = bool(payload.catalogue or payload.folds or payload.projections)
        for store_change in payload.changes:
            new[store_change.store] = self._newest(new, store_change.store).changed_by(store_change, commit.seq)
            trees |= store_change.run is not None
        for fold in payload.folds:
            new[fold.store] = self._newest(new, fold.store).folded(fold)
        by_id = self.by_id.replaced(new) if new else self.by_id
        live, dropped = self.live, self.dropped
        if trees:
            live, dropped = self._blobs(new, commit.seq)
        if payload.gone:
            dropped = {blob: said for blob, said in dropped.items() if blob not in set(payload.gone)}
        horizon, fenced = self.horizon, self.fenced
        if payload.collect is not None:
            horizon, fenced = max(horizon, payload.collect.horizon), fenced.union(payload.collect.fenced)
        anew = payload.catalogue or payload.projections
        names = names_of(by_id) if anew else self.names
        state = State(commit.seq, commit.time, by_id, names, _tagged(self.tags, payload.tags), live, dropped, horizon, fenced)
        state._projections = None if anew else self._projections
        return state

    def _renamed(self, new: Mapping[int, StoreState | None], change: CatalogueChange) -> dict[int, StoreState]:
        """Return the projections of a store that got another name, which they are told by."""
        renamed = {}
        for id in self.projections.get(change.store, ()):
            store = self._newest(new, id)
            renamed[id] = replace(store, name=store.how.called(change.name))
        return renamed

    def _step(self, new: dict[int, StoreState | None], step: ProjectionChange, seq: int, reader: TreeReader) -> None:
        """Take a step in the life of a projection; none that goes with a store that is no longer there."""
        needed = step.of if step.kind == "begin" else step.store
        if new.get(needed, self.by_id.get(needed)) is None:
            return
        if step.kind == "begin" and step.what is not None:
            projection = replace(Projection.from_dict(step.of, step.what), since=seq)
            source = self._newest(new, step.of)
            name, schema = projection.called(source.name), projection.schema
            new[step.store] = StoreState(step.store, name, 1, schema, (), Tail(seq - 1, schema), seq, reader, 0, seq, projection=projection)
        elif step.kind in ("end", "drop"):
            new |= dict.fromkeys((step.store, *_under(self.projections, step.store)))
        else:
            newest = new[step.store] = self._newest(new, step.store).stepped(step, seq)
            if step.kind == "replace":
                gone = {step.of, *_under(self.projections, step.of)} - {step.store, *_under(self.projections, step.store)}
                new |= dict.fromkeys(gone)
                new[step.store] = replace(newest, name=self._newest({}, step.of).name, projection=None)

    def _newest(self, new: Mapping[int, StoreState | None], id: int) -> StoreState:
        return new.get(id) or self.by_id[id]

    def _blobs(self, new: Mapping[int, StoreState | None], seq: int) -> tuple[Mapping[str, Live], Mapping[str, Dropped]]:
        before: dict[str, int] = {}
        after: dict[str, int] = {}
        for id, store in new.items():
            if id in self.by_id:
                before |= self.by_id[id].blobs
            if store is not None:
                after |= store.blobs
        live, dropped = dict(self.live), dict(self.dropped)
        for blob in after.keys() - before.keys():
            live[blob] = Live(seq - 1, after[blob])
        for blob in before.keys() - after.keys():
            born = live.pop(blob)
            dropped[blob] = Dropped(born.born, seq, born.size)
        return live, dropped


def names_of(by_id: Mapping[int, StoreState]) -> dict[str, int]:
    """Return the ids of the stores that have names."""
    return {store.name: id for id, store in by_id.items() if store.projection is None}


def _projections(by_id: Mapping[int, StoreState]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    projected = (store for store in by_id.values() if store.projection is not None)
    for store in sorted(projected, key=lambda store: (store.how.since, store.id)):
        found[store.how.of] = (*found.get(store.how.of, ()), store.id)
    return found


def _under(projections: Mapping[int, tuple[int, ...]], id: int) -> Iterator[int]:
    """Yield the projections of a store, and theirs."""
    for each in projections.get(id, ()):
        yield each
        yield from _under(projections, each)


def _tagged(tags: Mapping[str, int], changes: list[tuple[str, int]]) -> Mapping[str, int]:
    if not changes:
        return tags
    merged = {**tags, **dict(changes)}
    return {name: seq for name, seq in merged.items() if seq}


def _catalogued(store: StoreState | None, change: CatalogueChange, seq: int, reader: TreeReader) -> StoreState | None:
    """Return a store after a change of its catalogue entry; None if it is dropped."""
    if change.kind == "create" and change.schema is not None:
        schema = Schema.from_dict(change.schema)
        return StoreState(change.store, change.name, change.layout, schema, (), Tail(seq - 1, schema), seq, reader, 0, seq)
    if store is None:
        raise InternalError("a catalogue change speaks of a store that is not there", store=change.name, kind=change.kind)
    return None if change.kind == "drop" else replace(store, name=change.name, changed=seq)
