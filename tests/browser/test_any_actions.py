"""Any actions in any order: the page shows what a plain model of the stores shows, and an edit reaches the row that it was made on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, expect
from playwright.sync_api import TimeoutError as Late

import sopnb
from tests.browser.support import QUIET, Shown, shown

Key = tuple[str, int]
Row = tuple[str, int, int | None, str | None]
NAMES = ("a", "b", "v", "name")
STORES = ("s", "t")

KEYS = st.tuples(st.sampled_from(["p", "q", "qq"]), st.integers(0, 19))
NUMBERS = st.integers(-3, 3)
WORDS = st.sampled_from(["x", "xy", "y", 'a "b"'])
VALUES = st.tuples(st.just("v"), NUMBERS) | st.tuples(st.just("name"), WORDS)
WHERE = st.none() | NUMBERS
AT = st.integers(0, 59)
STEPS = st.one_of(
    st.tuples(st.just("scroll"), st.sampled_from([-2000, -200, 90, 700, 5000])),
    st.tuples(st.just("goto"), AT),
    st.tuples(st.just("order"), st.sampled_from(["", "by_v"])),
    st.tuples(st.just("header"), st.sampled_from(["a", "v", "name"])),
    st.tuples(st.just("reverse")),
    st.tuples(st.just("search"), st.none() | st.sampled_from(["p", "q", "q*"]), WHERE),
    st.tuples(st.just("clear")),
    st.tuples(st.just("edit"), AT, VALUES),
    st.tuples(st.just("edit"), AT, VALUES),
    st.tuples(st.just("null"), AT, st.sampled_from(["v", "name"])),
    st.tuples(st.just("edit while others write"), AT, VALUES, KEYS, NUMBERS),
    st.tuples(st.just("add"), KEYS, WHERE, st.none() | WORDS),
    st.tuples(st.just("delete"), st.sets(AT, min_size=1, max_size=3)),
    st.tuples(st.just("copy"), st.sets(AT, min_size=1, max_size=3)),
    st.tuples(st.just("commit")),
    st.tuples(st.just("rollback")),
    st.tuples(st.just("undo"), AT),
    st.tuples(st.just("others write"), st.sampled_from(STORES), KEYS, NUMBERS, st.none() | WORDS),
    st.tuples(st.just("others delete"), st.sampled_from(STORES), AT),
    st.tuples(st.just("columns"), st.sets(st.sampled_from(NAMES), min_size=1)),
    st.tuples(st.just("store"), st.sampled_from(STORES)),
)

# what the page shows is what is wanted: each row that is there, the total, what waits, where the focus is
SHOWS = """({ rows, names, pending }) => {
  const root = document.querySelector("#place > div").shadowRoot;
  const there = [...root.querySelectorAll(".ag-row")].filter((row) => row.querySelector(`[col-id="${names[0]}"]`));
  const differs = (said, found, wanted) => { window.differs = JSON.stringify({ said, found, wanted }); return false; };
  const main = root.querySelector(".main");
  if (main.getAttribute("aria-busy") !== "false" || root.querySelector(".shimmer")) return differs("loading", null, null);
  const of = root.querySelector(".statusbar .of").textContent;
  if (of !== ` of ${rows.length}`) return differs("total", of, rows.length);
  const waits = root.querySelector(".statusbar .pending");
  const said = waits.hidden ? 0 : parseInt(waits.querySelector("button").textContent);
  if (said !== pending) return differs("pending", said, pending);
  const blank = root.querySelector(".blank");
  if (blank.hidden !== rows.length > 0) return differs("blank", blank.textContent, rows.length);
  if (there.length < Math.min(rows.length, 5)) return differs("rows", there.length, rows.length);
  for (const row of there) {
    const at = Number(row.getAttribute("row-index"));
    const found = names.map((name) => row.querySelector(`[col-id="${name}"]`)?.textContent ?? null);
    if (JSON.stringify(found) !== JSON.stringify(rows[at])) return differs(`row ${at}`, found, rows[at] ?? null);
  }
  const heads = [...root.querySelectorAll(".ag-header-cell:has(.head)")].map((head) => head.getAttribute("col-id")).sort();
  if (JSON.stringify(heads) !== JSON.stringify([...names].sort())) return differs("columns", heads, names);
  const focused = root.querySelector(".ag-cell-focus")?.closest(".ag-row").getAttribute("row-index");
  const position = root.querySelector(".position").value;
  if (focused !== undefined && rows.length && String(Number(focused) + 1) !== position) return differs("focus", focused, position);
  return true;
}"""


def text(value: Any) -> str:
    return "null" if value is None else str(value)


def tsv(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if '"' in value else value


def place(row: Row, order: str) -> Any:
    """Where a row stands: key a, -b; index -v, name, then the key; nulls last."""
    a, b, v, name = row
    own = a, -b
    return own if not order else (v is None, -(v or 0), name is None, name or "", own)


@dataclass
class Looking:
    """What the page was asked for."""

    store: str
    order: str = ""
    reverse: bool = False
    prefix: str | None = None
    where: int | None = None
    columns: frozenset[str] = frozenset(NAMES)

    def fits(self, row: Row) -> bool:
        _, _, v, _ = row
        if self.prefix is not None and not (row[0].startswith(self.prefix[:-1]) if self.prefix.endswith("*") else row[0] == self.prefix):
            return False
        return self.where is None or (v is not None and v >= self.where)


@dataclass
class Model:
    """The stores, what waits, and what is looked at."""

    there: dict[str, dict[Key, Row]]
    looking: Looking
    waiting: dict[tuple[str, Key], tuple[Row | None, Row | None]] = field(default_factory=dict)

    @property
    def seen(self) -> dict[Key, Row]:
        found: dict[Key, Row | None] = {**self.there[self.looking.store]}
        found |= {key: new for (store, key), (_, new) in self.waiting.items() if store == self.looking.store}
        return {key: row for key, row in found.items() if row is not None}

    @property
    def rows(self) -> list[Row]:
        rows = [row for row in self.seen.values() if self.looking.fits(row)]
        return sorted(rows, key=lambda row: place(row, self.looking.order), reverse=self.looking.reverse)

    def put(self, key: Key, new: Row | None) -> None:
        at = self.looking.store, key
        old = self.waiting[at][0] if at in self.waiting else self.there[self.looking.store].get(key)
        self.waiting.pop(at, None) if old == new else self.waiting.update({at: (old, new)})

    def commit(self) -> None:
        for (store, key), (_, new) in self.waiting.items():
            if new is None:
                del self.there[store][key]
            else:
                self.there[store][key] = new
        self.waiting.clear()


class Acting:
    """A page beside a model; each action is done to both."""

    def __init__(self, seen: Shown, db: Any, model: Model) -> None:
        self.seen, self.db, self.model = seen, db, model

    def do(self, step: tuple[Any, ...]) -> None:
        name, *given = step
        getattr(self, name.replace(" ", "_"))(*given)

    # -- what is true after each ----------------------------------------------------------------------------------------------

    def agree(self) -> None:
        model = self.model
        names = [name for name in NAMES if name in model.looking.columns]
        rows = [[text(value) for name, value in zip(NAMES, row, strict=True) if name in names] for row in model.rows]
        try:
            self.seen.page.wait_for_function(SHOWS, arg={"rows": rows, "names": names, "pending": len(model.waiting)})
        except Late:
            raise AssertionError(self.seen.page.evaluate("window.differs")) from None
        told = {(change["store"], change["key"]): change["kind"] for change in self.seen.pending()}
        kinds = {True: "insert", False: "update"}
        wanted = {
            (store, f"{a}, {b}"): "delete" if new is None else kinds[old is None] for (store, (a, b)), (old, new) in model.waiting.items()
        }
        assert told == wanted
        for store in STORES:
            assert {(r["a"], r["b"]): tuple(r.values()) for r in self.db[store][:].to_dicts()} == model.there[store]
        assert self.seen.complaints == []

    # -- looking ----------------------------------------------------------------------------------------------------------------

    def scroll(self, by: int) -> None:
        self.seen.page.mouse.move(700, 330)
        self.seen.page.mouse.wheel(0, by)

    def goto(self, at: int) -> int | None:
        """Go to a row, one of those that are there; returns its position."""
        if not self.model.rows:
            return None
        at %= len(self.model.rows)
        self.seen.page.get_by_label("Go to row").fill(str(at + 1))
        self.seen.press("Enter")
        expect(self.seen.page.locator(f".ag-row[row-index='{at}'] .ag-cell-focus")).to_have_count(1)
        return at

    def order(self, name: str) -> None:
        if name != self.model.looking.order:
            self.model.looking.prefix = None
        self.model.looking.order = name
        self.seen.page.get_by_label("Order of the rows").select_option(name)

    def header(self, name: str) -> None:
        looking = self.model.looking
        if name not in looking.columns:
            return
        leads = {"": "a", "by_v": "v"}
        self.seen.page.locator(f".ag-header-cell[col-id='{name}'] .head").click()
        if leads[looking.order] == name:
            looking.reverse = not looking.reverse
        elif name in leads.values():
            looking.order, looking.reverse, looking.prefix = ("" if name == "a" else "by_v"), False, None

    def reverse(self) -> None:
        self.model.looking.reverse = not self.model.looking.reverse
        self.seen.button("Reverse the order").click()

    def search(self, prefix: str | None, where: int | None) -> None:
        looking = self.model.looking
        looking.where = where
        if looking.order == "":
            looking.prefix = prefix
            self.seen.box("a").fill(prefix or "")
        self.seen.condition.fill("" if where is None else f"v >= {where}")
        self.seen.condition.press("Enter")

    def clear(self) -> None:
        self.model.looking.prefix = self.model.looking.where = None
        clear = self.seen.button("Clear")
        if clear.is_visible():
            clear.click()

    def columns(self, names: set[str]) -> None:
        self.model.looking.columns = frozenset(names)
        self.seen.button("Columns").or_(self.seen.page.get_by_role("button", name=re.compile(r"^Columns \d"))).click()
        self.seen.sheet.get_by_role("button", name="All").click()
        for name in NAMES:
            self.seen.sheet.get_by_role("checkbox", name=re.compile(rf"^{name}\b")).set_checked(name in names)
        self.seen.button("Done").click()

    def store(self, name: str) -> None:
        if name != self.model.looking.store:
            self.model.looking = Looking(name)
        else:
            self.order("")
            return
        self.seen.page.get_by_role("treeitem", name=re.compile(rf"^{name},")).click()

    def copy(self, which: set[int]) -> None:
        rows, looking = self.model.rows, self.model.looking
        if not rows:
            return
        at = self.goto(min(which))
        assert at is not None
        expect(self.seen.page.locator(f".ag-row[row-index='{at}'] [col-id='#place']")).to_be_visible()
        self.seen.choose(at)
        lines = self.seen.page.locator(".grid").evaluate(
            """(grid) => {
              const clipboardData = new DataTransfer();
              grid.querySelector(".ag-row").dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, composed: true }));
              return clipboardData.getData("text/plain").split("\\n");
            }"""
        )
        assert sorted(lines[0].split("\t")) == sorted(looking.columns)
        cells = dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))
        wanted = {name: value for name, value in zip(NAMES, rows[at], strict=True) if name in looking.columns}
        quoted = {name: "" if value is None else tsv(str(value)) for name, value in wanted.items()}
        assert cells == quoted
        self.seen.page.locator(f".ag-row[row-index='{at}'] input[type='checkbox']").uncheck()

    # -- editing ----------------------------------------------------------------------------------------------------------------

    def changed(self, at: int, column: str, value: Any) -> None:
        row = self.model.rows[at]
        place = NAMES.index(column)
        self.model.put(row[:2], (*row[:place], value, *row[place + 1 :]))  # type: ignore[arg-type]

    def edit(self, which: int, change: tuple[str, Any]) -> None:
        column, value = change
        if column in self.model.looking.columns and (at := self.goto(which)) is not None:
            self.seen.edit(at, column, str(value))
            self.changed(at, column, value)

    def edit_while_others_write(self, which: int, change: tuple[str, Any], key: Key, v: int) -> None:
        column, value = change
        if column in self.model.looking.columns and (at := self.goto(which)) is not None:
            field = self.seen.begin(at, column)
            field.fill(str(value))
            self.changed(at, column, value)
            self.others_write(self.model.looking.store, key, v, "theirs")
            field.press("Enter")

    def null(self, which: int, column: str) -> None:
        if column in self.model.looking.columns and (at := self.goto(which)) is not None:
            self.seen.begin(at, column)
            self.seen.press("Control+Backspace", "Enter")
            self.changed(at, column, None)

    def add(self, key: Key, v: int | None, name: str | None) -> None:
        self.seen.button("Add row").click()
        for field_, value in zip(NAMES, (*key, v, name), strict=True):
            if value is not None:
                self.seen.sheet.get_by_label(field_, exact=True).fill(str(value))
        self.seen.sheet.get_by_role("button", name="Add row").click()
        if key in self.model.seen:
            expect(self.seen.sheet.get_by_role("alert").filter(has_text="is there already")).to_be_visible()
            self.seen.sheet.get_by_role("button", name="Cancel").click()
        else:
            self.model.put(key, (*key, v, name))
        expect(self.seen.sheet).to_have_count(0)

    def delete(self, which: set[int]) -> None:
        rows = self.model.rows
        if not rows:
            return
        near = min(which) % len(rows)
        places = {min(near + by, len(rows) - 1) for by in range(len(which))}
        for at in sorted(places):
            self.goto(at)
            self.seen.choose(at)
        self.seen.button(f"Delete {len(places)}").click()
        self.seen.dialog.get_by_role("button", name="Delete").click()
        for at in places:
            self.model.put(rows[at][:2], None)

    def commit(self) -> None:
        if not self.model.waiting:
            return
        self.seen.button("Commit").click()
        expect(self.seen.sheet.locator(".change")).to_have_count(len(self.model.waiting))
        self.seen.sheet.get_by_role("button", name="Commit").click()
        expect(self.seen.sheet).to_have_count(0)
        self.model.commit()

    def rollback(self) -> None:
        if not self.model.waiting:
            return
        self.seen.button("Roll back").click()
        self.seen.dialog.get_by_role("button", name="Roll back").click()
        self.model.waiting.clear()

    def undo(self, which: int) -> None:
        if not self.model.waiting:
            return
        at = list(self.model.waiting)[which % len(self.model.waiting)]
        self.seen.button("Commit").click()
        said = f"{at[0]} {at[1][0]}, {at[1][1]}"
        self.seen.sheet.locator(".change").filter(has=self.seen.page.get_by_title(said, exact=True)).get_by_title(
            "Undo this change"
        ).click()
        del self.model.waiting[at]
        expect(self.seen.sheet.locator(".change")).to_have_count(len(self.model.waiting))
        self.seen.press("Escape")

    # -- others -----------------------------------------------------------------------------------------------------------------

    def others_write(self, store: str, key: Key, v: int, name: str | None) -> None:
        if (store, key) not in self.model.waiting:
            row = (*key, v, name)
            self.db[store].upsert(dict(zip(NAMES, row, strict=True)))
            self.model.there[store][key] = row

    def others_delete(self, store: str, which: int) -> None:
        keys = sorted(set(self.model.there[store]) - {key for name, key in self.model.waiting if name == store})
        if keys:
            key = keys[which % len(keys)]
            self.db[store].delete(key)
            del self.model.there[store][key]


def test_the_page_shows_what_the_model_shows(browser: Browser) -> None:
    @settings(
        max_examples=60 if settings.default is not None and settings.default.max_examples >= 5000 else 3,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(steps=st.lists(STEPS, min_size=20, max_size=40))
    def run(steps: list[tuple[Any, ...]]) -> None:
        there: dict[str, dict[Key, Row]] = {
            store: {(a, b): (a, b, (b * (1 + n)) % 7 - 3, f"{store}{b % 3}") for a in ("p", "q") for b in range(0, 18, 1 + n)}
            for n, store in enumerate(STORES)
        }
        with sopnb.open(":memory:", handle=QUIET) as db:
            for store, rows in there.items():
                made = db.create(store, schema={"a": "string", "b": "int64", "v": "int64", "name": "string"}, index=["a", "-b"])
                made.insert([dict(zip(NAMES, row, strict=True)) for row in rows.values()])
                made.create_index("by_v", ["-v", "name"])
            with shown(browser, db, viewport={"width": 1400, "height": 640}) as seen:
                seen.open(height=520)
                acting = Acting(seen, db, Model(there, Looking("s")))
                done: list[Any] = []
                for step in steps:
                    done.append(step)
                    try:
                        acting.do(step)
                        acting.agree()
                    except BaseException as error:
                        error.add_note("after " + json.dumps(done, default=sorted))
                        raise
            assert db.check().ok

    run()
