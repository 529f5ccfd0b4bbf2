"""Writing many records at once: put in order, compared with what is there, in chunks; never a Python object per row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pyarrow as pa

from sopnb.engine.builder import Named, Part
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entries
from sopnb.engine.far import FAR, bytes_by_blob, staying, together
from sopnb.engine.interleave import Rows, interleaved
from sopnb.engine.layer import Layer, Piece
from sopnb.engine.layers import Found
from sopnb.engine.record import PUT
from sopnb.engine.same import differ
from sopnb.engine.tree import Tree
from sopnb.errors import DuplicateKey, InvalidInput, KeyNotFound
from sopnb.fields import one_array
from sopnb.index import Keys, arrange
from sopnb.schema import ID

if TYPE_CHECKING:
    from sopnb.engine.storework import StoreWork

Kind = Literal["insert", "upsert", "replace", "update"]
OnError = Literal["raise", "report"]
CHUNK = 131_072
"""Rows that are compared and handed on at a time."""
MOST_REJECTED = 1_000_000
"""Rejected rows that are kept to be reported; more raise."""
Progress = Callable[[int], object]
"""Is called with the number of rows that were done since the last call."""
T = TypeVar("T")


def unseen(rows: int) -> None:
    """Show nobody how far it is."""


def halved(progress: Progress) -> Progress:
    """Return what is called twice for each row, and goes on by one then."""
    done = 0

    def half(rows: int) -> None:
        nonlocal done
        before, done = done // 2, done + rows
        progress(done // 2 - before)

    return half


def with_ids(store: StoreWork, kind: Kind, table: pa.Table) -> pa.Table:
    """Return the table with an ``_id`` for each new record of a store that is not unique."""
    if store.schema.unique:
        return table
    if kind != "insert":
        if "_id" not in table.column_names:
            raise InvalidInput(f"store {store.name!r} is not unique: {kind} needs the _id of each record; use insert for new ones")
        if kind == "upsert":
            raise InvalidInput(f"store {store.name!r} is not unique: upsert is refused; use insert, or update with the full keys")
        return table
    if "_id" in table.column_names:
        table = table.drop_columns(["_id"])
    return table.append_column(pa.field("_id", pa.binary(16)), store.new_ids(table.num_rows))


def sorted_keys(store: StoreWork, table: pa.Table) -> Keys:
    """Return the encoded keys of a table's rows, ascending."""
    if not table.num_rows:
        return Keys.of([])
    keys = store.schema.keys(table)
    return keys.take(np.argsort(keys.array, kind="stable"))


