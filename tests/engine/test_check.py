"""The integrity check finds every kind of damage, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from sopnb.engine.builder import Named, Part
from sopnb.engine.check import Problem, Report, check_database
from sopnb.engine.engine import Engine
from sopnb.engine.entries import Entries
from sopnb.engine.record import Collect, Payload, StoreChange
from sopnb.engine.state import Live, State, tree_data
from tests.engine.support import PLAIN, TINY, Cluster, commit, create, key, load, store_of, tree_of


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Iterator[Cluster]:
    cluster = make(**TINY, inline_rows=0)
    yield cluster
    cluster.damaged = True


@pytest.fixture
def engine(cluster: Cluster) -> Engine:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(60)})
    assert engine.check().ok
    return engine


def rows(ks: Iterable[int], **told: Any) -> Entries:
    return Entries(PLAIN.batch([(k, f"v{k}") for k in ks]), **told)


def plant(engine: Engine, parts: Iterable[Part], **changes: Any) -> None:
    """Commit a run as it is, whatever it holds; ``changes`` are made to what its record says of it."""
    ref = engine.write_tree(PLAIN, parts)
    assert ref is not None
    ref = msgspec.structs.replace(ref, **changes)
    store = store_of(engine)
    told = StoreChange(store.id, 1, ref.first, ref.last, 0, 0, 0, ref.delta, ref.entries, run=tree_data(ref))
    engine.append(Payload(changes=[told]), engine.state().seq, lambda since: None)


def children(engine: Engine, **changes: Any) -> list[Part]:
    """Return the leaves of the first tree, one of them described wrongly, then some more entries."""
    tree = tree_of(engine)
    leaves = [tree.child(branch, i) for branch, i, _ in tree.children()]
    leaves[3] = leaves[3]._replace(**changes)
    return [*(Named(leaf, lambda: rows([])) for leaf in leaves), rows(range(900, 904))]


PLANTED: dict[str, tuple[Callable[[Engine], object], str]] = {
    "keys out of order in a leaf": (lambda e: plant(e, [rows([101, 103, 102, 104])]), "keys are out of order"),
    "a key twice in a leaf": (lambda e: plant(e, [rows([101, 102, 102, 104])]), "keys are out of order"),
    "leaves out of order": (lambda e: plant(e, [rows([101, 102, 103, 110, 105, 106, 107, 108])]), "keys are out of order"),
    "a leaf that reaches into the next": (lambda e: plant(e, [rows([101, 102, 103, 105, 105, 106, 107, 108])]), "keys are out of order"),
    "a separator of a leaf": (lambda e: plant(e, children(e, key=key(12) + b"\0")), "a separator says"),
    "the rows of a leaf": (lambda e: plant(e, children(e, entries=5)), "its branch says 5 that add 4"),
    "the delta of a leaf": (lambda e: plant(e, children(e, delta=-1)), "its branch says 4 that add -1"),
    "the rows of the root": (lambda e: plant(e, [rows([101])], entries=2), "1 entries add 1; the root says 2 add 1"),
    "the delta of the root": (lambda e: plant(e, [rows([101])], delta=0), "1 entries add 1; the root says 1 add 0"),
    "the last key": (lambda e: plant(e, [rows([101, 102])], last=key(103)), "its keys go from"),
    "the first key": (lambda e: plant(e, [rows([101, 102])], first=key(100)), "its keys go from"),
    "a record newer than its layer": (lambda e: plant(e, [rows([101], seq=99)]), "newer than its layer"),
    "a record of no commit": (lambda e: plant(e, [rows([101, 102], seq=np.array([-1, 2]))]), "newer than its layer"),
    "a deletion that adds": (lambda e: plant(e, [rows([101], op=1, delta=1)]), "a deletion adds"),
    "a record counted twice": (lambda e: plant(e, [rows([7])]), "60 records are there, the counts say 61"),
    "a deletion of nothing": (lambda e: plant(e, [rows([101], op=1, delta=-1)]), "60 records are there, the counts say 59"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_a_tree_says_wrongly_is_found(engine: Engine, name: str) -> None:
    planted, told = PLANTED[name]
    planted(engine)
    report = engine.check()
    assert any(told in problem.what and problem.store == "s" for problem in report), repr(report)


def test_what_a_branch_says_of_a_branch_is_compared(engine: Engine, monkeypatch: Any) -> None:
    from sopnb.engine import builder

    add = builder._Builder._add_child
    for changes, told in (
        ({"entries": 1}, "the one above says 1"),
        ({"delta": 0}, "that add 0"),
        ({"key": key(0) + b"\0"}, "a separator says"),
    ):
        done: list[int] = []

        def wrong(self: Any, level: int, child: Any, changes: Any = changes, done: Any = done) -> None:
            if level == 1 and not done:
                done.append(1)
                child = child._replace(**changes)
            add(self, level, child)

        monkeypatch.setattr(builder._Builder, "_add_child", wrong)
        with monkeypatch.context() as patch:
            patch.setattr(builder, "InternalError", lambda *args, **facts: _Quiet())
            try:
                plant(engine, [rows(range(200, 260))])
            except _Quiet:
                assert "entries" in changes, "a builder that lost count says so itself"
                continue
        assert any(told in problem.what for problem in engine.check()), repr(engine.check())


class _Quiet(Exception):
    pass


@pytest.mark.parametrize("what", ["leaf", "branch", "root", "value"])
def test_damaged_bytes_are_found_and_the_blob_is_named(cluster: Cluster, what: str) -> None:
    engine = cluster.open()
    create(engine)
    commit(engine, {k: f"v{k}" if k else "long" * 20 for k in range(60)})
    tree = tree_of(engine)
    branch, i, _ = next(iter(tree.children()))
    extent = {
        "leaf": branch.extent(i),
        "branch": next(iter(tree.inner()))[0].extent(0),
        "root": tree.ref.root,
        "value": branch.extent(i)._replace(offset=64),  # the first thing in the blob after the mark
    }[what]
    data = bytearray(cluster.store._blobs[extent.blob])
    data[extent.offset + 9] ^= 1
    cluster.store._blobs[extent.blob] = bytes(data)
    report = cluster.check()
    assert any(extent.blob in problem.what and "checksum" in problem.what for problem in report), repr(report)


def test_missing_blobs_of_the_newest_and_of_kept_states_are_named(cluster: Cluster, engine: Engine) -> None:
    (old,) = store_of(engine).blobs
    commit(engine, {k: f"w{k}" for k in range(60)})
    engine.upkeep.fold()
    cluster.store.delete([old])
    assert [(problem.where, problem.what) for problem in engine.check()] == [
        (f"blob {old}", "it is missing, and past states that are kept need it")
    ]
    (new,) = store_of(engine).blobs
    cluster.store.delete([new])
    assert (f"blob {new}", "it is missing") in [(problem.where, problem.what) for problem in engine.check()]


def test_what_others_collect_while_it_is_looked_at_is_not_missed(cluster: Cluster, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = store_of(engine).blobs
    commit(engine, {k: f"w{k}" for k in range(60)})
    engine.upkeep.fold()
    looking = cluster.open()
    names = looking.backend.blobs.names

    def collected() -> list[tuple[str, int]]:
        monkeypatch.undo()
        engine.upkeep.compact(0)
        there = list(names())
        assert old not in dict(there)
        return there

    monkeypatch.setattr(looking.backend.blobs, "names", collected)
    assert old in looking.state().dropped
    assert list(looking.check()) == []


@pytest.mark.parametrize("kept", ["newest", "past"])
@pytest.mark.parametrize("how", ["cut", "flipped", "longer", "nearly gone"])
def test_a_blob_that_does_not_end_as_it_was_written_is_named(cluster: Cluster, engine: Engine, kept: str, how: str) -> None:
    """Nothing reads its last bytes, but that they are not there says that the file is not what it was."""
    (blob,) = store_of(engine).blobs
    if kept == "past":
        commit(engine, {k: f"w{k}" for k in range(60)})
        engine.upkeep.fold()
        assert blob in engine.state().dropped
    data = cluster.store._blobs[blob]
    cluster.store._blobs[blob] = {
        "cut": data[:-1],
        "flipped": data[:-20] + bytes([data[-20] ^ 4]) + data[-19:],
        "longer": data + b"\0" * 8,
        "nearly gone": data[:9],
    }[how]
    assert (f"blob {blob}", "its end is damaged or was cut off") in [(p.where, p.what) for p in engine.check()]


def test_orphans_of_those_fenced_are_named_and_others_are_not(cluster: Cluster, engine: Engine) -> None:
    cluster.store.put("f" * 16 + "-000001", [b"x"])
    assert engine.check().ok, "its owner may be alive and about to commit it"
    engine.append(Payload(collect=Collect(0, ["f" * 16])), engine.state().seq, lambda since: None)
    (problem,) = engine.check()
    assert "compact() removes it" in problem.what
    engine.upkeep.compact(0)
    assert engine.check().ok


def test_layers_that_overlap_and_lists_that_disagree_are_found(engine: Engine) -> None:
    commit(engine, {100: "x"})
    state = engine.state()
    store = store_of(engine)
    swapped = replace(store, layers=store.layers[::-1])
    wrong = State(state.seq, state.time, state.by_id.replaced({store.id: swapped}), state.names, live={**state.live, "gone-1": Live(0, 1)})
    report = check_database(wrong, lambda: wrong, engine.backend.blobs, engine.backend.pins, uuid=engine.backend.registry.uuid)
    assert any("their commits overlap" in problem.what for problem in report)
    assert ("blob gone-1", "the list of live blobs and the stores disagree about it") in [(p.where, p.what) for p in report]


def test_a_report_is_a_sequence_that_reads_well() -> None:
    problems = [Problem("s", "layer (1, 2]", "keys are out of order"), Problem("", "blob b", "it is missing")]
    report = Report(problems)
    assert (len(report), report[0], list(report[1:]), report.ok) == (2, problems[0], problems[1:], False)
    assert repr(report) == "check:\n  s: layer (1, 2]: keys are out of order\n  : blob b: it is missing"
    assert repr(Report([])) == "check: nothing is wrong"
    assert Report([]).ok


def test_a_sound_database_has_no_problems_whatever_it_went_through(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine, runs = cluster.open(), cluster.open(settings={"inline_rows": 0})
    create(engine)
    for n in range(6):
        work = (engine if n % 2 else runs).begin()
        load(work.store("s"), {k: None if k % 5 == n else f"{n}" * (40 if k % 7 else 1) for k in range(n * 3, n * 3 + 30)})
        (engine if n % 2 else runs).commit(work)
        if n == 3:
            engine.upkeep.fold()
        cluster.clock.sleep(1)
        assert engine.check().ok
    engine.upkeep.compact(0)
    assert engine.check().ok
    assert cluster.open(writable=False).check().ok
