"""A plain model of one store, and operations that are done to both: what a database must answer, said in a few lines of Python.

An operation is a tuple, so a failing example prints itself. ``perform`` does it to the model
first, so that the outcome is known even if the store never answers, then to a store (or a store of a transaction), and compares the
answers. ``Effect`` gathers which keys were looked at and which were changed, from which conflicts follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sopnb.errors import DuplicateKey, KeyNotFound
from sopnb.store import Store

KEYS = 16
"""Keys are the integers below this."""
SCHEMA = {"k": "int64", "v": "string", "n": "int64"}
Value = tuple[str | None, int | None]
Rows = dict[int, Value]
Operation = tuple[Any, ...]


@dataclass
class Effect:
    """The keys that operations looked at, those that they ``maybe`` looked at, and what was there before the first change of a key."""

    touched: set[int] = field(default_factory=set)
    maybe: set[int] = field(default_factory=set)
    before: dict[int, Value | None] = field(default_factory=dict)

    def changed(self, rows: Rows) -> set[int]:
        """Return the keys whose records are other than before; a record that was deleted and made again counts too."""
        return {k for k, old in self.before.items() if old is not None or k in rows}


def perform(operation: Operation, store: Store, rows: Rows, effect: Effect) -> Any:
    """Do an operation to a store and to its model; raise ``AssertionError`` if the answers differ. Return the store's answer."""
    kind, *arguments = operation
    return _OPERATIONS[kind](store, rows, effect, *arguments)


def compare(store: Store, rows: Rows) -> None:
    """Compare a whole store with its model: records, order, counts and positions, by several ways of reading."""
    wanted = [{"k": k, "v": v, "n": n} for k, (v, n) in sorted(rows.items())]
    found = store[:].to_dicts()
    assert found == wanted, f"{found} instead of {wanted}"
    assert len(store) == len(wanted), f"len() is {len(store)}, {len(wanted)} is right"
    if wanted:
        middle = len(wanted) // 2
        assert store[:].row(middle)["k"] == wanted[middle]["k"]
        assert store[:].reverse().row(0)["k"] == wanted[-1]["k"]
        assert store[: wanted[middle]["k"]].count() == middle


# -- reads --------------------------------------------------------------------------------------------------------------------


def _get(store: Store, rows: Rows, effect: Effect, k: int) -> None:
    effect.touched.add(k)
    record = store.get(k)
    assert (None if record is None else (record["v"], record["n"])) == rows.get(k), f"record {k} is {record}, {rows.get(k)} is right"
    assert (k in store) == (k in rows)


def _scan(store: Store, rows: Rows, effect: Effect, lo: int, hi: int) -> None:
    effect.touched.update(range(lo, hi))
    found = [(record["k"], (record["v"], record["n"])) for record in store[lo:hi].records()]
    assert found == sorted((k, value) for k, value in rows.items() if lo <= k < hi)


def _count(store: Store, rows: Rows, effect: Effect, lo: int, hi: int) -> None:
    effect.touched.update(range(lo, hi))
    assert store[lo:hi].count() == sum(lo <= k < hi for k in rows)


# -- writes -------------------------------------------------------------------------------------------------------------------


class _Told:
    """Counts what a write does to the model."""

    def __init__(self, rows: Rows, effect: Effect) -> None:
        self.rows, self.effect = rows, effect
        self.inserted = self.updated = self.unchanged = self.deleted = self.missing = 0

    def put(self, k: int, value: Value) -> None:
        self.effect.touched.add(k)
        old = self.rows.get(k)
        if old == value:
            self.unchanged += 1
            return
        self.effect.before.setdefault(k, old)
        self.rows[k] = value
        if old is None:
            self.inserted += 1
        else:
            self.updated += 1

    def delete(self, k: int) -> None:
        self.effect.touched.add(k)
        if k not in self.rows:
            self.missing += 1
            return
        self.effect.before.setdefault(k, self.rows[k])
        del self.rows[k]
        self.deleted += 1

    def compare(self, counts: Any) -> Any:
        for name in ("inserted", "updated", "unchanged", "deleted", "missing"):
            assert getattr(counts, name) == getattr(self, name), f"{counts}, but {vars(self)} is right"
        return counts


def _insert(store: Store, rows: Rows, effect: Effect, records: list[tuple[int, Value]], how: str) -> Any:
    told = _Told(rows, effect)
    twice = [k for k, _ in records if k in rows]
    if twice:
        effect.maybe.update(k for k, _ in records)
        return _refused(DuplicateKey, lambda: store.insert(_shaped(records, how)), twice)
    for k, value in records:
        told.put(k, value)
    return told.compare(store.insert(_shaped(records, how)))


