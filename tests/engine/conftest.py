"""Databases in memory that are checked after every test that wrote to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.engine.support import Cluster


@pytest.fixture
def make() -> Iterator[Callable[..., Cluster]]:
    """Make databases; each is read and compared in full when the test is over."""
    made: list[Cluster] = []

    def make(**settings: object) -> Cluster:
        made.append(Cluster(**settings))
        return made[-1]

    yield make
    for cluster in made:
        cluster.verify()


@pytest.fixture
def cluster(make: Callable[..., Cluster]) -> Cluster:
    """Make a database with the settings that people have."""
    return make()
