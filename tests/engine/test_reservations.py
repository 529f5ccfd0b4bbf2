"""Who folds much is not overtaken again and again by the quicker folds of others, nor do several make the same fold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sopnb.engine import fold
from sopnb.engine.engine import Engine
from sopnb.engine.reservations import Reservations
from sopnb.errors import StorageError
from sopnb.protocols import Reserved
from tests.engine.support import TINY, Cluster, commit, contents, create, store_of

SMALL = {**TINY, "inline_rows": 100, "tail_rows": 8, "run_limit": 4, "run_ratio": 2}


def shown(engine: Engine, then: Callable[[], object]) -> list[int]:
    """Have something happen whenever a fold of this engine goes on by a part; return the folds that it began, as they begin."""
    begun: list[int] = []

    @contextmanager
    def progress(what: str, rows: int) -> Iterator[Any]:
        begun.append(rows)
        yield lambda rows: then()

    engine.upkeep.progress = progress
    return begun


def test_a_fold_of_everything_is_not_overtaken_by_the_upkeep_of_others(make: Callable[..., Cluster]) -> None:
    """Others' commits make folds due all the time; before, each of them was quicker, and this one never came through."""
    cluster = make(**SMALL)
    engine, other = cluster.open(), cluster.open(maintenance="inline")
    create(engine)
    for n in range(1, 4):
        commit(other, {k: f"{n}" for k in range(0, 900 // n**2, n)}, bulk=True)
    model = contents(engine)

    def meanwhile() -> None:
        assert len(begun) <= 20, "it begins again and again"
        for k in range(1000, 1040):
            commit(other, {k: f"{len(begun)}"})
            model[k] = f"{len(begun)}"

    begun = shown(engine, meanwhile)
    engine.upkeep.fold("s")
    assert len(begun) <= 3
    engine.upkeep.progress = Engine.open(engine.backend, engine.settings, engine.handle).upkeep.progress
    assert contents(engine) == contents(cluster.open()) == model
    assert not cluster.reserved[engine.backend.pins.owner]


def test_what_lies_above_is_folded_meanwhile(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    """A fold that takes long has the tail sealed before, so neither the tail nor the runs above grow without end."""
    monkeypatch.setattr(fold, "LONG", 100)
    cluster = make(**SMALL)
    engine, other = cluster.open(), cluster.open(maintenance="inline")
    create(engine)
    commit(engine, {k: "old" for k in range(300)}, bulk=True)
    commit(engine, {1: "tail", 400: "tail"})
    most = [0, 0]

    def meanwhile() -> None:
        if begun[-1] > 100:
            for k in range(500, 530):
                commit(other, {k: f"{k}"})
            store = store_of(other)
            most[:] = [max(most[0], store.tail.operations), max(most[1], len(store.layers))]

    begun = shown(engine, meanwhile)
    engine.upkeep.fold("s")
    assert begun[:2] == [2, 302]
    assert 0 < most[0] <= 9
    assert 2 < most[1] <= 6
    assert store_of(engine).layers[0].entries == 301
    assert contents(engine) == {**{k: "old" for k in range(300)}, 1: "tail", 400: "tail", **{k: f"{k}" for k in range(500, 530)}}


def test_of_many_that_find_the_same_fold_due_one_makes_it(make: Callable[..., Cluster]) -> None:
    cluster = make(**SMALL)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    for k in range(12):
        commit(engine, {k: "x"})
    theirs = shown(other, lambda: None)
    begun = shown(engine, lambda: other.upkeep.step())
    engine.upkeep.step()
    assert (len(begun), len(theirs)) == (1, 0)
    other.upkeep.step()
    assert not theirs, "there is nothing left to do"


def test_who_found_a_fold_due_that_another_has_made_does_not_make_it(make: Callable[..., Cluster]) -> None:
    cluster = make(**SMALL)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    for k in range(12):
        commit(engine, {k: "x"})
    late = fold.due(store_of(other), other.settings)
    assert late is not None
    engine.upkeep.step()
    begun = shown(other, lambda: None)
    assert not other.upkeep._try_alone(late)
    assert not begun


def test_a_process_that_dies_reserves_nothing_any_more(make: Callable[..., Cluster]) -> None:
    cluster = make(**SMALL)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    for k in range(12):
        commit(engine, {k: "x"})
    store = store_of(engine)
    with other.upkeep._reservations.taken(Reserved(store.id, 0, store.seq)) as theirs:
        assert theirs
        engine.upkeep.step()
        assert not store_of(engine).trees
        cluster.kill(other)
        engine.upkeep.step()
        assert len(store_of(engine).trees) == 1
    cluster.reserved.clear()


def test_who_waits_goes_on_in_the_end_and_then_one_after_the_other(make: Callable[..., Cluster]) -> None:
    cluster = make(**SMALL)
    first, second = (engine.upkeep._reservations for engine in sorted((cluster.open(), cluster.open()), key=lambda e: e.backend.pins.owner))
    mine = Reserved(1, 0, 10)
    with first.taken(mine) as one:
        assert one
        assert first.above(1) == second.above(1) == 10
        assert first.above(2) == 0
        with second.taken(Reserved(1, 5, 12)) as other:
            assert not other
        with second.taken(Reserved(1, 10, 12)) as above, second.taken(Reserved(2, 0, 99)) as elsewhere:
            assert above
            assert elsewhere
        before = cluster.clock.monotonic()
        with second.taken(mine, wait=5) as other:
            assert other
        assert 5 <= cluster.clock.monotonic() - before < 6
        with first.taken(mine) as again:
            assert not again, "it is a thread of the same engine that has it"
    with second.taken(mine) as other:
        assert other


@pytest.mark.parametrize("late", [0, 1])
def test_two_that_wait_for_each_other_do_not_wait_for_ever(make: Callable[..., Cluster], late: int) -> None:
    """Both had said so before either looked: the smaller owner stays, the other one takes its word back until that is done."""
    cluster = make(**SMALL)
    engines = sorted((cluster.open(), cluster.open()), key=lambda engine: engine.backend.pins.owner)
    mine = Reserved(1, 0, 10)
    reservations = [engine.upkeep._reservations for engine in engines]
    reservations[1 - late]._say(mine)
    began = cluster.clock.monotonic()

    def other_is_done(seconds: float) -> None:
        if not late and cluster.reserved[engines[1].backend.pins.owner]:
            reservations[1]._unsay(mine)
        type(cluster.clock).sleep(cluster.clock, seconds)
        if late:
            assert not cluster.reserved[engines[1].backend.pins.owner], "it took its word back"
            if reservations[0]._mine:
                reservations[0]._unsay(mine)

    cluster.clock.sleep = other_is_done  # type: ignore[method-assign]
    with reservations[late].taken(mine, wait=100) as went_on:
        assert went_on
    assert cluster.clock.monotonic() - began < 1


def test_a_hint_that_cannot_be_given_stops_nobody(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    cluster = make(**SMALL)
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "x" for k in range(12)})

    def full(reserved: object) -> None:
        raise StorageError("pins", "no space")

    monkeypatch.setattr(engine.backend.pins, "reserve", full)
    engine.upkeep.fold()
    assert len(store_of(engine).trees) == 1


def test_threads_of_one_engine_take_turns(make: Callable[..., Cluster]) -> None:
    cluster = make(**SMALL)
    reservations: Reservations = cluster.open().upkeep._reservations
    inside, most, mutex = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with reservations.taken(Reserved(1, 0, 10)) as mine:
                if mine:
                    with mutex:
                        inside += 1
                        most = max(most, inside)
                    with mutex:
                        inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not reservations._mine
