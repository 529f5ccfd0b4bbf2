"""A process forks in the middle of use: the child neither keeps the parent's locks nor waits for threads that it does not have.

Parent and child talk through pipes; what is waited for has a limit, so a lock that is never let go of fails the test.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import sopnb
from sopnb.engine.engine import Engine
from sopnb.errors import InvalidState
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.location import open_backend
from tests.engine.support import commit, contents, create

LIMIT = 30.0
"""Seconds within which a child must be done."""
TINY = DatabaseSettings(leaf_bytes=256, leaf_rows=4, branch_bytes=200, inline_rows=8, tail_rows=16, log_bytes=16 * 1024)


def opened(path: Path, **handle: object) -> Engine:
    used = HandleSettings(**{"maintenance": "off", **handle})  # type: ignore[arg-type]
    backend, settings = open_backend(path, settings=None if path.exists() else TINY, handle=used)
    return Engine.open(backend, settings, used)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path / "base.sop")
    create(engine)
    yield engine
    engine.close()
    with_nothing_open = opened(tmp_path / "base.sop")
    assert with_nothing_open.check().ok
    with_nothing_open.close()


class Child:
    """A forked child that runs ``body``; what it returns or raises comes through a pipe as text."""

    def __init__(self, body: Callable[[], object]) -> None:
        self._read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                said = f"returned {body()!r}"
            except BaseException:
                said = traceback.format_exc()
            os.write(write, said.encode()[-4000:])
            os._exit(0)
        os.close(write)

    def said(self) -> str:
        """Wait for the end of the child."""
        text = b""
        while True:
            ready, _, _ = select.select([self._read], [], [], LIMIT)
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"the child was not done within {LIMIT} s")
            part = os.read(self._read, 4096)
            if not part:
                break
            text += part
        os.close(self._read)
        os.waitpid(self.pid, 0)
        return text.decode()


@contextmanager
def held(lock: object) -> Iterator[None]:
    """Let another thread of this process hold a lock."""
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:  # type: ignore[attr-defined]
            inside.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_the_child_and_the_parent_both_go_on(engine: Engine) -> None:
    commit(engine, {1: "parent"})
    child = Child(lambda: (commit(engine, {2: "child"}), contents(engine)))
    assert child.said() == "returned (3, {1: 'parent', 2: 'child'})"
    assert contents(engine) == {1: "parent", 2: "child"}
    commit(engine, {3: "parent"})


def test_while_another_thread_holds_the_commit_lock_the_child_waits_for_the_parent_only(engine: Engine) -> None:
    with held(engine.backend.registry.turn(5)):
        child = Child(lambda: commit(engine, {1: "child"}))
        assert not select.select([child._read], [], [], 0.2)[0]
    assert child.said() == "returned 2"
    assert contents(engine) == {1: "child"}


def test_a_child_forked_within_a_turn_is_not_in_it(engine: Engine) -> None:
    def body() -> int:
        return commit(engine, {1: "child"})

    with engine.backend.registry.turn(5):
        child = Child(body)
        assert not select.select([child._read], [], [], 0.2)[0]
    assert child.said() == "returned 2"


def test_leaving_the_turn_of_the_parent_means_nothing_in_the_child(engine: Engine) -> None:
    """The child unwinds the frame in which it was forked, and lets go of no turn: not the parent's, and not one of its own."""
    turn = engine.backend.registry.turn(5)
    turn.__enter__()

    def body() -> int:
        turn.__exit__(None, None, None)
        with engine.backend.registry.turn(5):
            turn.__exit__(None, None, None)
            engine.backend.registry.append([], engine.backend.registry.head().seq)  # still within the own one
        return commit(engine, {1: "child"})

    try:
        child = Child(body)
        assert not select.select([child._read], [], [], 0.2)[0]
    finally:
        turn.__exit__(None, None, None)
    assert child.said() == "returned 2"


def test_a_killed_holder_with_a_living_child_keeps_nobody_out(engine: Engine, tmp_path: Path) -> None:
    ready, tell = os.pipe()
    stay, leave = os.pipe()

    def holder() -> None:
        mine = opened(tmp_path / "base.sop")
        with mine.backend.registry.turn(5):
            if not os.fork():
                os.close(leave)
                os.write(tell, b".")
                os.read(stay, 1)  # lives on until the test is over
                os._exit(0)
            signal.pause()

    child = Child(holder)
    os.read(ready, 1)
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    assert commit(engine, {1: "next"}) == 2
    os.close(leave)
    os.close(child._read)


