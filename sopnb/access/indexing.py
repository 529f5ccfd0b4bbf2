"""Creating and dropping the secondary indexes of a store."""

from __future__ import annotations

from sopnb.access.names import checked_name
from sopnb.access.progress import Progress
from sopnb.access.ways import Access, store_of
from sopnb.engine.engine import Engine
from sopnb.engine.projection import Projection, index_of
from sopnb.engine.state import State, StoreState
from sopnb.errors import Conflict, IndexNotFound, InvalidInput
from sopnb.index import IndexSpecification


def create(access: Access, name: str, wanted: IndexSpecification, *, message: str = "") -> None:
    """Create a secondary index and return when it may be read."""
    engine = access.alone()
    checked_name(name, "index")
    engine.upkeep.progress = Progress(engine.handle, engine.clock).bar
    source = store_of(engine.state(), access.name).id

    def make(store: StoreState, state: State) -> Projection:
        if name in state.indexes(store.id):
            built = "" if state.indexes(store.id)[name].how.ready else ", which is being built"
            raise InvalidInput(f"store {access.name!r} has an index {name!r} already{built}; drop it or choose another name")
        return index_of(store.id, name, store.schema, wanted, engine.backend.pins.owner, store=access.name)

    engine.builder.build(source, make, message=message)


def drop(access: Access, name: str, *, message: str = "") -> None:
    """Drop a secondary index."""
    engine = access.alone()
    while True:
        index = _found(engine, access.name, name)
        try:
            engine.upkeep.end_projection(index, message=message)
        except Conflict:
            continue
        return


def _found(engine: Engine, store: str, name: str) -> StoreState:
    state = engine.state()
    indexes = state.indexes(store_of(state, store).id)
    if name not in indexes:
        raise IndexNotFound(store, name, tuple(sorted(indexes)))
    return indexes[name]
