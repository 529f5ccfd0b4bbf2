"""What the tests of races see of a page."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.support import Shown


def cells(seen: Shown) -> list[tuple[str, str, str, Any]]:
    """The pending changes: store, key, column and new value."""
    return [(change["store"], change["key"], cell["column"], cell["new"]) for change in seen.pending() for cell in change["cells"]]


def editor(seen: Shown) -> Locator:
    return seen.page.locator(".editor input:not(.days)")


def tree(seen: Shown, name: str) -> Locator:
    return seen.page.get_by_role("treeitem", name=re.compile(rf"^{name},"))


def others(seen: Shown) -> None:
    """Wait until a commit of others is shown."""
    expect(seen.status).to_have_text(re.compile("^Commit .* changed"))
