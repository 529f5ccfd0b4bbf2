"""What the tests of the browser see and do: a page of Chromium with the browser of stores in it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
from playwright.sync_api import Browser, Locator, Page, expect

import sopnb
from sopnb.view import View
from tests.api_support import QUIET
from tests.browser.grid import Grid
from tests.browser.page import Served, served

MANY = 200_000


def many() -> Any:
    """A database with a store of many flights, ordered by day, carrier and number, and by destination."""
    db = sopnb.open(":memory:", handle=QUIET)
    n = np.arange(MANY)
    carriers, places = np.array(["AA", "B6", "UA", "US"]), np.array(["ATL", "BOS", "IAH", "LAX", "SEA"])
    frame = pd.DataFrame(
        {
            "day": pd.Timestamp("2013-01-01") + pd.to_timedelta(n // 2000, unit="D"),
            "carrier": carriers[n // 500 % 4],
            "number": n % 500,
            "dest": places[n * 7 % 5],
            "delay": (n * 31 % 240) - 60.0,
        }
    )
    store = db.load("flights", frame, index=["day", "carrier", "number"])
    store.create_index("by_dest", ["dest", "-delay"])
    return db


def kinds() -> Any:
    """A database with a store of every kind of value, and one without records."""
    db = sopnb.open(":memory:", handle=QUIET)
    n = 30
    at = dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)
    table = pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "big": pa.array([9007199254740993 + i for i in range(n)], pa.int64()),
            "price": pa.array([None if i % 7 == 3 else Decimal(i * 1013) / 100 for i in range(n)], pa.decimal128(12, 2)),
            "ok": pa.array([None if i % 5 == 4 else i % 2 == 0 for i in range(n)]),
            "day": pa.array([dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(n)]),
            "at": pa.array([at + dt.timedelta(seconds=i, microseconds=123456) for i in range(n)], pa.timestamp("us", "America/New_York")),
            "ratio": pa.array([float("nan") if i == 3 else i / 7 for i in range(n)]),
            "raw": pa.array([bytes(range(i % 20)) for i in range(n)]),
            "colour": pa.array([["red", "green", "blue"][i % 3] for i in range(n)]).dictionary_encode(),
            "note": pa.array(["x" * 3000 if i == 4 else "" if i == 5 else f"note {i}" for i in range(n)]),
            "tree": pa.array([{"name": f"n{i}", "deep": list(range(i % 5))} for i in range(n)]),
        }
    )
    db.load("things", table, index="id")
    db.create("nothing", schema={"author": "string", "text": "string"}, index="author")
    return db


class Shown(Grid):
    """The browser of stores on a page without a notebook."""

    def __init__(self, page: Page, served: Served, url: str) -> None:
        super().__init__(page, page)
        self.served, self.url = served, url
        self.outside: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(15_000)
        page.on("request", lambda request: self._requested(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None)

    def _requested(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.outside.append(url)

    @property
    def view(self) -> View:
        return self.served.view

    def open(self, **asked: Any) -> None:
        """Open the page and wait for the first rows, or for what is said in their place."""
        self.page.goto(self.url + "?" + "&".join(f"{name}={value}" for name, value in asked.items()))
        expect(self.page.locator("[row-index='0'] [col-id], .blank-title:not(:text('Opening'))").first).to_be_visible()

    def store(self, name: str) -> None:
        """Choose a store."""
        self.page.get_by_role("treeitem", name=re.compile(rf"^{name},")).click()
        expect(self.page.locator("h1.title")).to_have_text(name)

    @property
    def sheet(self) -> Locator:
        return self.page.locator(".sheet")

    @property
    def dialog(self) -> Locator:
        return self.page.locator("dialog[open]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def into(self, column: str) -> None:
        """Bring a column into view by its search in the chooser, which shows few columns."""
        self.button("Columns").click()
        self.sheet.get_by_role("button", name="Key only").click()
        self.sheet.get_by_role("checkbox", name=re.compile(rf"^{column}\b")).check()
        expect(self.page.locator(f".ag-header-cell[col-id='{column}']")).to_be_visible()
        self.button("Done").click()

    def pending(self) -> list[Any]:
        """The pending changes of the view."""
        changes: list[Any] = self.view.handle({"id": 1, "op": "pending", "args": {}})["ok"]["changes"]
        return changes


@contextmanager
def shown(browser: Browser, target: Any, *, edit: bool = True, **how: Any) -> Iterator[Shown]:
    """Show a database, a store or a selection; in the end nothing has left this machine, and the browser did not complain."""
    with served(target, edit=edit) as (view, url):
        context = browser.new_context(**{"viewport": {"width": 1240, "height": 640}, "reduced_motion": "reduce", **how})
        try:
            seen = Shown(context.new_page(), view, url)
            yield seen
            assert seen.outside == []
            assert seen.complaints == [], seen.complaints
        finally:
            context.close()


@contextmanager
def panel(browser: Browser, target: Any, kind: str, frame: Any = None, **traits: Any) -> Iterator[Shown]:
    """Show a widget of another kind than the browser of stores."""
    with shown(browser, target) as seen:
        if frame is not None:
            seen.view.frames["data"] = frame
        seen.page.goto(f"{seen.url}?traits={quote(json.dumps({'kind': kind, **traits}))}")
        yield seen


def column(table: Locator, name: str) -> list[str]:
    """The texts of one column of a table."""
    heads = table.locator("thead th .name").evaluate_all("all => all.map((one) => one.firstChild.textContent)")
    place = heads.index(name) + 1
    return [text.strip() for text in table.locator(f"tbody td:nth-of-type({place})").all_inner_texts()]


def trait(seen: Shown, name: str) -> Any:
    """What the page has set."""
    return seen.page.evaluate(f"window.model.get('{name}') ?? null")
