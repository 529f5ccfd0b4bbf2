"""Every row keeps the seq of the commit that wrote it, whatever its leaf becomes part of.

The story: a run's leaf says "seq 0", which stands for the commit that brought the run. A fold lets the base name that leaf as it is,
with its seq written out. The cache kept the leaf as it was decoded for the run, and the base gave its own newest commit to rows that
were older.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.engine.support import PLAIN, TINY, Cluster, commit, create, key, stack_of, table


def test_a_leaf_that_was_read_as_part_of_a_run_keeps_its_seq_in_the_base(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY, inline_rows=1)
    engine = cluster.open()
    work = engine.begin()
    work.create("s", PLAIN)
    engine.commit(work)
    for start in (0, 1000):
        work = engine.begin()
        store = work.store("s")
        for k in range(start, start + 40):
            store.put("insert", (k, "x" * 40))
        engine.commit(work)
    stack = engine.state().stores["s"].stack
    before = {k: stack.get(PLAIN.key_bytes((k, None))).seq for k in (0, 20, 39, 1000, 1020, 1039)}  # type: ignore[union-attr]
    assert set(before.values()) == {2, 3}
    engine.upkeep.fold()
    stack = engine.state().stores["s"].stack
    assert {k: stack.get(PLAIN.key_bytes((k, None))).seq for k in before} == before  # type: ignore[union-attr]


def test_a_leaf_that_was_read_as_a_draft_gets_the_seq_of_its_commit(make: Callable[..., Cluster]) -> None:
    """A bulk write ahead of its commit is read under a seq that another commit may take meanwhile."""
    cluster = make(**TINY, inline_rows=1)
    engine = cluster.open(load_bytes=8)
    create(engine)
    work = engine.begin()
    store = work.store("s")
    store.write("insert", table(PLAIN, [(k, "x") for k in range(100)]))
    draft = store.get(key(50))
    assert draft is not None
    commit(engine, {1000: "other"})
    seq = engine.commit(work)
    entry = stack_of(engine).get(key(50))
    assert entry is not None
    assert (draft.seq, entry.seq) == (2, seq) == (2, 3)
