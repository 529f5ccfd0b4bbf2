"""The builder of indexes, the import and the history in a real JupyterLab: the page and the kernel agree on what was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Locator, expect

import sopnb
from tests.api_support import QUIET
from tests.browser.lab import Notebook

WEATHER = pd.DataFrame({"origin": ["EWR", "EWR", "JFK", "JFK"], "hour": [1, 2, 1, 2], "temp": [39.0, 38.5, 39.9, 39.9]})


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[sopnb.Database]:
    """The database as this process has it: for the kernel, this is another process."""
    with sopnb.open(folder, handle=QUIET) as db:
        db.load("weather", WEATHER, index=["origin", "hour"], message="begin")
        yield db
        assert db.check().ok


def _show(notebook: Notebook, made: str, label: str) -> Locator:
    """Show a widget in the first cell."""
    notebook.lab.do(f"make = lambda: {made}")
    notebook.run(0)
    panel = notebook.page.get_by_role("region", name=label, exact=True)
    expect(panel).to_be_visible()
    return panel


def test_the_builder_and_its_value_follow_each_other(notebook: Notebook, ours: sopnb.Database) -> None:
    panel = _show(notebook, "sopnb.IndexBuilder(db['weather'])", "Builder of indexes")
    verdict = panel.get_by_role("status", name="Uniqueness")
    panel.locator(".suggestion").first.click()
    expect(verdict).to_contain_text("Unique 4 rows")
    notebook.lab.becomes("str(browser.value)", "origin, hour")
    notebook.lab.do("browser.value = sopnb.IndexSpecification.of('-cel: temp + 1.0', unique=False)")
    expect(verdict).to_contain_text("Not unique 1 row has the key of another one")
    expect(panel.locator(".fields .name")).to_have_text("cel: temp + 1.0")
    panel.get_by_label("Name of the index").fill("warmest")
    panel.get_by_label("Name of the index").press("Tab")
    panel.get_by_role("button", name="Create index").click()
    expect(panel.locator(".statusbar .message")).to_contain_text("Index warmest (-cel: temp + 1.0) was created")
    assert list(ours["weather"].indexes()) == ["warmest"]


def test_the_import_and_its_traits_follow_each_other(notebook: Notebook, ours: sopnb.Database) -> None:
    notebook.lab.do("import pandas as pd\nplanes = pd.DataFrame({'tailnum': ['N1', 'N2', 'N3'], 'seats': [55, 100, 182]})")
    panel = _show(notebook, "sopnb.ImportWizard(db, planes)", "Import of data")
    panel.locator(".suggestion").first.click()
    notebook.lab.do("browser.name = 'planes'")
    expect(panel.get_by_label("Name of the store")).to_have_value("planes")
    panel.get_by_role("button", name="Load", exact=True).click()
    expect(panel.locator(".result")).to_have_text("planes: 3 inserted")
    assert notebook.lab.value("[browser.store, browser.rows, str(browser.value)]") == ["planes", 3, "tailnum"]
    assert len(ours["planes"]) == 3


def test_the_history_tells_of_commits_of_others_and_reverts(notebook: Notebook, ours: sopnb.Database) -> None:
    panel = _show(notebook, "sopnb.History(db['weather'])", "History")
    commits = panel.get_by_role("region", name="Commits")
    expect(commits).to_contain_text("begin")
    done = ours["weather"].update({"origin": "JFK", "hour": 2, "temp": 45.5}, message="a warmer hour")
    expect(commits.locator("tbody tr").first).to_contain_text("a warmer hour")
    notebook.lab.do(f"browser.between = [{done.seq - 1}, {done.seq}]")
    differs = panel.get_by_role("region", name="Rows that differ")
    expect(differs.locator("td.was")).to_have_text("39.9")
    expect(differs.locator("td.is")).to_have_text("45.5")
    panel.get_by_role("button", name=f"Revert commit {done.seq}").click()
    wanted = f"Commit {done.seq} was reverted by commit {ours.seq + 1}"
    panel.get_by_role("dialog").get_by_role("button", name="Revert", exact=True).click()
    expect(panel.locator(".statusbar .message")).to_have_text(wanted)
    assert ours["weather"][("JFK", 2)]["temp"] == 39.9
