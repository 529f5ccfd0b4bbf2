"""A snapshot while other threads commit."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pandas as pd

import sopnb
from sopnb.engine.entries import Entry
from sopnb.engine.tail import Tail
from tests.engine.support import PLAIN, key


class Growing(list[Entry]):
    """The versions of a key; another thread adds one right after the newest was looked at."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        if at == -1 and found.seq == 1:
            self.append(Entry(0, 2, 0, (1, "newer")))
        return found


def test_a_version_that_is_added_while_a_snapshot_is_read_is_not_in_it() -> None:
    # The newest version was found to be old enough; then another was added; then "the newest version" was taken: that other one.
    tail = Tail(0, PLAIN)
    tail.put(1, [(0, key(1), 1, 0, (1, "old"))])
    view = tail.view(1, 1)
    for versions in (Growing(tail.versions()[key(1)]), Growing(tail.versions()[key(1)])):
        tail.versions()[key(1)] = versions
        (piece,) = view.pieces(b"", None)
        assert piece.load().batch.to_pylist() == [{"k": 1, "v": "old"}]
        assert len(versions) == 2


def test_snapshots_read_by_several_threads_while_others_write_stay_as_they_were() -> None:
    interval = sys.getswitchinterval()
    with sopnb.open(":memory:") as db:
        db.create("s", schema={"k": "int64", "v": "int64"}, index="k")
        db["s"].insert(pd.DataFrame({"k": range(20), "v": [0] * 20}))
        over = threading.Event()
        failed: list[BaseException] = []

        def read() -> None:
            try:
                while not over.is_set():
                    with db.at() as snapshot:
                        first = snapshot["s"][:].to_pandas()
                        assert first["v"].nunique() == 1, "a commit is there in part"
                        assert snapshot["s"][:].to_pandas().equals(first)
                        assert [snapshot["s"][k]["v"] for k in range(20)] == first["v"].tolist()
            except BaseException as error:
                failed.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        sys.setswitchinterval(1e-5)
        try:
            for reader in readers:
                reader.start()
            for n in range(1, 150):
                db["s"].upsert([{"k": k, "v": n} for k in range(20)])
            over.set()
            for reader in readers:
                reader.join()
        finally:
            sys.setswitchinterval(interval)
        assert not failed
