"""A store: read like a dict of records by key, written by record, list or frame."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BufferedIOBase, BufferedReader, TextIOWrapper
from typing import Any, Literal, TypeVar, overload

import numpy as np
import pyarrow as pa

from sopnb import display
from sopnb.access import changes, finding, indexing, past
from sopnb.access.keyrange import Closed
from sopnb.access.nearest import Nearest
from sopnb.access.reading import Reading, commit_of
from sopnb.access.record import Record
from sopnb.access.scan import Scan
from sopnb.access.valuefile import ValueMode, open_value
from sopnb.access.ways import Access, ByIndex
from sopnb.cursor import Cursor
from sopnb.engine.bulk import Kind, OnError
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entry
from sopnb.engine.storework import StoreWork
from sopnb.engine.versions import versions
from sopnb.errors import InvalidInput, KeyNotFound
from sopnb.frames.incoming import incoming, kept
from sopnb.frames.keys import are_many, key_columns
from sopnb.index import IndexSpecification, Keys
from sopnb.schema import Schema
from sopnb.selection import Selection

T = TypeVar("T")
_PLAIN = (tuple, str, int)
Missing = Literal["raise", "skip", "null"]


class Store:
    """An ordered table of records, each found by its key. Made by ``db[name]``, ``db.load``, ``db.create``, or ``tx[name]``.

    Reading is like a dict from keys to records: ``store[key]``, ``get``, ``in``, ``len``, iteration over the keys in index order. A key of
    one field is its value, one of several is a tuple; in a store that is not unique it ends in the record's ``_id``. Slices, ``range``,
    ``prefix``, ``where``, ``select`` and ``reverse`` give a ``Selection``, which reads many.

    Each read sees the newest commit. Each write is a commit of its own: durable when it returns, tried again by itself after a conflict,
    wholly there or not at all. A store of a transaction reads and writes within that transaction instead, and one of ``db.at`` is as it
    was. A ``Store`` is only a way to the store of its name; it may be kept as long as the database is open, and is safe for threads.

    Writes take one record (a dict), a list of dicts, a DataFrame, or anything with Arrow columns, and return ``Counts``. With
    ``on_error="report"`` the rows that fit are written and the others returned as ``Counts.rejected``, a frame with a ``_reason``. A row
    that a unique index does not allow is among those: who is there already stays, and of several new ones the first by key is written.
    Values are checked against the schema and never rounded, cut or turned into another kind: ``SchemaMismatch`` names the column.

    >>> import sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
    >>> planes.insert([{"tailnum": "N1", "seats": 55}, {"tailnum": "N3", "seats": 182}])
    Counts(inserted=2, updated=0, unchanged=0, deleted=0, missing=0, seq=2)
    >>> planes["N1"]["seats"], "N2" in planes, len(planes), list(planes)
    (55, False, 2, ['N1', 'N3'])
    >>> planes["N2":].to_pandas()
      tailnum  seats
    0      N3    182
    """

    def __init__(self, access: Access, *, loaded: Counts | None = None) -> None:
        self._access = access
        self.loaded = loaded
        """What the load that returned this store did, rejected rows included; None for a store that was not just loaded."""

    @property
    def name(self) -> str:
        """The name of the store."""
        return self._access.name

    @property
    def schema(self) -> Any:
        """The columns as a ``pyarrow.Schema``."""
        return self._access.peek().schema.arrow

    @property
    def index(self) -> IndexSpecification:
        """The index specification."""
        return self._access.peek().schema.specification

    def info(self) -> dict[str, Any]:
        """Return facts: rows, schema, index, bytes, leaves, runs, operations in the tail, last commit, and the secondary indexes."""
        return self._access.info()

    # -- one record -----------------------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: slice) -> Selection: ...
    @overload
    def __getitem__(self, key: Any) -> Record: ...
    def __getitem__(self, key: Any) -> Record | Selection:
        """Return the record with this key, or for a slice the selection ``range(start, stop)``. Raises ``KeyNotFound``."""
        if isinstance(key, slice):
            if key.step is not None:
                raise InvalidInput(f"store {self.name!r}: a slice has no step; use reverse(), or take every n-th of the frame")
            return self.range(key.start, key.stop)
        record = self.get(key)
        if record is None:
            raise KeyNotFound(self.name, key)
        return record

    @overload
    def get(self, key: Any) -> Record | None: ...
    @overload
    def get(self, key: Any, default: T) -> Record | T: ...
    def get(self, key: Any, default: Any = None) -> Any:
        """Return the record with this key, or ``default``. Raises ``InvalidInput`` unless the key is full."""
        reading = self._access.reading()
        entry = reading.get(self._key(reading.schema, key))
        if entry is None:
            return default
        return self._record(reading, entry) if entry.record is None or entry.record.store != self._access.name else entry.record

    def __contains__(self, key: object) -> bool:
        """Say whether there is a record with this key. Raises ``InvalidInput`` unless the key is full."""
        reading = self._access.reading()
        return reading.get(self._key(reading.schema, key)) is not None

    def __len__(self) -> int:
        return self._access.reading().rows

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the keys in index order, all of one state."""
        return self._all.keys()

    def keys(self) -> Iterator[Any]:
        """Return an iterator over the keys in index order, all of one state."""
        return self._all.keys()

    def first(self) -> Record | None:
        """Return the first record in index order, None if there is none."""
        reading = self._access.reading()
        found = reading.first()
        return None if found is None else self._record(reading, found[1])

    def last(self) -> Record | None:
        """Return the last record in index order, None if there is none."""
        reading = self._access.reading()
        found = reading.last()
        return None if found is None else self._record(reading, found[1])

    def cursor(self) -> Cursor:
        """Return a cursor, which stands before the first record."""
        return Cursor(self._access)

    def _key(self, schema: Schema, key: Any) -> bytes:
        if type(key) not in _PLAIN and are_many(key):
            raise InvalidInput(f"store {self.name!r}: one key was expected; get_many(keys) takes a list, an Index or a frame")
        return schema.lookup_key(key, store=self._access.name)

    def _record(self, reading: Reading, entry: Entry) -> Record:
        schema, row = reading.schema, entry.row or ()
        id = None if schema.unique else row[-1]
        seq = commit_of(reading, entry.seq)
        record = Record(schema.record(row), store=self.name, seq=seq, names=schema.key_names, id=id, key=schema.shown_key(row))
        if seq and schema.flat:  # nobody can change it, so it may be handed out again
            entry.record = record
        return record

    def history(self, key: Any) -> Any:
        """Return all versions of the record with this key that are kept, as a DataFrame, oldest first.

        Beside the record's columns, in the store's dtypes, ``_seq``, ``_time`` (UTC), ``_author`` and ``_message`` are those of the
        commit that made the version, and ``_change`` is "insert", "update" or "delete"; a deletion shows the record that it deleted. The
        record is followed through other names of the store, and through earlier stores of its name that were dropped or replaced, as far
        as their key was the same. There are no rows if it never was there.

        ``attrs["complete_since"]`` of the frame is a commit after which no version is missing: where the kept past begins (0: with the
        database). A record that was there by then begins with that version; its ``_change`` is missing, for what was before is not known.

        Only commits that wrote to the store near the key are looked at. Raises ``InvalidInput`` unless the key is full.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
        >>> planes.insert({"tailnum": "N1", "seats": 55}).seq, planes.update("N1", {"seats": 2}, message="oops").seq
        (2, 3)
        >>> planes.history("N1")[["_seq", "_message", "_change", "tailnum", "seats"]]
           _seq _message _change tailnum  seats
        0     2           insert      N1     55
        1     3     oops  update      N1      2
        """
        state, seen = self._access.store()
        reading = self._access.reading()
        encoded = self._key(reading.schema, key)
        reading.get(encoded)  # it counts as read in a transaction
        return past.history(versions(self._access.engine, state, seen.id, encoded), self._access.name)

    @overload
    def open_value(self, key: Any, column: str, mode: Literal["rb"] = "rb", *, message: str = "") -> BufferedReader: ...
    @overload
    def open_value(self, key: Any, column: str, mode: Literal["wb"], *, message: str = "") -> BufferedIOBase: ...
    @overload
    def open_value(self, key: Any, column: str, mode: Literal["r", "w"], *, message: str = "") -> TextIOWrapper: ...
    def open_value(self, key: Any, column: str, mode: ValueMode = "rb", *, message: str = "") -> Any:
        """Open the value of one column of text or bytes as a file, however large it is.

        "rb" reads bytes (of a text: its UTF-8), "r" text: piece by piece of at most 1 MiB, each checked, all of one state until the file
        or the database is closed. "wb" and "w" write a new value of a record that is there: at most a few pieces of it are in memory, and
        ``close``, or the end of ``with``, is a durable commit of its own that changes this column alone; in a transaction it is committed
        with that. An exception within ``with`` leaves the value as it was, and so does a file that is never closed.

        Raises ``KeyNotFound``, ``SchemaMismatch`` for a column of another kind, ``InvalidInput`` for a null or a part of the key; reading,
        ``Corruption``; writing and closing, what any write raises.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> scans = db.create("scans", schema={"page": "int64", "image": "binary"}, index="page")
        >>> scans.insert({"page": 1}).inserted
        1
        >>> with scans.open_value(1, "image", "wb") as file:
        ...     for _ in range(3_000_000 // 10):
        ...         size = file.write(b"0123456789")
        >>> with scans.open_value(1, "image") as file:
        ...     file.seek(2_999_995), file.read()
        (2999995, b'56789')
        """
        return open_value(self._access, self._key(self._access.peek().schema, key), column, mode, message)

    # -- many records ---------------------------------------------------------------------------------------------------------

    def get_many(self, keys: Any, *, missing: Missing = "raise") -> Any:
        """Return the records with these keys as a DataFrame, in the order asked; a key asked twice is there twice.

        ``keys`` is a list, an Index, or a frame or table with the key columns. What is not there raises ``KeyNotFound``, or is left out
        (``missing="skip"``), or is a row of nulls beside its key ("null"; then integers and booleans come as nullable dtypes).
        """
        if missing not in ("raise", "skip", "null"):
            raise InvalidInput(f'missing={missing!r}; it is one of "raise", "skip", "null"')
        reading = self._access.reading()
        schema = reading.schema
        asked = key_columns(keys, schema, store=self.name)
        wanted = schema.keys(asked) if asked.num_rows else Keys.of([])
        distinct, place = _distinct(wanted)
        found = reading.find(distinct)
        there = found.there
        if missing == "raise" and not there.all():
            first = int(np.argmin(there[place]))
            raise KeyNotFound(self.name, schema.public_keys(asked.slice(first, 1))[0])
        at = np.cumsum(there) - 1
        if missing == "skip":
            place = place[there[place]]
        rows = found.fetch(schema).take(pa.array(at[place], mask=~there[place]))
        table = pa.Table.from_batches([rows])
        if missing == "null":
            for name in schema.stored_key_names:
                table = table.set_column(table.schema.get_field_index(name), schema.physical.field(name), asked.column(name))
        pandas = importlib.import_module("sopnb.frames.pandas")
        return pandas.to_pandas(schema.present(table), schema, nullable=missing == "null")

    @property
    def _all(self) -> Selection:
        return Selection(self._access, Scan(self._access.reading().schema, self.name))

    def range(self, start: Any = None, stop: Any = None, *, closed: Closed = "left") -> Selection:
        """Return the records between two keys in index order; see ``Selection.range``. ``store[start:stop]`` is the same."""
        return self._all.range(start, stop, closed=closed)

    def prefix(self, *values: Any, startswith: str | bytes | None = None) -> Selection:
        """Return the records whose leading key fields are these; see ``Selection.prefix``."""
        return self._all.prefix(*values, startswith=startswith)

    def by(self, index: str) -> Selection:
        """Return all records in the order of a secondary index; ranges, prefixes and pages of it are in that order too.

        Its keys are the fields of the index and then the store's own key. Raises ``IndexNotFound``.

        >>> import pandas as pd, sopnb
        >>> frame = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [182, 55, 149]})
        >>> planes = sopnb.open(":memory:").load("planes", frame, index="tailnum")
        >>> planes.create_index("by_seats", "-seats")
        >>> planes.by("by_seats").head(2)["tailnum"].tolist(), planes.by("by_seats").prefix(55).to_dicts()
        (['N1', 'N3'], [{'tailnum': 'N2', 'seats': 55}])
        """
        access = ByIndex(self._access, index)
        return Selection(access, Scan(access.reading().schema, self.name), _facts=(f"by {index}",))

    def find(self, **values: Any) -> Selection:
        """Return the records whose columns have these values, by the index that narrows it most: the store's own, or a secondary one.

        ``None`` asks for null. What the index does not decide becomes a condition; ``explain()`` of the result says which is which. The
        order is that of the index. Raises ``InvalidInput`` or ``SchemaMismatch`` naming the column.

        >>> import pandas as pd, sopnb
        >>> frame = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "maker": ["BOEING", "EMBRAER", "BOEING"], "seats": [182, 55, 149]})
        >>> planes = sopnb.open(":memory:").load("planes", frame, index="tailnum")
        >>> planes.create_index("by_maker", "maker")
        >>> planes.find(maker="BOEING", seats=149).to_dicts()
        [{'tailnum': 'N3', 'maker': 'BOEING', 'seats': 149}]
        """
        if not values:
            raise InvalidInput(f"store {self.name!r}: find() needs a column and its value, as in find(dest='IAH')")
        schema = self._access.peek().schema
        stored = schema.partial(values, store=self.name)
        index, used = finding.chosen(schema.specification, self.indexes(), stored)
        found = self._all if index is None else self.by(index)
        found = found.prefix(*(values[name] for name in used)) if used else found
        rest = {name: value for name, value in stored.items() if name not in used}
        return found.where(finding.equal(schema, rest)) if rest else found

    def where(self, condition: Any, /, **parameters: Any) -> Selection:
        """Return the records for which a condition is true, text in CEL or a ``pyarrow.compute`` expression; see ``Selection.where``."""
        return self._all.where(condition, **parameters)

    def nearest(self, key: Any) -> Nearest:
        """Return ``(found, record)``: the record with this key, else the next one in index order, else the last; see ``Selection.nearest``.

        >>> import pandas as pd, sopnb
        >>> planes = sopnb.open(":memory:").load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
        >>> planes.nearest("N3").found, planes.nearest("N2").record["tailnum"]
        (True, 'N3')
        """
        return self._all.nearest(key)

    def select(self, *columns: str) -> Selection:
        """Return all records with these columns only; see ``Selection.select``."""
        return self._all.select(*columns)

    def to_polars(self, *, lazy: bool = False) -> Any:
        """Return all records as a polars DataFrame or LazyFrame; see ``Selection.to_polars``."""
        return self._all.to_polars(lazy=lazy)

    def reverse(self) -> Selection:
        """Return all records in the other direction."""
        return self._all.reverse()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._all.__arrow_c_stream__(requested_schema)

    # -- writing --------------------------------------------------------------------------------------------------------------

    def insert(self, rows: Any, *, on_error: OnError = "raise", message: str = "") -> Counts:
        """Write new records; columns left out are null. Raises ``DuplicateKey`` if one is there already, or ``SchemaMismatch``."""
        return self._write("insert", rows, on_error, message)

    def upsert(self, rows: Any, *, on_error: OnError = "raise", message: str = "") -> Counts:
        """Write records, new or not; columns left out stay as they are, in new records they are null. Raises ``SchemaMismatch``.

        Raises ``InvalidInput`` in a store that is not unique, where a key does not say which record is meant.
        """
        return self._write("upsert", rows, on_error, message)

    def replace(self, rows: Any, *, on_error: OnError = "raise", message: str = "") -> Counts:
        """Write whole records, new or not; columns left out become null. Raises ``SchemaMismatch``."""
        return self._write("replace", rows, on_error, message)

    @overload
    def update(self, rows: Any, *, on_error: OnError = "raise", message: str = "") -> Counts: ...
    @overload
    def update(self, rows: Any, columns: Mapping[str, Any], *, on_error: OnError = "raise", message: str = "") -> Counts: ...
    def update(self, rows: Any, columns: Mapping[str, Any] | None = None, *, on_error: OnError = "raise", message: str = "") -> Counts:
        """Change columns of records that are there: ``update(key, {column: value})``, or records that hold the key and the columns.

        Columns left out stay as they are. Raises ``KeyNotFound``, or ``InvalidInput`` for a change of key fields.
        """
        if columns is None:
            return self._write("update", rows, on_error, message)

        def change(store: StoreWork) -> Counts:
            try:
                did = changes.change(store, self._key(store.schema, rows), columns, on_error=on_error)
            except (KeyNotFound, InvalidInput) as error:
                if on_error == "raise":
                    raise
                return _refused(columns, str(error), store.schema)
            return did if did.rejected is None else _refused(columns, did.rejected["_reason"][0].as_py(), store.schema)

        return self._access.write(change, message)

    def delete(self, keys: Any, *, message: str = "") -> Counts:
        """Delete the record with this key, or those of a list, Index or frame of keys. Keys that are not there count as ``missing``."""
        many = are_many(keys)
        keys = kept(keys) if many else keys

        def change(store: StoreWork) -> Counts:
            if not many:
                return store.delete_one(self._key(store.schema, keys))
            asked = key_columns(keys, store.schema, store=self.name)
            return store.delete(_distinct(store.schema.keys(asked))[0]) if asked.num_rows else Counts()

        return self._access.write(change, message)

    def _write(self, kind: Kind, rows: Any, on_error: OnError, message: str) -> Counts:
        if on_error not in ("raise", "report"):
            raise InvalidInput(f'on_error={on_error!r}; it is "raise" or "report"')
        rows = rows if type(rows) is dict else kept(rows)

        def change(store: StoreWork) -> Counts:
            if type(rows) is dict or isinstance(rows, Mapping):
                if on_error == "raise":
                    return changes.put(store, kind, rows)
                try:
                    return write_rows(store, kind, [rows], on_error)
                except (KeyNotFound, InvalidInput) as error:
                    return _refused(rows, str(error), store.schema)
            return write_rows(store, kind, rows, on_error)

        return self._access.write(change, message)

    # -- secondary indexes ----------------------------------------------------------------------------------------------------

    def indexes(self) -> dict[str, IndexSpecification]:
        """Return the secondary indexes by name."""
        state, store = self._access.store()
        return {name: each.how.specification for name, each in state.readable(store.id).items()}

    def create_index(self, name: str, fields: str | Sequence[str] | IndexSpecification, *, unique: bool = False,
                     carrying: str | Sequence[str] = (), message: str = "") -> None:  # fmt: skip
        """Create a secondary index: of columns (a leading ``-`` for descending), or as a specification says.

        Every commit from then on keeps it, so it never lags; ``unique`` refuses records that agree in all its fields (null equals null).
        ``carrying`` names columns that are kept beside its keys, so that reading them touches no record. It is built while others write,
        and may be read when this returns; an error or an interrupt leaves no trace. Raises ``InvalidInput`` for a name that is taken or a
        column that cannot be a key, ``DuplicateKey`` if it is to be unique and is not, ``InvalidState`` in a transaction
        or while the store is being altered.

        >>> import pandas as pd, sopnb
        >>> planes = sopnb.open(":memory:").load("planes", pd.DataFrame({"tailnum": ["N1", "N2"], "seats": [182, 55]}), index="tailnum")
        >>> planes.create_index("by_seats", ["-seats"], unique=True)
        >>> planes.indexes()
        {'by_seats': IndexSpecification(-seats)}
        >>> planes.insert({"tailnum": "N9", "seats": 55})
        Traceback (most recent call last):
        sopnb.errors.DuplicateKey: store 'planes': key 55 is there already in the unique index 'by_seats'
        """
        if not isinstance(fields, IndexSpecification):
            names = [fields] if isinstance(fields, str) else list(fields)
            fields = IndexSpecification.of(*names, unique=unique, carrying=carrying)
        indexing.create(self._access, name, fields, message=message)

    def drop_index(self, name: str, *, message: str = "") -> None:
        """Drop a secondary index. Raises ``IndexNotFound``."""
        indexing.drop(self._access, name, message=message)

    # -- in a notebook --------------------------------------------------------------------------------------------------------

    def _panel(self) -> display.Panel:
        stack = self._access.peek()
        return display.store_panel(self.name, stack.schema, stack)

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)


