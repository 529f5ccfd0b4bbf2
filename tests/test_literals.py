"""Values that become text and come back: equal, of the same type, at every depth."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.errors import Corruption, InvalidInput
from sopnb.literals import dumps, loads

ZONES = st.sampled_from([None, UTC, ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=-5, minutes=-30))])
PANDAS = st.one_of(
    st.builds(
        lambda n, unit, zone: pd.Timestamp(np.datetime64(n, unit)).tz_localize(zone),
        st.integers(-(10**9), 10**9),
        st.sampled_from(["s", "ms", "us", "ns"]),
        st.sampled_from([None, UTC, timezone(timedelta(hours=-5, minutes=-30))]),
    ),
    st.builds(lambda n, unit: pd.Timedelta(np.timedelta64(n, unit)), st.integers(-(10**9), 10**9), st.sampled_from(["s", "ns"])),
    st.sampled_from([pd.Period("2013-05", "M"), pd.Interval(0, 1.5), pd.Interval(pd.Timestamp(0), pd.Timestamp(1), "both"), pd.NaT, pd.NA]),
    st.just(pd.Timestamp("2013-10-27 02:30", tz="UTC").tz_convert(ZoneInfo("Europe/Berlin"))),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.text(st.characters(categories=["Cs", "L"])),
    st.sampled_from(["$tuple", "$", "$int"]),
    st.binary(),
    st.decimals().filter(lambda value: not value.is_snan()),  # which has no hash
    st.dates(),
    st.datetimes(timezones=ZONES),
    st.times(),
    st.timedeltas(),
    st.builds(range, st.integers(-9, 9), st.integers(), st.integers(1, 9)),
    PANDAS,
    st.sampled_from([np.float64("nan"), np.int8(-3), np.datetime64("2013-01-31", "ns"), np.str_("ü"), np.bool_(True), np.complex64(1j)]),
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=6)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text() | st.sampled_from(["$tuple", "$set"]), inner, max_size=4),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.sets(HASHABLE, max_size=3),
    ),
    max_leaves=20,
)


def form(value: Any) -> Any:
    """Return what tells a value from every other: its type, and all that it holds; NaN equals itself, -0.0 is not 0.0."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [form(each) for each in value]
    if kind is dict:
        return kind, [(form(key), form(each)) for key, each in value.items()]
    if kind in (set, frozenset):
        return kind, sorted(map(repr, map(form, value)))
    if kind in (pd.Timestamp, pd.Timedelta):
        return kind, value.unit, repr(value)
    zone = getattr(value, "tzinfo", None)
    return kind, repr(value) if zone is None else (repr(value.replace(tzinfo=None)), value.utcoffset(), getattr(zone, "key", None))


@given(VALUES)
def test_what_comes_back_is_equal_and_of_the_same_type(value: Any) -> None:
    assert form(loads(dumps(value, "value"))) == form(value)


@given(st.sets(HASHABLE, max_size=5))
def test_a_set_is_the_same_text_whatever_its_order(values: set[Any]) -> None:
    assert dumps(set(sorted(values, key=repr)), "v") == dumps(set(sorted(values, key=repr, reverse=True)), "v")


def test_integers_of_any_length_are_kept() -> None:
    assert loads(dumps(-(10**10_000), "n")) == -(10**10_000)


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "v is of type builtins.object"),
        ({"a": [1, print]}, r"v['a'][1] is of type builtins.builtin_function_or_method"),
        ({"a": OrderedDict()}, "v['a'] is of type collections.OrderedDict"),
        (Colour.RED, "Colour, which cannot be kept"),
        (pd.offsets.Day(1), "v is of type pandas"),
        ((np.void(b"ab"),), "v[0] is of type numpy.void"),
        (datetime(2013, 1, 1, tzinfo=timezone(timedelta(microseconds=1))), "v is in the time zone"),
    ],
)
def test_what_would_not_come_back_equal_is_refused_by_its_place(value: Any, named: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        dumps(value, "v")
    assert named in str(raised.value)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidInput, match="holds itself"):
        dumps(value, "v")


def test_bytes_are_never_taken_for_objects() -> None:
    with pytest.raises(Corruption):
        loads('{"$numpy":["O","MTIzNDU2Nzg="]}')


def test_numbers_beyond_a_float_stay_what_they_are() -> None:
    values = [Decimal("1E+400"), 2**63, -(2**63), float("inf")]
    assert form(loads(dumps(values, "v"))) == form(values)
