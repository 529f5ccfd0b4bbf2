"""What one message sees: one committed state, with the pending changes over it where there are any."""

from __future__ import annotations

from dataclasses import dataclass

from sopnb.access.lease import Lease
from sopnb.access.reading import Reading, unnoted
from sopnb.access.ways import Access, Past, Within, store_of
from sopnb.engine.projection import Projection
from sopnb.engine.state import State, StoreState
from sopnb.engine.work import Work
from sopnb.schema import Schema
from sopnb.view.columns import Columns


@dataclass(frozen=True)
class Sight:
    """A state, and the transaction on it that shows the pending changes; None while there are none."""

    lease: Lease
    state: State
    work: Work | None = None

    @property
    def seq(self) -> int:
        """The commit that is seen."""
        return self.state.seq

    def access(self, store: str) -> Access:
        """Return the way to a store. Raises ``StoreNotFound``."""
        store_of(self.state, store)
        return Past(self.lease, lambda: self.state, store) if self.work is None else Within(self.lease, self.work, store)

    def reading(self, store: str, order: str = "") -> Reading:
        """Return a store in the order of its key, or of an index. Raises ``StoreNotFound``, ``IndexNotFound``."""
        access = self.access(store)
        return unnoted(access.indexed(order) if order else access.reading())

    def store(self, name: str) -> StoreState:
        """Return a store as it was committed. Raises ``StoreNotFound``."""
        return store_of(self.state, name)

    def schema(self, store: str) -> Schema:
        """Return the schema of a store."""
        return self.store(store).schema

    def columns(self, store: str) -> Columns:
        """Return the columns of a store."""
        return Columns.of(self.schema(store))

    def indexes(self, store: str) -> dict[str, Projection]:
        """Return the secondary indexes of a store that may be read, by name."""
        return {name: each.how for name, each in self.state.readable(self.store(store).id).items()}
