"""Rows on their way into a store: whatever holds them, as tables of physical columns."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.frames.arrow import adopt, is_pandas, is_polars, is_stream, reader
from sopnb.frames.faults import sound
from sopnb.frames.records import gathered
from sopnb.schema import ID, Schema


@dataclass(frozen=True)
class Incoming:
    """Tables to write, and what was refused: tables and records with their reasons."""

    tables: list[Any] = field(default_factory=list)
    refused_tables: list[Any] = field(default_factory=list)
    refused_records: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)

    def rejected(self, schema: Schema, written: Iterable[Any] = ()) -> Any:
        """Return a frame of all that was refused, here and by the engine (``written``), with a ``_reason``; None if nothing was."""
        tables = [*self.refused_tables, *written]
        if not tables and not self.refused_records:
            return None
        return importlib.import_module("sopnb.frames.pandas").rejected_frame(tables, self.refused_records, schema)


def kept(rows: Any) -> Any:
    """Return rows in a form that can be gone through again: iterators and readers are used up into lists and tables."""
    if isinstance(rows, Mapping | pa.Table | pa.RecordBatch | list) or is_pandas(rows) or is_polars(rows):
        return rows
    if is_stream(rows):
        return reader(rows).read_all()
    return list(rows) if isinstance(rows, Iterable) and not isinstance(rows, str | bytes) else rows


def incoming(rows: Any, schema: Schema, *, store: str, whole: bool, report: bool = False) -> Incoming:
    """Return rows as tables. With ``whole`` columns left out are null, else they are left out of the tables.

    Raises ``InvalidInput`` or ``SchemaMismatch`` naming the column; with ``report`` single rows that do not fit are refused instead.
    """
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, list | tuple) and all(isinstance(row, Mapping) for row in rows):
        found = gathered(rows, schema, store=store, whole=whole, report=report)
        return Incoming(found.tables, [], found.refused)
    if type(rows).__name__ == "Series" and is_pandas(rows):
        raise InvalidInput(f"store {store!r}: a Series is no record; give row.to_dict(), or the DataFrame")
    table = adopt(rows, documents=schema.documents)[0]
    for name in ("_seq", "_reason"):
        if name in table.column_names:
            raise SchemaMismatch(
                f"store {store!r}: the column {name!r} is reserved; leave it out of what is written", store=store, column=name
            )
    if not report:
        return Incoming([identified(schema.conform(table, store=store, partial=not whole), store)])
    fits, refused = sound(table, schema, store=store, partial=not whole)
    return Incoming([identified(fits, store)], [] if refused is None else [refused])


def identified(table: Any, store: str) -> Any:
    """Return the table. Raises ``InvalidInput`` if it has ids and some are null."""
    if ID in table.column_names and table.column(ID).null_count:
        raise InvalidInput(f"store {store!r}: {ID} is null in some rows; leave the column out of new records, and give it for all others")
    return table


def conformed(
    tables: Iterable[Any], schema: Schema, *, store: str, partial: bool, size: int, refused: list[Any] | None = None
) -> Iterator[Any]:
    """Yield tables in physical types, small ones joined until they take ``size`` bytes.

    Raises ``SchemaMismatch`` naming the column; where there is a list ``refused``, rows that do not fit go there instead.
    """
    waiting: list[Any] = []
    nbytes = 0
    for table in tables:
        if refused is None:
            fit = schema.conform(table, store=store, partial=partial)
        else:
            fit, misfits = sound(table, schema, store=store, partial=partial)
            refused += [] if misfits is None else [misfits]
        fit = identified(fit, store)
        waiting.append(fit)
        nbytes += fit.nbytes
        if nbytes >= size:
            yield pa.concat_tables(waiting)
            waiting, nbytes = [], 0
    if waiting:
        yield pa.concat_tables(waiting)
