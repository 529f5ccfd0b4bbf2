"""Lists of dicts as tables of physical columns, by the types of a store: the same conversions as for a single record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sopnb.errors import DuplicateKey, SchemaMismatch
from sopnb.schema import ID, Schema


@dataclass
class Gathered:
    """Tables, one for each set of columns that records give, and the records that were refused with the reason."""

    tables: list[Any] = field(default_factory=list)
    refused: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)


def gathered(records: Sequence[Mapping[str, Any]], schema: Schema, *, store: str, whole: bool, report: bool) -> Gathered:
    """Return records as tables. With ``whole`` a column left out is null, else it is left out of the table.

    Raises ``SchemaMismatch`` naming the column, or ``DuplicateKey``; with ``report`` such records are refused one by one.
    """
    out = Gathered()
    groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    seen: set[bytes] = set()
    for record in records:
        try:
            names, row = _row(record, schema, store, whole=whole)
            _once(names, row, schema, store, seen)
        except (SchemaMismatch, DuplicateKey) as error:
            if not report:
                raise
            out.refused.append((record, str(error)))
            continue
        groups.setdefault(names, []).append(row)
    out.tables = [pa.Table.from_batches([schema.batch(rows, names)]) for names, rows in groups.items()]
    return out


def _row(record: Mapping[str, Any], schema: Schema, store: str, *, whole: bool) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    if whole:
        row = schema.row(record, store=store)
        if schema.unique or record.get(ID) is not None:
            return schema.physical_names, row
        return schema.physical_names[:-1], row[:-1]
    values = schema.partial(record, store=store)
    if not schema.unique and record.get(ID) is not None:
        values[ID] = record[ID]
    schema.needs_key(values, store=store)
    names = tuple(name for name in schema.physical.names if name in values)
    return names, tuple(values[name] for name in names)


def _once(names: tuple[str, ...], row: tuple[Any, ...], schema: Schema, store: str, seen: set[bytes]) -> None:
    values = dict(zip(names, row, strict=True))
    if not all(name in values for name in schema.stored_key_names):
        return
    stored = [values[name] for name in schema.stored_key_names]
    key = schema.encode_key(stored)
    if key in seen:
        raise DuplicateKey(store, schema.public_key(stored), reason="is twice among the records; drop one of them")
    seen.add(key)
