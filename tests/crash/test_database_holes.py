"""Holes that were found in the design by thinking a failure through, and closed by a decision: one test each, of a whole database.

Processes are simulated ones of one machine (``sopnb.testing.crash.Machine``), so each scenario happens exactly as it is told. Forks and
pins need real processes: they are in ``tests/race/test_forks.py``, ``tests/race/test_collection.py`` and ``tests/test_retention.py``.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sopnb.access.lease import Lease
from sopnb.database import Database
from sopnb.engine.engine import Engine
from sopnb.engine.fold import Plan
from sopnb.errors import CommitUnknown, Conflict
from sopnb.testing.crash import PATH, Draws, Machine
from sopnb.testing.disk import Fault, Killed, PowerCut, Step

SCHEMA = {"k": "int64", "v": "string"}


def opened(machine: Machine, **handle: Any) -> Database:
    return Database(Lease.over(machine.open(**{"progress": False, **handle})))


def engine_of(db: Database) -> Engine:
    return db._lease.engine


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    with opened(machine) as db:
        db.create("s", schema=SCHEMA, index="k")
    return machine


def frame(keys: Any, text: str) -> pd.DataFrame:
    return pd.DataFrame({"k": list(keys), "v": [text] * len(list(keys))})


def at(name: str, folder: str, do: Callable[[], Fault | None]) -> Callable[[Step], Fault | None]:
    """Return a hook that does something at the first operation of this name on a file below this folder."""
    done = False

    def before(step: Step) -> Fault | None:
        nonlocal done
        if done or step.name != name or folder not in step.path.parts:
            return None
        done = True
        return do()

    return before


# -- layers -------------------------------------------------------------------------------------------------------------------


def test_mixed_tail_and_run_order(machine: Machine) -> None:
    # K in the tail at 10, a run with K at 11: looking into the tail first answers 10.
    with opened(machine) as db:
        s = db["s"]
        s.insert({"k": 1, "v": "ten"})
        s.upsert(frame(range(12), "eleven"))
        assert s[1]["v"] == "eleven"
        s.upsert({"k": 1, "v": "twelve"})
        s.upsert({"k": 2, "v": "twelve"})
        s.upsert(frame(range(2, 14), "thirteen"))
        wanted = {0: "eleven", 1: "twelve", **dict.fromkeys(range(2, 14), "thirteen")}
        for _ in range(2):
            assert {record["k"]: record["v"] for record in s[:].records()} == wanted
            assert {k: s[k]["v"] for k in wanted} == wanted
            assert s.get_many(list(wanted))["v"].tolist() == list(wanted.values())
            assert len(s) == s[:].count() == len(wanted)
            db.fold()


def test_a_record_deleted_and_put_again_counts_once(machine: Machine) -> None:
    # K in the base, deleted, put again, both folded into one run: +1 would count K twice. A run's counts speak of what lies below it.
    with opened(machine) as db:
        s = db["s"]
        s.insert(frame(range(40), "base"))
        db.fold()
        for k in (3, 5):
            s.delete(k)
            s.insert({"k": k, "v": "again"})
        s.delete(7)
        plan_tail_into_run(db)
        assert db.info()["stores"]["s"]["runs"] == 1
        assert len(s) == s[:].count() == 39
        assert s[:].row(38)["k"] == 39
        assert db.check().ok


def plan_tail_into_run(db: Database) -> None:
    store = engine_of(db).state().stores["s"]
    engine_of(db).upkeep._fold(Plan(store, store.parts[1:], bottom=False))


@pytest.mark.parametrize("mode", ["write", "unchecked"])
@pytest.mark.parametrize("rows", [1, 12], ids=["single records", "frames"])
def test_counts_under_concurrent_upserts(machine: Machine, mode: Any, rows: int) -> None:
    # Two writers upsert the same absent keys; neither read anything. If both went through, each would add to the count.
    one, other = opened(machine), opened(machine)
    mine, yours = one.transaction(mode), other.transaction(mode)
    for tx in (mine, yours):
        tx["s"].upsert(frame(range(rows), "new") if rows > 1 else {"k": 0, "v": "new"})
    mine.commit()
    with pytest.raises(Conflict):
        yours.commit()
    assert other["s"].upsert(frame(range(rows), "newer")).updated == rows
    assert len(one["s"]) == one["s"][:].count() == len(one["s"][:].to_pandas()) == rows
    assert one.check().ok


def test_interleaved_bulk_upserts_do_not_conflict(machine: Machine) -> None:
    # Their smallest and largest keys overlap, their keys do not: a range in place of the written keys would refuse the second.
    one, other = opened(machine), opened(machine)
    even, odd = one.transaction(), other.transaction()
    even["s"].upsert(frame(range(0, 60, 2), "even"))
    odd["s"].upsert(frame(range(1, 60, 2), "odd"))
    even.commit()
    odd.commit()
    assert one["s"][:].to_pandas()["v"].tolist() == ["even", "odd"] * 30


# -- the log ------------------------------------------------------------------------------------------------------------------


def _grouped(db: Database, rows: list[dict[str, Any]]) -> list[BaseException | None]:
    """Commit each row in a thread of its own, all in one group."""
    engine = engine_of(db)
    works = []
    for row in rows:
        tx = db.transaction(message="m" * 350)
        tx["s"].insert(row)
        works.append(tx)
    answers: list[BaseException | None] = [None] * len(rows)

    def commit(n: int) -> None:
        try:
            works[n].commit()
        except BaseException as error:
            answers[n] = error

    threads = [threading.Thread(target=commit, args=(n,)) for n in range(len(rows))]
    queued = threading.Semaphore(0)
    queue = engine._committer._queue

    class Queue(type(queue)):  # type: ignore[misc]
        def append(self, member: Any) -> None:
            super().append(member)
            queued.release()

    engine._committer._queue = Queue(queue)
    with engine._committer._lead:
        for thread in threads:
            thread.start()
            assert queued.acquire(timeout=30)
    for thread in threads:
        thread.join()
    return answers


def test_power_cut_with_the_second_of_two_records_on_disk(machine: Machine) -> None:
    # Two records written before one sync, the second on the disk, the first not: an ordinary power cut, not damage.
    db = opened(machine)
    db["s"].insert({"k": 0, "v": "durable"})
    machine.disk.before = at("sync", "log", lambda: Fault("cut"))
    answers = _grouped(db, [{"k": k, "v": "group"} for k in (1, 2)])
    db._lease._end.detach()
    assert any(isinstance(answer, PowerCut | Killed) for answer in answers)
    machine.disk.before = lambda step: None
    sectors = 0

    def second_only(n: int) -> int:
        nonlocal sectors
        sectors += 1
        return 0 if sectors == 1 else n - 1

    (segment,) = [file for name, file in machine.disk.folder(PATH / "log").cache.items() if name.endswith(".segment") and file.pending]
    segment.settle(second_only)
    assert sectors >= 2
    machine.cut_power(Draws(0, bias=1))
    with opened(machine) as after:
        assert after["s"][:].to_pandas()["k"].tolist() == [0]
        after["s"].insert({"k": 1, "v": "next"})
        assert after.check().ok
    with opened(machine) as again:
        assert again["s"][:].to_pandas()["k"].tolist() == [0, 1]


def test_a_reader_racing_a_write_acts_on_no_record_whose_sync_then_fails(machine: Machine) -> None:
    writer, reader = opened(machine), opened(machine)
    writer["s"].insert({"k": 0, "v": "durable"})
    seen = []

    def look() -> Fault:
        machine.disk.before = lambda step: None
        seen.append(reader["s"][:].to_pandas()["k"].tolist())
        return Fault("error", errno.EIO)

    machine.disk.choose = lambda n: 0
    machine.disk.before = at("sync", "log", look)
    tx = writer.transaction(message="m" * 1000)
    tx["s"].insert({"k": 1, "v": "never durable"})
    with pytest.raises(CommitUnknown):
        tx.commit()
    assert seen == [[0]]
    assert reader["s"][:].to_pandas()["k"].tolist() == [0]
    machine.cut_power(Draws(0, bias=0))
    for db in (writer, reader):
        db._lease._end.detach()
    with opened(machine) as after:
        assert after["s"][:].to_pandas()["k"].tolist() == [0]


@pytest.mark.parametrize("evicted", [False, True], ids=["the pages stay in the cache", "the pages leave the cache"])
def test_a_failed_sync_seen_by_another_process(machine: Machine, evicted: bool) -> None:
    # After a failed sync the pages pass for clean: another process that syncs once more succeeds, with nothing on the disk.
    one, other = opened(machine), opened(machine)
    one["s"].insert({"k": 0, "v": "durable"})
    machine.disk.choose = lambda n: 0
    machine.disk.before = at("sync", "log", lambda: Fault("error", errno.EIO))
    tx = one.transaction(message="m" * 1000)  # so some of its sectors are nobody else's
    tx["s"].insert({"k": 1, "v": "unknown"})
    with pytest.raises(CommitUnknown) as caught:
        tx.commit()
    if evicted:
        for file in machine.disk.files():
            file.evict()
    other["s"].insert({"k": 2, "v": "acknowledged"})
    there = other["s"][:].to_pandas()["k"].tolist()
    assert there == ([0, 2] if evicted else [0, 1, 2])
    assert other.outcome(caught.value.txid) == ("aborted" if evicted else "committed")
    assert one.outcome(caught.value.txid) == other.outcome(caught.value.txid)
    for db in (one, other):
        db._lease._end.detach()
    machine.cut_power(Draws(0, bias=0))
    with opened(machine) as after:
        assert after["s"][:].to_pandas()["k"].tolist() == there
        assert after.outcome(caught.value.txid) == ("aborted" if evicted else "committed")


def test_garbage_of_a_killed_writer(machine: Machine) -> None:
    # A writer killed inside a write leaves a piece of a record. A short one is written over its beginning, and then power fails: what is
    # left of the piece is neither a record nor torn, so it would be called damage. Zeros are written over all that follows, first.
    db = opened(machine)
    survivor = opened(machine)
    db["s"].insert({"k": 0, "v": "durable"})
    machine.disk.choose = lambda n: n // 2
    killed = False

    def in_the_record(step: Step) -> Fault | None:
        nonlocal killed
        if killed or step.name != "pwrite" or step.path.suffix != ".segment":
            return None
        killed = True
        return Fault("kill")

    machine.disk.before = in_the_record
    with pytest.raises(Killed):
        db["s"].insert({"k": 1, "v": "killed"}, message="y" * 1000)
    db._lease._end.detach()
    survivor["s"].insert({"k": 2, "v": "next"})
    survivor._lease._end.detach()
    machine.cut_power(Draws(0, bias=1))
    with opened(machine) as after:
        for k in range(3, 12):  # and the log rolls, several times
            after["s"].insert({"k": k, "v": "next"}, message="z" * 400)
        assert len(machine.disk.folder(PATH / "log").cache) > 4
        assert after["s"][:].to_pandas()["k"].tolist() == [0, *range(2, 12)]
    with opened(machine) as again:
        assert again["s"][:].to_pandas()["k"].tolist() == [0, *range(2, 12)]
        assert again.check().ok


def test_a_device_that_swallows_a_sync_gets_no_acknowledgement(machine: Machine) -> None:
    db = opened(machine)
    db["s"].insert({"k": 0, "v": "durable"})

    def die() -> None:
        machine.disk.dead = True

    machine.disk.before = at("sync", "log", die)  # type: ignore[arg-type]
    tx = db.transaction()
    tx["s"].insert({"k": 1, "v": "swallowed"})
    with pytest.raises(CommitUnknown):
        tx.commit()
    db._lease._end.detach()
    machine.cut_power(Draws(0, bias=0))
    with opened(machine) as after:
        assert after["s"][:].to_pandas()["k"].tolist() == [0]


def test_an_outcome_said_to_be_aborted_stays_so(machine: Machine) -> None:
    # "Absent" alone is no answer: a later write could still bring the record. What settles it fills its place.
    one, other = opened(machine), opened(machine)
    one["s"].insert({"k": 0, "v": "durable"})
    machine.disk.choose = lambda n: 0
    failed = False

    def fail(step: Step) -> Fault | None:
        nonlocal failed
        if step.name == "pwrite" and step.path.suffix == ".segment" and not failed:
            failed = True
            return Fault("error", errno.EIO)
        return None

    machine.disk.before = fail
    tx = one.transaction()
    tx["s"].insert({"k": 1, "v": "lost"})
    with pytest.raises(CommitUnknown) as caught:
        tx.commit()
    seq = caught.value.seq
    assert other.outcome(caught.value.txid) == "aborted"
    assert other.seq >= seq
    assert one.outcome(caught.value.txid) == "aborted"
    one["s"].insert({"k": 2, "v": "next"})
    assert other["s"][:].to_pandas()["k"].tolist() == [0, 2]
    assert other.outcome(caught.value.txid) == "aborted"


# -- snapshots and pins -------------------------------------------------------------------------------------------------------


def test_pin_against_collection(machine: Machine) -> None:
    reader, writer = opened(machine), opened(machine)
    writer["s"].insert(frame(range(40), "old"))
    with reader.at() as snapshot:
        writer["s"].upsert(frame(range(40), "new"))
        writer.compact(keep=0)
        machine.clock.sleep(10)
        reader["s"].get(1)  # the reader's newest state moves on, its pin does not
        writer["s"].upsert(frame(range(40), "newest"))
        writer.compact(keep=0)
        assert set(snapshot["s"][:].to_pandas()["v"]) == {"old"}
    blobs = len(list(engine_of(writer).backend.blobs.names()))
    machine.clock.sleep(10)
    assert reader["s"][1]["v"] == "newest"
    writer.compact(keep=0)
    assert len(list(engine_of(writer).backend.blobs.names())) < blobs
    assert np.all(writer["s"][:].to_pandas()["v"] == "newest")


def test_who_opens_while_others_collect_reads_what_stays(machine: Machine) -> None:
    # The state was read; before it was pinned, others let go of it and deleted its blobs: so it is pinned, and then looked at again.
    writer = opened(machine)
    writer["s"].insert(frame(range(40), "old"))
    engine_of(writer).upkeep.checkpoint()

    def collect() -> None:
        machine.disk.before = lambda step: None
        writer["s"].upsert(frame(range(40), "new"))
        writer.compact(keep=0)
        machine.clock.sleep(10)
        writer["s"].upsert(frame(range(40), "newest"))
        writer.compact(keep=0)

    machine.disk.before = at("create", "pins", collect)  # type: ignore[arg-type]
    with opened(machine) as late, late.at() as snapshot:
        assert set(snapshot["s"][:].to_pandas()["v"]) == {"newest"}
        writer["s"].upsert(frame(range(40), "later"))
        writer.compact(keep=0)
        assert set(snapshot["s"][:].to_pandas()["v"]) == {"newest"}
