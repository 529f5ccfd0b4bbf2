"""One transaction: a snapshot, what was read from it, and what is to be written over it.

Invariant: nothing leaves this object before ``Engine.commit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from sopnb.engine.blob import Tell, untold
from sopnb.engine.builder import Part
from sopnb.engine.catalogue import new_id
from sopnb.engine.layer import Layer
from sopnb.engine.layers import Stack
from sopnb.engine.mirror import mirror
from sopnb.engine.projection import Projection, index_of
from sopnb.engine.record import CatalogueChange, ProjectionChange
from sopnb.engine.state import State, StoreState
from sopnb.engine.storework import StoreWork
from sopnb.engine.tail import Tail
from sopnb.engine.tree import TreeReader, TreeRef
from sopnb.engine.unique import check_unique, is_guarded, refusals
from sopnb.errors import IndexNotFound, InvalidInput, InvalidState, ReadOnly, StoreExists, StoreNotFound
from sopnb.index import IndexSpecification
from sopnb.protocols import Clock
from sopnb.schema import Schema

Mode = Literal["read", "write", "unchecked"]


class Workroom(Protocol):
    """What a transaction needs of the engine while it is being made."""

    @property
    def clock(self) -> Clock:
        """Where ids come from."""

    @property
    def reader(self) -> TreeReader:
        """Reads trees."""

    @property
    def load_bytes(self) -> int:
        """Drafts of one store that take more memory than this are written to a blob."""

    @property
    def spill_bytes(self) -> int:
        """A bulk write larger than this is written to a blob at once."""

    def write_tree(self, schema: Schema, parts: Iterable[Part], tell: Tell = untold) -> TreeRef | None:
        """Write parts as a tree of this engine's own; it exists once a commit names it. ``tell`` hears of the blob before it is there."""

    def discard(self, blobs: Iterable[str]) -> None:
        """Delete blobs of this engine's own that no commit will name."""


