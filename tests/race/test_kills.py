"""M4: processes are killed with -9 in a loop. Nothing acknowledged is lost, nobody waits for the dead, no lock is left.

The victims are forked by a server that has imported everything, and are killed at moments drawn at random, whatever they are doing. After
each kill every survivor must come forward within a stated time. 300 kills ordinarily, 10,000 with ``--long``.
"""

from __future__ import annotations

import select
from pathlib import Path

import numpy as np
import pytest

import sopnb
from tests.race import workers
from tests.race.forkserver import LIMIT, ForkServer, Worker, wait_for


class Ledger:
    """How many commits of every writer and loader that was killed were acknowledged."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[int, int]] = {"write": {}, "load": {}, "upkeep": {}}

    def compare(self, path: Path) -> None:
        """Compare with what is there: of each the acknowledged commits, and perhaps one more, whole."""
        with sopnb.open(path) as db, db.at() as snapshot:
            frame = snapshot["rows"][:].to_pandas()
            assert len(snapshot["rows"]) == len(frame)
            of = {int(me): rows for me, rows in frame.groupby("writer")}  # type: ignore[call-overload]
            for me, acknowledged in self.commits["write"].items():
                numbers = [] if me not in of else of[me]["number"].tolist()
                assert len(numbers) in (acknowledged, acknowledged + 1), f"writer {me}: {len(numbers)} rows, {acknowledged} acknowledged"
                assert numbers == list(range(len(numbers))), f"writer {me} has a gap"
            for me, acknowledged in self.commits["load"].items():
                assert acknowledged == 0 or me in of, f"loader {me}: nothing is there"
                if me in of:
                    numbers = sorted(set(of[me]["text"].tolist()))
                    assert numbers in ([str(acknowledged - 1)], [str(acknowledged)]), f"loader {me}: {numbers}, {acknowledged} acknowledged"
                    assert of[me]["number"].tolist() == list(range(workers.ROWS))


def killed_in_a_loop(server: ForkServer, path: Path, kinds: list[str], kills: int, seed: int) -> int:
    """Keep one worker of each kind running; kill one at random, again and again. Return how many commits were acknowledged."""
    random = np.random.default_rng(seed)
    ledger = Ledger()
    numbers = iter(range(1_000_000))
    running: list[tuple[int, str, Worker]] = []

    def start(kind: str) -> tuple[int, str, Worker]:
        me = next(numbers)
        return me, kind, server.start(kind, path, me)

    running = [start(kind) for kind in kinds]
    said = 0
    for kill in range(kills):
        victim = int(random.integers(len(running)))
        me, kind, worker = running[victim]
        living = [w for _, _, w in running]
        wanted = int(random.integers(0, 4)) if random.random() < 0.8 else 0
        wait_for(living, lambda worker=worker, wanted=wanted: len(worker.lines) >= wanted)  # type: ignore[misc]
        _a_while(living, float(random.random()) * 0.004)
        worker.kill()
        assert not any("Traceback" in line for line in worker.lines), worker.lines
        said += len(worker.lines)
        ledger.commits[kind][me] = len(worker.lines)
        survivors = [w for _, _, w in running if w is not worker]
        before = {w: len(w.lines) for w in survivors}
        wait_for(survivors, lambda before=before: all(len(w.lines) > n for w, n in before.items()), LIMIT)  # type: ignore[misc]
        running[victim] = start(kind)
        if kill % 50 == 49:
            ledger.compare(path)
    for me, kind, worker in running:
        worker.kill()
        said += len(worker.lines)
        ledger.commits[kind][me] = len(worker.lines)
    ledger.compare(path)
    with sopnb.open(path) as db:  # no lock is left: this commits at once
        db["shared"].insert({"k": -1, "v": 0})
        db.compact(keep=0)
        assert db.check().ok
        pins = db._lease.engine.backend.pins.held()
        assert len(pins) == 1
    return said


def _a_while(living: list[Worker], seconds: float) -> None:
    """Let a random moment pass, reading what is said meanwhile."""
    for worker in select.select(living, [], [], seconds)[0]:
        worker.read()


def test_m4_300_kills_of_writers_lose_nothing_and_block_nobody(server: ForkServer, path: Path, request: pytest.FixtureRequest) -> None:
    kills = 8000 if request.config.getoption("--long") else 200
    assert killed_in_a_loop(server, path, ["write", "write", "write"], kills, seed=1) > kills


def test_m4_kills_of_loaders_folders_and_compactors_lose_nothing(server: ForkServer, path: Path, request: pytest.FixtureRequest) -> None:
    kills = 2000 if request.config.getoption("--long") else 100
    assert killed_in_a_loop(server, path, ["write", "load", "upkeep"], kills, seed=2) > kills


def test_m4_after_the_kill_of_its_only_writer_a_database_goes_on_at_once(server: ForkServer, path: Path) -> None:
    acknowledged = {}
    for me in range(5):
        writer = server.start("write", path, me)
        writer.wait_for(1 + 3 * me)
        writer.kill()
        acknowledged[me] = len(writer.lines)
        with sopnb.open(path) as db:
            db["shared"].insert({"k": me, "v": 0})
            for who, rows in acknowledged.items():
                assert db["rows"].prefix(who).count() in (rows, rows + 1)
            assert db.check().ok
