"""The database that processes race for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.race import workers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    workers.create(tmp_path / "race.sop")
    return tmp_path / "race.sop"
