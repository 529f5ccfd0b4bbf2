"""Chromium, once for each process of tests; a JupyterLab, once for each module that shows its database ``ours`` in one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

import sopnb
from tests.browser.lab import Lab, Notebook, lab


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "Chromium is missing: install the package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the database is that a module makes as ``ours`` and the kernel opens as ``db``."""
    return tmp_path_factory.mktemp("data") / "shown.sop"


@pytest.fixture(scope="module")
def opened(browser: Browser, ours: sopnb.Database, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with lab(browser, tmp_path_factory.mktemp("lab"), folder) as served:
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
