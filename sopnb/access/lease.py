"""The engines that this process has open: one for each folder, shared by all who open it, closed by the last of them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sopnb.engine.engine import Engine
from sopnb.errors import Closed, InvalidInput, NestedTransaction
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.files import Forkable, register_at_fork
from sopnb.storage.location import Location, Mode, identity, open_backend


class _Shared:
    """An engine and how many leases there are of it; ``inside`` says for each thread whether a transaction is open in it."""

    def __init__(self, engine: Engine, key: Any) -> None:
        self.engine, self.key, self.leases = engine, key, 1
        self.inside = threading.local()


class Lease:
    """One open handle on a database. Safe for threads. It ends by ``close``, or when nobody holds it any more."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._end = weakref.finalize(self, _opened.release, shared)

    @classmethod
    def of(
        cls, location: Location, *, mode: Mode = "a", settings: DatabaseSettings | None = None, handle: HandleSettings | None = None
    ) -> Lease:
        """Open the database at a location, or share what is open already. Raises as ``storage.location.open_backend`` does."""
        return cls(_opened.shared(location, mode, settings, handle))

    @classmethod
    def over(cls, engine: Engine) -> Lease:
        """Return the one lease of an engine that was put together elsewhere; it closes the engine when it ends."""
        return cls(_Shared(engine, None))

    @property
    def engine(self) -> Engine:
        """The engine. Raises ``Closed`` once the handle is closed."""
        if not self._end.alive:
            raise Closed("the database is closed; open it again")
        return self._shared.engine

    @property
    def closed(self) -> bool:
        """Whether the handle is closed."""
        return not self._end.alive

    @property
    def inside(self) -> bool:
        """Whether this thread is inside an open transaction of this database."""
        return getattr(self._shared.inside, "now", False)

    def enter(self) -> None:
        """Say that this thread is inside a transaction. Raises ``NestedTransaction`` if it is in one already."""
        self.use()
        self._shared.inside.now = True

    def leave(self) -> None:
        """Say that it no longer is."""
        self._shared.inside.now = False

    @contextmanager
    def within(self) -> Iterator[None]:
        """Be inside a transaction for a while."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def use(self, store: str | None = None) -> Engine:
        """Return the engine for a use outside transactions. Raises ``Closed``, or ``NestedTransaction`` naming the remedy."""
        if self.inside:
            right, wrong = ("tx", "db") if store is None else (f"tx[{store!r}]", f"db[{store!r}]")
            raise NestedTransaction(
                f"this thread is inside an open transaction, which {wrong} knows nothing of: use {right}, or end the transaction first"
            )
        return self.engine

    def close(self) -> None:
        """End this lease; the last one closes the engine. Harmless to repeat."""
        self._end()


class _Opened(Forkable):
    """The shared engines of this process by what they are: folder, database and whether they write."""

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._by_key: dict[Any, _Shared] = {}
        register_at_fork(self)

    def after_fork(self) -> None:
        """Make the lock anew: whoever held it is not in the child."""
        self._mutex = threading.RLock()

    def shared(self, location: Location, mode: Mode, settings: DatabaseSettings | None, handle: HandleSettings | None) -> _Shared:
        """Return the engine of a location, opened if it is not yet."""
        with self._mutex:
            backend, stored = open_backend(location, mode=mode, settings=settings, handle=handle or HandleSettings())
            folder = identity(location)
            # a folder that was deleted and made again may have the number of the old one, but not its uuid
            key = None if folder is None else (folder, backend.registry.uuid, backend.writable)
            found = self._by_key.get(key)
            if found is None:
                found = _Shared(Engine.open(backend, stored, handle or HandleSettings()), key)
                if key is not None:
                    self._by_key[key] = found
                return found
            found.leases += 1  # at once: a forgotten lease may be collected at any moment, and must not be the last one
        backend.close()
        if handle is not None and handle != found.engine.handle:
            self.release(found)
            raise InvalidInput(f"{backend.name!r} is open in this process with other handle settings; close that handle first")
        return found

    def release(self, shared: _Shared) -> None:
        """Give one lease back."""
        with self._mutex:
            shared.leases -= 1
            if shared.leases:
                return
            self._by_key.pop(shared.key, None)
        shared.engine.close()


_opened = _Opened()
