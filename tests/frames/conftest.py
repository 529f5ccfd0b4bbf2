"""A small database; tests of polars are left out where polars is, which is optional."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

import sopnb
from tests.api_support import QUIET, SMALL

collect_ignore_glob = [] if find_spec("polars") else ["test_polars*.py"]


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        yield db
        assert db.check().ok
