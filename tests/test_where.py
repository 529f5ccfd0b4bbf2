"""``where`` with text: what it finds is what the same condition in Arrow's own words finds, and explain says who judged it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import IndexField, IndexSpecification, InvalidInput, SchemaMismatch
from sopnb.cel import program
from sopnb.cel.engines.engine import ENGINES, engine
from sopnb.cel.vectorised import evaluated
from tests.api_support import QUIET, SMALL, databases
from tests.cel.conditions import SCHEMA, Condition, conditions, records

PLAIN = ("x", "y", "s", "t", "f", "yes")
EXPRESSIONS = ("cel: y * 2 - 1", "cel: s + w", "cel: y / u")


@st.composite
def _fields(draw: Any, names: Any) -> tuple[IndexField, ...]:
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return tuple(IndexField(name, draw(st.booleans()), draw(st.sampled_from(["first", "last"]))) for name in chosen)


@st.composite
def stores(draw: Any, names: Any = (*PLAIN, *EXPRESSIONS)) -> Any:
    """Draw a store of a base, runs, a tail and deletions, whose keys are columns and expressions, up or down, nulls first or last."""
    fields = draw(_fields(names))
    db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
    store = db.create("things", pa.schema([*SCHEMA, pa.field("n", pa.int64())]), IndexSpecification(fields, unique=False))
    n = 0
    for step in range(draw(st.integers(1, 3))):
        rows = [{**row, "n": n + i} for i, row in enumerate(draw(st.lists(records, max_size=12)))]
        n += len(rows)
        if rows:
            store.insert(pa.Table.from_pylist(rows, schema=store.schema) if len(rows) > 3 else rows)
        held = list(store.keys())
        store.delete(draw(st.lists(st.sampled_from(held), max_size=3)) if held else [])
        if step == 0 and draw(st.booleans()):
            db.fold()
    return db, store


@pytest.mark.timeout(7200)
@databases()
@given(stores(), _fields((*PLAIN, *EXPRESSIONS)), conditions, st.sampled_from(list(ENGINES)))
def test_text_finds_what_arrow_finds(world: Any, fields: Any, condition: Condition, package: str) -> None:
    db, store = world
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "engine", lambda: engine(package))
        store.create_index("other", IndexSpecification(fields, unique=False))
        for by in (store.by("other"), store.by("other").reverse()):
            in_its_order = by.to_arrow()
            expected = in_its_order.filter(evaluated(condition.expression, in_its_order).fill_null(False)) if in_its_order else in_its_order
            assert by.where(condition.text).to_arrow().column("n").to_pylist() == expected.column("n").to_pylist()
        found, expected = store.where(condition.text), store.where(condition.expression)
        numbers = expected.to_arrow().column("n").to_pylist()
        assert found.to_arrow().column("n").to_pylist() == numbers
        assert found.reverse().to_arrow().column("n").to_pylist() == numbers[::-1]
        assert found.count() == len(numbers)
        everything = store[:].to_arrow()
        kept = everything.filter(evaluated(condition.expression, everything).fill_null(False)) if everything else everything
        assert kept.column("n").to_pylist() == numbers
        assert found.delete().deleted == len(numbers)
        assert len(store) == everything.num_rows - len(numbers)
    assert db.check().ok


@pytest.fixture
def db() -> Any:
    return sopnb.open(":memory:", settings=SMALL, handle=QUIET)


@pytest.fixture
def flights(db: Any) -> Any:
    begin = datetime(2013, 1, 1, 5, tzinfo=UTC)
    frame = pd.DataFrame(
        {
            "time_hour": [begin + timedelta(hours=i // 4) for i in range(200)],
            "flight": [i % 4 for i in range(200)],
            "dest": ["IAH" if i % 3 else "MIA" for i in range(200)],
            "dep_delay": pd.array([None if i % 7 == 0 else i - 50 for i in range(200)], "Int64"),
            "codes": [[i, i % 5] for i in range(200)],
        }
    )
    return db.load("flights", frame, index=["time_hour", "flight"])


def test_the_example_of_the_manual(flights: Any) -> None:
    late = flights.where("dep_delay > limit && dest == 'IAH'", limit=60)
    frame = flights[:].to_pandas()
    expected = frame[(frame.dep_delay > 60).fillna(False) & (frame.dest == "IAH")].reset_index(drop=True)
    pd.testing.assert_frame_equal(late.to_pandas(), expected)
    assert late.select("dest").to_dicts() == [{"dest": "IAH"}] * len(expected)
    assert late.rows(3, 6).dep_delay.tolist() == expected.dep_delay[3:6].tolist()
    assert late.tail(2).dep_delay.tolist() == expected.dep_delay[-2:].tolist()
    first, token = late.next_page(size=10)
    second, _ = late.next_page(token, size=10)
    assert [*first.dep_delay, *second.dep_delay] == expected.dep_delay[:20].tolist()
    assert late.explain().condition == '(dep_delay > 60) && (dest == "IAH")'
    assert 'where (dep_delay > 60) && (dest == "IAH")' in repr(late)


def test_explain_says_who_judges_what(flights: Any) -> None:
    text = "time_hour >= '2013-01-02' && dep_delay > 10 && codes.exists(c, c == 3) && flight / flight == 1"
    told = flights.where(text).explain(run=True)
    assert told.pushed == ("keys by 'time_hour'", "leaves by the bounds of 'time_hour', 'dep_delay'")
    assert [how.partition(":")[0] for how in told.judged] == ["many at once", "record by record"]
    assert told.judged[1] == "record by record: codes.exists(c, (c == 3)) && ((flight / flight) == 1)"
    assert "  judged     record by record: " in repr(told)
    assert told.leaves_skipped > 0
    plain = flights.where("dep_delay > 10").explain()
    assert plain.judged == ("many at once",)
    assert flights.where("flight / flight == 1").explain().judged == ("record by record: (flight / flight) == 1",)
    assert flights[:].explain().judged == ()


def test_the_field_after_a_prefix_narrows_the_range(flights: Any) -> None:
    hour = flights.prefix("2013-01-01 07:00")
    for text, told, rows in (
        ("flight == 2", "keys by 'flight'", 1),
        ("flight >= 2 && dep_delay < 0", "keys by 'flight'", 2),
        ("time_hour >= '2013-01-01' && flight < 1", "keys by 'time_hour', 'flight'", 1),
        ("time_hour > '2013-01-01 07:00' && flight < 1", "keys by 'time_hour', 'flight'", 0),
        ("dest == 'IAH'", None, 4),
    ):
        narrowed = hour.where(text)
        assert narrowed.explain().pushed[0] == told or told is None
        keys = narrowed._scan.range
        assert flights._access.peek().count(keys.lo, keys.hi) == rows
    assert hour.where("flight == 2").usage(flights.index).bound == ("time_hour", "flight")
    short = flights.range("2013-01-01 07:00", ("2013-01-01 07:00", 3))
    assert short.where("flight > 1").explain().pushed[0] == "keys by 'flight'"
    assert short.where("flight > 1").to_dicts() == hour.to_dicts()[2:3]
    assert flights.range("2013-01-01 07:00", "2013-01-01 09:00").where("flight == 2").explain().pushed == (
        "leaves by the bounds of 'flight'",
    )


@pytest.mark.timeout(7200)
@databases()
@given(stores(PLAIN), st.data())
def test_a_condition_on_what_follows_a_prefix_finds_what_arrow_finds(world: Any, data: Any) -> None:
    _, store = world
    rows = store[:].to_arrow()
    if not rows:
        return
    drawn = st.integers(0, rows.num_rows - 1)
    names, row, other = store.index.names, data.draw(drawn), data.draw(drawn)
    selection = store.prefix(*(rows[name][row].as_py() for name in names[: data.draw(st.integers(0, len(names)))]))
    for name in names:
        value = rows[name][other]
        if value.is_valid:
            compare = data.draw(st.sampled_from(["equal", "less", "less_equal", "greater", "greater_equal", "not_equal"]))
            condition = getattr(pc, compare)(pc.field(name), pc.scalar(value))
            expected = selection.to_arrow()
            expected = expected.filter(evaluated(condition, expected).fill_null(False)) if expected else expected
            selection = selection.where(condition)
            assert selection.to_arrow()["n"].to_pylist() == expected["n"].to_pylist()
            assert selection.reverse().to_arrow()["n"].to_pylist() == expected["n"].to_pylist()[::-1]


def test_explain_names_an_index_that_would_leave_far_fewer_records(flights: Any, db: Any) -> None:
    rare = flights.where("dep_delay == 101 && dest == 'IAH'")
    assert rare.explain().narrower is None
    flights.create_index("by_dest", ["dest", "-dep_delay"])
    flights.create_index("by_delay", "-dep_delay")
    assert rare.explain().narrower == ("by_delay", 1)
    flights.drop_index("by_delay")
    assert rare.explain().narrower == ("by_dest", 1)
    assert "  narrower   1 records by index 'by_dest', in its order: store.by('by_dest')" in repr(rare.explain())
    assert flights.by("by_dest").where("dep_delay == 101 && dest == 'IAH'").to_dicts() == rare.to_dicts()
    for other in (
        flights[:],
        flights.where("dest == 'IAH'"),  # most are
        flights.where("dep_delay > 140"),  # not the first field
        flights.where("dep_delay == 101 && dest == 'IAH' && time_hour == '2013-01-02' && flight == 1"),  # the key leaves one, too
        flights.prefix("2013-01-01 07:00").where("dest == 'IAH' && dep_delay > 60"),
        flights.by("by_dest").where("dep_delay == 101 && dest == 'IAH'"),
    ):
        assert other.explain().narrower is None
    with db.transaction() as tx:
        assert tx["flights"].where("dep_delay == 101 && dest == 'IAH'").explain().narrower == ("by_dest", 1)


def test_conditions_join_text_and_expressions(flights: Any) -> None:
    both = flights.where("codes.exists(c, c == 3)").where(pc.field("dep_delay") > 10).where("dest == 'MIA'")
    rows = [row for row in flights[:].to_dicts() if 3 in row["codes"] and (row["dep_delay"] or 0) > 10 and row["dest"] == "MIA"]
    assert both.to_dicts() == rows


def test_records_are_updated_and_deleted_by_text(db: Any, flights: Any) -> None:
    wanted = sum(row["dest"] == "MIA" and row["codes"][1] == 3 for row in flights[:].to_dicts())
    assert flights.where("dest == 'MIA' && codes[1] == 3").update({"dest": "JFK"}).updated == wanted
    assert flights.where("dest == 'JFK'").count() == wanted
    assert flights.where("dest == d", d="JFK").delete().deleted == wanted
    assert db.check().ok


def test_in_transactions_snapshots_and_files(db: Any, flights: Any, tmp_path: Any) -> None:
    before = db.seq
    with db.transaction() as tx:
        tx["flights"].where("flight == 0").update({"dep_delay": 999})
        assert tx["flights"].where("dep_delay == 999").count() == 50
    with db.at(before) as old:
        assert old["flights"].where("dep_delay == 999").count() == 0
    assert flights.where("dep_delay == 999 && codes.size() == 2").to_file(tmp_path / "late.parquet") == 50
    assert db.check().ok


def test_where_sees_ids_and_commits(db: Any) -> None:
    notes = db.create("notes", {"author": "string", "odd name": "int64"}, IndexSpecification.of("author", unique=False))
    notes.insert([{"author": "ada", "odd name": 1}])
    notes.insert([{"author": "bob", "odd name": 2}])
    assert notes.where("_seq > s", s=db.seq - 1).select("author").to_dicts() == [{"author": "bob"}]
    assert notes.where("row['odd name'] == 1 && _id != null").count() == 1
    assert notes.where("[_seq].exists(s, s > 2)").count() == notes.where("_seq > 2").count()


def test_documents_and_categories_and_decimals(db: Any) -> None:
    store = db.create("things", {"k": "int64", "price": "decimal128(8, 2)", "doc": "json"}, "k")
    store.insert([{"k": 1, "price": 1, "doc": {"n": 5, "tags": ["a"]}}, {"k": 2, "price": 2, "doc": {"n": None}}, {"k": 3, "doc": None}])
    assert list(store.where("doc.n > 4").keys()) == [1]
    assert list(store.where("doc.n == null").keys()) == [2, 3]
    assert list(store.where("doc.tags.exists(t, t == 'a') || price == 2.0").keys()) == [1, 2]
    kinds = db.load("kinds", pa.table({"k": [1, 2], "kind": pa.array(["a", "b"]).dictionary_encode()}), index="k")
    assert list(kinds.where("kind == 'b'").keys()) == [2]
    assert list(kinds.where("[kind].exists(k2, k2 == 'b')").keys()) == [2]


@pytest.mark.parametrize(
    ("text", "parameters", "kind", "reason"),
    [
        ("colour == 1", {}, InvalidInput, "store 'flights': there is no column or parameter 'colour'; the columns are 'time_hour'"),
        ("dep_delay > limit", {}, InvalidInput, "store 'flights': there is no column or parameter 'limit'"),
        ("dep_delay > 3", {"limit": 3}, InvalidInput, "store 'flights': .* does not use the parameter 'limit'"),
        ("dep_delay > dest", {"dest": 3}, InvalidInput, "'dest' is a column and a parameter too"),
        ("dep_delay + 1", {}, SchemaMismatch, "is of type int, and a condition is true or false"),
        ("dep_delay > 'x'", {}, InvalidInput, "store 'flights': '>' does not take int, string"),
        (pc.field("dep_delay") > 3, {"limit": 3}, InvalidInput, "parameters such as 'limit' belong to text"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(flights: Any, text: Any, parameters: Any, kind: Any, reason: str) -> None:
    with pytest.raises(kind, match=reason):
        flights.where(text, **parameters)


def test_a_record_that_would_be_too_much_work_is_refused(db: Any) -> None:
    store = db.create("lists", pa.schema([("k", pa.int64()), ("items", pa.list_(pa.int64()))]), "k")
    store.insert([{"k": 1, "items": [1, 2]}, {"k": 2, "items": list(range(3000))}])
    selection = store.where("items.exists(a, items.exists(b, a + b == 7))")
    with pytest.raises(InvalidInput, match=r"store 'lists': .* steps of .* fewer loops"):
        selection.count()
    assert store[:2].where("items.exists(a, items.exists(b, a + b == 3))").count() == 1


@pytest.mark.timeout(7200)
@databases()
@given(stores(PLAIN), st.data())
def test_nearest_is_found_or_next_or_last(world: Any, data: Any) -> None:
    _, store = world
    drawn = data.draw(records)
    sought = tuple(None if drawn[field.name] != drawn[field.name] else drawn[field.name] for field in store.index.fields)
    alike = store.prefix(*sought)
    before, after = store.range(None, sought), store.range(sought, None).to_dicts()[alike.count() :]
    for selection, then, last in ((store[:], after[:1], before.tail(1)), (store[:].reverse(), before.tail(1), after[:1])):
        found, record = selection.nearest(sought)
        same = (alike.reverse() if selection.explain().reverse else alike).to_dicts()
        expected = same[:1] or _dicts(then) or _dicts(last)
        assert found is bool(same)
        assert ([] if record is None else [record["n"]]) == [each["n"] for each in expected]


def _dicts(rows: Any) -> list[dict[str, Any]]:
    return rows if isinstance(rows, list) else rows.to_dict("records")


def test_nearest_within_a_selection(flights: Any) -> None:
    day = flights.prefix("2013-01-01 05:00")
    assert day.nearest(("2013-01-01 05:00", 2)).found
    assert day.nearest("2013-01-01 05:00") == (True, day.row(0))
    found, record = day.nearest(("2013-06-01", 0))
    assert (found, record["flight"]) == (False, 3)
    assert flights.where("flight == 3").nearest(("2013-01-01 05:00", 1)).record["flight"] == 3
    assert flights.where("flight == 9").nearest("2013-01-01") == (False, None)
    with pytest.raises(InvalidInput):
        flights.nearest(("2013-01-01", 1, 2))
