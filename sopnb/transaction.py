"""A transaction: several stores read in one state and changed together, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from sopnb import sql
from sopnb.access.attempt import forget
from sopnb.access.lease import Lease
from sopnb.access.loading import IfExists, Index, Load, specification
from sopnb.access.names import checked_name
from sopnb.access.ways import Within
from sopnb.engine.bulk import OnError
from sopnb.engine.work import Mode, Work
from sopnb.errors import InvalidInput, TagNotFound
from sopnb.schema import Schema
from sopnb.sql import Parameters, Result
from sopnb.store import Store


class Transaction:
    """Several stores in one state, and changes of them that commit together. Made by ``db.transaction()`` and by ``db.run``.

    It sees the state in which it began, and its own changes. Used with ``with`` it commits at the end, durably, and rolls back when an
    exception comes out, which always reaches the caller; without ``with``, call ``commit`` or ``rollback``. Meanwhile the thread must
    not use the ``db`` handle, whose reads would not see what happens here: that raises ``NestedTransaction``.

    The commit raises ``Conflict``, with nothing written, if somebody else has changed what was read or written here; ``db.run`` tries
    again by itself. With ``mode="read"`` nothing can be written and no conflict arises; with "unchecked" only written keys are compared,
    not what was read. Not for use by two threads at once.

    >>> import sopnb
    >>> db = sopnb.open(":memory:")
    >>> accounts = db.create("accounts", schema={"name": "string", "euros": "int64"}, index="name")
    >>> with db.transaction(message="a loan") as tx:
    ...     counts = tx["accounts"].insert([{"name": "ada", "euros": 70}, {"name": "bob", "euros": 30}])
    >>> tx.seq, len(accounts)
    (2, 2)
    """

    def __init__(self, lease: Lease, work: Work) -> None:
        self._lease, self._work = lease, work
        self._entered = False
        self.seq = 0
        """The commit that holds the changes; 0 before it, and when there was nothing to write."""

    @property
    def mode(self) -> Mode:
        """ "write", "read" or "unchecked"."""
        return self._work.mode

    @property
    def message(self) -> str:
        """What the history will say of the commit; it may be set until then."""
        return self._work.message

    @message.setter
    def message(self, text: str) -> None:
        self._work.message = text

    @property
    def done(self) -> bool:
        """Whether it is committed or rolled back."""
        return self._work.done

    # -- stores ---------------------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Store:
        """Return a store as this transaction sees it. Raises ``StoreNotFound``."""
        self._work.store(name)
        return Store(Within(self._lease, self._work, name))

    def __contains__(self, name: object) -> bool:
        self._work.open()
        self._work.names_read.add(str(name))
        return name in self._work.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.stores())

    def stores(self) -> tuple[str, ...]:
        """Return the names of the stores, own changes included."""
        self._work.open()
        return self._work.stores()

    def create(self, name: str, schema: Any, index: Index) -> Store:
        """Create a store; see ``Database.create``."""
        self._work.create(checked_name(name, "store"), Schema.of(schema, specification(index)))
        return self[name]

    def drop(self, name: str) -> None:
        """Drop a store. Raises ``StoreNotFound``."""
        self._work.drop(name)

    def rename(self, old: str, new: str) -> None:
        """Rename a store. Raises ``StoreNotFound`` or ``StoreExists``."""
        self._work.rename(old, checked_name(new, "store"))

    def load(
        self,
        name: str,
        data: Any,
        index: Index | None = None,
        *,
        if_exists: IfExists = "raise",
        on_error: OnError = "raise",
        message: str = "",
        types: Mapping[str, str] | None = None,
        widen: bool = False,
    ) -> Store:
        """Load data into a store; see ``Database.load``."""
        counts = Load(name, data, index, if_exists, on_error, types, widen).into(self._work, self._lease.engine)
        if message:
            self.message = f"{self.message}; {message}" if self.message else message
        return Store(Within(self._lease, self._work, name), loaded=counts)

    def sql(self, query: str, params: Parameters | None = None, *, push_down: bool = True) -> Result:
        """Return the result of a query in SQL over what this transaction sees, its own changes included; see ``Database.sql``.

        What the query reads counts as read by the transaction.
        """
        return sql.run(query, params, self.stores(), lambda name: self[name].range(), push_down=push_down)

    # -- tags -----------------------------------------------------------------------------------------------------------------

    def tag(self, name: str, seq: int | None = None, *, move: bool = False) -> None:
        """Give a name to the state after commit ``seq``, or to the one in which this transaction began; see ``Database.tag``."""
        state = self._work.state
        at = state.seq if seq is None else seq
        if not 0 < at <= state.seq:
            raise InvalidInput(f"there is no commit {at} to tag; the newest is {state.seq}")
        there = state.tags.get(checked_name(name, "tag"))
        if there == at:
            return
        if there is not None and not move:
            raise InvalidInput(f"the tag {name!r} is at commit {there} already; choose another name, or move it with move=True")
        self._work.tag(name, at)

    def untag(self, name: str) -> None:
        """Take a tag away. Raises ``TagNotFound``."""
        if name not in self._work.state.tags:
            raise TagNotFound(name, tuple(self._work.state.tags))
        self._work.tag(name, 0)

    # -- its end --------------------------------------------------------------------------------------------------------------

    def commit(self) -> int:
        """Commit, durably, and return the number of the commit; 0 if there was nothing to write.

        Raises ``Conflict`` (nothing is written), ``CommitUnknown`` (it is wholly there or not at all; ask ``db.outcome``) or
        ``StorageError``. The transaction is over in any case.
        """
        self.seq = self._lease.engine.commit(self._work)
        return self.seq

    def rollback(self) -> None:
        """Forget all changes; the transaction is over. Harmless to repeat."""
        self._work.rollback()

    def __enter__(self) -> Transaction:
        self._work.open()
        self._lease.enter()
        self._entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._entered:
            self._entered = False
            self._lease.leave()
        if error is not None:
            forget(self._work, error)
        elif not self._work.done:
            self.commit()

    def __repr__(self) -> str:
        state = "over" if self.done else "open"
        return f"Transaction, {self.mode}, {state}, on commit {self._work.state.seq}"
