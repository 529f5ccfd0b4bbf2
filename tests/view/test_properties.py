"""Any scrolls, sorts, searches, edits, commits of others, commits and rollbacks show what a plain model of the store shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import sopnb
from sopnb.access.lease import Lease
from tests.engine.support import Cluster
from tests.view.support import Browser

Key = tuple[str, int]
Row = tuple[str, int, int | None, str | None]
NAMES = ("a", "b", "v", "name")
KEYS = st.tuples(st.sampled_from(["p", "q", "qq"]), st.integers(0, 3))
NUMBERS = st.none() | st.integers(-2, 2)
WORDS = st.none() | st.sampled_from(["", "x", "xy", "y"])
ORDERS = ("", "by_v")


def wire(row: Row) -> dict[str, Any]:
    a, b, v, name = row
    return {"a": a, "b": str(b), "v": None if v is None else str(v), "name": name}


def place(row: Row, order: str) -> Any:
    """Where a row stands: key a, -b; index -v, name, then the key; nulls last."""
    a, b, v, name = row
    own = a, -b
    return own if not order else (v is None, -(v or 0), name is None, name or "", own)


@dataclass(frozen=True)
class Waiting:
    """A pending change as the model knows it; its number is learned from the view."""

    id: int
    seq: int
    old: Row | None
    new: Row | None
    stale: bool = False
    refused: bool = False
    """Whether a unique index does not allow it."""

    @property
    def kind(self) -> str:
        return "insert" if self.old is None else "delete" if self.new is None else "update"

    @property
    def columns(self) -> list[str]:
        if self.old is None or self.new is None:
            return list(NAMES)
        return [name for name, old, new in zip(NAMES, self.old, self.new, strict=True) if old != new]


@dataclass(frozen=True)
class Handle:
    """A row as the browser saw it at some time."""

    key: Key
    token: str
    seq: int


class Browsing(RuleBasedStateMachine):
    """A browser beside a model: ``there`` are the committed rows with the commits that wrote them, ``waiting`` the pending changes."""

    unique = False
    """Whether no two records may have the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(leaf_rows=3, leaf_bytes=300, inline_rows=2)
        self.theirs = sopnb.Database(Lease.over(self.cluster.open(progress=False)))
        self.mine = sopnb.Database(Lease.over(self.cluster.open(progress=False)))
        self.store = self.theirs.create("s", schema={"a": "string", "b": "int64", "v": "int64", "name": "string"}, index=["a", "-b"])
        self.store.create_index("by_v", ["-v", "name"])
        if self.unique:
            self.store.create_index("by_name", "name", unique=True)
        self.browser = Browser(self.mine)
        self.there: dict[Key, tuple[Row, int]] = {}
        self.waiting: dict[Key, Waiting] = {}
        self.seen: list[Handle] = []

    def teardown(self) -> None:
        self.cluster.verify()

    @initialize(keys=st.sets(KEYS, max_size=8), n=NUMBERS)
    def begin(self, keys: set[Key], n: int | None) -> None:
        if keys:
            rows = [(a, b, n, f"{a}{b}") for a, b in sorted(keys)]
            seq = self.store.insert([dict(zip(NAMES, row, strict=True)) for row in rows]).seq
            self.there = {row[:2]: (row, seq) for row in rows}

    # -- the model ------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """What every message does first."""
        for key, change in list(self.waiting.items()):
            row, seq = self.there.get(key, (None, 0))
            if change.kind == "delete" and row is None:
                del self.waiting[key]
            else:
                self.waiting[key] = replace(change, stale=seq != change.seq, refused=False)
        while (culprit := self.culprit(self.waiting)) is not None:
            self.waiting[culprit] = replace(self.waiting[culprit], stale=True, refused=True)

    def culprit(self, waiting: dict[Key, Waiting]) -> Key | None:
        """The first change after which two records have the same name, if they have in the end."""
        live = {key: change for key, change in waiting.items() if not change.stale}
        if not self.unique or self.fits({**self.rows, **{key: change.new for key, change in live.items()}}):
            return None
        rows: dict[Key, Row | None] = dict(self.rows)
        for key, change in live.items():
            rows[key] = change.new
            if not self.fits(rows):
                return key
        raise AssertionError(live)

    @property
    def rows(self) -> dict[Key, Row | None]:
        return {key: row for key, (row, _) in self.there.items()}

    @staticmethod
    def fits(rows: dict[Key, Row | None]) -> bool:
        names = [row[3] for row in rows.values() if row is not None]
        return len(set(names)) == len(names)

    def allowed(self, key: Key, new: Row | None) -> bool:
        """Whether a record may become this, with all that waits."""
        return not self.unique or self.fits({**{k: row for k, (row, _) in self.shown.items()}, key: new})

    @property
    def shown(self) -> dict[Key, tuple[Row, int]]:
        found = dict(self.there)
        for key, change in self.waiting.items():
            if change.stale:
                continue
            if change.new is None:
                del found[key]
            else:
                found[key] = change.new, change.seq
        return found

    def put(self, key: Key, change: Waiting) -> None:
        if change.old == change.new:
            self.waiting.pop(key, None)
        else:
            self.waiting[key] = change

    # -- looking --------------------------------------------------------------------------------------------------------------

    @rule(order=st.sampled_from(ORDERS), reverse=st.booleans(), start=st.integers(0, 10), size=st.integers(1, 9),
          part=st.sampled_from(["", "prefix", "startswith"]), first=st.sampled_from(["p", "q"]), v=NUMBERS,
          least=st.none() | st.integers(-2, 2))  # fmt: skip
    def scroll(self, order: str, reverse: bool, start: int, size: int, part: str, first: str, v: int | None, least: int | None) -> None:
        query: dict[str, Any] = {"store": "s", "order": order, "reverse": reverse}
        self.look()
        rows = sorted((each[0] for each in self.shown.values()), key=lambda row: place(row, order), reverse=reverse)
        if part and order:
            query |= {"prefix": [None if v is None else str(v)]}
            rows = [row for row in rows if row[2] == v]
            if part == "startswith":
                query |= {"startswith": "x"}
                rows = [row for row in rows if row[3] is not None and row[3].startswith("x")]
        elif part:
            query |= {"startswith": first} if part == "startswith" else {"prefix": [first]}
            rows = [row for row in rows if (row[0].startswith(first) if part == "startswith" else row[0] == first)]
        if least is not None:
            query |= {"where": f"v >= {least}"}
            rows = [row for row in rows if row[2] is not None and row[2] >= least]
        page = self.browser.ask("page", query=query, start=start, size=size)
        assert (page["total"], page["exact"]) == (len(rows), True)
        wanted = rows[start : start + size]
        assert [dict(zip(page["columns"], row["cells"], strict=True)) for row in page["rows"]] == [wire(row) for row in wanted]
        for told, row in zip(page["rows"], wanted, strict=True):
            key = row[:2]
            change = self.waiting.get(key)
            state = "" if change is None else "stale" if change.stale else {"insert": "new", "update": "edited"}[change.kind]
            assert told["state"] == state
            assert told["seq"] == self.shown[key][1]
            assert told["edited"] == ([] if change is None or change.kind != "update" else change.columns)
            self.seen.append(Handle(key, told["key"], told["seq"]))

    @rule(key=KEYS, fields=st.integers(0, 2), reverse=st.booleans())
    def seek(self, key: Key, fields: int, reverse: bool) -> None:
        self.look()
        rows = sorted(self.shown, key=lambda k: (k[0], -k[1]), reverse=reverse)
        asked = [key[0], str(key[1])][:fields]
        found = self.browser.ask("seek", query={"store": "s", "reverse": reverse}, key=asked)
        hits = [at for at, each in enumerate(rows) if each[:fields] == key[:fields]]
        sought = (key[0], -key[1])[:fields]
        after = [at for at, (a, b) in enumerate(rows) if ((a, -b)[:fields] < sought if reverse else (a, -b)[:fields] > sought)]
        wanted = hits[0] if hits else after[0] if after else max(len(rows) - 1, 0)
        assert (found["position"], found["found"]) == (wanted, bool(hits))

    # -- editing --------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.seen)
    @rule(which=st.integers(0, 10**6), change=st.tuples(st.just("v"), NUMBERS) | st.tuples(st.just("name"), WORDS))
    def edit(self, which: int, change: tuple[str, Any]) -> None:
        handle = self.seen[which % len(self.seen)]
        column, value = change
        self.look()
        told = self.browser.answer(
            "edit", store="s", key=handle.token, seq=handle.seq, column=column, value=str(value) if type(value) is int else value
        )
        row, seq = self.shown.get(handle.key, (None, 0))
        before = self.waiting.get(handle.key)
        if row is None or seq != handle.seq or (before is not None and before.stale):
            assert told["error"]["code"] == "stale"
            return
        at = NAMES.index(column)
        new: Any = (*row[:at], value, *row[at + 1 :])
        if not self.allowed(handle.key, new):
            assert told["error"]["code"] == "invalid"
            return
        assert dict(zip(told["ok"]["columns"], told["ok"]["row"]["cells"], strict=True)) == wire(new)
        id = 0 if before is None else before.id
        self.put(handle.key, Waiting(id, seq, row if before is None else before.old, new))
        assert told["ok"]["pending"] == len(self.waiting)

    @rule(key=KEYS, v=NUMBERS, name=WORDS)
    def insert(self, key: Key, v: int | None, name: str | None) -> None:
        self.look()
        row = (*key, v, name)
        told = self.browser.answer("insert", store="s", record=wire(row))
        before = self.waiting.get(key)
        if key in self.shown or (before is not None and before.stale) or not self.allowed(key, row):
            assert told["error"]["code"] == "invalid"
        elif before is not None:
            self.put(key, replace(before, new=row))
        else:
            self.put(key, Waiting(0, 0, None, row))
            assert told["ok"]["position"] == sum((a, -b) < (key[0], -key[1]) for a, b in self.shown)

    @precondition(lambda self: self.seen)
    @rule(which=st.lists(st.integers(0, 10**6), min_size=1, max_size=3))
    def delete(self, which: list[int]) -> None:
        handles = {self.seen[each % len(self.seen)].key: self.seen[each % len(self.seen)] for each in which}
        self.look()
        told = self.browser.answer("delete", store="s", rows=[{"key": h.token, "seq": h.seq} for h in handles.values()])
        states = [(handle, self.shown.get(handle.key), self.waiting.get(handle.key)) for handle in handles.values()]
        for handle, row, before in states:
            if (row is not None and row[1] != handle.seq) or (before is not None and before.stale):
                assert told["error"]["code"] == "stale"
                return
        for handle, row, before in states:
            if row is not None:
                id = 0 if before is None else before.id
                self.put(handle.key, Waiting(id, row[1], row[0] if before is None else before.old, None))
        assert told["ok"]["pending"] == len(self.waiting)

    @precondition(lambda self: not self.unique)
    @rule(rows=st.lists(st.tuples(KEYS, NUMBERS), min_size=1, max_size=4, unique_by=lambda row: row[0]), upsert=st.booleans())
    def paste(self, rows: list[tuple[Key, int | None]], upsert: bool) -> None:
        self.look()
        text = "\n".join(f"{a}\t{b}\t{'' if v is None else v}" for (a, b), v in rows)
        told = self.browser.ask("paste", store="s", columns=["a", "b", "v"], text=text, mode="upsert" if upsert else "insert")
        shown, before = self.shown, dict(self.waiting)
        fine = []
        for (key, v), line in zip(rows, told["report"], strict=True):
            change = before.get(key)
            ok = not (change is not None and change.stale) and (upsert or key not in shown)
            assert line["ok"] == ok
            if ok:
                fine.append((key, v, change))
        for key, v, change in fine:
            if key in shown:
                row, seq = shown[key]
                new = (*row[:2], v, row[3])
                self.put(key, Waiting(0, seq, row if change is None else change.old, new) if change is None else replace(change, new=new))
            else:
                self.put(key, Waiting(0, 0, None, (*key, v, None)) if change is None else replace(change, new=(*key, v, None)))

    @staticmethod
    def touched(change: Waiting, row: Row) -> set[str]:
        """The columns that a change and others changed."""
        if change.old is None:
            return set(NAMES)
        others = {name for name, old, new in zip(NAMES, change.old, row, strict=True) if old != new}
        return others | set(change.columns if change.kind == "update" else ())

    # -- what becomes of changes ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 10**6))
    def discard(self, which: int) -> None:
        key = list(self.waiting)[which % len(self.waiting)]
        self.browser.ask("discard", change=self.waiting.pop(key).id)

    @precondition(lambda self: any(change.stale for change in self.waiting.values()))
    @rule(which=st.integers(0, 10**6), mine=st.booleans())
    def resolve(self, which: int, mine: bool) -> None:
        self.look()
        stale = [key for key, change in self.waiting.items() if change.stale]
        if not stale:
            return
        key = stale[which % len(stale)]
        change = self.waiting[key]
        told = self.browser.answer("resolve", change=change.id, keep="mine" if mine else "theirs")
        if mine and change.refused:
            assert told["error"]["code"] == "conflict"
            return
        if not mine:
            del self.waiting[key]
            return
        row, seq = self.there.get(key, (None, 0))
        new: Any = change.new
        if row is not None and change.kind == "update":
            new = tuple(mine if name in change.columns else their for name, mine, their in zip(NAMES, new, row, strict=True))
        if not self.allowed(key, new):
            assert told["error"]["code"] == "invalid"
            return
        del self.waiting[key]
        self.put(key, Waiting(change.id, seq, row, new))

    @rule()
    def commit(self) -> None:
        self.look()
        told = self.browser.answer("commit", message="mine")
        if any(change.stale for change in self.waiting.values()):
            assert told["error"]["code"] == "stale"
            return
        counts = told["ok"]["counts"]
        kinds = [change.kind for change in self.waiting.values()]
        assert counts == {f"{kind}d" if kind.endswith("e") else f"{kind}ed": kinds.count(kind) for kind in ("insert", "update", "delete")}
        for key, change in self.waiting.items():
            if change.new is None:
                del self.there[key]
            else:
                self.there[key] = change.new, told["ok"]["seq"]
        self.waiting.clear()

    @rule()
    def rollback(self) -> None:
        self.browser.ask("rollback")
        self.waiting.clear()

    # -- others ---------------------------------------------------------------------------------------------------------------

    @rule(key=KEYS, v=NUMBERS, name=WORDS)
    def others_write(self, key: Key, v: int | None, name: str | None) -> None:
        row = (*key, v, name)
        if self.unique and not self.fits({**self.rows, key: row}):
            return
        counts = self.store.upsert(dict(zip(NAMES, row, strict=True)))
        if counts.inserted or counts.updated:
            self.there[key] = row, counts.seq

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 10**6), v=NUMBERS)
    def others_write_the_same(self, which: int, v: int | None) -> None:
        key = sorted(self.waiting)[which % len(self.waiting)]
        self.others_write(key, v, f"theirs {key}")

    @rule(rows=st.dictionaries(KEYS, NUMBERS, min_size=3, max_size=8))
    def others_load(self, rows: dict[Key, int | None]) -> None:
        written = {key: (*key, v, f"{key}" if self.unique else "") for key, v in rows.items()}
        if self.unique and not self.fits({**self.rows, **written}):
            return
        counts = self.store.upsert([dict(zip(NAMES, row, strict=True)) for row in written.values()])
        self.there |= {key: (row, counts.seq) for key, row in written.items() if key not in self.there or self.there[key][0] != row}

    @precondition(lambda self: self.there)
    @rule(which=st.integers(0, 10**6))
    def others_delete(self, which: int) -> None:
        key = sorted(self.there)[which % len(self.there)]
        self.store.delete(key)
        del self.there[key]

    @rule()
    def others_fold(self) -> None:
        self.theirs.fold()

    # -- always ---------------------------------------------------------------------------------------------------------------

    @invariant()
    def what_waits_is_told(self) -> None:
        self.look()
        told = {change["key"]: change for change in self.browser.ask("pending")["changes"]}
        assert set(told) == {f"{a}, {b}" for a, b in self.waiting}
        for (a, b), change in self.waiting.items():
            found = told[f"{a}, {b}"]
            assert (found["kind"], found["state"]) == (change.kind, "stale" if change.stale else "")
            self.waiting[a, b] = replace(change, id=found["id"])
            old, new = (None if row is None else wire(row) for row in (change.old, change.new))
            wanted = [
                {"column": name, "old": None if old is None else old[name], "new": None if new is None else new[name]}
                for name in change.columns
            ]  # fmt: skip
            assert found["cells"] == wanted
            if change.stale:
                row, seq = (change.old, change.seq) if change.refused else self.there.get((a, b), (None, 0))
                assert bool(found["stale"]["reason"]) == change.refused
                assert found["stale"]["theirs"] == (
                    None if row is None else {n: w for n, w in wire(row).items() if n in self.touched(change, row)}
                )
                assert found["stale"]["seq"] == seq

    @invariant()
    def nothing_else_is_written(self) -> None:
        rows = {(r["a"], r["b"]): tuple(r.values()) for r in self.store[:].to_dicts()}
        assert rows == {key: row for key, (row, _) in self.there.items()}


TestBrowsing = Browsing.TestCase
TestBrowsing.settings = settings(stateful_step_count=25)


class UniqueBrowsing(Browsing):
    """The same where a unique index says of some changes that they do not go together."""

    unique = True


TestUniqueBrowsing = UniqueBrowsing.TestCase
TestUniqueBrowsing.settings = settings(stateful_step_count=25)
