"""A lazy view of a store: a key range, a condition, columns, a direction. Everything that reads many records goes through one."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, TypeVar

import pyarrow as pa

from sopnb import display
from sopnb.access import token as tokens
from sopnb.access.assignment import Assignment
from sopnb.access.explanation import Explanation
from sopnb.access.expression import SEQ
from sopnb.access.filter import Filter
from sopnb.access.keyrange import EVERYTHING, NOTHING, Closed, KeyRange, encoded
from sopnb.access.nearest import Nearest
from sopnb.access.progress import Progress
from sopnb.access.pruning import Pushed
from sopnb.access.reading import Reading, commit_of, note, unnoted, with_commits, with_keys
from sopnb.access.record import Record
from sopnb.access.scan import Scan, cut, turned
from sopnb.access.ways import Access, through
from sopnb.engine.bulk import sorted_keys
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entries
from sopnb.engine.layers import Stack
from sopnb.engine.projection import in_its_order, own_schema
from sopnb.engine.storework import StoreWork
from sopnb.errors import InvalidInput, InvalidState
from sopnb.frames.incoming import incoming, kept
from sopnb.index import IndexSpecification, successor
from sopnb.schema import ID, Schema
from sopnb.usage import Usage, usage

FAR_FEWER = 4
"""An index is named that leaves so many times fewer records to read."""
R = TypeVar("R", Reading, Stack, StoreWork)
BATCH_ROWS = 65_536
"""Rows of a batch or frame where many come one after another."""


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Some of the records of a store, in index order or reversed. Made by ``store[...]``, ``range``, ``prefix``, ``where``.

    A selection never changes, reads nothing by itself, and costs nothing to make: ``where``, ``select``, ``reverse``, ``range`` and
    ``prefix`` return others. Each call that reads (``count``, ``head``, ``to_pandas`` ...) reads the newest commit; inside a
    transaction it reads what the transaction sees; an iterator keeps the state that it began with.

    Frames and tables have the types of the store's schema, so a page and the whole have the same dtypes. Positions begin at 0 and
    follow the direction.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 149, 182]}), index="tailnum")
    >>> large = planes["N1":"N3"].where("seats > 100")
    >>> large.count(), large.select("seats").to_dicts()
    (1, [{'seats': 149}])
    """

    _access: Access
    _scan: Scan
    _columns: tuple[str, ...] | None = None
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

    def where(self, condition: Any, /, **parameters: Any) -> Selection:
        """Return the part for which a condition is true: text in Common Expression Language, or a ``pyarrow.compute`` expression.

        It sees every column, selected or not. Names in the text are columns, or parameters that are given by name; ``row["odd name"]`` is
        a column of any name. Text beside a time column is a time, in the column's zone if it names none; ``x == null`` asks whether a value
        is missing. Any other use of what is missing is unknown, as is what cannot be computed (a division by zero), and a record is left
        out unless the condition is true.

        What compares key fields with constants narrows the key range, and the bounds of columns leave out leaves; what else Arrow can say
        is judged for many records at once, and only the rest record by record: ``explain()`` tells which is which. Raises ``InvalidInput``
        or ``SchemaMismatch`` at once, with the place in the text, if it does not fit the columns; ``MissingPackage`` if it needs an engine
        for CEL and none is installed.

        >>> import pandas as pd, sopnb
        >>> frame = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "maker": ["BOEING", None, "AIRBUS"], "seats": [55, 149, 182]})
        >>> planes = sopnb.open(":memory:").load("planes", frame, index="tailnum")
        >>> planes.where("seats > least && maker != 'BOEING'", least=100).to_dicts()
        [{'tailnum': 'N3', 'maker': 'AIRBUS', 'seats': 182}]
        >>> planes.where("maker == null || tailnum.endsWith('1')").count()
        2
        """
        new = Filter.of(condition, self._schema, parameters, store=self._access.name)
        return self._read(filter=new if self._scan.filter is None else self._scan.filter & new)

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
        return self._read(reverse=not self._scan.reverse)

    def _narrowed(self, keys: KeyRange, told: str) -> Selection:
        chosen = self._read(keys=self._scan.keys.meet(keys))
        return replace(chosen, _facts=(*self._facts, told)) if told else chosen

    def _read(self, **how: Any) -> Selection:
        return replace(self, _scan=replace(self._scan, **how))

    # -- counting and positions -----------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many records there are. Without a condition it is known from row counts, whatever the size."""
        return self._scan.count(self._reading())

    def row(self, position: int) -> Record:
        """Return the record at a position. Raises ``IndexError`` beyond the end. The cost does not depend on the position."""
        reading = self._reading()
        start, stop = _positions(position, position + 1)
        for part in self._scan.at(reading, start, stop, self._with_keys):
            return next(self._made(reading, part, self._named))
        raise IndexError(f"store {self._access.name!r}: the selection has no record at position {position}")

    def rows(self, start: int, stop: int) -> Any:
        """Return the records at positions ``[start, stop)`` as a DataFrame, as far as there are."""
        return self._framed(lambda reading, columns: self._scan.at(reading, *_positions(start, stop), columns))

    def page(self, number: int, size: int = 100) -> Any:
        """Return page ``number``, from 0, of ``size`` records as a DataFrame."""
        return self.rows(number * _sized(size), (number + 1) * size)

    def head(self, n: int = 5) -> Any:
        """Return the first ``n`` records as a DataFrame."""
        return self._framed(lambda reading, columns: self._scan.taken(reading, columns, _sized(n, 0)))

    def tail(self, n: int = 5) -> Any:
        """Return the last ``n`` records as a DataFrame, in the same order as all."""
        other = self.reverse()._scan
        return self._framed(lambda reading, columns: map(turned, list(other.taken(reading, columns, _sized(n, 0)))[::-1]))

    def nearest(self, key: Any) -> Nearest:
        """Return ``(found, record)``: the record with this key, else the next one in the direction, else the one before.

        The leading fields of a key will do: then ``found`` says whether the record begins with them. The record is None only if the
        selection has none. Raises ``InvalidInput`` or ``SchemaMismatch`` naming the field.

        >>> import pandas as pd, sopnb
        >>> planes = sopnb.open(":memory:").load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
        >>> found, record = planes[:].nearest("N2")
        >>> found, record["tailnum"], planes[:].reverse().nearest("N2").record["tailnum"], planes[:].nearest("N9").record["tailnum"]
        (False, 'N3', 'N1', 'N3')
        """
        reading, scan = self._reading(), self._scan
        sought = encoded(self._schema, key, store=self._access.name)
        after = successor(sought)
        if scan.reverse:
            sides = [(KeyRange(b"", after), True), (NOTHING if after is None else KeyRange(after), False)]
        else:
            sides = [(KeyRange(sought), False), (KeyRange(b"", sought), True)]
        for keys, reverse in sides:
            side = replace(scan, keys=scan.keys.meet(keys), reverse=reverse)
            for part in side.taken(reading, self._with_keys, 1):
                return Nearest(part.keys(self._schema)[0].startswith(sought), next(self._made(reading, part, self._named)))
        return Nearest(False, None)

    def next_page(self, token: str | None = None, size: int = 100) -> tuple[Any, str | None]:
        """Return (the records after the place of ``token`` as a DataFrame, the token of the next page or None at the end).

        A token holds a key, not a position: records written or deleted before it do not shift the pages, and it is good in any process.
        Raises ``InvalidInput`` for a token of another selection.
        """
        reading, rest = self._reading(), self._scan
        if token is not None:
            keys = tokens.after(token, self._schema, reverse=rest.reverse)
            rest = replace(rest, keys=rest.keys.meet(keys))
        columns = self._for_pandas
        found = list(rest.taken(reading, (*columns, *self._schema.stored_key_names), _sized(size) + 1))
        parts, more = cut(found, size)
        frame = self._frame(self._scan.table(reading, parts, columns))
        if not more:
            return frame, None
        last = parts[-1].keys(self._schema)
        return frame, tokens.token(last[len(last) - 1], self._schema, reverse=rest.reverse)

    # -- reading many ---------------------------------------------------------------------------------------------------------

    def to_pandas(self, *, dtype_backend: Literal["numpy_nullable", "pyarrow"] | None = None) -> Any:
        """Return the records as a DataFrame: with the index that the frame had when it was loaded, else with a fresh RangeIndex.

        ``dtype_backend`` is as in ``pandas.read_parquet``: "numpy_nullable" for nullable numbers, booleans and text, "pyarrow" for Arrow
        dtypes; without it the dtypes are those of the loaded frame. Raises ``InvalidInput`` for another backend.
        """
        return self._framed(self._scan.parts, dtype_backend=dtype_backend)

    def to_arrow(self) -> Any:
        """Return the records as a ``pyarrow.Table``."""
        columns = self._named
        reading = self._scan.covering(self._reading(), columns)
        return self._schema.present(self._scan.table(reading, self._scan.parts(reading, columns), columns), columns)

    def to_reader(self) -> Any:
        """Return a ``pyarrow.RecordBatchReader`` over the records: they are read piece by piece, all of one state."""
        reading, columns = self._reading(), self._named
        return pa.RecordBatchReader.from_batches(self._empty(reading, columns).schema, self._batches(reading, columns))

    def to_polars(self, *, lazy: bool = False) -> Any:
        """Return the records as a polars DataFrame, with ``lazy`` as a LazyFrame; the key comes as columns.

        A LazyFrame keeps the state in which it was made, and what is collected of it is read piece by piece: only the columns and the
        leaves that the query can use. In a transaction all records of the selection count as read. Raises ``MissingPackage``.
        """
        polars = importlib.import_module("sopnb.frames.polars")
        if not lazy:
            return polars.to_polars(self.to_arrow())
        reading = self._reading()
        note(reading, self._scan.keys.lo, self._scan.keys.hi)
        state = unnoted(reading)

        def read(columns: Sequence[str] | None, condition: Any) -> Iterator[Any]:
            chosen = self
            if condition is not None:
                with suppress(InvalidInput):  # it may be left out; polars judges what is read all the same
                    chosen = self.where(condition)
            return chosen._batches(state, self._named if columns is None else tuple(columns))

        return polars.lazy(self._empty(reading, self._named).schema, read)

    def _empty(self, reading: Reading, columns: Sequence[str]) -> Any:
        """Return a table of no records, as people see it."""
        return self._schema.present(self._scan.table(reading, [], columns), columns)

    def _batches(self, reading: Reading, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the records as Arrow batches, as people see them."""
        for part in self._scan.parts(self._scan.covering(reading, columns), columns):
            yield from self._schema.present(self._scan.table(reading, [part], columns), columns).to_batches()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def to_file(self, path: Any, *, kind: str | None = None) -> int:
        """Write the records to a file, durably and in bounded memory, and return how many there are.

        The name says the kind, unless ``kind`` does: "csv", "tsv", "jsonl" (these also compressed, as ``.csv.gz``), "parquet", "feather",
        "arrows" or "orc". Parquet and Arrow files keep what a frame is like, so that pandas reads the same frame from them. The file takes
        its name at the end: after an error or an interrupt what was there before is there still.

        Raises ``InvalidInput`` naming the column that the kind cannot hold, ``NoSpace`` or ``StorageError``.

        >>> import pathlib, tempfile, pandas as pd, sopnb
        >>> planes = sopnb.open(":memory:").load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "planes.parquet"
        >>> planes["N2":].to_file(path), pd.read_parquet(path)["seats"].tolist()
        (1, [182])
        """
        engine, files = self._access.engine, importlib.import_module("sopnb.frames.files.description")
        rows = self.count() if self._scan.filter is None else None
        with Progress(engine.handle, engine.clock).bar(f"write {path}", rows) as done:
            reader = files.with_description(self.to_reader(), self._schema)
            written: int = importlib.import_module("sopnb.frames.files.writing").write(reader, path, kind=kind, done=done)
        return written

    def to_parquet(self, path: Any) -> int:
        """Write the records to a Parquet file; see ``to_file``."""
        return self.to_file(path, kind="parquet")

    def to_feather(self, path: Any) -> int:
        """Write the records to an Arrow IPC file; see ``to_file``."""
        return self.to_file(path, kind="feather")

    def to_orc(self, path: Any) -> int:
        """Write the records to an ORC file; see ``to_file``."""
        return self.to_file(path, kind="orc")

    def to_csv(self, path: Any) -> int:
        """Write the records to a CSV file, compressed if the name says so; see ``to_file``."""
        return self.to_file(path, kind="csv")

    def to_jsonl(self, path: Any) -> int:
        """Write the records to a file of JSON lines, compressed if the name says so; see ``to_file``."""
        return self.to_file(path, kind="jsonl")

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the records as a list of dicts that are yours to edit."""
        return [dict(record) for record in self.records()]

    def records(self) -> Iterator[Record]:
        """Return an iterator over the records, all of one state, as read-only dicts."""
        reading, columns = self._reading(), self._named
        return (record for part in self._scan.parts(reading, self._with_keys) for record in self._made(reading, part, columns))

    def keys(self) -> Iterator[Any]:
        """Return an iterator over the full keys of the store, all of one state, in the order of the selection."""
        reading = self._reading()
        own = own_schema(self._schema)
        parts = self._scan.parts(self._scan.covering(reading, own.stored_key_names), own.stored_key_names)
        return (key for part in parts for key in own.public_keys(part.batch))

    def iter_batches(self, size: int = BATCH_ROWS, *, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Return an iterator over DataFrames of ``size`` rows (the last has fewer), all of one state; ``columns`` as ``select`` has them.

        No more than a batch and what is read at once are in memory, however many records there are.
        """
        if columns is not None:
            return self.select(*columns).iter_batches(size)
        reading, wanted = self._reading(), self._for_pandas
        _sized(size)

        def frames() -> Iterator[Any]:
            waiting: list[Entries] = []
            for part in self._scan.parts(self._scan.covering(reading, wanted), wanted):
                waiting.append(part)
                while sum(map(len, waiting)) >= size:
                    full, waiting = cut(waiting, size)
                    yield self._frame(self._scan.table(reading, full, wanted))
            if waiting:
                yield self._frame(self._scan.table(reading, waiting, wanted))

        return frames()

    def explain(self, *, run: bool = False) -> Explanation:
        """Return what reading this would do; with ``run`` it is read once, and how many leaves and branches that took is told too."""
        reading, engine = self._reading(), self._access.engine
        stack = self._access.peek()
        columns = with_keys(self._scan.physical(self._named), self._schema)
        found = None
        used: tuple[int | None, ...] = (None, None, None)
        if run:
            before = engine.reader.counters
            found = sum(len(part) for part in self._scan.parts(reading, self._named))
            used = tuple(now - then for now, then in zip(engine.reader.counters, before, strict=True))
        return Explanation(
            store=self._access.name,
            keys=self._facts,
            condition=None if self._scan.filter is None else str(self._scan.filter),
            pushed=() if self._scan.filter is None else self._scan.filter.pushed.told(self._scan.keys),
            judged=() if self._scan.filter is None else self._scan.filter.judged,
            narrower=self._narrower(stack),
            columns=self._schema.names if columns is None else columns,
            reverse=self._scan.reverse,
            in_range=stack.count(self._scan.keys.lo, self._scan.keys.hi),
            in_store=stack.rows,
            layers=len(stack.layers),
            found=found,
            leaves=used[0],
            leaves_skipped=used[1],
            branches=used[2],
        )

    def _narrower(self, stack: Stack) -> tuple[str, int] | None:
        """Return the secondary index that would leave far fewer records to read, and how many; a condition is not read by it unasked.

        For it has another order, and that of a selection is the one of the key.
        """
        node = None if self._scan.filter is None else self._scan.filter.pushed.node
        if node is None or own_schema(self._schema) is not self._schema:
            return None
        state, store = self._access.store()
        found = []
        for name, index in state.readable(store.id).items():
            narrowed = Pushed(node, in_its_order(self._schema, index.how)).within(EVERYTHING)
            if narrowed.names:
                found.append((index.stack.count(narrowed.keys.lo, narrowed.keys.hi), name))
        rows, name = min(found, default=(stack.rows, ""))
        return (name, rows) if name and (rows + 1) * FAR_FEWER <= stack.count(self._scan.range.lo, self._scan.range.hi) else None

    def usage(self, specification: IndexSpecification) -> Usage:
        """Return how this uses an index, whether it is there or not; see ``IndexSpecification.explain``."""
        return usage(self._scan, specification)

    # -- writing --------------------------------------------------------------------------------------------------------------

    def update(self, changes: Mapping[str, Any], *, message: str = "") -> Counts:
        """Set columns of all these records, in one commit, and return the counts.

        A value is the same for all records, or a ``pyarrow.compute`` expression that is computed for each from what it held before.
        Raises ``InvalidInput`` for key fields, or where a value cannot be computed; ``SchemaMismatch`` naming the column.

        >>> import pandas as pd, pyarrow.compute as pc, sopnb
        >>> planes = sopnb.open(":memory:").load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
        >>> planes.where(pc.field("seats") > 100).update({"seats": pc.field("seats") + 2}).updated, planes["N3"]["seats"]
        (1, 184)
        """
        self._writable("update")
        new = Assignment.of(changes, own_schema(self._schema), store=self._access.name)

        def change(store: StoreWork) -> Counts:
            counts = Counts()
            for records in self._scan.tables(
                self._checked(through(self._access, store)), new.columns, self._access.engine.spill_bytes, more=new.nbytes
            ):
                counts += store.write("update", new.table(records))
            return counts

        return self._access.write(change, message)

    def delete(self, *, message: str = "") -> Counts:
        """Delete all these records, in one commit, and return the counts."""
        self._writable("delete")

        def change(store: StoreWork) -> Counts:
            reading = self._checked(through(self._access, store))
            if self._scan.filter is None and reading is store:
                return store.delete_range(self._scan.keys.lo, self._scan.keys.hi)
            counts = Counts()
            for records in self._scan.tables(reading, store.schema.stored_key_names, self._access.engine.spill_bytes):
                counts += store.delete(sorted_keys(store, records))
            return counts

        return self._access.write(change, message)

    def replace(self, rows: Any, *, message: str = "") -> Counts:
        """Make the key range hold exactly these records, in one commit: others in it are deleted, what is equal stays as it is.

        Raises ``InvalidInput`` if a record lies outside the range, or if the selection has a condition.
        """
        self._writable("replace")
        if own_schema(self._schema) is not self._schema:
            raise InvalidInput(f"store {self._access.name!r}: replace() needs a range of the store's own key; take it without by()")
        if self._scan.filter is not None:
            raise InvalidInput(f"store {self._access.name!r}: replace() needs a whole key range; take it without where()")
        rows = kept(rows)

        def change(store: StoreWork) -> Counts:
            self._checked(store)
            tables = incoming(rows, store.schema, store=store.name, whole=True).tables
            table = tables[0] if tables else self._scan.table(store, [], self._schema.physical.names)
            if len(tables) > 1:
                raise InvalidInput(f"store {store.name!r}: give {ID} in all records or in none")
            if ID in self._schema.physical.names and ID not in table.column_names:
                table = table.append_column(self._schema.physical.field(ID), store.new_ids(table.num_rows))
            return store.replace_range(self._scan.keys.lo, self._scan.keys.hi, table)

        return self._access.write(change, message)

    def _writable(self, verb: str) -> None:
        if self._columns is not None:
            raise InvalidInput(f"store {self._access.name!r}: {verb}() needs whole records; take the selection without select()")

    # -- how it reads ---------------------------------------------------------------------------------------------------------

    @property
    def _schema(self) -> Schema:
        return self._scan.schema

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

    # -- what it gives --------------------------------------------------------------------------------------------------------

    def _framed(self, parts: Any, **how: Any) -> Any:
        columns = self._for_pandas
        reading = self._scan.covering(self._reading(), columns)
        return self._frame(self._scan.table(reading, parts(reading, columns), columns), **how)

    def _frame(self, table: Any, **how: Any) -> Any:
        return _pandas().to_pandas(self._schema.present(table, table.column_names), self._schema, **how)

    def _made(self, reading: Reading, part: Entries, columns: Sequence[str]) -> Iterator[Record]:
        """Yield the records of a part, which has the key columns too."""
        schema, store = own_schema(self._schema), self._access.name
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
        facts = [*self._facts, *([] if self._scan.filter is None else [f"where {self._scan.filter}"])]
        passes = None if self._scan.filter is None else self._scan.filter.passing
        return display.selection_panel(
            self._access.name,
            self._schema,
            self._checked(self._access.peek()),
            lo=self._scan.keys.lo,
            hi=self._scan.keys.hi,
            columns=self._columns,
            reverse=self._scan.reverse,
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
