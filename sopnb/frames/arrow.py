"""Whatever holds rows, as an Arrow table."""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.fields import document, is_document

Adopted = tuple[Any, tuple[str, ...] | None, dict[str, Any] | None]
"""A table, the names of the key that the data itself has, what the frame says beyond Arrow."""


def adopt(data: Any, *, documents: Collection[str] = ()) -> Adopted:
    """Return (table, the names of the key that the data itself has, what the frame says beyond Arrow).

    ``data`` is a frame of pandas or polars, an Arrow table, batch, reader or dataset, anything with ``__arrow_c_stream__``, a list of
    dicts, or an iterable of any of these with equal columns. ``documents`` names columns whose values become JSON documents whatever
    they are. Raises ``InvalidInput`` naming what cannot be read.
    """
    if isinstance(data, pa.Table):
        return _documented(data, documents), None, None
    if isinstance(data, pa.RecordBatch):
        return _documented(pa.Table.from_batches([data]), documents), None, None
    if is_pandas(data):
        adopted: Adopted = importlib.import_module("sopnb.frames.pandas").adopt(data, documents=documents)
        return adopted
    if is_polars(data):
        return _documented(_polars(data), documents), None, None
    if is_stream(data):
        return _documented(reader(data).read_all(), documents), None, None
    if isinstance(data, Mapping):
        return _records([data]), None, None
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _several(list(data), documents)
    raise InvalidInput(f"rows cannot be read from {type(data).__name__}; give a DataFrame, an Arrow table or reader, or a list of dicts")


def is_pandas(data: Any) -> bool:
    """Say whether this is an object of pandas, without loading it."""
    return type(data).__module__.partition(".")[0] == "pandas"


def is_stream(data: Any) -> bool:
    """Say whether this gives Arrow batches one after another: a reader, a dataset, whatever has ``__arrow_c_stream__``."""
    return hasattr(data, "__arrow_c_stream__") or _is_dataset(data)


def reader(data: Any) -> Any:
    """Return a ``pyarrow.RecordBatchReader`` over what ``is_stream``."""
    if isinstance(data, pa.RecordBatchReader):
        return data
    return data.scanner().to_reader() if _is_dataset(data) else pa.RecordBatchReader.from_stream(data)


def _is_dataset(data: Any) -> bool:
    return type(data).__module__ == "pyarrow._dataset" and hasattr(data, "scanner")


def is_polars(data: Any) -> bool:
    """Say whether this is a frame of polars, without loading it."""
    return type(data).__module__.partition(".")[0] == "polars" and hasattr(data, "to_arrow")


def _polars(frame: Any) -> Any:
    """Return a frame of polars as a table, with text and bytes as other libraries know them. Raises ``InvalidInput`` naming the column."""
    if not hasattr(frame, "columns"):
        frame = frame.to_frame()
    for name, kind in frame.schema.items():
        if any(word in str(kind) for word in ("Object", "Int128")):
            raise InvalidInput(f"column {name!r} of type {kind} cannot be stored; cast it to a decimal, to numbers of 64 bits, or to text")
    return frame.to_arrow()


def _several(parts: list[Any], documents: Collection[str]) -> Adopted:
    if all(isinstance(part, Mapping) for part in parts):
        return _records(parts), None, None
    adopted = [adopt(part, documents=documents) for part in parts]
    first = adopted[0]
    for each in adopted:
        same_columns(first, each)
    tables = [table.select(first[0].column_names) for table, _, _ in adopted]
    try:
        return pa.concat_tables(tables, promote_options="permissive"), first[1], first[2]
    except pa.ArrowTypeError as error:
        raise InvalidInput(f"the frames differ in the types of their columns: {error}") from None


def same_columns(first: Adopted, other: Adopted) -> None:
    """Raise ``InvalidInput`` unless two pieces of data have the same columns, and the same of them as index."""
    if set(other[0].column_names) != set(first[0].column_names) or other[1] != first[1]:
        raise InvalidInput(f"the frames differ in their columns: {first[0].column_names} and {other[0].column_names}")


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


def _documented(table: Any, documents: Collection[str]) -> Any:
    """Return the table with JSON text in the columns of documents: what is text must be JSON already, all else is written as JSON."""
    for at, field in enumerate(table.schema):
        if field.name in documents and not is_document(field):
            texts = pa.array(_texts(field, table.column(at)), pa.string())
            table = table.set_column(at, document(field.name, nullable=field.nullable), texts)
    return table


def _texts(field: Any, column: Any) -> list[str | None]:
    texts: list[str | None] = []
    is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type) or pa.types.is_string_view(field.type)
    for value in column.to_pylist():
        try:
            if value is None or is_text:
                json.loads(value or "null")
                texts.append(value)
            else:
                texts.append(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"column {field.name!r}: {value!r} is no JSON document ({error}); write it as JSON text") from None
    return texts
