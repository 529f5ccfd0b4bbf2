"""Values over the wire and back, of every type: exact, in JSON, and as a browser keeps them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sopnb
from sopnb.engine.same import same_row
from sopnb.errors import InvalidInput
from sopnb.view.wire import LONGEST, form
from tests.api_support import QUIET
from tests.view.support import Browser

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS: list[tuple[Any, Any]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int64(), INT64),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.decimal128(38, 10), st.decimals(-(10**27), 10**27, places=10)),
    (pa.decimal128(5, 2), st.decimals(-999, 999, places=2)),
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.binary(), st.binary(max_size=20)),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.time32("s"), st.integers(0, 86_399)),
    (pa.time64("us"), st.integers(0, 86_400 * 10**6 - 1)),
    (pa.time64("ns"), st.integers(0, 86_400 * 10**9 - 1)),
    (pa.timestamp("s"), INT64),
    (pa.timestamp("ns"), INT64),
    (pa.timestamp("us", "UTC"), INT64),
    (pa.timestamp("ns", "Europe/Berlin"), INT64),
    (pa.timestamp("us", "America/New_York"), st.integers(-(2 * 10**15), 4 * 10**15)),
    (pa.timestamp("s", "+05:30"), st.integers(-(10**10), 10**10)),
    (pa.duration("ns"), INT64),
    (pa.duration("s"), INT64),
]
NESTED: list[tuple[Any, Any]] = [
    (pa.list_(pa.int64()), st.lists(st.none() | INT64, max_size=3)),
    (pa.list_(pa.float64(), 2), st.lists(st.floats(), min_size=2, max_size=2)),
    (pa.struct([("n", pa.int64()), ("at", pa.timestamp("ns", "UTC"))]), st.fixed_dictionaries({"n": st.none() | INT64, "at": INT64})),
    (
        pa.map_(pa.string(), pa.decimal128(5, 2)),
        st.lists(st.fixed_dictionaries({"key": TEXT, "value": st.none() | st.decimals(-999, 999, places=2)}), max_size=3),
    ),
]


@pytest.mark.parametrize(("kind", "values"), [*SCALARS, *NESTED], ids=[str(kind) for kind, _ in [*SCALARS, *NESTED]])
def test_a_value_comes_back_as_it_was(kind: Any, values: Any) -> None:
    one = form(kind)

    @given(values)
    def check(value: Any) -> None:
        said = json.loads(json.dumps(one.say(value), allow_nan=False))
        assert same_row([one.read(said)], [value])

    check()


@pytest.mark.parametrize(("kind", "values"), SCALARS, ids=[str(kind) for kind, _ in SCALARS])
def test_a_column_says_of_each_value_what_it_says_by_itself(kind: Any, values: Any) -> None:
    one = form(kind)

    @given(st.lists(st.none() | values, max_size=6))
    def check(column: list[Any]) -> None:
        schema = sopnb.Schema.of(pa.schema([pa.field("k", pa.int64(), nullable=False), ("v", kind)]), sopnb.IndexSpecification.of("k"))
        array = schema.batch(list(enumerate(column))).column(1)
        assert one.column(array) == [None if value is None else one.say(value) for value in column]

    check()


@given(st.recursive(st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8))  # fmt: skip
def test_documents_keep_every_digit_and_lose_only_space(value: Any) -> None:
    one = form(pa.string(), document=True)
    compact = json.dumps(value, separators=(",", ":"))
    assert one.read(json.dumps(value, indent=3)) == compact
    assert one.read(compact) == compact


def test_a_document_keeps_numbers_that_no_float_has() -> None:
    text = '{"b":0.12345678901234567890123, "a":[1e400,123456789012345678901234567890], "s":" \\" { "}'
    assert form(pa.string(), document=True).read(text) == text.replace(', "', ',"')


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (pa.int64(), "9223372036854775808"),
        (pa.int64(), "1.0"),
        (pa.int64(), True),
        (pa.int64(), "9" * 5000),
        (pa.int8(), "128"),
        (pa.float64(), "1.5"),
        (pa.float64(), False),
        (pa.float64(), 9007199254740993),
        (pa.float64(), int("9" * 400)),
        (pa.float32(), 1e300),
        (pa.bool_(), 1),
        (pa.decimal128(5, 2), "1000"),
        (pa.decimal128(5, 2), "0.001"),
        (pa.decimal128(5, 2), "1_0"),
        (pa.decimal128(5, 2), "Infinity"),
        (pa.decimal128(5, 2), "1e999999999"),
        (pa.decimal128(5, 2), 1.5),
        (pa.string(), 7),
        (pa.string(), "\ud800"),
        (pa.binary(), "@@"),
        (pa.binary(4), "AAAA"),
        (pa.date32(), "2013-02-30"),
        (pa.date32(), "13-02-03"),
        (pa.date32(), "9999999999-01-01"),
        (pa.time64("us"), "24:00"),
        (pa.time64("us"), "10:00:00.0000001"),
        (pa.timestamp("us"), "2013-01-01T00:00:00Z"),
        (pa.timestamp("us", "UTC"), "2013-01-01T00:00:00.0000001Z"),
        (pa.timestamp("ns", "UTC"), "2300-01-01T00:00:00Z"),
        (pa.timestamp("ns", "UTC"), "yesterday"),
        (pa.timestamp("ns", "UTC"), "2013"),
        (pa.timestamp("us", "UTC"), "@99999999999999999999"),
        (pa.duration("s"), "0.5"),
        (pa.duration("ns"), "99999999999999999999"),
        (pa.list_(pa.int64()), "[1.5]"),
        (pa.list_(pa.int64()), "{}"),
        (pa.list_(pa.int64()), "null"),
        (pa.list_(pa.int64()), "[" * 100_000),
        (pa.list_(pa.int64()), [1]),
        (pa.list_(pa.int64(), 2), "[1]"),
        (pa.struct([("a", pa.int64())]), '{"b": 1}'),
        (pa.map_(pa.string(), pa.int64()), '[["a"]]'),
        (pa.map_(pa.string(), pa.int64()), "[[null, 1]]"),
    ],
)
def test_what_does_not_parse_is_refused(kind: Any, wire: Any) -> None:
    with pytest.raises(InvalidInput):
        form(kind).read(wire)


@pytest.mark.parametrize("wire", ["", "{", '{"a": NaN}', "[1,]", 7, "nul", '"' + "\ud800" + '"', "[" * 100_000, "9" * 5000])
def test_text_that_is_no_json_is_no_document(wire: Any) -> None:
    with pytest.raises(InvalidInput):
        form(pa.string(), document=True).read(wire)


def test_times_are_said_in_the_zone_of_their_column() -> None:
    said = form(pa.timestamp("us", "America/New_York")).say(1_357_034_400_000_000)
    assert said == "2013-01-01T05:00:00-05:00"
    read = form(pa.timestamp("us", "America/New_York")).read
    assert read("2013-01-01 05:00") == read("2013-01-01T10:00:00Z") == read("2013-01-01T15:30:00.000000+0530") == 1_357_034_400_000_000
    assert read("2013-11-03 01:30") < read("2013-11-03T01:30:00-05:00")  # clocks show it twice
    assert form(pa.timestamp("ns")).say(1) == "1970-01-01T00:00:00.000000001"
    assert form(pa.timestamp("ns")).say(-(2**63)) == "@-9223372036854775808"


def test_long_values_come_cut_and_whole_when_asked_for() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.create("s", schema={"k": "int64", "text": "string", "raw": "binary", "doc": "json"}, index="k")
        store.insert({"k": 1, "text": "é" * LONGEST, "raw": b"x" * 3000, "doc": ["a" * LONGEST]})
        store.insert({"k": 2, "text": "é" * (LONGEST + 1), "raw": b"x" * 750, "doc": ["a"]})
        browser = Browser(db)
        first, second = browser.rows("s")
        assert first["cells"]["text"] == "é" * LONGEST
        assert second["cells"]["text"] == {"cut": "é" * 200, "size": LONGEST + 1}
        assert first["cells"]["raw"]["size"] == 4000
        assert len(first["cells"]["raw"]["cut"]) == 200
        assert second["cells"]["raw"] == "eHh4" * 250
        assert first["cells"]["doc"]["size"] == LONGEST + 4
        assert browser.ask("value", store="s", key=first["key"], column="raw")["value"] == "eHh4" * 1000
        assert browser.ask("value", store="s", key=second["key"], column="text") == {"value": "é" * 1001, "size": 1001}
        assert browser.ask("value", store="s", key=first["key"], column="doc")["value"] == '["' + "a" * LONGEST + '"]'
        assert db.check().ok


@settings(max_examples=20)
@given(st.data())
def test_a_cell_edited_with_its_own_value_changes_nothing(data: Any) -> None:
    kinds = [*SCALARS, *NESTED]
    schema = pa.schema([pa.field("k", pa.int64(), nullable=False), *(pa.field(f"c{i}", kind) for i, (kind, _) in enumerate(kinds))])
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.create("s", schema=schema, index="k")
        row = [0, *(data.draw(st.none() | values) for _, values in kinds)]
        own = store._access.peek().schema
        store.insert(pa.Table.from_batches([own.batch([row])]))
        browser = Browser(db)
        (shown,) = browser.rows("s")
        for name, cell in shown["cells"].items():
            if name != "k":
                assert browser.edit("s", shown, name, cell)["pending"] == 0


def test_a_negative_zero_is_told_as_text_which_a_browser_keeps() -> None:
    wire = form(pa.float64())
    assert wire.column(pa.array([-0.0, 0.0, None])) == ["-0", 0.0, None]
    assert str(wire.read("-0")) == "-0.0"
    assert form(pa.list_(pa.float64())).say([-0.0]) == "[-0.0]"