class Work:
    """A transaction on one snapshot. Not for use by two threads at once."""

    def __init__(self, state: State, room: Workroom, *, mode: Mode = "write", message: str = "", author: str = "") -> None:
        self.state, self.room, self.mode, self.message, self.author = state, room, mode, message, author
        self.catalogue: list[CatalogueChange] = []
        self.tags: list[tuple[str, int]] = []
        self.names_read: set[str] = set()
        self.spilled: set[str] = set()
        """Blobs written ahead of the commit."""
        self.done = False
        self.life = 0
        """That of the engine when it began."""
        self._drafts: dict[int, StoreWork] = {}
        self._dropped: list[StoreWork] = []
        self._projected: dict[int, tuple[StoreWork, int]] = {}
        """The projections of stores that were written to, and the version of their source that they show."""
        self.projections: list[ProjectionChange] = []
        """Steps in the life of the projections of stores that this transaction creates."""
        self._begun: dict[int, list[int]] = {}
        self._names: dict[str, int] | None = None

    @property
    def names(self) -> Mapping[str, int]:
        """The ids of the stores by name, own changes included."""
        return self.state.names if self._names is None else self._names

    def _own_names(self) -> dict[str, int]:
        if self._names is None:
            self._names = dict(self.state.names)
        return self._names

    def stores(self) -> tuple[str, ...]:
        """Return the names of the stores, own changes included."""
        self.names_read.add("")
        return tuple(sorted(self.names))

    def create(self, name: str, schema: Schema, *, id: int | None = None, layout: int = 1) -> StoreWork:
        """Create a store; ``id`` and a higher ``layout`` are those of one that was dropped and comes back. Raises ``StoreExists``."""
        self.writing()
        self.names_read.add(name)
        if name in self.names:
            raise StoreExists(name)
        id = new_id(self.room.clock) if id is None else id
        self.catalogue.append(CatalogueChange("create", id, layout, name, schema.to_dict()))
        self._own_names()[name] = id
        draft = self._drafts[id] = StoreWork(self, self._empty(id, name, schema, layout=layout), created=True)
        return draft

    def drop(self, name: str) -> None:
        """Drop a store. Raises ``StoreNotFound``."""
        store = self.store(name)
        self.writing()
        del self._own_names()[name]
        del self._drafts[store.id]
        for child in self._children(store):
            self._projected.pop(child.id, None)
            if not child.created:
                child.forget()
                self._dropped.append(child)
        if store.created:
            self.catalogue = [change for change in self.catalogue if change.store != store.id]
            self.projections = [step for step in self.projections if step.of != store.id]
        else:
            store.forget()
            self._dropped.append(store)
            self.catalogue.append(CatalogueChange("drop", store.id, store.base.layout, name))

    def replace(self, name: str, schema: Schema) -> StoreWork:
        """Drop a store and create it anew, without records, with the same secondary indexes. Raises as both do.

        Raises ``InvalidInput`` if the new schema has no such columns as an index needs.
        """
        before = [child.base.how for child in self._children(self.store(name))]
        self.drop(name)
        new = self.create(name, schema)
        for projection in before:
            if projection.role == "index" and projection.ready:
                self.add_index(new, projection.name, projection.specification)
        return new

    def add_index(self, store: StoreWork, name: str, wanted: IndexSpecification) -> StoreWork:
        """Give a store that this transaction created a secondary index. Raises ``InvalidInput``."""
        self.writing()
        children = self._children(store)
        if not store.created or any(child.base.how.name == name for child in children):
            raise InvalidInput(f"store {store.name!r} has an index {name!r} already, or was there before this transaction")
        projection = index_of(store.id, name, store.schema, wanted, "", store=store.name)
        id = new_id(self.room.clock)
        self.projections.append(ProjectionChange("begin", id, store.id, projection.to_dict()))
        self.projections += [ProjectionChange(kind, id, store.id) for kind in ("attach", "finish")]
        ready = replace(projection, attached=True, ready=True)
        child = StoreWork(self, self._empty(id, ready.called(store.name), ready.schema, projection=ready), created=True)
        self._projected[id] = child, -1
        self._begun.setdefault(store.id, []).append(id)
        return child

    def _empty(self, id: int, name: str, schema: Schema, *, layout: int = 1, projection: Projection | None = None) -> StoreState:
        """Return a store that holds nothing yet."""
        seq = self.state.seq
        return StoreState(id, name, layout, schema, (), Tail(seq, schema), seq, self.room.reader, projection=projection)

    def rename(self, old: str, new: str) -> None:
        """Rename a store. Raises ``StoreNotFound`` or ``StoreExists``."""
        store = self.store(old)
        self.writing()
        self.names_read.add(new)
        if new in self.names:
            raise StoreExists(new)
        names = self._own_names()
        names[new] = names.pop(old)
        store.name = new
        self.catalogue.append(CatalogueChange("rename", store.id, store.base.layout, new))

    def tag(self, name: str, seq: int) -> None:
        """Give a name to the state after commit ``seq``; 0 takes the name away."""
        self.writing()
        if not name:
            raise InvalidInput("a tag needs a name")
        self.tags.append((name, seq))

    def store(self, name: str) -> StoreWork:
        """Return a store as this transaction sees it. Raises ``StoreNotFound``."""
        self.open()
        self.names_read.add(name)
        id = self.names.get(name)
        if id is None:
            raise StoreNotFound(name, tuple(sorted(self.names)))
        draft = self._drafts.get(id)
        if draft is None:
            draft = self._drafts[id] = StoreWork(self, self.state.store(id))
        return draft

    def drafts(self) -> list[StoreWork]:
        """Return the stores that were touched; of those dropped there are no writes, but what was read of them still counts."""
        return [*self._drafts.values(), *self._dropped, *(child for child, _ in self._projected.values())]

    # -- projections ----------------------------------------------------------------------------------------------------------

    def project(self) -> None:
        """Bring the projections of every store that was written to up to date. Raises ``DuplicateKey`` of a unique index."""
        for store in list(self._drafts.values()):
            if store.version:  # what was written may have been taken back
                self._project(store)

    def index(self, name: str, index: str) -> StoreWork:
        """Return a secondary index of a store as this transaction sees it. Raises ``IndexNotFound``."""
        source = self.store(name)
        found = {child.base.how.name: child for child in self._children(source) if child.base.how.role == "index" and child.base.how.ready}
        if index not in found:
            raise IndexNotFound(name, index, tuple(sorted(found)))
        return self._up_to_date(source, found[index])

    def refusals(self, source: StoreWork, before: Stack, write: Sequence[Layer]) -> dict[bytes, str]:
        """Return the rows of a store's newest drafts that its unique indexes do not allow, by key, and why; see ``unique.refusals``."""
        indexes = [child for child in self._children(source) if child.base.how.role == "index" and is_guarded(child)]
        return refusals(source, before, write, [self._up_to_date(source, child) for child in indexes]) if indexes else {}

    def _project(self, source: StoreWork) -> None:
        for child in self._children(source):
            self._up_to_date(source, child)
            check_unique(child)
            self._project(child)

    def _children(self, source: StoreWork) -> list[StoreWork]:
        """Return the projections of a store."""
        ids = self._begun.get(source.id, ()) if source.created else self.state.projections.get(source.id, ())
        return [self._projected[id][0] if id in self._projected else StoreWork(self, self.state.store(id)) for id in ids]

    def _up_to_date(self, source: StoreWork, child: StoreWork) -> StoreWork:
        _, shown = self._projected.get(child.id, (child, 0))
        if shown != source.version:
            mirror(source, child)
        self._projected[child.id] = child, source.version
        return child

    def rollback(self) -> None:
        """Forget everything. Harmless to repeat."""
        self.finish(kept=())

    def finish(self, kept: Iterable[str]) -> None:
        """End the transaction; blobs written ahead are deleted, but for those that its commit names."""
        self.done = True
        self.state = State(self.state.seq, self.state.time)  # whoever keeps a finished transaction does not keep the past readable
        self._drafts, self._dropped, self._projected = {}, [], {}
        useless = self.spilled.difference(kept)
        self.spilled = set()
        if useless:
            self.room.discard(useless)

    def open(self) -> None:
        """Raise ``InvalidState`` if the transaction is over."""
        if self.done:
            raise InvalidState("this transaction is finished; begin another one")

    def writing(self) -> None:
        """Raise unless the transaction may write."""
        self.open()
        if self.mode == "read":
            raise ReadOnly('this transaction only reads; begin it with mode="write"')
