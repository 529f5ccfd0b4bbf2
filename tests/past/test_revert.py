"""Undoing a commit: what it did is done the other way round, and whoever built on it is named."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.access.lease import Lease
from sopnb.errors import Conflict, HistoryTrimmed, InvalidInput, InvalidState, NestedTransaction, ReadOnly
from tests.engine.support import Cluster
from tests.past.support import QUIET, rows


def values(store: Any) -> dict[int, str]:
    frame = store[:].to_pandas()
    return dict(zip(frame["k"], frame["v"], strict=True))


def test_inserts_updates_and_deletions_are_undone_together(db: Any) -> None:
    planes = db.load("planes", rows(range(5)), "k")
    with db.transaction(message="a bad edit") as tx:
        tx["planes"].update(1, {"v": "b"})
        tx["planes"].delete(2)
        tx["planes"].insert({"k": 9, "v": "c"})
    planes.update(3, {"v": "good"})
    done = db.revert(2)
    assert (done.inserted, done.updated, done.deleted, done.seq) == (1, 1, 1, 4)
    assert values(planes) == {0: "a", 1: "a", 2: "a", 3: "good", 4: "a"}
    assert db.log()["message"].iloc[-1] == "revert 2: a bad edit"
    assert planes.history(2)["_change"].tolist() == ["insert", "delete", "insert"]


def test_a_record_that_was_changed_later_is_named_with_the_later_commit(db: Any) -> None:
    planes = db.load("planes", rows(range(5)), "k")
    planes.update(1, {"v": "bad"})
    planes.update(1, {"v": "later"})
    with pytest.raises(Conflict, match=r"in store 'planes' at key 1: .* \(commit 3\); nothing was written; revert the later") as caught:
        db.revert(2)
    assert (caught.value.store, caught.value.key, caught.value.seq) == ("planes", 1, 3)
    assert (db.seq, planes[1]["v"]) == (3, "later")


def test_a_record_that_was_deleted_or_came_back_later_is_named(db: Any) -> None:
    planes = db.load("planes", rows(range(50)), "k")
    planes.update(1, {"v": "bad"})
    planes.delete(2)
    planes.delete([1, 7, 8, 9, 10, 11])
    planes.insert([{"k": 2, "v": "new"}])
    for seq, key, later in ((2, 1, 4), (3, 2, 5), (1, 1, 4)):
        with pytest.raises(Conflict) as caught:
            db.revert(seq)
        assert (caught.value.store, caught.value.key, caught.value.seq) == ("planes", key, later)
    assert db.seq == 5


def test_what_was_changed_and_changed_back_is_no_conflict(db: Any) -> None:
    planes = db.load("planes", rows(range(5)), "k")
    planes.update(1, {"v": "bad"})
    planes.update(1, {"v": "later"})
    planes.update(1, {"v": "bad"})
    assert db.revert(2).updated == 1
    assert planes[1]["v"] == "a"


def test_a_store_that_was_written_to_is_not_dropped_with_its_creation(db: Any) -> None:
    db.load("planes", rows(range(20)), "k", message="they come")
    db["planes"].insert({"k": 100, "v": "later"})
    with pytest.raises(Conflict) as caught:
        db.revert(1)
    assert (caught.value.store, caught.value.key, caught.value.seq) == ("planes", 100, 2)
    db.revert(2)
    done = db.revert(1)
    assert (done.deleted, db.stores()) == (20, ())
    assert db.log()["notes"].iloc[-1] == "dropped planes"


def test_a_store_that_was_renamed_dropped_or_replaced_later_is_named(db: Any) -> None:
    db.load("planes", rows(range(20)), "k")
    db["planes"].delete(1)
    db.rename("planes", "aircraft")
    with pytest.raises(Conflict, match="renamed to 'aircraft'") as caught:
        db.revert(2)
    assert (caught.value.store, caught.value.seq) == ("planes", 3)
    db.drop("aircraft")
    with pytest.raises(Conflict, match="dropped, replaced") as caught:
        db.revert(3)
    assert (caught.value.store, caught.value.seq) == ("aircraft", 4)


def test_a_dropped_store_comes_back_as_it_was(db: Any) -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2013-01-01"], utc=True), "kind": pd.Categorical(["x"], ["x", "y"])}).set_index("day")
    frame.attrs["of"] = "2013"
    db.load("days", frame, message="day 1")
    db.tag("first")
    db.drop("days", message="oops")
    done = db.revert(3)
    assert (done.inserted, db.stores()) == (1, ("days",))
    pd.testing.assert_frame_equal(db["days"][:].to_pandas(), frame)
    assert db["days"].history(frame.index[0])["_change"].tolist() == ["insert", "delete", "insert"]
    db.revert(4)
    assert db.stores() == ()
    db.revert(5)
    pd.testing.assert_frame_equal(db["days"][:].to_pandas(), frame)


def test_a_name_that_is_taken_is_a_conflict(db: Any) -> None:
    db.load("planes", rows(range(3)), "k")
    db.drop("planes")
    db.load("planes", rows(range(4)), "k")
    with pytest.raises(Conflict, match="another store has this name") as caught:
        db.revert(2)
    assert (caught.value.store, caught.value.seq) == ("planes", 3)
    db.rename("planes", "others")
    db.revert(2)
    assert {name: len(db[name]) for name in db} == {"planes": 3, "others": 4}
    db.rename("planes", "a")
    db.rename("others", "planes")
    with pytest.raises(Conflict, match="another store has this name") as caught:
        db.revert(6)
    assert (caught.value.store, caught.value.seq) == ("planes", 7)


def test_stores_that_exchanged_their_names_get_them_back(db: Any) -> None:
    db.load("a", rows(range(1)), "k")
    db.load("b", rows(range(2)), "k")
    db.load("c", rows(range(3)), "k")
    with db.transaction() as tx:
        tx.rename("a", "free")
        tx.rename("b", "a")
        tx.rename("c", "b")
        tx.rename("free", "c")
    assert {name: len(db[name]) for name in db} == {"a": 2, "b": 3, "c": 1}
    db.revert(4)
    assert {name: len(db[name]) for name in db} == {"a": 1, "b": 2, "c": 3}


def test_a_replaced_store_comes_back(db: Any) -> None:
    db.load("planes", rows(range(30)), "k")
    db.load("planes", pd.DataFrame({"k": ["x"], "n": [1]}), "k", if_exists="replace", message="oops")
    db.revert(2)
    assert values(db["planes"]) == dict.fromkeys(range(30), "a")


def test_tags_are_put_back(db: Any) -> None:
    db.load("planes", rows(range(3)), "k")
    db.tag("t")
    db["planes"].delete(1)
    db.tag("t", move=True)
    db.untag("t")
    db.revert(5)
    assert db.tags() == {"t": 3}
    with pytest.raises(Conflict, match="the tag 't' was changed later") as caught:
        db.revert(2)
    assert caught.value.seq == 6
    db.revert(4)
    assert db.tags() == {"t": 1}
    db.revert(2)
    assert db.tags() == {}


def test_records_of_equal_keys_keep_their_ids(db: Any) -> None:
    notes = db.create("notes", schema={"author": "string", "n": "int64"}, index=IndexSpecification.of("author", unique=False))
    notes.insert([{"author": "ada", "n": n} for n in range(10)])
    before = notes.select("author", "_id", "n").to_dicts()
    notes.delete(list(notes)[2:8])
    db.revert(3)
    assert notes.select("author", "_id", "n").to_dicts() == before
    db.drop("notes")
    db.revert(5)
    assert db["notes"].select("author", "_id", "n").to_dicts() == before


def test_large_values_come_back(db: Any) -> None:
    scans = db.create("scans", schema={"page": "int64", "image": "binary"}, index="page")
    with_values = [{"page": n, "image": bytes([n]) * (50_000 + n)} for n in range(8)]
    scans.insert(with_values)
    scans.update(3, {"image": b""})
    scans.delete(list(range(4, 8)))
    db.revert(4)
    db.revert(3)
    assert scans.to_polars().to_dicts() == with_values
    assert scans.history(3)["image"].str.len().tolist() == [50_003, 0, 50_003]


def test_indexes_come_back_with_their_store(cluster: Cluster) -> None:
    db = sopnb.Database(Lease.over(cluster.open()))
    db.load("planes", rows(range(30)), "k")
    engine = db._lease.engine
    work = engine.begin()
    store = work.create("seats", work.store("planes").schema)
    work.add_index(store, "by_v", IndexSpecification.of("v", unique=False))
    store.put("insert", (1, "b"))
    engine.commit(work)
    db.drop("seats")
    db.revert(db.seq)
    state = engine.state()
    (index,) = state.indexes(state.names["seats"]).values()
    assert (index.name, index.rows) == ("seats/by_v", 1)
    assert db["seats"].find(v="b").count() == 1
    assert db.check().ok


def test_what_cannot_be_reverted_says_so(db: Any, tmp_path: Any) -> None:
    db.load("planes", rows(range(30)), "k")
    db.fold()
    db["planes"].delete(list(range(10)))
    db.fold()
    with pytest.raises(InvalidInput, match="only kept the database in order"):
        db.revert(db.seq)
    for seq in (0, -1, db.seq + 1):
        with pytest.raises(InvalidInput, match="there is no commit"):
            db.revert(seq)
    for wrong in (True, "2", 1.0, None):
        with pytest.raises(InvalidInput, match="is no commit"):
            db.revert(wrong)
    with db.transaction() as tx, pytest.raises(NestedTransaction):
        db.revert(1)
    assert tx.seq == 0
    for _ in range(3):
        db.compact(keep=0)
        db["planes"].upsert({"k": 1, "v": f"{db.seq}"})
    with pytest.raises(HistoryTrimmed):
        db.revert(2)
    with sopnb.open(tmp_path / "a.sop") as other:
        other.load("planes", rows(range(3)), "k")
    with sopnb.open(tmp_path / "a.sop", mode="r") as other, pytest.raises(ReadOnly):
        other.revert(1)


def test_somebody_who_is_quicker_is_a_conflict_not_a_loss(cluster: Cluster) -> None:
    """A revert that loses a race is tried again on the newest state, and then finds what the other one did."""
    mine, theirs = (sopnb.Database(Lease.over(cluster.open())) for _ in range(2))
    planes = mine.load("planes", rows(range(30)), "k")
    planes.update(1, {"v": "bad"})
    engine, append = mine._lease.engine, mine._lease.engine.commit
    tried = []

    def quicker(work: Any) -> int:
        tried.append(work.state.seq)
        if len(tried) == 1:
            theirs["planes"].update(1, {"v": "theirs"})
        return append(work)

    engine.commit = quicker  # type: ignore[method-assign]
    with pytest.raises(Conflict) as caught:
        mine.revert(2)
    assert (caught.value.key, caught.value.seq) == (1, 3)
    assert tried == [2]
    tried.clear()
    theirs["planes"].update(1, {"v": "bad"})
    assert mine["planes"][1]["v"] == "bad"

    def other_record(work: Any) -> int:
        tried.append(work.state.seq)
        if len(tried) == 1:
            theirs["planes"].insert({"k": 77, "v": "theirs"})
        return append(work)

    engine.commit = other_record  # type: ignore[method-assign]
    assert mine.revert(2).updated == 1
    with pytest.raises(Conflict, match="key 77"):
        mine.revert(1)
    assert mine.check().ok


def test_a_large_commit_is_reverted() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        planes = db.load("planes", rows(range(50_000)), "k")
        planes.upsert(rows(range(60_000), "b"))
        done = db.revert(2)
        assert (done.updated, done.deleted) == (50_000, 10_000)
        assert values(planes) == dict.fromkeys(range(50_000), "a")
        assert db.check().ok


def test_an_index_goes_and_comes_back(db: Any) -> None:
    planes = db.load("planes", rows(range(30)), "k")
    planes.create_index("by_v", "v", message="quicker")
    created = db.seq
    planes.update(1, {"v": "b"})
    gone = db.revert(created)
    assert (planes.indexes(), gone.seq) == ({}, db.seq)
    assert db.log()["message"].iloc[-1] == f"revert {created}: quicker"
    planes.update(2, {"v": "b"})
    with pytest.raises(Conflict, match="index 'by_v' was changed later") as caught:
        db.revert(created)
    assert (caught.value.store, caught.value.seq) == ("planes", gone.seq)
    back = db.revert(gone.seq)
    assert planes.indexes() == {"by_v": IndexSpecification.of("v", unique=False)}
    assert planes.find(v="b").count() == 2
    with pytest.raises(Conflict, match="index 'by_v' was changed later"):
        db.revert(gone.seq)
    db.revert(back.seq)
    assert planes.indexes() == {}
    db.drop("planes")
    with pytest.raises(Conflict, match="the store was dropped"):
        db.revert(gone.seq)


def test_an_index_does_not_come_back_to_a_store_that_is_being_altered(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go with the store whose place the altered one takes."""
    mine, theirs = (sopnb.Database(Lease.over(cluster.open())) for _ in range(2))
    planes = mine.load("planes", rows(range(30)), "k")
    planes.create_index("by_v", "v")
    planes.drop_index("by_v")
    dropped = mine.seq
    builder = mine._lease.engine.builder
    verify = builder.verify
    tried = []

    def meanwhile(id: int) -> None:
        tried.append(id)
        with pytest.raises(InvalidState, match="is being altered"):
            theirs.revert(dropped)
        verify(id)

    monkeypatch.setattr(builder, "verify", meanwhile)
    with mine.unlock("wider") as admin:
        admin.alter("planes", add={"note": "string"})
    assert len(tried) == 1
    assert mine["planes"].indexes() == {}


def test_a_store_that_got_an_index_is_not_dropped_with_its_creation(db: Any) -> None:
    db.load("planes", rows(range(30)), "k")
    db["planes"].create_index("by_v", "v")
    with pytest.raises(Conflict, match="its indexes were changed") as caught:
        db.revert(1)
    assert caught.value.seq == db.seq
    db.revert(db.seq)
    db.revert(1)
    assert db.stores() == ()


def test_a_store_is_not_dropped_under_somebody_who_is_quicker(cluster: Cluster) -> None:
    mine, theirs = (sopnb.Database(Lease.over(cluster.open())) for _ in range(2))
    mine.load("planes", rows(range(30)), "k")
    engine, append = mine._lease.engine, mine._lease.engine.commit

    def slower(work: Any) -> int:
        engine.commit = append  # type: ignore[method-assign]
        theirs["planes"].insert({"k": 77, "v": "theirs"})
        return append(work)

    engine.commit = slower  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="key 77") as caught:
        mine.revert(1)
    assert caught.value.seq == 2
    assert theirs["planes"][77]["v"] == "theirs"
