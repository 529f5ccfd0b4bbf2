"""Whoever evaluates an expression, the answer is the same: Arrow by the translation, either engine, and what was built by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sopnb.cel import Program
from sopnb.cel.engines.engine import ENGINES, engine
from sopnb.cel.vectorised import evaluated
from sopnb.errors import InvalidInput
from tests.cel.conditions import TYPES, Condition, conditions, tables

BOTH = [engine(package) for package in ENGINES]
INTS = {
    "a": (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)),
    "b": (pa.int64(), st.integers(-3, 3)),
    "c": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "u": (pa.uint32(), st.integers(0, 2**32 - 1)),
    "f": (pa.float64(), st.floats() | st.sampled_from([0.0, -0.0, 1.5])),
    "s": (pa.string(), st.text(st.characters(codec="utf-8"), max_size=4)),
    "t": (pa.timestamp("us", "UTC"), st.integers(-(10**16), 10**16)),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in INTS.items()])


@given(conditions, tables)
def test_a_condition_is_what_was_built_by_hand(condition: Condition, table: Any) -> None:
    expected = evaluated(condition.expression, table).to_pylist()
    for using in BOTH:
        program = Program.of(condition.text, TYPES, using=using)
        assert program.by_row(table).to_pylist() == expected
        assert program.values(table).to_pylist() == expected


def _wider(parts: Any) -> Any:
    pairs = st.tuples(parts, st.sampled_from("+-*/%"), parts).map(lambda three: f"({three[0]} {three[1]} {three[2]})")
    chosen = st.tuples(parts, parts).map(lambda two: f"({two[0]} > {two[1]} ? {two[0]} : {two[1]})")
    return pairs | parts.map(lambda part: f"(-{part})") | chosen


numbers = st.recursive(st.sampled_from(["a", "b", "c", "u", "2", "-1", "0", "7", "9223372036854775807", "size(s)", "t.getHours()"]), _wider)
doubles = st.recursive(st.sampled_from(["f", "1.5", "0.0", "-2.0", "double(b)"]), _wider, max_leaves=6)
texts = st.recursive(
    st.sampled_from(["s", "'x'", "string(b)", "''"]),
    lambda parts: st.tuples(parts, parts).map(" + ".join) | parts.map(lambda part: f"({part}).lowerAscii()"),
    max_leaves=4,
)
parts_of_time = st.sampled_from(
    [f"t.get{part}({zone})" for part in ("FullYear", "Month", "Date", "DayOfMonth", "DayOfYear", "DayOfWeek", "Hours", "Minutes", "Seconds",
                                         "Milliseconds") for zone in ("", "'America/New_York'", "'Asia/Kolkata'")]
)  # fmt: skip
rows = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in INTS.items()})


@given(numbers | doubles | texts | parts_of_time | numbers.map(lambda number: f"{number} >= 0"), st.lists(rows, max_size=8))
@example("a + b", [{"a": 2**63 - 1, "b": 1}, {"a": -(2**63), "b": -1}])
@example("a - b", [{"a": 2**63 - 1, "b": -1}, {"a": -(2**63), "b": 1}])
@example("a * 2", [{"a": 2**62}, {"a": -(2**62)}, {"a": -(2**62) - 1}])
@example("-a", [{"a": -(2**63)}])
@example("t.getMilliseconds()", [{"t": -1}])
def test_the_translation_is_what_both_engines_say(text: str, records: list[dict[str, Any]]) -> None:
    table = pa.table({field.name: pa.array([record.get(field.name) for record in records], field.type) for field in SCHEMA})
    types = {field.name: field.type for field in SCHEMA}
    answers = []
    for using in BOTH:
        try:
            program = Program.of(text, types, using=using)
        except InvalidInput:
            assume("%" not in text and len(text) < 100)  # there is no remainder of doubles, and a limit of depth
            raise
        answers.append(_bits(program.by_row(table)))
        answers.append(_bits(program.values(table)))
    assert answers[0] == answers[1] == answers[2] == answers[3]


def _bits(values: Any) -> list[str]:
    return list(map(repr, values.to_pylist()))


@given(
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.floats() | st.integers(-(10**7), 10**7).map(lambda n: n / 1000) | st.sampled_from([0.1, 0.3, 1e300, 999999.99, -999999.99]),
    st.lists(st.none() | st.decimals(-999999, 999999, places=2), max_size=8),
)
def test_decimals_are_compared_as_doubles_are(sign: str, value: float, prices: list[Any]) -> None:
    types = {"price": pa.decimal128(8, 2)}
    table = pa.table({"price": pa.array(prices, types["price"])})
    program = Program.of(f"price {sign} p", types, {"p": value})
    assert program.expression is not None
    assert program.values(table).to_pylist() == program.by_row(table).to_pylist()
