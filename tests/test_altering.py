"""Schemas that change while stores are in use: behind an unlock, built beside the old, and swapped in one commit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sopnb
from sopnb.engine.building import Builder
from sopnb.errors import Conflict, DuplicateKey, InvalidInput, InvalidState, ReadOnly, SchemaMismatch, StoreNotFound
from tests.api_support import QUIET

FRAME = pd.DataFrame(
    {
        "k": range(6),
        "city": pd.Categorical(["Oslo", None, "Bergen", "Oslo", "Ås", "Bergen"], categories=["Ås", "Oslo", "Bergen"]),
        "n": pd.array([3, 1, 2, 3, 1, 2], dtype="int16"),
        "when": pd.date_range("2013-01-01", periods=6, tz="America/New_York"),
        "doc": [{"a": 1}, {}, {"b": [None]}, {}, {}, {}],
    }
)


@pytest.fixture
def store(db: sopnb.Database) -> sopnb.Store:
    return db.load("places", FRAME, index="k")


def test_columns_are_added_dropped_renamed_and_widened_at_once(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_city", ["city", "-n"], carrying="when")
    before = store[0].seq
    with db.unlock("the new report", author="ada") as admin:
        admin.alter(
            "places",
            add={"note": "string", "checked": ("bool", False), "price": ("decimal128(5, 2)", Decimal("1.50"))},
            drop="doc",
            rename={"city": "town", "when": "at"},
            types={"n": "int64"},
        )
    frame = store[:].to_pandas()
    expected = FRAME.drop(columns="doc").rename(columns={"city": "town", "when": "at"}).astype({"n": "int64"})
    pd.testing.assert_frame_equal(frame[expected.columns], expected)
    assert frame["note"].isna().all()
    assert not frame["checked"].any()
    assert frame["price"].tolist() == [Decimal("1.50")] * 6
    assert store[0].seq == before, "no record was written anew, as far as people see"
    assert store.indexes() == {"by_city": sopnb.IndexSpecification.of("town", "-n", unique=False, carrying="at")}
    assert store.by("by_city").prefix("Oslo").to_pandas()["k"].tolist() == [0, 3]
    assert store.find(town="Bergen").count() == 2
    store.update(0, {"n": 2**40, "note": "large"})
    message = db.log().iloc[-2]["message"]
    assert "unlocked: the new report" in message
    assert "add note, add checked, add price, drop doc, rename city to town" in message
    assert db.log().iloc[-2]["author"] == "ada"


def test_a_key_is_changed_and_everything_finds_its_record(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_n", "n")
    with db.unlock("by day") as admin:
        admin.alter("places", index=["-when"])
        assert [record["k"] for record in store[:].records()] == [5, 4, 3, 2, 1, 0]
        assert store[pd.Timestamp("2013-01-03", tz="America/New_York")]["k"] == 2
        assert store.by("by_n").to_pandas()["k"].tolist() == [4, 1, 5, 2, 3, 0]
        admin.alter("places", index=sopnb.IndexSpecification.of("n", unique=False))
        ids = list(store.keys())
        assert [key[0] for key in ids] == [1, 1, 2, 2, 3, 3]
        assert store.update(ids[0], {"city": "Oslo"}).updated == 1
        admin.alter("places", index=["n", "k"], add={"x": "int64"})
        assert list(store.keys()) == [(1, 1), (1, 4), (2, 2), (2, 5), (3, 0), (3, 3)]
    pd.testing.assert_frame_equal(
        store[:].to_pandas().drop(columns="x").sort_values("k", ignore_index=True).drop(columns="city"), FRAME.drop(columns="city")
    )


def test_a_new_key_that_is_not_unique_is_refused_and_leaves_no_trace(db: sopnb.Database, store: sopnb.Store) -> None:
    stores, commits = db.info()["stores"], len(db.log())
    with db.unlock("try") as admin, pytest.raises(DuplicateKey, match="store 'places'.*of more than one record in the new index"):
        admin.alter("places", index="n")
    assert db.info()["stores"] == stores
    assert len(db.log()) == commits
    assert store[:].to_pandas().equals(FRAME)


@pytest.mark.parametrize("late", [False, True])
def test_the_key_that_several_records_would_have_is_named(monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """Wherever it is found: in pieces that are put together, or among what others wrote meanwhile."""
    handle = sopnb.HandleSettings(progress=False, maintenance="off", load_bytes=20_000)
    with sopnb.open(":memory:", settings=sopnb.DatabaseSettings(leaf_rows=64, inline_rows=10), handle=handle) as db:
        store = db.create("pairs", schema={"k": "int64", "u": "int64"}, index="k")
        store.insert(pd.DataFrame({"k": range(3000), "u": [7 if k == 2900 and not late else k for k in range(3000)]}))
        monkeypatch.setattr(Builder, "fill", _first(lambda: store.update(2900, {"u": 7}), Builder.fill))
        with db.unlock("try") as admin, pytest.raises(DuplicateKey, match="store 'pairs': key 7 is of more than one record"):
            admin.alter("pairs", index="u")
        assert len(db._lease.engine.state().by_id) == 1
        assert db.check().ok


def test_what_cannot_be_is_refused_with_the_remedy(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_city", "city")
    with db.unlock("mistakes") as admin:
        for how, kind, reason in (
            ({}, InvalidInput, "asked for nothing"),
            ({"drop": "x"}, InvalidInput, "no column 'x'"),
            ({"drop": "k"}, InvalidInput, "'k' is part of the key; give another key"),
            ({"drop": "city"}, InvalidInput, "'city' is part of the index 'by_city'; drop the index first"),
            ({"rename": {"x": "y"}}, InvalidInput, "no column 'x'"),
            ({"rename": {"n": "k"}}, InvalidInput, "'k' is there twice"),
            ({"add": {"n": "int64"}}, InvalidInput, "'n' is there twice"),
            ({"add": {"x": "int64!"}}, InvalidInput, "'x' may not be null; give the value"),
            ({"add": {"x": ("int64", "one")}}, SchemaMismatch, "'x'"),
            ({"add": {"x": "integer"}}, InvalidInput, "'x': 'integer' is no type"),
            ({"types": {"n": "int8"}}, SchemaMismatch, "'n': int16 cannot become int8 without loss"),
            ({"types": {"n": "string"}}, SchemaMismatch, "without loss"),
            ({"types": {"doc": "string"}}, SchemaMismatch, "'doc'"),
            ({"types": {"x": "int64"}}, InvalidInput, "no column 'x' to widen"),
            ({"index": "doc"}, InvalidInput, "'doc'"),
            ({"index": "x"}, InvalidInput, "'x'"),
        ):
            with pytest.raises(kind, match=reason):
                admin.alter("places", **how)  # type: ignore[arg-type]
        with pytest.raises(StoreNotFound):
            admin.alter("nowhere", drop="x")
    with pytest.raises(InvalidState, match="the unlock is over"):
        admin.alter("places", drop="n")
    for reason in ("", "  ", None):
        with pytest.raises(InvalidInput, match="needs the reason"):
            db.unlock(reason)  # type: ignore[arg-type]
    assert store[:].to_pandas().equals(FRAME)


def test_an_expression_in_a_key_or_index_is_changed_and_kept(db: sopnb.Database, store: sopnb.Store) -> None:
    store.create_index("by_length", ["cel: size(string(n)) + n", "k"])
    with db.unlock("expressions") as admin:
        admin.alter("places", index=["cel: n * 10", "k"], add={"x": ("int64", 1)})
        assert list(store.keys()) == [(10, 1), (10, 4), (20, 2), (20, 5), (30, 0), (30, 3)]
        assert store.by("by_length").to_pandas()["k"].tolist() == [1, 4, 2, 5, 0, 3]
        with pytest.raises(InvalidInput, match="'n' is in the expression 'cel: n . 10' of the key; give another key"):
            admin.alter("places", rename={"n": "m"})
        with pytest.raises(InvalidInput, match="'n' is in the expression .* of the index 'by_length'; drop the index first"):
            admin.alter("places", drop="n", index="k")
        admin.alter("places", index=["cel: -n", "k"])
        assert list(store.keys()) == [(-3, 0), (-3, 3), (-2, 2), (-2, 5), (-1, 1), (-1, 4)]
        assert store[(-2, 5)]["x"] == 1
        store.drop_index("by_length")
        admin.alter("places", index="k", rename={"n": "m"})
    assert list(store.keys()) == list(range(6))


def test_readers_keep_their_state_and_transactions_run_again(db: sopnb.Database, store: sopnb.Store) -> None:
    snapshot, selection = db.at(), store[2:4]
    late = db.transaction()
    late.__enter__()
    late["places"].update(1, {"n": 9})
    lease = db._lease
    lease.leave()  # the thread does something else meanwhile
    with db.unlock("rename") as admin:
        admin.alter("places", rename={"n": "number"})
    lease.enter()
    with pytest.raises(Conflict, match="'places'"):
        late.commit()
    lease.leave()
    assert snapshot["places"][:].to_pandas().equals(FRAME)
    with pytest.raises(InvalidState, match="another schema than when this selection was made"):
        selection.to_pandas()
    db.run(lambda tx: tx["places"].update(1, {"number": 9}))
    assert store[1]["number"] == 9


def test_an_interrupt_leaves_the_store_as_it_was(db: sopnb.Database, store: sopnb.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create_index("by_n", "n")
    for step in ("fill", "verify", "step"):
        with monkeypatch.context() as patch:
            patch.setattr(Builder, step, _interrupted(getattr(Builder, step), unless="attach"))
            with db.unlock("try") as admin, pytest.raises(KeyboardInterrupt):
                admin.alter("places", rename={"n": "number"})
        assert store[:].to_pandas().equals(FRAME)
        assert len(db._lease.engine.state().by_id) == 2
    with db.unlock("again") as admin:
        admin.alter("places", rename={"n": "number"})
    assert store.indexes()["by_n"].names == ("number",)


def test_only_who_may_write_alters(tmp_path: Any) -> None:
    with sopnb.open(tmp_path / "db", handle=QUIET) as db:
        db.load("places", FRAME, index="k")
    with sopnb.open(tmp_path / "db", mode="r", handle=QUIET) as db, db.unlock("no") as admin, pytest.raises(ReadOnly):
        admin.alter("places", drop="n")


def test_a_frame_with_its_own_index_and_kinds_comes_back_with_them(db: sopnb.Database) -> None:
    frame = FRAME.drop(columns=["k", "doc"]).set_index("when")
    store = db.load("days", frame)
    with db.unlock("names") as admin:
        admin.alter("days", rename={"when": "day", "city": "town"}, add={"x": ("float64", 0.5)})
    expected = frame.rename(columns={"city": "town"}).rename_axis("day").assign(x=0.5)
    pd.testing.assert_frame_equal(store[:].to_pandas(), expected, check_freq=False)
    with db.unlock("another key") as admin:
        admin.alter("days", drop="day", index=sopnb.IndexSpecification.of("town", unique=False))
    assert sorted(store[:].to_pandas()["n"].tolist()) == sorted(frame["n"].tolist())


@pytest.mark.parametrize("rows", [6, 2000])
def test_records_may_exchange_their_new_keys_while_the_store_gets_them(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Of one transaction the deletions come first, else the second record would take away what the first has just been given."""
    small = sopnb.DatabaseSettings(leaf_rows=64, leaf_bytes=1024, inline_rows=10)
    handle = sopnb.HandleSettings(progress=False, maintenance="off", load_bytes=20_000)
    half = rows // 2
    exchanges = 0
    with sopnb.open(":memory:", settings=small, handle=handle) as db:
        store = db.create("pairs", schema={"k": "int64", "u": "int64"}, index="k")
        store.insert(pd.DataFrame({"k": range(rows), "u": range(rows)}))

        def exchange() -> None:
            nonlocal exchanges
            exchanges += 1
            order = [(k + half * (exchanges % 2)) % rows for k in range(rows)]
            store.upsert(pd.DataFrame({"k": range(rows), "u": order}))

        for name in ("fill", "verify", "step"):
            monkeypatch.setattr(Builder, name, _first(exchange, getattr(Builder, name)))
        with db.unlock("the other number") as admin:
            admin.alter("pairs", index="u")
        expected = [(k + half * (exchanges % 2)) % rows for k in range(rows)]
        assert exchanges >= 3
        assert store[:].to_arrow().to_pydict() == {"k": [expected.index(u) for u in range(rows)], "u": list(range(rows))}
        assert db.check().ok


