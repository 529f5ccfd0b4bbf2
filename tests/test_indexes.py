"""Secondary indexes as people use them: created, read in their order, kept by every write, dropped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sopnb
from sopnb.engine import mirror
from sopnb.errors import (
    DuplicateKey,
    IndexNotFound,
    InvalidInput,
    InvalidState,
    NestedTransaction,
    ReadOnly,
    SchemaMismatch,
)
from tests.api_support import QUIET

FRAME = pd.DataFrame(
    {
        "k": range(8),
        "city": ["Oslo", None, "Bergen", "Oslo", "Ås", "Bergen", "Oslo", "Oslo"],
        "size": [3.5, 1.0, float("nan"), 2.0, None, 7.0, 2.0, 1.0],
        "n": pd.array([1, 2, None, 4, 5, 6, 7, 8], dtype="Int64"),
    }
)


@pytest.fixture
def store(db: sopnb.Database) -> sopnb.Store:
    return db.load("places", FRAME, index="k")


def test_an_index_is_read_in_its_order_by_everything_that_reads(store: sopnb.Store) -> None:
    store.create_index("by_city", ["city", "-n"])
    by = store.by("by_city")
    order = [5, 2, 7, 6, 3, 0, 4, 1]  # n descending within a city, its nulls last; cities that are null last of all
    assert list(by.keys()) == order
    pd.testing.assert_frame_equal(by.to_pandas(), FRAME.iloc[order].reset_index(drop=True))
    assert [record["k"] for record in by.records()] == order
    assert [record.key for record in by.records()] == order
    assert by.reverse().to_pandas()["k"].tolist() == order[::-1]
    assert by.prefix("Oslo").count() == 4
    assert by.prefix("Oslo", 7).to_pandas()["k"].tolist() == [6]
    assert by.prefix(None).to_pandas()["k"].tolist() == [1]
    assert by.prefix(startswith="B").to_pandas()["k"].tolist() == [5, 2]
    assert by.range("Bergen", "Oslo").count() == 2
    assert by.range("Oslo", "Ås", closed="both").to_pandas()["k"].tolist() == [7, 6, 3, 0, 4]
    assert [by.row(i)["k"] for i in range(8)] == order
    assert by.rows(2, 5)["k"].tolist() == order[2:5]
    assert by.page(1, 3)["k"].tolist() == order[3:6]
    assert by.head(2)["k"].tolist() + by.tail(2)["k"].tolist() == [5, 2, 4, 1]
    first, token = by.next_page(size=3)
    assert (first["k"].tolist(), by.next_page(token, 5)[0]["k"].tolist()) == (order[:3], order[3:])
    assert [len(frame) for frame in by.iter_batches(3)] == [3, 3, 2]
    assert by.where(pc.field("size") > 1.5).to_pandas()["k"].tolist() == [5, 6, 3, 0]
    assert by.where(pc.field("city") == "Oslo").count() == 4
    assert by.select("n", "_seq").to_pandas()["_seq"].unique().tolist() == [1]
    assert pa.table(by)["k"].to_pylist() == order
    assert "by by_city" in repr(by)
    assert "by by_city; prefix ('Oslo'): 4 of 8 records" in repr(by.prefix("Oslo").explain())


def test_find_uses_the_index_that_narrows_most_and_says_so(store: sopnb.Store) -> None:
    assert store.find(city="Oslo").to_pandas()["k"].tolist() == [0, 3, 6, 7]
    assert store.find(city="Oslo").explain().keys == ()
    store.create_index("by_city", "city")
    store.create_index("by_city_and_n", ["city", "n"], carrying="size")
    found = store.find(city="Oslo")
    assert found.explain().keys[0] == "by by_city"
    assert found.explain().in_range == 4
    both = store.find(n=7, city="Oslo")
    assert both.explain().keys[0] == "by by_city_and_n"
    assert both.to_pandas()["k"].tolist() == [6]
    assert store.find(k=3, city="Oslo").explain().keys[0] != "by by_city"
    assert store.find(k=3, city="Bergen").count() == 0
    assert store.find(city=None).to_pandas()["k"].tolist() == [1]
    assert store.find(city="Oslo", size=float("nan")).count() == 0
    assert store.find(size=float("nan")).count() == int(FRAME["size"].isna().sum()) - store.find(size=None).count()
    with pytest.raises(SchemaMismatch, match="no column 'town'"):
        store.find(town="Oslo")
    with pytest.raises(SchemaMismatch, match="'n'"):
        store.find(n="seven")
    with pytest.raises(InvalidInput, match="find.. needs a column"):
        store.find()


def test_an_index_answers_for_its_own_columns_without_touching_records(store: sopnb.Store) -> None:
    store.create_index("by_city", "city", carrying=["n"])
    by = store.by("by_city").prefix("Oslo").select("n", "k")
    assert by.to_pandas().sort_values("k")["n"].tolist() == [1, 4, 7, 8]
    reading = by._scan.covering(by._reading(), ("n", "k"))
    assert reading._covered  # type: ignore[attr-defined]
    assert not by._scan.covering(by._reading(), ("n", "size"))._covered  # type: ignore[attr-defined]
    assert not by._scan.covering(by._reading(), ("n", "_seq"))._covered  # type: ignore[attr-defined]


def test_writes_of_all_kinds_keep_an_index(store: sopnb.Store) -> None:
    store.create_index("by_city", "city")
    by = store.by("by_city")
    store.update(3, {"city": "Ås"})
    store.upsert(pd.DataFrame({"k": [0, 20], "city": ["Bodø", "Bodø"]}))
    store.delete([1, 2])
    store.insert({"k": 30, "city": None})
    with store.cursor() as cursor:
        assert cursor.seek(6)
        cursor.update({"city": "Aa"})
    expected = (
        store[:]
        .to_pandas()
        .sort_values(["city", "k"], na_position="last", key=lambda c: c.map(lambda v: v.encode() if isinstance(v, str) else v))
    )
    assert by.to_pandas()["k"].tolist() == expected["k"].tolist()
    assert by.prefix("Bodø").delete().deleted == 2
    assert by.prefix("Ås").update({"n": 100, "city": "Voss"}).updated == 2
    assert store.by("by_city").prefix("Voss").to_pandas()["n"].tolist() == [100, 100]
    assert store.by("by_city").where(pc.field("n") == 100).delete().deleted == 2
    assert sorted(by.keys()) == sorted(store[:].keys())
    with pytest.raises(InvalidInput, match="'k'"):
        by.update({"k": 1})
    with pytest.raises(InvalidInput, match="own key"):
        by.replace(FRAME)


def test_a_transaction_and_the_past_have_the_index_as_it_was_or_will_be(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_city", "city")
    db.tag("before")
    with db.transaction() as tx:
        tx["places"].update(0, {"city": "Aalborg"})
        assert tx["places"].by("by_city").head(1)["k"].tolist() == [0]
        assert tx["places"].find(city="Aalborg").count() == 1
        assert repr(tx["places"].by("by_city"))
        assert tx["places"].by("by_city").prefix("Oslo").update({"n": 0}).updated == 3
        assert tx["places"].by("by_city").prefix("Oslo").delete().deleted == 3
    assert store.by("by_city").prefix("Oslo").count() == 0
    with db.at(tag="before") as old:
        assert old["places"].by("by_city").prefix("Oslo").count() == 4
        assert list(old["places"].indexes()) == ["by_city"]
        with pytest.raises(ReadOnly):
            old["places"].drop_index("by_city")
    store.drop_index("by_city")
    assert store.indexes() == {}
    with pytest.raises(IndexNotFound, match="store 'places' has no index 'by_city'"):
        store.by("by_city")
    with db.at(tag="before") as old:
        assert old["places"].by("by_city").count() == 8


def test_what_cannot_be_indexed_is_refused_by_name(db: sopnb.Database, store: sopnb.Store) -> None:
    db.create("notes", schema={"id": "int64", "doc": "json", "tags": pa.list_(pa.string())}, index="id")
    for fields, reason in (
        (["doc"], "'doc' holds JSON documents"),
        (["tags"], "'tags' of type list"),
        (["nothing"], "no column 'nothing'"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            db["notes"].create_index("i", fields)
    with pytest.raises(InvalidInput, match="cannot be the name of a index"):
        store.create_index("../x", "city")
    store.create_index("by_city", "city")
    with pytest.raises(InvalidInput, match="has an index 'by_city' already"):
        store.create_index("by_city", "n")
    with pytest.raises(DuplicateKey, match="key 'Bergen' is there already in the unique index 'u'"):
        store.create_index("u", "city", unique=True)
    with db.transaction() as tx, pytest.raises(InvalidState, match="not for a transaction"):
        tx["places"].create_index("i", "n")
    with db.transaction(), pytest.raises(NestedTransaction):
        store.create_index("i", "n")
    assert list(store.indexes()) == ["by_city"]


def test_a_unique_index_refuses_rows_of_a_frame_with_one_key_named(store: sopnb.Store) -> None:
    store.create_index("by_n", ["n", "city"], unique=True)
    with pytest.raises(DuplicateKey, match=r"\(7, 'Oslo'\) is there already in the unique index 'by_n'"):
        store.insert(pd.DataFrame({"k": [100, 101], "n": [9, 7], "city": ["Oslo", "Oslo"]}))
    assert len(store) == 8
    store.upsert(pd.DataFrame({"k": [6, 100], "n": [70, 7], "city": ["Oslo", "Oslo"]}))
    assert store.find(n=7, city="Oslo").to_pandas()["k"].tolist() == [100]


def test_a_load_that_replaces_a_store_keeps_its_indexes(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_city", "city")
    db.load("places", FRAME.iloc[:4], index="k", if_exists="replace")
    assert db["places"].find(city="Oslo").explain().keys[0] == "by by_city"
    assert db["places"].by("by_city").to_pandas()["k"].tolist() == [2, 0, 3, 1]
    with pytest.raises(InvalidInput, match="index 'by_city': there is no column 'city'"):
        db.load("places", FRAME[["k", "n"]], index="k", if_exists="replace")
    db.load("places", FRAME.iloc[4:].assign(more=1), index="k", if_exists="upsert", widen=True)
    assert db["places"].by("by_city").prefix("Oslo").count() == 4


def test_a_store_whose_keys_repeat_has_indexes_too(db: sopnb.Database) -> None:
    spec = sopnb.IndexSpecification.of("day", unique=False)
    store = db.create("log", schema={"day": "int64", "what": "string"}, index=spec)
    store.insert([{"day": d % 3, "what": "ab"[d % 2]} for d in range(9)])
    store.create_index("by_what", "-what")
    by = store.by("by_what")
    assert by.to_pandas()["what"].tolist() == ["b"] * 4 + ["a"] * 5
    assert by.prefix("a").to_pandas()["day"].tolist() == [0, 0, 1, 2, 2]
    assert by.prefix("b").delete().deleted == 4
    store.insert({"day": 0, "what": "c"})
    assert by.head(1)["what"].tolist() == ["c"]
    key = next(by.keys())
    assert store[key]["what"] == "c"


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize(("before", "after"), [(0.0, -0.0), (-0.0, 0.0), (None, math.nan), (math.nan, None)])
def test_values_that_are_one_key_are_each_kept(db: sopnb.Database, before: float | None, after: float | None, bulk: bool) -> None:
    def held(selection: Any) -> list[str]:
        return [repr(value) for value in selection.to_arrow()["depth"].to_pylist()]

    store = db.create("depths", schema={"k": "int64", "depth": "float64"}, index="k")
    store.create_index("by_depth", "depth", unique=True)
    keyed = db.create("keyed", schema=pa.schema({"depth": pa.float64(), "n": pa.int64()}), index="depth")
    for value in (before, after):
        seq = db.seq
        for each, record in ((store, {"k": 1, "depth": value}), (keyed, {"depth": value, "n": 1})):
            each.upsert(pa.table({name: pa.array([v], each.schema.field(name).type) for name, v in record.items()}) if bulk else record)
    assert held(store[:]) == held(store.by("by_depth")) == held(keyed[:]) == [repr(after)]
    assert db.diff(seq, db.seq, "keyed")["_change"].tolist() == ["update", "update"]


def test_what_check_finds_in_an_index_is_mended_by_making_it_anew(
    db: sopnb.Database, store: sopnb.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an index that is older than the telling apart of 0.0 and -0.0, or of null and NaN."""
    store.update(0, {"size": 0.0})
    store.create_index("by_size", "-size", carrying="city")
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "same_row", lambda old, new: True)
        store.update(0, {"size": -0.0})
    (problem,) = db.check()
    assert (problem.store, problem.where) == ("places", "index 'by_size'")
    assert problem.what == "what it holds of the record 0 is not what the record holds; drop the index and create it again"
    specification = store.indexes()["by_size"]
    store.drop_index("by_size")
    store.create_index("by_size", specification)
    assert db.check().ok
    assert store.indexes() == {"by_size": specification}
    assert math.copysign(1, store.by("by_size").select("size").prefix(0.0).to_dicts()[0]["size"]) == -1


