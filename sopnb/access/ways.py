"""The three ways to a store: at its newest commit, inside a transaction, and in one past state.

Stores, selections and cursors are written once over ``Access`` and do not know which of them they have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sopnb.access.attempt import attempt
from sopnb.access.lease import Lease
from sopnb.access.reading import Indexed, Reading, unnoted
from sopnb.engine.counts import Counts
from sopnb.engine.engine import Engine
from sopnb.engine.layers import Stack
from sopnb.engine.state import State, StoreState
from sopnb.engine.storework import StoreWork
from sopnb.engine.work import Work
from sopnb.errors import Closed, IndexNotFound, InvalidState, ReadOnly, StoreNotFound

Change = Callable[[StoreWork], Counts]


class Access(Protocol):
    """A way to one store. Every call may raise ``StoreNotFound`` or ``Closed``."""

    name: str

    @property
    def engine(self) -> Engine:
        """The engine behind it."""

    def reading(self) -> Reading:
        """Return what is read from now on; it stays as it is, but for the writes of the transaction itself."""

    def indexed(self, index: str) -> Indexed:
        """Return the same in the order of a secondary index. Raises ``IndexNotFound``."""

    def peek(self) -> Stack:
        """Return what there is to see; allowed at any time and never noted."""

    def store(self) -> tuple[State, StoreState]:
        """Return the store in the committed state that is seen, or that the transaction began with."""

    def alone(self) -> Engine:
        """Return the engine for what is several commits of its own. Raises ``InvalidState`` where that cannot be."""

    def write(self, change: Change, message: str = "") -> Counts:
        """Make a change. Outside a transaction it is a commit of its own, and may be called again after a conflict."""

    def info(self) -> dict[str, Any]:
        """Return facts about the store."""


class Live:
    """The store of this name at the newest commit; each write is a commit."""

    def __init__(self, lease: Lease, name: str) -> None:
        self._lease, self.name = lease, name

    @property
    def engine(self) -> Engine:
        """The engine behind it."""
        return self._lease.engine

    def reading(self) -> Reading:
        """Return the store as of the newest commit."""
        return store_of(self._lease.use(self.name).state(), self.name).stack

    def indexed(self, index: str) -> Indexed:
        """Return the store as of the newest commit, in the order of an index."""
        return indexed_of(self._lease.use(self.name).state(), self.name, index)

    def store(self) -> tuple[State, StoreState]:
        """Return the store as of the newest commit."""
        state = self.engine.state()
        return state, store_of(state, self.name)

    def alone(self) -> Engine:
        """Return the engine."""
        return self._lease.use(self.name)

    def peek(self) -> Stack:
        """Return the store as of the newest commit, inside a transaction too."""
        return store_of(self.engine.state(), self.name).stack

    def write(self, change: Change, message: str = "") -> Counts:
        """Make a change and commit it; a conflict is tried again."""
        counts, seq = attempt(self._lease.use(self.name), lambda work: change(work.store(self.name)), message=message)
        return counts.at(seq)

    def info(self) -> dict[str, Any]:
        """Return facts about the store."""
        engine = self._lease.use(self.name)
        state = engine.state()
        return engine.store_info(state, store_of(state, self.name))


class Within:
    """The store of this name as a transaction sees it."""

    def __init__(self, lease: Lease, work: Work, name: str) -> None:
        self._lease, self._work, self.name = lease, work, name

    @property
    def engine(self) -> Engine:
        """The engine behind it."""
        return self._lease.engine

    def reading(self) -> Reading:
        """Return the store as it is here; what is read is noted."""
        return self._work.store(self.name)

    def indexed(self, index: str) -> Indexed:
        """Return the store as it is here, in the order of an index; what is read is noted."""
        child = self._work.index(self.name, index)
        return Indexed(child, self._work.store(self.name), child.base.how)

    def store(self) -> tuple[State, StoreState]:
        """Return the store as it was when the transaction began."""
        return self._work.state, self._work.store(self.name).base

    def alone(self) -> Engine:
        """Refuse."""
        raise InvalidState(f"that is several commits and not for a transaction; use db[{self.name!r}] outside of it")

    def peek(self) -> Stack:
        """Return the store as it is here."""
        return self._work.store(self.name).stack

    def write(self, change: Change, message: str = "") -> Counts:
        """Make a change; it is committed with the transaction, and ``message`` is added to the transaction's."""
        store = self._work.store(self.name)
        counts = change(store)
        if message:
            self._work.message = f"{self._work.message}; {message}" if self._work.message else message
        return counts

    def info(self) -> dict[str, Any]:
        """Return facts about the store as it was when the transaction began."""
        return self.engine.store_info(self._work.state, self._work.store(self.name).base)


