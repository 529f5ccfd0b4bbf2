"""What the unique projections of a store do not allow.

Every new key of one is read as a range, so that of two transactions which give the same one the second is refused, whoever they are.
A write is judged by what it leaves: rows may exchange what is unique. Where it is to be reported which rows are refused, a refused row
stays as it was, and so keeps its place in every index; who was to have that place is refused too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from sopnb.engine.entries import Entries, concatenated
from sopnb.engine.layer import Layer
from sopnb.engine.layers import Found, Stack
from sopnb.engine.merge import loaded, merged
from sopnb.engine.projection import Projection
from sopnb.engine.record import PUT
from sopnb.engine.storework import StoreWork
from sopnb.errors import DuplicateKey
from sopnb.fields import one_array
from sopnb.index import IndexSpecification, KeyCodec, Keys, successor

SPARSE = 50
"""New keys of a unique index are looked up one by one if there are so many times as many rows, else the rows are read."""


def is_guarded(child: StoreWork) -> bool:
    """Say whether a projection allows no two rows to be alike; while it is being built that cannot be known."""
    return child.base.how.unique and child.base.how.attached


def check_unique(child: StoreWork) -> None:
    """Raise ``DuplicateKey`` naming the index and the key if the drafts of a projection give a key that another row has.

    While a projection is being built it cannot be known; whoever builds it finds out in the end.
    """
    if not is_guarded(child) or not child.operations:
        return
    if child.base.how.role == "index":
        for fields, _ in _shared(child):
            raise duplicate_of(_source_name(child), child.base.how, fields[0])
        return
    for new in _new(child):
        keys = new.keys(child.schema)
        child.claims.many(keys)
        there = child.base.stack.find(keys).there
        if there.any():
            told = child.told(keys[int(np.argmax(there))])
            raise DuplicateKey(child.name, told, reason="is there in the key that the store is getting")


def _new(child: StoreWork) -> Iterator[Entries]:
    """Yield the rows that the drafts of a projection bring."""
    for part in merged(child.drafts(), child.schema):
        entries = loaded(part)
        new = entries.take(np.flatnonzero((entries.ops == PUT) & (entries.deltas > 0)))
        if len(new):
            yield new


def _shared(child: StoreWork) -> Iterator[tuple[Keys, Entries]]:
    """Yield the rows of an index of which another one has the same leading fields, those of new rows; see ``alike``."""
    projection, stack, columns = child.base.how, child.stack, child.schema.stored_key_names
    for new in _new(child):
        prefixes = leading(projection, new.batch)
        if len(prefixes) * SPARSE < stack.rows or len(prefixes) == 1:
            for prefix in dict.fromkeys(prefixes.tolist()):
                hi = successor(prefix)
                child.claims.range(prefix, hi)
                if stack.count(prefix, hi) > 1:
                    yield from alike(stack.scan(prefix, hi, columns=columns), projection)
        else:
            lo, hi = prefixes[0], successor(prefixes[len(prefixes) - 1])
            child.claims.range(lo, hi)
            yield from alike(stack.scan(lo, hi, columns=columns), projection)


def alike(parts: Iterable[Entries], projection: Projection) -> Iterator[tuple[Keys, Entries]]:
    """Yield the rows of an index that share their leading fields with another, and those fields; the parts come in key order."""
    last: Entries | None = None
    told = False
    for part in parts:
        rows = part if last is None else concatenated([last, part])
        prefixes = leading(projection, rows.batch)
        again = prefixes.slice(1, len(prefixes)).equal(prefixes.slice(0, len(prefixes) - 1))
        shared = np.append(again, False) | np.insert(again, 0, False)
        shared[0] &= not told  # the last one of the part before
        told = bool(shared[-1])
        if shared.any():
            where = np.flatnonzero(shared)
            yield prefixes.take(where), rows.take(where)
        last = rows.slice(len(rows) - 1, len(rows))


def leading(projection: Projection, batch: Any) -> Keys:
    """Return the encoded leading fields of rows of an index, those that were asked for, in the order of the rows."""
    codec = _leading_codec(projection)
    names = codec.specification.names
    return codec.encode_columns([one_array(batch.column(batch.schema.get_field_index(name))) for name in names])


def _leading_codec(projection: Projection) -> KeyCodec:
    """Return what encodes the leading fields of an index."""
    schema = projection.schema
    found: KeyCodec | None = schema.memo.get("leading")
    if found is None:
        specification = IndexSpecification(schema.specification.fields[: projection.fields])
        fields = [pa.field(n, schema.physical.field(n).type, nullable=schema.field(n).nullable) for n in specification.names]
        found = schema.memo["leading"] = KeyCodec(specification, pa.schema(fields))
    return found


def duplicate_of(store: str, projection: Projection, prefix: bytes) -> DuplicateKey:
    """Return the error for leading fields that two rows of an index have."""
    return DuplicateKey(store, _told(projection, prefix), reason=_reason(projection))


def _reason(projection: Projection) -> str:
    return f"is there already in the unique index {projection.name!r}"


def _told(projection: Projection, prefix: bytes) -> object:
    """Return encoded leading fields as people know them."""
    return projection.schema.public_key(_leading_codec(projection).decode(prefix))


def _source_name(child: StoreWork) -> str:
    return child.name.removesuffix(f"/{child.base.how.name}")


# -- row by row ---------------------------------------------------------------------------------------------------------------


def refusals(source: StoreWork, before: Stack, write: Sequence[Layer], indexes: Sequence[StoreWork]) -> dict[bytes, str]:
    """Return the rows of the newest layers that unique indexes do not allow, by key, and why; ``before`` is how the store was before.

    Who has a place already keeps it; of several rows that are to get it the first by key does. A row is refused only if another one has
    its place in the end.
    """
    return _Judgement(source, before, write, indexes).refusals()


class _Places(NamedTuple):
    """What a row has and is to have in each index; a new row has nothing."""

    old: tuple[bytes, ...] | None
    new: tuple[bytes, ...]


class _Judgement:
    """Who of the rows of a write gets its places. A place is (the number of an index, leading fields)."""

    def __init__(self, source: StoreWork, before: Stack, write: Sequence[Layer], indexes: Sequence[StoreWork]) -> None:
        self._schema, self._before, self._indexes = source.schema, before, indexes
        self._write = Stack(write, source.schema, source.work.room.reader.far)
        self._rows: dict[bytes, _Places | None] = {}
        """Those that were looked at, by key; None for one that is not written."""
        self._owners: dict[tuple[int, bytes], bytes | None] = {}
        """Who has a place in the end, as far as it was asked; None: nobody."""
        self._refused: dict[bytes, tuple[int, bytes]] = {}

    def refusals(self) -> dict[bytes, str]:
        """Return the rows that are refused, and why."""
        for at, child in enumerate(self._indexes):
            rows = [
                (fields, key)
                for prefixes, entries in _shared(child)
                for fields, key in zip(prefixes.tolist(), self._keys(entries), strict=True)
            ]
            self._look_at([key for _, key in rows])
            for fields, members in groupby(rows, itemgetter(0)):
                self._give((at, fields), [key for _, key in members])
        self._admit()
        return {key: self._reason(*place) for key, place in self._refused.items()}

    def _reason(self, at: int, fields: bytes) -> str:
        projection = self._indexes[at].base.how
        return f"{_told(projection, fields)!r} {_reason(projection)}"

    def _keys(self, entries: Entries) -> list[bytes]:
        """Return the keys of the store's rows for rows of an index."""
        return self._schema.keys(entries.batch).tolist()

    def _look_at(self, keys: Iterable[bytes]) -> None:
        fresh = sorted({key for key in keys if key not in self._rows})
        if not fresh:
            return
        self._rows.update(dict.fromkeys(fresh))
        there = self._write.find(Keys.of(fresh))
        written = [fresh[i] for i in np.flatnonzero(there.there)]
        if not written:
            return
        old = self._before.find(Keys.of(written))
        had = iter(self._places(old))
        for key, new, was in zip(written, self._places(there), old.there.tolist(), strict=True):
            self._rows[key] = _Places(next(had) if was else None, new)

    def _places(self, found: Found) -> list[tuple[bytes, ...]]:
        """Return what the rows that were found have in each index."""
        columns = []
        for child in self._indexes:
            projection = child.base.how
            wanted = tuple(dict.fromkeys((*projection.sources, *self._schema.stored_key_names)))
            batch = found.fetch(self._schema, wanted)
            columns.append(leading(projection, projection.batch(batch, self._schema)).tolist() if batch.num_rows else [])
        return list(zip(*columns, strict=True))

    def _comes(self, key: bytes, at: int) -> bool:
        """Say whether the write brings a row to its place in an index, which it has not already."""
        places = self._rows[key]
        return places is not None and (places.old is None or places.old[at] != places.new[at])

    def _give(self, place: tuple[int, bytes], members: Sequence[bytes]) -> None:
        """Give a place to one of those that would have it, if nobody has got it back, and refuse it to the others."""
        at = place[0]
        left = sorted((key for key in members if key not in self._refused), key=lambda key: self._comes(key, at))
        if left and self._owners.get(place) is None:
            self._owners[place] = left.pop(0)
        for key in left:
            if self._comes(key, at):
                self._refuse(key, place)

    def _refuse(self, key: bytes, place: tuple[int, bytes]) -> None:
        """Refuse a row, and whoever was to have the places that it keeps."""
        waiting = [(key, place)]
        while waiting:
            key, place = waiting.pop()
            row = self._rows[key]
            if key in self._refused or row is None:
                continue
            self._refused[key] = place
            for new in enumerate(row.new):
                if self._owners.get(new, key) == key:
                    self._owners[new] = None
            for back in enumerate(row.old or ()):
                self._owners[back] = key
                if self._comes(key, back[0]):
                    others = self._members(*back)
                    self._look_at(others)
                    waiting += [(other, back) for other in others if other != key and self._comes(other, back[0])]

    def _members(self, at: int, fields: bytes) -> list[bytes]:
        """Return the rows that would have a place if none were refused."""
        child = self._indexes[at]
        parts = child.stack.scan(fields, successor(fields), columns=child.schema.stored_key_names)
        return [key for part in parts for key in self._keys(part)]

    def _admit(self) -> None:
        """Admit rows whose places nobody has after all: those who were to have them were refused for others."""
        wanting: dict[tuple[int, bytes], list[bytes]] = {}
        for key in sorted(self._refused):
            for place in enumerate(self._new(key)):
                wanting.setdefault(place, []).append(key)
        waiting = deque(sorted(self._refused))
        while waiting:
            key = waiting.popleft()
            if key not in self._refused:
                continue
            taken = next((place for place in enumerate(self._new(key)) if self._owners[place] not in (None, key)), None)
            if taken is not None:
                self._refused[key] = taken
                continue
            del self._refused[key]
            row = self._rows[key]
            for back in enumerate((row and row.old) or ()):
                self._owners[back] = None
                waiting += wanting.get(back, ())
            self._owners |= dict.fromkeys(enumerate(self._new(key)), key)

    def _new(self, key: bytes) -> tuple[bytes, ...]:
        row = self._rows[key]
        return () if row is None else row.new
