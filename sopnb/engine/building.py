"""Building a projection while writers go on: begun, filled, attached, verified, taken into use.

The commit that begins it makes every later writer of the source change it too; so what is missing is what was there before, and that
never changes. It is read from the state of that commit, put in order in sorted pieces, and laid beneath what was written since by a
second commit. Then all of it is read and compared; from a third commit on it may be read, or takes the place of its source. Until then
nothing that people see depends on it. If the builder dies, whoever sees it gives it up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from sopnb.engine.catalogue import new_id
from sopnb.engine.check import astray
from sopnb.engine.conflict import Past
from sopnb.engine.entries import Entries, concatenated
from sopnb.engine.merge import loaded, merged
from sopnb.engine.projection import Projection, index_of
from sopnb.engine.record import Payload, ProjectionChange
from sopnb.engine.state import State, StoreState, tree_data
from sopnb.engine.tree import Tree, TreeRef
from sopnb.engine.unique import alike, duplicate_of
from sopnb.engine.upkeep import Host, Progress, Upkeep
from sopnb.errors import Conflict, Corruption, DuplicateKey, InternalError, InvalidState, SopError, StoreNotFound
from sopnb.index import IndexSpecification

Make = Callable[[StoreState, State], Projection]
"""Describes the projection that is wanted of a store in a state, or raises."""
MOST_PIECES = 64
"""Sorted pieces beyond this are put together before there are more."""


class Room(Host, Protocol):
    """What building needs of the engine."""

    upkeep: Upkeep

    def replayed(self, seq: int) -> State:
        """Return the state after a commit that is not older than one that somebody holds."""


class Builder:
    """Builds projections for one engine."""

    def __init__(self, engine: Room) -> None:
        self._engine = engine

    @property
    def progress(self) -> Progress:
        """Shows how far it is."""
        return self._engine.upkeep.progress

    def build(self, source: int, make: Make, *, author: str = "", message: str = "") -> int:
        """Build a projection of a store and take it into use; return the seq of that commit.

        Raises what ``make`` does, ``StoreNotFound``, ``DuplicateKey`` if keys that are to be unique are not, ``Conflict`` if the store was
        dropped or replaced meanwhile. After an error or an interrupt there is no trace of it.
        """
        id, begun = self.begin(source, make)
        try:
            self.fill(id, begun)
            self.verify(id)
            return self.step("finish", id, author=author, message=message)
        except BaseException as error:
            self.abandon(id, error)
            raise

    def succeed(self, source: int, make: Make, indexes: Callable[[IndexSpecification], IndexSpecification], *, author: str = "",
                message: str = "") -> int:  # fmt: skip
        """Build a successor of a store, and its indexes over it, and let it take the store's place; return the seq of that commit.

        ``indexes`` says what becomes of an index. Raises as ``build`` does.
        """
        id, begun = self.begin(source, make)
        try:
            self.fill(id, begun)
            self.verify(id)
            for name, index in begun.indexes(source).items():
                self.build(id, self._again(name, indexes(index.how.specification), begun.by_id[source].name))
            return self.step("replace", id, author=author, message=message)
        except BaseException as error:
            self.abandon(id, error)
            raise

    def _again(self, name: str, wanted: IndexSpecification, store: str) -> Make:
        return lambda source, state: index_of(source.id, name, source.schema, wanted, self._engine.backend.pins.owner, store=store)

    def begin(self, source: int, make: Make) -> tuple[int, State]:
        """Make all writers of a store change a new projection too; return its id and the state from then on.

        Raises ``InvalidState`` while the store is being altered: what is to take its place would not have the projection.
        """
        engine = self._engine
        engine.writable()
        while True:
            engine.upkeep.abandon_dead()
            before = engine.state()
            if source not in before.by_id:
                raise StoreNotFound(f"#{source:x}", tuple(sorted(before.names)))
            if before.successor(source) is not None:
                raise InvalidState(f"store {before.by_id[source].name!r} is being altered; try again when that is done")
            projection = make(before.store(source), before)
            id = new_id(engine.backend.clock)
            payload = Payload(projections=[ProjectionChange("begin", id, source, projection.to_dict())])
            try:
                seq = engine.append(payload, before.seq, partial(_unchanged, ids=_lineage(before, source), source=source, own=None))
                return id, engine.replayed(seq)  # "before" is held until here, so what came after it is there
            except Conflict:
                continue
            except BaseException as error:  # it may have begun all the same
                self.abandon(id, error)
                raise

    def fill(self, id: int, begun: State) -> None:
        """Lay what was there when a projection was begun beneath what was written since."""
        engine = self._engine
        store = begun.store(id)
        ref = self._base(store, begun.store(store.how.of))
        try:
            self.step("attach", id, run=ref)
        except BaseException:
            if ref is not None and not self._attached(id):
                engine.discard([ref.blob])
            raise

    def verify(self, id: int) -> None:
        """Read a projection and compare it with its source: as many rows, in order, and unique where they are to be.

        Raises ``DuplicateKey``, or ``Corruption`` if it is otherwise not right.
        """
        state, store = self._there(id)
        projection, source = store.how, state.store(store.how.of)
        with self.progress(f"verify {store.name}", store.rows) as progress:
            scanned = _Scanned(store, progress)
            parts = scanned.parts()
            if projection.unique and projection.role == "index":
                for fields, _ in alike(parts, projection):
                    raise duplicate_of(source.name, projection, fields[0])
            for _ in parts:
                pass
        if scanned.rows == store.rows == source.rows:
            return
        if projection.role == "successor" and projection.schema.unique:
            for row, _ in astray(store, source):
                raise _shared(source.name, projection, projection.schema.keys(row)[0])
        told = f"{scanned.rows} rows are there, {store.rows} are counted, its store has {source.rows}"
        raise Corruption(f"projection {store.name!r}", told)

    def _there(self, id: int) -> tuple[State, StoreState]:
        """Return the newest state and a projection in it. Raises ``Conflict`` if it was given up."""
        state = self._engine.state()
        if id not in state.by_id:
            raise Conflict("it was given up by another")
        return state, state.store(id)

    def step(self, kind: str, id: int, *, run: TreeRef | None = None, author: str = "", message: str = "") -> int:
        """Commit a step in the life of a projection."""
        state, store = self._there(id)
        of = store.how.of
        if kind == "replace" and state.indexes(of).keys() != state.indexes(id).keys():
            raise Conflict("an index of the store was created or dropped meanwhile", store=store.name)
        step = ProjectionChange(kind, id, of, _told(kind, state, store), tree_data(run))
        unchanged = partial(_unchanged, ids=_lineage(state, id), source=of, own=id, succeeding=kind == "replace")
        return self._engine.append(Payload(author=author, message=message, projections=[step]), state.seq, unchanged)

    def abandon(self, id: int, error: BaseException) -> None:
        """Give a projection up because of an error, which the caller raises."""
        try:
            for _ in range(10):
                state = self._engine.state()
                left = state.by_id.get(id)
                if left is None or left.projection is None or left.how.ready:
                    return
                try:
                    self._engine.upkeep.end_projection(state.store(id))
                except Conflict:
                    continue
        except SopError as trouble:  # somebody else will, once this process is gone
            error.add_note(f"while giving it up: {trouble}")

    def _attached(self, id: int) -> bool:
        store = self._engine.state().by_id.get(id)
        return store is not None and store.whole

    # -- the base -------------------------------------------------------------------------------------------------------------

    def _base(self, store: StoreState, source: StoreState) -> TreeRef | None:
        """Write the rows of the source in the order of the projection; None if there are none."""
        projection = store.how
        pieces: list[Tree] = []
        try:
            with self.progress(f"build {store.name}", source.rows) as progress:
                for entries in self._sorted(source, projection, progress):
                    pieces += self._tree(projection, iter([entries]))
                    if len(pieces) == MOST_PIECES:
                        pieces = self._together(projection, pieces, source.name)
                pieces = self._together(projection, pieces, source.name)
        except BaseException:
            self._engine.discard([piece.ref.blob for piece in pieces])
            raise
        return pieces[0].ref if pieces else None

    def _sorted(self, source: StoreState, projection: Projection, progress: Callable[[int], object]) -> Iterator[Entries]:
        """Yield the rows of the projection in pieces as large as the memory for loads allows, each in order."""
        waiting: list[Entries] = []
        size, most = 0, self._engine.handle.load_bytes // 4
        columns = tuple(dict.fromkeys((*projection.sources, *source.schema.stored_key_names)))
        for part in source.stack.scan(columns=columns):
            progress(len(part))
            batch = projection.batch(part.batch, source.schema)
            waiting.append(Entries(batch, seq=part.seq, keys=projection.schema.keys(batch)))
            size += 2 * batch.nbytes + 64 * batch.num_rows
            if size > most:
                yield _in_order(waiting, projection, source.name)
                waiting, size = [], 0
        if waiting:
            yield _in_order(waiting, projection, source.name)

    def _tree(self, projection: Projection, parts: Iterator[Entries]) -> list[Tree]:
        ref = self._engine.write_tree(projection.schema, parts)
        return [] if ref is None else [Tree(ref, 0, projection.since, projection.schema, self._engine.reader)]

    def _together(self, projection: Projection, pieces: list[Tree], store: str) -> list[Tree]:
        """Return one piece for several. Raises ``DuplicateKey`` if a key is in more than one of them."""
        if len(pieces) < 2:
            return pieces
        whole = self._tree(projection, map(loaded, merged(pieces, projection.schema)))
        if whole[0].entries < sum(piece.entries for piece in pieces):
            self._engine.discard([whole[0].ref.blob])
            raise _shared(store, projection, _in_several(pieces, projection))
        self._engine.discard([piece.ref.blob for piece in pieces])
        return whole


class _Scanned:
    """The records of a store in order, counted as they go by; out of order is ``Corruption``."""

    def __init__(self, store: StoreState, progress: Callable[[int], object]) -> None:
        self._store, self._progress = store, progress
        self.rows = 0

    def parts(self) -> Iterator[Entries]:
        """Yield the keys of the records."""
        last = b""
        for part in self._store.stack.scan(columns=self._store.schema.stored_key_names):
            keys = part.keys(self._store.schema)
            if (keys.array[1:] <= keys.array[:-1]).any() or (self.rows and keys[0] <= last):
                raise Corruption(f"projection {self._store.name!r}", f"its rows are out of order near {keys[0]!r}")
            last = keys[len(keys) - 1]
            self.rows += len(part)
            self._progress(len(part))
            yield part


def _in_order(parts: Sequence[Entries], projection: Projection, store: str) -> Entries:
    whole = concatenated(parts)
    keys = whole.keys(projection.schema)
    ordered = whole.take(np.argsort(keys.array, kind="stable"))
    keys = ordered.keys(projection.schema)
    again = keys.slice(1, len(keys)).equal(keys.slice(0, len(keys) - 1))
    if again.any():
        raise _shared(store, projection, keys[int(np.argmax(again))])
    return ordered


def _in_several(pieces: Sequence[Tree], projection: Projection) -> bytes:
    """Return a key that is in more than one of these pieces."""
    for at, tree in enumerate(pieces):
        for piece in tree.pieces(b"", None):
            keys = piece.load().keys(projection.schema)
            for other in pieces[at + 1 :]:
                for group in other.find(keys):
                    return keys[int(group.where[0])]
    raise InternalError("no key is in more than one piece", projection=projection.name)


def _shared(store: str, projection: Projection, key: bytes) -> DuplicateKey:
    """Return the error for a key that several records have."""
    told = projection.schema.public_key(projection.schema.codec.decode(key))
    return DuplicateKey(store, told, reason="is of more than one record in the new index; choose another")


def _unchanged(since: Sequence[Past], ids: Collection[int], source: int, own: int | None, *, succeeding: bool = False) -> None:
    """Raise ``Conflict`` if one of these stores went, or, for a new projection or a successor, if the source got or lost another one.

    A new one is described anew after a rename too.
    """
    for past in since:
        for change in past.payload.catalogue:
            if change.store in ids and (own is None or change.kind == "drop"):
                raise Conflict(f"the store was changed by {change.kind!r}", store=change.name, seq=past.seq)
        for step in past.payload.projections:
            gone = (step.kind in ("end", "drop") and step.store in ids) or (
                step.kind == "replace" and (step.of in ids or step.store in ids)
            )
            if gone or (step.of == source and step.store != own and (own is None or succeeding)):
                raise Conflict(f"a projection was changed by {step.kind!r}", seq=past.seq)


def _told(kind: str, state: State, store: StoreState) -> dict[str, Any] | None:
    """Return what the log says of a step: of what people see."""
    source = state.by_id[store.how.of]
    if kind == "replace":
        return {"name": source.name, "schema": store.schema.to_dict()}
    return {"index": store.how.name} if kind == "finish" and source.projection is None else None


def _lineage(state: State, id: int) -> set[int]:
    """Return a store, what it is a projection of, and so on."""
    ids = {id}
    while (projection := state.by_id[id].projection) is not None:
        id = projection.of
        ids.add(id)
    return ids
