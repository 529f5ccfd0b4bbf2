"""What became of a transaction whose answer was lost: one sure answer, or "too old to know"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sopnb.engine import engine as engines
from sopnb.engine.engine import Engine
from sopnb.errors import CommitUnknown, HistoryTrimmed, InvalidInput, ReadOnly
from sopnb.protocols import Commit, Draft, transaction_id
from sopnb.testing.faulty import FaultyRegistry
from tests.engine.support import SECOND, Cluster, commit, contents, create


@pytest.fixture
def faulty(cluster: Cluster) -> FaultyRegistry:
    cluster.registry = faulty = FaultyRegistry(cluster.registry)
    return faulty


@pytest.fixture
def engine(cluster: Cluster, faulty: FaultyRegistry) -> Engine:
    engine = cluster.open()
    create(engine)
    return engine


def lost(engine: Engine, faulty: FaultyRegistry, lose: Any, k: int = 1) -> CommitUnknown:
    faulty.lose = lose
    with pytest.raises(CommitUnknown) as caught:
        commit(engine, {k: "x"})
    return caught.value


@pytest.mark.parametrize("asked", ["the writer", "another", "one who opens later"])
@pytest.mark.parametrize("lose", ["request", "answer"])
def test_a_lost_answer_is_settled_the_same_for_everybody(
    cluster: Cluster, faulty: FaultyRegistry, engine: Engine, lose: Any, asked: str
) -> None:
    other = cluster.open()
    error = lost(engine, faulty, lose)
    asker = {"the writer": engine, "another": other}.get(asked) or cluster.open()
    expected = "committed" if lose == "answer" else "aborted"
    assert asker.outcome(error.txid) == expected
    assert [e.outcome(error.txid) for e in (engine, other, cluster.open())] == [expected] * 3
    assert contents(engine) == contents(other) == ({1: "x"} if lose == "answer" else {})


def test_the_answer_is_final_for_a_request_that_arrives_late(cluster: Cluster, engine: Engine, monkeypatch: Any) -> None:
    """[A delayed request may land after a read that said "absent".] The log is filled with a no-op at exactly the seq that was tried, so
    the request finds its place taken."""
    held: list[tuple[Sequence[Draft], int]] = []
    append = cluster.memory.append

    def delayed(drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        held.append((drafts, after))
        raise CommitUnknown(transaction_id(1, after + 1, drafts[0].id), epoch=1, seq=after + 1)

    monkeypatch.setattr(cluster.memory, "append", delayed)
    with pytest.raises(CommitUnknown) as caught:
        commit(engine, {1: "late"})
    monkeypatch.undo()
    before = engine.state().seq
    assert engine.outcome(caught.value.txid) == "aborted"
    assert engine.state().seq == before + 1 == caught.value.seq
    with pytest.raises(Exception, match="newest"):
        append(*held[0])
    assert contents(cluster.open()) == {}
    assert engine.outcome(caught.value.txid) == "aborted"


def test_the_log_is_filled_up_to_the_seq_that_was_tried_and_no_further(engine: Engine, faulty: FaultyRegistry) -> None:
    """A member of a group may have been tried some seqs beyond the head."""
    head = engine.state().seq
    txid = transaction_id(1, head + 3, b"12345678")
    assert engine.outcome(txid) == "aborted"
    assert engine.state().seq == head + 3
    assert engine.outcome(txid) == "aborted"
    assert engine.state().seq == head + 3
    assert engine.log()[-1].seq <= head, "filling is nothing that people see"


def test_a_txid_is_settled_by_the_commit_at_its_seq(cluster: Cluster, engine: Engine) -> None:
    seq = commit(engine, {1: "x"})
    committed = engine.log()[-1].txid
    epoch, number, id = committed.split(".")
    assert (int(number), engine.outcome(committed)) == (seq, "committed")
    assert engine.outcome(f"{epoch}.{number}.{'00' * 8}") == "aborted"
    assert engine.outcome(f"{epoch}.{seq - 1}.{id}") == "aborted"
    assert cluster.open().outcome(committed) == "committed"


def test_settling_reads_the_log_where_memory_does_not_reach(cluster: Cluster, engine: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr(engines, "OUTCOMES", 2)
    for k in range(5):
        commit(engine, {k: "x"})
    txids = [info.txid for info in engine.log()]
    assert len(engine._outcomes) == 2
    assert [engine.outcome(txid) for txid in txids] == ["committed"] * len(txids)


def test_beyond_the_window_the_answer_is_too_old_to_know(cluster: Cluster, engine: Engine) -> None:
    """Never "aborted": a checkpoint carries recent outcomes for a stated time, and the log below it may be gone."""
    commit(engine, {1: "old"})
    old = engine.log()[-1].txid
    cluster.clock.sleep(engine.settings.outcome_seconds + 1)
    commit(engine, {2: "recent"})
    recent = engine.log()[-1].txid
    for _ in range(3):
        engine.upkeep.compact(0)
        cluster.clock.sleep(1)
        commit(engine, {3: str(cluster.clock.now())})
    assert min(c.seq for c in engine._kept(0)) > int(recent.split(".")[1]), "the log should have been trimmed"
    later = cluster.open()
    assert later.outcome(recent) == "committed"
    assert later.outcome(recent.replace(recent[-4:], "0000")) == "aborted"
    with pytest.raises(HistoryTrimmed, match="too old to know"):
        later.outcome(old)


@pytest.mark.parametrize("txid", ["", "1.2", "1.2.xyz", "a.2.00", "1.b.00", "1.2.00.00", "1.0.00", "1.-3.00"])
def test_what_is_no_txid_is_refused(engine: Engine, txid: str) -> None:
    with pytest.raises(InvalidInput, match="epoch.seq.id"):
        engine.outcome(txid)


def test_a_txid_far_beyond_the_log_is_none_of_this_database(engine: Engine) -> None:
    """It would have been settled by filling the log up to it, with a thousand million no-ops."""
    head = engine.state().seq
    with pytest.raises(InvalidInput, match="another database"):
        engine.outcome(transaction_id(1, 1_000_000_000, b"12345678"))
    assert engine.state().seq == head


def test_a_reader_does_not_write_to_settle(cluster: Cluster, engine: Engine, faulty: FaultyRegistry) -> None:
    error = lost(engine, faulty, "request")
    reader = cluster.open(writable=False)
    with pytest.raises(ReadOnly):
        reader.outcome(error.txid)
    assert engine.outcome(error.txid) == "aborted"
    assert reader.outcome(error.txid) == "aborted"


def test_blobs_of_an_unknown_commit_stay(cluster: Cluster, faulty: FaultyRegistry, engine: Engine) -> None:
    for lose, wanted in (("request", {}), ("answer", {k: "x" * 100 for k in range(2000)})):
        faulty.lose = lose  # type: ignore[assignment]
        before = set(dict(cluster.blobs.names()))
        with pytest.raises(CommitUnknown):
            commit(engine, {k: "x" * 100 for k in range(2000)}, bulk=True)
        assert len(set(dict(cluster.blobs.names())) - before) == 1
        assert contents(engine) == wanted


def test_outcomes_older_than_the_window_are_not_written_down(cluster: Cluster, engine: Engine) -> None:
    commit(engine, {1: "x"})
    cluster.clock.sleep(engine.settings.outcome_seconds - 1)
    assert len(engine.outcomes()) == 2
    cluster.clock.sleep(2)
    assert engine.outcomes() == []
    assert engine.settings.outcome_seconds * SECOND > 0
