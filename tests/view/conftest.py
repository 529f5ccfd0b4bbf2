"""A store that others write too, and a browser that shows it. Tests of views do not depend on how quick the machine is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import sopnb
from sopnb.access.lease import Lease
from sopnb.view import passing
from tests.engine.support import Cluster
from tests.view.support import Browser, record

SCHEMA = {"k": "int64", "name": "string", "n": "int64", "must": "string!", "doc": "json"}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request look until it is done, unless a test says otherwise."""
    monkeypatch.setattr(passing, "PATIENCE", 1e9)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(leaf_rows=4, leaf_bytes=512, inline_rows=3)
    yield cluster
    cluster.verify()


@pytest.fixture
def theirs(cluster: Cluster) -> Any:
    """The store as another process has it."""
    db = sopnb.Database(Lease.over(cluster.open(progress=False)))
    store = db.create("s", schema=SCHEMA, index="k")
    store.insert([record(k, f"name{k}", k % 3) for k in range(10)])
    store.create_index("by_n", ["-n", "name"])
    return store


@pytest.fixture
def mine(cluster: Cluster, theirs: Any) -> Any:
    return sopnb.Database(Lease.over(cluster.open(progress=False)))


@pytest.fixture
def browser(mine: Any) -> Browser:
    return Browser(mine)
