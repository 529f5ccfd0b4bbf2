"""The widgets in a real marimo: a cell that uses one runs again for what is done in it, and for commits that come."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import sopnb
from tests.browser.grid import Grid
from tests.browser.host import PATIENCE, ROOT, Host, errors_of, free_port, needs_bundle, serving

SETTINGS = '[runtime]\nauto_instantiate = true\n[display]\ntheme = "system"\n'
NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import threading

    import marimo as mo
    import pandas as pd
    import sopnb

    db = sopnb.open(%r, handle=sopnb.HandleSettings(progress=False, maintenance="off"))
    return db, mo, pd, sopnb, threading


@app.cell
def _(db, mo, sopnb):
    grid = mo.ui.anywidget(sopnb.browse(db["weather"], edit=True, height=300))
    grid
    return (grid,)


@app.cell
def _(db, grid, mo):
    mo.Html(f"<p id='browsed'>{grid.value['pending']} waits, {grid.selected}, {grid.seq == db.seq}, {db['weather']['EWR', 2]['temp']}</p>")


@app.cell
def _(db, mo, sopnb):
    builder = mo.ui.anywidget(sopnb.IndexBuilder(db["weather"], height=300))
    builder
    return (builder,)


@app.cell
def _(builder, db, mo):
    mo.Html(f"<p id='built'>{builder.widget.value}, {list(db['weather'].indexes())}</p>")


@app.cell
def _(db, mo, pd, sopnb):
    planes = pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]})
    wizard = mo.ui.anywidget(sopnb.ImportWizard(db, planes, height=300))
    wizard
    return (wizard,)


@app.cell
def _(db, mo, wizard):
    mo.Html(f"<p id='loaded'>{len(db[wizard.store]) if wizard.store else 'nothing'} of {wizard.value['rows']}</p>")


@app.cell
def _(db, mo, sopnb):
    history = mo.ui.anywidget(sopnb.History(db, height=300))
    history
    return (history,)


@app.cell
def _(history, mo):
    mo.Html(f"<p id='past'>{history.seq}: {history.between}</p>")


@app.cell
def _(db, sopnb):
    sopnb.browse(db.at(1), height=200)
"""


class Shown:
    """The notebook in a page."""

    def __init__(self, host: Host, page: Page) -> None:
        self.host, self.page = host, page
        self.errors = errors_of(page)
        page.goto(host.url)
        expect(self.said("past")).to_be_visible(timeout=10 * PATIENCE)  # marimo begins, and imports pandas

    def region(self, label: str) -> Locator:
        return self.page.get_by_role("region", name=label, exact=True)

    @property
    def grid(self) -> Grid:
        return Grid(self.page, self.region("Browser of stores").first)

    def said(self, cell: str) -> Locator:
        """What a cell says that uses a widget."""
        return self.page.locator(f"#{cell}")


