"""Concurrent transactions are serialisable, in real time: histories, sums, write skew; in memory and by processes on a folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sopnb
from sopnb.errors import Conflict
from sopnb.testing.history import Append, Read, Transaction, anomalies
from tests.race import workers
from tests.race.forkserver import ForkServer, Worker, wait_for

KEYS = 6


def with_lists(db: Any) -> None:
    for name in ("lists0", "lists1"):
        db.create(name, schema={"k": "int64", "values": "string"}, index=["k"])


def with_banks(db: Any, stores: int = 3, money: int = 100) -> int:
    with db.transaction() as tx:
        for n in range(stores):
            tx.create(f"bank{n}", schema={"account": "int64", "money": "int64"}, index=["account"])
            tx[f"bank{n}"].insert([{"account": account, "money": money} for account in range(4)])
    return stores * 4 * money


def transaction(told: dict[str, Any]) -> Transaction:
    made = [Read(key, tuple(what)) if isinstance(what, list) else Append(key, what) for key, what in told["operations"]]
    return Transaction(tuple(made), told["outcome"], told["began"], told["ended"])


def said(worker: Worker) -> list[Transaction]:
    """Return the transactions that a worker told of; what it announced and did not come back from is unknown."""
    told = [json.loads(line) for line in worker.lines[1:] if line.endswith("}")]
    return [transaction(one) for one, after in zip(told, [*told[1:], None], strict=True) if one["outcome"] != "unknown" or after is None]


def last_look(db: Any) -> Transaction:
    """Read every list, as a transaction at the end."""
    began = time.monotonic()
    with db.transaction(mode="read") as tx:
        found = []
        for key in range(KEYS):
            record = tx[f"lists{key % 2}"].get(key)
            found.append(Read(key, () if record is None else tuple(json.loads(record["values"]))))
    return Transaction(tuple(found), "committed", began, time.monotonic())


def judged(history: list[Transaction], seed: int) -> None:
    committed = sum(one.outcome == "committed" for one in history)
    assert len(history) // 5 < committed < len(history), "everything went through, or nearly everything conflicted"
    found = anomalies(history, complete=True)
    assert not found, f"seed {seed}: {found[:3]}\n" + "\n".join(str(history[n]) for n in found[0].transactions[:10])


@pytest.mark.parametrize("seed", range(3))
def test_histories_of_threads_in_memory_are_serialisable(seed: int) -> None:
    interval = sys.getswitchinterval()
    with sopnb.open(":memory:") as db:
        with_lists(db)
        histories: list[list[Transaction]] = [[] for _ in range(4)]
        begin = threading.Barrier(4)

        def run(me: int) -> None:
            random = np.random.default_rng([seed, me])
            begin.wait()
            for number in range(120):
                histories[me].append(transaction(workers.one_transaction(db, random, KEYS, me * 1_000_000 + number * 10)))

        threads = [threading.Thread(target=run, args=(me,)) for me in range(4)]
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        judged([*(one for history in histories for one in history), last_look(db)], seed)


@pytest.mark.parametrize("seed", range(3))
def test_histories_of_processes_on_a_folder_are_serialisable(
    server: ForkServer, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "race.sop"
    times = 2000 if request.config.getoption("--long") else 120
    with sopnb.open(path, settings=dataclasses.replace(workers.SETTINGS, inline_rows=seed)) as db:  # with 0, each commit brings a run
        with_lists(db)
    running = [server.start("append", path, me, times, KEYS, seed) for me in range(4)]
    for worker in running:
        worker.wait_for(1)
    for worker in running:
        worker.tell()
    wait_for(running, lambda: all(worker.over for worker in running), 240)
    for worker in running:
        worker.end()
    history = [one for worker in running for one in said(worker)]
    with sopnb.open(path) as db:
        judged([*history, last_look(db)], seed)
        assert db.check().ok


@pytest.mark.parametrize("seed", range(2))
def test_histories_of_processes_that_are_killed_and_compacted_under_are_serialisable(
    server: ForkServer, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "race.sop"
    with sopnb.open(path, settings=dataclasses.replace(workers.SETTINGS, inline_rows=seed, tail_rows=40)) as db:
        with_lists(db)
    random = np.random.default_rng(seed)
    numbers = itertools.count()

    def start() -> Worker:
        worker = server.start("append", path, next(numbers), 100_000, KEYS, seed)
        worker.wait_for(1)
        worker.tell()
        return worker

    keeper = server.start("upkeep", path, 0)
    running, ended = [start() for _ in range(3)], []
    for _ in range(200 if request.config.getoption("--long") else 12):
        victim = running.pop(int(random.integers(len(running))))
        wanted = int(random.integers(2, 40))
        wait_for([victim, *running], lambda victim=victim, wanted=wanted: len(victim.lines) > wanted)  # type: ignore[misc]
        victim.kill()
        ended.append(victim)
        running.append(start())
    for worker in running:
        worker.kill()
    keeper.tell("stop")
    keeper.end()
    history = [one for worker in [*ended, *running] for one in said(worker)]
    with sopnb.open(path) as db:
        judged([*history, last_look(db)], seed)
        assert db.check().ok


def test_a_sum_over_several_stores_is_the_same_in_every_snapshot(server: ForkServer, tmp_path: Path) -> None:
    path = tmp_path / "bank.sop"
    with sopnb.open(path, settings=workers.SETTINGS) as db:
        total = with_banks(db)
    movers = [server.start("transfer", path, me, 150) for me in range(3)]
    auditors = [server.start("audit", path, total) for _ in range(2)]
    wait_for([*movers, *auditors], lambda: all(mover.over for mover in movers), 120)
    for mover in movers:
        mover.end()
    for auditor in auditors:
        auditor.tell("stop")
    for auditor in auditors:
        assert int(auditor.end()[-1]) > 0
    with sopnb.open(path) as db:
        with db.transaction(mode="read") as tx:
            assert sum(int(tx[name][:].to_pandas()["money"].sum()) for name in tx.stores()) == total
        assert db.check().ok


def test_a_sum_is_the_same_in_every_snapshot_of_threads_in_memory() -> None:
    with sopnb.open(":memory:") as db:
        total = with_banks(db)
        failed: list[BaseException] = []
        looked = threading.Event()
        over = threading.Event()

        def move(me: int) -> None:
            random = np.random.default_rng(me)
            for n in range(100):
                if n == 50:
                    looked.wait()
                a, b = random.choice(12, size=2, replace=False).tolist()

                def body(tx: Any, a: int = a, b: int = b) -> None:
                    source, target = tx[f"bank{a // 4}"], tx[f"bank{b // 4}"]
                    have, get = source[a % 4]["money"], target[b % 4]["money"]
                    source.update(a % 4, {"money": have - 1})
                    target.update(b % 4, {"money": get + 1})

                try:
                    db.run(body)
                except BaseException as error:
                    failed.append(error)

        def audit() -> None:
            while not over.is_set():
                with db.transaction(mode="read") as tx:
                    if sum(int(tx[name][:].to_pandas()["money"].sum()) for name in tx.stores()) != total:
                        failed.append(AssertionError("the sum is another one"))
                looked.set()

        movers = [threading.Thread(target=move, args=(me,)) for me in range(4)]
        auditor = threading.Thread(target=audit)
        for thread in (*movers, auditor):
            thread.start()
        for thread in movers:
            thread.join()
        over.set()
        auditor.join()
        assert not failed
        assert db.check().ok


@pytest.mark.parametrize("where", [":memory:", "folder"])
def test_write_skew_is_refused(where: str, tmp_path: Path) -> None:
    # Two doctors are on call; each looks at the other, then leaves. One must be refused, or nobody is left.
    with sopnb.open(where if where == ":memory:" else tmp_path / "skew.sop") as db:
        db.create("doctors", schema={"name": "string", "on_call": "bool"}, index=["name"])
        db["doctors"].insert([{"name": "Ann", "on_call": True}, {"name": "Bob", "on_call": True}])
        looked = threading.Barrier(2)
        refused: list[Conflict] = []

        def leave(me: str) -> None:
            try:
                with db.transaction() as tx:
                    on_call = tx["doctors"][:].to_pandas()["on_call"].sum()
                    looked.wait()
                    if on_call == 2:
                        tx["doctors"].update(me, {"on_call": False})
            except Conflict as error:
                refused.append(error)

        threads = [threading.Thread(target=leave, args=(me,)) for me in ("Ann", "Bob")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert refused[0].store == "doctors"
        assert db["doctors"][:].to_pandas()["on_call"].sum() == 1


@pytest.mark.parametrize("where", [":memory:", "folder"])
def test_a_count_that_was_read_is_validated_against_inserts_anywhere_in_its_range(where: str, tmp_path: Path) -> None:
    with sopnb.open(where if where == ":memory:" else tmp_path / "phantom.sop") as db:
        db.create("seats", schema={"row": "int64", "seat": "int64"}, index=["row", "seat"])
        counted = threading.Barrier(2)
        refused: list[Conflict] = []

        def book(seat: int) -> None:
            try:
                with db.transaction() as tx:
                    taken = tx["seats"].prefix(1).count()
                    counted.wait()
                    if taken == 0:
                        tx["seats"].insert({"row": 1, "seat": seat})
            except Conflict as error:
                refused.append(error)

        threads = [threading.Thread(target=book, args=(seat,)) for seat in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert len(db["seats"]) == 1