class BulkWriter:
    """The records of one bulk write, of the columns ``given``, on their way into the drafts.

    ``answer`` is complete when ``compared`` is used up.
    """

    def __init__(self, store: StoreWork, kind: Kind, on_error: OnError, given: pa.Schema, progress: Progress) -> None:
        self._store, self._schema, self._kind, self.reports = store, store.schema, kind, on_error == "report"
        made = kind == "insert" and not self._schema.unique  # ids that a refused row never had
        self._given = given.remove(given.get_field_index(ID)) if made else given
        self._progress = progress
        self._stack = store.stack
        kinds = {field.name: field.type for field in self._schema.physical}
        self._values = sorted(self._schema.not_in_key, key=lambda name: not pa.types.is_primitive(kinds[name]))
        self._rejected: list[pa.Table] = []
        self.counts = Counts()

    @property
    def answer(self) -> Counts:
        """What was done and refused."""
        return self.counts + Counts(rejected=pa.concat_tables(self._rejected)) if self._rejected else self.counts

    # -- in order -------------------------------------------------------------------------------------------------------------

    def in_order(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yield the rows of a table in key order; of rows with one key the first, if not an error."""
        arrays = [one_array(table[name]) for name in self._schema.key_names]
        order, repeats = arrange(arrays, self._schema.specification, None if self._schema.unique else one_array(table["_id"]))

        def chunk(start: int, stop: int) -> pa.Table:
            return table.slice(start, stop - start) if order is None else table.take(pa.array(order[start:stop]))

        if repeats is not None and not self.reports:
            row = int(np.argmax(repeats))
            key = self._schema.keys(chunk(row, row + 1))[0]
            raise DuplicateKey(self._store.name, self._store.told(key), reason="is twice in the frame; drop one of them")
        starts = range(0, table.num_rows, CHUNK)
        chunks = (chunk(start, min(start + CHUNK, table.num_rows)) for start in starts)
        for start, rows in zip(starts, _ahead(chunks) if len(starts) > 1 else chunks, strict=True):
            yield rows if repeats is None else self._without(rows, repeats[start : start + CHUNK], "the key is twice in the frame")

    def drafted(self, parts: Iterable[pa.Table | Piece]) -> Iterator[Part]:
        """Yield rows in key order as they are, columns left out filled with nulls: to be put together with others, then compared."""
        for part in parts:
            if isinstance(part, Piece):
                yield self._named(part)
                continue
            for field in self._schema.physical:
                if field.name not in part.column_names:
                    part = part.append_column(field, pa.nulls(part.num_rows, field.type))
            yield self._put(part, None, 1)
            self._progress(part.num_rows)

    def together(self, trees: Sequence[Tree], columns: Sequence[str], size: int) -> Iterator[pa.Table | Piece]:
        """Yield what was drafted in several trees in key order, each key once; leaves that may be taken over come as pieces.

        Of an ``insert`` the first row of a key is taken, and the later ones are errors; else the last one, and it counts as a change of
        the one before if it differs.
        """
        whole = self._kind != "update" and len(columns) == len(self._schema.physical)
        spans = [layer.span for layer in self._stack.layers] if whole else None
        for part in _ahead(interleaved(trees, self._schema, self._store.work.room.reader.far, size, spans)):
            if isinstance(part, Rows):
                yield from self._each_once(_table(part.entries, columns), part.repeats)
            elif not self._stack.reaches(part.first, part.stop or b""):
                yield part
            else:
                yield _table(part.load(), columns)

    def _each_once(self, table: pa.Table, repeats: Any) -> Iterator[pa.Table]:
        """Yield rows in key order without those that another row of the same key stands for."""
        if repeats is None:
            yield table
        elif self._kind == "insert":
            yield self._refused(table, repeats)
        else:
            again = np.flatnonzero(repeats)
            old, new = (self._placed(table.take(pa.array(rows))) for rows in (again - 1, again))
            changed = int(differ(new.select([n for n in self._values if n in new.column_names]), old).sum())
            self.counts += Counts(updated=changed, unchanged=len(again) - changed)
            yield table.filter(pa.array(~np.append(repeats[1:], False)))

    def _named(self, leaf: Piece) -> Named:
        """Return a drafted leaf as one that another tree takes over."""
        _, branch, i = leaf.leaf
        return Named(branch.child(i), lambda: _fresh(leaf.load()))

    # -- compared -------------------------------------------------------------------------------------------------------------

    def compared(self, parts: Iterable[pa.Table | Piece]) -> Iterator[Part]:
        """Yield the changes that rows in key order make to what the store holds."""
        for part in parts:
            if isinstance(part, Piece):
                named = self._named(part)
                yield named
                self.counts += Counts(inserted=named.child.entries)
                self._progress(named.child.entries)
                continue
            for start in range(0, part.num_rows, CHUNK):
                table = part.slice(start, CHUNK)
                yield self._compared(table)
                self._progress(table.num_rows)

    def _compared(self, table: pa.Table) -> Entries:
        """Return the changes that these rows make to what the store holds."""
        first, last = (self._schema.keys(table.slice(i, 1))[0] for i in (0, table.num_rows - 1))
        if not self._stack.reaches(first, last):
            if self._kind == "update":
                self._store.reads.range(first, last + b"\0")
                table = self._refused(table, np.ones(table.num_rows, bool))
            self.counts += Counts(inserted=table.num_rows)
            return self._put(self._completed(table, np.zeros(table.num_rows, bool), None), None, 1)
        keys = self._schema.keys(table)
        found = self._stack.find(keys)
        there = found.there
        wrong = there if self._kind == "insert" else ~there if self._kind == "update" else None
        if wrong is not None and wrong.any():
            self._store.reads.many(keys.take(np.flatnonzero(wrong)))
            table = self._refused(table, wrong)
            keys = keys.take(np.flatnonzero(~wrong))
            found = self._stack.find(keys)
            there = found.there
        seqs = found.seq
        if there.any():
            changed = np.ones(len(there), bool)
            changed[there] = self._changed(table if there.all() else table.filter(pa.array(there)), found)
            table = self._completed(table, there, found)
            if not changed.all():
                self._store.reads.many(keys.take(np.flatnonzero(~changed)))
                self.counts += Counts(unchanged=int((~changed).sum()))
                table, keys, there, seqs = (
                    table.filter(pa.array(changed)),
                    keys.take(np.flatnonzero(changed)),
                    there[changed],
                    seqs[changed],
                )
        else:
            table = self._completed(table, there, None)
        self._store.note(keys, seqs)
        self.counts += Counts(inserted=int((~there).sum()), updated=int(there.sum()))
        return self._put(table, keys, np.where(there, 0, 1).astype(np.int8))

    def _changed(self, new: pa.Table, found: Found) -> Any:
        """Say for each of the records found whether its new row differs: column by column, until all do, numbers before texts."""
        new = self._placed(new)
        changed = np.zeros(new.num_rows, bool)
        for name in self._values:
            if name in new.column_names and not changed.all():
                changed |= differ(new.select([name]), pa.Table.from_batches([found.fetch(self._schema, [name])]))
        return changed

    def _put(self, table: pa.Table, keys: Keys | None, delta: Any) -> Entries:
        batches = table.select(self._schema.physical.names).combine_chunks().to_batches()
        batch = batches[0] if batches else self._schema.empty(self._schema.physical.names)
        return Entries(batch, op=PUT, delta=delta, far=one_array(table[FAR]) if FAR in table.column_names else None, keys=keys)

    def _placed(self, table: pa.Table) -> pa.Table:
        """Return the table with the values that lie out of line in their places."""
        if FAR not in table.column_names:
            return table
        far, table = one_array(table[FAR]), table.drop_columns([FAR])
        batch = pa.RecordBatch.from_arrays([one_array(column) for column in table.columns], schema=table.schema)
        entries = self._store.work.room.reader.far.resolved(Entries(batch, far=far), self._schema)
        return pa.Table.from_batches([entries.batch])

    def _completed(self, table: pa.Table, there: Any, found: Found | None) -> pa.Table:
        """Return the table with the columns that were left out: as they are for old rows, null for new ones.

        Values out of line stay where they are: they are not read, however large they are.
        """
        missing = [field for field in self._schema.physical if field.name not in table.column_names]
        if not missing:
            return table
        old, far = (None, None) if found is None else found.apart(self._schema, [field.name for field in missing])
        where = np.cumsum(there) - 1
        for column in missing:
            if not there.all():
                self._must_be_nullable(table, column.name, there)
            values = pa.nulls(table.num_rows, column.type) if old is None else old[column.name].take(pa.array(where, mask=~there))
            table = table.append_column(column, values)
        return table if far is None else self._keeping(table, far.take(pa.array(where, mask=~there)), missing)

    def _keeping(self, table: pa.Table, far: Any, columns: Sequence[Any]) -> pa.Table:
        """Return the table with what ``far`` says of these columns of its rows; the blobs must stay until the commit."""
        kept = staying(far, {self._schema.physical.get_field_index(field.name) for field in columns})
        if kept.null_count == len(kept):
            return table
        self._store.named.update(dict(bytes_by_blob(kept)))
        if FAR not in table.column_names:
            return table.append_column(FAR, kept)
        return table.set_column(table.column_names.index(FAR), FAR, together(one_array(table[FAR]), kept))

    def _must_be_nullable(self, table: pa.Table, column: str, there: Any) -> None:
        at = self._schema.arrow.get_field_index(column)
        if at >= 0 and not self._schema.arrow.field(at).nullable:
            key = self._store.told(self._schema.keys(table.slice(int(np.argmax(~there)), 1))[0])
            raise InvalidInput(f"store {self._store.name!r}, column {column!r} may not be null, and key {key!r} is new; give the column")

    def _refused(self, table: pa.Table, wrong: Any) -> pa.Table:
        """Return the table without the wrong rows, which are reported, or raise for the first of them."""
        if not self.reports and wrong.any():
            key = self._store.told(self._schema.keys(table.slice(int(np.argmax(wrong)), 1))[0])
            raise DuplicateKey(self._store.name, key) if self._kind == "insert" else KeyNotFound(self._store.name, key)
        return self._without(table, wrong, "the key is already there" if self._kind == "insert" else "no record has this key")

    def without(self, written: Layer, refused: Mapping[bytes, str]) -> Iterator[Entries]:
        """Yield the changes that this write made, without the rows that are refused after all, by key and with the reason."""
        keys = Keys.of(sorted(refused))
        for piece in written.pieces(b"", None):
            entries = _fresh(piece.load())
            bad = keys.match(entries.keys(self._schema))[1]
            gone = entries.take(np.flatnonzero(bad))
            new = int((gone.deltas > 0).sum())
            self.counts += Counts(inserted=-new, updated=new - len(gone))
            if len(gone):
                rows = self._placed(_table(gone, self._given.names)).cast(self._given)
                self._reject(rows, [refused[key] for key in gone.keys(self._schema).tolist()])
            yield entries.take(np.flatnonzero(~bad))

    def _without(self, table: pa.Table, bad: Any, reason: str) -> pa.Table:
        if not bad.any():
            return table
        refused = self._placed(table.filter(pa.array(bad)))
        self._reject(refused, [reason] * refused.num_rows)
        return table.filter(pa.array(~bad))

    def _reject(self, refused: pa.Table, reasons: list[str]) -> None:
        self._rejected.append(refused.append_column("_reason", pa.array(reasons, pa.string())))
        if sum(part.num_rows for part in self._rejected) > MOST_REJECTED:
            raise InvalidInput(
                f"store {self._store.name!r}: more than {MOST_REJECTED} rows are refused ({reasons[0]}); nothing was written"
            )


def _fresh(entries: Entries) -> Entries:
    """Return new records as they are written: of the commit that brings them."""
    return Entries(entries.batch, op=entries.op, delta=entries.delta, far=entries.far, keys=entries._keys)


def _table(entries: Entries, columns: Sequence[str]) -> pa.Table:
    """Return columns of entries, and where their values out of line are."""
    table = pa.Table.from_batches([entries.batch.select(list(columns))])
    return table if entries.far is None else table.append_column(FAR, entries.far)


def _ahead(pieces: Iterator[T]) -> Iterator[T]:
    """Yield the pieces, each made by another thread while the one before it is worked with."""
    with ThreadPoolExecutor(1, "sopnb bulk write") as thread:
        made = thread.submit(next, pieces, None)
        while (piece := made.result()) is not None:
            made = thread.submit(next, pieces, None)
            yield piece
