"""Rows sort as their encoded keys do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from sopnb.index import IndexSpecification, sort_indices
from tests.index.support import Case, cases


@given(cases())
def test_rows_sort_as_their_bytes_do(case: Case) -> None:
    codec, rows, arrays = case
    keys = [codec.encode(row) for row in rows]
    want = sorted(range(len(keys)), key=keys.__getitem__)
    got = sort_indices(arrays, codec.specification)
    assert (list(range(len(keys))) if got is None else got.tolist()) == want
    assert (got is None) == (keys == sorted(keys))


@pytest.mark.parametrize("spread", [1, 2**40], ids=["packed", "lexsort"])
def test_many_rows_sort_the_same_packed_and_by_columns(spread: int) -> None:
    random = np.random.default_rng(7)
    a = random.integers(-3, 3, 5000) * spread
    b = random.integers(-9, 9, 5000) * spread
    got = sort_indices([pa.array(a), pa.array(b)], IndexSpecification.of("a", "-b"))
    assert got.tolist() == sorted(range(5000), key=lambda i: (a[i], -b[i]))


def test_ids_order_equal_keys() -> None:
    ids = pa.array([b"b" * 16, b"a" * 16, b"c" * 16], pa.binary(16))
    assert sort_indices([pa.array([1, 1, 0])], IndexSpecification.of("k", unique=False), ids).tolist() == [2, 1, 0]
