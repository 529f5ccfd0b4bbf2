"""The history as a widget: its traits, its answers to a page, commits of others, and what a notebook keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

import sopnb
from tests.api_support import QUIET
from tests.widgets.conftest import Wire


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N2"], "seats": [55, 100]}), index="tailnum", message="begin")
        planes.update({"tailnum": "N1", "seats": 56}, message="one more seat")
        db.create("airports", schema={"faa": "string"}, index="faa")
        yield db
        assert db.check().ok


@pytest.fixture
def history(db: sopnb.Database) -> Iterator[Any]:
    history = sopnb.History(db)
    yield history
    history.close()


def _wire(widget: Any) -> Wire:
    found: Wire = widget.comm
    return found


def test_the_newest_two_commits_are_compared_at_first(db: sopnb.Database, history: Any) -> None:
    assert (history.seq, history.between) == (3, [2, 3])
    assert sopnb.History(db["planes"]).between == [1, 2]


def test_the_commits_that_are_compared_are_chosen_here_and_by_the_page(history: Any) -> None:
    history.between = [1, 3]
    assert _wire(history).state["between"] == [1, 3]
    _wire(history).set(between=[1, 2])
    assert history.between == [1, 2]


def test_the_page_compares_and_reverts_and_the_trait_follows(db: sopnb.Database, history: Any) -> None:
    wire = _wire(history)
    found = wire.ask("diff", a=1, b=2, store="planes", start=0, size=10)
    assert [(row["old"], row["new"], row["changed"]) for row in found["rows"]] == [(["N1", "55"], ["N1", "56"], ["seats"])]
    assert wire.ask("revert", seq=2, message="no")["counts"]["updated"] == 1
    assert (history.seq, wire.state["seq"]) == (4, 4)
    assert db["planes"]["N1"]["seats"] == 55


def test_a_revert_that_would_overwrite_is_refused(db: sopnb.Database, history: Any) -> None:
    db["planes"].update({"tailnum": "N1", "seats": 60})
    assert _wire(history).ask("revert", seq=2, message=None)["error"]["code"] == "conflict"
    assert db["planes"]["N1"]["seats"] == 60


def test_commits_of_others_are_told_once_the_page_watches(db: sopnb.Database, history: Any) -> None:
    wire = _wire(history)
    wire.ask("watch", on=True)
    db["planes"].update({"tailnum": "N2", "seats": 101})
    assert wire.events.get(timeout=60)["seq"] == 4
    assert history.seq == 4


def test_the_history_of_a_store_tells_of_no_other(db: sopnb.Database) -> None:
    history = sopnb.History(db["planes"])
    assert [commit["seq"] for commit in _wire(history).ask("log", limit=10)["commits"]] == [2, 1]
    assert _wire(history).ask("diff", a=1, b=3, store="airports")["error"]["code"] == "missing"


def test_a_database_without_commits_has_an_empty_history() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        history = sopnb.History(db)
        assert (history.seq, history.between) == (db.seq, [])
        assert "commit" in history._repr_mimebundle_()[0]["text/html"]


def test_what_a_cell_shows_is_the_same_in_every_run_and_tells_no_time(db: sopnb.Database) -> None:
    def shown() -> Any:
        data, _ = sopnb.History(db)._repr_mimebundle_()
        assert data.pop("application/vnd.jupyter.widget-view+json")
        return data

    once = shown()
    assert once == shown()
    assert once["text/plain"] == "History of database ':memory:' at commit 3"
    assert "one more seat" in once["text/html"]
    assert str(pd.Timestamp.now().year) not in once["text/html"]
