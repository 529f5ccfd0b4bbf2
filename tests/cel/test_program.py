from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sopnb.cel import Program
from sopnb.cel.engines.engine import ENGINES, Engine, engine
from sopnb.errors import InvalidInput
from sopnb.values import storage_type, to_storage
from tests.cel.cases import CASES, DOCUMENTS, EMPTY, FULL, REFUSED, TYPES


@pytest.fixture(params=ENGINES)
def using(request: pytest.FixtureRequest) -> Engine:
    return engine(request.param)


def table(*records: dict[str, Any], types: dict[str, Any] = TYPES) -> Any:
    return pa.table({name: pa.array([_stored(record[name], kind) for record in records], kind) for name, kind in types.items()})


def _stored(value: Any, kind: Any) -> Any:
    if value is None or pa.types.is_nested(kind):
        return value
    return pa.array([to_storage(kind)(value)], storage_type(kind)).cast(kind)[0].as_py()


def same(one: Any, other: Any) -> bool:
    return one == other and type(one) is type(other)


@pytest.mark.parametrize(("text", "full", "empty"), CASES, ids=[case[0] for case in CASES])
def test_both_engines_and_arrow_give_what_the_corpus_says(text: str, full: Any, empty: Any, using: Engine) -> None:
    program = Program.of(text, TYPES, documents=DOCUMENTS, using=using)
    records = table(FULL, EMPTY, FULL)
    for answer in (program.by_row(records), program.values(records)):
        values = answer.to_pylist()
        if program.kind == "dyn":
            full = full if isinstance(full, bool) else None
        assert same(values[0], full), values
        assert same(values[1], empty), values
        assert same(values[2], full), values


def test_much_of_the_corpus_is_arrows() -> None:
    said = [Program.of(text, TYPES, documents=DOCUMENTS).expression is not None for text, *_ in CASES]
    assert sum(said) > len(said) * 0.6


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_means_nothing_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Program.of(text, TYPES, documents=DOCUMENTS)
    assert reason in str(caught.value)
    assert "line 1, column " in str(caught.value)
    assert str(caught.value).endswith("^")


def test_the_place_is_marked_in_its_line() -> None:
    with pytest.raises(InvalidInput) as caught:
        Program.of("a > 3 &&\n  colour == 1", TYPES)
    assert "(line 2, column 3 of the expression)\n      colour == 1\n      ^" in str(caught.value)


def test_rows_beyond_one_chunk_and_none_at_all(using: Engine) -> None:
    program = Program.of("a / a == 1", {"a": pa.int64()}, using=using)
    many = pa.table({"a": [1, None, 0] * 3000})
    assert program.by_row(many).to_pylist() == [True, None, None] * 3000
    assert program.values(many.slice(0, 0)).to_pylist() == []


