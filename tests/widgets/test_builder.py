"""The builder of index specifications as a widget: its value both ways, its answers to a page, and what a notebook keeps of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pandas as pd
import polars as pl
import pytest
import traitlets

import sopnb
from sopnb import IndexSpecification
from tests.api_support import QUIET
from tests.widgets.conftest import Wire

WEATHER = pd.DataFrame({"origin": ["EWR", "JFK", "EWR"], "hour": [2, 1, 1], "temp": [39.0, 39.9, 38.5], "tags": [[1], [2], [3]]})


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("weather", WEATHER, index=["origin", "hour"])
        yield db
        assert db.check().ok


def _wire(widget: Any) -> Wire:
    found: Wire = widget.comm
    return found


def test_the_value_is_set_here_and_seen_by_the_page() -> None:
    builder = sopnb.IndexBuilder(WEATHER)
    assert (builder.value, _wire(builder).state["specification"]) == (None, None)
    builder.value = IndexSpecification.of("origin", "-hour", unique=False)
    assert _wire(builder).state["specification"] == builder.value.to_json() == builder.specification
    builder.value = None
    assert _wire(builder).state["specification"] is None


def test_the_value_is_chosen_by_the_page_and_observed_here() -> None:
    builder = sopnb.IndexBuilder(WEATHER)
    seen = []
    builder.observe(lambda change: seen.append(change["new"]), "value")
    chosen = IndexSpecification.of("cel: origin + 'x'", "-hour")
    _wire(builder).set(specification=chosen.to_json())
    assert seen == [chosen]
    assert builder.value == chosen


def test_the_value_is_linked_with_another_builder() -> None:
    one, other = sopnb.IndexBuilder(WEATHER), sopnb.IndexBuilder(pl.from_pandas(WEATHER.drop(columns="tags")))
    traitlets.link((one, "value"), (other, "value"))
    one.value = IndexSpecification.of("temp")
    assert other.specification == one.specification
    assert ipywidgets.VBox([one, other]).children == (one, other)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (IndexSpecification.of("origins"), "did you mean 'origin'"),
        (IndexSpecification.of("tags"), "column 'tags' of type .* cannot be a key"),
        (IndexSpecification.of("cel: origin +"), "origin +"),
        (IndexSpecification.of("hour", carrying="wind"), "no column 'wind'"),
    ],
)
def test_what_the_target_cannot_have_is_refused_and_the_old_value_stays(value: Any, why: str) -> None:
    builder = sopnb.IndexBuilder(WEATHER)
    builder.value = before = IndexSpecification.of("hour")
    with pytest.raises(sopnb.InvalidInput, match=why):
        builder.value = value
    with pytest.raises(sopnb.InvalidInput, match=why):
        builder.specification = value.to_json()
    assert (builder.value, builder.specification) == (before, before.to_json())


def test_a_check_tells_of_keys_that_are_there_twice() -> None:
    builder = sopnb.IndexBuilder(WEATHER)
    with pytest.raises(sopnb.InvalidInput, match="no field is chosen"):
        builder.check()
    builder.value = IndexSpecification.of("origin")
    assert builder.check() == {"unique": False, "duplicates": 1, "share": pytest.approx(2 / 3)}


def test_the_page_samples_and_suggests_of_a_frame_and_creates_nothing_there() -> None:
    builder = sopnb.IndexBuilder(WEATHER)
    wire = _wire(builder)
    assert wire.state["data"] == {"frame": "data", "creates": False}
    wanted = IndexSpecification.of("-hour", "origin").to_json()
    sample = wire.ask("index.sample", frame="data", specification=wanted)
    assert [row[:2] for row in sample["rows"]] == [["2", "EWR"], ["1", "EWR"], ["1", "JFK"]]
    assert wire.ask("suggest", frame="data")["suggestions"]
    assert wire.ask("index.create", store="weather", name="x", specification=wanted)["error"]["code"] == "locked"


def test_the_page_creates_an_index_of_a_store(db: sopnb.Database) -> None:
    builder = sopnb.IndexBuilder(db["weather"])
    wanted = IndexSpecification.of("-temp")
    assert _wire(builder).state["data"] == {"store": "weather", "creates": True}
    _wire(builder).ask("index.create", store="weather", name="by_temp", specification=wanted.to_json())
    assert db["weather"].indexes()["by_temp"] == wanted


def test_the_past_has_no_indexes_to_create(db: sopnb.Database) -> None:
    builder = sopnb.IndexBuilder(db.at(db.seq)["weather"])
    assert _wire(builder).state["data"] == {"store": "weather", "creates": False}


def test_what_a_cell_shows_is_the_same_in_every_run_and_small(db: sopnb.Database) -> None:
    def shown() -> Any:
        builder = sopnb.IndexBuilder(db["weather"])
        builder.value = IndexSpecification.of("hour", "-origin")
        assert len(json.dumps(_wire(builder).state)) < 4000
        data, _ = builder._repr_mimebundle_()
        assert data.pop("application/vnd.jupyter.widget-view+json")
        return data

    once = shown()
    assert once == shown()
    assert once["text/plain"] == "IndexBuilder of store 'weather': hour, -origin"
    assert once["text/html"].index("JFK") < once["text/html"].index("EWR")
    assert "no field is chosen yet" in sopnb.IndexBuilder(WEATHER)._repr_mimebundle_()[0]["text/html"]
