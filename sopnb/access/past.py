"""What became of records as frames: their columns as the store has them, beside columns that say which commit did what.

The names of those columns are reserved; a store that has a column of such a name is refused here, and only here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.engine.engine import Engine
from sopnb.engine.entries import Entries, concatenated
from sopnb.engine.past import Ancestor, Difference, differences
from sopnb.engine.state import State
from sopnb.engine.versions import Versions
from sopnb.engine.written import Written
from sopnb.errors import InvalidInput, StoreNotFound
from sopnb.schema import ID, Schema

SEQ, TIME, AUTHOR, MESSAGE, CHANGE, STORE, SIDE = "_seq", "_time", "_author", "_message", "_change", "_store", "_side"
BATCH_ROWS = 65_536
_MOMENT = pa.timestamp("us", "UTC")
_TYPES = {
    SEQ: pa.int64(),
    TIME: _MOMENT,
    AUTHOR: pa.string(),
    MESSAGE: pa.string(),
    CHANGE: pa.string(),
    STORE: pa.string(),
    SIDE: pa.string(),
}
HISTORY = (SEQ, TIME, AUTHOR, MESSAGE, CHANGE)
CHANGES = (SEQ, TIME, AUTHOR, MESSAGE, STORE, CHANGE)
DIFFERENCE = (CHANGE, SIDE, SEQ)


@dataclass(frozen=True, slots=True)
class Told:
    """Rows of one schema: a table of the reserved columns and of physical ones."""

    schema: Schema
    table: Any

    @classmethod
    def of(cls, schema: Schema, rows: Entries, said: dict[str, Any], store: str) -> Told:
        """Return rows with what is said of them; ``said`` has an array, or one value for all rows, by column."""
        for name in said:
            if name in schema.names:
                raise InvalidInput(f"store {store!r} has a column {name!r}, which frames of the past need for their own; rename the column")
        columns = {name: _column(name, value, len(rows)) for name, value in said.items()}
        for field, column in zip(rows.batch.schema, rows.batch.columns, strict=True):
            columns[field.name] = column
        fields = [*(pa.field(name, _TYPES[name]) for name in said), *rows.batch.schema]
        return cls(schema, pa.table(list(columns.values()), schema=pa.schema(fields)))

    @classmethod
    def nothing(cls, schema: Schema, names: Sequence[str], store: str) -> Told:
        """Return no rows."""
        return cls.of(schema, Entries(schema.empty(schema.physical.names)), {name: None for name in names}, store)


def _column(name: str, value: Any, n: int) -> Any:
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, np.ndarray | list):
        return pa.array(value, _TYPES[name])
    return pa.repeat(pa.scalar(value, _TYPES[name]), n)


def frame(parts: Sequence[Told]) -> Any:
    """Return rows of one schema as a frame as the store's own are, with its index if it has one."""
    schema = parts[0].schema
    return _framed(schema, pa.concat_tables([part.table for part in parts]))


def frames(parts: Iterable[Told], size: int) -> Iterator[Any]:
    """Yield rows of one schema as frames of about so many rows. Raises ``InvalidInput`` at once."""
    return map(frame, _gathered(parts, _checked(size)))


def mixed(parts: Sequence[Told]) -> Any:
    """Return rows of several schemas as one frame of all their columns, keys among them; what a row has not is missing."""
    if not parts:
        return pa.schema([(name, _TYPES[name]) for name in CHANGES]).empty_table().to_pandas()
    schemas: list[Schema] = []
    groups: list[list[Any]] = []
    places: list[list[Any]] = []
    at = 0
    for part in parts:
        known = next((i for i, schema in enumerate(schemas) if schema is part.schema), None)
        if known is None:
            known = len(schemas)
            schemas.append(part.schema)
            groups.append([])
            places.append([])
        groups[known].append(part.table)
        places[known].append(np.arange(at, at + part.table.num_rows))
        at += part.table.num_rows
    framed = [_framed(schema, pa.concat_tables(tables), nullable=True) for schema, tables in zip(schemas, groups, strict=True)]
    pandas = importlib.import_module("sopnb.frames.pandas")
    names = [[*CHANGES, *_columns(schema)] for schema in schemas]
    return pandas.mixed(framed, names, np.argsort(np.concatenate([place for each in places for place in each])))


def mixed_frames(parts: Iterable[Told], size: int) -> Iterator[Any]:
    """Yield rows of several schemas as frames of about so many rows. Raises ``InvalidInput`` at once."""
    return map(mixed, _gathered(parts, _checked(size)))


