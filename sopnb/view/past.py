"""The past on the screen: the log, what differs between two commits, and undoing one."""

from __future__ import annotations

from typing import Any

from sopnb.access import past
from sopnb.database import Database
from sopnb.engine.same import same_row
from sopnb.schema import Schema
from sopnb.view.arguments import Arguments
from sopnb.view.columns import Columns
from sopnb.view.passing import COUNTED
from sopnb.view.refusal import invalid
from sopnb.view.token import readable, token

_COUNTS = ("inserted", "updated", "deleted")


def log(database: Database, store: str | None, limit: int) -> dict[str, Any]:
    """Return the newest commits, the newest first."""
    frame = database.log(store=store, limit=limit)
    commits = []
    for row in frame.iloc[::-1].itertuples(index=False):
        told: dict[str, Any] = {"seq": int(row.seq), "time": row.time.isoformat(), "author": row.author, "message": row.message}
        stores = row.stores.split(", ") if row.stores else []
        counts = {name: int(getattr(row, name)) for name in _COUNTS}
        commits.append({**told, "stores": stores, **counts, "notes": row.notes})
    tags = [{"name": name, "seq": seq} for name, seq in database.tags().items()]
    return {"commits": commits, "tags": tags, "seq": database.seq}


def moment(args: Arguments, name: str) -> int | str:
    """Return a commit that a message names, by its number or by a tag."""
    value = args.any(name)
    if isinstance(value, str):
        return value
    number: int = args.number(name)
    return number


def diff(database: Database, a: int | str, b: int | str, store: str, start: int, size: int) -> dict[str, Any]:
    """Return a page of the records that differ between two commits, in the order of the key, and how many do, counted so far."""
    engine = database._lease.engine
    old, new = (engine.at(tag=each) if isinstance(each, str) else engine.at(seq=each) for each in (a, b))
    schema, differing = past.difference(engine, old, new, store)
    rows: list[dict[str, Any]] = []
    at, exact, most = 0, True, max(start + size, COUNTED)
    for told in differing:
        sides = told.table.column(past.SIDE).to_pylist()
        kinds = told.table.column(past.CHANGE).to_pylist()
        begins = [i for i, (side, kind) in enumerate(zip(sides, kinds, strict=True)) if kind != "update" or side == "old"]
        wanted = begins[max(start - at, 0) : max(start + size - at, 0)]
        rows += _rows(told.table, schema, wanted, kinds)
        at += len(begins)
        if at > most:
            at, exact = most, False
            break
    return {"columns": list(schema.names), "rows": rows, "start": start, "total": at, "exact": exact, "a": old.seq, "b": new.seq}


def _rows(table: Any, schema: Schema, wanted: list[int], kinds: list[str]) -> list[dict[str, Any]]:
    """Return records that differ, each with its sides; of an updated one the new side is in the next row of the table."""
    if not wanted:
        return []
    columns = Columns.of(schema)
    places = [i for at in wanted for i in ((at, at + 1) if kinds[at] == "update" else (at,))]
    picked = table.take(places).combine_chunks()
    keys = schema.keys(picked).tolist()
    seqs = picked.column(past.SEQ).to_pylist()
    stored = [row for batch in picked.select(schema.physical_names).to_batches() for row in schema.rows(batch)]
    cells = list(zip(*(columns[name].form.column(picked.column(name)) for name in schema.names), strict=True))
    rows, i = [], 0
    for at in wanted:
        kind = kinds[at]
        told = {"key": token(keys[i]), "label": readable(keys[i], schema), "kind": kind}
        if kind == "update":
            old, new, seq = list(cells[i]), list(cells[i + 1]), seqs[i + 1]
            both = zip(schema.names, stored[i], stored[i + 1], strict=False)
            changed = [name for name, one, other in both if not same_row([one], [other])]
            rows.append({**told, "seq": seq, "old": old, "new": new, "changed": changed})
            i += 2
            continue
        side = list(cells[i])
        sides = {"old": None, "new": side} if kind == "insert" else {"old": side, "new": None}
        rows.append({**told, "seq": seqs[i], **sides, "changed": list(schema.names)})
        i += 1
    return rows


def revert(database: Database, seq: int, message: str | None) -> dict[str, Any]:
    """Undo a commit by a new one."""
    if not seq:
        raise invalid("there is no commit 0; give the number of one, as the log tells it")
    counts = database.revert(seq, message or None)
    return {"seq": counts.seq or database.seq, "counts": {name: getattr(counts, name) for name in _COUNTS}}
