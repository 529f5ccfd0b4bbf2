"""Tests of views do not depend on how quick the machine is."""

from __future__ import annotations

import pytest

from sopnb.view import passing


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request look until it is done, unless a test says otherwise."""
    monkeypatch.setattr(passing, "PATIENCE", 1e9)
