"""Whatever goes in comes back equal: frames of all types, through a store, as a whole and in pieces; or it is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow.dataset as dataset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sopnb
from tests.api_support import QUIET, SMALL
from tests.frames.support import Drawn, assert_same, expected, frames, told
from tests.frames.tables import tables

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]


def examples(request: pytest.FixtureRequest, ordinarily: int) -> int:
    """Return how many frames a test draws: 25 times as many with ``--long``, a tenth with ``--brief``."""
    return ordinarily * 25 if request.config.getoption("--long") else ordinarily // (10 if request.config.getoption("--brief") else 1)


class Arena:
    """A database in memory for many small stores; another one now and then, for it keeps its past."""

    def __init__(self) -> None:
        self.used = 0
        self.db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)

    @contextmanager
    def store(self, data: Any, index: Any) -> Iterator[Any]:
        """Load data into a store that is dropped afterwards."""
        self.used += 1
        if self.used % 500 == 0:
            self.close()
            self.db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
        try:
            yield self.db.load("frame", data, index)
        finally:
            if "frame" in self.db:
                self.db.drop("frame")

    def close(self) -> None:
        assert self.db.check().ok
        self.db.close()


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    arena = Arena()
    yield arena
    arena.close()


@pytest.mark.timeout(7200)
def test_frames_of_all_types_come_back_equal(arena: Arena, request: pytest.FixtureRequest) -> None:
    @settings(max_examples=examples(request, 2000), deadline=None, suppress_health_check=RELAXED)
    @given(frames())
    def check(drawn: Drawn) -> None:
        with arena.store(drawn.frame, drawn.index) as store:
            got = store[:].to_pandas()
            assert_same(got, expected(drawn, got.iloc[:, drawn.row].to_numpy()))

    check()


def test_a_page_has_the_dtypes_of_the_whole(arena: Arena, request: pytest.FixtureRequest) -> None:
    """Also where its rows are all null, or where there are none."""

    @settings(max_examples=examples(request, 200), deadline=None, suppress_health_check=RELAXED)
    @given(frames(), st.data())
    def check(drawn: Drawn, data: Any) -> None:
        with arena.store(drawn.frame, drawn.index) as store:
            whole = store[:].to_pandas()
            start = data.draw(st.integers(0, len(whole)))
            stop = data.draw(st.integers(start, len(whole)))
            page = whole.iloc[start:stop]
            assert_same(store[:].rows(start, stop), page if drawn.index is None else page.reset_index(drop=True))
            assert store.upsert(store[:].rows(start, stop)).unchanged == stop - start
            assert store.upsert(drawn.frame).unchanged == len(drawn.frame)

    check()


def test_arrow_tables_of_all_types_come_back_equal(arena: Arena, request: pytest.FixtureRequest) -> None:
    """Types, nullability and the metadata of fields too; dictionaries by their values."""

    @settings(max_examples=examples(request, 300), deadline=None, suppress_health_check=RELAXED)
    @given(tables(), st.sampled_from(["table", "reader", "dataset"]))
    def check(table: Any, form: str) -> None:
        data = {"table": lambda: table, "reader": table.to_reader, "dataset": lambda: dataset.dataset(table)}[form]()
        with arena.store(data, "row") as store:
            got, want = store[:].to_arrow(), table
            assert got.schema.equals(want.schema, check_metadata=True)
            assert [told(row) for row in got.to_pylist()] == [told(row) for row in sorted(want.to_pylist(), key=lambda row: row["row"])]
            assert told(store[:].to_reader().read_all().to_pylist()) == told(got.to_pylist())
            assert store[:].rows(0, 1).dtypes.tolist() == store[:].to_pandas().dtypes.tolist() == store[:0].to_pandas().dtypes.tolist()
            assert store.upsert(table).unchanged == table.num_rows
            store[:].to_pandas()

    check()