texts = st.one_of(st.none(), st.text("ab\0é", max_size=3))
numbers = st.one_of(st.none(), st.integers(-3, 3))
records = st.fixed_dictionaries({"k": st.integers(0, 60), "a": texts, "b": numbers, "c": st.one_of(st.none(), st.floats(width=32))})


@settings(deadline=None)
@given(
    st.lists(records, max_size=40, unique_by=lambda r: r["k"]),
    st.lists(records, max_size=15, unique_by=lambda r: r["k"]),
    st.permutations(["a", "-b", "c"]),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from(["first", "last"]),
    texts,
    numbers,
)
@example([{"k": 1, "a": None, "b": None, "c": None}], [{"k": 0, "a": None, "b": None, "c": 0.0},
         {"k": 1, "a": None, "b": None, "c": math.nan}], ["c", "a", "-b"], 1, False, "first", None, None)  # fmt: skip
def test_what_an_index_finds_equals_the_same_filter_by_arrow(
    before: list[Any], after: list[Any], order: list[str], width: int, flip: bool, nulls: Any, text: Any, number: Any
) -> None:
    names = [("-" + name).removeprefix("--") if flip else name for name in order[:width]]
    schema = {"k": "int64", "a": "string", "b": "int64", "c": "float64"}
    with sopnb.open(
        ":memory:", handle=QUIET, settings=sopnb.DatabaseSettings(leaf_rows=4, leaf_bytes=256, inline_rows=10, tail_rows=20)
    ) as db:
        store = db.create("s", schema=schema, index="k")
        store.insert(before)
        store.create_index("i", sopnb.IndexSpecification.of(*names, unique=False, nulls=nulls))
        store.upsert(after)
        store.delete([record["k"] for record in after[::3]])
        table = store[:].to_arrow()
        by = store.by("i")
        assert _same(by.to_arrow().sort_by("k"), table)
        assert _same(by.to_arrow(), _sorted(table, names, nulls))
        assert _same(by.reverse().to_arrow(), _sorted(table, names, nulls).take(pa.array(np.arange(len(table))[::-1])))
        wanted = {"a": text, "b": number}
        mask = pc.and_(
            *(pc.is_null(table[n]) if v is None else pc.fill_null(pc.equal(table[n], pa.scalar(v)), False) for n, v in wanted.items())
        )
        assert _same(store.find(**wanted).to_arrow().sort_by("k"), table.filter(mask))
        store.create_index("e", ["cel: b * 2 - 1", names[0]])
        doubled = pc.fill_null(pc.equal(table["b"], pa.scalar(number, pa.int64())), pa.scalar(False))
        mask = pc.is_null(table["b"]) if number is None else doubled
        assert _same(store.by("e").prefix(None if number is None else number * 2 - 1).to_arrow().sort_by("k"), table.filter(mask))
        if text:
            store.create_index("t", ["-a" if flip else "a", "b"])
            begins = pc.fill_null(pc.starts_with(table["a"], text[:1]), pa.scalar(False))
            assert _same(store.by("t").prefix(startswith=text[:1]).to_arrow().sort_by("k"), table.filter(begins))
        condition = (pc.field("a") == pa.scalar(text)) & (pc.field("b") >= (number or 0))
        assert _same(by.where(condition).to_arrow().sort_by("k"), table.filter(condition))
        assert by.where(condition).count() == table.filter(condition).num_rows
        for position in range(0, len(table), 5):
            assert by.row(position)["k"] == by.to_arrow()["k"][position].as_py()
        assert db.check().ok


