"""Values keep every digit, sign and character on each way through the page: typed, copied, pasted, listed, compared, imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, expect

import sopnb
from sopnb.fields import formed, stored_type
from sopnb.values import storage_type
from sopnb.view import View
from sopnb.view.wire import form
from tests.browser.support import QUIET, column, panel, shown

WIRE: dict[str, tuple[Any, list[Any]]] = {
    "int64": (pa.int64(), ["-9223372036854775808", "9223372036854775807", "9007199254740993"]),
    "uint64": (pa.uint64(), ["18446744073709551615", "0"]),
    "double": (pa.float64(), ["-0", "NaN", "-Infinity", "Infinity", 0.1, 1e300, 5e-324, 1.7976931348623157e308, 1e21, -2.5]),
    "float": (pa.float32(), [0.1, "-0", 16777216.0]),
    "decimal": (pa.decimal128(38, 10), ["1234567890123456789012345678.0123456789", "-0.0000000001", "1.5000000000"]),
    "nanoseconds": (
        pa.timestamp("ns"),
        ["1677-09-21T00:12:43.145224193", "1969-12-31T23:59:59.999999999", "2262-04-11T23:47:16.854775807"],
    ),
    "far": (
        pa.timestamp("us"),
        ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "294247-01-10T04:00:54.775807", "-044-03-15T12:00:00"],
    ),
    "zone": (
        pa.timestamp("ns", "America/New_York"),
        ["2024-11-03T01:30:00-04:00", "2024-11-03T01:30:00-05:00", "1883-11-18T11:03:57.000000001-04:56:02", "2013-07-01T00:00:00.1-04:00"],
    ),
    "duration": (pa.duration("ns"), ["-9223372036.854775808", "0.000000001", "-0.5", "86400"]),
    "time": (pa.time64("ns"), ["23:59:59.999999999", "00:00:00"]),
    "date": (pa.date32(), ["-044-03-15", "9999-12-31", "1582-10-10", "12345-01-01"]),
    "bytes": (pa.binary(), ["AP8=", "AAECAwQFBgcICQoLDA0ODw=="]),
    "nested": (
        pa.struct([("n", pa.list_(pa.int64())), ("x", pa.float64()), ("at", pa.timestamp("ns", "UTC"))]),
        ['{"n":[9223372036854775807,null],"x":-0.0,"at":"1969-12-31T23:59:59.999999999+00:00"}', '{"n":null,"x":1e+300,"at":null}'],
    ),
    "text": (
        pa.string(),
        [" lead", "tab\there", "null", 'a"b', '"quoted"', '"half', "\u2028", "e\u0301", "😀", "0x10", "1e5", "-0", "<b>&amp;"],
    ),
    "lines": (pa.string(), ["a\nb", "a\r\nb\r\n", '"a"\n\t"', "a\rb"]),
    "category": (pa.dictionary(pa.int32(), pa.string()), ["NaN", "a\tb", " "]),
}
LARGE = {"bytes", "nested"}
ROWS = max(len(values) for _, values in WIRE.values())
WIDE = {"width": 4200, "height": 900}
COPY = """(grid) => {
  const clipboardData = new DataTransfer();
  grid.querySelector(".ag-row").dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, composed: true }));
  return clipboardData.getData("text/plain");
}"""
PASTE = """(grid, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  grid.querySelector(".ag-row").dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, composed: true }));
}"""


def wanted(first: int = 0) -> dict[tuple[str, str], Any]:
    """The values by key and column, from a key on."""
    return {(str(first + row), name): value for name, (_, values) in WIRE.items() for row, value in enumerate(values)}


def told(view: View) -> dict[tuple[str, str], Any]:
    """The values that wait, by key and column."""
    changes = view.handle({"id": 1, "op": "pending", "args": {}})["ok"]["changes"]
    return {(change["key"], cell["column"]): cell["new"] for change in changes for cell in change["cells"]}


def send(view: View, row: int, name: str, value: Any) -> None:
    """Edit without a page."""
    page = {"query": {"store": "exact"}, "start": row, "size": 1}
    (seen,) = view.handle({"id": 1, "op": "page", "args": page})["ok"]["rows"]
    edit = {"store": "exact", "key": seen["key"], "seq": seen["seq"], "column": name, "value": value}
    assert "ok" in view.handle({"id": 2, "op": "edit", "args": edit})


@pytest.fixture
def db() -> Iterator[Any]:
    """A database with a store that has a column of each kind, in which all is null."""
    with sopnb.open(":memory:", handle=QUIET) as db:
        nulls = {name: pa.nulls(2 * ROWS, kind) for name, (kind, _) in WIRE.items()}
        db.load("exact", pa.table({"id": pa.array(range(2 * ROWS), pa.int64()), **nulls}), index="id")
        yield db
        assert db.check().ok


@pytest.fixture
def filled(db: Any) -> Any:
    """The same with the values in the first rows."""
    view = View(db, edit=True)
    for (key, name), value in wanted().items():
        send(view, int(key), name, value)
    assert "ok" in view.handle({"id": 3, "op": "commit"})
    return db


def test_what_is_typed_is_what_is_listed_and_stored(browser: Browser, db: Any) -> None:
    with shown(browser, db, viewport=WIDE) as seen:
        seen.open(height=800)
        for (key, name), value in wanted().items():
            row = int(key)
            if name == "lines":
                send(seen.view, row, name, value)  # no editor of a null takes lines; how they are edited is told elsewhere
            elif name in LARGE:
                seen.cell(row, name).dblclick()
                expect(seen.dialog.locator(".cm-content")).to_be_focused()
                seen.page.keyboard.insert_text(str(value))
                seen.button("Save").click()
                expect(seen.dialog).to_have_count(0)
                expect(seen.cell(row, name)).not_to_have_text("null")
            else:
                seen.edit(row, name, str(value))
                expect(seen.cell(row, name)).to_have_class(re.compile("is-edited"))
        assert told(seen.view) == wanted()
        seen.button("Commit").click()
        listed = seen.sheet.locator(".change").evaluate_all(
            """(all) => all.flatMap((change) => [...change.querySelectorAll("dt")].map((name) => {
              const value = name.nextElementSibling.querySelector(".new").title;
              return [change.querySelector(".where").lastChild.textContent, name.textContent, value];
            }))"""
        )
        said = {(key, name): type(wanted()[key, name])(title) for key, name, title in listed}
        assert said == wanted()
        seen.sheet.get_by_role("button", name="Commit").click()
        expect(seen.status).to_have_text(re.compile("^Committed"))
        for name, (kind, values) in WIRE.items():
            stored = db["exact"][:].to_arrow().column(name).combine_chunks().slice(0, len(values))
            forms = form(kind)
            again = [forms.say(value) for value in formed(stored, stored_type(kind)).cast(storage_type(stored_type(kind))).to_pylist()]
            assert again == values, name


def test_what_is_copied_is_what_is_pasted(browser: Browser, filled: Any) -> None:
    with shown(browser, filled, viewport=WIDE) as seen:
        seen.open(height=800)
        seen.choose(*range(ROWS))
        text = seen.page.locator(".grid").evaluate(COPY)
        moved = re.sub(r"^(\d+)(?=\t)", lambda found: str(int(found[1]) + ROWS), text, flags=re.MULTILINE)
        seen.page.locator(".grid").evaluate(PASTE, moved)
        seen.sheet.get_by_label("What to do with keys that are there").select_option("upsert")
        seen.sheet.get_by_role("button", name=f"Paste {ROWS} rows").click()
        expect(seen.sheet.locator(".report")).to_have_text(f"{ROWS} rows taken")
        assert told(seen.view) == wanted(ROWS)


def test_a_difference_shows_what_the_grid_shows(browser: Browser, filled: Any) -> None:
    with shown(browser, filled, viewport=WIDE) as seen:
        seen.open(height=800)
        grid = {name: [seen.cell(row, name).inner_text().strip() for row in range(len(values))] for name, (_, values) in WIRE.items()}
    with panel(browser, filled, "history", data={"store": "exact"}) as seen:
        differs = seen.page.get_by_role("region", name="Rows that differ")
        expect(differs.locator("tbody tr")).to_have_count(2 * ROWS)
        for name, texts in grid.items():
            assert column(differs, name)[: 2 * len(texts)] == [text for each in texts for text in ("null", each)], name


def test_pasted_rows_are_imported_as_they_are(browser: Browser) -> None:
    kinds = ("int64", "decimal", "nanoseconds", "text")
    rows = ["\t".join(("id", *kinds))]
    for row in range(min(len(WIRE[name][1]) for name in kinds)):
        rows.append("\t".join((str(row), *('"' + str(WIRE[name][1][row]).replace('"', '""') + '"' for name in kinds))))
    with sopnb.open(":memory:", handle=QUIET) as db, panel(browser, db, "import") as seen:
        seen.page.get_by_text("or paste rows from a spreadsheet").click()
        seen.page.get_by_label("Rows of a spreadsheet").fill("\n".join(rows))
        seen.button("Look at the rows").click()
        first = seen.page.get_by_role("region", name="The first rows of the data")
        expect(first.locator("tbody tr")).to_have_count(len(rows) - 1)
        seen.page.get_by_label("Type of decimal").select_option("string")  # what is read from text would be taken for a float
        expect(seen.page.get_by_label("Type of decimal")).to_have_value("string")
        seen.page.get_by_label("Fields of the key").fill("id")
        seen.page.get_by_label("Fields of the key").press("Tab")
        seen.page.get_by_label("Name of the store").fill("exact")
        seen.button("Load").click()
        expect(seen.page.locator(".result")).to_have_text(f"exact: {len(rows) - 1} inserted")
        view = View(db)
        page = view.handle({"id": 1, "op": "page", "args": {"query": {"store": "exact"}, "start": 0, "size": 10}})["ok"]
        for name in kinds:
            told = [row["cells"][page["columns"].index(name)] for row in page["rows"]]
            assert told == WIRE[name][1][: len(told)], name
