"""JSON lines: one object a line, parsed by Arrow; columns are the names of all objects, null where one leaves a name out.

A column whose values are of several kinds holds JSON documents, as does one whose whole numbers would lose digits. Text that is in
every value a date or a time becomes that; other text is text, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.fields import document, is_document
from sopnb.frames.faults import REASON, halved
from sopnb.frames.files import jsontext
from sopnb.frames.files.kind import Found, Passing
from sopnb.frames.files.path import Source
from sopnb.frames.files.text import TEMPORAL, TextColumn, is_text, values

BLOCK = 4 << 20
"""Bytes of text that are parsed at a time."""
LONGEST = 256 << 20
"""A line may take this many bytes."""
_CHANGED = re.compile(r"Column\(/(.*)\) changed from ", re.DOTALL)
_MANY_DIGITS = re.compile(r"-?\d{16,}")
_EXACT = 10**15
_rows = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()
t = pa.types


@dataclass
class JsonColumn:
    """What is known of a column: its ``kind`` in Arrow, None where values are of several; ``long`` if it has integers of many digits.

    ``text`` knows which times its text may be.
    """

    kind: Any = field(default_factory=pa.null)
    long: bool = False
    text: TextColumn = field(default_factory=lambda: TextColumn(TEMPORAL, words=False))

    def add(self, values: Any) -> None:
        """Take values into account, which Arrow parsed."""
        long = t.is_integer(values.type) and bool(pc.any(pc.greater_equal(pc.abs(values), _EXACT)).as_py())
        if t.is_string(values.type):
            self.text.add(values)
        joined = self.join(JsonColumn(values.type, long))
        self.kind, self.long = joined.kind, joined.long

    def join(self, other: JsonColumn) -> JsonColumn:
        """Return what is known from two parts of it."""
        kind = None if self.kind is None or other.kind is None else _joined(self.kind, other.kind)
        long = self.long or other.long
        lossy = long and kind is not None and t.is_floating(kind)
        return JsonColumn(None if lossy else kind, long, self.text.join(other.text))

    def field(self, name: str) -> Any:
        """Return the column as a field."""
        if self.kind is None:
            return document(name)
        if t.is_string(self.kind):
            return self.text.field(name)
        return pa.field(name, _settled(self.kind))


def _joined(a: Any, b: Any) -> Any:
    """Return the type of both; None if there is none."""
    if a == b or t.is_null(b):
        return a
    if t.is_null(a):
        return b
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if t.is_list(a) and t.is_list(b):
        inner = _joined(a.value_type, b.value_type)
        return None if inner is None else pa.list_(inner)
    if t.is_struct(a) and t.is_struct(b):
        kinds = {field.name: field.type for field in a}
        for each in b:
            kinds[each.name] = _joined(kinds.get(each.name, pa.null()), each.type)
        return None if None in kinds.values() else pa.struct(kinds.items())
    return None


def _settled(kind: Any) -> Any:
    """Return a type without what is null throughout, which becomes text."""
    if t.is_null(kind):
        return pa.string()
    if t.is_list(kind):
        return pa.list_(_settled(kind.value_type))
    if t.is_struct(kind):
        return pa.struct([(field.name, _settled(field.type)) for field in kind])
    return kind


def _untimed(kind: Any) -> Any:
    """Return a type in which what Arrow took for times is text."""
    if t.is_timestamp(kind):
        return pa.string()
    if t.is_list(kind):
        return pa.list_(_untimed(kind.value_type))
    if t.is_struct(kind):
        return pa.struct([(field.name, _untimed(field.type)) for field in kind])
    return kind


# -- reading ------------------------------------------------------------------------------------------------------------------


def scan(path: Path, types: Mapping[str, Any], passing: Passing) -> Found:
    """Find the columns and their types from the whole file."""
    columns: dict[str, JsonColumn] = {}
    rows = 0
    with Source(path) as source:
        for line, block in _blocks(source):
            _check_utf8(path, line, block)
            table = _guessed(path, line, block, columns, passing)
            rows += table.num_rows
            passing.at(source.passed)
    if not columns:
        raise InvalidInput(f"{path}: the file holds no objects")
    found: dict[str, Any] = dict(columns)
    return Found({name: types.get(name, column) for name, column in found.items()}, rows, extra=columns)


def _guessed(path: Path, line: int, block: bytes, columns: dict[str, JsonColumn], passing: Passing) -> Any:
    """Parse a block without knowing types, and put into ``columns`` what its values are."""
    apart = {name for name, column in columns.items() if column.kind is None}
    while True:
        try:
            rest, _ = _split(block, apart) if apart else (block, {})
            table = _parse(rest)
            timed = pa.schema([pa.field(f.name, _untimed(f.type)) for f in table.schema if _untimed(f.type) != f.type])
            if len(timed):
                table = _parse(rest, timed, "infer")
            doubtful = [name for name in table.column_names if t.is_floating(table.column(name).type) and _large(table.column(name))]
            _, raws = _split(block, doubtful) if doubtful else (b"", {})
        except (pa.ArrowInvalid, msgspec.DecodeError) as error:
            name = _changed(block, str(error))
            if name is None or name in apart:
                block = _without_bad(path, line, block, lambda part: _parse(_split(part, apart)[0]), None, passing)
                continue
            columns.setdefault(name, JsonColumn()).kind = None
            apart.add(name)
            continue
        for name in table.column_names:
            columns.setdefault(name, JsonColumn()).add(table.column(name))
        for name, texts in raws.items():
            if any(raw is not None and _MANY_DIGITS.fullmatch(raw) for raw in texts):
                columns[name].kind = None
        return table


def _large(column: Any) -> bool:
    return bool(pc.any(pc.greater_equal(pc.abs(column), float(_EXACT))).as_py())


def read(path: Path, schema: Any, found: Found, passing: Passing) -> Iterator[Any]:
    """Yield the objects as batches of the columns of ``schema``. Raises ``SchemaMismatch`` naming line and column."""
    columns: Mapping[str, JsonColumn] = found.extra
    apart = [f.name for f in schema if is_document(f) or (is_text(f.type) and columns[f.name].kind not in (pa.string(), pa.null()))]
    parsed = pa.schema([pa.field(f.name, _parsed_type(f.type)) for f in schema if f.name not in apart])

    def table(part: bytes, schema: Any = schema, parsed: Any = parsed) -> Any:
        names = [field.name for field in schema if field.name in apart]
        rest, raws = _split(part, names) if names else (part, {})
        plain = _parse(rest, parsed, "ignore")
        arrays = []
        for each in schema:
            if each.name in raws:
                texts = raws[each.name] if is_document(each) else [_as_text(raw) for raw in raws[each.name]]
                arrays.append(pa.chunked_array([pa.array(texts, pa.string())]).cast(each.type))
            else:
                arrays.append(_typed(plain.column(each.name), each.type))
        return pa.table(arrays, schema=schema)

    with Source(path) as source:
        for line, block in _blocks(source):
            try:
                made = table(block)
            except (pa.ArrowInvalid, msgspec.DecodeError):
                kept = _without_bad(path, line, block, table, schema, passing)
                made = table(kept) if kept.strip() else pa.table([pa.array([], f.type) for f in schema], schema=schema)
            passing.at(source.passed)
            yield from made.to_batches()


def _parsed_type(kind: Any) -> Any:
    """Return the type in which Arrow parses what shall have another."""
    if t.is_dictionary(kind):
        return _parsed_type(kind.value_type)
    if t.is_duration(kind):
        return pa.int64()
    if t.is_float16(kind):
        return pa.float32()
    return pa.string() if t.is_temporal(kind) or is_text(kind) else kind


def _typed(column: Any, kind: Any) -> Any:
    if t.is_temporal(kind) and t.is_string(column.type):
        return pa.chunked_array([values(chunk, kind, words=False) for chunk in column.chunks], kind)
    return column.cast(kind)


def _blocks(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines, with the number of the first of them."""
    rest, line = b"", 1
    while data := source.read(BLOCK):
        rest += data
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) > LONGEST:
            raise InvalidInput(f"{source.path}, line {line}: the line is longer than {LONGEST >> 20} MiB")
        block, rest = rest[:cut], rest[cut:]
        if block.strip():
            yield line, block
        line += block.count(b"\n")


