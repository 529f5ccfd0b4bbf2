"""The peers: the same work done by SQLite and DuckDB, tuned, answering in the same form."""

from __future__ import annotations

import contextlib
import importlib.util
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tests.benchmarks.data import KEY, SCHEMA

Key = tuple[Any, ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = SCHEMA.names
TIME = COLUMNS.index("time")
_MATCH = " and ".join(f"{name} = ?" for name in KEY)
_UPDATES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in KEY)
_UPSERT = f"insert into t values ({', '.join('?' * len(COLUMNS))}) on conflict ({', '.join(KEY)}) do update set {_UPDATES}"


class Sqlite:
    """SQLite on a file: write-ahead log synced at every commit, 200 MB of cache, memory maps, the records in the key's own tree."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "peer.sqlite"
        self.begin()

    def begin(self) -> None:
        """Open the database."""
        self.db = sqlite3.connect(self.path, isolation_level=None, timeout=60)
        for pragma in ("journal_mode=wal", "synchronous=full", "cache_size=-200000", f"mmap_size={1 << 34}", "temp_store=memory"):
            self.db.execute(f"pragma {pragma}")

    def reopen(self) -> None:
        """Forget what is cached here; the system's own cache stays warm."""
        self.db.close()
        self.begin()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("begin immediate")
        yield
        self.db.execute("commit")

    def load(self, table: pa.Table) -> None:
        """Load records, best in the order of their key, into a new table."""
        kinds = ("text", "text", "integer", "real", "integer", "integer", "text")
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, kinds, strict=True))
        with self.transaction():
            self.db.execute("drop table if exists t")
            self.db.execute(f"create table t ({columns}, primary key ({', '.join(KEY)})) without rowid")
            self.db.executemany(f"insert into t values ({', '.join('?' * len(COLUMNS))})", tuples(table))

    def upsert(self, table: pa.Table) -> None:
        """Insert or update many records in one commit."""
        with self.transaction():
            self.db.executemany(_UPSERT, tuples(table))

    def put(self, record: dict[str, Any]) -> None:
        """Insert or update one record, durably."""
        values = list(record.values())
        values[TIME] = (record["time"] - EPOCH) // timedelta(microseconds=1)
        self.db.execute(_UPSERT, values)

    def get_each(self, keys: list[Key]) -> list[dict[str, Any]]:
        """Return records one by one, inside a transaction."""
        found, query, names = [], f"select * from t where {_MATCH}", COLUMNS
        execute = self.db.execute
        execute("begin")
        for key in keys:
            record = dict(zip(names, execute(query, key).fetchone(), strict=True))
            record["time"] = EPOCH + timedelta(microseconds=record["time"])
            found.append(record)
        execute("commit")
        return found

    def get_many(self, keys: list[Key]) -> pd.DataFrame:
        """Return the records of many keys in the order asked."""
        self.db.execute("create temp table if not exists wanted (region text, symbol text, id integer)")
        self.db.execute("delete from wanted")
        with self.transaction():
            self.db.executemany("insert into wanted values (?, ?, ?)", keys)
        columns = ", ".join(f"t.{name}" for name in COLUMNS)
        return frame(
            self.db.execute(f"select {columns} from wanted cross join t using ({', '.join(KEY)}) order by wanted.rowid").fetchall()
        )

    def everything(self) -> pd.DataFrame:
        return frame(self.db.execute("select * from t order by region, symbol, id").fetchall())

    def between(self, start: Key, stop: Key) -> pd.DataFrame:
        """Return the records of a range of keys."""
        row = f"({', '.join(KEY)})"
        query = f"select * from t where {row} >= (?, ?, ?) and {row} < (?, ?, ?) order by region, symbol, id"
        return frame(self.db.execute(query, (*start, *stop)).fetchall())

    def page(self, position: int, size: int = 100) -> pd.DataFrame:
        """Return a page by its position."""
        return frame(self.db.execute("select * from t order by region, symbol, id limit ? offset ?", (size, position)).fetchall())

    def close(self) -> None:
        self.db.close()


class Duck:
    """DuckDB on a file, the key declared, so that it is kept unique."""

    def __init__(self, folder: Path) -> None:
        import duckdb

        self.db = duckdb.connect(folder / "peer.duckdb")
        self.db.execute("set timezone = 'UTC'")

    def load(self, table: pa.Table) -> None:
        self.db.execute("drop table if exists t")
        self.db.register("given", table)
        kinds = ("varchar", "varchar", "bigint", "double", "bigint", "timestamptz", "varchar")
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, kinds, strict=True))
        self.db.execute(f"create table t ({columns}, primary key ({', '.join(KEY)}))")
        self.db.execute("insert into t select * from given")

    def everything(self) -> pd.DataFrame:
        return self.db.execute("select * from t order by region, symbol, id").df()

    def close(self) -> None:
        self.db.close()


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def tuples(table: pa.Table) -> Iterator[Key]:
    """Return rows as SQLite takes them: moments as whole numbers."""
    columns = [table.column(name).cast(pa.int64()) if name == "time" else table.column(name) for name in COLUMNS]
    return zip(*(column.to_pylist() for column in columns), strict=True)


def frame(rows: list[Any]) -> pd.DataFrame:
    """Return rows as a frame with the types that the data had."""
    made = pd.DataFrame(rows, columns=COLUMNS)
    made["time"] = pd.to_datetime(made["time"], unit="us", utc=True)
    return made
