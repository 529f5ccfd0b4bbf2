"""Engines over one database in memory, as if each were a process of its own, and a few words to write with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from sopnb.engine import fold
from sopnb.engine.check import Report
from sopnb.engine.engine import Engine
from sopnb.engine.fold import Plan
from sopnb.engine.layers import Stack
from sopnb.engine.record import Payload
from sopnb.engine.state import State, StoreState
from sopnb.engine.storework import StoreWork
from sopnb.engine.tree import Tree
from sopnb.index import IndexSpecification, Keys
from sopnb.protocols import Backend, Pin, Reserved
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.memory import MemoryBlobs, MemoryRegistry
from sopnb.testing.clock import ManualClock

SECOND = 1_000_000
"""In microseconds, as commits are stamped."""
TINY = {"leaf_bytes": 256, "leaf_rows": 4, "branch_bytes": 200, "value_bytes": 48}
"""Settings of the database under which a few dozen rows make a tree of several levels."""
PLAIN = Schema.of({"k": "int64", "v": "string"}, IndexSpecification.of("k"))
Row = tuple[Any, ...]
Model = dict[int, str]


class SharedPins:
    """The pins of one engine among those of others; ``kill`` is what the system does when a process dies."""

    def __init__(self, owner: str, table: dict[str, int], reserved: dict[str, tuple[Reserved, ...]]) -> None:
        self._owner, self._table, self._reserved = owner, table, reserved

    @property
    def owner(self) -> str:
        return self._owner

    def pin(self, seq: int) -> None:
        self._table[self._owner] = seq

    def advance(self, seq: int) -> None:
        self._table[self._owner] = max(self._table.get(self._owner, 0), seq)

    def held(self) -> Sequence[Pin]:
        return [Pin(owner, seq, self._reserved.get(owner, ())) for owner, seq in sorted(self._table.items())]

    def reserve(self, reserved: Sequence[Reserved]) -> None:
        self._reserved[self._owner] = tuple(reserved)

    def alive(self, owner: str) -> bool:
        return owner in self._table

    def close(self) -> None:
        self._table.pop(self._owner, None)
        self._reserved.pop(self._owner, None)

    kill = close


class Cluster:
    """One database in memory and the engines that were opened on it. ``registry`` and ``blobs`` may be wrapped before ``open``."""

    def __init__(self, **settings: Any) -> None:
        self.settings = DatabaseSettings(**settings)
        self.clock = ManualClock()
        self.memory = MemoryRegistry(self.clock)
        self.store = MemoryBlobs()
        self.registry: Any = self.memory
        self.blobs: Any = self.store
        self.pins: dict[str, int] = {}
        self.reserved: dict[str, tuple[Reserved, ...]] = {}
        self.engines: list[Engine] = []
        self.damaged = False
        """Set by a test that breaks the database on purpose."""

    def open(self, *, maintenance: str = "off", writable: bool = True, settings: Mapping[str, Any] | None = None, **handle: Any) -> Engine:
        """Open an engine of its own; ``settings`` change those of the database for it."""
        pins = SharedPins(self.clock.new_id(8).hex(), self.pins, self.reserved)
        backend = Backend(self.registry, self.blobs, pins, self.clock, ":memory:", writable)
        used = DatabaseSettings(**{**_fields(self.settings), **(settings or {})})
        engine = Engine.open(backend, used, HandleSettings(maintenance=maintenance, **handle))
        self.engines.append(engine)
        return engine

    def kill(self, engine: Engine) -> None:
        """Let the process of an engine die: its pin is gone and nothing more is heard of it."""
        engine.backend.pins.close()
        self.engines.remove(engine)

    def check(self) -> Report:
        """Read everything that the newest state names, by an engine that knows nothing yet."""
        return self.open().check()

    def verify(self) -> None:
        """Fail if anything is wrong with the database, or with the maintenance of an engine."""
        for engine in self.engines:
            engine.maintenance.close()
            assert engine.maintenance.trouble is None, engine.maintenance.trouble
        if not self.damaged:
            report = self.check()
            assert report.ok, repr(report)


def _fields(settings: DatabaseSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__slots__}


# -- writing ------------------------------------------------------------------------------------------------------------------


def create(engine: Engine, name: str = "s", schema: Schema = PLAIN) -> int:
    """Create a store in a commit of its own; return the seq."""
    work = engine.begin()
    work.create(name, schema)
    return engine.commit(work)


def table(schema: Schema, rows: Iterable[Row]) -> pa.Table:
    """Return rows of storage values as a table of physical columns."""
    return pa.Table.from_batches([schema.batch(list(rows))])


def rows_of(model: Mapping[int, str]) -> list[Row]:
    """Return the records of a plain store."""
    return [(k, v) for k, v in sorted(model.items())]


def key(k: int) -> bytes:
    """Return the encoded key of a plain store."""
    return PLAIN.encode_key((k,))


def keys(numbers: Iterable[int]) -> Keys:
    """Return encoded keys of a plain store, ascending."""
    return Keys.of([key(k) for k in sorted(set(numbers))])


def change(store: StoreWork, changes: Mapping[int, str | None]) -> None:
    """Put single records, or delete those that are None."""
    for k, v in changes.items():
        if v is None:
            store.delete(keys([k]))
        else:
            store.put("upsert", (k, v))


def load(store: StoreWork, changes: Mapping[int, str | None]) -> None:
    """The same by one bulk write of each kind."""
    put = {k: v for k, v in changes.items() if v is not None}
    if put:
        store.write("upsert", table(PLAIN, rows_of(put)))
    if len(gone := [k for k, v in changes.items() if v is None]):
        store.delete(keys(gone))


def commit(engine: Engine, changes: Mapping[int, str | None], name: str = "s", *, bulk: bool = False) -> int:
    """Make changes in a commit of their own; return the seq."""
    work = engine.begin()
    (load if bulk else change)(work.store(name), changes)
    return engine.commit(work)


def upkeep(engine: Engine, plan: Plan) -> None:
    """Carry a plan out as ``Upkeep`` does, with nothing to catch."""
    state = engine.state()
    parts = fold.folded(plan, engine.reader, engine.settings, state.live, lambda done: None)
    ref = engine.write_tree(plan.store.schema, parts)
    engine.append(Payload(folds=[fold.record_of(plan, ref)]), plan.store.seq, fold.validation(plan))


def plan(store: StoreState, start: int, stop: int) -> Plan:
    """Return the plan that makes one of the layers ``start`` to ``stop`` (excluded), counted from the oldest."""
    return Plan(store, store.parts[start:stop], bottom=start == 0)


def whole_plan(engine: Engine, name: str = "s") -> Plan | None:
    """Return the plan that makes one layer of a store; None if it is one already."""
    state = engine.state()
    return fold.whole(state.stores[name], state.live)


# -- reading ------------------------------------------------------------------------------------------------------------------


def store_of(engine: Engine, name: str = "s") -> StoreState:
    """Return the newest state of a store."""
    return engine.state().stores[name]


def stack_of(engine: Engine, name: str = "s") -> Stack:
    """Return a store as one order."""
    return store_of(engine, name).stack


def scanned(stack: Stack, *args: Any, **kwargs: Any) -> list[Row]:
    """Return the rows of a scan in the order in which they come."""
    return list(_rows(stack, stack.scan(*args, **kwargs), reverse=kwargs.get("reverse", False)))


def _rows(stack: Stack, parts: Iterable[Any], *, reverse: bool) -> Iterator[Row]:
    for part in parts:
        rows = part.batch.to_pylist()
        yield from (tuple(row.values()) for row in (reversed(rows) if reverse else rows))


def contents(engine: Engine, name: str = "s") -> Model:
    """Return a plain store as a dict, in key order."""
    return contents_at(engine.state(), name)


def contents_at(state: State, name: str = "s") -> Model:
    """Return a plain store of some state as a dict, in key order."""
    return dict(scanned(state.stores[name].stack))  # type: ignore[arg-type]


def tree_of(engine: Engine, at: int = 0, name: str = "s") -> Tree:
    """Return one of the trees of a store, counted from the oldest."""
    return store_of(engine, name).trees[at]
