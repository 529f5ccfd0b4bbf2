"""The browser of stores as a widget: what is kept in a notebook, its traits, its answers to a page, and the commits that it tells of."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pandas as pd
import pytest
import traitlets

import sopnb
from sopnb.widgets import bundle
from tests.api_support import QUIET
from tests.widgets.conftest import Wire

PLANES = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 100, 182]})


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        db.load("planes", PLANES, index="tailnum")
        db.load("airports", pd.DataFrame({"faa": ["EWR", "JFK"], "name": ["Newark", "Kennedy"]}), index="faa")
        yield db
        assert db.check().ok


@pytest.fixture
def browser(db: sopnb.Database) -> Iterator[Any]:
    browser = sopnb.browse(db, edit=True)
    yield browser
    browser.close()


def _wire(browser: Any) -> Wire:
    found: Wire = browser.comm
    return found


def _edit(browser: Any, seats: str, tailnum: str = "N3") -> None:
    wire = _wire(browser)
    page = wire.ask("page", query={"store": "planes"}, start=0, size=10)
    row = next(row for row in page["rows"] if row["cells"][0] == tailnum)
    wire.ask("edit", store="planes", key=row["key"], seq=row["seq"], column="seats", value=seats)


# -- what a notebook keeps ----------------------------------------------------------------------------------------------------


def test_what_a_cell_shows_is_the_same_in_every_run(db: sopnb.Database) -> None:
    def shown(target: Any) -> dict[str, str]:
        data, _ = sopnb.browse(target)._repr_mimebundle_()
        assert data.pop("application/vnd.jupyter.widget-view+json")
        found: dict[str, str] = data
        return found

    for target, told in {db: "database ':memory:'", db["planes"]: "store 'planes'", db["planes"][:]: "selection 'planes'"}.items():
        once, again = shown(target), shown(target)
        assert once == again
        assert once["text/plain"] == f"Browser of {told}"
        assert "planes" in once["text/html"]
        assert "0x" not in once["text/html"]


def test_a_page_without_a_kernel_shows_the_first_records(db: sopnb.Database) -> None:
    data, _ = sopnb.browse(db["planes"])._repr_mimebundle_()
    assert data["text/html"] == db["planes"]._repr_html_()
    assert all(tailnum in data["text/html"] for tailnum in PLANES["tailnum"])


def test_a_saved_widget_is_small_whatever_it_shows(db: sopnb.Database) -> None:
    state = _wire(sopnb.browse(db)).state
    assert len(json.dumps(state)) < 4000 < len(bundle.content())
    assert state["_esm"] == _wire(sopnb.browse(db["planes"])).state["_esm"]


def test_the_page_gets_the_bundle_as_bytes(browser: Any) -> None:
    _wire(browser).custom({"op": "bundle"})
    told, buffers = _wire(browser).sent.get(timeout=60)
    assert told == {"op": "bundle"}
    assert [bytes(each) for each in buffers] == [bundle.content()]


# -- traits -------------------------------------------------------------------------------------------------------------------


def test_traits_begin_with_what_is_shown(db: sopnb.Database) -> None:
    browser = sopnb.browse(db, edit=True, height=300)
    assert (browser.store, browser.selected, browser.pending) == ("airports", [], 0)
    assert (browser.seq, browser.edit, browser.height) == (db.seq, True, 300)
    assert sopnb.browse(db["planes"]).store == "planes"


def test_the_store_is_chosen_by_the_page_and_by_a_linked_widget(browser: Any) -> None:
    chooser = ipywidgets.Dropdown(options=["airports", "planes"])
    traitlets.link((browser, "store"), (chooser, "value"))
    chooser.value = "planes"
    assert _wire(browser).state["store"] == "planes"
    _wire(browser).set(store="airports")
    assert chooser.value == "airports"


def test_a_store_that_is_not_there_is_refused_and_the_old_one_stays(browser: Any) -> None:
    with pytest.raises(sopnb.StoreNotFound, match="no store 'boats'; there are: 'airports', 'planes'"):
        browser.store = "boats"
    assert browser.store == "airports"


def test_what_the_page_selects_are_keys_here(browser: Any, db: sopnb.Database) -> None:
    seen = []
    browser.observe(lambda change: seen.append(change["new"]), "selected")
    rows = _wire(browser).ask("page", query={"store": "planes"}, start=1, size=2)["rows"]
    _wire(browser).set(store="planes")
    _wire(browser).set(tokens=[row["key"] for row in rows])
    assert browser.selected == ["N2", "N3"]
    assert [db["planes"][key]["seats"] for key in browser.selected] == [100, 182]
    assert seen == [["N2", "N3"]]
    browser.store = "airports"
    assert browser.selected == []
    assert _wire(browser).state["tokens"] == []


def test_what_only_the_view_knows_cannot_be_set(browser: Any) -> None:
    for trait, value in {"pending": 3, "seq": 9, "edit": False, "selected": ["N1"]}.items():
        with pytest.raises(traitlets.TraitError, match="read-only"):
            setattr(browser, trait, value)


def test_a_page_does_not_set_what_only_the_view_knows(browser: Any, db: sopnb.Database) -> None:
    _edit(browser, "200")
    _wire(browser).set(pending=7, seq=99, edit=False, height=300)
    assert (browser.pending, browser.seq, browser.edit, browser.height) == (1, db.seq, True, 300)


def test_pending_and_seq_follow_edits_commit_and_rollback(browser: Any, db: sopnb.Database) -> None:
    seen = []
    browser.observe(lambda change: seen.append((change["name"], change["new"])), ["pending", "seq"])
    before = db.seq
    _edit(browser, "200")
    _wire(browser).ask("rollback")
    _edit(browser, "201")
    assert _wire(browser).ask("commit", message="from the page")["seq"] == before + 1
    assert seen == [("pending", 1), ("pending", 0), ("pending", 1), ("pending", 0), ("seq", before + 1)]
    assert db["planes"]["N3"]["seats"] == 201
    assert _wire(browser).state["seq"] == before + 1


# -- answers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [None, 3, "page", [], {}, {"op": "page"}, {"id": 1, "op": 5}, {"id": 1, "op": "page", "args": "x"}])
def test_whatever_a_page_sends_is_answered(browser: Any, message: Any) -> None:
    _wire(browser).custom(message)
    answer, _ = _wire(browser).sent.get(timeout=60)
    assert answer["error"]["code"] == "invalid"


def test_the_past_is_browsed_and_not_changed(db: sopnb.Database) -> None:
    with db.at(db.seq) as past:
        db["planes"].delete(["N1", "N2"])
        browser = sopnb.browse(past)
        total = _wire(browser).ask("page", query={"store": "planes"}, start=0, size=10)["total"]
        assert total == 3
        assert repr(browser) == f"Browser of snapshot 'commit {past.seq}'"
        assert not browser.edit
        with pytest.raises(sopnb.ReadOnly, match="without edit=True"):
            sopnb.browse(past, edit=True)


def test_a_transaction_is_not_browsed(db: sopnb.Database) -> None:
    with db.transaction() as tx, pytest.raises(sopnb.InvalidState, match="within a transaction"):
        sopnb.browse(tx["planes"])


# -- what others do -----------------------------------------------------------------------------------------------------------


def test_commits_of_others_are_told_once_the_page_asked(browser: Any, db: sopnb.Database) -> None:
    wire = _wire(browser)
    db["planes"].update("N1", {"seats": 56})
    assert wire.ask("watch", on=True)["watching"]
    told = wire.events.get(timeout=60)
    assert told == {"event": "changed", "seq": db.seq, "stores": ["planes"]}
    db["airports"].update("JFK", {"name": "JFK"})
    told = wire.events.get(timeout=60)
    assert told == {"event": "changed", "seq": db.seq, "stores": ["airports"]}


def test_a_page_that_goes_takes_nothing_from_another(browser: Any, db: sopnb.Database) -> None:
    wire = _wire(browser)
    wire.ask("watch", on=True)
    wire.ask("watch", on=True)
    wire.ask("watch", on=False)
    db["planes"].update("N1", {"seats": 56})
    assert wire.events.get(timeout=60)["stores"] == ["planes"]


def test_an_export_holds_up_neither_the_page_nor_the_kernel(browser: Any, db: sopnb.Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def bind(name: str, value: Any) -> None:
        begun.set()
        go_on.wait()

    browser._view.bind = bind
    wire = _wire(browser)
    wire.custom({"id": 1, "op": "export", "args": {"query": {"store": "planes"}, "to": "variable", "name": "planes"}})
    begun.wait()
    assert len(wire.ask("page", query={"store": "planes"}, start=0, size=10)["rows"]) == 3
    _edit(browser, "99")
    assert browser.pending == 1
    go_on.set()
    answer, _ = wire.sent.get()
    assert answer == {"id": 1, "ok": {"rows": 3, "name": "planes"}}


def test_close_ends_the_thread_and_forgets_pending_changes(db: sopnb.Database) -> None:
    browser = sopnb.browse(db, edit=True)
    wire = _wire(browser)
    wire.ask("watch", on=True)
    _edit(browser, "200")
    assert browser.pending == 1
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "sopnb-browser"]
    browser.close()
    assert not thread.is_alive()
    assert browser._view.pending == 0
    db["planes"].update("N1", {"seats": 57})
    with pytest.raises(queue.Empty):
        wire.events.get_nowait()
    browser.close()


@pytest.mark.parametrize("made", [lambda db: sopnb.browse(db, edit=True), sopnb.History])
def test_a_widget_whose_comm_the_host_has_closed_ends_at_the_next_commit(db: sopnb.Database, made: Any) -> None:
    widget = made(db)
    wire = _wire(widget)
    wire.ask("watch", on=True)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "sopnb-browser"]
    wire.close()
    db["planes"].update("N1", {"seats": 58})
    thread.join(60)
    assert not thread.is_alive()
    assert widget.comm is None


def test_a_database_that_is_closed_is_told(db: sopnb.Database) -> None:
    other = sopnb.open(":memory:", handle=QUIET)
    other.load("planes", PLANES, index="tailnum")
    browser = sopnb.browse(other)
    _wire(browser).ask("watch", on=True)
    other.close()
    assert _wire(browser).ask("tree")["error"]["code"] == "closed"
    browser.close()


# -- what it needs ------------------------------------------------------------------------------------------------------------


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_sopnb_alone_loads_no_widgets() -> None:
    assert _run("import sopnb, sys; print(sorted(set(sys.modules) & {'anywidget', 'ipywidgets', 'traitlets', 'IPython'}))") == "[]"
