"""What changes the shape of stores that are in use: only behind an explicit unlock, which the commit tells of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from sopnb.access.altering import Alteration, asked
from sopnb.access.lease import Lease
from sopnb.access.progress import Progress
from sopnb.access.ways import store_of
from sopnb.engine.projection import Projection
from sopnb.engine.state import State, StoreState
from sopnb.errors import InvalidInput, InvalidState
from sopnb.index import IndexSpecification


class Admin:
    """Changes the schema or the key of stores, while others read and write them. Made by ``db.unlock(reason)``, good within its ``with``.

    Nothing is ever relabelled: what is changed is built anew beside the old, kept up with by every commit meanwhile, read through and
    counted, and takes the place of the old in one commit, which holds ``reason``. Readers keep the state that they have; transactions that
    wrote to the store and were not committed yet are in conflict and run again. An error, an interrupt or a killed process leaves the
    store as it was.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182], "old": [1, 2]}), index="tailnum")
    >>> with db.unlock("seats first, for the report") as admin:
    ...     admin.alter("planes", add={"note": "string"}, drop="old", rename={"seats": "places"}, index=["-places", "tailnum"])
    >>> planes[:].head(1).to_dict("records")
    [{'tailnum': 'N3', 'places': 182, 'note': nan}]
    """

    def __init__(self, lease: Lease, reason: str, author: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidInput("unlock() needs the reason in words; the commit will hold it")
        self._lease, self._reason, self._author = lease, reason.strip(), author
        self._open = False

    def alter(
        self,
        store: str,
        *,
        add: Mapping[str, Any] | None = None,
        drop: str | Iterable[str] = (),
        rename: Mapping[str, str] | None = None,
        types: Mapping[str, Any] | None = None,
        index: str | Sequence[str] | IndexSpecification | None = None,
    ) -> None:
        """Give a store other columns, wider types or another key, and return when it has them.

        ``add`` has new columns: a type word, or (type word, the value of the records that are there); ``drop`` names columns, ``rename``
        maps old names to new ones, ``types`` maps (new) names to types that hold every value of the old ones; ``index`` is another key, of
        new names. Secondary indexes are kept, under the new names. It takes the time of a load, and as much disk as the store meanwhile.

        Raises ``InvalidInput`` or ``SchemaMismatch`` naming the column and the remedy, ``DuplicateKey`` if the new key is to be unique and
        is not, ``InvalidState`` outside of the ``with`` or while the store is being altered already, ``StoreNotFound``, ``ReadOnly``.
        """
        if not self._open:
            raise InvalidState("the unlock is over; use it within with db.unlock(reason) as admin")
        if index is not None and not isinstance(index, IndexSpecification):
            index = IndexSpecification.of(*([index] if isinstance(index, str) else index))
        change = asked(add, drop, rename, types, index)
        engine = self._lease.use(store)
        engine.upkeep.progress = Progress(engine.handle, engine.clock).bar
        source = store_of(engine.state(), store).id
        owner = engine.backend.pins.owner
        message = f"alter {store}: {change.told}; unlocked: {self._reason}"
        engine.builder.succeed(source, lambda at, state: _successor(at, state, change, owner, store), change.index_for, author=self._author,
                               message=message)  # fmt: skip

    def __enter__(self) -> Admin:
        self._lease.use()
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open = False

    def __repr__(self) -> str:
        return f"Admin, {'unlocked' if self._open else 'locked'}: {self._reason}"


def _successor(source: StoreState, state: State, change: Alteration, owner: str, name: str) -> Projection:
    indexes = {each: index.how for each, index in state.indexes(source.id).items()}
    unfinished = [each for each, index in indexes.items() if not index.ready]
    if unfinished:
        raise InvalidState(f"store {name!r}: the index {unfinished[0]!r} is being built; wait until that is done")
    specifications = {each: index.specification for each, index in indexes.items()}
    schema, columns = change.of(source.schema, specifications, store=name)
    fields = len(schema.specification.fields)
    return Projection(source.id, "", "successor", schema, columns, schema.unique, fields, owner)
