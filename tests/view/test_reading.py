"""What a view shows: the tree, columns, pages in every order, places of keys, counts, and what selections fix."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import sopnb
from sopnb import DatabaseSettings, IndexSpecification
from sopnb.errors import InvalidInput, InvalidState, Timeout
from sopnb.view import View
from tests.api_support import QUIET, SMALL
from tests.view.support import Browser

PORTS = ["ATL", "BOS", "IAH", "JFK"]


def frame(n: int = 100) -> pd.DataFrame:
    at = pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(range(n), unit="h")
    return pd.DataFrame({"at": at, "flight": range(n), "dest": [PORTS[i % 4] for i in range(n)], "delay": [float(i % 7) for i in range(n)]})


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        flights = db.load("flights", frame(), index=["at", "flight"])
        flights.create_index("by_dest", ["dest", "-delay"])
        db.create("notes", schema={"author": "string", "written": "timestamp[us, UTC]"}, index=["author", "-written"])
        yield db
        assert db.check().ok


def flights(page: Any) -> list[int]:
    return [int(row["cells"]["flight"]) for row in page]


def test_the_tree_tells_of_every_store(db: Any) -> None:
    told = Browser(db).ask("open")
    assert told["title"] == ":memory:"
    assert told["store"] == "flights"
    assert told["edit"] is True
    assert told["fixed"] is False
    assert told["seq"] == db.seq
    first, second = told["stores"]
    assert (first["name"], first["rows"], first["index"], first["unique"]) == ("flights", 100, "at, flight", True)
    assert first["indexes"] == [{"name": "by_dest", "index": "dest, -delay", "unique": False}]
    assert first["bytes"] > 0
    assert datetime.fromisoformat(first["changed"]).tzinfo is not None
    assert (second["name"], second["rows"], second["index"]) == ("notes", 0, "author, -written")
    assert {k: told[k] for k in ("seq", "stores")} == Browser(db).ask("tree")


def test_columns_and_orders_are_told(db: Any) -> None:
    told = Browser(db).ask("schema", store="flights")
    assert told["rows"] == 100
    at, flight, dest, delay = told["columns"]
    assert at == {
        "name": "at", "label": "at", "type": "timestamp[us, tz=UTC]", "kind": "timestamp", "nullable": True, "key": 1,
        "descending": False, "computed": False, "editable": False, "categories": None, "zone": "UTC",
    }  # fmt: skip
    assert (flight["kind"], flight["key"], flight["editable"]) == ("int", 2, False)
    assert (dest["kind"], dest["key"], dest["editable"]) == ("text", 0, True)
    assert delay["kind"] == "float"
    own, by_dest = told["orders"]
    assert (own["name"], own["unique"]) == ("", True)
    assert own["fields"] == [
        {"name": "at", "descending": False, "kind": "timestamp"},
        {"name": "flight", "descending": False, "kind": "int"},
    ]
    assert (by_dest["name"], by_dest["unique"]) == ("by_dest", False)
    assert [(f["name"], f["descending"], f["kind"]) for f in by_dest["fields"]] == [("dest", False, "text"), ("delay", True, "float")]
    assert Browser(db).ask("schema", store="notes")["columns"][1]["descending"] is True


def test_types_have_their_kinds_and_categories(db: Any) -> None:
    columns = pa.schema(
        [
            pa.field("k", pa.decimal128(10, 2), nullable=False),
            pa.field("c", pa.dictionary(pa.int8(), pa.string())),
            pa.field("l", pa.list_(pa.int64())),
            pa.field("d", pa.date32()),
        ]
    )
    table = pa.table(
        {"k": pa.array([1], pa.decimal128(10, 2)), "c": pa.array(["a"]).dictionary_encode().cast(columns.field("c").type),
         "l": pa.array([[1]], pa.list_(pa.int64())), "d": pa.array([0], pa.date32())}, schema=columns,
    )  # fmt: skip
    db.load("kinds", table, index="k")
    told = {column["name"]: column for column in Browser(db).ask("schema", store="kinds")["columns"]}
    assert [told[name]["kind"] for name in "kcld"] == ["decimal", "category", "json", "date"]
    assert Browser(db).cells("kinds") == [{"k": "1.00", "c": "a", "l": "[1]", "d": "1970-01-01"}]


def test_one_request_gives_rows_and_the_total(db: Any) -> None:
    page = Browser(db).ask("page", query={"store": "flights"}, start=95, size=10)
    assert (page["start"], page["total"], page["exact"], page["seq"]) == (95, 100, True, db.seq)
    assert page["columns"] == ["at", "flight", "dest", "delay"]
    assert [row["cells"][1] for row in page["rows"]] == ["95", "96", "97", "98", "99"]
    assert page["rows"][0] == {
        "key": page["rows"][0]["key"], "seq": 1, "cells": ["2013-01-04T23:00:00+00:00", "95", "JFK", 4.0], "state": "", "edited": [],
    }  # fmt: skip
    assert Browser(db).ask("page", query={"store": "flights"}, start=1000, size=10)["rows"] == []


def test_every_order_is_shown_both_ways(db: Any) -> None:
    store, browser = db["flights"], Browser(db)
    for order, selection in (("", store[:]), ("by_dest", store.by("by_dest"))):
        for reverse in (False, True):
            wanted = [record["flight"] for record in (selection.reverse() if reverse else selection).records()]
            assert flights(browser.rows("flights", order=order, reverse=reverse)) == wanted
            assert flights(browser.rows("flights", 30, 7, order=order, reverse=reverse)) == wanted[30:37]


def test_leading_fields_and_pieces_of_text_narrow_the_keys(db: Any) -> None:
    browser, store = Browser(db), db["flights"]
    found = browser.ask("page", query={"store": "flights", "order": "by_dest", "prefix": ["IAH"]}, start=0, size=5)
    assert found["total"] == 25
    assert found["exact"] is True
    assert flights(browser.rows("flights", order="by_dest", prefix=["IAH", 3.0])) == [
        r["flight"] for r in store.by("by_dest").prefix("IAH", 3.0).records()
    ]
    assert browser.ask("page", query={"store": "flights", "order": "by_dest", "startswith": "B"}, start=0, size=5)["total"] == 25
    assert flights(browser.rows("flights", prefix=["2013-01-01T05:00:00Z"])) == [5]
    assert browser.refused("page", "invalid", query={"store": "flights", "prefix": ["soon"]}, start=0, size=5)["column"] == "at"
    browser.refused("page", "invalid", query={"store": "flights", "startswith": "B"}, start=0, size=5)
    browser.refused("page", "invalid", query={"store": "flights", "prefix": [None] * 9}, start=0, size=5)


def test_conditions_are_counted_and_their_errors_told(db: Any) -> None:
    browser = Browser(db)
    found = browser.ask("page", query={"store": "flights", "where": "dest == 'IAH' && delay > 3.0"}, start=2, size=3)
    wanted = [i for i in range(100) if i % 4 == 2 and i % 7 > 3]
    assert (found["total"], found["exact"]) == (len(wanted), True)
    assert [int(row["cells"][1]) for row in found["rows"]] == wanted[2:5]
    assert "nowhere" in browser.refused("page", "invalid", query={"store": "flights", "where": "nowhere == 1"}, start=0, size=5)["message"]
    browser.refused("page", "invalid", query={"store": "flights", "where": "dest =="}, start=0, size=5)
    browser.refused("page", "invalid", query={"store": "flights", "where": "dest + 'a'"}, start=0, size=5)
    assert browser.ask("count", query={"store": "flights", "where": "delay == 0.0"})["total"] == 15


def test_many_that_pass_are_counted_so_far_only() -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("many", pd.DataFrame({"k": range(25_000)}), index="k")
        browser, query = Browser(db), {"store": "many", "where": "k >= 0"}
        page = browser.ask("page", query=query, start=0, size=10)
        assert (page["total"], page["exact"]) == (10_000, False)
        page = browser.ask("page", query=query, start=12_000, size=10)
        assert [row["cells"][0] for row in page["rows"]] == [str(k) for k in range(12_000, 12_010)]
        assert (page["total"], page["exact"]) == (12_010, False)
        page = browser.ask("page", query=query, start=24_990, size=100)
        assert (page["total"], page["exact"], len(page["rows"])) == (25_000, True, 10)
        assert browser.ask("page", query=query, start=0, size=10)["total"] == 25_000
        assert browser.ask("count", query=query) == {"total": 25_000, "exact": True, "seq": db.seq}


def test_columns_are_chosen_and_ordered(db: Any) -> None:
    browser = Browser(db)
    page = browser.ask("page", query={"store": "flights", "columns": ["delay", "_seq", "dest"]}, start=0, size=1)
    assert page["columns"] == ["delay", "_seq", "dest"]
    assert page["rows"][0]["cells"] == [0.0, "1", "ATL"]
    assert browser.refused("page", "invalid", query={"store": "flights", "columns": ["gone"]}, start=0, size=1)["column"] == "gone"


def test_a_key_is_found_or_the_next_one_is(db: Any) -> None:
    browser = Browser(db)

    def seek(key: list[Any], **query: Any) -> tuple[int, bool]:
        found = browser.ask("seek", query={"store": "flights", **query}, key=key)
        return found["position"], found["found"]

    assert seek(["2013-01-02 00:00"]) == (24, True)
    assert seek(["2013-01-02 00:00", "24"]) == (24, True)
    assert seek(["2013-01-02 00:00", "25"]) == (25, False)
    assert seek(["2013-01-02 00:30"]) == (25, False)
    assert seek(["2013-01-02 00:30"], reverse=True) == (75, False)
    assert seek(["2013-01-02 00:00"], reverse=True) == (75, True)
    assert seek(["2012-01-01"]) == (0, False)
    assert seek(["2014-01-01"]) == (99, False)
    assert seek([]) == (0, True)
    assert seek(["IAH"], order="by_dest") == (50, True)
    assert seek(["IAH"], order="by_dest", reverse=True) == (25, True)
    assert seek(["IAI"], order="by_dest") == (75, False)
    assert seek(["BOS", 3.5], order="by_dest", prefix=["BOS"])[1] is False
    assert seek(["2013-01-01 06:00"], where="dest == 'IAH'") == (1, True)
    assert seek(["2013-01-01 07:00"], where="dest == 'IAH'") == (2, False)


def test_where_a_key_stands_is_where_the_page_shows_it(db: Any) -> None:
    browser = Browser(db)
    for order, names in (("", ["at", "flight"]), ("by_dest", ["dest", "delay"])):
        for reverse in (False, True):
            rows = browser.rows("flights", order=order, reverse=reverse)
            keys = [[row["cells"][name] for name in names] for row in rows]
            for key in keys[::9]:
                found = browser.ask("seek", query={"store": "flights", "order": order, "reverse": reverse}, key=key)
                assert found == {"position": keys.index(key), "found": True, "seq": db.seq}


def test_a_store_is_shown_alone(db: Any) -> None:
    browser = Browser(db["notes"])
    assert [store["name"] for store in browser.ask("open")["stores"]] == ["notes"]
    browser.refused("page", "missing", query={"store": "flights"}, start=0, size=1)
    browser.refused("schema", "missing", store="flights")
    assert browser.ask("schema")["orders"][0]["name"] == ""


def test_a_selection_fixes_keys_condition_columns_and_direction(db: Any) -> None:
    chosen = db["flights"].range("2013-01-01 10:00", "2013-01-02").where("dest == 'IAH'").select("flight", "dest").reverse()
    browser = Browser(chosen)
    told = browser.ask("open")
    assert told["fixed"] is True
    assert [order["name"] for order in browser.ask("schema", store="flights")["orders"]] == [""]
    assert browser.cells("flights") == [{"flight": str(i), "dest": "IAH"} for i in (22, 18, 14, 10)]
    assert browser.cells("flights", reverse=True)[0]["flight"] == "10"
    assert browser.cells("flights", where="flight > 15") == [{"flight": str(i), "dest": "IAH"} for i in (22, 18)]
    browser.refused("page", "invalid", query={"store": "flights", "order": "by_dest"}, start=0, size=1)
    by_dest = Browser(db["flights"].by("by_dest").prefix("IAH"))
    assert by_dest.ask("open")["order"] == ""
    (order,) = by_dest.ask("schema", store="flights")["orders"]
    assert (order["name"], [field["name"] for field in order["fields"]]) == ("", ["dest", "delay"])
    assert by_dest.cells("flights") == by_dest.cells("flights", order="by_dest")
    assert Browser(db["flights"].by("by_dest")).ask("open")["order"] == "by_dest"
    assert by_dest.ask("page", query={"store": "flights", "order": "by_dest"}, start=0, size=1)["total"] == 25


def test_a_condition_holds_in_every_order(db: Any) -> None:
    browser = Browser(db["flights"].where("at < '2013-01-01T12:00:00Z' && delay >= 2.0"))
    wanted = [i for i in range(12) if i % 7 >= 2]
    assert flights(browser.rows("flights")) == wanted
    assert sorted(flights(browser.rows("flights", order="by_dest"))) == wanted


def test_the_past_is_shown_and_not_edited(db: Any) -> None:
    with db.at(1) as old:
        browser = Browser(old, edit=True)
        db["flights"].delete(db["flights"].first().key)
        assert browser.ask("open")["edit"] is False
        assert browser.ask("page", query={"store": "flights"}, start=0, size=1)["total"] == 100
        assert Browser(old["flights"]).ask("page", query={"store": "flights"}, start=0, size=1)["total"] == 100
        browser.refused("commit", "locked", message="")
    assert Browser(db).ask("page", query={"store": "flights"}, start=0, size=1)["total"] == 99


def test_expression_keys_are_hidden_columns(db: Any) -> None:
    store = db.create("names", schema={"name": "string", "n": "int64"}, index=IndexSpecification.of("cel: size(name)", "n"))
    store.insert([{"name": "aaa", "n": 1}, {"name": "b", "n": 2}, {"name": "cc", "n": 3}])
    browser = Browser(db)
    told = browser.ask("schema", store="names")
    assert [(c["name"], c["computed"], c["editable"], c["key"]) for c in told["columns"]] == [
        ("name", False, False, 0), ("n", False, False, 2), ("cel: size(name)", True, False, 1),
    ]  # fmt: skip
    assert browser.cells("names") == [{"name": "b", "n": "2"}, {"name": "cc", "n": "3"}, {"name": "aaa", "n": "1"}]
    assert browser.cells("names", prefix=["2"]) == [{"name": "cc", "n": "3"}]
    assert browser.cells("names", columns=["cel: size(name)"])[0] == {"cel: size(name)": "1"}
    assert browser.ask("seek", query={"store": "names"}, key=["3"]) == {"position": 2, "found": True, "seq": db.seq}


def test_polls_tell_what_changed(db: Any) -> None:
    browser = Browser(db)
    seq = browser.ask("open")["seq"]
    assert browser.ask("poll", seq=seq) == {"seq": seq, "stores": [], "pending": 0}
    assert browser.view.changed_since(seq) is None
    db["notes"].insert({"author": "ada", "written": datetime(2013, 1, 1, tzinfo=UTC)})
    assert browser.ask("poll", seq=seq) == {"seq": seq + 1, "stores": ["notes"], "pending": 0}
    assert browser.view.changed_since(seq) == {"event": "changed", "seq": seq + 1, "stores": ["notes"]}
    assert browser.view.changed_since(seq, 0.001) == {"event": "changed", "seq": seq + 1, "stores": ["notes"]}
    db.drop("notes")
    assert browser.ask("poll", seq=seq + 1) == {"seq": seq + 2, "stores": ["notes"], "pending": 0}
    assert browser.ask("watch", on=True) == {"watching": True}
    assert browser.view.watching


def test_what_cannot_be_looked_at_is_refused(db: Any) -> None:
    with pytest.raises(InvalidInput, match="DataFrame"):
        View(pd.DataFrame())
    with db.transaction() as tx, pytest.raises(InvalidState, match="transaction"):
        View(tx["flights"])


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    db = sopnb.open(tmp_path / "db", handle=QUIET)
    db.create("s", schema={"k": "int64"}, index="k")
    browser = Browser(db)
    db.close()
    for op, args in (("open", {}), ("page", {"query": {"store": "s"}, "start": 0, "size": 1}), ("poll", {"seq": 0})):
        browser.refused(op, "closed", **args)


def test_a_database_to_read_is_not_edited(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "db", handle=QUIET) as db:
        db.create("s", schema={"k": "int64"}, index="k")
    with sopnb.open(tmp_path / "db", mode="r", handle=QUIET) as db:
        browser = Browser(db, edit=True)
        assert browser.ask("open")["edit"] is False
        browser.refused("insert", "locked", store="s", record={"k": "1"})


def test_labels_that_are_no_text_are_told(db: Any) -> None:
    odd = pd.DataFrame({("delay", "mean"): [1.5], ("key", ""): [1], ("delay", 7): [2]})
    db.load("odd", odd, index=[("key", "")])
    told = Browser(db).ask("schema", store="odd")["columns"]
    assert [(column["name"], column["label"]) for column in told] == [
        ("delay_mean", "delay · mean"),
        ("key", "key"),
        ("delay_7", "delay · 7"),
    ]


def test_many_threads_ask_at_once(db: Any) -> None:
    browser, store = Browser(db), db["flights"]
    before = browser.cells("flights")
    row = browser.row("flights", flight="50")

    def ask(n: int) -> list[Any]:
        told = []
        for i in range(10):
            told.append(browser.view.handle({"id": n, "op": "page", "args": {"query": {"store": "flights"}, "start": 0, "size": 1000}}))
            told.append(browser.view.handle({"id": n, "op": "edit", "args": {"store": "flights", "key": row["key"], "seq": row["seq"],
                                                                              "column": "dest", "value": f"{n} {i}"}}))  # fmt: skip
            if n == 0:
                store.upsert({"at": pd.Timestamp("2014-01-01", tz="UTC"), "flight": i, "dest": "NEW", "delay": 0.0})
        return told

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for told in pool.map(ask, range(8)) for answer in told]
    assert all("ok" in answer for answer in answers)
    pages = [answer["ok"] for answer in answers if "total" in answer["ok"]]
    assert {page["total"] - len(page["rows"]) for page in pages} == {0}
    assert [cells for cells in browser.cells("flights")[:100] if cells["flight"] != "50"] == [c for c in before if c["flight"] != "50"]
    assert browser.ask("commit", message="")["counts"]["updated"] == 1


def test_what_waits_for_another_request_too_long_is_told_so(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(db)
    monkeypatch.setattr("sopnb.view.view.PATIENCE", 0.01)
    with ThreadPoolExecutor(1) as pool, browser.view._alone():
        answer = pool.submit(browser.view.handle, {"id": 1, "op": "tree"}).result()
        with pytest.raises(Timeout, match="another request of this view"):
            pool.submit(browser.view.close).result()
    assert answer["error"]["code"] == "busy"
    browser.view.close()


@pytest.mark.parametrize("order", ["", "by_dest"])
@pytest.mark.parametrize("reverse", [False, True])
def test_pages_of_what_passes_come_in_any_sequence(db: Any, order: str, reverse: bool) -> None:
    browser = Browser(db)
    query = {"store": "flights", "order": order, "reverse": reverse, "where": "delay > 1.0 && dest != 'JFK'"}
    rows = [row for row in browser.cells("flights", order=order, reverse=reverse) if row["delay"] > 1.0 and row["dest"] != "JFK"]

    def check(start: int, size: int) -> None:
        page = browser.ask("page", query=query, start=start, size=size)
        assert [dict(zip(page["columns"], row["cells"], strict=True)) for row in page["rows"]] == rows[start : start + size]
        assert (page["total"], page["exact"]) == (len(rows), True)

    for start, size in ((30, 5), (0, 7), (12, 12), (50, 10), (100, 5), (7, 1), (33, 40), (0, 100)):
        check(start, size)
    row = next(row for row in browser.rows("flights") if row["cells"] == rows[3])
    browser.edit("flights", row, "delay", 0.0)
    del rows[3]
    for start, size in ((20, 5), (0, 7), (3, 3)):
        check(start, size)
    db["flights"].delete([(pd.Timestamp(rows[5]["at"]), int(rows[5]["flight"]))])
    del rows[5]
    for start, size in ((5, 5), (40, 7), (0, 3)):
        check(start, size)


def test_a_page_far_down_begins_where_a_page_before_it_was() -> None:
    with sopnb.open(":memory:", settings=DatabaseSettings(leaf_rows=16), handle=QUIET) as db:
        db.load("many", pd.DataFrame({"k": range(30_000)}), index="k")
        browser, reader = Browser(db), db._lease.engine.reader
        query = {"store": "many", "where": "k % 2 == 0"}

        def leaves(start: int) -> int:
            before = reader.counters[0]
            page = browser.ask("page", query=query, start=start, size=10)
            assert [row["cells"][0] for row in page["rows"]] == [str(2 * k) for k in range(start, start + 10)]
            return int(reader.counters[0] - before)

        assert leaves(14_000) > 1_500
        assert leaves(14_010) < 800
