"""Two notebooks with a kernel each over one database, in a browser each; and one widget in several places of one page."""

from __future__ import annotations

import pandas as pd
import pytest
from playwright.sync_api import expect

import sopnb
from tests.browser.lab import Lab, Notebook, Output
from tests.browser.weather import WEATHERS


@pytest.fixture(scope="module")
def neighbour(opened: Notebook) -> Notebook:
    return opened.lab.notebook("other")


@pytest.mark.parametrize(("keep", "theirs"), [("Keep theirs", 1.25), ("Use mine", 1.75)])
def test_of_two_kernels_that_edit_a_row_the_second_is_told(
    notebook: Notebook, neighbour: Notebook, ours: sopnb.Database, keep: str, theirs: float
) -> None:
    first, second = notebook.show(WEATHERS), neighbour.show(WEATHERS)
    assert notebook.kernel.value("__import__('os').getpid()") != neighbour.kernel.value("__import__('os').getpid()")
    field = second.begin(1, "temp")
    first.edit(1, "temp", str(theirs))
    expect(first.button("1 change")).to_be_visible()
    first.commit()
    field.fill("2.25")
    field.press("Enter")
    dialog = second.sheet("Somebody else changed this row")
    expect(dialog).to_contain_text("yours 2.25")
    expect(dialog).to_contain_text(f"theirs {theirs}")
    assert ours["weather"]["EWR", 2]["temp"] == theirs
    dialog.get_by_role("button", name=keep).click()
    second.shows(1, temp="2.25" if keep == "Use mine" else str(theirs))
    assert ours["weather"]["EWR", 2]["temp"] == theirs  # whatever was chosen: nothing before Commit
    if keep == "Use mine":
        second.commit()
        first.shows(1, temp="2.25")
    assert neighbour.kernel.value("browser.pending") == 0
    assert ours["weather"]["EWR", 2]["temp"] == (2.25 if keep == "Use mine" else theirs)
    assert neighbour.errors == []


def test_of_two_kernels_whose_changes_wait_the_second_commits_after_deciding(
    notebook: Notebook, neighbour: Notebook, ours: sopnb.Database
) -> None:
    first, second = notebook.show(WEATHERS), neighbour.show(WEATHERS)
    first.edit(2, "temp", "3.25")
    expect(first.button("1 change")).to_be_visible()
    second.edit(2, "temp", "4.25")
    expect(second.button("1 change")).to_be_visible()
    second.edit(3, "temp", "5.25")
    expect(second.button("2 changes")).to_be_visible()
    first.commit()
    second.button("Commit").click()
    pending = second.sheet("Pending changes")
    expect(pending).to_contain_text("3.25")
    expect(pending).to_contain_text("4.25")
    expect(pending.get_by_role("button", name="Commit", exact=True)).to_be_disabled()
    assert [ours["weather"]["JFK", hour]["temp"] for hour in (1, 2)] == [3.25, 39.9]  # all of it or nothing
    pending.get_by_role("button", name="Keep mine").click()
    pending.get_by_role("button", name="Commit", exact=True).click()
    first.shows(2, temp="4.25")
    first.shows(3, temp="5.25")
    assert [ours["weather"]["JFK", hour]["temp"] for hour in (1, 2)] == [4.25, 5.25]


def test_it_stands_among_other_widgets_and_in_several_places(notebook: Notebook, ours: sopnb.Database) -> None:
    ours.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
    notebook.kernel.do("""
import ipywidgets, traitlets
happened = ipywidgets.Output()
chooser = ipywidgets.Dropdown(options=["planes", "weather"])
def make():
    global grid
    grid = sopnb.browse(db, edit=True)
    grid.observe(lambda change: happened.append_stdout(f"{change['name']} is {change['new']}\\n"), ["store", "pending"])
    traitlets.link((grid, "store"), (chooser, "value"))
    return ipywidgets.VBox([chooser, grid, happened])
""")
    notebook.run(0)
    cell = notebook.cells.first
    notebook.grid().shows(0, tailnum="N1")
    cell.locator("select:not([aria-label])").select_option("weather")
    notebook.grid().shows(0, origin="EWR")
    notebook.grid().root.get_by_role("treeitem", name="planes").first.click()
    notebook.grid().shows(0, tailnum="N1")
    notebook.kernel.becomes("chooser.value", "planes")
    expect(cell).to_contain_text("store is planes")

    notebook.kernel.do("make = lambda: grid")
    notebook.run(1)
    again = notebook.cells.nth(1).get_by_role("region", name="Browser of stores")
    notebook.cells.nth(1).locator(".jp-OutputArea-promptOverlay").click(button="right")
    notebook.page.locator(".lm-Menu-item", has_text="Create New View for").click()
    apart = notebook.page.locator(".jp-LinkedOutputView").get_by_role("region", name="Browser of stores")
    places = [notebook.grid(), Output(notebook.page, again), Output(notebook.page, apart)]
    for place in places:
        place.shows(0, tailnum="N1", seats="55")
    places[2].edit(0, "seats", "56")
    for place in places:
        place.shows(0, seats="56")
        expect(place.button("1 change")).to_be_visible()
    expect(cell).to_contain_text("pending is 1")
    places[1].commit()
    for place in places:
        expect(place.button("1 change")).to_have_count(0)
    assert ours["planes"]["N1"]["seats"] == 56


def test_a_widget_whose_kernel_restarts_says_so_and_nothing_is_half_written(notebook: Notebook, served: Lab, ours: sopnb.Database) -> None:
    grid = notebook.show(WEATHERS)
    before = ours.seq
    grid.edit(0, "temp", "6.25")
    expect(grid.button("1 change")).to_be_visible()
    grid.button("Commit").click()
    grid.sheet("Pending changes").get_by_label("Message of the commit").fill("never")
    notebook.restart()
    expect(grid.root.locator(".lost")).to_contain_text("What was committed is kept, changes that waited are not")
    expect(grid.root.locator(":scope > *:not(.lost):not([inert])")).to_have_count(0)
    assert ours.seq == before
    grid = notebook.show(WEATHERS)
    grid.shows(0, temp="39")
    expect(grid.root.locator(".lost")).to_have_count(0)