def _parse(block: bytes, schema: Any = None, unexpected: str = "infer") -> Any:
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected, newlines_in_values=False)
    return pa_json.read_json(
        pa.BufferReader(block), pa_json.ReadOptions(use_threads=False, block_size=max(len(block), 1) + 1), parse_options=options
    )


def _split(block: bytes, names: Any) -> tuple[bytes, dict[str, list[str | None]]]:
    """Return a block without some columns, and the JSON text of their values."""
    if not names:
        return block, {}
    rows = _rows.decode_lines(block)
    raws: dict[str, list[str | None]] = {name: [] for name in names}
    for row in rows:
        for name, texts in raws.items():
            raw = row.pop(name, None)
            texts.append(None if raw is None or bytes(raw) == b"null" else bytes(raw).decode())
    return _encoder.encode_lines(rows), raws


def _as_text(raw: str | None) -> str | None:
    """Return the value itself where it is text, else its JSON text."""
    if raw is None or not raw.startswith('"'):
        return raw
    value: str = msgspec.json.decode(raw, type=str)
    return value


def _changed(block: bytes, message: str) -> str | None:
    """Return the column whose values are of several kinds, where Arrow says that of one."""
    match = _CHANGED.search(message)
    if match is None:
        return None
    path = match[1]
    try:
        names = {name for row in _rows.decode_lines(block) for name in row}
    except msgspec.DecodeError:
        return None
    return max((name for name in names if path == name or path.startswith(name + "/")), key=len, default=None)


