"""One committed state of a database, to be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from types import TracebackType

from sopnb import display, sql
from sopnb.access.lease import Lease
from sopnb.access.ways import Past, store_of
from sopnb.engine.state import State
from sopnb.errors import Closed
from sopnb.history import EPOCH
from sopnb.sql import Parameters, Result
from sopnb.store import Store


class Snapshot:
    """A database as it was after one commit. Made by ``db.at``; close it, or use it with ``with``.

    What it reads stays readable until it is closed, however much is written and folded meanwhile; so do not forget one: ``db.info()``
    lists under "readers" the commits that are kept for snapshots. With ``mode="r"`` nothing is kept for it, and reading may end in
    ``SnapshotGone``.

    >>> import sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.create("planes", schema={"tailnum": "string"}, index="tailnum")
    >>> db.tag("empty")
    >>> planes.insert({"tailnum": "N1"}).inserted
    1
    >>> with db.at(tag="empty") as old:
    ...     print(len(old["planes"]), len(planes), old.seq)
    0 1 1
    """

    def __init__(self, lease: Lease, state: State) -> None:
        self._lease = lease
        self._kept: State | None = state

    @property
    def _state(self) -> State:
        if self._kept is None:
            raise Closed("this snapshot is closed; make another one with db.at()")
        return self._kept

    @property
    def seq(self) -> int:
        """The commit after which the database was so."""
        return self._state.seq

    @property
    def time(self) -> datetime:
        """When that commit was made, in UTC."""
        return EPOCH + timedelta(microseconds=self._state.time)

    def __getitem__(self, name: str) -> Store:
        """Return a store as it was. Raises ``StoreNotFound``."""
        store_of(self._state, name)
        return Store(Past(self._lease, lambda: self._state, name))

    def __contains__(self, name: object) -> bool:
        return name in self._state.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.stores())

    def stores(self) -> tuple[str, ...]:
        """Return the names of the stores there were."""
        return tuple(sorted(self._state.names))

    def sql(self, query: str, params: Parameters | None = None, *, push_down: bool = True) -> Result:
        """Return the result of a query in SQL over the stores as they were; see ``Database.sql``."""
        return sql.run(query, params, self.stores(), lambda name: self[name].range(), push_down=push_down)

    def close(self) -> None:
        """Let go of the state. Harmless to repeat."""
        self._kept = None

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _panel(self) -> display.Panel:
        state = self._state
        return display.database_panel(state.seq, {name: (store.rows, store.schema) for name, store in state.stores.items()}, state.tags)

    def __repr__(self) -> str:
        return "Snapshot, closed" if self._kept is None else display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)
