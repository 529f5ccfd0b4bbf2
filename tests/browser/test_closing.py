"""Opening and closing again and again leaves nothing: in the page no listener, timer or view, in the kernel no view, thread or lease."""

from __future__ import annotations

import gc
import re
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

import sopnb
from tests.browser.support import Shown, kinds, shown

TIMES = 50

# counts the listeners of what outlives a widget, and the timers that are set
COUNTING = """
window.kept = { listeners: 0, timers: new Set(), intervals: 0, observers: new Set() };
for (const target of [window, document, MediaQueryList.prototype]) {
  const { addEventListener, removeEventListener } = target;
  const known = new Map();
  const name = (self, type, listener, options) => {
    const capture = typeof options === "object" ? !!options?.capture : !!options;
    const of = known.get(self) ?? known.set(self, new Map()).get(self);
    const at = of.get(listener) ?? of.set(listener, new Set()).get(listener);
    return [at, `${type} ${capture}`];
  };
  target.addEventListener = function (type, listener, options) {
    const [at, key] = name(this ?? window, type, listener, options);
    if (listener && !options?.once && !at.has(key)) {
      at.add(key);
      window.kept.listeners++;
    }
    return addEventListener.call(this ?? window, type, listener, options);
  };
  target.removeEventListener = function (type, listener, options) {
    if (listener) { const [at, key] = name(this ?? window, type, listener, options); if (at.delete(key)) window.kept.listeners--; }
    return removeEventListener.call(this ?? window, type, listener, options);
  };
}
const { setTimeout, clearTimeout, setInterval, clearInterval } = window;
window.setTimeout = (act, after, ...given) => {
  const id = setTimeout((...all) => { window.kept.timers.delete(id); act(...all); }, after, ...given);
  window.kept.timers.add(id);
  return id;
};
window.clearTimeout = (id) => { window.kept.timers.delete(id); clearTimeout(id); };
window.setInterval = (...given) => { const id = setInterval(...given); window.kept.timers.add(id); return id; };
window.clearInterval = (id) => { window.kept.timers.delete(id); clearInterval(id); };
for (const kind of ["MutationObserver", "ResizeObserver", "IntersectionObserver"]) {
  const { observe, disconnect } = window[kind].prototype;
  window[kind].prototype.observe = function (...given) {
    if (given[0] === document.body || given[0] === document.documentElement) window.kept.observers.add(this);
    return observe.apply(this, given);
  };
  window[kind].prototype.disconnect = function () { window.kept.observers.delete(this); return disconnect.call(this); };
}
"""

# closes what is shown and waits for what is to come yet; then, what is left
CLOSE = """async () => {
  window.close();
  for (let n = 0; n < 500 && window.kept.timers.size; n++) await new Promise(requestAnimationFrame);
  const listening = [...window.model.listeners].filter(([, all]) => all.length).map(([name]) => name);
  const { listeners, timers, observers } = window.kept;
  return [listeners, timers.size, observers.size, document.getElementById("place").childElementCount, listening];
}"""


@pytest.fixture
def seen(browser: Browser, db: Any) -> Iterator[Shown]:
    with shown(browser, db["things"]) as seen:
        seen.page.add_init_script(COUNTING)
        seen.open()
        yield seen


def begin_editing(seen: Shown) -> None:
    seen.begin(2, "big").fill("5")


def begin_a_document(seen: Shown) -> None:
    seen.cell(2, "id").click()
    seen.press("End")
    seen.cell(2, "tree").dblclick()
    expect(seen.dialog.locator(".cm-content")).to_be_focused()


def begin_a_row(seen: Shown) -> None:
    seen.button("Add row").click()
    expect(seen.sheet).to_be_visible()


def begin_a_question(seen: Shown) -> None:
    seen.choose(2)
    seen.button("Delete 1").click()
    expect(seen.dialog).to_be_visible()


BUSY = {
    "nothing": lambda seen: None,
    "a cell": begin_editing,
    "a document": begin_a_document,
    "a row": begin_a_row,
    "a question": begin_a_question,
}


@pytest.mark.parametrize("busy", BUSY)
def test_a_page_keeps_nothing_of_what_was_closed(seen: Shown, busy: str) -> None:
    left = []
    for n in range(TIMES if busy == "nothing" else 4):
        if n:
            seen.page.evaluate("void window.show()")
            seen.shows(0, id="0")
        BUSY[busy](seen)
        left.append(seen.page.evaluate(CLOSE))
    assert left[-1] == left[1]
    assert left[-1][1:] == [0, 0, 0, []]


@pytest.mark.parametrize("op", ["open", "schema", "page", "watch", "edit", "value"])
def test_what_is_answered_after_the_close_disturbs_nobody(seen: Shown, op: str) -> None:
    if op in ("edit", "value"):
        with seen.served.held(op):
            if op == "edit":
                seen.edit(2, "big", "5")
            else:
                seen.into("note")
                seen.cell(4, "note").dblclick()
            left = seen.page.evaluate(CLOSE)
    else:
        seen.page.evaluate("window.close()")
        with seen.served.held(op):
            asked = len(seen.served.asked(op))
            seen.page.evaluate("void window.show()")
            while len(seen.served.asked(op)) == asked:
                seen.page.evaluate("new Promise(requestAnimationFrame)")
            left = seen.page.evaluate(CLOSE)
    assert left[1:] == [0, 0, 0, []]
    seen.page.evaluate("void window.show()")
    seen.shows(0, id="0")
    expect(seen.status).not_to_have_class(re.compile("bad"))


def test_a_kernel_keeps_nothing_of_what_was_closed() -> None:
    with kinds() as db:
        threads = set(threading.enumerate())
        views = []
        for _ in range(TIMES):
            widget = sopnb.browse(db["things"], edit=True)
            ask = widget._view.handle
            page = ask({"id": 1, "op": "page", "args": {"query": {"store": "things"}, "start": 0, "size": 1}})["ok"]["rows"][0]
            edit = {"store": "things", "key": page["key"], "seq": page["seq"], "column": "big", "value": "5"}
            widget._asked(widget, {"id": 2, "op": "edit", "args": edit}, [])
            widget._asked(widget, {"id": 3, "op": "watch", "args": {"on": True}}, [])
            assert widget.pending == 1
            assert widget._watching.running
            views.append(weakref.ref(widget._view))
            widget.close()
        del widget, ask
        gc.collect()
        assert set(threading.enumerate()) <= threads
        assert [view for view in views if view() is not None] == []
