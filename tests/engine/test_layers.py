"""Layers as one order: whatever the history and however it is folded, the answers are those of a plain dict."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopnb.engine.engine import Engine
from sopnb.engine.layers import Stack
from sopnb.engine.storework import StoreWork
from sopnb.index import IndexField, IndexSpecification, Keys
from sopnb.schema import Schema
from tests.engine.support import PLAIN, TINY, Cluster, Row, create, plan, scanned, store_of, table, upkeep

TEXTS = ["", "a", "a\0", "a\0\0", "ab", "b", "\U0001f600", None]
COMPOUND = Schema(
    pa.schema([("a", pa.string()), pa.field("b", pa.int8(), nullable=False), ("v", pa.string()), ("n", pa.float64())]),
    IndexSpecification((IndexField("a", nulls="first"), IndexField("b", descending=True))),
)
"""A text with zeros and nulls, then a number downwards: keys of many lengths that are nearly beginnings of each other."""
Fields = tuple[str | None, int]
Model = dict[bytes, Row]
FIELDS = st.tuples(st.sampled_from(TEXTS), st.integers(-1, 1))
VALUES = st.none() | st.sampled_from(["x", "y", "z" * 60])
"""The longest lies out of line."""
CHANGES = st.dictionaries(FIELDS, st.none() | st.tuples(VALUES, st.sampled_from([0.0, 1.5, None])), max_size=8)
COMMIT = st.tuples(st.sampled_from(["inline", "run"]), st.lists(st.tuples(st.booleans(), CHANGES), min_size=1, max_size=2))
FOLD = st.tuples(st.just("fold"), st.tuples(st.integers(0, 9), st.integers(0, 9)))
STEPS = st.lists(COMMIT | FOLD, max_size=7)
BOUND = st.binary(max_size=3) | FIELDS.map(COMPOUND.encode_key) | FIELDS.map(lambda f: COMPOUND.encode_key(f) + b"\0")
"""Keys, their neighbours, and bytes that are no keys."""
Step = tuple[str, Any]


def write(store: StoreWork, changes: Mapping[Fields, tuple[Any, Any] | None], *, bulk: bool) -> None:
    """Make changes one by one, or by a bulk upsert and a bulk delete."""
    put = [(*fields, *values) for fields, values in changes.items() if values is not None]
    gone = sorted(COMPOUND.encode_key(fields) for fields, values in changes.items() if values is None)
    if bulk:
        if put:
            store.write("upsert", table(COMPOUND, put))
        store.delete(Keys.of(gone))
    else:
        for row in put:
            store.put("upsert", row)
        for key in gone:
            store.delete(Keys.of([key]))


def applied(model: Model, changes: Mapping[Fields, tuple[Any, Any] | None]) -> Model:
    """Return the model after changes."""
    after = dict(model)
    for fields, values in changes.items():
        key = COMPOUND.encode_key(fields)
        if values is None:
            after.pop(key, None)
        else:
            after[key] = (*fields, *values)
    return dict(sorted(after.items()))


def agree(stack: Stack, model: Model, bounds: list[bytes]) -> None:
    """Fail unless every way to read a stack answers as the model does."""
    ordered = list(model.items())
    keys, rows = [key for key, _ in ordered], [row for _, row in ordered]
    assert stack.rows == len(rows)
    assert scanned(stack) == rows
    assert scanned(stack, reverse=True) == rows[::-1]
    assert scanned(stack, columns=["v"]) == [(row[2],) for row in rows]
    assert sum(len(part) for part in stack.scan(columns=[])) == len(rows)
    every = sorted({COMPOUND.encode_key((a, b)) for a in TEXTS for b in (-1, 0, 1)})
    for key in (*every, *bounds):
        entry = stack.get(key)
        assert (None if entry is None else entry.row) == model.get(key)
    assert stack.find(Keys.of(every)).there.tolist() == [key in model for key in every]
    found = stack.find(Keys.of(every))
    assert [tuple(row.values()) for row in found.fetch(COMPOUND).to_pylist()] == rows
    assert found.fetch(COMPOUND, ["n"]).to_pydict() == {"n": [row[3] for row in rows]}
    for lo in bounds:
        for hi in (*bounds, None):
            inside = [row for key, row in ordered if lo <= key and (hi is None or key < hi)]
            assert scanned(stack, lo, hi) == inside
            assert scanned(stack, lo, hi, reverse=True) == inside[::-1]
            assert scanned(stack, lo, hi, columns=["b", "v"]) == [row[1:3] for row in inside]
            assert stack.count(lo, hi) == len(inside)
            first, last = stack.first(lo, hi), stack.last(lo, hi)
            assert [None if one is None else (one[1].row, one[0]) for one in (first, last)] == [
                (inside[at], COMPOUND.key_bytes(inside[at])) if inside else None for at in (0, -1)
            ]
        assert stack.rank(lo) == sum(key < lo for key in keys)
    assert stack.rank(None) == len(keys)
    for position, key in enumerate(keys):
        assert stack.select(position) == key
        assert [row for part in stack.slice(position, position + 3) for row in _rows(part)] == rows[position : position + 3]
    for position in (-1, len(keys)):
        with pytest.raises(IndexError):
            stack.select(position)


def _rows(part: Any) -> list[Row]:
    return [tuple(row.values()) for row in part.batch.to_pylist()]


class Double:
    """One database under two processes: what the one commits stands in its records, what the other commits comes as runs."""

    def __init__(self, **settings: Any) -> None:
        self.cluster = Cluster(**{**TINY, **settings})
        self.inline = self.cluster.open()
        self.run = self.cluster.open(settings={"inline_rows": 0}, load_bytes=1600)
        create(self.inline, schema=COMPOUND)

    def take(self, step: Step, model: Model, bounds: list[bytes]) -> Model:
        """Take a step, comparing what the transaction reads of its own writes; return the model after it."""
        kind, what = step
        if kind == "fold":
            self.fold(*what)
            return model
        engine: Engine = getattr(self, kind)
        work = engine.begin()
        store = work.store("s")
        for bulk, changes in what:
            write(store, changes, bulk=bulk)
            model = applied(model, changes)
            agree(store.stack, model, bounds)
            assert [(entry := store.get(key)) and entry.row for key in bounds] == [model.get(key) for key in bounds]
        engine.commit(work)
        return model

    def fold(self, start: int, length: int) -> None:
        """Fold some neighbouring layers, wherever they lie."""
        store = store_of(self.inline)
        start %= max(len(store.parts), 1)
        stop = min(start + 1 + length, len(store.parts))
        if start < stop:
            upkeep(self.inline, plan(store, start, stop))


@given(STEPS, st.lists(BOUND, max_size=2))
def test_any_history_in_any_layers_reads_as_a_dict(steps: list[Step], bounds: list[bytes]) -> None:
    """Base, runs, sealed tails, tail and drafts; folds of any neighbours, at the bottom or not."""
    double = Double()
    model: Model = {}
    for step in steps:
        model = double.take(step, model, bounds)
        agree(store_of(double.inline).stack, model, bounds)
    agree(store_of(double.run).stack, model, bounds)
    agree(store_of(double.cluster.open()).stack, model, bounds)
    double.cluster.verify()
    double.inline.upkeep.fold()
    agree(store_of(double.run).stack, model, bounds)
    assert all(layer.entries == layer.delta == len(model) for layer in store_of(double.run).layers)
    double.cluster.verify()


K: Fields = ("a", 0)
PUT, AGAIN, GONE = {K: ("x", None)}, {K: ("y", None)}, {K: None}


def history(*changes: tuple[str, Any]) -> list[Step]:
    return [(kind, [(False, change)]) if kind != "fold" else (kind, change) for kind, change in changes]


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize(
    "kinds", [("inline", "inline", "inline"), ("run", "run", "run"), ("inline", "run", "inline"), ("run", "inline", "run")]
)
def test_a_record_deleted_and_put_again_counts_once_when_folded_into_one_run(kinds: tuple[str, str, str], bulk: bool) -> None:
    """[K in the base, deleted, put again, folded into one run: +1 would count K twice.] The delta of the folded entry is 0, for it speaks
    of what lies below the run."""
    double = Double()
    model: Model = {}
    for kind, changes in zip(kinds, (PUT, GONE, AGAIN), strict=True):
        model = double.take((kind, [(bulk, changes)]), model, [])
        if changes is PUT:
            double.inline.upkeep.fold()
    store = store_of(double.inline)
    assert len(store.parts) > 1
    upkeep(double.inline, plan(store, 1, len(store.parts)))
    base, run = store_of(double.inline).layers
    assert (base.delta, run.delta, run.entries) == (1, 0, 1)
    agree(store_of(double.inline).stack, model, [COMPOUND.encode_key(K)])
    double.cluster.verify()


@pytest.mark.parametrize("bulk", [False, True])
def test_within_one_transaction_too(bulk: bool) -> None:
    double = Double()
    for engine in (double.inline, double.run):
        for changes, delta in ((PUT, 1), (None, 0), (GONE, -1)):
            work = engine.begin()
            store = work.store("s")
            for one in (GONE, AGAIN) if changes is None else (changes,):
                write(store, one, bulk=bulk)
            before = store_of(engine).rows
            engine.commit(work)
            assert store_of(engine).rows == before + delta == len(scanned(store_of(engine).stack))
    double.cluster.verify()


def test_the_newest_layer_answers_whether_it_is_a_run_or_a_tail() -> None:
    """[K in the tail at 10, a run with K at 11: "tail first" answers 10.] The run seals the tail below it as a layer of its own."""
    double = Double()
    model: Model = {}
    for kind, value in (("inline", "first"), ("run", "second"), ("inline", "third"), ("run", "fourth")):
        model = double.take((kind, [(False, {K: (value, None)})]), model, [])
        agree(store_of(double.inline).stack, model, [COMPOUND.encode_key(K)])
    layers = store_of(double.inline).parts
    assert [type(layer).__name__ for layer in layers] == ["TailView", "Tree", "TailView", "Tree"]
    assert all(below.hi <= above.lo for below, above in itertools.pairwise(layers))


def test_what_was_put_over_nothing_and_deleted_leaves_nothing_in_a_fold() -> None:
    double = Double()
    other: Fields = ("b", 0)
    model: Model = {}
    for kind, changes in (("run", {other: ("x", None)}), ("run", PUT), ("run", GONE), ("run", PUT), ("run", GONE)):
        model = double.take((kind, [(True, changes)]), model, [])
    store = store_of(double.inline)
    upkeep(double.inline, plan(store, 1, len(store.parts)))
    assert len(store_of(double.inline).layers) == 1, "the fold should have left no layer"
    agree(store_of(double.inline).stack, model, [COMPOUND.encode_key(K)])
    double.cluster.verify()


def test_a_deletion_stays_while_something_lies_below() -> None:
    double = Double()
    model: Model = {}
    for kind, changes in (("run", PUT), ("run", GONE), ("run", {("b", 0): ("x", None)})):
        model = double.take((kind, [(True, changes)]), model, [])
    upkeep(double.inline, plan(store_of(double.inline), 1, 3))
    agree(store_of(double.inline).stack, model, [COMPOUND.encode_key(K)])
    assert [layer.delta for layer in store_of(double.inline).layers] == [1, 0]


@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 400), max_size=40), st.booleans()), max_size=6), st.data())
@example([(True, set(range(0, 400, 3)), False), (False, set(range(0, 400, 7)), True), (True, set(range(50)), False)], None)
def test_deep_trees_of_many_leaves_read_as_a_dict(commits: list[tuple[bool, set[int], bool]], data: Any) -> None:
    """Branches of three levels and more, in every layer."""
    cluster = Cluster(leaf_bytes=64, leaf_rows=2, branch_bytes=100, inline_rows=0)
    engine = cluster.open()
    create(engine)
    work = engine.begin()
    work.store("s").write("insert", table(PLAIN, [(k, "base") for k in range(100, 220)]))
    engine.commit(work)
    model: dict[int, str] = {k: "base" for k in range(100, 220)}
    for n, (bulk, changed, gone) in enumerate(commits):
        work = engine.begin()
        store = work.store("s")
        keys = Keys.of([PLAIN.encode_key((k,)) for k in sorted(changed)])
        if gone:
            store.delete(keys)
            model = {k: v for k, v in model.items() if k not in changed}
        elif bulk:
            store.write("upsert", table(PLAIN, [(k, f"v{n}") for k in changed]))
        else:
            for k in changed:
                store.put("upsert", (k, f"v{n}"))
        model = model if gone else {**model, **{k: f"v{n}" for k in changed}}
        engine.commit(work)
    rows = sorted(model.items())
    stack = store_of(engine).stack
    assert scanned(stack) == rows
    assert scanned(stack, reverse=True) == rows[::-1]
    positions = range(0, len(rows), 17) if data is None else [data.draw(st.integers(0, max(len(rows) - 1, 0)))] if rows else []
    for position in positions:
        assert stack.select(position) == PLAIN.encode_key((rows[position][0],))
        assert [row for part in stack.slice(position, position + 30) for row in _rows(part)] == rows[position : position + 30]
        lo, hi = sorted(PLAIN.encode_key((rows[at][0],)) for at in (position, position // 2))
        assert scanned(stack, lo, hi) == [row for row in rows if lo <= PLAIN.encode_key(row[:1]) < hi]
        assert stack.count(lo, hi) == position - position // 2
    cluster.verify()
