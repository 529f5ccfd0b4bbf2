"""Rows for the screen: a piece of a query by position, its total, and where a key stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sopnb.access.expression import SEQ
from sopnb.access.keyrange import NOTHING, KeyRange
from sopnb.engine.entries import Entries
from sopnb.engine.projection import own_schema
from sopnb.index import successor
from sopnb.protocols import Clock
from sopnb.schema import Schema
from sopnb.view.change import Change
from sopnb.view.columns import Columns
from sopnb.view.passing import Passing
from sopnb.view.query import Query, encoded
from sopnb.view.token import token

MOST = 1000
"""Rows of a page."""


def page(
    query: Query, start: int, size: int, changes: Mapping[bytes, Change], passing: Passing, clock: Clock, *, edit: bool
) -> dict[str, Any]:
    """Return the rows at ``[start, start + size)`` and the total: from row counts, or under a condition as far as it was searched.

    Where nothing is edited rows are read from an index alone if it has what is shown; which commit wrote them is not told then.
    """
    names = tuple(dict.fromkeys((*query.columns, *own_schema(query.key_schema).stored_key_names)))
    if query.scan.filter is None:
        reading = query.reading if edit else query.scan.covering(query.reading, names)
        parts = list(query.scan.at(reading, start, start + size, names))
        if reading is not query.reading:
            parts = [Entries(part.batch, seq=0) for part in parts]
        total, exact, searched = query.scan.count(query.reading), True, None
    else:
        part, total = passing.page(query.reading, start, start + size, names, clock)
        parts, exact, searched = [] if part is None else [part], passing.exact, passing.searched(query.reading)
    own = own_schema(query.key_schema)
    rows = [row for part in parts for row in rows_of(part, own, query.columns, changes)]
    return {"rows": rows, "start": start, "total": total, "exact": exact, "searched": searched, "columns": list(query.columns)}


def rows_of(part: Entries, schema: Schema, names: Sequence[str], changes: Mapping[bytes, Change]) -> list[dict[str, Any]]:
    """Return records, the key columns among them, as rows of a page. Cells are made column by column."""
    columns = Columns.of(schema)
    keys = schema.keys(part.batch).tolist()
    seqs = part.seqs.tolist()
    touched = [changes.get(key) for key in keys] if changes else [None] * len(keys)
    for at, change in enumerate(touched):
        if change is not None and not change.stale:
            seqs[at] = change.seq
    cells = []
    for name in names:
        if name == SEQ:
            cells.append([str(seq) for seq in seqs])
        else:
            cells.append(columns[name].form.column(part.batch.column(part.batch.schema.get_field_index(name))))
    rows = zip(*cells, strict=True)
    return [
        {
            "key": token(key),
            "seq": seq,
            "cells": list(row),
            "state": "" if change is None else change.shown,
            "edited": [] if change is None else change.edited,
        }
        for key, seq, row, change in zip(keys, seqs, rows, touched, strict=True)
    ]


def count(query: Query, passing: Passing, clock: Clock) -> dict[str, Any]:
    """Return how many records there are: from row counts, or under a condition as far as it was searched."""
    if query.scan.filter is None:
        return {"total": query.scan.count(query.reading), "exact": True, "searched": None}
    return {"total": passing.count(query.reading, clock), "exact": passing.exact, "searched": passing.searched(query.reading)}


def seek(query: Query, stored: list[Any], passing: Passing, clock: Clock) -> dict[str, Any]:
    """Return the position of the first record at or after the one with these leading fields, in the direction of the query.

    It is ``found`` if the record has them. Where there is none after it the position is that of the last record; 0 where there is none.
    """
    sought = encoded(stored, query.key_schema)
    return position(query, sought, successor(sought), passing, clock)


def position(query: Query, lo: bytes, hi: bytes | None, passing: Passing, clock: Clock) -> dict[str, Any]:
    """Return where the keys in ``[lo, hi)`` begin in a query, and whether there are any; under a condition as far as it was searched."""
    scan, reading = query.scan, query.reading
    if scan.filter is None:
        sides = KeyRange(b"", lo), (NOTHING if hi is None else KeyRange(hi))
        at = replace(scan, keys=scan.keys.meet(sides[1 if scan.reverse else 0])).count(reading)
        found = replace(scan, keys=scan.keys.meet(KeyRange(lo, hi))).count(reading) > 0
        last, searched = scan.count(reading) - 1, None
    else:
        at, found = passing.place(reading, lo, hi, clock)
        last, searched = (passing.seen - 1 if passing.exact else at), passing.searched(reading)
    return {"position": max(min(at, last), 0), "found": found, "searched": searched}
