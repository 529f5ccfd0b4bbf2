"""Records to write, and random histories of a few stores beside what plain Python says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from hypothesis import strategies as st

import sopnb
from sopnb import DatabaseSettings, HandleSettings

TINY = DatabaseSettings(leaf_rows=4, leaf_bytes=512, branch_bytes=400, inline_rows=3, tail_rows=12, run_limit=6, value_bytes=40)
"""Few rows make several leaves, a write of four rows is a run of its own, some values lie out of line, and folds are due all the time."""
QUIET = HandleSettings(maintenance="off", progress=False)
NAMES = ("a", "b", "c")
SCHEMA = {"k": "int64", "v": "string"}
FLIGHTS = pd.DataFrame({"day": pd.to_datetime(["2013-01-01", "2013-01-02"], utc=True), "n": [1, 2], "late": [True, False]})
Rows = dict[int, str]
Event = tuple[int, str, str, int, str]
"""(commit, store, kind, key, value)"""

keys = st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True)
names = st.sampled_from(NAMES)
actions = st.one_of(
    st.tuples(st.just("create"), names),
    st.tuples(st.just("upsert"), names, keys),
    st.tuples(st.just("upsert"), names, keys),
    st.tuples(st.just("delete"), names, keys),
    st.tuples(st.just("drop"), names),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("replace"), names, keys),
)
upkeep = st.tuples(st.sampled_from(["fold", "checkpoint", "tag"]))
steps = st.one_of(st.lists(actions, min_size=1, max_size=3), st.lists(actions, min_size=1, max_size=3), upkeep)
histories = st.lists(steps, min_size=1, max_size=14)


@dataclass(eq=False)
class Kept:
    """A store: its records, and the versions of each key through the stores that it followed."""

    rows: Rows = field(default_factory=dict)
    past: dict[int, list[tuple[int, str, str]]] = field(default_factory=dict)
    origin: Kept | None = None
    """The store of the same name that was dropped before this one was created."""


class History:
    """A database and its model; ``contents[i]`` is what the stores held after commit ``i``, by name."""

    def __init__(self) -> None:
        self.db = sopnb.open(":memory:", settings=TINY, handle=QUIET)
        self.stores: dict[str, Kept] = {}
        self.contents: list[dict[str, tuple[Kept, Rows]]] = [{}]
        self.events: list[Event] = []
        self._dropped: dict[str, Kept] = {}
        self._new: set[Kept] = set()
        self._values = 0

    def play(self, history: Sequence[Any]) -> None:
        for step in history:
            self.step(step)

    def step(self, step: Any) -> bool:
        """Do what a step says, in one commit; say whether there was a commit that people see."""
        if isinstance(step, tuple):
            return self._upkeep(step[0])
        before = dict(self.stores)
        held = {kept: dict(kept.rows) for kept in before.values()}
        self._new.clear()
        with self.db.transaction(message="step") as tx:
            for action in step:
                self._act(tx, *action)
        self._committed(tx.seq, before, held)
        return bool(tx.seq)

    def _upkeep(self, what: str) -> bool:
        if what == "tag":
            if self.db.seq:
                self.db.tag(f"t{self.db.seq}")
                self._committed(self.db.seq, self.stores, {kept: kept.rows for kept in self.stores.values()})
            return bool(self.db.seq)
        if what == "fold":
            self.db.fold()
        else:
            self.db._upkeep().checkpoint()
        self._note()
        return False

    def _act(self, tx: Any, what: str, name: str, more: Any = None) -> None:
        there = name in self.stores
        if what == "create" and not there:
            tx.create(name, schema=SCHEMA, index="k")
            self._created(name)
        elif what == "drop" and there:
            tx.drop(name)
            self._gone(name)
        elif what == "rename" and there and more not in self.stores:
            tx.rename(name, more)
            self.stores[more] = self.stores.pop(name)
        elif what == "replace":
            rows = self._fresh(more)
            tx.load(name, _frame(rows), index="k", if_exists="replace")
            if there:
                self._gone(name)
            self._created(name).rows.update(rows)
        elif what == "upsert" and there:
            rows = self._fresh(more)
            tx[name].upsert(_frame(rows))
            self.stores[name].rows.update(rows)
        elif what == "delete" and there:
            tx[name].delete(more)
            for key in more:
                self.stores[name].rows.pop(key, None)

    def _fresh(self, keys: Sequence[int]) -> Rows:
        rows = {}
        for key in keys:
            self._values += 1
            rows[key] = f"{self._values}" + "x" * (60 if self._values % 5 == 0 else 0)
        return rows

    def _created(self, name: str) -> Kept:
        self.stores[name] = Kept(origin=self._dropped.get(name))
        self._new.add(self.stores[name])
        return self.stores[name]

    def _gone(self, name: str) -> None:
        kept = self.stores.pop(name)
        if kept not in self._new:  # else it never was
            self._dropped[name] = kept

    def _committed(self, seq: int, before: dict[str, Kept], held: dict[Kept, Rows]) -> None:
        """Note what a commit did, as its net effect on each store."""
        alive = {kept: name for name, kept in self.stores.items()}
        lost = sorted((name, kept) for name, kept in before.items() if kept not in alive)
        for name, kept in lost:
            for key, value in sorted(held[kept].items()):
                self.events.append((seq, name, "delete", key, value))
                kept.past.setdefault(key, []).append((seq, "delete", value))
        for name, kept in sorted(self.stores.items()):
            if kept not in held and kept.origin is not None:
                kept.past = {key: list(versions) for key, versions in kept.origin.past.items()}
            old = held.get(kept, {})
            for key in sorted(old.keys() | kept.rows.keys()):
                if old.get(key) == kept.rows.get(key):
                    continue
                kind = "insert" if key not in old else "update" if key in kept.rows else "delete"
                value = kept.rows.get(key, old.get(key, ""))
                self.events.append((seq, name, kind, key, value))
                kept.past.setdefault(key, []).append((seq, kind, value))
        self._note()

    def _note(self) -> None:
        content = {name: (kept, dict(kept.rows)) for name, kept in self.stores.items()}
        while len(self.contents) <= self.db.seq:
            self.contents.append(content)

    def content(self) -> dict[str, Rows]:
        """Return what the database itself says that its stores hold."""
        frames = {name: self.db[name][:].to_pandas() for name in self.db.stores()}
        return {name: dict(zip(frame["k"], frame["v"], strict=True)) for name, frame in frames.items()}

    def rows(self, seq: int) -> dict[str, Rows]:
        """Return what the stores held after a commit."""
        return {name: rows for name, (_, rows) in self.contents[seq].items()}

    def followed(self, a: int, b: int, name: str) -> tuple[Rows, Rows]:
        """Return the records at a and at b > a of a store that has this name at b, or else had it at a."""
        old, new = self.contents[a], self.contents[b]
        if name in new:
            kept, rows = new[name]
            there = {store: held for store, held in old.values()}
            line: Kept | None = kept
            while line is not None and line not in there:
                line = line.origin
            return there[line] if line is not None else old[name][1] if name in old else {}, rows
        kept, rows = old[name]
        return rows, next((held for store, held in new.values() if store is kept), {})


def rows(keys: Iterable[int], value: str = "a") -> pd.DataFrame:
    """Return records of these keys that all have one value."""
    return pd.DataFrame({"k": list(keys), "v": value})


def _frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame({"k": list(rows), "v": list(rows.values())})


def applied(rows: Rows, difference: Any) -> Rows:
    """Return what a difference makes of these records."""
    old, new = (difference[difference["_side"] == side] for side in ("old", "new"))
    rows = dict(rows)
    for key, value in zip(old["k"], old["v"], strict=True):
        assert rows.pop(key) == value
    for key, value in zip(new["k"], new["v"], strict=True):
        assert key not in rows
        rows[key] = value
    return rows
