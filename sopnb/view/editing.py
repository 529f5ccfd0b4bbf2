"""What people do to records: edit a cell, add, delete and paste rows. Each becomes pending changes, or is refused as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sopnb.access.lease import Lease
from sopnb.engine.entries import Entries
from sopnb.errors import InvalidInput
from sopnb.schema import Schema
from sopnb.view.change import Change, Row
from sopnb.view.columns import Columns
from sopnb.view.page import rows_of
from sopnb.view.pending import Pending, refused_input
from sopnb.view.refusal import Refusal, invalid
from sopnb.view.sight import Sight
from sopnb.view.token import key_of, readable, token
from sopnb.view.wire import cut

MOST_PASTED = 10_000
"""Rows that are pasted at once."""


class Editing:
    """The edits of one view: they look at a record as it is seen, and put what they make of it among the pending changes."""

    def __init__(self, lease: Lease, pending: Pending) -> None:
        self._lease, self.pending = lease, pending
        self._ids = 0

    def edit(self, sight: Sight, store: str, key: Any, seq: int, column: str, value: Any, shown: tuple[str, ...] | None) -> dict[str, Any]:
        """Give one cell of the version ``seq`` of a record another value."""
        schema = sight.schema(store)
        columns, place = Columns.of(schema), key_of(key, schema)
        columns.writable(column)
        at = schema.names.index(column)
        before = self._seen(sight, store, place)
        if before is None:
            raise self._stale(columns, column, value, None, 0)
        change, row, made_on = before
        if change is not None and change.theirs is not None:
            theirs = change.theirs
            raise self._stale(columns, column, value, theirs.row, theirs.seq, waits=True)
        if made_on != seq:
            raise self._stale(columns, column, value, row, made_on)
        stored = row[at] if columns[column].is_said(row[at], value) else columns[column].read(value)
        new = (*row[:at], stored, *row[at + 1 :])
        self._put(sight, store, [(place, change, row, made_on, new)])
        return {"pending": len(self.pending), **self._row(store, place, new, made_on, schema, shown)}

    def insert(self, sight: Sight, store: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Add a record of wire values by column; columns left out are null."""
        key, row, change = self._inserted(sight, store, record, sight.schema(store))
        self._put(sight, store, [(key, change, None, 0, row)])
        position = self.pending.sight().reading(store).rank(key)
        return {"key": token(key), "pending": len(self.pending), "position": position}

    def delete(self, sight: Sight, store: str, rows: list[Any]) -> dict[str, Any]:
        """Delete records, each in the version that is named, or none of them; what is gone already is no matter."""
        schema = sight.schema(store)
        wanted = []
        for given in rows:
            if not isinstance(given, Mapping) or type(given.get("seq")) is not int:
                raise invalid("rows is a list of {key, seq}")
            key, seq = key_of(given.get("key"), schema), given["seq"]
            before = self._seen(sight, store, key)
            if before is None:
                continue
            change, row, made_on = before
            theirs = None if change is None else change.theirs
            if made_on != seq or theirs is not None:
                told = f"the record {readable(key, schema)} was changed since; nothing was deleted"
                now = made_on if theirs is None else theirs.seq
                raise Refusal("stale", told, key=token(key), mine=None, theirs=self._told(Columns.of(schema), row), seq=now)
            wanted.append((key, change, row, made_on, None))
        self._put(sight, store, wanted)
        return {"pending": len(self.pending), "deleted": len({key for key, *_ in wanted})}

    def paste(self, sight: Sight, store: str, names: tuple[str, ...], text: str, mode: str) -> dict[str, Any]:
        """Add rows of text with tabs between the cells, or with ``mode`` "upsert" change those that are there; report on each."""
        schema = sight.schema(store)
        columns = Columns.of(schema)
        if mode not in ("insert", "upsert"):
            raise invalid(f'mode={mode!r}; it is "insert" or "upsert"')
        if mode == "upsert" and not schema.unique:
            raise invalid(f"store {store!r} is not unique, so a key does not say which record is meant; paste with mode insert")
        for name in names:
            if name not in schema.names:
                raise invalid(f"there is no column {name!r} to paste into", column=name)
        report: list[dict[str, Any]] = []
        fresh: dict[bytes, tuple[int, Any]] = {}
        for number, cells in enumerate(_lines(text, names)):
            try:
                if len(cells) != len(names):
                    raise invalid(f"{len(cells)} cells for {len(names)} columns")
                record = {name: columns[name].typed(cell) for name, cell in zip(names, cells, strict=True)}
                key, wanted = self._pasted(sight, store, record, schema, mode)
                if key in fresh:
                    raise invalid("the same key as a row before", column=schema.key_names[0])
                fresh[key] = number, wanted
                report.append({"row": number, "ok": True, "message": ""})
            except Refusal as refusal:
                report.append({"row": number, "ok": False, "message": str(refusal), **refusal.facts})
        self._put_reporting(sight, store, fresh, report)
        return {"report": report, "pending": len(self.pending)}

    def _put_reporting(self, sight: Sight, store: str, fresh: Mapping[bytes, tuple[int, Any]], report: list[dict[str, Any]]) -> None:
        changes = self._changes(sight, store, [wanted for _, wanted in fresh.values()])
        refused = self.pending.put_each(changes)
        for (number, _), change in zip(fresh.values(), changes, strict=True):
            if refusal := refused.get(change.id):
                report[number] = {"row": number, "ok": False, "message": str(refusal), **refusal.facts}

    def _pasted(self, sight: Sight, store: str, record: Mapping[str, Any], schema: Schema, mode: str) -> tuple[bytes, Any]:
        """Return the key of a pasted row, and the change that it asks for."""
        if mode == "insert":
            key, row, change = self._inserted(sight, store, record, schema, typed=True)
            return key, (key, change, None, 0, row)
        given = self._partial(record, schema, store)
        key = schema.encode_key([given[name] for name in schema.stored_key_names])
        before = self._seen(sight, store, key)
        if before is None:
            key, row, change = self._inserted(sight, store, record, schema, typed=True)
            return key, (key, change, None, 0, row)
        change, row, made_on = before
        if change is not None and change.stale:
            raise invalid("a change of this record waits that is stale; resolve it first")
        return key, (key, change, row, made_on, tuple(map(given.get, schema.physical_names, row)))

    @staticmethod
    def _partial(record: Mapping[str, Any], schema: Schema, store: str) -> dict[str, Any]:
        """Return storage values with the key fields that are computed from them. Raises ``Refusal`` if the key is not whole."""
        given = dict(record)
        try:
            if schema.computed and all(source in given for each in schema.computed for source in each.sources):
                whole = schema.filled({**dict.fromkeys(schema.names), **given}, store=store)
                given |= {each.name: whole[schema.physical_names.index(each.name)] for each in schema.computed}
            schema.needs_key(given, store=store)
        except InvalidInput as error:
            raise refused_input(error) from None
        return given

    def _inserted(
        self, sight: Sight, store: str, record: Mapping[str, Any], schema: Schema, *, typed: bool = False
    ) -> tuple[bytes, Row, Change | None]:
        """Return the key and the row of a new record, and the pending change of its key. Raises ``Refusal`` if it is there already."""
        columns = Columns.of(schema)
        for name in record:
            if name not in schema.names:
                raise invalid(f"there is no column {name!r}", column=name)
        stored = dict(record) if typed else {name: columns[name].read(value) for name, value in record.items()}
        try:
            row = schema.filled(stored, store=store)
        except InvalidInput as error:
            raise refused_input(error) from None
        if not schema.unique:
            row = (*row, self._new_id(sight))
        key = schema.key_bytes(row)
        change = self.pending.get(store, key)
        if change is not None and change.new is None and not change.stale:
            return key, row, change
        if change is not None or sight.store(store).stack.get(key) is not None:
            raise invalid(f"the key {readable(key, schema)} is there already", column=schema.key_names[0])
        return key, row, None

    def _new_id(self, sight: Sight) -> bytes:
        """Return the id of a new record: after those that are there, and different from any that others give."""
        self._ids += 1
        random: bytes = self._lease.engine.clock.new_id(4)
        return sight.seq.to_bytes(8, "big") + random + self._ids.to_bytes(4, "big")

    def _seen(self, sight: Sight, store: str, key: bytes) -> tuple[Change | None, Row, int] | None:
        """Return (the change of a record, its row as it is seen, the commit that it was made on); None if there is no such record."""
        change = self.pending.get(store, key)
        if change is not None and not change.stale:
            return None if change.new is None else (change, change.new, change.seq)
        entry = sight.store(store).stack.get(key)
        if entry is None or entry.row is None:
            return None if change is None or change.theirs is None else (change, change.new or change.old or (), 0)
        return change, entry.row, entry.seq

    def _put(self, sight: Sight, store: str, wanted: list[Any]) -> None:
        """Put (key, the change before, the row that is seen, the commit it is of, the row to be) among the pending changes."""
        self.pending.put(self._changes(sight, store, wanted))

    def _changes(self, sight: Sight, store: str, wanted: list[Any]) -> list[Change]:
        there = sight.store(store)
        changes = []
        for key, before, row, seq, new in wanted:
            old = row if before is None else before.old
            made_on = seq if before is None else before.seq
            id = self.pending.new_id() if before is None else before.id
            changes.append(Change(id, store, (there.id, there.layout), there.schema, key, made_on, old, new))
        return changes

    def _row(self, store: str, key: bytes, row: Row, seq: int, schema: Schema, shown: tuple[str, ...] | None) -> dict[str, Any]:
        names = shown or schema.names
        part = Entries(schema.batch([row]), seq=seq)
        (told,) = rows_of(part, schema, names, self.pending.of(store))
        return {"row": told, "columns": list(names)}

    def _stale(self, columns: Columns, column: str, mine: Any, theirs: Row | None, seq: int, *, waits: bool = False) -> Refusal:
        now = None if theirs is None else cut(columns[column].say(theirs[columns.schema.names.index(column)]))
        told = f"the record was {'deleted' if theirs is None else 'changed'} since it was shown"
        told += "; your earlier change of it waits: keep it or theirs first" if waits else ""
        return Refusal("stale", told, mine=mine, theirs=now, gone=theirs is None, seq=seq, column=column)

    @staticmethod
    def _told(columns: Columns, row: Row, names: Collection[str] | None = None) -> dict[str, Any]:
        told = zip(columns.schema.names, row, strict=False)
        return {name: cut(columns[name].say(value)) for name, value in told if names is None or name in names}

    def told(self) -> list[dict[str, Any]]:
        """Return the pending changes as op ``pending`` tells them."""
        return [self._change_told(change) for change in self.pending.changes]

    def _change_told(self, change: Change) -> dict[str, Any]:
        schema = change.schema
        columns, names = Columns.of(schema), change.columns

        def value(row: Row | None, name: str) -> Any:
            return None if row is None else cut(columns[name].say(row[schema.names.index(name)]))

        about = [*names, *(change.touched if change.stale else ())]
        told: dict[str, Any] = {
            "id": change.id,
            "store": change.store,
            "key": readable(change.key, schema),
            "token": token(change.key),
            "kind": change.kind,
            "cells": [{"column": name, "old": value(change.old, name), "new": value(change.new, name)} for name in names],
            "kinds": {name: columns[name].form.kind for name in about},
            "state": "stale" if change.stale else "",
        }
        if change.theirs is not None:
            theirs = None if change.theirs.row is None else self._told(columns, change.theirs.row, change.touched)
            told["stale"] = {"theirs": theirs, "seq": change.theirs.seq, "reason": change.theirs.reason}
        return told


def _lines(text: str, names: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the rows of pasted text; a first row that holds the names of the columns is none."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), dialect="excel-tab") if row]
    except csv.Error as error:
        raise invalid(f"this is no text of rows and cells: {error}") from None
    if rows and rows[0] == list(names):
        rows = rows[1:]
    if len(rows) > MOST_PASTED:
        raise invalid(f"{len(rows):,} rows were pasted, and {MOST_PASTED:,} is the most; load them from a file instead")
    yield from rows
