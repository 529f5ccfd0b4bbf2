"""Folds beside writers and other folds: an explicit one comes to an end however busy the others are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sopnb.engine import fold
from sopnb.engine.engine import Engine
from sopnb.errors import Timeout
from tests.engine.support import Cluster, commit, contents, create, plan, store_of, upkeep, whole_plan


class Interrupted:
    """A registry that lets others do something before each turn of an engine."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.first: Callable[[], object] | None = None

    def turn(self, timeout: float) -> Any:
        first, self.first = self.first, None
        if first is not None:
            first()
            self.first = first
        return self._inner.turn(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def bulk(engine: Engine, text: str) -> int:
    return commit(engine, {k: text for k in range(12)}, bulk=True)


@pytest.fixture
def cluster() -> Any:
    cluster = Cluster(inline_rows=4, leaf_rows=4, leaf_bytes=256)
    create(cluster.open())
    yield cluster
    cluster.verify()


def test_a_fold_is_not_disturbed_by_folds_of_other_layers(cluster: Cluster) -> None:
    # Of a large store the base was being folded for a minute; each time somebody folded a few new records into a run, it began again.
    slow, other = cluster.open(), cluster.open()
    for text in "ab":
        bulk(slow, text)
    below = plan(store_of(slow), 0, 2)
    commit(other, {1: "c"})
    commit(other, {2: "c"})
    upkeep(other, plan(store_of(other), 2, 3))
    upkeep(slow, below)
    bulk(other, "d")
    above = plan(store_of(slow), 1, 3)
    upkeep(other, plan(store_of(other), 0, 1))
    upkeep(slow, above)
    assert contents(cluster.open()) == dict.fromkeys(range(12), "d")


def test_an_explicit_fold_ends_although_large_commits_seal_the_tail_each_time(cluster: Cluster) -> None:
    cluster.registry = Interrupted(cluster.memory)
    busy = cluster.open()
    folder = cluster.open()
    bulk(folder, "a")
    commit(folder, {1: "b"})
    sealed = 0

    def seal() -> None:
        nonlocal sealed
        sealed += 1
        cluster.registry.first = None
        bulk(busy, f"c{sealed}")
        commit(busy, {1: f"d{sealed}"})

    cluster.registry.first = seal
    folder.upkeep.fold()
    cluster.registry.first = None
    assert sealed < 30
    assert contents(cluster.open()) == {**dict.fromkeys(range(12), f"c{sealed}"), 1: f"d{sealed}"}


def test_an_explicit_fold_ends_when_others_folded_what_it_began_with(cluster: Cluster) -> None:
    # Whoever compacts beside a busy loader lost to the loader's own folds again and again, for as long as it loaded.
    cluster.registry = Interrupted(cluster.memory)
    busy, folder = cluster.open(), cluster.open()
    bulk(folder, "a")
    bulk(folder, "b")
    folds = 0

    def overtake() -> None:
        nonlocal folds
        folds += 1
        cluster.registry.first = None
        cluster.clock.sleep(1)
        upkeep(busy, whole_plan(busy))  # of one that had begun before
        bulk(busy, f"c{folds}")

    cluster.registry.first = overtake
    folder.upkeep.fold()
    cluster.registry.first = None
    assert folds < 5
    assert len(store_of(folder).parts) == 2


@pytest.mark.parametrize("long", [fold.LONG, 10])
def test_an_explicit_fold_that_is_kept_from_it_says_so_in_the_end(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, long: int) -> None:
    """Also one that takes long, of which the tail is sealed before."""
    monkeypatch.setattr(fold, "LONG", long)
    folder = cluster.open(run_seconds=5)
    bulk(folder, "a")
    bulk(folder, "b")
    commit(folder, {1: "tail"})

    def lose(plan: Any) -> bool:
        cluster.clock.sleep(1)
        return False

    monkeypatch.setattr(folder.upkeep, "_try", lose)
    with pytest.raises(Timeout, match="waited 5 s for other folds of store 's'"):
        folder.upkeep.fold()
