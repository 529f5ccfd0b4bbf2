"""Stores that share keys, and a page that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser

import sopnb
from tests.browser.support import Shown, kinds, shown


@pytest.fixture
def db() -> Iterator[Any]:
    """Things of all kinds; twins, which have the keys of the things; and notes, of which several may have one key."""
    with kinds() as db:
        db["things"].create_index("by_big", "-big")
        db.load("twins", pd.DataFrame({"id": range(30), "big": range(100, 130), "word": [f"word {n}" for n in range(30)]}), index="id")
        db.create("notes", schema={"author": "string", "text": "string"}, index=sopnb.IndexSpecification.of("author", unique=False))
        yield db
        assert db.check().ok


@pytest.fixture
def seen(browser: Browser, db: Any) -> Iterator[Shown]:
    with shown(browser, db, viewport={"width": 2600, "height": 700}) as seen:
        seen.open(height=400)
        seen.store("things")
        seen.shows(0, id="0")
        yield seen
