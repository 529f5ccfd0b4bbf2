"""CSV and TSV: text with one record a line, parsed by Arrow.

Every column is read as text first, so that types are found from the whole file and values are told by line when they do not fit.
Nothing between two delimiters is null, ``""`` is empty text; in columns that are not text the words of ``text.NULLS`` are null too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.fields import is_document
from sopnb.frames.faults import REASON, halved
from sopnb.frames.files.kind import Found, Passing, Refuse
from sopnb.frames.files.path import COMPRESSIONS, Source, undecodable_line
from sopnb.frames.files.text import TextColumn, check_readable, values

BLOCK = 1 << 20
"""Bytes of text that are parsed at a time; Arrow reads 32 times as much ahead."""
LONGEST = 64 << 20
"""A record may take this many bytes."""


def scan(path: Path, types: Mapping[str, Any], passing: Passing) -> Found:
    """Find the types of the columns that have none in ``types``, from the whole file if there are any."""
    names = _names(path)
    columns = {name: TextColumn() for name in names if name not in types}
    found = {name: columns.get(name) or types[name] for name in names}
    if not columns:
        return Found(found)
    rows, block = 0, BLOCK
    while True:
        try:
            for batch in _batches(path, names, block, passing):
                for name, column in columns.items():
                    column.add(batch.column(name))
                rows += batch.num_rows
            return Found(found, rows=rows, block=block)
        except _TooLong:
            block *= 4
            rows = 0


def read(path: Path, schema: Any, found: Found, passing: Passing) -> Iterator[Any]:
    """Yield the records as batches of the columns of ``schema``. Raises ``SchemaMismatch`` naming line and column."""
    for field in schema:
        check_readable(field.name, field.type)
    names, first, block = list(found.columns), 0, found.block or BLOCK
    while True:
        try:
            for batch in _batches(path, names, block, passing, skip=first):
                yield _typed(batch, schema, path, first, passing.refuse)
                first += batch.num_rows
            return
        except _TooLong:
            block *= 4


def _typed(batch: Any, schema: Any, path: Path, first: int, refuse: Refuse | None) -> Any:
    arrays = []
    for field in schema:
        text = batch.column(field.name)
        try:
            arrays.append(_values(text, field))
        except pa.ArrowInvalid:
            bad = list(halved(partial(_fits, text, field), 0, len(text)))
            what = "JSON" if is_document(field) else field.type
            reason = f"column {field.name!r}: {text[bad[0]].as_py()!r} is no {what}"
            if refuse is None:
                where = f"{path}, line {_line(path, first + bad[0] + 2)}"
                remedy = f'mend the file, or give types={{"{field.name}": "string"}}'
                raise SchemaMismatch(f"{where}, {reason}; {remedy}", column=field.name) from None
            wrong = np.zeros(len(text), bool)
            wrong[bad] = True
            gone = pa.Table.from_batches([batch.filter(pa.array(wrong))])
            refuse(gone.append_column(REASON, pa.array([f"{path}, {reason}"] * len(bad))))
            return _typed(batch.filter(pa.array(~wrong)), schema, path, first, refuse)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _values(text: Any, field: Any) -> Any:
    if is_document(field):
        for value in text.drop_null().to_pylist():
            try:
                msgspec.json.decode(value)
            except msgspec.DecodeError as error:
                raise pa.ArrowInvalid(str(error)) from None
    return values(text, field.type)


def _fits(text: Any, field: Any, start: int, stop: int) -> bool:
    try:
        _values(text[start:stop], field)
    except pa.ArrowInvalid:
        return False
    return True


class _TooLong(Exception):
    """A record is longer than a block."""


def _options(path: Path, names: list[str], block: int, handler: Any) -> dict[str, Any]:
    return {
        "read_options": pc_csv.ReadOptions(block_size=block, use_threads=False),
        "parse_options": pc_csv.ParseOptions(
            delimiter=_delimiter(path), newlines_in_values=True, ignore_empty_lines=len(names) != 1, invalid_row_handler=handler
        ),
        "convert_options": pc_csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }


def _delimiter(path: Path) -> str:
    suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    return "\t" if suffixes and suffixes[-1].lower() == ".tsv" else ","


def _names(path: Path) -> list[str]:
    """Return the names of the columns: the first line that is not empty."""
    with Source(path) as source:
        text = io.TextIOWrapper(io.BufferedReader(_Raw(source)), encoding="utf-8", errors="surrogateescape", newline="")
        names: list[str] = next((row for row in csv.reader(text, delimiter=_delimiter(path)) if row), [])
        try:
            "".join(names).encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{path}, line 1: the text is not UTF-8; convert the file") from None
    if not names:
        raise InvalidInput(f"{path}: the file is empty; its first line names the columns")
    for at, name in enumerate(names):
        if not name:
            raise InvalidInput(f"{path}, line 1: column {at + 1} has no name")
        if name in names[:at]:
            raise InvalidInput(f"{path}, line 1: column {name!r} is there twice; rename one of them")
    return names


class _Raw(io.RawIOBase):
    """A source as Python's own readers want it."""

    def __init__(self, source: Source) -> None:
        self._source, self._rest = source, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._source.read(1 << 16)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _batches(path: Path, names: list[str], block: int, passing: Passing, *, skip: int = 0) -> Iterator[Any]:
    """Yield the records after the first ``skip`` as text.

    Raises ``InvalidInput`` naming the line, ``_TooLong`` where a block is too short for a record.
    """
    malformed: list[Any] = []

    def handler(row: Any) -> str:
        malformed.append(row)
        return "error" if passing.refuse is None else "skip"

    last = None
    with Source(path) as source:
        reader = None
        try:
            reader = pc_csv.open_csv(source, **_options(path, names, block, handler))
            for batch in reader:
                passing.at(source.passed)
                while malformed and passing.refuse is not None:
                    row = malformed.pop(0)
                    passing.refuse(pa.table({REASON: [f"{path}: {_counted(row)}: {row.text.strip()}"]}))
                if batch.num_rows:
                    last = batch.column(len(names) - 1)[-1].as_py()
                    done, skip = skip, max(skip - batch.num_rows, 0)
                    if done < batch.num_rows:
                        yield batch.slice(done)
        except pa.ArrowInvalid as error:
            _failed(path, error, malformed, block)
        finally:
            if reader is not None:
                reader.close()
        if source.quotes % 2 and last is not None and ("\n" in last or source.tail.decode(errors="replace").endswith('"' + last)):
            raise InvalidInput(f"{path}: a quotation mark is not closed before the end of the file; mend it")


