"""A state that somebody holds stays as it was, whatever is committed, folded, checkpointed and collected meanwhile."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine.engine import Engine
from sopnb.engine.state import State
from tests.engine.support import SECOND, TINY, Cluster, Model, commit, contents, contents_at, create, key, plan, store_of, upkeep

KEYS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["inline", "run"]), st.dictionaries(KEYS, st.none() | st.sampled_from(["a", "b", "c" * 60]), max_size=10)
        ),
        st.tuples(st.sampled_from(["hold", "forget", "whole fold", "compact", "checkpoint", "reopen"]), st.none()),
        st.tuples(st.just("fold"), st.tuples(st.integers(0, 5), st.integers(0, 5))),
    ),
    max_size=14,
)


def agrees(state: State, model: Model) -> None:
    """Read a state by scan, key, position and count."""
    store = state.stores["s"]
    assert contents_at(state) == model
    assert store.rows == store.stack.rows == len(model)
    assert [k for k in range(31) if store.stack.get(key(k))] == list(model)
    assert [store.stack.select(i) for i in range(len(model))] == [key(k) for k in model]
    assert store.stack.count(key(7), key(19)) == sum(7 <= k < 19 for k in model)


@given(STEPS)
def test_held_states_stay_as_they_were(steps: list[tuple[str, Any]]) -> None:
    cluster = Cluster(**TINY)
    inline, run = cluster.open(), cluster.open(settings={"inline_rows": 0})
    engines: dict[str, Engine] = {"inline": inline, "run": run}
    create(inline)
    model: Model = {}
    held: list[tuple[State, Model]] = []
    for kind, what in steps:
        cluster.clock.sleep(2)
        if kind in engines:
            commit(engines[kind], what, bulk=len(what) > 5)
            model = dict(sorted({k: v for k, v in {**model, **what}.items() if v is not None}.items()))
        elif kind == "hold":
            held.append((engines["inline" if len(held) % 2 else "run"].state(), model))
        elif kind == "forget":
            del held[:1]
        elif kind == "whole fold":
            inline.upkeep.fold()
        elif kind == "compact":
            run.upkeep.compact(0)
        elif kind == "checkpoint":
            run.upkeep.checkpoint()
        elif kind == "reopen":
            assert contents(cluster.open()) == model
        else:
            parts = store_of(inline).parts
            start = what[0] % max(len(parts), 1)
            stop = min(start + 1 + what[1], len(parts))
            if start < stop:
                upkeep(inline, plan(store_of(inline), start, stop))
    held.append((inline.state(), model))
    for state, remembered in held:
        agrees(state, remembered)
    cluster.verify()


@given(
    st.lists(st.tuples(st.sampled_from(["inline", "run"]), st.dictionaries(KEYS, st.none() | st.just("x"), max_size=4)), max_size=8),
    st.data(),
)
def test_any_past_state_within_the_horizon_is_opened_as_it_was(commits: list[tuple[str, Any]], data: Any) -> None:
    """By its seq, and by any time up to the next commit; through folds and checkpoints."""
    cluster = Cluster(**TINY)
    engines = {"inline": cluster.open(), "run": cluster.open(settings={"inline_rows": 0})}
    create(engines["inline"])
    model: Model = {}
    models: list[tuple[int, int, Model]] = []
    for kind, changes in commits:
        cluster.clock.sleep(1)
        seq = commit(engines[kind], changes)
        model = dict(sorted({k: v for k, v in {**model, **changes}.items() if v is not None}.items()))
        if seq:
            models.append((seq, cluster.clock.now(), model))
        upkeep_done = data.draw(st.sampled_from(["", "fold", "checkpoint"]))
        if upkeep_done:
            getattr(engines["run"].upkeep, upkeep_done)()
    reader = cluster.open()
    for seq, time, remembered in models:
        agrees(reader.at(seq=seq), remembered)
        agrees(reader.at(time=time + data.draw(st.integers(0, SECOND - 1))), remembered)
    cluster.verify()


def test_a_transaction_sees_one_state_and_its_own_writes(cluster: Cluster) -> None:
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {1: "a", 2: "b"})
    work = engine.begin()
    store = work.store("s")
    store.put("upsert", (3, "mine"))
    commit(other, {1: "theirs", 4: "theirs"})
    other.upkeep.compact(0)
    assert dict(row for part in store.scan() for row in zip(*part.batch.to_pydict().values(), strict=True)) == {1: "a", 2: "b", 3: "mine"}
    assert (store.rows, store.rank(key(3)), store.count(key(1), key(3))) == (3, 2, 2)
    work.rollback()
    assert contents(engine) == {1: "theirs", 2: "b", 4: "theirs"}


def test_a_state_shares_what_did_not_change_and_is_told_of_other_processes_at_the_next_look(cluster: Cluster) -> None:
    engine, other = cluster.open(), cluster.open()
    create(engine)
    create(engine, "t")
    before = engine.state()
    commit(other, {1: "a"})
    after = engine.state()
    assert after.seq == before.seq + 1
    assert after.by_id[after.names["t"]] is before.by_id[before.names["t"]]
    assert engine.state() is after
