"""What a view is of: a database, a store or a selection, and what of it is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sopnb.access.keyrange import KeyRange
from sopnb.access.lease import Lease
from sopnb.access.scan import Scan
from sopnb.access.ways import ByIndex, Live, Past, Within
from sopnb.database import Database
from sopnb.engine.state import State
from sopnb.errors import InvalidInput, InvalidState
from sopnb.selection import Selection
from sopnb.snapshot import Snapshot
from sopnb.store import Store


@dataclass(frozen=True)
class Fixed:
    """What a selection gives: the scan of one store, in the order of its key or of the index ``order``, and columns."""

    order: str
    scan: Scan
    columns: tuple[str, ...] | None

    @property
    def ranged(self) -> bool:
        """Whether it is a range of keys, which has one order only."""
        return self.scan.keys != KeyRange()


@dataclass(frozen=True)
class Target:
    """What is looked at: all stores of a database, or the ``store`` of this name; of the ``past``, or as it changes."""

    lease: Lease
    title: str
    store: str | None = None
    fixed: Fixed | None = None
    past: Past | Snapshot | None = None

    @classmethod
    def of(cls, target: Any) -> Target:
        """Return what to look at, for None an empty database of its own.

        Raises ``InvalidInput`` for anything else, ``InvalidState`` for a part of a transaction.
        """
        if target is None:
            return cls(Lease.of(":memory:"), "")
        if isinstance(target, Database):
            return cls(target._lease, target.name)
        if isinstance(target, Snapshot):
            return cls(target._lease, f"commit {target.seq}", past=target)
        if not isinstance(target, Store | Selection):
            raise InvalidInput(f"a database, a store or a selection can be looked at, not {type(target).__name__}")
        fixed, access = None, target._access
        if isinstance(target, Selection):
            fixed = Fixed(access.index if isinstance(access, ByIndex) else "", target._scan, target._columns)
        if isinstance(access, ByIndex):
            access = access._access
        if isinstance(access, Within):
            raise InvalidState(f"store {access.name!r} is looked at within a transaction; look at db[{access.name!r}] instead")
        if not isinstance(access, Live | Past):
            raise InvalidInput(f"store {access.name!r} cannot be looked at this way")
        return cls(access._lease, access.name, access.name, fixed, access if isinstance(access, Past) else None)

    @property
    def database(self) -> Database:
        """The database that it is of."""
        return Database(self.lease)

    def state(self) -> State:
        """Return what there is to see now. Raises ``Closed``."""
        if self.past is None:
            return self.lease.engine.state()
        if isinstance(self.past, Snapshot):
            self.lease.engine  # noqa: B018  raises if it is closed
            return self.past._state
        return self.past.store()[0]
