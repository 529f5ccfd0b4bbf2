"""A jump to any place of a large store reads few leaves and branches: so many as its layers are high, not as it is long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.access.reading import Indexed
from tests import nodes
from tests.api_support import QUIET, SMALL
from tests.view.support import Browser

N = 6_000
SIZE = 10
ORDERS = [{"order": ""}, {"order": "", "reverse": True}, {"order": "by_v"}, {"order": "by_v", "reverse": True}]


@pytest.fixture(scope="module")
def db() -> Iterator[Any]:
    """A store of several layers: a base that is high, runs with changes and new records all over, and a tail."""
    draw = np.random.default_rng(7)
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        many = db.load("many", pd.DataFrame({"k": range(0, 2 * N, 2), "v": draw.integers(0, N, N)}), index="k")
        many.create_index("by_v", IndexSpecification.of("v", unique=False))
        for _ in range(4):
            many.upsert(pd.DataFrame({"k": draw.choice(2 * N, 60, replace=False), "v": draw.integers(N)}))
        for k in draw.choice(2 * N, 5, replace=False):
            many.upsert({"k": int(k), "v": -1})
        yield db
        assert db.check().ok


class Used:
    """What a message uses, and what it may use."""

    def __init__(self, db: Any, order: str, *, edit: bool = True) -> None:
        self.browser, self.reader = Browser(db, edit=edit), db._lease.engine.reader
        found = self.browser.view._sight().reading("many", order)
        self.index = found.index if isinstance(found, Indexed) else found
        self.source = found.source if isinstance(found, Indexed) else None
        self.rows = self.index.rows
        self.peak = 0

    def most(self, *, fetching: bool = True, within: bool = False) -> tuple[int, int]:
        leaves, branches = nodes.bound(self.index, SIZE, within=within)
        more = nodes.fetched(self.source, SIZE) if self.source is not None and fetching else (0, 0)
        return leaves + more[0], branches + more[1]

    def ask(self, most: tuple[int, int], op: str, **args: Any) -> Any:
        leaves, branches = self.reader.leaves, self.reader.branches
        told = self.browser.ask(op, **args)
        used = self.reader.leaves - leaves, self.reader.branches - branches
        assert used[0] <= most[0]
        assert used[1] <= most[1]
        self.peak = max(self.peak, used[0])
        return told


def test_the_bound_says_something(db: Any) -> None:
    for order in ("", "by_v"):
        used = Used(db, order)
        assert nodes.height(used.index) >= 3
        assert len(used.index.layers) >= 5
        leaves = sum(tree.ref.leaves for tree in used.index.layers if hasattr(tree, "ref"))
        assert used.most(fetching=False)[0] < leaves / 5


@pytest.mark.parametrize("query", ORDERS)
def test_a_jump_by_position_stays_within_the_bound(db: Any, query: Any) -> None:
    used = Used(db, query["order"])
    most = used.most()
    places = np.random.default_rng(8).integers(0, used.rows, 40).tolist()
    for start in (0, used.rows - SIZE, used.rows - 1, *places):
        page = used.ask(most, "page", query={"store": "many", **query}, start=start, size=SIZE)
        assert len(page["rows"]) == min(SIZE, used.rows - start)
    assert used.peak > most[0] / 5


@pytest.mark.parametrize("query", ORDERS)
def test_a_jump_to_a_key_stays_within_the_bound(db: Any, query: Any) -> None:
    used = Used(db, query["order"])
    most = used.most(within=True)
    for key in range(-1, 2 * N + 2, N // 25):
        found = used.ask(most, "seek", query={"store": "many", **query}, key=[str(key)])
        assert 0 <= found["position"] < used.rows


def test_a_page_of_a_prefix_stays_within_the_bound(db: Any) -> None:
    used = Used(db, "by_v")
    most = used.most(within=True)
    values = [row["cells"]["v"] for row in used.browser.rows("many", 2000, 40, order="by_v")]
    for v in values:
        used.ask(most, "page", query={"store": "many", "order": "by_v", "prefix": [v]}, start=0, size=SIZE)


def test_what_an_index_has_is_read_from_it_alone_where_nothing_is_edited(db: Any) -> None:
    query = {"store": "many", "order": "by_v", "columns": ["v", "k"]}
    alone, both = Used(db, "by_v", edit=False), Used(db, "by_v")
    for start in np.random.default_rng(9).integers(0, alone.rows, 20).tolist():
        page = alone.ask(alone.most(fetching=False), "page", query=query, start=start, size=SIZE)
        edited = both.ask(both.most(), "page", query=query, start=start, size=SIZE)
        assert [row["cells"] for row in page["rows"]] == [row["cells"] for row in edited["rows"]]
        assert [row["key"] for row in page["rows"]] == [row["key"] for row in edited["rows"]]
        assert {row["seq"] for row in page["rows"]} == {0}
        assert 0 not in {row["seq"] for row in edited["rows"]}
