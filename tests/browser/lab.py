"""A real JupyterLab with one notebook, driven by Chromium: what a user has in front of him, the kernel and other processes included."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client import BlockingKernelClient
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

import sopnb
from sopnb.widgets import bundle
from tests.browser.grid import Grid

PATIENCE = 30_000
"""Milliseconds that anything on the page may take on a busy machine."""
expect.set_options(timeout=PATIENCE)

ROOT = Path(sopnb.__file__).parents[1]
CELLS = ("browser = make()\nbrowser", "other = make()\nother")
NEWS = '{"fetchNews": "false", "checkForUpdates": false}'


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
    """A notebook that is open in a page of the Lab: two cells that show a browser of stores each."""

    def __init__(self, lab: Lab, page: Page) -> None:
        self.lab, self.page = lab, page
        self.errors: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, *, anew: bool = True) -> None:
        """Load the page and wait for the kernel."""
        self.page.goto(f"{self.lab.url}/lab/tree/work.ipynb{'?reset' if anew else ''}")
        expect(self.cells.first).to_be_visible()
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("Idle")

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
        self.page.locator("[data-jp-item-name='save']").click()
        expect(self.page.locator(".jp-mod-dirty")).to_have_count(0)

    def show(self, expression: str = "db['flights'], edit=True") -> Output:
        """Make a new browser, show it, and wait for its first row."""
        self.lab.do(f"""
if "browser" in globals():
    browser.close()
make = lambda: sopnb.browse({expression})
asked.clear()""")
        self.run(0)
        expect(self.grid().cell(0, "#place")).to_be_visible()
        return self.grid()

    def asked(self, op: str) -> list[Any]:
        """What the page asked of the kernel since the last browser was made."""
        found: list[Any] = self.lab.value(f"[each.get('args') for each in asked if each.get('op') == {op!r}]")
        return found


class Lab:
    """A server with one notebook, and its kernel, which may be asked beside the page."""

    def __init__(self, url: str, folder: Path, lines: list[str], browser: Browser) -> None:
        self.url, self.folder, self.lines = url, folder, lines
        self.contexts: list[BrowserContext] = []
        self.outside: list[str] = []
        self._browser = browser
        self._kernel: BlockingKernelClient | None = None

    def told(self) -> str:
        """The last lines of the server."""
        return "\n".join(self.lines[-30:])

    def notebook(self, **how: Any) -> Notebook:
        """Open the notebook in a page of its own."""
        context = self._browser.new_context(**{"viewport": {"width": 1500, "height": 1000}, **how})
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.route(re.compile(r"^(?!(https?|wss?)://localhost[:/]|blob:|data:)"), self._refuse)
        page = context.new_page()
        page.on("websocket", lambda socket: None if socket.url.startswith("ws://localhost:") else self.outside.append(socket.url))
        notebook = Notebook(self, page)
        notebook.open()
        return notebook

    def _refuse(self, route: Any) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def do(self, code: str, **wanted: str) -> dict[str, Any]:
        """Run code in the kernel, and return the values of expressions there, as JSON has them."""
        asked = {name: f"__import__('json').dumps({each}, default=str)" for name, each in wanted.items()}
        answer = self._client().execute_interactive(
            code, user_expressions=asked, store_history=False, output_hook=lambda _: None, timeout=60
        )
        content = answer["content"]
        assert content["status"] == "ok", content
        found = content["user_expressions"]
        assert all(each["status"] == "ok" for each in found.values()), found
        return {name: json.loads(ast.literal_eval(each["data"]["text/plain"])) for name, each in found.items()}

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the kernel."""
        return self.do("", value=expression)["value"]

    def becomes(self, expression: str, wanted: Any) -> None:
        """Assert that an expression comes to have a value in the kernel; what the page sets may get there after the page shows it."""
        end = time.monotonic() + PATIENCE / 1000
        while (found := self.value(expression)) != wanted and time.monotonic() < end:
            pass
        assert found == wanted

    def _client(self) -> BlockingKernelClient:
        if self._kernel is None:
            with urllib.request.urlopen(f"{self.url}/api/sessions") as answer:
                (session,) = json.load(answer)
            kernel = BlockingKernelClient(connection_file=str(self.folder / "runtime" / f"kernel-{session['kernel']['id']}.json"))
            kernel.load_connection_file()
            kernel.start_channels()
            kernel.wait_for_ready(timeout=60)
            self._kernel = kernel
        return self._kernel

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        if self._kernel is not None:
            self._kernel.stop_channels()


@contextmanager
def lab(browser: Browser, folder: Path, database: Path, cells: Sequence[str] = CELLS, installed: Path | None = None) -> Iterator[Lab]:
    """Serve a notebook on a database, in a Lab that finds nothing of this user's.

    It runs sopnb as it is here, or with ``installed``, a Python, as it is installed there.
    """
    if installed is None:
        _needs_bundle()
    _write(folder, database, cells)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
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
    options = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ip=localhost",
    ]
    command = [
        str(installed or sys.executable),
        "-m",
        "jupyterlab",
        *options,
        "--LabApp.news_url=None",
        f"--ServerApp.root_dir={folder / 'work'}",
    ]
    lines: list[str] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder) as server:
        reader = threading.Thread(target=lambda: lines.extend(server.stdout or ()), daemon=True)
        try:
            for line in server.stdout or ():
                lines.append(line.rstrip())
                if "is running at" in line:
                    break
            else:
                pytest.fail("JupyterLab does not start\n" + "\n".join(lines))
            reader.start()
            served = Lab(f"http://localhost:{port}", folder, lines, browser)
            yield served
            served.close()
        finally:
            server.terminate()
            if reader.is_alive():
                reader.join(30)


def _needs_bundle() -> None:
    try:
        bundle.content()
    except sopnb.StorageError as error:
        pytest.fail(f"{error}: python frontend/bundle.py")


def _write(folder: Path, database: Path, cells: Sequence[str]) -> None:
    settings = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(NEWS, encoding="utf-8")
    (folder / "work").mkdir()
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(book, folder / "work" / "work.ipynb")
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
