"""M11, one value at a time: what is typed comes back equal, or is refused with the reason; nothing is rounded in silence."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.errors import InvalidInput
from sopnb.values import from_storage, storage_type, to_storage

NESTED = pa.struct([("at", pa.timestamp("us", "UTC")), ("tags", pa.list_(pa.date32()))])
EQUAL: list[tuple[Any, Any]] = [
    (pa.int64(), 2**63 - 1),
    (pa.uint64(), 2**64 - 1),
    (pa.int8(), -128),
    (pa.float64(), 0.1),
    (pa.float32(), 0.5),
    (pa.bool_(), True),
    (pa.string(), "é\0\U0001f600"),
    (pa.binary(), b"\0\xff"),
    (pa.binary(2), b"ab"),
    (pa.decimal128(20, 3), Decimal("12345678901234567.125")),
    (pa.date32(), date(1, 1, 1)),
    (pa.date64(), date(2013, 1, 31)),
    (pa.time32("s"), time(10, 30, 1)),
    (pa.time64("us"), time(23, 59, 59, 999_999)),
    (pa.timestamp("us"), datetime(9999, 12, 31, 23, 59, 59, 999_999)),
    (pa.timestamp("ms", "UTC"), datetime(2013, 1, 1, 5, tzinfo=UTC)),
    (pa.timestamp("us", "America/New_York"), datetime(2013, 11, 3, 1, 30, fold=1, tzinfo=ZoneInfo("America/New_York"))),
    (pa.timestamp("ns", "UTC"), pd.Timestamp("2013-01-01 00:00:00.123456789", tz="UTC")),
    (pa.duration("us"), timedelta(days=-3, microseconds=7)),
    (pa.duration("ns"), np.timedelta64(123_456_789, "ns")),
    (pa.list_(pa.int64()), [1, None, 3]),
    (NESTED, {"at": datetime(2013, 1, 1, tzinfo=UTC), "tags": [date(2013, 1, 1), None]}),
    (pa.dictionary(pa.int32(), pa.string()), "x"),
]


@pytest.mark.parametrize(("kind", "value"), EQUAL, ids=[str(kind)[:40] for kind, _ in EQUAL])
def test_m11_a_value_comes_back_equal_and_of_its_type(kind: Any, value: Any) -> None:
    stored = to_storage(kind)(value)
    through_arrow = pa.array([stored, None], storage_type(kind)).to_pylist()
    assert through_arrow == [stored, None]
    back = from_storage(kind)
    got = stored if back is None else back(stored)
    assert got == value
    assert type(got) is type(value)
    assert to_storage(kind)(None) is None
    assert to_storage(kind)(pd.NaT) is None


REFUSED: list[tuple[Any, Any, str]] = [
    (pa.int64(), 2**63, "decimal or JSON"),
    (pa.int64(), 1.0, "whole number"),
    (pa.int64(), True, "whole number"),
    (pa.int64(), "1", "whole number"),
    (pa.float64(), "1.0", "give a number"),
    (pa.float64(), 2**53 + 1, "exactly"),
    (pa.bool_(), 1, "True or False"),
    (pa.string(), 5, "give text"),
    (pa.binary(), "text", "give bytes"),
    (pa.binary(2), b"abc", "2 bytes"),
    (pa.decimal128(5, 2), Decimal("1.005"), "after the point"),
    (pa.decimal128(5, 2), Decimal("1000"), "5 digits"),
    (pa.decimal128(5, 2), 1.5, "Decimal"),
    (pa.decimal128(5, 2), Decimal("NaN"), "digits"),
    (pa.date32(), datetime(2013, 1, 1), "give a date"),
    (pa.date32(), "2013-02-30", "2013-01-31"),
    (pa.timestamp("us", "UTC"), datetime(2013, 1, 1), "with a zone"),
    (pa.timestamp("us"), datetime(2013, 1, 1, tzinfo=UTC), "naive"),
    (pa.timestamp("us"), "2013-01-01 10:00+01:00", "leave the offset out"),
    (pa.timestamp("s"), datetime(2013, 1, 1, 0, 0, 0, 1), "finer"),
    (pa.timestamp("us"), "tomorrow", "2013-01-31 10:00"),
    (pa.timestamp("us"), 5, "give a datetime"),
    (pa.time64("us"), "25:00", "10:30:00"),
    (pa.duration("us"), 5, "timedelta"),
    (pa.list_(pa.int64()), "abc", "give a list"),
    (pa.list_(pa.int64()), [1, "2"], "whole number"),
    (NESTED, {"other": 1}, "the keys at, tags"),
    (pa.null(), 1, "nothing but null"),
]


@pytest.mark.parametrize(("kind", "value", "reason"), REFUSED, ids=[f"{kind} {value!r}"[:50] for kind, value, _ in REFUSED])
def test_m11_a_wrong_value_is_refused_with_the_remedy(kind: Any, value: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        to_storage(kind)(value)
    assert type(value).__name__ in str(caught.value) or isinstance(value, list)


def test_naive_text_is_read_in_the_columns_zone() -> None:
    kind = pa.timestamp("us", "America/New_York")
    assert to_storage(kind)("2013-01-01 05:00") == to_storage(kind)("2013-01-01T10:00Z")
    assert to_storage(pa.timestamp("ns"))("1970-01-01 00:00:00.000000001") == 1
    assert to_storage(pa.timestamp("us", "+05:30"))("1970-01-01 05:30") == 0


def test_an_ordinary_nan_stays_nan() -> None:
    stored = to_storage(pa.float64())(float("nan"))
    assert stored != stored


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_a_document_comes_back_equal(value: Any) -> None:
    stored = to_storage(pa.string(), document=True)(value)
    assert value is None or isinstance(stored, str)
    back = from_storage(pa.string(), document=True)
    assert back is not None
    assert back(stored) == value


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"x", object()])
def test_what_is_no_document_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="no JSON document"):
        to_storage(pa.string(), document=True)(value)


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_datetime_comes_back(value: datetime) -> None:
    kind = pa.timestamp("us", "UTC")
    back = from_storage(kind)
    assert back is not None
    assert back(to_storage(kind)(value)) == value
