"""Who conflicts with whom: every row of the table of what a call reads, in each of its forms, and what stands beside it untouched."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from sopnb.engine import conflict, reads
from sopnb.engine.engine import Engine
from sopnb.engine.storework import StoreWork
from sopnb.errors import Conflict, DuplicateKey, KeyNotFound
from tests.engine.support import PLAIN, TINY, Cluster, change, commit, contents, create, key, keys, load, table

START = {k: f"v{k}" for k in range(10, 90, 10)}
"""Keys 10, 20 ... 80."""
Read = Callable[[StoreWork], Any]


def scan_all(store: StoreWork, lo: bytes = b"", hi: bytes | None = None, *, reverse: bool = False) -> None:
    for _ in store.scan(lo, hi, reverse=reverse, columns=["v"]):
        pass


def scan_some(store: StoreWork, parts: int, *, reverse: bool = False) -> list[Any]:
    """Read the first leaves of the store, of four records each, and go away."""
    return [part.batch.column("k").to_pylist() for part in islice(store.scan(reverse=reverse), parts)]


READS: dict[str, tuple[Read, set[int]]] = {
    "get": (lambda s: s.get(key(20)), {20}),
    "get of what is absent": (lambda s: s.get(key(25)), {25}),
    "in": (lambda s: s.contains(key(20)), {20}),
    "many keys": (lambda s: s.find(keys([20, 25, 60])), {20, 25, 60}),
    "many keys at once": (lambda s: s.find(keys(range(20, 61))), set(range(20, 61))),
    "scan": (lambda s: scan_all(s, key(20), key(40)), set(range(20, 40))),
    "scan of an empty range": (lambda s: scan_all(s, key(41), key(45)), set(range(41, 45))),
    "scan to the end": (lambda s: scan_all(s, key(40)), set(range(40, 200))),
    "scan back": (lambda s: scan_all(s, key(20), key(40), reverse=True), set(range(20, 40))),
    "scan that ends early": (lambda s: scan_some(s, 1), set(range(41))),
    "scan back that ends early": (lambda s: scan_some(s, 1, reverse=True), set(range(50, 200))),
    "scan that is not begun": (lambda s: s.scan(), set()),
    "count": (lambda s: s.count(key(20), key(40)), set(range(20, 40))),
    "number of rows": (lambda s: s.rows, set(range(200))),
    "first after": (lambda s: s.first(key(15)), set(range(15, 21))),
    "first where there is none": (lambda s: s.first(key(85)), set(range(85, 200))),
    "last before": (lambda s: s.last(b"", key(45)), set(range(40, 45))),
    "position of a key": (lambda s: s.rank(key(30)), set(range(30))),
    "row at a position": (lambda s: s.select(2), set(range(31))),
    "rows": (lambda s: list(s.slice(1, 3)), set(range(41))),
    "rows to the end": (lambda s: list(s.slice(6, 8)), set(range(200))),
    "insert": (lambda s: s.put("insert", (20 + 5, "mine")), {25}),
    "insert of what is there": (lambda s: _refused(s, "insert", (20, "mine")), {20}),
    "upsert": (lambda s: s.put("upsert", (20, "mine")), {20}),
    "upsert of what is there already": (lambda s: s.put("upsert", (20, "v20")), {20}),
    "update of what is missing": (lambda s: _refused(s, "update", (25, "mine")), {25}),
    "delete": (lambda s: s.delete(keys([20])), {20}),
    "delete of what is missing": (lambda s: s.delete(keys([25])), {25}),
    "bulk delete": (lambda s: s.delete(keys([20, 25, 30])), {20, 25, 30}),
    "bulk upsert": (lambda s: s.write("upsert", table(PLAIN, [(k, "mine") for k in (20, 25)])), {20, 25}),
    "bulk upsert of what is there already": (lambda s: s.write("upsert", table(PLAIN, [(20, "v20")])), {20}),
    "bulk update, some missing": (lambda s: s.write("update", table(PLAIN, [(20, "x"), (25, "x")]), on_error="report"), {20, 25}),
    "bulk update beyond the last": (lambda s: s.write("update", table(PLAIN, [(150, "x")]), on_error="report"), {150}),
    "bulk insert, some there": (lambda s: s.write("insert", table(PLAIN, [(20, "x"), (25, "x")]), on_error="report"), {20, 25}),
    "replaced range": (lambda s: s.replace_range(key(20), key(40), table(PLAIN, [(25, "x")])), set(range(20, 40))),
}
"""What a transaction may do, and the keys of whose change it must hear."""


def _refused(store: StoreWork, kind: Any, row: tuple[Any, ...]) -> None:
    with pytest.raises((KeyNotFound, DuplicateKey)):
        store.put(kind, row)


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Cluster:
    return make(**TINY)


@pytest.fixture
def engine(cluster: Cluster) -> Engine:
    engine = cluster.open()
    create(engine)
    commit(engine, START)
    engine.upkeep.fold()
    create(engine, "out")
    return engine


@pytest.fixture
def other(cluster: Cluster, engine: Engine) -> Engine:
    """Another process, whose every commit brings a run."""
    return cluster.open(settings={"inline_rows": 0})


def conflicts(engine: Engine, other: Engine, read: Read, k: int, *, mode: Any = "write") -> bool:
    """Say whether a transaction that reads, and writes elsewhere, conflicts with a change of ``k`` that another commits meanwhile."""
    work = engine.begin(mode)
    read(work.store("s"))
    work.store("out").put("upsert", (1, "written"))
    commit(other, {k: None if k in START else "theirs"})
    told: tuple[str | None, object] | None = None
    try:
        engine.commit(work)
    except Conflict as error:
        told = error.store, error.key
    commit(other, {**dict.fromkeys(contents(engine)), **START})
    assert told in (None, ("s", k))
    return told is not None


@pytest.mark.parametrize("run", [False, True])
@pytest.mark.parametrize("name", READS)
def test_what_is_read_or_written_is_what_conflicts(engine: Engine, other: Engine, name: str, run: bool) -> None:
    """A change of a key is heard of exactly by those that depend on it, whether it came in the record or in a run."""
    read, heard = READS[name]
    tried = [k for k in (0, 15, 20, 22, 25, 30, 35, 39, 40, 42, 45, 50, 60, 61, 80, 85, 150, 199) if k in heard]
    beside = [k for k in (0, 15, 19, 20, 21, 25, 30, 31, 40, 41, 45, 49, 61, 199) if k not in heard]
    writer = other if run else engine
    middle = len(tried) // 2
    tried = [*tried[:1], *tried[middle : middle + 1], *tried[-1:]]
    assert [k for k in tried if not conflicts(engine, writer, read, k)] == []
    assert [k for k in beside[:2] + beside[-2:] if conflicts(engine, writer, read, k)] == []


@pytest.mark.parametrize("name", READS)
def test_a_transaction_without_checks_conflicts_with_writers_of_its_keys_only(engine: Engine, other: Engine, name: str) -> None:
    read, heard = READS[name]
    work = engine.begin()
    read(work.store("s"))
    written = {k for k in range(200) if work.store("s").written([key(k)])}
    work.rollback()
    assert written <= heard
    for writer in (engine, other):
        for k in (sorted(written)[:1], sorted(heard - written)[:1]):
            if k:
                assert conflicts(engine, writer, read, k[0], mode="unchecked") == (k[0] in written)


@pytest.mark.parametrize("mine", ["single", "bulk", "ahead"])
@pytest.mark.parametrize("theirs", ["inline", "run"])
def test_writes_of_one_key_conflict_in_every_form(engine: Engine, other: Engine, mine: str, theirs: str) -> None:
    """Operations in the record or in a run, against operations, a piece in memory or a blob written ahead."""
    writer = other if theirs == "run" else engine
    object.__setattr__(engine, "handle", _with(engine.handle, load_bytes=8 if mine == "ahead" else 10**8))
    for theirs_keys, expected in (((20, 33), True), ((33, 44), False), ((1,), False), ((199,), False), ((25, 20), True)):
        work = engine.begin()
        (change if mine == "single" else load)(work.store("s"), {20: "mine", 40: None, 60: "mine", 61: "mine"})
        commit(writer, {k: "theirs" for k in theirs_keys})
        if expected:
            with pytest.raises(Conflict, match="20"):
                engine.commit(work)
        else:
            engine.commit(work)
        commit(engine, {**START, 40: "v40"})


def _with(handle: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(handle, **changes)


def test_interleaved_bulk_upserts_do_not_conflict(engine: Engine, other: Engine) -> None:
    """Two loads of alternate keys: their ranges overlap throughout, their keys nowhere."""
    for first, second in ((engine, other), (other, engine), (other, other)):
        a, b = first.begin(), second.begin()
        load(a.store("s"), {k: "even" for k in range(0, 2000, 2)})
        load(b.store("s"), {k: "odd" for k in range(1, 2000, 2)})
        second.commit(b)
        first.commit(a)
        assert contents(engine) == {k: "odd" if k % 2 else "even" for k in range(2000)}
        commit(engine, {k: None for k in range(2000)}, bulk=True)


def test_interleaved_bulk_upserts_of_many_keys_stay_exact(engine: Engine, other: Engine, monkeypatch: Any) -> None:
    """Written keys never become a range, however many they are."""
    monkeypatch.setattr(reads, "MOST_POINTS", 16)
    a, b = engine.begin(), engine.begin()
    load(a.store("s"), {k: "even" for k in range(0, 600, 2)})
    change(a.store("s"), {k: "even" for k in range(600, 700, 2)})
    load(b.store("s"), {k: "odd" for k in range(1, 700, 2)})
    engine.commit(b)
    engine.commit(a)
    c, d = engine.begin(), engine.begin()
    load(c.store("s"), {k: "c" for k in range(0, 100, 5)})
    load(d.store("s"), {k: "d" for k in range(0, 100, 7)})
    engine.commit(c)
    with pytest.raises(Conflict, match="key 0:"):
        engine.commit(d)


@pytest.mark.parametrize("bulk", [False, True])
def test_too_many_points_become_a_range(engine: Engine, bulk: bool) -> None:
    """Memory is bounded: what lies between the keys read conflicts too then, what lies beside them does not."""

    def read(store: StoreWork) -> None:
        if bulk:
            store.find(keys(range(1000, 1000 + 2 * (reads.MOST_POINTS + 1), 2)))
        else:
            for k in range(1000, 1000 + 2 * (reads.MOST_POINTS + 1), 2):
                store.reads.point(key(k))

    work = engine.begin()
    read(work.store("s"))
    noted = work.store("s").reads
    assert (len(noted.points), len(noted.bulk), len(noted.ranges)) == (0, 0, 1)
    work.rollback()
    assert conflicts(engine, engine, read, 1001)
    assert conflicts(engine, engine, read, 1000 + 2 * reads.MOST_POINTS)
    assert not conflicts(engine, engine, read, 999)
    assert not conflicts(engine, engine, read, 1001 + 2 * reads.MOST_POINTS)


def test_too_many_ranges_are_joined_and_cover_what_they_covered(engine: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr(reads, "MOST_RANGES", 8)

    def read(store: StoreWork) -> None:
        for k in range(0, 190, 10):
            store.count(key(k), key(k + 5))

    assert conflicts(engine, engine, read, 4)
    assert conflicts(engine, engine, read, 184)
    assert not conflicts(engine, engine, read, 186)


def test_ranges_within_each_other_are_one() -> None:
    noted = reads.Reads()
    for lo, hi in ((b"c", b"d"), (b"c", b"e"), (b"c", b"d"), (b"b", b"f"), (b"e", b"f"), (b"b", None), (b"x", b"y"), (b"e", b"e")):
        noted.range(lo, hi)
    assert noted.ranges == [(b"b", None)]
    noted.range(b"a", b"b")
    assert noted.ranges == [(b"b", None), (b"a", b"b")]


def test_write_skew_is_refused(engine: Engine) -> None:
    """Each of two transactions sees the other's record on and turns its own off."""
    a, b = engine.begin(), engine.begin()
    for work, read, write in ((a, 20, 30), (b, 30, 20)):
        assert work.store("s").get(key(read)) is not None
        work.store("s").delete(keys([write]))
    engine.commit(a)
    with pytest.raises(Conflict, match="30"):
        engine.commit(b)


