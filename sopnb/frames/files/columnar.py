"""Parquet, Arrow and ORC: files that know their types, read one row group, batch or stripe at a time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
from pyarrow import orc

from sopnb.errors import InvalidInput
from sopnb.frames.files.kind import Found, Passing
from sopnb.storage.files import translated

ROWS = 65_536
"""Rows of a row group that are read at a time."""
GROUP_ROWS = 1 << 20
GROUP_BYTES = 32 << 20
"""Row groups and stripes are written at this size."""
_MAGIC = b"ARROW1"
t = pa.types


def _opened(path: Path, opener: Callable[[Any], Any], what: str) -> Any:
    """Return an open file. Raises ``InvalidInput`` if it is damaged, or no file of its kind."""
    with translated(path):
        source = pa.memory_map(str(path))
    try:
        return opener(source)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise InvalidInput(f"{path}: this is no {what} file, or a damaged one ({error})") from None


def _told(path: Path, batches: Iterator[Any]) -> Iterator[Any]:
    """Pass batches on, and tell which file is damaged."""
    try:
        yield from batches
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInput(f"{path}: the file is damaged ({error})") from None


def _found(schema: Any, rows: int | None) -> Found:
    return Found({field.name: field for field in schema}, rows, schema.metadata or {})


def scan_parquet(path: Path, types: Mapping[str, Any], passing: Passing) -> Found:
    """Return what the footer says."""
    with _opened(path, pq.ParquetFile, "Parquet") as file:
        return _found(_as_written(file), file.metadata.num_rows)


def read_parquet(path: Path, schema: Any, found: Found, passing: Passing) -> Iterator[Any]:
    """Yield the row groups in pieces."""
    with _opened(path, lambda source: pq.ParquetFile(source, pre_buffer=False), "Parquet") as file:
        if file.metadata.num_row_groups:  # pyarrow 18 cannot go through none
            yield from _told(path, file.iter_batches(ROWS, columns=schema.names))


def _as_written(file: Any) -> Any:
    """Return the Arrow schema that was written: Parquet has fewer units of time, and only dictionaries of text."""
    kept = (file.metadata.metadata or {}).get(b"ARROW:schema")
    written = None if kept is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(kept)))
    if written is None or written.names != file.schema_arrow.names:
        return file.schema_arrow
    fields = [
        there.with_type(was.type) if (t.is_temporal(was.type) and t.is_temporal(there.type)) or t.is_dictionary(was.type) else there
        for there, was in zip(file.schema_arrow, written, strict=True)
    ]
    return pa.schema(fields, metadata=file.schema_arrow.metadata)


def write_parquet(reader: Any, sink: Any) -> Iterator[int]:
    """Write row groups."""
    with pq.ParquetWriter(sink, reader.schema) as writer:
        for table in _groups(reader):
            writer.write_table(table, row_group_size=GROUP_ROWS)
            yield table.num_rows


def _groups(reader: Any) -> Iterator[Any]:
    """Join batches until they are worth a row group."""
    waiting: list[Any] = []
    rows = nbytes = 0
    for batch in reader:
        waiting.append(batch)
        rows, nbytes = rows + batch.num_rows, nbytes + batch.nbytes
        if rows >= GROUP_ROWS or nbytes >= GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, rows, nbytes = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


# -- Arrow --------------------------------------------------------------------------------------------------------------------


def scan_arrow(path: Path, types: Mapping[str, Any], passing: Passing) -> Found:
    """Return what the schema message says."""
    with _arrow(path) as file:
        return _found(file.schema, None)


def read_arrow(path: Path, schema: Any, found: Found, passing: Passing) -> Iterator[Any]:
    """Yield the record batches."""
    with _arrow(path) as file:
        if isinstance(file, pa.ipc.RecordBatchFileReader):
            for at in range(file.num_record_batches):
                yield from _told(path, (file.get_batch(i).select(schema.names) for i in (at,)))
                passing.at(path.stat().st_size * (at + 1) // file.num_record_batches)
        else:
            yield from _told(path, (batch.select(schema.names) for batch in file))


def _arrow(path: Path) -> Any:
    def opener(source: Any) -> Any:
        is_file = source.read(len(_MAGIC)) == _MAGIC
        source.seek(0)
        return pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)

    return _opened(path, opener, "Arrow")


def write_arrow(reader: Any, sink: Any) -> Iterator[int]:
    """Write an Arrow file, which is Feather's second version."""
    options = pa.ipc.IpcWriteOptions(compression="lz4", emit_dictionary_deltas=True)
    growing: dict[int, Any] = {}
    with pa.ipc.new_file(sink, reader.schema, options=options) as writer:
        for batch in reader:
            writer.write_batch(_grown(batch, growing))
            yield batch.num_rows


