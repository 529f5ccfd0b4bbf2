"""Workloads that filter: on a column that is no key, in rows whose order it follows, and in rows whose order it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from tests.benchmarks.arena import Arena, agree
from tests.benchmarks.measure import Line, against
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import Duck, Sqlite, installed

_BEGIN = 1_600_000_000_000_000
_STEP = 1_000_000


def events(rows: int) -> pa.Table:
    """Return events by number: the later the larger, a sensor and a reading for each."""
    draw = np.random.default_rng(3)
    return pa.table(
        {
            "id": np.arange(rows),
            "time": pa.array(_BEGIN + np.arange(rows) * _STEP + draw.integers(0, 10 * _STEP, rows)).cast(pa.timestamp("us", "UTC")),
            "sensor": draw.integers(0, 1000, rows),
            "reading": draw.random(rows),
            "note": pc.binary_join_element_wise("note", pa.array(draw.integers(0, 10**9, rows)).cast(pa.string()), " "),
        }
    )


class Filters:
    """The contenders over the same events: we by expression and by SQL, SQLite without and with an index, DuckDB over a Parquet file."""

    def __init__(self, arena: Arena) -> None:
        folder = arena.folder / "where"
        folder.mkdir()
        table = events(arena.rows)
        self.ours, self.sqlite = Ours(folder), Sqlite(folder)
        self.store = self.ours.db.load("events", table, index="id")
        self.sqlite.db.execute("create table events (id integer primary key, time integer, sensor integer, reading real, note text)")
        columns = [column.cast(pa.int64()).to_pylist() if name == "time" else column.to_pylist() for name, column in zip(
            table.column_names, table.columns, strict=True)]  # fmt: skip
        with self.sqlite.transaction():
            self.sqlite.db.executemany("insert into events values (?, ?, ?, ?, ?)", zip(*columns, strict=True))
        pyarrow.parquet.write_table(table, path := folder / "events.parquet")
        self.duck = Duck(folder) if installed("duckdb") else None
        if self.duck is not None:
            self.duck.db.execute(f"create view events as select * from '{path}'")
        self.names = table.column_names

    def race(self, what: str, arena: Arena, expression: Any, sql: str, numbers: str) -> list[Line]:
        """Run one condition, said in three ways; ``numbers`` says moments as whole numbers."""

        def sqlite() -> pd.DataFrame:
            frame = pd.DataFrame(self.sqlite.db.execute(f"select * from events where {numbers} order by id").fetchall(), columns=self.names)
            return frame.assign(time=pd.to_datetime(frame["time"], unit="us", utc=True))

        runs: dict[str, Any] = {"ours": lambda: self.store.where(expression).to_pandas(), "sqlite": sqlite}
        if self.duck is not None:
            query = f"select * from events where {sql} order by id"
            duck = self.duck.db
            runs["ours by SQL"] = lambda: self.ours.db.sql(query).to_pandas()
            runs["duckdb over parquet"] = lambda: duck.execute(query).df()
        for each in runs.values():
            agree(runs["ours"](), each().astype(runs["ours"]().dtypes.to_dict()))
        told = self.store.where(expression).explain(run=True)
        note = f"{told.found:,} found, {told.leaves:,} leaves read, {told.leaves_skipped:,} skipped"
        return against(what, arena.race(**runs), dict.fromkeys([name for name in runs if name != "ours"]), note)

    def close(self) -> None:
        self.ours.close()
        self.sqlite.close()
        if self.duck is not None:
            self.duck.close()


def where(arena: Arena) -> list[Line]:
    """A selective filter on a column that follows the key, one on a column that does not, and the first again with an index in SQLite."""
    filters = Filters(arena)
    low, high = (_BEGIN + arena.rows * _STEP * part // 100 for part in (50, 51))
    first, last = (pa.scalar(at, pa.timestamp("us", "UTC")) for at in (low, high))
    follows = (pc.field("time") >= first) & (pc.field("time") < last)
    sql = f"time >= make_timestamptz({low}) and time < make_timestamptz({high})"
    numbers = f"time >= {low} and time < {high}"
    lines = filters.race("1 % by a column that follows the key", arena, follows, sql, numbers)
    lines += filters.race("0.1 % by a column that does not", arena, pc.field("sensor") == 7, "sensor = 7", "sensor = 7")
    filters.sqlite.db.execute("create index by_time on events (time)")
    lines += filters.race("1 % by a column that follows the key, SQLite has an index", arena, follows, sql, numbers)
    filters.close()
    return lines


WORKLOADS = {"where": where}
