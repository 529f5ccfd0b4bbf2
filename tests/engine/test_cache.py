"""What is kept in memory is bounded, and what is read does not grow with the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine.builder import write_tree
from sopnb.engine.cache import Cache, Shelves
from sopnb.engine.engine import Engine
from sopnb.engine.entries import Entries
from sopnb.engine.layers import Stack
from sopnb.engine.tree import Tree, TreeReader, _Filter
from sopnb.settings import DatabaseSettings
from sopnb.storage.memory import MemoryBlobs
from tests.engine.support import PLAIN, Cluster, commit, contents, create, key, keys, load, stack_of, store_of, tree_of
from tests.engine.test_trees import UUID, planted


class Thing:
    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "grow"]), st.integers(0, 9), st.integers(0, 60)), max_size=60))
def test_a_cache_keeps_to_its_bytes_and_drops_what_was_used_longest_ago(steps: list[tuple[str, int, int]]) -> None:
    cache = Cache(133)
    assert cache.limit == 100
    order: list[int] = []
    things: dict[int, Thing] = {}
    for kind, name, size in steps:
        if kind == "put":
            things[name] = Thing(size)
            cache.put(name, things[name])
        elif kind == "get":
            assert cache.get(name) is (things[name] if name in order else None)
        elif name in order:
            things[name].nbytes += size
            cache.weigh(name, things[name])
        if kind == "put" or name in order:
            order = [other for other in order if other != name] + ([name] if name in things and things[name].nbytes <= 100 else [])
        while sum(things[other].nbytes for other in order) > 100:
            order.pop(0)
        assert cache.bytes == sum(things[other].nbytes for other in order) <= cache.limit
        assert list(cache._kept) == order
    cache.forget()
    assert (len(cache), cache.bytes) == (0, 0)


def test_shelves_keep_to_their_bytes_and_what_is_asked_for_stays() -> None:
    shelves = Shelves(1000)
    one, two = shelves.shelf(), shelves.shelf()
    for n in range(200):
        shelf = one if n % 2 else two
        shelves.keep(shelf, b"%d" % n, n, 20)
        if n % 5 == 0:
            found = one.new.get(b"1") or one.old.get(b"1")
            if found:
                shelves.keep(one, b"1", found, 20)
        assert 20 * sum(len(shelf.new) + len(shelf.old) for shelf in (one, two)) <= 1000 + 20
        assert shelves.bytes <= 500
    assert one.new.get(b"1") or one.old.get(b"1")
    assert not one.new.get(b"3")
    assert not one.old.get(b"3")


def test_a_cache_is_safe_for_threads() -> None:
    cache = Cache(1000)

    def use(me: int) -> None:
        for n in range(2000):
            cache.put((me, n % 50), Thing(n % 40))
            cache.get((1 - me, n % 50))

    threads = [threading.Thread(target=use, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.bytes == sum(size for _, size in cache._kept.values()) <= cache.limit


@pytest.fixture
def large(make: Callable[..., Cluster]) -> Engine:
    """Make a store many times larger than the cache, over which something is unfolded."""
    cluster = make(leaf_bytes=2048, branch_bytes=1024)
    writer = cluster.open()
    create(writer)
    work = writer.begin()
    load(work.store("s"), {k: f"v{k}" * 3 for k in range(20_000)})
    writer.commit(work)
    commit(writer, {5: "tail", 30_000: "tail"})
    return cluster.open(cache_bytes=100_000)


def test_reading_a_large_store_keeps_to_the_cache(large: Engine) -> None:
    stack = stack_of(large)
    assert store_of(large).blobs
    for read in (
        lambda: contents(large),
        lambda: [stack.get(key(k)) for k in range(0, 20_000, 7)],
        lambda: stack.find(keys(range(0, 20_000, 3))).fetch(PLAIN),
        lambda: [stack.select(i) for i in range(0, 20_000, 501)],
        lambda: [stack.get(key(k)) for k in range(0, 20_000, 2)],
    ):
        read()
        kept = sum(value.nbytes for value, _ in large.cache._kept.values())
        assert large.cache.bytes <= large.cache.limit
        assert kept == large.cache.bytes, "what grows is weighed again"
        assert large.reader.shelves.bytes <= large.cache.spare // 2
    assert large.info()["cache_bytes"] == large.cache.bytes


def test_a_record_read_again_is_read_from_memory(large: Engine) -> None:
    stack = stack_of(large)
    stack.get(key(777))
    before = large.reader.reads
    for _ in range(5):
        assert stack.get(key(777)).row == (777, "v777" * 3)  # type: ignore[union-attr]
    assert large.reader.reads == before


def test_an_empty_cache_keeps_nothing_and_reads_all_the_same(make: Callable[..., Cluster]) -> None:
    cluster = make(leaf_rows=4, inline_rows=0)
    engine = cluster.open(cache_bytes=0)
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(100)})
    for _ in range(2):
        assert contents(engine) == {k: f"v{k}" for k in range(100)}
        assert [stack_of(engine).get(key(k)).row for k in range(100)] == [(k, f"v{k}") for k in range(100)]  # type: ignore[union-attr]
    assert len(engine.cache) == engine.cache.bytes == 0


# -- how much is read ---------------------------------------------------------------------------------------------------------

SIZES = (1_000, 10_000, 100_000)


def deep(rows: int) -> Any:
    """Return a tree of leaves of eight rows and branches of about twenty children."""
    return planted(PLAIN, [Entries(PLAIN.batch([(k, "v") for k in range(rows)]))], leaf_rows=8, branch_bytes=1000)


def used(engine: Any, read: Callable[[], object]) -> tuple[int, int]:
    """Return how many leaves and branches a read used."""
    reader = engine if hasattr(engine, "leaves") else engine.reader
    before = reader.leaves, reader.branches
    read()
    return reader.leaves - before[0], reader.branches - before[1]


def test_a_page_of_a_store_of_any_size_touches_a_few_leaves(make: Callable[..., Cluster]) -> None:
    """With base, runs, sealed tail and tail; by position, by key, by count and by range."""
    most: dict[str, list[tuple[int, int]]] = {}
    for rows in SIZES:
        cluster = make(leaf_rows=8, branch_bytes=1000, base_share=1e9)
        engine, runs = cluster.open(), cluster.open(settings={"inline_rows": 0})
        create(engine)
        work = engine.begin()
        load(work.store("s"), {k * 4: "v" for k in range(rows)})
        engine.commit(work)
        for n in range(1, 4):
            commit(runs, {k * 4 + n: f"run {n}" for k in range(0, rows, rows // 300)}, bulk=True)
            commit(engine, {k * 4 + n: None for k in range(0, rows, rows // 10)})
        reader = cluster.open()
        stack = stack_of(reader)
        total = stack.rows
        reads: dict[str, Callable[[int], object]] = {
            "row": lambda i, stack=stack: stack.select(i),  # type: ignore[misc]
            "page": lambda i, stack=stack: list(stack.slice(i, i + 40)),  # type: ignore[misc]
            "key": lambda i, stack=stack: stack.get(key(i * 4)),  # type: ignore[misc]
            "rank": lambda i, stack=stack: stack.rank(key(i * 4)),  # type: ignore[misc]
            "count": lambda i, stack=stack: stack.count(key(i), key(i * 4)),  # type: ignore[misc]
            "first": lambda i, stack=stack: stack.first(key(i * 4 + 2)),  # type: ignore[misc]
            "last": lambda i, stack=stack: stack.last(b"", key(i * 4 + 2)),  # type: ignore[misc]
        }
        for k in range(0, 4 * rows, rows // 5):
            stack.get(key(k))  # small runs keep their keys by now
        for name, read in reads.items():
            each = [used(reader, lambda i=i, read=read: read(i)) for i in range(0, total - 50, total // 12)]  # type: ignore[misc]
            most.setdefault(name, []).append((max(leaves for leaves, _ in each), max(branches for _, branches in each)))
    for name, found in most.items():
        leaves, branches = [leaf for leaf, _ in found], [branch for _, branch in found]
        assert leaves[-1] <= leaves[0] + 40, (name, found)
        assert leaves[-1] <= 150, (name, found)
        assert branches[-1] <= branches[0] * 2 + 60, (name, found)
    assert all(leaves <= 3 for leaves, _ in most["key"]), most["key"]


@pytest.mark.parametrize("rows", SIZES)
def test_looking_into_one_tree_costs_one_leaf_and_its_depth(rows: int) -> None:
    tree = deep(rows)
    reader = tree._reader
    depth = 1
    while 8 * 20**depth < rows:
        depth += 1
    for k in range(0, rows, rows // 7):
        leaves, branches = used(reader, lambda k=k: tree.get(key(k)))  # type: ignore[misc]
        assert leaves <= 1 or rows <= 65_536, "a small tree may read its keys once"
        assert branches <= depth + 1 or rows <= 65_536
        assert used(reader, lambda k=k: tree.before(key(k) + b"\0")) <= (1, depth + 1)  # type: ignore[misc]
        narrowed = tree.narrow(b"", None, lambda at, k=k: at <= key(k))  # type: ignore[misc]
        assert narrowed[0] <= key(k) < (narrowed[1] or b"\xff")
    (lo, hi) = tree.narrow(b"", None, lambda at: at <= key(rows // 2))
    assert hi is not None
    assert PLAIN.codec.decode(hi)[0] - PLAIN.codec.decode(lo)[0] == 8


def test_a_filter_of_keys_that_the_cache_cannot_keep_is_not_made_at_every_look() -> None:
    """A small tree that is asked often keeps a filter of its keys, in the cache. Where it did not fit, each look read the whole tree."""
    tree = planted(PLAIN, [Entries(PLAIN.batch([(k, "v") for k in range(1000)]))], leaf_rows=8)
    tree._reader.cache.limit = 4_000
    leaves, _ = used(tree._reader, lambda: [tree.get(key(k * 2)) for k in range(400)])
    assert leaves < 400 + 2 * 1000 / 8
    assert len([k for k in range(-10, 1010) if tree.get(key(k))]) == 1000


@given(st.sets(st.binary(max_size=6), max_size=300))
def test_a_filter_denies_no_key_that_is_there_and_nearly_all_others(held: set[bytes]) -> None:
    seen = _Filter(list(held))
    assert all(each in seen for each in held)
    assert sum(b"another " + str(n).encode() in seen for n in range(1000)) < 50 or not held
    assert seen.nbytes <= 8 * max(len(held), 1)


def test_what_tells_that_a_run_has_no_such_key_stays_in_a_cache_that_is_too_small_for_the_leaves() -> None:
    """It was dropped for the leaves that each look-up brought in; from then on every look-up went into every run."""
    blobs, cache = MemoryBlobs(), Cache(400_000)
    reader = TreeReader(blobs, cache, UUID)
    runs = []
    for run in range(10):
        rows = Entries(PLAIN.batch([(k * 10 + run, "v" * 90) for k in range(500)]))
        ref = write_tree(blobs, f"{run:016x}-000001", PLAIN, DatabaseSettings(leaf_rows=50), [rows], uuid=UUID)
        assert ref is not None
        runs.append(Tree(ref, run, run + 1, PLAIN, reader))
    stack = Stack(runs, PLAIN)
    for k in range(5000):
        stack.get(key(k * 7919 % 5000))
    leaves, _ = used(reader, lambda: [stack.get(key(k * 7919 % 5000)) for k in range(1000)])
    assert cache.bytes <= cache.limit < sum(run.ref.size for run in runs)
    assert leaves < 1200


def test_the_keys_of_a_small_tree_of_wide_rows_are_not_read_ahead() -> None:
    """Reading all of it for the sake of some keys costs more than it saves."""
    tree = planted(PLAIN, [Entries(PLAIN.batch([(k, "x" * 5000) for k in range(2000)]))])
    leaves, _ = used(tree._reader, lambda: [tree.get(key(1)) for _ in range(30)])
    assert tree.ref.leaves > 100
    assert leaves <= 30


def test_a_scan_that_is_given_up_has_read_little(large: Engine) -> None:
    def first() -> object:
        return next(stack_of(large).scan(columns=["v"]))

    leaves, _ = used(large, first)
    assert tree_of(large).ref.leaves > 100
    assert leaves <= 4
