"""What is said of the columns of a leaf holds for its rows, however the bounds were found."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sopnb.engine.statistics import LONGEST, statistics
from sopnb.index import IndexSpecification, sort_indices
from sopnb.schema import Schema

ROWS = [(a, b, n) for a in ("a", "b", "c" * (LONGEST + 1)) for b in ("", "x", "y\0", "z" * (LONGEST + 1)) for n in range(3)]
COLUMNS = {"a": "string!", "b": "string", "n": "int64"}


@pytest.mark.parametrize("index", [("a", "b", "n"), ("-a", "b", "n"), ("a", "-b", "n"), ("n", "a", "b"), ("b", "n", "-a")])
@pytest.mark.parametrize("size", [1, 2, 5, 12, 36])
@pytest.mark.parametrize("null", [False, True])
def test_bounds_are_the_least_and_the_greatest(index: tuple[str, ...], size: int, null: bool) -> None:
    specification = IndexSpecification.of(*index)
    schema = Schema.of({**COLUMNS, **({} if null else {"b": "string!"})}, specification)
    rows = [(a, None if null and b == "x" else b, n) for a, b, n in ROWS]
    batch = schema.batch(rows)
    order: Any = sort_indices([batch.column(name) for name in specification.names], specification)
    batch = batch if order is None else batch.take(pa.array(order))
    starts = list(range(0, len(rows), size))
    for start, found in zip(starts, statistics(batch, starts, schema), strict=True):
        piece = batch.slice(start, size)
        for name, bounds in zip(batch.schema.names, found, strict=True):
            values = [value for value in piece.column(name).to_pylist() if value is not None]
            least, greatest = (min(values), max(values)) if values else (None, None)
            if isinstance(least, str) and max(len(least), len(greatest)) > LONGEST:
                assert bounds is None
            else:
                assert bounds == (least, greatest, len(piece) - len(values))
