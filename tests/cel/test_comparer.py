"""A comparer becomes the specification that orders as it does, or is refused."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb import IndexSpecification, InvalidInput
from sopnb.cel.comparer import compared


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("mapX.a < mapY.a ? -1 : (mapX.a > mapY.a ? 1 : 0)", ["a"]),
        ("mapX.a > mapY.a ? -1 : mapX.a < mapY.a ? 1 : 0", ["-a"]),
        ("mapX.a < mapY.a ? -1 : (mapX.a > mapY.a ? 1 : (mapX.b > mapY.b ? -1 : (mapX.b < mapY.b ? 1 : 0)))", ["a", "-b"]),
        ("mapX['a'] < mapY['a'] ? -1 : mapX['a'] > mapY['a'] ? 1 : 0", ["a"]),
        ("mapX['odd name'] - mapY['odd name']", ["odd name"]),
        ("mapY.a - mapX.a", ["-a"]),
        ("-(mapX.a - mapY.a)", ["-a"]),
        ("mapY.a < mapX.a ? 1 : mapY.a == mapX.a ? 0 : -1", ["a"]),
        ("mapX.a == mapY.a ? mapX.b - mapY.b : (mapX.a - mapY.a)", ["a", "b"]),
        ("mapX.a != mapY.a ? (mapX.a <= mapY.a ? -1 : 1) : mapX.b - mapY.b", ["a", "b"]),
        ("mapX.a == mapY.a && mapX.b == mapY.b ? 0 : (mapX.a < mapY.a || (mapX.a == mapY.a && mapX.b < mapY.b) ? -1 : 1)", ["a", "b"]),
        ("(mapX.a - mapY.a) < 0 ? -5 : !(mapX.a <= mapY.a) ? 5 : 0", ["a"]),
        ("mapX.s.lowerAscii() < mapY.s.lowerAscii() ? -1 : mapX.s.lowerAscii() > mapY.s.lowerAscii() ? 1 : 0", ["cel: s.lowerAscii()"]),
        ("size(mapY.s) - size(mapX.s)", ["-cel: size(s)"]),
        ("(mapX.a + mapX.s).indexOf('b') - (mapY.a + mapY.s).indexOf('b')", ['cel: (a + s).indexOf("b")']),
        ("(mapX.a + mapX['odd name']) - (mapY.a + mapY['odd name'])", ['cel: a + row["odd name"]']),
        ("mapX.package - mapY.package", ["package"]),
    ],
)
def test_what_orders_field_by_field_becomes_those_fields(text: str, fields: list[str]) -> None:
    assert IndexSpecification.from_comparer(text) == IndexSpecification.of(*fields)
    assert IndexSpecification.from_comparer(text, unique=False) == IndexSpecification.of(*fields, unique=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mapX.a < mapY.a ? -1 : 1", r"equal in every field do not compare as 0; nearest to it is IndexSpecification.of\('a'\)"),
        (
            "mapX.a < mapY.a ? -1 : (mapX.b > mapY.b ? -1 : 0)",
            r"one field after the other; nearest to it is IndexSpecification.of\('a', 'b'\)",
        ),
        ("(mapX.a - mapY.a) * 100 + (mapX.b - mapY.b)", r"it should be a number, .* IndexSpecification.of\('a', 'b'\)"),
        ("mapX.a < mapY.b ? -1 : 1", "it compares no field of mapX with one of mapY"),
        ("mapX.a < 3 ? -1 : mapX.a - mapY.a", r"it should be a number, or compare a field .* IndexSpecification.of\('a'\)"),
        ("0", "it compares no field"),
        ("mapX.a - ", "ends too early"),
        (" + ".join(f"(mapX.f{i} - mapY.f{i})" for i in range(8)), "more than 7 fields"),
        ("mapX.a.contains(mapY.a) ? 1 : mapX.a - mapY.a", "it should compare a field of mapX"),
    ],
)
def test_others_are_refused_with_the_nearest(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        IndexSpecification.from_comparer(text)


def _said(fields: list[tuple[str, bool, str]]) -> str:
    text = "0"
    for name, descending, form in reversed(fields):
        below, above = ("1", "-1") if descending else ("-1", "1")
        one, other = f"mapX.{name}", f"mapY.{name}"
        text = {
            "less": f"({one} < {other} ? {below} : ({one} > {other} ? {above} : {text}))",
            "greater": f"({other} < {one} ? {above} : {other} == {one} ? {text} : {below})",
            "unequal": f"({one} != {other} ? ({one} <= {other} ? {below} : {above}) : {text})",
            "both": f"({one} == {other} && true ? {text} : {'-' if descending else ''}({one} - {other}))",
        }[form]
    return text


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from(["less", "greater", "unequal", "both"])), min_size=1,
             max_size=4, unique_by=lambda field: field[0])
)  # fmt: skip
def test_any_form_of_a_comparer_gives_its_order(fields: list[tuple[str, bool, str]]) -> None:
    found = compared(_said(fields))
    assert found == [(name, descending) for name, descending, _ in fields]
    rows = [dict(zip("abcd", values, strict=True)) for values in product(range(2), repeat=4)]

    def compare(one: dict[str, int], other: dict[str, int]) -> int:
        signs = [(one[name] > other[name]) - (one[name] < other[name]) for name, _ in found]
        return next((-sign if down else sign for sign, (_, down) in zip(signs, found, strict=True) if sign), 0)

    keyed = sorted(rows, key=lambda row: tuple(-row[name] if down else row[name] for name, down in found))
    assert sorted(rows, key=cmp_to_key(compare)) == keyed
