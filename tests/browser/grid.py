"""The browser of stores as it stands on any page: what it shows, and what can be done to it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.page import AXE


class Grid:
    """The browser of stores within ``root``. What waits for something asserts it: it fails if the page does not come to show it."""

    def __init__(self, page: Page, root: Page | Locator) -> None:
        self.page, self.root = page, root

    def cell(self, row: int, column: str) -> Locator:
        """The cell at a position, 0 for the first row."""
        return self.root.locator(f".ag-row[row-index='{row}'] [col-id='{column}']")

    def shows(self, row: int, **cells: str) -> None:
        """Assert that the row at a position comes to show these texts in these columns."""
        for column, text in cells.items():
            expect(self.cell(row, column)).to_have_text(text)

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def box(self, field: str) -> Locator:
        """The search box of a field of the order."""
        return self.root.get_by_label(re.compile(rf"^{field}, (a|de)scending"))

    @property
    def condition(self) -> Locator:
        return self.root.get_by_label("Condition in CEL")

    @property
    def status(self) -> Locator:
        return self.root.locator(".statusbar .message")

    @property
    def total(self) -> Locator:
        return self.root.locator(".statusbar .of")

    def order(self, name: str) -> None:
        """Choose the order of an index, and wait for its first rows."""
        self.root.get_by_label("Order of the rows").select_option(name)
        expect(self.root.locator(".main")).to_have_attribute("aria-busy", "false")
        expect(self.cell(0, "#place")).to_have_text("1")
        expect(self.root.locator(".shimmer")).to_have_count(0)

    def begin(self, row: int, column: str) -> Locator:
        """Double click a cell, and return the field of its editor; asserts that it has the focus."""
        self.cell(row, column).dblclick()
        field = self.root.locator(".editor input:not(.days)")
        expect(field).to_be_focused()
        return field

    def edit(self, row: int, column: str, typed: str) -> None:
        """Edit a cell as people do: double click, type, Enter."""
        field = self.begin(row, column)
        field.fill(typed)
        field.press("Enter")

    def header(self, column: str) -> Locator:
        return self.root.locator(f".ag-header-cell[col-id='{column}']")

    def item(self, name: str) -> Locator:
        """A store of the tree, or an index of one."""
        return self.root.get_by_role("treeitem", name=re.compile(rf"^(index )?{name}[,:]"))

    def choose(self, *rows: int, on: bool = True) -> None:
        """Tick rows, or take the ticks away."""
        for row in rows:
            self.root.locator(f".ag-row[row-index='{row}'] input[type='checkbox']").set_checked(on)

    def faults(self) -> list[str]:
        """What axe-core finds that is serious or critical."""
        self.page.evaluate(AXE.read_text())
        found: list[str] = self.page.evaluate(
            """async (root) => {
              const runOnly = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"];
              const { violations } = await axe.run(root ?? document, { runOnly, resultTypes: ["violations"] });
              const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
              const told = (id, node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`;
              return grave.flatMap(({ id, nodes }) => nodes.map((node) => told(id, node)));
            }""",
            self.root.element_handle() if isinstance(self.root, Locator) else None,
        )
        return found
