"""A tree of leaves in blobs, as a layer: a run of changes, or the base of a store.

A tree is named by its root, which the commit record or a checkpoint holds (``TreeRef``); everything below is found from there and
checked when it is first used. A tree may name leaves of older blobs, so what did not change is not written again.
"""

from __future__ import annotations

import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from sopnb.engine import leaf as leaves
from sopnb.engine.branch import Branch, Child, Extent, Shape
from sopnb.engine.cache import Cache, Shelves
from sopnb.engine.entries import Entries, Entry
from sopnb.engine.far import FarReader
from sopnb.engine.layer import Below, Group, Piece, narrowed
from sopnb.engine.leaf import Leaf
from sopnb.engine.prune import Prune, kept
from sopnb.errors import Corruption
from sopnb.index import Keys
from sopnb.protocols import Blobs
from sopnb.schema import Schema

Choose = Callable[[Branch, int, int], Sequence[int]]
"""Returns which of the leaves ``[first, last)`` of a branch are wanted, ascending."""
READ_AHEAD = 16
"""A scan reads up to this many neighbouring leaves at once."""
SMALL = 65_536
"""A run of no more entries keeps its keys, or a filter of them, once it is asked often,"""
_SMALL_ROW = 128
"""unless its rows take more than this many bytes each: then reading all of them is dear."""
_ASKED_OFTEN = 8
_BITS = 64
"""Bits of a filter for each key."""
_SET_KEY, _RUNS = 120, 64
"""About what Python needs for a key in a set; so many sets must fit in the cache, or filters take their place."""
LOOKS = 31
"""The cache hears of a leaf again after this many uses (one less than a power of two),"""
_KNOWN_LOOKS = 7
"""and of a run's keys after this many, but at first each time: while those of others are not known, every look brings in leaves."""


class TreeRef(msgspec.Struct, array_like=True, frozen=True):
    """Where a tree's root lies, and what a commit says of the tree. ``blobs`` are the bytes that it needs of each blob."""

    blob: str
    offset: int
    length: int
    checksum: int
    entries: int
    delta: int
    first: bytes
    last: bytes
    leaves: int
    blobs: list[tuple[str, int]]

    @property
    def root(self) -> Extent:
        """The root branch."""
        return Extent(self.blob, self.offset, self.length, self.checksum)

    @property
    def size(self) -> int:
        """How many stored bytes the tree needs."""
        return sum(size for _, size in self.blobs)


def seed(uuid: bytes, blob: str) -> int:
    """Return what seeds the checksums of a blob's extents."""
    return int(xxh3_64_intdigest(uuid + blob.encode()))


