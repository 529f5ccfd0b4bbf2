"""The stores of a database as a tree: what there is, how large, and who changed it last."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sopnb.history import EPOCH
from sopnb.view.columns import Columns
from sopnb.view.sight import Sight


def tree(sight: Sight, only: str | None) -> dict[str, Any]:
    """Return op ``tree``: every store, or the one that is looked at."""
    names = sorted(sight.state.names) if only is None else [only]
    times = {seq: time for seq, _, time in sight.lease.engine.outcomes()}
    times[sight.state.seq] = sight.state.time
    return {"seq": sight.seq, "stores": [_told(sight, name, times) for name in names]}


def _told(sight: Sight, name: str, times: dict[int, int]) -> dict[str, Any]:
    store, rows = sight.store(name), sight.reading(name).rows
    time = times.get(store.changed)
    indexes = [{"name": n, "index": str(p.specification), "unique": p.unique} for n, p in sight.indexes(name).items()]
    return {
        "name": name,
        "rows": rows,
        "bytes": sum(store.blobs.values()),
        "index": str(store.schema.specification),
        "unique": store.schema.unique,
        "indexes": indexes,
        "last_commit": store.changed,
        "changed": None if time is None else (EPOCH + timedelta(microseconds=time)).isoformat(),
    }


def schema(sight: Sight, name: str, order: str | None) -> dict[str, Any]:
    """Return op ``schema``: the columns of a store and its orders, or the one ``order`` that a range of keys has, under no name."""
    store = sight.store(name)
    columns = Columns.of(store.schema)
    own = {"name": "", "unique": store.schema.unique, "fields": _fields(store.schema.specification, columns)}
    orders = [own]
    for index, projection in sight.indexes(name).items():
        by = Columns.of(sight.reading(name, index).schema)
        orders.append({"name": index, "unique": projection.unique, "fields": _fields(projection.specification, by)})
    if order is not None:
        orders = [{**each, "name": ""} for each in orders if each["name"] == order]
    return {"columns": columns.told, "orders": orders, "rows": sight.reading(name).rows, "seq": sight.seq}


def _fields(specification: Any, columns: Columns) -> list[dict[str, Any]]:
    return [{"name": f.name, "descending": f.descending, "kind": columns[f.name].form.kind} for f in specification.fields]


def changed(sight: Sight, since: int, known: set[str]) -> dict[str, Any]:
    """Return op ``poll``: the stores that changed after a commit, those that were ``known`` and are gone among them."""
    names = sight.state.names
    stores = [name for name in sorted(names) if sight.store(name).changed > since]
    return {"seq": sight.seq, "stores": sorted({*stores, *(known - set(names))})}
