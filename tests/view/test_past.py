"""The log, pages of differences, and reverts, as the browser gets them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

import sopnb
from tests.api_support import QUIET, SMALL
from tests.view.support import Browser


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        store = db.load("s", pd.DataFrame({"k": range(10), "v": [f"v{k}" for k in range(10)]}), index="k", message="begin")
        db.tag("start")
        store.update(3, {"v": "x"}, message="oops")
        store.delete(4)
        store.insert({"k": 20, "v": "y"})
        yield db
        assert db.check().ok


def test_the_log_tells_the_newest_commits_first(db: Any) -> None:
    told = Browser(db).ask("log", limit=4)
    assert [(c["seq"], c["message"], c["inserted"], c["updated"], c["deleted"]) for c in told["commits"]] == [
        (5, "", 1, 0, 0), (4, "", 0, 0, 1), (3, "oops", 0, 1, 0), (2, "", 0, 0, 0),
    ]  # fmt: skip
    assert told["commits"][0]["stores"] == ["s"]
    assert datetime.fromisoformat(told["commits"][0]["time"]).tzinfo is not None
    assert "start" in told["commits"][3]["notes"]
    assert told["tags"] == [{"name": "start", "seq": 1}]
    assert len(Browser(db["s"]).ask("log")["commits"]) == 4


def test_differences_come_in_pages_with_both_sides(db: Any) -> None:
    browser = Browser(db)
    told = browser.ask("diff", a="start", b=db.seq, store="s")
    assert (told["columns"], told["total"], told["exact"], told["a"], told["b"]) == (["k", "v"], 3, True, 1, 5)
    assert [(r["label"], r["kind"], r["seq"], r["old"], r["new"], r["changed"]) for r in told["rows"]] == [
        ("3", "update", 3, ["3", "v3"], ["3", "x"], ["v"]),
        ("4", "delete", 1, ["4", "v4"], None, ["k", "v"]),
        ("20", "insert", 5, None, ["20", "y"], ["k", "v"]),
    ]
    assert [r["label"] for r in browser.ask("diff", a=1, b=5, store="s", start=1, size=1)["rows"]] == ["4"]
    assert [r["kind"] for r in browser.ask("diff", a=5, b=1, store="s")["rows"]] == ["update", "insert", "delete"]
    assert browser.ask("diff", a=5, b=5, store="s")["rows"] == []
    for start in range(3):
        assert browser.ask("diff", a=1, b=5, store="s", start=start, size=2)["rows"] == told["rows"][start : start + 2]


def test_long_values_that_differ_at_their_end_are_told_as_changed(db: Any) -> None:
    db["s"].update(5, {"v": "a" * 5000})
    db["s"].update(5, {"v": "a" * 4999 + "b"})
    (row,) = Browser(db).ask("diff", a=db.seq - 1, b=db.seq, store="s")["rows"]
    assert row["old"] == row["new"]
    assert row["changed"] == ["v"]


def test_large_differences_are_paged(db: Any) -> None:
    before = db.seq
    db["s"].upsert(pd.DataFrame({"k": range(100, 400), "v": "many"}))
    db["s"][0:10].update({"v": "all"})
    browser = Browser(db)
    pages = [browser.ask("diff", a=before, b=db.seq, store="s", start=start, size=100) for start in range(0, 400, 100)]
    assert {page["total"] for page in pages} == {309}
    assert [int(r["label"]) for page in pages for r in page["rows"]] == [k for k in range(10) if k != 4] + list(range(100, 400))


def test_what_is_not_there_is_missing(db: Any) -> None:
    browser = Browser(db)
    browser.refused("diff", "missing", a="nowhere", b=5, store="s")
    browser.refused("diff", "missing", a=1, b=5, store="t")
    browser.refused("diff", "invalid", a=1, b=99, store="s")
    browser.refused("diff", "invalid", a=None, b=5, store="s")
    browser.refused("diff", "invalid", a=1.5, b=5, store="s")


def test_a_commit_is_undone(db: Any) -> None:
    browser = Browser(db)
    assert browser.ask("revert", seq=3) == {"seq": 6, "counts": {"inserted": 0, "updated": 1, "deleted": 0}}
    assert db["s"][3]["v"] == "v3"
    assert db.log()["message"].iloc[-1] == "revert 3: oops"
    assert browser.ask("revert", seq=6, message="again")["seq"] == 7
    db["s"].update(3, {"v": "later"})
    assert "3" in browser.refused("revert", "conflict", seq=3)["message"]
    browser.refused("revert", "invalid", seq=99)
    browser.refused("revert", "invalid", seq=0)
    Browser(db, edit=False).refused("revert", "locked", seq=3)


def test_pending_edits_outlive_a_revert(db: Any) -> None:
    browser = Browser(db)
    browser.edit("s", browser.row("s", k="7"), "v", "mine")
    browser.ask("revert", seq=3)
    assert browser.row("s", k="7")["cells"]["v"] == "mine"
    assert browser.row("s", k="3")["cells"]["v"] == "v3"
    browser.ask("commit", message="")
    assert db["s"][7]["v"] == "mine"
