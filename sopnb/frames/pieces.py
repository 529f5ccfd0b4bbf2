"""Data that comes in pieces: never more than one of them in memory at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.fields import empty
from sopnb.frames.arrow import Adopted, adopt, is_pandas, is_polars, is_stream, reader, same_columns
from sopnb.frames.files.path import are_files
from sopnb.schema import Schema

RECORDS = 10_000
"""Dicts that an iterator gives are taken this many at a time."""


def opened(data: Any, types: Mapping[str, str] | None = None) -> Any:
    """Return data as it is, or ``Files`` if it is paths or patterns of them; ``types`` gives the types of some of their columns.

    Raises ``InvalidInput`` if there is no such file, or if types are given for what has its own.
    """
    if are_files(data):
        return importlib.import_module("sopnb.frames.files.files").source(data, types=types)
    if types:
        raise InvalidInput("types= says how files are read; cast the columns of other data")
    return data


class Pieces:
    """The tables of some data, one after another, all with the columns of the first.

    ``table`` has their columns, ``names`` and ``says`` are as ``adopt`` returns them; ``rows`` is how many rows there are, None if that
    is not known before the end; ``repeatable`` says whether they can be gone through again. Data goes ``into`` the columns of a store if
    there is one: files of text are read in its types. Rows of files that cannot be read go to ``refuse``, if given; ``bar`` shows how far
    their types are found.
    """

    def __init__(
        self,
        data: Any,
        *,
        into: Schema | None = None,
        refuse: Callable[[Any], object] | None = None,
        bar: Callable[..., AbstractContextManager[Callable[[int], object]]] | None = None,
    ) -> None:
        self._documents = frozenset() if into is None else into.documents
        self.repeatable = not streams(data)
        self.rows: int | None = None
        self.expected: Callable[[], int | None] = lambda: self.rows
        """Returns how many rows there are, as far as it is known by now."""
        if type(data).__module__ == "sopnb.frames.files.files":
            self._rest, first = self._files(data if into is None else data.into(into.arrow), refuse, bar)
        elif self.repeatable:
            first = adopt(data, documents=self._documents)
            self._rest = iter([first[0]])
            self.rows = first[0].num_rows
        else:
            items = _items(data)
            item = next(items, None)
            if item is None:
                raise InvalidInput("there is nothing to load: the iterator is empty")
            first = adopt(item, documents=self._documents)
            self._rest = chain([first[0]], map(self._next, items))
        self._first = first
        self.table, self.names, self.says = first

    def _files(self, files: Any, refuse: Any, bar: Any) -> tuple[Iterator[Any], Adopted]:
        files.refuse = refuse
        if bar is not None:
            with bar("find types", files.bytes, unit="B") as done:
                files.look(done)
        self.rows, self.expected = files.rows, files.expected
        first = adopt(files.sample, documents=self._documents)[0], files.names, files.says
        return (adopt(batch, documents=self._documents)[0] for batch in files.batches()), first

    def __iter__(self) -> Iterator[Any]:
        """Yield the tables. Raises ``InvalidInput`` if one has other columns than the first."""
        return self._rest

    def _next(self, item: Any) -> Any:
        adopted: Adopted = adopt(item, documents=self._documents)
        same_columns(self._first, adopted)
        return adopted[0].select(self.table.column_names)


def streams(data: Any) -> bool:
    """Say whether data comes in pieces that can be had once only."""
    if is_pandas(data) or is_polars(data) or isinstance(data, pa.Table | pa.RecordBatch | Mapping | list | tuple | str | bytes):
        return False
    return isinstance(data, Iterable) or is_stream(data)


def _items(data: Any) -> Iterator[Any]:
    if is_stream(data):
        stream = reader(data)
        batches = (batch for batch in stream if batch.num_rows)
        first = next(batches, None)
        yield empty(stream.schema) if first is None else first
        yield from batches
        return
    items = iter(data)
    for item in items:
        if isinstance(item, Mapping):
            yield [item, *islice(items, RECORDS - 1)]
        else:
            yield item
