"""The engine: the newest state of one open database, and what is done with states.

A commit that this process made is applied when it is durable; what others made is read from the registry at the next look. What was
appended but not answered is not applied: the next look finds it, or does not.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sopnb.engine import checkpoint, forks, record
from sopnb.engine.blob import Tell, untold, write_values
from sopnb.engine.branch import Extent
from sopnb.engine.builder import Part, write_tree
from sopnb.engine.building import Builder
from sopnb.engine.cache import Cache
from sopnb.engine.check import Report, check_database
from sopnb.engine.commit import Committer
from sopnb.engine.conflict import Past, validate
from sopnb.engine.maintenance import Maintenance
from sopnb.engine.record import Payload, StoreChange
from sopnb.engine.state import Holds, State, StoreState, tree_data, tree_ref
from sopnb.engine.storework import StoreWork
from sopnb.engine.tree import TreeReader, TreeRef
from sopnb.engine.upkeep import Upkeep
from sopnb.engine.work import Mode, Work
from sopnb.errors import (
    Closed,
    CommitUnknown,
    Conflict,
    Corruption,
    HistoryTrimmed,
    InvalidInput,
    InvalidState,
    ReadOnly,
    SnapshotGone,
    SopError,
    StorageError,
    TagNotFound,
    Trimmed,
)
from sopnb.protocols import Backend, Clock, Commit
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings, HandleSettings

RECENT_COMMITS = 4096
RECENT_BYTES = 16 * 1024 * 1024
"""Commits kept decoded, for the transactions that began before them."""
OUTCOMES = 65_536
"""Most outcomes of transactions that are remembered beyond the log."""
FARTHEST = 100_000
"""No group of commits is larger than this, so no answer that was lost speaks of a commit farther beyond the newest."""


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One line of the history: ``stores`` maps a store's id to (inserted, updated, deleted).

    ``catalogue`` has (kind, store id, name) of the stores created, dropped and renamed, ``tags`` (name, seq), 0 for one taken away,
    ``steps`` (kind, projection id, store id, index) of indexes, and of stores that took the place of others.
    """

    seq: int
    time: int
    txid: str
    author: str
    message: str
    stores: dict[int, tuple[int, int, int]]
    catalogue: tuple[tuple[str, int, str], ...]
    tags: tuple[tuple[str, int], ...]
    steps: tuple[tuple[str, int, int, str], ...] = ()


