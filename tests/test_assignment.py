"""Columns of selected records get new values: constants, and values computed from each record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sopnb
from sopnb.errors import InvalidInput, SchemaMismatch

f = pc.field


@pytest.fixture
def db() -> Any:
    with sopnb.open(":memory:") as db:
        yield db
        assert db.check().ok


@pytest.fixture
def trips(db: Any) -> Any:
    n = 1000
    table = pa.table(
        {
            "k": pa.array(range(n), pa.int64()),
            "n": pa.array([None if i % 7 == 0 else i for i in range(n)], pa.int32()),
            "x": pa.array([i / 4 for i in range(n)], pa.float64()),
            "s": pa.array([f"s{i % 5}" for i in range(n)]).dictionary_encode(),
            "d": pa.array([Decimal(i) / 10 for i in range(n)], pa.decimal128(10, 2)),
        }
    )
    return db.load("trips", table, index="k")


def test_a_value_is_computed_from_each_record_as_it_was(trips: Any) -> None:
    before = trips[:].to_pandas()
    counts = trips[100:900].where(f("x") > 30).update({"x": f("x") * 2 + f("k"), "n": f("n") + 1, "s": "s0"})
    after = trips[:].to_pandas()
    hit = (before.k >= 100) & (before.k < 900) & (before.x > 30)
    assert counts.updated == hit.sum()
    expected = before.assign(
        x=np.where(hit, before.x * 2 + before.k, before.x), n=before.n.where(~hit, before.n + 1), s=before.s.where(~hit, "s0")
    )
    pd.testing.assert_frame_equal(after, expected.astype(after.dtypes))


def test_what_stays_equal_is_counted_as_unchanged(trips: Any) -> None:
    counts = trips[:].update({"n": pc.if_else(f("k") < 10, f("k"), f("n"))})
    assert (counts.updated, counts.unchanged) == (2, 998)  # 0 and 7 were null


def test_a_computed_value_may_be_null_only_where_the_column_may(db: Any) -> None:
    store = db.load("solid", pd.DataFrame({"k": [1, 2], "n": [0, 4]}), index="k")
    with pytest.raises(SchemaMismatch, match="column 'n' may not be null"):
        store[:].update({"n": pc.if_else(f("n") == 0, pa.scalar(None, pa.int64()), f("n"))})
    assert store[:].to_pandas().n.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"k": f("n")}, InvalidInput, "'k' is part of the key"),
        ({"q": f("n")}, SchemaMismatch, "no column 'q'"),
        ({"n": f("q")}, InvalidInput, "no column 'q'"),
        ({"n": f("s")}, SchemaMismatch, "column 'n'"),
        ({"n": f("x")}, SchemaMismatch, "column 'n'"),
        ({"n": f("_seq")}, InvalidInput, "_seq is no column to compute with"),
        ({"s": pc.utf8_upper(f("n"))}, SchemaMismatch, "does not fit the columns"),
        ({}, InvalidInput, "nothing to change"),
    ],
)
def test_an_assignment_that_does_not_fit_is_refused_before_anything_is_read(trips: Any, changes: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        trips[:0].update(changes)


def test_an_integer_is_narrowed_where_it_fits_and_refused_where_it_does_not(trips: Any) -> None:
    trips[:10].update({"n": f("k") * 100})
    assert trips[9]["n"] == 900
    with pytest.raises(SchemaMismatch, match="column 'n'"):
        trips[:].update({"n": f("k") * 10_000_000})
    assert trips[9]["n"] == 900


def test_what_cannot_be_computed_changes_nothing(db: Any) -> None:
    store = db.load("ratios", pd.DataFrame({"k": range(100), "n": [*range(1, 100), 0]}), index="k")
    with pytest.raises(InvalidInput, match="column 'n'.*cannot be computed for every record"):
        store[:].update({"n": pc.divide_checked(pc.scalar(100), f("n"))})
    assert store[:].to_pandas().n.tolist() == [*range(1, 100), 0]


def test_decimals_and_categories_are_computed_in_their_own_types(trips: Any) -> None:
    trips[:3].update({"d": (f("d") + Decimal("0.05")).cast(pa.decimal128(10, 2)), "s": pc.if_else(f("k") == 1, "s4", f("s"))})
    assert [(r["d"], r["s"]) for r in trips[:3].records()] == [
        (Decimal("0.05"), "s0"),
        (Decimal("0.15"), "s4"),
        (Decimal("0.25"), "s2"),
    ]


def test_in_a_transaction_own_writes_are_computed_with(db: Any, trips: Any) -> None:
    with db.transaction() as tx:
        tx["trips"].update(5, {"x": 1000.0})
        tx["trips"].where(f("x") >= 1000).update({"x": f("x") + 1})
        assert tx["trips"][5]["x"] == 1001.0
        tx["trips"].where(f("x") == 1001.0).delete()
    assert 5 not in trips
    assert len(trips) == 999


def test_a_condition_deletes_what_it_keeps_and_nothing_else(trips: Any) -> None:
    before = trips[:].to_pandas()
    assert trips.where((f("x") > 50) & (f("s") == "s3")).delete().deleted == ((before.x > 50) & (before.s == "s3")).sum()
    pd.testing.assert_frame_equal(trips[:].to_pandas(), before[~((before.x > 50) & (before.s == "s3"))].reset_index(drop=True))
