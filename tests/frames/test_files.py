"""Files in and out: every kind gives back what went in or refuses it, types are found from whole files, nothing is half done."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sopnb
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.frames.files import delimited, jsonlines
from sopnb.frames.files.description import with_description
from sopnb.frames.files.files import promoted, source
from sopnb.frames.files.text import TextColumn, values
from sopnb.frames.files.writing import write
from tests.api_support import QUIET, SMALL
from tests.frames.files import AWKWARD, SUFFIXES, TYPED, read, types_of, write_text
from tests.frames.support import Drawn, assert_same, frames

# -- round trips --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_flights_come_back_from_every_kind_of_file(db: Any, tmp_path: Path, suffix: str) -> None:
    rows = 3 * 400
    hours = pd.date_range("2013-01-01", periods=rows, freq="h", tz="UTC").as_unit("us")
    flights = pd.DataFrame(
        {
            "time_hour": hours,
            "carrier": pd.Series(["UA", "AA", "B6"] * 400, dtype="str"),
            "flight": range(rows),
            "tailnum": pd.Series([None, "N1", "N2"] * 400, dtype="str"),
            "dep_delay": [None, 2.0, -1.5] * 400,
        }
    )
    store = db.load("flights", flights, index=["time_hour", "carrier", "flight"])
    path = tmp_path / f"flights.{suffix}"
    assert write(with_description(store[:].to_reader(), store[:]._schema), path) == rows
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no draft is left"
    again = db.load("again", path, index=["time_hour", "carrier", "flight"])
    assert again.loaded.inserted == rows
    if suffix in TYPED:
        pd.testing.assert_frame_equal(again[:].to_pandas(), flights)
    assert again[:].to_dicts() == store[:].to_dicts()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_awkward_table_comes_back_into_a_store_of_its_types(db: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"awkward.{suffix}"
    write(AWKWARD.to_reader(max_chunksize=3), path)
    store = db.create("awkward", schema=AWKWARD.schema, index="k")
    assert db.load("awkward", path, if_exists="insert").loaded.inserted == 4
    assert store[:].to_arrow().equals(AWKWARD)
    assert db.load("awkward", path, if_exists="upsert").loaded.unchanged == 4


@pytest.mark.parametrize("suffix", TYPED)
def test_files_that_know_types_give_the_same_table_back(tmp_path: Path, suffix: str) -> None:
    more = AWKWARD.append_column("list", pa.array([[1, None], [], None, [2]])).append_column(
        "struct", pa.array([{"x": 1}, None, {"x": None}, {"x": 2}])
    )
    for name, array in {
        "seconds": pa.array([0, None, 1, 2], pa.timestamp("s")),
        "time": pa.array([time(10), None, None, time(11, 30)], pa.time32("s")),
        "long": pa.array([timedelta(1), None, None, None], pa.duration("us")),
        "bytes": pa.array([b"\xff\x00", None, b"", b"x"]),
        "millis": pa.array([0, None, 86_400_000, 0], pa.date64()),
    }.items():
        more = more.append_column(name, array)
    path = tmp_path / f"more.{suffix}"
    write(more.to_reader(), path)
    assert read(path).equals(more)


def test_pandas_reads_the_same_frame_from_an_exported_file(db: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "kind": pd.Categorical(["b", None, "a"], categories=["b", "unused", "a"], ordered=True),
        },
        index=pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("y", 1)], names=["letter", "number"]),
    )
    frame.attrs = {"from": "a test"}
    selection = db.load("things", frame)[:]
    for name, by_pandas in {"things.parquet": pd.read_parquet, "things.feather": pd.read_feather}.items():
        write(with_description(selection.to_reader(), selection._schema), tmp_path / name)
        pd.testing.assert_frame_equal(by_pandas(tmp_path / name), frame)
        again = db.load("again", tmp_path / name, if_exists="replace")[:].to_pandas()
        pd.testing.assert_frame_equal(again, frame)
        assert again.attrs == frame.attrs


def test_frames_of_all_types_come_back_from_files_that_know_types(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    @settings(max_examples=2000 if request.config.getoption("--long") else 150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(frames(), st.sampled_from(["parquet", "feather", "arrows"]))
    def check(drawn: Drawn, suffix: str) -> None:
        with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
            selection = db.load("frame", drawn.frame, drawn.index)[:]
            try:
                write(with_description(selection.to_reader(), selection._schema), tmp_path / f"frame.{suffix}")
            except InvalidInput as error:
                if suffix == "parquet" and "no child field" in str(error):  # the one thing that Parquet cannot hold
                    return
                raise
            again = db.load("again", tmp_path / f"frame.{suffix}", drawn.index)[:]
            assert_same(again.to_pandas(), selection.to_pandas())
            assert db.check().ok
        if suffix == "parquet":
            pd.read_parquet(tmp_path / "frame.parquet")

    check()


def test_an_index_that_pandas_named_is_the_key_and_one_without_a_name_is_none(db: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"seats": [55, 182]}, index=pd.Index(["N1", "N3"], name="tailnum"))
    frame.to_parquet(tmp_path / "planes.parquet")
    pd.testing.assert_frame_equal(db.load("planes", tmp_path / "planes.parquet")[:].to_pandas(), frame)
    frame.rename_axis(None).to_parquet(tmp_path / "unnamed.parquet")
    with pytest.raises(InvalidInput, match="no named index"):
        db.load("unnamed", tmp_path / "unnamed.parquet")
    assert list(db.load("unnamed", tmp_path / "unnamed.parquet", index="seats")[:].to_pandas()) == ["seats"]
    counted = pd.DataFrame({"x": [1.5, 2.5]}, index=pd.RangeIndex(10, 14, 2, name="n"))
    counted.to_parquet(tmp_path / "counted.parquet")
    got = db.load("counted", tmp_path / "counted.parquet")[:].to_pandas()
    assert got.index.name == "n"
    assert got["x"].to_dict() == {10: 1.5, 12: 2.5}


@given(st.lists(st.tuples(st.none() | st.text("a,\"'\n\r\\ é0N", max_size=4), st.none() | st.text(max_size=3)), min_size=1, max_size=8))
def test_text_with_nulls_and_empty_text_comes_back_from_csv_and_json_lines(tmp_path_factory: Any, rows: list[tuple[Any, Any]]) -> None:
    folder = tmp_path_factory.mktemp("text")
    table = pa.table(
        {"k": range(len(rows)), "a": pa.array([a for a, _ in rows], pa.string()), "b": pa.array([b for _, b in rows], pa.string())}
    )
    for name in ("t.csv", "t.tsv", "t.jsonl"):
        write(table.to_reader(), folder / name)
        assert read(folder / name, a="string", b="string").to_pydict() == table.to_pydict(), name


def test_csv_of_one_column_keeps_its_nulls(tmp_path: Path) -> None:
    table = pa.table({"only": ["a", None, "", "b"]})
    write(table.to_reader(), tmp_path / "one.csv")
    assert read(tmp_path / "one.csv").equals(table)


# -- types of text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", ""], "int64"),
        (["1", "2.5"], "double"),
        (["1", "1e5"], "double"),
        (["007", "8"], "string"),
        (["1234567890123456", "0.5"], "string"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808"], "string"),
        (["0x1f"], "string"),
        (["NA", "5", "null"], "int64"),
        (["NA", "NA"], "string"),
        (["nan", "1"], "double"),
        ([" 5 "], "int64"),
        (["true", "FALSE"], "bool"),
        (["true", "1"], "string"),
        (["2013-01-01", "1900-02-28"], "date32[day]"),
        (["2013-01-01", "2013-01-01 10:00"], "timestamp[us]"),
        (["2013-01-01 10:00:00.123456789"], "timestamp[ns]"),
        (["1500-01-01", "2013-01-01 10:00:00.123456789"], "string"),
        (["2013-01-01T10:00:00Z", "2013-01-01T10:00:00+02:00"], "timestamp[us, tz=UTC]"),
        (["2013-01-01T10:00:00Z", "2013-01-01T10:00:00"], "string"),
        (["2013-02-30"], "string"),
        (["10:00", "11:30:15.5"], "time64[us]"),
        (["10", "11:30"], "string"),
        (["2013-01-01", "x"], "string"),
    ],
)
def test_a_column_of_text_has_the_type_that_all_of_its_values_have(tmp_path: Path, values: list[str], kind: str) -> None:
    for order in (values, values[::-1]):
        path = write_text(tmp_path, "x.csv", "x,y\n" + "".join(f"{value},\n" for value in order))
        assert types_of(path)["x"] == kind
        assert read(path).num_rows == len(values)


WORDS = ["", "NA", "1", "2.5", "007", "1234567890123456", "9" * 19, "true", "1500-01-01", "2013-01-01 10:00", "10:00", "x", " 3"]
WORDS += ["2013-01-01 10:00:00.123456789", "2013-01-01T10:00:00Z", "nan", "-0"]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), st.data())
def test_types_do_not_depend_on_how_a_file_is_cut(words: list[str], data: Any) -> None:
    whole = TextColumn()
    whole.add(pa.array(words))
    cut = data.draw(st.integers(0, len(words)))
    first, second, one_by_one = TextColumn(), TextColumn(), TextColumn()
    first.add(pa.array(words[:cut], pa.string()))
    second.add(pa.array(words[cut:], pa.string()))
    for word in words:
        one_by_one.add(pa.array([word]))
    kind = whole.field("x").type
    assert first.join(second).field("x").type == one_by_one.field("x").type == kind
    values(pa.array(words), kind)


def test_a_type_that_changes_in_the_last_block_of_a_large_file(db: Any, tmp_path: Path) -> None:
    rows = 600_000
    lines = [f"{n},{n}" for n in range(rows)]
    path = write_text(tmp_path, "late.csv", "k,x\n" + "\n".join([*lines, f"{rows},1.5"]))
    assert path.stat().st_size > 5 * delimited.BLOCK
    assert types_of(path) == {"k": "int64", "x": "double"}
    path.write_text(path.read_text() + "\n-1,abc\n")
    assert types_of(path) == {"k": "int64", "x": "string"}
    schema = db.load("late", path, index="k", dry_run=True)
    assert schema.arrow.field("x").type == pa.string()
    assert "late" not in db


def test_types_override_what_is_found_and_must_name_columns(tmp_path: Path) -> None:
    path = write_text(tmp_path, "x.csv", 'zip,price,at,doc\n02134,3.50,2013-01-01 05:00,"{""a"": [1]}"\n')
    assert types_of(path) == {"zip": "string", "price": "double", "at": "timestamp[us]", "doc": "string"}
    table = read(path, zip="int32", price="decimal128(10, 2)", at="timestamp[us, America/New_York]", doc="json")
    assert table.to_pylist()[0]["price"] == Decimal("3.50")
    assert table.to_pylist()[0]["at"] == datetime(2013, 1, 1, 10, tzinfo=UTC)
    assert table.schema.field("doc").metadata == {b"sopnb": b"json"}
    with pytest.raises(SchemaMismatch, match="'zap'.*'zip'"):
        types_of(path, zap="int32")
    with pytest.raises(InvalidInput, match="no type"):
        types_of(path, zip="zip code")
    with pytest.raises(InvalidInput, match="list.*cannot be read from text"):
        read(path, zip="list[int64]")
    with pytest.raises(InvalidInput, match="types="):
        sopnb.open(":memory:").load("x", [{"zip": 1}], index="zip", types={"zip": "string"})


def test_a_store_that_is_there_gives_the_types(db: Any, tmp_path: Path) -> None:
    db.create("zips", schema={"zip": "string", "n": "int64", "at": "timestamp[us, America/New_York]"}, index="zip")
    path = write_text(tmp_path, "zips.csv", "zip,n,at\n007,1,2013-01-01 05:00\n7,NA,\n")
    db.load("zips", path, if_exists="insert")
    assert [record["zip"] for record in db["zips"][:].to_dicts()] == ["007", "7"]
    assert db["zips"]["007"]["at"] == datetime(2013, 1, 1, 10, tzinfo=UTC)
    db.load("zips", write_text(tmp_path, "part.csv", "zip,n\n7,2\n"), if_exists="upsert")
    assert db["zips"]["7"]["n"] == 2
    with pytest.raises(SchemaMismatch, match="no column 'more'"):
        db.load("zips", write_text(tmp_path, "more.csv", "zip,more\n7,2\n"), if_exists="upsert")


# -- JSON lines ---------------------------------------------------------------------------------------------------------------


def test_json_lines_find_types_from_all_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "BLOCK", 40)
    objects: list[dict[str, Any]] = [
        {"k": 1, "n": 1, "t": "2013-01-01", "s": "007", "l": [1], "o": {"x": 1}, "mixed": 1, "big": 1.5, "e": []},
        {
            "k": 2,
            "n": 2.5,
            "t": "2013-01-01T10:00:00",
            "s": "x",
            "l": [None, 2.5],
            "o": {"y": "a"},
            "mixed": "a",
            "big": 12345678901234567890,
        },
        {"k": 3, "n": None, "t": None, "o": None, "mixed": {"z": [1]}, "late": True, "e": None},
    ]
    path = write_text(tmp_path, "x.jsonl", "\n".join(map(json.dumps, objects)) + "\n\n")
    kinds = types_of(path)
    assert kinds["n"] == "double"
    assert kinds["t"] == "timestamp[us]"
    assert kinds["s"] == "string"
    assert kinds["l"] == "list<item: double>"
    assert kinds["o"] == "struct<x: int64, y: string>"
    assert kinds["late"] == "bool"
    table = read(path)
    assert table.schema.field("mixed").metadata == table.schema.field("big").metadata == {b"sopnb": b"json"}
    assert [json.loads(text) for text in table.column("mixed").to_pylist()] == [1, "a", {"z": [1]}]
    assert table.column("big").to_pylist() == ["1.5", "12345678901234567890", None]
    assert table.column("late").to_pylist() == [None, None, True]
    assert read(path, mixed="string").column("mixed").to_pylist() == ["1", "a", '{"z": [1]}']


def test_nested_values_and_documents_go_through_json_lines(db: Any, tmp_path: Path) -> None:
    nested = pa.table(
        {
            "k": [0, 1, 2, 3],
            "list": pa.array([[9, 9, 9], [1, None], [], None], pa.list_(pa.int64())),
            "struct": pa.array([None, {"x": "a\n", "y": [1.5]}, None, {"x": None, "y": []}]),
            "time": pa.array([None, time(10), None, time(11, 30, 15, 5)], pa.time64("us")),
            "long": pa.array([None, timedelta(1), None, None], pa.duration("us")),
        }
    )
    write(nested.slice(1).to_reader(), tmp_path / "x.jsonl")
    assert read(tmp_path / "x.jsonl", long="duration[us]").equals(nested.slice(1).combine_chunks())
    store = db.create("notes", schema={"k": "int64", "doc": "json"}, index="k")
    store.insert([{"k": 1, "doc": {"a": [1, None]}}, {"k": 2, "doc": None}, {"k": 3, "doc": "text"}])
    write(with_description(store[:].to_reader(), store[:]._schema), tmp_path / "notes.jsonl")
    assert (tmp_path / "notes.jsonl").read_text().splitlines()[0] == '{"k":1,"doc":{"a":[1,null]}}'
    again = db.create("again", schema={"k": "int64", "doc": "json"}, index="k")
    db.load("again", tmp_path / "notes.jsonl", if_exists="insert")
    assert again[:].to_dicts() == store[:].to_dicts()


# -- several files ------------------------------------------------------------------------------------------------------------


def test_a_pattern_loads_its_files_in_the_order_of_their_names(db: Any, tmp_path: Path) -> None:
    for month in (10, 2, 1):
        write_text(tmp_path, f"2013-{month:02}.csv", f"month,x\n{month},{month}{'.5' if month == 10 else ''}\n")
    months = db.load("months", str(tmp_path / "2013-*.csv"), index="month")
    assert [record["x"] for record in months[:].to_dicts()] == [1.0, 2.0, 10.5]
    assert [path.name for path in source(tmp_path / "2013-*.csv").paths] == ["2013-01.csv", "2013-02.csv", "2013-10.csv"]
    files = [tmp_path / "2013-01.csv", str(tmp_path / "2013-1*.csv")]
    assert db.load("months", files, if_exists="upsert").loaded.unchanged == 2
    odd = write_text(tmp_path, "[x]*.csv", "month,x\n99,0\n")
    assert db.load("months", odd, if_exists="upsert").loaded.inserted == 1


def test_files_that_are_not_there_or_no_kind_are_refused_by_name(db: Any, tmp_path: Path) -> None:
    for name, message in {
        "2014-*.csv": r"no file matches '.*2014-\*.csv'",
        "none.csv": "no file '.*none.csv'",
        "": "is a folder; .*pattern",
        "x.xlsx": r"must end in one of \.csv",
        "x.parquet.gz": "must end in one of",
    }.items():
        if name.startswith("x."):
            write_text(tmp_path, name, "x")
        with pytest.raises(InvalidInput, match=message):
            db.load("x", str(tmp_path / name), index="k")
    with pytest.raises(InvalidInput, match="no local file"):
        db.load("x", "s3://bucket/x.parquet", index="k")
    pq.write_table(pa.table({"k": [1]}), tmp_path / "y.parquet")
    write_text(tmp_path, "y.csv", "k\n2\n")
    with pytest.raises(InvalidInput, match=r"y\.csv and .*y\.parquet are of different kinds"):
        db.load("x", str(tmp_path / "y.*"), index="k")
    assert db.stores() == ()


def test_files_whose_columns_differ_are_refused_naming_both_and_the_column(tmp_path: Path) -> None:
    write_text(tmp_path, "1.csv", "k,x\n1,1\n")
    write_text(tmp_path, "2.csv", "k,y\n1,1\n")
    with pytest.raises(SchemaMismatch, match=r"1\.csv has a column 'x', .*2\.csv has none"):
        _ = source(tmp_path / "?.csv").schema
    pq.write_table(pa.table({"k": pa.array([1], pa.int32()), "x": ["a"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": ["b"], "k": pa.array([2], pa.int64())}), tmp_path / "2.parquet")
    assert read(tmp_path / "?.parquet").to_pydict() == {"k": [1, 2], "x": ["a", "b"]}
    pq.write_table(pa.table({"x": [1.5], "k": pa.array([2], pa.int64())}), tmp_path / "3.parquet")
    with pytest.raises(SchemaMismatch, match=r"'x' is string in .*1\.parquet and double in .*3\.parquet"):
        _ = source(tmp_path / "?.parquet").schema


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        (pa.int8(), pa.uint8(), pa.int16()),
        (pa.int64(), pa.float64(), None),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.int64(), pa.uint64(), None),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.string(), pa.binary(), None),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
        (pa.decimal128(5, 2), pa.decimal128(6, 3), pa.decimal128(6, 3)),
        (pa.bool_(), pa.int8(), None),
        (pa.date32(), pa.timestamp("us"), None),
        (pa.int32(), pa.string(), None),
    ],
)
def test_types_of_files_are_joined_only_without_loss(a: Any, b: Any, both: Any) -> None:
    assert promoted(a, b) == promoted(b, a) == both


# -- what is wrong with a file ------------------------------------------------------------------------------------------------

WRONG = {
    "short.csv": ("k,x\n1,a\n\n2\n", r"short\.csv, line 4, column 2: 1 values for 2 columns"),
    "long.csv": ('k,x\n"1",a\n"2","b\nc"\n3,d,e\n', r"long\.csv, line 5, column 3: 3 values for 2 columns"),
    "open.csv": ('k,x\n1,a\n2,"b\n3,c\n', r"open\.csv: a quotation mark is not closed"),
    "empty.csv": ("", r"empty\.csv: the file is empty"),
    "twice.csv": ("k,k\n1,2\n", r"twice\.csv, line 1: column 'k' is there twice"),
    "latin.csv": ("k,x\n1,a\n2,é\n".encode("latin-1"), r"latin\.csv, line 3: the text is not UTF-8"),
    "head.csv": ("k,é\n1,a\n".encode("latin-1"), r"head\.csv, line 1: the text is not UTF-8"),
    "wide.csv": ("k,x\n1,a\n".encode("utf-16"), r"wide\.csv: the file is UTF-16"),
    "cut.jsonl": ('{"k": 1}\n\n{"k": \n', r"cut\.jsonl, line 3"),
    "array.jsonl": ('[{"k": 1}]\n', r"array\.jsonl, line 1: the line is no object"),
    "latin.jsonl": ('{"k": 1}\n{"k": "é"}\n'.encode("latin-1"), r"latin\.jsonl, line 2: the text is not UTF-8"),
    "empty.jsonl": ("\n", r"empty\.jsonl: the file holds no objects"),
    "cut.parquet": (b"PAR1", r"cut\.parquet: this is no Parquet file"),
    "cut.arrow": (b"ARROW1\0\0", r"cut\.arrow: this is no Arrow file"),
    "cut.orc": (b"ORC", r"cut\.orc: this is no ORC file"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_file_that_is_wrong_is_told_by_line_and_nothing_is_loaded(db: Any, tmp_path: Path, name: str) -> None:
    text, message = WRONG[name]
    path = write_text(tmp_path, name, text)
    with pytest.raises(InvalidInput, match=message):
        db.load("x", path, index="k")
    assert db.stores() == ()


def test_a_value_of_the_wrong_type_is_told_by_line_and_column(db: Any, tmp_path: Path) -> None:
    rows = "".join(f'{n},"a\nb"\n' for n in range(1000))
    path = write_text(tmp_path, "x.csv", f"k,x\n{rows}abc,c\n")
    with pytest.raises(SchemaMismatch, match=r"x\.csv, line 2002, column 'k': 'abc' is no int64") as raised:
        db.load("x", path, index="k", types={"k": "int64"})
    assert raised.value.column == "k"
    path = write_text(tmp_path, "x.jsonl", '{"k": 1, "x": 1}\n\n{"k": 1.5, "x": 2}\n')
    with pytest.raises(SchemaMismatch, match=r"x\.jsonl, line 3, column 'k'"):
        db.load("x", path, index="x", types={"k": "int64"})
    assert db.stores() == ()


def test_lines_that_do_not_fit_are_reported_where_asked(db: Any, tmp_path: Path) -> None:
    path = write_text(tmp_path, "x.csv", "k,n\n1,1\n2\n3,abc\n4,4\n4,5\n")
    loaded = db.load("x", path, index="k", types={"n": "int64"}, on_error="report").loaded
    assert loaded.inserted == 2
    assert len(loaded.rejected) == 3
    reasons = " | ".join(loaded.rejected["_reason"])
    assert "1 values for 2 columns: 2" in reasons
    assert "'abc' is no int64" in reasons
    path = write_text(tmp_path, "x.jsonl", '{"k": 1, "n": 1}\n{"k": 2, "n": \n{"k": 3, "n": "a"}\n')
    loaded = db.load("y", path, index="k", types={"n": "int64"}, on_error="report").loaded
    assert (loaded.inserted, len(loaded.rejected)) == (1, 2)


def test_a_byte_order_mark_and_other_line_ends_are_no_trouble(tmp_path: Path) -> None:
    assert read(write_text(tmp_path, "x.csv", "\ufeffk,x\r\n1,a\r\n2,")).to_pydict() == {"k": [1, 2], "x": ["a", None]}
    assert read(write_text(tmp_path, "x.jsonl", '\ufeff{"k":1}\r\n{"k":2}')).to_pydict() == {"k": [1, 2]}
    assert read(write_text(tmp_path, "h.csv", "k,x")).schema == pa.schema([("k", pa.string()), ("x", pa.string())])


def test_a_record_longer_than_a_block_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 64)
    text = "x\n" * 500
    path = write_text(tmp_path, "x.csv", "k,x\n" + "".join(f"{n},a\n" for n in range(100)) + f'100,"{text}"\n101,b\n')
    table = read(path)
    assert table.column("k").to_pylist() == list(range(102))
    assert table.column("x")[100].as_py() == text
