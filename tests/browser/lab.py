"""A real JupyterLab or Notebook 7, driven by Chromium: what a user has in front of him, kernels and other processes included."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.grid import Grid
from tests.browser.host import PATIENCE, ROOT, Host, errors_of, free_port, needs_bundle, serving
from tests.browser.kernel import Kernel

CELLS = ("browser = make()\nbrowser", "other = make()\nother")
NEWS = '{"fetchNews": "false", "checkForUpdates": false}'


@dataclass(frozen=True)
class Interface:
    """What shows notebooks: the module that serves it, the path of a notebook in its address, and errors that it tells of itself."""

    module: str
    path: str
    own: tuple[str, ...] = ()


LAB = Interface("jupyterlab", "lab/tree")
NOTEBOOK_7 = Interface("notebook", "notebooks", own=("Cannot read properties of undefined (reading 'schema')",))


class Output(Grid):
    """The browser of stores in the output of a cell of a notebook."""

    def says(self, message: str | re.Pattern[str]) -> None:
        """Assert that the bar below the grid comes to say it."""
        expect(self.status).to_have_text(message)

    def counts(self, rows: int | str) -> None:
        """Assert that the bar below the grid comes to say that there are so many rows."""
        expect(self.total).to_have_text(f" of {rows:,}" if isinstance(rows, int) else f" of {rows}")

    def go_to(self, row: int) -> None:
        """Type the number of a row, 1 for the first."""
        box = self.root.get_by_label("Go to row")
        box.fill(str(row))
        box.press("Enter")

    def commit(self, message: str = "") -> None:
        """Commit what is pending; asserts that it was."""
        self.button("Commit").click()
        sheet = self.sheet("Pending changes")
        sheet.get_by_label("Message of the commit").fill(message)
        sheet.get_by_role("button", name="Commit", exact=True).click()
        self.says(re.compile(r"^Committed as \d+$"))

    def sheet(self, title: str | re.Pattern[str]) -> Locator:
        """What lies over the grid, a sheet or a dialog."""
        return self.root.get_by_role("dialog", name=title)


class Notebook:
    """A notebook that is open in a page: two cells that show a browser of stores each."""

    def __init__(self, lab: Lab, page: Page, name: str) -> None:
        self.lab, self.page, self.name = lab, page, name
        self.kernel = lab.kernel(name)
        self._errors = errors_of(page)

    @property
    def errors(self) -> list[str]:
        """What the page told to its console, but for what it tells without us."""
        return [error for error in self._errors if error not in self.lab.interface.own]

    def open(self, *, anew: bool = True) -> None:
        """Load the page and wait for the kernel."""
        self.page.goto(f"{self.lab.url}/{self.lab.interface.path}/{self.name}.ipynb{'?reset' if anew else ''}")
        expect(self.cells.first).to_be_visible(timeout=4 * PATIENCE)
        self.kernel.wait()
        expect(self.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']")).to_be_visible()

    @property
    def cells(self) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell")

    def grid(self, number: int = 0) -> Output:
        """A browser of stores on the page, in the order of the cells."""
        return Output(self.page, self.page.get_by_role("region", name="Browser of stores").nth(number))

    def run(self, number: int) -> None:
        """Run a cell, and again where the Lab was not ready to."""
        prompt = self.cells.nth(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        for _ in range(3):
            self.cells.nth(number).locator(".jp-InputArea-editor").click()
            self.page.keyboard.press("Control+Enter")
            try:
                expect(prompt).not_to_have_text(before, timeout=PATIENCE / 2)
                return expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))
            except AssertionError:
                continue
        pytest.fail(f"the Lab does not run the cell\n{self.lab.told()}")

    def save(self) -> None:
        """Save the notebook."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT" and f"/api/contents/{self.name}.ipynb" in answer.url):
            self.page.locator("[data-jp-item-name='save']").click()

    def restart(self) -> None:
        """Restart the kernel, and wait for the new one."""
        self.kernel.close()
        self.page.locator("[data-jp-item-name='restart']").click()
        with self.page.expect_response(lambda answer: "/restart" in answer.url):
            self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.kernel.wait()

    def show(self, expression: str = "db['flights'], edit=True") -> Output:
        """Make a new browser, show it, and wait for its first row."""
        self.kernel.do(f"""
if "browser" in globals():
    browser.close()
make = lambda: sopnb.browse({expression})
asked.clear()""")
        self.run(0)
        expect(self.grid().cell(0, "#place")).to_be_visible()
        return self.grid()

    def panel(self, made: str, label: str) -> Locator:
        """Show another widget in the first cell, as ``browser``, and return where it stands."""
        self.kernel.do(f"make = lambda: {made}")
        self.run(0)
        panel = self.page.get_by_role("region", name=label, exact=True)
        expect(panel).to_be_visible()
        return panel

    def asked(self, op: str) -> list[Any]:
        """What the page asked of the kernel since the last browser was made."""
        found: list[Any] = self.kernel.value(f"[each.get('args') for each in asked if each.get('op') == {op!r}]")
        return found