@pytest.mark.parametrize(
    "lock",
    [
        lambda engine: engine._mutex,
        lambda engine: engine._committer._mutex,
        lambda engine: engine._committer._lead,
        lambda engine: engine.maintenance._mutex,
        lambda engine: engine.cache._mutex,
        lambda engine: engine.reader.shelves._mutex,
        lambda engine: engine.state().stores["s"].tail._mutex,
        lambda engine: engine.backend.blobs._mutex,
        lambda engine: engine.backend.pins._mutex,
        lambda engine: engine.backend.registry._head._mutex,
        lambda engine: engine.backend.registry._index._mutex,
    ],
    ids=["engine", "queue", "lead", "maintenance", "cache", "shelves", "tail", "blobs", "pins", "head", "index"],
)
def test_a_lock_that_another_thread_held_is_free_in_the_child(engine: Engine, lock: Callable[[Engine], object]) -> None:
    # A tail that another thread was decoding, or a cache that it was changing, stayed locked in the child for good.
    commit(engine, {k: "x" for k in range(20)}, bulk=True)
    commit(engine, {1: "y"})

    def body() -> object:
        found = contents(engine)
        commit(engine, {k: "z" for k in range(20)}, bulk=True)
        engine.upkeep.compact(keep=0)
        found |= {1: found[1]}
        engine.close()
        return found[1]

    with held(lock(engine)):
        child = Child(body)
        said = child.said()
    assert said == "returned 'y'"


def test_a_fork_with_a_running_maintenance_thread_leaves_the_child_with_its_own(tmp_path: Path) -> None:
    inside, done = threading.Event(), threading.Event()
    engine = opened(tmp_path / "base.sop", maintenance="thread")
    create(engine)
    step = engine.upkeep.step

    def slow() -> bool:
        inside.set()
        done.wait(LIMIT)
        return step()

    engine.maintenance._task = slow
    commit(engine, {k: "x" for k in range(8)})
    commit(engine, {k: "x" for k in range(8, 16)})
    commit(engine, {k: "x" for k in range(16, 24)})
    assert inside.wait(LIMIT)

    def body() -> object:
        done.set()
        for i in range(4):
            commit(engine, {k: f"child {i}" for k in range(8)})
        engine.maintenance.wait(LIMIT)
        engine.close()
        return engine.maintenance.trouble

    said = Child(body).said()
    done.set()
    engine.close()
    assert said == "returned None"
    with_nothing_open = opened(tmp_path / "base.sop")
    assert len(contents(with_nothing_open)) == 24
    assert with_nothing_open.check().ok
    with_nothing_open.close()


def test_a_transaction_begun_before_the_fork_belongs_to_the_parent(engine: Engine) -> None:
    # Both committed it; or the child's commit named a blob, written ahead by the parent, that the parent deleted when it rolled back.
    work = engine.begin()
    work.store("s").put("insert", (1, "once"))

    def body() -> object:
        try:
            engine.commit(work)
        except InvalidState as error:
            return str(error)
        return "committed"

    assert "before the process was forked" in Child(body).said()
    assert engine.commit(work) == 2
    assert contents(engine) == {1: "once"}


def test_a_child_that_ends_leaves_the_parents_pin_and_lock_alone(engine: Engine) -> None:
    def body() -> object:
        engine.close()
        return None

    assert Child(body).said() == "returned None"
    assert engine.backend.pins.alive(engine.backend.pins.owner)
    assert [pin.owner for pin in engine.backend.pins.held()] == [engine.backend.pins.owner]
    commit(engine, {1: "parent"})


def test_children_of_one_handle_write_beside_their_parent(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "base.sop", settings=TINY) as db:
        s = db.create("s", schema={"who": "int64", "n": "int64"}, index=["who", "n"])

        def body(who: int) -> int:
            for n in range(30):
                s.insert({"who": who, "n": n})
            return s.prefix(who).count()

        children = [Child(lambda who=who: body(who)) for who in range(1, 4)]  # type: ignore[misc]
        body(0)
        assert [child.said() for child in children] == ["returned 30"] * 3
        assert len(s) == 120
        assert db.check().ok


def test_a_fork_inside_a_transaction_leaves_it_to_the_parent_and_the_child_begins_its_own(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "base.sop", settings=TINY) as db:
        db.create("s", schema={"k": "int64", "v": "string"}, index="k")
        with db.transaction() as tx:
            tx["s"].insert(pd.DataFrame({"k": range(20), "v": ["parent"] * 20}))

            def body() -> str:
                try:
                    tx.commit()
                except InvalidState as error:
                    told = str(error)
                tx.__exit__(None, None, None)
                with db.transaction() as mine:
                    mine["s"].insert({"k": 100, "v": "child"})
                return told

            said = Child(body).said()
        assert "before the process was forked" in said
        assert len(db["s"]) == 21
        assert db["s"][100]["v"] == "child"
        assert db.check().ok
