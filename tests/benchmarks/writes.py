"""Workloads that write."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.benchmarks.arena import Arena, agree
from tests.benchmarks.data import changed, chosen, trades
from tests.benchmarks.measure import Line, Times, against, told
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import Duck, Sqlite, installed

BARE_BYTES = 400
"""A record of the log that holds one trade is about this long."""


def load(arena: Arena) -> list[Line]:
    """Bulk load of unsorted rows with a compound unique key; SQLite gets them sorted, and both peers from Arrow."""
    folder = arena.folder / "load"
    folder.mkdir()
    ours, sqlite = Ours(folder), Sqlite(folder)
    ordered = arena.ordered
    runs: dict[str, Any] = {"ours": lambda: ours.load(arena.table), "sqlite": lambda: sqlite.load(ordered)}
    duck = Duck(folder) if installed("duckdb") else None
    if duck is not None:
        runs["duckdb"] = lambda: duck.load(arena.table)
    times = arena.race(rounds=min(arena.rounds, 5), **runs)
    agree(ours.everything(), sqlite.everything())
    if duck is not None:
        agree(ours.everything(), duck.everything())
        duck.close()
    ours.close()
    sqlite.close()
    return against(f"bulk load of {arena.rows:,} unsorted rows", times, {"sqlite": 4, "duckdb": 4})


def upsert(arena: Arena) -> list[Line]:
    """Random upserts in one commit: with nothing cached here, then warm. What they leave to be folded is timed beside it."""
    ours, sqlite = arena.ours, arena.sqlite
    changes = arena.changes()
    for contender in (ours, sqlite):
        contender.reopen()
    first = next(changes)
    cold = arena.race(rounds=1, ours=lambda: ours.upsert(first), sqlite=lambda: sqlite.upsert(first))
    rows = f"{arena.share:,} random upserts into {arena.rows:,} rows"
    mine, theirs = arena.changes(), arena.changes()
    next(mine), next(theirs)
    upkeep = Times()

    def tidy() -> None:
        began = time.perf_counter()
        ours.tidy()
        upkeep.seconds.append(time.perf_counter() - began)

    times = arena.race(before=tidy, ours=lambda: ours.upsert(next(mine)), sqlite=lambda: sqlite.upsert(next(theirs)))
    agree(ours.everything(), sqlite.everything())
    began = time.perf_counter()
    ours.db.fold()
    folded = time.perf_counter() - began
    runs = len(upkeep.seconds) // 2
    note = f"folds behind them {told(sum(upkeep.seconds) / runs)} each, of everything at last {told(folded)}"
    warm = against(f"{rows}, warm", times, {"sqlite": 3}, note)
    return [*warm, *against(f"{rows}, just opened", cold, {"sqlite": None})]


def half(arena: Arena) -> list[Line]:
    """Upserts of a tenth as many rows as there are, half of them new, in one commit, from a frame; the counts must be exact."""
    ours, sqlite = arena.ours, arena.sqlite
    old = arena.rows // 20

    turns = itertools.count()
    waiting: dict[str, deque[pd.DataFrame]] = {"ours": deque(), "sqlite": deque()}

    def ready() -> None:
        ours.tidy()
        if not all(waiting.values()):
            turn = next(turns)
            there = changed(chosen(arena.table, old, seed=500 + turn), seed=500 + turn)
            mixed = pa.concat_tables([there, trades(old, seed=9000 + turn, first=10**9 + turn * old)])
            frame = mixed.take(pa.array(np.random.default_rng(turn).permutation(mixed.num_rows))).to_pandas()
            for queue in waiting.values():
                queue.append(frame)

    def upserted() -> None:
        counts = ours.store.upsert(waiting["ours"].popleft())
        assert (counts.inserted, counts.updated, counts.unchanged) == (old, old, 0), counts

    times = arena.race(
        rounds=min(arena.rounds, 5),
        before=ready,
        ours=upserted,
        sqlite=lambda: sqlite.upsert(pa.Table.from_pandas(waiting["sqlite"].popleft(), preserve_index=False)),
    )
    agree(ours.everything(), sqlite.everything())
    return against(f"upsert of a frame of {2 * old:,} rows, half new, into {arena.rows:,}", times, {"sqlite": 3})


def commit(arena: Arena) -> list[Line]:
    """Durable commits of one record, one contender after the other, beside a bare write and sync on the same file system."""
    ours, sqlite = arena.ours, arena.sqlite
    records = changed(chosen(arena.table, 1000, seed=21), seed=22).to_pylist()
    path = arena.folder / "bare"
    bare = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(bare, bytes(BARE_BYTES * 4000), 0)
    os.fsync(bare)
    data, places = os.urandom(BARE_BYTES), iter(range(0, BARE_BYTES * 4000, BARE_BYTES))

    def write_bare() -> None:
        os.pwrite(bare, data, next(places))
        os.fdatasync(bare)

    turns = {name: iter(range(10**9)) for name in ("ours", "sqlite")}

    def record(name: str) -> dict[str, Any]:
        number = next(turns[name])
        return {**records[number % len(records)], "volume": 2 * 10**9 + number}

    arena.race(rounds=arena.commits // 4, ours=lambda: ours.put(record("ours")), sqlite=lambda: sqlite.put(record("sqlite")))
    times = arena.race(
        rounds=arena.commits, ours=lambda: ours.put(record("ours")), sqlite=lambda: sqlite.put(record("sqlite")), bare=write_bare
    )
    os.close(bare)
    agree(ours.everything(), sqlite.everything())
    limit = 1.3 * times["bare"].median + 15e-6
    met = times["ours"].median <= limit
    return [
        Line("durable commit of one row", times["ours"], "bare write and sync", times["bare"], f"< {told(limit)}", met),
        *against("durable commit of one row", times, {"sqlite": 1}, "its journal: write-ahead log, synced at every commit"),
    ]


WORKLOADS = {"load": load, "upsert": upsert, "half": half, "commit": commit}
