"""Loads of many tables: put in order ahead, then together, compared once; against a dict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine import bulk, storework
from sopnb.engine.counts import Counts
from sopnb.engine.tree import Tree
from sopnb.errors import DuplicateKey, InvalidInput
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from sopnb.storage.memory import MemoryBlobs
from tests.engine.support import (
    PLAIN,
    TINY,
    Cluster,
    commit,
    contents,
    contents_at,
    create,
    keys,
    load,
    rows_of,
    scanned,
    stack_of,
    store_of,
    table,
)

WIDE = Schema(
    pa.schema([pa.field("k", pa.int64(), nullable=False), ("a", pa.float64()), pa.field("b", pa.string(), nullable=False)]),
    IndexSpecification.of("k"),
)
Row = tuple[Any, ...]
VALUES = st.tuples(st.sampled_from([None, 0.0, -0.0, 1.5, math.nan]), st.sampled_from(["", "x", "y" * 60, "z" * 60]))
ROWS = st.lists(st.tuples(st.integers(0, 19), VALUES).map(lambda row: (row[0], *row[1])), max_size=9)


def expected(
    base: dict[int, Row], kind: str, tables: list[list[Row]], columns: list[str], report: bool
) -> tuple[dict[int, Row], Counts] | None:
    """Return what a load should leave, and its counts with the rejected keys for ``rejected``; None if it should raise."""
    model, rejected, counts = dict(base), [], Counts()
    chains: dict[int, list[Row]] = {}
    for rows in tables:
        seen: set[int] = set()
        for row in rows:
            k = row[0]
            if k in seen or (kind == "insert" and (k in base or k in chains)):
                rejected.append(k)
            else:
                chains.setdefault(k, []).append(row)
            seen.add(k)
    if rejected and not report:
        return None
    at = [WIDE.physical.names.index(name) for name in columns]
    for k, chain in chains.items():
        old, last = base.get(k), chain[-1]
        if old is None and "b" not in columns:
            return None
        full = tuple(last[i] if i in at else None if old is None else old[i] for i in range(3))
        differ = [repr([a[i] for i in at]) != repr([b[i] for i in at]) for a, b in pairwise(chain)]
        differ += [] if old is None else [repr(old) != repr(full)]
        counts += Counts(old is None, sum(differ), len(differ) - sum(differ))
        model[k] = full
    return dict(sorted(model.items())), Counts(counts.inserted, counts.updated, counts.unchanged, rejected=sorted(rejected) or None)


@given(
    ROWS,
    ROWS,
    st.sampled_from(["insert", "upsert"]),
    st.lists(ROWS, max_size=7),
    st.sampled_from([["k", "a", "b"], ["k", "b"], ["k", "a"]]),
    st.booleans(),
    st.sampled_from([10**8, 8]),
    st.sampled_from([3, 131_072]),
    st.sampled_from([2, 128]),
)
def test_a_load_does_what_a_dict_would(
    committed: list[Row],
    drafted: list[Row],
    kind: Any,
    tables: list[list[Row]],
    columns: list[str],
    report: bool,
    load_bytes: int,
    chunk: int,
    most_drafts: int,
) -> None:
    """Over committed records and those of the same transaction, all columns or some, values out of line too, in few rounds or many."""
    cluster = Cluster(**TINY)
    engine = cluster.open(load_bytes=load_bytes)
    create(engine, schema=WIDE)
    base: dict[int, Row] = {}
    work = engine.begin()
    for rows in (committed, drafted):
        once = {row[0]: row for row in rows}
        work.store("s").write("upsert", table(WIDE, list(once.values())))
        base |= once
        if rows is committed:
            engine.commit(work)
            work = engine.begin()
    if kind == "insert":
        columns = ["k", "a", "b"]
    store = work.store("s")
    given = [table(WIDE, rows).select(columns) for rows in tables]
    told = expected(base, kind, tables, columns, report)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "CHUNK", chunk)
        patch.setattr(storework, "MOST_DRAFTS", most_drafts)
        if told is None:
            before = dict(cluster.blobs.names())
            with pytest.raises((DuplicateKey, InvalidInput)):
                store.load(kind, iter(given), on_error="report" if report else "raise")
            model = dict(sorted(base.items()))
        else:
            model, counts = told
            before = {}
            did = store.load(kind, iter(given), on_error="report" if report else "raise")
            rejected = None if did.rejected is None else sorted(did.rejected["k"].to_pylist())
            assert (did.inserted, did.updated, did.unchanged) == (counts.inserted, counts.updated, counts.unchanged)
            assert rejected == counts.rejected
    assert repr(scanned(store.stack)) == repr(list(model.values())), "a load that raises writes nothing"
    assert store.stack.rows == len(model)
    engine.commit(work)
    assert repr(scanned(stack_of(engine))) == repr(list(model.values()))
    assert {name for name, _ in cluster.blobs.names()} >= before.keys() - engine.state().live.keys() or told is None
    assert {name for name, _ in cluster.blobs.names()} == engine.state().live.keys(), "what was written ahead is taken back"
    cluster.verify()


def pieces(*parts: range, value: str = "v") -> list[pa.Table]:
    return [table(PLAIN, [(k, value) for k in part]) for part in parts]


def test_a_load_in_key_order_is_committed_as_it_was_written_ahead(make: Callable[..., Cluster]) -> None:
    """Leaves between which nothing else lies are named where they are; what reaches into what is there is compared."""
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=8)
    create(engine)
    work = engine.begin()
    counts = work.store("s").load("insert", pieces(range(100), range(100, 200), range(200, 300)))
    assert counts == Counts(inserted=300)
    engine.commit(work)
    (tree,) = store_of(engine).trees
    blobs = [branch.extent(i).blob for branch, i, _ in tree.children()]
    assert len(set(blobs)) == 4
    assert blobs.count(tree.ref.blob) <= 6, "only about where one table ends and the next begins it is written again"
    assert contents(engine) == dict.fromkeys(range(300), "v")
    work = engine.begin()
    assert work.store("s").load("upsert", pieces(range(250, 350), range(350, 450), value="w")) == Counts(inserted=150, updated=50)
    engine.commit(work)
    assert contents(engine) == {**dict.fromkeys(range(250), "v"), **dict.fromkeys(range(250, 450), "w")}


def test_what_was_written_ahead_is_kept_only_where_most_of_it_is_needed(make: Callable[..., Cluster]) -> None:
    """One leaf, or one value out of line, would keep a blob of which the rest is written again elsewhere."""
    few, many = ({k: "v" * 400 if k % modulus == 0 else "v" for k in range(300)} for modulus in (50, 1))
    apart, mixed, overlapping = (range(50),), (range(0, 100, 2), range(1, 100, 2), range(200, 300)), (range(60, 200), range(90, 190, 2))
    for values in (few, many, dict.fromkeys(range(300), "v")):
        cluster = make(**TINY)
        engine = cluster.open(load_bytes=8)
        create(engine)
        for ranges in (apart, mixed, overlapping):
            work = engine.begin()
            text = "w" if ranges is mixed else "v"
            tables = [table(PLAIN, [(k, values[k].replace("v", text)) for k in part]) for part in ranges]
            work.store("s").load("upsert", tables)
            before = engine.state().live.keys()
            engine.commit(work)
            needed, blobs = store_of(engine).blobs, dict(cluster.blobs.names())
            assert all(blobs[blob] <= 2.5 * size + 500 for blob, size in needed.items() if blob not in before), (needed, blobs)
        assert len(contents(engine)) == 300


def test_a_load_of_some_columns_keeps_nothing_of_what_was_written_ahead_for_a_few_values(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=8)
    create(engine, schema=WIDE)
    work = engine.begin()
    tables = [table(WIDE, [(k, 1.5, "long" * 20 if k % 40 == 0 else "b") for k in part]) for part in (range(100), range(100, 200))]
    work.store("s").load("upsert", [each.select(["k", "b"]) for each in tables])
    engine.commit(work)
    assert len(store_of(engine).blobs) == 1
    assert scanned(stack_of(engine)) == [(k, None, "long" * 20 if k % 40 == 0 else "b") for k in range(200)]


def test_a_load_is_one_write_over_those_before_it(make: Callable[..., Cluster]) -> None:
    engine = make(**TINY).open(load_bytes=8)
    create(engine)
    work = engine.begin()
    store = work.store("s")
    store.put("insert", (5, "single"))
    load(store, {7: "bulk"})
    store.load("upsert", pieces(range(0, 20, 2), range(1, 20, 3)))
    assert all(isinstance(layer, Tree) for layer in store.drafts())
    store.delete(stack_keys := PLAIN.keys(table(PLAIN, [(0, ""), (5, "")])))
    assert len(stack_keys) == 2
    engine.commit(work)
    assert contents(engine) == {
        k: "bulk" if k == 7 and k % 3 != 1 else "v" for k in sorted({*range(0, 20, 2), *range(1, 20, 3), 7} - {0, 5})
    }


def test_equal_keys_of_a_store_that_is_not_unique_keep_the_order_of_the_tables(make: Callable[..., Cluster]) -> None:
    schema = Schema.of({"k": "int64", "v": "string"}, IndexSpecification.of("k", unique=False))
    engine = make(**TINY).open(load_bytes=8)
    create(engine, schema=schema)
    work = engine.begin()
    tables = [pa.table({"k": [1, 0, 1], "v": [f"{n}a", f"{n}b", f"{n}c"]}) for n in range(4)]
    assert work.store("s").load("insert", tables).inserted == 12
    engine.commit(work)
    assert [row[1] for row in scanned(stack_of(engine))] == [f"{n}b" for n in range(4)] + [f"{n}{x}" for n in range(4) for x in "ac"]


def test_progress_tells_each_row_once(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 7)
    engine = make(**TINY).open(load_bytes=8)
    create(engine)
    store = engine.begin().store("s")
    for n, tables in enumerate(
        (pieces(range(50)), pieces(range(100, 150), range(150, 175)), pieces(range(200, 260, 2), range(201, 260, 2)))
    ):
        told: list[int] = []
        store.load("insert", tables, progress=told.append)
        assert sum(told) == sum(each.num_rows for each in tables)
        assert len(told) > 4, f"more often than once a table ({n})"


class Fuse:
    """Raises ``KeyboardInterrupt`` at the n-th call after it was lit."""

    def __init__(self) -> None:
        self.left = 10**9

    def __call__(self, *args: object) -> None:
        self.left -= 1
        if self.left < 0:
            self.left = 10**9
            raise KeyboardInterrupt


class FusedBlobs(MemoryBlobs):
    """Blobs that burn a fuse at every read, at every chunk that they take, and when a blob is written."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        def burning() -> Iterator[bytes]:
            for chunk in chunks:
                self._fuse()
                yield chunk
            self._fuse()

        return super().put(name, burning())

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        self._fuse()
        return super().read(name, ranges)


