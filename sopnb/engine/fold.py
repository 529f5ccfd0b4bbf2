"""Folding: neighbouring layers of a store become one that says the same.

A fold changes no record. It is an ordinary commit that conflicts with nobody but another fold, and a leaf that nothing changed is
named by the new tree rather than written again, unless most of its blob is no longer needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sopnb.engine import far
from sopnb.engine.builder import Named, Part
from sopnb.engine.conflict import Past
from sopnb.engine.entries import Entries
from sopnb.engine.layer import Layer, Piece
from sopnb.engine.merge import loaded, merged
from sopnb.engine.record import Fold
from sopnb.engine.state import Live, StoreState, tree_data
from sopnb.engine.tree import TreeReader, TreeRef
from sopnb.errors import Conflict
from sopnb.settings import DatabaseSettings

SPARSE = 4
"""A leaf with less than this part of the rows of a full one is written again rather than named."""
LONG = 1_000_000
"""A fold of more entries takes so long that the tail becomes a run of its own before, so that what lies above can be folded meanwhile."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The layers of one store that are to become one; ``bottom`` if nothing lies below them."""

    store: StoreState
    layers: tuple[Layer, ...]
    bottom: bool

    @property
    def lo(self) -> int:
        """The fold replaces the changes after this commit."""
        return self.layers[0].lo

    @property
    def hi(self) -> int:
        """The newest commit whose changes it replaces."""
        return self.layers[-1].hi

    @property
    def entries(self) -> int:
        """How many entries are read, at most."""
        return sum(layer.entries for layer in self.layers)

    @property
    def sealing(self) -> bool:
        """Whether the tail is among the layers."""
        return self.hi > self.store.tail.lo and bool(self.store.tail.operations)

    def stands_in(self, store: StoreState) -> bool:
        """Say whether the layers are those that a newer state of the store has."""
        runs = self.layers[:-1] if self.sealing else self.layers
        there = {id(layer) for layer in store.layers}
        return all(id(layer) in there for layer in runs) and (not self.sealing or store.tail.lo == self.store.tail.lo)


def whole(store: StoreState, live: Mapping[str, Live], *, until: int | None = None, tail: bool = True) -> Plan | None:
    """Return the plan that leaves one layer at most, and of no blob less than half; None if there is nothing to do.

    Layers of commits after ``until`` are left as they are. Without the ``tail`` a large commit meanwhile does not disturb it.
    """
    if not store.whole:
        return None
    parts = store.parts if tail else store.layers
    if until is not None:
        parts = tuple(layer for layer in parts if layer.lo < until)
        tail = tail and store.tail.lo < until
    one = len(parts) == 1 and not (tail and store.tail.operations) and parts[0] in store.trees and not _sparse_tree(parts[0])
    if not parts or (one and not stale(store, live)):
        return None
    return Plan(store, parts, bottom=True)


def sealed(store: StoreState) -> Plan | None:
    """Return the plan that makes the tail a run of its own; None if it holds nothing."""
    return Plan(store, store.parts[-1:], bottom=not store.layers and store.whole) if store.tail.operations else None


def wasteful(store: StoreState, live: Mapping[str, Live]) -> Plan | None:
    """Return the plan that writes again what is left of old blobs, if more of them is wasted than the store needs altogether."""
    if not store.whole:
        return None
    sizes = store.blobs
    wasted = sum(live[blob].size - size for blob, size in sizes.items() if blob in live)
    return Plan(store, store.layers, bottom=True) if wasted > sum(sizes.values()) else None


def stale(store: StoreState, live: Mapping[str, Live]) -> set[str]:
    """Return the blobs of which less than half is needed."""
    return {blob for blob, size in store.blobs.items() if blob in live and 2 * size < live[blob].size}


def _sparse_tree(layer: Layer) -> bool:
    return layer.entries != layer.delta


