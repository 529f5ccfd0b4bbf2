"""An editor that is left, refused or answered late: what was typed is taken or stays, and nothing of it is lost unsaid."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.races.support import cells, editor, others, tree
from tests.browser.support import Shown

# -- leaving an editor --------------------------------------------------------------------------------------------------------

LEAVING: dict[str, Callable[[Shown], Any]] = {
    "another cell": lambda seen: seen.cell(5, "note").click(),
    "Tab": lambda seen: seen.press("Tab"),
    "a search box": lambda seen: seen.box("id").click(),
    "the order": lambda seen: seen.page.get_by_label("Order of the rows").select_option("by_big"),
    "the direction": lambda seen: seen.button("Reverse the order").click(),
    "a header": lambda seen: seen.page.locator(".ag-header-cell[col-id='big']").click(),
    "another store": lambda seen: tree(seen, "twins").click(),
    "a row": lambda seen: (seen.page.get_by_label("Go to row").fill("29"), seen.press("Enter")),
    "the columns": lambda seen: seen.button("Columns").click(),
    "a new row": lambda seen: seen.button("Add row").click(),
    "out of sight": lambda seen: (seen.page.mouse.wheel(0, 5000), seen.press("Enter")),
    "the kernel": lambda seen: seen.page.evaluate("window.model.set('store', 'twins')"),
}


@pytest.mark.parametrize("way", LEAVING)
def test_what_was_typed_is_taken_when_the_cell_is_left(seen: Shown, way: str) -> None:
    seen.begin(2, "big").fill("77")
    LEAVING[way](seen)
    expect(seen.button("1 change")).to_be_visible()
    assert cells(seen) == [("things", "2", "big", "77")]


def test_escape_takes_nothing(seen: Shown) -> None:
    seen.begin(2, "big").fill("77")
    seen.press("Escape")
    seen.box("id").click()
    expect(editor(seen)).to_have_count(0)
    seen.shows(2, big="9007199254740995")
    assert seen.served.asked("edit") == []


def test_commit_takes_the_cell_that_is_still_edited(seen: Shown, db: Any) -> None:
    seen.edit(0, "big", "5")
    seen.shows(0, big="5")
    seen.begin(2, "big").fill("77")
    seen.button("Commit").click()
    expect(seen.sheet.locator(".change")).to_have_count(2)
    seen.sheet.get_by_role("button", name="Commit").click()
    expect(seen.status).to_have_text(re.compile("^Committed as"))
    assert (db["things"][0]["big"], db["things"][2]["big"]) == (5, 77)


def test_enter_on_what_was_refused_asks_again_and_leaving_it_does_not(seen: Shown) -> None:
    seen.edit(2, "big", "12x")
    expect(seen.page.locator(".editor .refusal")).to_be_visible()
    seen.press("Enter")
    expect(editor(seen)).to_be_focused()
    expect(editor(seen)).to_have_value("12x")
    assert len(seen.served.asked("edit")) == 2
    seen.box("id").click()
    expect(editor(seen)).to_have_count(0)
    expect(seen.status).to_have_text("big: '12x' is not a whole number")
    expect(seen.box("id")).to_be_focused()
    assert len(seen.served.asked("edit")) == 2


def test_a_refusal_does_not_disturb_the_edit_of_another_cell(seen: Shown) -> None:
    with seen.served.held("edit"):
        seen.edit(2, "big", "12x")
        seen.begin(4, "big").fill("8")
    expect(seen.status).to_have_text("big: '12x' is not a whole number")
    expect(seen.cell(2, "big")).to_have_class(re.compile("is-refused"))
    expect(editor(seen)).to_have_value("8")
    editor(seen).press("Enter")
    seen.shows(4, big="8")
    expect(seen.begin(2, "big")).to_have_value("12x")
    assert cells(seen) == [("things", "4", "big", "8")]


def test_the_answer_to_one_edit_leaves_the_next_one_in_the_row_alone(seen: Shown) -> None:
    with seen.served.held("edit"):
        seen.begin(2, "big").fill("5")
        seen.press("Tab")
        editor(seen).fill("1.25")
    expect(seen.button("1 change")).to_be_visible()
    expect(editor(seen)).to_have_value("1.25")
    editor(seen).press("Enter")
    seen.shows(2, big="5", price="1.25")
    assert cells(seen) == [("things", "2", "big", "5"), ("things", "2", "price", "1.25")]


def test_edits_of_one_cell_in_a_row_end_as_the_last_one(seen: Shown) -> None:
    with seen.served.answered_late("edit"):
        seen.edit(2, "big", "5")
        seen.edit(2, "big", "6")
    seen.shows(2, big="6")
    assert cells(seen) == [("things", "2", "big", "6")]


# -- the large editor ---------------------------------------------------------------------------------------------------------


def test_escape_warns_once_before_a_document_is_forgotten(seen: Shown) -> None:
    seen.cell(3, "tree").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_contain_text('"name": "n3"')
    seen.press("Control+End")
    seen.page.keyboard.insert_text(" ")
    seen.press("Escape")
    expect(seen.dialog.locator(".json-status")).to_have_text("This is not saved; Escape again forgets it")
    seen.press("Escape")
    expect(seen.dialog).to_have_count(0)
    assert seen.served.asked("edit") == []
    seen.cell(3, "tree").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_contain_text('"name": "n3"')
    seen.press("Escape")
    expect(seen.dialog).to_have_count(0)


def test_a_refusal_that_comes_when_the_editor_is_closed_is_told(seen: Shown) -> None:
    seen.cell(3, "tree").dblclick()
    seen.press("Control+a")
    seen.page.keyboard.insert_text('{"name": 5}')
    with seen.served.held("edit"):
        seen.button("Save").click()
        seen.button("Cancel").click()
        expect(seen.dialog).to_have_count(0)
    expect(seen.status).to_have_text(re.compile("^tree: "))


@pytest.mark.parametrize("given", ["a\r\nb\r\n", "a\r\nb\nc\rd", "\r\n", "a\rb", "one\ntwo"])
def test_line_ends_of_a_text_stay_as_they_are(seen: Shown, db: Any, given: str) -> None:
    db["things"].update(2, {"note": given})
    others(seen)
    expect(seen.cell(2, "note")).not_to_have_text("note 2")
    seen.cell(2, "note").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_be_focused()
    seen.button("Save").click()
    expect(seen.dialog).to_have_count(0)
    assert seen.served.asked("edit") == []
    seen.cell(2, "note").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_be_focused()
    seen.press("Control+End")
    seen.page.keyboard.insert_text("!")
    seen.button("Save").click()
    expect(seen.dialog).to_have_count(0)
    assert cells(seen) == [("things", "2", "note", given + "!")]
