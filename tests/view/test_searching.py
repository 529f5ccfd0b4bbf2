"""Conditions over more records than one request looks at: what is found so far, going on, and other questions meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb import DatabaseSettings
from sopnb.access.filter import Filter
from sopnb.view import View, passing
from tests.api_support import QUIET
from tests.view.support import Browser

N = 1_200
FEW = {"store": "many", "where": "v == 7"}


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=DatabaseSettings(leaf_rows=16, inline_rows=3), handle=QUIET) as db:
        many = db.load("many", pd.DataFrame({"k": range(N), "v": [k * 7919 % 100 for k in range(N)]}), index="k")
        many.create_index("by_v", ["-v"])
        many.upsert(pd.DataFrame({"k": range(0, N, 50), "v": 7}))
        many.delete(list(range(7, N, 400)))
        db.load("other", pd.DataFrame({"k": [1]}), index="k")
        yield db
        assert db.check().ok


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request looks at more than one part of the records."""
    monkeypatch.setattr(passing, "PATIENCE", -1.0)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("kept", [20_000, 8])
@pytest.mark.parametrize(("order", "reverse"), [("", False), ("", True), ("by_v", False), ("by_v", True)])
def test_what_is_found_bit_by_bit_is_what_passes(db: Any, order: str, reverse: bool, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "KEPT", kept)
    browser, query = Browser(db), {"store": "many", "order": order, "reverse": reverse}
    rows = [row for start in range(0, N, 1000) for row in browser.rows("many", start, order=order, reverse=reverse)]
    for least in (95, 40, 200):
        wanted = [int(row["cells"]["k"]) for row in rows if int(row["cells"]["v"]) > least]
        query["where"] = f"v > {least}"
        for start, size in ((20, 7), (0, 10), (len(wanted) // 2, 9), (len(wanted), 5), (len(wanted) - 3, 9), (3, 1)):
            page = browser.ask("page", query=query, start=max(start, 0), size=size)
            assert [int(row["cells"][page["columns"].index("k")]) for row in page["rows"]] == wanted[max(start, 0) :][:size]
        assert browser.ask("count", query=query) == {"total": len(wanted), "exact": True, "seq": db.seq}
        for k in wanted[:: len(wanted) // 7 + 1]:
            v = int(db["many"][k]["v"])
            found = browser.ask("seek", query=query, key=[str(v), str(k)] if order else [str(k)])
            assert (found["position"], found["found"]) == (wanted.index(k), True)
        assert browser.ask("seek", query=query, key=["-1"])["found"] is False


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("op", "args"), [("page", {"start": 10, "size": 5}), ("count", {}), ("seek", {"key": ["1199"]})])
def test_a_request_looks_at_little_and_tells_how_far_it_came(db: Any, op: str, args: Any) -> None:
    browser, reader, shares, most = Browser(db), db._lease.engine.reader, [], 0
    while True:
        before = reader.leaves
        told = browser.answer(op, query=FEW, **args)["ok"]
        most = max(most, reader.leaves - before)
        if told["searched"] is None:
            break
        assert told.get("exact") in (False, None)
        shares.append(told["searched"])
    assert most <= 40
    assert len(shares) > 5
    assert shares == sorted(set(shares))
    assert 0 < shares[0] < shares[-1] <= 1


@pytest.mark.usefixtures("hurried")
def test_what_is_found_so_far_is_shown_meanwhile(db: Any) -> None:
    browser = Browser(db)
    first = browser.answer("page", query=FEW, start=0, size=5)["ok"]
    assert (len(first["rows"]), first["total"], first["exact"]) == (1, 1, False)
    assert first["searched"] > 0
    page = browser.ask("page", query=FEW, start=0, size=5)
    assert page["rows"][0] == first["rows"][0]
    assert len(page["rows"]) == 5


@pytest.mark.usefixtures("hurried")
def test_another_question_is_answered_and_the_one_before_waits(db: Any) -> None:
    browser, reader = Browser(db), db._lease.engine.reader
    nothing = {"store": "many", "where": "v == 1000 || k < 0"}
    share = browser.answer("page", query=nothing, start=0, size=5)["ok"]["searched"]
    before = reader.leaves
    page = browser.answer("page", query={"store": "many"}, start=600, size=10)["ok"]
    assert [int(row["cells"][0]) for row in page["rows"]] == db["many"][:].rows(600, 610)["k"].tolist()
    assert reader.leaves - before <= 40
    assert browser.answer("page", query=nothing, start=0, size=5)["ok"]["searched"] > share
    assert browser.ask("count", query=nothing)["total"] == 0


class Ticking:
    """A clock that goes on by a tenth of a second whenever it is looked at."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 0.1
        return self._now


def test_a_search_ends_where_others_commit_all_the_while(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticking()
    monkeypatch.setattr(View, "_clock", clock)
    monkeypatch.setattr(passing, "PATIENCE", 0.3)
    browser = Browser(db)
    asked = 0
    while browser.answer("count", query=FEW)["ok"]["searched"] is not None:
        db["many"].update(1, {"v": 1000 + asked})
        asked += 1
        assert asked < 20
    assert asked > 2


@pytest.mark.usefixtures("hurried")
def test_commits_to_other_stores_do_not_begin_a_search_anew(db: Any) -> None:
    browser = Browser(db)
    share = 0.0
    for n in range(4):
        further = browser.answer("count", query=FEW)["ok"]["searched"]
        assert further > share
        share = further
        db["other"].upsert({"k": n})
    db["many"].upsert({"k": -1, "v": 7})
    assert browser.answer("count", query=FEW)["ok"]["searched"] < share


def test_an_interrupted_search_counts_nothing_twice(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, mask, left = Browser(db), Filter.mask, [3]

    def interrupted(*args: Any, **how: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return mask(*args, **how)

    monkeypatch.setattr(Filter, "mask", interrupted)
    browser.refused("count", "busy", query=FEW)
    assert left == [0]
    assert browser.ask("count", query=FEW)["total"] == db["many"].where("v == 7").count()
    assert len(browser.ask("page", query=FEW, start=0, size=1000)["rows"]) == db["many"].where("v == 7").count()
