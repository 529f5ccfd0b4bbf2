"""Messages that no browser of ours sends: each is refused with a sentence, and nothing is ever raised or changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from tests.api_support import QUIET
from tests.view.support import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.create("s", schema={"k": "int64", "text": "string", "doc": "json", "x": "float64"}, index="k")
        store.insert([{"k": n, "text": f"t{n}", "doc": {"n": n}, "x": n / 2} for n in range(5)])
        store.create_index("by_text", "text")
        before = store[:].to_dicts()
        yield Browser(db)
        assert store[:].to_dicts() == before
        assert db.check().ok


def deep(n: int) -> Any:
    value: Any = 1
    for _ in range(n):
        value = [value]
    return value


QUERY = {"store": "s"}
BAD: list[tuple[str, Any]] = [
    ("nothing", {}),
    ("", {}),
    ("x" * 10_000, {}),
    ("__init__", {}),
    ("page", {}),
    ("page", {"query": None, "start": 0, "size": 1}),
    ("page", {"query": "s", "start": 0, "size": 1}),
    ("page", {"query": {}, "start": 0, "size": 1}),
    ("page", {"query": {"store": 7}, "start": 0, "size": 1}),
    ("page", {"query": QUERY, "start": -1, "size": 1}),
    ("page", {"query": QUERY, "start": 0, "size": 0}),
    ("page", {"query": QUERY, "start": 0, "size": 1001}),
    ("page", {"query": QUERY, "start": 1.5, "size": 1}),
    ("page", {"query": QUERY, "start": 2**70, "size": 1}),
    ("page", {"query": QUERY, "start": True, "size": 1}),
    ("page", {"query": QUERY, "start": "0", "size": 1}),
    ("page", {"query": QUERY, "start": [], "size": 1}),
    ("page", {"query": {**QUERY, "order": 5}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "reverse": "yes"}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "prefix": "a"}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "prefix": [{}]}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "prefix": [None]}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "startswith": 5}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "order": "by_text", "startswith": "\ud800"}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "columns": ["k", "k"]}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "columns": [1]}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "where": 5}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "where": "(" * 20_000}, "start": 0, "size": 1}),
    ("page", {"query": {**QUERY, "where": "k" * 1_000_000}, "start": 0, "size": 1}),
    ("seek", {"query": QUERY}),
    ("seek", {"query": QUERY, "key": "1"}),
    ("seek", {"query": QUERY, "key": ["1", "2"]}),
    ("seek", {"query": QUERY, "key": [deep(500)]}),
    ("value", {"store": "s", "key": "", "column": "text"}),
    ("value", {"store": "s", "key": "AAAA", "column": "text"}),
    ("value", {"store": "s", "key": "????", "column": "text"}),
    ("value", {"store": "s", "key": "é", "column": "text"}),
    ("value", {"store": "s", "key": 5, "column": "text"}),
    ("edit", {"store": "s", "key": "AAAA", "seq": 1, "column": "text", "value": "x"}),
    ("edit", {"store": "s"}),
    ("insert", {"store": "s"}),
    ("insert", {"store": "s", "record": []}),
    ("insert", {"store": "s", "record": {"text": "no key"}}),
    ("insert", {"store": "s", "record": {"k": None}}),
    ("insert", {"store": "s", "record": {"k": "9", "other": "x"}}),
    ("insert", {"store": "s", "record": {"k": "9", "doc": "{"}}),
    ("insert", {"store": "s", "record": {"k": "9", "doc": deep(900)}}),
    ("insert", {"store": "s", "record": {"k": "9", "x": "1" * 10_000}}),
    ("insert", {"store": "s", "record": {"k": "1" * 10_000}}),
    ("delete", {"store": "s"}),
    ("delete", {"store": "s", "rows": [1]}),
    ("delete", {"store": "s", "rows": [{"key": "x", "seq": 1}]}),
    ("delete", {"store": "s", "rows": [{"key": "x", "seq": "1"}]}),
    ("paste", {"store": "s", "columns": ["k"], "text": "1", "mode": "replace"}),
    ("paste", {"store": "s", "columns": ["z"], "text": "1", "mode": "insert"}),
    ("paste", {"store": "s", "columns": ["k"], "text": "1\n" * 20_000, "mode": "insert"}),
    ("paste", {"store": "s", "columns": ["k"], "text": 5, "mode": "insert"}),
    ("discard", {}),
    ("resolve", {"change": 1, "keep": "both"}),
    ("commit", {"message": 5}),
    ("export", {"query": QUERY}),
    ("export", {"query": QUERY, "to": "variable", "name": 5}),
    ("suggest", {"store": "s", "queries": "k"}),
    ("suggest", {"store": "s", "queries": [deep(500)]}),
    ("index.sample", {"store": "s"}),
    ("index.sample", {"store": "s", "specification": deep(500)}),
    ("index.check", {"store": "s", "specification": {"fields": [{"name": "cel: " + "(" * 10_000}]}}),
    ("index.create", {"store": "s", "name": "x"}),
    ("index.create", {"store": "s", "name": "", "specification": {"fields": [{"name": "text"}]}}),
    ("index.create", {"store": "s", "name": "x" * 1000, "specification": {"fields": [{"name": "text"}]}}),
    ("index.expression", {"store": "s", "expression": 5}),
    ("log", {"limit": -1}),
    ("log", {"limit": "5"}),
    ("diff", {"a": 1, "store": "s"}),
    ("diff", {"a": 1, "b": 2, "store": "s", "size": 10**9}),
    ("revert", {}),
    ("revert", {"seq": 10**12}),
    ("revert", {"seq": 0}),
    ("import.run", {"text": "a\n1"}),
    ("import.run", {"text": "a\n1", "store": "../x", "specification": {"fields": [{"name": "a"}]}}),
    ("import.run", {"text": "a\n1", "store": "x"}),
    ("import.run", {"text": "a\n1", "store": "x", "if_exists": "drop"}),
    ("import.run", {"text": "a\n1", "store": "x", "specification": 5}),
    ("poll", {}),
    ("poll", {"seq": "1"}),
    ("watch", {}),
    ("watch", {"on": 1}),
]


@pytest.mark.parametrize(("op", "args"), BAD, ids=[f"{i}-{op[:12]}" for i, (op, _) in enumerate(BAD)])
def test_a_hostile_message_is_refused(browser: Browser, op: str, args: Any) -> None:
    browser.refused(op, "invalid", **args)


@pytest.mark.parametrize("message", [None, 5, "page", [], {}, {"op": None}, {"op": 5}, {"op": "page", "args": []}, {1: 2}, {"id": []}])
def test_what_is_no_message_is_answered_all_the_same(browser: Browser, message: Any) -> None:
    answer = browser.view.handle(message)
    assert answer["id"] is None
    assert answer["error"]["code"] == "invalid"
    json.dumps(answer, allow_nan=False)


def test_names_of_nothing_are_missing(browser: Browser) -> None:
    browser.refused("page", "missing", query={"store": "t"}, start=0, size=1)
    browser.refused("page", "missing", query={"store": "s", "order": "by_nothing"}, start=0, size=1)
    browser.refused("schema", "missing", store="\ud800")
    browser.refused("discard", "missing", change=1)
    browser.refused("resolve", "missing", change=10**15, keep="mine")
    gone = "gAAAAAAAAGQ="
    browser.refused("value", "missing", store="s", key=gone, column="text")
    assert browser.refused("edit", "stale", store="s", key=gone, seq=1, column="text", value="x")["gone"] is True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["s", "k", "text", "by_text", "doc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["query", "store", "start", "size", "key", "seq", "column", "value", "record", "rows", "columns", "text", "mode",
                         "change", "keep", "message", "on", "order", "prefix", "where",
                         "specification", "a", "b", "limit", "to", "name", "queries", "types"])  # fmt: skip
OPS = [
    "open",
    "tree",
    "schema",
    "page",
    "count",
    "seek",
    "value",
    "edit",
    "delete",
    "discard",
    "paste",
    "pending",
    "resolve",
    "poll",
    "export",
    "suggest",
    "index.fields",
    "index.sample",
    "index.check",
    "index.expression",
    "log",
    "diff",
    "import.preview",
]


@given(st.sampled_from(OPS), st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=4), max_size=6))
def test_anything_is_answered(browser: Browser, op: str, args: Any) -> None:
    answer = browser.view.handle({"id": 3, "op": op, "args": args})
    assert answer["id"] == 3
    assert answer.get("error", {}).get("code") != "internal", answer
    json.dumps(answer, allow_nan=False)
    browser.view.handle({"id": 4, "op": "rollback"})
