"""A database on a simulated disk beside a plain model: two processes, transactions, snapshots, the past, upkeep, kills and power cuts.

300 examples ordinarily, 20,000 with ``--long``. After each step every process that lives must show what the model says, and ``check`` must
find nothing. A failing example is printed as the steps that lead to it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from sopnb.access.lease import Lease
from sopnb.database import Database
from sopnb.errors import Conflict, HistoryTrimmed, StoreExists, StoreNotFound
from sopnb.testing.crash import SMALL, Draws, Machine, recover
from sopnb.testing.disk import Fault, Killed, SimulatedFiles, Step
from sopnb.testing.machine import KEYS, SCHEMA, Effect, Operation, Rows, compare, perform

NAMES = ("a", "b")
Stores = dict[str, Rows]

keys = st.integers(0, KEYS - 1)
texts = st.one_of(st.none(), st.sampled_from(["", "x", "y", "a longer text", "one that is stored out of line " * 3]))
values = st.tuples(texts, st.one_of(st.none(), st.integers(0, 3)))
ways = st.sampled_from(["record", "list", "frame"])


def lists(value: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Records of distinct keys: often one, sometimes enough for a run of their own."""
    pairs = st.tuples(keys, value)
    return st.one_of(st.lists(pairs, min_size=1, max_size=1), st.lists(pairs, min_size=1, max_size=12, unique_by=lambda pair: pair[0]))


bounds = st.tuples(keys, keys).map(sorted)
few = st.tuples(keys, st.integers(0, 4)).map(lambda two: [two[0], two[0] + two[1]])
reads: st.SearchStrategy[Operation] = st.one_of(
    st.tuples(st.just("get"), keys),
    bounds.map(lambda two: ("scan", *two)),
    bounds.map(lambda two: ("count", *two)),
)
writes: st.SearchStrategy[Operation] = st.one_of(
    st.tuples(st.just("insert"), lists(values), ways),
    st.tuples(st.just("replace"), lists(values), ways),
    st.tuples(st.just("upsert"), lists(st.integers(0, 3)), ways),
    st.tuples(st.just("update"), lists(texts), ways),
    st.tuples(st.just("report"), lists(values)),
    st.tuples(st.just("delete"), st.lists(keys, min_size=1, max_size=6, unique=True)),
    few.map(lambda two: ("clear", *two)),
    st.tuples(few, lists(values)).map(lambda both: ("swap", *both[0], both[1])),
)
some = st.lists(st.one_of(writes, writes, reads), min_size=1, max_size=5)
upkeep = st.sampled_from(["fold", "compact all", "compact", "checkpoint", "collect", "index", "anew"])
names = st.sampled_from(NAMES)
which = st.sampled_from([0, 1])


def copied(stores: Stores) -> Stores:
    return {name: dict(rows) for name, rows in stores.items()}


@dataclass
class Process:
    """A process that has the database open."""

    files: SimulatedFiles
    db: Database


@dataclass
class Open:
    """A transaction that is open in a process: what it began with, what it sees, what it did, by store."""

    process: int
    tx: Any
    began: int
    stores: Stores
    effects: dict[str, Effect] = field(default_factory=dict)


