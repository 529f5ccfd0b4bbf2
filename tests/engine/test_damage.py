"""Damaged bytes are refused: the right rows or ``Corruption``, never wrong rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from sopnb.engine import branch, checkpoint, far, leaf
from sopnb.engine.branch import Extent
from sopnb.engine.cache import Cache
from sopnb.engine.entries import Entries
from sopnb.engine.tree import Tree, TreeReader
from sopnb.errors import Corruption, SnapshotGone, StorageError
from sopnb.storage.memory import MemoryBlobs
from tests.engine.support import PLAIN, SECOND, TINY, Cluster, Row, commit, contents, create, key, keys, stack_of, tree_of
from tests.engine.test_trees import NAME, UUID, planted

ROWS: list[Row] = [(k, f"v{k}" if k != 5 else "long" * 20) for k in range(18)]
SMALL = {"leaf_rows": 3, "leaf_bytes": 400, "branch_bytes": 200, "value_bytes": 50}


@pytest.fixture(scope="module")
def tree() -> Tree:
    """Make a tree of three levels with a value out of line."""
    return planted(PLAIN, [Entries(PLAIN.batch(ROWS))], **SMALL)


def data_of(tree: Tree) -> bytes:
    blobs: Any = tree._reader._blobs
    (data,) = blobs.read(NAME, [(0, dict(blobs.names())[NAME])])
    return bytes(data)


def extents(tree: Tree) -> list[Extent]:
    """Return every extent that the tree is made of."""
    data = data_of(tree)
    found = [tree.ref.root]

    def walk(extent: Extent) -> None:
        one = branch.Branch.decode(data[extent.offset : extent.offset + extent.length], "here")
        for i in range(len(one)):
            found.append(one.extent(i))
            if one.level:
                walk(one.extent(i))

    walk(tree.ref.root)
    for piece in tree.pieces(b"", None):
        cells = piece.load().far
        found += [Extent(*where) for cell in (cells.drop_null().to_pylist() if cells else ()) for _, *where in far.decode(cell)]
    return sorted(found, key=lambda extent: extent.offset)


def over(tree: Tree, data: bytes, *, uuid: bytes = UUID) -> Tree:
    """Return the same tree over other bytes, read by somebody who knows nothing yet."""
    blobs = MemoryBlobs()
    blobs.put(NAME, [data])
    return Tree(tree.ref, 0, tree.hi, PLAIN, TreeReader(blobs, Cache(1 << 20), uuid))


def by_scan(tree: Tree) -> list[Row]:
    parts = [tree._reader.far.resolved(piece.load(), PLAIN) for piece in tree.pieces(b"", None)]
    return [row for part in parts for row in PLAIN.rows(part.batch)]


def by_key(tree: Tree) -> list[Row]:
    return [row for k, _ in ROWS if (entry := tree.get(key(k))) and (row := entry.row)]


def by_keys(tree: Tree) -> list[Row]:
    parts = [tree._reader.far.resolved(group.entries.take(group.rows), PLAIN) for group in tree.find(keys(k for k, _ in ROWS))]
    return [row for part in parts for row in PLAIN.rows(part.batch)]


WAYS = [by_scan, by_key, by_keys]


def read(tree: Tree, way: Callable[[Tree], list[Row]]) -> str:
    """Say whether a tree gives the right rows by some way of reading, or is damaged."""
    try:
        return "right" if way(tree) == ROWS else "WRONG"
    except Corruption:
        return "damaged"


def test_every_flipped_byte_is_found_where_it_matters(tree: Tree, request: pytest.FixtureRequest) -> None:
    """Leaves, branches and values are checked when they are first used; the gaps between them and the marks mean nothing to readers."""
    data = data_of(tree)
    inside = {at for extent in extents(tree) for at in range(extent.offset, extent.offset + extent.length)}
    assert {extent.blob for extent in extents(tree)} == {NAME}
    assert len(extents(tree)) >= 6 + 2 + 1 + 1
    bits = range(8) if request.config.getoption("--long") else (0,)
    for at in range(len(data)):
        for bit in bits:
            flipped = data[:at] + bytes([data[at] ^ (1 << ((at + bit) % 8))]) + data[at + 1 :]
            expected = "damaged" if at in inside else "right"
            way = WAYS[at % 3]
            assert read(over(tree, flipped), way) == expected, (at, way)


def test_every_truncation_is_found(tree: Tree) -> None:
    data = data_of(tree)
    end = max(extent.offset + extent.length for extent in extents(tree))
    for length in range(0, len(data), 1):
        assert read(over(tree, data[:length]), WAYS[length % 3]) == ("damaged" if length < end else "right"), length


def test_an_extent_in_the_place_of_another_is_found(tree: Tree) -> None:
    """Swapped, or the stale bytes of another blob at the same place: the checksum is kept in the parent."""
    data = data_of(tree)
    found = extents(tree)
    for a, b in pairwise(found):
        length = min(a.length, b.length)
        swapped = bytearray(data)
        swapped[a.offset : a.offset + length] = data[b.offset : b.offset + length]
        swapped[b.offset : b.offset + length] = data[a.offset : a.offset + length]
        for way in WAYS:
            assert read(over(tree, bytes(swapped)), way) == "damaged"


def test_the_blob_of_another_name_or_database_is_not_taken_for_it(tree: Tree) -> None:
    """A copy of the same rows, written under another name or for another database, has other checksums."""
    for copy, uuid in ((planted(PLAIN, [Entries(PLAIN.batch(ROWS))], name="f" * 16 + "-000001", **SMALL), UUID), (tree, bytes(16))):
        blobs: Any = copy._reader._blobs
        ((name, size),) = blobs.names()
        for way in WAYS:
            assert read(over(tree, blobs.read(name, [(0, size)])[0], uuid=uuid), way) == "damaged"


def test_bytes_that_are_no_leaf_or_branch_are_corruption_even_if_their_checksum_is_right(tree: Tree) -> None:
    """As of a writer gone wrong: decoding them raises nothing else."""
    data = data_of(tree)
    shape = branch.Shape(0, 7, 1, False)
    for extent in extents(tree):
        part = data[extent.offset : extent.offset + extent.length]
        for cut in {*range(0, len(part), 7), len(part) - 1}:
            for decode in (lambda raw: branch.Branch.decode(raw, "here"), lambda raw: leaf.decode(raw, PLAIN, shape, "here")):
                try:
                    decode(part[:cut])
                except Corruption as error:
                    assert error.where == "here"  # noqa: PT017


# -- within an engine ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Iterator[Cluster]:
    cluster = make(**TINY, inline_rows=0)
    yield cluster
    cluster.damaged = True


def test_a_missing_blob_is_corruption_and_names_it(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "v" for k in range(30)})
    blob = tree_of(engine).ref.blob
    cluster.blobs.delete([blob])
    reader = cluster.open()
    for read in (
        lambda: contents(reader),
        lambda: stack_of(reader).get(key(3)),
        lambda: stack_of(reader).select(7),
        lambda: contents(engine),
    ):
        with pytest.raises(Corruption, match=f"{blob}.*missing"):
            read()
    assert stack_of(reader).rows == 30, "what the record says needs no blob"
    assert [problem.what for problem in reader.check() if blob in problem.where] == ["it is missing"]


def test_a_blob_that_was_collected_is_no_corruption(cluster: Cluster) -> None:
    """To a reader whose pin was lost it means that its snapshot is gone."""
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "v" for k in range(30)})
    lost = cluster.open()
    old = lost.state()
    lost.backend.pins.close()
    commit(engine, {k: "w" for k in range(30)})
    engine.upkeep.compact(0)
    with pytest.raises(SnapshotGone, match="open a newer one"):
        old.stores["s"].stack.get(key(3))
    assert contents(lost) == {k: "w" for k in range(30)}


def test_a_read_error_of_the_disk_comes_through(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: "v" for k in range(30)})

    class Broken:
        def read(self, name: str, ranges: Any) -> Any:
            raise StorageError(name, "input/output error", errno=5)

        def __getattr__(self, name: str) -> Any:
            return getattr(cluster.store, name)

    cluster.blobs = Broken()
    reader = cluster.open()
    with pytest.raises(StorageError, match="input/output"):
        contents(reader)
    assert not reader.check().ok


def test_a_damaged_checkpoint_is_corruption_at_every_length(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "a"})
    data = checkpoint.encode(engine.state(), engine.outcomes())
    for length in range(len(data)):
        with pytest.raises(Corruption, match="checkpoint 7"):
            checkpoint.decode(data[:length], engine.reader, "checkpoint 7")


def test_without_any_readable_checkpoint_a_trimmed_log_is_corruption(cluster: Cluster) -> None:
    """An engine that found the log trimmed began again at the newest checkpoint that could be read, found the log trimmed, and began
    again, until Python gave up."""
    engine = cluster.open()
    create(engine)
    for k in range(4):
        commit(engine, {k: "v"})
        cluster.clock.sleep(SECOND)
        engine.upkeep.compact(0)
    cluster.memory._checkpoints.clear()
    with pytest.raises(Corruption, match="no checkpoint"):
        cluster.open()
