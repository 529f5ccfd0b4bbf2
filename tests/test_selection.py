"""Selections equal the same filter computed by plain Python, whatever the key, the layers and the bounds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import HandleSettings
from sopnb.errors import InvalidInput, InvalidState, SchemaMismatch
from tests.api_support import QUIET, SMALL, World, worlds

NAMES = ("x", "y", "z")
CONDITIONS = [
    (pc.field("value") > 7, lambda row: row["value"] > 7),
    (pc.field("note") == "n1", lambda row: row["note"] == "n1"),
    (~(pc.field("note") == "n1"), lambda row: row["note"] == "n0"),
    ((pc.field("note") == "n1") | (pc.field("value") < 5), lambda row: row["note"] == "n1" or row["value"] < 5),
    (pc.field("note").is_null() & (pc.field("value") > 2.5), lambda row: row["note"] is None and row["value"] > 2.5),
]


@st.composite
def bounds(draw: Any, world: World) -> Any:
    """Draw a key or its beginning, half of the time one that is there; None is open."""
    if draw(st.integers(0, 9)) == 0:
        return None
    there = draw(st.booleans()) and world.rows
    key = world.shape.key(draw(st.sampled_from(world.rows))) if there else draw(world.shape.keys)
    return key[: draw(st.integers(1, len(key)))]


@st.composite
def selections(draw: Any) -> tuple[World, Any, list[dict[str, Any]]]:
    """Draw a world, a selection of it and the records that it must hold."""
    world = draw(worlds())
    shape, store = world.shape, world.store
    selection, rows = store[:], world.ordered
    way = draw(st.sampled_from(["all", "range", "range", "prefix", "slice"]))
    if way == "prefix":
        values = draw(bounds(world)) or ()
        selection = store.prefix(*values)
        rows = [row for row in rows if shape.compare(shape.key(row), values) == 0]
    elif way != "all":
        start, stop = draw(bounds(world)), draw(bounds(world))
        if start is not None and stop is not None and shape.compare(start, stop) > 0:
            start, stop = stop, start
        closed = "left" if way == "slice" else draw(st.sampled_from(["left", "right", "both", "neither"]))
        selection = store[start:stop] if way == "slice" else store.range(start, stop, closed=closed)
        if start is not None:
            least = 0 if closed in ("left", "both") else 1
            rows = [row for row in rows if shape.compare(shape.key(row), start) >= least]
        if stop is not None:
            most = 0 if closed in ("right", "both") else -1
            rows = [row for row in rows if shape.compare(shape.key(row), stop) <= most]
    if draw(st.booleans()):
        condition, passes = draw(st.sampled_from(CONDITIONS))
        selection, rows = selection.where(condition), [row for row in rows if passes(row)]
    if draw(st.booleans()):
        selection, rows = selection.reverse(), rows[::-1]
    return world, selection, [{name: value for name, value in row.items() if name != "_id"} for row in rows]


@given(selections(), st.integers(0, 20), st.integers(1, 7))
def test_a_selection_equals_the_filter(case: tuple[World, Any, list[dict[str, Any]]], start: int, size: int) -> None:
    world, selection, rows = case
    table = selection.to_arrow()
    assert table.to_pylist() == rows
    assert selection.to_dicts() == rows
    assert pa.table(selection).to_pylist() == rows
    assert selection.count() == len(rows)
    whole = selection.to_pandas()
    assert len(whole) == len(rows)
    assert _same_frame(selection.rows(start, start + size), whole.iloc[start : start + size])
    assert _same_frame(selection.page(1, size=size), whole.iloc[size : 2 * size])
    assert _same_frame(selection.head(size), whole.head(size))
    assert _same_frame(selection.tail(size), whole.tail(size))
    if start < len(rows):
        assert dict(selection.row(start)) == rows[start]
    else:
        with pytest.raises(IndexError):
            selection.row(start)
    assert [frame for frame in selection.iter_batches(size=size) if not len(frame) <= size] == []
    pieces = list(selection.iter_batches(size=size))
    assert all(len(piece) == size for piece in pieces[:-1])
    assert not pieces or _same_frame(pd.concat(pieces), whole)
    assert _same_frame(_paged(selection, size), whole)
    assert selection.select("note").to_arrow()["note"].to_pylist() == [row["note"] for row in rows]
    keys = list(selection.keys())
    assert keys == [record.key for record in selection.records()]
    assert len(set(map(str, keys))) == len(rows)
    assert world.db.check().ok


@given(worlds(), st.data())
def test_in_a_transaction_the_same_is_read_over_its_own_writes(world: World, data: Any) -> None:
    with world.db.transaction() as tx:
        outside, world.store = world.store, tx["things"]
        world.write(data.draw(st.lists(world.shape.keys, max_size=6)))
        world.delete(data.draw(st.lists(st.integers(0, 99), max_size=3)))
        rows = [{name: value for name, value in row.items() if name != "_id"} for row in world.ordered]
        inside = tx["things"][:]
        assert inside.to_arrow().to_pylist() == rows
        assert inside.reverse().to_dicts() == rows[::-1]
        assert len(tx["things"]) == inside.count() == len(rows)
        middle = len(rows) // 2
        assert inside.rows(middle, middle + 3)["value"].tolist() == [row["value"] for row in rows[middle : middle + 3]]
        assert [dict(record) for record in (tx["things"].first(), tx["things"].last()) if record] == [*rows[:1], *rows[-1:]]
    assert outside[:].to_dicts() == rows


def _paged(selection: Any, size: int) -> Any:
    frame, token = selection.next_page(size=size)
    frames = [frame]
    while token is not None:
        frame, token = selection.next_page(token, size=size)
        assert len(frame)
        frames.append(frame)
    return pd.concat(frames)


def _same_frame(got: Any, want: Any) -> bool:
    pd.testing.assert_frame_equal(got.reset_index(drop=True), want.reset_index(drop=True))
    return True


# -- bounds -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def db() -> Any:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        yield db
        assert db.check().ok


@pytest.fixture
def notes(db: Any) -> Any:
    """Five notes; by author, the newest first."""
    store = db.create("notes", {"author": "string", "day": "int64", "stars": "int64", "text": "string"}, ["author", "-day"])
    rows = [("ada", 3, 5, "c"), ("ada", 2, None, "b"), ("ada", 1, 3, None), ("bob", 9, 1, "d"), ("eve", 4, None, "e")]
    store.insert([dict(zip(("author", "day", "stars", "text"), row, strict=True)) for row in rows])
    return store


def _days(selection: Any) -> list[int]:
    return [record["day"] for record in selection.records()]


def test_slices_are_half_open_and_follow_the_index(notes: Any) -> None:
    assert _days(notes[("ada", 3) : ("ada", 1)]) == [3, 2]
    assert _days(notes.range(("ada", 3), ("ada", 1), closed="both")) == [3, 2, 1]
    assert _days(notes.range(("ada", 3), ("ada", 1), closed="right")) == [2, 1]
    assert _days(notes.range(("ada", 3), ("ada", 1), closed="neither")) == [2]


def test_a_short_tuple_bounds_every_key_that_begins_with_it(notes: Any) -> None:
    assert _days(notes["ada":"bob"]) == [3, 2, 1]
    assert _days(notes.range("ada", "bob", closed="both")) == [3, 2, 1, 9]
    assert _days(notes.range("ada", closed="neither")) == [9, 4]
    assert _days(notes[("ada", 2) : "bob"]) == [2, 1]
    assert _days(notes["ada":"ada"]) == []
    assert _days(notes.range("ada", "ada", closed="both")) == _days(notes.prefix("ada")) == [3, 2, 1]


def test_a_start_after_its_stop_names_the_descending_field(notes: Any) -> None:
    with pytest.raises(InvalidInput, match=r"'notes'.*starts at \('ada', 1\), after its stop \('ada', 3\).*'day' is descending"):
        notes[("ada", 1) : ("ada", 3)]
    with pytest.raises(InvalidInput, match="order of the index"):
        notes["bob":"ada"]
    with pytest.raises(InvalidInput, match='"left", "right"'):
        notes.range("ada", closed="up")
    with pytest.raises(InvalidInput, match="no step"):
        notes[::2]


def test_none_is_open_and_a_tuple_of_none_is_null(db: Any) -> None:
    schema = pa.schema([("k", pa.float64()), ("v", pa.int64())])
    store = db.create("things", schema, "k")
    store.insert(pa.table({"k": [2.0, None, 1.0], "v": [2, 0, 1]}))
    store.insert({"k": 3.0, "v": 3})
    assert [r["v"] for r in store[None:None].records()] == [1, 2, 3, 0]
    assert [r["v"] for r in store[(None,) :].records()] == [0]
    assert [r["v"] for r in store[: (None,)].records()] == [1, 2, 3]
    assert [r["v"] for r in store.prefix(None).records()] == [0]
    assert store[None]["v"] == store[float("nan")]["v"] == 0
    assert [r["v"] for r in store[float("nan") :].records()] == [0]
    with pytest.raises(sopnb.DuplicateKey):
        store.insert({"k": float("nan"), "v": 9})


def test_a_prefix_may_end_in_a_piece_of_text(notes: Any) -> None:
    assert _days(notes.prefix(startswith="e")) == [4]
    assert _days(notes.prefix(startswith="ad")) == [3, 2, 1]
    for wrong in (lambda: notes.prefix("ada", startswith="x"), lambda: notes.prefix("ada", 3, startswith="x")):
        with pytest.raises(InvalidInput, match="startswith needs a text field"):
            wrong()
    with pytest.raises(InvalidInput, match="neither text nor bytes"):
        notes.prefix(startswith=5)
    with pytest.raises(InvalidInput, match="the key has 2 fields"):
        notes.prefix("ada", 1, 2)


def test_ranges_and_prefixes_of_a_selection_meet(notes: Any) -> None:
    assert _days(notes.prefix("ada").range(("ada", 2), None)) == [2, 1]
    assert _days(notes.prefix("ada").prefix("bob")) == []
    assert notes["bob":].range(None, "bob").count() == 0


def test_text_is_one_instant_in_the_zone_of_the_column(db: Any) -> None:
    store = db.create("trips", {"start": "timestamp[us, America/New_York]", "n": "int64"}, "start")
    store.insert({"start": "2013-07-04 08:00", "n": 1})
    assert store["2013-07-04T12:00+00:00"]["n"] == store[datetime(2013, 7, 4, 12, tzinfo=UTC)]["n"] == 1
    assert store["2013-07-04":"2013-07-05"].count() == 1
    with pytest.raises(SchemaMismatch, match="'trips', key column 'start'.*with a zone"):
        store[datetime(2013, 7, 4, 12)]
    naive = db.create("naive", {"start": "timestamp[us]"}, "start")
    with pytest.raises(SchemaMismatch, match="no time zone"):
        naive.get(datetime(2013, 7, 4, 12, tzinfo=UTC))


# -- conditions ---------------------------------------------------------------------------------------------------------------


def test_where_keeps_only_what_is_true(notes: Any) -> None:
    assert _days(notes.where(pc.field("stars") > 2)) == [3, 1]
    assert _days(notes.where(~(pc.field("stars") > 2))) == [9]
    assert _days(notes.where((pc.field("stars") > 2) | (pc.field("text") == "b"))) == [3, 2, 1]
    assert _days(notes.where(pc.scalar(None))) == _days(notes.where(pc.scalar(False))) == []
    assert notes.where(pc.scalar(True)).count() == 5


def test_where_sees_every_column_and_the_commits(notes: Any) -> None:
    notes.upsert({"author": "eve", "day": 4, "stars": 2})
    changed = notes.select("author").where(pc.field("stars") == 2).where(pc.field("_seq") > 2)
    assert changed.to_dicts() == [{"author": "eve"}]
    assert notes.where(pc.field("_seq") > 2).count() == 1


def test_numbers_widen_and_other_types_are_refused_at_once(notes: Any) -> None:
    assert notes.where(pc.field("stars") > 2.5).count() == 2
    for condition, reason in [
        (pc.field("stars") == "x", "does not fit the columns"),
        (pc.field("colour") == "red", "no column 'colour'; its columns are 'author', 'day', 'stars', 'text'"),
        (pc.field("stars"), "of type int64"),
        (pc.field("stars") + 1, "of type int64"),
        (pc.field(2) > 1, "by its number"),
        ("stars >> 2", "does not belong here"),
        (2, "pyarrow.compute expression"),
        (lambda frame: True, "pyarrow.compute expression"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            notes.where(condition)
    with pytest.raises(InvalidInput, match="cannot be judged for every record"):
        notes.where(pc.field("stars") / (pc.field("day") - 3) > 1).count()


def test_naive_times_are_not_compared_with_aware_ones(db: Any) -> None:
    store = db.create("trips", {"k": "int64", "at": "timestamp[us, UTC]", "then": "timestamp[us]"}, "k")
    with pytest.raises(SchemaMismatch, match="without timezone"):
        store.where(pc.field("at") > datetime(2013, 1, 1))
    with pytest.raises(SchemaMismatch, match="with timezone"):
        store.where(pc.field("then") > datetime(2013, 1, 1, tzinfo=UTC))
    assert store.where(pc.field("at") > datetime(2013, 1, 1, tzinfo=UTC)).count() == 0


# -- columns and types --------------------------------------------------------------------------------------------------------


def test_hidden_columns_come_when_they_are_named(db: Any) -> None:
    store = db.create("things", {"k": "int64", "v": "int64"}, sopnb.IndexSpecification.of("k", unique=False))
    store.insert([{"k": 1, "v": 1}, {"k": 1, "v": 2}])
    assert store[:].to_arrow().column_names == list(store[:].to_pandas().columns) == ["k", "v"]
    table = store.select("v", "_seq", "_id").to_arrow()
    assert table.column_names == ["v", "_seq", "_id"]
    assert table["_seq"].to_pylist() == [2, 2]
    assert [record.key for record in store.select("v").records()] == list(zip([1, 1], table["_id"].to_pylist(), strict=True))
    for wrong, reason in [(("nope",), "no column 'nope'"), (("k", "k"), "selected twice"), ((), "at least one")]:
        with pytest.raises(InvalidInput, match=reason):
            store.select(*wrong)
    unique = db.create("unique", {"k": "int64"}, "k")
    with pytest.raises(InvalidInput, match="no column '_id'"):
        unique.select("_id")


def test_a_page_and_the_whole_have_equal_dtypes(notes: Any) -> None:
    whole = notes[:].to_pandas()
    assert str(whole["stars"].dtype) == "Int64"
    pages = [notes[:].rows(0, 0), notes[:].head(1), notes["bob":"eve"].to_pandas(), notes.prefix("zoe").to_pandas(), notes[:].page(9)]
    pages += list(notes[:].iter_batches(size=2))
    for page in pages:
        assert page.dtypes.equals(whole.dtypes)
    assert notes.prefix("zoe").to_arrow().schema == notes[:].to_arrow().schema == notes[:].to_reader().schema


def test_a_store_from_a_frame_with_a_named_index_gives_it_back(db: Any) -> None:
    frame = pd.DataFrame({"v": [1.5, 2.5], "w": ["a", "b"]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"]))
    store = db.load("things", frame)
    pd.testing.assert_frame_equal(store[:].to_pandas(), frame)
    pd.testing.assert_frame_equal(store.select("w").to_pandas(), frame[["w"]])
    pd.testing.assert_frame_equal(store[:].reverse().head(1), frame[1:])
    pd.testing.assert_frame_equal(store.get_many([("b", 2), ("a", 1)]), frame[::-1])
    assert store.select("w").to_arrow().column_names == ["w"]


def test_categories_come_back_in_frames_and_streams(db: Any) -> None:
    frame = pd.DataFrame({"k": [1, 2, 3], "c": pd.Categorical(["b", None, "a"], categories=["b", "a", "unused"], ordered=True)})
    store = db.load("things", frame, "k")
    pd.testing.assert_frame_equal(store[:].to_pandas(), frame)
    pd.testing.assert_frame_equal(store.where(pc.field("c") == "a").to_pandas(), frame[2:].reset_index(drop=True))
    read = store[:].to_reader().read_all()
    assert read["c"].to_pylist() == ["b", None, "a"]
    assert pa.types.is_dictionary(read.schema.field("c").type)


# -- pages and iterators ------------------------------------------------------------------------------------------------------


def test_a_token_holds_a_key_so_other_writes_do_not_shift_the_pages(notes: Any) -> None:
    frame, token = notes[:].next_page(size=2)
    assert frame["day"].tolist() == [3, 2]
    notes.delete(("ada", 2))
    notes.insert([{"author": "aaa", "day": 7}, {"author": "bea", "day": 8}])
    frame, token = notes[:].next_page(token, size=2)
    assert frame["day"].tolist() == [1, 8]
    frame, token = notes[:].next_page(token, size=2)
    assert (frame["day"].tolist(), token) == ([9, 4], None)


def test_a_token_is_refused_where_it_does_not_belong(db: Any, notes: Any) -> None:
    _, token = notes[:].next_page(size=1)
    other = db.create("other", {"author": "string", "day": "int64"}, ["author", "day"])
    for selection, wrong in [(other[:], token), (notes[:].reverse(), token), (notes[:], "###"), (notes[:], "AAAA"), (notes[:], 5)]:
        with pytest.raises(InvalidInput, match="page token"):
            selection.next_page(wrong)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_positions_from_before_the_start_are_refused(notes: Any) -> None:
    for wrong in (lambda: notes[:].row(-1), lambda: notes[:].rows(3, 2), lambda: notes[:].page(-1), lambda: notes[:].head(-1)):
        with pytest.raises(InvalidInput):
            wrong()
    for wrong in (lambda: notes[:].page(0, size=0), lambda: notes[:].iter_batches(size=0), lambda: notes[:].next_page(size=0)):
        with pytest.raises(InvalidInput, match="at least 1"):
            wrong()
    with pytest.raises(IndexError, match="'notes'.*no record at position 5"):
        notes[:].row(5)


def test_an_iterator_keeps_one_state_and_the_next_call_reads_the_newest(notes: Any) -> None:
    selection = notes[:]
    iterators = [selection.records(), selection.keys(), iter(notes)]
    frames, reader = selection.iter_batches(size=2), selection.to_reader()
    notes.delete(("ada", 1))
    notes.insert({"author": "zoe", "day": 1})
    assert [len(list(each)) for each in iterators] == [5, 5, 5]
    assert [record["day"] for record in selection.records()] == [3, 2, 9, 4, 1]
    assert sum(map(len, frames)) == reader.read_all().num_rows == 5
    assert selection.count() == 5


def test_batches_of_some_columns_are_the_frame_of_these_columns_in_pieces(notes: Any) -> None:
    whole = notes[:].reverse().select("stars", "author").to_pandas()
    pieces = list(notes[:].reverse().iter_batches(2, columns=["stars", "author"]))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole)
    with pytest.raises(InvalidInput, match="no column 'nope'"):
        notes[:].iter_batches(columns=["nope"])


def test_deleting_while_iterating_reaches_every_record(notes: Any) -> None:
    for key in notes:
        notes.delete(key)
    assert len(notes) == 0


def test_a_selection_has_no_length_and_no_truth_value(notes: Any) -> None:
    for wrong in (bool, len, list, iter):
        with pytest.raises(TypeError, match="count|records"):
            wrong(notes[:])


def test_a_selection_of_a_store_made_anew_is_refused(db: Any, notes: Any) -> None:
    selection = notes.prefix("ada")
    db.load("notes", pd.DataFrame({"k": [1]}), "k", if_exists="replace")
    with pytest.raises(InvalidState, match="another schema"):
        selection.count()
    assert len(notes) == 1
    db.drop("notes")
    for gone in (selection.count, notes.first):
        with pytest.raises(sopnb.StoreNotFound, match="'notes'"):
            gone()


# -- writing through a selection ----------------------------------------------------------------------------------------------


def test_update_sets_columns_of_what_the_condition_keeps(notes: Any) -> None:
    counts = notes.where(pc.field("stars").is_null()).update({"stars": 1, "text": None}, message="mend")
    assert (counts.updated, counts.seq) == (2, 3)
    assert notes.where(pc.field("stars") == 1).count() == 3
    assert notes.prefix("ada").reverse().update({"text": "all"}).updated == 3
    assert notes.prefix("ada").update({"text": "all"}).unchanged == 3
    assert notes.prefix("zoe").update({"text": "x"}) == sopnb.Counts()


def test_key_fields_and_unknown_columns_are_never_set(notes: Any) -> None:
    for changes, reason in [
        ({"day": 5}, "'notes': 'day' is part of the key"),
        ({"colour": "red"}, "no column 'colour'"),
        ({"stars": "many"}, "column 'stars'"),
        ({}, "nothing to change"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            notes[:].update(changes)


def test_delete_takes_the_range_or_what_the_condition_keeps(notes: Any) -> None:
    assert notes.where(pc.field("stars").is_null()).delete().deleted == 2
    assert notes["ada":"bob"].delete().deleted == 2
    assert _days(notes[:]) == [9]
    assert notes[:].reverse().delete().deleted == 1
    assert notes[:].delete() == sopnb.Counts()


def test_replace_makes_the_range_hold_exactly_these(notes: Any) -> None:
    kept, changed = {"author": "ada", "day": 3, "stars": 5, "text": "c"}, {"author": "ada", "day": 2, "stars": 4}
    counts = notes.prefix("ada").replace([kept, changed, {"author": "ada", "day": 8}])
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 1, 1, 1)
    assert _days(notes[:]) == [8, 3, 2, 9, 4]
    with pytest.raises(InvalidInput, match=r"\('bob', 1\) lies outside the selection"):
        notes.prefix("ada").replace(pd.DataFrame({"author": ["ada", "bob"], "day": [1, 1]}))
    assert notes.prefix("ada").replace([]).deleted == 3
    assert _days(notes[:]) == [9, 4]


def test_replace_needs_a_whole_range_of_whole_records(notes: Any) -> None:
    with pytest.raises(InvalidInput, match="without where"):
        notes.where(pc.field("day") > 1).replace([])
    for wrong in (lambda s: s.replace([]), lambda s: s.delete(), lambda s: s.update({"stars": 1})):
        with pytest.raises(InvalidInput, match="without select"):
            wrong(notes.select("text"))


def test_a_range_of_a_store_that_is_not_unique_is_replaced_and_changed(db: Any) -> None:
    store = db.create("things", {"k": "int64", "v": "int64"}, sopnb.IndexSpecification.of("k", unique=False))
    store.insert(pa.table({"k": [1, 1, 2], "v": [1, 2, 3]}))
    assert store.where(pc.field("v") == 2).update({"v": 20}).updated == 1
    counts = store.prefix(1).replace([{"k": 1, "v": 7}, {"k": 1, "v": 8}])
    assert (counts.inserted, counts.deleted) == (2, 2)
    assert store[:].to_dicts() == [{"k": 1, "v": 7}, {"k": 1, "v": 8}, {"k": 2, "v": 3}]
    assert store.where(pc.field("v") > 7).delete().deleted == 1


def test_a_large_update_is_one_commit() -> None:
    n = 150_000
    db = sopnb.open(":memory:", handle=QUIET)
    store = db.load("many", pd.DataFrame({"k": np.arange(n), "v": np.zeros(n), "w": np.arange(n) % 7}), "k")
    before = db.seq
    assert store.where(pc.field("w") == 3).update({"v": 1.5}).updated == len(range(3, n, 7))
    assert db.seq == before + 1
    assert store[:].to_pandas()["v"].sum() == 1.5 * len(range(3, n, 7))


def test_a_large_update_is_written_ahead_in_pieces() -> None:
    n = 20_000
    with sopnb.open(":memory:", handle=HandleSettings(load_bytes=100_000, maintenance="off", progress=False)) as db:
        store = db.load("many", pd.DataFrame({"k": np.arange(n), "v": np.zeros(n), "text": "as it was"}), "k")
        seq = db.seq
        with db.transaction() as tx:
            assert tx["many"].where(pc.field("k") >= 100).update({"v": 1.5}).updated == n - 100
            assert len(tx._work.spilled) >= 3
            assert tx["many"][:].to_pandas()["v"].sum() == 1.5 * (n - 100)
        assert db.seq == seq + 1
        assert store[:].to_pandas()["text"].unique().tolist() == ["as it was"]
        assert db.check().ok


# -- what is read -------------------------------------------------------------------------------------------------------------


def test_a_page_of_a_large_store_uses_a_few_leaves(db: Any) -> None:
    n = 5_000
    store = db.load("many", pd.DataFrame({"k": np.arange(n), "v": np.arange(n)}), "k")
    leaves = store.info()["leaves"]
    assert leaves > 1000
    for read in (
        lambda: store[:].rows(n // 2, n // 2 + 10),
        lambda: store[:].reverse().row(n // 2),
        lambda: store[5:].next_page(size=10),
        lambda: store[n // 3 :].count(),
        lambda: store[:].tail(3),
        lambda: store[777],
    ):
        before = db.info()["leaves_used"]
        read()
        assert db.info()["leaves_used"] - before <= 60


def test_explain_tells_what_is_read(notes: Any) -> None:
    selection = notes["ada":"bob"].where(pc.field("stars") > 3).select("text").reverse()
    told = selection.explain()
    assert (told.in_range, told.in_store, told.found, told.reverse) == (3, 5, None, True)
    assert set(told.columns) == {"author", "day", "stars", "text"}
    run = selection.explain(run=True)
    assert run.found == 1
    assert repr(run).splitlines()[1] == "  keys       from ('ada') before ('bob'): 3 of 5 records"


def test_two_threads_read_one_selection(notes: Any) -> None:
    selection, seen = notes.prefix("ada"), []
    threads = [threading.Thread(target=lambda: seen.append(_days(selection))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [[3, 2, 1]] * 4
