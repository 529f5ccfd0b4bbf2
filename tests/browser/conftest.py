"""Chromium, once for each process of tests; a server of notebooks, once for each module that shows its database ``ours`` in one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

import sopnb
from sopnb.view import passing
from tests.api_support import QUIET
from tests.browser.flights import KEY, every
from tests.browser.lab import LAB, Interface, Lab, Notebook, lab
from tests.browser.support import kinds
from tests.browser.weather import WEATHER


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request of a page without a notebook look until it is done, unless a test says otherwise."""
    monkeypatch.setattr(passing, "PATIENCE", 1e9)


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    """Things of every kind, which are whole when a test is over."""
    with kinds() as db:
        yield db
        assert db.check().ok


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "Chromium is missing: install the package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the database ``flights`` is."""
    return tmp_path_factory.mktemp("data") / "flights.sop"


@pytest.fixture(scope="package")
def flights(stored: Path) -> Iterator[sopnb.Database]:
    """The flights with two indexes, as this process has them: for a kernel, this is another one. Modules share them as they are left."""
    with sopnb.open(stored, handle=QUIET) as db:
        db.load("flights", every(), index=KEY, message="flights of 2013")
        db["flights"].create_index("by_dest", ["dest", "-dep_delay"])
        db["flights"].create_index("by_route", ["cel: origin + '-' + dest", "-distance"])
        db.create("notes", schema={"id": "int64", "big": "int64"}, index="id")
        db["notes"].insert([{"id": n, "big": 9007199254740993 + n} for n in range(40)])
        yield db
        assert db.check().ok


@pytest.fixture(scope="package")
def beside(browser: Browser, flights: sopnb.Database, stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """A notebook on the flights, which the modules that change nothing else share."""
    with lab(browser, tmp_path_factory.mktemp("lab"), stored) as served:
        yield served.notebook()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the database is that a module makes as ``ours`` and the kernel opens as ``db``."""
    return tmp_path_factory.mktemp("data") / "shown.sop"


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[sopnb.Database]:
    """The weather as this process has it: for the kernel, this is another one."""
    with sopnb.open(folder, handle=QUIET) as db:
        db.load("weather", WEATHER, index=["origin", "hour"], message="begin")
        yield db
        assert db.check().ok


@pytest.fixture(scope="module")
def interface() -> Interface:
    """What a module shows its notebooks in."""
    return LAB


@pytest.fixture(scope="module")
def opened(
    browser: Browser, ours: sopnb.Database, folder: Path, interface: Interface, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Notebook]:
    with lab(browser, tmp_path_factory.mktemp("lab"), folder, interface=interface, names=("work", "other")) as served:
        yield served.notebook()


@pytest.fixture
def notebook(opened: Notebook) -> Iterator[Notebook]:
    """The notebook; whatever was done in it, nothing was asked of another machine, and no error was told to the console."""
    yield opened
    assert opened.lab.outside == []
    assert opened.errors == []


@pytest.fixture
def served(opened: Notebook) -> Lab:
    return opened.lab
