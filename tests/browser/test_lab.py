"""Looking at the real flights in a real JupyterLab, beside another process that writes to them, and the notebook around."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Locator, expect

import sopnb
from tests.browser.flights import key, said
from tests.browser.lab import Lab, Notebook


@pytest.fixture(scope="module")
def ours(flights: sopnb.Database) -> sopnb.Database:
    """The database as this process has it: for the kernel, this is another process."""
    return flights


@pytest.fixture(scope="module")
def opened(beside: Notebook) -> Notebook:
    """The notebook, which other modules show their widgets in too."""
    beside.page.set_viewport_size({"width": 1500, "height": 1000})
    return beside


# -- the tree, rows by position and by key ------------------------------------------------------------------------------------


def test_the_first_rows_take_one_request(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.shows(0, **said(ours["flights"][:].row(0)))
    grid.counts(len(ours["flights"]))
    (page,) = notebook.asked("page")
    assert page["start"] == 0


def test_the_tree_tells_count_size_index_and_last_commit(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show("db")
    told = ours["flights"].info()
    flights = grid.item("flights")
    expect(flights).to_have_attribute("aria-label", f"flights, {told['rows']:,} rows, index time_hour, carrier, flight, origin")
    expect(flights.locator(".facts").first).to_contain_text(f"commit {told['last_commit']}")
    size = flights.locator(".facts span").first.inner_text()
    assert re.fullmatch(r"\d+(\.\d)? MB", size)
    assert float(size.split()[0]) == pytest.approx(told["bytes"] / 1e6, rel=0.05)
    expect(flights.locator(".keyed")).to_have_text("time_hour, carrier, flight, origin")
    expect(grid.item("by_dest")).to_contain_text("dest, -dep_delay")
    expect(grid.item("notes").locator(".count")).to_have_text("40")


def test_a_store_and_an_index_are_chosen_in_the_tree_and_the_trait_follows_and_leads(notebook: Notebook, ours: Any) -> None:
    grid = notebook.show("db")
    grid.item("notes").click()
    grid.shows(0, id="0", big="9007199254740993")
    notebook.kernel.becomes("browser.store", "notes")
    notebook.kernel.do("browser.store = 'flights'")
    grid.counts(len(ours["flights"]))
    grid.item("by_route").click()
    grid.shows(0, **said(ours["flights"].by("by_route").row(0)))
    expect(grid.root.get_by_label("Order of the rows")).to_have_value("by_route")


@pytest.mark.parametrize("part", [0.25, 0.5, 1.0])
def test_the_scroll_bar_is_true_to_positions(notebook: Notebook, ours: sopnb.Database, part: float) -> None:
    grid = notebook.show()
    viewport = grid.root.locator(".ag-body-vertical-scroll-viewport, .ag-body-viewport").first
    viewport.evaluate("(all, part) => { all.scrollTop = part * (all.scrollHeight - all.clientHeight) }", part)
    position = int(part * (len(ours["flights"]) - 1))
    expect(grid.cell(position, "flight")).to_be_in_viewport()
    grid.shows(position, **said(ours["flights"][:].row(position)))
    assert len(notebook.asked("page")) < 10


def test_a_row_is_gone_to_by_its_number_and_by_steps(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    flights, last = ours["flights"][:], len(ours["flights"]) - 1
    place = grid.root.get_by_label("Go to row")
    grid.go_to(300_001)
    grid.shows(300_000, **said(flights.row(300_000)))
    for name, row in [("Last row", last), ("Previous row", last - 1), ("First row", 0), ("Next row", 1)]:
        grid.button(name).click()
        expect(place).to_have_value(f"{row + 1:,}")
        grid.shows(row, **said(flights.row(row)))


def test_a_key_is_gone_to_and_it_says_whether_it_is_there(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    for moment, carrier, found in [("2013-07-04T12:00:00+00:00", "B6", True), ("2013-07-04T12:00:00+00:00", "BB", False)]:
        position = ours["flights"].range(stop=(moment, carrier)).count()
        grid.box("time_hour").fill(moment)
        grid.box("carrier").fill(carrier)
        grid.button("Go to key").click()
        at = f"{position + 1:,}"
        grid.says(f"Found at row {at}" if found else f"Not found; row {at} is the nearest after it")
        grid.shows(position, **said(ours["flights"][:].row(position)))


# -- orders and searches ------------------------------------------------------------------------------------------------------


def test_rows_come_in_the_order_of_any_index_either_way(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    flights = ours["flights"]
    for name in flights.indexes():
        grid.order(name)
        grid.shows(0, **said(flights.by(name).row(0)))
        grid.button("Reverse the order").click()
        grid.shows(0, **said(flights.by(name).reverse().row(0)))
        grid.button("Reverse the order").click()
        grid.shows(0, **said(flights.by(name).row(0)))
    grid.order("")
    grid.button("Reverse the order").click()
    grid.shows(0, **said(flights.reverse().row(0)))


def test_a_header_orders_by_the_index_that_it_leads(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.header("dest").locator(".head").click()
    grid.shows(0, **said(ours["flights"].by("by_dest").row(0)))
    expect(grid.header("dest")).to_have_attribute("aria-sort", "ascending")
    grid.header("dest").locator(".head").click()
    grid.shows(0, **said(ours["flights"].by("by_dest").reverse().row(0)))
    expect(grid.header("dest")).to_have_attribute("aria-sort", "descending")


def test_boxes_for_each_field_of_the_order_take_values_and_beginnings_and_say_its_direction(
    notebook: Notebook, ours: sopnb.Database
) -> None:
    grid = notebook.show()
    grid.order("by_dest")
    expect(grid.box("dest")).to_have_attribute("aria-label", "dest, ascending, field 1 of the order")
    expect(grid.box("dep_delay")).to_have_attribute("aria-label", "dep_delay, descending, field 2 of the order")
    grid.box("dest").fill("S*")
    grid.box("dest").press("Enter")
    flights = ours["flights"]
    grid.counts(flights.where("dest.startsWith('S')").count())
    grid.box("dest").fill("SFO")
    grid.box("dest").press("Enter")
    grid.counts(flights.where("dest == 'SFO'").count())
    grid.box("dep_delay").fill("10")
    grid.button("Search").click()
    grid.counts(flights.where("dest == 'SFO' && dep_delay == 10.0").count())
    grid.button("Reverse the order").click()
    expect(grid.box("dep_delay")).to_have_attribute("aria-label", "dep_delay, ascending, field 2 of the order")
    grid.button("Clear").click()
    grid.counts(len(flights))


def test_the_fields_of_an_expression_are_searched_too(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.order("by_route")
    box = grid.root.get_by_label(re.compile("^cel: origin .*, ascending, field 1 of the order$"))
    box.fill("JFK-S*")
    box.press("Enter")
    grid.counts(ours["flights"].where("origin == 'JFK' && dest.startsWith('S')").count())


def test_a_condition_counts_exactly_or_up_to_a_cap_until_all_are_asked_for(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.condition.fill("dep_delay > 300.0 && carrier == 'UA'")
    grid.condition.press("Enter")
    grid.counts(ours["flights"].where("dep_delay > 300.0 && carrier == 'UA'").count())
    grid.condition.fill("late && dest != 'SFO'")
    grid.condition.press("Enter")
    grid.counts("10,000+")
    grid.button("Count all").click()
    grid.counts(ours["flights"].where("late && dest != 'SFO'").count())
    grid.condition.fill("dep_delay > ")
    grid.condition.press("Enter")
    expect(grid.root.get_by_role("alert").filter(has_text="dep_delay >")).to_contain_text("line 1, column")
    expect(grid.condition).to_have_attribute("aria-invalid", "true")


# -- columns, copies, exports -------------------------------------------------------------------------------------------------


def test_columns_are_chosen(notebook: Notebook) -> None:
    grid = notebook.show()
    grid.button("Columns").click()
    sheet = grid.sheet("Columns")
    sheet.get_by_label("Find a column").fill("d")
    sheet.get_by_role("checkbox", name=re.compile("^dest")).uncheck()
    expect(grid.header("dest")).to_have_count(0)
    sheet.get_by_role("button", name="Key only").click()
    expect(grid.header("dep_delay")).to_have_count(0)
    expect(grid.button("Columns 4 of 15")).to_be_visible()
    sheet.get_by_role("button", name="All").click()
    expect(grid.header("dest")).to_be_visible()
    sheet.get_by_role("button", name="Done").click()
    expect(grid.button("Columns")).to_be_focused()


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_column_is_resized_and_stays_so_when_rows_are_fetched_anew(notebook: Notebook, ours: sopnb.Database, by: str) -> None:
    grid = notebook.show()
    before = _width(grid.header("carrier"))
    if by == "mouse":
        edge = grid.header("carrier").locator(".ag-header-cell-resize")
        box = edge.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        notebook.page.mouse.move(x, y)
        notebook.page.mouse.down()
        notebook.page.mouse.move(x + 40, y, steps=4)
        notebook.page.mouse.up()
    else:
        grid.cell(0, "carrier").click()
        notebook.page.keyboard.press("ArrowUp")
        expect(grid.header("carrier")).to_be_focused()
        notebook.page.keyboard.press("Alt+ArrowRight")
    expect(grid.header("carrier")).not_to_have_css("width", f"{before}px")
    expect(grid.header("carrier")).not_to_have_class(re.compile("resizing"))
    wide = _width(grid.header("carrier"))
    assert wide > before
    row = ours["flights"][:].row(0)
    ours["flights"].update(key(row), {"tailnum": f"N-{by}"})
    grid.shows(0, tailnum=f"N-{by}")
    assert _width(grid.header("carrier")) == wide


def _width(head: Locator) -> float:
    box = head.bounding_box()
    assert box is not None
    return box["width"]


def test_selected_rows_are_keys_in_the_kernel_and_text_on_the_clipboard(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show("db['flights'].select('flight', 'dest', 'clock'), edit=True")
    first, second = (ours["flights"][:].row(n) for n in (1, 2))
    grid.choose(1, 2)
    grid.button("Copy").click()
    grid.says("2 rows copied")
    notebook.kernel.becomes(
        "[[str(part) for part in key] for key in browser.selected]", [[str(part) for part in key(row)] for row in (first, second)]
    )
    lines = [_line(row) for row in (first, second)]
    assert _clipboard(notebook).split("\n") == ["flight\tdest\tclock", *lines]
    grid.choose(1, 2, on=False)
    notebook.kernel.becomes("browser.selected", [])
    grid.cell(2, "dest").click()
    notebook.page.keyboard.press("Control+c")
    grid.says("The value was copied")
    assert _clipboard(notebook) == second["dest"]


def _line(row: Any) -> str:
    clock = ",".join(f'""{name}"":{value}' for name, value in row["clock"].items())
    return f'{row["flight"]}\t{row["dest"]}\t"{{{clock}}}"'


def _clipboard(notebook: Notebook) -> str:
    text: str = notebook.page.evaluate("navigator.clipboard.readText()")
    return text


@pytest.mark.parametrize("to", ["variable", "csv", "parquet"])
def test_what_is_shown_is_exported(notebook: Notebook, ours: sopnb.Database, to: str) -> None:
    grid = notebook.show()
    grid.order("by_dest")
    grid.condition.fill("dest == 'SFO' && dep_delay > 300.0")
    grid.condition.press("Enter")
    late = [row["dep_delay"] for row in ours["flights"].by("by_dest").where("dest == 'SFO' && dep_delay > 300.0").records()]
    grid.counts(len(late))
    grid.button("Columns").click()
    grid.sheet("Columns").get_by_role("checkbox", name=re.compile("^clock")).uncheck()  # which no CSV can hold
    expect(grid.button("Columns 14 of 15")).to_be_visible()
    grid.button("Export").click()
    sheet = grid.sheet("Export what is shown")
    sheet.get_by_label("Export to").select_option(to)
    name = {"variable": "late", "csv": "late.csv", "parquet": "late.parquet"}[to]
    sheet.get_by_label(re.compile("^(Name of the variable|File name)")).fill(name)
    sheet.get_by_role("button", name="Export", exact=True).click()
    expect(sheet.get_by_role("status")).to_have_text(f"{len(late)} rows in {name}")
    read = {"variable": "late", "csv": "__import__('pandas').read_csv('late.csv')"}.get(
        to, "__import__('pandas').read_parquet('late.parquet')"
    )
    assert notebook.kernel.value(f"{read}['dep_delay'].tolist()") == late
    assert notebook.kernel.value(f"'clock' in {read}.columns") is False


# -- what others do, and the notebook around ----------------------------------------------------------------------------------


def test_commits_of_another_process_are_shown_and_the_place_is_kept(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.go_to(200_001)
    there = said(ours["flights"][:].row(200_000))
    grid.shows(200_000, **there)
    first = ours["flights"][:].row(0)
    early = [{**first, "time_hour": first["time_hour"] - pd.Timedelta(hours=n)} for n in (1, 2)]
    ours["flights"].insert(early)
    try:
        grid.says(f"Commit {ours.seq} changed flights")
        grid.counts(len(ours["flights"]))
        grid.shows(200_002, **there)
        expect(grid.cell(200_002, "time_hour")).to_be_visible()
        expect(grid.root.get_by_label("Go to row")).to_have_value("200,003")
    finally:
        ours["flights"].delete([key(row) for row in early])


def test_typing_in_the_grid_does_nothing_to_the_cells_of_the_notebook(notebook: Notebook) -> None:
    grid = notebook.show("db['flights']")
    before = notebook.cells.count()
    for keys in ("dd", "aa", "bb", "xx", "00"):
        grid.cell(2, "dest").click()
        notebook.page.keyboard.type(keys)
    expect(notebook.cells).to_have_count(before)
    grid.condition.click()
    notebook.page.keyboard.type("ddaabb")
    expect(grid.condition).to_have_value("ddaabb")
    expect(notebook.cells).to_have_count(before)


def test_a_kernel_that_is_busy_is_shown(notebook: Notebook, served: Lab, ours: sopnb.Database) -> None:
    grid = notebook.show()
    with _busy(served):
        grid.button("Last row").click()
        expect(grid.root.locator(".shimmer").first).to_be_visible()
        grid.says("The kernel is busy…")
    last = len(ours["flights"]) - 1
    grid.shows(last, **said(ours["flights"][:].row(last)))
    grid.says("")


@contextmanager
def _busy(served: Lab) -> Iterator[None]:
    """Let the kernel answer nothing that the page asks."""
    lock = served.folder / "work" / "busy"
    lock.touch()
    served.kernel().do("""
