"""Folds change no record, name what did not change, and give way to whoever was quicker."""

from __future__ import annotations

from collections.abc import Callable

from tests.engine.support import TINY, Cluster, commit, contents, create, key, stack_of, tree_of


def test_a_base_whose_last_leaf_was_deleted_knows_its_last_key(make: Callable[..., Cluster]) -> None:
    """A fold into the base named every leaf anew but the last, of which it loaded nothing but the deletion of a record that never came
    down to the base. So nothing was written after the last named leaf, the tree did not learn its last key, and look-ups took every
    key for one beyond its end: records seemed to be gone."""
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(32)}, bulk=True)
    engine.upkeep.fold()
    commit(engine, {50: "briefly"})
    commit(engine, {k: None for k in (*range(28, 32), 50)})
    engine.upkeep.fold()
    assert tree_of(engine).span == (key(0), key(27))
    assert [stack_of(engine).get(key(k)) is not None for k in range(32)] == [k < 28 for k in range(32)]
    assert contents(engine) == {k: f"v{k}" for k in range(28)}
