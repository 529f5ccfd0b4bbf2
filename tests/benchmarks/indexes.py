"""Workloads with a secondary index, beside SQLite with the same one: built, kept by writes, read by value and by position."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tests.benchmarks.arena import Arena, agree
from tests.benchmarks.data import changed, chosen
from tests.benchmarks.measure import Line, against

COLUMNS = "region, symbol, id, price, volume, time, note"
IN_ORDER = f"select {COLUMNS} from t order by symbol, price desc, region, id"


def index(arena: Arena) -> list[Line]:
    """An index on a text and a descending number: its building, 10,000 upserts that keep it, a look-up of a value, a page in its order."""
    ours, sqlite = arena.ours, arena.sqlite
    ours.db.fold()
    rows = f"{arena.rows:,} rows"

    def dropped() -> None:
        if ours.store.indexes():
            ours.store.drop_index("by_symbol")
            sqlite.db.execute("drop index by_symbol")

    lines = against(
        f"an index on two columns of {rows}",
        arena.race(
            rounds=min(arena.rounds, 3),
            before=lambda: dropped() if _both(ours, sqlite) else None,
            ours=lambda: ours.store.create_index("by_symbol", ["symbol", "-price"]),
            sqlite=lambda: sqlite.db.execute("create index by_symbol on t (symbol, price desc, region, id)"),
        ),
        {"sqlite": 1},
    )
    lines += _upserts(arena, f"{arena.share:,} random upserts into {rows} with an index, warm")
    ours.db.fold()
    symbols = iter([record["symbol"] for record in chosen(arena.table, 4000, seed=77).to_pylist()] * 10)
    wanted = {"ours": symbols, "sqlite": symbols}

    def find(symbol: str) -> pd.DataFrame:
        return ours.store.find(symbol=symbol).to_pandas()

    def select(symbol: str) -> pd.DataFrame:
        return _frame(sqlite, f"select {COLUMNS} from t where symbol = ? order by symbol, price desc, region, id", symbol)

    some = next(symbols)
    agree(find(some), select(some))
    times = arena.race(ours=lambda: find(next(wanted["ours"])), sqlite=lambda: select(next(wanted["sqlite"])))
    lines += against(f"all records of a value by the index, of {rows}", times, {"sqlite": 1})
    by = ours.store.by("by_symbol")
    middle = arena.rows // 2

    def page() -> pd.DataFrame:
        return by.rows(middle, middle + 100)

    def offset() -> pd.DataFrame:
        return _frame(sqlite, f"{IN_ORDER} limit 100 offset {middle}")

    agree(page(), offset())
    times = arena.race(ours=page, sqlite=offset)
    return lines + against(f"page of 100 in the middle of the index's order, of {rows}", times, {"sqlite": 1})


def _both(ours: Any, sqlite: Any) -> bool:
    """Say whether both have the index, which is dropped when a new round begins."""
    return bool(ours.store.indexes()) and bool(sqlite.db.execute("select 1 from sqlite_master where name = 'by_symbol'").fetchall())


def _upserts(arena: Arena, what: str) -> list[Line]:
    ours, sqlite = arena.ours, arena.sqlite
    if not _both(ours, sqlite):
        raise AssertionError("both have the index")
    mine, theirs = (_changes(arena) for _ in range(2))
    times = arena.race(before=ours.tidy, ours=lambda: ours.upsert(next(mine)), sqlite=lambda: sqlite.upsert(next(theirs)))
    agree(ours.everything(), sqlite.everything())
    return against(what, times, {"sqlite": 1})


def _changes(arena: Arena) -> Any:
    return (changed(chosen(arena.table, arena.share, seed=seed), seed=seed) for seed in range(700, 10_000))


def _frame(sqlite: Any, query: str, *values: Any) -> pd.DataFrame:
    frame = pd.DataFrame(sqlite.db.execute(query, values).fetchall(), columns=COLUMNS.split(", "))
    return frame.assign(time=pd.to_datetime(frame["time"], unit="us", utc=True))


WORKLOADS = {"index": index}
