"""Stores of any key, with a base, runs, a tail and deletions, beside what plain Python says they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import Any

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st

import sopnb
from sopnb import DatabaseSettings, HandleSettings, IndexField, IndexSpecification

SMALL = DatabaseSettings(leaf_rows=4, leaf_bytes=512, branch_bytes=512, inline_rows=3, run_limit=64)
"""Few rows make several leaves, and a write of four rows is a run of its own."""
QUIET = HandleSettings(maintenance="off", progress=False)
BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
MOST_DATABASES = 1000
"""Examples of a test that makes a whole database for each, which takes 70 ms of a processor: a minute in the long sweeps."""


def databases() -> settings:
    """Return how many examples such a test draws. To be called where the test is made, after the profile was chosen."""
    return settings(max_examples=min(settings().max_examples, MOST_DATABASES))


KINDS: dict[str, tuple[Any, Any]] = {
    "int": (pa.int64(), st.integers(-3, 3)),
    "text": (pa.string(), st.sampled_from(["", "a", "ab", "b", "a\0", "é"])),
    "float": (pa.float64(), st.sampled_from([-1.5, -0.0, 0.0, 2.5, float("inf")])),
    "time": (pa.timestamp("us", "UTC"), st.integers(0, 3).map(lambda h: BEGIN + timedelta(hours=h))),
    "bool": (pa.bool_(), st.booleans()),
}


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    descending: bool
    nullable: bool
    nulls_first: bool

    @property
    def values(self) -> Any:
        values = KINDS[self.kind][1]
        return st.none() | values if self.nullable else values


@dataclass(frozen=True)
class Shape:
    fields: tuple[Field, ...]
    unique: bool

    @property
    def keys(self) -> Any:
        return st.tuples(*(field.values for field in self.fields))

    @property
    def schema(self) -> Any:
        columns = [pa.field(f.name, KINDS[f.kind][0], nullable=f.nullable) for f in self.fields]
        return pa.schema([*columns, pa.field("value", pa.int64()), pa.field("note", pa.string())])

    @property
    def index(self) -> IndexSpecification:
        fields = [IndexField(f.name, f.descending, "first" if f.nulls_first else "last") for f in self.fields]
        return IndexSpecification(tuple(fields), self.unique)

    def compare(self, key: Sequence[Any], bound: Sequence[Any]) -> int:
        """Say where a key stands to a bound that may be shorter: 0 if it begins with it."""
        for field, a, b in zip(self.fields, key, bound, strict=False):
            sign = _compared(field, a, b)
            if sign:
                return sign
        return 0

    def ordered(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(rows, key=cmp_to_key(lambda a, b: self.compare(self.key(a), self.key(b)) or _sign(a["_id"], b["_id"])))

    def key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[field.name] for field in self.fields)


def _compared(field: Field, a: Any, b: Any) -> int:
    if a is None or b is None:
        return 0 if a is b else -1 if (a is None) == field.nulls_first else 1
    return -_sign(a, b) if field.descending else _sign(a, b)


def _sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


@st.composite
def shapes(draw: Any) -> Shape:
    fields = []
    for name in "xyz"[: draw(st.integers(1, 3))]:
        kind = draw(st.sampled_from(list(KINDS)))
        fields.append(Field(name, kind, draw(st.booleans()), draw(st.booleans()), draw(st.booleans())))
    return Shape(tuple(fields), draw(st.sampled_from([True, True, False])))


@st.composite
def worlds(draw: Any) -> World:
    """Draw a store that was written in several ways."""
    shape = draw(shapes())
    world = World(shape)
    world.load(draw(st.lists(shape.keys, max_size=40)))
    if draw(st.booleans()):
        world.db.fold()
    for _ in range(draw(st.integers(0, 3))):
        world.write(draw(st.lists(shape.keys, max_size=12)))
        world.delete(draw(st.lists(st.integers(0, 10**6), max_size=6)))
    for key in draw(st.lists(shape.keys, max_size=3)):
        world.write([key])
    return world


class World:
    """A store ``things`` in memory, and its records as a list of dicts with ``_id`` (empty where keys are unique)."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
        self.store = self.db.create("things", schema=shape.schema, index=shape.index)
        self.rows: list[dict[str, Any]] = []
        self._value = 0

    def load(self, keys: list[tuple[Any, ...]]) -> None:
        self.write(keys, bulk=True)

    def write(self, keys: list[tuple[Any, ...]], *, bulk: bool = False) -> None:
        names = [field.name for field in self.shape.fields]
        fresh = []
        for key in keys if not self.shape.unique else _each_once(keys):
            self._value += 1
            note = None if self._value % 3 == 0 else f"n{self._value % 2}"
            fresh.append({**dict(zip(names, key, strict=True)), "value": self._value, "note": note})
        if not fresh:
            return
        data: Any = fresh if len(fresh) < 5 and not bulk else pa.Table.from_pylist(fresh, schema=self.shape.schema)
        if self.shape.unique:
            self.store.upsert(data)
            kept = [row for row in self.rows if not any(_same(self.shape.key(row), self.shape.key(new)) for new in fresh)]
            self.rows = kept + [{**row, "_id": b""} for row in fresh]
        else:
            self.store.insert(data)
            self._refresh(fresh)

    def _refresh(self, fresh: list[dict[str, Any]]) -> None:
        """Learn the ids of new records: they are new, and ascend in the order in which the records were given."""
        known = {row["_id"] for row in self.rows}
        found = {row["value"]: row["_id"] for row in self.store.select("value", "_id").to_dicts() if row["_id"] not in known}
        assert len(found) == len(fresh)
        self.rows += [{**row, "_id": found[row["value"]]} for row in fresh]
        ids = [found[row["value"]] for row in fresh]
        assert ids == sorted(ids)

    def delete(self, places: list[int]) -> None:
        gone = {place % len(self.rows) for place in places} if self.rows else set()
        keys = [self.full_key(self.rows[place]) for place in gone]
        if keys:
            assert self.store.delete(keys).deleted == len(gone)
        self.rows = [row for place, row in enumerate(self.rows) if place not in gone]

    def full_key(self, row: dict[str, Any]) -> Any:
        key = self.shape.key(row)
        return key if self.shape.unique and len(key) > 1 else key[0] if self.shape.unique else (*key, row["_id"])

    @property
    def ordered(self) -> list[dict[str, Any]]:
        """The records in index order."""
        return self.shape.ordered(self.rows)


def _each_once(keys: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [key for i, key in enumerate(keys) if not any(_same(key, other) for other in keys[:i])]


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return all((x is None and y is None) or (x is not None and y is not None and x == y) for x, y in zip(a, b, strict=True))
