"""Random conditions: the text of one beside what it means, built by hand of Arrow's own functions; and tables with nulls to judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
_hours = st.integers(-3, 3).map(lambda hour: BEGIN + timedelta(hours=hour))
COLUMNS: dict[str, tuple[Any, Any]] = {
    "x": (pa.int64(), st.integers(-4, 4) | st.sampled_from([2**63 - 1, -(2**63), 2**31])),
    "y": (pa.int64(), st.integers(-4, 4)),
    "u": (pa.uint8(), st.integers(0, 5)),
    "f": (pa.float64(), st.sampled_from([-1.5, -0.0, 0.0, 2.0, 2.5, float("inf"), float("nan")])),
    "s": (pa.string(), st.sampled_from(["", "a", "ab", "b", "é", "a\0"])),
    "w": (pa.string(), st.sampled_from(["", "a", "b"])),
    "t": (pa.timestamp("us", "UTC"), _hours),
    "yes": (pa.bool_(), st.booleans()),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])
TYPES = {field.name: field.type for field in SCHEMA}
records = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in COLUMNS.items()})
tables = st.lists(records, max_size=12).map(lambda rows: pa.Table.from_pylist(rows, schema=SCHEMA))
_OPERATORS = {"==": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
_UNKNOWN = pc.scalar(pa.scalar(None, pa.bool_()))


@dataclass(frozen=True)
class Condition:
    """The text of a condition, and the expression that says the same."""

    text: str
    expression: Any


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("\0", "\\u0000") + "'"
    if isinstance(value, datetime):
        return f"timestamp('{value.isoformat()}')"
    return repr(value)


@st.composite
def _with_constant(draw: Any) -> Condition:
    name = draw(st.sampled_from(list(COLUMNS)))
    value = draw(COLUMNS[name][1].filter(lambda value: not isinstance(value, float) or value - value == 0))
    sign = draw(st.sampled_from(list(_OPERATORS)))
    meant = _OPERATORS[sign](pc.field(name), pc.scalar(pa.scalar(value, TYPES[name])))
    said = f"'{value.isoformat()}'" if isinstance(value, datetime) and draw(st.booleans()) else _said(value)
    form = draw(st.sampled_from(["plain", "turned", "engine"]))
    if form == "turned":
        return Condition(f"{said} {_TURNED.get(sign, sign)} {name}", meant)
    if form == "engine" and not said.startswith("'2"):
        loop = draw(st.sampled_from(["exists", "all", "exists_one"]))
        return Condition(f"[{name}].{loop}(m, m {sign} {said})", meant)
    return Condition(f"{name} {sign} {said}", meant)


_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@st.composite
def _of_columns(draw: Any) -> Condition:
    one, other = draw(st.sampled_from([("x", "y"), ("s", "w"), ("y", "x"), ("f", "f"), ("t", "t"), ("yes", "yes"), ("u", "y")]))
    sign = draw(st.sampled_from(list(_OPERATORS)))
    left, right = pc.field(one), pc.field(other)
    return Condition(f"{one} {sign} {other}", _OPERATORS[sign](left.cast(pa.int64()) if one == "u" else left, right))


@st.composite
def _fraction(draw: Any) -> Condition:
    name, value = draw(st.sampled_from(["y", "u"])), draw(st.sampled_from([-1.5, 0.5, 2.0, 2.5, 1e30, -1e30]))
    sign = draw(st.sampled_from(list(_OPERATORS)))
    return Condition(f"{name} {sign} {value!r}", _OPERATORS[sign](pc.field(name).cast(pa.float64()), pc.scalar(value)))


@st.composite
def _among(draw: Any) -> Condition:
    name = draw(st.sampled_from(["y", "u", "s", "t", "yes"]))
    values = draw(st.lists(COLUMNS[name][1], max_size=3))
    field = pc.field(name)
    meant = pc.if_else(field.is_valid(), field.isin(pa.array(values, TYPES[name])), _UNKNOWN)
    return Condition(f"{name} in [{', '.join(map(_said, values))}]", meant)


@st.composite
def _text(draw: Any) -> Condition:
    name, piece = draw(st.sampled_from(["s", "w"])), draw(st.sampled_from(["", "a", "b", "é"]))
    method, function = draw(st.sampled_from([("startsWith", pc.starts_with), ("endsWith", pc.ends_with), ("contains", pc.match_substring)]))
    return Condition(f"{name}.{method}('{piece}')", function(pc.field(name), piece))


@st.composite
def _missing(draw: Any) -> Condition:
    name = draw(st.sampled_from(list(COLUMNS)))
    field = pc.field(name)
    return draw(
        st.sampled_from(
            [Condition(f"{name} == null", field.is_null()), Condition(f"{name} != null", field.is_valid()),
             Condition(f"has(row.{name})", field.is_valid())]
        )
    )  # fmt: skip


@st.composite
def _computed(draw: Any) -> Condition:
    sign = draw(st.sampled_from(list(_OPERATORS)))
    if draw(st.booleans()):
        value, y = draw(st.integers(-9, 9)), pc.field("y")
        return Condition(f"y * 2 - 1 {sign} {value}", _OPERATORS[sign](pc.subtract(pc.multiply(y, pc.scalar(2)), pc.scalar(1)), value))
    text = draw(st.sampled_from(["", "a", "ab", "é"]))
    joined = pc.binary_join_element_wise(pc.field("s"), pc.field("w"), pc.scalar(""))
    return Condition(f"s + w {sign} '{text}'", _OPERATORS[sign](joined, pc.scalar(text)))


_leaves = _with_constant() | _with_constant() | _of_columns() | _fraction() | _among() | _text() | _missing() | _computed() | st.just(
    Condition("yes", pc.field("yes"))
)  # fmt: skip


def _joined(parts: Any) -> Any:
    def both(pair: tuple[Condition, Condition]) -> Condition:
        return Condition(f"({pair[0].text} && {pair[1].text})", pair[0].expression & pair[1].expression)

    def either(pair: tuple[Condition, Condition]) -> Condition:
        return Condition(f"({pair[0].text} || {pair[1].text})", pair[0].expression | pair[1].expression)

    def chosen(three: tuple[Condition, Condition, Condition]) -> Condition:
        a, b, c = three
        return Condition(f"({a.text} ? {b.text} : {c.text})", pc.if_else(a.expression, b.expression, c.expression))

    pairs = st.tuples(parts, parts)
    negated = parts.map(lambda one: Condition(f"!({one.text})", ~one.expression))
    return pairs.map(both) | pairs.map(both) | pairs.map(either) | negated | st.tuples(parts, parts, parts).map(chosen)


conditions = st.recursive(_leaves, _joined, max_leaves=6)
