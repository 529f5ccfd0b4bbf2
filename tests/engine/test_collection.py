"""Collection deletes what nobody needs, all of it and nothing else, whoever pins, tags, commits or dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine import record
from sopnb.engine.collect import Mark, horizon
from sopnb.engine.engine import Engine
from sopnb.engine.state import Dropped, Live, State
from sopnb.errors import HistoryTrimmed, InvalidState, NoSpace, StorageError
from sopnb.protocols import Commit, Draft
from sopnb.settings import DatabaseSettings
from tests.engine.support import SECOND, TINY, Cluster, SharedPins, commit, contents, contents_at, create, load, store_of

RUNS = {**TINY, "inline_rows": 0}
FULL = {k: "x" * 30 for k in range(40)}


def blobs_of(state: State) -> set[str]:
    """Return what a state needs, from its stores."""
    return {blob for store in state.by_id.values() for blob in store.blobs}


def there(cluster: Cluster) -> set[str]:
    return {name for name, _ in cluster.blobs.names()}


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Cluster:
    return make(**RUNS)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "write", "write", "fold", "checkpoint", "tag", "untag", "hold", "hold past", "forget", "drop", "collect"]
        ),
        st.integers(0, 3),
        st.sampled_from([0, 2, 5, None]),
    ),
    min_size=4,
    max_size=16,
)


@given(STEPS)
def test_what_is_left_is_what_some_readable_state_needs(steps: list[tuple[str, int, Any]]) -> None:
    """By brute force: the newest state, every state from the horizon on, tagged ones, and every state from the oldest pin on."""
    cluster = Cluster(**RUNS, retention_seconds=4.0)
    engines = cluster.open(), cluster.open()
    needs: dict[int, set[str]] = {}
    models: dict[int, dict[str, Any]] = {}
    held: list[State] = []
    create(engines[0])

    def note() -> State:
        state = engines[0].state()
        for seq in range(max(needs, default=0), state.seq + 1):
            needs[seq] = blobs_of(engines[0].at(seq=seq))
            models[seq] = read(engines[0].at(seq=seq))
        return state

    def read(state: State) -> dict[str, Any]:
        return {name: contents_at(state, name) for name in state.names}

    for n, (kind, which, keep) in enumerate(steps):
        cluster.clock.sleep(1)
        engine = engines[which % 2]
        names = sorted(engine.state().names)
        if kind == "write" and names:
            commit(engine, {k: f"{n}" * 9 for k in range(which * 5, which * 5 + 12)}, names[which % len(names)], bulk=True)
        elif kind == "fold":
            engine.upkeep.fold()
        elif kind == "checkpoint":
            engine.upkeep.checkpoint()
        elif kind in ("tag", "untag"):
            work = engine.begin()
            work.tag(f"t{which}", work.state.seq if kind == "tag" else 0)
            engine.commit(work)
        elif kind == "hold":
            held.append(engine.state())
        elif kind == "hold past":
            state = engine.state()
            held.append(engine.at(seq=max(state.horizon, state.seq - which)))
        elif kind == "forget":
            del held[:1]
        elif kind == "drop" and names:
            work = engine.begin()
            work.drop(names[0])
            work.create(f"s{n}", store_of(engine, names[0]).schema)
            engine.commit(work)
        elif kind == "collect":
            note()
            engine.upkeep.checkpoint()
            for other in engines:
                other.state()
            engine.upkeep.collect(keep)
            state = note()
            since = min([state.horizon, *(pin.seq for pin in engine.backend.pins.held())])
            readable = {seq for seq in needs if seq >= since} | set(state.tags.values())
            assert there(cluster) == set().union(blobs_of(state), *(needs[seq] for seq in readable))
            assert set(state.live) == blobs_of(state)
            assert set(state.live) | set(state.dropped) == there(cluster)
        note()
    for state in held:
        assert read(state) == models[state.seq]
    newest = engines[0].state()
    for reader in (engines[1], cluster.open()):
        for tag, seq in newest.tags.items():
            assert read(reader.at(tag=tag)) == models[seq]
        for seq in range(newest.horizon, newest.seq + 1):
            assert read(reader.at(seq=seq)) == models[seq]
    cluster.verify()


def test_space_comes_back_after_deletes(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "x" * 40 for k in range(2000)})
    engine.upkeep.compact(0)
    full = sum(size for _, size in cluster.blobs.names())
    commit(engine, dict.fromkeys(range(1950)))
    told = engine.upkeep.compact(0)
    left = sum(size for _, size in cluster.blobs.names())
    assert (told["blobs_after"], contents(engine)) == (left, {k: "x" * 40 for k in range(1950, 2000)})
    assert left < full / 20
    commit(engine, dict.fromkeys(range(2000)))
    engine.upkeep.compact(0)
    assert there(cluster) == set()


def test_space_comes_back_after_a_drop_and_a_replacement(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    create(engine, "t")
    commit(engine, FULL)
    commit(engine, FULL, "t")
    work = engine.begin()
    work.drop("s")
    engine.commit(work)
    engine.upkeep.compact(0)
    assert there(cluster) == set(store_of(engine, "t").blobs)
    assert contents(cluster.open(), "t") == FULL


def test_nothing_goes_within_the_retention(make: Callable[..., Cluster]) -> None:
    cluster = make(**RUNS, retention_seconds=100.0)
    engine = cluster.open()
    create(engine)
    first = commit(engine, FULL)
    cluster.clock.sleep(10)
    commit(engine, dict.fromkeys(FULL))
    engine.upkeep.compact()
    cluster.clock.sleep(80)
    assert engine.upkeep.collect() == []
    assert contents_at(engine.at(seq=first)) == FULL
    cluster.clock.sleep(30)
    assert len(engine.upkeep.collect()) == 2
    with pytest.raises(HistoryTrimmed):
        engine.at(seq=first)


def test_the_past_goes_sooner_when_it_takes_too_much_space(make: Callable[..., Cluster]) -> None:
    cluster = make(**RUNS, retention_bytes=10_000, log_bytes=1000)
    engine = cluster.open()
    create(engine)
    for n in range(20):
        commit(engine, {k: f"{n}" * 40 for k in range(40)}, bulk=True)
        engine.upkeep.compact()
    state = engine.state()
    assert state.horizon > 0
    assert sum(said.size for said in state.dropped.values()) < 20_000
    assert contents(engine) == {k: "19" * 40 for k in range(40)}


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 40)), max_size=5, unique_by=lambda mark: mark[0]),
    st.integers(0, 50),
    st.one_of(st.none(), st.integers(0, 40)),
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 40)), max_size=5),
)
def test_the_horizon_is_a_checkpoint_and_never_goes_back(
    marks: list[tuple[int, int]], before: int, keep: int | None, dropped: list[tuple[int, int]]
) -> None:
    """As old as asked for and no older than it must; by space only as far as needed."""
    marks = sorted((seq, time) for (seq, _), time in zip(sorted(marks), sorted(time for _, time in marks), strict=True))
    said = {f"b{n}": Dropped(0, seq, size) for n, (seq, size) in enumerate(dropped)}
    state = State(60, 0, live={"l": Live(0, 30)}, dropped=said, horizon=before)
    settings = DatabaseSettings(retention_seconds=20.0, retention_bytes=50, log_bytes=0)
    got = horizon(state, [Mark(seq, time * SECOND) for seq, time in marks], 40 * SECOND, settings, keep)
    assert got >= before
    assert got == before or got in [seq for seq, _ in marks]
    age = 20 if keep is None else keep
    old = max([before, *(seq for seq, time in marks if time <= 40 - age and seq >= before)])
    assert got >= old
    if keep is not None:
        assert got == old
        return
    kept = [sum(one.size for one in said.values() if one.dropped > seq) for seq in (got, old)]
    assert got == old or kept[1] > 50, "it went further although the past was small enough"
    later = [seq for seq, _ in marks if seq > got]
    assert kept[0] <= 50 or not later, "it could have gone further and the past is too large"


# -- readers ------------------------------------------------------------------------------------------------------------------


def test_a_forgotten_state_is_named_and_not_fatal(cluster: Cluster) -> None:
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, FULL)
    forgotten = engine.state()
    for n in range(3):
        cluster.clock.sleep(10)
        commit(other, {k: f"{n}" for k in FULL})
        other.upkeep.compact(0)
    info = engine.info()
    assert info["readers"] == [forgotten.seq]
    assert (engine.backend.pins.owner, forgotten.seq) in other.info()["pins"]
    assert contents_at(forgotten) == FULL
    del forgotten
    cluster.clock.sleep(10)
    assert engine.info()["readers"] == []
    other.upkeep.compact(0)
    assert there(cluster) == set(store_of(other).blobs)


@pytest.mark.parametrize("how", ["state", "stack", "transaction", "scan", "at"])
def test_whatever_reads_a_state_pins_it(cluster: Cluster, how: str) -> None:
    """[Pin against collection.] As long as a state, a store of it, a transaction or a scan is held."""
    engine, other = cluster.open(pin_seconds=0.0), cluster.open()
    create(engine)
    seq = commit(engine, FULL)
    held: Any = engine.state()
    if how == "stack":
        held = held.stores["s"].stack
    elif how == "transaction":
        held = engine.begin("read")
    elif how == "scan":
        held = held.stores["s"].stack.scan()
        first = next(held)
    for n in range(3):
        cluster.clock.sleep(10)
        commit(other, {k: f"{n}" for k in FULL})
        engine.refresh()
        if how == "at" and not n:
            held = None
            for _ in range(2):
                cluster.clock.sleep(10)
                engine.state()  # its pin has moved on, and is moved back
            assert cluster.pins[engine.backend.pins.owner] > seq
            held = engine.at(seq=seq)
        other.upkeep.compact(0)
    parts = {
        "state": lambda: held.stores["s"].stack.scan(),
        "stack": lambda: held.scan(),
        "transaction": lambda: held.store("s").scan(),
        "scan": lambda: [first, *held],
        "at": lambda: held.stores["s"].stack.scan(),
    }[how]()
    assert [value for part in parts for value in part.batch.column("v").to_pylist()] == list(FULL.values())


class Hooked(SharedPins):
    """Pins that let something happen just before the first pin of a seq."""

    def __init__(self, inner: Any, hook: Callable[[], object]) -> None:
        super().__init__(inner._owner, inner._table, inner._reserved)
        self._hook: Callable[[], object] | None = hook

    def pin(self, seq: int) -> None:
        if self._hook is not None:
            hook, self._hook = self._hook, None
            hook()
        super().pin(seq)


def test_who_pinned_after_a_collection_begins_again(cluster: Cluster, monkeypatch: Any) -> None:
    """[Pin against collection.] A reader had loaded a state; before it pinned, the blobs of that state were collected."""
    engine = cluster.open()
    create(engine)
    commit(engine, FULL)

    def collect() -> None:
        cluster.clock.sleep(10)
        commit(engine, {k: "new" for k in FULL})
        engine.upkeep.compact(0)

    from tests.engine import support

    monkeypatch.setattr(support, "SharedPins", lambda *known: Hooked(SharedPins(*known), collect))
    reader = cluster.open()
    monkeypatch.undo()
    assert cluster.pins[reader.backend.pins.owner] >= engine.state().horizon
    assert contents(reader) == {k: "new" for k in FULL}


class Appending:
    """A registry that lets something happen before or after the ``collect`` record is appended."""

    def __init__(self, inner: Any, before: Callable[[], object] | None = None, after: Callable[[], object] | None = None) -> None:
        self._inner, self._before, self._after = inner, before, after

    def append(self, drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        collecting = any(record.decode(draft.payload).collect for draft in drafts)
        if collecting and self._before:
            self._before()
        commits: Sequence[Commit] = self._inner.append(drafts, after)
        if collecting and self._after:
            self._after()
        return commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_who_pinned_before_the_collection_is_durable_is_seen(cluster: Cluster) -> None:
    """[Pin against collection.] The pins are read after the record, so whoever could not see the record is seen by the collector."""
    readers: list[tuple[Engine, State]] = []

    def open_one() -> None:
        if readers:
            return
        registry, cluster.registry = cluster.registry, cluster.memory
        reader = cluster.open()
        readers.append((reader, reader.at(seq=2)))
        cluster.registry = registry

    cluster.registry = Appending(cluster.memory, before=open_one)
    engine = cluster.open()
    create(engine)
    assert commit(engine, FULL) == 2
    cluster.clock.sleep(10)
    commit(engine, {k: "new" for k in FULL})
    engine.upkeep.fold()
    engine.upkeep.checkpoint()
    before = there(cluster)
    engine.upkeep.collect(0)
    ((reader, state),) = readers
    assert there(cluster) == before, "the reader came in time"
    assert contents_at(state) == FULL
    assert engine.state().horizon > 2
    cluster.kill(reader)
    engine.upkeep.collect(0)
    assert there(cluster) == set(store_of(engine).blobs)


def test_an_older_state_is_opened_only_if_its_pin_came_in_time(cluster: Cluster) -> None:
    """[Pin against collection.] Between the look at the horizon and the pin the state was collected."""
    engine, reader = cluster.open(), cluster.open()
    create(engine)
    seq = commit(engine, FULL)
    commit(engine, {k: "new" for k in FULL})
    for _ in range(2):
        cluster.clock.sleep(10)
        reader.state()
    assert cluster.pins[reader.backend.pins.owner] > seq

    def collect() -> None:
        engine.upkeep.compact(0)

    object.__setattr__(reader.backend, "pins", Hooked(reader.backend.pins, collect))
    with pytest.raises(HistoryTrimmed):
        reader.at(seq=seq)
    assert contents(reader) == {k: "new" for k in FULL}


def test_a_pin_keeps_the_records_that_a_transaction_is_compared_with(cluster: Cluster) -> None:
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, FULL)
    work = engine.begin()
    load(work.store("s"), {100: "mine"})
    for n in range(4):
        cluster.clock.sleep(10)
        commit(other, {n: "theirs"})
        other.upkeep.compact(0)
    assert engine.commit(work)
    for n in range(3):
        cluster.clock.sleep(10)
        engine.state()
        commit(other, {n: f"{n}"})
        other.upkeep.compact(0)
    assert min(c.seq for c in cluster.memory.read(cluster.memory._trimmed)) > work.state.seq


# -- those who die ------------------------------------------------------------------------------------------------------------


def spilled(cluster: Cluster) -> tuple[Engine, Any, set[str]]:
    """Return an engine with a transaction that wrote ahead, and what it wrote."""
    engine = cluster.open(load_bytes=800)
    work = engine.begin()
    before = there(cluster)
    load(work.store("s"), {k: "ahead" * 10 for k in range(50)})
    return engine, work, there(cluster) - before


def test_blobs_that_no_commit_named_go_with_their_dead_owner_only(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, FULL)
    living, work, ahead = spilled(cluster)
    dead, _, lost = spilled(cluster)
    engine.upkeep.collect(0)
    assert ahead | lost <= there(cluster), "both may still commit"
    cluster.kill(dead)
    assert [problem.where for problem in engine.check()] == []
    engine.upkeep.collect(0)
    assert there(cluster) & (ahead | lost) == ahead
    assert living.commit(work)
    assert contents(engine) == {**FULL, **{k: "ahead" * 10 for k in range(50)}}


def test_who_was_taken_for_dead_commits_no_more_whoever_collects_next(cluster: Cluster) -> None:
    """A fence was forgotten with the next collection, which found no blobs of that owner any more; it woke up and committed a blob that
    was deleted."""
    engine = cluster.open()
    create(engine)
    sleeper, work, ahead = spilled(cluster)
    pin = cluster.pins.pop(sleeper.backend.pins.owner)
    for n in range(3):
        engine.upkeep.collect(0)
        commit(engine, {n: "x" * 50})
        cluster.clock.sleep(10)
        engine.upkeep.compact(0)
    assert not there(cluster) & ahead
    cluster.pins[sleeper.backend.pins.owner] = pin
    with pytest.raises((InvalidState, StorageError)):
        sleeper.commit(work)
    with pytest.raises(InvalidState, match="taken for dead"):
        commit(sleeper, {7: "x"})
    assert set(contents(engine)) == {0, 1, 2}


def test_a_commit_that_came_in_time_keeps_its_blobs(cluster: Cluster, monkeypatch: Any) -> None:
    """A collector listed the blobs that its state does not name; then their owner committed them, and died. They were deleted."""
    engine = cluster.open()
    create(engine)
    late, work, ahead = spilled(cluster)
    names = cluster.blobs.names

    def listed(owner: str | None = None) -> Iterator[tuple[str, int]]:
        found = list(names(owner))
        if late in cluster.engines:
            late.commit(work)
            cluster.kill(late)
        return iter(found)

    monkeypatch.setattr(cluster.store, "names", listed)
    engine.upkeep.collect(0)
    monkeypatch.undo()
    assert ahead <= there(cluster)
    assert contents(engine) == {k: "ahead" * 10 for k in range(50)}


def test_an_interrupted_collection_is_made_good_by_the_next(cluster: Cluster, monkeypatch: Any) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, FULL)
    cluster.clock.sleep(10)
    commit(engine, {k: "new" for k in FULL})
    engine.upkeep.fold()
    engine.upkeep.checkpoint()
    commit(engine, {1: "newer"})
    engine.upkeep.checkpoint()
    delete = cluster.store.delete

    def half(blobs: Any) -> None:
        delete(list(blobs)[:1])
        raise NoSpace("the disk", "no room")

    monkeypatch.setattr(cluster.store, "delete", half)
    with pytest.raises(NoSpace):
        engine.upkeep.collect(0)
    assert not (set(engine.state().live) - there(cluster))
    monkeypatch.undo()
    engine.upkeep.collect(0)
    state = engine.state()
    assert set(state.live) | set(state.dropped) == there(cluster)
    assert contents(cluster.open()) == {**{k: "new" for k in FULL}, 1: "newer"}


def test_the_log_is_never_trimmed_above_the_second_newest_checkpoint(cluster: Cluster) -> None:
    """If the newest one is damaged, the one before it and the log still lead to the newest state."""
    engine = cluster.open()
    create(engine)
    for n in range(6):
        cluster.clock.sleep(10)
        commit(engine, {n: "x"})
        if n % 2:
            engine.upkeep.compact(0)
        else:
            engine.upkeep.checkpoint()
            engine.upkeep.collect(0)
        newest = max(cluster.memory._checkpoints)
        kept = cluster.memory._checkpoints.pop(newest)
        reader = cluster.open()
        assert contents(reader) == contents(engine)
        cluster.kill(reader)  # its pin would keep the log
        cluster.memory._checkpoints[newest] = kept
    assert cluster.memory._trimmed > engine.state().seq - 8


def test_a_finished_transaction_keeps_no_state_readable(cluster: Cluster) -> None:
    """Notebooks keep the name of the last one for as long as they run."""
    engine = cluster.open()
    create(engine)
    commit(engine, FULL)
    works = [engine.begin(), engine.begin("read"), engine.begin()]
    load(works[0].store("s"), {1: "x"})
    engine.commit(works[0])
    engine.commit(works[1])
    works[2].rollback()
    engine.state()
    assert engine.info()["readers"] == []


def test_a_reader_without_a_pin_collects_nothing(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    reader = cluster.open(writable=False)
    assert reader.backend.pins.owner not in cluster.pins
    from sopnb.errors import ReadOnly

    for upkeep in (reader.upkeep.collect, reader.upkeep.checkpoint, reader.upkeep.fold, reader.upkeep.compact):
        with pytest.raises(ReadOnly):
            upkeep()
