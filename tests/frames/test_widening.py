"""A store is widened for a frame that has more to say, where nothing is lost; else it is refused with all differences."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.errors import Conflict, InvalidInput, SchemaMismatch
from sopnb.frames.widening import widened
from sopnb.schema import Schema
from tests.api_support import QUIET, SMALL


@pytest.fixture
def db() -> Any:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        yield db
        assert db.check().ok


def _schema(kind: Any) -> Schema:
    field = kind if isinstance(kind, pa.Field) else pa.field("x", kind)
    return Schema(pa.schema([pa.field("k", pa.int64(), nullable=False), field]), IndexSpecification.of("k"))


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        (pa.int8(), pa.int32(), pa.int32()),
        (pa.int64(), pa.int8(), pa.int64()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.int16(), pa.float32(), pa.float32()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.float32(), pa.int32(), pa.float64()),
        (pa.float64(), pa.int64(), pa.float64()),  # as far as its values fit
        (pa.int64(), pa.float64(), None),
        (pa.uint64(), pa.int64(), pa.uint64()),  # as far as its values fit
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("ns", "UTC"), pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
        (pa.duration("ms"), pa.duration("ns"), pa.duration("ns")),
        (pa.time32("s"), pa.time64("us"), pa.time64("us")),
        (pa.decimal128(5, 2), pa.decimal128(6, 4), pa.decimal128(7, 4)),
        (pa.decimal128(38, 2), pa.decimal128(38, 4), pa.decimal256(40, 4)),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.null(), pa.string()),
        (pa.string(), pa.large_string(), pa.string()),
        (pa.string(), pa.int64(), None),
        (pa.bool_(), pa.int64(), None),
        (pa.list_(pa.int8()), pa.list_(pa.int64()), pa.list_(pa.int64())),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int16())]), pa.struct([("a", pa.int16())])),
        (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())]), None),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.dictionary(pa.int8(), pa.string())),
        (pa.field("x", pa.int64(), False), pa.field("x", pa.int64(), True), pa.int64()),
    ],
    ids=str,
)
def test_a_column_widens_where_nothing_is_lost(old: Any, new: Any, wider: Any) -> None:
    if wider is None:
        with pytest.raises(SchemaMismatch, match="cannot be widened without loss: 'x'"):
            widened(_schema(old), _schema(new), store="s")
        return
    got = widened(_schema(old), _schema(new))
    assert got.arrow.field("x").type == wider
    again = widened(got, _schema(new))
    assert again is got
    assert widened(got, got) is got


def test_all_differences_are_named_at_once(db: Any) -> None:
    db.load("planes", pd.DataFrame({"k": [1], "seats": [55], "made": ["x"], "price": [1.5]}), "k")
    wrong = pd.DataFrame({"k": [2], "seats": ["many"], "made": [5], "colour": ["red"]})
    with pytest.raises(
        SchemaMismatch, match=r"'seats': store int64, frame .*string; 'made': .*; no column 'colour' in the store"
    ) as caught:
        db["planes"].upsert(wrong)
    assert caught.value.columns == ("seats", "made", "colour")
    with pytest.raises(SchemaMismatch, match=r"without loss: 'seats': store int64, frame .*string; 'made'"):
        db.load("planes", wrong, if_exists="upsert", widen=True)
    for how in ("raise", "replace"):
        with pytest.raises(InvalidInput, match="widen=True is for a store that is there"):
            db.load("planes", wrong, "k", if_exists=how, widen=True)
    assert len(db["planes"]) == 1


def test_a_store_is_widened_in_the_same_commit(db: Any) -> None:
    n = 200
    first = pd.DataFrame(
        {
            "k": np.arange(n),
            "n": np.arange(n, dtype=np.int8) % 100,
            "at": pd.date_range("2013", periods=n, freq="s").as_unit("s"),
            "d": pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([Decimal("1.5")] * n, pa.decimal128(3, 1))])),
            "empty": pd.Series([None] * n, dtype=object),
            "c": pd.Categorical(["a"] * n),
            "cut": pd.cut(np.arange(n) % 10, [-1, 4, 10]),
        }
    )
    first.attrs = {"source": "made up"}
    store = db.load("s", first, "k")
    db.fold()
    seq = db.seq
    more = pd.DataFrame(
        {
            "k": [n - 1, n],
            "n": np.array([5, 70_000], np.int32),
            "at": pd.DatetimeIndex(["2013-01-01 00:00:00.25"] * 2).as_unit("ms"),
            "d": pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([Decimal("12.375")] * 2, pa.decimal128(6, 3))])),
            "empty": ["text", "x"],
            "c": pd.Categorical(["b", "a"]),
            "cut": pd.Categorical.from_codes([0, 1], pd.IntervalIndex.from_breaks([4, 10, 20])),
            "new": [True, False],
        }
    )
    with pytest.raises(SchemaMismatch, match="no column 'new'"):
        store.upsert(more)
    loaded = db.load("s", more, if_exists="upsert", widen=True).loaded
    assert (loaded.inserted, loaded.updated, loaded.unchanged) == (1, 1, 0)
    assert db.seq == seq + 1
    got = db["s"][:].to_pandas()
    want = pd.concat(
        [first.head(n - 1).assign(new=pd.array([None] * (n - 1), "boolean")), more.astype({"new": "boolean"})], ignore_index=True
    )
    assert got.attrs == first.attrs
    assert got["k"].tolist() == list(range(n + 1))
    assert str(got["n"].dtype) == "int32"
    assert got["n"].tolist() == want["n"].tolist()
    assert got["at"].tolist() == want["at"].tolist()
    assert str(got["at"].dtype) == "datetime64[ms]"
    assert got["d"].dtype.pyarrow_dtype == pa.decimal128(6, 3)
    assert got["empty"].isna().sum() == n - 1
    assert got["empty"].tolist()[-2:] == ["text", "x"]
    assert list(got["c"].cat.categories) == ["a", "b"]
    assert list(got["cut"].cat.categories) == [pd.Interval(-1, 4), pd.Interval(4, 10), pd.Interval(10, 20)]
    assert got["cut"].astype(object).tolist() == want["cut"].astype(object).tolist()
    assert str(got["new"].dtype) == "boolean"
    assert got["new"].isna().sum() == n - 1
    assert db["s"].upsert(got).unchanged == n + 1
    with db.at(seq) as before:
        pd.testing.assert_frame_equal(before["s"][:].to_pandas(), first)


def test_a_frame_that_fits_widens_nothing(db: Any) -> None:
    store = db.load("s", pd.DataFrame({"k": [1], "n": [1]}), "k")
    layout = store.info()
    assert db.load("s", pd.DataFrame({"k": [2], "n": np.array([1], np.int8)}), if_exists="insert", widen=True).loaded.inserted == 1
    assert db["s"].info()["schema"] == layout["schema"]
    assert db["s"].select("k", "_seq").to_dicts() == [{"k": 1, "_seq": 1}, {"k": 2, "_seq": 2}]


def test_ids_are_kept(db: Any) -> None:
    db.create("log", {"at": "int64", "text": "string"}, IndexSpecification.of("at", unique=False))
    db["log"].insert([{"at": at % 3, "text": f"t{at}"} for at in range(9)])
    before = db["log"].select("at", "_id", "text").to_dicts()
    db.load("log", pd.DataFrame({"at": [1], "text": ["new"], "level": [3]}), if_exists="insert", widen=True)
    after = db["log"].select("at", "_id", "text").to_dicts()
    assert [record for record in after if record["text"] != "new"] == before
    assert db["log"].where(pc.field("level") == 3).count() == 1


def test_what_a_transaction_wrote_before_is_kept(db: Any) -> None:
    db.load("s", pd.DataFrame({"k": [1], "n": np.array([1], np.int8)}), "k")
    with db.transaction() as tx:
        tx["s"].insert({"k": 2, "n": 2})
        tx.load("s", pd.DataFrame({"k": [3], "n": [3000]}), if_exists="insert", widen=True)
        assert len(tx["s"]) == 3
    assert db["s"][:].to_pandas()["n"].tolist() == [1, 2, 3000]
    assert db["s"].schema.field("n").type == pa.int64()


def test_who_writes_meanwhile_is_not_overwritten(db: Any) -> None:
    db.load("s", pd.DataFrame({"k": [1], "n": np.array([1], np.int8)}), "k")
    tx = db.transaction()
    tx.load("s", pd.DataFrame({"k": [3], "n": [3000]}), if_exists="insert", widen=True)
    db["s"].insert({"k": 2, "n": 2})
    with pytest.raises(Conflict):
        tx.commit()
    assert len(db["s"]) == 2


def test_values_that_the_wider_type_cannot_hold_leave_the_store_as_it_was(db: Any) -> None:
    old = pd.DataFrame({"k": [1], "at": pd.DatetimeIndex(["9999-01-01"], dtype="datetime64[s]")})
    db.load("s", old, "k")
    with pytest.raises(SchemaMismatch, match="'at'"):
        db.load("s", pd.DataFrame({"k": [2], "at": pd.DatetimeIndex(["2013"], dtype="datetime64[ns]")}), if_exists="insert", widen=True)
    pd.testing.assert_frame_equal(db["s"][:].to_pandas(), old)
