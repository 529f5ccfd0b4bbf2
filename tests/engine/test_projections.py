"""Projections: what every commit says of them is what their source holds, whoever writes while they are built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopnb.engine import building, mirror, record
from sopnb.engine.engine import Engine
from sopnb.engine.projection import Projection, index_of
from sopnb.engine.state import StoreState
from sopnb.engine.storework import StoreWork
from sopnb.errors import Conflict, Corruption, DuplicateKey, IndexNotFound, InvalidInput, MissingPackage
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from tests.engine.support import PLAIN, TINY, Cluster, change, commit, contents, create, keys, load, scanned, store_of

BY_VALUE = IndexSpecification.of("v", unique=False)
DOWN = IndexSpecification.of("-v", unique=False)


def build(engine: Engine, name: str = "by_v", wanted: IndexSpecification = BY_VALUE, store: str = "s") -> int:
    owner = engine.backend.pins.owner
    return engine.builder.build(
        engine.state().names[store], lambda source, state: index_of(source.id, name, source.schema, wanted, owner, store=source.name)
    )


def index(engine: Engine, name: str = "by_v", store: str = "s") -> StoreState:
    state = engine.state()
    return state.indexes(state.names[store])[name]


def rows(engine: Engine, name: str = "by_v") -> list[tuple[Any, ...]]:
    return scanned(index(engine, name).stack)


def expected(model: Mapping[int, str], *, down: bool = False) -> list[tuple[Any, ...]]:
    return sorted(((v, k) for k, v in model.items()), key=lambda row: ([-ord(c) for c in row[0]] if down else row[0], row[1]))


def meanwhile(engine: Engine, do: Callable[[], object], what: str = "build") -> None:
    """Have something happen whenever the building of a projection goes on."""

    @contextmanager
    def progress(told: str, count: int) -> Iterator[Any]:
        yield lambda done: do() if told.startswith(what) else None

    engine.upkeep.progress = progress


# -- kept -----------------------------------------------------------------------------------------------------------------------

step = st.one_of(
    st.tuples(st.just("single"), st.dictionaries(st.integers(0, 40), st.one_of(st.none(), st.sampled_from("abc")), max_size=5)),
    st.tuples(st.just("bulk"), st.dictionaries(st.integers(0, 200), st.one_of(st.none(), st.sampled_from("abcd")), max_size=60)),
    st.tuples(st.sampled_from(["fold", "build", "checkpoint", "reopen", "collect", "drop"]), st.none()),
)


@settings(deadline=None)
@given(st.lists(step, max_size=14), st.booleans(), st.sampled_from([4, 30, 1000]))
def test_an_index_holds_what_its_store_does_after_any_history(steps: list[tuple[str, Any]], down: bool, inline: int) -> None:
    cluster = Cluster(**{**TINY, "inline_rows": inline, "tail_rows": 20, "retention_seconds": 0})
    engine = cluster.open(maintenance="inline", load_bytes=8000)
    create(engine)
    model: dict[int, str] = {}
    built = False
    for what, changes in steps:
        if what in ("single", "bulk"):
            commit(engine, changes, bulk=what == "bulk")
            model |= {k: v for k, v in changes.items() if v is not None}
            model = {k: v for k, v in model.items() if changes.get(k, v) is not None}
        elif what == "fold":
            engine.upkeep.fold()
        elif what == "build" and not built:
            build(engine, wanted=DOWN if down else BY_VALUE)
            built = True
        elif what == "drop" and built:
            engine.upkeep.end_projection(index(engine))
            built = False
        elif what == "checkpoint":
            engine.upkeep.checkpoint()
        elif what == "collect":
            engine.upkeep.collect(0)
        else:
            engine = cluster.open(maintenance="inline", load_bytes=8000)
        assert contents(engine) == model
        if built:
            assert rows(engine) == expected(model, down=down)
            assert index(engine).rows == len(model)
        assert engine.check().ok, repr(engine.check())
    cluster.verify()


several = st.dictionaries(st.integers(0, 300), st.one_of(st.none(), st.sampled_from("abcdefg")), max_size=9)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.integers(0, 300), st.sampled_from("abcdefg")), st.lists(several, max_size=12), st.booleans(), st.booleans())
def test_what_others_write_while_an_index_is_built_is_in_it(
    before: dict[int, str], changes: list[dict[int, str | None]], folding: bool, late: bool
) -> None:
    cluster = Cluster(**{**TINY, "inline_rows": 5, "tail_rows": 20})
    engine, other = cluster.open(load_bytes=4000), cluster.open(maintenance="inline" if folding else "off")
    create(engine)
    commit(engine, before, bulk=True)
    model = dict(before)
    waiting = list(changes)

    def write() -> None:
        for each in waiting[:3]:
            commit(other, each, bulk=len(each) % 2 == 0)
            for k, v in each.items():
                model.pop(k, None)
                model.update({} if v is None else {k: v})
        del waiting[:3]

    meanwhile(engine, write, "verify" if late else "build")
    build(engine)
    assert rows(engine) == rows(cluster.open()) == expected(model)
    cluster.verify()


def test_a_transaction_sees_an_index_as_its_own_writes_leave_it(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "b", 2: "a", 3: "c"})
    build(engine)
    work = engine.begin()
    assert scanned(work.index("s", "by_v").stack) == [("a", 2), ("b", 1), ("c", 3)]
    change(work.store("s"), {2: "z", 3: None, 4: "a"})
    assert scanned(work.index("s", "by_v").stack) == [("a", 4), ("b", 1), ("z", 2)]
    load(work.store("s"), {5: "q", 1: None})
    assert scanned(work.index("s", "by_v").stack) == [("a", 4), ("q", 5), ("z", 2)]
    work.rollback()
    assert rows(engine) == [("a", 2), ("b", 1), ("c", 3)]


def test_a_write_that_changes_no_indexed_column_leaves_the_index_alone(make: Callable[..., Cluster]) -> None:
    schema = Schema.of({"k": "int64", "v": "string", "w": "int64"}, IndexSpecification.of("k"))
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine, schema=schema)
    work = engine.begin()
    for k in range(5):
        work.store("s").put("insert", (k, "x", 0))
    engine.commit(work)
    build(engine)
    changed = index(engine).changed
    work = engine.begin()
    work.store("s").put("upsert", (3, "x", 7))
    seq = engine.commit(work)
    bulk = engine.begin()
    bulk.store("s").write("upsert", pa.Table.from_batches([schema.batch([(k, "x", 9) for k in range(300)])]).slice(0, 5))
    engine.commit(bulk)
    assert store_of(engine).changed > seq
    assert index(engine).changed == changed


def test_carried_columns_are_kept_beside_the_keys(make: Callable[..., Cluster]) -> None:
    schema = Schema.of({"k": "int64", "v": "string", "w": "int64", "far": "string"}, IndexSpecification.of("k"))
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine, schema=schema)
    wanted = IndexSpecification.of("v", unique=False, carrying=("w", "far"))
    build(engine, wanted=wanted)
    assert index(engine).projection.specification == wanted  # type: ignore[union-attr]
    for bulk in (False, True):
        work = engine.begin()
        made = [(k, "ab"[k % 2], k + 10 * bulk, "x" * (40 + 30 * k)) for k in range(4)]
        if bulk:
            work.store("s").write("upsert", pa.Table.from_batches([schema.batch(made)]))
        else:
            for row in made:
                work.store("s").put("upsert", row)
        engine.commit(work)
        order = sorted(made, key=lambda row: (row[1], row[0]))
        assert scanned(index(engine).stack) == [(v, k, w, far) for k, v, w, far in order]


# -- unique -----------------------------------------------------------------------------------------------------------------------

UNIQUE = IndexSpecification.of("v")


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("many", [0, 300])
def test_a_unique_index_refuses_what_another_record_has(make: Callable[..., Cluster], bulk: bool, many: int) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(many)} | {1000: "a", 1001: "b"}, bulk=True)
    build(engine, wanted=UNIQUE)
    before = contents(engine)
    for wrong in ({1000: "b"}, {2000: "a"}, {2000: "new", 2001: "new"}):
        with pytest.raises(DuplicateKey, match=r"store 's': key '(a|b|new)' is there already in the unique index 'by_v'"):
            commit(engine, wrong, bulk=bulk)
    assert contents(engine) == before
    commit(engine, {1000: "b", 1001: "a"}, bulk=bulk)
    commit(engine, {1000: None, 2000: "b"}, bulk=bulk)
    assert [row for row in rows(engine) if row[0] in "ab"] == [("a", 1001), ("b", 2000)]


@pytest.mark.parametrize("mode", ["write", "unchecked"])
def test_of_two_transactions_that_give_the_same_unique_value_one_is_refused(make: Callable[..., Cluster], mode: Any) -> None:
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    build(engine, wanted=UNIQUE)
    for k, bulk in ((1, False), (20, True)):
        one, two = engine.begin(mode), other.begin(mode)
        (load if bulk else change)(one.store("s"), {k: f"same{k}"})
        (load if bulk else change)(two.store("s"), {k + 1: f"same{k}"})
        engine.commit(one)
        with pytest.raises(Conflict, match="s/by_v"):
            other.commit(two)
    commit(other, {50: "different"})
    assert [row[1] for row in rows(engine)] == [50, 1, 20]


def test_a_unique_index_of_values_that_are_not_is_refused_and_leaves_no_trace(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=2000)
    create(engine)
    commit(engine, {k: f"{k % 250}" for k in range(300)}, bulk=True)
    blobs = set(cluster.blobs.names())
    with pytest.raises(DuplicateKey, match="in the unique index 'by_v'"):
        build(engine, wanted=UNIQUE)
    assert [store.name for store in engine.state().every] == ["s"]
    engine.upkeep.compact(0)
    engine.upkeep.compact(0)
    assert len(set(cluster.blobs.names())) == len(blobs)
    commit(engine, {k: None for k in range(250, 300)}, bulk=True)
    build(engine, wanted=UNIQUE)
    assert index(engine).rows == 250


def test_a_duplicate_that_comes_while_a_unique_index_is_built_is_found(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(50)}, bulk=True)
    meanwhile(engine, lambda: commit(other, {100: "7"}))
    with pytest.raises(DuplicateKey, match="key '7' is there already in the unique index"):
        build(engine, wanted=UNIQUE)
    meanwhile(engine, lambda: commit(other, {100: "700"}))
    build(engine, wanted=UNIQUE)
    with pytest.raises(DuplicateKey):
        commit(other, {101: "700"})


# -- the life of a projection -----------------------------------------------------------------------------------------------------


def test_a_writer_that_began_before_an_index_is_refused(make: Callable[..., Cluster]) -> None:
    """It knows nothing of the index; its changes would be missing there."""
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {1: "a"})
    late, reading = other.begin(), other.begin()
    change(late.store("s"), {2: "b"})
    reading.store("s").get(keys([1])[0])
    reading.create("elsewhere", PLAIN)
    build(engine)
    with pytest.raises(Conflict, match="projection of the store was changed"):
        other.commit(late)
    assert other.commit(reading)
    commit(other, {2: "b"})
    assert rows(engine) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("when", ["begun", "attached"])
def test_what_a_dead_builder_began_is_given_up(make: Callable[..., Cluster], when: str, at_once: bool) -> None:
    cluster = make(**TINY, retention_seconds=0)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(40)}, bulk=True)

    class Killed(BaseException):
        pass

    def die() -> None:
        cluster.kill(engine)
        raise Killed

    meanwhile(engine, die, "build" if when == "begun" else "verify")
    engine.builder.abandon = lambda id, error: None  # type: ignore[method-assign]
    with pytest.raises(Killed):
        build(engine)
    (left,) = (store for store in other.state().every if store.projection)
    assert left.whole == (when == "attached")
    commit(other, {3: None, 100: "new"})
    with pytest.raises(IndexNotFound, match="none yet"):
        other.begin().index("s", "by_v")
    if at_once:
        build(other)
        assert rows(other) == expected(contents(other))
        return
    other.upkeep.step()
    assert [store.name for store in other.state().every] == ["s"]
    commit(other, {101: "after"})
    other.upkeep.compact(0)
    other.upkeep.compact(0)
    build(other)
    assert rows(other) == expected(contents(other))


def test_a_builder_that_lives_is_let_alone(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(40)}, bulk=True)
    meanwhile(engine, lambda: (other.upkeep.step(), other.upkeep.fold(), other.upkeep.collect(0)))
    build(engine)
    assert index(engine).rows == 40


@pytest.mark.parametrize("how", ["drop", "replace", "interrupt"])
def test_a_build_ends_with_its_store(make: Callable[..., Cluster], how: str) -> None:
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(40)}, bulk=True)

    def disturb() -> None:
        if how == "interrupt":
            raise KeyboardInterrupt
        if "s" in other.state().names and len(contents(other)) == 40:
            work = other.begin()
            work.drop("s") if how == "drop" else work.replace("s", PLAIN)
            other.commit(work)

    meanwhile(engine, disturb)
    with pytest.raises(KeyboardInterrupt if how == "interrupt" else Conflict):
        build(engine)
    assert [store for store in engine.state().every if store.projection] == []


def test_an_index_goes_with_its_store_and_comes_with_one_that_replaces_it(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "a", 2: "b"})
    build(engine)
    work = engine.begin()
    work.rename("s", "t")
    engine.commit(work)
    assert index(engine, store="t").name == "t/by_v"
    commit(engine, {3: "0"}, "t")
    work = engine.begin()
    new = work.replace("t", PLAIN)
    change(new, {9: "q"})
    assert scanned(work.index("t", "by_v").stack) == [("q", 9)]
    engine.commit(work)
    commit(engine, {8: "r"}, "t")
    assert scanned(index(engine, store="t").stack) == [("q", 9), ("r", 8)]
    narrow = Schema.of({"k": "int64"}, IndexSpecification.of("k"))
    with pytest.raises(InvalidInput, match="index 'by_v': there is no column 'v'"):
        engine.begin().replace("t", narrow)
    work = engine.begin()
    work.drop("t")
    engine.commit(work)
    assert len(engine.state().by_id) == 0


def test_a_transaction_that_creates_a_store_may_create_its_indexes(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    work = engine.begin()
    store = work.create("s", PLAIN)
    work.add_index(store, "by_v", UNIQUE)
    with pytest.raises(InvalidInput, match="has an index 'by_v' already"):
        work.add_index(store, "by_v", BY_VALUE)
    change(store, {1: "b", 2: "a"})
    gone = work.create("gone", PLAIN)
    work.add_index(gone, "by_v", BY_VALUE)
    work.drop("gone")
    engine.commit(work)
    assert rows(cluster.open()) == [("a", 2), ("b", 1)]
    with pytest.raises(DuplicateKey):
        commit(engine, {3: "a"})


def test_a_checkpoint_keeps_what_is_half_built(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(20)}, bulk=True)

    def look() -> None:
        other.upkeep.checkpoint()
        mine, theirs = (next(s for s in e.state().every if s.projection) for e in (engine, cluster.open()))
        assert mine.projection == theirs.projection
        assert not mine.whole
        commit(other, {5: None})

    meanwhile(engine, look)
    build(engine)
    engine.upkeep.checkpoint()
    assert rows(cluster.open()) == rows(engine) == expected({k: f"{k}" for k in range(20) if k != 5})


def test_older_releases_refuse_a_database_with_projections(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    build(engine)
    payloads = [record.decode(commit.payload) for commit in cluster.memory.read(0)]
    assert [payload.kinds for payload in payloads if payload.projections] == [["projections"]] * 3
    assert [payload.upkeep for payload in payloads if payload.projections] == [True, True, False]


def test_an_index_that_is_not_what_its_store_is_does_not_pass_the_check(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "a", 2: "b"})
    build(engine)
    cluster.damaged = True
    monkeypatch.setattr("sopnb.engine.work.mirror", lambda source, child: None)
    commit(engine, {1: "c"})
    monkeypatch.undo()
    report = cluster.check()
    assert [(problem.store, problem.where) for problem in report] == [("s", "index 'by_v'")]
    assert "what it holds of the record 1 is not what the record holds" in report[0].what


def test_a_check_that_cannot_compute_an_index_says_so(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    """It reads on and raises nothing, as where the engine of expressions is not installed."""
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "a", 2: "bc"})
    build(engine, wanted=IndexSpecification.of("cel: size(v)", unique=False))

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise MissingPackage("cel-expr-python", "cel")

    with monkeypatch.context() as patch:
        patch.setattr("sopnb.computed.Computed.column", missing)
        report = engine.check()
    assert [(problem.where, "cel-expr-python" in problem.what) for problem in report] == [("index 'by_v'", True)]
    assert engine.check().ok


@pytest.mark.parametrize("moment", ["appended", "replayed"])
def test_an_interrupt_while_an_index_is_begun_leaves_no_trace(make: Callable[..., Cluster], monkeypatch: Any, moment: str) -> None:
    """Its builder lives, so nobody else would ever give it up."""
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "a"})
    whole = engine.append

    def append(payload: Any, *args: Any) -> int:
        seq = whole(payload, *args)
        if any(step.kind == "begin" for step in payload.projections):
            raise KeyboardInterrupt
        return seq

    def replayed(seq: int) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, *(("append", append) if moment == "appended" else ("replayed", replayed)))
        with pytest.raises(KeyboardInterrupt):
            build(engine)
    assert [store.name for store in engine.state().every] == ["s"]
    build(engine)
    assert rows(engine) == [("a", 1)]


def test_a_projection_that_came_out_wrong_is_not_taken_into_use(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(20)})
    whole = building.Builder._sorted
    monkeypatch.setattr(building.Builder, "_sorted", lambda *args: (entries.slice(1, len(entries)) for entries in whole(*args)))
    with pytest.raises(Corruption, match="19 rows are there, 19 are counted, its store has 20"):
        build(engine)
    assert [store.name for store in engine.state().every] == ["s"]


def test_few_and_many_changes_say_the_same_of_a_projection(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    """One by one and in bulk: the same operations."""
    rng = np.random.default_rng(5)
    told: list[list[Any]] = []
    for few in (mirror.FEW, -1):
        monkeypatch.setattr(mirror, "FEW", few)
        rng = np.random.default_rng(5)
        engine = make(**TINY).open()
        create(engine)
        build(engine)
        said: list[Any] = []
        for _ in range(20):
            work = engine.begin()
            change(work.store("s"), {int(k): None if rng.random() < 0.3 else "abc"[rng.integers(3)] for k in rng.integers(0, 30, 9)})
            child: StoreWork = work.index("s", "by_v")
            said.append([operation[:3] + operation[4:] for operation in child.net_operations()])
            engine.commit(work)
        told.append(said)
        assert rows(engine) == expected(contents(engine))
    assert told[0] == told[1]


def test_folds_of_an_index_that_is_being_built_keep_its_deletions(make: Callable[..., Cluster]) -> None:
    """They speak of records that come beneath them later."""
    cluster = make(**{**TINY, "inline_rows": 0})
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {k: f"{k}" for k in range(20)}, bulk=True)

    def write() -> None:
        commit(other, {k: None for k in range(10)})
        commit(other, {30: "x"})
        other.upkeep.fold()
        other.upkeep.step()

    meanwhile(engine, write)
    build(engine)
    engine.upkeep.fold()
    assert rows(engine) == expected({**{k: f"{k}" for k in range(10, 20)}, 30: "x"})


def test_a_description_comes_back_as_it_was() -> None:
    schema = Schema.of({"a": "int64", "b": "string", "c": "timestamp[us, UTC]"}, IndexSpecification.of("-a", "b", unique=False))
    wanted = IndexSpecification.of("-c", "b", unique=False, carrying=("a",), nulls="first")
    made = index_of(7, "i", schema, wanted, "me")
    again = Projection.from_dict(7, made.to_dict())
    assert again == made
    assert again.schema.stored_key_names == ("c", "b", "a", "_id")
