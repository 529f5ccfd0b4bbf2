"""The view-model of the browser of stores: messages in, answers out, both of plain JSON values; no front end is known here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sopnb.errors import Timeout
from sopnb.index import IndexSpecification
from sopnb.protocols import Clock
from sopnb.view import exporting, importing, past, specifications
from sopnb.view import page as pages
from sopnb.view import tree as trees
from sopnb.view.arguments import Arguments
from sopnb.view.data import Data, needed, of_frame, of_store
from sopnb.view.editing import Editing
from sopnb.view.passing import Memory, Passing
from sopnb.view.pending import Pending
from sopnb.view.query import Query, leading, query
from sopnb.view.refusal import Refusal, invalid, told
from sopnb.view.sight import Sight
from sopnb.view.target import Target
from sopnb.view.task import Tasks
from sopnb.view.token import key_of

VERSION = 1
"""Of the messages."""
PATIENCE = 30.0
"""Seconds that a message waits for another one of the same view."""

TASKS = frozenset({"export", "suggest", "index.sample", "index.check", "index.create", "revert", "import.preview", "import.run"})
"""What takes as long as the data is large; other messages are answered meanwhile."""

Op = Callable[[Arguments], dict[str, Any]]


class View:
    """What a browser shows of a database, a store or a selection, and the edits that wait in it to be committed.

    ``handle`` answers one message; it never raises, and is safe for threads. With ``edit`` records may be changed: changes wait in the
    view, and are in the store after op ``commit``. Every answer is of one state of the database: the newest commit, with the pending
    changes of this view over it.

    >>> import pandas as pd, sopnb
    >>> from sopnb.view import View
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
    >>> view = View(db)
    >>> answer = view.handle({"id": 1, "op": "page", "args": {"query": {"store": "planes"}, "start": 0, "size": 100}})
    >>> answer["ok"]["total"], [row["cells"] for row in answer["ok"]["rows"]]
    (2, [['N1', '55'], ['N3', '182']])
    >>> view.handle({"id": 2, "op": "page", "args": {"query": {"store": "boats"}, "start": 0, "size": 100}})["error"]["code"]
    'missing'
    """

    def __init__(self, target: Any, *, edit: bool = False) -> None:
        self._target = Target.of(target)
        self._mutex = threading.RLock()
        writable = self._target.past is None and self._target.lease.engine.backend.writable
        self.edit = bool(edit) and writable
        """Whether records may be changed."""
        self.watching = False
        """Whether the browser asked to be told of commits; ``changed_since`` says of which."""
        self._pending = Pending(self._target.lease)
        self._memory = Memory()
        self.frames: dict[str, Any] = {}
        """Frames that the transport offers, by the names under which messages ask for them."""
        self.bind: exporting.Bind | None = None
        """What the transport gives to take exported variables; None if there are none."""
        self._tasks = Tasks()
        self._editing = Editing(self._target.lease, self._pending)
        self._known: set[str] = set()
        self._ops: dict[str, Op] = {
            "open": self._open,
            "tree": self._tree,
            "schema": self._schema,
            "page": self._page,
            "count": self._count,
            "seek": self._seek,
            "value": self._value,
            "edit": self._edit,
            "insert": self._insert,
            "delete": self._delete,
            "discard": self._discard,
            "paste": self._paste,
            "pending": self._told_pending,
            "resolve": self._resolve,
            "commit": self._commit,
            "rollback": self._rollback,
            "poll": self._poll,
            "watch": self._watch,
            "progress": lambda args: self._tasks.told(args.given.get("of")),
            "cancel": lambda args: {"cancelled": self._tasks.cancel(args.given.get("of"))},
            "export": self._export,
            "suggest": self._suggest,
            "index.fields": self._index_fields,
            "index.expression": self._index_expression,
            "index.sample": self._index_sample,
            "index.check": self._index_check,
            "index.create": self._index_create,
            "log": self._log,
            "diff": self._diff,
            "revert": self._revert,
            "import.preview": self._import_preview,
            "import.run": self._import_run,
        }

    @property
    def title(self) -> str:
        """What is looked at, in a word."""
        return self._target.title

    @property
    def pending(self) -> int:
        """How many changes wait to be committed."""
        return len(self._pending)

    def handle(self, message: Any) -> dict[str, Any]:
        """Return the answer to a message: ``{"id": ..., "ok": {...}}``, or ``{"id": ..., "error": {"code": ..., "message": ...}}``."""
        id = message.get("id") if isinstance(message, Mapping) else None
        answer: dict[str, Any] = {"id": id if isinstance(id, int | str) else None}
        try:
            return {**answer, "ok": self._answer(message)}
        except (Exception, KeyboardInterrupt) as error:  # whatever it is, the browser is told
            return {**answer, "error": told(error)}

    def keys(self, store: str, tokens: Iterable[str]) -> list[Any]:
        """Return the keys of rows as ``store[key]`` takes them. Raises ``StoreNotFound``, or ``InvalidInput`` for what is no key."""
        schema = self._sight().schema(store)
        keys = [key_of(token, schema) for token in tokens]
        ids = [() if schema.unique else (key[-16:],) for key in keys]
        return [schema.public_key((*schema.codec.decode(key), *id)) for key, id in zip(keys, ids, strict=True)]

    def close(self) -> None:
        """Forget the pending changes and let go of the state that was read. Raises ``Timeout`` if a request is answered all the while."""
        with self._alone():
            self._pending.rollback()

    def _answer(self, message: Any) -> dict[str, Any]:
        given = Arguments(message, "a message")
        name = given.text("op")
        op = self._ops.get(name)
        if op is None:
            raise invalid(f"there is no op {name[:100]!r}; this view speaks version {VERSION}")
        args = given.part("args", {})
        if name in TASKS:
            with self._tasks.begun(given.any("id") if given.has("id") else None):
                return op(args)
        if name in ("progress", "cancel"):  # of what is being done now
            return op(args)
        with self._alone():
            return op(args)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._mutex.acquire(timeout=PATIENCE):
            raise Timeout("another request of this view to be answered", waited=PATIENCE)
        try:
            yield
        finally:
            self._mutex.release()

    def changed_since(self, seq: int, wait: float = 0.0) -> dict[str, Any] | None:
        """Return the event that tells of commits after ``seq``, None if there are none within ``wait`` seconds. Raises ``Closed``."""
        engine = self._target.lease.engine
        if self._target.past is not None or not (engine.backend.registry.wait(seq, wait) if wait else engine.state().seq > seq):
            return None
        with self._alone():
            return {"event": "changed", **trees.changed(self._sight(), seq, self._known)}

    # -- what is seen ---------------------------------------------------------------------------------------------------------

    def _sight(self) -> Sight:
        if self._target.past is not None:
            return Sight(self._target.lease, self._target.state())
        with self._alone():
            return self._pending.sight()

    @contextmanager
    def _steady(self) -> Iterator[Sight]:
        """Give a task what is seen. Where changes wait other messages do so too: the transaction that shows them is for one at a time."""
        with self._alone():
            sight = self._sight()
            if sight.work is not None:
                yield sight
                return
        yield sight

    def _store(self, args: Arguments) -> str:
        """Return the store that is meant. Raises ``Refusal`` for another one than is looked at."""
        return self._allowed(args.text("store", self._target.store) if self._target.store else args.text("store"))

    def _allowed(self, store: str) -> str:
        if self._target.store is not None and store != self._target.store:
            raise Refusal("missing", f"this view shows the store {self._target.store!r} only")
        return store

    def _query(self, args: Arguments, sight: Sight) -> Query:
        given = args.part("query")
        self._allowed(given.text("store"))
        return query(given, sight, self._target.fixed)

    def _open(self, args: Arguments) -> dict[str, Any]:
        tree = self._tree(args)
        names = [store["name"] for store in tree["stores"]]
        first = self._target.store or (names[0] if names else None)
        fixed = self._target.fixed
        more = {"order": "" if fixed is None or fixed.ranged else fixed.order}
        shown = {"title": self.title, "store": first, "edit": self.edit, "fixed": fixed is not None, "version": VERSION, **more}
        return {**shown, **tree}

    def _tree(self, args: Arguments) -> dict[str, Any]:
        sight = self._sight()
        self._known = set(sight.state.names) if self._target.store is None else {self._target.store}
        return trees.tree(sight, self._target.store)

    def _schema(self, args: Arguments) -> dict[str, Any]:
        fixed = self._target.fixed
        order = fixed.order if fixed is not None and fixed.ranged else None
        return trees.schema(self._sight(), self._store(args), order)

    def _page(self, args: Arguments) -> dict[str, Any]:
        start, size = args.number("start"), args.number("size", 100, least=1, most=pages.MOST)
        sight = self._sight()
        asked = self._query(args, sight)
        passing = self._passing(asked, sight)
        told = pages.page(asked, start, size, self._pending.of(asked.store), passing, self._clock, edit=self.edit)
        return {**told, "seq": sight.seq, "pending": len(self._pending)}

    @property
    def _clock(self) -> Clock:
        return self._target.lease.engine.clock

    def _passing(self, asked: Query, sight: Sight) -> Passing:
        """Return what is known of a question in this state."""
        scan, store = asked.scan, sight.store(asked.store)
        question = asked.store, asked.key_schema.specification, scan.keys, scan.reverse, str(scan.filter)
        return self._memory.of(question, (store.id, store.layout, store.changed, self._pending.version), scan)

    def _count(self, args: Arguments) -> dict[str, Any]:
        sight = self._sight()
        asked = self._query(args, sight)
        return {**pages.count(asked, self._passing(asked, sight), self._clock), "seq": sight.seq}

    def _seek(self, args: Arguments) -> dict[str, Any]:
        sight = self._sight()
        asked = self._query(args, sight)
        key = leading(args.items("key"), asked.key_schema, "key")
        return {**pages.seek(asked, key, self._passing(asked, sight), self._clock), "seq": sight.seq}

    def _value(self, args: Arguments) -> dict[str, Any]:
        sight, store, name = self._sight(), self._store(args), args.text("column")
        columns = sight.columns(store)
        key, column = key_of(args.text("key"), columns.schema), columns[name]
        entry = sight.reading(store).get(key)
        if entry is None or entry.row is None or name not in columns.schema.physical_names:
            raise Refusal("missing", "the record is gone")
        value = column.say(entry.row[columns.schema.physical_names.index(name)])
        return {"value": value, "size": len(value) if isinstance(value, str) else 0}

    # -- edits ----------------------------------------------------------------------------------------------------------------

    def _changing(self, args: Arguments) -> tuple[Sight, str]:
        """Return what is seen and the store that is to be changed. Raises ``Refusal`` where nothing may be."""
        self._editable()
        return self._sight(), self._store(args)

    def _editable(self) -> None:
        if not self.edit:
            raise Refusal("locked", "this view shows records and changes none; open it with edit=True on a database that may be written")

    def _edit(self, args: Arguments) -> dict[str, Any]:
        sight, store = self._changing(args)
        key, seq, column = args.text("key"), args.number("seq"), args.text("column")
        return self._editing.edit(sight, store, key, seq, column, args.any("value"), args.names("columns", None))

    def _insert(self, args: Arguments) -> dict[str, Any]:
        sight, store = self._changing(args)
        return self._editing.insert(sight, store, args.part("record").given)

    def _delete(self, args: Arguments) -> dict[str, Any]:
        sight, store = self._changing(args)
        return self._editing.delete(sight, store, args.items("rows"))

    def _paste(self, args: Arguments) -> dict[str, Any]:
        sight, store = self._changing(args)
        return self._editing.paste(sight, store, args.names("columns"), args.text("text"), args.text("mode", "insert"))

    def _discard(self, args: Arguments) -> dict[str, Any]:
        self._editable()
        self._pending.discard(args.number("change"))
        return {"pending": len(self._pending)}

    def _told_pending(self, args: Arguments) -> dict[str, Any]:
        sight = self._sight()
        return {"changes": self._editing.told(), "seq": sight.seq, "pending": len(self._pending)}

    def _resolve(self, args: Arguments) -> dict[str, Any]:
        self._editable()
        keep = args.text("keep")
        if keep not in ("mine", "theirs"):
            raise invalid(f'keep={keep!r}; it is "mine" or "theirs"')
        self._pending.resolve(args.number("change"), mine=keep == "mine")
        return {"pending": len(self._pending)}

    def _commit(self, args: Arguments) -> dict[str, Any]:
        self._editable()
        seq, counts = self._pending.commit(args.text("message", ""))
        return {"seq": seq, "counts": {"inserted": counts.inserted, "updated": counts.updated, "deleted": counts.deleted}, "pending": 0}

    def _rollback(self, args: Arguments) -> dict[str, Any]:
        self._pending.rollback()
        return {"pending": 0}

    # -- what others do -------------------------------------------------------------------------------------------------------

    def _poll(self, args: Arguments) -> dict[str, Any]:
        return {**trees.changed(self._sight(), args.number("seq"), self._known), "pending": len(self._pending)}

    def _watch(self, args: Arguments) -> dict[str, Any]:
        self.watching = args.flag("on")
        return {"watching": self.watching}

    # -- taken along, and brought in ------------------------------------------------------------------------------------------

    def _export(self, args: Arguments) -> dict[str, Any]:
        with self._steady() as sight:
            return exporting.export(self._query(args, sight), sight, args.text("to"), args.text("name"), self.bind)

    def _import_preview(self, args: Arguments) -> dict[str, Any]:
        return importing.preview(importing.Source.of(args, self.frames), self._target.database, args.text("store", None))

    def _import_run(self, args: Arguments) -> dict[str, Any]:
        self._editable()
        self._allowed(args.text("store"))
        return importing.run(importing.Source.of(args, self.frames), self._target.database, args)

    # -- indexes --------------------------------------------------------------------------------------------------------------

    def _data(self, args: Arguments, keys: IndexSpecification | None = None) -> Data:
        """Return the rows of the store or the frame that a message names; of a store, if ``keys`` are given, what these need."""
        if args.has("frame"):
            return of_frame(self.frames, args.text("frame"))
        with self._steady() as sight:
            store = self._store(args)
            return of_store(sight, store, None if keys is None else needed(sight, store, keys))

    def _suggest(self, args: Arguments) -> dict[str, Any]:
        return specifications.suggest(self._data(args), args.items("queries", []))

    def _index_fields(self, args: Arguments) -> dict[str, Any]:
        return {"columns": specifications.fields(self._data(args))}

    def _index_expression(self, args: Arguments) -> dict[str, Any]:
        return specifications.expression(self._data(args), f"cel: {args.text('expression')}")

    def _index_sample(self, args: Arguments) -> dict[str, Any]:
        wanted = specifications.specification(args.any("specification"))
        return specifications.sample(self._data(args), wanted)

    def _index_check(self, args: Arguments) -> dict[str, Any]:
        wanted = specifications.specification(args.any("specification"))
        return specifications.check(self._data(args, wanted), wanted)

    def _index_create(self, args: Arguments) -> dict[str, Any]:
        self._editable()
        store, name = self._store(args), args.text("name")
        wanted = specifications.specification(args.any("specification"))
        self._target.database[store].create_index(name, wanted, message=args.text("message", ""))
        return {"name": name, "index": str(wanted), "seq": self._sight().seq}

    # -- the past -------------------------------------------------------------------------------------------------------------

    def _log(self, args: Arguments) -> dict[str, Any]:
        return past.log(self._target.database, self._target.store or args.text("store", None), args.number("limit", 100, most=10_000))

    def _diff(self, args: Arguments) -> dict[str, Any]:
        a, b, store = past.moment(args, "a"), past.moment(args, "b"), self._store(args)
        start, size = args.number("start", 0), args.number("size", 100, least=1, most=pages.MOST)
        return past.diff(self._target.database, a, b, store, start, size)

    def _revert(self, args: Arguments) -> dict[str, Any]:
        self._editable()
        return past.revert(self._target.database, args.number("seq"), args.text("message", None))
