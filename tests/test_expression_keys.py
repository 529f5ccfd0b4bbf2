"""Keys that are expressions: computed once when a record is written, ordered and found like any column, and seen by nobody."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import DuplicateKey, IndexField, IndexSpecification, InvalidInput, KeyNotFound, SchemaMismatch
from sopnb.computed import Computed
from tests.api_support import QUIET, SMALL

ROUTE = "cel: origin.lowerAscii() + dest"


@pytest.fixture
def db() -> Any:
    db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
    yield db
    assert db.check().ok, repr(db.check())


@pytest.fixture
def trips(db: Any) -> Any:
    frame = pd.DataFrame({"origin": ["JFK", "EWR", "jfk", None], "dest": ["IAH", "MIA", "LAX", "SFO"], "n": [1, 2, 3, 4]})
    return db.load("trips", frame, index=IndexSpecification.of(ROUTE, "-n"))


def test_records_are_in_the_order_of_the_expression_and_found_by_its_value(trips: Any) -> None:
    assert list(trips.keys()) == [("ewrMIA", 2), ("jfkIAH", 1), ("jfkLAX", 3), (None, 4)]
    assert trips["jfkIAH", 1] == {"origin": "JFK", "dest": "IAH", "n": 1}
    assert trips["jfkIAH", 1].key == ("jfkIAH", 1)
    assert trips.first().key == ("ewrMIA", 2)
    assert ("jfkLAX", 3) in trips
    assert trips.get(("JFKIAH", 1)) is None
    assert [record["n"] for record in trips.prefix(startswith="jfk").records()] == [1, 3]
    assert trips.range("f", "jfkJ").count() == 1
    assert trips[:].reverse().row(0)["n"] == 4
    assert trips.nearest("jfkK") == (False, trips["jfkLAX", 3])
    with trips.cursor() as cursor:
        assert cursor.seek("jfkIAH")
        assert (cursor.key, cursor.record.key) == (("jfkIAH", 1), ("jfkIAH", 1))


def test_nobody_sees_the_column_who_does_not_name_it(db: Any, trips: Any) -> None:
    assert trips.schema.names == ["origin", "dest", "n"]
    assert list(trips[:].to_pandas().columns) == ["origin", "dest", "n"]
    assert trips[:].to_arrow().schema.names == ["origin", "dest", "n"]
    assert list(trips.get_many([("jfkIAH", 1)]).columns) == ["origin", "dest", "n"]
    assert "lowerAscii" not in repr(trips[:]).partition("\n")[2]
    assert trips.select(ROUTE, "n").head(1).to_dict("records") == [{ROUTE: "ewrMIA", "n": 2}]
    assert db.sql("select * from trips where n = 1").to_dicts() == [{"origin": "JFK", "dest": "IAH", "n": 1}]


def test_a_frame_comes_back_as_it_was(db: Any) -> None:
    frame = pd.DataFrame({"word": ["bb", "a", "ccc"], "n": pd.array([1, None, 3], "Int64")}, index=pd.Index([7, 8, 9], name="i"))
    store = db.load("words", frame, index=["cel: size(word)"])
    pd.testing.assert_frame_equal(store[:].to_pandas(), frame.reset_index().iloc[[1, 0, 2]].reset_index(drop=True), check_like=True)
    again = db.load("again", store[:].to_pandas(), index=store.index)
    assert again[:].to_pandas().equals(store[:].to_pandas())


def test_every_way_to_write_computes_it(db: Any, trips: Any) -> None:
    trips.insert({"origin": "LGA", "dest": "ORD", "n": 9})
    trips.upsert([{"origin": "lga", "dest": "ORD", "n": 9}, {"origin": "SFO", "dest": "JFK", "n": 1}])
    assert trips["lgaORD", 9]["origin"] == "lga"
    counts = trips.upsert(pd.DataFrame({"origin": ["LGA", "ABC"], "dest": ["ORD", "DEF"], "n": [9, 1]}))
    assert (counts.inserted, counts.updated) == (1, 1)
    with pytest.raises(DuplicateKey):
        trips.insert({"origin": "lga", "dest": "ORD", "n": 9})
    trips.replace({"origin": "ABC", "dest": "DEF", "n": 1})
    with db.transaction() as tx:
        tx["trips"].insert({"origin": "ZZZ", "dest": "AAA", "n": 0})
        assert ("zzzAAA", 0) in tx["trips"]
    assert trips.delete(pd.DataFrame({"origin": ["ABC"], "dest": ["DEF"], "n": [1]})).deleted == 1
    assert trips.delete([("zzzAAA", 0), ("nobody", 1)]).missing == 1
    assert trips.delete(pd.MultiIndex.from_tuples([("sfoJFK", 1)], names=[ROUTE, "n"])).deleted == 1
    assert trips.get_many(pd.DataFrame({"origin": ["LGA"], "dest": ["ORD"], "n": [9]}))["origin"].tolist() == ["LGA"]
    assert trips.get_many(pd.DataFrame({ROUTE: ["lgaORD"], "n": [9]}))["origin"].tolist() == ["LGA"]
    db.load("trips", pd.DataFrame({"origin": ["Q"], "dest": ["Q"], "n": [0]}), if_exists="upsert")
    db.fold()
    assert list(trips.keys()) == [("ewrMIA", 2), ("jfkIAH", 1), ("jfkLAX", 3), ("lgaORD", 9), ("qQ", 0), (None, 4)]


def test_what_it_is_computed_from_does_not_change(trips: Any) -> None:
    before = trips[:].to_arrow()
    for change in (
        lambda: trips.update(("jfkIAH", 1), {"dest": "X"}),
        lambda: trips.where("n == 1").update({"origin": "X"}),
        lambda: trips.prefix("jfkIAH").update({"dest": "X"}),
    ):
        with pytest.raises(InvalidInput, match=r"is what the key field 'cel: origin.lowerAscii\(\) \+ dest' is computed from"):
            change()
    with pytest.raises(InvalidInput, match="is part of the key"):
        trips.update(("jfkIAH", 1), {"n": 5})
    with pytest.raises(KeyNotFound):
        trips.update({"origin": "JFK", "dest": "nowhere", "n": 1})
    for rows in ({"origin": "JFK", "n": 1}, [{"origin": "JFK", "n": 1}], pd.DataFrame({"origin": ["JFK"], "n": [1]})):
        with pytest.raises(SchemaMismatch, match="'dest'"):
            trips.upsert(rows)
    with pytest.raises(SchemaMismatch, match="no column 'cel: origin"):
        trips.insert({"origin": "JFK", "dest": "LAX", "n": 1, ROUTE: "x"})
    assert trips[:].to_arrow().equals(before)


def test_columns_beside_it_change(db: Any) -> None:
    store = db.load("words", pd.DataFrame({"word": ["bb", "a"], "n": [1, 2]}), index=["cel: size(word)", "word"])
    assert store.update((1, "a"), {"n": 7}).updated == 1
    assert store.update({"word": "bb", "n": 8}).updated == 1
    assert store.where("n > 0").update({"n": 9}).updated == 2
    assert store.update((1, "a"), {**store[1, "a"], "n": 3}).updated == 1
    assert store[:].to_dicts() == [{"word": "a", "n": 3}, {"word": "bb", "n": 9}]


def test_a_store_that_is_not_unique(db: Any) -> None:
    store = db.create("words", {"word": "string", "n": "int64"}, IndexSpecification.of("-cel: size(word)", unique=False))
    store.insert([{"word": "a", "n": 1}, {"word": "bb", "n": 2}])
    store.insert(pd.DataFrame({"word": ["cc", "", None], "n": [3, 4, 5]}))
    assert store[:].to_pandas()["n"].tolist()[:3] == [2, 3, 1]
    key = store[:].row(0).key
    assert key[0] == 2
    assert store[key]["n"] == 2
    assert store.delete([key]).deleted == 1
    assert store.update(store[:].row(0).key, {"n": 30}).updated == 1
    assert [record["n"] for record in store[:].records()] == [30, 1, 4, 5]


def test_types_are_kept_and_other_stores_are_described_as_before(db: Any, trips: Any, tmp_path: Any) -> None:
    plain = db.load("plain", pd.DataFrame({"a": [1]}), index="a")
    assert "computed" not in plain._access.peek().schema.to_dict()
    kinds = {
        "cel: n + 1": pa.int64(),
        "cel: n / 2.0": pa.float64(),
        "cel: n > 1": pa.bool_(),
        "cel: at - duration('1h')": pa.timestamp("us", "UTC"),
        "cel: at - at": pa.duration("us"),
        "cel: bytes(word)": pa.binary(),
        "cel: uint(n)": pa.uint64(),
        "cel: doc.x == null ? word : string(doc.x)": pa.string(),
    }
    path = tmp_path / "db"
    rows = [{"n": n, "at": f"2013-01-0{n}", "word": "ab"[n - 1], "doc": {"x": n} if n > 1 else {}} for n in (1, 2)]
    with sopnb.open(path, handle=QUIET) as made:
        for i, name in enumerate(kinds):
            columns = {"n": "int64", "at": "timestamp[us, UTC]", "word": "string", "doc": "json"}
            made.create(f"s{i}", columns, IndexSpecification.of(name, "n")).insert(rows)
    with sopnb.open(path, handle=QUIET) as again:
        for i, (name, kind) in enumerate(kinds.items()):
            schema = again[f"s{i}"]._access.peek().schema
            assert schema.physical.field(name).type == kind
            assert [record["n"] for record in again[f"s{i}"][:].records()] in ([1, 2], [2, 1])
            assert again[f"s{i}"].index == IndexSpecification.of(name, "n")
        assert again.check().ok


def test_a_condition_on_the_expression_narrows_the_keys(trips: Any) -> None:
    found = trips.where("origin.lowerAscii() + dest == 'jfkIAH' && n > 0")
    assert found.to_dicts() == [{"origin": "JFK", "dest": "IAH", "n": 1}]
    assert found.explain().pushed[0] == f"keys by {ROUTE!r}, 'n'"
    begun = trips.where("(origin.lowerAscii() + dest) >= 'jfk' && origin.lowerAscii() + dest < p", p="jfkL")
    assert (begun.count(), begun.explain().pushed[0]) == (1, f"keys by {ROUTE!r}")
    assert trips.where("[1].exists(i, origin.lowerAscii() + dest == 'jfkIAH')").count() == 1


def test_a_condition_on_another_constant_is_on_another_expression(db: Any) -> None:
    frame = pd.DataFrame({"at": pd.to_datetime([0, 1, 2], unit="s", utc=True)})
    store = db.load("moments", frame, index=["cel: at + duration('1000000s')"])
    for seconds, row in (("1000000", 1), ("1000001", 0)):
        found = store.where(f"at + duration('{seconds}s') == timestamp('1970-01-12T13:46:41Z')")
        assert [record["at"] for record in found.records()] == [frame["at"][row]]


def test_check_compares_what_is_stored_with_what_the_columns_give(db: Any, trips: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Computed.column
    monkeypatch.setattr(Computed, "column", lambda self, table, **how: pc.utf8_upper(right(self, table, **how)))
    trips.insert({"origin": "LGA", "dest": "ORD", "n": 9})
    monkeypatch.undo()
    (problem,) = db.check()
    assert problem.what == "of the record ('LGAORD', 9) it is not what its columns give"
    assert problem.where == f"key field {ROUTE!r}"
    trips.delete([("LGAORD", 9)])


def test_reading_needs_no_engine(tmp_path: Any) -> None:
    path = tmp_path / "db"
    with sopnb.open(path, handle=QUIET) as made:
        made.create("s", {"n": "int64"}, IndexSpecification.of("cel: n / n", "n")).insert([{"n": 1}, {"n": 2}])
    code = f"""
