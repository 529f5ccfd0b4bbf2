"""A store is read like a dict and written by record, list or frame; what cannot be written is refused by name."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.errors import DuplicateKey, InvalidInput, KeyNotFound, ReadOnly, SchemaMismatch
from tests.api_support import QUIET, SMALL


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        yield db
        assert db.check().ok


@pytest.fixture
def planes(db: Any) -> Any:
    store = db.create("planes", {"maker": "string", "number": "int64", "seats": "int64", "more": "json"}, ["maker", "number"])
    store.insert({"maker": "A", "number": 1, "seats": 100})
    store.insert([{"maker": "A", "number": 2, "seats": 120, "more": {"wifi": True}}, {"maker": "B", "number": 1}])
    return store


@pytest.fixture
def events(db: Any) -> Any:
    """A store that is not unique."""
    store = db.create("events", {"day": "int64", "what": "string"}, IndexSpecification.of("day", unique=False))
    store.insert([{"day": 1, "what": "a"}, {"day": 1, "what": "b"}, {"day": 2, "what": "c"}])
    return store


# -- like a dict --------------------------------------------------------------------------------------------------------------


def test_a_store_is_read_like_a_dict(planes: Any) -> None:
    assert planes["A", 2] == {"maker": "A", "number": 2, "seats": 120, "more": {"wifi": True}}
    assert planes.get(("A", 3)) is None
    assert planes.get(("A", 3), "none") == "none"
    assert ("A", 1) in planes
    assert ("A", 9) not in planes
    assert len(planes) == 3
    assert list(planes) == list(planes.keys()) == [("A", 1), ("A", 2), ("B", 1)]
    assert dict(planes.first()) == {"maker": "A", "number": 1, "seats": 100, "more": None}
    assert planes.last().key == ("B", 1)
    with pytest.raises(KeyError, match=r"store 'planes' has no record with key \('C', 1\)"):
        planes["C", 1]


def test_an_empty_store_is_still_a_store(db: Any) -> None:
    empty = db.create("empty", {"k": "int64"}, "k")
    assert empty
    assert (len(empty), list(empty), empty.first(), empty.last()) == (0, [], None, None)
    assert empty[:].to_dicts() == []
    assert list(empty[:].to_pandas().columns) == ["k"]


def test_a_key_is_full_and_of_the_right_types(planes: Any) -> None:
    for wrong in ("A", ("A",), ("A", 1, 2)):
        for read in (planes.get, lambda key: planes[key], lambda key: key in planes):
            with pytest.raises(InvalidInput, match="the key has 2 fields"):
                read(wrong)
    with pytest.raises(InvalidInput, match="prefix"):
        planes["A"]
    with pytest.raises(SchemaMismatch, match="'planes', key column 'number'"):
        planes["A", "1"]
    with pytest.raises(SchemaMismatch, match="key column 'maker' may not be null"):
        planes.get((None, 1))
    with pytest.raises(InvalidInput, match="get_many"):
        planes[[("A", 1)]]


def test_a_record_is_a_copy_that_cannot_be_edited(planes: Any) -> None:
    record = planes["A", 1]

    def put() -> None:
        record["seats"] = 5

    def cut() -> None:
        del record["seats"]

    def join() -> None:
        nonlocal record
        record |= {"seats": 5}

    for edit in (put, cut, join, record.clear, record.popitem, lambda: record.pop("seats"), lambda: record.update(seats=5),
                 lambda: record.setdefault("x", 1)):  # fmt: skip
        with pytest.raises(ReadOnly, match=r"'planes'.*store.update\(record.key"):
            edit()
    assert planes["A", 1]["seats"] == record["seats"] == 100
    assert dict(record) | {"seats": 5} == {**record, "seats": 5}
    assert isinstance(record, dict)
    assert json.loads(json.dumps(record))["maker"] == "A"
    for other in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record)), record.copy()):
        assert other == record


def test_a_record_carries_its_commit_and_its_key(planes: Any, events: Any) -> None:
    assert [record.seq for record in planes[:].records()] == [2, 3, 3]
    assert planes.update(("A", 1), {"seats": 90}).seq == planes["A", 1].seq == planes.first().seq == planes[:].row(0).seq
    record = next(events.prefix(1).records())
    assert (record.key[0], len(record.key[1])) == (1, 16)
    assert events[record.key] == record == {"day": 1, "what": "a"}
    assert "_id" not in record
    assert record.store == "events"


# -- many ---------------------------------------------------------------------------------------------------------------------


def test_many_keys_come_in_the_order_asked(planes: Any) -> None:
    keys = [("B", 1), ("A", 1), ("B", 1)]
    want = pd.DataFrame({"maker": ["B", "A", "B"], "number": [1, 1, 1]})
    frame = pd.DataFrame(keys, columns=["maker", "number"])
    for asked in (
        keys,
        iter(keys),
        frame,
        frame[["number", "maker"]],
        frame.assign(other=1),
        pd.MultiIndex.from_tuples(keys),
        pd.Index(keys, tupleize_cols=False),
        frame.set_index(["maker", "number"]),
        frame.set_index("number"),
        pa.Table.from_pandas(frame, preserve_index=False),
    ):
        got = planes.get_many(asked)
        pd.testing.assert_frame_equal(got[["maker", "number"]], want, check_dtype=False)
        assert str(got["seats"].dtype) == "Int64"
        assert got["seats"].fillna(0).tolist() == [0, 100, 0]


def test_keys_that_are_not_there_raise_or_are_left_out_or_are_null(db: Any, planes: Any) -> None:
    asked = [("B", 1), ("X", 5), ("A", 2), ("X", 5)]
    with pytest.raises(KeyNotFound, match=r"'planes'.*\('X', 5\)"):
        planes.get_many(asked)
    assert planes.get_many(asked, missing="skip")["maker"].tolist() == ["B", "A"]
    null = planes.get_many(asked, missing="null")
    assert null["maker"].tolist() == ["B", "X", "A", "X"]
    assert null["number"].tolist() == [1, 5, 2, 5]
    assert null["seats"].isna().tolist() == [True, True, False, True]
    assert null["more"].tolist() == [None, None, {"wifi": True}, None]
    numbers = db.load("numbers", pd.DataFrame({"k": [1, 2], "n": [2**60 + 1, 5], "b": [True, False]}), "k")
    got = numbers.get_many([2, 7, 1], missing="null")
    assert got["n"].tolist() == [5, pd.NA, 2**60 + 1]
    assert {str(got[name].dtype) for name in ("k", "n")} == {"Int64"}
    assert numbers.get_many([2, 1])["n"].dtype == numbers[:].to_pandas()["n"].dtype == np.int64
    with pytest.raises(InvalidInput, match='"raise", "skip", "null"'):
        planes.get_many(asked, missing="maybe")


def test_no_keys_give_no_rows_of_the_right_types(planes: Any) -> None:
    for none in ([], pd.DataFrame({"maker": pd.Series([], dtype=str), "number": pd.Series([], dtype="int64")})):
        got = planes.get_many(none)
        assert len(got) == 0
        assert got.dtypes.equals(planes[:].to_pandas().dtypes)
    assert planes.delete([]) == sopnb.Counts()


def test_keys_of_one_field_come_in_any_array(db: Any) -> None:
    store = db.load("numbers", pd.DataFrame({"k": [3, 1, 2], "v": [30, 10, 20]}), "k")
    for keys in ([3, 1], pd.Index([3, 1]), pd.Series([3, 1]), np.array([3, 1]), pa.array([3, 1]), pd.RangeIndex(3, 0, -2), range(3, 0, -2)):
        assert store.get_many(keys)["v"].tolist() == [30, 10]
    assert store.delete(np.array([3, 9, 3])).missing == 1
    for wrong in (5, "x", {"k": 1}, (1, 2)):
        with pytest.raises(InvalidInput, match="is one key"):
            store.get_many(wrong)
    with pytest.raises(SchemaMismatch, match="'k': store int64, frame double"):
        store.get_many(np.array([1.0]))


def test_keys_without_a_field_are_refused_by_name(planes: Any) -> None:
    for wrong, reason in [
        (pd.DataFrame({"maker": ["A"]}), "no column 'number'"),
        (pa.table({"maker": ["A"]}), "no column 'number'"),
        (pd.Index(["A"]), "fields maker, number"),
        (np.array(["A"]), "fields maker, number"),
        (pd.MultiIndex.from_tuples([("A", 1, 2)]), "3 levels"),
        (["A"], "the key has 2 fields"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            planes.get_many(wrong)


# -- writing ------------------------------------------------------------------------------------------------------------------

ROWS: dict[str, Any] = {
    "record": lambda rows: rows,
    "list": list,
    "frame": pd.DataFrame,
    "table": pa.Table.from_pylist,
    "batch": lambda rows: pa.Table.from_pylist(rows).combine_chunks().to_batches()[0],
    "reader": lambda rows: pa.Table.from_pylist(rows).to_reader(),
    "iterator": iter,
    "frames": lambda rows: [pd.DataFrame([row]) for row in rows],
    "generator": lambda rows: (pa.Table.from_pylist([row]) for row in rows),
}


def _each(form: str, write: Any, rows: list[dict[str, Any]]) -> sopnb.Counts:
    if form == "record":
        return sum((write(row) for row in rows), sopnb.Counts())
    return write(ROWS[form](rows))


@pytest.mark.parametrize("form", ROWS)
def test_every_form_of_rows_is_written_the_same(planes: Any, form: str) -> None:
    new = [{"maker": "C", "number": n, "seats": n} for n in (5, 3, 4)]
    assert _each(form, planes.insert, new).inserted == 3
    with pytest.raises(DuplicateKey, match=r"'planes': key \('C', [345]\) is already there; use upsert"):
        _each(form, planes.insert, new)
    assert _each(form, planes.upsert, [{**row, "seats": 9} for row in new[:2]]).updated == 2
    assert _each(form, planes.upsert, [{**row, "seats": 9} for row in new[:2]]).unchanged == 2
    assert _each(form, planes.update, [{**row, "seats": 8} for row in new]).updated == 3
    with pytest.raises(KeyNotFound, match=r"'planes' has no record with key \('D', 1\)"):
        _each(form, planes.update, [{"maker": "D", "number": 1, "seats": 1}])
    assert _each(form, planes.replace, [{"maker": "C", "number": 3}, {"maker": "D", "number": 3}]).inserted == 1
    assert [r["seats"] for r in planes["C":].records()] == [None, 8, 8, None]


def test_upsert_leaves_absent_columns_alone_and_replace_does_not(planes: Any) -> None:
    assert planes.upsert({"maker": "A", "number": 2, "seats": 5}).updated == 1
    assert planes["A", 2]["more"] == {"wifi": True}
    assert planes.upsert([{"maker": "A", "number": 2, "seats": 6}, {"maker": "A", "number": 1, "more": [1]}]).updated == 2
    assert (planes["A", 2]["more"], planes["A", 1]["seats"], planes["A", 1]["more"]) == ({"wifi": True}, 100, [1])
    assert planes.replace({"maker": "A", "number": 2}).updated == 1
    assert dict(planes["A", 2]) == {"maker": "A", "number": 2, "seats": None, "more": None}
    assert planes.upsert(pd.DataFrame({"maker": ["A"], "number": [1], "seats": [7]})).updated == 1
    assert planes["A", 1]["more"] == [1]


def test_update_by_key_changes_columns_of_one_record(planes: Any) -> None:
    assert planes.update(("A", 1), {"seats": 7, "more": None}).updated == 1
    assert planes.update(("A", 1), {**planes["A", 1], "seats": 8}).updated == 1
    assert planes["A", 1]["seats"] == 8
    with pytest.raises(KeyNotFound):
        planes.update(("X", 1), {"seats": 7})
    for changes, reason in [
        ({"maker": "B"}, "'maker' is part of the key"),
        ({}, "nothing to change"),
        ({"colour": 1}, "no column 'colour'"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            planes.update(("A", 1), changes)
    with pytest.raises(SchemaMismatch, match="no 'number', which is part of the key"):
        planes.update({"maker": "A", "seats": 1})


def test_delete_counts_what_is_missing(planes: Any) -> None:
    counts = planes.delete(("A", 9))
    assert (counts.deleted, counts.missing, counts.seq) == (0, 1, 0)
    counts = planes.delete([("A", 1), ("A", 9), ("A", 1), ("B", 1)])
    assert (counts.deleted, counts.missing) == (2, 1)
    assert planes.delete(planes[:].to_pandas()).deleted == 1
    assert len(planes) == 0


def test_counts_name_their_commit_and_nothing_is_committed_for_nothing(db: Any, planes: Any) -> None:
    counts = planes.upsert({"maker": "A", "number": 1, "seats": 1}, message="first class only")
    assert counts == sopnb.Counts(updated=1, seq=db.seq)
    assert planes.upsert({"maker": "A", "number": 1, "seats": 1}).seq == 0
    assert planes.insert([]) == planes.insert(pd.DataFrame({"maker": [], "number": []}).astype({"maker": str, "number": int}))
    assert counts.seq == db.seq
    assert db.log()["message"].iloc[-1] == "first class only"


def test_a_key_twice_in_one_write_is_refused(planes: Any) -> None:
    twice = [{"maker": "C", "number": 1, "seats": 1}, {"maker": "C", "number": 1, "more": {}}]
    for rows in (twice, pd.DataFrame({"maker": ["C", "C"], "number": [1, 1]})):
        with pytest.raises(DuplicateKey, match=r"\('C', 1\) is twice"):
            planes.upsert(rows)
    assert len(planes) == 3


def test_a_frame_that_fails_writes_nothing(planes: Any) -> None:
    with pytest.raises(DuplicateKey):
        planes.insert(pd.DataFrame({"maker": ["C", "A", "D"], "number": [1, 1, 1]}))
    with pytest.raises(KeyNotFound):
        planes.update(pd.DataFrame({"maker": ["A", "X"], "number": [1, 1], "seats": [5, 5]}))
    assert (len(planes), planes["A", 1]["seats"]) == (3, 100)


def test_unknown_and_reserved_columns_are_refused_by_name(planes: Any) -> None:
    for rows, reason in [
        ({"maker": "C", "number": 1, "colour": 1}, "no column 'colour'"),
        (pd.DataFrame({"maker": ["C"], "number": [1], "colour": [1]}), "no column 'colour'"),
        (pd.DataFrame({"maker": ["C"], "number": [1], "_seq": [1]}), "'_seq' is reserved"),
        (pd.DataFrame({"maker": ["C"], "number": [1.5]}), "'number': store int64, frame double"),
        (pd.DataFrame({"maker": ["C"]}), "'number' may not be null"),
        (pd.DataFrame({"number": [1]}, index=pd.Index(["C"], name="builder")), "no column 'builder'"),
        ({"maker": "C", "number": 2**63}, "column 'number'"),
        ({"maker": 5, "number": 2}, "column 'maker'"),
        (5, "rows cannot be read from int"),
        (pd.Series({"maker": "C", "number": 1}), "a Series is no record.*to_dict"),
        ("text", "rows cannot be read from str"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            planes.insert(rows)
    with pytest.raises(InvalidInput, match='"raise" or "report"'):
        planes.insert([], on_error="ignore")


def test_many_keys_are_an_index_of_one_level_or_a_frame_that_names_each_field_once(db: Any) -> None:
    store = db.load("small", pd.DataFrame({"k": [1, 2, 3]}), index="k")
    assert store.get_many(pd.MultiIndex.from_arrays([[3, 1]], names=["k"]))["k"].tolist() == [3, 1]
    with pytest.raises(InvalidInput, match="'k' as a column and in its index"):
        store.get_many(pd.DataFrame({"k": [3]}, index=pd.Index([3], name="k")))


# -- reports ------------------------------------------------------------------------------------------------------------------


def test_a_report_commits_the_good_rows_and_returns_the_others(planes: Any) -> None:
    frame = pd.DataFrame({"maker": ["C", "A", "C", None], "number": [1, 1, 1, 7], "seats": [1, 2, 3, 4]})
    counts = planes.insert(frame, on_error="report")
    assert counts.inserted == 1
    rejected = counts.rejected.sort_values("seats")
    assert rejected.columns[-1] == "_reason"
    assert rejected["seats"].tolist() == [2, 3, 4]
    assert ["already" in reason or "twice" in reason or "null" in reason for reason in rejected["_reason"]] == [True] * 3
    assert planes["C", 1]["seats"] == 1
    assert planes.insert({"maker": "D", "number": 1}, on_error="report").rejected is None


def test_a_report_of_a_list_shows_records_as_they_were_given(planes: Any) -> None:
    rows = [{"maker": "C", "number": "one"}, {"maker": "C", "number": 2}, {"maker": "A", "number": 1}, {"maker": "C", "number": 2}]
    rejected = planes.insert(rows, on_error="report").rejected
    assert set(rejected["number"].tolist()) == {"one", 2, 1}
    assert rejected["_reason"].str.contains("column 'number'").sum() == 1
    assert planes.update([{"maker": "Z", "number": 1}], on_error="report").rejected["_reason"].tolist() == ["no record has this key"]
    for write in (lambda: planes.insert({"maker": "A", "number": 1}, on_error="report"),
                  lambda: planes.update(("Z", 1), {"seats": 1}, on_error="report"),
                  lambda: planes.upsert({"maker": "A"}, on_error="report")):  # fmt: skip
        assert len(write().rejected) == 1


def test_a_report_rounds_nothing_and_shows_values_as_frames_have_them(db: Any) -> None:
    store = db.create("small", {"k": "int64", "n": "int8"}, "k")
    rejected = store.insert([{"k": 2**53 + 1, "n": 999}, {"n": 1}, {"k": 1, "n": None}], on_error="report").rejected
    assert (rejected["k"][0], rejected["n"].tolist()) == (2**53 + 1, [999, 1])
    years = pd.DataFrame({"year": pd.period_range("2020", periods=2, freq="Y"), "doc": [{"a": 1}, {"b": [2]}]})
    rejected = db.load("years", years, "year").insert(years, on_error="report").rejected
    assert (rejected["year"].tolist(), rejected["doc"].tolist()) == (years["year"].tolist(), ['{"a":1}', '{"b":[2]}'])


def test_a_report_finds_values_that_do_not_fit_their_column(db: Any) -> None:
    store = db.create("small", {"k": "int64", "n": "int8", "d": "decimal128(4, 1)"}, "k")
    frame = pd.DataFrame({"k": range(6), "n": [1, 300, 2, -200, 3, 4], "d": [Decimal(text) for text in ["1", "2", "99999", "1", "1", "1"]]})
    counts = store.upsert(frame, on_error="report")
    assert counts.inserted == 3
    assert sorted(counts.rejected["k"]) == [1, 2, 3]
    with pytest.raises(SchemaMismatch, match="'n': store int8, frame (large_)?string"):
        store.upsert(pd.DataFrame({"k": [9], "n": ["x"]}), on_error="report")


# -- stores that are not unique -----------------------------------------------------------------------------------------------


def test_in_a_store_that_is_not_unique_the_key_ends_in_the_id(events: Any) -> None:
    first, second, _ = keys = list(events)
    assert [record["what"] for record in events.prefix(1).records()] == ["a", "b"]
    assert events.update(second, {"what": "B"}).updated == 1
    assert events.delete(first).deleted == 1
    assert events[:].to_dicts() == [{"day": 1, "what": "B"}, {"day": 2, "what": "c"}]
    assert events.get_many(keys[1:])["what"].tolist() == ["B", "c"]
    with pytest.raises(InvalidInput, match="the key has 2 fields .day, _id."):
        events[1]
    with pytest.raises(SchemaMismatch, match="is no _id"):
        events[1, 5]


def test_upsert_is_refused_where_keys_are_not_unique(events: Any) -> None:
    key = next(iter(events))
    for rows in ({"day": 1}, {"day": 1, "_id": key[1]}, [{"day": 1}], pd.DataFrame({"day": [1]})):
        with pytest.raises(InvalidInput, match="'events' is not unique: upsert"):
            events.upsert(rows)
    for rows in ({"day": 1}, [{"day": 1}], pd.DataFrame({"day": [1]})):
        for write in (events.update, events.replace):
            with pytest.raises(InvalidInput, match="_id"):
                write(rows)
    with pytest.raises(InvalidInput, match="_id is null"):
        events.update(pd.DataFrame({"day": [1, 1], "_id": [key[1], None]}))
    assert len(events) == 3


def test_frames_with_ids_change_the_records_they_came_from(events: Any) -> None:
    frame = events.select("day", "what", "_id").to_pandas()
    frame["what"] = frame["what"].str.upper()
    assert events.update(frame).updated == 3
    assert events.replace(frame.assign(what="x")).updated == 3
    assert events.delete(frame[:2]).deleted == 2
    assert events.insert(frame).inserted == 3
    assert [record["what"] for record in events[:].records()] == ["A", "B", "x", "C"]


def test_duplicates_keep_the_order_of_their_transaction(db: Any, events: Any) -> None:
    with db.transaction() as tx:
        tx["events"].insert({"day": 5, "what": "1"})
        tx["events"].insert(pd.DataFrame({"day": [5] * 10, "what": list("23456789ab")}))
        tx["events"].insert([{"day": 5, "what": "c"}])
    assert "".join(record["what"] for record in events.prefix(5).records()) == "123456789abc"


# -- values -------------------------------------------------------------------------------------------------------------------


def test_documents_hold_whatever_json_can_say(db: Any) -> None:
    store = db.create("docs", {"k": "int64", "d": "json"}, "k")
    values = [{"a": [1, None, "x"]}, [1, 2], "text", 5, 1.5, True, None, {"née": {}}]
    store.insert([{"k": i, "d": value} for i, value in enumerate(values)])
    assert [record["d"] for record in store[:].records()] == values
    frame = store[:].to_pandas()
    assert frame["d"].tolist() == values
    assert store.upsert(frame).unchanged == len(values)
    assert store.upsert(frame.assign(d=["text", 5, None, "{", [], 2.5, {}, False])).updated == 8
    assert [record["d"] for record in store[:].records()] == ["text", 5, None, "{", [], 2.5, {}, False]
    assert store.upsert(pa.table({"k": [0, 1], "d": ['{"a": 1}', "[]"]})).updated == 2
    assert store[0]["d"] == {"a": 1}
    assert store.upsert(pa.table({"k": [0], "d": [[1, 2]]})).updated == 1
    assert store[0]["d"] == [1, 2]
    with pytest.raises(InvalidInput, match="'d'.*no JSON document"):
        store.upsert(pa.table({"k": [0], "d": ["{"]}))
    with pytest.raises(SchemaMismatch, match="'d'.*JSON"):
        store.insert({"k": 99, "d": {1, 2}})


def test_every_type_goes_in_by_record_list_and_frame_and_comes_back(db: Any) -> None:
    schema = {
        "k": "int64",
        "flag": "bool",
        "u": "uint64",
        "f": "float64",
        "dec": "decimal128(10, 2)",
        "day": "date32",
        "when": "timestamp[us, UTC]",
        "then": "timestamp[ms]",
        "clock": "time64[us]",
        "span": "duration[us]",
        "text": "string",
        "raw": "binary",
        "many": pa.list_(pa.int64()),
        "both": pa.struct([("a", pa.int64()), ("b", pa.string())]),
    }
    full = {
        "k": 1, "flag": True, "u": 2**64 - 1, "f": 0.1, "dec": Decimal("1.10"), "day": date(2013, 1, 31),
        "when": datetime(2013, 1, 31, 10, tzinfo=UTC), "then": datetime(2013, 1, 31, 10), "clock": datetime(2013, 1, 1, 10, 30).time(),
        "span": timedelta(days=1, microseconds=5), "text": "é\0", "raw": b"\0\xff", "many": [1, None], "both": {"a": 1, "b": None},
    }  # fmt: skip
    rows = [full, {**dict.fromkeys(schema), "k": 2}]
    store = db.create("types", schema, "k")
    for write in (
        lambda: [store.insert(row) for row in rows],
        lambda: store.insert(rows),
        lambda: store.insert(pa.Table.from_pylist(rows, store.schema)),
    ):
        store[:].delete()
        write()
        assert store[:].to_dicts() == rows
        assert [dict(store[1]), dict(store[2])] == rows
        assert store[:].to_arrow().to_pylist() == rows
        db.fold()
        assert [dict(store[1]), dict(store[2])] == rows


def test_values_out_of_line_come_back(db: Any) -> None:
    store = db.create("scans", {"k": "int64", "scan": "binary"}, "k")
    large = np.random.default_rng(1).bytes(300_000)
    store.insert([{"k": k, "scan": large[: k * 100_000]} for k in range(4)])
    assert store[3]["scan"] == large
    assert [len(record["scan"]) for record in store[:].records()] == [0, 100_000, 200_000, 300_000]
    assert store.get_many([3, 1])["scan"].tolist() == [large, large[:100_000]]
    assert store.update(3, {"scan": b"small"}).updated == 1
    db.fold()
    assert store[3]["scan"] == b"small"


def test_facts_of_a_store(planes: Any) -> None:
    info = planes.info()
    assert (info["rows"], info["index"], info["unique"]) == (3, "maker, number", True)
    assert planes.schema.names == ["maker", "number", "seats", "more"]
    assert planes.index == IndexSpecification.of("maker", "number")
    assert repr(planes).splitlines()[0] == "Store 'planes': 3 records; 4 columns; index maker ↑, number ↑"
    assert "planes" in planes._repr_html_()
