"""Values out of line stay with their rows through every way from a write to a fold."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from sopnb.engine import builder, far
from sopnb.engine.branch import Extent
from sopnb.engine.bulk import Kind
from sopnb.engine.tree import Tree
from sopnb.errors import Conflict
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from tests.engine.support import (
    PLAIN,
    TINY,
    Cluster,
    commit,
    contents,
    create,
    load,
    rows_of,
    scanned,
    stack_of,
    store_of,
    table,
    upkeep,
    whole_plan,
)

LONG = {k: f"{k:03d}" * 40 for k in range(12)}
"""Each is longer than ``value_bytes`` of the tiny settings."""


def test_a_short_commit_of_long_values_written_ahead_keeps_them(make: Callable[..., Cluster]) -> None:
    """A bulk write of few rows with long values was written to a blob ahead of its commit. At the commit its rows were few enough for the
    record, and were copied there without the values, which lay beside the leaves: they came back as null."""
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=800)
    create(engine)
    work = engine.begin()
    load(work.store("s"), LONG)
    assert isinstance(work.store("s").drafts()[0], Tree), "the write should have gone to a blob"
    engine.commit(work)
    assert contents(engine) == LONG


@pytest.mark.parametrize("inline_rows", [0, 1000])
def test_blobs_written_ahead_stay_while_the_commit_needs_their_values(make: Callable[..., Cluster], inline_rows: int) -> None:
    """Two bulk writes of one transaction were merged into one run at its commit. The run named the values where they lay, in the blobs
    written ahead, and those were deleted as useless: every record of the commit was unreadable."""
    cluster = make(**TINY, inline_rows=inline_rows)
    engine = cluster.open(load_bytes=800)
    create(engine)
    work = engine.begin()
    load(work.store("s"), LONG)
    load(work.store("s"), {k: f"{k:03d}" * 50 for k in range(6, 20)})
    engine.commit(work)
    expected = {**LONG, **{k: f"{k:03d}" * 50 for k in range(6, 20)}}
    assert contents(engine) == expected
    engine.upkeep.fold()
    assert contents(engine) == expected


def test_a_rollback_deletes_what_was_written_ahead(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY)
    engine = cluster.open(load_bytes=800)
    create(engine)
    work = engine.begin()
    load(work.store("s"), LONG)
    assert list(cluster.blobs.names())
    work.rollback()
    assert list(cluster.blobs.names()) == []


def test_long_values_are_read_by_every_way_of_reading(make: Callable[..., Cluster]) -> None:
    cluster = make(**TINY, inline_rows=0)
    engine = cluster.open()
    create(engine)
    commit(engine, LONG)
    commit(engine, {3: "short", 4: "y" * 200, 50: "z" * 300})
    model = {**LONG, 3: "short", 4: "y" * 200, 50: "z" * 300}
    stack = stack_of(engine)
    encoded = PLAIN.keys(table(PLAIN, rows_of(model)))
    assert [stack.get(k).row for k in encoded] == rows_of(model)  # type: ignore[union-attr]
    assert stack.find(encoded).fetch(PLAIN).to_pydict()["v"] == [v for _, v in rows_of(model)]
    assert next(batch.batch.to_pydict() for batch in stack.slice(3, 5, columns=["v"]))["v"][:1] == ["short"]
    first, last = stack.first(), stack.last()
    assert first is not None
    assert last is not None
    assert (first[1].row, last[1].row) == ((0, LONG[0]), (50, "z" * 300))
    assert next(part.batch.to_pydict() for part in stack.scan(columns=["k"])).keys() == {"k"}


def test_a_fold_names_values_where_they_lie_and_moves_them_once_most_of_their_blob_is_stale(make: Callable[..., Cluster]) -> None:
    cluster = make(**{**TINY, "leaf_rows": 2}, inline_rows=0)
    engine = cluster.open()
    create(engine)
    commit(engine, LONG, bulk=True)
    (first,) = store_of(engine).blobs
    commit(engine, {0: "a" * 100}, bulk=True)
    engine.upkeep.fold()
    assert first in store_of(engine).blobs
    commit(engine, {k: "b" * 100 for k in range(1, 9)}, bulk=True)
    once = whole_plan(engine)
    assert once is not None
    upkeep(engine, once)
    assert first in store_of(engine).blobs, "before this fold most of it was needed"
    engine.upkeep.fold()
    assert first not in store_of(engine).blobs
    assert contents(engine) == {**LONG, 0: "a" * 100, **{k: "b" * 100 for k in range(1, 9)}}


def test_a_value_lies_in_pieces_and_one_that_lies_in_one_is_read_too(make: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces are of their own checksums; a value of earlier releases is one piece, however large."""
    cluster = make(**TINY, inline_rows=0)
    engine = cluster.open()
    create(engine)
    commit(engine, LONG, bulk=True)
    monkeypatch.setattr(far, "PIECE", 50)
    longer = {k: f"{k:03d}" * 50 for k in range(6, 20)}
    commit(engine, longer, bulk=True)
    assert contents(engine) == {**LONG, **longer}
    cells = [far.decode(cell) for tree in store_of(engine).trees for p in tree.pieces(b"", None) for cell in p.load().far.to_pylist()]
    assert {tuple(length for _, _, _, length, _ in cell) for cell in cells} == {(120,), (50, 50, 50)}
    engine.upkeep.fold()
    assert contents(engine) == {**LONG, **longer}


