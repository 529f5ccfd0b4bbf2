"""Arrow tables of every type, in chunks and slices, drawn at random."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from sopnb.fields import formed
from tests.frames.support import NAMES, SPANS, TEXT

t = pa.types
_MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(microsecond=0))
_DAYS = st.dates()
PLAIN: list[tuple[Any, Any]] = [
    *(
        (kind, st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1))
        for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())
    ),
    *((kind, st.integers(0, 2**kind.bit_width - 1)) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    (pa.bool_(), st.booleans()),
    (pa.null(), st.none()),
    (pa.month_day_nano_interval(), st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 2, st.integers(-(2**63), 2**63 - 1))),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.string_view(), TEXT),
    (pa.binary(), st.binary(max_size=3)),
    (pa.large_binary(), st.binary(max_size=3)),
    (pa.binary_view(), st.binary(max_size=3)),
    (pa.binary(2), st.binary(min_size=2, max_size=2)),
    (pa.decimal128(20, 3), st.decimals(-1000, 1000, places=3)),
    (pa.decimal256(50, 3), st.decimals(-1000, 1000, places=3)),
    (pa.date32(), _DAYS),
    (pa.date64(), _DAYS),
    (pa.time32("s"), st.times().map(lambda at: at.replace(microsecond=0))),
    (pa.time32("ms"), st.times().map(lambda at: at.replace(microsecond=0))),
    (pa.time64("us"), st.times()),
    (pa.time64("ns"), st.times()),
    *((pa.timestamp(unit), _MOMENTS) for unit in ("s", "ms", "us", "ns")),
    (pa.timestamp("us", "Europe/Berlin"), _MOMENTS.map(lambda at: at.replace(tzinfo=UTC))),
    (pa.timestamp("s", "+05:30"), _MOMENTS.map(lambda at: at.replace(tzinfo=UTC))),
    *((pa.duration(unit), SPANS.map(lambda span: timedelta(span.days, span.seconds))) for unit in ("s", "ms", "us", "ns")),
]
_LABELLED = [pair for pair in PLAIN if not any(f(pair[0]) for f in (t.is_string_view, t.is_binary_view, t.is_interval, t.is_null))]


@st.composite
def types(draw: Any, depth: int = 2) -> tuple[Any, Any]:
    """Draw a type, nested to a depth, and a strategy of its values."""
    forms = ["plain"] * 3 + ["list", "large_list", "fixed", "struct", "map", "runs", "dictionary"]
    form = draw(st.sampled_from(forms)) if depth else "plain"
    if form == "plain":
        return draw(st.sampled_from(PLAIN))
    if form in ("runs", "dictionary"):
        kind, value = draw(st.sampled_from(_LABELLED))
        index = draw(st.sampled_from([pa.int16(), pa.int32(), pa.int64()]))
        return pa.run_end_encoded(index, kind) if form == "runs" else pa.dictionary(index, kind, draw(st.booleans())), value
    if form == "map":
        key, keys = draw(st.sampled_from([pair for pair in _LABELLED if not pa.types.is_floating(pair[0])]))
        kind, value = draw(types(depth - 1))
        return pa.map_(key, kind, draw(st.booleans())), st.lists(st.tuples(keys, st.none() | value), max_size=2)
    if form == "struct":
        inner = [draw(types(depth - 1)) for _ in range(draw(st.integers(1, 2)))]
        names = [f"f{at}" for at in range(len(inner))]
        values = {name: st.none() | value for name, (_, value) in zip(names, inner, strict=True)}
        return pa.struct(list(zip(names, (kind for kind, _ in inner), strict=True))), st.fixed_dictionaries(values)
    kind, value = draw(types(depth - 1))
    if form == "fixed":
        return pa.list_(kind, 2), st.lists(st.none() | value, min_size=2, max_size=2)
    return (pa.list_ if form == "list" else pa.large_list)(kind), st.lists(st.none() | value, max_size=2)


def _valued(kind: Any) -> Any:
    """Return the type with the values of dictionaries and runs for these, of which Python values are not made within others."""
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return kind.value_type
    if t.is_map(kind):
        return pa.map_(kind.key_type, _valued(kind.item_type), kind.keys_sorted)
    if t.is_struct(kind):
        return pa.struct([field.with_type(_valued(field.type)) for field in kind])
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = _valued(kind.value_type)
        return pa.list_(inner, kind.list_size) if t.is_fixed_size_list(kind) else (pa.list_ if t.is_list(kind) else pa.large_list)(inner)
    return kind


@st.composite
def columns(draw: Any, name: str, n: int) -> tuple[Any, Any]:
    """Draw a field and its values."""
    dictionary = draw(st.integers(0, 5)) == 0
    kind, values = draw(st.sampled_from(_LABELLED)) if dictionary else draw(types())
    nullable = draw(st.booleans()) or t.is_null(kind)
    drawn = draw(st.lists(st.none() | values if nullable else values, min_size=n, max_size=n))
    array = formed(pa.array(drawn, _valued(kind)), kind)
    if dictionary:
        array = array.dictionary_encode()
    metadata = draw(st.sampled_from([None, None, {b"unit": b"m", b"note": b"\xc3\xa9"}]))
    return pa.field(name, array.type, nullable, metadata), array


@st.composite
def tables(draw: Any) -> Any:
    """Draw a table in chunks, perhaps a slice of a longer one, with the unique column ``row``."""
    n = draw(st.sampled_from([0, 1, 2, 4, 7]))
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    made = [draw(columns(name, n)) for name in names]
    row = pa.array(draw(st.permutations(range(n))), pa.int32())
    fields = [*(field for field, _ in made), pa.field("row", pa.int32(), nullable=False)]
    table = pa.table([*(array for _, array in made), row], schema=pa.schema(fields))
    cut = draw(st.integers(0, n))
    pieces = [table.slice(0, cut), table.slice(cut)]
    table = pa.concat_tables(pieces) if draw(st.booleans()) else table
    return table.slice(draw(st.integers(0, 2)))
