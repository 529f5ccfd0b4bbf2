"""What keeps a database in order: folds, checkpoints and collection, each an ordinary commit or none at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Protocol

from sopnb.engine import checkpoint, collect, fold
from sopnb.engine.builder import Part
from sopnb.engine.collect import Mark
from sopnb.engine.conflict import Past
from sopnb.engine.fold import Plan
from sopnb.engine.record import Collect, Payload, ProjectionChange
from sopnb.engine.reservations import Reservations
from sopnb.engine.state import State, StoreState
from sopnb.engine.tree import TreeReader, TreeRef
from sopnb.errors import Closed, CommitUnknown, Conflict, InvalidInput, StoreNotFound, Timeout
from sopnb.protocols import Backend, Reserved
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings, HandleSettings

LOSSES = 3
"""After so many times that others were quicker, a fold leaves out the tail, which writers may seal."""
TAILS = 4
"""All tails together may take so many times what one may."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Shows how far some work is: called with what it is and how many rows it has, gives what is called with the rows that were done."""


class Host(Protocol):
    """What upkeep needs of the engine."""

    backend: Backend
    settings: DatabaseSettings
    handle: HandleSettings
    reader: TreeReader

    @property
    def newest(self) -> State:
        """The newest state that this process knows, without a look at the registry."""

    def state(self) -> State:
        """Return the newest state."""

    def writable(self) -> None:
        """Raise ``ReadOnly`` if the database was opened for reading."""

    def append(self, payload: Payload, snapshot: int, validation: Callable[[Sequence[Past]], None]) -> int:
        """Commit a payload."""

    def outcomes(self) -> list[tuple[int, bytes, int]]:
        """Return the outcomes to be remembered."""

    def write_tree(self, schema: Schema, parts: Iterable[Part]) -> TreeRef | None:
        """Write a tree of this engine's own."""

    def move_pin(self) -> None:
        """Move this engine's own pin up to the oldest state that it reads."""

    def discard(self, blobs: Iterable[str]) -> None:
        """Delete blobs of this engine's own that no commit will name."""