def _grown(batch: Any, growing: dict[int, Any]) -> Any:
    """Return a batch whose dictionaries begin with those of the batch before, as an Arrow file asks."""
    columns = batch.columns
    for at, column in enumerate(columns):
        if t.is_dictionary(column.type):
            there = growing.get(at)
            grown = column.dictionary
            if there is not None and not grown.equals(there):
                fresh = grown.filter(pc.invert(pc.is_in(grown, there)))
                grown = pa.concat_arrays([there, fresh])
                indices = pc.index_in(column.dictionary_decode(), grown)
                columns[at] = pa.DictionaryArray.from_arrays(indices.cast(column.type.index_type), grown, ordered=column.type.ordered)
            growing[at] = grown
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def write_stream(reader: Any, sink: Any) -> Iterator[int]:
    """Write an Arrow stream."""
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            yield batch.num_rows


# -- ORC ----------------------------------------------------------------------------------------------------------------------


def scan_orc(path: Path, types: Mapping[str, Any], passing: Passing) -> Found:
    """Return what the footer says."""
    file = _opened(path, orc.ORCFile, "ORC")
    return _found(file.schema, file.nrows)


def read_orc(path: Path, schema: Any, found: Found, passing: Passing) -> Iterator[Any]:
    """Yield the stripes."""
    file = _opened(path, orc.ORCFile, "ORC")
    yield from _told(path, (file.read_stripe(at, columns=schema.names).select(schema.names) for at in range(file.nstripes)))


def write_orc(reader: Any, sink: Any) -> Iterator[int]:
    """Write stripes. Times become instants in nanoseconds, which is what ORC has."""
    schema = pa.schema([pa.field(field.name, _orc_type(field.type)) for field in reader.schema])
    patient = _Patient(sink)
    with orc.ORCWriter(pa.PythonFile(patient, mode="w"), compression="zstd") as writer:
        writer.write(schema.empty_table())  # a file of no stripes has a schema only so
        for table in _groups(reader):
            writer.write(table.cast(schema))
            patient.check()
            yield table.num_rows
    patient.check()


class _Patient:
    """A sink that never fails while it is written, and says so later: an error that meets the ORC writer ends the process."""

    closed = False

    def __init__(self, sink: Any) -> None:
        self._sink, self._written = sink, 0
        self._error: BaseException | None = None

    def write(self, data: Any) -> int:
        """Write, unless that failed before."""
        if self._error is None:
            try:
                self._sink.write(data)
            except (OSError, KeyboardInterrupt) as error:
                self._error = error
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how much was written."""
        return self._written

    def flush(self) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Raise the error that befell a write."""
        if self._error is not None:
            raise self._error


def _orc_type(kind: Any) -> Any:
    if t.is_dictionary(kind):
        return _orc_type(kind.value_type)
    if t.is_timestamp(kind):
        return pa.timestamp("ns", None if kind.tz is None else "UTC")
    if t.is_date64(kind):
        return pa.date32()
    return pa.string() if t.is_large_string(kind) or t.is_string_view(kind) else pa.binary() if t.is_large_binary(kind) else kind
