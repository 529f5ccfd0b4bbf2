"""Columns as JSON text, written by Arrow's own functions: no object of Python's for any row.

Times are ISO text, decimals are numbers, dictionaries their values, documents what they say. JSON has neither bytes nor NaN: they are
refused by name.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.errors import InvalidInput
from sopnb.fields import is_document

t = pa.types
_ESCAPES = {chr(code): f"\\u{code:04x}" for code in range(32)} | {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = r"[\x00-\x1f]"


def lines(batch: Any) -> Any:
    """Return an array of one JSON object for each row of a batch. Raises ``InvalidInput`` naming the column."""
    columns = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        try:
            columns.append(pc.coalesce(column, pa.scalar("null", column.type)) if is_document(field) else text(column))
        except InvalidInput as error:
            raise InvalidInput(f"column {field.name!r} cannot be written as JSON: {error}; leave it out, or write Parquet") from None
    return _object(batch.schema.names, columns, batch.num_rows)


def text(array: Any) -> Any:
    """Return the JSON text of each value. Raises ``InvalidInput`` for what JSON does not have."""
    kind = array.type
    if t.is_dictionary(kind):
        return text(array.dictionary_decode())
    if t.is_struct(kind):
        made = _object([field.name for field in kind], [text(column) for column in array.flatten()], len(array))
    elif t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        made = _list(array)
    elif t.is_null(kind):
        return pa.array(["null"] * len(array), pa.string())
    elif t.is_floating(kind):
        if pc.any(pc.invert(pc.is_finite(array))).as_py():
            raise InvalidInput("it holds NaN or infinity, which JSON has not")
        made = array.cast(pa.float32() if t.is_float16(kind) else kind).cast(pa.string())
    elif t.is_integer(kind) or t.is_boolean(kind) or t.is_decimal(kind):
        made = array.cast(pa.string())
    elif t.is_duration(kind):
        made = array.cast(pa.int64()).cast(pa.string())
    elif t.is_temporal(kind):
        made = _quoted(array.cast(pa.string()))
    elif t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        made = _quoted(_escaped(array.cast(pa.string())))
    else:
        raise InvalidInput(f"JSON has nothing for {kind}")
    return pc.if_else(array.is_null(), pa.scalar("null"), made)


def _object(names: list[str], columns: list[Any], n: int) -> Any:
    if not columns:
        return pa.array(["{}"] * n, pa.string())
    heads = _quoted(_escaped(pa.array(names, pa.string()))).to_pylist()
    parts: list[Any] = []
    for at, (head, column) in enumerate(zip(heads, columns, strict=True)):
        parts += [pa.scalar(f"{',' if at else '{'}{head}:"), column]
    return pc.binary_join_element_wise(*parts, pa.scalar("}"), pa.scalar(""))


def _list(array: Any) -> Any:
    values = text(array.flatten())
    if t.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_field))
    lengths = pc.coalesce(pc.list_value_length(array), pa.scalar(0, pa.int32() if t.is_list(array.type) else pa.int64()))
    offsets = pc.cumulative_sum(pa.concat_arrays([pa.array([0], pa.int64()), lengths.cast(pa.int64())]))
    texts = pa.LargeListArray.from_arrays(offsets, values)
    return pc.binary_join_element_wise(pa.scalar("["), pc.binary_join(texts, ",").cast(pa.string()), pa.scalar("]"), pa.scalar(""))


def _quoted(texts: Any) -> Any:
    return pc.binary_join_element_wise(pa.scalar('"'), texts, pa.scalar('"'), pa.scalar(""))


def _escaped(texts: Any) -> Any:
    texts = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    if pc.any(pc.match_substring_regex(texts, _CONTROL)).as_py():
        for sign, escape in _ESCAPES.items():
            texts = pc.replace_substring(texts, sign, escape)
    return texts
