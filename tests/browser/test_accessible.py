"""axe-core finds nothing serious or critical, in any state, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import Shown, kinds, shown


@pytest.fixture(scope="module")
def db() -> Iterator[Any]:
    with kinds() as db:
        db["things"].create_index("by_day", "-day")
        yield db


@pytest.fixture(params=["light", "dark"])
def seen(request: pytest.FixtureRequest, browser: Browser, db: Any) -> Iterator[Shown]:
    with shown(browser, db) as seen:
        seen.open(scheme=request.param)
        expect(seen.page.locator(".sopnb")).to_have_attribute("data-scheme", request.param)
        seen.store("things")
        seen.shows(0, id="0")
        yield seen


def test_rows_a_selection_and_a_refused_edit(seen: Shown) -> None:
    seen.choose(1)
    seen.edit(0, "big", "7")
    seen.shows(0, big="7")
    seen.edit(2, "big", "12x")
    expect(seen.page.locator(".editor .refusal")).to_be_visible()
    assert seen.faults() == []


def test_an_empty_store_and_a_wrong_search(seen: Shown) -> None:
    seen.store("nothing")
    expect(seen.page.locator(".blank-title")).to_be_visible()
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
