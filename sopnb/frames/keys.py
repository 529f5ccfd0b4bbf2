"""Keys as people give them, one or many, as columns."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.frames.arrow import adopt, is_pandas
from sopnb.schema import ID, Schema


def are_many(keys: Any) -> bool:
    """Say whether these are many keys: a list, an Index, a frame, an array. A tuple is one."""
    if isinstance(keys, tuple | str | bytes | bytearray | memoryview | Mapping):
        return False
    return isinstance(keys, Iterable | pa.Array | pa.ChunkedArray | pa.Table) or hasattr(keys, "__arrow_c_stream__")


def key_columns(keys: Any, schema: Schema, *, store: str = "") -> Any:
    """Return many keys as a table of the physical key columns, in the order given.

    A frame or table gives them in its columns (others are passed over) or its named index; an Index, array or list by their places.
    Raises ``InvalidInput`` or ``SchemaMismatch`` naming the column.
    """
    names = schema.stored_key_names
    if not are_many(keys):
        raise InvalidInput(f"store {store!r}: {keys!r} is one key; give many as a list, an Index or a frame")
    if is_pandas(keys):
        table = adopt(importlib.import_module("sopnb.frames.pandas").key_frame(keys, _given(names, _labels(keys), schema)))[0]
    elif isinstance(keys, pa.RecordBatch | pa.Table) or (hasattr(keys, "__arrow_c_stream__") and not isinstance(keys, pa.ChunkedArray)):
        table = pa.table(keys)
        given = _given(names, table.column_names, schema)
        missing = [name for name in given if name not in table.column_names]
        if missing:
            raise InvalidInput(f"store {store!r}: the keys have no column {missing[0]!r}; a key has the fields {', '.join(names)}")
        table = table.select(list(given))
    elif isinstance(keys, np.ndarray | pa.Array | pa.ChunkedArray):
        if len(names) > 1 or getattr(keys, "ndim", 1) != 1:
            raise InvalidInput(f"store {store!r}: a key has the fields {', '.join(names)}; give a list of tuples, or a frame")
        table = pa.table({names[0]: keys})
    else:
        rows = [schema.key(key, store=store) for key in keys]
        return pa.Table.from_batches([schema.batch(rows, names)])
    conformed = schema.conform(table, store=store, partial=True, keyed=True).select(list(names))
    for name in names:
        if name == ID and conformed.column(name).null_count:
            raise InvalidInput(f"store {store!r}: {name} is null; take it from the record")
    return conformed


def _labels(keys: Any) -> list[Any] | None:
    """Return the columns and levels of a frame; None for an index or series, which gives fields by their places."""
    return [*keys.columns, *keys.index.names] if hasattr(keys, "columns") else None


def _given(names: Sequence[str], there: Sequence[Any] | None, schema: Schema) -> tuple[str, ...]:
    """Return the columns that give a key: for a field that is an expression, unless it is there itself, those it is computed from."""
    if there is None or not schema.computed:
        return tuple(names)
    sources = {each.name: each.sources for each in schema.computed if each.name not in there}
    return tuple(dict.fromkeys(source for name in names for source in sources.get(name, (name,))))
