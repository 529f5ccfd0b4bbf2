"""Options of the whole suite, and the server of processes to kill."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

import sopnb
from tests.api_support import QUIET
from tests.race.forkserver import ForkServer

settings.register_profile("ordinary", deadline=None)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.register_profile("long", deadline=None, max_examples=5000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", default=False, help="run the long sweeps too")
    parser.addoption("--brief", action="store_true", default=False, help="draw fewer examples")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored by what it runs in the background
    config.addinivalue_line("markers", "long: takes minutes; selected with --long only")
    profiles = [name for name in ("long", "brief") if config.getoption(f"--{name}")]
    settings.load_profile(profiles[0] if profiles else "ordinary")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    left = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    """A database in memory, which is whole when a test is over."""
    with sopnb.open(":memory:", handle=QUIET) as db:
        yield db
        report = db.check()
        assert report.ok, repr(report)
