"""Cells read from buffers are what Arrow says; what single look-ups keep stays within its bytes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sopnb.engine import cells
from sopnb.engine.cache import Shelves
from sopnb.values import storage_type

COLUMNS = [
    pa.array([1, None, -3, 127], pa.int8()),
    pa.array([0, 2**64 - 1, None, 7], pa.uint64()),
    pa.array([1.5, float("-inf"), None, 0.0], pa.float32()),
    pa.array([1.5, None, -0.0, 2.25], pa.float64()),
    pa.array(["", "näh\0e", None, "x" * 300], pa.string()),
    pa.array(["a", None, "b", ""], pa.large_string()),
    pa.array([b"\0\xff", None, b"", b"z"], pa.binary()),
    pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
    pa.array([True, False, None, True]),
    pa.array([0, None, 2, -5], pa.timestamp("ns", "Europe/Berlin")),
    pa.array([0, None, 2, -5], pa.date32()),
    pa.array([0, None, 86_400_000, -86_400_000], pa.int64()).cast(pa.date64()),
    pa.array([0, None, 2, 5], pa.time32("s")),
    pa.array([0, None, 2, -5], pa.duration("us")),
    pa.array([Decimal("1.25"), None, Decimal("-3.00"), Decimal(0)], pa.decimal128(10, 2)),
    pa.array([[1, 2], None, [], [None]], pa.list_(pa.timestamp("us"))),
    pa.array(["", "", "", ""]),
    pa.array([1, 2, 3, 4]),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type))
@pytest.mark.parametrize("start", [0, 1, 3])
def test_a_cell_is_what_arrow_says(column: Any, start: int) -> None:
    piece = column.slice(start)
    read = cells.maker(column.type)(piece)
    expected = piece.cast(storage_type(column.type)).to_pylist()
    assert [read(row) for row in range(len(piece))] == expected


def test_nothing_is_read_of_a_column_without_rows() -> None:
    for column in COLUMNS:
        assert callable(cells.maker(column.type)(column.slice(0, 0)))


def test_shelves_keep_to_their_bytes_and_hold_what_is_asked_for() -> None:
    shelves = Shelves(1000)
    one, two = shelves.shelf(), shelves.shelf()
    for number in range(1000):
        shelves.keep(one if number % 2 else two, b"%d" % number, number, 10)
        if number % 20 == 0:
            shelves.keep(one, b"often", -1, 10)
        assert 10 * sum(len(shelf.new) + len(shelf.old) for shelf in (one, two)) <= 1000
        assert b"often" in one.new or b"often" in one.old
