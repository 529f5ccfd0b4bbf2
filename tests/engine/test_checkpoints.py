"""A checkpoint says all that the history before it said; opening begins there, and the past is reached from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine import checkpoint
from sopnb.engine.engine import Engine
from sopnb.engine.past import Stretch
from sopnb.engine.record import Collect, Payload
from sopnb.engine.state import State
from sopnb.errors import HistoryTrimmed, InvalidInput, TagNotFound, UnsupportedFormat
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from tests.engine.support import SECOND, TINY, Cluster, Model, commit, contents, contents_at, create, scanned, store_of, upkeep, whole_plan


def described(state: State) -> Any:
    """Return all that a state says, for comparison."""
    stores = {
        name: (
            store.id, store.layout, store.schema, store.changed, store.rows, store.seq, store.total,
            [(type(layer).__name__, layer.lo, layer.hi, layer.delta) for layer in store.parts], scanned(store.stack),
            [entry.seqs.tolist() for entry in store.stack.scan()],
        )
        for name, store in state.stores.items()
    }  # fmt: skip
    return state.seq, state.time, stores, state.tags, dict(state.live), dict(state.dropped), state.horizon, state.fenced


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["inline", "run", "inline", "fold", "create", "drop", "tag", "collect"]),
        st.dictionaries(st.integers(0, 12), st.none() | st.sampled_from(["a", "b" * 60]), min_size=1, max_size=5),
    ),
    max_size=10,
)


@given(STEPS)
def test_a_state_comes_back_from_its_checkpoint(steps: list[tuple[str, dict[int, str | None]]]) -> None:
    """With sealed tails, tails, trees, tags and what collection knows; and what is committed to both afterwards leads to the same."""
    cluster = Cluster(**TINY)
    engines = {"inline": cluster.open(), "run": cluster.open(settings={"inline_rows": 0})}
    engine = engines["inline"]
    create(engine)
    for n, (kind, changes) in enumerate(steps):
        cluster.clock.sleep(1)
        if kind in engines:
            commit(engines[kind], changes)
        elif kind == "fold":
            plan = whole_plan(engine)
            if plan is not None:
                upkeep(engine, plan)
        elif kind == "collect":
            engine.append(Payload(collect=Collect(0, [f"{n:016x}"]), gone=[]), engine.state().seq, lambda since: None)
        else:
            work = engine.begin()
            if kind == "create":
                work.create(f"s{n}", store_of(engine).schema)
            elif kind == "drop" and len(work.names) > 1:
                work.drop(max(work.names))
            elif kind == "tag":
                work.tag(f"t{n % 3}", work.state.seq)
            engine.commit(work)
    state = engine.state()
    data = checkpoint.encode(state, engine.outcomes())
    restored, outcomes = checkpoint.decode(data, engine.reader)
    assert described(restored) == described(state)
    assert outcomes == engine.outcomes()
    assert checkpoint.encode(restored, outcomes) == data
    assert checkpoint.when(data) == (state.seq, state.time)
    commit(engine, {3: "later", 4: None})
    (after,) = engine.backend.registry.read(state.seq)
    from sopnb.engine import record

    assert described(restored.apply(after, record.decode(after.payload), engine.reader)) == described(engine.state())
    cluster.verify()


def test_opening_after_a_checkpoint_and_a_trim_is_the_same(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine, runs = cluster.open(), cluster.open(settings={"inline_rows": 0})
    create(engine)
    create(engine, "t", Schema.of({"a": "string", "n": "decimal128(10, 2)"}, IndexSpecification.of("-a")))
    for n, writer in enumerate((engine, runs, engine, engine, runs, engine)):
        commit(writer, {k: f"{n}" for k in range(n, 20 + n, 3)})
        if n % 2:
            engine.upkeep.checkpoint()
    assert [type(layer).__name__ for layer in store_of(engine).parts] == ["TailView", "Tree", "TailView", "Tree", "TailView"]
    before = described(engine.state())
    cluster.memory.trim(max(kept.seq for kept in cluster.memory.checkpoints()))
    opened = cluster.open()
    assert described(opened.state()) == before
    commit(opened, {1: "more"})
    assert described(engine.state()) == described(opened.state())


class Counting:
    """A registry that counts the commits of each reading."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.reads: list[int] = []

    def read(self, after: int, until: int | None = None) -> Any:
        commits = self._inner.read(after, until)
        self.reads.append(len(commits))
        return commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_the_past_costs_no_commit_that_came_after_it(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    cluster.registry = counting = Counting(cluster.memory)
    engine = cluster.open()
    create(engine)
    for k in range(30):
        commit(engine, {k: "x"})
    newest = engine.state().seq
    counting.reads.clear()
    then = engine.at(seq=10)
    later = engine.at(seq=12)
    assert [c.seq for c, _ in Stretch(engine, then, later).commits()] == [11, 12]
    assert engine.outcome(cluster.memory.read(4, 5)[0].txid) == "committed"
    assert sum(counting.reads) <= 10 + 12 + 2 + 1 < newest
    cluster.registry = cluster.memory


def test_opening_costs_the_checkpoint_and_the_tail_not_the_history(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    for k in range(50):
        commit(engine, {k: "x"})
    engine.upkeep.checkpoint()
    commit(engine, {99: "tail"})
    cluster.registry = counting = Counting(cluster.memory)
    opened = cluster.open()
    assert max(counting.reads) == 1
    assert opened.reader.reads == 0
    assert len(contents(opened)) == 51
    cluster.registry = cluster.memory


def test_a_checkpoint_of_a_newer_release_is_refused(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    import msgspec

    stored = msgspec.msgpack.decode(checkpoint.encode(engine.state(), []))
    stored[0] = checkpoint.FORMAT + 1
    with pytest.raises(UnsupportedFormat, match="newer sopnb"):
        checkpoint.decode(msgspec.msgpack.encode(stored), engine.reader)


# -- the past -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def past(cluster: Cluster) -> tuple[Engine, list[tuple[int, int, Model]]]:
    """Make five commits, a second apart: (seq, time, contents) of each."""
    engine = cluster.open()
    create(engine)
    models = []
    for k in range(5):
        cluster.clock.sleep(1)
        seq = commit(engine, {k: f"v{k}"})
        models.append((seq, cluster.clock.now(), contents(engine)))
    return engine, models


def test_a_past_state_is_opened_by_seq_and_by_time(past: Any) -> None:
    engine, models = past
    for seq, time, model in models:
        for state in (engine.at(seq=seq), engine.at(time=time), engine.at(time=time + SECOND - 1)):
            assert (state.seq, state.time, contents_at(state)) == (seq, time, model)
    assert engine.at(seq=0).seq == 0
    assert engine.at(time=models[0][1] - 10 * SECOND).seq == 0
    assert engine.at(time=models[-1][1] + 10**15).seq == models[-1][0]
    for seq in (-1, models[-1][0] + 1):
        with pytest.raises(InvalidInput, match="no commit"):
            engine.at(seq=seq)


def test_a_tag_names_a_state_until_it_is_taken_away(past: Any, cluster: Cluster) -> None:
    engine, models = past
    (first, _, then), (second, _, _) = models[0], models[2]
    for name, seq in (("before", first), ("other", second)):
        work = engine.begin()
        work.tag(name, seq)
        engine.commit(work)
    for opened in (engine, cluster.open()):
        assert (opened.at(tag="before").seq, contents_at(opened.at(tag="before"))) == (first, then)
        assert opened.info()["tags"] == {"before": first, "other": second}
    work = engine.begin()
    work.tag("before", 0)
    work.tag("other", first)
    engine.commit(work)
    assert engine.at(tag="other").seq == first
    with pytest.raises(TagNotFound, match="'other'"):
        engine.at(tag="before")


def test_states_before_the_horizon_are_gone_and_those_from_it_on_are_not(past: Any, cluster: Cluster) -> None:
    engine, models = past
    for _ in range(2):
        cluster.clock.sleep(1)
        engine.upkeep.checkpoint()
        commit(engine, {9: str(cluster.clock.now())})
    newest = engine.state()
    engine.upkeep.collect(0)
    horizon = engine.state().horizon
    assert 0 < horizon < newest.seq
    for opened in (engine, cluster.open()):
        assert opened.at(seq=horizon).seq == horizon
        assert opened.at(seq=newest.seq).seq == newest.seq
        for ask in ({"seq": models[0][0]}, {"seq": horizon - 1}, {"time": models[0][1]}):
            with pytest.raises(HistoryTrimmed, match=f"commit {horizon}"):
                opened.at(**ask)


def test_a_tagged_state_stays_readable_before_the_horizon(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY, inline_rows=0)
    engine = cluster.open()
    create(engine)
    seq = commit(engine, {k: "old" for k in range(20)})
    work = engine.begin()
    work.tag("before", seq)
    engine.commit(work)
    for n in range(4):
        cluster.clock.sleep(10)
        commit(engine, {k: f"new {n}" for k in range(20)})
        engine.upkeep.compact(0)
    assert seq < engine.state().horizon
    for opened in (engine, cluster.open()):
        assert contents_at(opened.at(tag="before")) == {k: "old" for k in range(20)}
        assert opened.at(seq=seq).seq == seq
        with pytest.raises(HistoryTrimmed):
            opened.at(seq=seq + 1)


def test_the_log_leaves_upkeep_out_and_begins_where_it_is_kept(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    work = engine.begin(message="day 2", author="ada")
    work.store("s").put("insert", (1, "a"))
    seq = engine.commit(work)
    engine.upkeep.fold()
    (made, told) = engine.log()
    assert (told.seq, told.message, told.author, list(told.stores.values())) == (seq, "day 2", "ada", [(1, 0, 0)])
    assert made.seq == 1
    cluster.clock.sleep(1)
    for n in range(3):
        engine.upkeep.compact(0)
        commit(engine, {2: f"{n}"})
        cluster.clock.sleep(1)
    assert seq not in [info.seq for info in engine.log()]
    assert engine.log()[-1].seq == engine.state().seq
