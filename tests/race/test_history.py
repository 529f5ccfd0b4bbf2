"""The checker of histories is itself checked: right histories pass, each anomaly is named, weaker isolation is found out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sopnb.testing.history import Append, Read, Transaction, anomalies


def kinds(*history: Transaction, **options: Any) -> set[str]:
    return {anomaly.kind for anomaly in anomalies(history, **options)}


def tx(*operations: Read | Append, began: float = 0, ended: float = float("inf"), outcome: Any = "committed") -> Transaction:
    return Transaction(operations, outcome, began, ended)


def r(key: str, *values: int) -> Read:
    return Read(key, values)


def a(key: str, value: int) -> Append:
    return Append(key, value)


def test_a_serial_history_is_right() -> None:
    assert not kinds(
        tx(r("x"), a("x", 1), r("x", 1), began=1, ended=2), tx(r("x", 1), a("x", 2), began=3, ended=4), tx(r("x", 1, 2), began=5)
    )


@pytest.mark.parametrize(
    ("kind", "history"),
    [
        ("G0", [tx(a("x", 1), a("y", 1)), tx(a("x", 2), a("y", 2)), tx(r("x", 1, 2), r("y", 2, 1))]),
        ("G1a", [tx(a("x", 1), outcome="aborted"), tx(r("x", 1))]),
        ("G1b", [tx(a("x", 1), a("x", 2)), tx(r("x", 1)), tx(r("x", 1, 2))]),
        ("G1c", [tx(a("x", 1), r("y", 1)), tx(a("y", 1), r("x", 1))]),
        ("G-single", [tx(a("x", 1), a("y", 1)), tx(r("x", 1), r("y")), tx(r("x", 1), r("y", 1))]),
        ("G-single", [tx(r("x"), a("x", 1)), tx(r("x"), a("x", 2)), tx(r("x", 1, 2))]),
        ("G2", [tx(r("x"), r("y"), a("x", 1)), tx(r("x"), r("y"), a("y", 1)), tx(r("x", 1), r("y", 1))]),
        ("incompatible", [tx(a("x", 1)), tx(a("x", 2)), tx(r("x", 1, 2)), tx(r("x", 2, 1))]),
        ("garbage", [tx(a("x", 1)), tx(r("x", 1, 1))]),
        ("garbage", [tx(r("x", 7))]),
        ("internal", [tx(a("x", 1), r("x"))]),
        ("internal", [tx(a("x", 1)), tx(r("x"), r("x", 1))]),
        ("real-time", [tx(a("x", 1), began=1, ended=2), tx(r("x"), began=3, ended=4)]),
        ("real-time", [tx(a("x", 1), began=1, ended=2), tx(a("y", 1), began=3, ended=4), tx(r("y", 1), r("x"), began=5, ended=6)]),
    ],
)
def test_each_anomaly_is_named(kind: str, history: list[Transaction]) -> None:
    assert kind in kinds(*history)


def test_a_lost_append_is_found_where_everything_was_read_at_the_end() -> None:
    history = [tx(a("x", 1)), tx(a("x", 2)), tx(r("x", 2))]
    assert not kinds(*history)
    assert kinds(*history, complete=True) == {"lost"}


def test_an_unknown_transaction_counts_only_where_its_value_was_seen() -> None:
    unknown = tx(r("x"), a("x", 1), outcome="unknown", began=1)
    assert not kinds(unknown, tx(r("x"), began=5), complete=True)
    assert not kinds(unknown, tx(r("x", 1), began=5), complete=True)
    assert kinds(tx(a("y", 1), began=0, ended=1), tx(r("y"), a("x", 1), outcome="unknown", began=2), tx(r("x", 1), began=5)) == {
        "real-time"
    }


def test_an_old_snapshot_is_serialisable_but_not_in_real_time() -> None:
    history = [tx(a("x", 1), began=1, ended=2), tx(r("x"), began=3, ended=4), tx(r("x", 1), began=5, ended=6)]
    assert kinds(*history, real_time=False) == set()
    assert kinds(*history) == {"real-time"}


class Simulation:
    """A store of lists under an isolation level that is as weak as asked, run by one random schedule."""

    KEYS = "abcde"

    def __init__(self, level: str, seed: int) -> None:
        self._level, self._random = level, np.random.default_rng(seed)
        self._commits: list[tuple[int, dict[str, tuple[int, ...]]]] = [(0, {key: () for key in self.KEYS})]
        self._now = 0
        self._values = 0

    def history(self, n: int) -> list[Transaction]:
        done: list[Transaction] = []
        running = [self._begin() for _ in range(4)]
        while len(done) < n:
            self._now += 1
            one = running[self._random.integers(len(running))]
            if len(one["operations"]) < one["length"]:
                self._step(one)
                continue
            running.remove(one)
            running.append(self._begin())
            outcome = self._commit(one)
            done.append(Transaction(tuple(one["operations"]), outcome, one["began"], self._now))
        newest = self._commits[-1][1]
        return [*done, Transaction(tuple(Read(key, newest[key]) for key in self.KEYS), "committed", self._now + 1, self._now + 2)]

    def _begin(self) -> dict[str, Any]:
        self._now += 1
        return {
            "began": self._now, "length": int(self._random.integers(1, 5)), "operations": [], "snapshot": len(self._commits) - 1,
            "reads": set(), "writes": {},
        }  # fmt: skip

    def _step(self, one: dict[str, Any]) -> None:
        key = self.KEYS[self._random.integers(len(self.KEYS))]
        if self._random.random() < 0.5:
            state = self._commits[-1 if self._level == "read-committed" else one["snapshot"]][1]
            one["operations"].append(Read(key, (*state[key], *one["writes"].get(key, ()))))
            one["reads"].add(key)
        else:
            self._values += 1
            one["operations"].append(Append(key, self._values))
            one["writes"][key] = (*one["writes"].get(key, ()), self._values)

    def _commit(self, one: dict[str, Any]) -> Any:
        start, newest = self._commits[one["snapshot"]][1], self._commits[-1][1]
        checked = {"read-committed": set(), "snapshot": set(one["writes"]), "serialisable": {*one["writes"], *one["reads"]}}[self._level]
        if any(start[key] != newest[key] for key in checked):
            return "aborted"
        if one["writes"]:
            self._commits.append((self._now, {key: newest[key] + one["writes"].get(key, ()) for key in self.KEYS}))
        return "committed"


@pytest.mark.parametrize("seed", range(20))
def test_isolation_that_is_too_weak_is_found_out_and_no_right_history_is_blamed(seed: int) -> None:
    # a read-only transaction of the "serialisable" level is checked against its snapshot too, so its order is that of the commits
    assert kinds(*Simulation("serialisable", seed).history(400), complete=True) == set()
    assert kinds(*Simulation("snapshot", seed).history(400), complete=True) <= {"G2", "real-time"}
    assert kinds(*Simulation("read-committed", seed).history(400), complete=True) & {"G-single", "G2", "internal"}


def test_write_skew_is_found_in_most_histories_of_plain_snapshots() -> None:
    caught = sum(bool(kinds(*Simulation("snapshot", seed).history(400), real_time=False)) for seed in range(20))
    assert caught >= 18
