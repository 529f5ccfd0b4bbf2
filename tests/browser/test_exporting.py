"""Exporting what is shown: into a frame, into files, and what is told where that cannot be."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from sopnb.view.task import Task, Tasks
from tests.browser.support import Shown, kinds, shown

WANTED = pd.DataFrame({"id": [29, 28, 27], "note": ["note 29", "note 28", "note 27"]})
"""What the page shows: the last three records, the last one first, and of their columns two."""


@pytest.fixture
def seen(browser: Browser) -> Iterator[Shown]:
    with kinds() as db, shown(browser, db["things"], edit=False) as seen:
        seen.open()
        seen.into("note")
        seen.button("Reverse the order").click()
        seen.condition.fill("id > 26")
        seen.condition.press("Enter")
        expect(seen.total).to_have_text(" of 3")
        yield seen


def export(seen: Shown, to: str, name: str) -> None:
    """Export to a place that the sheet offers; the sheet is open already, or is opened."""
    if not seen.sheet.is_visible():
        seen.button("Export").click()
    seen.sheet.get_by_label("Export to").select_option(to)
    seen.sheet.get_by_label(re.compile("^(Name of the variable|File name)")).fill(name)
    seen.sheet.get_by_role("button", name="Export", exact=True).click()


def says(seen: Shown, text: str | re.Pattern[str], *, good: bool) -> None:
    """Assert that the sheet comes to say it, as success or as failure."""
    said = seen.sheet.get_by_role("status")
    expect(said).to_have_text(text)
    expect(said).to_have_class("good" if good else "bad")


@pytest.mark.parametrize(("to", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_a_file_holds_what_is_shown(seen: Shown, tmp_path: Path, to: str, read: Callable[[Path], pd.DataFrame]) -> None:
    path = tmp_path / f"things.{to}"
    export(seen, to, str(path))
    says(seen, f"3 rows in {path}", good=True)
    pd.testing.assert_frame_equal(read(path).reset_index()[["id", "note"]], WANTED, check_dtype=False)


def test_a_frame_in_a_variable_holds_what_is_shown(seen: Shown) -> None:
    variables: dict[str, Any] = {}
    seen.view.bind = variables.__setitem__
    export(seen, "variable", "latest")
    says(seen, "3 rows in latest", good=True)
    pd.testing.assert_frame_equal(variables["latest"].reset_index()[["id", "note"]], WANTED, check_dtype=False)


def test_an_export_tells_how_far_it_is_and_may_be_cancelled(seen: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hear, cancelled = Task.hear, threading.Event()

    def heard(task: Task, what: str, done: int, total: int | None) -> None:
        hear(task, what, done, total)
        cancelled.wait()

    def cancel(tasks: Tasks, id: Any = None) -> int:
        found = end(tasks, id)
        cancelled.set()
        return found

    end = Tasks.cancel
    monkeypatch.setattr(Task, "hear", heard)
    monkeypatch.setattr(Tasks, "cancel", cancel)
    export(seen, "csv", str(tmp_path / "things.csv"))
    expect(seen.sheet.locator(".progress")).to_contain_text("write ")
    seen.sheet.get_by_role("button", name="Cancel").click()
    says(seen, re.compile("cancelled"), good=False)
    expect(seen.sheet.locator(".progress")).to_be_hidden()
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_suggested_for_each_place(seen: Shown) -> None:
    seen.button("Export").click()
    expect(seen.sheet.get_by_label("Name of the variable")).to_have_value("things")
    seen.sheet.get_by_label("Export to").select_option("csv")
    expect(seen.sheet.get_by_label("File name, beside the notebook")).to_have_value("things.csv")
    assert seen.served.asked("export") == []


def test_what_cannot_be_exported_is_told_and_may_be_mended(seen: Shown, tmp_path: Path) -> None:
    export(seen, "variable", "latest")
    says(seen, "there are no variables here; export to a file", good=False)
    export(seen, "variable", "not a name")
    says(seen, re.compile("cannot be the name of a variable"), good=False)
    export(seen, "csv", str(tmp_path / "no folder" / "things.csv"))
    says(seen, re.compile("no folder"), good=False)
    export(seen, "csv", str(tmp_path / "things.csv"))
    says(seen, re.compile("^3 rows in "), good=True)
    assert [path.name for path in tmp_path.iterdir()] == ["things.csv"]
