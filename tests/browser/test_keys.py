"""The keyboard, the clipboard, the page around: what is done without a mouse, and what stays within."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import Shown, shown


@pytest.fixture
def seen(browser: Browser, db: Any) -> Iterator[Shown]:
    with shown(browser, db, viewport={"width": 2600, "height": 700}, permissions=["clipboard-read", "clipboard-write"]) as seen:
        seen.open(height=600)
        seen.store("things")
        seen.shows(0, id="0")
        yield seen


def clipboard(seen: Shown) -> str:
    text: str = seen.page.evaluate("navigator.clipboard.readText()")
    return text


def test_arrows_move_enter_edits_and_escape_leaves(seen: Shown) -> None:
    seen.cell(0, "id").click()
    seen.press("ArrowRight", "ArrowDown")
    expect(seen.cell(1, "big")).to_be_focused()
    expect(seen.page.get_by_label("Go to row")).to_have_value("2")
    seen.press("Enter")
    expect(seen.page.locator(".editor input")).to_be_focused()
    seen.press("Escape")
    expect(seen.cell(1, "big")).to_be_focused()
    seen.page.keyboard.type("42")
    seen.press("Enter")
    seen.shows(1, big="42")
    seen.press("Control+End")
    expect(seen.cell(29, "big")).to_be_focused()
    seen.press("Control+Home")
    expect(seen.cell(0, "big")).to_be_focused()


def test_delete_asks_for_the_row_with_the_focus(seen: Shown) -> None:
    seen.cell(4, "big").click()
    seen.press("Delete")
    expect(seen.dialog).to_contain_text("Delete 1 row of things?")
    seen.button("Delete 1 row").click()
    expect(seen.total).to_have_text(" of 29")
    seen.cell(4, "big").dblclick()
    seen.press("Delete")
    expect(seen.dialog).to_have_count(0)


def test_search_and_position_have_keys(seen: Shown) -> None:
    seen.cell(0, "id").click()
    seen.press("Control+f")
    expect(seen.box("id")).to_be_focused()
    seen.press("Control+g")
    expect(seen.page.get_by_label("Go to row")).to_be_focused()


def test_keys_and_clipboard_stay_within(seen: Shown) -> None:
    seen.cell(0, "big").click()
    seen.press("d", "Escape", "a", "Escape", "ArrowDown")
    seen.box("id").fill("")
    seen.box("id").press("b")
    assert seen.page.evaluate("window.keys") == []
    host = seen.page.locator("#place")
    expect(host).to_have_attribute("data-lm-suppress-shortcuts", "true")
    expect(host.locator(":scope > div")).to_have_attribute("data-lm-suppress-shortcuts", "true")


def test_the_tree_is_walked_by_arrows(seen: Shown, db: Any) -> None:
    db["things"].create_index("by_day", "-day")
    by_day = seen.page.get_by_role("treeitem", name=re.compile("^index by_day"))
    things = seen.page.get_by_role("treeitem", name=re.compile("^things,"))
    expect(by_day).to_be_visible()
    things.focus()
    seen.press("ArrowLeft")
    expect(by_day).to_have_count(0)
    seen.press("ArrowRight", "ArrowRight")
    expect(by_day).to_be_focused()
    seen.press("Enter")
    seen.shows(0, id="29")
    seen.press("ArrowUp", "ArrowUp", "Enter")
    expect(seen.page.locator("h1.title")).to_have_text("nothing")


def test_a_cell_is_copied_as_it_is(seen: Shown) -> None:
    seen.cell(3, "big").click()
    seen.press("Control+c")
    expect(seen.status).to_have_text("The value was copied")
    assert clipboard(seen) == "9007199254740996"


@pytest.mark.parametrize(("rows", "said", "text"), [((0, 5), "2 rows", "0\tnote 0\n5\t"), ((4,), "1 row", "4\t" + "x" * 3000)])
@pytest.mark.parametrize("by", ["key", "button"])
def test_selected_rows_are_copied_whole_as_tab_separated_text_with_names(
    seen: Shown, rows: tuple[int, ...], said: str, text: str, by: str
) -> None:
    seen.into("note")
    seen.choose(*rows)
    if by == "key":
        seen.cell(rows[-1], "note").click()
        seen.press("Control+c")
    else:
        seen.button("Copy").click()
    expect(seen.status).to_have_text(f"{said} copied")
    assert clipboard(seen) == f"id\tnote\n{text}"


def test_rows_are_pasted_by_the_key(seen: Shown) -> None:
    seen.page.evaluate("navigator.clipboard.writeText('id\\tbig\\n900\\t1\\n')")
    seen.cell(0, "id").click()
    seen.press("Control+v")
    expect(seen.sheet.get_by_label("Rows, tab separated")).to_have_value("id\tbig\n900\t1\n")
    seen.sheet.get_by_role("button", name="Paste 1 row").click()
    expect(seen.total).to_have_text(" of 31")


def test_the_widget_is_told_what_is_selected_and_which_store_is_shown(seen: Shown) -> None:
    seen.choose(1)
    tokens = seen.page.evaluate("window.model.get('tokens')")
    answer = seen.view.handle({"id": 1, "op": "value", "args": {"store": "things", "key": tokens[0], "column": "id"}})
    assert answer["ok"]["value"] == "1"
    assert seen.page.evaluate("window.model.get('store')") == "things"


def test_a_closed_browser_leaves_nothing(seen: Shown) -> None:
    seen.page.evaluate("window.close()")
    expect(seen.page.locator("#place")).to_be_empty()