class TreeReader:
    """Reads extents of blobs, checks them, and keeps what was decoded.

    ``leaves`` and ``branches`` count what was used, kept or not, ``skipped`` the leaves that a scan left out, ``reads`` the reads of blobs.
    """

    def __init__(self, blobs: Blobs, cache: Cache, uuid: bytes) -> None:
        self._blobs, self.cache, self._uuid = blobs, cache, uuid
        self._seeds: dict[str, int] = {}
        self.leaves = self.branches = self.skipped = self.reads = 0
        self.shelves = Shelves(cache.spare)
        self.far = FarReader(self.value)
        self.missing: Callable[[str], Exception] = lambda blob: Corruption(f"blob {blob}", "it is missing")
        """Makes the error for a blob that is not there."""

    @property
    def counters(self) -> tuple[int, int, int]:
        """How many leaves were used so far, how many left out, how many branches used."""
        return self.leaves, self.skipped, self.branches

    def branch(self, extent: Extent, hi: int) -> Branch:
        """Return a branch of the tree up to commit ``hi``: what is kept with it is of that tree, not of the draft that it was."""
        self.branches += 1
        name = (extent.blob, extent.offset, "branch", hi)
        found = self.cache.get(name)
        if isinstance(found, Branch):
            return found
        (data,) = self._read(extent.blob, [extent])
        branch = Branch.decode(data, _where(extent))
        self.cache.put(name, branch)
        return branch

    def leaf(self, extent: Extent, shape: Shape, schema: Schema) -> Leaf:
        """Return a leaf, and keep it. The seq in ``shape`` must be written out: the same bytes may be named by trees of other commits."""
        self.leaves += 1
        found = self.kept(extent, shape)
        if found is not None:
            return found
        (data,) = self._read(extent.blob, [extent])
        leaf = Leaf(leaves.decode(data, schema, shape, _where(extent)), schema, extent.length)
        self.weigh(extent, shape, leaf)
        return leaf

    def weigh(self, extent: Extent, shape: Shape, leaf: Leaf) -> None:
        """Keep a leaf, or account for one that has grown."""
        self.cache.put((extent.blob, extent.offset, shape.seq), leaf)

    def kept(self, extent: Extent, shape: Shape) -> Leaf | None:
        """Return a leaf if it is kept already."""
        found = self.cache.get((extent.blob, extent.offset, shape.seq))
        return found if isinstance(found, Leaf) else None

    def several(self, extents: Sequence[Extent], shapes: Sequence[Shape], schema: Schema) -> list[Entries]:
        """Return leaves read together and not kept: for scans."""
        self.leaves += len(extents)
        data: list[Any] = [None] * len(extents)
        start = 0
        while start < len(extents):
            end = start + 1
            while end < len(extents) and extents[end].blob == extents[start].blob:
                end += 1
            data[start:end] = self._read(extents[start].blob, extents[start:end])
            start = end
        return [leaves.decode(d, schema, s, _where(e)) for d, s, e in zip(data, shapes, extents, strict=True)]

    def value(self, extent: Extent) -> bytes:
        """Return a value out of line."""
        (data,) = self._read(extent.blob, [extent])
        return bytes(data)

    def _read(self, blob: str, extents: Sequence[Extent]) -> list[Any]:
        self.reads += 1
        seeded = self._seeds.get(blob)
        if seeded is None:
            seeded = self._seeds[blob] = seed(self._uuid, blob)
        ranges, places = _coalesced(extents)
        try:
            buffers = self._blobs.read(blob, ranges)
        except FileNotFoundError as error:
            raise self.missing(blob) from error
        parts = []
        for extent, (buffer, offset) in zip(extents, places, strict=True):
            part = memoryview(buffers[buffer])[offset : offset + extent.length]
            if xxh3_64_intdigest(part, seeded) != extent.checksum:
                raise Corruption(_where(extent), "the checksum is wrong")
            parts.append(part)
        return parts


