"""Who folds, checkpoints and collects: a thread behind the commits, the commits themselves, or nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from sopnb.engine.engine import Engine
from sopnb.engine.maintenance import Maintenance
from sopnb.engine.upkeep import Upkeep
from sopnb.errors import Closed, StorageError
from tests.engine.support import TINY, Cluster, commit, contents, create, store_of

BUSY = {**TINY, "tail_rows": 8, "log_bytes": 2000, "run_ratio": 4, "base_share": 0.5, "retention_seconds": 0.0}


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Cluster:
    return make(**BUSY)


def work(engine: Engine, commits: int = 60) -> dict[int, str]:
    create(engine)
    for k in range(commits):
        commit(engine, {k % 20: f"{k}", 20 + k: "x"})
    model = {k % 20: f"{k}" for k in range(commits)} | {20 + k: "x" for k in range(commits)}
    return dict(sorted(model.items()))


@pytest.mark.parametrize("maintenance", ["inline", "thread"])
def test_layers_and_log_stay_short_by_themselves(cluster: Cluster, maintenance: str) -> None:
    engine = cluster.open(maintenance=maintenance)
    model = work(engine)
    assert engine.maintenance.wait(60)
    assert store_of(engine).tail.operations <= 8 + 2
    assert len(store_of(engine).layers) <= 4
    assert engine.backend.registry.size() <= 2 * 2000 + 1000
    assert list(cluster.memory.checkpoints())
    assert contents(engine) == contents(cluster.open()) == model
    assert engine.maintenance.trouble is None


def test_all_tails_together_keep_to_a_few_times_what_one_may_take(make: Callable[..., Cluster]) -> None:
    """Each of many stores stays below its own limit; the longest tails are folded when the log is."""
    cluster = make(**TINY, tail_bytes=4000, tail_rows=10**6, log_bytes=1000)
    engine = cluster.open(maintenance="inline")
    names = [f"s{n}" for n in range(12)]
    for name in names:
        create(engine, name)
    for k in range(12):
        for name in names:
            commit(engine, {k: name}, name)
    tails = {name: store_of(engine, name).tail.bytes for name in names}
    assert max(tails.values()) < 4000
    assert sum(tails.values()) <= 4 * 4000 + 6000, "and what a log adds"
    assert any(store_of(engine, name).layers for name in names)
    assert all(contents(engine, name) == {k: name for k in range(12)} for name in names)


def test_with_maintenance_off_nothing_happens_until_it_is_asked_for(cluster: Cluster) -> None:
    engine = cluster.open(maintenance="off")
    model = work(engine)
    assert store_of(engine).layers == ()
    assert not list(cluster.memory.checkpoints())
    engine.upkeep.compact(0)
    assert len(store_of(engine).layers) == 1
    assert contents(cluster.open()) == model


def test_a_reader_maintains_nothing(cluster: Cluster) -> None:
    work(cluster.open())
    reader = cluster.open(writable=False, maintenance="inline")
    reader.maintenance.wake()
    assert store_of(reader).layers == ()


def test_closing_waits_for_what_is_being_done(cluster: Cluster, monkeypatch: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()
    checkpoint = Upkeep.checkpoint

    def slow(self: Upkeep) -> int:
        begun.set()
        assert go_on.wait(60)
        return checkpoint(self)

    monkeypatch.setattr(Upkeep, "checkpoint", slow)
    engine = cluster.open(maintenance="thread")
    work(engine)
    assert begun.wait(60)
    closed = threading.Event()
    closing = threading.Thread(target=lambda: (engine.close(), closed.set()))
    closing.start()
    assert not closed.is_set()
    go_on.set()
    closing.join(60)
    assert closed.is_set()
    assert list(cluster.memory.checkpoints())
    cluster.engines.remove(engine)


def test_closing_breaks_a_long_fold_off(cluster: Cluster, monkeypatch: Any) -> None:
    """And leaves nothing of it: no blob, no commit."""
    from contextlib import contextmanager

    engine = cluster.open(maintenance="thread")
    begun, stopped = threading.Event(), threading.Event()

    @contextmanager
    def progress(what: str, rows: int) -> Any:
        begun.set()
        assert stopped.wait(60)
        yield lambda done: None

    engine.upkeep.progress = progress
    stop = engine.upkeep.stop
    monkeypatch.setattr(engine.upkeep, "stop", lambda: (stop(), stopped.set()))
    model = work(engine, 20)
    assert begun.wait(60)
    engine.close()
    cluster.engines.remove(engine)
    assert list(cluster.blobs.names()) == []
    assert contents(cluster.open()) == model
    engine.close()
    for use in (engine.state, engine.begin, engine.refresh):
        with pytest.raises(Closed):
            use()


def test_trouble_harms_no_commit_and_is_told(cluster: Cluster, monkeypatch: Any) -> None:
    def broken(*args: Any) -> Any:
        raise StorageError("the disk", "broken")

    for maintenance in ("inline", "thread"):
        engine = cluster.open(maintenance=maintenance)
        monkeypatch.setattr(cluster.store, "put", broken)
        if maintenance == "inline":
            create(engine)
        model = {**contents(engine), **{k: f"{maintenance} {k}" for k in range(20)}}
        for k in range(20):
            commit(engine, {k: f"{maintenance} {k}"})
        engine.maintenance.wait(60)
        assert isinstance(engine.maintenance.trouble, StorageError)
        assert "broken" in engine.info()["maintenance"]
        assert contents(engine) == model
        monkeypatch.undo()
        commit(engine, {6: maintenance})
        engine.maintenance.wait(60)
        assert engine.maintenance.trouble is None
        assert engine.info()["maintenance"] is None


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), MemoryError()])
def test_a_bug_in_maintenance_does_not_let_close_wait_for_ever(error: Exception) -> None:
    """The thread died of it and nobody said that it was gone."""

    def task() -> bool:
        raise error

    maintenance = Maintenance("thread", task)
    maintenance.wake()
    assert maintenance.wait(60)
    assert maintenance.trouble is error
    maintenance.wake()
    maintenance.close()
    maintenance.wake()
    assert maintenance.wait(0)


def test_more_to_do_is_done_and_a_wake_meanwhile_is_not_lost() -> None:
    done: list[int] = []
    inside, go_on = threading.Event(), threading.Event()

    def task() -> bool:
        inside.set()
        assert go_on.wait(60)
        done.append(len(done))
        return len(done) in (1, 2)

    maintenance = Maintenance("thread", task)
    maintenance.wake()
    assert inside.wait(60)
    maintenance.wake()
    go_on.set()
    assert maintenance.wait(60)
    assert done == [0, 1, 2, 3], "three of the first wake, one of the second"
    maintenance.close()


def test_many_writers_and_their_maintenance_lose_nothing(cluster: Cluster) -> None:
    """Two processes of two threads each fold, checkpoint and collect while they commit."""
    engines = cluster.open(maintenance="thread"), cluster.open(maintenance="thread", settings={"inline_rows": 0})
    create(engines[0])
    failures: list[BaseException] = []

    def write(me: int) -> None:
        try:
            for n in range(25):
                commit(engines[me % 2], {me * 1000 + n: f"{n}", me * 1000 + n // 2: f"again {n}"})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for engine in engines:
        assert engine.maintenance.wait(60)
        assert engine.maintenance.trouble is None
    wanted = {}
    for me in range(4):
        for n in range(25):
            wanted |= {me * 1000 + n: f"{n}", me * 1000 + n // 2: f"again {n}"}
    assert contents(cluster.open()) == dict(sorted(wanted.items()))
