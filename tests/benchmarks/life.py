"""Workloads around a process: starting it, and many that write."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.arena import Arena
from tests.benchmarks.data import trades
from tests.benchmarks.measure import Line, Times, within
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import Sqlite

ROOT = Path(__file__).parent.parent.parent
CONTENDERS: dict[str, type[Ours] | type[Sqlite]] = {"ours": Ours, "sqlite": Sqlite}


def child(task: str, *arguments: object, compiled: Path | None = None) -> dict[str, Any]:
    """Return what a task of ``child`` said in a process of its own; ``compiled`` keeps bytecode, as an installed package has it."""
    command = [sys.executable, "-m", "tests.benchmarks.child", task, *map(str, arguments)]
    environment = dict(os.environ)
    if compiled is not None:
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(compiled)
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def start(arena: Arena) -> list[Line]:
    """A fresh process: the import, then opening a store and reading the first record."""
    arena.ours.close()
    arena.sqlite.close()
    (key,) = arena.keys(1, seed=51)
    imports, ours, theirs = Times(), Times(), Times()
    compiled = arena.folder / "compiled"
    child("imported", compiled=compiled)
    for _ in range(arena.rounds):
        imports.seconds.append(child("imported", compiled=compiled)["seconds"])
        one = child("opened", arena.ours.path, *key, compiled=compiled)
        other = child("opened_sqlite", arena.sqlite.path, *key, compiled=compiled)
        assert one["price"] == other["price"]
        ours.seconds.append(one["seconds"])
        theirs.seconds.append(other["seconds"])
    what = f"open and first read of {arena.rows:,} rows"
    return [within("import sopnb", imports, 0.35), within(what, ours, 0.05), Line(what, ours, "sqlite", theirs)]


def rates(arena: Arena) -> list[Line]:
    """Durable commits of one row by several threads and processes at once, as the time that one commit takes of all."""
    lines = []
    each = max(arena.commits // 2, 4)
    for workers, kind in ((1, "thread"), (4, "threads"), (4, "processes")):
        measured: dict[str, Times] = {}
        for name, contender in CONTENDERS.items():
            folder = arena.folder / f"{workers}-{kind}-{name}"
            folder.mkdir()
            first = contender(folder)
            first.load(trades(100, seed=61))
            started = _threads if kind != "processes" else _processes
            seconds = started(name, folder, workers, each)
            measured[name] = Times([seconds / (workers * each)])
            assert len(first.everything()) == 100 + workers * each
            first.close()
        rate = 1 / measured["ours"].median
        lines.append(Line(f"commits by {workers} {kind}", measured["ours"], "sqlite", measured["sqlite"], note=f"{rate:,.0f} a second"))
    return lines


def _threads(name: str, folder: Path, workers: int, each: int) -> float:
    """Return how long so many threads take together, begun at once; peers get a connection for each, we share one handle."""
    shared = CONTENDERS[name](folder) if name == "ours" else None
    ready, go = threading.Barrier(workers + 1), threading.Barrier(workers + 1)

    def run(number: int) -> None:
        mine = shared or CONTENDERS[name](folder)
        _write(mine, number, each, ready.wait, go.wait)
        if mine is not shared:
            mine.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    go.wait()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if shared is not None:
        shared.close()
    return seconds


def _processes(name: str, folder: Path, workers: int, each: int) -> float:
    """Return how long so many processes take together, begun at once."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Barrier(workers + 1), context.Barrier(workers + 1)
    processes = [context.Process(target=process, args=(name, folder, number, each, ready, go)) for number in range(workers)]
    for one in processes:
        one.start()
    ready.wait()
    began = time.perf_counter()
    go.wait()
    for one in processes:
        one.join()
    seconds = time.perf_counter() - began
    assert not any(one.exitcode for one in processes)
    return seconds


def process(name: str, folder: Path, number: int, each: int, ready: Any, go: Any) -> None:
    """Write in a process of its own."""
    mine = CONTENDERS[name](folder)
    _write(mine, number, each, ready.wait, go.wait)
    mine.close()


def _write(mine: Ours | Sqlite, number: int, each: int, ready: Callable[[], object], go: Callable[[], object]) -> None:
    records = trades(each, seed=number, first=1000 * (number + 1)).to_pylist()
    ready()
    go()
    for record in records:
        mine.put(record)


WORKLOADS = {"start": start, "rates": rates}
