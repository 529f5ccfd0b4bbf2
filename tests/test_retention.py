"""What of the past is kept, for whom, and what comes back of the disk; what it costs to open and to read after thousands of commits.

Costs are counted (files read, leaves used), never timed.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sopnb
from sopnb import DatabaseSettings, HandleSettings
from sopnb.access.lease import Lease
from sopnb.engine.engine import Engine
from sopnb.errors import Conflict, HistoryTrimmed, SnapshotGone, SopError, TagNotFound
from sopnb.storage.files import Files
from sopnb.storage.location import open_backend
from sopnb.testing.clock import ManualClock
from tests.race import workers
from tests.race.forkserver import ForkServer

DAY = 24 * 3600.0
SMALL = DatabaseSettings(
    leaf_bytes=2048, leaf_rows=64, inline_rows=50, tail_rows=400, segment_bytes=16 * 1024, segment_limit=64 * 1024, log_bytes=64 * 1024
)
QUIET = HandleSettings(maintenance="off", progress=False)


class CountingFiles(Files):
    """The real disk; counts what is read."""

    def __init__(self) -> None:
        self.opened = self.read = 0

    def open_read(self, path: Path) -> int:
        self.opened += 1
        return super().open_read(path)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = super().pread(fd, size, offset)
        self.read += len(data)
        return data


def database(path: Path, *, settings: DatabaseSettings | None = None, clock: Any = None, files: Files | None = None, **handle: Any) -> Any:
    """Open a database of its own on a path, with another clock or other files."""
    used = HandleSettings(**{"maintenance": "off", "progress": False, **handle})
    backend, stored = open_backend(path, settings=settings, handle=used, clock=clock, files=files)
    return sopnb.Database(Lease.over(Engine.open(backend, stored, used)))


def frame(rows: int, text: str) -> pd.DataFrame:
    return pd.DataFrame({"k": np.arange(rows), "v": [f"{text} {k} " + "x" * 40 for k in range(rows)]})


def size(path: Path, part: str = "blobs") -> int:
    return sum(file.stat().st_size for file in (path / part).rglob("*") if file.is_file())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "base.sop"


# -- for whom the past is kept ------------------------------------------------------------------------------------------------


def test_a_reader_in_another_process_keeps_what_it_reads_until_it_is_killed(server: ForkServer, path: Path) -> None:
    workers.create(path)
    with sopnb.open(path, handle=QUIET) as db:
        rows = pd.DataFrame({"writer": 1, "number": np.arange(3000), "text": [f"{n:040}" for n in range(3000)]})
        db["rows"].insert(rows)
        holder = server.start("hold", path)
        holder.wait_for(1)
        db["rows"].upsert(rows.assign(text="other"))
        db.compact(keep=0)
        kept = size(path)
        assert kept > 3000 * 40
        holder.tell("look")
        holder.wait_for(2)
        assert holder.lines == ["3000", "True"]
        db.compact(keep=0)
        assert size(path) == kept
        holder.kill()
        db.compact(keep=0)
        assert size(path) < kept / 2
        assert db.check().ok


def test_a_snapshot_of_this_process_keeps_its_blobs_and_is_named(path: Path) -> None:
    with sopnb.open(path, settings=SMALL, handle=QUIET) as db:
        db.load("s", frame(1000, "old"), index=["k"])
        snapshot = db.at()
        db["s"].upsert(frame(1000, "new"))
        db.compact(keep=0)
        kept = size(path)
        assert snapshot.seq in db.info()["readers"]
        assert snapshot["s"][:].to_pandas()["v"].str.startswith("old").all()
        snapshot.close()
        db.compact(keep=0)
        assert db.info()["readers"] == []
        assert size(path) < 0.7 * kept


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_what_was_raised_keeps_nothing_readable(path: Path, no_collector: None) -> None:
    # An error that was its own cause, or that a frame it passed had in a variable, kept the states in those frames until the garbage
    # collector came by: the pin stayed where it was, and so did the blobs.
    with sopnb.open(path, settings=SMALL, handle=QUIET) as db:
        db.load("s", frame(200, "old"), index=["k"])
        for wrong in (
            lambda tx: tx["s"].insert(frame(200, "again")),
            lambda tx: tx["s"].update(9999, {"v": "none"}),
            lambda tx: tx["nowhere"],
            lambda tx: tx["s"][9999],
        ):
            with pytest.raises(SopError), db.transaction() as tx:
                wrong(tx)
        tx = db.transaction()
        tx["s"].upsert({"k": 1, "v": "mine"})
        db["s"].upsert({"k": 1, "v": "yours"})
        with pytest.raises(Conflict) as caught:
            tx.commit()
        del tx, caught, wrong
        db["s"].upsert(frame(200, "new"))
        db.compact(keep=0)
        db.compact(keep=0)
        assert db.info()["readers"] == []


def test_what_reads_without_a_pin_is_told_that_its_snapshot_is_gone(path: Path) -> None:
    with sopnb.open(path, settings=SMALL, handle=QUIET) as db:
        db.load("s", frame(1000, "old"), index=["k"])
        with sopnb.open(path, "r") as reader, reader.at() as snapshot:
            assert len(snapshot["s"]) == 1000
            db["s"].upsert(frame(1000, "new"))
            db.compact(keep=0)
            with pytest.raises(SnapshotGone):
                snapshot["s"][:].to_pandas()
            assert reader["s"][:].to_pandas()["v"].str.startswith("new").all()


def test_a_tag_keeps_its_state_through_compaction_and_reopening_until_it_is_taken_away(path: Path) -> None:
    with sopnb.open(path, settings=SMALL, handle=QUIET) as db:
        db.load("s", frame(1000, "old"), index=["k"])
        db.tag("old")
        db["s"].upsert(frame(1000, "new"))
        db.drop("s")
        db.compact(keep=0)
    with sopnb.open(path, handle=QUIET) as db:
        assert "s" not in db
        with db.at(tag="old") as old:
            pd.testing.assert_frame_equal(old["s"][:].to_pandas(), frame(1000, "old"), check_dtype=False)
        kept = size(path)
        db.untag("old")
        db.compact(keep=0)
        assert size(path) == 0 < kept
        with pytest.raises(TagNotFound):
            db.at(tag="old")


# -- how long the past is kept ------------------------------------------------------------------------------------------------


def test_the_past_is_readable_for_the_retention_and_then_goes_by_itself(path: Path) -> None:
    clock = ManualClock()
    db = database(path, settings=SMALL, clock=clock, maintenance="inline")
    db.load("s", frame(1000, "day 0"), index=["k"])
    first = db.seq
    for day in range(1, 15):
        clock.sleep(DAY)
        db["s"].upsert(frame(1000, f"day {day}"))
        for k in range(60):
            db["s"].upsert({"k": k, "v": f"day {day}, once more " + "y" * 800})
        if day == 6:
            with db.at(first) as old:
                assert old["s"][999]["v"].startswith("day 0")
    with pytest.raises(HistoryTrimmed):
        db.at(first)
    week = datetime.fromtimestamp(clock.now() / 1e6, UTC) - timedelta(days=6.5)
    with db.at(time=week) as old:
        assert old["s"][999]["v"].startswith("day 7")
    grown = size(path) + size(path, "log")
    for day in range(15, 30):
        clock.sleep(DAY)
        db["s"].upsert(frame(1000, f"day {day}"))
        for k in range(60):
            db["s"].upsert({"k": k, "v": f"day {day}, once more " + "y" * 800})
    assert size(path) + size(path, "log") < 1.5 * grown, "the disk grows with the history"
    assert db.check().ok
    db.close()


def test_compact_keeps_as_many_seconds_as_it_is_told(path: Path) -> None:
    clock = ManualClock()
    db = database(path, settings=SMALL, clock=clock)
    seqs = []
    db.load("s", frame(300, "hour 0"), index=["k"])
    for hour in range(1, 7):
        seqs.append(db.seq)
        db._lease.engine.upkeep.checkpoint()
        clock.sleep(3600)
        db["s"].upsert(frame(300, f"hour {hour}"))
    db.compact(keep=2.5 * 3600)
    for hour, seq in enumerate(seqs):
        if hour < 3:
            with pytest.raises(HistoryTrimmed):
                db.at(seq)
        else:
            with db.at(seq) as old:
                assert old["s"][0]["v"].startswith(f"hour {hour}")
    db.compact()
    with db.at(seqs[4]) as old:
        assert old["s"][0]["v"].startswith("hour 4")
    db.close()


def test_disk_space_comes_back_after_deletes(path: Path) -> None:
    with sopnb.open(path, settings=SMALL, handle=QUIET) as db:
        db.load("s", frame(5000, "row"), index=["k"])
        db.compact(keep=0)
        full = size(path)
        db["s"][: 5000 - 100].delete()
        assert len(db["s"]) == 100
        db.compact(keep=0)
        assert size(path) < full / 20
        assert size(path, "log") <= 2 * SMALL.segment_limit
        assert db["s"][:].to_pandas()["k"].tolist() == list(range(4900, 5000))
        assert db.check().ok
        db.drop("s")
        db.compact(keep=0)
        assert size(path) == 0


def test_the_log_does_not_grow_with_the_history(path: Path) -> None:
    db = database(path, settings=SMALL, clock=ManualClock(), maintenance="inline")
    db.create("s", schema={"k": "int64", "v": "string"}, index="k")
    most = 0
    for n in range(1500):
        db._lease.engine.clock.sleep(3600)
        db["s"].upsert({"k": n % 20, "v": "x" * 300})
        most = max(most, size(path, "log") if n % 50 == 49 else 0)
    assert most < 12 * SMALL.log_bytes
    assert len(list((path / "checkpoints").iterdir())) < 60
    assert db.check().ok
    db.close()


# -- what it costs ------------------------------------------------------------------------------------------------------------


def _cost_of_opening(path: Path, rows: int, commits: int) -> tuple[int, int]:
    """Make a database with so much in it and so many commits behind it; return (files opened, bytes read) to open it and read a record."""
    with sopnb.open(path, settings=DatabaseSettings(inline_rows=50, segment_bytes=32 * 1024, segment_limit=32 * 1024), handle=QUIET) as db:
        db.load("s", frame(rows, "row"), index=["k"])
        db.create("t", schema={"k": "int64"}, index="k")
        for n in range(commits):
            db["t"].insert({"k": n})
        db.compact()
        db["t"].insert({"k": -1})
    files = CountingFiles()
    db = database(path, files=files)
    assert db["s"][rows // 2]["k"] == rows // 2
    assert len(db["t"]) == commits + 1
    db.close()
    return files.opened, files.read


def test_opening_costs_the_checkpoint_and_the_tail_not_the_history_or_the_size(tmp_path: Path) -> None:
    opened, read = _cost_of_opening(tmp_path / "small", 500, 20)
    long_history = _cost_of_opening(tmp_path / "long", 500, 600)
    large_store = _cost_of_opening(tmp_path / "large", 50_000, 20)
    assert long_history[0] <= opened + 2
    assert long_history[1] <= read + 40 * 1024, "outcomes of recent transactions are all that may grow"
    assert large_store[0] <= opened + 2
    assert large_store[1] <= read + 3 * 64 * 1024, "one more branch and a larger leaf"


def test_thousands_of_small_commits_stay_fast_to_read(path: Path) -> None:
    db = database(path, settings=SMALL, maintenance="inline")
    db.load("s", frame(2000, "row"), index=["k"])
    random = np.random.default_rng(0)
    for n, k in enumerate(random.integers(2000, size=3000).tolist()):
        db["s"].upsert({"k": k, "v": f"commit {n}"})
    info = db.info()["stores"]["s"]
    assert info["runs"] <= 8
    assert info["tail"] <= SMALL.tail_rows
    assert info["leaves"] <= 2000 / 64 * 4
    engine = db._lease.engine
    before = engine.reader.leaves
    for k in random.integers(2000, size=200).tolist():
        assert db["s"][k]["k"] == k
    assert engine.reader.leaves - before <= 200 * (info["runs"] + 1)
    before = engine.reader.leaves
    assert len(db["s"][:].to_pandas()) == 2000
    assert engine.reader.leaves - before <= 2 * info["leaves"]
    before = engine.reader.leaves + engine.reader.branches
    assert db["s"][:].row(1234)["k"] == 1234
    assert db["s"][:].page(7, size=100)["k"].tolist() == list(range(700, 800))
    assert engine.reader.leaves + engine.reader.branches - before <= 40 * (info["runs"] + 1)
    assert db.check().ok
    db.close()