@pytest.mark.parametrize("load_bytes", [8, 10**8])
@pytest.mark.parametrize("kind", ["upsert", "delete"])
def test_what_is_interrupted_anywhere_leaves_the_database_as_it_was(
    make: Callable[..., Cluster], monkeypatch: Any, kind: str, load_bytes: int
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 7)
    monkeypatch.setattr(storework, "DELETED", 7)
    fuse, cluster = Fuse(), make(**TINY)
    cluster.blobs = cluster.store = FusedBlobs(fuse)
    engine = cluster.open(load_bytes=load_bytes, cache_bytes=0)
    create(engine)
    commit(engine, {k: "old" * 30 for k in range(0, 60, 5)}, bulk=True)
    before, blobs, state = contents(engine), dict(cluster.blobs.names()), engine.state()
    for n in range(2000):
        work = engine.begin()
        store = work.store("s")
        fuse.left = n
        try:
            if kind == "upsert":
                store.load("upsert", pieces(range(30), range(20, 50), range(40, 60), value="w" * 60), progress=fuse)
            else:
                store.delete(keys(range(60)), progress=fuse)
                store.delete_range(progress=fuse)
        except KeyboardInterrupt:
            work.rollback()
            assert dict(cluster.blobs.names()) == blobs
            assert contents_at(engine.state()) == before
            assert engine.state() is state
            continue
        fuse.left = 10**9
        break
    assert n > 8
    engine.commit(work)
    assert contents(engine) == (dict.fromkeys(range(60), "w" * 60) if kind == "upsert" else {})


def test_an_error_names_store_and_key_of_the_first_record_that_is_there_twice(make: Callable[..., Cluster]) -> None:
    engine = make(**TINY).open(load_bytes=8)
    create(engine)
    store = engine.begin().store("s")
    with pytest.raises(DuplicateKey, match="store 's'.*17") as caught:
        store.load("insert", pieces(range(0, 40, 2), range(17, 40, 2), range(17, 30, 4)))
    assert (caught.value.store, caught.value.key, store.operations) == ("s", 17, 0)
    counts = store.load("insert", pieces(range(4), range(3, 6), range(2, 3)), on_error="report")
    assert (counts.inserted, counts.rejected.to_pydict()) == (
        6,
        {"k": [2, 3], "v": ["v", "v"], "_reason": ["the key is already there"] * 2},
    )
    assert rows_of(dict(scanned(store.stack))) == [(k, "v") for k in range(6)]  # type: ignore[arg-type]
