"""What others commit while edits wait is never overwritten unseen, and never in the way of what it does not touch."""

from __future__ import annotations

from typing import Any

import pytest

from sopnb.access.attempt import attempt
from sopnb.engine import work
from sopnb.engine.mirror import mirror
from sopnb.engine.storework import StoreWork
from sopnb.view import pending
from tests.view.support import Browser, changes, kept, record


def test_a_stale_edit_is_refused_and_shows_both_values(browser: Browser, theirs: Any) -> None:
    row = browser.row("s", k="3")
    seq = theirs.update(3, {"name": "theirs"}).seq
    error = browser.refused("edit", "stale", store="s", key=row["key"], seq=row["seq"], column="name", value="mine")
    assert (error["mine"], error["theirs"], error["seq"], error["column"], error["gone"]) == ("mine", "theirs", seq, "name", False)
    assert changes(browser) == []
    assert theirs[3]["name"] == "theirs"
    assert browser.edit("s", {**row, "seq": seq}, "name", "mine")["pending"] == 1
    theirs.delete(4)
    gone = browser.refused("edit", "stale", store="s", key="gAAAAAAAAAQ=", seq=row["seq"], column="name", value="mine")
    assert (gone["gone"], gone["theirs"], gone["seq"]) == (True, None, 0)


def test_pending_edits_stay_when_others_commit_elsewhere(browser: Browser, theirs: Any) -> None:
    row = browser.row("s", k="3")
    browser.edit("s", row, "name", "mine")
    theirs.insert(record(-1))
    theirs.update(4, {"name": "theirs"})
    theirs.delete(9)
    rows = browser.rows("s")
    assert [r["cells"]["k"] for r in rows] == ["-1", "0", "1", "2", "3", "4", "5", "6", "7", "8"]
    assert [(r["cells"]["name"], r["state"]) for r in rows[4:6]] == [("mine", "edited"), ("theirs", "")]
    browser.ask("commit", message="")
    assert kept(theirs)[3] == ("mine", 0)
    assert kept(theirs)[4] == ("theirs", 1)


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_a_change_whose_record_others_changed_is_resolved(browser: Browser, theirs: Any, keep: str) -> None:
    row = browser.row("s", k="3")
    browser.edit("s", row, "name", "mine")
    seq = theirs.update(3, {"name": "theirs", "n": 5}).seq
    (change,) = changes(browser)
    assert change["state"] == "stale"
    assert change["cells"] == [{"column": "name", "old": "name3", "new": "mine"}]
    assert (change["stale"]["theirs"]["name"], change["stale"]["theirs"]["n"], change["stale"]["seq"]) == ("theirs", "5", seq)
    shown = browser.row("s", k="3")
    assert (shown["state"], shown["cells"]["name"], shown["seq"]) == ("stale", "theirs", seq)
    assert browser.refused("commit", "stale", message="")["changes"] == [change["id"]]
    browser.refused("edit", "stale", store="s", key=row["key"], seq=seq, column="name", value="other")
    browser.refused("delete", "stale", store="s", rows=[{"key": row["key"], "seq": seq}])
    assert browser.ask("resolve", change=change["id"], keep=keep)["pending"] == int(keep == "mine")
    told = [{"column": "name", "old": "theirs", "new": "mine"}] if keep == "mine" else []
    assert [cell for change in changes(browser) for cell in change["cells"]] == told
    browser.ask("commit", message="")
    assert kept(theirs)[3] == (keep, 5)


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_a_change_whose_record_others_deleted_is_resolved(browser: Browser, theirs: Any, keep: str) -> None:
    row = browser.row("s", k="3")
    browser.edit("s", row, "name", "mine")
    theirs.delete(3)
    (change,) = changes(browser)
    assert change["stale"]["theirs"] is None
    assert len(browser.rows("s")) == 9
    browser.ask("resolve", change=change["id"], keep=keep)
    assert [c["kind"] for c in changes(browser)] == (["insert"] if keep == "mine" else [])
    browser.ask("commit", message="")
    assert kept(theirs).get(3) == (("mine", 0) if keep == "mine" else None)


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_a_new_record_that_others_added_too_is_resolved(browser: Browser, theirs: Any, keep: str) -> None:
    browser.ask("insert", store="s", record={"k": "50", "name": "mine", "must": "m"})
    theirs.insert(record(50, "theirs", 5))
    (change,) = changes(browser)
    assert (change["state"], change["stale"]["theirs"]["name"]) == ("stale", "theirs")
    assert browser.row("s", k="50")["cells"]["name"] == "theirs"
    browser.ask("resolve", change=change["id"], keep=keep)
    browser.ask("commit", message="")
    assert kept(theirs)[50] == (("mine", None) if keep == "mine" else ("theirs", 5))