import pathlib, time
def wait(self, message, handle=View.handle):
    while pathlib.Path("busy").exists():
        time.sleep(0.01)
    return handle(self, message)
View.handle = wait""")
    try:
        yield
    finally:
        lock.unlink()
        served.kernel().do("View.handle = wait.__defaults__[0]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_of_the_lab_is_followed_and_axe_finds_nothing_grave(notebook: Notebook, scheme: str) -> None:
    grid = notebook.show()
    with _theme(notebook, scheme):
        expect(grid.root).to_have_attribute("data-scheme", scheme)
        painted = grid.root.evaluate("(root) => getComputedStyle(root).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", painted)[:3])) < 3 * 128) == (scheme == "dark")
        grid.choose(1)
        grid.edit(0, "distance", "far")
        expect(grid.root.locator(".editor .refusal")).to_be_visible()
        assert grid.faults() == []
        notebook.page.keyboard.press("Escape")
        grid.button("Columns").click()
        expect(grid.sheet("Columns")).to_be_visible()
        assert grid.faults() == []


@contextmanager
def _theme(notebook: Notebook, scheme: str) -> Iterator[None]:
    """Choose a theme in the menu of the Lab, and the light one in the end."""

    def choose(name: str) -> None:
        page = notebook.page
        page.locator(".lm-MenuBar-item", has_text="Settings").click()
        for label in ("Theme", f"JupyterLab {name}"):
            page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{label}$")).click()
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "true" if name == "Light" else "false")

    if scheme == "dark":
        choose("Dark")
    try:
        yield
    finally:
        if scheme == "dark":
            choose("Light")


def test_a_page_that_is_loaded_again_shows_what_waits(notebook: Notebook) -> None:
    grid = notebook.show()
    grid.edit(4, "tailnum", "WAITS")
    expect(grid.button("1 change")).to_be_visible()
    notebook.save()
    notebook.open(anew=False)
    grid = notebook.grid()
    grid.shows(4, tailnum="WAITS")
    expect(grid.button("1 change")).to_be_visible()
    assert notebook.kernel.value("browser.pending") == 1


def test_of_two_pages_that_edit_a_row_the_second_is_told(notebook: Notebook, served: Lab, ours: sopnb.Database) -> None:
    there = ours["flights"][:].row(12).key
    grid = notebook.show()
    notebook.run(1)
    notebook.save()
    served.kernel().do("asked.clear()")
    second = served.notebook()
    theirs = second.grid(1)
    theirs.shows(12, **said(ours["flights"][there]))
    assert len(notebook.kernel.value("[each for each in asked if each == {'op': 'bundle'}]")) == 1  # for two widgets
    field = theirs.begin(12, "tailnum")
    grid.edit(12, "tailnum", "FIRST")
    expect(second.grid(0).button("1 change")).to_be_visible()  # the same widget, which both pages show
    second.grid(0).shows(12, tailnum="FIRST")
    grid.commit()
    field.fill("SECOND")
    field.press("Enter")
    dialog = theirs.sheet("Somebody else changed this row")
    expect(dialog).to_contain_text("yours SECOND")
    expect(dialog).to_contain_text("theirs FIRST")
    dialog.get_by_role("button", name="Keep theirs").click()
    theirs.shows(12, tailnum="FIRST")
    assert ours["flights"][there]["tailnum"] == "FIRST"
    assert second.errors == []
    second.page.close()
