"""What a frame says beyond its Arrow form, in the metadata of a file.

Two descriptions are written: the one that pandas and pyarrow agree on, so that pandas reads an equal frame, and the store's own, so that a
store reads it. Where there is only that of pandas, it is taken.
"""

from __future__ import annotations

import base64
import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

from sopnb.fields import is_document, to_ipc
from sopnb.schema import Schema

OWN = b"sopnb"
PANDAS = b"pandas"
_SOLID = re.compile(r"u?int(8|16|32|64)|bool")
_UNNAMED = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Description:
    """``index`` are the columns that make the key, None if the frame had no index with names; ``says`` is as ``frames.pandas`` has it.

    ``left_out`` are columns of an index without a name; ``solid`` are those that pandas keeps in dtypes without null; ``counted`` is an
    index of which the file has only its start and step. ``categories`` are those of columns that have them, also unused ones.
    """

    index: tuple[str, ...] | None = None
    says: dict[str, Any] | None = None
    left_out: frozenset[str] = frozenset()
    solid: frozenset[str] = frozenset()
    counted: tuple[str, int, int] | None = None
    categories: dict[str, bytes] = field(default_factory=dict)


def described(fields: Sequence[Any], metadata: Any) -> Description:
    """Return the description that the metadata of a file holds, an empty one if it holds none that can be kept."""
    names = [each.name for each in fields]
    if OWN in metadata:
        try:
            own = msgspec.msgpack.decode(base64.b64decode(metadata[OWN]))
            said = own["frame"]
            whole = all(name in names for name in said["index"] or ())
            said = said if whole else {**said, "index": None, "freq": None}
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return Description()
        return Description(tuple(said["index"]) if said["index"] else None, said, categories=own["categories"])
    try:
        pandas = json.loads(metadata[PANDAS])
        levels = pandas["index_columns"]
        columns = {column["field_name"] or column["name"]: column for column in pandas["columns"]}
        text_names = all(each["pandas_type"] in ("unicode", "string", "empty") for each in pandas["column_indexes"])
    except (KeyError, TypeError, ValueError):
        return Description()
    stored = [level for level in levels if isinstance(level, str) and level in names]
    left_out = frozenset(level for level in stored if _UNNAMED.fullmatch(level))
    plain = {each.name for each in fields if pa.types.is_integer(each.type) or pa.types.is_boolean(each.type)}
    solid = frozenset(name for name, column in columns.items() if name in plain and _SOLID.fullmatch(str(column["numpy_type"])))
    index = None if left_out or not stored or len(stored) < len(levels) else tuple(stored)
    counted = _counted(levels, names)
    if counted is not None:
        index, solid = (counted[0],), solid | {counted[0]}
        kind = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
        pandas["columns"].append({"name": counted[0], "field_name": counted[0], **kind})
    if not text_names or len(pandas["column_indexes"]) > 1:
        return Description(index, None, left_out, frozenset(), counted)
    said = json.dumps({**pandas, "index_columns": list(index or ())})
    documents = [each.name for each in fields if is_document(each)]
    return Description(index, {"pandas": said, "index": list(index) if index else None, "documents": documents}, left_out, solid, counted)


def _counted(levels: Sequence[Any], names: Sequence[str]) -> tuple[str, int, int] | None:
    if len(levels) != 1 or not isinstance(levels[0], dict):
        return None
    name = levels[0].get("name")
    return None if name is None or name in names else (name, levels[0]["start"], levels[0]["step"])


def with_description(reader: Any, schema: Schema) -> Any:
    """Return a reader whose schema says what the frames of a store are like; its columns may be fewer than those of the store."""
    if schema.frame is None:
        return reader
    names = [name for name in reader.schema.names if name in schema.names]
    pandas = importlib.import_module("sopnb.frames.pandas").shared(schema, names)
    metadata = {} if pandas is None else {PANDAS: pandas}
    if "columns" in schema.frame:
        categories = {name: to_ipc(values) for name, values in schema.categories.items() if name in names}
        metadata[OWN] = base64.b64encode(msgspec.msgpack.encode({"frame": schema.frame, "categories": categories}))
    told = reader.schema.with_metadata(metadata)
    return pa.RecordBatchReader.from_batches(told, (pa.RecordBatch.from_arrays(batch.columns, schema=told) for batch in reader))