class Lab(Host):
    """A server with notebooks, each with a kernel."""

    def __init__(self, url: str, lines: list[str], browser: Browser, folder: Path, interface: Interface) -> None:
        super().__init__(url, lines, browser)
        self.folder, self.interface = folder, interface
        self._kernels: dict[str, Kernel] = {}

    def notebook(self, name: str = "work", **how: Any) -> Notebook:
        """Open a notebook in a page of its own, in a browser of its own."""
        notebook = Notebook(self, self.page(**how), name)
        notebook.open()
        return notebook

    def kernel(self, name: str = "work") -> Kernel:
        """The kernel of a notebook, which may be asked beside the page."""
        return self._kernels.setdefault(name, Kernel(self.url, self.folder / "runtime", name))

    def close(self) -> None:
        super().close()
        for kernel in self._kernels.values():
            kernel.close()


@contextmanager
def lab(
    browser: Browser,
    folder: Path,
    database: Path,
    cells: Sequence[str] = CELLS,
    installed: Path | None = None,
    interface: Interface = LAB,
    names: Sequence[str] = ("work",),
) -> Iterator[Lab]:
    """Serve notebooks on a database, in a Lab that finds nothing of this user's.

    It runs sopnb as it is here, or with ``installed``, a Python, as it is installed there.
    """
    if installed is None:
        needs_bundle()
    _write(folder, database, cells, names)
    port = free_port()
    places = {
        name: str(folder / name.rsplit("_", 2)[1].lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    environment = {
        **os.environ,
        **places,
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": "" if installed else str(ROOT),
    }
    command = [
        str(installed or sys.executable),
        "-m",
        interface.module,
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ip=localhost",
        "--LabApp.news_url=None",
        f"--ServerApp.root_dir={folder / 'work'}",
    ]
    with serving(command, "is running at", environment, folder) as lines:
        served = Lab(f"http://localhost:{port}", lines, browser, folder, interface)
        try:
            yield served
        finally:
            served.close()


def _write(folder: Path, database: Path, cells: Sequence[str], names: Sequence[str]) -> None:
    settings = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(NEWS, encoding="utf-8")
    (folder / "work").mkdir()
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    for name in names:
        nbformat.write(book, folder / "work" / f"{name}.ipynb")
    (folder / "ipython" / "profile_default" / "startup").mkdir(parents=True)
    (folder / "ipython" / "profile_default" / "startup" / "00.py").write_text(_STARTUP % str(database), encoding="utf-8")


_STARTUP = """
import sopnb
import sopnb.widgets.browser as shown
from sopnb.view import View

db = sopnb.open(%r, handle=sopnb.HandleSettings(progress=False, maintenance="off"))
asked = []

def _heard(self, message, handle=View.handle):
    asked.append(message)
    return handle(self, message)

def _given(content=shown.content):
    asked.append({"op": "bundle"})
    return content()

View.handle = _heard
shown.content = _given
"""