def _checked(size: int) -> int:
    if size < 1:
        raise InvalidInput(f"{size} rows were asked for; give at least 1")
    return size


def _gathered(parts: Iterable[Told], size: int) -> Iterator[list[Told]]:
    """Yield rows together until they are at least so many; those that come at once stay together."""
    waiting: list[Told] = []
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += part.table.num_rows
        if rows >= size:
            yield waiting
            waiting, rows = [], 0
    if waiting:
        yield waiting


def _columns(schema: Schema) -> tuple[str, ...]:
    """Return the columns of a record, ``_id`` among them where it tells records apart."""
    return schema.names if schema.unique else (*schema.names, ID)


def _framed(schema: Schema, table: Any, *, nullable: bool = False) -> Any:
    said = [name for name in table.column_names if name not in schema.physical.names]
    names = [*said, *_columns(schema)]
    missing = any(not field.nullable and table.column(field.name).null_count for field in schema.arrow)
    pandas = importlib.import_module("sopnb.frames.pandas")
    return pandas.to_pandas(schema.present(table, names), schema, nullable=nullable or missing)


# -- what is told -------------------------------------------------------------------------------------------------------------


def history(found: Versions, store: str) -> Any:
    """Return the versions of one record as a frame."""
    told = found.versions
    if not told:
        made = frame([Told.nothing(found.schema, HISTORY, store)])
    else:
        commits = [version.made for version in told]
        said = {
            SEQ: [version.seq for version in told],
            TIME: [None if made is None else made[0].time for made in commits],
            AUTHOR: [None if made is None else made[1] for made in commits],
            MESSAGE: [None if made is None else made[2] for made in commits],
            CHANGE: [version.kind for version in told],
        }
        made = frame([Told.of(found.schema, concatenated([version.record for version in told]), said, store)])
    made.attrs["complete_since"] = found.since
    return made


def difference(engine: Engine, old: State, new: State, store: str) -> tuple[Schema, Iterator[Told]]:
    """Return (the schema of a store, how its records differ between two states: of an updated one the old row, then the new one).

    They come in the order of the key. Raises ``StoreNotFound``, or as ``engine.past.differences`` does.
    """
    found = differences(engine, old, new, store)
    if found is None:
        raise StoreNotFound(store, tuple(sorted({*old.names, *new.names})))
    return found[0], _difference(*found, store)


def _difference(schema: Schema, several: Iterable[Difference], store: str) -> Iterator[Told]:
    for each in several:
        rows = concatenated([Entries(part.batch, seq=part.seqs, keys=part.keys(schema)) for part in (each.old, each.new)])
        order = np.argsort(rows.keys(schema).array, kind="stable")
        n = len(each.old)
        change = np.concatenate([np.where(each.gone, "delete", "update"), np.where(each.fresh, "insert", "update")]).astype(object)
        said = {CHANGE: change[order], SIDE: np.where(order < n, "old", "new").astype(object), SEQ: rows.seqs[order]}
        yield Told.of(schema, rows.take(order), said, store)


def changes(written: Iterable[Written], *, named: bool) -> Iterator[Told]:
    """Yield what commits wrote; ``named`` adds the name of the store."""
    for each in written:
        yield _change(each, each.store.schema, each.entries, named=named)


def changes_of(written: Iterable[Written], line: Sequence[Ancestor]) -> Iterator[Told]:
    """Yield what commits wrote in one store and those before it, all in its schema.

    Raises ``InvalidInput`` or ``SchemaMismatch`` if those before it had another key, or columns that do not fit.
    """
    known = {ancestor.id: ancestor for ancestor in line}
    for each in written:
        ancestor = known[each.store.id]
        if ancestor.fault is not None:
            raise ancestor.fault
        yield _change(each, line[0].schema, ancestor.fit(each.entries), named=False)


def _change(each: Written, schema: Schema, rows: Entries, *, named: bool) -> Told:
    said: dict[str, Any] = {SEQ: rows.seqs}
    at = np.searchsorted([made.seq for made in each.made], rows.seqs)
    for name, values in zip((TIME, AUTHOR, MESSAGE), list(zip(*each.made, strict=True))[1:], strict=True):
        said[name] = values[0] if len(values) == 1 else pa.array(values, _TYPES[name]).take(pa.array(at))
    if named:
        said[STORE] = each.store.name
    said[CHANGE] = each.kinds
    return Told.of(schema, rows, said, each.store.name)
