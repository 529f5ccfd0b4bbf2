"""A database: a set of stores that commit together, opened from a folder."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from sopnb import display
from sopnb.access import past
from sopnb.access.attempt import attempt
from sopnb.access.lease import Lease
from sopnb.access.loading import IfExists, Index, Load
from sopnb.access.progress import Progress
from sopnb.access.ways import Live, store_of
from sopnb.admin import Admin
from sopnb.engine.bulk import OnError
from sopnb.engine.check import Report
from sopnb.engine.counts import Counts
from sopnb.engine.engine import Engine
from sopnb.engine.past import Stretch
from sopnb.engine.revert import IndexChange, revert
from sopnb.engine.state import State
from sopnb.engine.upkeep import Upkeep
from sopnb.engine.work import Mode, Work
from sopnb.engine.written import all_written
from sopnb.errors import Conflict, InvalidInput, StoreNotFound
from sopnb.history import EPOCH, log_frame
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.snapshot import Snapshot
from sopnb.sql import Parameters, Result
from sopnb.storage.location import Location
from sopnb.store import Store
from sopnb.transaction import Transaction
from sopnb.watch import Watch

T = TypeVar("T")
Moment = int | str | datetime
"""The number of a commit, the name of a tag, or a time with a zone."""


def open(
    location: Location,
    mode: Literal["a", "r"] = "a",
    *,
    settings: DatabaseSettings | None = None,
    handle: HandleSettings | None = None,
) -> Database:
    """Open a database and return it; close it, or use it with ``with``.

    ``location`` is the path of a folder, or ``":memory:"`` for a scratch database of its own that goes with the process. With
    ``mode="a"`` the folder is made if it is not there or empty; with ``mode="r"`` it must be there and nothing is written. ``settings``
    are stored with a new database and fixed from then on; ``handle`` holds for this process. Opening a folder twice in one process is
    safe: both handles share caches and settings. Any number of processes may have it open at once, and a killed one blocks nobody.

    Raises ``NotFound`` (``mode="r"`` and nothing there), ``InvalidInput`` (location, mode or settings cannot be used),
    ``UnsupportedFormat`` (the folder holds something else, or a newer format), ``Corruption``, ``Timeout`` or ``StorageError``.

    >>> import sopnb
    >>> with sopnb.open(":memory:") as db:
    ...     db.stores()
    ()
    """
    return Database(Lease.of(location, mode=mode, settings=settings, handle=handle))


class Database:
    """A set of named stores that commit together. Made by ``sopnb.open``; safe for threads.

    ``db[name]`` is a store, ``in`` and iteration go by name. Every writing call is one commit: durable when it returns, tried again by
    itself after a conflict, wholly there or not at all. To read and write several things as one, use ``transaction`` or ``run``.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
    >>> "planes" in db, list(db), db["planes"]["N3"]["seats"]
    (True, ['planes'], 182)
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    @property
    def name(self) -> str:
        """The last part of the path, or ``:memory:``."""
        return self._lease.engine.backend.name

    @property
    def mode(self) -> Literal["a", "r"]:
        """How it was opened."""
        return "a" if self._lease.engine.backend.writable else "r"

    @property
    def settings(self) -> DatabaseSettings:
        """The settings stored with the database."""
        return self._lease.engine.settings

    @property
    def handle(self) -> HandleSettings:
        """The settings of this process."""
        return self._lease.engine.handle

    # -- stores ---------------------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Store:
        """Return a store. Raises ``StoreNotFound``."""
        store_of(self._lease.use(name).state(), name)
        return Store(Live(self._lease, name))

    def __contains__(self, name: object) -> bool:
        return name in self._lease.use().state().names

    def __iter__(self) -> Iterator[str]:
        return iter(self.stores())

    def stores(self) -> tuple[str, ...]:
        """Return the names of the stores, in order."""
        return tuple(sorted(self._lease.use().state().names))

    def create(self, name: str, schema: Any, index: Index, *, message: str = "") -> Store:
        """Create an empty store, durably, and return it.

        ``schema`` is a ``pyarrow.Schema``, or type words by column: ``"int64"``, ``"string"``, ``"timestamp[us, UTC]"``,
        ``"decimal128(10, 2)"``, ``"json"`` ...; a ``!`` at the end says that a column may not be null, as key columns never may. ``index``
        names the key columns, a leading ``-`` making one descending; an ``IndexSpecification`` says more. Raises ``StoreExists``, or
        ``InvalidInput`` naming the column.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> db.create("notes", schema={"author": "string", "written": "timestamp[us, UTC]", "more": "json"}, index=["author", "-written"])
        Store 'notes': 0 records; 3 columns; index author ↑, written ↓
        """
        self.run(lambda tx: tx.create(name, schema, index), message=message)
        return self[name]

    def drop(self, name: str, *, message: str = "") -> None:
        """Drop a store with all its records, durably. Raises ``StoreNotFound``. Until the horizon passes, ``at`` still shows it."""
        self.run(lambda tx: tx.drop(name), message=message)

    def rename(self, old: str, new: str, *, message: str = "") -> None:
        """Rename a store, durably. Raises ``StoreNotFound`` or ``StoreExists``."""
        self.run(lambda tx: tx.rename(old, new), message=message)

    @overload
    def load(
        self, name: str, data: Any, index: Index | None = None, *, if_exists: IfExists = "raise", on_error: OnError = "raise",
        message: str = "", types: Mapping[str, str] | None = None, widen: bool = False, dry_run: Literal[False] = False,
    ) -> Store: ...  # fmt: skip
    @overload
    def load(
        self, name: str, data: Any, index: Index | None = None, *, if_exists: IfExists = "raise", on_error: OnError = "raise",
        message: str = "", types: Mapping[str, str] | None = None, widen: bool = False, dry_run: Literal[True],
    ) -> Schema: ...  # fmt: skip
    def load(
        self, name: str, data: Any, index: Index | None = None, *, if_exists: IfExists = "raise", on_error: OnError = "raise",
        message: str = "", types: Mapping[str, str] | None = None, widen: bool = False, dry_run: bool = False,
    ) -> Store | Schema:  # fmt: skip
        """Load data into a store, in one commit, and return the store; ``store.loaded`` says what was done.

        ``data`` is a DataFrame, anything with Arrow columns, a list of dicts, or a reader or iterator of any of these, which is taken
        piece by piece and never held as a whole; the first piece gives the types. A path, a pattern such as ``"2013-*.csv"``, or a list
        of these are files: CSV, JSON lines, Parquet, Arrow or ORC, by their suffixes. Columns of text have the types that all of their
        values have, unless ``types`` or a store that is there says others; between two commas is null, ``""`` is empty text.

        With ``index=[columns]`` these are the key, a leading ``-`` making one descending, and frames come back with a fresh RangeIndex.
        Columns with labels that are no text are named by what these are as text: 7 is "7", ("delay", "mean") is "delay_mean"; ``index``
        may be such a label. Frames come back with the labels.
        Without it a *named* index of the frame is the key, and comes back as the index. Everything that pandas and Arrow say of the data
        comes back equal, or the load is refused.

        ``if_exists`` says what is done with a store of this name: "raise", "replace" it, "insert" the rows into it, or "upsert" them.
        ``on_error="report"`` leaves out the rows that do not fit, which ``store.loaded.rejected`` then shows. With ``dry_run`` nothing is
        written, and the schema is returned that the store would have. An interrupt leaves the database as it was.

        Data whose columns differ from those of a store that is there is refused, with all differences. ``widen=True`` widens the store
        instead where that loses nothing: new columns, wider numbers, finer times, longer decimals, more categories, types for columns of
        nothing but null. The store is then written anew in the same commit, which takes time as its size; its records keep their ids,
        while their history, and ``_seq``, begin with this commit. Of a stream the first piece says what is needed.

        Raises ``StoreExists``, ``DuplicateKey``, ``InvalidInput`` or ``SchemaMismatch`` naming the column; ``Conflict`` if somebody was
        quicker and the data can be had only once.

        >>> import pandas as pd, sopnb
        >>> db = sopnb.open(":memory:")
        >>> day = pd.DataFrame({"seats": [55, 182]}, index=pd.Index(["N1", "N3"], name="tailnum"))
        >>> db.load("planes", day).loaded.inserted
        2
        >>> db.load("planes", day.assign(seats=200), if_exists="upsert")[:].to_pandas().loc["N3", "seats"]
        np.int64(200)
        """
        load = Load(name, data, index, if_exists, on_error, types, widen)
        if dry_run:
            return load.schema(self._lease.use())
        engine, load = self._lease.use(), load.begun()

        def body(work: Work) -> Counts:
            with self._lease.within():
                return load.into(work, engine)

        counts, seq = attempt(engine, body, message=message, repeatable=load.repeatable)
        return Store(Live(self._lease, name), loaded=counts.at(seq))

    # -- transactions ---------------------------------------------------------------------------------------------------------

    def transaction(self, mode: Mode = "write", *, message: str = "", author: str = "") -> Transaction:
        """Begin a transaction on the newest state; see ``Transaction``. Raises ``NestedTransaction`` inside another one of this thread."""
        return Transaction(self._lease, self._lease.use().begin(mode, message, author))

    def run(
        self, fn: Callable[[Transaction], T], *, deadline: float | None = None, mode: Mode = "write", message: str = "", author: str = ""
    ) -> T:
        """Call ``fn(tx)`` in a transaction, commit, and return its value.

        After a conflict it is called again on the newest state, after a short random pause, until ``deadline`` seconds have passed (None:
        the handle's ``run_seconds``); so it should do nothing that may not be done twice. A commit whose answer was lost is settled before
        it is tried again. Raises ``Conflict`` naming store and key after the deadline; an exception of ``fn`` rolls back and is raised.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> _ = db.create("counters", schema={"name": "string", "n": "int64"}, index="name")
        >>> db.run(lambda tx: tx["counters"].upsert({"name": "visits", "n": 1})).inserted
        1
        """

        def body(work: Work) -> T:
            with self._lease.within():
                return fn(Transaction(self._lease, work))

        return attempt(self._lease.use(), body, mode=mode, message=message, author=author, deadline=deadline)[0]

    def sql(self, query: str, params: Parameters | None = None, *, push_down: bool = True) -> Result:
        """Return the result of a query in SQL over the newest state.

        DuckDB runs it, with the package ``duckdb`` installed; stores are its tables, by name, ``"quoted"`` where need be, all of them in
        one state. The query has one statement and only reads. ``$name`` in it is taken from a dict of ``params``, ``?`` from a list. Only
        the columns that it asks for are read, and of what it filters by only the leaves that can match; ``push_down=False`` reads
        everything, to compare.

        The result is whole in memory. In it documents are JSON text, categories are text, durations are intervals in microseconds, and
        moments come in the zone that the columns of the stores share, else in UTC. Raises ``StoreNotFound``, ``InvalidInput`` with the
        place in the query, or ``MissingPackage``.

        >>> import pandas as pd, sopnb
        >>> db = sopnb.open(":memory:")
        >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
        >>> db.sql("select tailnum from planes where seats > ?", [100]).to_dicts()
        [{'tailnum': 'N3'}]
        """
        return Snapshot(self._lease, self._lease.use().state()).sql(query, params, push_down=push_down)

    # -- the past -------------------------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The number of the newest commit."""
        return self._lease.use().state().seq

    def at(self, seq: int | None = None, *, time: datetime | None = None, tag: str | None = None) -> Snapshot:
        """Return the database as it was after a commit, at a time (with a zone), or at a tag; as it is now without any of these.

        Raises ``HistoryTrimmed`` if that state is no longer kept, ``TagNotFound``, or ``InvalidInput``.
        """
        if sum(each is not None for each in (seq, time, tag)) > 1:
            raise InvalidInput("at() takes one of seq, time and tag")
        engine = self._lease.use()
        if seq is None and time is None and tag is None:
            return Snapshot(self._lease, engine.state())
        return Snapshot(self._lease, engine.at(seq=seq, time=None if time is None else _micros(time), tag=tag))

    def tag(self, name: str, seq: int | None = None, *, move: bool = False) -> None:
        """Give a name to the state after commit ``seq`` (None: the newest), which is then kept. Repeating it is harmless.

        Raises ``InvalidInput`` if there is no such commit, or if the name is at another one and ``move`` is false.
        """
        self.run(lambda tx: tx.tag(name, seq, move=move))

    def untag(self, name: str) -> None:
        """Take a tag away. Raises ``TagNotFound``."""
        self.run(lambda tx: tx.untag(name))

    def tags(self) -> dict[str, int]:
        """Return the commits that have a name, by name."""
        return dict(sorted(self._lease.use().state().tags.items()))

    def log(self, *, store: str | None = None, since: int = 0, limit: int | None = None) -> Any:
        """Return the commits that are kept as a DataFrame, one row each, oldest first; folds and other upkeep are not among them.

        Its columns are ``seq``, ``time`` (UTC), ``author``, ``message``, ``stores`` (names, with ", " between them), ``inserted``,
        ``updated`` and ``deleted`` (records), ``notes`` (what was created, dropped, renamed, tagged), ``txid``. Stores go by the name
        they have now, those dropped by now by their last one. ``store`` asks for the commits that did something to stores of this name,
        and counts that alone; ``since`` for those after that commit; ``limit`` for so many of the newest.

        It reads the records of all commits after ``since`` that are kept, not what they wrote: a few seconds for 100,000.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> planes = db.create("planes", schema={"tailnum": "string"}, index="tailnum", message="begin")
        >>> planes.insert([{"tailnum": "N1"}, {"tailnum": "N3"}], message="two").inserted
        2
        >>> db.log()[["seq", "notes", "stores", "inserted", "message"]]
           seq           notes  stores  inserted message
        0    1  created planes  planes         0   begin
        1    2                  planes         2     two
        """
        if since < 0 or (limit is not None and limit < 0):
            raise InvalidInput(f"log(since={since}, limit={limit}): give numbers from 0 on")
        engine = self._lease.use()
        return log_frame(engine.log(since), engine.state(), store=store, limit=limit)

    def diff(self, a: Moment, b: Moment, store: str) -> Any:
        """Return how the records of a store differ between two moments, as a DataFrame in the order of the key.

        ``a`` and ``b`` are each the number of a commit, the name of a tag, or a time (with a zone). Of an updated record there are two
        rows, the old one first: as they stand under each other the eye finds what changed, and every column keeps its dtype. ``_change``
        is "insert", "update" or "delete", ``_side`` "old" or "new", ``_seq`` the commit that wrote that version of the record; a deleted
        record has its old row, an inserted one its new row. So to go from ``a`` to ``b``, delete what is old, then write what is new;
        ``diff(b, a, store)`` has the sides exchanged. Records that changed and changed back are not in it.

        The store is followed through other names, and to earlier stores that it took the place or the name of; ``store`` is the name that
        it has in the later state, or else had in the earlier one.
        What was written in between is compared, not the whole store, as long as those commits are kept. Otherwise, and for a store that
        was replaced, both are read, but for the leaves that they share.

        Raises ``StoreNotFound``, ``HistoryTrimmed``, ``TagNotFound``, or ``InvalidInput`` if the key is another one now.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
        >>> counts = planes.insert([{"tailnum": "N1", "seats": 55}, {"tailnum": "N3", "seats": 182}])
        >>> planes.update("N1", {"seats": 2}).seq, planes.delete("N3").seq
        (3, 4)
        >>> db.diff(2, 4, "planes")
          _change _side  _seq tailnum  seats
        0  update   old     2      N1     55
        1  update   new     3      N1      2
        2  delete   old     2      N3    182
        """
        schema, told = self._difference(a, b, store)
        return past.frame([past.Told.nothing(schema, past.DIFFERENCE, store), *told])

    def iter_diff(self, a: Moment, b: Moment, store: str, size: int = past.BATCH_ROWS) -> Iterator[Any]:
        """Return an iterator over what ``diff`` returns, in DataFrames of about ``size`` rows: for differences larger than memory."""
        return past.frames(self._difference(a, b, store)[1], size)

    def _difference(self, a: Moment, b: Moment, store: str) -> tuple[Schema, Iterator[past.Told]]:
        engine = self._lease.use()
        old, new = (self._state_at(engine, moment) for moment in (a, b))
        return past.difference(engine, old, new, store)

    def changes(self, since: Moment, store: str | None = None) -> Any:
        """Return every change of a record after a moment, in the order of the commits, as a DataFrame.

        ``since`` is the number of a commit, the name of a tag, or a time (with a zone). ``_seq``, ``_time`` (UTC), ``_author`` and
        ``_message`` say which commit it was, ``_change`` is "insert", "update" or "delete"; beside them is the record as it became, of a
        deletion the record that was deleted. To drop a store is to delete its records. Within a commit the order is that of the key.

        With ``store`` they are those of one store, through its other names and the earlier stores that it took the place or the name of,
        in its own dtypes and with its index. Without, ``_store`` names the store as it was called then; the columns are those of all
        stores that changed, numbers as nullable dtypes, and what a record has not is missing. What was created or renamed is in ``log``.

        Raises ``HistoryTrimmed`` if those commits are no longer kept, ``StoreNotFound``, ``TagNotFound``.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
        >>> counts = planes.insert([{"tailnum": "N1", "seats": 55}, {"tailnum": "N3", "seats": 182}], message="two")
        >>> planes.update("N1", {"seats": 2}, message="oops").seq, planes.delete("N3", message="gone").seq
        (3, 4)
        >>> db.changes(2, "planes")[["_seq", "_message", "_change", "tailnum", "seats"]]
           _seq _message _change tailnum  seats
        0     3     oops  update      N1      2
        1     4     gone  delete      N3    182
        """
        told, schema = self._changes(since, store)
        if schema is None or store is None:
            return past.mixed(list(told))
        return past.frame([past.Told.nothing(schema, past.HISTORY, store), *told])

    def iter_changes(self, since: Moment, store: str | None = None, size: int = past.BATCH_ROWS) -> Iterator[Any]:
        """Return an iterator over what ``changes`` returns, in DataFrames of about ``size`` rows: for more than fits into memory."""
        told, schema = self._changes(since, store)
        return past.mixed_frames(told, size) if schema is None else past.frames(told, size)

    def _changes(self, since: Moment, store: str | None) -> tuple[Iterator[past.Told], Schema | None]:
        engine = self._lease.use()
        stretch = Stretch(engine, self._state_at(engine, since), engine.state())
        if store is None:
            return past.changes(all_written(stretch, None), named=True), None
        id = stretch.named(store)
        if id is None:
            raise StoreNotFound(store, self.stores())
        line = stretch.lineage(id)
        return past.changes_of(all_written(stretch, line), line), line[0].schema

    def revert(self, seq: int, message: str | None = None) -> Counts:
        """Undo what one commit did, by a new commit, durably; return what that did to records.

        Records, stores that it created, dropped or renamed, indexes and tags become what they were before it. What was done since stays:
        if it was done to one of the same records, to a store that would go, or to a name that is needed, ``Conflict`` names the store,
        the key and the later commit, and nothing is written. A record that was changed back since is as good as one that was never
        changed. A revert can be reverted, which does again what was undone.

        A commit of any size is undone in bounded memory. ``message`` is what the log says; None repeats the one of that commit. What was
        done to the columns or the key of a store is not reverted. Raises ``HistoryTrimmed`` if what was before the commit
        is no longer kept, ``InvalidInput`` if there is no such commit, ``ReadOnly``, ``InvalidState`` if an index is to come back
        while its store is being altered.

        >>> import sopnb
        >>> db = sopnb.open(":memory:")
        >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
        >>> planes.insert({"tailnum": "N1", "seats": 55}).seq, planes.update("N1", {"seats": 2}, message="oops").seq
        (2, 3)
        >>> db.revert(3)
        Counts(inserted=0, updated=1, unchanged=0, deleted=0, missing=0, seq=4)
        >>> planes["N1"]["seats"], db.log()["message"].iloc[-1]
        (55, 'revert 3: oops')
        """
        engine = self._lease.use()
        if isinstance(seq, bool) or not isinstance(seq, int):
            raise InvalidInput(f"{seq!r} is no commit; give its number, as log() tells it")
        index = IndexChange.of(engine, seq)
        if index is not None:
            self._upkeep()
            return Counts(seq=index.revert(engine, _reverting(seq, index.message, message)))
        with Progress(engine.handle, engine.clock).bar(f"revert {seq}", None) as progress:

            def body(work: Work) -> Counts | Conflict:
                try:
                    counts, said = revert(engine, work, seq, progress)
                except Conflict as conflict:  # trying again would not help
                    work.rollback()
                    return conflict
                work.message = _reverting(seq, said, message)
                return counts

            done, made = attempt(engine, body)
        if isinstance(done, Conflict):
            raise done
        return done.at(made)

    def watch(self, callback: Callable[[Any], object], *, since: Moment | None = None, store: str | None = None) -> Watch:
        """Call ``callback`` with a DataFrame of the changes of each new commit, whichever process makes it, until the watch is stopped.

        The frames are those of ``changes``, one for each commit that changed records, several of at most about 65,000 rows for a large
        one; they come in order, from a thread of the watch. ``since`` begins earlier than now. With ``store`` they are those of the store
        that has this name when the commit is made. The callback may use the database; while it runs, later commits wait to be told.

        An error of the callback ends the watch, and so does ``HistoryTrimmed`` where commits are gone that were not told yet, which can
        only happen with ``mode="r"``: nothing is left out without a word. ``Watch.stop`` raises it.

        >>> import queue, sopnb
        >>> db, told = sopnb.open(":memory:"), queue.Queue()
        >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
        >>> with db.watch(told.put, store="planes"):
        ...     counts = planes.insert({"tailnum": "N1", "seats": 55})
        ...     print(told.get()[["_seq", "_change", "tailnum", "seats"]])
           _seq _change tailnum  seats
        0     2  insert      N1     55
        """
        engine = self._lease.use()
        state = engine.state() if since is None else self._state_at(engine, since)
        Stretch(engine, state, engine.state())  # from here on it is held
        watch = Watch(self._lease, callback, state, store)
        self._watches.add(watch)
        return watch

    @staticmethod
    def _state_at(engine: Engine, moment: Moment) -> State:
        if isinstance(moment, str):
            return engine.at(tag=moment)
        if isinstance(moment, datetime):
            return engine.at(time=_micros(moment))
        if isinstance(moment, bool) or not isinstance(moment, int):
            raise InvalidInput(f"{moment!r} is no moment; give the number of a commit, the name of a tag, or a datetime with a zone")
        return engine.at(seq=moment)

    def outcome(self, txid: str) -> str:
        """Say whether the transaction of a ``CommitUnknown`` is "committed" or "aborted", and make that final.

        Raises ``HistoryTrimmed`` if it is too old to know.
        """
        return self._lease.use().outcome(txid)

    # -- the shape of stores --------------------------------------------------------------------------------------------------

    def unlock(self, reason: str, *, author: str = "") -> Admin:
        """Return what changes the columns or the key of stores, within ``with``; the commits will hold ``reason``. See ``Admin``."""
        return Admin(self._lease, reason, author)

    # -- care -----------------------------------------------------------------------------------------------------------------

    def check(self) -> Report:
        """Read everything and compare it with what is said of it: a sequence of problems, ``ok`` if there is none.

        It looks at order, counts, separators, checksums, orphans and missing blobs of the newest state, and changes nothing.
        """
        return self._lease.use().check()

    def fold(self, store: str | None = None) -> dict[str, tuple[int, int]]:
        """Merge what was written since into the base of a store, or of all; return (layers before, layers after) by store.

        It changes no record and disturbs nobody; reading is as right without it. An interrupt leaves everything as it was. Raises
        ``StoreNotFound``, ``ReadOnly``.
        """
        return self._upkeep().fold(store)

    def compact(self, keep: float | None = None) -> dict[str, int]:
        """Fold everything and let go of the past beyond ``keep`` seconds (None: as the settings say); return bytes before and after.

        What a tag, a snapshot or another process still reads is kept. Raises ``ReadOnly``.
        """
        return self._upkeep().compact(keep)

    def info(self) -> dict[str, Any]:
        """Return facts: commit, stores with their sizes, tags, horizon, who reads what, bytes of the log, of caches and of the past."""
        return self._lease.use().info()

    def _upkeep(self) -> Upkeep:
        engine = self._lease.use()
        engine.upkeep.progress = Progress(engine.handle, engine.clock).bar
        return engine.upkeep

    # -- life -----------------------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether this handle is closed."""
        return self._lease.closed

    def close(self) -> None:
        """Close this handle; the last one of the process lets go of the folder. Harmless to repeat; commits are durable without it."""
        for watch in list(self._watches):
            watch.end()
        self._lease.close()

    def __enter__(self) -> Database:
        self._lease.engine  # noqa: B018  raises if it is closed
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- in a notebook --------------------------------------------------------------------------------------------------------

    def _panel(self) -> display.Panel:
        state = self._lease.engine.state()
        return display.database_panel(state.seq, {name: (store.rows, store.schema) for name, store in state.stores.items()}, state.tags)

    def __repr__(self) -> str:
        return "Database, closed" if self.closed else display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)


def _reverting(seq: int, said: str, message: str | None) -> str:
    """Return the message of a commit that reverts another."""
    return message if message is not None else f"revert {seq}: {said}" if said else f"revert {seq}"


def _micros(time: datetime) -> int:
    """Return a time in microseconds since 1970 UTC."""
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise InvalidInput(f"time={time!r}: give a datetime with a zone, such as datetime(2013, 1, 31, 10, tzinfo=UTC)")
    return (time - EPOCH) // timedelta(microseconds=1)