def write_rows(store: StoreWork, kind: Kind, rows: Any, on_error: OnError) -> Counts:
    """Write a list or frame within a transaction, and return what was done and refused."""
    report = on_error == "report"
    if kind == "upsert" and not store.schema.unique:
        raise InvalidInput(f"store {store.name!r} is not unique: upsert is refused; use insert, or update with the full keys")
    whole = kind in ("insert", "replace")
    coming = incoming(rows, store.schema, store=store.name, whole=whole, report=report)
    counts, refused = Counts(), []
    for table in coming.tables:
        did = store.write(kind, table, on_error=on_error)
        refused += [] if did.rejected is None else [did.rejected]
        counts += replace(did, rejected=None)
    return replace(counts, rejected=coming.rejected(store.schema, refused)) if report else counts


def _refused(record: Mapping[str, Any], reason: str, schema: Schema) -> Counts:
    pandas = importlib.import_module("sopnb.frames.pandas")
    return Counts(rejected=pandas.rejected_frame([], [(record, reason)], schema))


def _distinct(keys: Keys) -> tuple[Keys, Any]:
    """Return (the keys ascending and each once, the place of each of the given keys among them)."""
    n = len(keys)
    if not n:
        return keys, np.zeros(0, np.int64)
    order = np.argsort(keys.array, kind="stable")
    ordered = keys.array[order]
    fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    place = np.empty(n, np.int64)
    place[order] = np.cumsum(fresh) - 1
    return keys.take(order[fresh]), place
