"""Transactions: one state, all or nothing, conflicts that name their place, and an exception that always reaches the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest

import sopnb
from sopnb import Database, DatabaseSettings, HandleSettings
from sopnb.access.lease import Lease
from sopnb.engine.engine import Engine
from sopnb.engine.work import Work
from sopnb.errors import (
    CommitUnknown,
    Conflict,
    InvalidInput,
    InvalidState,
    KeyNotFound,
    NestedTransaction,
    ReadOnly,
    StorageError,
    StoreExists,
    StoreNotFound,
)
from sopnb.protocols import Backend
from sopnb.storage.memory import MemoryBlobs, MemoryPins, MemoryRegistry
from sopnb.testing.clock import ManualClock
from sopnb.testing.faulty import FaultyBlobs, FaultyRegistry

HANDLE = HandleSettings(maintenance="off", progress=False)


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", handle=HANDLE) as db:
        store = db.create("accounts", {"name": "string", "euros": "int64"}, "name")
        store.insert([{"name": name, "euros": 100} for name in ("ada", "bob", "eve")])
        db.create("log", {"n": "int64", "text": "string"}, "n")
        yield db
        assert db.check().ok


class Faulty:
    """A database whose registry and blobs fail when told to, on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry, self.blobs = FaultyRegistry(MemoryRegistry(self.clock)), FaultyBlobs(MemoryBlobs())
        backend = Backend(self.registry, self.blobs, MemoryPins(self.clock), self.clock, "faulty")
        self.db = Database(Lease.over(Engine.open(backend, DatabaseSettings(inline_rows=10), HANDLE)))
        self.db.create("accounts", {"name": "string", "euros": "int64"}, "name").insert({"name": "ada", "euros": 100})


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    faulty = Faulty()
    yield faulty
    assert faulty.db.check().ok
    faulty.db.close()


