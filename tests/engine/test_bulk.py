"""Bulk writes: every kind, with errors raised or reported, in memory or written ahead, against a dict."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine import bulk
from sopnb.engine.counts import Counts
from sopnb.engine.engine import Engine
from sopnb.engine.storework import StoreWork
from sopnb.engine.tree import Tree
from sopnb.errors import DuplicateKey, InvalidInput, KeyNotFound
from sopnb.index import IndexSpecification, Keys
from sopnb.schema import Schema
from tests.engine.support import PLAIN, TINY, Cluster, commit, contents, create, key, keys, load, scanned, stack_of, table

WIDE = Schema(
    pa.schema(
        [
            pa.field("k", pa.int64(), nullable=False),
            ("a", pa.float64()),
            pa.field("b", pa.string(), nullable=False),
            ("n", pa.list_(pa.float32())),
        ]
    ),
    IndexSpecification.of("k"),
)
KINDS = ("insert", "upsert", "replace", "update")
Row = tuple[Any, ...]
VALUES = st.tuples(
    st.sampled_from([None, 0.0, -0.0, 1.5, math.nan]),
    st.sampled_from(["", "x", "y" * 60]),
    st.sampled_from([None, [], [math.nan, 1.0], [None]]),
)
ROWS = st.lists(st.tuples(st.integers(0, 14), VALUES).map(lambda row: (row[0], *row[1])), max_size=14)


def expected(model: dict[int, Row], kind: str, rows: list[Row], columns: list[str], report: bool) -> tuple[dict[int, Row], Counts | str]:
    """Return what a write should leave, and its counts with the rejected keys for ``rejected``, or the error that it raises."""
    seen: set[int] = set()
    repeated = [row for row in rows if row[0] in seen or seen.add(row[0])]  # type: ignore[func-returns-value]
    if repeated and not report:
        return model, "DuplicateKey"
    taken = {row[0]: row for row in reversed(rows)}
    wrong = [k for k in sorted(taken) if (k in model if kind == "insert" else kind == "update" and k not in model)]
    if wrong and not report:
        return model, "DuplicateKey" if kind == "insert" else "KeyNotFound"
    after, inserted, updated, unchanged = dict(model), 0, 0, 0
    for k, row in sorted(taken.items()):
        if k in wrong:
            continue
        old = model.get(k)
        full = [
            value if name in columns else None if old is None else old[i]
            for i, (name, value) in enumerate(zip(WIDE.physical.names, row, strict=True))
        ]
        if old is None and "b" not in columns:
            return model, "InvalidInput"
        inserted += old is None
        updated += old is not None and repr(old) != repr(tuple(full))
        unchanged += old is not None and repr(old) == repr(tuple(full))
        after[k] = tuple(full)
    return dict(sorted(after.items())), Counts(
        inserted, updated, unchanged, rejected=sorted([*(row[0] for row in repeated), *wrong]) or None
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), ROWS, st.sampled_from([["k", "a", "b", "n"], ["k", "b", "a"], ["k", "n"], ["k"]]), st.booleans()),
        max_size=3,
    ),
    st.sampled_from([10**8, 400, 8]),
    st.sampled_from([5, 131_072]),
)
def test_every_kind_of_write_does_what_a_dict_would(
    steps: list[tuple[Any, list[Row], list[str], bool]], load_bytes: int, chunk: int
) -> None:
    """Within one transaction and over committed layers, in pieces of a few rows or in one, in memory or in blobs."""
    cluster = Cluster(**TINY)
    engine = cluster.open(load_bytes=load_bytes)
    create(engine, schema=WIDE)
    model: dict[int, Row] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr(bulk, "CHUNK", chunk)
    work = engine.begin()
    for n, (kind, rows, columns, report) in enumerate(steps):
        if kind in ("insert", "replace"):
            columns = ["k", "a", "b", "n"]
        after, told = expected(model, kind, rows, columns, report)
        given = table(WIDE, rows).select(columns)
        store = work.store("s")
        if isinstance(told, str):
            with pytest.raises({"DuplicateKey": DuplicateKey, "KeyNotFound": KeyNotFound, "InvalidInput": InvalidInput}[told]):
                store.write(kind, given, on_error="report" if report else "raise")
        else:
            counts = store.write(kind, given, on_error="report" if report else "raise")
            rejected = None if counts.rejected is None else sorted(counts.rejected["k"].to_pylist())
            assert (counts.inserted, counts.updated, counts.unchanged, rejected) == (
                told.inserted,
                told.updated,
                told.unchanged,
                told.rejected,
            )
        model = after
        assert repr(rows_of(store.stack)) == repr(list(model.values())), "a write that raises writes nothing"
        assert store.stack.rows == len(model)
        if n % 2:
            engine.commit(work)
            work = engine.begin()
    engine.commit(work)
    patch.undo()
    assert repr(rows_of(stack_of(engine))) == repr(list(model.values()))
    cluster.verify()


def rows_of(stack: Any) -> list[Row]:
    return [row for part in stack.scan() for row in WIDE.rows(part.batch)]


@pytest.fixture
def engine(make: Callable[..., Cluster]) -> Engine:
    engine = make(**TINY).open()
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(0, 20, 2)})
    return engine


@pytest.fixture
def store(engine: Engine) -> StoreWork:
    return engine.begin().store("s")


def test_errors_name_the_first_bad_key(store: StoreWork) -> None:
    for kind, rows, error, bad in (
        ("insert", [(5, "x"), (4, "x"), (2, "x")], DuplicateKey, 2),
        ("update", [(5, "x"), (4, "x"), (3, "x")], KeyNotFound, 3),
        ("upsert", [(5, "x"), (4, "x"), (5, "y")], DuplicateKey, 5),
    ):
        with pytest.raises(error, match=f"store 's'.*{bad}") as caught:  # type: ignore[call-overload]
            store.write(kind, table(PLAIN, rows))  # type: ignore[arg-type]
        assert (caught.value.store, caught.value.key) == ("s", bad)
    assert store.operations == 0


def test_reported_rows_carry_their_reason_and_the_first_of_repeated_ones_is_taken(store: StoreWork) -> None:
    counts = store.write("insert", table(PLAIN, [(3, "first"), (4, "there"), (3, "second"), (1, "new")]), on_error="report")
    assert (counts.inserted, counts.rejected.sort_by("k").to_pylist()) == (
        2,
        [
            {"k": 3, "v": "second", "_reason": "the key is twice in the frame"},
            {"k": 4, "v": "there", "_reason": "the key is already there"},
        ],
    )
    counts = store.write("update", table(PLAIN, [(3, "changed"), (7, "missing")]), on_error="report")
    assert (counts.updated, counts.rejected.to_pylist()) == (1, [{"k": 7, "v": "missing", "_reason": "no record has this key"}])
    assert store.write("upsert", table(PLAIN, []), on_error="report") == Counts()


def test_too_many_rejected_rows_raise(store: StoreWork, monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk, "MOST_REJECTED", 3)
    with pytest.raises(InvalidInput, match="more than 3 rows are refused"):
        store.write("insert", table(PLAIN, [(k, "x") for k in range(20)]), on_error="report")
    assert store.operations == 0


def test_an_absent_column_may_stay_absent_only_for_records_that_are_there(make: Callable[..., Cluster]) -> None:
    engine = make().open()
    create(engine, schema=WIDE)
    work = engine.begin()
    store = work.store("s")
    store.write("insert", table(WIDE, [(1, 1.5, "b", [1.0])]))
    given = table(WIDE, [(1, 2.5, None, None)]).select(["k", "a"])
    assert store.write("upsert", given).updated == 1
    assert rows_of(store.stack) == [(1, 2.5, "b", [1.0])]
    with pytest.raises(InvalidInput, match="'b' may not be null, and key 2 is new"):
        store.write("upsert", table(WIDE, [(1, 9.5, None, None), (2, 3.5, None, None)]).select(["k", "a"]))
    assert rows_of(store.stack) == [(1, 2.5, "b", [1.0])]
    engine.commit(work)


def test_large_writes_go_ahead_to_a_blob_and_a_rollback_takes_them_back(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=2000)
    create(engine)
    work = engine.begin()
    store = work.store("s")
    load(store, {k: "x" * 20 for k in range(100)})
    assert [type(layer) for layer in store.drafts()] == [Tree]
    load(store, {1: "small"})
    store.put("upsert", (2, "single"))
    assert contents_of(store) == {**{k: "x" * 20 for k in range(100)}, 1: "small", 2: "single"}
    assert len(list(cluster.blobs.names())) == 1
    work.rollback()
    assert list(cluster.blobs.names()) == []
    work = engine.begin()
    load(work.store("s"), {k: "x" * 20 for k in range(100)})
    blobs = dict(cluster.blobs.names())
    engine.commit(work)
    assert dict(cluster.blobs.names()) == blobs, "one write alone is committed as it lies"
    assert contents(engine) == {k: "x" * 20 for k in range(100)}


def contents_of(store: StoreWork) -> dict[Any, Any]:
    return dict(scanned(store.stack))  # type: ignore[arg-type]


def test_a_refused_write_ahead_leaves_no_blob(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    """The bad row comes late, when some of the blob is written."""
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=800)
    create(engine)
    commit(engine, {99: "there"})
    monkeypatch.setattr(bulk, "CHUNK", 10)
    work = engine.begin()
    with pytest.raises(DuplicateKey, match="99"):
        work.store("s").write("insert", table(PLAIN, [(k, "x" * 20) for k in range(120)]))
    assert list(cluster.blobs.names()) == []
    assert engine.commit(work) == 0


def test_many_small_writes_of_one_transaction_stay_few_pieces(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    """Single operations become pieces, pieces in memory become blobs; what is read of them is the same."""
    from sopnb.engine import storework

    monkeypatch.setattr(storework, "LONGEST_TAIL", 10)
    monkeypatch.setattr(storework, "MOST_PIECES", 4)
    cluster = make(**TINY)
    engine = cluster.open()
    create(engine)
    work = engine.begin()
    store = work.store("s")
    model: dict[int, str] = {}
    for n in range(30):
        load(store, {k: f"{n}" for k in range(n, n + 3)})
        for k in range(n, n + 12, 3):
            store.put("upsert", (k, f"single {n}"))
        store.delete(keys([n]))
        store.delete(keys([n + 1, n + 4]))
        model |= {k: f"{n}" for k in range(n, n + 3)} | {k: f"single {n}" for k in range(n, n + 12, 3)}
        for k in (n, n + 1, n + 4):
            model.pop(k, None)
        assert len(store.drafts()) <= (n + 1) + 4 + 2, "five pieces became one"
    assert contents_of(store) == dict(sorted(model.items()))
    engine.commit(work)
    assert contents(engine) == dict(sorted(model.items()))
    assert len(list(cluster.blobs.names())) == 1


# -- ranges and duplicates ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 20), st.integers(0, 20), st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_a_replaced_range_holds_exactly_what_was_given(a: int, b: int, start: set[int], new: set[int]) -> None:
    lo, hi = sorted((a, b))
    cluster = Cluster(**TINY)
    engine = cluster.open()
    create(engine)
    commit(engine, dict.fromkeys(sorted(start), "old"))
    engine.upkeep.fold()
    work = engine.begin()
    rows = [(k, "new" if k % 2 else "old") for k in sorted(new)]
    inside = all(lo <= k < hi for k in new)
    if not inside:
        with pytest.raises(InvalidInput, match="outside the selection"):
            work.store("s").replace_range(key(lo), key(hi), table(PLAIN, rows))
        assert work.store("s").operations == 0
        return
    counts = work.store("s").replace_range(key(lo), key(hi), table(PLAIN, rows))
    engine.commit(work)
    assert contents(engine) == dict(sorted({**{k: "old" for k in start if not lo <= k < hi}, **dict(rows)}.items()))
    replaced = {k for k in start if lo <= k < hi}
    assert counts == Counts(
        len(new - start), len({k for k in new & start if k % 2}), len({k for k in new & start if not k % 2}), len(replaced - new)
    )
    cluster.verify()


def test_deletions_go_ahead_to_a_blob_piece_by_piece_like_writes(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    """They were kept in memory, all keys and a row of nulls for each, however many there were."""
    from sopnb.engine import storework

    monkeypatch.setattr(storework, "DELETED", 10)
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=2000)
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(0, 200, 2)}, bulk=True)
    before = contents(engine)
    rest = {k: f"v{k}" for k in range(150, 200, 2)}
    new = table(PLAIN, [(4, "v4"), (5, "new")])
    for delete, counted, rows, left in (
        (lambda store, progress: store.delete(keys(range(0, 150)), progress=progress), Counts(deleted=75, missing=75), 150, rest),
        (lambda store, progress: store.delete_range(b"", key(150), progress=progress), Counts(deleted=75), 75, rest),
        (
            lambda store, progress: store.replace_range(b"", key(150), new, progress=progress),
            Counts(inserted=1, unchanged=1, deleted=74),
            2,
            {4: "v4", 5: "new", **rest},
        ),
    ):
        work = engine.begin()
        told: list[int] = []
        assert delete(work.store("s"), told.append) == counted
        assert all(isinstance(layer, Tree) for layer in work.store("s").drafts() if layer.entries > 1)
        assert sum(told) == rows
        assert contents_of(work.store("s")) == left
        work.rollback()
        assert contents(engine) == before
    work = engine.begin()
    work.store("s").delete_range()
    engine.commit(work)
    assert contents(engine) == {}
    assert stack_of(engine).rows == 0


def test_a_deletion_interrupted_anywhere_leaves_the_database_as_it_was(make: Callable[..., Cluster], monkeypatch: Any) -> None:
    from sopnb.engine import storework

    monkeypatch.setattr(storework, "DELETED", 10)
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=1000)
    create(engine)
    commit(engine, {k: f"v{k}" for k in range(100)}, bulk=True)
    before, blobs = contents(engine), dict(cluster.blobs.names())
    for delete in (
        lambda store, progress: store.delete(keys(range(100)), progress=progress),
        lambda s, progress: s.delete_range(progress=progress),
    ):
        interrupts = 0
        while True:
            left = interrupts

            def interrupt(rows: int) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt

            work = engine.begin()
            try:
                delete(work.store("s"), interrupt)
            except KeyboardInterrupt:
                assert contents_of(work.store("s")) == before
                work.rollback()
                assert dict(cluster.blobs.names()) == blobs
                interrupts += 1
                continue
            work.rollback()
            break
        assert interrupts >= 5
    assert contents(engine) == before


def test_a_range_that_is_refused_is_left_as_it_was(store: StoreWork) -> None:
    """The range was emptied before the records for it were looked at: who caught the error and committed lost the range."""
    with pytest.raises(DuplicateKey):
        store.replace_range(key(4), key(10), table(PLAIN, [(5, "x"), (5, "y")]))
    assert store.operations == 0
    assert store.count(key(4), key(10)) == 3


def test_records_with_equal_keys_keep_the_order_in_which_they_were_written(make: Callable[..., Cluster]) -> None:
    schema = Schema.of({"k": "int64", "v": "string"}, IndexSpecification.of("k", unique=False))
    cluster = make(**TINY)
    engine, other = cluster.open(), cluster.open()
    create(engine, schema=schema)
    a, b = engine.begin(), other.begin()
    a.store("s").put("insert", (1, "a0", None))
    a.store("s").write("insert", pa.table({"k": [1, 1, 0, 1], "v": ["a1", "a2", "zero", "a3"]}))
    a.store("s").put("insert", (1, "a4", None))
    b.store("s").write("insert", pa.table({"k": [1] * 20, "v": [f"b{n:02d}" for n in range(20)]}))
    engine.commit(a)
    other.commit(b)
    for _ in range(2):
        values = [row[1] for row in scanned(stack_of(engine)) if row[0] == 1]
        assert [v for v in values if v[0] == "a"] == [f"a{n}" for n in range(5)]
        assert [v for v in values if v[0] == "b"] == [f"b{n:02d}" for n in range(20)]
        assert len(scanned(stack_of(engine))) == 26
        engine.upkeep.fold()
    c = engine.begin()
    c.store("s").write("insert", pa.table({"k": [1], "v": ["later"]}))
    engine.commit(c)
    assert [row[1] for row in scanned(stack_of(engine))][-1] == "later", "a later transaction's come after"


def test_a_store_that_is_not_unique_needs_the_ids_of_what_is_changed(make: Callable[..., Cluster]) -> None:
    schema = Schema.of({"k": "int64", "v": "string"}, IndexSpecification.of("k", unique=False))
    engine = make().open()
    create(engine, schema=schema)
    work = engine.begin()
    store = work.store("s")
    store.write("insert", pa.table({"k": [1, 1], "v": ["a", "b"]}))
    rows = scanned(store.stack)
    for kind in ("upsert", "update", "replace"):
        for write in (
            lambda kind=kind: store.write(kind, pa.table({"k": [1], "v": ["c"]})),
            lambda kind=kind: store.put(kind, (1, "c", None)),
        ):
            with pytest.raises(InvalidInput, match="not unique"):
                write()
    with pytest.raises(InvalidInput, match="not unique"):
        store.replace_range(b"", None, pa.table({"k": [1], "v": ["c"]}))
    with pytest.raises(InvalidInput, match="upsert is refused"):
        store.write("upsert", table(schema, rows))
    assert store.write("update", table(schema, [(*rows[0][:1], "changed", rows[0][2])])).updated == 1
    assert store.put("replace", (1, "again", rows[1][2])).updated == 1
    assert store.delete(Keys.of([schema.key_bytes(rows[0])])).deleted == 1
    assert store.replace_range(b"", None, table(schema, [(1, "last", rows[1][2])])) == Counts(updated=1)
    engine.commit(work)
    assert [row[1] for row in scanned(stack_of(engine))] == ["last"]


def test_minus_zero_and_nan_are_values_of_their_own(make: Callable[..., Cluster]) -> None:
    """NaN over NaN changes nothing, -0.0 over 0.0 does: singly, in bulk, and within lists."""
    engine = make().open()
    create(engine, schema=WIDE)
    store = engine.begin().store("s")
    store.write("insert", table(WIDE, [(1, 0.0, "", [0.0]), (2, math.nan, "", [math.nan])]))
    for row, changes in (
        ((1, 0.0, "", [0.0]), False),
        ((2, math.nan, "", [math.nan]), False),
        ((1, -0.0, "", [0.0]), True),
        ((1, -0.0, "", [-0.0]), True),
        ((2, math.nan, "", [0.0]), True),
        ((2, None, "", [0.0]), True),
        ((2, None, "", None), True),
    ):
        for counts in (store.write("upsert", table(WIDE, [row])), store.put("upsert", row)):
            assert (counts.updated, counts.unchanged) == ((1, 0) if changes else (0, 1))
            changes = False
        store.delete(keys([row[0]]))
        store.put("insert", row)
        assert repr(rows_of(store.stack)[row[0] - 1]) == repr(row)
    store.write("replace", table(WIDE, [(1, 0.0, "", [0.0])]))
    for row in ((1, -0.0, "", [0.0]), (1, -0.0, "", [-0.0])):
        assert store.put("upsert", row).updated == 1
