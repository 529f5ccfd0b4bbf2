"""Encoded keys order as the keys do, by themselves and by the column, over all types, directions and nulls."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.errors import InvalidInput
from sopnb.index import IndexSpecification, KeyCodec, Keys, successor
from tests.index.support import Case, cases, is_null


def _compare(codec: KeyCodec, a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    for field, x, y in zip(codec.specification.fields, a, b, strict=True):
        if is_null(x) or is_null(y):
            if is_null(x) and is_null(y):
                continue
            return (-1 if is_null(x) else 1) * (1 if field.nulls == "first" else -1)
        x, y = (x.encode(), y.encode()) if isinstance(x, str) else (x, y)
        if x != y:
            return (-1 if x < y else 1) * (-1 if field.descending else 1)
    return 0


@given(cases())
def test_bytes_order_as_plain_python_orders(case: Case) -> None:
    codec, rows, _ = case
    by_bytes = sorted(rows, key=codec.encode)
    by_python = sorted(rows, key=functools.cmp_to_key(lambda a, b: _compare(codec, a, b)))
    assert [codec.encode(row) for row in by_bytes] == [codec.encode(row) for row in by_python]
    for a in rows:
        for b in rows:
            same = codec.encode(a) == codec.encode(b)
            assert same == (_compare(codec, a, b) == 0)
            assert same or not codec.encode(a).startswith(codec.encode(b))


@given(cases())
def test_columns_encode_as_rows_do(case: Case) -> None:
    codec, rows, arrays = case
    want = [codec.encode(row) for row in rows]
    assert codec.encode_columns(arrays).tolist() == want
    assert codec.encode_columns([array.slice(1) for array in arrays]).tolist() == want[1:]


@given(cases())
def test_keys_decode_to_what_they_were(case: Case) -> None:
    codec, rows, _ = case
    for row in rows:
        got = codec.decode(codec.encode(row))
        assert _compare(codec, got, row) == 0


@given(st.binary(max_size=3), st.binary(max_size=3))
def test_the_successor_bounds_exactly_what_begins_with_the_prefix(prefix: bytes, other: bytes) -> None:
    after = successor(prefix)
    assert (prefix <= other and (after is None or other < after)) == other.startswith(prefix)


def test_a_descending_range_the_wrong_way_names_the_field() -> None:
    codec = KeyCodec(IndexSpecification.of("a", "-b"), pa.schema([("a", pa.int64()), ("b", pa.int64())]))
    with pytest.raises(InvalidInput, match="'b' is descending"):
        codec.bounds((1, 2), (1, 7))
    lo, hi = codec.bounds((1, 7), (1, 2), closed="both")
    inside = [b for b in range(10) if lo <= codec.encode((1, b)) < (hi or b"\xff" * 99)]
    assert inside == [2, 3, 4, 5, 6, 7]


def test_a_short_tuple_bounds_every_key_that_begins_with_it() -> None:
    codec = KeyCodec(IndexSpecification.of("a", "b"), pa.schema([("a", pa.int64()), ("b", pa.string())]))
    lo, hi = codec.bounds((1,), (2,), closed="right")
    keys = [(a, b) for a in range(4) for b in ("", "x")]
    assert [key for key in keys if lo <= codec.encode(key) and (hi is None or codec.encode(key) < hi)] == [(2, ""), (2, "x")]


def test_startswith_cuts_within_a_text() -> None:
    for name in ("b", "-b"):
        codec = KeyCodec(IndexSpecification.of("a", name), pa.schema([("a", pa.int64()), ("b", pa.string())]))
        lo, hi = codec.encode_startswith((1,), "U")
        words = ["", "T", "U", "UA", "U\U0010ffff", "V"]
        assert hi is not None
        assert [w for w in words if lo <= codec.encode((1, w)) < hi] == ["U", "UA", "U\U0010ffff"]


def test_a_null_in_a_column_that_may_not_be_null_is_refused_by_name() -> None:
    codec = KeyCodec(IndexSpecification.of("a"), pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    with pytest.raises(InvalidInput, match="'a'"):
        codec.encode((None,))
    with pytest.raises(InvalidInput, match="'a'"):
        codec.encode_columns([pa.array([1, None])])


def test_keys_longer_than_the_widest_array_are_kept_whole() -> None:
    codec = KeyCodec(IndexSpecification.of("a"), pa.schema([("a", pa.string())]))
    texts = ["x" * 1000, "y", "x" * 999]
    keys = codec.encode_columns([pa.array(texts)])
    assert keys.tolist() == [codec.encode((text,)) for text in texts]
    assert Keys.of(keys.tolist()).take([2, 0]).tolist() == [codec.encode((text,)) for text in (texts[2], texts[0])]


def test_a_column_that_cannot_be_ordered_is_refused_with_the_remedy() -> None:
    schema = pa.schema([("tags", pa.list_(pa.string())), ("n", pa.int64())])
    with pytest.raises(InvalidInput, match=r"'tags'.*cannot be a key"):
        KeyCodec(IndexSpecification.of("tags"), schema)
    with pytest.raises(InvalidInput, match="no column 'm'"):
        KeyCodec(IndexSpecification.of("m"), schema)


def test_decimals_keep_their_scale() -> None:
    codec = KeyCodec(IndexSpecification.of("d"), pa.schema([("d", pa.decimal128(10, 2))]))
    assert codec.decode(codec.encode((Decimal("1.5"),))) == (Decimal("1.50"),)
