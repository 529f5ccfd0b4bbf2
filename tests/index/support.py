"""Key columns of every type, drawn by hypothesis."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from sopnb.index import IndexField, IndexSpecification, KeyCodec

TEXT = st.text(st.sampled_from("ab\0\1é\U0001f600"), max_size=4)
INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1])
TYPES: list[tuple[Any, Any]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint16(), st.integers(0, 65535)),
    (pa.int64(), INT64),
    (pa.uint64(), st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**64 - 1])),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.decimal128(10, 2), st.decimals(-1000, 1000, places=2)),
    (pa.date32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.timestamp("us", "UTC"), INT64),
    (pa.duration("ns"), INT64),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.binary(), st.binary(max_size=4)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
]
Case = tuple[KeyCodec, list[tuple[Any, ...]], list[Any]]


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def column(values: list[Any], kind: Any) -> Any:
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)
    return pa.array(values, kind)


@st.composite
def cases(draw: Any) -> Case:
    """Draw a codec, rows of storage values, and the same rows as Arrow columns."""
    fields, columns, specs = [], [], []
    for i in range(draw(st.integers(1, 3))):
        kind, values = draw(st.sampled_from(TYPES))
        nullable = draw(st.booleans())
        if not nullable and pa.types.is_floating(kind):
            values = values.filter(lambda v: not math.isnan(v))
        fields.append(pa.field(f"c{i}", kind, nullable=nullable))
        columns.append(st.none() | values if nullable else values)
        specs.append(IndexField(f"c{i}", draw(st.booleans()), draw(st.sampled_from(["first", "last"]))))
    rows = draw(st.lists(st.tuples(*columns), min_size=1, max_size=8))
    codec = KeyCodec(IndexSpecification(tuple(specs)), pa.schema(fields))
    return codec, rows, [column([row[i] for row in rows], field.type) for i, field in enumerate(fields)]