class Upkeep:
    """Folds, checkpoints and collects for one engine."""

    def __init__(self, engine: Host) -> None:
        self._engine = engine
        self._stopped = False
        self._appended = 0
        self._reservations = Reservations(engine.backend.pins, engine.backend.clock)
        self.progress: Progress = lambda what, rows: nullcontext(lambda done: None)

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        self._reservations.after_fork()

    def stop(self) -> None:
        """Break off the fold that is being made, and let none begin: the database is being closed."""
        self._stopped = True

    # -- when -----------------------------------------------------------------------------------------------------------------

    def due(self, payload: Payload) -> bool:
        """Say whether a commit may have crossed a limit; cheap, for it is asked after every one."""
        engine = self._engine
        self._appended += 1000
        for change in payload.changes:
            self._appended += len(change.ops)
        if self._appended > engine.settings.log_bytes // 64:
            self._appended = 0
            if engine.backend.registry.size() > engine.settings.log_bytes:
                return True
        by_id = engine.newest.by_id
        return any(change.store in by_id and fold.due(by_id[change.store], engine.settings) is not None for change in payload.changes)

    def before(self, store: StoreState) -> None:
        """Fold a store that has so many layers that no writer may add one."""
        if len(store.layers) >= self._engine.settings.run_limit:
            newest = self._engine.state().by_id.get(store.id)
            if newest is not None and len(newest.layers) >= self._engine.settings.run_limit:
                plan = self._due(self._engine.state().store(store.id))
                if plan is not None:
                    self._try_alone(plan)

    def step(self) -> bool:
        """Do what is due; say whether there is more."""
        engine = self._engine
        more = False
        state = engine.state()
        for store in state.every:
            plan = self._due(store) or fold.wasteful(store, state.live)
            if plan is not None:
                more |= self._try_alone(plan)
            self._abandon(store)
        if engine.backend.registry.size() > engine.settings.log_bytes:
            self._bound_tails()
            self.checkpoint()
            self.collect()
        return more

    def _bound_tails(self) -> None:
        """Fold the longest tails while all of them together take more than a few times what one may."""
        most = TAILS * self._engine.settings.tail_bytes
        stores = sorted(self._engine.state().every, key=lambda store: -store.tail.bytes)
        total = sum(store.tail.bytes for store in stores)
        for store in stores:
            if total <= most:
                return
            total -= store.tail.bytes
            plan = fold.sealed(store)
            if plan is not None:
                self._try_alone(plan)

    def abandon_dead(self) -> None:
        """Give up every projection whose builder is gone."""
        for store in self._engine.state().every:
            self._abandon(store)

    def _abandon(self, store: StoreState) -> None:
        """Give up a projection whose builder is gone."""
        how, pins = store.projection, self._engine.backend.pins
        if how is not None and not how.ready and how.owner != pins.owner and not pins.alive(how.owner):
            with suppress(Conflict):
                self.end_projection(store)

    def end_projection(self, store: StoreState, message: str = "") -> int:
        """Give up a projection, or drop one that is in use; return the seq of that commit.

        Raises ``Conflict`` if another took a step of its life meanwhile.
        """
        how = store.how

        def validate(since: Sequence[Past]) -> None:
            for past in since:
                if any(step.store == store.id or step.of in (store.id, how.of) for step in past.payload.projections):
                    raise Conflict("it was changed by another", store=store.name, seq=past.seq)

        told = {"index": how.name} if how.ready else None
        step = ProjectionChange("drop" if how.ready else "end", store.id, how.of, told)
        return self._engine.append(Payload(message=message, projections=[step]), store.seq, validate)

    def _due(self, store: StoreState) -> Plan | None:
        """Return what the limits ask for, but for layers that somebody is folding."""
        if fold.due(store, self._engine.settings) is None:
            return None
        return fold.due(store, self._engine.settings, self._reservations.above(store.id))

    def _try_alone(self, plan: Plan) -> bool:
        """Fold unless somebody else is about it, or was quicker."""
        with self._reservations.taken(Reserved(plan.store.id, plan.lo, plan.hi)) as mine:
            state, id = self._engine.state(), plan.store.id
            still = id in state.by_id and plan.stands_in(state.by_id[id])  # or somebody has just made it
            return mine and still and self._try(plan)

    def _try(self, plan: Plan) -> bool:
        try:
            self._fold(plan)
        except Conflict:  # another was quicker; whoever commits next looks again
            return False
        return True

    # -- folds ----------------------------------------------------------------------------------------------------------------

    def fold(self, name: str | None = None) -> dict[str, tuple[int, int]]:
        """Make one layer of each store, or of the store named; return (layers before, layers after) by name."""
        engine = self._engine
        engine.writable()
        state = engine.state()
        if name is not None and name not in state.names:
            raise StoreNotFound(name, tuple(sorted(state.names)))
        done = {}
        for each in sorted(state.names) if name is None else [name]:
            done[each] = self._fold_whole(each)
        return done

    def _fold_whole(self, name: str) -> tuple[int, int]:
        """Fold what is there now; what comes meanwhile may stay, or else this would never end while writers are quicker."""
        state = self._engine.state()
        if name not in state.names:
            return 0, 0
        id = state.names[name]
        for child in state.projections.get(id, ()):
            self._fold_alone(child, state.seq)
        return self._fold_alone(id, state.seq)

    def _fold_alone(self, id: int, until: int) -> tuple[int, int]:
        with self._reservations.taken(Reserved(id, 0, until), self._engine.handle.run_seconds):
            return self._fold_until(id, until)

    def _fold_until(self, id: int, until: int) -> tuple[int, int]:
        before: int | None = None
        rounds = losses = 0
        clock, limit = self._engine.backend.clock, self._engine.handle.run_seconds
        deadline = clock.monotonic() + limit
        while True:
            state = self._engine.state()
            if id not in state.by_id:
                return before or 0, 0
            store = state.store(id)
            before = len(store.parts) if before is None else before
            sealing = plan = None
            if not rounds and store.tail.lo < until and sum(layer.entries for layer in store.layers) > fold.LONG:
                sealing = fold.sealed(store)
            if rounds < 2:  # only after the first one it shows what is left of old blobs
                plan = sealing or fold.whole(store, state.live, until=until, tail=losses < LOSSES)
            if plan is None:
                return before, len(store.parts)
            if self._try(plan):
                rounds += plan is not sealing
            else:
                losses += 1
                if clock.monotonic() > deadline:
                    raise Timeout(f"other folds of store {store.name!r} to let this one through", waited=limit)

    def _fold(self, plan: Plan) -> None:
        engine = self._engine
        state = engine.state()
        with self.progress(f"fold {plan.store.name}", plan.entries) as progress:

            def went_on(rows: int) -> None:
                if self._stopped:
                    raise Closed("the database was closed; the fold is broken off")
                progress(rows)

            parts = fold.folded(plan, engine.reader, engine.settings, state.live, went_on)
            ref = engine.write_tree(plan.store.schema, parts)
        try:
            engine.append(Payload(folds=[fold.record_of(plan, ref)]), plan.store.seq, fold.validation(plan))
        except CommitUnknown:
            raise
        except Exception:  # it is sure that no commit names the blob
            if ref is not None:
                engine.discard([ref.blob])
            raise

    # -- checkpoints and the past ---------------------------------------------------------------------------------------------

    def checkpoint(self) -> int:
        """Write down the newest state, so that opening begins there; return its seq, 0 if there is no commit yet."""
        engine = self._engine
        engine.writable()
        state = engine.state()
        if state.seq:
            engine.backend.registry.checkpoint(state.seq, checkpoint.encode(state, engine.outcomes()))
        return state.seq

    def keep(self, state: State) -> None:
        """Write down a state that is about to get a tag."""
        if state.seq:
            outcomes = [outcome for outcome in self._engine.outcomes() if outcome[0] <= state.seq]
            self._engine.backend.registry.checkpoint(state.seq, checkpoint.encode(state, outcomes))

    def collect(self, keep: float | None = None) -> list[str]:
        """Move the horizon, delete what no state from there on needs, trim the log; return the blobs that went.

        ``keep`` is in seconds, for less than the settings say.
        """
        engine, registry = self._engine, self._engine.backend.registry
        engine.writable()
        if keep is not None and keep < 0:
            raise InvalidInput(f"keep={keep}; give how many seconds of the past are kept")
        state = engine.state()
        marks = [Mark(*checkpoint.when(kept.state)) for kept in registry.checkpoints()]
        horizon = collect.horizon(state, marks, engine.backend.clock.now(), engine.settings, keep)
        orphans = self._orphans(state)
        fenced = state.fenced | {name.partition("-")[0] for name in orphans}
        gone: list[str] = []
        if horizon > state.horizon or orphans or collect.droppable(state, horizon, ()):
            engine.append(Payload(collect=Collect(horizon, sorted(fenced))), state.seq, lambda since: None)
            engine.move_pin()
            pins = engine.backend.pins.held()
            state = engine.state()
            gone = collect.droppable(state, horizon, pins)
            unnamed = [blob for blob in orphans if blob not in state.live and blob not in state.dropped]  # a commit may have come in time
            engine.backend.blobs.delete([*gone, *unnamed])
            if gone:
                engine.append(Payload(gone=gone), state.seq, lambda since: None)
        self._trim(horizon)
        return gone

    def _orphans(self, state: State) -> list[str]:
        """Return blobs that no commit ever named and whose owners are dead: they are fenced before their blobs go."""
        backend = self._engine.backend
        named = {*state.live, *state.dropped}
        unnamed = [name for name, _ in backend.blobs.names() if name not in named]
        owners = {name.partition("-")[0] for name in unnamed} - {backend.pins.owner}
        dead = {owner for owner in owners if not backend.pins.alive(owner)}
        return [name for name in unnamed if name.partition("-")[0] in dead]

    def _trim(self, horizon: int) -> None:
        """Forget the log below the horizon; never above the second newest checkpoint, nor what a reader's transaction is compared with."""
        registry = self._engine.backend.registry
        seqs = [kept.seq for kept in registry.checkpoints()]
        if len(seqs) < 2:
            return
        self._engine.move_pin()
        oldest = min([horizon, *(pin.seq for pin in self._engine.backend.pins.held())])
        below = [seq for seq in seqs[1:] if seq <= oldest]
        if below:
            registry.trim(below[0], keep=set(self._engine.state().tags.values()))

    def compact(self, keep: float | None = None) -> dict[str, int]:
        """Fold everything, write a checkpoint, let go of the past beyond ``keep`` seconds (None: as the settings say).

        Returns bytes of blobs and of the log before and after.
        """
        before = self._sizes()
        self.fold()
        self.checkpoint()
        self.collect(keep)
        if keep is not None:
            self.checkpoint()
            self._trim(self._engine.state().horizon)
        after = self._sizes()
        return {f"{what}_{when}": size[what] for when, size in (("before", before), ("after", after)) for what in ("blobs", "log")}

    def _sizes(self) -> dict[str, int]:
        backend = self._engine.backend
        return {"blobs": sum(size for _, size in backend.blobs.names()), "log": backend.registry.size()}
