"""A load of a million rows is killed with -9, or interrupted, anywhere: the old records are there, and what was written takes no space.

The moments are drawn as parts of what the load says it has done; it writes everything, but commits only when told. 10 kills of each kind
of load ordinarily, 25 with ``--long``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import sopnb
from tests.race import workers
from tests.race.forkserver import ForkServer, Worker

OLD = 20_000
SETTINGS = sopnb.DatabaseSettings(segment_bytes=32 * 1024, segment_limit=32 * 1024, log_bytes=128 * 1024, retention_seconds=0)


def used(folder: Path) -> int:
    """Return how many bytes the files of a folder take."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def old(path: Path) -> Any:
    """Make a store of some records; return their keys."""
    keys = np.arange(0, workers.MILLION, workers.MILLION // OLD)
    with sopnb.open(path, settings=SETTINGS) as db:
        db.load("old", pa.table({"k": keys, "v": keys}), index="k")
        db.compact(keep=0)
    return keys


def wait_until(loader: Worker, part: float) -> None:
    """Wait until this part of a load is done, of which something must have been said since it was begun."""
    while not loader.lines or (loader.lines[-1].isdigit() and int(loader.lines[-1]) < part * workers.MILLION):
        loader.wait_for(len(loader.lines) + 1)


@pytest.mark.parametrize("if_exists", ["upsert", "replace"])
def test_a_load_killed_anywhere_leaves_the_old_records_and_no_blob(if_exists: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path, keys = tmp_path / "loads.sop", old(tmp_path / "loads.sop")
    random = np.random.default_rng(len(if_exists))
    kills = 25 if request.config.getoption("--long") else 10
    blobs, most = used(path / "blobs"), used(path)
    littered = 0
    with ForkServer() as server:
        for part in [*random.random(kills - 1), 1.0]:
            loader = server.start("load_million", path, if_exists)
            wait_until(loader, part)
            loader.kill()
            assert not any("Traceback" in line for line in loader.lines), loader.lines[-30:]
            littered += used(path / "blobs") > blobs
            with sopnb.open(path) as db:
                assert db["old"][:].to_arrow().to_pydict() == {"k": keys.tolist(), "v": keys.tolist()}
                assert db.check().ok
                db.compact(keep=0)
                assert db.check().ok
            assert used(path / "blobs") == blobs
            assert used(path) <= most + 4 * SETTINGS.segment_bytes
        assert littered > kills // 2, "the kills came when something was written"
        loader = server.start("load_million", path, if_exists)
        loader.wait_for(1)
        loader.tell()
        loader.end()
    with sopnb.open(path) as db:
        assert len(db["old"]) == workers.MILLION
        assert db.check().ok


@pytest.mark.parametrize("if_exists", ["upsert", "replace"])
def test_a_load_interrupted_anywhere_leaves_the_old_records_and_no_blob(
    if_exists: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The process goes on, and takes back at once what it had written."""
    path = tmp_path / "loads.sop"
    old(path)
    random = np.random.default_rng(100 + len(if_exists))
    with ForkServer() as server:
        loader = server.start("load_million_again", path, if_exists)
        for part in [*random.random(25 if request.config.getoption("--long") else 6), 1.0]:
            loader.tell("again")
            loader.wait_for(len(loader.lines) + 1)
            wait_until(loader, part)
            os.kill(loader.pid, signal.SIGINT)
            while loader.lines[-1] not in ("same", "different"):
                loader.wait_for(len(loader.lines) + 1)
            assert loader.lines[-1] == "same"
        loader.tell("")
        loader.end()
    with sopnb.open(path) as db:
        assert len(db["old"]) == OLD
        assert db.check().ok
