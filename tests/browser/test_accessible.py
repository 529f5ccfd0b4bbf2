"""axe-core finds nothing serious or critical, in any state: light, dark, and in a narrow cell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import Shown, kinds, shown


@pytest.fixture(scope="module")
def db() -> Iterator[Any]:
    with kinds() as db:
        db["things"].create_index("by_day", "-day")
        yield db


@pytest.fixture(params=["light", "dark", "dark narrow"])
def seen(request: pytest.FixtureRequest, browser: Browser, db: Any) -> Iterator[Shown]:
    scheme, *narrow = request.param.split()
    with shown(browser, db) as seen:
        seen.open(scheme=scheme, width="420px" if narrow else "auto")
        expect(seen.page.locator(".sopnb")).to_have_attribute("data-scheme", scheme)
        go(seen, "things")
        seen.shows(0, id="0")
        yield seen


def go(seen: Shown, store: str) -> None:
    """Choose a store, of a tree that lies over the grid where the cell is narrow."""
    if not seen.page.get_by_role("tree").is_visible():
        seen.button("Stores").click()
    assert seen.faults() == []
    seen.store(store)


def test_rows_a_selection_and_a_refused_edit(seen: Shown) -> None:
    seen.choose(1)
    seen.edit(0, "big", "7")
    seen.shows(0, big="7")
    seen.edit(2, "big", "12x")
    expect(seen.page.locator(".editor .refusal")).to_be_visible()
    assert seen.faults() == []


def test_an_empty_store_and_a_wrong_search(seen: Shown) -> None:
    go(seen, "nothing")
    expect(seen.button("Add the first row")).to_be_visible()
    assert seen.faults() == []
    seen.condition.fill("text == 'a'")
    seen.condition.press("Enter")
    expect(seen.button("Clear the search")).to_be_visible()
    assert seen.faults() == []
    seen.condition.fill("1 +")
    seen.condition.press("Enter")
    expect(seen.page.get_by_role("alert")).not_to_be_empty()
    assert seen.faults() == []


def test_sheets(seen: Shown) -> None:
    seen.edit(3, "big", "7")
    for opener, there in {
        "Add row": "input",
        "Columns": ".chooser",
        "Export": "select",
        "Paste": "textarea",
        "Commit": ".change",
    }.items():
        seen.button(opener).click()
        expect(seen.sheet.locator(there).first).to_be_visible()
        assert (opener, seen.faults()) == (opener, [])
        seen.sheet.get_by_role("button", name="Close").first.click()


def test_dialogs(seen: Shown) -> None:
    seen.cell(2, "id").click()
    seen.press("Delete")
    expect(seen.dialog).to_be_visible()
    assert seen.faults() == []
    seen.button("Cancel").click()
    seen.into("tree")
    seen.cell(2, "tree").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_contain_text("n2")
    seen.press("Control+End", ",")
    expect(seen.dialog.locator(".json-status.bad")).to_have_text(re.compile("^Line"))
    assert seen.faults() == []


def test_buttons_keep_their_names_in_a_narrow_cell(browser: Browser, db: Any) -> None:
    with shown(browser, db["things"]) as seen:
        seen.open(width="400px")
        seen.shows(0, id="0")
        for name in ("Add row", "Delete", "Paste", "Columns", "Copy", "Export", "Search", "Go to key"):
            expect(seen.button(name)).to_be_visible()
        seen.choose(1)
        expect(seen.button("Delete 1")).to_be_visible()
        assert seen.faults() == []


def test_pending_changes_that_are_stale(seen: Shown, db: Any) -> None:
    seen.edit(1, "big", "8")
    seen.shows(1, big="8")
    db["things"].update(1, {"big": db["things"][1]["big"] + 1})
    expect(seen.page.locator(".ag-row.is-stale")).not_to_have_count(0)
    assert seen.faults() == []
    seen.button("1 change").click()
    expect(seen.sheet.get_by_role("button", name="Keep mine")).to_be_visible()
    assert seen.faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_cannot_be_opened(browser: Browser, db: Any, scheme: str) -> None:
    with shown(browser, db) as seen:
        seen.served.handle = lambda message: {"id": message["id"], "error": {"code": "internal", "message": "no"}}  # type: ignore[method-assign]
        seen.open(scheme=scheme)
        expect(seen.button("Try again")).to_be_visible()
        assert seen.faults() == []


@pytest.mark.parametrize("width", ["auto", "420px"])
@pytest.mark.parametrize("kind", ["index", "import", "history"])
def test_panels(browser: Browser, kind: str, width: str) -> None:
    data = {"import": {"frame": "data"}, "history": {}, "index": {"store": "things"}}[kind]
    with kinds() as db, shown(browser, db) as seen:
        db["things"].update(1, {"big": 1})
        seen.view.frames["data"] = pd.DataFrame({"k": [1, 2, 3], "v": [0.5, None, 2]})
        traits = quote(json.dumps({"kind": kind, "data": data}))
        seen.page.goto(f"{seen.url}?scheme=dark&width={width}&traits={traits}")
        if kind == "history":
            expect(seen.page.locator("td.is").first).to_be_visible()
            seen.button("Revert commit 3").click()
            expect(seen.dialog).to_be_visible()
            assert seen.faults() == []
            seen.button("Cancel").click()
        else:
            seen.page.locator(".suggestion").first.click()
            expect(seen.page.locator(".suggestion[aria-pressed='true']")).to_have_count(1)
            expect(seen.page.locator(".sample td").first).to_be_visible()
            expect(seen.page.locator(".sample.loading")).to_have_count(0)
        assert seen.faults() == []
