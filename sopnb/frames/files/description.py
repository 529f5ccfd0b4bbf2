"""What pandas says of a frame in the metadata of a file: its index, and dtypes that Arrow does not have.

It is in the form that pandas and pyarrow agree on, and read without pandas.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sopnb.schema import DOCUMENT, Schema, is_document

_SOLID = re.compile(r"u?int(8|16|32|64)|bool")
_UNNAMED = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Description:
    """``index`` are the columns that make the key, None if the frame had no index with names; ``says`` is as ``frames.pandas`` has it.

    ``left_out`` are columns of an index without a name; ``solid`` are those that pandas keeps in dtypes without null; ``counted`` is an
    index of which the file has only its start and step.
    """

    index: tuple[str, ...] | None = None
    says: dict[str, Any] | None = None
    left_out: frozenset[str] = frozenset()
    solid: frozenset[str] = frozenset()
    counted: tuple[str, int, int] | None = None


def described(fields: Sequence[Any], metadata: Any) -> Description:
    """Return the description that the metadata of a file holds, an empty one if it holds none that can be kept."""
    names = [field.name for field in fields]
    try:
        pandas = json.loads(metadata[b"pandas"])
        levels = pandas["index_columns"]
        columns = {column["field_name"] or column["name"]: column for column in pandas["columns"]}
        text_names = all(each["pandas_type"] in ("unicode", "string", "empty") for each in pandas["column_indexes"])
    except (KeyError, TypeError, ValueError):
        return Description()
    stored = [level for level in levels if isinstance(level, str) and level in names]
    left_out = frozenset(level for level in stored if _UNNAMED.fullmatch(level))
    plain = {field.name for field in fields if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)}
    solid = frozenset(name for name, column in columns.items() if name in plain and _SOLID.fullmatch(str(column["numpy_type"])))
    index = None if left_out or not stored or len(stored) < len(levels) else tuple(stored)
    counted = None
    if len(levels) == 1 and isinstance(levels[0], dict) and levels[0].get("name") is not None and levels[0]["name"] not in names:
        counted = (levels[0]["name"], levels[0]["start"], levels[0]["step"])
        index, solid = (counted[0],), solid | {counted[0]}
        kind = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
        pandas["columns"].append({"name": counted[0], "field_name": counted[0], **kind})
    if not text_names or len(pandas["column_indexes"]) > 1:
        return Description(index, None, left_out, frozenset(), counted)
    said = {**pandas, "index_columns": list(index or ())}
    documents = [field.name for field in fields if is_document(field)]
    return Description(
        index, {"pandas": json.dumps(said), "index": list(index or ()) or None, "documents": documents}, left_out, solid, counted
    )


def with_description(reader: Any, schema: Schema) -> Any:
    """Return a reader whose schema says what the frames of a store are like, so that pandas reads equal frames from a file of it.

    The columns may be fewer than those of the store. JSON documents stay marked as such.
    """
    fields = [field.with_metadata(DOCUMENT) if field.name in schema.documents else field for field in reader.schema]
    metadata = {}
    if schema.frame is not None:
        metadata = {b"pandas": importlib.import_module("sopnb.frames.pandas").shared(schema, reader.schema.names)}
    described_schema = pa.schema(fields, metadata=metadata)
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=described_schema) for batch in reader)
    return pa.RecordBatchReader.from_batches(described_schema, batches)
