"""Labels of columns that are more than text, drawn at random, of every dtype that an Index has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from sopnb.frames.labels import text

_DAYS = pd.date_range("2013-01-01", periods=20)
MIXED: list[Any] = [
    *(7, -7, 0.5, float("inf"), float("nan"), 2**70, True, None, pd.NaT, b"x", "a", "é", ("a", 1), ("a", ("b", None)), (), ("deep", "")),
    *(date(2013, 1, 2), datetime(2013, 1, 3, 4), datetime(2013, 1, 3, 5, tzinfo=UTC), pd.Timestamp(1, unit="ns"), pd.Timedelta(1, "s")),
    *(
        Decimal("1.50"),
        1j,
        frozenset([1]),
        np.int8(3),
        np.float32(0.25),
        np.datetime64("2013"),
        pd.Period("2013-05", "M"),
        pd.Interval(0, 3),
    ),
]
DTYPES: dict[str, Callable[[Any, int], Any]] = {
    "range": lambda draw, n: pd.RangeIndex(
        *(lambda a, by: (a, a + n * by, by))(draw(st.integers(-2, 2)), draw(st.sampled_from([1, 3, -1])))
    ),
    "int": lambda draw, n: pd.Index(draw(_several(st.integers(-99, 99), n)), dtype=draw(st.sampled_from(["int64", "int8"]))),
    "uint": lambda draw, n: pd.Index(draw(_several(st.integers(0, 2**64 - 1), n)), dtype="uint64"),
    "float": lambda draw, n: pd.Index(draw(_several(st.floats(), n)), dtype="float64"),
    "nullable": lambda draw, n: pd.Index(pd.array(draw(_several(st.none() | st.integers(0, 99), n)), dtype="Int64")),
    "mixed": lambda draw, n: _objects(draw(_several(st.sampled_from(MIXED), n))),
    "days": lambda draw, n: _DAYS[:n],
    "moments": lambda draw, n: pd.DatetimeIndex(draw(_several(st.sampled_from(list(_DAYS)) | st.just(pd.NaT), n)), dtype="datetime64[ns]"),
    "zoned": lambda draw, n: pd.date_range("2013-10-27", periods=n, freq="h", tz="Europe/Berlin"),
    "durations": lambda draw, n: pd.to_timedelta(draw(_several(st.integers(0, 99), n)), "s"),
    "periods": lambda draw, n: pd.period_range("2013-01", periods=n, freq="M"),
    "intervals": lambda draw, n: pd.interval_range(0, n),
    "categories": lambda draw, n: _categories(draw(_several(st.integers(0, 19), n)), draw(st.booleans())),
    "cut": lambda draw, n: pd.CategoricalIndex(pd.cut(np.arange(n) + 0.5, np.arange(n + 1.0)), name="cut"),
    "arrow": lambda draw, n: pd.Index(pd.array(draw(_several(st.text("ab", max_size=3), n)), pd.ArrowDtype(pa.string()))),
    "text python": lambda draw, n: pd.Index(draw(_several(st.text("ab", max_size=3), n)), dtype=pd.StringDtype("python")),
    "levels": lambda draw, n: _levels(draw, n),
}
LABELS = st.sampled_from([7, 0.5, ("a", "b"), ("a", 1), date(2013, 1, 1), pd.Timestamp("2013"), b"x", True])


def _several(labels: Any, n: int) -> Any:
    return st.lists(labels, min_size=n, max_size=n, unique_by=text)


def _objects(labels: list[Any]) -> Any:
    return pd.Index(np.fromiter(labels, object, len(labels)), dtype=object, tupleize_cols=False)


def _categories(places: list[int], as_text: bool) -> Any:
    known = pd.Index([f"c{at}" for at in range(20)]) if as_text else pd.Index(range(20))
    return pd.CategoricalIndex(pd.Categorical.from_codes(places, known, ordered=as_text))


def _levels(draw: Any, n: int) -> Any:
    first = st.sampled_from(["a", "b", "c"])
    second = draw(st.sampled_from([st.sampled_from(["", "mean", "max", "d", "e"]), st.integers(0, 9), st.sampled_from(list(_DAYS))]))
    labels = pd.MultiIndex.from_tuples(draw(_several(st.tuples(first, second), n + 1)))
    return labels[:n] if draw(st.booleans()) else labels[1:]  # with a level that no column may have


@st.composite
def labels(draw: Any, n: int) -> Any:
    """Draw labels of this number of columns, at least one, whose texts all differ."""
    drawn = DTYPES[draw(st.sampled_from(sorted(DTYPES)))](draw, n)
    names = st.sampled_from([None, None, "name", 5, ("x", 1)])
    return drawn.set_names([draw(names) for _ in range(drawn.nlevels)])
