"""A lazy view of a store: a key range, a condition, columns, a direction. Everything that reads many records goes through one."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeVar

import numpy as np
import pyarrow as pa

from sopnb import display
from sopnb.access import token as tokens
from sopnb.access.changes import refuse_key_fields
from sopnb.access.explanation import Explanation
from sopnb.access.filter import SEQ, Filter
from sopnb.access.keyrange import EVERYTHING, Closed, KeyRange
from sopnb.access.reading import Reading, commit_of, window, with_commits, with_keys
from sopnb.access.record import Record
from sopnb.access.ways import Access
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entries, gathered
from sopnb.engine.layers import Stack
from sopnb.engine.storework import StoreWork
from sopnb.errors import InvalidInput, InvalidState
from sopnb.frames.incoming import incoming, kept
from sopnb.index import Keys
from sopnb.schema import ID, Schema

R = TypeVar("R", Reading, Stack, StoreWork)
BATCH_ROWS = 65_536
"""Rows of a batch or frame where many come one after another."""
GROUP_BYTES = 8 * 1024 * 1024
"""About so much is judged by a condition at once."""


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Some of the records of a store, in index order or reversed. Made by ``store[...]``, ``range``, ``prefix``, ``where``.

    A selection never changes, reads nothing by itself, and costs nothing to make: ``where``, ``select``, ``reverse``, ``range`` and
    ``prefix`` return others. Each call that reads (``count``, ``head``, ``to_pandas`` ...) reads the newest commit; inside a
    transaction it reads what the transaction sees; an iterator keeps the state that it began with.

    Frames and tables have the types of the store's schema, so a page and the whole have the same dtypes. Positions begin at 0 and
    follow the direction.

    >>> import pandas as pd, pyarrow.compute as pc, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 149, 182]}), index="tailnum")
    >>> large = planes["N1":"N3"].where(pc.field("seats") > 100)
    >>> large.count(), large.select("seats").to_dicts()
    (1, [{'seats': 149}])
    """

    _access: Access
    _schema: Schema
    _keys: KeyRange = EVERYTHING
    _filter: Filter | None = None
    _columns: tuple[str, ...] | None = None
    _reverse: bool = False
    _facts: tuple[str, ...] = ()

    # -- choosing -------------------------------------------------------------------------------------------------------------

    def range(self, start: Any = None, stop: Any = None, *, closed: Closed = "left") -> Selection:
        """Return the part between two keys, in index order; a short tuple bounds every key that begins with it.

        ``None`` is open, ``(None,)`` is null. ``closed`` says which bounds belong to it: "left", "right", "both" or "neither". Raises
        ``InvalidInput`` naming the descending field if ``start`` comes after ``stop``.
        """
        keys = KeyRange.between(self._schema, start, stop, closed=closed, store=self._access.name)
        told = [] if start is None else [f"from {_told(start)}{'' if closed in ('left', 'both') else ' (not itself)'}"]
        told += [] if stop is None else [f"{'to' if closed in ('right', 'both') else 'before'} {_told(stop)}"]
        return self._narrowed(keys, " ".join(told))

    def prefix(self, *values: Any, startswith: str | bytes | None = None) -> Selection:
        """Return the part whose leading key fields are these values exactly; ``startswith`` is a piece of the next, a text field."""
        keys = KeyRange.beginning(self._schema, values, startswith=startswith, store=self._access.name)
        told = [_told(values)] if values else []
        told += [] if startswith is None else [f"{startswith!r}…"]
        return self._narrowed(keys, f"prefix {' '.join(told)}" if told else "")

    def where(self, condition: Any) -> Selection:
        """Return the part for which a ``pyarrow.compute`` expression is true; where it is null, a record is left out.

        It sees every column, selected or not. Raises ``InvalidInput`` or ``SchemaMismatch`` at once if it does not fit the columns.
        """
        new = Filter.of(condition, self._schema, store=self._access.name)
        return replace(self, _filter=new if self._filter is None else self._filter & new)

    def select(self, *columns: str) -> Selection:
        """Return the same records with these columns only, in this order. ``_id`` and ``_seq`` may be named too."""
        known = (*self._schema.physical.names, SEQ)
        for name in columns:
            if name not in known:
                told = ", ".join(map(repr, self._schema.names))
                raise InvalidInput(f"store {self._access.name!r} has no column {name!r}; its columns are {told}")
            if columns.count(name) > 1:
                raise InvalidInput(f"column {name!r} is selected twice; name it once")
        if not columns:
            raise InvalidInput("select() needs the name of at least one column")
        return replace(self, _columns=tuple(columns))

    def reverse(self) -> Selection:
        """Return the same records in the other direction."""
        return replace(self, _reverse=not self._reverse)

    def _narrowed(self, keys: KeyRange, told: str) -> Selection:
        return replace(self, _keys=self._keys.meet(keys), _facts=(*self._facts, told) if told else self._facts)

    # -- counting and positions -----------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many records there are. Without a condition it is known from row counts, whatever the size."""
        reading = self._reading()
        if self._filter is None:
            return reading.count(self._keys.lo, self._keys.hi)
        return sum(len(part) for part in self._parts(reading, self._schema.key_names[:1]))

    def row(self, position: int) -> Record:
        """Return the record at a position. Raises ``IndexError`` beyond the end. The cost does not depend on the position."""
        reading = self._reading()
        start, stop = _positions(position, position + 1)
        for part in self._at(reading, start, stop, self._with_keys):
            return next(self._made(reading, part, self._named))
        raise IndexError(f"store {self._access.name!r}: the selection has no record at position {position}")

    def rows(self, start: int, stop: int) -> Any:
        """Return the records at positions ``[start, stop)`` as a DataFrame, as far as there are."""
        return self._framed(lambda reading, columns: self._at(reading, *_positions(start, stop), columns))

    def page(self, number: int, size: int = 100) -> Any:
        """Return page ``number``, from 0, of ``size`` records as a DataFrame."""
        return self.rows(number * _sized(size), (number + 1) * size)

    def head(self, n: int = 5) -> Any:
        """Return the first ``n`` records as a DataFrame."""
        return self._framed(lambda reading, columns: self._taken(reading, columns, _sized(n, 0)))

    def tail(self, n: int = 5) -> Any:
        """Return the last ``n`` records as a DataFrame, in the same order as all."""
        other = self.reverse()
        return self._framed(lambda reading, columns: map(_turned, list(other._taken(reading, columns, _sized(n, 0)))[::-1]))

    def next_page(self, token: str | None = None, size: int = 100) -> tuple[Any, str | None]:
        """Return (the records after the place of ``token`` as a DataFrame, the token of the next page or None at the end).

        A token holds a key, not a position: records written or deleted before it do not shift the pages, and it is good in any process.
        Raises ``InvalidInput`` for a token of another selection.
        """
        reading, rest = self._reading(), self
        if token is not None:
            keys = tokens.after(token, self._schema, reverse=self._reverse)
            rest = replace(self, _keys=self._keys.meet(keys))
        columns = self._for_pandas
        parts = list(rest._taken(reading, (*columns, *self._schema.stored_key_names), _sized(size) + 1))
        parts, more = _cut(parts, size)
        if not more:
            return self._frame(self._table(reading, parts, columns)), None
        last = parts[-1].keys(self._schema)
        return self._frame(self._table(reading, parts, columns)), tokens.token(last[len(last) - 1], self._schema, reverse=self._reverse)

    # -- reading many ---------------------------------------------------------------------------------------------------------

    def to_pandas(self) -> Any:
        """Return the records as a DataFrame: with the index that the frame had when it was loaded, else with a fresh RangeIndex."""
        return self._framed(lambda reading, columns: self._parts(reading, columns))

    def to_arrow(self) -> Any:
        """Return the records as a ``pyarrow.Table``."""
        reading, columns = self._reading(), self._named
        return self._schema.present(self._table(reading, self._parts(reading, columns), columns), columns)

    def to_reader(self) -> Any:
        """Return a ``pyarrow.RecordBatchReader`` over the records: they are read piece by piece, all of one state."""
        reading, columns = self._reading(), self._named
        empty = self._schema.present(self._table(reading, [], columns), columns)

        def batches() -> Iterator[Any]:
            for part in self._parts(reading, columns):
                yield from self._schema.present(self._table(reading, [part], columns), columns).to_batches()

        return pa.RecordBatchReader.from_batches(empty.schema, batches())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the records as a list of dicts that are yours to edit."""
        return [dict(record) for record in self.records()]

    def records(self) -> Iterator[Record]:
        """Return an iterator over the records, all of one state, as read-only dicts."""
        reading, columns = self._reading(), self._named
        return (record for part in self._parts(reading, self._with_keys) for record in self._made(reading, part, columns))

    def keys(self) -> Iterator[Any]:
        """Return an iterator over the full keys, all of one state."""
        reading = self._reading()
        parts = self._parts(reading, self._schema.stored_key_names)
        return (key for part in parts for key in self._schema.public_keys(part.batch))

    def iter_batches(self, size: int = BATCH_ROWS) -> Iterator[Any]:
        """Return an iterator over DataFrames of ``size`` rows (the last has fewer), all of one state."""
        reading, columns = self._reading(), self._for_pandas
        _sized(size)

        def frames() -> Iterator[Any]:
            waiting: list[Entries] = []
            for part in self._parts(reading, columns):
                waiting.append(part)
                while sum(map(len, waiting)) >= size:
                    full, waiting = _split(waiting, size)
                    yield self._frame(self._table(reading, full, columns))
            if waiting:
                yield self._frame(self._table(reading, waiting, columns))

        return frames()

    def explain(self, *, run: bool = False) -> Explanation:
        """Return what reading this would do; with ``run`` it is read once, and how many leaves and branches that took is told too."""
        reading, engine = self._reading(), self._access.engine
        stack = self._access.peek()
        columns = with_keys(self._scanned(self._named), self._schema)
        found = leaves = branches = None
        if run:
            before = engine.reader.leaves, engine.reader.branches
            found = sum(len(part) for part in self._parts(reading, self._named))
            leaves, branches = engine.reader.leaves - before[0], engine.reader.branches - before[1]
        return Explanation(
            store=self._access.name,
            keys=self._facts,
            condition=None if self._filter is None else str(self._filter),
            columns=self._schema.names if columns is None else columns,
            reverse=self._reverse,
            in_range=stack.count(self._keys.lo, self._keys.hi),
            in_store=stack.rows,
            layers=len(stack.layers),
            found=found,
            leaves=leaves,
            branches=branches,
        )

    # -- writing --------------------------------------------------------------------------------------------------------------

    def update(self, changes: Mapping[str, Any], *, message: str = "") -> Counts:
        """Set columns of all these records to values, in one commit. Key fields cannot be changed."""
        self._writable("update")
        name, schema = self._access.name, self._schema
        values = schema.partial(changes, store=name)
        refuse_key_fields(values, schema, name)
        one = schema.batch([tuple(values.values())], list(values))

        def change(store: StoreWork) -> Counts:
            counts = Counts()
            for keys in self._key_tables(self._checked(store), one.nbytes):
                new = one.take(pa.array(np.zeros(len(keys), np.int64)))
                table = pa.table([*keys.columns, *new.columns], names=[*keys.column_names, *values])
                counts += store.write("update", table)
            return counts

        return self._access.write(change, message)

    def delete(self, *, message: str = "") -> Counts:
        """Delete all these records, in one commit."""
        self._writable("delete")

        def change(store: StoreWork) -> Counts:
            reading = self._checked(store)
            if self._filter is None:
                return store.replace_range(self._keys.lo, self._keys.hi, self._table(reading, [], self._schema.physical.names))
            keys = [part.keys(self._schema) for part in self._ascending(reading, self._schema.stored_key_names)]
            return store.delete(Keys.concatenated(keys)) if keys else Counts()

        return self._access.write(change, message)

    def replace(self, rows: Any, *, message: str = "") -> Counts:
        """Make the key range hold exactly these records, in one commit: others in it are deleted, what is equal stays as it is.

        Raises ``InvalidInput`` if a record lies outside the range, or if the selection has a condition.
        """
        self._writable("replace")
        if self._filter is not None:
            raise InvalidInput(f"store {self._access.name!r}: replace() needs a whole key range; take it without where()")
        rows = kept(rows)

        def change(store: StoreWork) -> Counts:
            self._checked(store)
            tables = incoming(rows, store.schema, store=store.name, whole=True).tables
            table = tables[0] if tables else self._table(store, [], self._schema.physical.names)
            if len(tables) > 1:
                raise InvalidInput(f"store {store.name!r}: give {ID} in all records or in none")
            if ID in self._schema.physical.names and ID not in table.column_names:
                table = table.append_column(self._schema.physical.field(ID), store.new_ids(table.num_rows))
            return store.replace_range(self._keys.lo, self._keys.hi, table)

        return self._access.write(change, message)

    def _writable(self, verb: str) -> None:
        if self._columns is not None:
            raise InvalidInput(f"store {self._access.name!r}: {verb}() needs whole records; take the selection without select()")

    # -- how it reads ---------------------------------------------------------------------------------------------------------

    def _reading(self) -> Reading:
        return self._checked(self._access.reading())

    def _checked(self, reading: R) -> R:
        if reading.schema is not self._schema and reading.schema != self._schema:
            raise InvalidState(f"store {self._access.name!r} has another schema than when this selection was made; make it anew")
        return reading

    @property
    def _named(self) -> tuple[str, ...]:
        """The columns that people get."""
        return self._schema.names if self._columns is None else self._columns

    @property
    def _with_keys(self) -> tuple[str, ...]:
        """The same, and those that make the key."""
        return tuple(dict.fromkeys((*self._named, *self._schema.stored_key_names)))

    @property
    def _for_pandas(self) -> tuple[str, ...]:
        """The same, and those that come back as the index of a frame."""
        index = _pandas().index_columns(self._schema) if self._schema.frame is not None else ()
        return tuple(dict.fromkeys((*self._named, *index)))

    def _scanned(self, columns: Sequence[str]) -> tuple[str, ...] | None:
        """Return the physical columns to read for these; None for all."""
        wanted = dict.fromkeys(columns)
        if self._filter is not None:
            wanted.update(dict.fromkeys(self._filter.columns))
        wanted.pop(SEQ, None)
        if len(wanted) == len(self._schema.physical):
            return None
        return tuple(wanted) or self._schema.key_names[:1]

    def _ascending(self, reading: Reading, columns: Sequence[str], *, reverse: bool = False) -> Iterator[Entries]:
        """Yield what passes, each part ascending in itself."""
        parts = reading.scan(self._keys.lo, self._keys.hi, reverse=reverse, columns=self._scanned(columns))
        if self._filter is None:
            yield from parts
            return
        for several in _growing(parts):
            kept = self._kept(self._filter, reading, several[::-1] if reverse else several)
            if len(kept):
                yield kept

    def _kept(self, condition: Filter, reading: Reading, parts: Sequence[Entries]) -> Entries:
        """Return what passes of several parts, as one."""
        judged = [with_commits(reading, part) if SEQ in condition.columns else part.batch for part in parts]
        mask = condition.mask(pa.Table.from_batches(judged), store=self._access.name)
        table = pa.Table.from_batches([part.batch for part in parts]).filter(pa.array(mask)).combine_chunks()
        seq = gathered([part.seq for part in parts], [len(part) for part in parts], np.int64)
        batches = table.to_batches()
        return Entries(batches[0] if batches else parts[0].batch.slice(0, 0), seq=seq if isinstance(seq, int) else seq[mask])

    def _parts(self, reading: Reading, columns: Sequence[str]) -> Iterator[Entries]:
        """Yield what passes, in the direction of the selection."""
        parts = self._ascending(reading, columns, reverse=self._reverse)
        return map(_turned, parts) if self._reverse else parts

    def _taken(self, reading: Reading, columns: Sequence[str], n: int) -> Iterator[Entries]:
        """Yield the first ``n`` of them."""
        if n and self._filter is None:
            yield from self._at(reading, 0, n, columns)
        elif n:
            for part in self._parts(reading, columns):
                yield part.slice(0, n)
                n -= min(n, len(part))
                if not n:
                    return

    def _at(self, reading: Reading, start: int, stop: int, columns: Sequence[str]) -> Iterator[Entries]:
        """Yield those at positions ``[start, stop)``."""
        if self._filter is None:
            keys = self._keys
            found = window(reading, keys.lo, keys.hi, start, stop, reverse=self._reverse, columns=self._scanned(columns))
            yield from map(_turned, found) if self._reverse else found
            return
        at = 0
        for part in self._parts(reading, columns):
            if start < at + len(part):
                yield part.slice(max(start - at, 0), min(stop - at, len(part)))
            at += len(part)
            if at >= stop:
                return

    def _key_tables(self, reading: Reading, more: int) -> Iterator[Any]:
        """Yield the keys of all of them as tables so large that each, with ``more`` bytes a row, is written ahead of the commit."""
        waiting: list[Any] = []
        nbytes = 0
        for part in self._ascending(reading, self._schema.stored_key_names):
            waiting.append(part.batch.select(list(self._schema.stored_key_names)))
            nbytes += waiting[-1].nbytes + more * len(part)
            if nbytes > self._access.engine.spill_bytes:
                yield pa.Table.from_batches(waiting)
                waiting, nbytes = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting)

    # -- what it gives --------------------------------------------------------------------------------------------------------

    def _table(self, reading: Reading, parts: Any, columns: Sequence[str]) -> Any:
        """Return parts as a table of these columns in physical types."""
        fields = [pa.field(SEQ, pa.int64(), nullable=False) if name == SEQ else self._schema.physical.field(name) for name in columns]
        batches = [(with_commits(reading, part) if SEQ in columns else part.batch).select(list(columns)) for part in parts]
        return pa.Table.from_batches(batches, pa.schema(fields))

    def _framed(self, parts: Any) -> Any:
        reading, columns = self._reading(), self._for_pandas
        return self._frame(self._table(reading, parts(reading, columns), columns))

    def _frame(self, table: Any) -> Any:
        return _pandas().to_pandas(self._schema.present(table, table.column_names), self._schema)

    def _made(self, reading: Reading, part: Entries, columns: Sequence[str]) -> Iterator[Record]:
        """Yield the records of a part, which has the key columns too."""
        schema, store = self._schema, self._access.name
        batch = with_commits(reading, part) if SEQ in columns else part.batch
        rows = zip(*schema.values(batch, columns), strict=True)
        keys = schema.public_keys(batch)
        for row, seq, key in zip(rows, part.seqs.tolist(), keys, strict=True):
            columns_of = dict(zip(columns, row, strict=True))
            yield Record(columns_of, store=store, seq=commit_of(reading, seq), names=schema.key_names, key=key)

    # -- in a notebook --------------------------------------------------------------------------------------------------------

    def __bool__(self) -> NoReturn:
        raise TypeError("a selection is neither true nor false; use count()")

    def __len__(self) -> NoReturn:
        raise TypeError("a selection has no length; use count()")

    def __iter__(self) -> NoReturn:
        raise TypeError("a selection is not iterated by itself; use records(), keys() or iter_batches()")

    def _panel(self) -> display.Panel:
        facts = [*self._facts, *([] if self._filter is None else [f"where {self._filter}"])]
        passes = None if self._filter is None else self._filter.passing
        return display.selection_panel(
            self._access.name,
            self._schema,
            self._checked(self._access.peek()),
            lo=self._keys.lo,
            hi=self._keys.hi,
            columns=self._columns,
            reverse=self._reverse,
            facts=facts,
            passes=passes,
        )

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)


def _told(key: Any) -> str:
    fields = key if isinstance(key, tuple) else (key,)
    return "(" + ", ".join(repr(f) if isinstance(f, str | bytes) else str(f) for f in fields) + ")"


def _turned(part: Entries) -> Entries:
    """Return a part in descending order."""
    return part.take(np.arange(len(part) - 1, -1, -1))


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


def _cut(parts: list[Entries], size: int) -> tuple[list[Entries], bool]:
    """Return (the first ``size`` rows, whether there were more)."""
    more = sum(map(len, parts)) > size
    return (_split(parts, size)[0] if more else parts), more


def _split(parts: Sequence[Entries], size: int) -> tuple[list[Entries], list[Entries]]:
    """Return (the first ``size`` rows, the rest)."""
    first: list[Entries] = []
    rest: list[Entries] = []
    for part in parts:
        here = min(size, len(part))
        size -= here
        first += [part.slice(0, here)] if here else []
        rest += [part.slice(here, len(part))] if here < len(part) else []
    return first, rest


def _positions(start: int, stop: int) -> tuple[int, int]:
    if start < 0 or stop < start:
        raise InvalidInput(f"positions [{start}, {stop}) are not in order from 0; count from the end with reverse() or tail()")
    return start, stop


def _sized(size: int, least: int = 1) -> int:
    if size < least:
        raise InvalidInput(f"{size} rows were asked for; give at least {least}")
    return size


def _pandas() -> Any:
    """Return the module that makes DataFrames; it loads pandas."""
    return importlib.import_module("sopnb.frames.pandas")
