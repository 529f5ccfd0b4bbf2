"""The engines agree on every function, conversion and operator, whatever a record holds; and Arrow with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sopnb.cel import Program
from sopnb.cel.engines.engine import ENGINES, engine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES = {
    **dict.fromkeys("ab", pa.int64()), "u": pa.uint64(), **dict.fromkeys("fg", pa.float64()), **dict.fromkeys("sw", pa.string()),
    "t": pa.timestamp("us", "UTC"), "d": pa.duration("us"), "y": pa.bool_(), "raw": pa.binary(), "l": pa.list_(pa.int64()),
    "doc": pa.string(),
}  # fmt: skip
INTS = [0, 1, -1, 7, 2**63 - 1, -(2**63), 2**53 + 1, -268]
DOUBLES = [
    0.0,
    -0.0,
    1.5,
    -2.5,
    1e20,
    1e-7,
    float("inf"),
    float("-inf"),
    float("nan"),
    123456789.0,
    999999.0,
    1e6,
    9.2e18,
    1.8e19,
    0.1,
    1 / 3,
]
TEXTS = [
    "", "a", "12", "-7", " 5", "1.5", "1e3", "true", "TRUE", "t", "1", "0x10", "2013-01-01T00:00:00Z", "2013-01-01T00:00:00.25+01:00",
    "2013-01-01", "90s", "1h30m", "1.5s", "-1h", "é", "inf", "NaN", "9223372036854775808", "+3", "1_000", "\u0663", "abc", "3.", "a\0b",
    "false", "F", "2013-1-1t1:2:60-0330", "100000000h", "-", ".5",
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    **dict.fromkeys("ab", INTS), "u": [0, 1, 2**64 - 1, 2**63, 5], **dict.fromkeys("fg", DOUBLES), **dict.fromkeys("sw", TEXTS),
    "t": [EPOCH + timedelta(microseconds=us) for us in (0, 1, -1, 10**15, 1357036200 * 10**6, 120000, -(10**16), -(10**15) - 500001)],
    "d": [timedelta(microseconds=us) for us in (0, 1, -1, 5400 * 10**6, 90500000, -90500000, -(36 * 10**8) + 1, 10**12)],
    "y": [True, False], "raw": [b"", b"ab", b"\xff", "é".encode(), b"a\0"], "l": [[], [1], [1, None, 3], [5, 5, 2]],
    "doc": [
        '{"n":1,"s":"x","l":[1,2.5,"a",null],"d":{"e":true}}', '{"n":1.5}', "{}", "[1,2]", '"x"', "3", '{"n":"1"}',
        '{"n":12345678901234567890}', '{"n":-1e30}',
    ],
}  # fmt: skip
EXPRESSIONS = [
    "string(a)",
    "string(u)",
    "string(f)",
    "string(y)",
    "string(raw)",
    "string(t)",
    "string(d)",
    "int(f)",
    "int(s)",
    "int(u)",
    "uint(a)",
    "uint(f)",
    "uint(s)",
    "double(a)",
    "double(u)",
    "double(s)",
    "bool(s)",
    "bytes(s)",
    "timestamp(s)",
    "timestamp(a)",
    "duration(s)",
    "int(t)",
    "t + d",
    "t - d",
    "t - t",
    "d + d",
    "d - d",
    "d < d",
    "t.getFullYear()",
    "t.getMonth()",
    "t.getDayOfYear()",
    "t.getDayOfWeek()",
    "t.getHours('Asia/Kolkata')",
    "t.getMinutes('-03:30')",
    "t.getHours('+02:00')",
    "t.getHours('Mars/X')",
    "d.getHours()",
    "d.getMinutes()",
    "d.getSeconds()",
    "d.getMilliseconds()",
    "f / g",
    "f * g",
    "f - g",
    "f + g",
    "a / b",
    "a % b",
    "a * b",
    "a - b",
    "a + b",
    "u + u",
    "u - u",
    "u * u",
    "u / u",
    "u % u",
    "-f",
    "-a",
    "f < g",
    "f == g",
    "a < f",
    "a == f",
    "u < a",
    "u == a",
    "u == f",
    "f in [g, 1.5]",
    "a in l",
    "a in [b]",
    "s + w",
    "s < w",
    "s.contains(w)",
    "s.startsWith(w)",
    "s.endsWith(w)",
    "size(s)",
    "size(raw)",
    "size(l)",
    "l[0] == 1",
    "int(l[1])",
    "l.exists(x, x > 1)",
    "l.all(x, x > 0)",
    "l.exists_one(x, x == 5)",
    "l.map(x, x * 2) == [2]",
    "l.filter(x, x > 1) == [5,5,2]",
    "size(l + l)",
    "doc.n == 1",
    "doc.n > 1",
    "doc.n < 1.5",
    "int(doc.n)",
    "string(doc.s)",
    "doc.s + 'x' == 'xx'",
    "doc.l[0] == 1",
    "doc.l[1] > 2",
    "doc.l[2] == 'a'",
    "doc.l[3] == null",
    "doc.d.e",
    "has(doc.d.e)",
    "doc.n == null",
    "size(doc)",
    "doc[0] == 1",
    "type(doc.n) == int",
    "type(doc.n) == double",
    "doc == 3",
    "doc.l.exists(i, i == 2.5)",
    "doc.n in [1, 1.5]",
    "'n' in doc",
    "doc.d == {'e': true}",
    "{'x': a, 'y': b}.x",
    "{'x': a}['x'] == 1",
    "{1: 'a'}[a] == 'a'",
    "[a, f][0] == 1",
    "y ? a : b",
    "(y ? s : w).size()",
    "y && a > b",
    "y || a / b > 0",
    "!(a > b)",
    "a > b ? f : g",
    "[a, b].map(x, x / 2)[0] == 1",
    "[[a], [b]].exists(p, p[0] > 5)",
    "l.map(x, l.map(z, z + x)).size() == 2",
    "s == string(a)",
    "bytes(s) == raw",
    "type(a) == type(b)",
    "type(s) == string",
    "l == [1]",
    "l != [1]",
    "s.lowerAscii() == w",
    "raw + raw == b'abab'",
    "raw < b'b'",
    "-(-a)",
    "!y",
    "a >= f",
    "a != f",
    "timestamp(s) < t",
    "duration(s) > d",
    "double(s) > f",
    "int(s) + a",
    "dyn(a) == dyn(s)",
    "dyn(a) < dyn(f)",
    "dyn(s) < dyn(a)",
    "dyn(a) + dyn(f) == 1.0",
    "dyn(y) == 1",
    "dyn(l)[dyn(a)] == 1",
    "{'a': l}.a.exists(x, x == 1)",
    "[1, 2, 3].exists(x, x == a)",
    "l.exists(x, l.exists(z, z > x))",
    "size([a, b, u])",
    "'' + s",
    "s.size() > 3 && s.matches('^[0-9]+$')",
    "(a > 0 ? 'p' : (a < 0 ? 'n' : 'z'))",
]


@pytest.fixture(scope="module")
def records(request: pytest.FixtureRequest) -> Any:
    """Return a table in which the values stand beside each other in many ways, a tenth of them null."""
    chance = np.random.default_rng(1)
    n = 2000 if request.config.getoption("--long") else 60
    columns = {
        name: [None if chance.random() < 0.1 else VALUES[name][chance.integers(len(VALUES[name]))] for _ in range(n)] for name in TYPES
    }
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()})


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_engines_agree(text: str, records: Any) -> None:
    programs = [Program.of(text, TYPES, documents=["doc"], using=engine(package)) for package in ENGINES]
    one, other = ([repr(value) for value in program.by_row(records).to_pylist()] for program in programs)
    assert one == other
    assert [repr(value) for value in programs[0].values(records).to_pylist()] == one
