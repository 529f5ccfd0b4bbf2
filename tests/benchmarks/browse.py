"""Workloads of the browser: messages to a view of ten times as many rows, beside the same rows out of SQLite and out of a Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pyarrow.parquet

from sopnb import IndexSpecification
from sopnb.access.reading import Indexed
from sopnb.engine.layers import Stack
from sopnb.view import View
from tests import nodes
from tests.benchmarks.arena import Arena
from tests.benchmarks.data import KEY, SYMBOLS, pieces
from tests.benchmarks.measure import Line, against, race, told
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import Duck, Sqlite, installed

PAGE = 100
COUNTED = 10_000
"""So far a view counts what passes a condition."""
DISTANCE = 200
"""So many different places or conditions are asked for, so that no answer is there already."""
OWN = "region, symbol, id"
BY_SYMBOL = f"symbol, price desc, {OWN}"
BY_VOLUME = f"volume, {OWN}"
CARRIED = ["volume", "price", "region", "symbol", "id"]
Ask = Callable[[Any], object]


class Browsed:
    """The contenders over the same rows: a view, SQLite with the same indexes, DuckDB over a Parquet file in the order of the key."""

    def __init__(self, arena: Arena) -> None:
        folder = arena.folder / "browse"
        folder.mkdir()
        self.rows, self.rounds = 10 * arena.rows, arena.rounds
        self.ours, self.sqlite, self.duck = Ours(folder), Sqlite(folder), None
        store = self.ours.db.load("t", pieces(self.rows), index=list(KEY))
        store.create_index("by_symbol", ["symbol", "-price"])
        store.create_index("by_volume", IndexSpecification.of("volume", unique=False, carrying="price"))
        table = store[:].to_arrow()
        self.sqlite.load(table)
        self.sqlite.db.execute(f"create index by_symbol on t ({BY_SYMBOL})")
        self.sqlite.db.execute(f"create index by_volume on t ({BY_VOLUME}, price)")
        if installed("duckdb"):
            pyarrow.parquet.write_table(table, folder / "t.parquet")
            self.duck = Duck(folder)
            self.duck.db.execute(f"create view t as select * from '{folder / 't.parquet'}'")
        self.draw = np.random.default_rng(5)
        self.view, self.shown = View(self.ours.db, edit=True), View(self.ours.db)
        self.lines: list[Line] = []

    def ask(self, op: str, *, edit: bool = True, **args: Any) -> Any:
        """Ask until all is found, as the browser does."""
        view = self.view if edit else self.shown
        while True:
            answer = view.handle({"id": 1, "op": op, "args": args})
            if answer["ok"].get("searched") is None:
                return answer["ok"]

    def page(self, start: int, *, edit: bool = True, **query: Any) -> list[int]:
        """Return the ids of a page."""
        page = self.ask("page", edit=edit, query={"store": "t", **query}, start=start, size=PAGE)
        at = page["columns"].index("id")
        return [int(row["cells"][at]) for row in page["rows"]]

    def ids(self, sql: str, *values: Any) -> list[int]:
        """Return the ids of whole rows out of SQLite."""
        return [row[2] for row in self.sqlite.db.execute(f"select * from t {sql}", values).fetchall()]

    def parquet(self, sql: str, *values: Any) -> list[int]:
        """Return the ids of whole rows out of the file."""
        assert self.duck is not None
        return [row[2] for row in self.duck.db.execute(f"select * from t {sql}", values).fetchall()]

    def run(
        self, what: str, asked: list[Any], runs: dict[str, Ask], *, before: Callable[[], object] | None = None, rounds: int | None = None
    ) -> None:
        """Race over what is asked, another thing each round, and note what a message of ours uses of leaves and branches at most."""
        runs = {name: each for name, each in runs.items() if self.duck is not None or not name.startswith("duckdb")}
        assert len({repr(each(asked[0])) for each in runs.values()}) == 1, what
        reader = self.ours.db._lease.engine.reader
        used: list[tuple[int, int]] = []

        def turn(name: str) -> Callable[[], object]:
            things = iter(asked[1:])

            def act() -> None:
                leaves, branches = reader.leaves, reader.branches
                runs[name](next(things))
                if name == "ours":
                    used.append((reader.leaves - leaves, reader.branches - branches))

            return act

        times = race(self.rounds if rounds is None else rounds, before=before, **{name: turn(name) for name in runs})
        leaves, branches = (max(each[i] for each in used) for i in (0, 1))
        note = f"{leaves:,} leaves, {branches:,} branches used at most; at worst {told(max(times['ours'].seconds))}"
        self.lines += against(f"{what}, of {self.rows:,}", times, dict.fromkeys([name for name in runs if name != "ours"]), note)

    def places(self) -> list[int]:
        """Return positions all over."""
        return self.draw.integers(0, self.rows - PAGE, DISTANCE).tolist()  # type: ignore[no-any-return]

    def bound(self, order: str = "", *, within: bool = False) -> str:
        """Say how many leaves and branches a page may use."""
        found: Any = self.view._sight().reading("t", order)
        index: Stack = found.index if isinstance(found, Indexed) else found
        parts = [nodes.bound(index, PAGE, within=within)]
        if isinstance(found, Indexed):
            parts.append(nodes.fetched(found.source, PAGE))  # type: ignore[arg-type]
        return f"{sum(one[0] for one in parts)} leaves, {sum(one[1] for one in parts)} branches"

    def close(self) -> None:
        self.ours.close()
        self.sqlite.close()
        if self.duck is not None:
            self.duck.close()


def browse(arena: Arena) -> list[Line]:
    """First rows, jumps, keys, orders of indexes, parts, conditions, counts, and pages over a tail that others commit to."""
    to = Browsed(arena)
    _in_the_order_of_the_key(to)
    _in_the_order_of_an_index(to)
    _under_conditions(to)
    _after_commits(to)
    to.close()
    return to.lines


def _in_the_order_of_the_key(to: Browsed) -> None:
    again = [0] * DISTANCE
    last = [to.rows - PAGE] * DISTANCE
    runs: dict[str, Ask] = {
        "ours": to.page,
        "sqlite, offset": lambda at: to.ids(f"order by {OWN} limit {PAGE} offset ?", at),
        "duckdb over parquet": lambda at: to.parquet(f"limit {PAGE} offset {at}"),
    }
    to.lines.append(Line("a jump may use", to.bound()))
    to.run("the first rows", again, runs)
    to.run("a jump by position", to.places(), runs)
    to.run("the last rows", last, runs)
    keys = [to.ours.store[:].row(at).key for at in to.places()[:60]]
    after = {"sqlite, by key": lambda at: to.ids(f"where ({OWN}) >= (?, ?, ?) order by {OWN} limit {PAGE}", *at[1])}
    first = to.rows // 3
    following = [(at, to.ours.store[:].row(at).key) for at in range(first, first + 60 * PAGE, PAGE) if at < to.rows]
    to.run("the next page", following, {"ours": lambda at: to.page(at[0]), **after}, rounds=min(to.rounds, len(following) - 1))
    to.run(
        "going to a key",
        keys,
        {
            "ours": lambda key: to.ask("seek", query={"store": "t"}, key=[key[0], key[1], str(key[2])])["position"],
            "sqlite, count": lambda key: to.sqlite.db.execute(f"select count(*) from t where ({OWN}) < (?, ?, ?)", key).fetchone()[0],
        },
    )


def _in_the_order_of_an_index(to: Browsed) -> None:
    to.lines.append(Line("a jump in the order of an index may use", to.bound("by_symbol")))
    to.run(
        "a jump in the order of an index",
        to.places(),
        {
            "ours": lambda at: to.page(at, order="by_symbol"),
            "sqlite, offset": lambda at: to.ids(f"order by {BY_SYMBOL} limit {PAGE} offset ?", at),
        },
    )
    to.run(
        "a jump in the order of an index, records far apart",
        to.places(),
        {
            "ours": lambda at: to.page(at, order="by_volume"),
            "sqlite, offset": lambda at: to.ids(f"order by {BY_VOLUME} limit {PAGE} offset ?", at),
        },
    )
    carried = f"select {', '.join(CARRIED)} from t order by {BY_VOLUME} limit {PAGE} offset ?"
    to.run(
        "a jump in the order of an index that carries what is shown",
        to.places(),
        {
            "ours": lambda at: to.page(at, edit=False, order="by_volume", columns=CARRIED),
            "sqlite, offset": lambda at: [row[-1] for row in to.sqlite.db.execute(carried, (at,)).fetchall()],
        },
    )
    symbols = [f"SYM{number:05d}" for number in to.draw.integers(0, SYMBOLS, DISTANCE)]

    def ours(symbol: str) -> Any:
        page = to.ask("page", query={"store": "t", "order": "by_symbol", "prefix": [symbol]}, start=0, size=PAGE)
        return page["total"], [int(row["cells"][2]) for row in page["rows"]]

    def sqlite(symbol: str) -> Any:
        (total,) = to.sqlite.db.execute("select count(*) from t where symbol = ?", (symbol,)).fetchone()
        return total, to.ids(f"where symbol = ? order by {BY_SYMBOL} limit {PAGE}", symbol)

    to.run("all of a leading field and their number", symbols, {"ours": ours, "sqlite": sqlite})


def _under_conditions(to: Browsed) -> None:
    kinds: dict[str, Callable[[int], str]] = {
        "a condition that half pass": lambda n: f"price > {50 + n / 100}",
        "a condition that 0.1 % pass": lambda n: f"volume % 1000 == {n}",
        "a condition that none passes": lambda n: f"volume % 1000 == {1000 + n}",
    }
    conditions: Iterator[int] = count(1)
    for what, condition in kinds.items():
        to.run(
            f"the first rows of {what}, counted so far",
            [condition(next(conditions)) for _ in range(DISTANCE)],
            {
                "ours": lambda where: to.page(0, where=where),
                "sqlite": lambda where: _so_far(to.ids, to.sqlite.db, where.replace("==", "=")),
                "duckdb over parquet": lambda where: _so_far(to.parquet, None if to.duck is None else to.duck.db, where),
            },
        )
        to.run(
            f"the number of {what}",
            [condition(next(conditions)) for _ in range(DISTANCE)],
            {
                "ours": lambda where: to.ask("count", query={"store": "t", "where": where})["total"],
                "sqlite": lambda where: to.sqlite.db.execute(f"select count(*) from t where {where}").fetchone()[0],
                "duckdb over parquet": lambda where: (
                    None if to.duck is None else to.duck.db.execute(f"select count(*) from t where {where}").fetchone()[0]
                ),
            },
            rounds=min(to.rounds, 3),
        )


def _so_far(ids: Callable[..., list[int]], db: Any, where: str) -> list[int]:
    """Return the first rows, and count as far as a view does."""
    db.execute(f"select count(*) from (select 1 from t where {where} limit {COUNTED + 1})").fetchone()
    return ids(f"where {where} order by {OWN} limit {PAGE}")


def _after_commits(to: Browsed) -> None:
    (record,) = to.ours.store[:].rows(to.rows // 2, to.rows // 2 + 1).to_dict("records")
    volumes = count(10**9)

    def commit() -> None:
        record["volume"] = next(volumes)
        to.ours.put(record)
        to.sqlite.put({**record, "time": record["time"].to_pydatetime()})

    to.run(
        "a jump by position after a commit of others",
        to.places(),
        {"ours": to.page, "sqlite, offset": lambda at: to.ids(f"order by {OWN} limit {PAGE} offset ?", at)},
        before=commit,
    )
    to.lines.append(Line("a jump over a tail may use", to.bound()))


WORKLOADS = {"browse": browse}