def _coalesced(extents: Sequence[Extent]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the ranges to read, neighbours joined, and for each extent (which range, offset within it)."""
    ranges: list[tuple[int, int]] = []
    places = []
    for extent in extents:
        if ranges and 0 <= extent.offset - sum(ranges[-1]) <= 64:
            start, _ = ranges[-1]
            ranges[-1] = start, extent.offset + extent.length - start
        else:
            ranges.append((extent.offset, extent.length))
        places.append((len(ranges) - 1, extent.offset - ranges[-1][0]))
    return ranges, places


def _where(extent: Extent) -> str:
    return f"blob {extent.blob} at {extent.offset}"


class _Known:
    """What a small run says of its keys: the set of them where the cache has plenty of room, else a filter."""

    def __init__(self, keys: list[bytes], room: int) -> None:
        self.nbytes = len(keys) * _SET_KEY
        self.keys: Container[bytes]
        if self.nbytes * _RUNS <= room:
            self.keys = frozenset(keys)
        else:
            self.keys = few = _Filter(keys)
            self.nbytes = few.nbytes


class _Filter:
    """Says of a small run that it does not hold a key, or that it may: wrongly of one in a thousand keys, and never of one it holds.

    For each key it holds two of so many bits are set. So it takes less than a tenth of what the keys themselves would take, and asking
    twenty runs for a key that none of them holds costs next to nothing.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self.size = max(_BITS * len(keys), 8)
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
        there = np.zeros(self.size, bool)
        there[hashes % self.size] = True
        there[(hashes >> 32) % self.size] = True
        self.bits = np.packbits(there, bitorder="little").tobytes()
        self.nbytes = len(self.bits)

    def __contains__(self, key: object) -> bool:
        """Say whether the run may hold a key."""
        hashed = hash(key)
        at = hashed % self.size
        if not self.bits[at >> 3] >> (at & 7) & 1:
            return False
        at = (hashed >> 32) % self.size
        return bool(self.bits[at >> 3] >> (at & 7) & 1)


def _nothing_known() -> None:
    return None


class Tree:
    """A tree as a layer of the commits ``(lo, hi]``. Rows with seq 0 were written by commit ``hi``."""

    def __init__(self, ref: TreeRef, lo: int, hi: int, schema: Schema, reader: TreeReader) -> None:
        self.ref, self.lo, self.hi, self._schema, self._reader = ref, lo, hi, schema, reader
        self.entries, self.delta = ref.entries, ref.delta
        self._small = ref.entries <= SMALL and ref.size <= SMALL * _SMALL_ROW
        self._asked = 0
        self._known: Callable[[], _Known | None] = _nothing_known
        self._shelf = reader.shelves.shelf()
        self._known_name = ("keys", ref.blob, ref.offset)

    @property
    def span(self) -> tuple[bytes, bytes]:
        """The first and the last key."""
        return self.ref.first, self.ref.last

    @cached_property
    def _root(self) -> Branch:
        return self._reader.branch(self.ref.root, self.hi)

    def _leaf(self, branch: Branch, i: int) -> Leaf:
        kept = branch.decoded[i]
        leaf: Leaf | None = None if kept is None else kept()
        if leaf is None:
            leaf = self._reader.leaf(branch.extent(i), self._shape(branch, i), self._schema)
            branch.decoded[i] = weakref.ref(leaf)
        else:
            self._reader.leaves += 1
        leaf.used += 1
        if leaf.used & LOOKS == LOOKS:  # tell the cache now and then that it is in use
            self._weigh(branch, i, leaf)
        return leaf

    def _weigh(self, branch: Branch, i: int, leaf: Leaf) -> None:
        leaf.grown = False
        self._reader.weigh(branch.extent(i), self._shape(branch, i), leaf)

    def _shape(self, branch: Branch, i: int) -> Shape:
        """Return the shape of a leaf, its seq written out."""
        shape = branch.shape(i)
        return shape._replace(seq=self.hi) if shape.seq == 0 else shape

    def _below(self, branch: Branch, i: int) -> Branch:
        kept = branch.decoded[i]
        child: Branch | None = None if kept is None else kept()
        if child is None:
            child = self._reader.branch(branch.extent(i), self.hi)
            branch.decoded[i] = weakref.ref(child)
        else:
            self._reader.branches += 1
        return child

    # -- by key ---------------------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        """Return the change of one key, or None."""
        held = self._known()
        if held is not None:
            self._asked = asked = self._asked + 1
            if asked < 0 or asked & _KNOWN_LOOKS == _KNOWN_LOOKS:
                self._reader.cache.get(self._known_name)
            if key not in held.keys:
                return None
        elif self._small and not self._may_hold(key):
            return None
        entry: Entry | None = self._shelf.new.get(key)
        return entry if entry is not None else self._get(key)

    def _get(self, key: bytes) -> Entry | None:
        entry: Entry | None = self._shelf.old.get(key)
        if entry is None:
            entry, keep = self._sought(key)
            if not keep:
                return entry
        self._reader.shelves.keep(self._shelf, key, entry, leaves.entry_bytes(self._schema) + self.ref.size // self.entries)
        return entry

    def _sought(self, key: bytes) -> tuple[Entry | None, bool]:
        """Return the change of one key, or None, and whether it may be kept: not if there is none, or with values out of line."""
        branch = self._root
        while True:
            i = bisect_right(branch.keys, key) - 1
            if i < 0:
                return None, False
            if not branch.level:
                break
            branch = self._below(branch, i)
        leaf = self._leaf(branch, i)
        at = leaf.find(key)
        if leaf.grown:
            self._weigh(branch, i, leaf)
        if at < 0:
            return None, False
        entry = leaf.entry(at)
        if leaf.entries.far is None or entry.row is None:
            return entry, True
        one = self._reader.far.resolved(leaf.entries.slice(at, at + 1), self._schema)
        return Entry(entry.op, entry.seq, entry.delta, self._schema.rows(one.batch)[0]), False

    def _may_hold(self, key: bytes) -> bool:
        """Say whether a small tree may hold a key; once asked often it keeps its keys, or a filter of them."""
        self._asked += 1
        if self._asked >= _ASKED_OFTEN:
            held = self._keys_known()
            self._known = weakref.ref(held)
            self._asked = -self.entries  # if the cache does not keep it, it pays to make it again only after as many looks
            return key in held.keys
        return self.ref.first <= key <= self.ref.last

    def _keys_known(self) -> _Known:
        """Return what is known of all keys, which the cache keeps."""
        cache = self._reader.cache
        found = cache.get(self._known_name)
        if isinstance(found, _Known):
            return found
        made = _Known([key for piece in self.pieces(b"", None) for key in piece.load().keys(self._schema).tolist()], cache.limit)
        cache.put(self._known_name, made)
        return made

    def find(self, keys: Keys) -> Iterator[Group]:
        """Yield where keys are found."""
        if len(keys):
            yield from self._find(self._root, keys, 0, len(keys))

    def _find(self, branch: Branch, keys: Keys, start: int, stop: int) -> Iterator[Group]:
        exact = keys.slice(start, stop)
        cuts = [exact.search(key) for key in branch.keys] if len(branch) < stop - start else self._cuts(branch, exact)
        cuts.append(stop - start)
        asked = [i for i in range(len(branch)) if cuts[i] < cuts[i + 1]]
        if branch.level:
            for i in asked:
                yield from self._find(self._below(branch, i), keys, start + cuts[i], start + cuts[i + 1])
            return
        for first in range(0, len(asked), READ_AHEAD):
            some = asked[first : first + READ_AHEAD]
            for i, leaf in zip(some, self._sought_in(branch, some, cuts), strict=True):
                here = exact.slice(cuts[i], cuts[i + 1])
                if leaf.for_few(len(here)):
                    at = np.array([leaf.find(key) for key in here.tolist()])
                    hit = at >= 0
                else:
                    at, hit = leaf.keys().match(here)
                if np.count_nonzero(hit) == len(hit):
                    yield Group(np.arange(start + cuts[i], start + cuts[i + 1]), leaf.entries, at)
                elif len(where := np.flatnonzero(hit)):
                    yield Group(where + (start + cuts[i]), leaf.entries, at[where])

    def _sought_in(self, branch: Branch, numbers: list[int], cuts: list[int]) -> list[Leaf]:
        """Return several leaves of a branch. The keys of those that have none are made together, unless only a few are sought there."""
        found = [self._leaf(branch, i) for i in numbers]
        bare = [leaf for leaf, i in zip(found, numbers, strict=True) if leaf.bare and not leaf.for_few(cuts[i + 1] - cuts[i])]
        if bare:
            made = self._schema.keys(pa.Table.from_batches([leaf.entries.batch for leaf in bare]))
            start = 0
            for leaf in bare:
                leaf.give_keys(made.slice(start, start := start + len(leaf.entries)))
            for i, leaf in zip(numbers, found, strict=True):
                if leaf.grown:
                    self._weigh(branch, i, leaf)
        return found

    def _cuts(self, branch: Branch, keys: Keys) -> list[int]:
        """Return, for few keys under many children, where each child's keys begin."""
        child = [bisect_right(branch.keys, key) - 1 for key in keys.tolist()]
        return np.searchsorted(child, np.arange(len(branch))).tolist()  # type: ignore[no-any-return]

    # -- by range -------------------------------------------------------------------------------------------------------------

    def children(self, lo: bytes = b"", hi: bytes | None = None, *, reverse: bool = False, choose: Choose | None = None
                 ) -> Iterator[tuple[Branch, int, bytes | None]]:  # fmt: skip
        """Yield (branch of level 0, number of the leaf in it, first key after the leaf) for the leaves that reach into a range."""
        return self._children(self._root, lo, hi, None, choose, reverse=reverse)

    def _children(self, branch: Branch, lo: bytes, hi: bytes | None, stop: bytes | None, choose: Choose | None, *, reverse: bool
                  ) -> Iterator[Any]:  # fmt: skip
        first = max(bisect_right(branch.keys, lo) - 1, 0)
        last = len(branch) if hi is None else bisect_left(branch.keys, hi)
        numbers: Sequence[int] = range(first, last)
        if choose is not None and not branch.level:
            numbers = choose(branch, first, last)
        for i in reversed(numbers) if reverse else numbers:
            after = branch.keys[i + 1] if i + 1 < len(branch) else stop
            if branch.level:
                yield from self._children(self._below(branch, i), lo, hi, after, choose, reverse=reverse)
            else:
                yield branch, i, after

    def inner(self, above: Branch | None = None) -> Iterator[tuple[Branch, int, Branch]]:
        """Yield (branch, number of a child in it, that child) for all children that are branches themselves."""
        branch = self._root if above is None else above
        for i in range(len(branch)) if branch.level else ():
            child = self._below(branch, i)
            yield branch, i, child
            yield from self.inner(child)

    def pieces(self, lo: bytes, hi: bytes | None, *, reverse: bool = False, prune: Prune | None = None, lowest: bool = False
               ) -> Iterator[Piece]:  # fmt: skip
        """Yield the leaves that reach into a range, reading ahead more and more."""
        ahead = 1
        group: list[tuple[Branch, int, bytes | None]] = []
        choose = None if prune is None else partial(self._kept, prune, lowest)
        for child in self.children(lo, hi, reverse=reverse, choose=choose):
            group.append(child)
            if len(group) == ahead:
                yield from self._read_together(group)
                group, ahead = [], min(ahead * 2, READ_AHEAD)
        if group:
            yield from self._read_together(group)

    def _kept(self, prune: Prune, lowest: bool, branch: Branch, first: int, last: int) -> list[int]:
        """Return which of the leaves ``[first, last)`` of a branch have to be read."""
        keeps = kept(prune, branch, self._schema, lowest=lowest)
        numbers: list[int] = (first + np.flatnonzero(keeps[first:last])).tolist()
        self._reader.skipped += last - first - len(numbers)
        return numbers

    def _read_together(self, group: list[tuple[Branch, int, bytes | None]]) -> Iterator[Piece]:
        together = _Together(self._reader, self._schema, [(branch.extent(i), self._shape(branch, i)) for branch, i, _ in group])
        for n, (branch, i, stop) in enumerate(group):
            yield Piece(branch.keys[i], stop, together.loader(n), leaf=(self, branch, i))

    # -- by position ----------------------------------------------------------------------------------------------------------

    def before(self, key: bytes) -> int:
        """Return the sum of the deltas before a key."""
        branch, total = self._root, 0
        while True:
            i = bisect_right(branch.keys, key) - 1
            if i < 0:
                return total
            total += branch.deltas_before[i]
            if branch.keys[i] == key:
                return total
            if not branch.level:
                break
            branch = self._below(branch, i)
        leaf = self._leaf(branch, i)
        at = leaf.before(key)
        if leaf.grown:
            self._weigh(branch, i, leaf)
        return total + leaf.delta_before(at)

    def narrow(self, lo: bytes, hi: bytes | None, below: Below) -> tuple[bytes, bytes | None]:
        """Narrow a range to one leaf."""
        branch = self._root
        while True:
            lo, hi = narrowed(branch.keys, lo, hi, below)
            if not branch.level:
                return lo, hi
            branch = self._below(branch, max(bisect_right(branch.keys, lo) - 1, 0))

    def child(self, branch: Branch, i: int) -> Child:
        """Return what is said of a leaf, its seq written out, so that another tree may name it."""
        return branch.child(i)._replace(shape=self._shape(branch, i))


class _Together:
    """Some neighbouring leaves: many are read in one go when the first of them is wanted, few each by itself, and kept.

    So what a small range needs is there when it is asked for again, and a long scan drives nothing out.
    """

    def __init__(self, reader: TreeReader, schema: Schema, leaves: list[tuple[Extent, Shape]]) -> None:
        self._reader, self._schema, self._leaves = reader, schema, leaves
        self._entries: list[Entries] | None = None

    def loader(self, n: int) -> Callable[[], Entries]:
        """Return what loads leaf n."""
        return lambda: self._load(n)

    def _load(self, n: int) -> Entries:
        if len(self._leaves) < READ_AHEAD:
            return self._reader.leaf(*self._leaves[n], self._schema).entries.apart()
        kept = self._reader.kept(*self._leaves[n])
        if kept is not None:
            self._reader.leaves += 1
            return kept.entries.apart()
        if self._entries is None:
            self._entries = self._reader.several([e for e, _ in self._leaves], [s for _, s in self._leaves], self._schema)
        return self._entries[n]
