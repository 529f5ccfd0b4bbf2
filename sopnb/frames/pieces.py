"""Data that comes in pieces: never more than one of them in memory at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.frames.arrow import Adopted, adopt, is_pandas, same_columns

RECORDS = 10_000
"""Dicts that an iterator gives are taken this many at a time."""


class Pieces:
    """The tables of some data, one after another, all with the columns of the first.

    ``names`` and ``says`` are as ``adopt`` returns them; ``rows`` is how many rows there are, None if that is not known before the end;
    ``repeatable`` says whether they can be gone through again.
    """

    def __init__(self, data: Any, *, documents: Collection[str] = ()) -> None:
        self._documents = documents
        self.repeatable = not streams(data)
        self.rows: int | None = None
        if self.repeatable:
            first = adopt(data, documents=documents)
            self._rest: Iterator[Any] = iter(())
            self.rows = first[0].num_rows
        else:
            self._rest = _items(data)
            item = next(self._rest, None)
            if item is None:
                raise InvalidInput("there is nothing to load: the iterator is empty")
            first = adopt(item, documents=documents)
        self._first = first
        self.table, self.names, self.says = first

    def __iter__(self) -> Iterator[Any]:
        """Yield the tables. Raises ``InvalidInput`` if one has other columns than the first."""
        return chain([self.table], map(self._next, self._rest))

    def _next(self, item: Any) -> Any:
        adopted: Adopted = adopt(item, documents=self._documents)
        same_columns(self._first, adopted)
        return adopted[0].select(self.table.column_names)


def streams(data: Any) -> bool:
    """Say whether data comes in pieces that can be had once only."""
    if is_pandas(data) or isinstance(data, pa.Table | pa.RecordBatch | Mapping | list | tuple | str | bytes):
        return False
    return isinstance(data, Iterable) or hasattr(data, "__arrow_c_stream__")


def _items(data: Any) -> Iterator[Any]:
    if hasattr(data, "__arrow_c_stream__"):
        reader = data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)
        empty = reader.schema.empty_table()
        batches = (batch for batch in reader if batch.num_rows)
        first = next(batches, None)
        yield empty if first is None else first
        yield from batches
        return
    items = iter(data)
    for item in items:
        if isinstance(item, Mapping):
            yield [item, *islice(items, RECORDS - 1)]
        else:
            yield item
