"""A cursor moves as a place in a sorted list does, stops at the ends, and passes nothing over when it deletes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.errors import Closed, Conflict, InvalidInput, InvalidState, KeyNotFound
from tests.api_support import QUIET, SMALL, World, worlds


class Model:
    """The same moves over a list of integers: at ``keys[place]``, or between ``keys[place - 1]`` and it."""

    def __init__(self, keys: list[int]) -> None:
        self.keys, self.place, self.there = keys, 0, False

    def go(self, place: int) -> bool:
        self.there = 0 <= place < len(self.keys)
        self.place = min(max(place, 0), len(self.keys))
        return self.there

    def next(self) -> bool:
        return self.go(self.place + self.there)

    def previous(self) -> bool:
        return self.go(self.place - 1)

    def delete(self) -> None:
        del self.keys[self.place]
        self.there = False


@pytest.fixture
def numbers() -> Iterator[Any]:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        store = db.create("numbers", {"k": "int64", "v": "string"}, "k")
        store.insert([{"k": k, "v": f"v{k}"} for k in range(0, 40, 2)])
        db.fold()
        store.insert([{"k": k, "v": f"v{k}"} for k in (7, 9, 41)])
        store.delete([6, 8])
        yield store
        assert db.check().ok


MOVES = st.one_of(
    st.sampled_from(["next", "previous", "first", "last", "delete", "update"]),
    st.tuples(st.sampled_from(["seek", "seek_before"]), st.integers(-1, 43)),
)


@given(st.lists(MOVES, max_size=30), st.booleans())
def test_a_cursor_moves_like_a_place_in_a_list(moves: list[Any], inside: bool) -> None:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        store = db.create("numbers", {"k": "int64", "v": "int64"}, "k")
        store.insert([{"k": k, "v": 0} for k in range(0, 40, 2)])
        store.delete([4, 6, 30])
        model = Model([k for k in range(0, 40, 2) if k not in (4, 6, 30)])
        tx = db.transaction()
        with (tx["numbers"] if inside else store).cursor() as c:
            for move in moves:
                _moved(c, model, move)
                if model.there:
                    assert c.key == c.record["k"] == model.keys[model.place]
                else:
                    with pytest.raises(InvalidState, match="at no record"):
                        c.record  # noqa: B018
        tx.commit()
        assert list(store) == model.keys
        assert db.check().ok


def _moved(c: Any, model: Model, move: Any) -> None:
    if move in ("next", "previous"):
        assert getattr(c, move)() == getattr(model, move)()
    elif move == "first":
        assert c.first() == model.go(0)
    elif move == "last":
        assert c.last() == model.go(len(model.keys) - 1)
    elif isinstance(move, tuple):
        way, key = move
        at = bisect_left(model.keys, key)
        exact = model.keys[at : at + 1] == [key]
        model.go(at if way == "seek" or exact else at - 1)
        assert getattr(c, way)(key) == exact
    elif model.there and move == "delete":
        assert c.delete().deleted == 1
        model.delete()
    elif model.there:
        assert c.update({"v": c.record["v"] + 1}).updated == 1
        assert c.record["v"] > 0


@given(worlds())
def test_a_cursor_visits_the_records_of_any_store_both_ways(world: World) -> None:
    keys = [world.full_key(row) for row in world.ordered]
    with world.store.cursor() as c:
        assert [record.key for record in c] == keys
        back = []
        while c.previous():
            back.append(c.key)
        assert back == keys[::-1]
        for key in keys:
            assert c.seek(key)
            assert c.key == key
            assert c.seek_before(key)
        c.seek_before(keys[0]) if keys else None
        assert all(world.store[record.key] == record for record in c)


def test_seek_says_found_or_stands_at_the_nearest_after(numbers: Any) -> None:
    with numbers.cursor() as c:
        assert c.seek(10)
        assert (c.key, c.record["v"]) == (10, "v10")
        assert not c.seek(8)
        assert c.key == 9
        assert not c.seek(42)
        assert not c.next()
        assert c.previous()
        assert c.key == 41


def test_seek_before_says_found_or_stands_at_the_nearest_before(numbers: Any) -> None:
    with numbers.cursor() as c:
        assert c.seek_before(10)
        assert not c.seek_before(8)
        assert c.key == 7
        assert not c.seek_before(-1)
        assert not c.previous()
        assert c.next()
        assert c.key == 0


def test_seek_takes_the_leading_fields_of_a_key() -> None:
    with sopnb.open(":memory:") as db:
        store = db.create("pairs", {"a": "string", "b": "int64"}, ["a", "-b"])
        store.insert([{"a": a, "b": b} for a in "ac" for b in (1, 2)])
        with store.cursor() as c:
            assert c.seek("a")
            assert c.key == ("a", 2)
            assert c.seek_before("a")
            assert c.key == ("a", 1)
            assert not c.seek("b")
            assert c.key == ("c", 2)
            with pytest.raises(InvalidInput, match="2 fields"):
                c.seek(("a", 1, 1))


def test_a_cursor_begins_before_the_first_record_and_stops_at_both_ends(numbers: Any) -> None:
    with numbers.cursor() as c:
        with pytest.raises(InvalidState, match="'numbers'.*seek"):
            c.key  # noqa: B018
        assert not c.previous()
        assert c.next()
        assert c.key == 0
        assert not c.previous()
        assert not c.previous()
        assert c.next()
        assert c.last()
        assert not c.next()
        assert not c.next()
        assert c.previous()
        assert c.key == 41


def test_a_cursor_keeps_its_state_and_goes_on_with_its_own_changes(numbers: Any) -> None:
    with numbers.cursor() as c:
        c.seek(10)
        numbers.delete(12)
        numbers.update(10, {"v": "theirs"})
        assert c.record["v"] == "v10"
        assert c.next()
        assert c.key == 12
        with pytest.raises(KeyNotFound):
            c.update({"v": "x"})
        c.seek(14)
        assert c.replace({"k": 14, "v": "new"}).updated == 1
        assert c.record["v"] == "new"
        assert c.previous()
        assert (c.key, c.record["v"]) == (10, "theirs")


def test_a_cursor_never_changes_a_key(numbers: Any) -> None:
    with numbers.cursor() as c:
        c.first()
        with pytest.raises(InvalidInput, match="'k' is part of the key"):
            c.update({"k": 1})
        with pytest.raises(InvalidInput, match="cannot be changed"):
            c.replace({"k": 1, "v": "x"})
        assert c.update({"v": "x"}).seq == c.record.seq


def test_a_closed_cursor_says_so(numbers: Any) -> None:
    c = numbers.cursor()
    c.first()
    assert repr(c) == "Cursor of store 'numbers', at 0"
    c.close()
    for use in (c.next, c.delete, lambda: c.key, lambda: c.seek(1)):
        with pytest.raises(Closed):
            use()
    assert "closed" in repr(c)


def test_only_what_a_cursor_passed_conflicts() -> None:
    db = sopnb.open(":memory:", handle=QUIET)
    store = db.create("numbers", {"k": "int64"}, "k")
    store.insert([{"k": k} for k in range(0, 100, 10)])

    def passed() -> Any:
        tx = db.transaction()
        with tx["numbers"].cursor() as c:
            c.seek(25)
            c.next()
            c.next()
        tx["numbers"].insert({"k": 1000 + db.seq})
        return tx

    for harmless in (24, 51, 95):
        tx = passed()
        store.insert({"k": harmless})
        tx.commit()
        store.delete(harmless)
    for disturbing in (25, 35, 49):
        tx = passed()
        store.insert({"k": disturbing})
        with pytest.raises(Conflict):
            tx.commit()
        store.delete(disturbing)
