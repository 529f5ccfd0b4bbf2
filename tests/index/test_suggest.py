"""Suggested keys are those that looking at every combination finds; fields have the order that the rule and the queries say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb import InvalidInput
from sopnb.index import Findings, IndexSpecification, suggest
from sopnb.index.combinations import WIDEST, derived
from sopnb.index.profile import BLOCK_ROWS, SAMPLED_ROWS, Profile

START = datetime(2024, 1, 1, tzinfo=UTC)
NAN = float("nan")
VALUES: list[tuple[Any, Any]] = [
    (pa.int64(), st.integers(0, 3)),
    (pa.int8(), st.none() | st.integers(0, 2)),
    (pa.string(), st.sampled_from(["a", "b", "c d", "e f", ""])),
    (pa.float64(), st.sampled_from([0.0, -0.0, 1.5, NAN, None])),
    (pa.bool_(), st.booleans()),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["x", "y"])),
    (pa.timestamp("us", "UTC"), st.sampled_from([START, START + timedelta(hours=1)])),
    (pa.list_(pa.int64()), st.just([1])),
]


@st.composite
def tables(draw: Any) -> Any:
    rows = draw(st.integers(2, 12))
    kinds = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=6))
    columns = {}
    for at, (kind, values) in enumerate(kinds):
        columns[f"c{at}"] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


def distinct(table: Any, names: Any) -> int:
    """Count rows as keys compare: NaN is null, -0.0 is 0.0."""
    columns = [[None if v != v else v for v in table.column(name).to_pylist()] for name in names]
    return len(set(zip(*columns, strict=True)))


def minimal(table: Any, names: Any, widest: int) -> set[frozenset[str]]:
    found: list[frozenset[str]] = []
    for width in range(1, widest + 1):
        for each in combinations(names, width):
            if not any(one <= set(each) for one in found) and distinct(table, each) == table.num_rows:
                found.append(frozenset(each))
    return set(found)


def keys(findings: Findings) -> set[frozenset[str]]:
    return {frozenset(s.specification.names) for s in findings.suggestions if s.unique}


@given(tables())
def test_unique_suggestions_are_what_looking_at_everything_finds(table: Any) -> None:
    findings = suggest(table, most=1000)
    keyable = [field.name for field in table.schema if not pa.types.is_list(field.type)]
    for s in findings.suggestions:
        share = distinct(table, s.specification.names) / table.num_rows
        assert s.distinct == share
        assert s.unique == s.specification.unique == (share == 1)
        assert s.reason.startswith("unique" if s.unique else "not unique")
    tried = [name for name in keyable if name not in findings.left_out]
    every = minimal(table, tried, WIDEST)
    narrowest = min(map(len, every), default=0)
    assert keys(findings) == {each for each in every if len(each) <= max(2, narrowest)}
    # nothing was left out that was needed
    assert bool(keys(findings)) == bool(minimal(table, keyable, WIDEST))
    assert len(findings.suggestions) >= min(1, len(tried))


@given(tables(), st.data())
def test_whatever_is_asked_for_something_serves_it(table: Any, data: Any) -> None:
    keyable = [field.name for field in table.schema if not pa.types.is_list(field.type) and distinct(table, [field.name]) > 1]
    if not keyable:
        return
    names = data.draw(st.lists(st.sampled_from(keyable), min_size=1, max_size=3, unique=True))
    findings = suggest(table, [names], most=1000)
    serving = []
    for s in findings.suggestions:
        there = s.specification.names
        assert s.distinct == distinct(table, there) / table.num_rows
        serving.append(set(there[: len(names)]) == set(names) or (s.unique and set(there) <= set(names)))
    assert any(serving)


@given(tables(), st.data())
def test_a_column_adds_nothing_exactly_if_as_many_rows_are_told_apart_without_it(table: Any, data: Any) -> None:
    keyable = [field.name for field in table.schema if not pa.types.is_list(field.type) and distinct(table, [field.name]) > 1]
    if len(keyable) < 2:
        return
    names = data.draw(st.lists(st.sampled_from(keyable), min_size=2, max_size=4, unique=True))
    notes = [note for note in suggest(table, key=names).notes if f"nothing to ({', '.join(names)}):" in note]
    spare = any(distinct(table, [n for n in names if n != each]) == distinct(table, names) for each in names)
    assert bool(notes) == spare


# -- order --------------------------------------------------------------------------------------------------------------------


def hours(n: int) -> Any:
    return pa.array([START + timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC"))


def best(table: Any, *queries: Any) -> str:
    return str(suggest(table, queries).suggestions[0].specification)


def test_a_grid_of_series_puts_the_time_last_and_events_put_it_first() -> None:
    at = hours(50)
    grid = pa.table({"at": pa.concat_arrays([at, at]), "station": ["a"] * 50 + ["b"] * 50})
    assert best(grid) == "station, at"
    pairs = [(hour, user) for hour in range(50) for user in ((7 * hour) % 20, (7 * hour + 3) % 20)]
    events = pa.table({"user": [user for _, user in pairs], "at": hours(50).take(pa.array([hour for hour, _ in pairs]))})
    assert best(events) == "at, user"
    texts = events.set_column(1, "at", pa.array([str(value) for value in events.column("at").to_pylist()]))
    assert best(texts) == "at, user"


def test_fields_go_from_few_values_to_many_and_parts_of_a_time_from_coarse_to_fine() -> None:
    table = pa.table({"item": list(range(30)) * 4, "shop": [shop for shop in "abcd" for _ in range(30)]})
    assert best(table) == "shop, item"
    days = [(month, day, hour) for month in range(2) for day in range(31) for hour in range(24)]
    parts = pa.table({name: [day[at] for day in days] for at, name in ((2, "hour"), (1, "Day"), (0, "month"))})
    assert best(parts) == "month, Day, hour"


def test_queries_decide_the_order_and_the_direction() -> None:
    at = hours(50)
    grid = pa.table({"at": pa.concat_arrays([at, at]), "station": ["a"] * 50 + ["b"] * 50})
    assert best(grid, ["at"]) == "at, station"
    assert best(grid, "-at") == "-at, station"
    assert best(grid, ["station", "-at"]) == "station, -at"
    assert best(grid, ["station", "+at"]) == "station, at"
    assert best(grid, "at < '2024-01-02'") == "at, station"
    assert best(grid, "station == 'at' && at >= x") == "station, at"
    assert best(grid, ["at", "station"]) == "station, at"


def test_a_field_descends_only_where_that_serves() -> None:
    at = hours(50)
    columns = {"at": pa.concat_arrays([at, at]), "station": ["a"] * 50 + ["b"] * 50, "note": [i % 7 for i in range(100)]}
    found = suggest(pa.table(columns), [["note", "-at"], ["station"]])
    assert [str(s.specification) for s in found.suggestions] == ["station, at", "note, -at"]


def test_a_query_for_the_whole_key_and_more_needs_no_other_index() -> None:
    at = hours(50)
    table = pa.table({"at": pa.concat_arrays([at, at]), "station": ["a"] * 50 + ["b"] * 50, "kelvin": [i / 4 for i in range(100)]})
    (only,) = suggest(table, [["kelvin", "station", "at"]]).suggestions
    assert only.reason == "unique, and no column can be left out; serves (kelvin, station, at)"


def test_beside_a_number_for_each_row_the_pair_that_means_something_is_found() -> None:
    table = pa.table({"id": list(range(120)), "item": list(range(30)) * 4, "shop": [shop for shop in "abcd" for _ in range(30)]})
    assert [str(s.specification) for s in suggest(table).suggestions] == ["id", "shop, item"]


def test_no_column_is_given_up_for_a_poorer_one() -> None:
    part, half = [None, 1, 2, 3] * 2, [0, 0, 1, 1] * 2
    profiles = [Profile.of(name, at, pa.array(values)) for at, (name, values) in enumerate((("part", part), ("half", half)))]
    assert derived(profiles, 8) == {}  # type: ignore[arg-type]
    profiles[0] = Profile.of("part", 0, pa.array([0, 1, 2, 3] * 2))
    assert derived(profiles, 8) == {profiles[1]: profiles[0]}  # type: ignore[arg-type]


def test_one_index_serves_several_queries_where_it_can() -> None:
    rows = [(a, b, c) for a in range(5) for b in range(6) for c in range(7)]
    table = pa.table({"id": list(range(len(rows))), **{name: [row[at] for row in rows] for at, name in enumerate("abc")}})
    findings = suggest(table, [["a", "b"], ["b"], ["c"]])
    assert [str(s.specification) for s in findings.suggestions] == ["id", "b, a", "c"]
    shared = findings.suggestions[1]
    assert not shared.unique
    assert shared.distinct == pytest.approx(1 / 7)
    assert shared.reason == "serves the query (a, b); not unique: 14.3 % of the rows are distinct; serves (b)"


# -- what is said -------------------------------------------------------------------------------------------------------------


def test_poor_columns_are_left_out_with_the_reason_and_used_where_nothing_else_is_unique() -> None:
    columns: dict[str, Any] = {
        "id": list(range(10)),
        "same": [1] * 10,
        "text": [f"some words {i}" for i in range(10)],
        "long": [f"{i}" * 100 for i in range(10)],
        "part": [None, *range(9)],
        "float": [i / 4 for i in range(10)],
        "tags": [[i] for i in range(10)],
    }
    findings = suggest(pa.table(columns))
    assert keys(findings) == {frozenset({"id"})}
    assert findings.left_out == {
        "same": "the same in every row",
        "text": "free text",
        "long": "long text",
        "part": "has nulls",
        "float": "floating point",
        "tags": "list<item: int64> cannot be a key",
    }
    del columns["id"]
    poor = suggest(pa.table(columns), most=9)
    assert keys(poor) == {frozenset({name}) for name in ("text", "long", "part", "float")}
    assert poor.suggestions[0].reason == "unique; text is free text"


def test_columns_that_follow_from_another_are_left_out_in_favour_of_it() -> None:
    at = hours(48)
    table = pa.table(
        {
            "day": [1 + i // 24 for i in range(48)] * 3,
            "hour": [i % 24 for i in range(48)] * 3,
            "at": pa.concat_arrays([at, at, at]),
            "unit": ["a"] * 48 + ["b"] * 48 + ["c"] * 48,
            "name": ["A"] * 48 + ["B"] * 48 + ["C"] * 48,
        }
    )
    findings = suggest(table)
    assert [str(s.specification) for s in findings.suggestions] == ["unit, at"]
    assert findings.left_out == {"day": "follows from at", "hour": "follows from at", "name": "one to one with unit"}


def test_what_is_not_unique_is_said_to_be_so() -> None:
    twice = suggest(pa.table({"a": [1, 2, 3, 3], "b": ["x", "x", "y", "y"]}))
    (only,) = twice.suggestions
    assert only.specification == IndexSpecification.of("a", unique=False)
    assert only.distinct == 0.75
    assert only.reason == "not unique: 75.0 % of the rows are distinct"
    assert twice.notes == ("nothing is unique: 1 row repeats others in every column that can be in a key",)


def between_blocks(rows: int) -> int:
    """Return a row that is not sampled."""
    step = (rows - BLOCK_ROWS) // (SAMPLED_ROWS // BLOCK_ROWS - 1)
    assert step > BLOCK_ROWS + 8
    return (BLOCK_ROWS + step) // 2


def test_duplicates_outside_of_the_sample_are_found() -> None:
    rows = 3 * SAMPLED_ROWS
    number = list(range(rows))
    at = between_blocks(rows)
    number[at] = number[at + 1]
    (only,) = suggest(pa.table({"number": number})).suggestions
    assert not only.unique
    assert only.distinct == 1 - 1 / rows
    high, low = [n // 256 for n in number], [n % 256 for n in number]
    third = [i % 3 for i in range(rows)]
    assert keys(suggest(pa.table({"high": high, "low": low, "third": third}))) == {frozenset({"high", "low", "third"})}


def test_a_column_that_follows_but_for_a_row_outside_of_the_sample_stays() -> None:
    rows = 3 * SAMPLED_ROWS
    columns = {"unit": [i // 16 for i in range(rows)], "line": [i % 16 for i in range(rows)], "group": [i // 1024 for i in range(rows)]}
    assert suggest(pa.table(columns)).left_out == {"group": "follows from unit"}
    columns["group"][between_blocks(rows)] += 1
    assert suggest(pa.table(columns)).left_out == {}


def test_the_search_is_bounded_and_says_so() -> None:
    random = np.random.default_rng(7)
    table = pa.table({f"c{at}": random.integers(0, 9, 4096) for at in range(60)})
    findings = suggest(table)
    assert findings.notes == (
        "no unique combination of up to 4 columns was found",
        "the search ended at its limits: 40 columns, 4,096 combinations",
    )
    (only,) = findings.suggestions
    assert not only.unique
    assert only.distinct == distinct(table, only.specification.names) / 4096 > 0.5


def test_a_key_of_few_values_is_found_among_many_measures() -> None:
    random = np.random.default_rng(7)
    measures = {f"m{at}": random.integers(0, 90, 300) for at in range(100)}
    at = hours(100)
    table = pa.table({**measures, "station": ["a"] * 100 + ["b"] * 100 + ["c"] * 100, "at": pa.concat_arrays([at, at, at])})
    findings = suggest(table, most=1000)
    assert str(findings.suggestions[0].specification) == "station, at"
    assert "the search ended at its limits: 40 columns, 4,096 combinations" in findings.notes


@pytest.mark.parametrize("rows", [0, 1])
def test_one_row_says_nothing(rows: int) -> None:
    findings = suggest(pa.table({"a": list(range(rows))}))
    assert findings.suggestions == ()
    assert findings.notes == ("fewer than 2 rows say nothing about keys",)


@pytest.mark.parametrize(
    ("queries", "named"),
    [
        ([["hour", "statoin"]], "no column 'statoin' to query; did you mean 'station'"),
        ([["station", "station"]], "names no column, or one twice"),
        ([["station", "-station"]], "names no column, or one twice"),
        ([[]], "names no column"),
        ([7], "'7' compares no column"),
        (["'station' == 'a'"], "compares no column"),
        ([["station", 7]], "no column 7 to query"),
        ([["station"]] * 33, "33 queries were given; give the 32"),
    ],
)
def test_queries_that_ask_for_nothing_there_are_refused(queries: Any, named: str) -> None:
    table = pa.table({"station": ["a", "b"], "hour": [1, 2]})
    with pytest.raises(InvalidInput, match=named):
        suggest(table, queries)
    with pytest.raises(InvalidInput, match="most=0; ask for at least 1"):
        suggest(table, most=0)


def test_a_query_for_what_cannot_be_a_key_is_told() -> None:
    table = pa.table({"id": [1, 2], "tags": [[1], [2]], "same": ["a", "a"]})
    findings = suggest(table, [["tags"], "same"])
    assert findings.notes[:2] == (
        "no index serves (tags): tags is left out, list<item: int64> cannot be a key",
        "no index serves (same): same is left out, the same in every row",
    )
    nothing_else = suggest(pa.table({"a": [1, 1, 2], "same": [0, 0, 0]}), ["same"])
    assert [str(s.specification) for s in nothing_else.suggestions] == ["a"]


def test_text_is_the_same_in_whatever_arrow_holds_it() -> None:
    words = ["x", "y", None, "y"]
    plain = pa.array(words)
    indices = pa.array([0, 1, None, 1], pa.int8())
    forms = [
        plain.cast(pa.large_string()),
        plain.cast(pa.string_view()),
        plain.dictionary_encode(),
        pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y"], pa.string_view())),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1]), pa.array(["x", "y", None])),
        pa.chunked_array([plain[:1].dictionary_encode(), plain[1:].dictionary_encode()]),
        pa.chunked_array([plain[:2], plain[2:2], plain[2:]]),
    ]
    wanted = suggest(pa.table({"word": plain, "n": [1, 2, 3, 3]}))
    assert str(wanted.suggestions[0].specification) == "word, n"
    for form in forms:
        assert suggest(pa.table({"word": form, "n": [1, 2, 3, 3]})) == wanted
    with pytest.raises(InvalidInput, match="column 'a' is there twice"):
        suggest(pa.table([plain, plain], names=["a", "a"]))


def test_a_column_whose_name_begins_with_a_sign_is_itself() -> None:
    table = pa.table({"-a": [1, 2, 3], "b": [1, 1, 2]})
    assert suggest(table, ["-a"]).suggestions[0].specification.fields[0].name == "-a"
