"""M1, M5: several processes and threads commit at once; what was acknowledged is there, and everybody sees it at the next look."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sopnb
from sopnb.errors import Conflict
from tests.race import workers
from tests.race.forkserver import ForkServer, wait_for


def test_m1_every_acknowledged_row_of_four_processes_is_there(server: ForkServer, path: Path) -> None:
    writers = [server.start("write_from_start", path, me, 1000) for me in range(4)]
    for writer in writers:
        writer.wait_for(1)
    for writer in writers:
        writer.tell()
    wait_for(writers, lambda: all(writer.over for writer in writers), 120)
    for writer in writers:
        assert writer.end() == ["ready", *map(str, range(1000))]
    with sopnb.open(path) as db:
        rows = db["rows"]
        assert len(rows) == 4000
        frame = rows[:].to_pandas()
        assert frame["writer"].tolist() == np.repeat(np.arange(4), 1000).tolist()
        assert frame["number"].tolist() == np.tile(np.arange(1000), 4).tolist()
        assert db.check().ok


def test_m1_every_acknowledged_row_of_four_threads_is_there(path: Path) -> None:
    with sopnb.open(path) as db:
        begin = threading.Barrier(4)
        failed: list[BaseException] = []

        def write(me: int) -> None:
            try:
                begin.wait()
                for number in range(1000):
                    db["rows"].insert({"writer": me, "number": number, "text": ""})
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=write, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert len(db["rows"]) == 4000
        assert db.check().ok
    with sopnb.open(path) as db:
        assert len(db["rows"][:].to_pandas()) == 4000


def test_m5_a_second_process_sees_what_the_first_committed_and_the_other_way_round(server: ForkServer, path: Path) -> None:
    follower = server.start("follow", path)
    follower.wait_for(1)
    with sopnb.open(path) as db:
        for n in range(1, 21):
            db["rows"].insert({"writer": 0, "number": n, "text": ""})
            follower.tell("look")
            follower.wait_for(1 + n)
            assert follower.lines[-1] == str(n)
        writer = server.start("write_from_start", path, 1, 50)
        writer.wait_for(1)
        writer.tell()
        for n in range(1, 51):
            writer.wait_for(1 + n)
            assert db["rows"].prefix(1).count() >= n
        writer.end()
    follower.tell("")
    follower.end()


def test_overlapping_bulk_upserts_never_make_a_key_twice_and_count_each_insert_once(server: ForkServer, path: Path) -> None:
    # Two writers that upsert the same absent key must not both count +1: the counts that they were told add up to the rows there are.
    upserters = [server.start("upsert", path, me, 1500, 25) for me in range(4)]
    keeper = server.start("upkeep", path, 9)
    wait_for([*upserters, keeper], lambda: all(upserter.over for upserter in upserters), 120)
    keeper.tell("stop")
    keeper.end()
    inserted = sum(int(line) for upserter in upserters for line in upserter.end())
    with sopnb.open(path) as db:
        frame = db["shared"][:].to_pandas()
        assert frame["k"].is_unique
        assert inserted == len(db["shared"]) == len(frame) == db["shared"][:].count()
        for position in np.random.default_rng(0).integers(len(frame), size=20).tolist():
            assert db["shared"][:].row(position)["k"] == frame["k"].iloc[position]
        assert db.check().ok


def test_readers_writers_loaders_and_folders_leave_each_other_alone(server: ForkServer, path: Path) -> None:
    kinds = ["write", "write", "load", "upkeep", "read", "read"]
    running = [server.start(kind, path, me) for me, kind in enumerate(kinds)]
    wait_for(
        running, lambda: all(len(worker.lines) >= wanted for worker, wanted in zip(running, [150, 150, 12, 6, 6, 6], strict=True)), 120
    )
    for worker in running:
        worker.tell("stop")
    wait_for(running, lambda: all(worker.over for worker in running), 60)
    said = [worker.end() for worker in running]
    for counts in (said[4], said[5]):
        assert list(map(int, counts)) == sorted(map(int, counts))
    with sopnb.open(path) as db:
        rows = db["rows"]
        for me in (0, 1):
            assert rows.prefix(me).to_pandas()["number"].tolist() == list(map(int, said[me]))
        assert set(rows.prefix(2).to_pandas()["text"]) == {said[2][-1]}
        assert rows.prefix(2).count() == workers.ROWS
        assert db.check().ok


def test_threads_share_one_sync_and_each_has_its_own_answer(path: Path) -> None:
    with sopnb.open(path) as db:
        told: dict[int, int] = {}
        begin = threading.Barrier(8)

        def write(me: int) -> None:
            begin.wait()
            told[me] = db["shared"].insert({"k": me, "v": me}).seq

        threads = [threading.Thread(target=write, args=(me,)) for me in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(told.values())) == 8
        for me, seq in told.items():
            assert db.at(seq)["shared"][me]["v"] == me
            assert me not in db.at(seq - 1)["shared"]


def test_m5_of_two_processes_that_insert_one_key_the_later_is_told_which(server: ForkServer, path: Path) -> None:
    with sopnb.open(path) as db:
        tx = db.transaction()
        tx["rows"].insert({"writer": 5, "number": 1, "text": "mine"})
        other = server.start("write_from_start", path, 5, 2)
        other.wait_for(1)
        other.tell()
        other.end()
        with pytest.raises(Conflict) as caught:
            tx.commit()
        assert caught.value.store == "rows"
        assert caught.value.key == (5, 1)
        assert db["rows"][5, 1]["text"] == "5-1"


def test_a_frame_read_back_by_another_process_is_the_frame_that_was_written(server: ForkServer, path: Path) -> None:
    frame = pd.DataFrame({"writer": 7, "number": np.arange(500), "text": [f"{n:05}" for n in range(500)]})
    with sopnb.open(path) as db:
        holder = server.start("hold", path)
        holder.wait_for(1)
        db["rows"].insert(frame)
        db.compact(keep=0)
        holder.tell("look")
        holder.wait_for(2)
        assert holder.lines == ["0", "True"]
        holder.tell()
        holder.end()
        pd.testing.assert_frame_equal(db["rows"][:].to_pandas(), frame, check_dtype=False)