def test_the_values_of_one_leaf_are_bounded(make: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaf holds next to nothing of a row whose values lie out of line, so there were thousands of them, read together."""
    monkeypatch.setattr(builder, "LEAF_VALUES", 500)
    cluster = make(value_bytes=48, inline_rows=0)
    engine = cluster.open()
    create(engine)
    values = {k: "x" * 100 for k in range(40)} | {k: "y" * 1000 for k in range(40, 50)} | {k: "short" for k in range(50, 90)}
    for k in range(0, 90, 10):
        load(work := engine.begin().store("s"), {j: values[j] for j in range(k, k + 10)})
        engine.commit(work.work)
    engine.upkeep.fold()
    leaves = [piece.load() for tree in store_of(engine).trees for piece in tree.pieces(b"", None)]
    assert max(sum(size for _, size in far.bytes_by_blob(leaf.far)) for leaf in leaves if leaf.far is not None) <= 1000
    assert contents(engine) == values


@pytest.mark.parametrize("moved", [True, False])
def test_values_that_stay_while_another_column_is_written_conflict_only_with_a_fold_that_moves_them(
    make: Callable[..., Cluster], moved: bool
) -> None:
    """The record would name a blob that is no longer there."""
    schema = Schema.of({"k": "int64", "a": "string", "b": "string"}, IndexSpecification.of("k"))
    cluster = make(**TINY, inline_rows=0, retention_seconds=0)
    engine, other = cluster.open(), cluster.open()
    create(engine, schema=schema)
    rows = [(k, f"{k}" * 100, f"{k}" * 90) for k in range(1, 9)]
    work = engine.begin()
    work.store("s").write("insert", table(schema, rows))
    engine.commit(work)
    (blob,) = store_of(engine).blobs
    late = engine.begin()
    late.store("s").put_value(schema.encode_key((1,)), "b", "new")
    changes = [(k, "short", "short") for k in range(2, 9 if moved else 3)]
    work = other.begin()
    work.store("s").write("upsert", table(schema, changes))
    other.commit(work)
    once = whole_plan(other)
    assert once is not None
    upkeep(other, once)
    if moved:
        other.upkeep.fold()
    assert (blob in store_of(other).blobs) is not moved
    if moved:
        with pytest.raises(Conflict, match="were moved"):
            engine.commit(late)
        late = engine.begin()
        late.store("s").put_value(schema.encode_key((1,)), "b", "new")
    engine.commit(late)
    other.upkeep.checkpoint()
    other.upkeep.collect(keep=0)
    expected = {row[0]: row for row in [*rows, *changes]} | {1: (1, "1" * 100, "new")}
    assert scanned(stack_of(engine)) == list(expected.values())
    assert cluster.check().ok


@pytest.mark.parametrize("load_bytes", [800, 1 << 20], ids=["ahead", "in memory"])
@pytest.mark.parametrize("kind", ["update", "upsert"])
def test_writing_other_columns_of_many_records_reads_no_value_that_stays(
    make: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch, kind: Kind, load_bytes: int
) -> None:
    """All values of all rows were read and written again, however large: memory had no bound."""
    schema = Schema.of({"k": "int64", "a": "string", "b": "string", "n": "int64"}, IndexSpecification.of("k"))
    cluster = make(**TINY, inline_rows=0)
    engine = cluster.open(load_bytes=load_bytes)
    create(engine, schema=schema)
    before = {k: (k, f"{k:03d}" * 40, None if k % 3 else f"{k:03d}" * 50, k) for k in range(30)}
    work = engine.begin()
    work.store("s").write("insert", table(schema, before.values()))
    engine.commit(work)
    size = sum(size for _, size in cluster.store.names())
    new = {k: (k, "x" * 200 if k % 2 else "short", -k) for k in range(5, 25)}
    fetched = list[Extent]()
    with monkeypatch.context() as patch:
        fetch = engine.reader.far._fetch
        patch.setattr(engine.reader.far, "_fetch", lambda extent: [fetched.append(extent), fetch(extent)][1])
        work = engine.begin()
        counts = work.store("s").write(kind, pa.table({"k": list(new), "n": [n for _, _, n in new.values()]}))
        assert not fetched, "the column that is written has none out of line"
        counts += work.store("s").write(kind, pa.table({"k": list(new), "a": [a for _, a, _ in new.values()]}))
        assert {extent.length for extent in fetched} <= {120}, "only the old values of the column that is written, to compare"
        engine.commit(work)
    assert counts.updated == 40
    expected = {k: row if k not in new else (k, new[k][1], row[2], new[k][2]) for k, row in before.items()}
    assert scanned(stack_of(engine)) == list(expected.values())
    assert sum(size for _, size in cluster.store.names()) < 2.2 * size
    engine.upkeep.fold()
    assert scanned(stack_of(engine)) == list(expected.values())
    assert cluster.check().ok


def test_a_load_of_some_columns_keeps_the_values_of_both_the_old_and_the_new(make: Callable[..., Cluster]) -> None:
    """One load writes long values ahead, and leaves others of the same records where they are."""
    schema = Schema.of({"k": "int64", "a": "string", "b": "string"}, IndexSpecification.of("k"))
    cluster = make(**TINY, inline_rows=0)
    engine = cluster.open(load_bytes=800)
    create(engine, schema=schema)
    work = engine.begin()
    work.store("s").write("insert", table(schema, [(k, "a" * 100, f"{k:03d}" * 50) for k in range(30)]))
    engine.commit(work)
    work = engine.begin()
    pieces = [
        pa.table({"k": list(range(start, start + 10)), "a": [f"{k:03d}" * 60 for k in range(start, start + 10)]}) for start in (20, 0, 10)
    ]
    assert work.store("s").load("upsert", iter(pieces)).updated == 30
    engine.commit(work)
    expected = [(k, f"{k:03d}" * 60, f"{k:03d}" * 50) for k in range(30)]
    assert scanned(stack_of(engine)) == expected
    engine.upkeep.compact(0)
    assert scanned(stack_of(engine)) == expected
    assert cluster.check().ok
