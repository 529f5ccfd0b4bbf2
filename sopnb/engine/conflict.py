"""When two commits disturb each other.

A transaction may commit if nothing that it read or wrote was changed by a commit after its snapshot. Writing a key counts as reading
it, and using a store by its name counts as reading its catalogue entry. Upkeep changes no record and disturbs nobody but a fold of the
same layers, and those who name values of the snapshot that it moved; a change of layout disturbs every user of the store, a rename all
but those that are not checked and only write records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from sopnb.engine import record
from sopnb.engine.layer import Layer
from sopnb.engine.record import Fold, Payload, ProjectionChange, StoreChange
from sopnb.engine.state import tree_ref
from sopnb.engine.storework import StoreWork
from sopnb.engine.tree import Tree
from sopnb.engine.work import Work
from sopnb.errors import Conflict

HEAVY = 1000
"""A change of more operations than this, or of a run, is compared before the turn, not within it."""


class Past:
    """A commit that a transaction is compared with; what is decoded for one comparison is kept for the next."""

    def __init__(self, seq: int, payload: Payload) -> None:
        self.seq, self.payload = seq, payload

    @property
    def heavy(self) -> bool:
        """Whether comparing takes so long that it should not be done within the turn."""
        return any(change.run is not None or change.count > HEAVY for change in self.payload.changes)

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
        size = 500
        for change in self.payload.changes:
            size += 3 * len(change.ops)
        return size

    @cached_property
    def keys(self) -> dict[int, list[bytes]]:
        """The keys that inline operations change, ascending, by store."""
        return {c.store: record.decode_keys(c.ops) for c in self.payload.changes if c.run is None}


def validate(work: Work, since: Iterable[Past]) -> None:
    """Raise ``Conflict`` naming store and key if one of the commits after the snapshot disturbs ``work``."""
    drafts = {store.id: store for store in work.drafts()}
    checked = work.mode != "unchecked"
    for past in since:
        for change in past.payload.catalogue:
            store = drafts.get(change.store)
            if store is not None and (checked or work.catalogue or change.kind != "rename"):
                raise Conflict(f"the store was changed by {change.kind!r}", store=store.name, seq=past.seq)
            if change.name in work.names_read or (checked and "" in work.names_read):
                raise Conflict(f"the catalogue entry was changed by {change.kind!r}", store=change.name, seq=past.seq)
        for step in past.payload.projections:
            _against_step(work, drafts, step, past.seq)
        if work.tags:
            _against_tags(work, past)
        for fold in past.payload.folds:
            if fold.store in drafts:
                _against_fold(drafts[fold.store], fold, past.seq)
        for store_change in past.payload.changes:
            store = drafts.get(store_change.store)
            if store is None:
                continue
            if store_change.layout != store.base.layout:
                raise Conflict("the store has another layout now", store=store.name, seq=past.seq)
            if store_change.run is None:
                _against_keys(store, past.keys[store_change.store], past.seq, checked=checked)
            else:
                _against_run(store, store_change, past.seq, checked=checked)


def _against_step(work: Work, drafts: Mapping[int, StoreWork], step: ProjectionChange, seq: int) -> None:
    """Who changes a store changes the projections of it that there are, those and no others."""
    source, own = drafts.get(step.of), drafts.get(step.store)
    if own is not None and step.kind in ("end", "drop", "replace"):
        raise Conflict(f"it was taken out of use by {step.kind!r}", store=own.name, seq=seq)
    if source is None:
        return
    changing = source.operations or any(change.store == source.id for change in work.catalogue)
    if step.kind == "replace" or (changing and step.kind != "finish"):
        raise Conflict(f"a projection of the store was changed by {step.kind!r}", store=source.name, seq=seq)


def _against_tags(work: Work, past: Past) -> None:
    """A tag keeps a state that is still there: what takes another tag away, or moves the horizon, may have let go of it."""
    for tag, _ in past.payload.tags:
        raise Conflict(f"the tag {tag!r} was changed", seq=past.seq)
    collected = past.payload.collect
    if collected is not None and any(0 < seq < collected.horizon for _, seq in work.tags):
        raise Conflict(f"the states before commit {collected.horizon} were let go of", seq=past.seq)


def _against_fold(store: StoreWork, fold: Fold, seq: int) -> None:
    """A record may name values where the snapshot has them, as long as the layer that stands for the snapshot's own names them too."""
    kept = set() if fold.run is None else {blob for blob, _ in tree_ref(fold.run).blobs}
    for tree in store.base.trees:
        if fold.lo < tree.hi and tree.lo < fold.hi and not kept.issuperset(store.named.intersection(blob for blob, _ in tree.ref.blobs)):
            raise Conflict("values out of line that are to stay were moved", store=store.name, seq=seq)


def _against_keys(store: StoreWork, keys: list[bytes], seq: int, *, checked: bool) -> None:
    for reads in (store.reads, store.claims) if checked else (store.claims,):
        if (key := reads.touched(keys)) is not None:
            raise Conflict("what was read has been changed", store=store.name, key=_told(store, key), seq=seq)
    if (key := store.written(keys)) is not None:
        raise Conflict("the record was changed", store=store.name, key=_told(store, key), seq=seq)


def _against_run(store: StoreWork, change: StoreChange, seq: int, *, checked: bool) -> None:
    run = Tree(tree_ref(change.run or []), seq - 1, seq, store.schema, store.work.room.reader)
    for reads in (store.reads, store.claims) if checked else (store.claims,):
        for lo, hi in reads.ranges:
            key = _any_between(run, max(lo, change.first), hi, store)
            if key is not None:
                raise Conflict("a range that was read has been changed", store=store.name, key=_told(store, key), seq=seq)
        for key in reads.points:
            if change.first <= key <= change.last and run.get(key) is not None:
                raise Conflict("the record was changed", store=store.name, key=_told(store, key), seq=seq)
        for vector in reads.bulk:
            for group in run.find(vector):
                raise Conflict("the record was changed", store=store.name, key=_told(store, vector[int(group.where[0])]), seq=seq)
    _bulk_against_bulk(store, store.drafts(), run, change, seq)


def _any_between(run: Tree, lo: bytes, hi: bytes | None, store: StoreWork) -> bytes | None:
    """Return a key of the run in ``[lo, hi)``, or None."""
    for piece in run.pieces(lo, hi):
        if piece.first >= lo:
            return piece.first if hi is None or piece.first < hi else None
        keys = piece.load().keys(store.schema)
        at = keys.search(lo)
        if at < len(keys):
            return keys[at] if hi is None or keys[at] < hi else None
    return None


def _bulk_against_bulk(store: StoreWork, layers: Sequence[Layer], run: Tree, change: StoreChange, seq: int) -> None:
    for layer in layers:
        if not layer.entries or layer.span[1] < change.first or layer.span[0] > change.last:
            continue
        for piece in layer.pieces(change.first, change.last + b"\0"):
            keys = piece.load().keys(store.schema)
            for group in run.find(keys):
                raise Conflict("the record was changed", store=store.name, key=_told(store, keys[int(group.where[0])]), seq=seq)


def _told(store: StoreWork, key: bytes) -> object:
    try:
        return store.told(key)
    except (ValueError, IndexError):  # the bound of a range may be a piece of a key
        return key
