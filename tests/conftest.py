"""Options of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("ordinary", deadline=None)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.register_profile("long", deadline=None, max_examples=5000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", default=False, help="run the long sweeps too")
    parser.addoption("--brief", action="store_true", default=False, help="draw fewer examples")


def pytest_configure(config: pytest.Config) -> None:
    profiles = [name for name in ("long", "brief") if config.getoption(f"--{name}")]
    settings.load_profile(profiles[0] if profiles else "ordinary")