def _without_bad(path: Path, line: int, block: bytes, parse: Any, schema: Any, passing: Passing) -> bytes:
    """Return a block without the lines that cannot be parsed; without ``refuse`` raise ``SchemaMismatch`` naming the first."""
    parts = block.splitlines(keepends=True) if b"\r" not in block else [part + b"\n" for part in block.split(b"\n")[:-1]]

    def fits(start: int, stop: int) -> bool:
        part = b"".join(parts[start:stop])
        return not part.strip() or _why(parse, part) is None

    bad = []
    for at in halved(fits, 0, len(parts)):
        column = _column(parts[at], parse, schema)
        where = f"{path}, line {line + at}" + ("" if column is None else f", column {column!r}")
        reason = f"{where}: {_why(parse, parts[at])}"
        if passing.refuse is None:
            shown = parts[at].decode(errors="replace").strip()[:200]
            raise SchemaMismatch(f"{reason}; the line is {shown!r}; mend it, or leave it out", column=column)
        bad.append(at)
        passing.refuse(pa.table({REASON: [f"{reason}: {parts[at].decode(errors='replace').strip()}"]}))
    if not bad:
        raise InvalidInput(f"{path}, line {line}: {_why(parse, block)}; the lines that follow are of another form than these before them")
    gone = set(bad)
    return b"".join(part for at, part in enumerate(parts) if at not in gone)


def _why(parse: Any, part: bytes) -> str | None:
    try:
        parse(part)
    except (pa.ArrowInvalid, msgspec.DecodeError) as error:
        if "Column() changed" in str(error):
            return "the line is no object"
        return re.sub(r" in row \d+", "", str(error))
    return None


def _column(part: bytes, parse: Any, schema: Any) -> str | None:
    """Return the column that does not fit in a line that is JSON."""
    for field_ in schema or ():
        one = pa.schema([field_])
        parsed = pa.schema([pa.field(field_.name, _parsed_type(field_.type))])
        if _why(lambda text, one=one, parsed=parsed: parse(text, one, parsed), part) is not None:
            return str(field_.name)
    return None


def _check_utf8(path: Path, line: int, block: bytes) -> None:
    try:
        block.decode()
    except UnicodeDecodeError as error:
        at = line + block.count(b"\n", 0, error.start)
        raise InvalidInput(f"{path}, line {at}: the text is not UTF-8; convert the file") from None


# -- writing ------------------------------------------------------------------------------------------------------------------


def write(reader: Any, sink: Any) -> Iterator[int]:
    """Write batches, and yield how many rows each had."""
    for batch in reader:
        for at in range(0, batch.num_rows, 16_384):
            texts = jsontext.lines(batch.slice(at, 16_384))
            ended = pc.binary_join_element_wise(texts, pa.scalar("\n"), pa.scalar(""))
            sink.write(_joined_bytes(ended))
        yield batch.num_rows


def _joined_bytes(texts: Any) -> Any:
    """Return texts one after another: they lie so in memory."""
    _, offsets, data = texts.buffers()
    view = memoryview(offsets).cast("i")
    return memoryview(data)[view[texts.offset] : view[texts.offset + len(texts)]]