def _elsewhere(work: Callable[[], object]) -> object:
    """Do something in another thread, where no transaction is open."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


# -- all or nothing -----------------------------------------------------------------------------------------------------------


def test_several_stores_change_in_one_commit(db: Any) -> None:
    before = db.seq
    with db.transaction(message="a loan", author="teller") as tx:
        assert tx["accounts"].update("ada", {"euros": 70}).seq == 0
        tx["accounts"].update("bob", {"euros": 130})
        tx["log"].insert({"n": 1, "text": "30 from ada to bob"})
        assert tx["accounts"]["ada"]["euros"] == 70
        assert tx["accounts"]["ada"].seq == 0
    assert tx.seq == db.seq == before + 1
    assert db["accounts"]["bob"].seq == tx.seq
    commit = db.log().iloc[-1]
    assert (commit["message"], commit["author"], commit["stores"]) == ("a loan", "teller", "accounts, log")
    assert (commit["updated"], commit["inserted"]) == (2, 1)
    assert db.log(store="log").iloc[-1]["updated"] == 0


class Mine(Exception):
    pass


def _failing(db: Any, *steps: Callable[[Any], object], error: BaseException) -> None:
    with db.transaction() as tx:
        for step in steps:
            step(tx)
        raise error


def test_an_exception_rolls_back_and_reaches_the_caller(db: Any) -> None:
    seq = db.seq
    delete = lambda tx: tx["accounts"].delete("ada")  # noqa: E731
    for error in (Mine(), KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(error)):
            _failing(db, delete, error=error)
        with pytest.raises(type(error)):
            _failing(db, delete, lambda tx: tx.rollback(), error=error)
    with pytest.raises(KeyNotFound):
        _failing(db, delete, lambda tx: tx["accounts"]["zoe"], error=Mine())
    assert (db.seq, len(db["accounts"])) == (seq, 3)
    with pytest.raises(Mine):
        _failing(db, delete, lambda tx: tx.commit(), error=Mine())
    assert (db.seq, len(db["accounts"])) == (seq + 1, 2)


def test_an_exception_reaches_the_caller_even_if_rolling_back_fails(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Work) -> None:
        raise StorageError("the disk", "unplugged")

    monkeypatch.setattr(Work, "rollback", broken)
    with pytest.raises(Mine) as caught:
        _failing(db, error=Mine())
    assert "unplugged" in caught.value.__notes__[0]


def test_a_failed_call_leaves_the_transaction_as_it_was(db: Any) -> None:
    with db.transaction() as tx:
        tx["accounts"].insert({"name": "zoe", "euros": 1})
        with pytest.raises(sopnb.DuplicateKey):
            tx["accounts"].insert(pd.DataFrame({"name": ["yan", "ada"], "euros": [1, 1]}))
        with pytest.raises(sopnb.SchemaMismatch):
            tx["accounts"].insert({"name": "yan", "euros": "much"})
    assert list(db["accounts"]) == ["ada", "bob", "eve", "zoe"]


def test_a_transaction_without_with_is_ended_by_hand(db: Any) -> None:
    tx = db.transaction()
    tx["accounts"].update("ada", {"euros": 1})
    assert db["accounts"]["ada"]["euros"] == 100
    assert tx.commit() == db.seq
    other = db.transaction()
    other["accounts"].delete("ada")
    other.rollback()
    other.rollback()
    assert db["accounts"]["ada"]["euros"] == 1
    for over in (tx, other):
        assert over.done
        for use in (lambda over=over: over["accounts"], over.stores, over.commit, over.__enter__, lambda over=over: "log" in over):
            with pytest.raises(InvalidState, match="finished"):
                use()
    assert "over" in repr(tx)


def test_a_store_of_a_transaction_that_is_over_says_so(db: Any) -> None:
    with db.transaction() as tx:
        accounts = tx["accounts"]
        selection = accounts[:]
    for use in (lambda: accounts["ada"], selection.count, lambda: accounts.delete("ada")):
        with pytest.raises(InvalidState, match="finished"):
            use()
    assert "cannot be shown now" in repr(accounts)


def test_nothing_written_is_no_commit(db: Any) -> None:
    seq = db.seq
    with db.transaction() as tx:
        tx["accounts"].update("ada", {"euros": 100})
        tx["accounts"].delete("nobody")
    assert (tx.seq, db.seq) == (0, seq)


def test_stores_are_made_renamed_and_dropped_with_the_transaction(db: Any) -> None:
    with db.transaction() as tx:
        tx.create("notes", {"k": "int64"}, "k").insert({"k": 1})
        tx.load("planes", pd.DataFrame({"tailnum": ["N1"]}), "tailnum", message="planes came")
        tx.rename("log", "events")
        tx.drop("accounts")
        assert tx.stores() == tuple(tx) == ("events", "notes", "planes")
        assert "notes" in tx
        assert "log" not in tx
        assert tx["planes"]["N1"]["tailnum"] == "N1"
        for missing in ("log", "accounts"):
            with pytest.raises(StoreNotFound, match="there are: 'events', 'notes', 'planes'"):
                tx[missing]
        with pytest.raises(StoreExists):
            tx.create("notes", {"k": "int64"}, "k")
        with pytest.raises(StoreExists):
            tx.rename("notes", "planes")
        assert _elsewhere(db.stores) == ("accounts", "log")
    assert db.stores() == ("events", "notes", "planes")
    assert db.log()["message"].iloc[-1] == "planes came"
    with pytest.raises(Mine):
        _failing(db, lambda tx: tx.create("more", {"k": "int64"}, "k"), lambda tx: tx.drop("notes"), error=Mine())
    assert db.stores() == ("events", "notes", "planes")


def test_the_message_of_a_write_is_added_to_that_of_the_transaction(db: Any) -> None:
    with db.transaction() as tx:
        tx["accounts"].update("ada", {"euros": 1}, message="day 1")
        tx["accounts"].update("bob", {"euros": 1}, message="day 2")
    assert db.log()["message"].iloc[-1] == "day 1; day 2"


# -- one state ----------------------------------------------------------------------------------------------------------------


def test_a_transaction_sees_one_state_and_its_own_writes(db: Any) -> None:
    tx = db.transaction()
    accounts = tx["accounts"]
    db["accounts"].delete("eve")
    db["accounts"].update("bob", {"euros": 5})
    assert len(accounts) == 3
    assert accounts[:].to_pandas()["euros"].sum() == 300
    accounts.insert({"name": "zoe", "euros": 1})
    assert accounts.where(pc.field("euros") < 50).to_dicts() == [{"name": "zoe", "euros": 1}]
    tx.rollback()


def test_what_is_not_committed_yet_has_no_commit(db: Any) -> None:
    with db.transaction() as tx:
        tx["accounts"].update("bob", {"euros": 5})
        assert tx["accounts"].select("_seq").to_arrow()["_seq"].to_pylist() == [2, 0, 2]
        assert [record.seq for record in tx["accounts"][:].records()] == [2, 0, 2]
        assert tx["accounts"].where(pc.field("_seq") == 0).count() == 1
    assert db["accounts"].where(pc.field("_seq") == tx.seq).to_dicts() == [{"name": "bob", "euros": 5}]


def test_an_iterator_does_not_see_later_writes_of_its_own_transaction(db: Any) -> None:
    with db.transaction() as tx:
        for record in tx["accounts"][:].records():
            tx["accounts"].insert({"name": record["name"] + "'", "euros": 0})
            tx["accounts"].delete(record.key)
    assert list(db["accounts"]) == ["ada'", "bob'", "eve'"]


def test_using_the_handle_inside_a_transaction_is_refused_and_names_the_remedy(db: Any) -> None:
    flights = db["accounts"]
    selection = flights[:]
    iterator = flights[:].records()
    with db.transaction() as tx:
        for use in (
            lambda: db["accounts"],
            lambda: flights["ada"],
            lambda: "ada" in flights,
            lambda: len(flights),
            lambda: flights.delete("ada"),
            lambda: flights[:],
            selection.count,
            selection.to_pandas,
            lambda: selection.update({"euros": 1}),
        ):
            with pytest.raises(NestedTransaction, match=r"use tx\['accounts'\]"):
                use()
        for use in (
            db.transaction,
            lambda: db.run(lambda tx: None),
            db.stores,
            lambda: "accounts" in db,
            lambda: db.drop("log"),
            lambda: db.load("x", pd.DataFrame({"k": [1]}), "k"),
            db.at,
            lambda: db.seq,
            db.fold,
        ):
            with pytest.raises(NestedTransaction, match="use tx"):
                use()
        assert len(list(iterator)) == len(tx["accounts"]) == 3
        assert "3 records" in repr(flights)
        assert "2 stores" in repr(db)
        _elsewhere(lambda: db["accounts"].update("eve", {"euros": 1}))
    assert flights["eve"]["euros"] == 1


def test_after_a_transaction_failed_the_handle_is_free_again(db: Any) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), db.transaction():
            raise error
        assert len(db["accounts"]) == 3
    with pytest.raises(ValueError, match="mine"):
        db.run(lambda tx: (_ for _ in ()).throw(ValueError("mine")))
    assert len(db["accounts"]) == 3


def test_inside_run_the_handle_is_refused_too(db: Any) -> None:
    with pytest.raises(NestedTransaction, match=r"tx\['accounts'\]"):
        db.run(lambda tx: db["accounts"]["ada"])


# -- modes --------------------------------------------------------------------------------------------------------------------


def test_a_transaction_that_reads_never_conflicts_and_writes_nothing(db: Any) -> None:
    with db.transaction("read") as tx:
        assert tx["accounts"][:].count() == 3
        _elsewhere(lambda: db["accounts"].delete("eve"))
        assert tx["accounts"]["eve"]["euros"] == 100
        for write in (
            lambda: tx["accounts"].delete("ada"),
            lambda: tx["accounts"][:].delete(),
            lambda: tx.drop("log"),
            lambda: tx.create("x", {"k": "int64"}, "k"),
            lambda: tx.load("x", pd.DataFrame({"k": [1]}), "k"),
            lambda: tx.tag("x"),
        ):
            with pytest.raises(ReadOnly):
                write()
    assert tx.seq == 0


def test_unchecked_drops_what_was_read_but_not_what_was_written(db: Any) -> None:
    tx = db.transaction("unchecked")
    total = tx["accounts"][:].to_pandas()["euros"].sum()
    tx["log"].insert({"n": 1, "text": str(total)})
    db["accounts"].update("ada", {"euros": 0})
    tx.commit()
    tx = db.transaction("unchecked")
    tx["accounts"].update("ada", {"euros": 1})
    db["accounts"].update("ada", {"euros": 2})
    with pytest.raises(Conflict, match="'accounts' at key 'ada'"):
        tx.commit()


# -- conflicts ----------------------------------------------------------------------------------------------------------------

READS: dict[str, tuple[Callable[[Any], object], list[str], list[str]]] = {
    "record": (lambda s: s["bob"], ["bob"], ["ada", "new"]),
    "absent": (lambda s: s.get("new"), ["new"], ["ada"]),
    "in": (lambda s: "new" in s, ["new"], ["ada"]),
    "range": (lambda s: s["b":"d"].to_dicts(), ["bob", "c"], ["ada", "new"]),
    "prefix": (lambda s: s.prefix(startswith="b").count(), ["bob", "bea"], ["ada", "new"]),
    "count": (lambda s: s[:"c"].count(), ["ada", "a"], ["eve", "new"]),
    "len": (len, ["a", "zoe"], []),
    "first": (lambda s: s.first(), ["a", "ada"], ["bob", "new"]),
    "last": (lambda s: s.last(), ["eve", "zoe"], ["bob", "ada"]),
    "head": (lambda s: s[:].head(2), ["a", "ada", "b", "bob"], ["eve", "zoe"]),
    "tail": (lambda s: s[:].tail(1), ["zoe", "eve"], ["bob", "a"]),
    "row": (lambda s: s[:].row(1), ["a", "bob"], ["eve", "zoe"]),
    "rows": (lambda s: s["b":].rows(0, 1), ["b", "bob"], ["ada", "zoe"]),
    "reversed row": (lambda s: s[:].reverse().row(0), ["zoe", "eve"], ["bob", "a"]),
    "page": (lambda s: s[:].next_page(size=1), ["a", "ada"], ["eve", "zoe"]),
    "many": (lambda s: s.get_many(["bob", "new"], missing="skip"), ["bob", "new"], ["ada"]),
    "where": (lambda s: s.where(pc.field("euros") > 1000).count(), ["a", "eve", "zoe"], []),
    "first of an iterator": (lambda s: next(s["b":].records()), ["bob"], ["ada", "a"]),
}


@pytest.mark.parametrize("way", READS)
def test_what_was_read_is_validated_and_nothing_else(db: Any, way: str) -> None:
    read, disturbing, harmless = READS[way]
    for key in [*disturbing, *harmless]:
        tx = db.transaction()
        read(tx["accounts"])
        tx["log"].upsert({"n": db.seq, "text": "read"})
        db["accounts"].upsert({"name": key, "euros": db.seq})
        if key in disturbing:
            with pytest.raises(Conflict, match="store 'accounts'") as caught:
                tx.commit()
            assert caught.value.store == "accounts"
        else:
            tx.commit()
        if key not in ("ada", "bob", "eve"):
            db["accounts"].delete(key)


def test_disjoint_changes_merge_and_the_same_record_conflicts(db: Any) -> None:
    one, two, three = (db.transaction() for _ in range(3))
    one["accounts"].update("ada", {"euros": 1})
    two["accounts"].update("bob", {"euros": 2})
    three["accounts"].update("ada", {"euros": 3})
    one.commit()
    two.commit()
    with pytest.raises(Conflict, match="'accounts' at key 'ada'.*db.run") as caught:
        three.commit()
    assert (caught.value.store, caught.value.key, caught.value.seq) == ("accounts", "ada", one.seq)
    assert [record["euros"] for record in db["accounts"][:].records()] == [1, 2, 100]


def test_a_dropped_or_remade_store_conflicts_with_its_writers(db: Any) -> None:
    tx = db.transaction()
    tx["log"].insert({"n": 1})
    db.load("log", pd.DataFrame({"n": [1], "text": ["x"]}), "n", if_exists="replace")
    with pytest.raises(Conflict, match="'log'"):
        tx.commit()


# -- run ----------------------------------------------------------------------------------------------------------------------


def test_run_tries_again_after_a_conflict_and_returns_the_value(db: Any) -> None:
    tries: list[int] = []

    def add(tx: Any) -> int:
        euros = tx["accounts"]["ada"]["euros"] + 1
        tries.append(euros)
        if len(tries) < 3:
            _elsewhere(lambda: db["accounts"].update("ada", {"euros": euros * 10}))
        tx["accounts"].update("ada", {"euros": euros})
        return int(euros)

    assert db.run(add, message="one more") == 10_111
    assert tries == [101, 1011, 10_111]
    assert db["accounts"]["ada"]["euros"] == 10_111
    assert db.log()["message"].iloc[-1] == "one more"


def test_run_gives_up_at_its_deadline_with_the_conflict(faulty: Faulty) -> None:
    db, began, tries = faulty.db, faulty.clock.monotonic(), []

    def always(tx: Any) -> None:
        tries.append(faulty.clock.monotonic() - began)
        tx["accounts"].update("ada", {"euros": len(tries)})
        _elsewhere(lambda: db["accounts"].update("ada", {"euros": -len(tries)}))

    with pytest.raises(Conflict, match="'accounts' at key 'ada'") as caught:
        db.run(always, deadline=5)
    assert f"given up after {len(tries)} attempts" in caught.value.__notes__[0]
    assert tries[-1] <= 5
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert len(set(pauses)) == len(pauses), "the pauses are random, so that two losers do not meet again"
    assert max(pauses) <= 0.375
    tries.clear()
    with pytest.raises(Conflict):
        db.run(always, deadline=0)
    assert len(tries) == 1


def test_run_leaves_other_errors_alone_and_may_end_the_transaction_itself(db: Any) -> None:
    def spoil(tx: Any) -> None:
        tx["accounts"].delete("ada")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.run(spoil)
    assert "ada" in db["accounts"]

    def keep(tx: Any) -> int:
        tx["accounts"].delete("ada")
        return int(tx.commit())

    assert db.run(keep) == db.seq

    def forget(tx: Any) -> str:
        tx["accounts"].delete("bob")
        tx.rollback()
        return "forgotten"

    assert db.run(forget) == "forgotten"
    assert list(db["accounts"]) == ["bob", "eve"]
    assert db.run(lambda tx: len(tx["accounts"]), mode="read") == 2


def test_a_single_write_tries_again_by_itself(db: Any) -> None:
    before, n = db.seq, 40

    def add(me: int) -> list[int]:
        return [db["accounts"].upsert({"name": "ada", "euros": 1000 * me + i}).seq for i in range(n)]

    with ThreadPoolExecutor(4) as pool:
        seqs = [seq for each in pool.map(add, range(4)) for seq in each]
    assert sorted(seqs) == list(range(before + 1, before + 4 * n + 1))
    assert len(db["accounts"]) == 3


# -- lost answers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lose", "outcome"), [("request", "aborted"), ("answer", "committed")])
def test_a_lost_answer_raises_and_is_settled_by_asking(faulty: Faulty, lose: Any, outcome: str) -> None:
    tx = faulty.db.transaction()
    tx["accounts"].update("ada", {"euros": 5})
    faulty.registry.lose = lose
    with pytest.raises(CommitUnknown, match="db.outcome") as caught:
        tx.commit()
    assert tx.done
    assert faulty.db.outcome(caught.value.txid) == faulty.db.outcome(caught.value.txid) == outcome
    assert faulty.db["accounts"]["ada"]["euros"] == (5 if outcome == "committed" else 100)
    with pytest.raises(InvalidInput, match="no transaction id"):
        faulty.db.outcome("x")


@pytest.mark.parametrize(("lose", "times"), [("request", 2), ("answer", 1)])
def test_run_settles_before_it_tries_again(faulty: Faulty, lose: Any, times: int) -> None:
    tries: list[int] = []

    def add(tx: Any) -> str:
        tries.append(1)
        tx["accounts"].update("ada", {"euros": tx["accounts"]["ada"]["euros"] + 1})
        return "done"

    faulty.registry.lose = lose
    assert faulty.db.run(add) == "done"
    assert len(tries) == times
    assert faulty.db["accounts"]["ada"]["euros"] == 101


@pytest.mark.parametrize("lose", ["request", "answer"])
def test_a_single_write_settles_too_and_names_its_commit(faulty: Faulty, lose: Any) -> None:
    faulty.registry.lose = lose
    counts = faulty.db["accounts"].insert({"name": "bob", "euros": 1})
    assert (counts.inserted, counts.seq) == (1, faulty.db["accounts"]["bob"].seq)


def test_what_cannot_be_settled_is_raised_with_its_id(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Engine, txid: str) -> str:
        raise StorageError("the log", "unplugged")

    monkeypatch.setattr(Engine, "outcome", broken)
    faulty.registry.lose = "answer"
    with pytest.raises(CommitUnknown) as caught:
        faulty.db["accounts"].update("ada", {"euros": 6})
    assert isinstance(caught.value.__cause__, StorageError)
    assert caught.value.txid


def test_a_full_disk_changes_nothing(faulty: Faulty) -> None:
    faulty.blobs.room = 10
    with pytest.raises(sopnb.NoSpace):
        faulty.db["accounts"].insert([{"name": f"n{i}", "euros": i} for i in range(1000)])
    faulty.blobs.room = None
    assert len(faulty.db["accounts"]) == 1
