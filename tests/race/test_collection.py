"""Collection while others write, tag, open and die: a hook lets them do it at the worst moment, so nothing here depends on chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sopnb.engine.engine import Engine
from sopnb.errors import Conflict, HistoryTrimmed, NoSpace
from tests.engine.support import Cluster, commit, contents, contents_at, create

ROWS = {k: "x" for k in range(20)}


class Hooked:
    """Passes everything on to ``inner``; ``before[name]`` is called once, before the next call of that method."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.before: dict[str, Callable[[], object]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self.before:
            return method

        def called(*args: Any, **kwargs: Any) -> Any:
            hook = self.before.pop(name, None)
            if hook is not None:
                hook()
            return method(*args, **kwargs)

        return called


@pytest.fixture
def hooked() -> Iterator[Cluster]:
    """A database with a store ``s``, whose registry and blobs can be hooked; checked at the end."""
    cluster = Cluster(inline_rows=4, leaf_rows=4, leaf_bytes=256)
    cluster.registry, cluster.blobs = Hooked(cluster.memory), Hooked(cluster.store)
    create(cluster.open())
    yield cluster
    cluster.verify()


def tagged(engine: Engine, name: str, seq: int) -> int:
    work = engine.begin()
    work.tag(name, seq)
    return engine.commit(work)


def test_a_blob_committed_by_a_short_lived_process_is_no_orphan(hooked: Cluster) -> None:
    # A process loaded a frame and ended while another collected: its blob was not in the collector's state yet, its owner was gone
    # already, so the blob was taken for one that no commit names, and deleted. The state after the collect record decides.
    collector = hooked.open()

    def load_and_end() -> None:
        loader = hooked.open()
        commit(loader, ROWS, bulk=True)
        hooked.kill(loader)

    hooked.blobs.before["names"] = load_and_end
    collector.upkeep.collect()
    assert contents(hooked.open()) == ROWS


def test_a_blob_of_a_dead_writer_goes_and_its_owner_is_fenced(hooked: Cluster) -> None:
    writer, collector = hooked.open(), hooked.open()
    work = writer.begin()
    hooked.blobs.before["put"] = lambda: None
    writer.write_tree(work.store("s").schema, [])
    hooked.store.put(f"{writer.backend.pins.owner}-ffffff", [b"half a load"])
    hooked.kill(writer)
    collector.upkeep.collect()
    assert not list(hooked.store.names())
    assert writer.backend.pins.owner in collector.state().fenced


def test_two_collectors_at_once_keep_the_fences_of_both(hooked: Cluster) -> None:
    # The record of the second, made from a state before that of the first, took the fences of the first away.
    first, second = hooked.open(), hooked.open()
    dead = "0123456789abcdef"
    hooked.store.put(f"{dead}-000001", [b"left behind"])

    def the_other_one() -> None:
        hooked.store.put("fedcba9876543210-000001", [b"left behind"])
        second.upkeep.collect()

    hooked.registry.before["turn"] = the_other_one
    first.upkeep.collect()
    assert {dead, "fedcba9876543210"} <= hooked.open().state().fenced


def test_a_state_is_not_tagged_once_it_is_let_go_of(hooked: Cluster) -> None:
    # The state to be tagged was looked at, then another moved the horizon past it, then the tag was committed: a tag without a state.
    tagger, collector = hooked.open(), hooked.open()
    old = commit(tagger, ROWS, bulk=True)
    commit(tagger, {k: "y" for k in ROWS}, bulk=True)
    hooked.clock.sleep(10)

    def let_go() -> None:
        collector.upkeep.checkpoint()
        collector.upkeep.collect(keep=0)

    hooked.registry.before["turn"] = let_go
    work = tagger.begin()
    work.tag("before", old)
    with pytest.raises(Conflict, match="let go of"):
        tagger.commit(work)
    with pytest.raises(HistoryTrimmed):
        tagged(tagger, "before", old)


def test_a_tag_that_came_in_time_keeps_its_state(hooked: Cluster) -> None:
    tagger, collector = hooked.open(), hooked.open()
    old = commit(tagger, ROWS, bulk=True)
    commit(tagger, {k: "y" for k in ROWS}, bulk=True)
    hooked.clock.sleep(10)
    hooked.registry.before["turn"] = lambda: tagged(tagger, "before", old)
    collector.upkeep.compact(keep=0)
    commit(tagger, {1: "z"})
    hooked.clock.sleep(10)
    collector.upkeep.compact(keep=0)
    assert contents_at(hooked.open().at(tag="before")) == ROWS


def test_a_tag_is_not_put_beside_one_that_is_being_taken_away(hooked: Cluster) -> None:
    # The first tag alone kept the state; taken away, nothing did, and the second one named what was gone.
    tagger, other = hooked.open(), hooked.open()
    old = commit(tagger, ROWS, bulk=True)
    tagged(tagger, "one", old)
    commit(tagger, {k: "y" for k in ROWS}, bulk=True)
    hooked.clock.sleep(10)
    other.upkeep.compact(keep=0)
    hooked.registry.before["turn"] = lambda: tagged(other, "one", 0)
    work = tagger.begin()
    work.tag("two", old)
    with pytest.raises(Conflict, match="tag"):
        tagger.commit(work)


def test_a_fold_that_could_not_be_recorded_leaves_no_blob(hooked: Cluster) -> None:
    # With a full disk the maintenance wrote a blob, could not record it, and left it behind; and again with every commit.
    engine = hooked.open()
    commit(engine, ROWS, bulk=True)
    commit(engine, {k: "y" for k in ROWS}, bulk=True)
    before = dict(hooked.store.names())

    def full() -> None:
        raise NoSpace("the disk", "no room left")

    hooked.registry.before["append"] = full
    with pytest.raises(NoSpace):
        engine.upkeep.fold()
    assert dict(hooked.store.names()) == before
    engine.upkeep.fold()
    assert len(contents(engine)) == len(ROWS)