@pytest.fixture(scope="module")
def host(browser: Browser, ours: sopnb.Database, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A marimo that finds nothing of this user's."""
    needs_bundle()
    home = tmp_path_factory.mktemp("marimo")
    (home / "config" / "marimo").mkdir(parents=True)
    (home / "config" / "marimo" / "marimo.toml").write_text(SETTINGS)
    (home / "work.py").write_text(NOTEBOOK % str(folder))
    places = {f"XDG_{name.upper()}_HOME": str(home / name) for name in ("config", "state", "cache", "data")}
    environment = {**os.environ, **places, "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    port = free_port()
    options = ["--headless", "--no-token", "--no-sandbox", "--skip-update-check", "--host=localhost", f"--port={port}"]
    with serving([sys.executable, "-m", "marimo", "edit", *options, "work.py"], "URL", environment, home) as lines:
        host = Host(f"http://localhost:{port}", lines, browser)
        try:
            yield host
        finally:
            host.close()


@pytest.fixture(scope="module")
def opened(host: Host) -> Shown:
    return Shown(host, host.page(viewport={"width": 1300, "height": 1000}, color_scheme="light"))


@pytest.fixture
def shown(opened: Shown) -> Iterator[Shown]:
    yield opened
    assert opened.host.outside == []
    assert opened.errors == []


def test_cells_follow_what_is_selected_edited_and_committed(shown: Shown, ours: sopnb.Database) -> None:
    grid, said = shown.grid, shown.said("browsed")
    grid.shows(1, origin="EWR", hour="2", temp="38.5")
    grid.choose(1)
    expect(said).to_have_text("0 waits, [('EWR', 2)], True, 38.5")
    grid.edit(1, "temp", "-1.5")
    expect(said).to_have_text("1 waits, [('EWR', 2)], True, 38.5")
    assert ours["weather"]["EWR", 2]["temp"] == 38.5
    grid.button("Commit").click()
    grid.root.get_by_role("dialog", name="Pending changes").get_by_role("button", name="Commit", exact=True).click()
    expect(said).to_have_text("0 waits, [('EWR', 2)], True, -1.5")
    assert ours["weather"]["EWR", 2]["temp"] == -1.5


def test_cells_follow_commits_of_others(shown: Shown, ours: sopnb.Database) -> None:
    done = ours["weather"].update({"origin": "EWR", "hour": 2, "temp": 7.25}, message="from elsewhere")
    shown.grid.shows(1, temp="7.25")
    expect(shown.said("browsed")).to_have_text(re.compile("^0 waits, .*, True, 7.25$"))
    expect(shown.said("past")).to_have_text(re.compile(f"^{done.seq}: "))
    expect(shown.region("History").get_by_role("region", name="Commits")).to_contain_text("from elsewhere")


def test_cells_follow_the_builder_the_import_and_the_history(shown: Shown, ours: sopnb.Database) -> None:
    builder = shown.region("Builder of indexes")
    builder.locator(".suggestion").first.click()
    expect(shown.said("built")).to_have_text("origin, hour, []")
    builder.get_by_label("Name of the index").fill("again")
    builder.get_by_label("Name of the index").press("Tab")
    builder.get_by_role("button", name="Create index").click()
    expect(shown.said("built")).to_have_text("origin, hour, ['again']")

    wizard = shown.region("Import of data")
    wizard.locator(".suggestion").first.click()
    wizard.get_by_label("Name of the store").fill("planes")
    wizard.get_by_label("Name of the store").press("Tab")
    wizard.get_by_role("button", name="Load", exact=True).click()
    expect(shown.said("loaded")).to_have_text("2 of 2")
    assert len(ours["planes"]) == 2

    shown.region("History").get_by_role("radio", name="Compare from commit 1", exact=True).check()
    expect(shown.said("past")).to_have_text(re.compile(rf"^{ours.seq}: \[1, \d+\]$"))


def test_keys_in_the_grid_do_nothing_to_the_cells(shown: Shown) -> None:
    grid = shown.grid
    cells = shown.page.locator("[data-cell-id]")
    before = cells.count()
    for keys in ("dd", "aa", "bb", "jj", "zz"):
        grid.cell(2, "origin").click()
        shown.page.keyboard.type(keys)
        shown.page.keyboard.press("Escape")
    grid.condition.click()
    shown.page.keyboard.type("ddaabb")
    shown.page.keyboard.press("Control+Shift+Backspace")  # deletes the cell where marimo hears it
    expect(grid.condition).to_be_focused()
    assert cells.count() == before
    grid.condition.fill("")


def test_it_is_light_and_dark_as_the_page(shown: Shown) -> None:
    for scheme in ("light", "dark", "light"):
        shown.page.emulate_media(color_scheme=scheme)
        for label in ("Browser of stores", "History"):
            expect(shown.region(label).first).to_have_attribute("data-scheme", scheme)


def test_a_page_that_is_loaded_again_shows_what_waits(shown: Shown) -> None:
    shown.grid.edit(3, "temp", "1.5")
    expect(shown.grid.button("1 change")).to_be_visible()
    shown.page.reload()
    shown.grid.shows(3, temp="1.5")
    expect(shown.grid.button("1 change")).to_be_visible()
    expect(shown.region("Browser of stores")).to_have_count(2)  # the other is plainly the last line of its cell
