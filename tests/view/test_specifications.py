"""The index builder: suggestions, sample orders, checks of uniqueness, expressions, and the index that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb import IndexSpecification
from tests.api_support import QUIET
from tests.view.support import Browser
from tests.view.test_reading import frame


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("flights", frame(), index=["at", "flight"])
        yield db
        assert db.check().ok


def said(*names: str, **how: Any) -> Any:
    return IndexSpecification.of(*names, **how).to_json()


def test_specifications_are_suggested_with_reasons(db: Any) -> None:
    browser = Browser(db)
    told = browser.ask("suggest", store="flights")
    best = told["suggestions"][0]
    assert best["unique"] is True
    assert best["share"] == 1.0
    assert best["reason"]
    assert IndexSpecification.from_json(best["specification"]).names
    assert (told["rows"], told["total"]) == (100, 100)
    asked = browser.ask("suggest", store="flights", queries=[["dest", "-delay"]])["suggestions"]
    assert any(each["text"].startswith("dest") for each in asked)
    browser.refused("suggest", "invalid", store="flights", queries=[5])
    browser.refused("suggest", "invalid", store="flights", queries=["nowhere"])


def test_frames_that_are_offered_are_looked_at_without_a_database() -> None:
    browser = Browser(None)
    browser.view.frames["df"] = frame(30)
    assert browser.ask("open")["stores"] == []
    assert browser.ask("suggest", frame="df")["suggestions"][0]["unique"] is True
    assert [(c["name"], c["kind"], c["orderable"]) for c in browser.ask("index.fields", frame="df")["columns"]] == [
        ("at", "timestamp", True), ("flight", "int", True), ("dest", "text", True), ("delay", "float", True),
    ]  # fmt: skip
    told = browser.ask("index.sample", frame="df", specification=said("dest", "-flight"))
    assert told["columns"] == ["dest", "flight", "at", "delay"]
    assert told["key"] == 2
    assert [row[:2] for row in told["rows"][:3]] == [["ATL", "28"], ["ATL", "24"], ["ATL", "20"]]
    assert browser.ask("index.check", frame="df", specification=said("dest"))["duplicates"] == 26
    browser.refused("suggest", "missing", frame="other")
    browser.view._target.lease.close()


def test_the_order_of_a_store_is_shown_before_there_is_an_index(db: Any) -> None:
    browser = Browser(db)
    told = browser.ask("index.sample", store="flights", specification=said("-delay", "cel: size(dest)", "flight"))
    assert told["columns"] == ["delay", "cel: size(dest)", "flight", "at", "dest"]
    assert [row[:3] for row in told["rows"][:2]] == [[6.0, "3", "6"], [6.0, "3", "13"]]
    assert (len(told["rows"]), told["looked_at"], told["total"]) == (20, 100, 100)


def test_uniqueness_is_checked_on_all_rows(db: Any) -> None:
    browser = Browser(db)
    assert browser.ask("index.check", store="flights", specification=said("flight")) == {
        "unique": True, "duplicates": 0, "share": 1.0, "examples": [], "looked_at": 100, "total": 100,
    }  # fmt: skip
    told = browser.ask("index.check", store="flights", specification=said("dest"))
    assert (told["unique"], told["duplicates"], told["share"]) == (False, 96, 0.04)
    assert told["examples"][0] == ["ATL"]
    assert browser.ask("index.check", store="flights", specification=said("cel: flight / 2"))["duplicates"] == 50


def test_pending_edits_count_in_checks(db: Any) -> None:
    browser = Browser(db)
    browser.edit("flights", browser.row("flights", flight="3"), "dest", "ZZZ")
    assert browser.ask("index.check", store="flights", specification=said("dest"))["duplicates"] == 95


def test_an_expression_is_checked_as_it_is_typed(db: Any) -> None:
    browser = Browser(db)
    assert browser.ask("index.expression", store="flights", expression="dest + 'x'") == {
        "type": "string",
        "kind": "text",
        "columns": ["dest"],
    }
    browser.refused("index.expression", "invalid", store="flights", expression="dest +")
    browser.refused("index.expression", "invalid", store="flights", expression="nowhere")
    browser.refused("index.expression", "invalid", store="flights", expression="1 + 1")


def test_an_index_is_created_and_looked_at(db: Any) -> None:
    browser = Browser(db)
    told = browser.ask("index.create", store="flights", name="by_dest", specification=said("dest", "-delay", unique=False))
    assert (told["name"], told["index"], told["seq"]) == ("by_dest", "dest, -delay", db.seq)
    assert browser.rows("flights", order="by_dest")[0]["cells"]["dest"] == "ATL"
    browser.refused("index.create", "invalid", store="flights", name="by_dest", specification=said("dest"))
    browser.refused("index.create", "invalid", store="flights", name="unique", specification=said("dest", unique=True))
    browser.refused("index.create", "invalid", store="flights", name="../x", specification=said("dest"))
    Browser(db, edit=False).refused("index.create", "locked", store="flights", name="x", specification=said("dest"))
    assert list(db["flights"].indexes()) == ["by_dest"]


@pytest.mark.parametrize(
    "specification",
    [None, 5, "dest", {}, {"fields": []}, {"fields": [{"name": 5}]}, said("nowhere"), {"fields": [{"name": "dest", "descending": "yes"}]}],
)
def test_what_is_no_specification_is_refused(db: Any, specification: Any) -> None:
    browser = Browser(db)
    for op in ("index.sample", "index.check"):
        browser.refused(op, "invalid", store="flights", specification=specification)


def test_documents_are_no_keys(db: Any) -> None:
    db.create("docs", schema={"k": "int64", "d": "json", "l": "list[int64]"}, index="k").insert({"k": 1, "d": {"a": 1}, "l": [1]})
    browser = Browser(db)
    assert [(c["type"], c["kind"], c["orderable"]) for c in browser.ask("index.fields", store="docs")["columns"]] == [
        ("int64", "int", True), ("json", "json", False), ("list<item: int64>", "json", False),
    ]  # fmt: skip
    browser.refused("index.check", "invalid", store="docs", specification=said("d"))
    assert browser.ask("index.sample", store="docs", specification=said("k"))["rows"] == [["1", '{"a":1}', "[1]"]]


def test_frames_of_odd_types_are_sampled() -> None:
    browser = Browser(None)
    browser.view.frames["df"] = pd.DataFrame({"c": pd.Categorical(["b", None, "a"], ["b", "a"]), 7: [1, 2, 3]})
    told = browser.ask("index.sample", frame="df", specification=said("-c"))
    assert told["rows"] == [["b", "1"], ["a", "3"], [None, "2"]]
    browser.view._target.lease.close()