values = st.dictionaries(st.integers(0, 40), st.tuples(st.one_of(st.none(), st.text("ab", max_size=2)), st.integers(-2, 2)), max_size=25)
changes = st.dictionaries(st.integers(0, 40), st.none() | st.tuples(st.just("c"), st.integers(-2, 2)), max_size=4)
keys = st.sampled_from([["-k"], ["n", "k"], ["-s", "k"], None])


@settings(deadline=None, max_examples=50)
@given(values, st.lists(changes, max_size=8), keys, st.booleans(), st.booleans())
def test_what_is_written_while_a_store_is_altered_is_there_afterwards(
    before: dict[int, Any], meanwhile: list[dict[int, Any]], key: Any, unique: bool, indexed: bool
) -> None:
    tiny = sopnb.DatabaseSettings(leaf_rows=4, leaf_bytes=256, inline_rows=3, tail_rows=10)
    with sopnb.open(":memory:", handle=QUIET, settings=tiny) as db:
        store = db.create("s", schema={"k": "int64", "s": "string", "n": "int32"}, index="k")
        store.insert([{"k": k, "s": s, "n": n} for k, (s, n) in before.items()])
        if indexed:
            store.create_index("i", "-n")
        model = dict(before)
        waiting = list(meanwhile)

        def write() -> None:
            for each in waiting[:2]:
                with db.transaction() as tx:
                    for k, row in each.items():
                        tx["s"].delete(k) if row is None else tx["s"].upsert({"k": k, "s": row[0], "n": row[1]})
                        model.pop(k, None)
                        model.update({} if row is None else {k: row})
            del waiting[:2]

        steps = {name: getattr(Builder, name) for name in ("fill", "verify", "step")}
        try:
            for name, whole in steps.items():
                setattr(Builder, name, _first(write, whole))
            with db.unlock("test") as admin:
                index = None if key is None else sopnb.IndexSpecification.of(*key, unique=unique)
                admin.alter(
                    "s", types={"n": "int64"}, rename={"s": "t"} if key != ["-s", "k"] else {}, add={"x": ("string", "new")}, index=index
                )
        finally:
            for name, whole in steps.items():
                setattr(Builder, name, whole)
        table = store[:].to_arrow()
        text = "s" if key == ["-s", "k"] else "t"
        assert {r["k"]: (r[text], r["n"]) for r in table.to_pylist()} == model
        assert table.schema.field("n").type == pa.int64()
        assert table.schema.names == ["k", text, "n", "x"]
        if indexed:
            assert store.by("i").to_arrow()["n"].to_pylist() == sorted((n for _, n in model.values()), reverse=True)
            assert store.by("i").where(pc.field("n") == 1).count() == sum(n == 1 for _, n in model.values())
        assert db.check().ok, repr(db.check())


def _interrupted(whole: Any, *, unless: str) -> Any:
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args[0] == unless:
            return whole(self, *args, **kwargs)
        raise KeyboardInterrupt

    return wrapped


def _first(do: Any, whole: Any) -> Any:
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        do()
        return whole(self, *args, **kwargs)

    return wrapped
