"""A tree gives back what was written to it, level by level, and says truly what is in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from sopnb.engine.blob import MAGIC, MARK
from sopnb.engine.builder import write_tree
from sopnb.engine.cache import Cache
from sopnb.engine.entries import Entries
from sopnb.engine.tree import Tree, TreeReader, seed
from sopnb.index import IndexSpecification
from sopnb.protocols import Blobs
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings
from sopnb.storage.memory import MemoryBlobs
from tests.engine.support import PLAIN, TINY, Cluster, Row, create, key, keys, store_of

UUID = bytes(range(16))
NAME = "0123456789abcdef-000001"


def planted(schema: Schema, entries: list[Entries], *, blobs: Blobs | None = None, name: str = NAME, hi: int = 7, **settings: int) -> Tree:
    """Write entries as a tree and return it, to be read by a reader of its own."""
    store = MemoryBlobs() if blobs is None else blobs
    ref = write_tree(store, name, schema, DatabaseSettings(**settings), entries, uuid=UUID)
    assert ref is not None
    return Tree(ref, 0, hi, schema, TreeReader(store, Cache(1 << 20), UUID))


def read(tree: Tree, *, reverse: bool = False) -> list[Row]:
    parts = [piece.load() for piece in tree.pieces(b"", None, reverse=reverse)]
    return [tuple(row.values()) for part in parts for row in part.batch.to_pylist()]


@pytest.mark.parametrize("rows", [*range(1, 40), 64, 120, 127, 128, 129, 500])
def test_a_tree_of_any_number_of_rows_holds_all_of_them(rows: int) -> None:
    """Where a level was just closed, the one below held one branch and the one above some, the one branch was taken for the root: all
    that was written before it was lost, and nothing said so, for the tree was in order."""
    wanted = [(k, f"v{k}") for k in range(rows)]
    for branch_bytes in (100, 150, 200):
        tree = planted(PLAIN, [Entries(PLAIN.batch(wanted))], leaf_bytes=64, leaf_rows=2, branch_bytes=branch_bytes)
        assert read(tree) == wanted
        assert (tree.entries, tree.delta, tree.span) == (rows, rows, (key(0), key(rows - 1)))
        assert [tree.before(key(k)) for k in range(rows + 1)] == list(range(rows + 1))


TYPES: dict[Any, list[Any]] = {
    pa.bool_(): [True, False],
    pa.int8(): [-128, 0, 127],
    pa.uint8(): [0, 255],
    pa.int16(): [-(2**15), 2**15 - 1],
    pa.uint16(): [0, 2**16 - 1],
    pa.int32(): [-(2**31), 2**31 - 1],
    pa.uint32(): [0, 2**32 - 1],
    pa.int64(): [-(2**63), -1, 2**63 - 1],
    pa.uint64(): [0, 1, 2**64 - 1],
    pa.float16(): [0.5, -0.0, math.inf, math.nan],
    pa.float32(): [0.5, -0.0, -math.inf, math.nan, 2.0**127],
    pa.float64(): [0.1, -0.0, math.inf, math.nan, 5e-324],
    pa.decimal32(5, 2): [Decimal("-1.50"), Decimal("999.99")],
    pa.decimal64(12, 3): [Decimal("-1.500"), Decimal("999999999.999")],
    pa.decimal128(38, 10): [Decimal("-1.5000000000"), Decimal("1234567890123456789012345678.0123456789")],
    pa.decimal256(50, 1): [Decimal("1" * 49 + ".5"), Decimal("-0.1")],
    pa.date32(): [-1, 0, 20_000],
    pa.date64(): [-86_400_000, 86_400_000 * 20_000],
    pa.time32("s"): [0, 86_399],
    pa.time32("ms"): [0, 86_399_999],
    pa.time64("us"): [0, 86_399_999_999],
    pa.time64("ns"): [0, 86_399_999_999_999],
    pa.timestamp("s"): [-(2**62), 2**62],
    pa.timestamp("ms", "Europe/Berlin"): [-1, 10**12],
    pa.timestamp("us", "UTC"): [-1, 10**15],
    pa.timestamp("ns", "+01:00"): [-1, 10**18 + 1],
    pa.duration("s"): [-(2**62), 2**62],
    pa.duration("ns"): [-1, 1],
    pa.string(): ["", "é\0\U0001f600", "x" * 40, "y" * 80],
    pa.large_string(): ["", "é\0", "y" * 80],
    pa.binary(): [b"", b"\0\xff", b"y" * 80],
    pa.large_binary(): [b"", b"\0\xff", b"y" * 80],
    pa.binary(3): [b"abc", b"\0\0\0"],
    pa.list_(pa.int32()): [[], [1, None, 3]],
    pa.list_(pa.decimal128(5, 1)): [[Decimal("1.0"), None], []],
    pa.large_list(pa.string()): [["a", None, ""], []],
    pa.list_(pa.int8(), 2): [[1, 2], [3, None]],
    pa.list_(pa.timestamp("us", "UTC")): [[1, None], []],
    pa.list_(pa.list_(pa.binary())): [[[b"\0"], [], None]],
    pa.struct([("a", pa.int8()), ("b", pa.list_(pa.date32())), ("c", pa.struct([("d", pa.decimal128(5, 2))]))]): [
        {"a": 1, "b": [1, None], "c": {"d": Decimal("1.50")}},
        {"a": None, "b": None, "c": None},
        {"a": None, "b": [], "c": {"d": None}},
    ],
    pa.dictionary(pa.int8(), pa.string()): ["a", "b", "a"],
    pa.dictionary(pa.int32(), pa.timestamp("us")): [1, 2, 1],
    pa.null(): [],
}
"""Storage values of every type that a column may have."""


def columns(kind: Any) -> tuple[Schema, list[Row]]:
    """Return the schema of a store with a column of this type, and records of it, with nulls here and there and alone in a leaf."""
    schema = Schema(pa.schema([pa.field("k", pa.int64(), nullable=False), pa.field("v", kind)]), IndexSpecification.of("k"))
    values = [None, *TYPES[kind], *TYPES[kind], *[None] * 7, *TYPES[kind]]
    return schema, list(enumerate(values))


def same(got: Any, wanted: Any) -> bool:
    """Say whether values are equal, NaN to NaN and -0.0 not to 0.0."""
    return repr(got) == repr(wanted)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_type_comes_back_from_a_tree_as_it_was(kind: Any) -> None:
    schema, rows = columns(kind)
    batch = schema.batch(rows)
    assert same(schema.rows(batch), rows)
    for cut in (0, 1):  # a slice has its buffers from the middle of others
        entries = Entries(batch.slice(cut))
        tree = planted(schema, [entries], **TINY)
        parts = [tree_part for piece in tree.pieces(b"", None) for tree_part in [tree._reader.far.resolved(piece.load(), schema)]]
        assert same([row for part in parts for row in schema.rows(part.batch)], rows[cut:])
        assert all(part.batch.schema.equals(schema.physical, check_metadata=True) for part in parts)
        for row in rows[cut:]:
            entry = tree.get(schema.key_bytes(row))
            assert entry is not None
            assert same((entry.op, entry.seq, entry.delta, entry.row), (0, 7, 1, row))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_type_comes_back_from_an_engine_whichever_way_it_went(make: Callable[..., Cluster], kind: Any) -> None:
    """Through a record, a run, a checkpoint and a fold."""
    schema, rows = columns(kind)
    for inline_rows in (1000, 0):
        cluster = make(**TINY, inline_rows=inline_rows)
        engine = cluster.open()
        create(engine, schema=schema)
        work = engine.begin()
        for row in rows[::2]:
            work.store("s").put("insert", row)
        work.store("s").write("insert", pa.Table.from_batches([schema.batch(rows[1::2])]))
        engine.commit(work)
        for reread in (engine, cluster.open()):
            stack = store_of(reread).stack
            assert same([row for part in stack.scan() for row in schema.rows(part.batch)], rows)
            assert same([stack.get(schema.key_bytes(row)).row for row in rows], rows)  # type: ignore[union-attr]
            assert same(schema.rows(stack.find(schema.keys(schema.batch(rows))).fetch(schema)), rows)
        engine.upkeep.checkpoint()
        assert same([row for part in store_of(cluster.open()).stack.scan() for row in schema.rows(part.batch)], rows)
        engine.upkeep.fold()
        assert same([row for part in store_of(engine).stack.scan() for row in schema.rows(part.batch)], rows)
        again = engine.begin()
        assert again.store("s").write("upsert", pa.Table.from_batches([schema.batch(rows)])).unchanged == len(rows)
        assert sum(again.store("s").put("upsert", row).unchanged for row in rows) == len(rows)
        assert engine.commit(again) == 0


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_what_a_branch_says_of_its_leaves_is_true(kind: Any) -> None:
    """Smallest, largest and nulls as Arrow finds them, NaN left out; first keys, entries and deltas exactly."""
    schema, rows = columns(kind)
    tree = planted(schema, [Entries(schema.batch(rows))], **{**TINY, "value_bytes": 10**6})
    leaves = [(branch, i, piece.load()) for piece in tree.pieces(b"", None) for _, branch, i in [piece.leaf]]
    assert len(leaves) > 1
    for branch, i, part in leaves:
        child = branch.child(i)
        assert (child.entries, child.delta, child.key) == (len(part), len(part), part.keys(schema)[0])
        stats = branch.stats(i)
        assert stats is not None
        numbers = part.batch.column(0)
        assert tuple(stats[0] or ()) == (numbers[0].as_py(), numbers[-1].as_py(), 0)
        said = stats[1]
        assert bounds(part.batch.column(1)) == (None if said is None else tuple(said))


def bounds(column: Any) -> tuple[Any, Any, int] | None:
    """Return the smallest and the largest storage value and the nulls of a column, by other means; None where there are none."""
    t, kind = pa.types, column.type
    without = (t.is_nested, t.is_float16, t.is_decimal32, t.is_decimal64, t.is_null)
    if any(has_none(kind) for has_none in without) or (t.is_fixed_size_binary(kind) and not t.is_decimal(kind)):
        return None
    values = [value for value in stored(column) if value is not None and value == value]
    if not values:
        return None, None, column.null_count
    low, high = min(values), max(values)
    if isinstance(low, str | bytes) and max(len(low), len(high)) > 64:
        return None
    if isinstance(low, Decimal):
        return str(low), str(high), column.null_count
    return low, high, column.null_count


def stored(column: Any) -> list[Any]:
    """Return a column as storage values."""
    schema = Schema(pa.schema([pa.field("k", pa.int64(), nullable=False), pa.field("v", column.type)]), IndexSpecification.of("k"))
    return [row[1] for row in schema.rows(pa.RecordBatch.from_arrays([pa.array(range(len(column))), column], schema=schema.physical))]


@pytest.mark.parametrize("shared", [True, False])
def test_what_all_rows_of_a_leaf_share_is_said_once_and_what_differs_stands_in_it(shared: bool) -> None:
    batch = PLAIN.batch([(k, f"v{k}") for k in range(8)])
    told = (0, 3, 1) if shared else (np.array([0, 1] * 4, np.int8), np.arange(1, 9), np.array([1, -1, 0, -1, 1, -1, 0, -1], np.int8))
    tree = planted(PLAIN, [Entries(batch, op=told[0], seq=told[1], delta=told[2])], leaf_rows=4)
    shapes = [piece.leaf[1].shape(piece.leaf[2]) for piece in tree.pieces(b"", None)]
    assert shapes == ([(0, 3, 1, False)] if shared else [(None, None, None, False)]) * 2
    parts = [piece.load() for piece in tree.pieces(b"", None)]
    for got, wanted in zip(("ops", "seqs", "deltas"), told, strict=True):
        assert np.concatenate([getattr(part, got) for part in parts]).tolist() == (wanted.tolist() if not shared else [wanted] * 8)
    assert [part.batch.schema for part in parts] == [PLAIN.physical] * 2
    sums = [0, *np.cumsum(told[2] if not shared else [1] * 8).tolist()]
    assert [tree.before(key(k)) for k in range(9)] == sums
    entries = [tree.get(key(k)) for k in range(8)]
    assert [(e.op, e.seq, e.delta, e.row) for e in entries if e] == [
        (0, 3, 1, (k, f"v{k}")) if shared else (k % 2, k + 1, int(told[2][k]), None if k % 2 else (k, f"v{k}")) for k in range(8)
    ]


def test_a_seq_of_zero_stands_for_the_commit_that_brought_the_tree() -> None:
    batch = PLAIN.batch([(k, "v") for k in range(4)])
    tree = planted(PLAIN, [Entries(batch)], hi=9)
    assert [tree.get(key(k)).seq for k in range(4)] == [9] * 4  # type: ignore[union-attr]
    assert [piece.load().seqs.tolist() for piece in tree.pieces(b"", None)] == [[9] * 4]
    assert [group.entries.seqs.tolist() for group in tree.find(keys(range(4)))] == [[9] * 4]


def test_values_out_of_line_are_not_taken_for_null_by_the_statistics() -> None:
    """They were taken out before the bounds were made, so the bounds left them out: a filter would have passed over their leaf."""
    rows = [(0, "b"), (1, "z" * 100), (2, None), (3, "d"), (4, "e"), (5, "f")]
    tree = planted(PLAIN, [Entries(PLAIN.batch(rows))], leaf_rows=3, value_bytes=50)
    assert [piece.leaf[1].stats(piece.leaf[2]) for piece in tree.pieces(b"", None)] == [[[0, 2, 0], None], [[3, 5, 0], ["d", "f", 0]]]


@given(st.lists(st.integers(0, 300), unique=True, min_size=1), st.lists(st.integers(-1, 301), max_size=5), st.integers(1, 5))
def test_a_deep_tree_finds_what_is_in_it_and_nothing_else(held: list[int], sought: list[int], leaf_rows: int) -> None:
    held = sorted(held)
    tree = planted(PLAIN, [Entries(PLAIN.batch([(k, f"v{k}") for k in held]))], leaf_rows=leaf_rows, branch_bytes=120)
    assert read(tree) == [(k, f"v{k}") for k in held]
    assert [piece.first for piece in tree.pieces(b"", None)] == [key(k) for k in held[::leaf_rows]] or len(held) % leaf_rows
    for _ in range(3):  # cold, then with lists and sets of keys
        for k in sought:
            entry = tree.get(key(k))
            assert (entry.row if entry else None) == ((k, f"v{k}") if k in held else None)
            assert tree.before(key(k)) == sum(h < k for h in held)
    wanted = sorted(set(sought))
    found = [int(i) for group in tree.find(keys(wanted)) for i in group.where]
    assert [wanted[i] for i in found] == [k for k in wanted if k in held]
    for lo, hi in itertools.pairwise(wanted):
        for reverse in (False, True):
            pieces = list(tree.pieces(key(lo), key(hi), reverse=reverse))
            rows = [k for piece in pieces for k in piece.load().batch.column("k").to_pylist()]
            assert {k for k in rows if lo <= k < hi} == {k for k in held if lo <= k < hi}
            assert len(pieces) <= sum(lo <= k < hi for k in held) + 1


def test_a_blob_can_be_read_without_the_record_that_names_it() -> None:
    """The mark at its end repeats where the root is."""
    blobs = MemoryBlobs()
    tree = planted(PLAIN, [Entries(PLAIN.batch([(k, "v") for k in range(30)]))], blobs=blobs, leaf_rows=4)
    (data,) = blobs.read(NAME, [(0, dict(blobs.names())[NAME])])
    magic, uuid, offset, length, checksum, own = MARK.unpack(data[-MARK.size :])
    assert (magic, uuid, (offset, length, checksum)) == (MAGIC, UUID, tree.ref.root[1:])
    assert own == xxh3_64_intdigest(data[-MARK.size : -8], seed(UUID, NAME))
    assert data[: len(MAGIC)] == MAGIC
    assert tree.ref.size < len(data)


def test_nothing_makes_no_blob() -> None:
    blobs = MemoryBlobs()
    assert write_tree(blobs, NAME, PLAIN, DatabaseSettings(), [Entries(PLAIN.empty(["k", "v"]))] * 2, uuid=UUID) is None
    assert list(blobs.names()) == []


def test_leaves_keep_to_their_size() -> None:
    rows = [(k, "x" * (k % 100)) for k in range(3000)]
    tree = planted(PLAIN, [Entries(PLAIN.batch(rows[i : i + 37])) for i in range(0, 3000, 37)], leaf_bytes=4096, leaf_rows=1000)
    sizes = [piece.leaf[1].extent(piece.leaf[2]).length for piece in tree.pieces(b"", None)]
    assert read(tree) == rows
    assert max(sizes) < 2 * 4096
    assert sum(sizes) / len(sizes) > 4096 / 2
    assert tree.ref.leaves == len(sizes)
