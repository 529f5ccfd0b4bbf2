"""What the processes of the races do. Each says a line for whatever was acknowledged, at once, and ends when it is told something."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import sopnb
from sopnb.access import loading
from sopnb.engine import bulk
from sopnb.errors import Conflict, InvalidInput, InvalidState
from tests.race.forkserver import Line

SETTINGS = sopnb.DatabaseSettings(
    leaf_bytes=2048, leaf_rows=64, inline_rows=50, tail_rows=400, segment_bytes=32 * 1024, segment_limit=256 * 1024, log_bytes=128 * 1024,
    retention_seconds=0,
)  # fmt: skip
"""Settings under which a few hundred commits fold, roll the log, make checkpoints and collect."""
ROWS = 200
"""Rows of a bulk write."""
MILLION = 1_000_000


def create(path: object) -> None:
    """Make the database of the races."""
    with sopnb.open(path, settings=SETTINGS) as db:
        db.create("rows", schema={"writer": "int64", "number": "int64", "text": "string"}, index=["writer", "number"])
        db.create("shared", schema={"k": "int64", "v": "int64"}, index=["k"])


def write(line: Line, path: str, me: int, n: int = 1_000_000) -> None:
    """Insert one row in each commit, and say its number."""
    with sopnb.open(path) as db:
        rows = db["rows"]
        for number in range(n):
            rows.insert({"writer": me, "number": number, "text": f"{me}-{number}"})
            line.say(number)
            if line.told():
                return


def write_from_start(line: Line, path: str, me: int, n: int) -> None:
    """The same, beginning when told."""
    with sopnb.open(path) as db:
        rows = db["rows"]
        line.say("ready")
        line.hear()
        for number in range(n):
            rows.insert({"writer": me, "number": number, "text": f"{me}-{number}"})
            line.say(number)


def load(line: Line, path: str, me: int) -> None:
    """Write the same records again in each commit, all with its number; say that number."""
    with sopnb.open(path) as db:
        rows = db["rows"]
        for n in range(1_000_000):
            rows.upsert(pd.DataFrame({"writer": me, "number": np.arange(ROWS), "text": [str(n)] * ROWS}))
            line.say(n)
            if line.told():
                return


def load_million(line: Line, path: str, if_exists: str) -> None:
    """Load a million rows, saying how many are done; commit when told, once all are written."""
    with sopnb.open(path, handle=_telling(line)) as db:
        _load_million(line, db, if_exists)


def load_million_again(line: Line, path: str, if_exists: str) -> None:
    """The same whenever told, until told no more; after an interrupt say whether everything is as it was."""
    with sopnb.open(path, handle=_telling(line)) as db:
        before, blobs = db["old"][:].to_arrow(), list(db._lease.engine.backend.blobs.names())
        while line.hear():
            try:
                _load_million(line, db, if_exists)
            except KeyboardInterrupt:
                same = db["old"][:].to_arrow().equals(before) and list(db._lease.engine.backend.blobs.names()) == blobs
                line.say("same" if same else "different")


def _telling(line: Line) -> sopnb.HandleSettings:
    """Have loads say how many rows they have done, often, and use little memory."""

    @contextmanager
    def bar(self: object, what: str, rows: object) -> Iterator[Any]:
        done = 0

        def tell(rows: int) -> None:
            nonlocal done
            done += rows
            line.say(done)

        yield tell

    bulk.CHUNK = 8192
    loading.Progress.bar = bar  # type: ignore[assignment, method-assign]
    return sopnb.HandleSettings(load_bytes=8_000_000)


def _load_million(line: Line, db: sopnb.Database, if_exists: str) -> None:
    with db.transaction() as tx:
        tx.load("old", million(), index="k", if_exists=if_exists)  # type: ignore[arg-type]
        line.say("written")
        line.hear()


def million() -> Iterator[pa.Table]:
    """Yield a million records in no order, among whose keys are those of the old ones."""
    for start in range(0, MILLION, 50_000):
        keys = np.arange(start, start + 50_000) * 7_368_787 % MILLION  # a number prime to it
        yield pa.table({"k": keys, "v": keys + 1})


def upsert(line: Line, path: str, me: int, span: int, times: int = 1_000_000) -> None:
    """Upsert frames of keys that others upsert too; say how many rows each inserted."""
    random = np.random.default_rng(me)
    with sopnb.open(path) as db:
        for _ in range(times):
            keys = random.choice(span, size=ROWS, replace=False)
            counts = db["shared"].upsert(pd.DataFrame({"k": keys, "v": np.full(ROWS, me)}))
            line.say(counts.inserted)
            if line.told():
                return


def upkeep(line: Line, path: str, me: int) -> None:
    """Fold and compact, over and over; say how often."""
    with sopnb.open(path) as db:
        for n in range(1_000_000):
            db.fold() if n % 3 else db.compact(keep=0)
            line.say(n)
            if line.told():
                return


ORDERS = (["writer", "number"], ["number", "-writer"])
"""The keys that a store of the races has in turn."""


def alter(line: Line, path: str, me: int) -> None:
    """Give the store another key, and it or the other one an index, over and over; say when it begins and how often it came through."""
    with sopnb.open(path, handle=sopnb.HandleSettings(progress=False)) as db:
        for n in range(1_000_000):
            line.say("begin")
            try:
                if n % 3:
                    names = list(db["rows"].index.names)
                    with db.unlock("race") as admin:
                        admin.alter("rows", index=ORDERS[names == ORDERS[0]])
                elif "by_text" in db["rows"].indexes():
                    db["rows"].drop_index("by_text")
                else:
                    db["rows"].create_index("by_text", ["text", "-number"])
            except (Conflict, InvalidState, InvalidInput) as error:
                line.say(f"refused {error}")
            line.say(n)
            if line.told():
                return


def read(line: Line, path: str, me: int) -> None:
    """Open snapshots and read each several times, by all ways to count; say how many rows there were."""
    with sopnb.open(path) as db:
        for _ in range(1_000_000):
            with db.at() as snapshot:
                rows = snapshot["rows"]
                first = rows[:].to_pandas()
                assert len(rows) == len(first) == rows[:].count() == sum(len(f) for f in rows[:].iter_batches(size=97))
                again = rows[:].to_pandas()
                pd.testing.assert_frame_equal(first, again)
                assert not first.duplicated(["writer", "number"]).any()
            line.say(len(first))
            if line.told():
                return


def hold(line: Line, path: str) -> None:
    """Open a snapshot, say what is in it; when told, read it again and say whether it is the same."""
    with sopnb.open(path) as db, db.at() as snapshot:
        first = snapshot["rows"][:].to_pandas()
        line.say(len(first))
        line.hear()
        line.say(snapshot["rows"][:].to_pandas().equals(first))
        line.hear()


def follow(line: Line, path: str) -> None:
    """Say how many rows there are whenever told: one handle, open all the time."""
    with sopnb.open(path) as db:
        line.say("ready")
        while line.hear():
            line.say(len(db["rows"]))


def turn(line: Line, path: str) -> None:
    """Hold the commit lock until told."""
    with sopnb.open(path) as db, db._lease.engine.backend.registry.turn(30):
        line.say("inside")
        line.hear()
    line.say("outside")


# -- invariants ---------------------------------------------------------------------------------------------------------------


def transfer(line: Line, path: str, me: int, times: int) -> None:
    """Move money between accounts of several stores; say how many conflicts there were."""
    random = np.random.default_rng(me)
    conflicts = 0
    with sopnb.open(path) as db:
        names = [name for name in db.stores() if name.startswith("bank")]
        for _ in range(times):
            a, b = random.choice(len(names) * 4, size=2, replace=False).tolist()
            amount = int(random.integers(1, 10))

            def move(tx: Any, a: int = a, b: int = b, amount: int = amount) -> None:
                nonlocal conflicts
                conflicts += 1
                source, target = tx[names[a // 4]], tx[names[b // 4]]
                have, get = source[a % 4]["money"], target[b % 4]["money"]
                source.update(a % 4, {"money": have - amount})
                target.update(b % 4, {"money": get + amount})

            db.run(move)
            conflicts -= 1
        line.say(conflicts)


def audit(line: Line, path: str, total: int) -> None:
    """Add all accounts up in one snapshot after another until told to stop; say how many were right."""
    right = 0
    with sopnb.open(path) as db:
        names = [name for name in db.stores() if name.startswith("bank")]
        line.say("ready")
        while not line.told():
            with db.transaction(mode="read") as tx:
                money = sum(int(tx[name][:].to_pandas()["money"].sum()) for name in names)
            assert money == total, f"{money} instead of {total}"
            right += 1
        line.say(right)


def append(line: Line, path: str, me: int, times: int, keys: int, seed: int) -> None:
    """Run transactions that append to lists and read them; say each as JSON: operations, outcome, begin and end."""
    random = np.random.default_rng([seed, me])
    with sopnb.open(path) as db:
        line.say("ready")
        line.hear()
        for number in range(times):
            line.say(json.dumps(one_transaction(db, random, keys, me * 1_000_000 + number * 10, line)))


def one_transaction(db: Any, random: np.random.Generator, keys: int, value: int, line: Line | None = None) -> dict[str, Any]:
    """Do a few reads and appends in one transaction; return what happened, for ``sopnb.testing.history``.

    With a ``line``, say what is about to be committed, for whoever kills us meanwhile.
    """
    operations: list[Any] = []
    began = time.monotonic()
    outcome = "committed"
    reading = random.random() < 0.2
    try:
        with db.transaction(mode="read" if reading else "write") as tx:
            for n in range(int(random.integers(1, 5))):
                key = int(random.integers(keys))
                store = tx[f"lists{key % 2}"]
                if random.random() < 0.15:
                    found = {record["k"]: json.loads(record["values"]) for record in store[:].records()}
                    operations += [[k, found.get(k, [])] for k in range(key % 2, keys, 2)]
                    continue
                record = store.get(key)
                values = [] if record is None else json.loads(record["values"])
                if reading or random.random() < 0.5:
                    operations.append([key, values])
                else:
                    store.replace({"k": key, "values": json.dumps([*values, value + n])})
                    operations.append([key, value + n])
            if line is not None:
                line.say(json.dumps({"operations": operations, "outcome": "unknown", "began": began, "ended": 1e18}))
    except Conflict:
        outcome = "aborted"
    return {"operations": operations, "outcome": outcome, "began": began, "ended": time.monotonic()}