@pytest.mark.parametrize("keep", ["mine", "theirs"])
def test_a_deletion_of_what_others_changed_is_resolved(browser: Browser, theirs: Any, keep: str) -> None:
    row = browser.row("s", k="3")
    browser.ask("delete", store="s", rows=[{"key": row["key"], "seq": row["seq"]}])
    theirs.update(3, {"name": "theirs"})
    (change,) = changes(browser)
    assert (change["kind"], change["state"]) == ("delete", "stale")
    assert browser.row("s", k="3")["state"] == "stale"
    browser.ask("resolve", change=change["id"], keep=keep)
    browser.ask("commit", message="")
    assert (3 in theirs) == (keep == "theirs")


def test_a_deletion_of_what_others_deleted_is_done(browser: Browser, theirs: Any) -> None:
    row = browser.row("s", k="3")
    browser.ask("delete", store="s", rows=[{"key": row["key"], "seq": row["seq"]}])
    theirs.delete(3)
    assert changes(browser) == []
    assert browser.ask("delete", store="s", rows=[{"key": row["key"], "seq": row["seq"]}]) == {"pending": 0, "deleted": 0}


def test_rows_that_others_changed_are_not_deleted_and_neither_are_the_others(browser: Browser, theirs: Any) -> None:
    rows = browser.rows("s")[2:5]
    theirs.update(4, {"name": "theirs"})
    error = browser.refused("delete", "stale", store="s", rows=[{"key": r["key"], "seq": r["seq"]} for r in rows])
    assert (error["key"], error["theirs"]["name"]) == (rows[2]["key"], "theirs")
    assert changes(browser) == []


def test_two_browsers_that_edit_a_row_the_second_is_told(browser: Browser, theirs: Any) -> None:
    other = Browser(theirs)
    row, same = browser.row("s", k="3"), other.row("s", k="3")
    browser.edit("s", row, "name", "first")
    other.edit("s", same, "name", "second")
    seq = browser.ask("commit", message="")["seq"]
    assert other.refused("commit", "stale", message="")["changes"] == [1]
    assert other.ask("pending")["changes"][0]["stale"]["seq"] == seq
    assert theirs[3]["name"] == "first"
    other.ask("resolve", change=1, keep="mine")
    other.ask("commit", message="")
    assert theirs[3]["name"] == "second"


def meanwhile(monkeypatch: pytest.MonkeyPatch, browser: Browser, act: Any) -> list[bool]:
    """Let others act once, after the commit of a view has begun to look; what is returned is empty when they have."""
    engine = browser.view._target.lease.engine
    begin, waiting = engine.begin, [True]

    def slow(mode: Any = "write", *args: Any) -> Any:
        work = begin(mode, *args)
        if mode == "write" and waiting:
            waiting.clear()
            act()
        return work

    monkeypatch.setattr(engine, "begin", slow)
    return waiting


