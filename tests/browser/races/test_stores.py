"""Another store, order or search, and what others do to a store, while something is under way: nothing reaches another record."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.races.support import cells, editor, others, tree
from tests.browser.support import Shown, many, shown

# -- another store, order or search meanwhile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["5", "5x"])
def test_an_answer_that_comes_when_another_store_is_shown_changes_nothing_there(seen: Shown, typed: str) -> None:
    with seen.served.held("edit"):
        seen.edit(2, "big", typed)
        seen.store("twins")
        seen.shows(2, big="102")
        seen.cell(1, "big").click()
    if typed == "5":
        expect(seen.button("1 change")).to_be_visible()
    else:
        expect(seen.status).to_have_text("big: '5x' is not a whole number")
    seen.shows(2, big="102", word="word 2")
    expect(editor(seen)).to_have_count(0)
    expect(seen.page.locator(".is-refused")).to_have_count(0)
    assert cells(seen) == ([("things", "2", "big", "5")] if typed == "5" else [])


def test_a_document_is_saved_to_the_store_that_it_was_opened_from(seen: Shown, db: Any) -> None:
    seen.cell(3, "tree").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_contain_text('"name": "n3"')
    seen.page.evaluate("window.model.set('store', 'twins')")
    expect(seen.page.locator("h1.title")).to_have_text("twins")
    seen.press("Control+a")
    seen.page.keyboard.insert_text('{"name": "n3", "deep": []}')
    seen.button("Save").click()
    expect(seen.dialog).to_have_count(0)
    assert cells(seen) == [("things", "3", "tree", '{"name":"n3","deep":[]}')]


def test_reversing_twice_is_no_reversing(seen: Shown) -> None:
    with seen.served.held("page"):
        seen.button("Reverse the order").click()
        seen.button("Reverse the order").click()
    expect(seen.page.locator(".main")).to_have_attribute("aria-busy", "false")
    expect(seen.button("Reverse the order")).to_have_attribute("aria-pressed", "false")
    seen.shows(0, id="0")


@pytest.mark.parametrize("act", ["reverse", "order", "search"])
def test_what_is_done_to_a_store_that_is_being_left_does_not_mix_with_the_next(seen: Shown, act: str) -> None:
    with seen.served.held("schema"):
        tree(seen, "twins").click()
        if act == "reverse":
            seen.button("Reverse the order").click()
        elif act == "order":
            seen.page.get_by_label("Order of the rows").select_option("by_big")
        else:
            seen.condition.fill("id > 3")
            seen.condition.press("Enter")
    expect(seen.page.locator("h1.title")).to_have_text("twins")
    seen.shows(2, id="2", big="102", word="word 2")
    expect(seen.page.get_by_label("Order of the rows")).to_have_value("")
    expect(seen.condition).to_have_value("")


def test_a_page_of_another_search_that_comes_late_tells_no_total(browser: Browser) -> None:
    with many() as db, shown(browser, db["flights"]) as seen:
        seen.open()
        with seen.served.answered_late("page"):
            seen.page.mouse.move(600, 400)
            seen.page.mouse.wheel(0, 29 * 5000)
            expect(seen.page.locator(".shimmer").first).to_be_visible()
            seen.served.late.pop("page")
            seen.condition.fill("number == 7")
            seen.condition.press("Enter")
            expect(seen.total).to_have_text(" of 400")
            late = [message for message in seen.served.messages if message["op"] == "page"]
        expect(seen.total).to_have_text(" of 400")
        assert late
        seen.shows(0, number="7")


def test_boxes_of_the_search_are_empty_in_another_store(seen: Shown) -> None:
    seen.box("id").fill("7")
    seen.box("id").press("Enter")
    expect(seen.total).to_have_text(" of 1")
    seen.store("twins")
    expect(seen.total).to_have_text(" of 30")
    expect(seen.box("id")).to_have_value("")


# -- stores that change while they are shown ----------------------------------------------------------------------------------


def test_columns_that_others_removed_are_not_taken_for_others(seen: Shown, db: Any) -> None:
    seen.store("twins")
    rows = pd.DataFrame({"id": range(400), "word": [f"new {n}" for n in range(400)], "big": range(400)})
    with seen.served.held("schema"), seen.served.held("tree"):
        db.load("twins", rows, index="id", if_exists="replace")
        seen.edit(2, "big", "7")  # the rows are fetched anew after an edit, whatever came of it
        seen.button("Keep theirs").click()
        expect(seen.cell(2, "word")).not_to_have_text("2")
        expect(seen.cell(2, "big")).not_to_have_text("new 2")
    seen.shows(2, id="2", word="new 2", big="2")
    expect(seen.total).to_have_text(" of 400")


@pytest.mark.parametrize("how", ["drop", "rename"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_store_that_is_gone_says_so_and_is_shown_when_it_is_back(browser: Browser, db: Any, how: str, alone: bool) -> None:
    with shown(browser, db["twins"] if alone else db) as seen:
        seen.open()
        if not alone:
            seen.store("twins")
        seen.shows(2, big="102")
        db.drop("twins") if how == "drop" else db.rename("twins", "triplets")
        expect(seen.page.locator(".blank-title")).to_have_text("twins is gone")
        expect(seen.page.locator(".ag-row")).to_have_count(0)
        if not alone:
            expect(tree(seen, "twins")).to_have_count(0)
        db.load("twins", pd.DataFrame({"id": range(3), "more": ["a", "b", "c"]}), index="id")
        seen.shows(2, more="c")
        expect(seen.page.locator(".blank-title")).to_have_count(0)
        expect(seen.total).to_have_text(" of 3")


def test_a_store_that_others_empty_and_fill_again(seen: Shown, db: Any) -> None:
    seen.store("twins")
    db["twins"][:].delete()
    expect(seen.page.locator(".blank-title")).to_have_text("No rows yet")
    db["twins"].insert({"id": 4, "big": 1, "word": "back"})
    seen.shows(0, word="back")
    expect(seen.page.locator(".blank-title")).to_have_count(0)


def test_a_commit_of_ones_own_does_not_hide_what_others_altered_before_it(seen: Shown, db: Any) -> None:
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    seen.store("twins")
    seen.served.watched.clear()
    db["twins"].create_index("by_word", "word")
    seen.button("Commit").click()
    seen.sheet.get_by_role("button", name="Commit").click()
    expect(seen.status).to_have_text(re.compile("^Committed as"))
    seen.served.watched.set()
    expect(seen.page.get_by_label("Order of the rows").locator("option")).to_have_text([re.compile("^key"), re.compile("^by_word")])
    expect(seen.status).to_have_text(re.compile("^Committed as"))


def test_rows_that_come_above_do_not_move_the_edit_of_a_cell(seen: Shown, db: Any) -> None:
    seen.order("by_big")
    seen.shows(4, id="25")
    field = seen.begin(4, "note")
    field.fill("mine")
    db["things"].insert([{"id": n, "big": 9 * 10**18 + n, "note": f"theirs {n}"} for n in range(100, 110)])
    others(seen)
    expect(field).to_be_focused()
    expect(field).to_have_value("mine")
    field.press("Enter")
    seen.shows(14, id="25", note="mine")
    expect(seen.cell(14, "note")).to_be_focused()
    assert cells(seen) == [("things", "25", "note", "mine")]


def test_a_row_that_others_change_during_the_question_is_not_deleted(seen: Shown, db: Any) -> None:
    seen.choose(2, 3)
    seen.button("Delete 2").click()
    db["things"].update(3, {"note": "theirs"})
    others(seen)
    seen.button("Delete 2 rows").click()
    expect(seen.status).to_have_text("the record 3 was changed since; nothing was deleted")
    assert seen.pending() == []


def test_what_others_delete_too_waits_no_more(seen: Shown, db: Any) -> None:
    seen.choose(3)
    seen.button("Delete 1").click()
    seen.button("Delete 1 row").click()
    expect(seen.button("1 change")).to_be_visible()
    db["things"].delete(3)
    expect(seen.page.locator(".statusbar .pending")).to_be_hidden()


def test_an_edit_over_an_edit_that_became_stale_says_what_to_do(seen: Shown, db: Any) -> None:
    seen.edit(2, "big", "8")
    seen.shows(2, big="8")
    db["things"].update(2, {"big": 7})
    others(seen)
    seen.shows(2, big="7")
    seen.edit(2, "note", "mine too")
    expect(seen.status).to_contain_text("your earlier change of it waits")
    expect(editor(seen)).to_have_value("mine too")
    assert cells(seen) == [("things", "2", "big", "8")]