def due(store: StoreState, settings: DatabaseSettings, above: int = 0) -> Plan | None:
    """Return what the limits of the settings ask for; None if they are kept. Layers of commits up to ``above`` are left as they are.

    A long tail becomes a run; a run joins its older neighbour while that is not ``run_ratio`` times as large; and when what lies over
    the base is ``base_share`` of it, everything becomes the base.
    """
    tail_due = store.tail.operations > settings.tail_rows or store.tail.bytes > settings.tail_bytes
    if not tail_due and len(store.layers) < 2:
        return None
    every = store.parts if tail_due else store.layers
    parts = tuple(layer for layer in every if layer.lo >= above)
    if not parts:
        return None
    sizes = [max(layer.entries, 1) for layer in parts]
    base = 1 if len(parts) == len(every) and store.whole else 0
    if base and len(parts) > 1 and sum(sizes[1:]) >= settings.base_share * sizes[0]:
        return sealed(store) if tail_due and sum(sizes) > LONG else Plan(store, parts, bottom=True)
    start, size = len(parts) - 1, sizes[-1]
    crowded = len(every) >= settings.run_limit
    while start > base and (sizes[start - 1] < settings.run_ratio * size or (crowded and start == len(parts) - 1)):
        start -= 1
        size += sizes[start]
    if len(parts) - start < 2 and not tail_due:
        return None
    return Plan(store, parts[start:], bottom=len(parts) - start == len(every) and store.whole)


def folded(
    plan: Plan,
    reader: TreeReader,
    settings: DatabaseSettings,
    live: Mapping[str, Live],
    progress: Callable[[int], object],
) -> Iterator[Part]:
    """Yield what the plan's one tree holds."""
    store = plan.store
    old = stale(store, live)
    for part in merged(plan.layers, store.schema):
        progress(len(part) if isinstance(part, Entries) else part.leaf[1].entries[part.leaf[2]] if part.leaf else 0)
        yield _named_or_loaded(part, plan, reader, settings, old)


def _named_or_loaded(part: Entries | Piece, plan: Plan, reader: TreeReader, settings: DatabaseSettings, stale: set[str]) -> Part:
    if isinstance(part, Piece) and part.leaf is not None:
        tree, branch, i = part.leaf
        child = tree.child(branch, i)
        shape = child.shape
        old = child.extent.blob in stale or any(blob in stale for blob, _ in child.values)
        full = child.extent.length * SPARSE >= settings.leaf_bytes or child.entries * SPARSE >= settings.leaf_rows
        if not old and full and (not plan.bottom or (shape.op == 0 and shape.delta == 1)):
            return Named(child, lambda: _loaded(part, plan, reader, stale))
    return _loaded(part, plan, reader, stale)


def _loaded(part: Entries | Piece, plan: Plan, reader: TreeReader, stale: set[str]) -> Entries:
    entries = loaded(part)
    if entries.far is not None and stale and any(blob in stale for blob, _ in far.bytes_by_blob(entries.far)):
        entries = reader.far.resolved(entries, plan.store.schema)
    if plan.bottom:
        entries = entries.live()
        entries = Entries(entries.batch, op=0, seq=entries.seq, delta=1, far=entries.far, keys=entries._keys)
    return entries


def record_of(plan: Plan, ref: TreeRef | None) -> Fold:
    """Return what the commit says of the fold."""
    return Fold(plan.store.id, plan.store.layout, plan.lo, plan.hi, tree_data(ref))


def validation(plan: Plan) -> Callable[[Sequence[Past]], None]:
    """Return what raises ``Conflict`` if a commit after the plan's state changed the layers that it replaces."""

    def validate(since: Sequence[Past]) -> None:
        for past in since:
            if any(fold.store == plan.store.id and fold.lo < plan.hi and fold.hi > plan.lo for fold in past.payload.folds):
                raise Conflict("its layers were folded by another", store=plan.store.name, seq=past.seq)
            if plan.sealing and any(change.store == plan.store.id and change.run is not None for change in past.payload.changes):
                raise Conflict("its tail was sealed by a large commit", store=plan.store.name, seq=past.seq)
            projected = plan.store.projection is not None  # and goes with what it is a projection of, which may be one itself
            if any(change.kind == "drop" and (projected or change.store == plan.store.id) for change in past.payload.catalogue):
                raise Conflict("it was dropped", store=plan.store.name, seq=past.seq)
            if any(
                step.kind in ("end", "drop", "replace") and (projected or step.of == plan.store.id) for step in past.payload.projections
            ):
                raise Conflict("it may have been replaced", store=plan.store.name, seq=past.seq)

    return validate
