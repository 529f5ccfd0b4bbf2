"""Our side of every workload, by the public names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

import sopnb
from tests.benchmarks.data import KEY

Key = tuple[Any, ...]


class Ours:
    """A database in a folder with the settings that people have, but for maintenance, which is measured by itself."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ours.sop"
        self.begin()

    def begin(self) -> None:
        """Open the database."""
        self.db = sopnb.open(self.path, handle=sopnb.HandleSettings(maintenance="off", progress=False))
        self._store: sopnb.Store | None = None

    def reopen(self) -> None:
        """Forget what is cached here; the system's own cache stays warm."""
        self.db.close()
        self.begin()

    @property
    def store(self) -> sopnb.Store:
        """The store, which is kept as one does."""
        if self._store is None:
            self._store = self.db["t"]
        return self._store

    def load(self, table: pa.Table) -> None:
        self.db.load("t", table, index=list(KEY), if_exists="replace")

    def upsert(self, table: pa.Table) -> None:
        """Insert or update many records in one commit."""
        self.store.upsert(table)

    def tidy(self) -> None:
        """Do what the maintenance thread would do behind the commits."""
        while self.db._lease.engine.upkeep.step():
            pass

    def put(self, record: dict[str, Any]) -> None:
        """Insert or update one record, durably."""
        self.store.upsert(record)

    def get_each(self, keys: list[Key]) -> list[sopnb.Record]:
        """Return records one by one, inside a transaction."""
        with self.db.transaction("read") as tx:
            store = tx["t"]
            return [store[key] for key in keys]

    def get_many(self, keys: Any) -> pd.DataFrame:
        """Return the records of many keys in the order asked."""
        return self.store.get_many(keys)

    def everything(self) -> pd.DataFrame:
        return self.store[:].to_pandas()

    def between(self, start: Key, stop: Key) -> pd.DataFrame:
        """Return the records of a range of keys."""
        return self.store[start:stop].to_pandas()

    def page(self, position: int, size: int = 100) -> pd.DataFrame:
        """Return a page by its position."""
        return self.store[:].rows(position, position + size)

    def close(self) -> None:
        self.db.close()