class Past:
    """The store of this name in one committed state."""

    def __init__(self, lease: Lease, state: Callable[[], State], name: str) -> None:
        self._lease, self._state, self.name = lease, state, name

    @property
    def engine(self) -> Engine:
        """The engine behind it."""
        return self._lease.engine

    def reading(self) -> Reading:
        """Return the store in that state."""
        return self.peek()

    def indexed(self, index: str) -> Indexed:
        """Return the store in that state, in the order of an index."""
        self.peek()
        return indexed_of(self._state(), self.name, index)

    def store(self) -> tuple[State, StoreState]:
        """Return the store in that state."""
        return self._state(), store_of(self._state(), self.name)

    def alone(self) -> Engine:
        """Refuse."""
        raise ReadOnly(f"store {self.name!r} is seen here as it was in the past; use db[{self.name!r}]")

    def peek(self) -> Stack:
        """Return the store in that state."""
        if self._lease.closed:
            raise Closed("the database is closed; open it again")
        return store_of(self._state(), self.name).stack

    def write(self, change: Change, message: str = "") -> Counts:
        """Refuse."""
        raise ReadOnly(f"store {self.name!r} is seen here as it was in the past; write to it as db[{self.name!r}]")

    def info(self) -> dict[str, Any]:
        """Return facts about the store in that state."""
        return self.engine.store_info(self._state(), store_of(self._state(), self.name))


class ByIndex:
    """A way to a store in the order of one of its secondary indexes."""

    def __init__(self, access: Access, index: str) -> None:
        self._access, self.index = access, index
        self.name = access.name

    @property
    def engine(self) -> Engine:
        """The engine behind it."""
        return self._access.engine

    def reading(self) -> Reading:
        """Return the store in this order."""
        return self._access.indexed(self.index)

    def indexed(self, index: str) -> Indexed:
        """Return the store in the order of another index."""
        return self._access.indexed(index)

    def store(self) -> tuple[State, StoreState]:
        """Return the store in the committed state that is seen."""
        return self._access.store()

    def alone(self) -> Engine:
        """Return the engine for what is several commits of its own."""
        return self._access.alone()

    def peek(self) -> Stack:
        """Return the store in this order, never noted."""
        state, _ = self._access.store()
        if isinstance(self._access, Within):
            return unnoted(self._access.indexed(self.index))
        return indexed_of(state, self.name, self.index)  # type: ignore[return-value]

    def write(self, change: Change, message: str = "") -> Counts:
        """Make a change of the store."""
        return self._access.write(change, message)

    def info(self) -> dict[str, Any]:
        """Return facts about the store."""
        return self._access.info()


def through(access: Access, store: StoreWork) -> Reading:
    """Return a store that is being written to, in the order in which ``access`` reads it."""
    if not isinstance(access, ByIndex):
        return store
    child = store.work.index(store.name, access.index)
    return Indexed(child, store, child.base.how)


def indexed_of(state: State, name: str, index: str) -> Indexed:
    """Return a store of a state in the order of an index. Raises ``StoreNotFound`` or ``IndexNotFound``."""
    store = store_of(state, name)
    found = state.readable(store.id)
    if index not in found:
        raise IndexNotFound(name, index, tuple(found))
    return Indexed(found[index].stack, store.stack, found[index].how)


def store_of(state: State, name: str) -> StoreState:
    """Return a store of a state. Raises ``StoreNotFound``."""
    id = state.names.get(name)
    if id is None:
        raise StoreNotFound(name, tuple(sorted(state.names)))
    return state.store(id)
