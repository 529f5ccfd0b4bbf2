"""Looking at a store: rows by position, orders, searches, columns, and what is said where there is nothing to see."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from sopnb.view import View, passing
from tests.browser.support import MANY, Shown, kinds, many, shown


@pytest.fixture(scope="module")
def flights() -> Iterator[Any]:
    with many() as db:
        yield db


@pytest.fixture
def seen(browser: Browser, flights: Any) -> Iterator[Shown]:
    with shown(browser, flights, edit=False) as seen:
        seen.open()
        yield seen


def test_the_first_rows_take_one_request(seen: Shown) -> None:
    seen.shows(0, day="2013-01-01 00:00:00")
    seen.shows(0, carrier="AA")
    expect(seen.total).to_have_text(" of 200,000")
    assert [page["start"] for page in seen.served.asked("page")] == [0]


def test_columns_of_the_order_come_first_and_say_their_types(seen: Shown) -> None:
    heads = seen.page.locator(".ag-header-cell .head")
    expect(heads.nth(0)).to_contain_text(re.compile("day.*key.*timestamp"))
    expect(heads).to_contain_text(["day", "carrier", "number", "dest", "delay"])


def test_the_scroll_bar_is_true_to_positions(seen: Shown) -> None:
    seen.page.locator(".ag-body-viewport, .ag-grid-viewport").first.evaluate("it => it.scrollTop = it.scrollHeight / 2")
    middle = seen.page.locator(".ag-row [col-id='#place']").first
    expect(middle).to_have_text(re.compile(r"^(99,9|100,0)\d\d$"))
    expect(seen.page.locator(".shimmer")).to_have_count(0)
    place = int(middle.inner_text().replace(",", ""))
    row = seen.cell(place - 1, "number")
    expect(row).to_have_text(str((place - 1) % 500))


def test_first_last_next_and_previous(seen: Shown) -> None:
    seen.button("Last row").click()
    seen.shows(MANY - 1, number="499")
    expect(seen.page.get_by_label("Go to row")).to_have_value("200,000")
    seen.button("Previous row").click()
    expect(seen.page.get_by_label("Go to row")).to_have_value("199,999")
    seen.button("Next row").click()
    seen.button("First row").click()
    seen.shows(0, number="0")


def test_going_to_a_row(seen: Shown) -> None:
    seen.cell(0, "day").click()
    seen.press("Control+g")
    seen.page.keyboard.type("123,457")
    seen.press("Enter")
    seen.shows(123_456, number="456")
    expect(seen.cell(123_456, "day")).to_be_focused()


def test_going_beyond_the_last_row_goes_to_it_and_nonsense_is_told(seen: Shown) -> None:
    place = seen.page.get_by_label("Go to row")
    place.fill("a lot")
    place.press("Enter")
    expect(seen.status).to_have_text("Rows are numbered from 1 to 200,000")
    place.fill("999999999")
    place.press("Enter")
    seen.shows(MANY - 1, number="499")


def test_going_to_a_key_says_found_or_nearest(seen: Shown) -> None:
    seen.box("day").fill("2013-01-11")
    seen.box("carrier").fill("UA")
    seen.box("number").fill("7")
    seen.button("Go to key").click()
    expect(seen.status).to_have_text("Found at row 21,008")
    seen.shows(21_007, number="7")
    seen.box("carrier").fill("C")
    seen.box("number").fill("")
    seen.box("carrier").press("Shift+Enter")
    expect(seen.status).to_have_text("Not found; row 21,001 is the nearest after it")
    expect(seen.total).to_have_text(" of 200,000")


def test_a_search_of_leading_fields_shows_what_begins_with_them(seen: Shown) -> None:
    seen.box("day").fill("2013-01-11")
    seen.box("carrier").fill("U*")
    seen.box("carrier").press("Enter")
    expect(seen.total).to_have_text(" of 1,000")
    seen.shows(0, carrier="UA")
    seen.press("Escape")
    expect(seen.total).to_have_text(" of 200,000")
    expect(seen.box("day")).to_have_value("")


def test_a_search_that_leaves_a_field_out_is_told(seen: Shown) -> None:
    seen.box("carrier").fill("UA")
    seen.box("carrier").press("Enter")
    expect(seen.page.get_by_role("alert")).to_have_text("Fill day too: the order is searched from its first field on")
    expect(seen.box("day")).to_have_attribute("aria-invalid", "true")


def test_a_search_for_what_is_no_date_is_told(seen: Shown) -> None:
    seen.box("day").fill("sometime")
    seen.box("day").press("Enter")
    expect(seen.page.get_by_role("alert")).to_contain_text("sometime")
    expect(seen.box("day")).to_have_attribute("aria-invalid", "true")
    seen.shows(0, day="2013-01-01 00:00:00")


def test_a_condition_shows_what_passes_and_its_count_is_capped_until_asked_for(seen: Shown) -> None:
    seen.condition.fill("delay > 0.0 && dest == 'IAH'")
    seen.condition.press("Enter")
    expect(seen.total).to_have_text(" of 10,000+")
    seen.shows(0, dest="IAH")
    seen.button("Count all").click()
    expect(seen.total).to_have_text(re.compile(r" of 29,\d\d\d$"))


def test_a_search_goes_on_until_another_question_comes(seen: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    page = View._page

    def endless(view: View, args: Any) -> dict[str, Any]:
        told = page(view, args)
        return {**told, "rows": [], "searched": 0.34} if "never" in args.part("query").text("where") else told

    monkeypatch.setitem(seen.view._ops, "page", partial(endless, seen.view))
    seen.condition.fill("dest == 'never'")
    seen.condition.press("Enter")
    expect(seen.status).to_have_text("Searching… 34 %")
    seen.condition.fill("dest == 'IAH'")
    seen.condition.press("Enter")
    seen.shows(0, dest="IAH")
    expect(seen.status).to_have_text("")
    seen.button("Count all").click()
    expect(seen.total).not_to_contain_text("+")
    asked = len(seen.served.asked("page"))
    seen.button("Last row").click()
    expect(seen.page.locator(".shimmer")).to_have_count(0)
    assert all("never" not in page["query"]["where"] for page in seen.served.asked("page")[asked:])


def test_rows_that_are_found_bit_by_bit_are_shown_when_all_are_there(seen: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "PATIENCE", -1.0)
    seen.condition.fill("number == 499")
    seen.condition.press("Enter")
    seen.shows(0, number="499")
    assert len(seen.served.asked("page")) > 3
    seen.button("Count all").click()
    expect(seen.total).to_have_text(re.compile(r" of \d+$"))
    assert len(seen.served.asked("count")) > 3


def test_a_condition_that_is_wrong_is_told_with_its_place_and_the_rows_stay(seen: Shown) -> None:
    seen.condition.fill("delay > 0.0 & dest")
    seen.condition.press("Enter")
    expect(seen.page.get_by_role("alert")).to_contain_text("line 1, column")
    expect(seen.condition).to_have_attribute("aria-invalid", "true")
    seen.shows(0, day="2013-01-01 00:00:00")
    expect(seen.total).to_have_text(" of 200,000")


def test_a_search_without_results_says_so(seen: Shown) -> None:
    seen.condition.fill("delay > 1000.0")
    seen.condition.press("Enter")
    expect(seen.page.locator(".blank-title")).to_have_text("No rows fit the search")
    seen.button("Clear the search").click()
    seen.shows(0, carrier="AA")
    expect(seen.page.locator(".blank")).to_be_hidden()


def test_an_order_by_an_index_either_way(seen: Shown) -> None:
    seen.order("by_dest")
    seen.shows(0, dest="ATL")
    seen.shows(0, delay="175")
    expect(seen.page.locator(".ag-header-cell .label").first).to_have_text("dest")
    seen.button("Reverse the order").click()
    seen.shows(0, dest="SEA")
    seen.shows(0, delay="-58")
    expect(seen.box("dest")).to_have_attribute("aria-label", re.compile("^dest, descending"))


@pytest.mark.parametrize("how", ["many", "few", "order", "reverse"])
def test_what_is_sought_far_down_is_shown_from_its_top(seen: Shown, flights: Any, how: str) -> None:
    seen.page.get_by_label("Go to row").fill(f"{MANY}")
    seen.press("Enter")
    expect(seen.cell(MANY - 1, "number")).to_be_in_viewport()
    store = flights["flights"]
    if how == "order":
        seen.order("by_dest")
        found = store.by("by_dest")
    elif how == "reverse":
        seen.button("Reverse the order").click()
        found = store.reverse()
    else:
        condition = "delay > 0.0" if how == "many" else "number == 7"
        seen.condition.fill(condition)
        seen.condition.press("Enter")
        found = store.where(condition)
    expect(seen.cell(0, "number")).to_be_in_viewport()
    seen.shows(0, number=str(found.row(0)["number"]))


def test_a_header_orders_by_the_index_that_it_leads_and_other_headers_by_nothing(seen: Shown) -> None:
    seen.page.locator(".ag-header-cell[col-id='dest'] .head").click()
    seen.shows(0, dest="ATL")
    expect(seen.page.locator(".ag-header-cell[col-id='dest']")).to_have_attribute("aria-sort", "ascending")
    seen.page.locator(".ag-header-cell[col-id='dest'] .head").click()
    seen.shows(0, dest="SEA")
    asked = len(seen.served.asked("page"))
    seen.page.locator(".ag-header-cell[col-id='number'] .head").click()
    seen.shows(0, dest="SEA")
    assert len(seen.served.asked("page")) == asked


def test_an_index_of_the_tree_is_an_order(seen: Shown) -> None:
    seen.button("Stores").click()
    seen.page.get_by_role("treeitem", name=re.compile("^index by_dest")).click()
    seen.shows(0, dest="ATL")


def test_columns_are_chosen(seen: Shown) -> None:
    seen.button("Columns").click()
    seen.sheet.get_by_role("checkbox", name=re.compile("^dest")).uncheck()
    expect(seen.page.locator(".ag-header-cell[col-id='dest']")).to_have_count(0)
    expect(seen.button("Columns 4 of 5")).to_be_visible()
    assert seen.served.asked("page")[-1]["query"]["columns"] == ["day", "carrier", "number", "delay"]
    seen.press("Escape")
    expect(seen.sheet).to_have_count(0)
    expect(seen.button("Columns 4 of 5")).to_be_focused()


def test_a_store_that_may_not_be_changed_offers_no_changes(seen: Shown) -> None:
    expect(seen.button("Add row")).to_be_hidden()
    seen.cell(0, "delay").dblclick()
    expect(seen.page.locator(".editor")).to_have_count(0)


def test_every_kind_of_value_is_shown_exactly(browser: Browser) -> None:
    with kinds() as db, shown(browser, db, viewport={"width": 2600, "height": 640}) as seen:
        seen.open()
        seen.store("things")
        for column, text in {
            "big": "9007199254740996",
            "price": "null",
            "ok": "false",
            "day": "2024-01-04",
            "at": "2024-01-01 00:00:03.123456-05:00",
            "ratio": "NaN",
            "raw": "00 01 023 B",
            "colour": "red",
            "tree": '{"name":"n3","deep":[0,1,2]}',
        }.items():
            seen.shows(3, **{column: text})
        expect(seen.cell(4, "note")).to_contain_text("3,000 chars")
        seen.shows(5, note="empty")


def test_a_long_value_is_fetched_whole(browser: Browser) -> None:
    with kinds() as db, shown(browser, db["things"], edit=False) as seen:
        seen.open()
        seen.into("note")
        seen.cell(4, "note").dblclick()
        expect(seen.dialog.locator(".cm-content")).to_have_text("x" * 3000)
        expect(seen.button("Save")).to_have_count(0)


def test_a_store_without_records_and_a_database_without_stores_say_so(browser: Browser) -> None:
    with kinds() as db, shown(browser, db) as seen:
        seen.open()
        expect(seen.page.locator(".blank-title")).to_have_text("No rows yet")
        for name in ("First row", "Last row", "Next row"):
            expect(seen.button(name)).to_be_disabled()
        expect(seen.page.get_by_label("Go to row")).to_have_value("")
        seen.button("Add the first row").click()
        expect(seen.sheet).to_have_attribute("aria-label", "New row of nothing")
        seen.sheet.get_by_role("button", name="Cancel").click()
        expect(seen.page.locator(".ag-row")).to_have_count(0)
        seen.store("things")
        seen.shows(0, id="0")
    with many() as db:
        db.drop("flights")
        with shown(browser, db) as seen:
            seen.open()
            expect(seen.page.locator(".blank-title")).to_have_text("There are no stores yet")
            expect(seen.button("Add row")).to_have_count(0)


def test_rows_that_are_awaited_shimmer_and_a_busy_kernel_is_shown(seen: Shown) -> None:
    held = seen.served.holds["page"] = threading.Event()
    seen.button("Last row").click()
    expect(seen.page.locator(".shimmer").first).to_be_visible()
    expect(seen.status).to_have_text("The kernel is busy…")
    held.set()
    seen.shows(MANY - 1, number="499")
    expect(seen.status).to_have_text("")


def test_a_commit_of_others_is_shown_without_losing_the_place(browser: Browser) -> None:
    with many() as db, shown(browser, db) as seen:
        seen.open()
        place = seen.page.get_by_label("Go to row")
        place.fill("1001")
        place.press("Enter")
        seen.shows(1000, carrier="UA")
        top = seen.cell(1000, "day").bounding_box()
        early = pd.DataFrame({"day": [pd.Timestamp("2012-12-31")] * 3, "carrier": "AA", "number": [1, 2, 3], "dest": "IAH", "delay": 0.0})
        db["flights"].insert(early)
        expect(seen.status).to_have_text(re.compile("^Commit .* changed flights$"))
        expect(seen.total).to_have_text(" of 200,003")
        expect(seen.cell(1003, "day")).to_be_focused()
        seen.shows(1003, carrier="UA")
        seen.shows(1003, number="0")
        now = seen.cell(1003, "day").bounding_box()
        assert top is not None
        assert now is not None
        assert abs(now["y"] - top["y"]) < 30


def test_a_store_that_is_altered_by_others_is_shown_as_it_is_now(browser: Browser) -> None:
    with kinds() as db, shown(browser, db["things"]) as seen:
        seen.open()
        with db.unlock("it is not needed") as admin:
            admin.alter("things", drop=["big"])
        expect(seen.page.locator(".ag-header-cell[col-id='big']")).to_have_count(0)
        seen.shows(0, id="0")
