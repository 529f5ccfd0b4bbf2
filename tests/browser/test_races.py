"""What happens at once, late, twice, or not at all: nothing that was typed is lost unsaid, and nothing reaches another record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

import sopnb
from tests.browser.support import Shown, kinds, many, shown
from tests.browser.test_panels import panel


@pytest.fixture
def db() -> Iterator[Any]:
    """Things of all kinds; twins, which have the keys of the things; and notes, of which several may have one key."""
    with kinds() as db:
        db["things"].create_index("by_big", "-big")
        db.load("twins", pd.DataFrame({"id": range(30), "big": range(100, 130), "word": [f"word {n}" for n in range(30)]}), index="id")
        db.create("notes", schema={"author": "string", "text": "string"}, index=sopnb.IndexSpecification.of("author", unique=False))
        yield db
        assert db.check().ok


@pytest.fixture
def seen(browser: Browser, db: Any) -> Iterator[Shown]:
    with shown(browser, db, viewport={"width": 2600, "height": 700}) as seen:
        seen.open(height=400)
        seen.store("things")
        seen.shows(0, id="0")
        yield seen


def cells(seen: Shown) -> list[tuple[str, str, str, Any]]:
    """The pending changes: store, key, column and new value."""
    return [(change["store"], change["key"], cell["column"], cell["new"]) for change in seen.pending() for cell in change["cells"]]


def editor(seen: Shown) -> Any:
    return seen.page.locator(".editor input:not(.days)")


def tree(seen: Shown, name: str) -> Any:
    return seen.page.get_by_role("treeitem", name=re.compile(rf"^{name},"))


def others(seen: Shown) -> Any:
    """Wait until a commit of others is shown."""
    expect(seen.status).to_have_text(re.compile("^Commit .* changed"))


# -- leaving an editor ------------------------------------------------------------------------------------------------------------

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


# -- another store, order or search meanwhile --------------------------------------------------------------------------------------


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


# -- stores that change while they are shown ---------------------------------------------------------------------------------------


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


# -- twice --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["clicks", "Enter"])
def test_one_commit_of_two_clicks(seen: Shown, db: Any, by: str) -> None:
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    before = db.seq
    seen.button("Commit").click()
    commit = seen.sheet.get_by_role("button", name="Commit")
    expect(commit).to_be_enabled()
    with seen.served.held("commit"):
        for _ in range(2):
            if by == "clicks":
                commit.click()
            else:
                seen.sheet.get_by_label("Message of the commit").press("Enter")
    expect(seen.status).to_have_text(f"Committed as {before + 1}")
    assert len(seen.served.asked("commit")) == 1


def test_what_is_not_seen_yet_cannot_be_committed(seen: Shown) -> None:
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    with seen.served.held("pending"):
        seen.button("Commit").click()
        expect(seen.sheet.get_by_role("button", name="Commit")).to_be_disabled()
        expect(seen.sheet.get_by_role("button", name="Roll back")).to_be_disabled()
        seen.press("Escape")
        seen.button("Commit").click()
    expect(seen.sheet.locator(".change")).to_have_count(1)
    seen.edit(3, "big", "6")
    expect(seen.sheet.locator(".change")).to_have_count(2)


def test_one_row_of_two_clicks(seen: Shown) -> None:
    seen.store("notes")
    seen.button("Add row").click()
    seen.sheet.get_by_label("author", exact=True).fill("me")
    with seen.served.held("insert"):
        seen.sheet.get_by_label("author", exact=True).press("Enter")
        seen.sheet.get_by_role("button", name="Add row").click()
    seen.shows(0, author="me")
    expect(seen.total).to_have_text(" of 1")
    assert len(seen.served.asked("insert")) == 1


def test_one_editor_of_two_keys(seen: Shown) -> None:
    seen.page.locator(".ag-body-horizontal-scroll-viewport").evaluate("(e) => (e.scrollLeft = 9999)")
    seen.cell(4, "note").click()
    with seen.served.held("value"):
        seen.press("Enter", "Enter")
    expect(seen.dialog).to_have_count(1)
    assert len(seen.served.asked("value")) == 1


def test_one_export_of_two_keys_and_it_is_told_when_the_sheet_is_closed(seen: Shown, tmp_path: Any) -> None:
    seen.store("twins")
    seen.button("Export").click()
    seen.sheet.get_by_label("Export to").select_option("csv")
    name = seen.sheet.get_by_label("File name")
    name.fill(str(tmp_path / "twins.csv"))
    with seen.served.held("export"):
        name.press("Enter")
        name.press("Enter")
        seen.press("Escape")
        expect(seen.sheet).to_have_count(0)
    expect(seen.status).to_have_text(f"30 rows in {tmp_path / 'twins.csv'}")
    assert len(seen.served.asked("export")) == 1


def test_an_export_is_of_what_is_shown_when_it_begins(seen: Shown, tmp_path: Any) -> None:
    seen.store("twins")
    seen.button("Export").click()
    seen.sheet.get_by_label("Export to").select_option("csv")
    seen.sheet.get_by_label("File name").fill(str(tmp_path / "twins.csv"))
    seen.condition.fill("id < 3")
    seen.condition.press("Enter")
    expect(seen.total).to_have_text(" of 3")
    seen.sheet.get_by_role("button", name="Export").click()
    expect(seen.sheet.locator(".good")).to_contain_text("3 rows in")
    expect(seen.sheet.locator(".lead")).to_contain_text("3 rows: ")


# -- while a commit is on its way ----------------------------------------------------------------------------------------------------


def test_an_edit_during_ones_own_commit_asks_nothing(seen: Shown, db: Any) -> None:
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    seen.button("Commit").click()
    with seen.served.answered_late("commit"):
        seen.sheet.get_by_role("button", name="Commit").click()
        with seen.served.held("edit"):
            seen.edit(2, "note", "later")
            expect(editor(seen)).to_have_count(0)
            for _ in range(1000):
                if db["things"][2]["big"] == 5:
                    break
                seen.page.evaluate("new Promise(requestAnimationFrame)")
    expect(seen.sheet).to_have_count(0)
    expect(seen.button("1 change")).to_be_visible()
    expect(seen.dialog).to_have_count(0)
    assert cells(seen) == [("things", "2", "note", "later")]


def test_an_edit_that_is_answered_before_ones_own_commit_asks_nothing(seen: Shown, db: Any) -> None:
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    seen.button("Commit").click()
    with seen.served.answered_late("commit"):
        seen.sheet.get_by_role("button", name="Commit").click()
        while db["things"][2]["big"] != 5:
            seen.page.evaluate("new Promise(requestAnimationFrame)")
        with seen.page.expect_response(lambda answer: '"op":"edit"' in (answer.request.post_data or "")) as answered:
            seen.edit(2, "note", "later")
        assert answered.value.json()["error"]["code"] == "stale"
    seen.shows(2, note="later")
    expect(seen.button("1 change")).to_be_visible()
    expect(seen.dialog).to_have_count(0)
    assert cells(seen) == [("things", "2", "note", "later")]


def test_rows_pasted_during_a_commit_wait_for_the_next(seen: Shown, db: Any) -> None:
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    seen.button("Commit").click()
    with seen.served.answered_late("commit"):
        seen.sheet.get_by_role("button", name="Commit").click()
        seen.button("Paste").click()
        seen.sheet.get_by_label("Rows, tab separated").fill("id\tnote\n900\tpasted")
        seen.sheet.get_by_role("button", name="Paste 1 row").click()
        expect(seen.sheet.locator(".report")).to_have_text("1 row taken")
    expect(seen.button("1 change")).to_be_visible()
    assert [change["key"] for change in seen.pending()] == ["900"]
    assert db["things"][2]["big"] == 5


def test_what_is_typed_into_the_sheet_while_rows_are_pasted_stays(seen: Shown) -> None:
    seen.button("Paste").click()
    area = seen.sheet.get_by_label("Rows, tab separated")
    area.fill("id\tnote\n900\tone")
    with seen.served.held("paste"):
        seen.sheet.get_by_role("button", name="Paste 1 row").click()
        area.fill("id\tnote\n901\ttwo")
    expect(seen.total).to_have_text(" of 31")
    expect(area).to_have_value("id\tnote\n901\ttwo")
    seen.sheet.get_by_role("button", name="Paste 1 row").click()
    expect(seen.total).to_have_text(" of 32")


def test_another_page_of_the_same_widget_is_told_what_waits_even_when_it_asks_something_itself(seen: Shown) -> None:
    row = seen.view.handle({"id": 1, "op": "page", "args": {"query": {"store": "things"}, "start": 2, "size": 1}})["ok"]["rows"][0]
    with seen.served.held("count"):
        seen.page.evaluate("window.model.set('pending', 0)")
        seen.condition.fill("id >= 0")
        seen.condition.press("Enter")
        seen.page.evaluate("window.model.send({id: 'other', op: 'count', args: {query: {store: 'things'}}})")
        edit = {"store": "things", "key": row["key"], "seq": row["seq"], "column": "big", "value": "5"}
        assert "ok" in seen.view.handle({"id": 2, "op": "edit", "args": edit})
        with seen.served.held("page"):
            seen.button("Reverse the order").click()
            seen.page.evaluate("window.model.set('pending', 1)")
    expect(seen.button("1 change")).to_be_visible()


# -- rows that are added ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "where", "place"), [("", "", 30), ("by_big", "", 1), ("by_big", "id > 20", 1), ("", "id < 3", None)])
def test_a_new_row_is_gone_to_where_it_stands(seen: Shown, order: str, where: str, place: int | None) -> None:
    if order:
        seen.order(order)
    if where:
        seen.condition.fill(where)
        seen.condition.press("Enter")
        expect(seen.total).to_have_text(re.compile("of (3|9)$"))
    seen.button("Add row").click()
    seen.sheet.get_by_label("id", exact=True).fill("1000")
    seen.sheet.get_by_label("big", exact=True).fill("9007199254741022")
    seen.sheet.get_by_role("button", name="Add row").click()
    expect(seen.status).to_have_text("The row was added; it is pending")
    if place is None:
        expect(seen.total).to_have_text(" of 3")
        expect(seen.page.locator(".ag-row[row-index='0']")).not_to_have_count(0)
        expect(seen.page.locator(".shimmer")).to_have_count(0)
    else:
        seen.shows(place, id="1000")
        expect(seen.page.get_by_label("Go to row")).to_have_value(str(place + 1))


def test_selected_rows_are_copied_in_the_order_in_which_they_stand(seen: Shown) -> None:
    seen.into("id")
    seen.choose(5, 2, 9)
    copied = seen.page.locator(".grid").evaluate(
        """(grid) => {
          const data = new DataTransfer();
          grid.querySelector(".ag-row").dispatchEvent(new ClipboardEvent("copy", { clipboardData: data, bubbles: true, composed: true }));
          return data.getData("text/plain");
        }"""
    )
    assert copied == "id\n2\n5\n9"


# -- what does not come ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def timed(browser: Browser, db: Any) -> Iterator[Shown]:
    """A page whose clock is moved by the test."""
    with shown(browser, db, viewport={"width": 2600, "height": 700}) as seen:
        seen.page.clock.install()
        seen.open(height=400)
        seen.store("things")
        seen.shows(0, id="0")
        yield seen
        seen.page.unroute_all(behavior="ignoreErrors")


def lose(seen: Shown, op: str) -> list[str]:
    """Lose the messages of an op from now on; returns those that are lost."""
    lost: list[str] = []

    def carry(route: Any) -> None:
        if f'"op":"{op}"' in (route.request.post_data or ""):
            lost.append(op)
            route.abort()
        else:
            route.continue_()

    seen.page.route("**/rpc", carry)
    return lost


def test_an_edit_that_was_lost_stays_in_its_cell(timed: Shown) -> None:
    lost = lose(timed, "edit")
    timed.edit(2, "big", "5")
    expect(editor(timed)).to_have_count(0)
    timed.page.clock.fast_forward(61_000)
    expect(timed.page.locator(".editor .refusal")).to_have_text("the kernel did not answer within a minute")
    expect(editor(timed)).to_have_value("5")
    assert lost == ["edit"]
    timed.page.unroute_all()
    editor(timed).press("Enter")
    timed.shows(2, big="5")
    timed.complaints.clear()  # the browser tells the console of lost requests


def test_rows_that_were_lost_are_told_and_asked_for_again(browser: Browser) -> None:
    with many() as db, shown(browser, db["flights"]) as seen:
        seen.page.clock.install()
        seen.open()
        lost = lose(seen, "page")
        seen.page.get_by_label("Go to row").fill("150001")
        seen.press("Enter")
        for n in (1, 2):
            seen.page.wait_for_function("(n) => window.lost.length >= n", arg=n)
            seen.page.clock.fast_forward(61_000)
        expect(seen.status).to_have_text("the kernel did not answer within a minute")
        assert lost
        seen.page.unroute_all()
        seen.cell(150_001, "#place").click()
        seen.shows(150_000, number="0")
        expect(seen.page.locator(".shimmer")).to_have_count(0)
        seen.complaints.clear()


def test_a_kernel_that_cannot_be_reached_is_told_and_what_was_typed_stays(seen: Shown) -> None:
    seen.page.evaluate("() => { window.model.send = () => { throw new Error('Kernel is dead'); }; }")
    seen.edit(2, "big", "5")
    expect(seen.page.locator(".lost")).to_contain_text("The kernel that this belongs to is gone")
    expect(editor(seen)).to_have_value("5")
    expect(seen.page.locator(".sopnb.busy")).to_have_count(0)


# -- the large editor -----------------------------------------------------------------------------------------------------------------


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


# -- the sheet of pasted rows, and the import -------------------------------------------------------------------------------------------


def test_pasted_cells_are_what_the_preview_shows(seen: Shown) -> None:
    seen.button("Paste").click()
    seen.sheet.get_by_label("Rows, tab separated").fill('id\tnote\n900\t"a" b\n\n901\t"c\n902\td')
    shown = seen.sheet.locator("tbody td").all_inner_texts()
    assert shown == ["900", '"a" b', "901", '"c', "902", "d"]
    seen.sheet.get_by_role("button", name="Paste 3 rows").click()
    expect(seen.sheet.locator(".report")).to_have_text("3 rows taken")
    notes = [new for _, _, name, new in cells(seen) if name == "note"]
    assert notes == ['"a" b', '"c', "d"]


def test_a_type_that_is_looked_at_is_kept_when_something_else_is_chosen(browser: Browser, db: Any) -> None:
    with panel(browser, db, "import") as seen:
        seen.page.get_by_text("or paste rows from a spreadsheet").click()
        seen.page.get_by_label("Rows of a spreadsheet").fill("tailnum\tseats\nN1\t55\nN3\t182\n")
        seen.button("Look at the rows").click()
        seats = seen.page.get_by_label("Type of seats")
        expect(seats).to_be_visible()
        with seen.served.held("import.preview"):
            seats.select_option("string")
            seen.page.get_by_label("Name of the store").fill("planes")
        seen.page.wait_for_function("JSON.stringify(window.model.get('types')) === JSON.stringify({ seats: 'string' })")
        expect(seats).to_have_value("string")
        expect(seen.page.get_by_label("Name of the store")).to_be_focused()
