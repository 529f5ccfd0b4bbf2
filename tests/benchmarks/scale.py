"""What does not grow with the data: memory, leaves and branches touched, descriptors, bytes cached."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sopnb
from tests.benchmarks.arena import Arena
from tests.benchmarks.data import KEY, keys_of, pieces, trades
from tests.benchmarks.life import child
from tests.benchmarks.measure import Line, figure

PIECE = 250_000
MIB = 1024 * 1024


def memory(arena: Arena) -> list[Line]:
    """By how much a process grows that loads ten times as many rows frame by frame, reads them, folds them; with everybody's settings."""
    rows, piece, path = 10 * arena.rows, min(PIECE, arena.rows), arena.folder / "grown.sop"
    handle = sopnb.HandleSettings()
    loaded, walked = child("grown", path, rows, piece), child("walked", path)
    folded = child("folded", path, piece)
    emptied = child("emptied", path)
    most = handle.load_bytes + handle.cache_bytes + 2 * loaded["frame"]
    kept = handle.cache_bytes + 2 * walked["frame"]
    return [
        figure(
            f"memory taken by a load of {rows:,} rows",
            loaded["grown"] / MIB,
            "MiB",
            most / MIB,
            f"load_bytes + cache_bytes + two frames; it took {loaded['seconds']:.0f} s",
        ),
        figure(f"memory taken by frames of all {rows:,} rows", walked["grown"] / MIB, "MiB", kept / MIB, "cache_bytes + two frames"),
        figure(f"memory taken by a fold into {rows:,} rows", folded["grown"] / MIB, "MiB", handle.cache_bytes / MIB, "cache_bytes"),
        figure(
            f"memory taken by deleting {rows:,} rows",
            emptied["grown"] / MIB,
            "MiB",
            (handle.load_bytes + handle.cache_bytes) / MIB,
            "load_bytes + cache_bytes",
        ),
    ]


def large(arena: Arena) -> list[Line]:
    """The largest size of a process that loads wide rows frame by frame, a kilobyte for each row of the arena or as many as asked."""
    nbytes = arena.nbytes or 1000 * arena.rows
    did = child("large", arena.folder / "large.sop", nbytes)
    speed, what = nbytes / 1e6 / did["seconds"], f"{nbytes / 1e9:.3g} GB"
    return [
        figure(
            f"resident at most, loading {what}", did["most"] / MIB, "MiB", 1024, f"{did['rows']:,} rows, {did['bytes'] / 1e9:.3g} GB stored"
        ),
        figure(f"speed of loading {what}", speed, "MB/s", note=f"{did['seconds']:.0f} s"),
    ]


def touched(arena: Arena) -> list[Line]:
    """Leaves and branches used by one record, one row and one page, in the flights' number of rows and in ten times the arena's."""
    lines = []
    counts: dict[str, list[tuple[int, int]]] = {}
    sizes = min(336_776, arena.rows), 10 * arena.rows
    for rows in sizes:
        with sopnb.open(arena.folder / f"{rows}.sop", handle=sopnb.HandleSettings(progress=False)) as db:
            store = db.load("t", pieces(rows, min(PIECE, arena.rows)), index=list(KEY))
            keys = keys_of(trades(min(PIECE, arena.rows), seed=1).slice(0, 20))
            for number, key in enumerate(keys):
                for what, read in _reads(store, key, number * rows // len(keys)).items():
                    before = db.info()
                    read()
                    after = db.info()
                    used = tuple(after[name] - before[name] for name in ("leaves_used", "branches_used"))
                    counts.setdefault(f"{what} of {rows:,} rows", []).append(used)  # type: ignore[arg-type]
    for what, used in counts.items():
        leaves, branches = (max(one[i] for one in used) for i in (0, 1))
        lines.append(Line(f"used by {what}, at most", f"{leaves} leaves, {branches} branches"))
    return lines


def _reads(store: sopnb.Store, key: Any, position: int) -> dict[str, Callable[[], object]]:
    return {
        "a record": lambda: store[key],
        "a row": lambda: store[:].row(position),
        "a page of 100": lambda: store[:].rows(position, position + 100),
        "a count": lambda: store[key:].count(),
    }


def bounded(arena: Arena) -> list[Line]:
    """Bytes cached and descriptors open after reading all over a store that is larger than a small cache, in many blobs."""
    handle = sopnb.HandleSettings(cache_bytes=8 * MIB, descriptors=8, maintenance="off", progress=False)
    with sopnb.open(arena.folder / "bounded.sop", handle=handle) as db:
        store = db.load("t", arena.table, index=list(KEY))
        for change in [change for change, _ in zip(arena.changes(), range(20), strict=False)]:
            store.upsert(change)
        before = _descriptors()
        for key in arena.keys(2000, seed=71):
            store[key]
        for part in store[:].iter_batches():
            assert len(part)
        runs, cached, opened = store.info()["runs"], db.info()["cache_bytes"], _descriptors()
    return [
        figure(f"cached after reads all over {arena.rows:,} rows", cached / MIB, "MiB", handle.cache_bytes / MIB),
        figure(f"descriptors open meanwhile, {runs} runs", opened, "", before + handle.descriptors),
    ]


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


WORKLOADS = {"memory": memory, "large": large, "touched": touched, "bounded": bounded}
