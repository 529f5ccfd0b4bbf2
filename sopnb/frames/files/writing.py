"""Writing a file: whole, or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.frames.files.kind import Kind
from sopnb.frames.files.kinds import kind_named, kind_of
from sopnb.frames.files.path import compression
from sopnb.frames.files.text import check_readable
from sopnb.storage.files import Files as Disk
from sopnb.storage.files import translated

Done = Callable[[int], object]
BATCH_BYTES = 4 << 20
"""Batches are joined until they take this much."""


def write(reader: Any, path: Any, *, kind: str | None = None, done: Done = lambda rows: None) -> int:
    """Write what a ``RecordBatchReader`` yields into a file, durably, and return the number of rows.

    The name says the kind, unless ``kind`` does: "csv", "tsv", "jsonl" (these also compressed: .gz, .bz2, .zst), "parquet", "feather"
    (also .arrow, .ipc), "arrows" or "orc". The file is written beside its name and takes it at the end: after any error or interrupt the
    name is as it was before. ``done`` is called with the rows of each batch written. What the schema of the reader says in its metadata is
    kept where the kind can keep it (Parquet, Arrow), so that pandas reads its index and dtypes.

    Raises ``InvalidInput`` naming the column that the kind cannot hold, or the suffix; ``NoSpace`` or ``StorageError``.

    >>> import pathlib, tempfile
    >>> table = pa.table({"tailnum": ["N1", "N3"], "seats": [55, None]})
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "planes.csv"
    >>> write(table.to_reader(), path), path.read_text()
    (2, '"tailnum","seats"\\n"N1",55\\n"N3",\\n')
    """
    target = Path(path).expanduser().resolve()
    chosen = kind_of(target) if kind is None else kind_named(kind)
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{str(path)!r} is no file, and is not replaced by one; name a file in it or beside it")
    check_holds(chosen, reader.schema)
    disk = Disk()
    draft = _draft(disk, target)
    try:
        with translated(target):
            rows = _written(chosen, reader, draft, compression(target), done)
        file = disk.open_write(draft)
        try:
            disk.sync(file)
        finally:
            disk.close(file)
        disk.rename(draft, target)
    except BaseException:
        disk.unlink(draft, missing_ok=True)
        raise
    disk.sync_dir(target.parent)
    return rows


def write_to(reader: Any, sink: Any, kind: str, *, done: Done = lambda rows: None) -> int:
    """Write what a reader yields into an open file, such as standard output, and return the number of rows."""
    chosen = kind_named(kind)
    check_holds(chosen, reader.schema)
    return _counted(chosen, reader, pa.PythonFile(sink, mode="w"), done)


def _draft(disk: Disk, target: Path) -> Path:
    for number in range(1, 1_000_000):
        draft = target.with_name(f".{target.name}.{number}.tmp")
        try:
            disk.close(disk.create(draft))
        except FileExistsError:  # of another process, or one that was killed
            continue
        except FileNotFoundError:
            raise InvalidInput(f"there is no folder {str(target.parent)!r} to write {target.name!r} into") from None
        return draft
    raise InvalidInput(f"{str(target.parent)!r} is full of drafts of {target.name!r}; remove them")


def _written(kind: Kind, reader: Any, draft: Path, packed: str | None, done: Done) -> int:
    with pa.OSFile(str(draft), "wb") as file:
        if packed is None:
            return _counted(kind, reader, file, done)
        if packed == "gzip":  # Arrow has its slowest level only
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as zipped:
                return _counted(kind, reader, pa.PythonFile(zipped, mode="w"), done)
        with pa.CompressedOutputStream(file, packed) as sink:
            return _counted(kind, reader, sink, done)


def _counted(kind: Kind, reader: Any, sink: Any, done: Done) -> int:
    rows = 0
    joined = pa.RecordBatchReader.from_batches(reader.schema, _joined(reader))
    for written in kind.write(joined, sink):
        rows += written
        done(written)
    return rows


def _joined(reader: Any) -> Iterator[Any]:
    """Join small batches: each costs a writer some time."""
    waiting: list[Any] = []
    nbytes = 0
    for batch in reader:
        waiting.append(batch)
        nbytes += batch.nbytes
        if nbytes >= BATCH_BYTES:
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting, nbytes = [], 0
    if waiting:
        yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()


def check_holds(kind: Kind, schema: Any) -> None:
    """Raise ``InvalidInput`` naming the column of a type that files of this kind cannot hold."""
    for field in schema:
        one = pa.schema([field.with_nullable(True)])
        batch = pa.RecordBatch.from_arrays([pa.nulls(1, field.type)], schema=one)
        try:
            if kind.name in ("csv", "tsv"):
                check_readable(field.name, field.type)  # what could not be read again is not written
            for _ in kind.write(pa.RecordBatchReader.from_batches(one, [batch]), pa.BufferOutputStream()):
                pass
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, InvalidInput) as error:
            other = "Arrow" if kind.name == "parquet" else "Parquet"
            message = (
                f"column {field.name!r} of type {field.type} cannot be written as {kind.name} ({error}); leave it out, or write {other}"
            )
            raise InvalidInput(message) from None
