"""What is measured in a process of its own: ``python -m tests.benchmarks.child TASK ARGUMENTS``; it prints one line of JSON.

This module imports nothing that would be loaded before it is measured.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def imported() -> dict[str, Any]:
    """Say how long ``import sopnb`` takes."""
    began = time.perf_counter()
    import sopnb  # noqa: F401

    return {"seconds": time.perf_counter() - began}


def opened(path: str, *key: str) -> dict[str, Any]:
    """Say how long it takes to open a database and to read a record of it."""
    import sopnb

    began = time.perf_counter()
    with sopnb.open(path) as db:
        record = db["t"][(*key[:-1], int(key[-1]))]
        return {"seconds": time.perf_counter() - began, "price": record["price"]}


def opened_sqlite(path: str, *key: str) -> dict[str, Any]:
    """The same of SQLite."""
    import sqlite3

    began = time.perf_counter()
    row = sqlite3.connect(path).execute("select * from t where region = ? and symbol = ? and id = ?", (*key[:-1], int(key[-1]))).fetchone()
    return {"seconds": time.perf_counter() - began, "price": row[3]}


def memory() -> dict[str, int]:
    """Return what this process holds of memory now, and the most it ever did, in bytes."""
    with open("/proc/self/status", encoding="ascii") as lines:
        said = dict(line.split(":", 1) for line in lines)
    return {name: int(said[key].split()[0]) * 1024 for name, key in (("now", "VmRSS"), ("most", "VmHWM"))}


def grown(path: str, rows: str, piece: str) -> dict[str, Any]:
    """Load many rows from an iterable of frames, and say by how much that made the process grow, and what one frame takes."""
    import sopnb
    from tests.benchmarks.data import KEY, pieces

    frame = next(pieces(int(piece), int(piece)))
    frame_bytes = int(frame.memory_usage(deep=True).sum())
    with sopnb.open(path, handle=sopnb.HandleSettings(progress=False)) as db:  # loading a little first brings in what is loaded once
        db.load("little", iter([frame]), index=list(KEY))
        db.drop("little")
        del frame
        before = memory()["now"]
        began = time.perf_counter()
        db.load("t", pieces(int(rows), int(piece)), index=list(KEY))
        return {"grown": memory()["most"] - before, "frame": frame_bytes, "seconds": time.perf_counter() - began}


def large(path: str, nbytes: str) -> dict[str, Any]:
    """Load so many bytes of wide rows from an iterable of frames; say how large this process was at most, how long it took, and what is
    there."""
    import sopnb
    from tests.benchmarks.data import articles

    made = [0.0, 0]

    def frames() -> Any:
        began = time.perf_counter()
        for frame in articles(int(nbytes)):
            made[0] += time.perf_counter() - began
            made[1] += int(frame.memory_usage(deep=True).sum())
            yield frame
            began = time.perf_counter()

    with sopnb.open(path, handle=sopnb.HandleSettings(progress=False)) as db:
        began = time.perf_counter()
        store = db.load("t", frames(), index="id")
        seconds = time.perf_counter() - began - made[0]
        return {"most": memory()["most"], "seconds": seconds, "rows": len(store), "bytes": store.info()["bytes"], "frames": made[1]}


def emptied(path: str) -> dict[str, Any]:
    """Delete all records of a store, and say by how much that made the process grow."""
    import sopnb

    with sopnb.open(path, handle=sopnb.HandleSettings(maintenance="off", progress=False)) as db:
        before, rows = memory()["now"], len(db["t"])
        assert db["t"][:].delete().deleted == rows
        return {"grown": memory()["most"] - before}


def walked(path: str) -> dict[str, Any]:
    """Read a whole store frame by frame, and say by how much that made the process grow, and what one frame takes."""
    import sopnb

    with sopnb.open(path) as db:
        frame_bytes = int(db["t"][:].head(65_536).memory_usage(deep=True).sum())
        before = memory()["now"]
        rows = sum(len(frame) for frame in db["t"][:].iter_batches())
        assert rows == len(db["t"])
        return {"grown": memory()["most"] - before, "frame": frame_bytes}


def folded(path: str, rows: str) -> dict[str, Any]:
    """Change many records all over a store, fold it, and say by how much folding made the process grow."""
    import sopnb
    from tests.benchmarks.data import changed, trades

    with sopnb.open(path, handle=sopnb.HandleSettings(maintenance="off", progress=False)) as db:
        for seed in (1, 2):
            db["t"].upsert(changed(trades(int(rows), seed=1), seed=seed))
        before = memory()["now"]
        db.fold()
        return {"grown": memory()["most"] - before}


TASKS = {each.__name__: each for each in (imported, opened, opened_sqlite, grown, large, emptied, walked, folded)}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
