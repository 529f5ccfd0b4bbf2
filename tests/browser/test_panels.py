"""The builder of indexes, the import and the history in Chromium: each used once from its first step to its last."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

import sopnb
from tests.browser.support import QUIET, column, panel, trait

WEATHER = pd.DataFrame(
    {
        "origin": ["EWR", "EWR", "JFK", "JFK", "LGA", "LGA"],
        "hour": [1, 2, 1, 2, 1, 2],
        "temp": [39.0, 38.5, 39.9, 39.9, 39.9, 41.0],
    }
)
PLANES = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 100, 182]})


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("weather", WEATHER, index=["origin", "hour"], message="weather of a day")
        yield db
        assert db.check().ok


# -- the builder of indexes ---------------------------------------------------------------------------------------------------


def test_fields_are_chosen_turned_and_moved_and_the_sample_follows(browser: Browser, db: sopnb.Database) -> None:
    with panel(browser, db["weather"], "index") as seen:
        sample = seen.page.get_by_role("region", name="The first rows in this order")
        verdict = seen.page.get_by_role("status", name="Uniqueness")
        add = seen.page.get_by_label("Column to add")
        add.select_option("temp")
        expect(verdict).to_contain_text("Not unique 2 rows have the key of another one")
        expect(verdict.locator("code").first).to_have_text("39.9")
        assert column(sample, "temp") == ["38.5", "39", "39.9", "39.9", "39.9", "41"]
        add.select_option("origin")
        expect(verdict).to_contain_text("1 row has the key of another one")
        expect(verdict.locator("code")).to_have_text("39.9 · JFK")
        seen.button("origin is ascending; turn it").click()
        expect(sample.locator("tbody tr").nth(2).locator("td").nth(1)).to_have_text("LGA")
        assert column(sample, "origin") == ["EWR", "EWR", "LGA", "JFK", "JFK", "LGA"]
        seen.press("Alt+ArrowUp")
        expect(sample.locator("thead .name").first).to_contain_text("origin")
        expect(seen.button("origin is descending; turn it")).to_be_focused()
        expect(sample.locator("tbody tr").first.locator("td").first).to_have_text("LGA")
        assert [field["name"] for field in trait(seen, "specification")["fields"]] == ["origin", "temp"]
        seen.press("Delete")
        expect(sample.locator("thead .name").first).to_contain_text("temp")
        assert seen.faults() == []


def test_a_suggestion_is_taken_and_the_index_created(browser: Browser, db: sopnb.Database) -> None:
    with panel(browser, db["weather"], "index") as seen:
        first = seen.page.locator(".suggestion").first
        expect(first.locator(".reason")).not_to_be_empty()
        first.click()
        expect(first).to_be_focused()
        expect(first).to_have_attribute("aria-pressed", "true")
        expect(seen.page.get_by_role("status", name="Uniqueness")).to_contain_text("Unique 6 rows")
        expect(seen.button("Create index")).to_be_disabled()
        seen.page.get_by_label("Name of the index").fill("by_suggestion")
        seen.press("Enter")
        expect(seen.status).to_contain_text("Index by_suggestion (")
        made = db["weather"].indexes()["by_suggestion"]
        assert made.to_json()["fields"] == trait(seen, "specification")["fields"]


def test_an_expression_is_a_field_and_a_wrong_one_is_told(browser: Browser) -> None:
    with panel(browser, None, "index", frame=WEATHER, data={"frame": "data"}) as seen:
        expression = seen.page.get_by_label("Expression in CEL to add")
        expression.fill("origin +")
        expression.press("Enter")
        expect(expression).to_have_attribute("aria-invalid", "true")
        expect(seen.status).to_have_class(re.compile("bad"))
        expression.fill("-hour")
        expression.press("Enter")
        sample = seen.page.get_by_role("region", name="The first rows in this order")
        expect(sample.locator("thead .name").first).to_contain_text("cel: -hour")
        assert column(sample, "cel: -hour") == ["-2"] * 3 + ["-1"] * 3
        expect(seen.button("Create index")).to_have_count(0)
        seen.page.get_by_label("unique: no two rows").uncheck()
        expect(seen.page.get_by_role("status", name="Uniqueness")).to_contain_text("4 rows have the key of another one")
        assert trait(seen, "specification")["unique"] is False


# -- the import ---------------------------------------------------------------------------------------------------------------


def test_pasted_rows_are_seen_typed_and_loaded(browser: Browser, db: sopnb.Database) -> None:
    with panel(browser, db, "import") as seen:
        seen.page.get_by_text("or paste rows from a spreadsheet").click()
        seen.page.get_by_label("Rows of a spreadsheet").fill("tailnum\tseats\tbuilt\nN1\t55\t2004-05-06\nN3\t182\t1999-01-31\n")
        seen.button("Look at the rows").click()
        first = seen.page.get_by_role("region", name="The first rows of the data")
        expect(first.locator("tbody tr")).to_have_count(2)
        assert column(first, "built") == ["2004-05-06", "1999-01-31"]
        seen.page.get_by_label("Type of seats").select_option("string")
        expect(seen.page.get_by_label("Type of seats")).to_be_focused()
        assert trait(seen, "types") == {"seats": "string"}
        seen.page.get_by_label("Type of tailnum").select_option("int64")
        expect(seen.status).to_contain_text("tailnum")
        assert trait(seen, "types") == {"seats": "string"}
        expect(seen.button("Load")).to_be_disabled()
        seen.page.locator(".suggestion").first.click()
        seen.page.get_by_label("Name of the store").fill("planes")
        seen.button("Load").click()
        expect(seen.page.locator(".result")).to_have_text("planes: 2 inserted")
        assert str(db["planes"].schema.field("seats").type) == "string"
        assert seen.faults() == []


def test_a_key_that_is_typed_while_types_are_looked_at_stays(browser: Browser, db: sopnb.Database) -> None:
    with panel(browser, db, "import") as seen:
        seen.page.get_by_text("or paste rows from a spreadsheet").click()
        seen.page.get_by_label("Rows of a spreadsheet").fill("a\tb\tc\n1\t1\t5\n1\t2\t5\n")
        seen.button("Look at the rows").click()
        keys = seen.page.get_by_label("Fields of the key")
        with seen.served.held("import.preview"):
            seen.page.get_by_label("Type of b").select_option("string")
            keys.fill("c, -b")
        seen.page.wait_for_function("JSON.stringify(window.model.get('types')) === JSON.stringify({ b: 'string' })")
        expect(keys).to_be_focused()
        expect(keys).to_have_value("c, -b")
        keys.press("Tab")
        seen.page.get_by_label("Name of the store").fill("typed")
        seen.button("Load").click()
        expect(seen.page.locator(".result")).to_have_text("typed: 2 inserted")
        assert str(db["typed"].index) == "c, -b"


def test_a_file_is_loaded_and_what_does_not_fit_is_told(browser: Browser, db: sopnb.Database, tmp_path: Any) -> None:
    db.load("planes", PLANES, index="tailnum")
    path = tmp_path / "planes.csv"
    path.write_text("tailnum,seats\nN1,60\nN9,20\n")
    with panel(browser, db, "import") as seen:
        seen.page.get_by_label("Path or pattern of files").fill(str(path))
        seen.press("Enter")
        expect(seen.page.get_by_role("region", name="The first rows of the data").locator("tbody tr")).to_have_count(2)
        seen.page.get_by_label("Name of the store").fill("planes")
        seen.page.locator(".suggestion").first.click()
        seen.button("Load").click()
        expect(seen.status).to_have_text("There is a store planes already; choose what is to become of it")
        expect(seen.status).to_have_class(re.compile("bad"))
        expect(seen.page.get_by_label("If the store is there")).to_be_focused()
        seen.page.get_by_label("If the store is there").select_option("insert")
        seen.page.get_by_label("A row that does not fit").select_option("report")
        seen.button("Load").click()
        expect(seen.page.locator(".result")).to_have_text("planes: 1 inserted, 1 left out")
        left = seen.page.get_by_role("region", name="The rows that were left out")
        assert column(left, "tailnum") == ["N1"]
        assert db["planes"]["N1"]["seats"] == 55


def test_a_load_tells_how_far_it_is(browser: Browser, db: sopnb.Database) -> None:
    with panel(browser, db, "import", frame=PLANES, data={"frame": "data"}) as seen:
        run = seen.view.handle
        told = {"what": "loading", "done": 1500, "total": 3000}
        seen.view.handle = lambda message: {"id": message["id"], "ok": told} if message["op"] == "progress" else run(message)  # type: ignore[method-assign]
        seen.page.locator(".suggestion").first.click()
        seen.page.get_by_label("Name of the store").fill("planes")
        held = seen.served.holds["import.run"] = threading.Event()
        seen.button("Load").click()
        expect(seen.page.locator(".progress")).to_contain_text("1,500 of 3,000")
        expect(seen.button("Load")).to_be_disabled()
        held.set()
        expect(seen.page.locator(".result")).to_have_text("planes: 3 inserted")
        expect(seen.page.locator(".progress")).to_be_hidden()


# -- the history --------------------------------------------------------------------------------------------------------------


def test_a_difference_is_shown_and_reverted(browser: Browser, db: sopnb.Database) -> None:
    store = db["weather"]
    store.update({"origin": "JFK", "hour": 2, "temp": 45.5}, message="a warmer hour")
    store.insert({"origin": "LGA", "hour": 3, "temp": 40.0}, message="one hour more")
    with panel(browser, db, "history") as seen:
        commits = seen.page.get_by_role("region", name="Commits")
        expect(commits.locator("tbody tr")).to_have_count(3)
        expect(commits.locator("tbody tr").nth(1)).to_contain_text("a warmer hour")
        differs = seen.page.get_by_role("region", name="Rows that differ")
        expect(differs.locator("tbody tr")).to_have_count(1)
        seen.page.get_by_label("Compare from commit 1").check()
        expect(differs.locator("tbody tr")).to_have_count(3)
        assert column(differs, "temp") == ["39.9", "45.5", "40"]
        expect(differs.locator("td.was")).to_have_text("39.9")
        expect(differs.locator("tr").nth(2).locator("td.is")).to_have_text("45.5")
        assert trait(seen, "between") == [1, 3]
        seen.button("Revert commit 2").click()
        expect(seen.dialog).to_contain_text("1 row would have the values from before")
        seen.button("Cancel").click()
        assert db.seq == 3
        seen.button("Revert commit 2").click()
        seen.dialog.get_by_label("Message of the new commit").fill("it was not that warm")
        seen.button("Revert").click()
        expect(seen.status).to_have_text("Commit 2 was reverted by commit 4")
        assert store[("JFK", 2)]["temp"] == 39.9
        expect(commits.locator("tbody tr").first).to_contain_text("it was not that warm")
        assert seen.faults() == []


def test_commits_of_others_are_listed_as_they_come(browser: Browser, db: sopnb.Database) -> None:
    with panel(browser, db["weather"], "history") as seen:
        commits = seen.page.get_by_role("region", name="Commits")
        expect(commits.locator("tbody tr")).to_have_count(1)
        expect(seen.page.get_by_role("region", name="Rows that differ").locator("td.is")).to_have_count(3 * len(WEATHER))
        db["weather"].insert({"origin": "LGA", "hour": 3, "temp": 40.0}, message="one hour more")
        expect(commits.locator("tbody tr")).to_have_count(2)
        expect(seen.status).to_have_text("Commit 2 is new")
