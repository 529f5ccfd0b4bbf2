"""What happens while something else goes on: rows that come while a cell is edited, commits that are told before they are answered."""

from __future__ import annotations

import re
import threading
from typing import Any

from playwright.sync_api import expect

from tests.browser.races.support import editor
from tests.browser.support import Shown


class Held(threading.Event):
    """Keeps the answers to an op back from here on, until it is set."""

    def __init__(self, seen: Shown, op: str) -> None:
        super().__init__()
        self._asked = threading.Event()
        seen.served.holds[op] = self

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, as one who answers."""
        self._asked.set()
        return super().wait(timeout)

    def asked(self) -> None:
        """Assert that the page comes to ask."""
        assert self._asked.wait(30)


def test_no_other_row_comes_under_an_editor(seen: Shown, db: Any) -> None:
    pages = Held(seen, "page")
    seen.edit(1, "note", "one")
    pages.asked()  # for the rows after the edit; they are read when they are let go
    field = seen.begin(0, "note")
    field.fill("zero")
    db["things"].insert({"id": -5, "note": "early"})
    pages.set()
    expect(seen.status).to_have_text(re.compile("changed things$"))
    seen.shows(0, id="0")
    field.press("Enter")
    seen.shows(1, id="0", note="zero")
    assert sorted((change["key"], change["cells"][0]["new"]) for change in seen.pending()) == [("0", "zero"), ("1", "one")]


def test_a_double_click_is_taken_while_the_rows_are_fetched_anew(seen: Shown, db: Any) -> None:
    pages = Held(seen, "page")
    db["things"].update(2, {"note": "theirs"})
    pages.asked()
    box = seen.cell(2, "note").bounding_box()
    assert box is not None
    seen.cell(2, "note").click()
    seen.page.mouse.move(box["x"] + 20, box["y"] + 10)
    seen.page.mouse.down(click_count=2)
    pages.set()
    seen.shows(2, note="theirs")
    seen.page.mouse.up(click_count=2)
    expect(editor(seen)).to_have_value("theirs")


def test_what_was_said_is_there_again_after_the_kernel_was_busy(seen: Shown, db: Any) -> None:
    pages = Held(seen, "page")
    seen.edit(1, "note", "one")
    pages.asked()
    seen.button("Commit").click()
    seen.sheet.get_by_role("button", name="Commit").click()
    expect(seen.status).to_have_text("The kernel is busy…")
    pages.set()
    expect(seen.status).to_have_text(f"Committed as {db.seq}")


def test_a_commit_of_ones_own_that_is_told_before_it_is_answered_is_no_news(seen: Shown, db: Any) -> None:
    told, handle, changed = threading.Event(), seen.served.handle, seen.served.changed

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        done = handle(message)
        if message["op"] == "commit":
            assert told.wait(30)
        return done

    def tell(seq: int) -> dict[str, Any] | None:
        event = changed(seq)
        if event is not None:
            told.set()
        return event

    seen.served.handle, seen.served.changed = answer, tell  # type: ignore[method-assign]
    seq = db.seq + 1
    seen.edit(1, "note", "one")
    seen.button("Commit").click()
    seen.sheet.get_by_role("button", name="Commit").click()
    expect(seen.status).to_have_text(f"Committed as {seq}")
    db["nothing"].insert({"author": "a", "text": "told after it"})
    expect(seen.page.get_by_role("treeitem", name=re.compile("^nothing, 1 row"))).to_be_visible()
    expect(seen.status).to_have_text(f"Committed as {seq}")
