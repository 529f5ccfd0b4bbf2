"""Being called with the changes of each new commit, in order, whoever made it, and none left out without a word."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb.access.lease import Lease
from sopnb.errors import HistoryTrimmed
from tests.engine.support import Cluster
from tests.past.support import QUIET, TINY, rows
from tests.race import workers
from tests.race.forkserver import ForkServer

SOON = 60.0


def test_each_commit_is_told_once_and_in_order(db: Any) -> None:
    planes = db.load("planes", rows([1, 2]), "k")
    calls: queue.Queue[Any] = queue.Queue()
    with db.watch(calls.put) as watch:
        for n in range(20):
            planes.upsert({"k": n, "v": f"{n}"})
        db.fold()
        planes.delete([1, 2, 3, 4, 5])
        found = [calls.get(timeout=SOON) for _ in range(21)]
    assert [frame["_seq"].unique().tolist() for frame in found] == [[seq] for seq in db.log(since=1)["seq"]]
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), db.changes(1))
    assert calls.empty()
    assert not watch.running


def test_one_store_is_told_alone_and_in_its_dtypes(db: Any) -> None:
    db.load("planes", rows([1]).set_index("k"))
    calls: queue.Queue[Any] = queue.Queue()
    with db.watch(calls.put, since=0, store="planes"):
        first = calls.get(timeout=SOON)
        with db.transaction() as tx:
            tx.load("others", rows([5]), "k")
            tx["planes"].insert({"k": 2, "v": "b"})
        second = calls.get(timeout=SOON)
    for frame in (first, second):
        assert frame.index.name == "k"
        assert list(frame.columns) == ["_seq", "_time", "_author", "_message", "_change", "v"]
    assert second["v"].tolist() == ["b"]


def test_commits_of_another_process_are_told(server: ForkServer, tmp_path: Path) -> None:
    path = tmp_path / "base.sop"
    workers.create(path)
    calls: queue.Queue[Any] = queue.Queue()
    with sopnb.open(path, handle=QUIET) as db, db.watch(calls.put):
        child = server.start("write", path, 1)
        frame = calls.get(timeout=SOON)
        assert frame["_change"].unique().tolist() == ["insert"]
        child.kill()
        assert db.check().ok


def test_an_error_of_the_callback_ends_it_and_is_raised_at_the_end(db: Any) -> None:
    planes = db.load("planes", rows([1]), "k")
    called = threading.Event()

    def callback(frame: Any) -> None:
        called.set()
        raise ZeroDivisionError(len(frame))

    watch = db.watch(callback)
    planes.insert({"k": 2, "v": "b"})
    assert called.wait(SOON)
    watch.end()
    assert isinstance(watch.error, ZeroDivisionError)
    assert "over" in repr(watch)
    with pytest.raises(ZeroDivisionError):
        watch.stop()
    watch.stop()
    mine = KeyError("mine")
    with suppress(KeyError), db.watch(callback) as other:
        called.clear()
        planes.insert({"k": 3, "v": "b"})
        assert called.wait(SOON)
        other._thread.join(SOON)
        raise mine
    assert "ZeroDivisionError" in mine.__notes__[0]


def test_a_callback_may_use_the_database_and_stop_its_own_watch(db: Any) -> None:
    planes = db.load("planes", rows([1]), "k")
    db.create("copies", {"k": "int64", "v": "string"}, "k")
    done = threading.Event()

    def copy(frame: Any) -> None:
        db["copies"].upsert(frame.loc[frame["_change"] != "delete", ["k", "v"]])
        if 3 in frame["k"].tolist():
            watch.stop()
            done.set()

    watch = db.watch(copy, store="planes", since=0)
    planes.insert(rows([2, 4]))
    planes.insert(rows([3, 5]))
    planes.insert(rows([6, 7]))
    assert done.wait(SOON)
    watch.stop()
    assert list(db["copies"]) == [1, 2, 3, 4, 5]


def test_what_is_not_told_yet_is_kept(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "a.sop", settings=TINY, handle=QUIET) as db:
        planes = db.load("planes", rows([1]), "k")
        calls: queue.Queue[Any] = queue.Queue()
        going = threading.Event()

        def slow(frame: Any) -> None:
            assert going.wait(SOON)
            calls.put(frame)

        with db.watch(slow):
            for n in range(5):
                planes.upsert(rows(range(10), f"{n}"))
                db.compact(keep=0)
            going.set()
            assert [calls.get(timeout=SOON)["v"].unique().tolist() for _ in range(5)] == [[f"{n}"] for n in range(5)]
        assert db.check().ok


def test_a_gap_is_told_by_an_error(cluster: Cluster) -> None:
    writer = sopnb.Database(Lease.over(cluster.open()))
    reader = sopnb.Database(Lease.over(cluster.open(writable=False)))
    planes = writer.load("planes", rows([1]), "k")
    called, going = threading.Event(), threading.Event()

    def slow(frame: Any) -> None:
        called.set()
        assert going.wait(SOON)

    watch = reader.watch(slow, since=0)
    assert called.wait(SOON)
    for n in range(6):
        planes.upsert(rows(range(10), f"{n}"))
        cluster.clock.sleep(1)
        writer.compact(keep=0)
    going.set()
    watch._thread.join(SOON)
    with pytest.raises(HistoryTrimmed):
        watch.stop()


def test_closing_the_database_ends_it(tmp_path: Path) -> None:
    db = sopnb.open(tmp_path / "a.sop", handle=QUIET)
    watch = db.watch(print)
    db.close()
    assert not watch.running
    watch.stop()
    assert watch.error is None


def test_a_forked_child_is_not_called_and_ends_its_watch_at_once(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "a.sop", handle=QUIET) as db:
        planes = db.load("planes", rows([1]), "k")
        calls: queue.Queue[Any] = queue.Queue()
        with db.watch(calls.put) as watch:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    planes.insert({"k": 2, "v": "child"})
                    watch.stop()
                    code = 0 if calls.empty() and not watch.running else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert calls.get(timeout=SOON)["v"].tolist() == ["child"]
        assert db.check().ok
