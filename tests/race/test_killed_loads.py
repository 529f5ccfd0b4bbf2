"""A load of a million rows is killed with -9 anywhere: the old records are there, and what it had written takes no space.

The moments are drawn as parts of what the load says it has done; it writes everything, but commits only when told. 10 kills of each kind
of load ordinarily, 25 with ``--long``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import sopnb
from tests.race import workers
from tests.race.forkserver import ForkServer

OLD = 20_000
SETTINGS = sopnb.DatabaseSettings(segment_bytes=32 * 1024, segment_limit=32 * 1024, log_bytes=128 * 1024, retention_seconds=0)


def used(folder: Path) -> int:
    """Return how many bytes the files of a folder take."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("if_exists", ["upsert", "replace"])
def test_a_load_killed_anywhere_leaves_the_old_records_and_no_blob(if_exists: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "loads.sop"
    keys = np.arange(0, workers.MILLION, workers.MILLION // OLD)
    random = np.random.default_rng(len(if_exists))
    kills = 25 if request.config.getoption("--long") else 10
    with sopnb.open(path, settings=SETTINGS) as db:
        db.load("old", pa.table({"k": keys, "v": keys}), index="k")
        db.compact(keep=0)
    blobs, most = used(path / "blobs"), used(path)
    littered = 0
    with ForkServer() as server:
        for part in [*random.random(kills - 1), 1.0]:
            loader = server.start("load_million", path, if_exists)
            while not loader.lines or (loader.lines[-1] != "written" and int(loader.lines[-1]) < part * workers.MILLION):
                loader.wait_for(len(loader.lines) + 1)
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