class Engine:
    """One open database in this process; safe for threads, and for forks."""

    def __init__(self, backend: Backend, settings: DatabaseSettings, handle: HandleSettings) -> None:
        self.backend, self.settings, self.handle = backend, settings, handle
        self.cache = Cache(handle.cache_bytes)
        self.reader = TreeReader(backend.blobs, self.cache, backend.registry.uuid)
        self.reader.missing = self._missing
        self.closed = False
        self.life = 0
        """How many forks lie between this process and the one that opened the database."""
        self._mutex = threading.RLock()
        self._state = self._handed = State()
        self._recent: deque[Past] = deque()
        self._recent_bytes = 0
        self._outcomes: OrderedDict[int, tuple[bytes, int]] = OrderedDict()
        self._holds = Holds()
        self._blob = 0
        self._litter: set[str] = set()
        self._pinned = 0
        self._pin_time = 0.0
        self._committer = Committer(backend, self, handle.lock_seconds)
        self.upkeep = Upkeep(self)
        self.builder = Builder(self)
        self.maintenance = Maintenance(handle.maintenance if backend.writable else "off", self.upkeep.step)
        self._begin()
        forks.register(self)

    @classmethod
    def open(cls, backend: Backend, settings: DatabaseSettings, handle: HandleSettings) -> Engine:
        """Open the database behind ``backend`` at its newest state."""
        return cls(backend, settings, handle)

    def _begin(self) -> None:
        """Load the newest state, pin it, and see that it was not collected meanwhile."""
        while True:
            self._load()
            if not self.backend.writable:
                return
            self._pinned = self._state.seq
            self.backend.pins.pin(self._pinned)
            self.refresh()
            if self._state.horizon <= self._pinned:
                return

    def _load(self) -> None:
        """Take the newest checkpoint for the state, and then what was committed since."""
        tried = -1
        while True:
            state = State()
            outcomes: list[tuple[int, bytes, int]] = []
            for newest in self.backend.registry.checkpoints():
                state, outcomes = checkpoint.decode(newest.state, self.reader, f"checkpoint {newest.seq}")
                break
            try:
                commits = self.backend.registry.read(state.seq)
                break
            except Trimmed as error:  # another may have written a newer checkpoint meanwhile
                if state.seq == tried:
                    lost = f"commits {state.seq + 1} to {error.oldest - 1}"
                    raise Corruption(lost, "they are gone, and no checkpoint covers them") from error
                tried = state.seq
        self._outcomes = OrderedDict((seq, (id, time)) for seq, id, time in outcomes)
        self._recent.clear()
        self._recent_bytes = 0
        self._state = state
        self._take(commits)

    def after_fork(self) -> None:
        """Begin anew in a forked child: locks are made anew, the child is a reader of its own, and its parent goes on with transactions."""
        self.life += 1
        self._mutex = threading.RLock()
        self._committer.after_fork()
        self.maintenance.after_fork()
        self.upkeep.after_fork()
        self._pinned = -1

    # -- states ---------------------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return the newest committed state. It stays readable as long as the caller keeps it."""
        self.refresh()
        if self._state is not self._handed:
            with self._mutex:  # the pin is moved under the same lock, so it never passes a state that is being handed out
                self._handed = self._state
                self._holds.add(self._handed.hold)
        return self._handed

    @property
    def newest(self) -> State:
        """The newest state that this process knows, without a look at the registry."""
        return self._state

    def refresh(self) -> int:
        """Apply what others committed since, and return the newest seq."""
        if self.closed:
            raise Closed("the database is closed; open it again")
        if self.backend.registry.head().seq != self._state.seq:
            with self._mutex:
                self._catch_up()
        if self._pinned != self._state.seq:
            self._advance_pin()
        return self._state.seq

    def _catch_up(self) -> None:
        try:
            commits = self.backend.registry.read(self._state.seq)
        except Trimmed:
            self._load()
            return
        self._take(commits)

    def _take(self, commits: Iterable[Commit]) -> None:
        for commit in commits:
            if commit.seq > self._state.seq:
                self._apply(commit, record.decode(commit.payload, f"commit {commit.seq}"))

    def _apply(self, commit: Commit, payload: Payload) -> None:
        self._state = self._state.apply(commit, payload, self.reader)
        past = Past(commit.seq, payload)
        self._recent.append(past)
        self._recent_bytes += past.nbytes
        while len(self._recent) > RECENT_COMMITS or self._recent_bytes > RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().nbytes
        self._outcomes[commit.seq] = commit.id, commit.time
        while len(self._outcomes) > OUTCOMES:
            self._outcomes.popitem(last=False)

    def _advance_pin(self) -> None:
        """Move the pin up to the oldest state that somebody still reads; at most so often."""
        if not self.backend.writable:
            return
        if self._pinned < 0:
            self._pinned = self._oldest_read()
            self.backend.pins.pin(self._pinned)
            return
        now = self.backend.clock.monotonic()
        if now - self._pin_time < self.handle.pin_seconds:
            return
        self._pin_time = now
        self.move_pin()

    def move_pin(self) -> None:
        """Move the pin up to the oldest state that this engine reads."""
        with self._mutex:
            oldest = self._oldest_read()
            if oldest > self._pinned:
                self._pinned = oldest
                self.backend.pins.advance(oldest)

    def _oldest_read(self) -> int:
        return min([self._state.seq, self._handed.seq, *(hold.seq for hold in self._holds)])

    def _missing(self, blob: str) -> SopError:
        """Return the error for a blob that is not there: collected under a reader without a pin, or lost."""
        try:
            self.refresh()
        except SopError as error:
            return error
        said = self._state.dropped.get(blob)
        gone = blob not in self._state.live and (said is None or said.dropped <= self._state.horizon)
        if gone:
            return SnapshotGone(f"blob {blob} was collected; this snapshot lies before commit {self._state.horizon}: open a newer one")
        return Corruption(f"blob {blob}", "it is missing")

    def at(self, *, seq: int | None = None, time: int | None = None, tag: str | None = None) -> State:
        """Return an older state, by its seq, by a time in microseconds since 1970 UTC, or by a tag.

        Raises ``HistoryTrimmed`` if it is no longer kept.
        """
        newest = self.state()
        if tag is not None:
            if tag not in newest.tags:
                raise TagNotFound(tag, tuple(newest.tags))
            seq = newest.tags[tag]
        if seq is not None and not 0 <= seq <= newest.seq:
            raise InvalidInput(f"there is no commit {seq}; the newest is {newest.seq}")
        if seq == newest.seq:
            return newest
        state = self._replayed(newest, seq, time)
        newest = self._pin_back(state)
        if state.seq < newest.horizon and state.seq not in newest.tags.values():
            what = f"commit {seq}" if seq is not None else "that time"
            raise HistoryTrimmed(f"the state of {what} is no longer kept; the oldest is that of commit {newest.horizon}")
        return state

    def _pin_back(self, state: State) -> State:
        """Pin an older state and return the newest one, read after that: its horizon says whether the pin came in time."""
        with self._mutex:
            self._holds.add(state.hold)
            if self.backend.writable and state.seq < self._pinned:
                self._pinned = state.seq
                self.backend.pins.pin(state.seq)
        return self.state()

    def replayed(self, seq: int) -> State:
        """Return the state after a commit that is not older than one that somebody holds: its blobs and the log since are there."""
        state = self._replayed(self.state(), seq, None)
        with self._mutex:
            self._holds.add(state.hold)
        return state

    def _replayed(self, newest: State, seq: int | None, time: int | None) -> State:
        state = State()
        for kept in self.backend.registry.checkpoints(seq):
            state, _ = checkpoint.decode(kept.state, self.reader, f"checkpoint {kept.seq}")
            if time is None or state.time <= time:
                break
            state = State()
        if state.seq == seq:
            return state
        try:
            commits = self.backend.registry.read(state.seq, seq)
        except Trimmed:
            raise HistoryTrimmed(f"that state is no longer kept; the oldest is that of commit {newest.horizon}") from None
        for commit in commits:
            if time is not None and commit.time > time:
                break
            state = state.apply(commit, record.decode(commit.payload), self.reader)
        return state

    def log(self, after: int = 0) -> list[CommitInfo]:
        """Return the commits after ``after`` that are kept, oldest first; upkeep is left out."""
        infos = []
        for commit in self._kept(after):
            payload = record.decode(commit.payload)
            if payload.upkeep:
                continue
            stores = {change.store: (change.inserted, change.updated, change.deleted) for change in payload.changes}
            catalogue = tuple((change.kind, change.store, change.name) for change in payload.catalogue)
            told = commit.seq, commit.time, commit.txid, payload.author, payload.message
            told_of = (step for step in payload.projections if step.kind != "begin" and step.what)
            steps = tuple((step.kind, step.store, step.of, (step.what or {}).get("index", "")) for step in told_of)
            infos.append(CommitInfo(*told, stores, catalogue, tuple(payload.tags), steps))
        return infos

    def _kept(self, after: int) -> Sequence[Commit]:
        while True:
            try:
                return self.backend.registry.read(after)
            except Trimmed as error:
                after = error.oldest - 1

    # -- work -----------------------------------------------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """Where ids and times come from."""
        return self.backend.clock

    @property
    def load_bytes(self) -> int:
        """Drafts of one store that take more memory than this are written to a blob."""
        return self.handle.load_bytes

    @property
    def spill_bytes(self) -> int:
        """A bulk write larger than this is written to a blob at once."""
        return self.handle.load_bytes // 8

    def begin(self, mode: Mode = "write", message: str = "", author: str = "") -> Work:
        """Begin a transaction on the newest state."""
        if mode != "read":
            self.writable()
        work = Work(self.state(), self, mode=mode, message=message, author=author)
        work.life = self.life
        return work

    def writable(self) -> None:
        """Raise ``ReadOnly`` if the database was opened for reading."""
        if not self.backend.writable:
            raise ReadOnly(f'the database {self.backend.name!r} was opened with mode="r"; open it with mode="a" to write')

    def commit(self, work: Work) -> int:
        """Commit and return the seq; 0 if there was nothing to write.

        Raises ``Conflict`` (nothing written), ``CommitUnknown`` or ``StorageError``. The work is over in any case.
        """
        work.open()
        if work.life != self.life:
            work.finish(())
            raise InvalidState("this transaction was begun before the process was forked; begin another one in the child")
        kept: set[str] = set()
        try:
            payload = self._payload(work)
            if payload is None:
                return 0
            for tagged in {seq for _, seq in work.tags if seq}:
                self.upkeep.keep(self.at(seq=tagged))
            kept = {blob for change in payload.changes if change.run is not None for blob, _ in tree_ref(change.run).blobs}
            seq = self._committer.commit(payload, work.state.seq, lambda since: validate(work, since))
        except CommitUnknown:
            raise
        except Exception:  # it is sure that nothing was written
            kept = set()
            raise
        finally:
            work.finish(kept)
        try:  # the commit is made: nothing that goes wrong here may look as if it were not
            if self.upkeep.due(payload):
                self.maintenance.wake()
        except Exception as error:
            self.maintenance.trouble = error
        return seq

    def _payload(self, work: Work) -> Payload | None:
        if work.mode == "read":
            return None
        work.project()
        changes = []
        for store in work.drafts():
            if store.operations:
                self.upkeep.before(store.base)
                change = self._change(store)
                if change is not None:
                    changes.append(change)
        if not (changes or work.catalogue or work.tags):
            return None
        told = work.author, work.message
        return Payload(record.FORMAT, [], *told, work.catalogue, changes, tags=work.tags, projections=work.projections)

    def _change(self, store: StoreWork) -> StoreChange | None:
        counts, base = store.counts, store.base
        told = counts.inserted, counts.updated, counts.deleted
        if store.operations <= self.settings.inline_rows and not store.written_ahead:
            operations = store.net_operations()
            if not operations:
                return None
            ops = record.encode_operations(operations)
            if len(ops) <= self.settings.inline_bytes:
                delta = sum(operation[2] for operation in operations)
                return StoreChange(store.id, base.layout, operations[0][1], operations[-1][1], *told, delta, len(operations), ops)
        ref = store.tree()
        if ref is None:
            return None
        return StoreChange(store.id, base.layout, ref.first, ref.last, *told, ref.delta, ref.entries, run=tree_data(ref))

    def append(self, payload: Payload, snapshot: int, validation: Any) -> int:
        """Commit a payload of upkeep."""
        return self._committer.commit(payload, snapshot, validation)

    def write_tree(self, schema: Schema, parts: Iterable[Part], tell: Tell = untold) -> TreeRef | None:
        """Write parts as a tree of this engine's own; it exists once a commit names it. ``tell`` hears of the blob before it is there."""
        return write_tree(self.backend.blobs, self._blob_name(tell), schema, self.settings, parts, uuid=self.backend.registry.uuid)

    def write_values(self, pieces: Iterable[bytes], tell: Tell = untold) -> list[Extent]:
        """Write pieces of values to a blob of this engine's own; it exists once a commit names it. ``tell`` as for a tree."""
        return write_values(self.backend.blobs, self._blob_name(tell), pieces, uuid=self.backend.registry.uuid)

    def _blob_name(self, tell: Tell) -> str:
        with self._mutex:
            self._blob += 1
            name = f"{self.backend.pins.owner}-{self._blob:06x}"
        tell(name)
        return name

    def discard(self, blobs: Iterable[str]) -> None:
        """Delete blobs of this engine's own that no commit will name; those that cannot be deleted now, with the next ones."""
        owner = self.backend.pins.owner
        self._litter.update(blob for blob in blobs if blob.startswith(owner))
        litter = list(self._litter)
        with suppress(StorageError):  # it must not hide what became of a commit
            self.backend.blobs.delete(litter)
            self._litter.difference_update(litter)

    # -- what a committer needs -----------------------------------------------------------------------------------------------

    def since(self, seq: int) -> Sequence[Past]:
        """Return the commits after ``seq``. Raises ``Conflict`` if they are no longer kept."""
        with self._mutex:
            recent = self._recent
            if seq >= self._state.seq:
                return []
            whole = recent and recent[-1].seq == self._state.seq == recent[0].seq + len(recent) - 1  # an interrupt may have left a gap
            if whole and recent[0].seq <= seq + 1:
                return [recent[i] for i in range(seq - self._state.seq, 0)]
        try:
            return [Past(c.seq, record.decode(c.payload)) for c in self.backend.registry.read(seq)]
        except Trimmed as error:
            raise Conflict(f"the transaction began at commit {seq}, and what came after it is no longer kept") from error

    def applied(self, commit: Commit, payload: Payload) -> None:
        """Take a commit of this process that is durable."""
        with self._mutex:
            if commit.seq == self._state.seq + 1:
                self._apply(commit, payload)
            elif commit.seq > self._state.seq:
                self._catch_up()

    def fenced(self) -> bool:
        """Whether this engine was taken for dead and may commit no more."""
        return self.backend.pins.owner in self._state.fenced

    # -- answers --------------------------------------------------------------------------------------------------------------

    def outcome(self, txid: str) -> str:
        """Say whether a transaction is ``"committed"`` or ``"aborted"``, and make that answer final.

        Raises ``HistoryTrimmed`` if it is too old to know.
        """
        try:
            epoch, seq, id = txid.split(".")
            wanted, own = int(seq), bytes.fromhex(id)
            if int(epoch) < 0 or wanted < 1:
                raise ValueError(txid)
        except ValueError as error:
            raise InvalidInput(f"{txid!r} is no transaction id; it reads epoch.seq.id") from error
        if wanted > self.refresh() + FARTHEST:
            raise InvalidInput(f"the newest commit is {self._state.seq}; transaction {txid} must be of another database")
        while self.refresh() < wanted:
            self.writable()
            self._committer.commit(Payload(), self._state.seq, lambda since: None)
        known = self._outcomes.get(wanted)
        if known is not None:
            return "committed" if known[0] == own else "aborted"
        try:
            there = self.backend.registry.read(wanted - 1, wanted)
        except Trimmed:
            there = []
        if not there:
            raise HistoryTrimmed(f"transaction {txid} is too old to know")
        return "committed" if there[0].id == own else "aborted"

    def outcomes(self) -> list[tuple[int, bytes, int]]:
        """Return (seq, id, time) of the transactions whose outcome is to be remembered."""
        oldest = self.clock.now() - int(self.settings.outcome_seconds * 1e6)
        return [(seq, id, time) for seq, (id, time) in list(self._outcomes.items()) if time >= oldest]

    def check(self) -> Report:
        """Read and compare everything that the newest state names; see ``Report``."""
        backend = self.backend
        return check_database(self.state(), self.state, backend.blobs, backend.pins, uuid=backend.registry.uuid)

    def info(self) -> dict[str, Any]:
        """Return facts about the database; ``readers`` are the seqs that this process still reads, oldest first."""
        state = self.state()
        return {
            "seq": state.seq,
            "stores": {name: self.store_info(state, store) for name, store in state.stores.items()},
            "tags": dict(state.tags),
            "horizon": state.horizon,
            "dropped_bytes": sum(said.size for said in state.dropped.values()),
            "readers": sorted(hold.seq for hold in self._holds if hold.seq != state.seq),
            "pins": [(pin.owner, pin.seq) for pin in self.backend.pins.held()],
            "log_bytes": self.backend.registry.size(),
            "leaves_used": self.reader.leaves,
            "branches_used": self.reader.branches,
            "blob_reads": self.reader.reads,
            "cache_bytes": self.cache.bytes,
            "maintenance": None if self.maintenance.trouble is None else str(self.maintenance.trouble),
        }

    def store_info(self, state: State, store: StoreState) -> dict[str, Any]:
        """Return facts about one store of a state."""
        indexes = {name: (index, index.projection) for name, index in state.indexes(store.id).items()}
        return {
            "rows": store.rows,
            "schema": {field.name: str(field.type) for field in store.schema.arrow},
            "index": str(store.schema.specification),
            "unique": store.schema.unique,
            "bytes": sum(store.blobs.values()),
            "leaves": sum(tree.ref.leaves for tree in store.trees),
            "runs": max(len(store.layers) - 1, 0),
            "tail": store.tail.operations,
            "last_commit": store.changed,
            "indexes": {
                name: {
                    "index": str(how.specification),
                    "unique": how.unique,
                    "bytes": sum(index.blobs.values()),
                    "leaves": sum(tree.ref.leaves for tree in index.trees),
                    "ready": how.ready,
                }
                for name, (index, how) in indexes.items()
                if how is not None
            },
        }

    def close(self) -> None:
        """Let maintenance end, give up the pin and close the backend; harmless to repeat."""
        if not self.closed:
            self.upkeep.stop()
            self.maintenance.close()
            self.closed = True
            self.backend.close()
