"""Frames written by the key of the store, which is never named again: exact counts, and bad rows told one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.errors import DuplicateKey, InvalidInput, KeyNotFound, SchemaMismatch
from tests.api_support import QUIET, SMALL
from tests.frames.support import objects

KEYS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), unique=True, max_size=8)


@pytest.fixture
def db() -> Any:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        yield db
        assert db.check().ok


def _frame(keys: list[tuple[str, int]], value: int, *, as_index: bool) -> Any:
    frame = pd.DataFrame({"letter": [k[0] for k in keys], "n": np.array([k[1] for k in keys], np.int64), "v": value, "w": value})
    frame["letter"] = frame["letter"].astype("string")
    return frame.set_index(["letter", "n"]) if as_index else frame


@given(KEYS, KEYS, st.booleans(), st.booleans(), st.sampled_from([1, 2]))
def test_counts_are_exact(old: Any, new: Any, stored_index: bool, given_index: bool, value: int) -> None:
    """The store may have been made of an index or of columns, the frame may have the key as index or as columns."""
    both, fresh = [key for key in new if key in old], [key for key in new if key not in old]
    changed = 0 if value == 1 else len(both)
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        store = db.load("s", _frame(old, 1, as_index=stored_index), None if stored_index else ["letter", "n"])
        frame = _frame(new, value, as_index=given_index)
        part = _frame(both, value, as_index=given_index)
        if both:
            with pytest.raises(DuplicateKey):
                store.insert(frame)
        if fresh:
            with pytest.raises(KeyNotFound):
                store.update(frame)
        got = store.update(part[["w"]] if given_index else part[["letter", "n", "w"]])
        assert (got.inserted, got.updated, got.unchanged) == (0, changed, len(both) - changed)
        got = store.upsert(frame)
        assert (got.inserted, got.updated, got.unchanged) == (len(fresh), changed, len(both) - changed)
        assert store.replace(frame).unchanged == len(new)
        got = store.delete(frame)
        assert (got.deleted, got.missing) == (len(new), 0)
        assert store.delete(frame).missing == len(new)
        assert store.insert(frame).inserted == len(new)
        want = {key: value if key in new else 1 for key in {*old, *new}}
        assert {(r["letter"], r["n"]): r["v"] for r in store[:].records()} == want
        assert db.check().ok


def test_bad_rows_of_every_kind_are_told_and_the_others_written(db: Any) -> None:
    columns = {"k": "int64", "small": "int8", "price": "decimal128(5, 2)", "name": "string!", "at": "timestamp[s, UTC]", "c": "json"}
    store = db.create("s", columns, "k")
    store.insert({"k": 100, "name": "there"})
    good = {"small": 1, "price": Decimal("1.50"), "name": "ok", "at": pd.Timestamp("2013", tz="UTC")}
    rows = [
        {"k": 1, **good},
        {"k": 2, **good, "small": 300},
        {"k": 3, **good, "price": Decimal("123456.75")},
        {"k": 4, **good, "price": Decimal("1.505")},
        {"k": 5, **good, "name": None},
        {"k": 6, **good, "at": pd.Timestamp("2013-01-01 00:00:00.5", tz="UTC")},
        {"k": None, **good},
        {"k": 7, **good},
        {"k": 7, **good, "small": 2},
        {"k": 100, **good},
        {"k": 8, **good},
    ]
    frame = pd.DataFrame(rows).astype({"k": "Int64"})
    counts = store.insert(frame, on_error="report")
    assert (counts.inserted, counts.seq) == (3, db.seq)
    assert [key for key in store if key != 100] == [1, 7, 8]
    reasons = {None if pd.isna(key) else int(key): reason for key, reason in counts.rejected[["k", "_reason"]].itertuples(index=False)}
    assert sorted(reasons, key=str) == sorted([2, 3, 4, 5, 6, None, 7, 100], key=str)
    assert len(counts.rejected) == 8
    for key, told in {
        2: "'small'",
        3: "'price'",
        4: "'price'",
        5: "'name' may not be null",
        6: "'at'",
        None: "'k' may not be null",
    }.items():
        assert told in reasons[key], reasons[key]
    assert reasons[7] == "the key is twice in the frame"
    assert reasons[100] == "the key is already there"
    before = db.seq
    with pytest.raises(SchemaMismatch):
        store.insert(frame)
    assert db.seq == before
    again = store.upsert(counts.rejected.drop(columns="_reason").assign(small=1, price=Decimal("2.00")), on_error="report")
    assert again.inserted + again.updated + again.unchanged > 0


def test_a_column_of_the_wrong_type_is_refused_as_a_whole_in_a_report_too(db: Any) -> None:
    store = db.load("s", pd.DataFrame({"k": [1], "n": [1]}), "k")
    with pytest.raises(SchemaMismatch, match="'n': store int64, frame .*string"):
        store.upsert(pd.DataFrame({"k": [1], "n": ["x"]}), on_error="report")


def test_a_daily_increment_without_a_key_is_refused_with_the_remedy_and_with_one_is_one_call(db: Any) -> None:
    day = pd.DataFrame({"tailnum": ["N1", "N2"], "seats": [55, 182]})
    with pytest.raises(InvalidInput, match=r"no named index to be the key; say which columns are it with index=\[...\]"):
        db.load("planes", day, if_exists="upsert")
    assert db.stores() == ()
    for _ in range(2):
        loaded = db.load("planes", day, "tailnum", if_exists="upsert").loaded
    assert loaded.unchanged == 2
    more = pd.DataFrame({"tailnum": ["N2", "N3"], "seats": [180, 20]})
    loaded = db.load("planes", more, "tailnum", if_exists="upsert").loaded
    assert (loaded.inserted, loaded.updated) == (1, 1)
    assert db["planes"][:].to_pandas()["tailnum"].tolist() == ["N1", "N2", "N3"]


def test_what_is_narrower_or_says_nothing_goes_in(db: Any) -> None:
    columns = {"k": "int64", "f": "float64", "t": "string", "d": "decimal128(9, 2)", "at": pa.timestamp("ns"), "l": pa.list_(pa.int64())}
    store = db.create("s", columns, "k")
    narrow = pa.table(
        {
            "k": pa.array([1, 2], pa.int8()),
            "f": pa.array([1, None], pa.int32()),
            "t": pa.array(["a", None]).dictionary_encode(),
            "d": pa.array([5, None], pa.int64()),
            "at": pa.array([1, None], pa.timestamp("s")),
            "l": pa.array([[], None], pa.list_(pa.null())),
        }
    )
    assert store.insert(narrow).inserted == 2
    for array in (pa.array(["b"], pa.string_view()), pa.array(["b"], pa.large_string())):
        assert store.upsert(pa.table({"k": [1], "t": array, "f": pa.array([None], pa.date32())})).updated <= 1
    empty = pd.DataFrame({"k": [3], "f": objects([None]), "t": [float("nan")], "d": [None], "at": [pd.NaT], "l": objects([[]])})
    assert store.upsert(empty).inserted == 1
    assert store[3] == {"k": 3, "f": None, "t": None, "d": None, "at": None, "l": []}
    assert store[1]["d"] == Decimal("5.00")
