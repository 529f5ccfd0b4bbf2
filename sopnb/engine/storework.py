"""One store within a transaction: reads that are noted, and writes as layers of their own over the layers of the snapshot.

The drafts are a small tail for single operations and one sorted piece for each bulk write, in memory or, when large, in a blob written
ahead; so a transaction reads its own writes by the same code that reads everything else. Invariant: ``delta`` of every draft speaks of
the snapshot and the drafts before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from sopnb.engine import bulk
from sopnb.engine.branch import Extent
from sopnb.engine.builder import Named, Part
from sopnb.engine.bulk import Kind, OnError, Progress, unseen
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entries, Entry, concatenated
from sopnb.engine.far import bytes_by_blob, replaced
from sopnb.engine.layer import Layer, MemoryLayer
from sopnb.engine.layers import Found, Stack
from sopnb.engine.merge import loaded, merged
from sopnb.engine.prune import Prune
from sopnb.engine.reads import Reads
from sopnb.engine.record import DELETE, PUT, Operation
from sopnb.engine.same import same_row
from sopnb.engine.state import StoreState
from sopnb.engine.tail import Tail
from sopnb.engine.tree import Tree, TreeRef
from sopnb.errors import DuplicateKey, InvalidInput, KeyNotFound
from sopnb.index import Keys

if TYPE_CHECKING:
    from sopnb.engine.work import Work

MOST_PREVIOUS = 2000
"""Of so many keys at most it is kept which committed version they replace; of the others it is looked up where it is wanted."""
LONGEST_TAIL = 65_536
"""Single operations beyond this become a piece."""
DELETED = 16_384
"""Keys that are looked up and deleted at a time."""
MOST_DRAFTS = 64
"""Tables of one load that were written ahead beyond this are put together first."""
MOST_PIECES = 64
"""Pieces in memory beyond this are merged into a blob."""
_NONE, _INSERTED, _UPDATED, _UNCHANGED = Counts(), Counts(inserted=1), Counts(updated=1), Counts(unchanged=1)
_DELETED, _MISSING = Counts(deleted=1), Counts(missing=1)


class StoreWork:
    """One store within a transaction."""

    def __init__(self, work: Work, base: StoreState, *, created: bool = False) -> None:
        self.work, self.base, self.created = work, base, created
        self.id, self.name, self.schema = base.id, base.name, base.schema
        self.reads = Reads(noted=work.mode != "read")
        self.claims = Reads()
        """What must not be written by others whatever the mode: the keys of a unique index that were found free."""
        self.counts = _NONE
        self.named: set[str] = set()
        """Blobs in which drafts name values that stay where they are."""
        self._draft_seq = base.seq + 1
        self._pieces: list[Layer] = []
        self._tail = Tail(base.seq, self.schema, own=True)
        self._previous: dict[bytes, int] = {}
        self._stack: Stack | None = base.stack
        self._ids = 0
        self._random = b""
        self.version = 0
        """Grows with every write."""

    # -- reads ----------------------------------------------------------------------------------------------------------------

    @property
    def stack(self) -> Stack:
        """The snapshot and the drafts over it, as one order; reads of it are not noted."""
        if self._stack is None:
            self._stack = Stack((*self.base.parts, *self.drafts()), self.schema, self.work.room.reader.far)
        return self._stack

    def drafts(self) -> list[Layer]:
        """Return the draft layers, oldest first."""
        if not self._tail.operations:
            return list(self._pieces)
        return [*self._pieces, self._tail.view(self._draft_seq, self._tail.total)]

    @property
    def rows(self) -> int:
        """How many records there are."""
        self.reads.range(b"", None)
        return self.stack.rows

    def get(self, key: bytes) -> Entry | None:
        """Return the newest version of a record, or None."""
        self.reads.point(key)
        return self._get(key)

    def _get(self, key: bytes) -> Entry | None:
        if self._tail.operations:
            versions = self._tail.versions().get(key)
            if versions is not None:
                return None if versions[-1].op == DELETE else versions[-1]
        for piece in reversed(self._pieces):
            entry = piece.get(key)
            if entry is not None:
                return None if entry.op == DELETE else entry
        return self.base.stack.get(key)

    def contains(self, key: bytes) -> bool:
        """Say whether there is a record with this key."""
        return self.get(key) is not None

    def find(self, keys: Keys) -> Found:
        """Find many keys, ascending; see ``Stack.find``."""
        self.reads.many(keys)
        return self.stack.find(keys)

    def scan(self, lo: bytes = b"", hi: bytes | None = None, *, reverse: bool = False, columns: Sequence[str] | None = None,
             prune: Prune | None = None) -> Iterator[Entries]:  # fmt: skip
        """Yield the records of a key range; what counts as read goes as far as they are taken, and what is left out by ``prune`` too."""
        wanted = None if columns is None else tuple(dict.fromkeys((*columns, *self.schema.stored_key_names)))
        parts = self.stack.scan(lo, hi, reverse=reverse, columns=wanted, prune=prune)
        return self._noted(parts, lo, hi, reverse=reverse, columns=columns)

    def _noted(self, parts: Iterator[Entries], lo: bytes, hi: bytes | None, *, reverse: bool, columns: Sequence[str] | None
               ) -> Iterator[Entries]:  # fmt: skip
        for part in parts:
            edge = part.slice(0, 1) if reverse else part.slice(len(part) - 1, len(part))
            key = edge.keys(self.schema)[0]
            if reverse:
                self.reads.range(key, hi)
            else:
                self.reads.range(lo, key + b"\0")
            yield part if columns is None else part.select(columns)
        self.reads.range(lo, hi)

    def count(self, lo: bytes = b"", hi: bytes | None = None) -> int:
        """Return how many records a key range holds."""
        self.reads.range(lo, hi)
        return self.stack.count(lo, hi)

    def rank(self, key: bytes | None) -> int:
        """Return how many records lie before a key."""
        self.reads.range(b"", key)
        return self.stack.rank(key)

    def select(self, position: int) -> bytes:
        """Return the key at a position."""
        key = self.stack.select(position)
        self.reads.range(b"", key + b"\0")
        return key

    def slice(self, start: int, stop: int, *, columns: Sequence[str] | None = None) -> Iterator[Entries]:
        """Yield the records of a range of positions."""
        self.reads.range(b"", None if stop >= self.stack.rows else self.stack.select(stop) + b"\0")
        return self.stack.slice(start, stop, columns=columns)

    def first(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the first record of a key range and its key."""
        found = self.stack.first(lo, hi)
        self.reads.range(lo, hi if found is None else found[0] + b"\0")
        return found

    def last(self, lo: bytes = b"", hi: bytes | None = None) -> tuple[bytes, Entry] | None:
        """Return the last record of a key range and its key."""
        found = self.stack.last(lo, hi)
        self.reads.range(lo if found is None else found[0], hi)
        return found

    # -- writes ---------------------------------------------------------------------------------------------------------------

    def put(self, kind: Kind, row: tuple[Any, ...]) -> Counts:
        """Write one whole record (``update`` and partial ``upsert`` are resolved to one by the caller).

        Raises ``DuplicateKey`` or ``KeyNotFound``.
        """
        self.work.writing()
        if not self.schema.unique:
            if kind == "insert":
                row = (*row[:-1], self.new_ids(1)[0].as_py())
            elif row[-1] is None:
                raise InvalidInput(f"store {self.name!r} is not unique: {kind} needs the _id of the record; use insert for a new one")
            elif kind == "upsert":
                raise InvalidInput(f"store {self.name!r} is not unique: upsert is refused; use insert, or update with the full key")
        key = self.schema.key_bytes(row)
        old = self._get(key)
        if kind == "insert" and old is not None:
            self.reads.point(key)
            raise DuplicateKey(self.name, self.told(key))
        if kind == "update" and old is None:
            self.reads.point(key)
            raise KeyNotFound(self.name, self.told(key))
        return self.become(key, old, row)

    def become(self, key: bytes, old: Entry | None, row: tuple[Any, ...], *, on_error: OnError = "raise") -> Counts:
        """Write a whole record in place of what ``get`` found under its key; with ``on_error="report"`` as ``write`` does."""
        self.work.writing()
        if on_error == "report":
            return self.write("replace", pa.Table.from_batches([self.schema.batch([row])]), on_error=on_error)
        if old is None:
            self._draft(key, PUT, 1, row, 0)
            return self._count(_INSERTED)
        if same_row(old.row or (), row):
            self.reads.point(key)
            return self._count(_UNCHANGED)
        self._draft(key, PUT, 0, row, old.seq)
        return self._count(_UPDATED)

    def write(self, kind: Kind, table: pa.Table, *, on_error: OnError = "raise", progress: Progress = unseen) -> Counts:
        """Write many records: a table of physical columns, in any order; ``upsert`` and ``update`` may leave columns out.

        With ``on_error="report"`` rows that cannot be written, those too that a unique index of the store does not allow, are left out
        and returned in ``Counts.rejected``. Raises ``DuplicateKey`` or ``KeyNotFound`` naming the first bad key; then nothing of the
        table is written.
        """
        self.work.writing()
        table = bulk.with_ids(self, kind, table)
        if not table.num_rows:
            return Counts()
        writer = bulk.BulkWriter(self, kind, on_error, table.schema, progress)
        return self._laid(writer, self._piece(writer.compared(writer.in_order(table))))

    def load(
        self, kind: Literal["insert", "upsert"], tables: Iterable[pa.Table], *, on_error: OnError = "raise", progress: Progress = unseen
    ) -> Counts:
        """Write the records of many tables of the same columns as one write, in memory bounded by the largest two of them.

        As ``write``, but that a key may be in several tables: of an ``insert`` the first record is taken and the later ones are errors;
        of an ``upsert`` the last one is, which counts as a change of the one before. Each table is written ahead in key order; in the end
        they are put together and compared, once, with what the store holds: a row is half done by each.
        """
        self.work.writing()
        stream: Iterator[Any] = (bulk.with_ids(self, kind, table) for table in tables if table.num_rows)
        first, second = next(stream, None), next(stream, None)
        if first is None:
            return Counts()
        if second is None:
            return self.write(kind, first, on_error=on_error, progress=progress)
        writer = bulk.BulkWriter(self, kind, on_error, first.schema, bulk.halved(progress))
        columns, size = first.column_names, self.work.room.spill_bytes
        stream = chain([first, second], stream)
        del first, second
        before = set(self.work.spilled)
        drafts: list[Tree] = []
        for table in stream:
            if len(drafts) == MOST_DRAFTS:
                drafts = list(filter(None, [self._written(writer.drafted(writer.together(drafts, columns, size)))]))
            drafts += filter(None, [self._written(writer.drafted(writer.in_order(table)))])
        counts = self._laid(writer, self._piece(writer.compared(writer.together(drafts, columns, size))))
        self._discard(self.work.spilled - before)
        return counts

    def _laid(self, writer: bulk.BulkWriter, piece: Layer | None) -> Counts:
        """Lay what a bulk write made over all drafts; where rows are reported, without those that unique indexes do not allow."""
        if piece is not None and writer.reports:
            before = self.stack
            self._lay(piece)
            refused = self.work.refusals(self, before, [piece])
            if refused:
                self._pieces.pop()
                kept = self._piece(writer.without(piece, refused))
                self._stack = None
                self.version += 1
                if kept is not None:
                    self._lay(kept)
            self._bound()
        else:
            self._add(piece)
        return self._count(writer.answer)

    def put_value(self, key: bytes, column: str, value: bytes | str | None, pieces: Sequence[Extent] = ()) -> Counts:
        """Give one column of a record another value: this one, or that which lies in these pieces already. Raises ``KeyNotFound``."""
        self.work.writing()
        keys = Keys.of([key])
        found = self.stack.find(keys)
        if not found.groups:
            self.reads.point(key)
            raise KeyNotFound(self.name, self.told(key))
        self.note(keys, found.seq)
        (group,) = found.groups
        new = replaced(group.entries.take(group.rows), self.schema.physical.get_field_index(column), value, pieces)
        self.named.update(() if new.far is None else dict(bytes_by_blob(new.far)))
        self._add(self._piece(iter([new])))
        return self._count(Counts(updated=1))

    def change(self, changes: Iterator[Entries]) -> Counts:
        """Make these changes, ascending, each key once, of which it is known what they add to the row count."""
        self.work.writing()
        counts = Counts()

        def counted() -> Iterator[Entries]:
            nonlocal counts
            for part in changes:
                put, fresh = part.ops == PUT, part.deltas > 0
                counts += Counts(inserted=int((put & fresh).sum()), updated=int((put & ~fresh).sum()), deleted=int((~put).sum()))
                yield part

        self._add(self._piece(counted()))
        return self._count(counts)

    def delete(self, keys: Keys, *, progress: Progress = unseen) -> Counts:
        """Delete records by key, ascending and each once; those that are not there are counted as ``missing``."""
        self.work.writing()
        if len(keys) == 1:
            return self.delete_one(keys[0])
        stack, missing = self.stack, 0

        def found() -> Iterator[Entries]:
            nonlocal missing
            for start in range(0, len(keys), DELETED):
                some = keys.slice(start, start + DELETED)
                hit = stack.find(some)
                there = hit.there
                missing += int((~there).sum())
                self.reads.many(some.take(np.flatnonzero(~there)))
                yield Entries(
                    hit.fetch(self.schema, self.schema.stored_key_names), seq=hit.seq[there], keys=some.take(np.flatnonzero(there))
                )
                progress(len(some))

        piece = self._piece(map(self._deletion, found()))
        self._add(piece)
        return self._count(Counts(deleted=piece.entries if piece else 0, missing=missing))

    def delete_range(self, lo: bytes = b"", hi: bytes | None = None, *, progress: Progress = unseen) -> Counts:
        """Delete all records of a key range, in bounded memory however many there are."""
        self.work.writing()
        piece = self._deletions(lo, hi, Keys.of([]), progress)
        self._add(piece)
        return self._count(Counts(deleted=piece.entries if piece else 0))

    def _deletions(self, lo: bytes, hi: bytes | None, kept: Keys, progress: Progress = unseen) -> Layer | None:
        """Return what deletes the records of a key range but for some keys, ascending; None if there are none."""

        def found() -> Iterator[Entries]:
            for part in self.scan(lo, hi, columns=self.schema.stored_key_names):
                gone = np.flatnonzero(~kept.match(part.keys(self.schema))[1])
                yield part.take(gone)  # a copy: what is held of a leaf would hold all its columns
                progress(len(part))

        return self._piece(map(self._deletion, found()))

    def _deletion(self, records: Entries) -> Entries:
        """Return what deletes records of which the key columns are there."""
        batch, keys = records.batch, records.keys(self.schema)
        self.note(keys, records.seqs)
        columns = [batch.column(f.name) if f.name in batch.schema.names else pa.nulls(len(keys), f.type) for f in self.schema.physical]
        return Entries(pa.RecordBatch.from_arrays(columns, schema=self.schema.physical), op=DELETE, delta=-1, keys=keys)

    def delete_one(self, key: bytes) -> Counts:
        """Delete the record with this key, if it is there."""
        self.work.writing()
        old = self._get(key)
        if old is None:
            self.reads.point(key)
            return self._count(_MISSING)
        self._draft(key, DELETE, -1, None, old.seq)
        return self._count(_DELETED)

    def replace_range(self, lo: bytes, hi: bytes | None, table: pa.Table, *, progress: Progress = unseen) -> Counts:
        """Make a key range hold exactly these records; a row outside it is refused with ``InvalidInput``."""
        self.work.writing()
        table = bulk.with_ids(self, "replace", table)
        keys = bulk.sorted_keys(self, table)
        if len(keys):
            outside = keys[0] if keys[0] < lo else keys[len(keys) - 1]
            if outside < lo or (hi is not None and outside >= hi):
                raise InvalidInput(f"store {self.name!r}: key {self.told(outside)!r} lies outside the selection; nothing was replaced")
        gone = self._deletions(lo, hi, keys)
        written = self.write("replace", table, progress=progress)  # first, for it may be refused
        self._add(gone)
        return self._count(Counts(deleted=gone.entries if gone else 0)) + written

    def new_ids(self, n: int) -> pa.Array:
        """Return the next ``n`` ids of a store that is not unique: they keep the order of this transaction's records."""
        if not self._random:
            self._random = self.work.room.clock.new_id(4)
        data = np.zeros((n, 16), np.uint8)
        data[:, :12] = np.frombuffer(struct.pack(">Q", self.base.seq) + self._random, np.uint8)
        data[:, 12:] = np.arange(self._ids, self._ids + n, dtype=">u4").view(np.uint8).reshape(n, 4)
        self._ids += n
        return pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(data.tobytes())])

    # -- as a projection ------------------------------------------------------------------------------------------------------

    @property
    def single(self) -> bool:
        """Whether there are single operations only."""
        return not self._pieces

    def draft(self, key: bytes, op: int, delta: int, row: tuple[Any, ...] | None) -> None:
        """Write one change of which it is known what it adds to the row count."""
        self._draft(key, op, delta, row, 0)

    def lay(self, changes: Entries) -> None:
        """Lay changes in key order, of which the same is known, over all drafts that there are."""
        if len(changes):
            self._add(self._piece(iter([changes])))

    # -- what is to be committed ----------------------------------------------------------------------------------------------

    @property
    def operations(self) -> int:
        """How many operations wait here."""
        tail = self._tail.operations
        return sum(piece.entries for piece in self._pieces) + tail if self._pieces else tail

    @property
    def written_ahead(self) -> bool:
        """Whether some of it lies in a blob already, perhaps with values out of line, which a record cannot hold."""
        return bool(self._pieces) and any(isinstance(piece, Tree) for piece in self._pieces)

    def written(self, keys: list[bytes]) -> bytes | None:
        """Return one of these changed keys, ascending, that is written here too; None if none is."""
        own = self._tail.versions()
        for key in keys:
            if key in own or any(piece.get(key) is not None for piece in self._pieces):
                return key
        return None

    def net_operations(self) -> list[Operation]:
        """Return the net change of every key, ascending: for commits of few operations."""
        if not self._pieces:
            return list(self._net_tail())
        operations = []
        for part in merged(self.drafts(), self.schema):
            entries = loaded(part)
            keys, rows = entries.keys(self.schema).tolist(), self.schema.rows(entries.batch)
            for key, op, delta, row in zip(keys, entries.ops.tolist(), entries.deltas.tolist(), rows, strict=True):
                operations.append((op, key, delta, self._previous_of(key), None if op == DELETE else row))
        return operations

    def _net_tail(self) -> Iterator[Operation]:
        versions = self._tail.versions()
        for key in sorted(versions):
            newest = versions[key][-1]
            delta = sum(version.delta for version in versions[key])
            if newest.op == PUT or delta:
                yield newest.op, key, delta, self._previous_of(key), newest.row

    def _previous_of(self, key: bytes) -> int:
        seq = self._previous.get(key)
        if seq is None:
            before = self.base.stack.get(key)
            seq = before.seq if before else 0
        return seq

    def tree(self) -> TreeRef | None:
        """Return all drafts as one tree of this engine's own; the one that was written ahead, if it is all there is."""
        drafts = self.drafts()
        if len(drafts) == 1 and isinstance(drafts[0], Tree):
            return drafts[0].ref
        parts = (loaded(part) for part in merged(drafts, self.schema))
        tree = self._written(Entries(p.batch, op=p.op, delta=p.delta, far=p.far, keys=p._keys) for p in parts)
        return None if tree is None else tree.ref

    def forget(self) -> None:
        """Forget what was written here; what was read stays noted."""
        self.version += 1
        self._pieces, self._tail, self._stack = [], Tail(self.base.seq, self.schema, own=True), self.base.stack
        self.counts = _NONE

    # -- helpers --------------------------------------------------------------------------------------------------------------

    def _draft(self, key: bytes, op: int, delta: int, row: tuple[Any, ...] | None, previous: int) -> None:
        if previous != self._draft_seq and len(self._previous) < MOST_PREVIOUS:
            self._previous.setdefault(key, previous)
        self._tail.put(self._draft_seq, [(op, key, delta, previous, row)])
        self._stack = None
        self.version += 1
        if self._tail.operations >= LONGEST_TAIL:
            self._pack()

    def note(self, keys: Keys, seqs: Any) -> None:
        """Keep which committed versions are replaced, where they are few enough to be told one by one."""
        if len(keys) + len(self._previous) <= MOST_PREVIOUS:
            for key, seq in zip(keys.tolist(), seqs.tolist(), strict=True):
                if seq != self._draft_seq:
                    self._previous.setdefault(key, seq)

    def _piece(self, changes: Iterator[Part]) -> Layer | None:
        """Return changes in key order as a layer, written ahead if they are many or partly are already; None if there are none."""
        held: list[Part] = []
        size = 0
        for part in changes:
            held.append(part)
            size += 0 if isinstance(part, Named) else part.nbytes + (0 if part._keys is None else part._keys.array.nbytes)
            if isinstance(part, Named) or part.far is not None or size > self.work.room.spill_bytes:
                return self._written(chain(held, changes))
        parts = [part for part in held if isinstance(part, Entries) and len(part)]
        return MemoryLayer(concatenated(parts), self.schema, self.base.seq, self._draft_seq) if parts else None

    def _written(self, parts: Iterator[Part]) -> Tree | None:
        """Write changes ahead as a tree; None if there are none."""
        ref = self.work.room.write_tree(self.schema, parts, self.work.spilled.add)
        return None if ref is None else Tree(ref, self.base.seq, self._draft_seq, self.schema, self.work.room.reader)

    def _discard(self, blobs: set[str]) -> None:
        """Delete those of these blobs, written ahead, that no draft needs."""
        useless = blobs.difference(blob for piece in self._pieces if isinstance(piece, Tree) for blob, _ in piece.ref.blobs)
        self.work.spilled -= useless
        self.work.room.discard(useless)

    def _add(self, piece: Layer | None) -> None:
        """Lay a piece over all drafts that there are."""
        if piece is not None:
            self._lay(piece)
            self._bound()

    def _lay(self, piece: Layer) -> None:
        if self._tail.operations:
            self._pack()
        self._pieces.append(piece)
        self._stack = None
        self.version += 1

    def _pack(self) -> None:
        """Make a piece of the single operations."""
        view = self._tail.view(self._draft_seq, self._tail.total)
        parts = [piece.load() for piece in view.pieces(b"", None)]
        self._tail = Tail(self.base.seq, self.schema, own=True)
        self._pieces.append(MemoryLayer(concatenated(parts), self.schema, self.base.seq, self._draft_seq))
        self._stack = None
        self._bound()

    def _bound(self) -> None:
        """Write the newest pieces to a blob when they take too much memory; or when there are too many to look through."""
        newest = len(self._pieces)
        size = 0
        while newest and isinstance(piece := self._pieces[newest - 1], MemoryLayer):
            size += piece.nbytes
            newest -= 1
        many = len(self._pieces) - newest
        if many and (size > self.work.room.load_bytes or many > MOST_PIECES):
            parts = (
                Entries(p.batch, op=p.op, delta=p.delta, far=p.far, keys=p._keys)
                for p in map(loaded, merged(self._pieces[newest:], self.schema))
            )
            tree = self._written(parts)
            self._pieces[newest:] = [] if tree is None else [tree]
            self._stack = None

    def _count(self, counts: Counts) -> Counts:
        told = counts if counts.rejected is None else replace(counts, rejected=None)
        self.counts = told if self.counts is _NONE else self.counts + told
        return counts

    def told(self, key: bytes) -> object:
        """Return an encoded key as people know it."""
        return self.schema.public_key(self.schema.codec.decode(key))
