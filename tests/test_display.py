"""What people see first: fixed, escaped, bounded, and never an exception."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sopnb
from sopnb import display
from sopnb.engine.engine import Engine
from sopnb.engine.layers import Stack
from sopnb.engine.state import StoreState
from sopnb.errors import Corruption
from sopnb.index import IndexSpecification
from sopnb.protocols import Backend
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.memory import MemoryBlobs, MemoryPins, MemoryRegistry
from sopnb.storage.system import SystemClock

COLUMNS = {
    "author": "string",
    "written": "timestamp[us, Europe/Berlin]",
    "stars": "int64",
    "text": "string",
    "extra": "json",
    "price": "decimal128(10, 2)",
    "ok": "bool",
    "raw": "bytes",
    "took": "duration",
    "day": "date",
    "at": "time",
    "ratio": "float",
}
NOTES = Schema.of(COLUMNS, IndexSpecification.of("author", "-written"))


class Seen:
    """An object that shows this panel."""

    def __init__(self, make: Callable[[], display.Panel]) -> None:
        self._make = make

    def _panel(self) -> display.Panel:
        return self._make()


@pytest.fixture
def engine() -> Iterator[Engine]:
    clock = SystemClock()
    backend = Backend(MemoryRegistry(clock), MemoryBlobs(), MemoryPins(clock), clock, ":memory:")
    engine = Engine.open(backend, DatabaseSettings(leaf_rows=64), HandleSettings(maintenance="off"))
    yield engine
    assert engine.check().ok
    engine.close()


def _store(engine: Engine, schema: Schema, records: list[dict[str, Any]], name: str = "notes") -> StoreState:
    work = engine.begin()
    store = work.create(name, schema)
    for record in records:
        store.put("insert", schema.row(record))
    engine.commit(work)
    return engine.state().stores[name]


def _numbers(engine: Engine, n: int) -> StoreState:
    schema = Schema.of({"n": "int64", "text": "string"}, IndexSpecification.of("n"))
    work = engine.begin()
    table = pa.table({"n": np.arange(n), "text": pa.repeat("x", n)})
    work.create("numbers", schema).write("insert", schema.conform(table))
    engine.commit(work)
    engine.upkeep.fold()
    return engine.state().stores["numbers"]


def _panel(store: StoreState, **options: Any) -> Seen:
    if options:
        return Seen(lambda: display.selection_panel(store.name, store.schema, store.stack, **options))
    return Seen(lambda: display.store_panel(store.name, store.schema, store.stack))


def test_a_store_as_text(engine: Engine) -> None:
    store = _numbers(engine, 336_776)
    assert display.text(_panel(store)).splitlines() == [
        "Store 'numbers': 336,776 records; 2 columns; index n ↑",
        "  n ↑  text",
        "    0  x",
        "    1  x",
        "    2  x",
        "    3  x",
        "    4  x",
        "  … 336,771 more",
    ]


def test_values_of_every_kind_as_text(engine: Engine) -> None:
    full = {
        "author": "ada",
        "written": "2013-01-01 10:00",
        "stars": 5,
        "text": "two\nlines",
        "extra": {"a": [1, None, "ü"]},
        "price": Decimal("3.50"),
        "ok": True,
        "raw": b"\x00\x01",
        "took": timedelta(days=1, seconds=4),
        "day": "2013-01-02",
        "at": "10:00:00.25",
        "ratio": 1 / 3,
    }
    store = _store(engine, NOTES, [full, {"author": "bob", "written": "2013-07-01 10:00:00.5"}])
    panel = _panel(store)._panel()
    assert panel.rows[0] == (
        "ada",
        "2013-01-01 10:00:00",
        "5",
        r"two\nlines",
        '{"a":[1,null,"ü"]}',
        "3.50",
        "True",
        r"b'\x00\x01'",
        "1 day, 0:00:04",
        "2013-01-02",
        "10:00:00.25",
        "0.333333",
    )
    assert panel.rows[1] == ("bob", "2013-07-01 10:00:00.5", *[None] * 10)
    assert [c.kind for c in panel.columns][:6] == ["string", "timestamp[us, Europe/Berlin]", "int64", "string", "json", "decimal128(10, 2)"]
    assert [(c.name, c.key, c.arrow) for c in panel.columns if c.key] == [("author", 1, "↑"), ("written", 2, "↓")]
    assert [c.name for c in panel.columns if c.right] == ["stars", "price", "took", "ratio"]
    assert "null" in display.text(_panel(store))
    assert ">null</span>" in display.html(_panel(store))


def test_html_is_escaped_and_well_formed(engine: Engine) -> None:
    hostile = "<script>alert('x')</script>&\""
    schema = Schema.of({hostile: "string"}, IndexSpecification.of(hostile))
    page = display.html(_panel(_store(engine, schema, [{hostile: hostile}], name=hostile)))
    assert "<script" not in page

    class Balanced(HTMLParser):
        open: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "br":
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balanced()
    parser.feed(page)
    assert parser.open == []


def test_the_style_touches_nothing_else_and_takes_its_colours_from_the_page(engine: Engine) -> None:
    page = display.html(_panel(_numbers(engine, 1000)))
    assert not re.search(r"<style|<script|\b(class|id|src|href)=", page)
    styles = re.findall(r'style="([^"]*)"', page)
    assert len(styles) > 10
    assert not any(re.search(r"background|#[0-9a-f]{3}|\brgb|url|position|var\(", style) for style in styles)


def test_the_same_data_gives_the_same_characters(engine: Engine) -> None:
    store = _numbers(engine, 1000)
    again = engine.state().stores["numbers"]
    assert display.html(_panel(store)) == display.html(_panel(again))
    assert " at 0x" not in display.text(_panel(store))


def test_long_text_is_cut_and_wide_stores_name_what_is_left_out(engine: Engine) -> None:
    columns = {"key": "int64"} | {f"column_{i}": "string" for i in range(60)}
    schema = Schema.of(columns, IndexSpecification.of("key"))
    store = _store(engine, schema, [{"key": 1} | {f"column_{i}": "y" * 500 for i in range(60)}])
    told = display.text(_panel(store))
    assert max(map(len, told.splitlines())) <= display.TEXT_WIDTH
    assert "41 more columns" in told
    assert len(display.html(_panel(store))) < 20_000


def test_values_out_of_line_are_not_read(engine: Engine) -> None:
    schema = Schema.of({"n": "int64", "page": "string"}, IndexSpecification.of("n"))
    _store(engine, schema, [{"n": i, "page": "z" * 100_000} for i in range(3)])
    engine.upkeep.fold()
    store = engine.state().stores["notes"]
    assert _panel(store)._panel().rows[0] == ("0", display.LARGE)


def test_a_selection_shows_its_part_its_columns_and_its_direction(engine: Engine) -> None:
    store = _numbers(engine, 1000)
    lo, hi = store.stack.select(100), store.stack.select(200)
    panel = _panel(store, lo=lo, hi=hi, columns=["text", "n"], reverse=True)._panel()
    assert panel.facts == ("100 records", "reversed")
    assert [row[1] for row in panel.rows] == ["199", "198", "197", "196", "195"]
    assert panel.note == "95 more"


def test_a_filter_searches_a_bounded_part(engine: Engine) -> None:
    store = _numbers(engine, 100_000)
    read = engine.reader.leaves

    def passes(batch: Any) -> Any:
        return np.flatnonzero(batch.column("n").to_numpy() % 1000 == 999)

    panel = _panel(store, facts=("where",), passes=passes)._panel()
    assert [row[0] for row in panel.rows] == ["999", "1999", "2999", "3999"]
    assert panel.note == "the first that pass"
    none = _panel(store, facts=("where",), passes=lambda batch: np.zeros(0, np.int64))._panel()
    assert none.note == "none of the first passes"
    assert engine.reader.leaves - read <= 4 * display.SEARCHED_ROWS // 64


def test_a_filter_sees_commits_and_values_out_of_line_up_to_a_limit(engine: Engine) -> None:
    schema = Schema.of({"n": "int64", "page": "string"}, IndexSpecification.of("n"))
    _store(engine, schema, [{"n": i, "page": "z" * 100_000} for i in range(10)])
    engine.upkeep.fold()
    store = engine.state().stores["notes"]

    def passes(batch: Any) -> Any:
        assert batch.column("_seq").to_pylist() == [1] * 10
        return np.flatnonzero(np.array(batch.column("page").to_pylist()) == "z" * 100_000)[8:]

    panel = _panel(store, columns=["_seq", "n", "page"], passes=passes)._panel()
    assert panel.facts == ()
    assert panel.rows == (("1", "8", display.LARGE), ("1", "9", display.LARGE))
    work = engine.begin()
    for i in range(10, 60):
        work.store("notes").put("insert", schema.row({"n": i, "page": "z" * 100_000}))
    engine.commit(work)
    engine.upkeep.fold()
    before = engine.reader.reads
    assert _panel(engine.state().stores["notes"], passes=passes)._panel().note == "none of the first passes"
    assert engine.reader.reads - before < 50


def test_a_store_full_of_deletions_is_shown_from_a_few_leaves(engine: Engine) -> None:
    store = _numbers(engine, 50_000)
    work = engine.begin()
    keys = pa.table({"n": np.delete(np.arange(50_000), [7, 30_000])})
    work.store("numbers").delete(store.schema.keys(keys))
    engine.commit(work)
    left = engine.state().stores["numbers"]
    read = engine.reader.leaves
    assert [row[0] for row in _panel(left)._panel().rows] == ["7", "30000"]
    assert engine.reader.leaves - read < 100


def test_a_database_lists_its_stores_and_tags(engine: Engine) -> None:
    _numbers(engine, 1000)
    _store(engine, NOTES, [])
    state = engine.state()
    seen = Seen(lambda: display.database_panel(3, {n: (s.rows, s.schema) for n, s in state.stores.items()}, {"before": 2}))
    assert display.text(seen).splitlines() == [
        "Database: 2 stores; commit 3; tags before (2)",
        "  store    records  columns  index",
        "  notes          0       12  author ↑, written ↓",
        "  numbers    1,000        2  n ↑",
    ]
    assert "author ↑, written ↓" in display.html(seen)


def test_a_representation_never_raises(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> display.Panel:
        raise OSError("/a/path")

    assert display.text(Seen(broken)) == "Seen: cannot be shown now (OSError)"
    assert "/a/path" not in display.html(Seen(broken))

    def damaged(self: Stack, start: int, stop: int, **how: Any) -> Any:
        raise Corruption("/a/path", "bad")

    store = _numbers(engine, 1000)
    monkeypatch.setattr(Stack, "walk", damaged)
    told = display.text(_panel(store))
    assert told == "Store 'numbers': 1,000 records; 2 columns; index n ↑; records cannot be shown now (Corruption)"


def test_times_beyond_the_calendar_are_numbers(engine: Engine) -> None:
    schema = Schema.of({"n": "int64", "s": pa.timestamp("s")}, IndexSpecification.of("n"))
    work = engine.begin()
    work.create("far", schema).write("insert", pa.table({"n": [1], "s": pa.array([2**60], pa.timestamp("s"))}))
    engine.commit(work)
    assert _panel(engine.state().stores["far"])._panel().rows[0] == ("1", str(2**60))


def test_what_a_notebook_shows_depends_on_the_data_alone(tmp_path: Path) -> None:
    shown = []
    for name in ("a.sop", "b.sop"):
        with sopnb.open(tmp_path / name) as db:
            notes = db.create("notes", schema={"author": "string", "stars": "int64"}, index="author")
            notes.insert([{"author": author, "stars": stars} for stars, author in enumerate("abcdefgh")])
            db.tag("first")
            things: list[Any] = [db, notes, notes["b":], notes["b":].reverse(), notes.select("stars"), db.at(tag="first")]
            things += [notes.prefix("b"), notes.where(pc.field("stars") > 2), notes.range("b", "d", closed="both")]
            shown.append([(repr(thing), thing._repr_html_()) for thing in things])
            assert not any(str(tmp_path) in text for texts in shown[-1] for text in texts)
            assert db.check().ok
    assert shown[0] == shown[1]
    assert "7 records" in shown[0][2][0]
    assert "1 record" in shown[0][6][0]


def test_what_is_closed_or_dropped_is_still_shown(tmp_path: Path) -> None:
    db = sopnb.open(tmp_path / "a.sop")
    notes = db.create("notes", schema={"author": "string"}, index="author")
    selection, past = notes[:], db.at()
    db.drop("notes")
    assert repr(notes) == "Store: cannot be shown now (StoreNotFound)"
    assert "cannot be shown" in selection._repr_html_()
    past.close()
    db.close()
    for thing in (db, notes, selection, past):
        assert repr(thing)
        assert thing._repr_html_().startswith("<div ")


def test_a_look_inside_a_transaction_shows_its_own_changes_and_counts_as_no_read(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "a.sop") as db:
        notes = db.create("notes", schema={"author": "string"}, index="author")
        with db.transaction() as tx:
            tx["notes"].insert({"author": "ada"})
            assert "1 record;" in repr(tx["notes"])
            assert "0 records;" in repr(notes)
            with ThreadPoolExecutor() as others:
                others.submit(lambda: notes.insert({"author": "bob"})).result()
        assert "2 records;" in repr(notes)
        assert db.check().ok
