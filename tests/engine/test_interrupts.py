"""Ctrl-C at an unhappy moment harms nothing that is kept in memory."""

from __future__ import annotations

from typing import Any

import pytest

from sopnb.engine import engine as engines
from sopnb.engine import state as states
from sopnb.engine.conflict import Past
from sopnb.engine.tail import Tail
from sopnb.errors import Conflict
from tests.engine.support import Cluster, commit, contents, create, key, rows_of, stack_of


def once(function: Any, error: BaseException, *, calls: int = 1, before: bool = True) -> Any:
    """Return a function that raises at its n-th call, before or after it did its work."""
    left = [calls]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and before:
            raise error
        answer = function(*args, **kwargs)
        if left[0] == 0:
            raise error
        return answer

    return wrapped


@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize("before", [True, False])
def test_an_interrupted_look_at_the_tail_is_begun_again(cluster: Cluster, monkeypatch: Any, calls: int, before: bool) -> None:
    """Operations are decoded when somebody first looks. An interrupt in the midst of it let the next look decode them again from the
    first: each counted twice."""
    engine = cluster.open()
    create(engine)
    model = {k: "a" for k in range(3)}
    commit(engine, model)
    monkeypatch.setattr(Tail, "_append", once(Tail._append, KeyboardInterrupt(), calls=calls, before=before))
    reader = cluster.open()
    with pytest.raises(KeyboardInterrupt):
        contents(reader)
    assert contents(reader) == model
    assert stack_of(reader).count(key(0), key(2)) == 2
    assert [stack_of(reader).rank(key(k)) for k in range(4)] == [0, 1, 2, 3]
    reader.upkeep.fold()
    assert contents(cluster.open()) == model


def test_a_commit_that_was_half_taken_is_not_taken_twice(cluster: Cluster, monkeypatch: Any) -> None:
    """A state is made from the state before it and a commit. An interrupt between the tail, which all newest states share, and the state
    itself let the next look add the same operations to the tail again."""
    engine = cluster.open()
    create(engine)
    commit(engine, {1: "a"})
    reader = cluster.open()
    commit(engine, {2: "b", 3: "c"})
    monkeypatch.setattr(states, "_tagged", once(states._tagged, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        reader.state()
    assert contents(reader) == {1: "a", 2: "b", 3: "c"}
    assert stack_of(reader).rows == stack_of(reader).rank(key(9)) == 3
    reader.upkeep.fold()
    assert contents(cluster.open()) == {1: "a", 2: "b", 3: "c"}


def test_a_commit_missing_among_the_recent_ones_is_still_compared_with(cluster: Cluster, monkeypatch: Any) -> None:
    """Recent commits are kept decoded, for validation. An interrupt between taking a commit for the newest state and keeping it so left a
    gap, and the transactions that began before were compared with the wrong commits."""
    engine, other = cluster.open(), cluster.open()
    create(engine)
    commit(engine, {1: "a"})
    work = engine.begin()
    work.store("s").put("upsert", (1, "mine"))
    commit(other, {1: "theirs"})
    monkeypatch.setattr(engines, "Past", once(Past, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        engine.state()
    commit(other, {5: "elsewhere"})
    with pytest.raises(Conflict):
        engine.commit(work)
    assert rows_of(contents(engine)) == [(1, "theirs"), (5, "elsewhere")]
