"""Rows that are added, copied, pasted or imported, and answers that do not come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.races.support import cells, editor
from tests.browser.support import Shown, many, panel, shown

# -- rows that are added ------------------------------------------------------------------------------------------------------


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


# -- the sheet of pasted rows, and the import ---------------------------------------------------------------------------------


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


# -- what does not come -------------------------------------------------------------------------------------------------------


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
