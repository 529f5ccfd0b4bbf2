"""Columns by themselves: the Arrow field of one, what its values mean beyond their type, and which types may be written into which.

A column is stored in its *plain type*: dictionaries as their values, views as plain text and bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput

MEANING = b"sopnb"
"""The metadata of a field that says what its values mean beyond their type: "json", "period[M]", "interval[right]"."""
DOCUMENT = {MEANING: b"json"}
"""That of a column of JSON documents."""
_WORDS = {
    "string": pa.string(),
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "bytes": pa.binary(),
    "binary": pa.binary(),
    "timestamp": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "duration": pa.duration("us"),
}


def is_document(field: Any) -> bool:
    """Say whether a column holds JSON documents."""
    return meaning(field) == "json"


def meaning(field: Any) -> str | None:
    """Return what the values of a column mean beyond their type; None if nothing."""
    said = (field.metadata or {}).get(MEANING)
    return None if said is None else said.decode()


def document(name: str, *, nullable: bool = True) -> Any:
    """Return the field of a column of JSON documents."""
    return pa.field(name, pa.string(), nullable=nullable, metadata=DOCUMENT)


def worded(name: str, word: Any, *, key: bool = False) -> Any:
    """Return the field of a column from a type word, such as ``"decimal128(10, 2)"``. Raises ``InvalidInput`` naming the column."""
    if isinstance(word, pa.DataType):
        return pa.field(name, word, nullable=not key)
    text = str(word).strip()
    required = text.endswith("!")
    text = text.removesuffix("!").strip()
    nullable = not (key or required)
    if text == "json":
        return document(name, nullable=nullable)
    try:
        return pa.field(name, _typed(text), nullable=nullable)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f'column {name!r}: {word!r} is no type; write "int64", "string", "timestamp[us, UTC]", "decimal128(10, 2)" or "json"'
        raise InvalidInput(message) from error


def _typed(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    head, bracket, rest = text.partition("[" if "[" in text else "(")
    if not bracket:
        return pa.type_for_alias(text)
    arguments = [part.strip() for part in rest[:-1].split(",")]
    if head == "timestamp":
        return pa.timestamp(arguments[0], arguments[1].removeprefix("tz=") if len(arguments) > 1 else None)
    if head in ("decimal", "decimal128"):
        return pa.decimal128(*map(int, arguments))
    if head == "list":
        return pa.list_(_typed(rest[:-1].strip()))
    if head == "binary":
        return pa.binary(int(arguments[0]))
    return pa.type_for_alias(text)


def fits(field: Any, wanted: Any) -> bool:
    """Say whether a column of one field may be written into one of another, as far as its values fit.

    Text may go into documents, where it is JSON; other meanings, as of periods, must be the same.
    """
    mine, theirs = meaning(field), meaning(wanted)
    if mine != theirs and not (theirs == "json" and mine is None) and not pa.types.is_null(field.type):
        return False
    return widens(plain_type(field.type), plain_type(wanted.type))


def holds_nothing(column: Any) -> bool:
    """Say whether a column is all null, or all lists of nulls or of nothing, so that it may be of any type."""
    if column.null_count == len(column):
        return True
    t = pa.types
    if not (t.is_list(column.type) or t.is_large_list(column.type)):
        return False
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return all(holds_nothing(chunk.flatten()) for chunk in chunks)


def widens(kind: Any, wanted: Any) -> bool:
    """Say whether every value of ``kind`` that ``wanted`` can hold may be cast: a checked cast does the rest. Both are plain."""
    t = pa.types
    if t.is_null(kind) or kind == wanted:
        return True
    if t.is_integer(kind):
        return bool(t.is_integer(wanted) or t.is_floating(wanted) or t.is_decimal(wanted))
    if t.is_floating(kind):
        return bool(t.is_floating(wanted) and wanted.bit_width >= kind.bit_width)
    if t.is_timestamp(kind):
        return bool(t.is_timestamp(wanted) and (kind.tz is None) == (wanted.tz is None))
    raw = (t.is_binary, t.is_large_binary, t.is_fixed_size_binary)
    lists = (t.is_list, t.is_large_list, t.is_fixed_size_list)
    for group in ((t.is_decimal,), (t.is_date,), (t.is_time,), (t.is_duration,), (t.is_string, t.is_large_string), raw):
        if any(is_one(kind) for is_one in group):
            return any(is_one(wanted) for is_one in group)
    if any(is_one(kind) for is_one in lists):
        return any(is_one(wanted) for is_one in lists) and widens(kind.value_type, wanted.value_type)
    if t.is_struct(kind) and t.is_struct(wanted):
        return [f.name for f in kind] == [f.name for f in wanted] and all(widens(a.type, b.type) for a, b in zip(kind, wanted, strict=True))
    return False


def dictionary_values(column: Any) -> Any:
    """Return a dictionary column as its values, in their stored type; Arrow cannot cast dictionaries of views."""
    kind = plain_type(column.type)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return pa.chunked_array([chunk.dictionary.cast(kind).take(chunk.indices) for chunk in chunks], kind)


def plain_type(kind: Any) -> Any:
    """Return a type as it is stored: dictionaries as their values, views as plain text and bytes, in lists and structs too."""
    t = pa.types
    if t.is_dictionary(kind):
        return plain_type(kind.value_type)
    if t.is_string_view(kind) or t.is_binary_view(kind):
        return pa.string() if t.is_string_view(kind) else pa.binary()
    if t.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = kind.value_field.with_type(plain_type(kind.value_type))
        return (
            pa.list_(inner, kind.list_size)
            if t.is_fixed_size_list(kind)
            else pa.large_list(inner)
            if t.is_large_list(kind)
            else pa.list_(inner)
        )
    return kind


def type_text(field: Any) -> str:
    """Return the type of a column as messages tell it."""
    return meaning(field) or str(field.type)


def holds(kind: Any, is_one: Callable[[Any], bool]) -> bool:
    """Say whether a type is one of these, or holds one."""
    return is_one(kind) or (bool(pa.types.is_nested(kind)) and any(holds(kind.field(i).type, is_one) for i in range(kind.num_fields)))


def one_array(column: Any) -> Any:
    """Return a column as one Arrow array, copied only if it lies in several pieces."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    if not isinstance(combined, pa.ChunkedArray):
        return combined
    return pa.concat_arrays(combined.chunks) if combined.num_chunks else pa.array([], column.type)


def to_ipc(values: Any) -> bytes:
    """Return an array as bytes."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([values], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def from_ipc(data: bytes) -> Any:
    """Return the array that ``to_ipc`` wrote."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_all().column(0).combine_chunks()
