"""Every record carries the seq of the commit that wrote it, through whatever layers it went."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sopnb.index import Keys
from tests.engine.support import TINY, Cluster, commit, create, key, keys, load, stack_of, store_of


def versions(stack: object, *wanted: int) -> list[int]:
    """Return the seqs of some records, the same by every way of reading."""
    found = stack.find(keys(wanted)).seq.tolist()  # type: ignore[attr-defined]
    assert found == [0 if (entry := stack.get(key(k))) is None else entry.seq for k in sorted(wanted)]  # type: ignore[attr-defined]
    for k, seq in zip(sorted(wanted), found, strict=True):
        parts = list(stack.scan(key(k), key(k) + b"\0"))  # type: ignore[attr-defined]
        assert [part.seqs.tolist() for part in parts] == ([[seq]] if seq else [])
    return found


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("inline_rows", [0, 1000])
def test_the_seq_of_a_record_is_that_of_its_commit(make: Callable[..., Cluster], bulk: bool, inline_rows: int) -> None:
    engine = make(**TINY, inline_rows=inline_rows).open()
    create(engine)
    first = commit(engine, {k: "a" for k in range(20)}, bulk=bulk)
    second = commit(engine, {k: "b" for k in range(5, 8)}, bulk=bulk)
    assert versions(stack_of(engine), 4, 5, 7, 8, 20) == [first, second, second, first, 0]


def test_a_fold_that_names_leaves_keeps_the_seqs_of_their_records(make: Callable[..., Cluster]) -> None:
    """A leaf that was read before a fold was kept with "the commit that brought the layer" as its seq. After the fold had named the leaf
    anew, that stood for the newest commit of the fold, so records seemed to have changed."""
    engine = make(**TINY, inline_rows=0).open()
    create(engine)
    first = commit(engine, {k: "a" for k in range(40)})
    assert versions(stack_of(engine), 0, 20, 39) == [first] * 3
    second = commit(engine, {k: "b" for k in range(4)})
    engine.upkeep.fold()
    assert len(store_of(engine).blobs) == 2, "the fold should have named leaves"
    assert versions(stack_of(engine), 0, 20, 39) == [second, first, first]


def test_own_writes_that_were_read_ahead_get_the_seq_of_their_commit(make: Callable[..., Cluster]) -> None:
    """A transaction wrote so much that it went to a blob ahead, and read it there with the seq that the commit would have if nobody else
    came first. Somebody did, the commit named the same blob, and its leaves were kept with the other's seq."""
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=800)
    create(engine)
    work = engine.begin()
    load(work.store("s"), {k: "a" * 40 for k in range(40)})
    assert all(work.store("s").get(key(k)) for k in range(40))
    assert work.store("s").find(keys(range(40))).there.all()
    other = commit(cluster.open(), {100: "x"})
    seq = engine.commit(work)
    assert seq == other + 1
    assert versions(stack_of(engine), 0, 20, 39, 100) == [seq, seq, seq, other]


def test_the_seq_of_nothing_is_zero(cluster: Cluster) -> None:
    engine = cluster.open()
    create(engine)
    assert stack_of(engine).find(Keys.of([])).seq.tolist() == []
    assert versions(stack_of(engine), 1) == [0]
