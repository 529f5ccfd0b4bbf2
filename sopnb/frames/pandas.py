"""pandas frames to Arrow and back, equal.

What Arrow does not say (the index, its names, categories, numpy or nullable dtypes, ``attrs``) travels in the description that
pyarrow and pandas agree on; the schema of the store keeps it, so that a page and the whole have the same dtypes.

A numpy column of integers or booleans cannot hold null, so its Arrow field may not be null either: a missing value is refused by
name later on, instead of turning the column into floats. Integers and booleans that may be null, in stores that were not loaded
from pandas, come as the nullable dtypes ``Int64`` and ``boolean``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.schema import Schema, document

_DOCUMENTS = ("mixed", "mixed-integer")
_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def adopt(frame: Any, *, documents: Collection[str] = ()) -> tuple[Any, tuple[str, ...] | None, dict[str, Any] | None]:
    """Return (table, the names of the index if all its levels have one, the description of the frame).

    An index without a name is left out. ``documents`` names columns whose values become JSON documents whatever they are. Raises
    ``InvalidInput`` naming the column that cannot be kept as it is.
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(f"rows cannot be read from {type(frame).__name__}; give a DataFrame")
    _check_columns(frame)
    names = tuple(frame.index.names) if all(isinstance(name, str) for name in frame.index.names) else None
    documents = [name for name in frame.columns if name in documents or _is_document(frame[name], name)]
    if documents:
        texts = {name: frame[name].astype(object).map(_text(name), na_action="ignore") for name in documents}
        frame = frame.assign(**texts)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=names is not None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise InvalidInput(f"{_told(error)}; cast that column to one type, to decimal for larger numbers, or to JSON text") from None
    description = json.loads(table.schema.metadata[b"pandas"])
    fields = [_field(field, frame, field.name in documents) for field in table.schema]
    arrays = [column.cast(pa.string()) if f.name in documents else column for column, f in zip(table.columns, fields, strict=True)]
    frame_says = {"pandas": json.dumps(description), "index": list(names) if names else None, "documents": documents}
    return pa.table(arrays, schema=pa.schema(fields)), names, frame_says


def to_pandas(table: Any, schema: Schema, *, nullable: bool = False) -> Any:
    """Return a table of the user's columns (``Schema.present``) as a frame with the dtypes that the schema says.

    With ``nullable`` integers and booleans come as the nullable dtypes, because rows may be missing that the schema knows nothing of.
    """
    says = schema.frame
    if says is None:
        frame = table.to_pandas(types_mapper=_NULLABLE.get)
        documents = [field.name for field in table.schema if field.metadata and field.metadata.get(b"sopnb") == b"json"]
    else:
        description = json.loads(says["pandas"])
        description["columns"] = [c for c in description["columns"] if (c["field_name"] or c["name"]) in table.column_names]
        kept = [name for name in description["index_columns"] if isinstance(name, str) and name in table.column_names]
        description["index_columns"] = kept if says["index"] else []
        described = table.replace_schema_metadata({b"pandas": json.dumps(description).encode()})
        frame = described.to_pandas(types_mapper=_NULLABLE.get if nullable else None)
        documents = [name for name in says["documents"] if name in table.column_names]
    for name in documents:
        values = [None if text is None else json.loads(text) for text in table.column(name).to_pylist()]
        frame[name] = pd.Series(values, index=frame.index, dtype=object)
    return frame


def index_columns(schema: Schema) -> tuple[str, ...]:
    """Return the columns that come back as the index of a frame."""
    return () if schema.frame is None else tuple(schema.frame["index"] or ())


def key_frame(keys: Any, names: Sequence[str]) -> Any:
    """Return keys given as an Index, Series or frame as a frame with these columns; a frame's own columns or index go by name."""
    if isinstance(keys, pd.MultiIndex) and keys.nlevels != len(names):
        raise InvalidInput(f"the keys have {keys.nlevels} levels, the key has the fields {', '.join(names)}")
    if isinstance(keys, pd.Index):
        named = list(names) if keys.nlevels > 1 else names[0]
        return keys.to_frame(index=False, name=named) if keys.nlevels == len(names) else _from_tuples(keys, names)
    if isinstance(keys, pd.Series):
        return key_frame(pd.Index(keys), names)
    named = [name for name in keys.index.names if name in names]
    frame = keys.reset_index(level=named) if named else keys
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidInput(f"the frame of keys has no column {missing[0]!r}; a key has the fields {', '.join(names)}")
    return frame[list(names)]


def _from_tuples(keys: Any, names: Sequence[str]) -> Any:
    tuples = list(keys)
    if any(not isinstance(key, tuple) or len(key) != len(names) for key in tuples):
        raise InvalidInput(f"a key has the fields {', '.join(names)}; give an index of as many levels")
    return pd.DataFrame(tuples, columns=list(names))


def as_columns(says: dict[str, Any]) -> dict[str, Any]:
    """Return a description under which the index comes back as columns."""
    return {**says, "index": None}


def _check_columns(frame: Any) -> None:
    if isinstance(frame.columns, pd.MultiIndex):
        raise InvalidInput("the frame has several levels of column names; join them into one first")
    for name in frame.columns:
        if not isinstance(name, str):
            raise InvalidInput(f"column {name!r} has a {type(name).__name__} for a name; rename it to text")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InvalidInput(f"column {twice[0]!r} is there twice; rename one of them")
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.SparseDtype) or getattr(dtype, "kind", "") == "c":
            raise InvalidInput(f"column {name!r} of dtype {dtype} cannot be stored; make it dense, or two columns of real numbers")


def _is_document(column: Any, name: str) -> bool:
    if column.dtype != object:
        return False
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "mixed" and all(isinstance(v, list | tuple | np.ndarray) or pd.api.types.is_scalar(v) for v in column):
        return any(isinstance(x, dict) for v in column if isinstance(v, list | tuple | np.ndarray) for x in v) or not _one_kind(column)
    if kind == "integer" and any(isinstance(v, int) and not -(2**63) <= v < 2**64 for v in column):
        raise InvalidInput(f"column {name!r} holds integers beyond 64 bits; make it a decimal column, or JSON text")
    return kind in _DOCUMENTS


def _one_kind(column: Any) -> bool:
    try:
        pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


def _text(name: str) -> Any:
    def convert(value: Any) -> str:
        try:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"column {name!r} mixes kinds that are no JSON document ({error}); cast it to one type") from None

    return convert


def _field(field: Any, frame: Any, is_document: bool) -> Any:
    if is_document:
        return document(field.name)
    dtype = frame[field.name].dtype if field.name in frame.columns else frame.index.get_level_values(field.name).dtype
    solid = type(dtype).__module__.startswith("numpy") and dtype.kind in "iub"
    return field.with_nullable(not solid).remove_metadata()


def _told(error: Exception) -> str:
    return "; ".join(str(part) for part in error.args)


def rejected_frame(tables: Sequence[Any], records: Sequence[tuple[Any, str]], schema: Schema) -> Any:
    """Return what a write refused as one frame, with the column ``_reason`` last; the index of the store's frames comes as columns."""
    frames = []
    for table in tables:
        known = [name for name in table.column_names if name in schema.names]
        physical = all(table.schema.field(name).type == schema.physical.field(name).type for name in known)
        seen = schema.present(table, table.column_names) if physical else table
        frames.append(seen.to_pandas(types_mapper=_NULLABLE.get))
    if records:
        frames.append(pd.DataFrame([{**record, "_reason": reason} for record, reason in records]))
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    return frame[[*(name for name in frame.columns if name != "_reason"), "_reason"]]
