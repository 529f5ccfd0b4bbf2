"""Whatever holds rows, as an Arrow table."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput


def adopt(data: Any) -> tuple[Any, tuple[str, ...] | None, dict[str, Any] | None]:
    """Return (table, the names of the key that the data itself has, what the frame says beyond Arrow).

    ``data`` is a pandas frame, an Arrow table, batch or reader, anything with ``__arrow_c_stream__``, a list of dicts, or an
    iterable of any of these with equal columns. Raises ``InvalidInput`` naming what cannot be read.
    """
    if isinstance(data, pa.Table):
        return data, None, None
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data]), None, None
    if type(data).__module__.partition(".")[0] == "pandas":
        pandas = importlib.import_module("sopnb.frames.pandas")
        adopted: tuple[Any, tuple[str, ...] | None, dict[str, Any] | None] = pandas.adopt(data)
        return adopted
    if isinstance(data, pa.RecordBatchReader) or hasattr(data, "__arrow_c_stream__"):
        return pa.table(data), None, None
    if isinstance(data, Mapping):
        return _records([data]), None, None
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _several(list(data))
    raise InvalidInput(f"rows cannot be read from {type(data).__name__}; give a DataFrame, an Arrow table or reader, or a list of dicts")


def _several(parts: list[Any]) -> tuple[Any, tuple[str, ...] | None, dict[str, Any] | None]:
    if all(isinstance(part, Mapping) for part in parts):
        return _records(parts), None, None
    adopted = [adopt(part) for part in parts]
    first = adopted[0]
    for table, names, _ in adopted:
        if set(table.column_names) != set(first[0].column_names) or names != first[1]:
            raise InvalidInput(f"the frames differ in their columns: {first[0].column_names} and {table.column_names}")
    tables = [table.select(first[0].column_names) for table, _, _ in adopted]
    try:
        return pa.concat_tables(tables, promote_options="permissive"), first[1], first[2]
    except pa.ArrowTypeError as error:
        raise InvalidInput(f"the frames differ in the types of their columns: {error}") from None


def _records(records: Sequence[Mapping[str, Any]]) -> Any:
    names = dict.fromkeys(name for record in records for name in record)
    arrays, fields = [], []
    for name in names:
        values = [record.get(name) for record in records]
        if any(isinstance(value, Mapping) for value in values):
            raise InvalidInput(f'column {name!r} holds dicts: create the store with schema={{..., {name!r}: "json"}} first')
        try:
            array = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise InvalidInput(f"column {name!r} mixes types, or is none that can be stored: {error}") from None
        arrays.append(array)
        fields.append(pa.field(name, array.type))
    return pa.table(arrays, schema=pa.schema(fields))
