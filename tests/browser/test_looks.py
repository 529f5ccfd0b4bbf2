"""What makes it pleasant: numbers stand under each other, nothing flashes or is squeezed, and what failed says what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

import sopnb
from tests.browser.support import QUIET, kinds, shown

# where the digit before the point ends, in pixels
POINT = """cell => {
  const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
  const at = text.data.search(/[.]|$/);
  const range = document.createRange();
  range.setStart(text, at - 1);
  range.setEnd(text, at);
  return range.getBoundingClientRect().right;
}"""
# whether a row was ever shown as awaited, even if it was for less than a frame
WATCH = """() => {
  const root = document.querySelector("#place > div").shadowRoot;
  window.flashed = false;
  const seen = new MutationObserver(() => { window.flashed ||= root.querySelector(".shimmer") !== null; });
  seen.observe(root, { childList: true, subtree: true });
}"""
# what the grid does after `blockLoadDebounceMillis` is kept in `held`
HOLD = """() => {
  const wait = window.setTimeout;
  window.held = [];
  window.setTimeout = (act, delay, ...more) => (delay === 40 ? (window.held.push(act), 0) : wait(act, delay, ...more));
}"""


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        frame = pd.DataFrame(
            {"k": range(6), "value": [0.5, 3.0, -12.125, 1e300, -0.0, 1 / 3], "took": pd.to_timedelta([1, 1.5, 2, 3, 4, 0.25], unit="s")}
        )
        db.load("numbers", frame, index="k").create_index("by_value", "-value")
        yield db


def test_the_points_of_a_column_stand_under_each_other(browser: Browser, db: Any) -> None:
    with shown(browser, db) as seen:
        seen.open()
        seen.shows(4, value="-0", took="4 s")
        for column, rows in {"value": (0, 1, 2, 4), "took": (0, 1, 5)}.items():
            points = {round(seen.cell(row, column).evaluate(POINT), 1) for row in rows}
            assert len(points) == 1, (column, points)
        inside = (
            seen.cell(5, "value").locator("span").first.evaluate("it => it.getBoundingClientRect().width <= it.parentElement.clientWidth")
        )
        assert inside


@pytest.mark.parametrize("act", ["order", "store"])
def test_rows_that_came_with_the_answer_are_shown_at_once(browser: Browser, db: Any, act: str) -> None:
    db.load("others", pd.DataFrame({"k": range(500), "v": range(500)}), index="k")
    with shown(browser, db) as seen:
        seen.open()
        seen.page.evaluate(WATCH)
        if act == "order":
            seen.order("by_value")
            seen.shows(0, k="3")
        else:
            seen.store("others")
            seen.shows(0, v="0")
            expect(seen.total).to_have_text(" of 500")
        assert seen.page.evaluate("window.flashed") is False


def test_a_row_that_came_with_the_answer_is_edited_while_the_grid_still_asks_for_it(browser: Browser, db: Any) -> None:
    with shown(browser, db) as seen:
        seen.open()
        seen.shows(1, value="3")
        seen.page.evaluate(HOLD)
        seen.button("Reverse the order").click()
        seen.shows(0, k="5")
        field = seen.begin(1, "took")
        field.fill("7")
        assert seen.page.evaluate("window.held.splice(0).map((act) => act()).length") > 0
        seen.page.evaluate("() => new Promise((done) => setTimeout(done))")
        expect(field).to_be_focused()
        field.press("Enter")
        seen.shows(1, took="7 s", k="4")
        expect(seen.cell(1, "took")).to_have_class(re.compile("is-edited"))


def test_a_list_longer_than_its_sheet_squeezes_nothing(browser: Browser) -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("wide", pd.DataFrame({f"c{n:02d}": [n] for n in range(60)}), index="c00")
        with shown(browser, db) as seen:
            seen.open()
            seen.button("Columns").click()
            find = seen.sheet.get_by_label("Find a column")
            assert (find.bounding_box() or {})["height"] == (seen.condition.bounding_box() or {})["height"]
            find.fill("C0")
            expect(seen.sheet.get_by_role("checkbox")).to_have_count(10)
            find.fill("nowhere")
            expect(seen.sheet.get_by_text("No column has such a name")).to_be_visible()


def test_pending_values_read_as_those_of_the_grid(browser: Browser) -> None:
    with kinds() as db, shown(browser, db["things"]) as seen:
        seen.open()
        page = seen.view.handle({"id": 1, "op": "page", "args": {"query": {"store": "things"}, "start": 5, "size": 1}})["ok"]
        (row,) = page["rows"]
        for column, value in {"raw": "AAEC", "at": "2024-02-02T10:00:00", "note": "null"}.items():
            args = {"store": "things", "key": row["key"], "seq": row["seq"], "column": column, "value": value}
            assert "ok" in seen.view.handle({"id": 2, "op": "edit", "args": args})
        seen.edit(6, "big", "1")
        seen.button("2 changes").click()
        values = seen.sheet.locator(".change").first.locator(".value")
        expect(values).to_have_text(
            ["2024-01-01 00:00:05.123456 -05:00", "2024-02-02 10:00:00 -05:00", "00 01 02 03 04", "00 01 02", "empty", "null"]
        )
        assert values.evaluate_all("all => all.map((one) => one.classList.contains('null'))") == [False] * 4 + [True, False]


def test_what_cannot_be_opened_is_tried_again(browser: Browser, db: Any) -> None:
    with shown(browser, db) as seen:
        answer, broken = seen.served.handle, True

        def handle(message: dict[str, Any]) -> dict[str, Any]:
            if broken and message["op"] == "open":
                return {"id": message["id"], "error": {"code": "internal", "message": "the disk does not answer"}}
            return answer(message)

        seen.served.handle = handle  # type: ignore[method-assign]
        seen.open()
        expect(seen.page.locator(".blank")).to_contain_text("the disk does not answer")
        expect(seen.button("Add row")).to_have_count(0)
        broken = False
        seen.button("Try again").click()
        seen.shows(0, k="0")
        expect(seen.button("Add row")).to_be_visible()


def test_colours_of_the_system_leave_what_tints_say(browser: Browser, db: Any) -> None:
    background = "it => getComputedStyle(it).backgroundColor"
    with shown(browser, db, forced_colors="active") as seen:
        seen.open()
        seen.choose(1)
        expect(seen.page.locator(".ag-row[row-index='1']")).to_have_class(re.compile("ag-row-selected"))
        assert seen.cell(1, "value").evaluate(background) != seen.cell(2, "value").evaluate(background)
        tree = seen.page.locator(".tree .item")
        assert tree.nth(0).evaluate(background) != tree.nth(1).evaluate(background)
        seen.edit(2, "value", "1")
        expect(seen.cell(2, "value")).to_have_css("border-bottom-width", "2px")
        seen.condition.focus()
        expect(seen.condition).not_to_have_css("outline-style", "none")
