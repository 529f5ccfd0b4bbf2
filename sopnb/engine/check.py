"""The integrity check: read everything that a state names, and compare it with what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pyarrow as pa

from sopnb.engine import collect, far
from sopnb.engine.blob import is_whole
from sopnb.engine.layer import Layer
from sopnb.engine.record import DELETE
from sopnb.engine.same import differ
from sopnb.engine.state import State, StoreState
from sopnb.engine.tree import Tree
from sopnb.errors import Corruption, HistoryGone, MissingPackage, SchemaMismatch, StorageError
from sopnb.protocols import Blobs, Pins


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: ``store`` and ``where`` say where, ``what`` says what.

    A ``leftover`` only takes space: an ordinary crash may leave it.
    """

    store: str
    where: str
    what: str
    leftover: bool = False


class Report(Sequence[Problem]):
    """What a check found: a sequence of problems; ``ok`` if there is none but leftovers."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = tuple(problems)

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return all(problem.leftover for problem in self._problems)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | Sequence[Problem]:
        return self._problems[index]

    def __len__(self) -> int:
        return len(self._problems)

    def __repr__(self) -> str:
        return (
            "check: nothing is wrong" if not self._problems else "check:\n" + "\n".join(f"  {p.store}: {p.where}: {p.what}" for p in self)
        )


def check_database(state: State, newest: Callable[[], State], blobs: Blobs, pins: Pins, *, uuid: bytes) -> Report:
    """Read every layer of every store, and look at every blob: order, counts, separators, checksums, orphans, missing blobs.

    Of past states that are kept it only sees whether their blobs are there, and whole at the end. Others may commit and collect
    meanwhile: the newest state, when the blobs have been listed, says which past states are kept.
    """
    problems = [problem for store in state.every for problem in _store(store)]
    problems += [problem for store in state.every for problem in _projection(store, state)]
    return Report([*problems, *_blobs(state, newest, blobs, pins, uuid)])


def _blobs(state: State, newest: Callable[[], State], blobs: Blobs, pins: Pins, uuid: bytes) -> Iterator[Problem]:
    there = dict(blobs.names())
    needed = {blob for store in state.by_id.values() for blob in store.blobs}
    for blob in sorted(needed - there.keys()):
        yield Problem("", f"blob {blob}", "it is missing")
    now = newest()
    tags = set(now.tags.values())
    for blob in sorted(state.dropped.keys() - there.keys()):
        if collect.needed(state.dropped[blob], now.horizon, tags, ()):
            yield Problem("", f"blob {blob}", "it is missing, and past states that are kept need it")
    for blob in sorted((state.live.keys() | state.dropped.keys()) & there.keys()):
        try:
            whole = is_whole(blobs, blob, there[blob], uuid=uuid)
        except FileNotFoundError:  # collected meanwhile; a missing one was told above
            continue
        except (Corruption, StorageError) as error:
            yield Problem("", f"blob {blob}", str(error))
            continue
        if not whole:
            yield Problem("", f"blob {blob}", "its end is damaged or was cut off")
    for blob in sorted(needed ^ state.live.keys()):
        yield Problem("", f"blob {blob}", "the list of live blobs and the stores disagree about it")
    for blob in sorted(there.keys() - state.live.keys() - state.dropped.keys()):
        owner = blob.partition("-")[0]
        if owner in state.fenced and not pins.alive(owner):
            yield Problem("", f"blob {blob}", "no commit names it and its owner is gone; compact() removes it", leftover=True)


def _store(store: StoreState) -> Iterator[Problem]:
    for below, above in zip(store.parts, store.parts[1:], strict=False):
        if above.lo < below.hi:
            yield Problem(store.name, f"layers ({below.lo}, {below.hi}] and ({above.lo}, {above.hi}]", "their commits overlap")
    try:
        for layer in store.parts:
            yield from _layer(store, layer)
        if not store.whole:
            return
        rows = 0
        for part in store.stack.scan():
            rows += len(part)
            yield from _expressions(store, part.batch)
    except (Corruption, StorageError, HistoryGone) as error:
        yield Problem(store.name, "records", str(error))
        return
    if rows != store.rows:
        yield Problem(store.name, "counts", f"{rows} records are there, the counts say {store.rows}")


def _expressions(store: StoreState, batch: Any) -> Iterator[Problem]:
    """Compare key fields that are expressions with what the records give."""
    for each in store.schema.computed:
        try:
            new = pa.table({each.name: each.column(pa.Table.from_batches([batch]), store=store.name)})
        except (MissingPackage, SchemaMismatch) as error:
            yield Problem(store.name, f"key field {each.name!r}", str(error))
            continue
        wrong = differ(pa.Table.from_batches([batch.select([each.name])]), new)
        if wrong.any():
            lost = store.schema.public_keys(batch.slice(int(np.argmax(wrong)), 1))[0]
            yield Problem(store.name, f"key field {each.name!r}", f"of the record {lost!r} it is not what its columns give")


def _projection(store: StoreState, state: State) -> Iterator[Problem]:
    """Compare a projection with its source: each row of the one must be a row of the other, and there must be as many."""
    how = store.projection
    if how is None or not how.attached:
        return
    source = state.store(how.of)
    where = f"{how.role} {how.name!r}"
    remedy = "; drop the index and create it again" if how.role == "index" else ""
    try:
        for _, record in astray(store, source):
            yield Problem(source.name, where, f"what it holds of the record {record!r} is not what the record holds{remedy}")
    except (Corruption, StorageError, HistoryGone, MissingPackage, SchemaMismatch) as error:
        yield Problem(source.name, where, str(error))
        return
    if store.rows != source.rows:
        yield Problem(source.name, where, f"it has {store.rows} rows, the store {source.rows}{remedy}")


def astray(store: StoreState, source: StoreState) -> Iterator[tuple[Any, Any]]:
    """Yield rows that a projection should hold and does not, as batches of one, and the keys of their records; of each part the first."""
    how = store.how
    columns = tuple(dict.fromkeys((*how.sources, *source.schema.stored_key_names)))
    for part in source.stack.scan(columns=columns):
        batch = how.batch(part.batch, source.schema)
        keys = how.schema.keys(batch)
        order = np.argsort(keys.array, kind="stable")
        found = store.stack.find(keys.take(order))
        there, wrong = found.there, ~found.there
        wanted = pa.Table.from_batches([batch.take(pa.array(order[there]))])
        wrong[there] = differ(wanted, pa.Table.from_batches([found.fetch(how.schema)]))
        if wrong.any():
            at = int(order[int(np.argmax(wrong))])
            yield batch.slice(at, 1), source.schema.public_keys(part.batch.slice(at, 1))[0]


def _layer(store: StoreState, layer: Layer) -> Iterator[Problem]:
    where = f"layer ({layer.lo}, {layer.hi}]"
    entries = delta = 0
    first: bytes | None = None
    last: bytes | None = None
    for piece in layer.pieces(b"", None):
        part = piece.load()
        keys = part.keys(store.schema)
        if not len(keys):
            yield Problem(store.name, where, "a leaf is empty")
            continue
        first = keys[0] if first is None else first
        if keys[0] != piece.first:
            yield Problem(store.name, where, f"a separator says {piece.first!r}, its leaf begins with {keys[0]!r}")
        out_of_order = (keys.array[1:] <= keys.array[:-1]).any() or (last is not None and keys[0] <= last)
        if out_of_order or (piece.stop is not None and keys[len(keys) - 1] >= piece.stop):
            yield Problem(store.name, where, f"keys are out of order near {keys[0]!r}")
        if np.any(part.seqs > layer.hi) or np.any(part.seqs < 1):
            yield Problem(store.name, where, "a record is newer than its layer")
        if np.any((part.ops == DELETE) & (part.deltas > 0)):
            yield Problem(store.name, where, "a deletion adds to the count")
        if part.far is not None:
            for extent in far.extents(part.far):  # one after another, for a value may be large
                store.reader.value(extent)
        added = int(np.sum(part.deltas, dtype=np.int64))
        if piece.leaf is not None:
            child = piece.leaf[1].child(piece.leaf[2])
            if (child.entries, child.delta) != (len(part), added):
                said = f"its branch says {child.entries} that add {child.delta}"
                yield Problem(store.name, where, f"the leaf at {keys[0]!r} holds {len(part)} entries that add {added}; {said}")
        entries, delta, last = entries + len(part), delta + added, keys[len(keys) - 1]
    if delta != layer.delta or (isinstance(layer, Tree) and entries != layer.entries):
        yield Problem(store.name, where, f"{entries} entries add {delta}; the root says {layer.entries} add {layer.delta}")
    if isinstance(layer, Tree):
        yield from _branches(store, layer, where)
    if isinstance(layer, Tree) and last is not None and layer.span != (first, last):
        yield Problem(store.name, where, f"its keys go from {first!r} to {last!r}; the root says {layer.span}")


def _branches(store: StoreState, tree: Tree, where: str) -> Iterator[Problem]:
    for branch, i, child in tree.inner():
        said = branch.child(i)
        if said.key != child.keys[0]:
            yield Problem(store.name, where, f"a separator says {said.key!r}, its branch begins with {child.keys[0]!r}")
        if (said.entries, said.delta) != (sum(child.entries), child.deltas_before[-1]):
            real = f"holds {sum(child.entries)} entries that add {child.deltas_before[-1]}"
            yield Problem(store.name, where, f"the branch at {said.key!r} {real}; the one above says {said.entries} that add {said.delta}")
