"""What takes long: other messages are answered meanwhile, and it can be cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.view.task import Task
from tests.api_support import QUIET, SMALL
from tests.view.support import Browser

KEY = IndexSpecification.of("k").to_json()


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        db.load("s", pd.DataFrame({"k": range(1000), "v": 0}), index="k")
        yield db
        assert db.check().ok


class Slow:
    """Frames of which the second comes when it is let."""

    def __init__(self) -> None:
        self.reached, self.let = threading.Event(), threading.Event()

    def frames(self) -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"k": range(100)})
        self.reached.set()
        self.let.wait()
        yield pd.DataFrame({"k": range(100, 200)})


@pytest.mark.parametrize("cancelled", [False, True])
def test_other_messages_are_answered_while_data_is_loaded(db: Any, cancelled: bool) -> None:
    browser, other, slow = Browser(db), Browser(db), Slow()
    browser.view.frames["df"] = slow.frames()
    with ThreadPoolExecutor(1) as pool:
        args = {"frame": "df", "store": "new", "specification": KEY}
        loading = pool.submit(browser.view.handle, {"id": "load", "op": "import.run", "args": args})
        slow.reached.wait()
        assert browser.ask("progress")["what"] == "load new"
        assert browser.ask("progress", of="load") == browser.ask("progress")
        assert browser.ask("progress", of="another") == {}
        assert len(browser.rows("s", 500, 10)) == 10
        browser.edit("s", browser.row("s", k="5"), "v", "9")
        assert browser.ask("commit", message="")["counts"]["updated"] == 1
        assert browser.ask("cancel", of="another") == {"cancelled": 0}
        assert other.ask("cancel") == {"cancelled": 0}
        if cancelled:
            assert browser.ask("cancel", of="load") == {"cancelled": 1}
        slow.let.set()
        answer = loading.result()
    if cancelled:
        assert answer["error"]["code"] == "cancelled"
        assert db.stores() == ("s",)
    else:
        assert answer["ok"]["counts"]["inserted"] == 200
    assert browser.ask("progress") == {}
    assert db["s"][5]["v"] == 9


def test_a_cancelled_export_leaves_the_file_that_was_there(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, hear, path = Browser(db), Task.hear, tmp_path / "s.csv"
    path.write_text("before")

    def cancelling(task: Task, what: str, done: int, total: int | None) -> None:
        hear(task, what, done, total)
        browser.ask("cancel")

    monkeypatch.setattr(Task, "hear", cancelling)
    browser.refused("export", "cancelled", query={"store": "s"}, to="csv", name=str(path))
    assert [each.name for each in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_text() == "before"


def test_pending_changes_go_along_whatever_is_edited_meanwhile(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, hear, path = Browser(db), Task.hear, tmp_path / "s.csv"
    browser.edit("s", browser.row("s", k="999"), "v", "7")
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Any] = []

        def editing(task: Task, what: str, done: int, total: int | None) -> None:
            hear(task, what, done, total)
            waiting.append(pool.submit(browser.view.handle, {"id": 1, "op": "rollback", "args": {}}))

        monkeypatch.setattr(Task, "hear", editing)
        browser.ask("export", query={"store": "s"}, to="csv", name=str(path))
        assert all("ok" in each.result() for each in waiting)
    assert pd.read_csv(path)["v"].tolist() == [0] * 999 + [7]
    assert browser.ask("pending")["changes"] == []
