"""What the past tells: differences, versions and changes of random histories are those of a model, through folds, names and drops."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.errors import Conflict
from tests.api_support import databases
from tests.past.support import History, Rows, applied, histories


@pytest.mark.timeout(7200)
@databases()
@given(histories, st.data())
def test_a_difference_leads_from_one_state_to_the_other(history: Any, data: Any) -> None:
    world = History()
    world.play(history)
    newest = len(world.contents) - 1
    pairs = [(seq, seq + 1) for seq in range(newest)]
    pairs += [tuple(sorted(data.draw(st.tuples(st.integers(0, newest), st.integers(0, newest))))) for _ in range(3)]
    for a, b in pairs:
        for name in world.contents[a].keys() | world.contents[b].keys():
            old, new = world.followed(a, b, name)
            there = world.db.diff(a, b, name)
            assert applied(old, there) == new
            assert list(there["k"]) == sorted(there["k"])
            assert list(there[there["_change"] == "update"]["_side"]) == ["old", "new"] * (sum(there["_change"] == "update") // 2)
            if a != b and name in world.contents[b]:
                assert applied(new, _turned(there)) == old
    assert world.db.check().ok


def _turned(frame: Any) -> Any:
    return frame.assign(_side=frame["_side"].map({"old": "new", "new": "old"}))


@pytest.mark.timeout(7200)
@databases()
@given(histories)
def test_a_history_has_every_version_of_a_record(history: Any) -> None:
    world = History()
    world.play(history)
    for name, kept in world.stores.items():
        for key in {*kept.past, 0}:
            found = world.db[name].history(key)
            assert found.attrs["complete_since"] == 0
            assert list(found[["_seq", "_change", "v"]].itertuples(index=False, name=None)) == _net(kept.past.get(key, []))
            assert set(found["k"]) <= {key}
    assert world.db.check().ok


def _net(versions: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Return versions as they look when a store is replaced within a commit: deleted and inserted is updated."""
    told: list[tuple[int, str, str]] = []
    for seq, kind, value in versions:
        if told and told[-1][:2] == (seq, "delete"):
            told[-1] = seq, "update", value
        else:
            told.append((seq, kind, value))
    return told


@pytest.mark.timeout(7200)
@databases()
@given(histories)
def test_changes_are_what_every_commit_did(history: Any) -> None:
    world = History()
    world.play(history)
    everything = world.db.changes(0)
    if world.events:
        assert list(everything[["_seq", "_store", "_change", "k", "v"]].itertuples(index=False, name=None)) == world.events
    else:
        assert len(everything) == 0
    for name, kept in world.stores.items():
        replayed: dict[int, str] = {}
        for kind, key, value in world.db.changes(0, name)[["_change", "k", "v"]].itertuples(index=False, name=None):
            assert (kind == "insert") == (key not in replayed)
            if kind == "delete":
                assert replayed.pop(key) == value
            else:
                replayed[key] = value
        assert replayed == kept.rows
    assert world.db.check().ok


@pytest.mark.timeout(7200)
@databases()
@given(histories, st.booleans())
def test_reverting_every_commit_leads_back_to_the_empty_database(history: Any, folding: bool) -> None:
    world = History()
    made = [world.db.seq for step in history if world.step(step)]
    for seq in reversed(made):
        world.db.revert(seq)
        assert world.content() == world.rows(seq - 1)
        if folding:
            world.db.fold()
    assert world.db.stores() == ()
    assert world.db.tags() == {}
    assert world.db.check().ok


@pytest.mark.timeout(7200)
@databases()
@given(histories, st.data())
def test_a_commit_is_reverted_or_conflicts(history: Any, data: Any) -> None:
    """What it wrote must stand as it left it; then it is as it was before, and all else stays."""
    world = History()
    made = [world.db.seq for step in history if world.step(step)]
    if not made:
        return
    seq = data.draw(st.sampled_from(made))
    before, after, now = (world.contents[at] for at in (seq - 1, seq, -1))
    there = [{store: (name, rows) for name, (store, rows) in content.items()} for content in (before, after, now)]
    expected = {name: dict(rows) for name, (_, rows) in now.items()}
    conflict = False
    targets: dict[str, Rows] = {}
    for store in {*there[0], *there[1]}:
        old, left, here = (each.get(store) for each in there)
        if old == left:
            continue
        if (old and old[0]) != (left and left[0]) or old is None or left is None:
            conflict |= (here and here[0]) != (left and left[0])
        if left is not None and here is not None and old is None:
            conflict |= here[1] != left[1]
            expected.pop(here[0], None)
        elif left is None and old is not None:
            targets[old[0]] = dict(old[1])
        elif here is None or (here[0] != (left and left[0])):
            conflict = True
        elif old is not None and left is not None:
            changed = {key for key in old[1].keys() | left[1].keys() if old[1].get(key) != left[1].get(key)}
            conflict |= any(here[1].get(key) != left[1].get(key) for key in changed)
            rows = {key: value for key, value in here[1].items() if key not in changed}
            expected.pop(here[0], None)
            targets[old[0]] = rows | {key: old[1][key] for key in changed if key in old[1]}
    conflict |= bool(targets.keys() & expected.keys())
    held, newest = world.content(), world.db.seq
    if conflict:
        with pytest.raises(Conflict, match="revert the later commit first"):
            world.db.revert(seq)
        assert (world.content(), world.db.seq) == (held, newest)
    else:
        world.db.revert(seq, "undone")
        assert world.content() == expected | targets
        assert world.db.log()["message"].iloc[-1] == "undone"
        world.db.revert(world.db.seq)
        assert world.content() == held, "a revert is reverted too"
    assert world.db.check().ok
