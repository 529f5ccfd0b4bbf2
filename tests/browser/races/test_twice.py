"""What is asked for twice or during a commit is done once, and waits for its turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.races.support import cells, editor
from tests.browser.support import Shown

# -- twice --------------------------------------------------------------------------------------------------------------------


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


# -- while a commit is on its way ---------------------------------------------------------------------------------------------


@contextmanager
def committing(seen: Shown) -> Iterator[None]:
    """Commit an edit of record 2; its answer does not come before the end."""
    seen.edit(2, "big", "5")
    seen.shows(2, big="5")
    seen.button("Commit").click()
    with seen.served.answered_late("commit"):
        seen.sheet.get_by_role("button", name="Commit").click()
        yield


def written(seen: Shown, db: Any) -> None:
    """Wait until that commit is in the store."""
    while db["things"][2]["big"] != 5:
        seen.page.evaluate("new Promise(requestAnimationFrame)")


def only_the_edit_waits(seen: Shown) -> None:
    """Assert that what was edited meanwhile comes to wait, and nobody was asked anything."""
    seen.shows(2, note="later")
    expect(seen.button("1 change")).to_be_visible()
    expect(seen.dialog).to_have_count(0)
    assert cells(seen) == [("things", "2", "note", "later")]


def test_an_edit_during_ones_own_commit_asks_nothing(seen: Shown, db: Any) -> None:
    with committing(seen), seen.served.held("edit"):
        seen.edit(2, "note", "later")
        expect(editor(seen)).to_have_count(0)
        written(seen, db)
    expect(seen.sheet).to_have_count(0)
    only_the_edit_waits(seen)


def test_an_edit_that_is_answered_before_ones_own_commit_asks_nothing(seen: Shown, db: Any) -> None:
    with committing(seen):
        written(seen, db)
        with seen.page.expect_response(lambda answer: '"op":"edit"' in (answer.request.post_data or "")) as answered:
            seen.edit(2, "note", "later")
        assert answered.value.json()["error"]["code"] == "stale"
    only_the_edit_waits(seen)


def test_rows_pasted_during_a_commit_wait_for_the_next(seen: Shown, db: Any) -> None:
    with committing(seen):
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
