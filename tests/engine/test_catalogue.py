"""Stores that come, go and change their names, and tags: who conflicts with whom, and what replay makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.engine.catalogue import Catalogue
from sopnb.engine.engine import Engine
from sopnb.engine.work import Work
from sopnb.errors import Conflict, InvalidInput, InvalidState, ReadOnly, StoreExists, StoreNotFound
from tests.engine.support import PLAIN, Cluster, commit, contents, create, key, keys, load

Change = Callable[[Work], Any]


def put(name: str, k: int = 1, v: str = "new") -> Change:
    return lambda work: work.store(name).put("upsert", (k, v))


def missing(name: str) -> Change:
    """Look for a store that is not there, and note so in another."""

    def change(work: Work) -> None:
        with pytest.raises(StoreNotFound):
            work.store(name)
        put("b", 90)(work)

    return change


def read(name: str, k: int = 1) -> Change:
    def change(work: Work) -> None:
        work.store(name).get(key(k))
        put("b", 91)(work)

    return change


def drop(name: str) -> Change:
    return lambda work: work.drop(name)


def drop_if_empty(name: str) -> Change:
    def change(work: Work) -> None:
        if work.store(name).rows == 0:
            work.drop(name)

    return change


def rename(old: str, new: str) -> Change:
    return lambda work: work.rename(old, new)


def make_store(name: str) -> Change:
    return lambda work: work.create(name, PLAIN)


def listed(work: Work) -> None:
    put("b", 92, ",".join(work.stores()))(work)


def both(*changes: Change) -> Change:
    def change(work: Work) -> None:
        for one in changes:
            one(work)

    return change


CONFLICTS: dict[str, tuple[Change, Change, bool]] = {
    "write, then dropped": (put("a"), drop("a"), True),
    "read, then dropped": (read("a"), drop("a"), True),
    "another store dropped": (put("b"), drop("a"), False),
    "dropped, and dropped": (drop("a"), drop("a"), True),
    "dropped, and renamed": (drop("a"), rename("a", "z"), True),
    "dropped unseen, and written": (drop("a"), put("a"), False),
    "dropped because it was empty, and written": (drop_if_empty("empty"), put("empty"), True),
    "dropped because it was empty, and another written": (drop_if_empty("empty"), put("a"), False),
    "renamed, and written": (rename("a", "z"), put("a"), False),
    "renamed, and renamed": (rename("a", "z"), rename("a", "y"), True),
    "renamed to one name": (rename("a", "z"), rename("c", "z"), True),
    "renamed, and another renamed": (rename("a", "z"), rename("c", "y"), False),
    "renamed, and the name created": (rename("a", "z"), make_store("z"), True),
    "renamed, and dropped": (rename("a", "z"), drop("a"), True),
    "written, and renamed": (put("a"), rename("a", "z"), True),
    "written, and another renamed": (put("a"), rename("c", "z"), False),
    "read, and renamed": (read("a"), rename("a", "z"), True),
    "created, and created": (make_store("z"), make_store("z"), True),
    "created, and another created": (make_store("z"), make_store("y"), False),
    "created, and one renamed to it": (make_store("z"), rename("a", "z"), True),
    "missing, and created": (missing("z"), make_store("z"), True),
    "missing, and one renamed to it": (missing("z"), rename("a", "z"), True),
    "missing, and another created": (missing("z"), make_store("y"), False),
    "listed, and created": (listed, make_store("z"), True),
    "listed, and dropped": (listed, drop("a"), True),
    "listed, and renamed": (listed, rename("a", "z"), True),
    "listed, and written": (listed, put("a"), False),
    "tagged, and written": (lambda work: work.tag("t", work.state.seq), put("a"), False),
    "tagged, and tagged by the same name": (lambda work: work.tag("t", work.state.seq), lambda work: work.tag("t", 1), True),
    "written, and tagged": (put("a"), lambda work: work.tag("t", 1), False),
}


@pytest.fixture
def engine(cluster: Cluster) -> Engine:
    engine = cluster.open()
    for name in ("a", "b", "c", "empty"):
        create(engine, name)
    for name in ("a", "b", "c"):
        commit(engine, {1: "old"}, name)
    return engine


@pytest.mark.parametrize("name", CONFLICTS)
def test_changes_of_the_catalogue_conflict_with_who_relied_on_it(cluster: Cluster, engine: Engine, name: str) -> None:
    mine, theirs, expected = CONFLICTS[name]
    other = cluster.open()
    work, first = engine.begin(), other.begin()
    mine(work)
    theirs(first)
    other.commit(first)
    if expected:
        with pytest.raises(Conflict):
            engine.commit(work)
    else:
        engine.commit(work)
    assert {name: contents(engine, name) for name in engine.state().names} == {
        name: contents(other, name) for name in cluster.open().state().names
    }


def test_a_writer_without_checks_goes_on_through_a_rename_and_not_through_a_drop(engine: Engine) -> None:
    """A rename touches only the catalogue entry: records name their store by id."""

    def commits(mine: Change, theirs: Change) -> bool:
        work, other = engine.begin("unchecked"), engine.begin()
        mine(work)
        theirs(other)
        engine.commit(other)
        try:
            return bool(engine.commit(work))
        except Conflict:
            return False

    assert commits(put("a"), rename("a", "z"))
    assert contents(engine, "z") == {1: "new"}
    assert not commits(put("z", 2), drop("z"))
    assert commits(listed, drop("c"))
    assert not commits(rename("b", "y"), rename("b", "x"))
    assert not commits(make_store("new"), make_store("new"))


def test_a_transaction_sees_its_own_catalogue(engine: Engine) -> None:
    work = engine.begin()
    new = work.create("new", PLAIN)
    load(new, {1: "x"})
    work.rename("a", "renamed")
    work.rename("new", "newer")
    work.drop("b")
    assert work.stores() == ("c", "empty", "newer", "renamed")
    assert work.store("newer") is new
    assert work.store("renamed").get(key(1)).row == (1, "old")  # type: ignore[union-attr]
    for gone in ("a", "b", "new"):
        with pytest.raises(StoreNotFound, match="newer"):
            work.store(gone)
    with pytest.raises(StoreExists):
        work.create("c", PLAIN)
    with pytest.raises(StoreExists):
        work.rename("c", "newer")
    create_again = work.create("b", PLAIN)
    load(create_again, {2: "y"})
    engine.commit(work)
    assert {name: contents(engine, name) for name in engine.state().names} == {
        "c": {1: "old"}, "empty": {}, "newer": {1: "x"}, "renamed": {1: "old"}, "b": {2: "y"},
    }  # fmt: skip


def test_a_store_created_and_dropped_again_leaves_nothing(engine: Engine) -> None:
    before = engine.state().seq
    work = engine.begin()
    load(work.create("new", PLAIN), {1: "x"})
    work.rename("new", "newer")
    work.drop("newer")
    assert engine.commit(work) == 0
    assert engine.state().seq == before


def test_what_was_written_to_a_store_that_is_dropped_is_forgotten(engine: Engine) -> None:
    work = engine.begin()
    put("a")(work)
    load(work.store("a"), {k: "x" for k in range(50)})
    work.store("a").delete(keys([1]))
    work.drop("a")
    engine.commit(work)
    assert "a" not in engine.state().names
    assert engine.log()[-1].stores == {}


def test_a_finished_or_reading_transaction_refuses_what_it_cannot_do(engine: Engine) -> None:
    reading = engine.begin("read")
    for write in (make_store("z"), drop("a"), rename("a", "z"), put("a"), lambda w: w.tag("t", 1)):
        with pytest.raises(ReadOnly):
            write(reading)
    assert contents(engine, "a") == {1: "old"}
    done = engine.begin()
    put("a")(done)
    done.rollback()
    done.rollback()
    for use in (make_store("z"), put("a"), lambda w: w.store("a"), engine.commit):
        with pytest.raises(InvalidState):
            use(done)
    with pytest.raises(InvalidInput):
        engine.begin().tag("", 1)


@given(st.lists(st.dictionaries(st.integers(0, 200), st.none() | st.text(max_size=2), max_size=6), max_size=8))
def test_a_catalogue_is_a_dict_that_remembers_what_it_was(changes: list[dict[int, str | None]]) -> None:
    made: list[tuple[Catalogue[str], dict[int, str]]] = [(Catalogue(), {})]
    for change in changes:
        before, model = made[-1]
        after = {id: value for id, value in {**model, **change}.items() if value is not None}
        made.append((before.replaced(change), after))
    for catalogue, model in made:
        assert dict(catalogue) == model
        assert (len(catalogue), sorted(catalogue)) == (len(model), sorted(model))
        assert [id in catalogue for id in range(201)] == [id in model for id in range(201)]
