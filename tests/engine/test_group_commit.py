"""Transactions of several threads in one append, and what each of them is told when the append fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from sopnb.engine.engine import Engine
from sopnb.engine.record import Payload
from sopnb.errors import CommitUnknown, Conflict, InvalidState, SeqTaken, StorageError, Timeout
from sopnb.protocols import Commit, Draft, Registry
from sopnb.testing.faulty import FaultyRegistry
from tests.engine.support import Cluster, commit, contents, create, key, keys


class Gate:
    """A registry whose turn waits for ``let_in`` when ``shut``, and whose appends may fail once each."""

    def __init__(self, inner: Registry) -> None:
        self._inner = inner
        self._open = threading.Event()
        self._open.set()
        self.reached = threading.Event()
        """Set when a leader stands at the gate."""
        self.faults: list[BaseException | Callable[[], object]] = []
        """What the next appends raise, or call before they go on."""
        self.after: list[BaseException] = []
        """What is raised after the next appends were carried out."""
        self.groups: list[int] = []
        """How many drafts each append brought."""

    def shut(self) -> None:
        self.reached.clear()
        self._open.clear()

    def let_in(self) -> None:
        self._open.set()

    @contextmanager
    def turn(self, timeout: float) -> Iterator[None]:
        with self._inner.turn(timeout):
            self.reached.set()
            assert self._open.wait(60)
            yield

    def append(self, drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        self.groups.append(len(drafts))
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, BaseException):
                raise fault
            fault()
        commits = self._inner.append(drafts, after)
        if self.after:
            raise self.after.pop(0)
        return commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Writer(threading.Thread):
    """Commits one transaction in a thread of its own; ``answer`` is its seq, or what was raised."""

    def __init__(self, engine: Engine, changes: Callable[[Any], object]) -> None:
        super().__init__(daemon=True)
        self._engine, self._work = engine, engine.begin()
        changes(self._work.store("s"))
        self.answer: Any = None

    def run(self) -> None:
        try:
            self.answer = self._engine.commit(self._work)
        except BaseException as error:
            self.answer = error


def put(k: int, v: str) -> Callable[[Any], object]:
    return lambda store: store.put("upsert", (k, v))


@pytest.fixture
def gate(cluster: Cluster) -> Gate:
    cluster.registry = gate = Gate(cluster.registry)
    return gate


@pytest.fixture
def engine(cluster: Cluster, gate: Gate) -> Engine:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "old" for k in range(5)})
    return engine


def grouped(engine: Engine, gate: Gate, *changes: Callable[[Any], object]) -> list[Writer]:
    """Commit changes so that all but the first go into one group, in their order; return their writers when all are answered."""
    writers = [Writer(engine, one) for one in changes]
    gate.shut()
    writers[0].start()
    assert gate.reached.wait(60)
    for n, writer in enumerate(writers[1:], 1):
        writer.start()
        while len(engine._committer._queue) < n:
            threading.Event().wait(0.001)
    gate.let_in()
    for writer in writers:
        writer.join(60)
    return writers


def test_those_who_wait_share_one_append(engine: Engine, gate: Gate) -> None:
    before = engine.state().seq
    writers = grouped(engine, gate, *(put(k, "new") for k in range(5)))
    assert [writer.answer for writer in writers] == [before + 1 + i for i in range(5)]
    assert gate.groups[-2:] == [1, 4]
    assert contents(engine) == {k: "new" for k in range(5)}


def test_members_of_a_group_are_compared_with_those_before_them(engine: Engine, gate: Gate) -> None:
    def increment(store: Any) -> None:
        old = store.get(key(1)).row[1]
        store.put("upsert", (1, old + "+"))

    writers = grouped(engine, gate, put(0, "new"), increment, put(2, "new"), increment, put(1, "blind"))
    assert [type(writer.answer) for writer in writers] == [int, int, int, Conflict, Conflict]
    assert writers[3].answer.seq == writers[1].answer
    assert writers[3].answer.key == 1
    assert contents(engine)[1] == "old+"


def test_a_group_refuses_write_skew(engine: Engine, gate: Gate) -> None:
    def skew(read: int, write: int) -> Callable[[Any], object]:
        def change(store: Any) -> None:
            if store.get(key(read)).row[1] == "old":
                store.put("upsert", (write, "off"))

        return change

    writers = grouped(engine, gate, put(4, "new"), skew(1, 2), skew(2, 1))
    assert [type(writer.answer) for writer in writers] == [int, int, Conflict]


def test_a_member_that_is_refused_does_not_stand_in_the_way_of_the_others(engine: Engine, gate: Gate) -> None:
    writers = grouped(engine, gate, put(0, "a"), put(0, "b"), put(0, "c"), put(1, "d"))
    assert [type(writer.answer) for writer in writers] == [int, Conflict, Conflict, int]
    assert contents(engine) == {0: "a", 1: "d", 2: "old", 3: "old", 4: "old"}


def test_a_failed_append_fails_every_member_and_nothing_is_written(engine: Engine, gate: Gate) -> None:
    gate.faults = [lambda: None, StorageError("the log", "broken")]
    writers = grouped(engine, gate, put(0, "new"), put(1, "new"), put(2, "new"))
    assert [type(writer.answer) for writer in writers] == [int, StorageError, StorageError]
    assert contents(engine) == {0: "new", **{k: "old" for k in range(1, 5)}}
    assert commit(engine, {1: "again"}) == writers[0].answer + 1


@pytest.mark.parametrize("lose", ["request", "answer"])
def test_a_lost_answer_leaves_each_member_a_txid_of_its_own(cluster: Cluster, lose: Any) -> None:
    cluster.registry = faulty = FaultyRegistry(cluster.registry)
    gate = Gate(faulty)
    cluster.registry = gate
    engine = cluster.open()
    create(engine)

    def fail() -> None:
        faulty.lose = lose

    gate.faults = [lambda: None, fail]
    writers = grouped(engine, gate, put(0, "new"), put(1, "new"), put(2, "new"))
    assert [type(writer.answer) for writer in writers] == [int, CommitUnknown, CommitUnknown]
    first = writers[0].answer
    assert [writer.answer.seq for writer in writers[1:]] == [first + 1, first + 2]
    txids = [writer.answer.txid for writer in writers[1:]]
    assert len(set(txids)) == 2
    expected = "committed" if lose == "answer" else "aborted"
    assert [engine.outcome(txid) for txid in txids] == [expected, expected]
    assert [cluster.open().outcome(txid) for txid in txids] == [expected, expected]
    assert contents(engine) == ({0: "new", 1: "new", 2: "new"} if lose == "answer" else {0: "new"})


def test_a_registry_that_fails_in_an_unknown_way_leaves_the_outcome_unknown(engine: Engine, gate: Gate) -> None:
    """Anything but an error of the protocol may come after the write. It was told as a sure failure, and blobs of a commit that was there
    would have been deleted."""
    gate.after = [RuntimeError("a bug of a driver")]
    with pytest.raises(CommitUnknown, match="a bug of a driver") as caught:
        commit(engine, {0: "new"})
    assert engine.outcome(caught.value.txid) == "committed"
    assert contents(engine)[0] == "new"


def test_an_interrupt_of_the_leader_within_the_append_leaves_the_others_unknown(engine: Engine, gate: Gate) -> None:
    gate.faults = [lambda: None]
    gate.after = []
    gate.faults.append(KeyboardInterrupt())
    writers = grouped(engine, gate, put(0, "new"), put(1, "new"), put(2, "new"))
    kinds = sorted(type(writer.answer).__name__ for writer in writers)
    assert kinds == ["CommitUnknown", "KeyboardInterrupt", "int"]
    unknown = next(writer.answer for writer in writers if isinstance(writer.answer, CommitUnknown))
    interrupted = next(writer.answer for writer in writers if isinstance(writer.answer, KeyboardInterrupt))
    assert engine.outcome(unknown.txid) == "aborted"
    assert "the commit is not made" in interrupted.__notes__[0]
    assert "CommitUnknown" in interrupted.__notes__[0]


def test_an_interrupt_after_the_append_never_calls_a_durable_commit_aborted(engine: Engine, gate: Gate, monkeypatch: Any) -> None:
    """The leader was interrupted after the append had returned and before the members were told. Those not yet told were answered with
    a conflict, "interrupted before it was written", though they were durable: run again, they were made twice."""
    from sopnb.engine import commit as module

    settled = []
    settle = module.Member.settle

    def interrupted(self: Any, seq: int = 0, error: BaseException | None = None) -> None:
        if seq and len(gate.groups) > groups and not settled:
            settled.append(seq)
            raise KeyboardInterrupt
        settle(self, seq, error)

    groups = len(gate.groups) + 1
    monkeypatch.setattr(module.Member, "settle", interrupted)
    writers = grouped(engine, gate, put(0, "new"), put(1, "new"), put(2, "new"))
    kinds = sorted(type(writer.answer).__name__ for writer in writers)
    assert kinds == ["CommitUnknown", "KeyboardInterrupt", "int"]
    unknown = next(writer.answer for writer in writers if isinstance(writer.answer, CommitUnknown))
    assert engine.outcome(unknown.txid) == "committed"
    assert contents(engine) == {0: "new", 1: "new", 2: "new", 3: "old", 4: "old"}


def test_an_interrupt_before_the_append_aborts(engine: Engine, gate: Gate, monkeypatch: Any) -> None:
    monkeypatch.setattr(type(engine), "fenced", _raises(KeyboardInterrupt()))
    writer = Writer(engine, put(0, "new"))
    writer.start()
    writer.join(60)
    monkeypatch.undo()
    assert isinstance(writer.answer, KeyboardInterrupt)
    assert "interrupted before it was written" in writer.answer.__notes__[0]
    assert contents(engine)[0] == "old"
    assert commit(engine, {0: "new"})


def _raises(error: BaseException) -> Callable[..., Any]:
    def method(*args: object) -> object:
        raise error

    return method


def test_an_interrupt_while_waiting_withdraws_the_member(engine: Engine, gate: Gate, monkeypatch: Any) -> None:
    """Main threads are interrupted where they wait for the lead; the member must not be committed by somebody else later."""
    first = Writer(engine, put(0, "new"))
    gate.shut()
    first.start()
    assert gate.reached.wait(60)

    lead = engine._committer._lead

    class Interrupting:
        entered = 0

        def __enter__(self) -> None:
            self.entered += 1
            raise KeyboardInterrupt

        def __exit__(self, *told: object) -> None: ...

    engine._committer._lead = Interrupting()  # type: ignore[assignment]
    second = Writer(engine, put(1, "new"))
    second.start()
    second.join(60)
    engine._committer._lead = lead
    assert isinstance(second.answer, KeyboardInterrupt)
    assert not getattr(second.answer, "__notes__", [])
    gate.let_in()
    first.join(60)
    commit(engine, {2: "later"})
    assert contents(engine) == {0: "new", 1: "old", 2: "later", 3: "old", 4: "old"}


def test_who_lost_the_seq_compares_with_the_winner(cluster: Cluster) -> None:
    """Where the turn is only a hint another process may append first. The members of the group that lost had been compared with each
    other under the seqs that they hoped for, and took those as done: the winner's commit at the same seq was never looked at, and its
    update was lost."""
    cluster.registry = gate = Gate(cluster.registry)
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "old" for k in range(5)})
    cluster.registry = cluster.memory
    other = cluster.open()
    gate.faults = [lambda: None, lambda: commit_in_another_thread(other, {2: "theirs"})]

    def increment(store: Any) -> None:
        store.put("upsert", (2, store.get(key(2)).row[1] + "+"))

    writers = grouped(engine, gate, put(0, "new"), put(1, "new"), increment)
    assert [type(writer.answer) for writer in writers] == [int, int, Conflict]
    assert writers[2].answer.key == 2
    assert gate.groups[-3:] == [1, 2, 1]
    assert contents(engine) == {0: "new", 1: "new", 2: "theirs", 3: "old", 4: "old"}


def commit_in_another_thread(engine: Engine, changes: dict[int, str | None]) -> None:
    """The turn of the registry in memory may be taken again by the same thread only; so the winner goes past it."""
    work = engine.begin()
    for k, v in changes.items():
        work.store("s").put("upsert", (k, v))
    payload = engine._payload(work)
    assert payload is not None
    from sopnb.engine import record

    engine.backend.registry.append([Draft(b"12345678", record.encode(payload))], engine.state().seq)


def test_who_always_loses_is_told_so_in_time(cluster: Cluster) -> None:
    cluster.registry = gate = Gate(cluster.registry)
    engine = cluster.open(lock_seconds=10.0)
    create(engine)

    def lose() -> None:
        cluster.clock.sleep(3)
        raise SeqTaken(1, 2)

    gate.faults = [lose] * 20
    with pytest.raises(Timeout, match="let this commit through"):
        commit(engine, {0: "new"})
    assert len(gate.groups) < 10
    gate.faults = []
    assert contents(engine) == {}


def test_a_fenced_engine_cannot_commit(cluster: Cluster) -> None:
    engine, other = cluster.open(), cluster.open()
    create(engine)
    from sopnb.engine.record import Collect

    other.append(Payload(collect=Collect(0, [engine.backend.pins.owner])), other.state().seq, lambda since: None)
    with pytest.raises(InvalidState, match="taken for dead"):
        commit(engine, {0: "new"})
    assert commit(other, {0: "new"})


def test_many_threads_lose_no_increment(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "" for k in range(3)})
    threads, each = 4, 40
    barrier = threading.Barrier(threads)

    def run(me: int) -> None:
        barrier.wait()
        for i in range(each):
            while True:
                work = engine.begin()
                store = work.store("s")
                k = (me + i) % 3
                store.put("upsert", (k, store.get(key(k)).row[1] + "+"))  # type: ignore[union-attr]
                try:
                    engine.commit(work)
                    break
                except Conflict:
                    continue

    workers = [threading.Thread(target=run, args=(me,)) for me in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(map(len, contents(engine).values())) == threads * each
    assert engine.state().stores["s"].stack.find(keys(range(3))).there.all()
