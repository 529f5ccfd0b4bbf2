"""Selections equal the same filter computed by plain Python, whatever the key, the layers and the bounds."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.errors import InvalidInput, InvalidState, SchemaMismatch
from tests.api_support import QUIET, SMALL, World, worlds

NAMES = ("x", "y", "z")
CONDITIONS = [
    (pc.field("value") > 7, lambda row: row["value"] > 7),
    (pc.field("note") == "n1", lambda row: row["note"] == "n1"),
    (~(pc.field("note") == "n1"), lambda row: row["note"] == "n0"),
    ((pc.field("note") == "n1") | (pc.field("value") < 5), lambda row: row["note"] == "n1" or row["value"] < 5),
    (pc.field("note").is_null() & (pc.field("value") > 2.5), lambda row: row["note"] is None and row["value"] > 2.5),
]


@st.composite
def bounds(draw: Any, world: World) -> Any:
    """Draw a key or its beginning, half of the time one that is there; None is open."""
    if draw(st.integers(0, 9)) == 0:
        return None
    there = draw(st.booleans()) and world.rows
    key = world.shape.key(draw(st.sampled_from(world.rows))) if there else draw(world.shape.keys)
    return key[: draw(st.integers(1, len(key)))]


@st.composite
def selections(draw: Any) -> tuple[World, Any, list[dict[str, Any]]]:
    """Draw a world, a selection of it and the records that it must hold."""
    world = draw(worlds())
    shape, store = world.shape, world.store
    selection, rows = store[:], world.ordered
    way = draw(st.sampled_from(["all", "range", "range", "prefix", "slice"]))
    if way == "prefix":
        values = draw(bounds(world)) or ()
        selection = store.prefix(*values)
        rows = [row for row in rows if shape.compare(shape.key(row), values) == 0]
    elif way != "all":
        start, stop = draw(bounds(world)), draw(bounds(world))
        if start is not None and stop is not None and shape.compare(start, stop) > 0:
            start, stop = stop, start
        closed = "left" if way == "slice" else draw(st.sampled_from(["left", "right", "both", "neither"]))
        selection = store[start:stop] if way == "slice" else store.range(start, stop, closed=closed)
        if start is not None:
            least = 0 if closed in ("left", "both") else 1
            rows = [row for row in rows if shape.compare(shape.key(row), start) >= least]
        if stop is not None:
            most = 0 if closed in ("right", "both") else -1
            rows = [row for row in rows if shape.compare(shape.key(row), stop) <= most]
    if draw(st.booleans()):
        condition, passes = draw(st.sampled_from(CONDITIONS))
        selection, rows = selection.where(condition), [row for row in rows if passes(row)]
    if draw(st.booleans()):
        selection, rows = selection.reverse(), rows[::-1]
    return world, selection, [{name: value for name, value in row.items() if name != "_id"} for row in rows]


@given(selections(), st.integers(0, 20), st.integers(1, 7))
def test_a_selection_equals_the_filter(case: tuple[World, Any, list[dict[str, Any]]], start: int, size: int) -> None:
    world, selection, rows = case
    table = selection.to_arrow()
    assert table.to_pylist() == rows
    assert selection.to_dicts() == rows
    assert pa.table(selection).to_pylist() == rows
    assert selection.count() == len(rows)
    whole = selection.to_pandas()
    assert len(whole) == len(rows)
    assert _same_frame(selection.rows(start, start + size), whole.iloc[start : start + size])
    assert _same_frame(selection.page(1, size=size), whole.iloc[size : 2 * size])
    assert _same_frame(selection.head(size), whole.head(size))
    assert _same_frame(selection.tail(size), whole.tail(size))
    if start < len(rows):
        assert dict(selection.row(start)) == rows[start]
    else:
        with pytest.raises(IndexError):
            selection.row(start)
    assert [frame for frame in selection.iter_batches(size=size) if not len(frame) <= size] == []
    pieces = list(selection.iter_batches(size=size))
    assert all(len(piece) == size for piece in pieces[:-1])
    assert not pieces or _same_frame(pd.concat(pieces), whole)
    assert _same_frame(_paged(selection, size), whole)
    assert selection.select("note").to_arrow()["note"].to_pylist() == [row["note"] for row in rows]
    keys = list(selection.keys())
    assert keys == [record.key for record in selection.records()]
    assert len(set(map(str, keys))) == len(rows)
    assert world.db.check().ok


@given(worlds(), st.data())
def test_in_a_transaction_the_same_is_read_over_its_own_writes(world: World, data: Any) -> None:
    with world.db.transaction() as tx:
        outside, world.store = world.store, tx["things"]
        world.write(data.draw(st.lists(world.shape.keys, max_size=6)))
        world.delete(data.draw(st.lists(st.integers(0, 99), max_size=3)))
        rows = [{name: value for name, value in row.items() if name != "_id"} for row in world.ordered]
        inside = tx["things"][:]
        assert inside.to_arrow().to_pylist() == rows
        assert inside.reverse().to_dicts() == rows[::-1]
        assert len(tx["things"]) == inside.count() == len(rows)
        middle = len(rows) // 2
        assert inside.rows(middle, middle + 3)["value"].tolist() == [row["value"] for row in rows[middle : middle + 3]]
        assert [dict(record) for record in (tx["things"].first(), tx["things"].last()) if record] == [*rows[:1], *rows[-1:]]
    assert outside[:].to_dicts() == rows


def _paged(selection: Any, size: int) -> Any:
    frame, token = selection.next_page(size=size)
    frames = [frame]
    while token is not None:
        frame, token = selection.next_page(token, size=size)
        assert len(frame)
        frames.append(frame)
    return pd.concat(frames)


def _same_frame(got: Any, want: Any) -> bool:
    pd.testing.assert_frame_equal(got.reset_index(drop=True), want.reset_index(drop=True))
    return True