def _report(store: Store, rows: Rows, effect: Effect, records: list[tuple[int, Value]]) -> Any:
    """Insert the records that are new, and be told which are not."""
    told = _Told(rows, effect)
    refused = [k for k, _ in records if k in rows]
    effect.touched.update(refused)
    for k, value in records:
        if k not in refused:
            told.put(k, value)
    counts = store.insert(_shaped(records, "frame"), on_error="report")
    blamed = [] if counts.rejected is None else counts.rejected["k"].tolist()
    assert sorted(blamed) == sorted(refused), f"{blamed} refused, {refused} is right"
    return told.compare(counts)


def _replace(store: Store, rows: Rows, effect: Effect, records: list[tuple[int, Value]], how: str) -> Any:
    told = _Told(rows, effect)
    for k, value in records:
        told.put(k, value)
    return told.compare(store.replace(_shaped(records, how)))


def _upsert(store: Store, rows: Rows, effect: Effect, numbers: list[tuple[int, int]], how: str) -> Any:
    """Write one column only; the other stays as it is."""
    told = _Told(rows, effect)
    for k, n in numbers:
        told.put(k, (rows.get(k, (None, None))[0], n))
    return told.compare(store.upsert(_shaped([(k, (None, n)) for k, n in numbers], how, ["k", "n"])))


def _update(store: Store, rows: Rows, effect: Effect, texts: list[tuple[int, str | None]], how: str) -> Any:
    told = _Told(rows, effect)
    missing = [k for k, _ in texts if k not in rows]
    records: list[tuple[int, Value]] = [(k, (text, None)) for k, text in texts]
    if missing:
        effect.maybe.update(k for k, _ in texts)
        return _refused(KeyNotFound, lambda: store.update(_shaped(records, how, ["k", "v"])), missing)
    for k, text in texts:
        told.put(k, (text, rows[k][1]))
    return told.compare(store.update(_shaped(records, how, ["k", "v"])))


def _delete(store: Store, rows: Rows, effect: Effect, keys: list[int]) -> Any:
    told = _Told(rows, effect)
    for k in keys:
        told.delete(k)
    return told.compare(store.delete(keys if len(keys) != 1 else keys[0]))


def _clear(store: Store, rows: Rows, effect: Effect, lo: int, hi: int) -> Any:
    told = _Told(rows, effect)
    effect.touched.update(range(lo, hi))
    for k in [k for k in rows if lo <= k < hi]:
        told.delete(k)
    return told.compare(store[lo:hi].delete())


def _swap(store: Store, rows: Rows, effect: Effect, lo: int, hi: int, records: list[tuple[int, Value]]) -> Any:
    """Make a range hold exactly these records."""
    told = _Told(rows, effect)
    inside = [(k, value) for k, value in records if lo <= k < hi]
    effect.touched.update(range(lo, hi))
    for k in [k for k in rows if lo <= k < hi and k not in dict(inside)]:
        told.delete(k)
    for k, value in inside:
        told.put(k, value)
    return told.compare(store[lo:hi].replace(_shaped(inside, "frame")))


def _refused(error: type[Exception], write: Callable[[], object], keys: Iterable[int]) -> None:
    try:
        write()
    except error as raised:
        key = raised.key  # type: ignore[attr-defined]
        assert key in keys, f"{key} is blamed, not one of {keys}"
    else:
        raise AssertionError(f"{error.__name__} was not raised for {keys}")


def _shaped(records: list[tuple[int, Value]], how: str, columns: list[str] | None = None) -> Any:
    """Return records as one dict, a list of dicts or a frame."""
    names = columns or ["k", "v", "n"]
    dicts = [{name: value for name, value in (("k", k), ("v", v), ("n", n)) if name in names} for k, (v, n) in records]
    if how == "record" and len(dicts) == 1:
        return dicts[0]
    if how == "frame":
        types: dict[str, Any] = {"k": "int64", "v": "str", "n": "Int64"}
        return pd.DataFrame(dicts, columns=names).astype({name: types[name] for name in names})
    return dicts


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "get": _get, "scan": _scan, "count": _count, "insert": _insert, "report": _report, "replace": _replace, "upsert": _upsert,
    "update": _update, "delete": _delete, "clear": _clear, "swap": _swap,
}  # fmt: skip
