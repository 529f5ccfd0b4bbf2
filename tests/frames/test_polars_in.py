"""Frames of polars go in with all that Arrow says of them, or are refused with the column named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sopnb
from sopnb.errors import InvalidInput
from tests.api_support import QUIET, SMALL
from tests.frames.support import FLOATS, SPANS, TEXT
from tests.frames.test_roundtrip import RELAXED, Arena, examples

KINDS: dict[str, tuple[Any, Any]] = {
    **{
        str(kind): (kind, st.integers(0, 100))
        for kind in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
    },
    "f32": (pl.Float32, st.floats(width=32)),
    "f64": (pl.Float64, FLOATS),
    "bool": (pl.Boolean, st.booleans()),
    "text": (pl.String, TEXT),
    "bytes": (pl.Binary, st.binary(max_size=3)),
    "category": (pl.Categorical, st.sampled_from(["a", "b", ""])),
    "enum": (pl.Enum(["b", "a", "unused"]), st.sampled_from(["a", "b"])),
    "decimal": (pl.Decimal(20, 3), st.decimals(-1000, 1000, places=3)),
    "date": (pl.Date, st.dates(date(1900, 1, 1))),
    "time": (pl.Time, st.times()),
    "moment": (pl.Datetime("us"), st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))),
    "zoned": (
        pl.Datetime("ns", "Europe/Berlin"),
        st.datetimes(datetime(1970, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    ),
    "duration": (pl.Duration("us"), SPANS),
    "list": (pl.List(pl.String), st.lists(st.none() | TEXT, max_size=2)),
    "array": (pl.Array(pl.Int8, 2), st.lists(st.integers(0, 9), min_size=2, max_size=2)),
    "struct": (
        pl.Struct({"a": pl.Int8, "b": pl.List(pl.Date)}),
        st.fixed_dictionaries({"a": st.none() | st.integers(0, 9), "b": st.none() | st.lists(st.dates(date(1900, 1, 1)), max_size=2)}),
    ),
    "null": (pl.Null, st.none()),
}


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    arena = Arena()
    yield arena
    arena.close()


@st.composite
def frames(draw: Any) -> Any:
    n = draw(st.sampled_from([0, 1, 2, 5]))
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=4))
    columns = {"row": pl.Series(draw(st.permutations(range(n))), dtype=pl.Int64)}
    for at, name in enumerate(kinds):
        kind, values = KINDS[name]
        columns[f"{at} {name}"] = pl.Series(draw(st.lists(st.none() | values, min_size=n, max_size=n)), dtype=kind)
    return pl.DataFrame(columns)


def test_frames_of_all_types_go_in_as_they_are(arena: Arena, request: pytest.FixtureRequest) -> None:
    @settings(max_examples=examples(request, 200), deadline=None, suppress_health_check=RELAXED)
    @given(frames())
    def check(frame: Any) -> None:
        with arena.store(frame, "row") as store:
            got, want = pl.from_arrow(store[:].to_arrow()), frame.sort("row")
            assert got.schema == want.schema
            assert got.equals(want)
            assert store.upsert(frame).unchanged == len(frame)

    check()


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([1], dtype=pl.Int128),
        pl.Series([object()], dtype=pl.Object),
        pl.Series([[1]], dtype=pl.List(pl.Int128)),
    ],
    ids=lambda column: str(column.dtype),
)
def test_what_a_store_has_not_is_refused_by_name(column: Any) -> None:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        with pytest.raises(InvalidInput, match="'x'"):
            db.load("frame", pl.DataFrame({"k": [1], "x": column}), "k")
        assert db.stores() == ()


def test_lists_of_categories_and_of_nothing_come_back() -> None:
    words, nothing = pl.Series([["a", "b"], None], dtype=pl.List(pl.Categorical)), pl.Series([[None], []], dtype=pl.List(pl.Null))
    frame = pl.DataFrame({"k": [1, 2], "words": words, "nothing": nothing})
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        assert db.load("frame", frame, "k")[:].to_polars().equals(frame)
        assert db["frame"].upsert(frame).unchanged == 2
        assert db.check().ok


def test_a_frame_of_polars_writes_into_a_store_of_pandas() -> None:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        store = db.create("notes", {"author": "string", "at": "time", "lasted": "duration", "more": "json"}, "author")
        frame = pl.DataFrame({"author": ["ada"], "at": [time(1, 2)], "lasted": [timedelta(1)], "more": ['{"a":1}']})
        assert store.insert(frame).inserted == 1
        assert store["ada"] == {"author": "ada", "at": time(1, 2), "lasted": timedelta(1), "more": {"a": 1}}
        assert store.delete(frame.select("author")).deleted == 1
