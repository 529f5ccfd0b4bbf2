"""Databases whose few rows make several leaves, checked after every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import sopnb
from tests.engine.support import Cluster
from tests.past.support import QUIET, TINY


@pytest.fixture
def db() -> Iterator[Any]:
    """Open a database in memory."""
    with sopnb.open(":memory:", settings=TINY, handle=QUIET) as db:
        yield db
        assert db.check().ok


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Make a database in memory for several engines."""
    cluster = Cluster(leaf_rows=4, leaf_bytes=512, inline_rows=3)
    yield cluster
    cluster.verify()
