"""Serialisability: what committed transactions read is what they would have read one after another, in the order of their commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine.engine import Engine
from sopnb.engine.storework import StoreWork
from sopnb.engine.work import Work
from sopnb.errors import Conflict
from tests.engine.support import PLAIN, TINY, Cluster, commit, contents, create, key, keys, table

NAMES = ("s", "t")
KEYS = range(6)
Database = dict[str, dict[int, str]]
Operation = tuple[str, str, int, int]
"""What to do, in which store, and two numbers that mean a key, a range or a position."""

OPERATIONS = st.tuples(
    st.sampled_from(
        ["get", "scan", "back", "some", "count", "rows", "many", "first", "last", "select", "rank", "put", "add", "delete", "load", "clear"]
    ),
    st.sampled_from(NAMES),
    st.sampled_from(KEYS),
    st.sampled_from(KEYS),
)
TRANSACTIONS = st.lists(st.tuples(st.booleans(), st.lists(OPERATIONS, min_size=1, max_size=4)), min_size=2, max_size=5)


def on_store(store: StoreWork, operation: Operation, mark: str) -> Any:
    """Carry an operation out; return what the transaction learns by it."""
    kind, _, a, b = operation
    lo, hi = sorted((a, b))
    if kind == "get":
        return (entry := store.get(key(a))) and entry.row
    if kind in ("scan", "back"):
        parts = list(store.scan(key(lo), key(hi), reverse=kind == "back"))
        return sorted(row for part in parts for row in PLAIN.rows(part.batch))
    if kind == "some":
        part = next(store.scan(key(lo)), None)
        return None if part is None else PLAIN.rows(part.batch)[0]
    if kind == "count":
        return store.count(key(lo), key(hi))
    if kind == "rows":
        return store.rows
    if kind == "many":
        return store.find(keys({a, b})).there.tolist()
    if kind in ("first", "last"):
        found = getattr(store, kind)(key(lo), key(hi))
        return found and found[1].row
    if kind == "select":
        try:
            return store.select(a)
        except IndexError:
            return store.rows <= a
    if kind == "rank":
        return store.rank(key(a))
    if kind == "put":
        store.put("upsert", (a, mark))
    elif kind == "add":
        entry = store.get(key(a))
        store.put("upsert", (a, (entry.row[1] if entry else "") + mark))  # type: ignore[index]
    elif kind == "delete":
        return store.delete(keys([a])).missing
    elif kind == "load":
        counts = store.write("upsert", table(PLAIN, [(k, mark) for k in sorted({a, b})]))
        return counts.inserted, counts.updated
    else:
        counts = store.replace_range(key(lo), key(hi), table(PLAIN, []))
        return counts.deleted
    return None


def on_dict(records: dict[int, str], operation: Operation, mark: str) -> Any:
    """Do the same to a dict."""
    kind, _, a, b = operation
    lo, hi = sorted((a, b))
    rows = sorted(records.items())
    inside = [(k, v) for k, v in rows if lo <= k < hi]
    if kind == "get":
        return (a, records[a]) if a in records else None
    if kind in ("scan", "back"):
        return inside
    if kind == "some":
        return next(((k, v) for k, v in rows if k >= lo), None)
    if kind == "count":
        return len(inside)
    if kind == "rows":
        return len(rows)
    if kind == "many":
        return [k in records for k in sorted({a, b})]
    if kind in ("first", "last"):
        return inside[0 if kind == "first" else -1] if inside else None
    if kind == "select":
        return key(rows[a][0]) if a < len(rows) else True
    if kind == "rank":
        return sum(k < a for k in records)
    if kind == "put":
        records[a] = mark
    elif kind == "add":
        records[a] = records.get(a, "") + mark
    elif kind == "delete":
        return int(records.pop(a, None) is None)
    elif kind == "load":
        before = [records.get(k) for k in {a, b}]
        records.update(dict.fromkeys({a, b}, mark))
        return before.count(None), sum(old not in (None, mark) for old in before)
    else:
        for k, _ in inside:
            del records[k]
        return len(inside)
    return None


@dataclass
class Run:
    """One transaction on its way: what it still has to do, and what it learned."""

    engine: Engine
    work: Work
    todo: list[Operation]
    mark: str
    learned: list[tuple[Operation, Any]] = field(default_factory=list)
    seq: int | None = None

    def step(self) -> None:
        if self.todo:
            operation = self.todo.pop(0)
            self.learned.append((operation, on_store(self.work.store(operation[1]), operation, self.mark)))
            return
        try:
            self.seq = self.engine.commit(self.work) or -self.work.state.seq
        except Conflict:
            self.seq = 0


@given(TRANSACTIONS, st.lists(st.integers(0, 4), max_size=24), st.sets(st.sampled_from(KEYS)))
def test_interleaved_transactions_read_what_a_serial_history_would_show(
    transactions: list[tuple[bool, list[Operation]]], order: list[int], start: set[int]
) -> None:
    """Those that wrote stand where their commit stands, those that only read where their snapshot does."""
    cluster = Cluster(**TINY)
    engines = cluster.open(), cluster.open(settings={"inline_rows": 0})
    for name in NAMES:
        create(engines[0], name)
        commit(engines[0], dict.fromkeys(sorted(start), "0"), name)
    begun = engines[0].state().seq
    database: Database = {name: contents(engines[0], name) for name in NAMES}
    waiting = [Run(engines[bulk], engines[bulk].begin(), list(todo), f"m{n}") for n, (bulk, todo) in enumerate(transactions)]
    done: list[Run] = []
    for n in [*order, *([0] * 100)]:
        if not waiting:
            break
        run = waiting[n % len(waiting)]
        run.step()
        if run.seq is not None:
            waiting.remove(run)
            done.append(run)
    assert not waiting
    for run in sorted((run for run in done if run.seq), key=lambda run: (abs(run.seq or 0), (run.seq or 0) < 0)):
        after = {name: dict(records) for name, records in database.items()}
        for operation, learned in run.learned:
            assert learned == on_dict(after[operation[1]], operation, run.mark), (run.seq, operation)
        if run.seq and run.seq > 0:
            database = after
    assert {name: contents(engines[0], name) for name in NAMES} == {name: dict(sorted(rows.items())) for name, rows in database.items()}
    assert engines[1].state().seq == begun + sum((run.seq or 0) > 0 for run in done)
    assert sum(run.seq == 0 for run in done) < len(done), "the first to commit never conflicts"
    cluster.verify()
