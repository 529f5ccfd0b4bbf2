"""Editing: cells of every kind, refusals, stale rows, documents, rows as a whole, commit and rollback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import Shown, shown


@pytest.fixture
def seen(browser: Browser, db: Any) -> Iterator[Shown]:
    with shown(browser, db["things"], viewport={"width": 2600, "height": 700}) as seen:
        seen.open(height=600)
        yield seen


def test_an_edit_waits_until_commit(seen: Shown, db: Any) -> None:
    seen.edit(2, "big", "9007199254740993")
    seen.shows(2, big="9007199254740993")
    expect(seen.cell(2, "big")).to_have_class(re.compile("is-edited"))
    assert db["things"][2]["big"] == 9007199254740995
    seen.button("Commit").click()
    expect(seen.sheet.locator(".change")).to_have_count(1)
    expect(seen.sheet.locator(".difference")).to_have_text("big9007199254740995→9007199254740993")
    seen.sheet.get_by_label("Message of the commit").fill("big is odd")
    seen.sheet.get_by_role("button", name="Commit").click()
    expect(seen.status).to_have_text(re.compile("^Committed as"))
    expect(seen.cell(2, "big")).not_to_have_class(re.compile("is-edited"))
    assert db["things"][2]["big"] == 9007199254740993
    assert db.log().iloc[-1 if db.log()["seq"].is_monotonic_increasing else 0]["message"] == "big is odd"


@pytest.mark.parametrize(
    ("column", "typed", "shown_as", "stored"),
    [
        ("big", "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"),
        ("price", "9999999999.99", "9999999999.99", "9999999999.99"),
        ("day", "1999-12-31", "1999-12-31", "1999-12-31"),
        ("at", "2024-07-04T12:00:00.000001", "2024-07-04 12:00:00.000001-04:00", "2024-07-04T12:00:00.000001-04:00"),
        ("ratio", "-inf", "-Infinity", "-Infinity"),
        ("ratio", "1e300", "1e+300", 1e300),
        ("colour", "violet", "violet", "violet"),
        ("note", " as typed\t", "as typed ⇥", " as typed\t"),
    ],
)
def test_values_travel_exactly(seen: Shown, column: str, typed: str, shown_as: str, stored: Any) -> None:
    seen.edit(2, column, typed)
    seen.shows(2, **{column: shown_as})
    (change,) = seen.pending()
    assert [cell["new"] for cell in change["cells"]] == [stored]


def test_a_boolean_is_chosen(seen: Shown) -> None:
    seen.cell(0, "ok").dblclick()
    seen.page.locator(".editor select").select_option("null")
    seen.press("Enter")
    seen.shows(0, ok="null")
    (change,) = seen.pending()
    assert [(cell["column"], cell["old"], cell["new"]) for cell in change["cells"]] == [("ok", True, None)]


def test_null_by_its_button_and_by_its_key(seen: Shown) -> None:
    seen.cell(0, "price").dblclick()
    seen.page.locator(".editor").get_by_role("button", name=re.compile("^Set null")).click()
    seen.page.locator(".editor input:not(.days)").press("Enter")
    seen.shows(0, price="null")
    seen.cell(1, "big").click()
    seen.press("Enter", "Control+Backspace", "Enter")
    seen.shows(1, big="null")
    seen.edit(0, "note", "")
    seen.shows(0, note="empty")
    assert [cell["new"] for change in seen.pending() for cell in change["cells"]] == [None, "", None]


def test_a_value_that_does_not_fit_comes_back_to_its_cell(seen: Shown) -> None:
    seen.edit(2, "big", "12x")
    expect(seen.page.locator(".editor .refusal")).to_have_text(re.compile("12x.*whole number"))
    expect(seen.page.locator(".editor input:not(.days)")).to_have_value("12x")
    expect(seen.page.locator(".editor input:not(.days)")).to_be_focused()
    assert seen.pending() == []
    seen.page.locator(".editor input:not(.days)").fill("12")
    seen.press("Enter")
    seen.shows(2, big="12")
    expect(seen.page.locator(".is-refused")).to_have_count(0)


def test_escape_forgets_what_was_typed_and_what_was_refused(seen: Shown) -> None:
    seen.edit(2, "big", "12x")
    expect(seen.page.locator(".editor .refusal")).to_be_visible()
    seen.press("Escape")
    expect(seen.page.locator(".editor")).to_have_count(0)
    seen.shows(2, big="9007199254740995")
    expect(seen.page.locator(".is-refused")).to_have_count(0)
    assert seen.pending() == []


def test_key_fields_are_not_edited(seen: Shown) -> None:
    seen.cell(2, "id").dblclick()
    expect(seen.page.locator(".editor")).to_have_count(0)


@pytest.mark.parametrize("keep", ["Keep theirs", "Use mine"])
def test_a_stale_edit_is_refused_and_both_values_are_shown(seen: Shown, db: Any, keep: str) -> None:
    seen.cell(2, "big").dblclick()  # the grid is not fetched anew while a cell is edited
    expect(seen.page.locator(".editor input:not(.days)")).to_be_focused()
    db["things"].update(2, {"big": 7})
    expect(seen.status).to_have_text(re.compile("changed things$"))
    seen.page.locator(".editor input:not(.days)").fill("8")
    seen.press("Enter")
    expect(seen.dialog).to_contain_text("Somebody else changed this row")
    expect(seen.dialog.locator(".value.mine")).to_have_text("8")
    expect(seen.dialog.locator(".value.theirs")).to_have_text("7")
    assert seen.pending() == []
    seen.button(keep).click()
    seen.shows(2, big="7" if keep == "Keep theirs" else "8")
    assert len(seen.pending()) == (keep == "Use mine")
    assert db["things"][2]["big"] == 7


def test_null_of_others_is_their_value_and_no_deletion(seen: Shown, db: Any) -> None:
    field = seen.begin(2, "big")
    db["things"].update(2, {"big": None})
    expect(seen.status).to_have_text(re.compile("changed things$"))
    field.fill("8")
    seen.press("Enter")
    expect(seen.dialog).to_contain_text("changed it since you saw it")
    expect(seen.dialog.locator(".value.theirs")).to_have_text("null")
    seen.button("Use mine").click()
    seen.shows(2, big="8")
    (change,) = seen.pending()
    assert [(cell["old"], cell["new"]) for cell in change["cells"]] == [(None, "8")]


def test_a_deletion_by_others_is_told_and_nothing_can_be_written_over_it(seen: Shown, db: Any) -> None:
    field = seen.begin(2, "big")
    db["things"].delete(2)
    expect(seen.status).to_have_text(re.compile("changed things$"))
    field.fill("8")
    seen.press("Enter")
    expect(seen.dialog).to_contain_text("It was deleted since you saw it")
    expect(seen.button("Use mine")).to_have_count(0)
    seen.dialog.get_by_role("button", name="Close").click()
    seen.shows(2, id="3")
    assert seen.pending() == []


@pytest.mark.parametrize("keep", ["Keep theirs", "Keep mine"])
def test_a_change_that_became_stale_is_decided_before_commit(seen: Shown, db: Any, keep: str) -> None:
    seen.edit(2, "big", "8")
    seen.shows(2, big="8")
    db["things"].update(2, {"big": 7})
    expect(seen.status).to_have_text(re.compile("changed things$"))
    expect(seen.page.locator(".ag-row.is-stale")).not_to_have_count(0)
    seen.button("1 change").click()
    expect(seen.sheet).to_contain_text("1 of them stale")
    commit = seen.sheet.get_by_role("button", name="Commit")
    expect(commit).to_be_disabled()
    expect(seen.sheet.locator(".value.theirs").filter(has_text=re.compile("^7$"))).to_be_visible()
    seen.sheet.get_by_role("button", name=keep).click()
    expect(seen.sheet.locator(".conflict")).to_have_count(0)
    if keep == "Keep mine":
        commit.click()
        expect(seen.status).to_have_text(re.compile("^Committed as"))
    seen.shows(2, big="7" if keep == "Keep theirs" else "8")
    assert db["things"][2]["big"] == (7 if keep == "Keep theirs" else 8)


def test_a_change_is_undone_alone_and_all_are_rolled_back(seen: Shown, db: Any) -> None:
    seen.edit(0, "note", "one")
    seen.shows(0, note="one")
    seen.edit(1, "note", "two")
    seen.shows(1, note="two")
    seen.button("2 changes").click()
    seen.sheet.get_by_role("button", name="Undo this change of 0").click()
    expect(seen.sheet.locator(".change")).to_have_count(1)
    seen.shows(0, note="note 0")
    seen.sheet.get_by_role("button", name="Roll back").click()
    expect(seen.sheet).to_have_count(0)
    seen.shows(1, note="note 1")
    expect(seen.page.locator(".statusbar .pending")).to_be_hidden()
    assert db.seq == 2


def test_a_document_with_a_syntax_error_is_not_saved(seen: Shown) -> None:
    seen.cell(3, "tree").click()
    seen.press("Enter")
    code = seen.dialog.locator(".cm-content")
    expect(code).to_contain_text('"name": "n3"')
    seen.press("Control+a")
    seen.page.keyboard.insert_text('{"name": "n3",, "deep": [12345678901234567890]}')
    expect(seen.dialog.locator(".json-status")).to_have_text(re.compile("^Line 1, column 15"))
    expect(seen.dialog.locator(".cm-lint-marker-error")).to_be_visible()
    seen.button("Save").click()
    expect(seen.dialog).to_be_visible()
    assert seen.served.asked("edit") == []
    seen.press("Control+a")
    seen.page.keyboard.insert_text('{"name": "n3", "deep": [9223372036854775807]}')
    seen.press("Control+Enter")
    expect(seen.dialog).to_have_count(0)
    seen.shows(3, tree='{"name":"n3","deep":[9223372036854775807]}')
    expect(seen.cell(3, "tree")).to_be_focused()


def test_a_document_that_the_store_refuses_stays_open_with_the_reason(seen: Shown) -> None:
    seen.cell(3, "tree").dblclick()
    seen.press("Control+a")
    seen.page.keyboard.insert_text('{"name": 5}')
    seen.button("Save").click()
    expect(seen.dialog.locator(".json-status.bad")).to_contain_text("tree")
    seen.dialog.locator(".cm-content").press("ArrowLeft")  # the syntax is looked at again
    expect(seen.dialog.locator(".cm-content")).to_be_focused()
    expect(seen.dialog.locator(".json-status.bad")).to_contain_text("tree")
    seen.button("Cancel").click()
    seen.shows(3, tree='{"name":"n3","deep":[0,1,2]}')
    assert seen.pending() == []


def test_a_row_is_added_by_a_form(seen: Shown, db: Any) -> None:
    seen.button("Add row").click()
    identity = seen.sheet.get_by_label("id", exact=True)
    expect(identity).to_be_focused()
    identity.fill("2")
    seen.sheet.get_by_label("note", exact=True).fill("new")
    seen.sheet.get_by_role("button", name="Add row").click()
    expect(seen.sheet.get_by_role("alert").filter(has_text="2")).to_be_visible()
    seen.sheet.get_by_label("big", exact=True).fill("many")
    identity.fill("1000")
    identity.press("Enter")
    expect(seen.sheet.get_by_label("big", exact=True)).to_be_focused()
    expect(seen.sheet.get_by_label("big", exact=True)).to_have_attribute("aria-invalid", "true")
    seen.sheet.get_by_label("big", exact=True).fill("9007199254740993")
    seen.sheet.get_by_role("button", name="Add row").click()
    expect(seen.sheet).to_have_count(0)
    seen.shows(30, big="9007199254740993")
    seen.shows(30, price="null")
    expect(seen.page.get_by_label("Go to row")).to_have_value("31")
    expect(seen.page.locator(".ag-row.is-new [col-id='note']")).to_have_text("new")
    assert 1000 not in db["things"]


def test_selected_rows_are_deleted_after_their_count_was_confirmed(seen: Shown, db: Any) -> None:
    seen.choose(3, 5)
    seen.button("Delete 2").click()
    expect(seen.dialog).to_contain_text("Delete 2 rows of things?")
    seen.button("Cancel").click()
    expect(seen.total).to_have_text(" of 30")
    seen.button("Delete 2").click()
    seen.button("Delete 2 rows").click()
    expect(seen.total).to_have_text(" of 28")
    seen.shows(3, id="4")
    expect(seen.button("2 changes")).to_be_visible()
    seen.button("Commit").click()
    seen.sheet.get_by_role("button", name="Commit").click()
    expect(seen.status).to_have_text(re.compile("^Committed"))
    assert db["things"].get(3) is None
    assert len(db["things"]) == 28


def test_rows_are_pasted_from_a_spreadsheet_with_a_report_of_each(seen: Shown) -> None:
    seen.button("Paste").click()
    seen.sheet.get_by_label("Rows, tab separated").fill('id\tbig\tnote\n200\t5\t"two\nlines"\n201\tx\tbad\n1\t2\tthere')
    expect(seen.sheet.locator("table td").nth(2)).to_have_text("two\nlines")
    seen.sheet.get_by_role("button", name="Paste 3 rows").click()
    expect(seen.sheet.locator(".report")).to_contain_text("1 row taken, 2 refused")
    expect(seen.sheet.locator(".report li").nth(0)).to_contain_text("Row 2")
    expect(seen.sheet.locator(".report li").nth(1)).to_contain_text("Row 3")
    expect(seen.total).to_have_text(" of 31")
    seen.sheet.get_by_label("What to do with keys that are there").select_option("upsert")
    seen.sheet.get_by_label("Rows, tab separated").fill("id\tnote\n1\tupdated")
    seen.sheet.get_by_role("button", name="Paste 1 row").click()
    expect(seen.sheet.locator(".report")).to_have_text("1 row taken")
    seen.shows(1, note="updated")
    seen.shows(1, big="9007199254740994")


def test_an_edit_in_an_order_that_moves_the_row_shows_it_where_it_belongs(browser: Browser, db: Any) -> None:
    db["things"].create_index("by_big", "big")
    with shown(browser, db["things"]) as seen:
        seen.open()
        seen.order("by_big")
        seen.shows(0, id="0")
        seen.edit(0, "big", "9007199254740999")
        seen.shows(0, id="1")
        seen.condition.fill("big > 9007199254741000")
        seen.condition.press("Enter")
        expect(seen.total).to_have_text(" of 22")