import sys
sys.modules["cel_expr_python"] = sys.modules["celpy"] = None
import sopnb
with sopnb.open({str(path)!r}) as db:
    assert [r["n"] for r in db["s"][:].records()] == [1, 2] and db["s"][1, 2]["n"] == 2
    try:
        db["s"].insert({{"n": 3}})
    except ImportError as error:
        print(error.package)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "cel-expr-python"), run.stderr


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("cel: colour + 1", "index field 'cel: colour [+] 1': there is no column or parameter 'colour'"),
        ("cel: n +", "ends too early"),
        ("cel: 1 + 1", "it is the same for every record"),
        ("cel: [n]", "of type list"),
        ("cel: doc.x", "of type dyn; say which with int"),
        ("cel: n > 'x'", "does not take int, string"),
        ("cel:", "the expression is empty"),
    ],
)
def test_what_is_no_key_is_refused_at_creation(db: Any, field: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        db.create("s", {"n": "int64", "doc": "json"}, field)
    assert not db.stores()


def test_specifications_carry_expressions_through_json() -> None:
    specification = IndexSpecification.of("-cel:  a + b ", "c")
    assert specification.fields[0] == IndexField("cel: a + b", descending=True)
    assert specification.fields[0].expression == "a + b"
    assert specification.fields[1].expression is None
    assert IndexSpecification.from_json(specification.to_json()) == specification
    assert repr(specification) == "IndexSpecification(-cel: a + b, c)"


def test_another_key_for_a_store_in_use(db: Any, trips: Any) -> None:
    trips.create_index("by_n", "n")
    with db.unlock("shorter") as admin:
        admin.alter("trips", index=["cel: dest.lowerAscii()", "n"])
    assert list(trips.keys()) == [("iah", 1), ("lax", 3), ("mia", 2), ("sfo", 4)]
    assert trips.by("by_n").to_pandas()["n"].tolist() == [1, 2, 3, 4]
    with db.unlock("plain") as admin:
        admin.alter("trips", index=["n"])
    assert list(trips.keys()) == [1, 2, 3, 4]
    with db.unlock("back") as admin:
        admin.alter("trips", index=["cel: size(origin)", "n"], rename={"dest": "to"})
    assert list(trips.keys()) == [(3, 1), (3, 2), (3, 3), (None, 4)]
    with pytest.raises(InvalidInput, match="'origin' is in the expression"), db.unlock("gone") as admin:
        admin.alter("trips", drop="origin")


def test_a_wider_frame_widens_the_store(db: Any) -> None:
    store = db.load("s", pd.DataFrame({"a": np.array([1, 2], "int16"), "b": [1, 2]}), index=["cel: a % 2", "a"])
    db.load("s", pd.DataFrame({"a": [2**40 + 1], "b": [3], "c": ["x"]}), if_exists="insert", widen=True)
    assert list(store.keys()) == [(0, 2), (1, 1), (1, 2**40 + 1)]
    assert store.schema.field("a").type == pa.int64()


_rows = st.lists(
    st.fixed_dictionaries({"a": st.none() | st.integers(-3, 3), "s": st.none() | st.sampled_from(["", "a", "B", "ab", "é"])}), max_size=10
)


@pytest.mark.timeout(7200)
@given(_rows, _rows, st.booleans(), st.sampled_from(["first", "last"]), st.booleans())
def test_every_search_is_that_of_a_column_with_the_same_values(loaded: Any, written: Any, descending: bool, nulls: Any, fold: bool) -> None:
    """A store keyed by expressions, and one with real columns that hold their values, answer alike."""
    fields = (IndexField("cel: size(s) * 10 / a", descending, nulls), IndexField("cel: s.lowerAscii()", not descending, nulls))
    db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
    columns = {"a": "int64", "s": "string", "n": "int64"}
    store = db.create("computed", columns, IndexSpecification(fields, unique=False))
    own = tuple(IndexField(name, field.descending, nulls) for name, field in zip("xy", fields, strict=True))
    schema = pa.schema([("a", pa.int64()), ("s", pa.string()), ("n", pa.int64()), ("x", pa.int64()), ("y", pa.string())])
    plain = db.create("plain", schema, IndexSpecification(own, unique=False))
    rows = [{**row, "n": n} for n, row in enumerate([*loaded, *written])]
    for several in (rows[: len(loaded)], rows[len(loaded) :]):
        if several:
            store.insert(pd.DataFrame(several).astype({"a": "Int64", "s": "string"}) if len(several) > 3 else several)
            plain.insert([{**row, "x": _x(row), "y": None if row["s"] is None else row["s"].lower()} for row in several])
        if fold:
            db.fold()

    def numbers(selection: Any) -> Any:
        return selection.to_arrow().column("n").to_pylist()

    assert numbers(store[:]) == numbers(plain[:])
    for x in (None, -10, 0, 5, 10):
        assert numbers(store.prefix(x)) == numbers(plain.prefix(x))
        assert numbers(store.range((x,), None).reverse()) == numbers(plain.range((x,), None).reverse())
        for y in ("a", "ab", None):
            assert numbers(store.prefix(x, y)) == numbers(plain.prefix(x, y))
        assert numbers(store.prefix(x, startswith="a")) == numbers(plain.prefix(x, startswith="a"))
        assert store.nearest(x).found == plain.nearest(x).found
    assert numbers(store.where("size(s) * 10 / a > 0")) == numbers(plain.where("x > 0"))
    assert db.check().ok


def _x(row: dict[str, Any]) -> Any:
    if row["a"] is None or row["s"] is None or row["a"] == 0:
        return None
    product = len(row["s"]) * 10
    return product // abs(row["a"]) * (1 if row["a"] > 0 else -1)
