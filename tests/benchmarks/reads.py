"""Workloads that read."""

from __future__ import annotations

from itertools import islice

from tests.benchmarks.arena import Arena, agree
from tests.benchmarks.data import FLIGHTS_KEY, KEY, chosen, flights, keys_of, pieces
from tests.benchmarks.measure import Line, Times, against, race, within
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import Sqlite

PAGE = 100


def get(arena: Arena) -> list[Line]:
    """Point reads as a dict inside a transaction: the same keys again and again, keys all over; then over three runs."""
    ours, sqlite = arena.ours, arena.sqlite
    ours.db.fold()
    lines = []
    for where in ("", ", over three runs"):
        if where:
            for change in islice(arena.changes(), 3):
                ours.upsert(change)
                sqlite.upsert(change)
            assert ours.store.info()["runs"] == 3 or arena.rows < 200_000, ours.store.info()
        for what, count, goal in (("hot", 4000, 1.3), ("all over", 20_000, None)):
            keys = arena.keys(count, seed=31 + count)
            agree(ours.get_each(keys), sqlite.get_each(keys))
            times = arena.race(
                rounds=2 * arena.rounds, each=len(keys), ours=lambda k=keys: ours.get_each(k), sqlite=lambda k=keys: sqlite.get_each(k)
            )
            lines += against(f"point read, {what}{where}", times, {"sqlite": goal})
    return lines


def many(arena: Arena) -> list[Line]:
    """Many random keys to a DataFrame, in the order asked; SQLite gets its keys as tuples, we as a table."""
    ours, sqlite = arena.ours, arena.sqlite
    asked = chosen(arena.table, arena.rows // 10, seed=41)
    table, keys = asked.select(list(KEY)), keys_of(asked)
    ours.reopen()
    cold = Times(race(1, ours=lambda: ours.get_many(table))["ours"].seconds)
    agree(ours.get_many(table), sqlite.get_many(keys))
    times = arena.race(ours=lambda: ours.get_many(table), sqlite=lambda: sqlite.get_many(keys))
    return against(f"{len(keys):,} random keys to a frame", times, {"sqlite": 3}, f"just opened: {cold}")


def scan(arena: Arena) -> list[Line]:
    """Ranges and everything to a DataFrame."""
    ours, sqlite = arena.ours, arena.sqlite
    start, stop = (keys_of(arena.ordered.slice(at, 1))[0] for at in (arena.rows // 3, arena.rows // 3 + arena.share))
    agree(ours.between(start, stop), sqlite.between(start, stop))
    times = arena.race(rounds=3 * arena.rounds, ours=lambda: ours.between(start, stop), sqlite=lambda: sqlite.between(start, stop))
    lines = against(f"range of {arena.share:,} rows to a frame", times, {"sqlite": 10})
    for where in ("", ", over three runs"):
        if where:
            for change in islice(arena.changes(), 3):
                ours.upsert(change)
                sqlite.upsert(change)
        else:
            ours.db.fold()
        agree(ours.everything(), sqlite.everything())
        times = arena.race(rounds=min(arena.rounds, 5), ours=ours.everything, sqlite=sqlite.everything)
        lines += against(f"all {arena.rows:,} rows to a frame{where}", times, {"sqlite": None if where else 10})
    return lines


def page(arena: Arena) -> list[Line]:
    """A page by its position in ten times as many rows."""
    rows = 10 * arena.rows
    folder = arena.folder / "page"
    folder.mkdir()
    ours, sqlite = Ours(folder), Sqlite(folder)
    ours.db.load("t", pieces(rows), index=list(KEY))
    sqlite.load(ours.store[:].to_arrow())
    lines = []
    for what, position in (("first", 0), ("middle", rows // 2), ("last", rows - PAGE)):
        agree(ours.page(position), sqlite.page(position))
        times = arena.race(ours=lambda at=position: ours.page(at), sqlite=lambda at=position: sqlite.page(at))
        lines += [
            within(f"page of {PAGE} rows, {what} of {rows:,}", times["ours"], 5e-3),
            *against(f"page of {PAGE} rows, {what} of {rows:,}", times, {"sqlite": None}),
        ]
    far = iter(range(0, rows - PAGE, max((rows - PAGE) // 200, 1)))
    times = race(101, ours=lambda: ours.page(next(far)))
    lines.append(within(f"page of {PAGE} rows, never asked for, of {rows:,}", times["ours"], 5e-3))
    ours.close()
    sqlite.close()
    return lines


def real(arena: Arena) -> list[Line]:
    """The flights of a year: loaded, and read back whole."""
    frame = flights()
    folder = arena.folder / "real"
    folder.mkdir()
    ours = Ours(folder)
    if arena.rows < 100_000:
        frame = frame.head(arena.rows)
    times = arena.race(ours=lambda: ours.db.load("t", frame, index=FLIGHTS_KEY, if_exists="replace"))
    agree(ours.everything(), frame.sort_values(FLIGHTS_KEY).reset_index(drop=True))
    read = arena.race(ours=ours.everything)
    ours.close()
    rows = f"{len(frame):,} flights of {len(frame.columns)} columns"
    return [Line(f"{rows} loaded", times["ours"]), Line(f"{rows} read back", read["ours"])]


WORKLOADS = {"get": get, "many": many, "scan": scan, "page": page, "flights": real}
