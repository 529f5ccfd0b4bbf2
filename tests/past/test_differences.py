"""How a difference looks, and how little is read for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.errors import HistoryTrimmed, InvalidInput, SchemaMismatch, StoreNotFound, TagNotFound
from tests.past.support import FLIGHTS, QUIET, TINY


def test_a_difference_has_the_dtypes_and_the_index_of_the_store(db: Any) -> None:
    flights = db.load("flights", FLIGHTS.set_index("day"))
    flights.update(FLIGHTS["day"][1], {"n": 5, "late": True})
    flights.delete(FLIGHTS["day"][0])
    found = db.diff(1, 3, "flights")
    assert found.index.name == "day"
    assert found[["n", "late"]].dtypes.to_list() == FLIGHTS[["n", "late"]].dtypes.to_list()
    assert found.reset_index()[["_change", "_side", "_seq", "n", "late"]].to_numpy().tolist() == [
        ["delete", "old", 1, 1, True],
        ["update", "old", 1, 2, False],
        ["update", "new", 2, 5, True],
    ]
    nothing = db.diff(3, 3, "flights")
    assert (len(nothing), nothing.dtypes.to_list()) == (0, found.dtypes.to_list())


def test_moments_are_commits_tags_and_times(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": [1], "v": ["a"]}), "k")
    db.tag("first", 1)
    planes.upsert({"k": 1, "v": "b"})
    time = db.log()["time"].iloc[-1].to_pydatetime()
    assert len(db.diff("first", 3, "planes")) == len(db.diff(1, time, "planes")) == 2
    for wrong in (True, None, 1.5, [1]):
        with pytest.raises(InvalidInput, match="is no moment"):
            db.diff(wrong, 1, "planes")
    with pytest.raises(InvalidInput, match="with a zone"):
        db.diff(1, datetime(2013, 1, 1), "planes")
    with pytest.raises(InvalidInput, match="newest is 3"):
        db.diff(1, 4, "planes")
    with pytest.raises(TagNotFound):
        db.diff("second", 1, "planes")
    with pytest.raises(StoreNotFound, match="airlines"):
        db.diff(1, 2, "airlines")


def test_what_changed_and_changed_back_is_no_difference(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": [1, 2], "v": ["a", "b"]}), "k")
    planes.update(1, {"v": "c"})
    planes.update(1, {"v": "a"})
    planes.insert({"k": 3, "v": "d"})
    planes.delete(3)
    assert len(db.diff(1, db.seq, "planes")) == 0
    assert db.diff(1, db.seq - 1, "planes")["k"].tolist() == [3]


def test_a_difference_of_near_commits_looks_at_what_they_wrote_alone() -> None:
    with sopnb.open(":memory:", settings=TINY, handle=QUIET) as db:
        planes = db.load("planes", pd.DataFrame({"k": range(4000), "v": "a"}), "k")
        planes.update(2000, {"v": "b"})
        planes.upsert(pd.DataFrame({"k": range(3000, 3006), "v": "c"}))
        reader = db._lease.engine.reader
        before = reader.leaves
        assert len(db.diff(1, 3, "planes")) == 14
        assert reader.leaves - before < 12
        assert db.check().ok


def test_two_states_without_their_log_are_compared_but_for_the_leaves_they_share(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": range(4000), "v": "a"}), "k")
    db.tag("old")
    planes.update(2000, {"v": "b"})
    planes.delete([7, 8, 9])
    db.tag("new")
    engine = db._lease.engine
    for _ in range(3):
        db.compact(keep=0)
        planes.upsert({"k": 5000, "v": f"{db.seq}"})
    with pytest.raises(HistoryTrimmed):
        db.diff(1, 2, "planes")
    before = engine.reader.leaves
    found = db.diff("old", "new", "planes")
    assert found["k"].tolist() == [7, 8, 9, 2000, 2000]
    assert engine.reader.leaves - before < 40
    assert db.diff("new", "old", "planes")["_change"].tolist() == ["insert"] * 3 + ["update"] * 2
    assert db.diff("old", db.seq, "planes")["k"].tolist() == [7, 8, 9, 2000, 2000, 5000]


def test_large_differences_come_in_pieces(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": range(1000), "v": "a"}), "k")
    db.load("planes", pd.DataFrame({"k": range(500, 50_000), "v": "b"}), if_exists="upsert", index="k")
    pieces = list(db.iter_diff(1, 2, "planes", size=10_000))
    assert len(pieces) > 2
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), db.diff(1, 2, "planes"))
    assert sum(map(len, pieces)) == 49_500 + 500
    assert len(planes) == 50_000
    with pytest.raises(InvalidInput, match="at least 1"):
        db.iter_diff(1, 2, "planes", size=0)


def test_records_of_equal_keys_are_told_apart_by_their_id(db: Any) -> None:
    notes = db.create("notes", schema={"author": "string", "n": "int64"}, index=IndexSpecification.of("author", unique=False))
    notes.insert([{"author": "ada", "n": 1}, {"author": "ada", "n": 2}])
    keys = list(notes)
    notes.update(keys[1], {"n": 3})
    found = db.diff(2, 3, "notes")
    assert found["_id"].tolist() == [keys[1][1]] * 2
    assert found["n"].tolist() == [2, 3]
    assert notes.history(keys[1])["n"].tolist() == [2, 3]


def test_a_store_that_was_replaced_is_compared_in_its_new_schema(db: Any) -> None:
    db.load("planes", pd.DataFrame({"k": [1, 2, 3], "n": pd.array([1, 2, 3], "int32"), "old": [1, 1, 1]}), "k")
    db.load("planes", pd.DataFrame({"k": [2, 3, 4], "n": [2, 5, 6], "new": [1.5, 1.5, None]}), "k", if_exists="replace")
    found = db.diff(1, 2, "planes")
    assert list(found.columns) == ["_change", "_side", "_seq", "k", "n", "new"]
    assert found[["_change", "k", "n"]].to_numpy().tolist() == [
        ["delete", 1, 1], ["update", 2, 2], ["update", 2, 2], ["update", 3, 3], ["update", 3, 5], ["insert", 4, 6],
    ]  # fmt: skip
    assert db["planes"].history(3)["n"].tolist() == [3, 5]
    db.load("planes", pd.DataFrame({"k": [2], "n": ["two"]}), "k", if_exists="replace")
    with pytest.raises(SchemaMismatch, match="'n': it was int64 and is"):
        db.diff(2, 3, "planes")
    again = db["planes"].history(2)
    assert (again.attrs["complete_since"], again["n"].tolist()) == (3, ["two"])
    db.load("planes", pd.DataFrame({"k": ["2"], "n": ["two"]}), "k", if_exists="replace")
    with pytest.raises(InvalidInput, match=r"was k \(int64\) and is k \((large_)?string\) now"):
        db.diff(3, 4, "planes")
    db.load("planes", pd.DataFrame({"k": ["2"], "n": ["two"]}), "-k", if_exists="replace")
    with pytest.raises(InvalidInput, match="key was k"):
        db.diff(4, 5, "planes")