def _counted(row: Any) -> str:
    return f"{row.actual_columns} values for {row.expected_columns} columns"


def _failed(path: Path, error: Exception, malformed: list[Any], block: int) -> None:
    if malformed:
        row = malformed[-1]
        column = min(row.actual_columns, row.expected_columns) + 1
        where = f"{path}, line {_line(path, row.number)}, column {column}"
        raise InvalidInput(f"{where}: {_counted(row)}: {row.text.strip()[:200]!r}; mend the file, or leave the line out") from None
    if "straddl" in str(error):
        if block * 4 > LONGEST:
            raise InvalidInput(f"{path}: a record is longer than {LONGEST >> 20} MiB; is a quotation mark not closed?") from None
        raise _TooLong from None
    line = undecodable_line(path)
    if line is not None:
        raise InvalidInput(f"{path}, line {line}: the text is not UTF-8; convert the file") from None
    raise InvalidInput(f"{path}: {error}") from None


def _line(path: Path, record: int) -> int:
    """Return the line on which a record begins; the line of the names is the first record."""
    with Source(path) as source:
        rows = csv.reader(
            io.TextIOWrapper(io.BufferedReader(_Raw(source)), encoding="utf-8", errors="replace", newline=""), delimiter=_delimiter(path)
        )
        begins = number = 1
        for row in rows:
            if row:
                if number == record:
                    break
                number += 1
            begins = rows.line_num + 1
    return begins


def write(reader: Any, sink: Any, *, delimiter: str = ",") -> Iterator[int]:
    """Write batches, and yield how many rows each had."""
    schema = pa.schema([pa.field(field.name, _written(field.type)) for field in reader.schema])
    with pc_csv.CSVWriter(sink, schema, write_options=pc_csv.WriteOptions(delimiter=delimiter)) as writer:
        for batch in reader:
            writer.write_batch(batch.cast(schema))
            yield batch.num_rows


def _written(kind: Any) -> Any:
    if pa.types.is_dictionary(kind):
        return _written(kind.value_type)
    return pa.string() if pa.types.is_string_view(kind) else kind
