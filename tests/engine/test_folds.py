"""Folds change no record, name what did not change, and give way to whoever was quicker."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine import fold
from sopnb.engine.engine import Engine
from sopnb.engine.fold import Plan
from sopnb.engine.state import StoreState
from sopnb.errors import Conflict, StorageError, StoreNotFound
from sopnb.settings import DatabaseSettings
from tests.engine.support import TINY, Cluster, change, commit, contents, create, key, plan, stack_of, store_of, tree_of, upkeep, whole_plan

RUNS = {**TINY, "inline_rows": 0}


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Cluster:
    return make(**RUNS)


@pytest.fixture
def engine(cluster: Cluster) -> Engine:
    engine = cluster.open()
    create(engine)
    return engine


def names(cluster: Cluster) -> set[str]:
    return {name for name, _ in cluster.blobs.names()}


def test_a_base_whose_last_leaf_was_deleted_knows_its_last_key(cluster: Cluster) -> None:
    """A fold into the base named every leaf anew but the last, of which it loaded nothing but the deletion of a record that never came
    down to the base. So nothing was written after the last named leaf, the tree did not learn its last key, and look-ups took every
    key for one beyond its end: records seemed to be gone.
    """
    engine = cluster.open(settings={"inline_rows": 1000})
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(32)}, bulk=True)
    engine.upkeep.fold()
    commit(engine, {50: "briefly"})
    commit(engine, {k: None for k in (*range(28, 32), 50)})
    engine.upkeep.fold()
    assert tree_of(engine).span == (key(0), key(27))
    assert [stack_of(engine).get(key(k)) is not None for k in range(32)] == [k < 28 for k in range(32)]
    assert contents(engine) == {k: f"v{k}" for k in range(28)}


# -- what is due --------------------------------------------------------------------------------------------------------------


class Sized:
    """A layer of which only the size matters."""

    def __init__(self, lo: int, entries: int) -> None:
        self.lo, self.hi, self.entries = lo, lo + 1, entries


class Shaped:
    """A store of layers of these sizes, and a tail."""

    whole = True

    def __init__(self, sizes: list[int], tail: int, settings: DatabaseSettings) -> None:
        self.layers = tuple(Sized(lo, size) for lo, size in enumerate(sizes))
        self.tail = type("Tail", (), {"operations": tail, "bytes": 0, "lo": len(sizes)})()

    @property
    def parts(self) -> tuple[Sized, ...]:
        return (*self.layers, Sized(len(self.layers), self.tail.operations)) if self.tail.operations else self.layers


def settled(sizes: list[int], tail: int, settings: DatabaseSettings) -> tuple[list[int], int]:
    """Carry out what is due until nothing is; return the sizes of the layers and what that cost to write."""
    cost = 0
    while True:
        store: Any = Shaped(sizes, tail, settings)
        due = fold.due(store, settings)
        if due is None:
            return sizes, cost
        taken = [layer.lo for layer in due.layers]
        assert taken == [layer.lo for layer in store.parts][-len(taken) :], "a plan takes the newest layers, none left out"
        assert due.bottom == (len(due.layers) == len(store.parts))
        merged = sum(layer.entries for layer in due.layers)
        cost += merged
        if due.hi > len(sizes):
            tail = 0
        sizes = [*sizes[: due.lo], merged]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=300), st.integers(0, 100_000))
def test_what_is_due_keeps_the_layers_few_and_the_work_small(commits: list[int], base: int) -> None:
    """Runs grow by the ratio from one to the next, all over the base is less than its share, and no record is written too often."""
    settings = DatabaseSettings(tail_rows=200, run_ratio=4, base_share=0.1, run_limit=12)
    sizes: list[int] = [base] if base else []
    tail = written = 0
    for count in commits:
        tail += count
        before = tail
        sizes, cost = settled(sizes, tail, settings)
        written += cost
        if cost and before > settings.tail_rows:
            tail = 0
        assert tail <= settings.tail_rows
        if sizes[1:]:
            assert sum(sizes[1:]) < settings.base_share * sizes[0]
            assert all(older >= 4 * newer for older, newer in pairwise(sizes[1:]))
        assert len(sizes) <= 1 + 12
    levels = 2 + sum(commits).bit_length() / 2
    assert written <= (sum(commits) + base) * (levels + 1 / settings.base_share) + 300


@given(st.lists(st.integers(1, 1000), min_size=12, max_size=12))
def test_at_the_hard_cap_something_is_always_due(sizes: list[int]) -> None:
    settings = DatabaseSettings(run_limit=12, base_share=1e9)
    store: Any = Shaped(sorted(sizes, reverse=True), 0, settings)
    due = fold.due(store, settings)
    assert due is not None
    assert len(due.layers) >= 2


def test_a_long_tail_by_rows_or_bytes_becomes_a_run(make: Callable[..., Cluster]) -> None:
    for settings in ({"tail_rows": 10}, {"tail_bytes": 2000}):
        cluster = make(**TINY, **settings)
        engine = cluster.open(maintenance="inline")
        create(engine)
        for k in range(12):
            commit(engine, {k: "x" * 20})
        store = store_of(engine)
        assert store.tail.operations < 11
        assert len(store.trees) == 1
        assert contents(engine) == {k: "x" * 20 for k in range(12)}


def test_writers_merge_at_the_hard_cap_even_without_maintenance(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY, run_limit=4, base_share=1e9, run_ratio=1)
    engine, runs = cluster.open(), cluster.open(settings={"inline_rows": 0})
    create(engine)
    for n in range(20):
        commit(runs if n % 2 else engine, {n: f"{n}", 100: f"{n}"})
        assert len(store_of(engine).layers) <= 4 + 1
    assert contents(engine) == {**{n: f"{n}" for n in range(20)}, 100: "19"}


# -- what is written ----------------------------------------------------------------------------------------------------------


def test_leaves_that_did_not_change_are_named_not_written(engine: Engine, cluster: Cluster) -> None:
    commit(engine, {k: "x" * 20 for k in range(400)}, bulk=True)
    (first,) = names(cluster)
    commit(engine, {7: "y", 390: None})
    engine.upkeep.fold()
    blobs = store_of(engine).blobs
    (second,) = blobs.keys() - {first}
    leaf = tree_of(engine).ref.size / tree_of(engine).ref.leaves
    assert blobs[first] > 90 * leaf * 0.8
    children = list(tree_of(engine).children())
    assert sum(branch.extent(i).blob == second for branch, i, _ in children) <= 3
    assert contents(engine) == {k: "y" if k == 7 else "x" * 20 for k in range(400) if k != 390}


def test_a_leaf_nearly_empty_is_written_with_its_neighbours(engine: Engine) -> None:
    """Else deletes would leave a tree of a thousand leaves with a record each."""
    commit(engine, {k: "x" * 20 for k in range(400)}, bulk=True)
    commit(engine, {k: None for k in range(400) if k % 16})
    for _ in range(2):
        engine.upkeep.fold()
        commit(engine, {0: "again"})
    engine.upkeep.fold()
    assert tree_of(engine).ref.leaves <= 25 / 4 * 2
    assert len(contents(engine)) == 25


def test_a_blob_that_is_mostly_stale_is_let_go_by_the_next_fold(engine: Engine) -> None:
    commit(engine, {k: "x" * 20 for k in range(100)}, bulk=True)
    (first,) = store_of(engine).blobs
    commit(engine, {k: "y" * 20 for k in range(60)}, bulk=True)
    one = whole_plan(engine)
    assert one is not None
    upkeep(engine, one)
    assert store_of(engine).blobs[first] * 2 < engine.state().live[first].size
    assert first in fold.stale(store_of(engine), engine.state().live)
    again = whole_plan(engine)
    assert again is not None
    upkeep(engine, again)
    assert first not in store_of(engine).blobs
    assert whole_plan(engine) is None
    assert contents(engine) == {k: ("y" if k < 60 else "x") * 20 for k in range(100)}


def test_waste_beyond_what_is_needed_is_folded_away_by_itself(make: Callable[..., Cluster]) -> None:
    cluster = make(**RUNS)
    engine = cluster.open(maintenance="inline")
    create(engine)
    commit(engine, {k: "x" * 20 for k in range(400)}, bulk=True)
    commit(engine, {k: None for k in range(380)}, bulk=True)
    state = engine.state()
    needed = sum(store_of(engine).blobs.values())
    assert sum(live.size for live in state.live.values()) <= 2 * needed
    assert len(contents(engine)) == 20


def test_an_empty_store_needs_no_blob(engine: Engine) -> None:
    commit(engine, {k: "x" for k in range(20)})
    commit(engine, {k: None for k in range(20)})
    assert engine.upkeep.fold() == {"s": (2, 0)}
    assert store_of(engine).layers == ()
    assert store_of(engine).rows == 0
    assert engine.upkeep.fold("s") == {"s": (0, 0)}
    commit(engine, {1: "again"})
    assert contents(engine) == {1: "again"}
    with pytest.raises(StoreNotFound):
        engine.upkeep.fold("nobody")


def test_folding_reports_its_progress(engine: Engine) -> None:
    from contextlib import contextmanager

    told: list[Any] = []

    @contextmanager
    def progress(what: str, rows: int) -> Any:
        told.append((what, rows))
        yield told.append

    engine.upkeep.progress = progress
    commit(engine, {k: "x" for k in range(50)})
    commit(engine, {k: "y" for k in range(30, 40)})
    engine.upkeep.fold()
    assert told[0] == ("fold s", 60)
    assert sum(told[1:]) == 50


# -- races --------------------------------------------------------------------------------------------------------------------


def fold_of(store: StoreState, start: int, stop: int) -> Plan:
    return plan(store, start, stop)


RACES: dict[str, tuple[str, Callable[[Engine], Any]]] = {
    "another fold of the same layers": ("folded", lambda other: other.upkeep.fold()),
    "another fold of some of the layers": ("folded", lambda other: upkeep(other, plan(store_of(other), 0, 2))),
    "a drop": ("dropped", lambda other: _drop(other)),
}


def _drop(engine: Engine) -> None:
    work = engine.begin()
    work.drop("s")
    engine.commit(work)


@pytest.mark.parametrize("race", RACES)
def test_a_fold_that_was_overtaken_is_discarded_with_its_blob(cluster: Cluster, engine: Engine, race: str) -> None:
    """It is valid only while the layers that it replaces are there, side by side."""
    why, overtake = RACES[race]
    other = cluster.open()
    for n in range(3):
        commit(engine, {k: f"{n}" for k in range(n, 30, 3)})
    mine = plan(store_of(engine), 1, 3)
    overtake(other)
    before = names(cluster)
    with pytest.raises(Conflict, match=why):
        engine.upkeep._fold(mine)
    assert names(cluster) == before
    if "s" in other.state().names:
        assert contents(engine) == {k: f"{k % 3}" for k in range(30)}


def test_a_fold_of_the_tail_is_overtaken_by_a_commit_that_seals_it(make: Callable[..., Cluster]) -> None:
    """And not by one that only adds to it, to another store, or folds another store."""
    cluster = make(**TINY)
    engine, runs = cluster.open(), cluster.open(settings={"inline_rows": 0})
    create(engine)
    create(engine, "t")
    commit(engine, {k: "tail" for k in range(20)})
    mine = plan(store_of(engine), 0, 1)
    commit(engine, {3: "more", 50: "more"})
    commit(runs, {1: "elsewhere"}, "t")
    runs.upkeep.fold("t")
    upkeep(engine, mine)
    assert [layer.entries for layer in store_of(engine).parts] == [20, 2]
    mine = plan(store_of(engine), 0, 2)
    commit(runs, {4: "run"})
    before = names(cluster)
    with pytest.raises(Conflict, match="sealed"):
        engine.upkeep._fold(mine)
    assert names(cluster) == before
    assert contents(engine) == {**{k: "tail" for k in range(20)}, 3: "more", 4: "run", 50: "more"}


def test_folds_of_other_layers_do_not_disturb_each_other(cluster: Cluster, engine: Engine) -> None:
    other = cluster.open()
    for n in range(4):
        commit(engine, {k: f"{n}" for k in range(n, 40, 4)} | {100: f"{n}"})
    for mine, theirs in ((plan(store_of(engine), 2, 4), plan(store_of(other), 0, 2)),):
        upkeep(other, theirs)
        upkeep(engine, mine)
    assert [layer.entries for layer in store_of(engine).parts] == [21, 21]
    assert contents(engine) == contents(cluster.open()) == {**{k: f"{k % 4}" for k in range(40)}, 100: "3"}
    assert store_of(engine).rows == 41


def test_a_fold_of_layers_below_is_not_overtaken_by_commits_above(cluster: Cluster, engine: Engine) -> None:
    other = cluster.open()
    for n in range(3):
        commit(engine, {k: f"{n}" for k in range(n, 30, 3)})
    mine = plan(store_of(engine), 0, 2)
    commit(other, {1: "newest", 99: "newest"})
    upkeep(engine, mine)
    assert [layer.entries for layer in store_of(engine).parts] == [20, 10, 2]
    assert contents(other) == {**{k: f"{k % 3}" for k in range(30)}, 1: "newest", 99: "newest"}


def test_a_fold_that_cannot_be_committed_leaves_no_blob(cluster: Cluster, engine: Engine, monkeypatch: Any) -> None:
    commit(engine, {k: "x" for k in range(30)})
    commit(engine, {k: "y" for k in range(3)})
    before = names(cluster)

    def broken(*args: Any) -> Any:
        raise StorageError("the log", "broken")

    monkeypatch.setattr(cluster.memory, "append", broken)
    with pytest.raises(StorageError):
        engine.upkeep.fold()
    monkeypatch.undo()
    assert names(cluster) == before
    assert len(store_of(engine).layers) == 2


def test_a_fold_and_a_commit_in_flight_both_come_through(make: Callable[..., Cluster]) -> None:
    """A transaction that began before a fold commits after it, over the folded layers."""
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: "x" for k in range(20)})
    work = engine.begin()
    change(work.store("s"), {3: None, 4: "mine", 70: "mine"})
    other.upkeep.fold()
    engine.commit(work)
    wanted = {**{k: "x" for k in range(20) if k != 3}, 4: "mine", 70: "mine"}
    assert contents(engine) == contents(cluster.open()) == wanted
    assert store_of(engine).rows == len(wanted)
