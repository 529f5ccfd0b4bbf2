"""A key is changed, an index built, while processes write: nothing is lost or out of order; a kill leaves the old or the new."""

from __future__ import annotations

import select
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import sopnb
from sopnb.engine.building import Builder
from tests.race.forkserver import LIMIT, ForkServer, Worker, wait_for

QUIET = sopnb.HandleSettings(progress=False)


def fill(path: Path, n: int) -> None:
    """Put records of a writer that does not live into the store, in an order of their own."""
    numbers = np.arange(n, dtype=np.int64) * 7_368_787 % n if n > 1 else np.arange(n)
    with sopnb.open(path, handle=QUIET) as db:
        table = pa.table({"writer": np.full(n, -1), "number": numbers, "text": [str(number % 1000) for number in numbers.tolist()]})
        db.load("rows", table, if_exists="insert")


def compare(path: Path, acknowledged: dict[int, int], before: int) -> None:
    """Every acknowledged record is there, in order, in the store and in its index; of each writer perhaps one more."""
    with sopnb.open(path, handle=QUIET) as db, db.at() as now:
        store = now["rows"]
        table = store[:].to_arrow()
        assert table.num_rows == len(store)
        writers, numbers = table["writer"].to_numpy(), table["number"].to_numpy()
        key = (numbers, -writers) if store.index.names[0] == "number" else (writers, numbers)
        assert (np.lexsort(key[::-1]) == np.arange(len(numbers))).all(), "out of order"
        assert int((writers == -1).sum()) == before
        for me, count in acknowledged.items():
            mine = np.sort(numbers[writers == me])
            assert len(mine) in (count, count + 1), f"writer {me}: {len(mine)} records, {count} acknowledged"
            assert (mine == np.arange(len(mine))).all()
        if "by_text" in store.indexes():
            by = store.by("by_text").to_arrow()
            assert by.num_rows == table.num_rows
            order = np.lexsort((-by["number"].to_numpy(), by["text"].to_numpy(zero_copy_only=False).astype("U")))
            texts = by["text"].to_numpy(zero_copy_only=False)
            assert (texts[order] == texts).all()
        report = db.check()
        assert report.ok, repr(report)


def test_a_million_records_get_another_key_while_two_processes_write(
    server: ForkServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them completes at least 500 commits between the beginning and the swap."""
    fill(path, 1_000_000)
    writers = [server.start("write", path, me) for me in range(2)]
    for writer in writers:
        writer.wait_for(1)
    counts: dict[str, list[int]] = {}

    def said() -> list[int]:
        for writer in writers:
            writer.read()
        return [len(writer.lines) for writer in writers]

    begin, step = Builder.begin, Builder.step

    def begun(self: Builder, *args: Any) -> Any:
        answer = begin(self, *args)
        counts["begun"] = said()
        return answer

    def stepped(self: Builder, kind: str, id: int, **how: Any) -> int:
        if kind == "replace":
            wanted = [count + 500 for count in counts["begun"]]
            wait_for(writers, lambda: all(len(w.lines) >= n for w, n in zip(writers, wanted, strict=True)), 10 * LIMIT)
            counts["swap"] = said()
        return step(self, kind, id, **how)

    monkeypatch.setattr(Builder, "begin", begun)
    monkeypatch.setattr(Builder, "step", stepped)
    with sopnb.open(path, handle=QUIET) as db, db.unlock("the race") as admin:
        admin.alter("rows", index=["number", "-writer"], add={"more": ("int64", 7)})
    after = said()
    for writer, count in zip(writers, after, strict=True):
        writer.wait_for(count + 50)
        writer.tell()
    acknowledged = {me: len(writer.end()) for me, writer in enumerate(writers)}
    assert all(swap - begun >= 500 for begun, swap in zip(counts["begun"], counts["swap"], strict=True))
    compare(path, acknowledged, 1_000_000)
    with sopnb.open(path, handle=QUIET) as db:
        assert db["rows"].index.names == ("number", "writer")
        assert set(db["rows"].select("more").prefix(5).to_arrow()["more"].to_pylist()) <= {7, None}


def test_a_kill_anywhere_leaves_the_old_key_or_the_new(server: ForkServer, path: Path, request: pytest.FixtureRequest) -> None:
    """Whoever alters is killed again and again; writers are not disturbed, and what was begun is given up."""
    kills = 300 if request.config.getoption("--long") else 30
    fill(path, 3000)
    random = np.random.default_rng(4)
    writer = server.start("write", path, 0)
    came_through = 0
    for kill in range(kills):
        alterer: Worker = server.start("alter", path, kill)
        alterer.wait_for(1 + 2 * int(random.integers(0, 3)))
        _for_a_while(alterer, float(random.random()) * 0.08)
        alterer.kill()
        assert not any("Traceback" in line for line in alterer.lines), alterer.lines[-30:]
        came_through += sum(line.isdigit() for line in alterer.lines)
        writer.wait_for(len(writer.lines) + 2)
        if kill % 10 == 9:
            compare(path, {}, 3000)
    writer.tell()
    acknowledged = {0: len(writer.end())}
    assert came_through > kills // 4
    compare(path, acknowledged, 3000)
    with sopnb.open(path, handle=QUIET) as db:
        db._lease.engine.upkeep.step()
        state = db._lease.engine.state()
        assert all(store.projection is None or store.projection.ready for store in state.every), "what was begun is given up"
        db.compact(keep=0)
        assert db.check().ok


def _for_a_while(worker: Worker, seconds: float) -> None:
    """Let a random moment pass, reading what is said meanwhile."""
    if select.select([worker], [], [], seconds)[0]:
        worker.read()