class DatabaseMachine(RuleBasedStateMachine):
    """``stores`` is what the newest commit left, ``past`` what each commit did, ``changes`` which keys each commit changed."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(SMALL)
        self.processes: list[Process] = []
        self.stores: Stores = {}
        self.past: dict[int, Stores] = {0: {}}
        self.changes: dict[int, dict[str, set[int] | None]] = {}
        self.shaped: dict[int, set[str]] = {}
        """The stores of which an index may have been created or dropped, or that may have been built anew, until a commit."""
        self.tags: dict[str, int] = {}
        self.open: list[Open] = []
        self.snapshots: list[tuple[int, Any, Stores]] = []

    # -- processes ------------------------------------------------------------------------------------------------------------

    @initialize(how=st.sampled_from(["off", "inline"]), rows=st.dictionaries(keys, values, min_size=4))
    def begin(self, how: str, rows: Rows) -> None:
        self.how = how
        self.processes = [self.started(), self.started()]
        for name in NAMES:
            self.processes[0].db.create(name, schema=SCHEMA, index="k")
            self.committed({**self.stores, name: {}}, {name: None})
            self.operate(0, name, [("replace", list(rows.items()), "frame")])

    def started(self) -> Process:
        files = self.machine.process()
        return Process(files, Database(Lease.over(self.machine.open(files, maintenance=self.how, progress=False))))

    def bury(self, number: int) -> None:
        """Forget a process that is dead, with all that it had open."""
        self.open = [one for one in self.open if one.process != number]
        self.snapshots = [one for one in self.snapshots if one[0] != number]
        self.processes[number].db._lease._end.detach()  # the dead do not close

    @rule(number=which)
    def reopen(self, number: int) -> None:
        self.open = [one for one in self.open if one.process != number]
        self.snapshots = [one for one in self.snapshots if one[0] != number]
        self.processes[number].db.close()
        assert self.processes[number].files.descriptors == 0
        self.processes[number] = self.started()

    # -- commits --------------------------------------------------------------------------------------------------------------

    def committed(self, stores: Stores, changed: dict[str, set[int] | None]) -> None:
        """Note what the newest commit left; ``changed`` are keys by store, None for the whole store."""
        seq = int(self.processes[0].db.log(limit=1)["seq"].iloc[-1])  # upkeep may have come after it
        assert seq not in self.past, f"commit {seq} is there already"
        self.stores = stores
        self.past[seq] = copied(stores)
        self.changes[seq] = changed

    @rule(number=which, name=names, operations=some)
    def operate(self, number: int, name: str, operations: list[Operation]) -> None:
        db = self.processes[number].db
        if name not in self.stores:
            with pytest.raises(StoreNotFound):
                db[name]
            return
        for operation in operations:
            stores, effect, seq = copied(self.stores), Effect(), db.seq
            counts = perform(operation, db[name], stores[name], effect)
            changed = effect.changed(stores[name])
            assert bool(changed) == bool(counts is not None and counts.seq), f"{counts}, changed {changed}"
            if changed:
                assert counts.seq > seq
                self.machine.clock.sleep(0.25)
                self.committed(stores, {name: changed})

    @rule(number=which, name=names, drop=st.integers(0, 3))
    def create_or_drop(self, number: int, name: str, drop: int) -> None:
        db, stores = self.processes[number].db, copied(self.stores)
        if name in stores:
            if drop:
                return
            with pytest.raises(StoreExists):
                db.create(name, schema=SCHEMA, index="k")
            db.drop(name)
            del stores[name]
        else:
            db.create(name, schema=SCHEMA, index="k")
            stores[name] = {}
        self.committed(stores, {name: None})

    # -- transactions ---------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.open) < 3)
    @rule(number=which)
    def begin_transaction(self, number: int) -> None:
        db = self.processes[number].db
        self.open.append(Open(number, db.transaction(), db.seq, copied(self.stores)))

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 2), name=names, operations=some, look=st.booleans())
    def operate_in_transaction(self, pick: int, name: str, operations: list[Operation], look: bool) -> None:
        one = self.open[pick % len(self.open)]
        effect = one.effects.setdefault(name, Effect())
        if name not in one.stores:
            with pytest.raises(StoreNotFound):
                one.tx[name]
            return
        for operation in operations:
            perform(operation, one.tx[name], one.stores[name], effect)
        if look:
            compare(one.tx[name], one.stores[name])
            effect.touched.update(range(KEYS))

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 2), keep=st.booleans())
    def end_transaction(self, pick: int, keep: bool) -> None:
        one = self.open.pop(pick % len(self.open))
        if not keep:
            one.tx.rollback()
            return
        changed = {name: effect.changed(one.stores[name]) for name, effect in one.effects.items() if name in one.stores}
        changed = {name: keys for name, keys in changed.items() if keys}
        disturbed = self.disturbed(one)
        try:
            seq = one.tx.commit()
        except Conflict as conflict:
            if not self.disturbed(one, maybe=True):
                raise AssertionError("nothing that it used was changed") from conflict
            return
        assert bool(seq) == bool(changed), f"commit {seq}, changed {changed}"
        if changed:
            assert not disturbed, f"it must conflict: {disturbed} was changed since commit {one.began}"
            stores = copied(self.stores)
            for name in changed:
                stores[name] = {k: v for k, v in stores[name].items() if k not in changed[name]}
                stores[name].update({k: v for k, v in one.stores[name].items() if k in changed[name]})
            self.committed(stores, dict(changed))

    @rule(number=which, other=which, name=names, before=some, meanwhile=st.lists(writes, max_size=2), after=some)
    def transact(
        self, number: int, other: int, name: str, before: list[Operation], meanwhile: list[Operation], after: list[Operation]
    ) -> None:
        """Begin a transaction, let another process (or this one, outside it) write meanwhile, and commit."""
        db = self.processes[number].db
        self.open.append(Open(number, db.transaction(), db.seq, copied(self.stores)))
        mine = len(self.open) - 1
        self.operate_in_transaction(mine, name, before, look=False)
        self.operate(other, name, meanwhile)
        self.operate_in_transaction(mine, name, after, look=False)
        self.end_transaction(mine, keep=True)

    def disturbed(self, one: Open, *, maybe: bool = False) -> list[tuple[int, str]]:
        """Return the (commit, store) of what a transaction used, or ``maybe`` used, and others changed since it began."""
        found = []
        for seq, changes in self.changes.items():
            for name, changed in changes.items() if seq > one.began else ():
                effect = one.effects.get(name)
                if effect is None:
                    continue
                if changed is None or changed & (effect.touched | effect.maybe if maybe else effect.touched):
                    found.append((seq, name))
        for seq, shaped in self.shaped.items() if maybe else ():
            found += [(seq, name) for name in shaped.intersection(one.effects) if seq > one.began]
        return found

    # -- the past -------------------------------------------------------------------------------------------------------------

    def was(self, seq: int) -> Stores:
        return self.past[max(known for known in self.past if known <= seq)]

    @precondition(lambda self: len(self.snapshots) < 3)
    @rule(number=which, back=st.integers(0, 6))
    def open_snapshot(self, number: int, back: int) -> None:
        db = self.processes[number].db
        seq = max(0, db.seq - back)
        try:
            snapshot = db.at(seq)
        except HistoryTrimmed:
            assert seq < db.info()["horizon"]
            assert seq not in self.tags.values()
            return
        self.snapshots.append((number, snapshot, copied(self.was(seq))))

    @precondition(lambda self: self.snapshots)
    @rule(pick=st.integers(0, 2), keep=st.booleans())
    def read_snapshot(self, pick: int, keep: bool) -> None:
        at = pick % len(self.snapshots)
        _, snapshot, stores = self.snapshots[at]
        assert snapshot.stores() == tuple(sorted(stores))
        for name in stores:
            compare(snapshot[name], stores[name])
        if not keep:
            snapshot.close()
            del self.snapshots[at]

    @rule(number=which, name=st.sampled_from(["t1", "t2"]))
    def tag_or_untag(self, number: int, name: str) -> None:
        db = self.processes[number].db
        if name in self.tags:
            db.untag(name)
            del self.tags[name]
        else:
            self.tags[name] = db.seq
            db.tag(name)
        assert db.tags() == self.tags

    @precondition(lambda self: self.tags)
    @rule(number=which)
    def read_tags(self, number: int) -> None:
        db = self.processes[number].db
        for name, seq in self.tags.items():
            with db.at(tag=name) as snapshot:
                stores = self.was(seq)
                assert snapshot.stores() == tuple(sorted(stores))
                for store in stores:
                    compare(snapshot[store], stores[store])

    # -- upkeep and crashes ---------------------------------------------------------------------------------------------------

    @rule(number=which, what=upkeep)
    def keep_up(self, number: int, what: str) -> None:
        self.machine.clock.sleep(1)
        _keep_up(self.processes[number].db, what)
        self.note_shaped(what)

    def note_shaped(self, what: object) -> None:
        if what in ("index", "anew"):
            self.shaped[self.processes[0].db.seq] = set(self.stores)

    @rule(number=which, after=st.integers(1, 14), cut=st.booleans(), seed=st.integers(0, 1000), name=names, write=writes)
    def crash_while_writing(self, number: int, after: int, cut: bool, seed: int, name: str, write: Operation) -> None:
        if name in self.stores:
            self.crash(number, after, cut, seed, name, write)

    @rule(number=which, after=st.integers(1, 40), cut=st.booleans(), seed=st.integers(0, 1000), what=upkeep)
    def crash_while_keeping_up(self, number: int, after: int, cut: bool, seed: int, what: str) -> None:
        self.crash(number, after, cut, seed, "", what)

    def crash(self, number: int, after: int, cut: bool, seed: int, name: str, does: Any) -> None:
        """Let a process do something, and die or lose power at some step of it; without such a step, it is done."""
        process, stores, effect = self.processes[number], copied(self.stores), Effect()
        self.machine.disk.choose = Draws(seed)
        self.machine.disk.before = _fault(process, after, Fault("cut" if cut else "kill"))
        crashed = False
        try:
            if isinstance(does, str):
                _keep_up(process.db, does)
            else:
                perform(does, process.db[name], stores[name], effect)
        except Killed:
            crashed = True
        finally:
            self.machine.disk.before = lambda step: None
        if crashed:
            self.after_crash(number, cut, seed)
        self.note_shaped(does)
        if not isinstance(does, str):
            there = {record["k"]: (record["v"], record["n"]) for record in self.processes[number].db[name][:].to_dicts()}
            changed = effect.changed(stores[name])
            if there == stores[name] and there != self.stores[name]:
                self.committed(stores, {name: changed})
            elif changed:
                assert crashed, "the write was answered and is not there"

    def after_crash(self, number: int, cut: bool, seed: int) -> None:
        dead = [0, 1] if cut else [number]
        for each in dead:
            self.bury(each)
        if cut:
            self.machine.cut_power(Draws(seed))
        recover(self.machine)
        for each in dead:
            self.processes[each] = self.started()

    @invariant()
    def everybody_sees_what_the_model_says(self) -> None:
        for process in self.processes:
            assert process.db.stores() == tuple(sorted(self.stores))
            for name, rows in self.stores.items():
                compare(process.db[name], rows)
                for index in process.db[name].indexes():
                    assert sorted(process.db[name].by(index).keys()) == sorted(rows)
        if self.processes:
            report = self.processes[0].db.check()
            assert report.ok, report

    def teardown(self) -> None:
        for process in self.processes:
            process.db.close()


def _fault(process: Process, after: int, fault: Fault) -> Any:
    """Let a process fail at the n-th of its steps from now that change the disk."""
    count = itertools.count(1)

    def before(step: Step) -> Fault | None:
        return fault if step.changes and step.process == process.files.name and next(count) == after else None

    return before


def _keep_up(db: Database, what: str) -> None:
    upkeep = db._lease.engine.upkeep
    {
        "fold": db.fold,
        "compact": db.compact,
        "compact all": lambda: db.compact(keep=0),
        "checkpoint": upkeep.checkpoint,
        "collect": lambda: upkeep.collect(keep=1),
        "index": lambda: _index_or_not(db),
        "anew": lambda: _built_anew(db),
    }[what]()


def _index_or_not(db: Database) -> None:
    """Create an index of each store, or drop the one that is there."""
    for name in db.stores():
        if db[name].indexes():
            db[name].drop_index("by_v")
        else:
            db[name].create_index("by_v", ["v", "-n"])


def _built_anew(db: Database) -> None:
    """Give each store the key that it has."""
    with db.unlock("nothing but to see it done") as admin:
        for name in db.stores():
            admin.alter(name, index="k")


@pytest.mark.timeout(0)
def test_a_database_is_what_the_model_says_whatever_is_done_to_it(request: pytest.FixtureRequest) -> None:
    run_state_machine_as_test(
        DatabaseMachine,
        settings=settings(
            max_examples=20_000 if request.config.getoption("--long") else 300,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
