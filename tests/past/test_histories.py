"""How the history of a record looks, where it begins, and how little is read for it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sopnb.errors import InvalidInput
from tests.past.support import FLIGHTS


def test_a_history_says_who_did_what_and_shows_what_was_deleted(db: Any) -> None:
    planes = db.load("planes", FLIGHTS, "day", message="day 1")
    with db.transaction(author="ada", message="oops") as tx:
        tx["planes"].update(FLIGHTS["day"][0], {"n": 7})
    planes.delete(FLIGHTS["day"][0])
    db.fold()
    found = planes.history(FLIGHTS["day"][0])
    assert list(found.columns) == ["_seq", "_time", "_author", "_message", "_change", "day", "n", "late"]
    assert found[["_seq", "_author", "_message", "_change", "n"]].to_numpy().tolist() == [
        [1, "", "day 1", "insert", 1],
        [2, "ada", "oops", "update", 7],
        [3, "", "", "delete", 7],
    ]
    assert found["_time"].tolist() == db.log()["time"].tolist()
    assert found[["day", "n", "late"]].dtypes.to_list() == FLIGHTS.dtypes.to_list()
    never = planes.history("2014-01-01")
    assert (len(never), never.dtypes.to_list()) == (0, found.dtypes.to_list())


def test_a_history_says_where_it_begins(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": range(100), "v": "a"}), "k", message="day 1")
    planes.update(1, {"v": "b"})
    planes.delete(2)
    db.tag("kept")
    for _ in range(3):
        db.compact(keep=0)
        planes.update(1, {"v": f"{db.seq}"})
    horizon = db.info()["horizon"]
    assert horizon > 3
    found = planes.history(1)
    assert found.attrs["complete_since"] == horizon
    assert found["_change"].isna().tolist() == [True, False]
    assert found["_seq"].tolist()[-1] == db.seq
    (first,) = planes.history(5).to_dict("records")
    assert (first["_seq"], first["v"]) == (1, "a")
    assert pd.isna(first["_change"])
    assert pd.isna(first["_time"])
    assert len(planes.history(2)) == 0
    with db.at(tag="kept") as old:
        assert old["planes"].history(1)["v"].tolist() == ["b"]
        assert old["planes"].history(1).attrs["complete_since"] == 3


def test_a_history_follows_a_store_through_its_names(db: Any) -> None:
    db.load("planes", pd.DataFrame({"k": [1], "v": ["a"]}), "k")
    db.rename("planes", "aircraft")
    db["aircraft"].update(1, {"v": "b"})
    db.load("planes", pd.DataFrame({"k": [1], "v": ["other"]}), "k")
    assert db["aircraft"].history(1)["v"].tolist() == ["a", "b"]
    assert db["planes"].history(1)["v"].tolist() == ["other"]
    with db.transaction() as tx:
        tx["aircraft"].update(1, {"v": "c"})
        assert tx["aircraft"].history(1)["v"].tolist() == ["a", "b"], "what is committed"
        tx.rollback()


def test_a_history_looks_only_at_commits_that_wrote_near_the_key(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": range(4000), "v": "a"}), "k")
    for start in range(0, 4000, 100):
        planes.upsert(pd.DataFrame({"k": range(start, start + 90), "v": "b"}))
    reader = db._lease.engine.reader
    before = reader.leaves
    assert planes.history(2050)["v"].tolist() == ["a", "b"]
    assert reader.leaves - before <= 3


def test_a_column_with_a_reserved_name_is_refused_in_frames_of_the_past_alone(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": [1], "_time": [1]}), "k")
    with pytest.raises(InvalidInput, match="'_time'"):
        planes.history(1)
    assert len(db.diff(0, 1, "planes")) == 1