def test_a_commit_between_the_look_and_the_write_is_seen(browser: Browser, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.edit("s", browser.row("s", k="3"), "name", "mine")
    waiting = meanwhile(monkeypatch, browser, lambda: theirs.update(3, {"name": "theirs"}))
    browser.refused("commit", "stale", message="")
    assert not waiting
    assert kept(theirs)[3] == ("theirs", 0)
    assert changes(browser)[0]["state"] == "stale"


@pytest.mark.parametrize("name", ["mine", "other"])
def test_a_unique_index_is_heeded_between_the_look_and_the_write(
    browser: Browser, theirs: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    theirs.create_index("by_name", "name", unique=True)
    browser.edit("s", browser.row("s", k="3"), "name", "mine")
    waiting = meanwhile(monkeypatch, browser, lambda: theirs.insert(record(100, name)))
    if name == "mine":
        browser.refused("commit", "stale", message="")
        assert "by_name" in changes(browser)[0]["stale"]["reason"]
    else:
        browser.ask("commit", message="")
    assert not waiting
    assert kept(theirs)[3] == ("name3" if name == "mine" else "mine", 0)


def test_a_store_that_is_renamed_keeps_its_changes(browser: Browser, mine: Any, theirs: Any) -> None:
    browser.edit("s", browser.row("s", k="3"), "name", "mine")
    mine.rename("s", "t")
    assert browser.row("t", k="3")["state"] == "edited"
    assert [c["store"] for c in changes(browser)] == ["t"]
    browser.ask("commit", message="")
    assert mine["t"][3]["name"] == "mine"


def test_a_store_that_is_renamed_while_it_is_written_to_keeps_its_changes(
    browser: Browser, mine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.edit("s", browser.row("s", k="3"), "name", "mine")

    def late(*args: Any, **kwargs: Any) -> Any:
        mine.rename("s", "t")
        return attempt(*args, **kwargs)

    monkeypatch.setattr(pending, "attempt", late)
    browser.ask("commit", message="")
    assert mine["t"][3]["name"] == "mine"


def test_many_changes_that_others_made_impossible_are_found_together(
    browser: Browser, theirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs.create_index("by_name", "name", unique=True)
    text = "".join(f"{k}\tnew{k}\tm\n" for k in range(100, 160))
    browser.ask("paste", store="s", columns=["k", "name", "must"], text=text, mode="insert")
    mirrored: list[Any] = []
    monkeypatch.setattr(work, "mirror", lambda *args: (mirrored.append(args), mirror(*args)))
    theirs.insert([{"k": k + 500, "name": f"new{k}", "must": "m"} for k in range(110, 150)])
    told = {c["key"]: c["state"] for c in changes(browser)}
    assert told == {str(k): "stale" if 110 <= k < 150 else "" for k in range(100, 160)}
    assert len(mirrored) < 10


def test_a_store_that_is_dropped_or_altered_makes_its_changes_stale(browser: Browser, mine: Any) -> None:
    store = mine.create("t", schema={"k": "int64", "v": "string"}, index="k")
    store.insert({"k": 1, "v": "a"})
    browser.edit("t", browser.row("t", k="1"), "v", "b")
    with mine.unlock("more columns") as admin:
        admin.alter("t", add={"w": "int64"})
    (change,) = changes(browser)
    assert change["state"] == "stale"
    assert "altered" in change["stale"]["reason"]
    browser.refused("resolve", "conflict", change=change["id"], keep="mine")
    assert browser.row("t", k="1")["cells"] == {"k": "1", "v": "a", "w": None}
    mine.drop("t")
    browser.refused("commit", "stale", message="")
    assert browser.ask("resolve", change=change["id"], keep="theirs")["pending"] == 0


def test_no_transaction_is_held_while_nothing_waits(browser: Browser, mine: Any) -> None:
    engine, before = browser.view._target.lease.engine, mine.seq
    row = browser.row("s", k="3")
    browser.edit("s", row, "name", "mine")
    assert browser.view._pending._work is not None
    browser.ask("rollback")
    assert browser.view._pending._work is None
    browser.edit("s", row, "name", "mine")
    browser.ask("discard", change=changes(browser)[0]["id"])
    browser.ask("page", query={"store": "s"}, start=0, size=1)
    assert browser.view._pending._work is None
    assert (mine.seq, engine.info()["readers"]) == (before, [])
    assert browser.ask("commit", message="nothing") == {
        "seq": before, "counts": {"inserted": 0, "updated": 0, "deleted": 0}, "pending": 0,
    }  # fmt: skip


def test_a_view_that_shows_only_changes_nothing(mine: Any, theirs: Any) -> None:
    browser = Browser(mine, edit=False)
    row = browser.row("s", k="3")
    browser.refused("edit", "locked", store="s", key=row["key"], seq=row["seq"], column="name", value="x")
    browser.refused("insert", "locked", store="s", record={"k": "50", "must": "m"})
    browser.refused("delete", "locked", store="s", rows=[])
    browser.refused("paste", "locked", store="s", columns=["k"], text="1", mode="insert")
    browser.refused("commit", "locked", message="")
    browser.refused("discard", "locked", change=1)
    browser.refused("resolve", "locked", change=1, keep="mine")


def test_large_values_stay_whole_when_others_are_edited(browser: Browser, theirs: Any) -> None:
    long = "x" * 300_000
    theirs.update(3, {"name": long})
    row = browser.row("s", k="3")
    assert row["cells"]["name"] == {"cut": "x" * 200, "size": 300_000}
    browser.edit("s", row, "n", "77")
    assert browser.ask("value", store="s", key=row["key"], column="name")["value"] == long
    browser.ask("commit", message="")
    assert kept(theirs)[3] == (long, 77)
    row = browser.row("s", k="3")
    browser.edit("s", row, "name", long[:-1] + "y")
    assert changes(browser)[0]["cells"][0]["column"] == "name"
    browser.ask("commit", message="")
    assert theirs[3]["name"] == long[:-1] + "y"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError, MemoryError])
def test_what_shows_the_changes_is_whole_or_not_there(
    browser: Browser, theirs: Any, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    for row in browser.rows("s")[:3]:
        browser.edit("s", row, "name", "mine")
    theirs.insert(record(50))
    become, calls = StoreWork.become, []

    def failing(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise fault("no")
        return become(*args)

    monkeypatch.setattr(StoreWork, "become", failing)
    answer = browser.answer("page", query={"store": "s"}, start=0, size=1)
    assert answer["error"]["code"] == ("busy" if fault is KeyboardInterrupt else "internal")
    assert [row["cells"]["name"] for row in browser.rows("s")[:3]] == ["mine"] * 3
    calls.clear()
    row = browser.row("s", k="5")
    calls.append(None)
    assert "error" in browser.answer("edit", store="s", key=row["key"], seq=row["seq"], column="name", value="x")
    assert browser.row("s", k="5") == row
    assert len(changes(browser)) == 3
    browser.ask("commit", message="")
    assert [name for name, _ in kept(theirs).values()][:4] == ["mine", "mine", "mine", "name3"]


def test_a_change_that_cannot_be_made_again_stays_to_be_resolved(browser: Browser, theirs: Any) -> None:
    theirs.create_index("by_name", "name", unique=True)
    browser.edit("s", browser.row("s", k="3"), "name", "wanted")
    theirs.update(3, {"name": "theirs"})
    browser.edit("s", browser.row("s", k="4"), "name", "wanted")
    stale = changes(browser)[0]
    assert browser.refused("resolve", "invalid", change=stale["id"], keep="mine")["column"] == "name"
    assert [(c["key"], c["state"]) for c in changes(browser)] == [("3", "stale"), ("4", "")]


def test_taking_a_name_back_that_another_change_took_is_refused(browser: Browser, theirs: Any) -> None:
    theirs.create_index("by_name", "name", unique=True)
    row, other = browser.row("s", k="3"), browser.row("s", k="4")
    browser.edit("s", row, "name", "free")
    browser.edit("s", other, "name", "name3")
    browser.refused("edit", "invalid", store="s", key=row["key"], seq=row["seq"], column="name", value="name3")
    assert [(c["key"], c["state"]) for c in changes(browser)] == [("3", ""), ("4", "")]
    browser.ask("discard", change=changes(browser)[0]["id"])
    assert [(c["key"], c["state"]) for c in changes(browser)] == [("4", "stale")]