def _same(a: pa.Table, b: pa.Table) -> bool:
    return bool(a.equals(b)) or a.to_pandas().equals(b.to_pandas())


def _sorted(table: pa.Table, names: list[str], nulls: str) -> pa.Table:
    """Sort by plain Python: nulls (and NaN, which counts as null) placed whatever the direction, then by key."""
    rows = list(enumerate(table.to_pylist()))
    rows.sort(key=lambda each: each[1]["k"])
    for name in reversed(names):
        column = name.removeprefix("-")

        def missing(value: Any) -> bool:
            return value is None or value != value

        def plain(value: Any) -> Any:
            return value.encode() if isinstance(value, str) else value

        there = [each for each in rows if not missing(each[1][column])]
        gone = [each for each in rows if missing(each[1][column])]
        there.sort(key=lambda each: plain(each[1][column]), reverse=name.startswith("-"))
        rows = gone + there if nulls == "first" else there + gone
    return table.take(pa.array([i for i, _ in rows], pa.int64()))


def test_info_tells_of_indexes(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_city", ["city", "-n"], carrying="size")
    told = store.info()["indexes"]["by_city"]
    assert (told["index"], told["unique"], told["ready"]) == ("city, -n", False, True)
    assert told["bytes"] > 0
    assert db.info()["stores"]["places"]["indexes"] == store.info()["indexes"]


def test_an_index_field_may_be_an_expression(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_length", ["cel: size(city)", "-n"])
    by = store.by("by_length")
    assert by.prefix(4).to_pandas()["k"].tolist() == [7, 6, 3, 0]
    assert by.prefix(None).to_pandas()["k"].tolist() == [1]
    pd.testing.assert_frame_equal(by.to_pandas(), FRAME.iloc[[4, 7, 6, 3, 0, 5, 2, 1]].reset_index(drop=True))
    store.update(0, {"city": "Å"})
    store.upsert(pd.DataFrame({"k": [50, 51], "city": ["Trondheim", None], "n": [1, 2]}))
    assert store.by("by_length").head(1)["k"].tolist() == [0]
    assert store.by("by_length").prefix(9).to_pandas()["k"].tolist() == [50]
    assert store.by("by_length").select("n", "k").rows(0, 2)["k"].tolist() == [0, 4]
    assert store.by("by_length").prefix(9).delete().deleted == 1
    with pytest.raises(InvalidInput, match="index 'wrong'.*town"):
        store.create_index("wrong", "cel: size(town)")
    store.delete([1, 2, 51])  # an expression is null where a column is, and null equals null
    store.create_index("u", ["cel: size(city) * 100 + n"], unique=True)
    with pytest.raises(DuplicateKey, match="key 405 is there already in the unique index 'u'"):
        store.insert([{"k": 60, "city": "Voss", "n": 5}, {"k": 61, "city": "Oslo", "n": 5}])
    assert store.indexes()["by_length"].names == ("cel: size(city)", "n")
