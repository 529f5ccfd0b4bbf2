"""Columns may have any labels: these name columns of a store by their text, and come back as they are."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sopnb
from sopnb.errors import InvalidInput
from sopnb.frames.labels import text
from tests.api_support import QUIET
from tests.frames.labels import MIXED
from tests.frames.support import assert_same

PLAIN = pd.DataFrame(np.arange(12.0).reshape(3, 4))
LEVELS = pd.DataFrame({("k", ""): [1, 2], ("delay", "mean"): [1.5, 2.5], ("delay", "max"): [3, 4]})
LEVELS.columns.names = ["what", None]
ODD = pd.DataFrame([[1, 2, 3, 4, 5]], columns=pd.Index([None, 0.5, ("a", 1), date(2013, 1, 1), "t"], dtype=object))


def test_numbered_columns_come_back_whole_and_in_part(db: Any) -> None:
    """Their names in the store are the numbers as text, and either may be named as the key."""
    for index in (0, "0", [0], np.int64(0)):
        store = db.load("plain", PLAIN, index, if_exists="replace")
        assert_same(store[:].to_pandas(), PLAIN)
        assert isinstance(store[:].to_pandas().columns, pd.RangeIndex)
    assert store[:].to_arrow().column_names == ["0", "1", "2", "3"]
    assert_same(store.select("3", "1").to_pandas(), PLAIN[[3, 1]])
    assert_same(store[:].rows(1, 2), PLAIN[1:2].reset_index(drop=True))
    assert_same(store.get_many([8.0, 0.0]), PLAIN.iloc[[2, 0]].reset_index(drop=True))
    assert store[4.0]["3"] == 7.0
    assert store.select("1", "_seq").to_pandas().columns.tolist() == [1, "_seq"]


def test_frames_are_written_by_label(db: Any) -> None:
    store = db.load("plain", PLAIN.rename_axis(columns="part"), 0)
    assert store.upsert(pd.DataFrame({3: [0.0, 1.0], 0: [4.0, 8.0]})).updated == 2
    assert store.upsert(pd.DataFrame({1.0: [-1.0], 0: [0.0]})).updated == 1  # in pandas too 1.0 is the label 1
    got = store[:].to_pandas()
    assert got.columns.identical(pd.RangeIndex(4, name="part"))
    assert got[1].tolist()[0] == -1.0
    assert len(store.get_many(pd.DataFrame({0: [0.0, 8.0]}))) == 2
    assert store.delete(pd.DataFrame({0: [0.0]})).deleted == 1
    wrong = store.upsert(pd.DataFrame({0: [1.0, 1.0], 2: [5.0, 6.0]}), on_error="report").rejected
    assert wrong.columns.tolist() == [0, 2, "_reason"]


def test_several_levels_come_back_and_any_of_their_names_is_a_key(db: Any) -> None:
    for index in (("k", ""), "k", [("k", "")], [("k", ""), ("delay", "max")], ("k", "delay_max")):
        store = db.load("levels", LEVELS, index, if_exists="replace")
        assert_same(store[:].to_pandas(), LEVELS)
    assert store[:].to_arrow().column_names == ["k", "delay_mean", "delay_max"]
    assert_same(store.select("delay_max").to_pandas(), LEVELS[[("delay", "max")]])
    assert store.upsert(LEVELS).unchanged == 2
    by_index = db.load("indexed", LEVELS.set_index([("k", ""), ("delay", "max")]))
    assert_same(by_index[:].to_pandas(), LEVELS.set_index([("k", ""), ("delay", "max")]))
    as_columns = db.load("columns", LEVELS.set_index("k"), "k")[:].to_pandas()
    assert as_columns.columns.tolist() == [("delay", "mean"), ("delay", "max"), ("k", "")]


def test_pivoted_grouped_and_counted_frames_come_back(db: Any) -> None:
    days = pd.to_datetime(["2013-01-01", "2013-01-01", "2013-01-02"])
    flights = pd.DataFrame({"day": days, "carrier": ["UA", "B6", "UA"], "delay": [1.0, 2.0, 3.0]})
    cut = pd.cut(flights["delay"], [0, 1, 3])
    frames = {
        "day": flights.pivot(index="carrier", columns="day", values="delay"),
        "carrier": flights.pivot(index="day", columns="carrier", values=["delay"]),
        "grouped": flights.groupby("carrier").agg({"delay": ["mean", "max"], "day": ["first"]}),
        "counted": pd.crosstab(flights["carrier"], cut),
        "odd": ODD.set_index(0.5),
        "numbered": PLAIN.set_index([1, 0]),
        "months": pd.DataFrame([[1, 2]], index=pd.Index(["x"], name="n"), columns=pd.period_range("2013", periods=2, freq="M")),
    }
    for name, frame in frames.items():
        assert_same(db.load(name, frame)[:].to_pandas(), frame)
    assert db["day"][:].to_arrow().column_names == ["2013-01-01", "2013-01-02", "carrier"]
    assert db["counted"]["UA"]["(0, 1]"] == 1


def test_a_store_that_is_widened_has_the_labels_of_both(db: Any) -> None:
    store = db.load("plain", PLAIN, 0)
    db.load("plain", pd.DataFrame(np.ones((1, 5))), 0, if_exists="upsert", widen=True)
    assert store[:].to_pandas().columns.equals(pd.RangeIndex(5))
    db.load("plain", pd.DataFrame({0: [1.0], "note": ["x"]}), 0, if_exists="upsert", widen=True)
    assert store[:].to_pandas().columns.tolist() == [0, 1, 2, 3, 4, "note"]


def test_labels_come_back_through_files(db: Any, tmp_path: Any) -> None:
    for frame, index in ((PLAIN, 0), (LEVELS, ("k", "")), (ODD, 0.5)):
        db.load("frame", frame, index, if_exists="replace")[:].to_parquet(tmp_path / "x.parquet")
        assert_same(db.load("again", tmp_path / "x.parquet", index, if_exists="replace")[:].to_pandas(), frame)
        assert pd.read_parquet(tmp_path / "x.parquet").columns.tolist() == list(map(text, frame.columns))


def test_frames_with_names_of_text_say_nothing_more_than_before(db: Any) -> None:
    store = db.load("plain", PLAIN.rename(columns=str), "0")
    assert store._access.reading().schema.frame["odd"] is None


def test_all_labels_are_kept_beside_each_other(db: Any) -> None:
    frame = pd.DataFrame([range(len(MIXED))], columns=pd.Index(np.fromiter(MIXED, object, len(MIXED)), tupleize_cols=False))
    got = db.load("mixed", frame, 7)[:].to_pandas()
    assert list(map(type, got.columns)) == list(map(type, frame.columns))
    assert_same(got, frame)


def test_a_label_that_no_column_has_is_refused_by_name() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        for index in (7, [7], ("q",)):
            with pytest.raises(InvalidInput, match=r"there is no column '(7|q)' to index; the columns are '0', '1'"):
                db.load("plain", PLAIN, index)
        assert db.stores() == ()


def test_the_past_of_a_store_is_told_with_its_labels(db: Any) -> None:
    store = db.load("levels", LEVELS.set_index("k"))
    before = db.seq
    store.update(1, {"delay_max": 30})
    assert store.history(1)[("delay", "max")].tolist() == [3, 30]
    assert db.diff(before, db.seq, "levels")[("delay", "max")].tolist() == [3, 30]


def test_columns_that_get_other_names_are_labelled_by_these(db: Any) -> None:
    store = db.load("plain", PLAIN, 0)
    with db.unlock("a name that says more") as admin:
        admin.alter("plain", rename={"1": "one"}, drop="2")
    assert store[:].to_pandas().columns.tolist() == [0, "one", 3]


def test_a_tuple_that_is_no_label_is_several_columns(db: Any) -> None:
    for labels in (PLAIN.columns, pd.date_range("2013", periods=4), pd.interval_range(0, 4), pd.CategoricalIndex(list("abcd"))):
        frame = PLAIN.set_axis(labels, axis=1)
        store = db.load("frame", frame, tuple(map(text, labels[:2])), if_exists="replace")
        assert_same(store[:].to_pandas(), frame)
        assert store[:].to_arrow().column_names == list(map(text, labels))