def test_the_columns_and_the_type_of_a_program() -> None:
    program = Program.of("place.x > small && row['odd name'] == null", TYPES)
    assert program.columns == ("place", "small", "odd name")
    assert program.type == pa.bool_()
    assert Program.of("at", TYPES).type == pa.timestamp("us", "UTC")
    for text in ("items", "items[0]", "{'x': 1}"):
        with pytest.raises(InvalidInput, match="the value of the expression is of type"):
            _ = Program.of(text, TYPES).type


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a == p", 7, True),
        ("a == p", np.int64(7), True),
        ("a < p", 7.5, True),
        ("f == p", Decimal("2.5"), True),
        ("price > p", Decimal("19.98"), True),
        ("yes == p", np.bool_(True), True),
        ("s == p", "héllo", True),
        ("s == p + 'llo'", "hé", True),
        ("raw == p", b"\x00\xff", True),
        ("raw == p", UUID(int=1), False),
        ("a == p", None, False),
        ("a != p", None, True),
        ("a in p", [1, 7], True),
        ("a in p", (1, 2), False),
        ("a in p", np.array([7]), True),
        ("a in p", pd.Series([7]), True),
        ("a in p", pa.array([7]), True),
        ("p.exists(i, i == a)", [1, 7], True),
        ("at == p", datetime(2013, 1, 1, 10, tzinfo=UTC), True),
        ("at == p", pd.Timestamp("2013-01-01 05:00", tz="America/New_York"), True),
        ("at >= p", date(2013, 1, 1), True),
        ("at == p", "2013-01-01 05:00", True),
        ("plain == p", datetime(2013, 1, 1, 5), True),
        ("plain == p", np.datetime64("2013-01-01T05:00"), True),
        ("day == p", date(2013, 1, 31), True),
        ("day in p", [date(2013, 1, 31)], True),
        ("took == p", pd.Timedelta(minutes=90), True),
        ("f < p", math.inf, True),
        ("f == p", math.nan, False),
        ("f in p", [math.nan], False),
        ("f != p", math.nan, True),
    ],
)
def test_parameters_are_values_of_python(text: str, value: Any, expected: Any, using: Engine) -> None:
    program = Program.of(text, TYPES, {"p": value}, documents=DOCUMENTS, using=using)
    records = table(FULL)
    assert program.by_row(records).to_pylist() == program.values(records).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("text", "parameters", "reason"),
    [
        ("a > 3", {"limit": 3}, "does not use the parameter 'limit'"),
        ("a > limit", {}, "there is no column or parameter 'limit'"),
        ("a > b", {"b": 3}, "'b' is a column and a parameter too"),
        ("a > p", {"p": object()}, "parameter 'p': .* is no value of an expression"),
        ("a > p", {"p": 2**70}, "parameter 'p': .* does not fit 64 bits"),
        ("s == p", {"p": "\ud800"}, "parameter 'p': half of a character"),
        ("at > p", {"p": datetime(2013, 1, 1)}, "give a datetime with a zone"),
        ("plain > p", {"p": datetime(2013, 1, 1, tzinfo=UTC)}, "give a naive datetime"),
        ("a in p", {"p": ["x"]}, "int is never equal to string"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(text: str, parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Program.of(text, TYPES, parameters)


def test_arrow_compares_nanoseconds_which_engines_cut_off() -> None:
    program = Program.of("fine < '2013-01-01 10:00:00.000000001'", TYPES)
    assert program.values(table(FULL)).to_pylist() == [True]


def test_conjuncts_are_arrows_or_the_engines() -> None:
    program = Program.of("a > 3 && items.exists(i, i > 2) && (s == 'x' && f / f > a)", TYPES)
    assert [part.expression is not None for part in program.conjuncts] == [True, False, True, False]
    assert program.residual is not None
    assert program.residual.columns == ("items", "f", "a")
    assert Program.of("a > 3 && s == 'x'", TYPES).residual is None


def test_long_columns_of_every_text_type() -> None:
    words = [None if i % 7 == 0 else f"Aé{i}" for i in range(100_000)]
    lower = [None if word is None else word.replace("A", "a") for word in words]
    for kind in (pa.string(), pa.large_string()):
        records = pa.table({"s": pa.array(words, kind)})
        for text in ("s.lowerAscii()", "string(s).lowerAscii()", "(s + '').lowerAscii()", "(s == null ? s : s).lowerAscii()"):
            values = Program.of(text, {"s": kind}).values(records)
            values.validate(full=True)
            assert values.to_pylist() == lower


def test_a_long_text_with_a_zero_is_refused_rather_than_misread(using: Engine) -> None:
    program = Program.of("s.size() / 1 > 3 && [s].exists(t, t.endsWith('x'))", {"s": pa.string()}, using=using)
    records = pa.table({"s": ["\0" * 200_000 + "x"]})
    if using is engine("cel-expr-python"):
        with pytest.raises(InvalidInput, match="a text with a zero in it is too long for the engine"):
            program.by_row(records)
    else:
        assert program.by_row(records).to_pylist() == [True]
    assert program.by_row(pa.table({"s": ["\0ax\0x"]})).to_pylist() == [True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(s + 'x').contains('y')", '(s + "x").contains("y")'),
        ("(small > 1 ? s : 'b').startsWith(s + 'c')", '((small > 1) ? s : "b").startsWith((s + "c"))'),
        ("s + 'x'", 's + "x"'),
        ("s == null", "s == null"),
        ("s != null", "!(s == null)"),
        ("at + duration('1000001s')", 'at + duration("1000001s")'),
        ("at - duration('-1h0.000001s')", 'at - duration("-3600.000001s")'),
        ("at > timestamp('0001-01-01T00:00:00Z')", 'at > timestamp("0001-01-01T00:00:00.000000000Z")'),
    ],
)
def test_an_expression_is_told_so_that_it_reads_as_itself(text: str, told: str) -> None:
    assert str(Program.of(text, TYPES)) == told
    assert str(Program.of(told, TYPES)) == told
