"""How the records of a selection are read: its key range, in one direction, through its condition, in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.access.expression import SEQ
from sopnb.access.filter import Filter
from sopnb.access.keyrange import EVERYTHING, KeyRange
from sopnb.access.reading import Reading, covering, window, with_commits
from sopnb.engine.entries import Entries, gathered
from sopnb.schema import Schema

More = Callable[[Entries], bool]
"""Is asked after each part that was read, whatever passes of it, whether to read another."""
GROUP_BYTES = 8 * 1024 * 1024
"""About so much is judged by a condition at once."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A way through the records of one store: what is read and what of it passes, whatever columns are asked for.

    Parts are ``Entries`` with the columns asked for, and perhaps more; only ``_seq`` is not among them, ``table`` adds it.
    """

    schema: Schema
    store: str
    keys: KeyRange = EVERYTHING
    filter: Filter | None = None
    reverse: bool = False

    @property
    def range(self) -> KeyRange:
        """The keys outside of which nothing passes."""
        return self.keys if self.filter is None else self.filter.pushed.within(self.keys).keys

    def physical(self, columns: Sequence[str]) -> tuple[str, ...] | None:
        """Return the physical columns to read for these; None for all."""
        wanted = dict.fromkeys(columns)
        if self.filter is not None:
            wanted.update(dict.fromkeys(self.filter.columns))
        wanted.pop(SEQ, None)
        if len(wanted) == len(self.schema.physical):
            return None
        return tuple(wanted) or self.schema.key_names[:1]

    def count(self, reading: Reading) -> int:
        """Return how many records pass; without a condition nothing is read for it."""
        if self.filter is None:
            return reading.count(self.keys.lo, self.keys.hi)
        names = self.schema.key_names[:1]
        return sum(len(part) for part in self.parts(covering(reading, (*names, *self.filter.columns)), names))

    def covering(self, reading: Reading, columns: Sequence[str]) -> Reading:
        """Return what reads columns for a table, from an index alone where all are there."""
        return covering(reading, (*columns, *(() if self.filter is None else self.filter.columns)))

    def ascending(
        self, reading: Reading, columns: Sequence[str], *, reverse: bool = False, more: More | None = None
    ) -> Iterator[Entries]:  # fmt: skip
        """Yield what passes, each part ascending in itself, the parts themselves descending with ``reverse``.

        It ends where there is no ``more`` to be read; what was read by then is judged and yielded.
        """
        wanted = self.physical(columns)
        if self.filter is None:
            yield from _while(more, reading.scan(self.keys.lo, self.keys.hi, reverse=reverse, columns=wanted))
            return
        keys, prune = self.range, self.filter.pushed.leaves
        parts = reading.scan(keys.lo, keys.hi, reverse=reverse, columns=wanted, prune=prune)
        for several in _growing(_while(more, parts)):
            kept = self._kept(self.filter, reading, several[::-1] if reverse else several)
            if len(kept):
                yield kept

    def parts(self, reading: Reading, columns: Sequence[str], *, more: More | None = None) -> Iterator[Entries]:
        """Yield what passes, in the direction of the scan, as ``ascending`` does."""
        parts = self.ascending(reading, columns, reverse=self.reverse, more=more)
        return map(turned, parts) if self.reverse else parts

    def taken(self, reading: Reading, columns: Sequence[str], n: int) -> Iterator[Entries]:
        """Yield the first ``n`` of them."""
        if n and self.filter is None:
            yield from self.at(reading, 0, n, columns)
        elif n:
            for part in self.parts(reading, columns):
                yield part.slice(0, n)
                n -= min(n, len(part))
                if not n:
                    return

    def at(self, reading: Reading, start: int, stop: int, columns: Sequence[str]) -> Iterator[Entries]:
        """Yield those at positions ``[start, stop)``; without a condition nothing else is read."""
        if self.filter is None:
            found = window(
                reading, self.keys.lo, self.keys.hi, start, stop, reverse=self.reverse, columns=self.physical(columns)
            )  # fmt: skip
            yield from map(turned, found) if self.reverse else found
            return
        at = 0
        for part in self.parts(reading, columns):
            if start < at + len(part):
                yield part.slice(max(start - at, 0), min(stop - at, len(part)))
            at += len(part)
            if at >= stop:
                return

    def tables(self, reading: Reading, columns: Sequence[str], size: int, *, more: int = 0) -> Iterator[Any]:
        """Yield what passes, ascending, as tables of these physical columns that take about ``size`` bytes with ``more`` for each row."""
        waiting: list[Any] = []
        nbytes = 0
        for part in self.ascending(reading, columns):
            waiting.append(part.batch.select(list(columns)))
            nbytes += waiting[-1].nbytes + more * len(part)
            if nbytes > size:
                yield pa.Table.from_batches(waiting)
                waiting, nbytes = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting)

    def table(self, reading: Reading, parts: Iterator[Entries] | Sequence[Entries], columns: Sequence[str]) -> Any:
        """Return parts as a table of these columns in physical types."""
        fields = [pa.field(SEQ, pa.int64(), nullable=False) if name == SEQ else self.schema.physical.field(name) for name in columns]
        batches = [(with_commits(reading, part) if SEQ in columns else part.batch).select(list(columns)) for part in parts]
        return pa.Table.from_batches(batches, pa.schema(fields))

    def _kept(self, condition: Filter, reading: Reading, parts: Sequence[Entries]) -> Entries:
        """Return what passes of several parts, as one."""
        judged = [with_commits(reading, part) if SEQ in condition.columns else part.batch for part in parts]
        mask = condition.mask(pa.Table.from_batches(judged), store=self.store)
        table = pa.Table.from_batches([part.batch for part in parts]).filter(pa.array(mask)).combine_chunks()
        seq = gathered([part.seq for part in parts], [len(part) for part in parts], np.int64)
        batches = table.to_batches()
        return Entries(batches[0] if batches else parts[0].batch.slice(0, 0), seq=seq if isinstance(seq, int) else seq[mask])


def turned(part: Entries) -> Entries:
    """Return a part in descending order."""
    return part.take(np.arange(len(part) - 1, -1, -1))


def cut(parts: Sequence[Entries], size: int) -> tuple[list[Entries], list[Entries]]:
    """Return (the first ``size`` rows, the rest)."""
    first: list[Entries] = []
    rest: list[Entries] = []
    for part in parts:
        here = min(size, len(part))
        size -= here
        first += [part.slice(0, here)] if here else []
        rest += [part.slice(here, len(part))] if here < len(part) else []
    return first, rest


def _while(more: More | None, parts: Iterator[Entries]) -> Iterator[Entries]:
    """Yield parts as long as there is to be more of them."""
    for part in parts:
        yield part
        if more is not None and not more(part):
            return


def _growing(parts: Iterator[Entries]) -> Iterator[list[Entries]]:
    """Yield parts in groups: one first, then more and more of them, so that little is read in vain and much judged together."""
    group: list[Entries] = []
    most, nbytes = 1, 0
    for part in parts:
        group.append(part)
        nbytes += part.nbytes
        if len(group) >= most or nbytes >= GROUP_BYTES:
            yield group
            most, nbytes, group = 2 * most, 0, []
    if group:
        yield group
