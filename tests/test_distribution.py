"""What the bars over the columns of a store say, and what they cost."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.display import sample
from sopnb.display.distribution import Distribution, distribution
from sopnb.display.sample import Sample, sampled
from tests.api_support import QUIET, World, worlds


def look(values: Any, kind: Any = None, *, of: int | None = None, large: int = 0, document: bool = False) -> Distribution:
    """Return what a column of these values is like."""
    table = pa.table({"x": pa.array(values, kind)})
    seen = Sample(table, len(table), len(table) if of is None else of, {"x": large})
    made = distribution(seen, "x", document=document)
    assert made is not None
    return made


def test_numbers_are_a_histogram() -> None:
    made = look([0, 1, 1, 2, 11, 11, 11, 11])
    assert made.bars == (0.25, 0.5, 0.25, *[0] * 8, 1)
    assert made.caption == "0 … 11"
    assert made.words == "from 0 to 11, half of them up to 2"
    assert len(look(list(range(1000))).bars) == 12
    assert look([1, 3], pa.int8()).bars == (1, 0, 1)
    assert look([1.0, 2.0]).caption == "1 … 2"
    assert look([Decimal("1.50"), Decimal("3.25")]).words == "from 1.50 to 3.25, half of them up to 1.50"


def test_times_are_a_histogram_too_and_told_as_times() -> None:
    hours = pd.to_datetime(["2013-01-01 10:00", "2013-01-01 12:00", "2013-03-04 00:00"])
    zoned = look(hours.tz_localize("Europe/Berlin"), pa.timestamp("ns", "Europe/Berlin"))
    assert zoned.caption == "2013-01-01 … 2013-03-04"
    assert zoned.words == "from 2013-01-01 10:00:00 to 2013-03-04 00:00:00, half of them up to 2013-01-01 12:00:00"
    assert look(hours[:2], pa.timestamp("us")).caption == "2013-01-01 10:00 … 12:00"
    assert look([timedelta(0), timedelta(days=2)]).caption == "0:00:00 … 2 days, 0:00:00"
    assert look([0, 1], pa.date32()).caption == "1970-01-01 … 1970-01-02"
    assert look([0, 2**62], pa.timestamp("s")).bars[0] == 1


def test_texts_are_the_shares_of_the_most_frequent() -> None:
    made = look([*"aaaabbcd", None, None])
    assert made.parts == (0.5, 0.25, 0.125, 0.125)
    assert made.nulls == 0.2
    assert made.caption == "4 distinct · 20% null"
    assert made.words == "4 distinct values: a 50%, b 25%, c 12%, d 12%; 20% null"
    assert look(["a", "b"]).caption == "all distinct"
    assert look(["a", "a"]).caption == "all a"


def test_truths_are_two_bars() -> None:
    made = look([True, True, False, True, None])
    assert made.bars == (1 / 3, 1)
    assert (made.caption, made.words) == ("75% true · 20% null", "false 25%, true 75%; 20% null")
    assert look([False]).bars == (1, 0)


def test_a_sample_is_told_from_the_whole() -> None:
    made = look([1, 2, 3], of=300)
    assert made.caption == "≈ 1 … 3"
    assert made.words.endswith("; of a sample of 3 rows")
    assert look(["a", "b", "a"], of=300).caption == "2+ distinct"
    assert look(["a", "b"], of=300).caption == "distinct in the sample"


def test_what_has_no_order_says_only_what_is_null() -> None:
    for made in (look([[1], None]), look([b"a", None]), look(['{"a":1}', None], document=True), look([None, {"a": 1}])):
        assert made == Distribution(nulls=0.5, caption="50% null", words="50% null")
    assert look([None, None]).caption == "100% null"
    assert look([float("nan"), float("inf")]).words == "no finite number"
    assert look([1.0, 3.0, float("nan")]).words == "from 1.0 to 3.0, half of them up to 1.0; 1 not finite"


def test_large_values_are_no_nulls() -> None:
    made = look(["a", None, None], large=1)
    assert made.words == "all a; 33% null; 1 large values"


@given(st.lists(st.none() | st.floats() | st.sampled_from([1e308, -1e308, 5e-324, 0.0, -0.0]), min_size=1))
def test_any_floats_have_bars_of_a_sensible_height(values: list[float | None]) -> None:
    made = look(values, pa.float64())
    assert all(0 <= bar <= 1 for bar in made.bars)
    assert not made.bars or max(made.bars) == 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_any_integers_have_bars_of_a_sensible_height(values: list[int]) -> None:
    made = look(values, pa.int64())
    assert all(0 <= bar <= 1 for bar in made.bars)
    assert made.words.startswith((f"from {min(values)} to {max(values)},", f"all {values[0]}"))


ROWS = sample.PLACES * sample.PLACE_ROWS


def records(db: sopnb.Database, n: int) -> sopnb.Store:
    return db.load("numbers", pa.table({"n": np.arange(n), "text": pa.repeat("x", n), "half": np.arange(n) % 2 == 0}), index="n")


def stack_of(store: sopnb.Store) -> Any:
    return store._access.peek()


def test_a_sample_is_spread_evenly_and_of_bounded_cost() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = records(db, 1_000_000)
        stack = stack_of(store)
        before = db._lease.engine.reader.leaves
        seen = sampled(stack, stack.schema, ["n", "half"])
        assert db._lease.engine.reader.leaves - before < 4 * sample.PLACES
        assert (seen.rows, seen.of) == (ROWS, 1_000_000)
        numbers = seen.columns.column("n").to_numpy()
        assert len(np.unique(numbers)) == ROWS
        assert (numbers.min(), numbers.max()) == (0, 999_999)
        assert set(np.bincount(numbers // 83_334)) == {ROWS // 12}


def test_a_store_of_deletions_is_sampled_at_bounded_cost() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = records(db, 300_000)
        store[20_000:280_000].delete()
        stack = stack_of(store)
        before = db._lease.engine.reader.leaves
        sampled(stack, stack.schema, ["n"])
        assert db._lease.engine.reader.leaves - before < 8 * sample.PLACES
        assert db.check().ok


def test_a_sample_of_wide_records_is_smaller_and_as_evenly_spread() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        n = 20_000
        store = db.load("wide", pa.table({"n": np.arange(n), "text": pa.repeat("x" * 5000, n)}), index="n")
        stack = stack_of(store)
        seen = sampled(stack, stack.schema, ["n", "text"])
        assert sample.BYTES < seen.columns.nbytes < 1.5 * sample.BYTES
        taken = np.unique(seen.columns.column("n").to_numpy() // 5000)
        assert list(taken) == [0, 1, 2, 3]


@given(worlds(), st.data())
def test_a_small_store_is_sampled_whole(world: World, data: Any) -> None:
    stack = stack_of(world.store)
    whole = [row["value"] for row in world.ordered]
    start, stop = sorted([data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))])
    lo, hi = ((stack.select(at) if at < len(whole) else None) for at in (start, stop))
    seen = sampled(stack, stack.schema, ["value"], lo=stack.select(start) if lo else b"\xff" * 99, hi=hi)
    assert ([] if seen.columns is None else seen.columns.column("value").to_pylist()) == (whole[start:stop] if lo else [])
    assert seen.rows == seen.of
    world.db.close()


def test_the_bars_are_the_same_however_the_records_are_laid_out() -> None:
    shown = []
    for fold in (False, True):
        with sopnb.open(":memory:", settings=sopnb.DatabaseSettings(leaf_rows=100), handle=QUIET) as db:
            store = records(db, 12_000)
            store.upsert(pa.table({"n": np.arange(0, 12_000, 7), "text": pa.repeat("y", 1715)}))
            store[100:200].delete()
            if fold:
                db.fold()
            shown.append([each._repr_html_() for each in (store, store[50:], store.where(pc.field("n") > 100))])
            assert db.check().ok
    assert shown[0] == shown[1]


def test_a_page_shows_bars_in_words_too_and_text_does_not() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = records(db, 100)
        page = store._repr_html_()
        assert re.findall('role="img" aria-label="(.*?)"', page) == ["from 0 to 99, half of them up to 49", "all x", "false 50%, true 50%"]
        assert page.count("<svg ") == 3
        assert "half of them" not in repr(store)
        assert "<svg" not in store[:5]._repr_html_()
        assert "from 91 to 99, half of them up to 95" in store.where(pc.field("n") > 90)._repr_html_()
        assert "from 0 to 99" in store.where(pc.field("half")).reverse().select("_seq", "n")._repr_html_().replace("98", "99")


def test_values_out_of_line_are_counted_and_not_read() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        pages = db.create("pages", schema={"n": "int64", "page": "string"}, index="n")
        pages.insert([{"n": n, "page": "z" * 100_000 if n % 2 else None} for n in range(10)])
        db.fold()
        before = db._lease.engine.reader.reads
        assert "50% null; 5 large values" in pages._repr_html_()
        assert db._lease.engine.reader.reads - before < 5
        assert "<svg" not in pages.where(pc.field("page").is_valid())._repr_html_()


def test_looking_is_no_read_of_a_transaction() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db, sopnb.open(":memory:"):
        store = records(db, 100)
        with db.transaction() as tx:
            assert "<svg" in tx["numbers"]._repr_html_()
            assert "<svg" in tx["numbers"][5:]._repr_html_()
            work = tx._work
            assert not work.store("numbers").reads.ranges
            assert not work.store("numbers").reads.points
        assert len(store) == 100


def test_records_are_shown_where_no_sample_can_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError

    with sopnb.open(":memory:", handle=QUIET) as db:
        store = records(db, 100)
        monkeypatch.setattr("sopnb.display.panel.sampled", broken)
        assert "<td" in store._repr_html_()
        assert "<svg" not in store._repr_html_()