def test_a_phantom_is_refused(engine: Engine) -> None:
    """Each of two transactions counts a range and adds a record to it."""
    a, b = engine.begin(), engine.begin()
    for work, k in ((a, 21), (b, 22)):
        n = work.store("s").count(key(20), key(30))
        work.store("s").put("insert", (k, f"number {n}"))
    engine.commit(a)
    with pytest.raises(Conflict, match="21"):
        engine.commit(b)


def test_two_writers_who_upsert_the_same_absent_key_count_it_once(engine: Engine, other: Engine) -> None:
    """[Two writers upsert absent K: +2.] Writing a key is a validated read of it, so the second one is refused."""
    before = len(contents(engine))
    for writer in (engine, other):
        a, b = engine.begin(), writer.begin()
        for work in (a, b):
            work.store("s").put("upsert", (55, work.mode))
        engine.commit(a)
        with pytest.raises(Conflict, match="55"):
            writer.commit(b)
        assert engine.state().stores["s"].rows == before + 1 == len(contents(engine))
        commit(engine, {55: None})


def test_reading_transactions_never_conflict_and_note_nothing(engine: Engine) -> None:
    work = engine.begin("read")
    scan_all(work.store("s"))
    work.store("s").get(key(20))
    commit(engine, {20: "theirs"})
    assert work.state.stores["s"].stack.get(key(20)).row == (20, "v20")  # type: ignore[union-attr]
    assert work.store("s").reads.ranges == []
    assert engine.commit(work) == 0


