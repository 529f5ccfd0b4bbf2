"""The widgets in a real Notebook 7, beside another process that writes: what is done on the page reaches the kernel, and the other way."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

import sopnb
from tests.browser.lab import NOTEBOOK_7, Interface, Lab, Notebook
from tests.browser.weather import WEATHERS


@pytest.fixture(scope="module")
def interface() -> Interface:
    return NOTEBOOK_7


def test_an_edit_is_committed_and_the_traits_follow(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show(WEATHERS)
    grid.shows(1, origin="EWR", hour="2", temp="38.5")
    grid.choose(1)
    notebook.kernel.becomes("browser.selected", [["EWR", 2]])
    grid.edit(1, "temp", "-1.5")
    expect(grid.button("1 change")).to_be_visible()
    assert notebook.kernel.value("browser.pending") == 1
    assert ours["weather"]["EWR", 2]["temp"] == 38.5
    grid.commit("it was colder")
    assert ours["weather"]["EWR", 2]["temp"] == -1.5
    assert notebook.kernel.value("[browser.pending, browser.seq]") == [0, ours.seq]


def test_keys_in_the_grid_do_nothing_to_the_cells(notebook: Notebook) -> None:
    grid = notebook.show(WEATHERS)
    before = [notebook.cells.count(), notebook.page.locator(".jp-Cell").count()]
    for keys in ("dd", "aa", "bb", "mm", "xx", "00"):  # of which some would change, delete or add cells, or ask about the kernel
        grid.cell(2, "origin").click()
        notebook.page.keyboard.type(keys)
        notebook.page.keyboard.press("Escape")
    expect(grid.button("Commit")).to_have_count(0)
    grid.condition.click()
    notebook.page.keyboard.type("ddaabbmm")
    expect(grid.condition).to_have_value("ddaabbmm")
    assert [notebook.cells.count(), notebook.page.locator(".jp-Cell").count()] == before
    expect(notebook.page.locator(".jp-Dialog")).to_have_count(0)


def test_it_is_light_and_dark_as_the_notebook(notebook: Notebook) -> None:
    region = notebook.show(WEATHERS).root
    expect(region).to_have_attribute("data-scheme", "light")
    for theme, scheme in {"JupyterLab Dark": "dark", "JupyterLab Light": "light"}.items():
        notebook.page.locator(".lm-MenuBar-item", has_text="Settings").click()
        notebook.page.locator(".lm-Menu-item", has_text="Theme").first.click()
        notebook.page.locator(".lm-Menu-item", has_text=theme).first.click()
        expect(region).to_have_attribute("data-scheme", scheme)


def test_the_builder_the_import_and_the_history(notebook: Notebook, ours: sopnb.Database) -> None:
    builder = notebook.panel("sopnb.IndexBuilder(db['weather'])", "Builder of indexes")
    builder.locator(".suggestion").first.click()
    expect(builder.get_by_role("status", name="Uniqueness")).to_contain_text("Unique 4 rows")
    notebook.kernel.becomes("str(browser.value)", "origin, hour")

    notebook.kernel.do("planes = __import__('pandas').DataFrame({'tailnum': ['N1', 'N3'], 'seats': [55, 182]})")
    wizard = notebook.panel("sopnb.ImportWizard(db, planes)", "Import of data")
    wizard.locator(".suggestion").first.click()
    notebook.kernel.do("browser.name = 'planes'")
    expect(wizard.get_by_label("Name of the store")).to_have_value("planes")
    wizard.get_by_role("button", name="Load", exact=True).click()
    expect(wizard.locator(".result")).to_have_text("planes: 2 inserted")
    assert notebook.kernel.value("[browser.store, browser.rows]") == ["planes", 2]
    assert len(ours["planes"]) == 2

    history = notebook.panel("sopnb.History(db)", "History")
    done = ours["planes"].update({"tailnum": "N1", "seats": 56}, message="one more seat")
    expect(history.get_by_role("region", name="Commits").locator("tbody tr").first).to_contain_text("one more seat")
    notebook.kernel.becomes("browser.seq", done.seq)
    history.get_by_role("radio", name="Compare from commit 1", exact=True).check()
    notebook.kernel.becomes("browser.between", [1, done.seq - 1])


def test_a_page_that_is_loaded_again_shows_what_waits_until_the_kernel_restarts(
    notebook: Notebook, served: Lab, ours: sopnb.Database
) -> None:
    grid = notebook.show(WEATHERS)
    before = ours["weather"]["JFK", 1]
    grid.edit(2, "temp", "1.5")
    expect(grid.button("1 change")).to_be_visible()
    notebook.save()
    notebook.open(anew=False)
    grid = notebook.grid()
    grid.shows(2, temp="1.5")
    expect(grid.button("1 change")).to_be_visible()
    notebook.restart()
    expect(grid.root.locator(".lost")).to_contain_text("What was committed is kept, changes that waited are not")
    assert ours["weather"]["JFK", 1] == before

    saved = json.loads((served.folder / "work" / "work.ipynb").read_text())
    saved["cells"][1]["source"] = "# as it was sent to somebody else"
    (served.folder / "work" / "sent.ipynb").write_text(json.dumps(saved))
    sent = served.notebook("sent")
    table = sent.cells.first.locator(".jp-RenderedHTML table")
    expect(table).to_contain_text("JFK")
    assert sent.errors == []
