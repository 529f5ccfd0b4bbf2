"""How the changes of records after a moment look."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sopnb.errors import InvalidState, StoreNotFound
from tests.past.support import rows


def told(frame: Any) -> list[tuple[Any, ...]]:
    return list(frame[["_seq", "_change", "k", "v"]].itertuples(index=False, name=None))


def test_changes_of_a_store_that_was_dropped_or_never_was(db: Any) -> None:
    db.load("planes", rows([1]), "k")
    db.drop("planes")
    assert told(db.changes(0, "planes")) == [(1, "insert", 1, "a"), (2, "delete", 1, "a")]
    with pytest.raises(StoreNotFound, match="airlines"):
        db.changes(0, "airlines")
    assert len(db.changes(2)) == 0
    assert list(db.changes(2).columns) == ["_seq", "_time", "_author", "_message", "_store", "_change"]


def test_changes_of_several_stores_stand_side_by_side(db: Any) -> None:
    db.load("planes", rows([1]).set_index("k"), message="one")
    db.load("seats", pd.DataFrame({"n": [1, 2], "k": ["x", "y"]}), "n")
    found = db.changes(0)
    assert found[["_seq", "_message", "_store", "_change"]].to_numpy().tolist() == [
        [1, "one", "planes", "insert"],
        [2, "", "seats", "insert"],
        [2, "", "seats", "insert"],
    ]
    assert found["n"].dtype == "Int64"
    assert found["n"].tolist() == [pd.NA, 1, 2]
    assert found["k"].tolist() == [1, "x", "y"]
    pieces = list(db.iter_changes(0, size=2))
    assert [len(piece) for piece in pieces] == [3]
    assert [len(piece) for piece in db.iter_changes(0, "seats", size=1)] == [2]


def test_the_past_is_refused_within_a_transaction_and_after_the_end(db: Any) -> None:
    db.load("planes", rows([1]), "k")
    calls = [lambda: db.changes(0), lambda: db.diff(0, 1, "planes"), lambda: db.log(), lambda: db.watch(print)]
    with db.transaction():
        for call in calls:
            with pytest.raises(InvalidState):
                call()
