"""What the past tells: differences, versions and changes of random histories are those of a model, through folds, names and drops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import IndexSpecification
from sopnb.errors import Conflict, HistoryTrimmed, InvalidInput, SchemaMismatch, StoreNotFound, TagNotFound
from tests.past_support import QUIET, TINY, History, Rows, applied, histories


@pytest.mark.timeout(7200)
@given(histories, st.data())
def test_a_difference_leads_from_one_state_to_the_other(history: Any, data: Any) -> None:
    world = History()
    world.play(history)
    newest = len(world.contents) - 1
    pairs = [(seq, seq + 1) for seq in range(newest)]
    pairs += [tuple(sorted(data.draw(st.tuples(st.integers(0, newest), st.integers(0, newest))))) for _ in range(3)]
    for a, b in pairs:
        for name in world.contents[a].keys() | world.contents[b].keys():
            old, new = world.followed(a, b, name)
            there = world.db.diff(a, b, name)
            assert applied(old, there) == new
            assert list(there["k"]) == sorted(there["k"])
            assert list(there[there["_change"] == "update"]["_side"]) == ["old", "new"] * (sum(there["_change"] == "update") // 2)
            if a != b and name in world.contents[b]:
                assert applied(new, _turned(there)) == old
    assert world.db.check().ok


def _turned(frame: Any) -> Any:
    return frame.assign(_side=frame["_side"].map({"old": "new", "new": "old"}))


@pytest.mark.timeout(7200)
@given(histories)
def test_a_history_has_every_version_of_a_record(history: Any) -> None:
    world = History()
    world.play(history)
    for name, kept in world.stores.items():
        for key in {*kept.past, 0}:
            found = world.db[name].history(key)
            assert found.attrs["complete_since"] == 0
            assert list(found[["_seq", "_change", "v"]].itertuples(index=False, name=None)) == _net(kept.past.get(key, []))
            assert set(found["k"]) <= {key}
    assert world.db.check().ok


def _net(versions: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Return versions as they look when a store is replaced within a commit: deleted and inserted is updated."""
    told: list[tuple[int, str, str]] = []
    for seq, kind, value in versions:
        if told and told[-1][:2] == (seq, "delete"):
            told[-1] = seq, "update", value
        else:
            told.append((seq, kind, value))
    return told


@pytest.mark.timeout(7200)
@given(histories)
def test_changes_are_what_every_commit_did(history: Any) -> None:
    world = History()
    world.play(history)
    everything = world.db.changes(0)
    if world.events:
        assert list(everything[["_seq", "_store", "_change", "k", "v"]].itertuples(index=False, name=None)) == world.events
    else:
        assert len(everything) == 0
    for name, kept in world.stores.items():
        replayed: dict[int, str] = {}
        for kind, key, value in world.db.changes(0, name)[["_change", "k", "v"]].itertuples(index=False, name=None):
            assert (kind == "insert") == (key not in replayed)
            if kind == "delete":
                assert replayed.pop(key) == value
            else:
                replayed[key] = value
        assert replayed == kept.rows
    assert world.db.check().ok


@pytest.mark.timeout(7200)
@given(histories, st.booleans())
def test_reverting_every_commit_leads_back_to_the_empty_database(history: Any, folding: bool) -> None:
    world = History()
    made = [world.db.seq for step in history if world.step(step)]
    for seq in reversed(made):
        world.db.revert(seq)
        assert world.content() == world.rows(seq - 1)
        if folding:
            world.db.fold()
    assert world.db.stores() == ()
    assert world.db.tags() == {}
    assert world.db.check().ok


@pytest.mark.timeout(7200)
@given(histories, st.data())
def test_a_commit_is_reverted_or_conflicts(history: Any, data: Any) -> None:
    """What it wrote must stand as it left it; then it is as it was before, and all else stays."""
    world = History()
    made = [world.db.seq for step in history if world.step(step)]
    if not made:
        return
    seq = data.draw(st.sampled_from(made))
    before, after, now = (world.contents[at] for at in (seq - 1, seq, -1))
    there = [{store: (name, rows) for name, (store, rows) in content.items()} for content in (before, after, now)]
    expected = {name: dict(rows) for name, (_, rows) in now.items()}
    conflict = False
    targets: dict[str, Rows] = {}
    for store in {*there[0], *there[1]}:
        old, left, here = (each.get(store) for each in there)
        if old == left:
            continue
        if (old and old[0]) != (left and left[0]) or old is None or left is None:
            conflict |= (here and here[0]) != (left and left[0])
        if left is not None and here is not None and old is None:
            conflict |= here[1] != left[1]
            expected.pop(here[0], None)
        elif left is None and old is not None:
            targets[old[0]] = dict(old[1])
        elif here is None or (here[0] != (left and left[0])):
            conflict = True
        elif old is not None and left is not None:
            changed = {key for key in old[1].keys() | left[1].keys() if old[1].get(key) != left[1].get(key)}
            conflict |= any(here[1].get(key) != left[1].get(key) for key in changed)
            rows = {key: value for key, value in here[1].items() if key not in changed}
            expected.pop(here[0], None)
            targets[old[0]] = rows | {key: old[1][key] for key in changed if key in old[1]}
    conflict |= bool(targets.keys() & expected.keys())
    held, newest = world.content(), world.db.seq
    if conflict:
        with pytest.raises(Conflict, match="revert the later commit first"):
            world.db.revert(seq)
        assert (world.content(), world.db.seq) == (held, newest)
    else:
        world.db.revert(seq, "undone")
        assert world.content() == expected | targets
        assert world.db.log()["message"].iloc[-1] == "undone"
        world.db.revert(world.db.seq)
        assert world.content() == held, "a revert is reverted too"
    assert world.db.check().ok


# -- how a difference looks ---------------------------------------------------------------------------------------------------

FLIGHTS = pd.DataFrame({"day": pd.to_datetime(["2013-01-01", "2013-01-02"], utc=True), "n": [1, 2], "late": [True, False]})


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=TINY, handle=QUIET) as db:
        yield db
        assert db.check().ok


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


# -- how a history looks ------------------------------------------------------------------------------------------------------


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


# -- stores that were altered -------------------------------------------------------------------------------------------------


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