def test_a_writing_transaction_that_wrote_nothing_is_not_compared(engine: Engine) -> None:
    """It saw one state, so it is as if it had run then."""
    work = engine.begin()
    scan_all(work.store("s"))
    commit(engine, {20: "theirs"})
    assert engine.commit(work) == 0


def test_a_fold_disturbs_no_transaction(engine: Engine, other: Engine) -> None:
    commit(other, {20: "run"})
    work = engine.begin()
    scan_all(work.store("s"))
    work.store("s").put("upsert", (30, "mine"))
    other.upkeep.fold()
    other.upkeep.checkpoint()
    assert engine.commit(work)


class Turn:
    """A turn that says whether somebody is in it."""

    def __init__(self, inner: Any, depth: list[int]) -> None:
        self._inner, self._depth = inner, depth

    def __enter__(self) -> None:
        self._inner.__enter__()
        self._depth[0] += 1

    def __exit__(self, *told: Any) -> None:
        self._depth[0] -= 1
        self._inner.__exit__(*told)


@pytest.mark.parametrize("more", [0, 2, 9])
def test_large_changes_are_compared_outside_the_turn_but_not_for_ever(engine: Engine, other: Engine, monkeypatch: Any, more: int) -> None:
    """While it compares one, another may be quicker with the next; after three losses it keeps the turn until it is through."""
    inside: list[bool] = []
    depth = [0]
    turn = engine.backend.registry.turn
    monkeypatch.setattr(engine.backend.registry, "turn", lambda timeout: Turn(turn(timeout), depth))
    against_run = conflict._against_run

    def watched(*args: Any, **kwargs: Any) -> None:
        inside.append(depth[0] > 0)
        against_run(*args, **kwargs)
        if not inside[-1] and len(inside) <= more:
            commit(other, {100 + len(inside): "more"})

    monkeypatch.setattr(conflict, "_against_run", watched)
    work = engine.begin()
    work.store("s").put("upsert", (30, "mine"))
    commit(other, {k: "run" for k in range(200, 220)})
    assert engine.commit(work)
    assert inside == [False] * min(more + 1, 3) + [True] * (more >= 3)


def test_what_came_after_a_trimmed_snapshot_is_a_conflict(cluster: Cluster, engine: Engine) -> None:
    work = engine.begin()
    work.store("s").put("upsert", (30, "mine"))
    theirs = cluster.open()
    for k in range(3):
        commit(theirs, {k: "theirs"})
        theirs.upkeep.checkpoint()
    engine.backend.registry.trim(theirs.state().seq)
    with pytest.raises(Conflict, match="no longer kept"):
        engine.commit(work)
