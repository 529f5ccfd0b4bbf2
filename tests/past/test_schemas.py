"""The past of stores that were altered, that have indexes, or an expression for a key."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sopnb import IndexSpecification
from sopnb.errors import Conflict, InvalidInput


def test_the_past_of_an_altered_store_is_told_in_its_new_columns(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": range(100), "n": pd.array(range(100), "int32"), "old": 1}), "k")
    planes.update(3, {"n": 33})
    with db.unlock("wider") as admin:
        admin.alter("planes", add={"note": ("string", "new")}, drop="old", rename={"n": "seats", "k": "key"}, types={"seats": "int64"})
    planes.update(3, {"seats": 2**40})
    assert planes.history(3)[["_seq", "_change", "key", "seats", "note"]].to_numpy().tolist() == [
        [1, "insert", 3, 3, "new"],
        [2, "update", 3, 33, "new"],
        [db.seq, "update", 3, 2**40, "new"],
    ]
    found = db.diff(1, db.seq, "planes")
    assert found[["_change", "_side", "key", "seats"]].to_numpy().tolist() == [["update", "old", 3, 3], ["update", "new", 3, 2**40]]
    assert len(db.diff(2, db.seq - 1, "planes")) == 0
    assert db.changes(1, "planes")[["_change", "key", "seats"]].to_numpy().tolist() == [["update", 3, 33], ["update", 3, 2**40]]
    assert db.changes(1)["_store"].tolist() == ["planes"] * 2
    log = db.log(store="planes")
    assert log[["inserted", "updated"]].to_numpy().tolist() == [[100, 0], [0, 1], [0, 0], [0, 1]]
    altered = int(log["seq"].iloc[2])
    with pytest.raises(InvalidInput, match="is not reverted"):
        db.revert(altered)
    with pytest.raises(Conflict, match="altered") as caught:
        db.revert(2)
    assert (caught.value.store, caught.value.seq) == ("planes", altered)
    db.revert(db.seq)
    assert planes[3]["seats"] == 33


def test_an_altered_store_is_found_by_the_name_that_it_had(db: Any) -> None:
    db.load("planes", pd.DataFrame({"k": range(10), "n": 1}), "k")
    db.rename("planes", "aircraft")
    for column in ("note", "more"):
        with db.unlock("wider") as admin:
            admin.alter("aircraft", add={column: ("string", "new")})
    db["aircraft"].update(3, {"n": 33})
    found = db.diff(1, db.seq, "planes")
    assert found[["_change", "_side", "k", "n", "more"]].to_numpy().tolist() == [
        ["update", "old", 3, 1, "new"], ["update", "new", 3, 33, "new"],
    ]  # fmt: skip
    pd.testing.assert_frame_equal(found, db.diff(1, db.seq, "aircraft"))
    assert db.diff(db.seq, 1, "planes")["n"].tolist() == [33, 1]
    db.drop("aircraft")
    assert db.diff(1, db.seq, "planes")["_change"].tolist() == ["delete"] * 10


def test_the_past_before_another_key_is_told_no_further(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": [1, 2], "n": [5, 6]}), "k")
    planes.update(1, {"n": 4})
    with db.unlock("by n") as admin:
        admin.alter("planes", index=["-n", "k"])
    altered = db.seq
    planes.delete((4, 1))
    found = planes.history((4, 1))
    assert found.attrs["complete_since"] == altered
    assert found["_seq"].tolist() == [2, db.seq]
    assert found["_change"].tolist()[1] == "delete"
    for call in (lambda: db.diff(1, db.seq, "planes"), lambda: db.changes(0, "planes")):
        with pytest.raises(InvalidInput, match=r"'planes': the key was k \(int64\) and is -n,? ?k \(int64, int64\) now"):
            call()
    assert db.changes(altered, "planes")["_change"].tolist() == ["delete"]
    assert len(db.changes(0)) == 4


def test_indexes_are_not_in_the_past(db: Any) -> None:
    planes = db.load("planes", pd.DataFrame({"k": range(20), "v": "a"}), "k")
    planes.create_index("by_v", "v")
    planes.upsert(pd.DataFrame({"k": range(5, 25), "v": "b"}))
    planes.drop_index("by_v")
    assert len(db.changes(0)) == 40
    assert set(db.changes(0)["_store"]) == {"planes"}
    assert len(db.diff(1, db.seq, "planes")) == 15 * 2 + 5
    assert db.log()[["stores", "inserted", "updated"]].to_numpy().tolist() == [
        ["planes", 20, 0], ["planes", 0, 0], ["planes", 5, 15], ["planes", 0, 0],
    ]  # fmt: skip


def test_the_past_of_a_store_that_is_keyed_by_an_expression(db: Any) -> None:
    words = db.create("words", {"word": "string", "n": "int64"}, IndexSpecification.of("-cel: size(word)", "word"))
    words.insert([{"word": word, "n": n} for n, word in enumerate(["a", "bb", "ccc", "dddd", "eeeee", "ff"])])
    words.update((2, "bb"), {"n": 10})
    words.delete((4, "dddd"))
    before = words[:].to_pandas()
    found = db.diff(2, db.seq, "words")
    assert list(found.columns) == ["_change", "_side", "_seq", "word", "n"]
    assert found[["_change", "word", "n"]].to_numpy().tolist() == [["delete", "dddd", 3], ["update", "bb", 1], ["update", "bb", 10]]
    assert words.history((2, "bb"))["n"].tolist() == [1, 10]
    assert db.changes(2, "words")["word"].tolist() == ["bb", "dddd"]
    db.revert(4)
    db.revert(3)
    assert len(db.diff(2, db.seq, "words")) == 0
    db.revert(db.seq)
    db.revert(5)
    pd.testing.assert_frame_equal(words[:].to_pandas(), before)
    db.drop("words")
    db.revert(db.seq)
    pd.testing.assert_frame_equal(db["words"][:].to_pandas(), before)
    with db.unlock("more") as admin:
        admin.alter("words", add={"note": "string"}, rename={"n": "number"})
    assert db["words"].history((2, "bb"))["number"].tolist()[:2] == [1, 10]
    assert len(db.diff(4, db.seq, "words")) == 0
