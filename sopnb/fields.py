"""Columns by themselves: the Arrow field of one, what its values mean beyond their type, and which types may be written into which.

A column is stored in its *plain type*: dictionaries and runs as their values, views as plain text and bytes, maps as lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.errors import InvalidInput

MEANING = b"sopnb"
"""The metadata of a field that says what its values mean beyond their type: "json", "period[M]", "interval[right]"."""
DOCUMENT = {MEANING: b"json"}
"""That of a column of JSON documents."""
CALENDAR = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("nanoseconds", pa.int64())])
"""The type in which calendar intervals are stored."""
_CALENDAR = np.dtype([("months", "i4"), ("days", "i4"), ("nanoseconds", "i8")])
"""How one lies in memory."""
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


def plain_type(kind: Any) -> Any:
    """Return a type without what is a matter of form, within others too.

    That is dictionaries and runs as their values, views as plain text and bytes, maps as lists of structs, calendar intervals as structs.
    """
    t = pa.types
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if t.is_string_view(kind) or t.is_binary_view(kind):
        return pa.string() if t.is_string_view(kind) else pa.binary()
    if t.is_interval(kind):
        return CALENDAR
    if t.is_map(kind):
        return pa.list_(pa.field("entries", plain_type(_entry(kind)), nullable=False))
    return _within(kind, plain_type)


def stored_type(kind: Any) -> Any:
    """Return the type in which a column is stored: the plain one, with truth values for nothing within others, of which all are null."""
    return _within(plain_type(kind), lambda inner: pa.bool_() if pa.types.is_null(inner) else stored_type(inner))


def _within(kind: Any, change: Callable[[Any], Any]) -> Any:
    """Return a struct or list with the types that it holds changed, any other type as it is."""
    t = pa.types
    if t.is_struct(kind):
        return pa.struct([field.with_type(change(field.type)) for field in kind])
    if not (t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)):
        return kind
    return _list_type(kind, kind.value_field.with_type(change(kind.value_type)))


def _list_type(like: Any, inner: Any) -> Any:
    if pa.types.is_fixed_size_list(like):
        return pa.list_(inner, like.list_size)
    return pa.large_list(inner) if pa.types.is_large_list(like) else pa.list_(inner)


def _entry(kind: Any) -> Any:
    return pa.struct([kind.key_field, kind.item_field])


def formed(column: Any, kind: Any) -> Any:
    """Return a column in another form of the same plain type, or of one that has values where the other holds nothing.

    Lists and structs are rebuilt around the buffers that they have.
    """
    if column.type == kind:
        return column
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([piece for chunk in column.chunks for piece in _pieces(chunk, kind)], kind)
    return _formed(column, kind)


def empty(schema: Any) -> Any:
    """Return a table without rows; Arrow itself cannot make one of all types."""
    arrays = [formed(pa.array([], stored_type(field.type)), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _pieces(array: Any, kind: Any) -> list[Any]:
    """Return an array in another form, in as many pieces as dictionaries need whose index has few bits."""
    try:
        return [_formed(array, kind)]
    except pa.ArrowInvalid:
        if len(array) < 2 or not holds(kind, pa.types.is_dictionary):
            raise
    halves = np.array_split(np.arange(len(array)), 2)
    return [piece for half in halves for piece in _pieces(array.take(pa.array(half)), kind)]


def _formed(array: Any, kind: Any) -> Any:
    t, source = pa.types, array.type
    if source == kind:
        return array
    if t.is_dictionary(source):
        return _formed(array.dictionary.cast(plain_type(source)).take(array.indices), kind)
    if t.is_run_end_encoded(source):
        return _formed(pc.run_end_decode(array), kind)
    if t.is_interval(source):
        return _formed(_from_calendar(array), kind)
    if t.is_dictionary(kind):
        coded = _formed(array, plain_type(kind)).dictionary_encode()
        return pa.DictionaryArray.from_arrays(
            coded.indices.cast(kind.index_type), coded.dictionary.cast(kind.value_type), ordered=kind.ordered
        )
    if t.is_run_end_encoded(kind):
        return pc.run_end_encode(_formed(array, kind.value_type), run_end_type=kind.run_end_type)
    if t.is_interval(kind):
        return _to_calendar(array, kind)
    if t.is_null(source) or t.is_null(kind):
        return pa.nulls(len(array), kind)
    if t.is_struct(source) and t.is_struct(kind) and kind.num_fields:
        children = [_formed(array.field(at), field.type) for at, field in enumerate(kind)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null() if array.null_count else None)
    if any(is_one(kind) for is_one in (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_map)):
        return _list(array, kind)
    return array.cast(kind)


def _list(array: Any, kind: Any) -> Any:
    """Return lists, or maps, which lie in memory as lists of structs, with what they hold in another form."""
    is_map, source = pa.types.is_map(kind), array.type
    inner = pa.field("entries", _entry(kind), nullable=False) if is_map else kind.value_field
    values = _formed(array.values, inner.type)
    like = kind if is_map else _list_type(source, inner)
    buffers = array.buffers()[: 1 if pa.types.is_fixed_size_list(source) else 2]
    made = pa.Array.from_buffers(like, len(array), buffers, offset=array.offset, children=[values])
    return made if like == kind else made.cast(kind)


def _from_calendar(array: Any) -> Any:
    """Return calendar intervals as structs."""
    parts = np.frombuffer(array.buffers()[1] or b"", _CALENDAR)[array.offset : array.offset + len(array)]
    children = [pa.array(np.ascontiguousarray(parts[field.name])) for field in CALENDAR]
    return pa.StructArray.from_arrays(children, fields=list(CALENDAR), mask=array.is_null())


def _to_calendar(array: Any, kind: Any) -> Any:
    parts = np.zeros(len(array), _CALENDAR)
    for at, field in enumerate(CALENDAR):
        parts[field.name] = pc.fill_null(array.field(at), 0).to_numpy()
    valid = np.packbits(array.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
    return pa.Array.from_buffers(kind, len(array), [pa.py_buffer(valid.tobytes()), pa.py_buffer(parts.tobytes())])


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
