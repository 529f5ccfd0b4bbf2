"""What a write with ``on_error="report"`` does where unique indexes are: rows are refused one by one, and only where they must be."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.errors import DuplicateKey
from tests.api_support import QUIET

UNIQUE = ("a", "b")


def rows(store: sopnb.Store) -> dict[int, tuple[Any, ...]]:
    return {row["k"]: (row["a"], row["b"], row["c"]) for row in store[:].to_dicts()}


@pytest.fixture
def people(db: sopnb.Database) -> sopnb.Store:
    store = db.create("people", {"k": "int64", "mail": "string", "seat": "int64", "note": "string"}, "k")
    store.create_index("by_mail", "mail", unique=True)
    store.insert([{"k": 5, "mail": "e@x", "seat": 1}, {"k": 7, "mail": "g@x", "seat": 2}])
    return store


def test_the_rows_that_a_unique_index_does_not_allow_are_reported_and_the_others_written(people: sopnb.Store) -> None:
    frame = pd.DataFrame({"k": [9, 3, 1, 2], "mail": ["new@x", "e@x", "new@x", "b@x"], "seat": [9, 3, 1, 2]})
    with pytest.raises(DuplicateKey, match="by_mail"):
        people.insert(frame)
    counts = people.insert(frame, on_error="report")
    assert (counts.inserted, len(people)) == (2, 4)
    assert counts.rejected.columns.tolist() == ["k", "mail", "seat", "note", "_reason"]
    assert counts.rejected.set_index("k")["_reason"].to_dict() == {
        3: "'e@x' is there already in the unique index 'by_mail'",
        9: "'new@x' is there already in the unique index 'by_mail'",
    }
    assert people[1]["mail"] == "new@x"


def test_one_record_is_reported_as_it_was_given(people: sopnb.Store) -> None:
    for counts, record in (
        (people.insert({"k": 1, "mail": "e@x"}, on_error="report"), {"k": 1, "mail": "e@x"}),
        (people.upsert({"k": 7, "mail": "e@x"}, on_error="report"), {"k": 7, "mail": "e@x"}),
        (people.update(7, {"mail": "e@x", "note": "n"}, on_error="report"), {"mail": "e@x", "note": "n"}),
    ):
        assert (counts.inserted, counts.updated) == (0, 0)
        (told,) = counts.rejected.dropna(axis=1).to_dict("records")
        assert "by_mail" in told.pop("_reason")
        assert told == record
    assert people.update(7, {"mail": "h@x"}, on_error="report").updated == 1
    assert people.update(7, {"mail": "h@x"}, on_error="report").unchanged == 1


def test_what_lies_out_of_line_is_shown_of_a_row_that_is_refused(people: sopnb.Store) -> None:
    text = "long " * 100_000
    frame = pd.DataFrame({"k": [1, 2], "mail": ["e@x", "b@x"], "note": [text, text]})
    counts = people.insert(frame, on_error="report")
    assert counts.rejected["note"].tolist() == [text]
    assert people[2]["note"] == text


def test_a_load_in_pieces_is_reported_as_one_write(db: sopnb.Database, people: sopnb.Store) -> None:
    pieces = [pd.DataFrame({"k": range(n, n + 50), "mail": [f"{i % 120}@x" for i in range(n, n + 50)]}) for n in range(100, 300, 50)]
    loaded = db.load("people", iter(pieces), if_exists="insert", on_error="report").loaded
    assert loaded.inserted == 120
    assert sorted(loaded.rejected["k"]) == list(range(220, 300))
    assert len(people) == 122


def test_a_store_that_is_not_unique_reports_rows_without_the_ids_that_they_never_got(db: sopnb.Database) -> None:
    store = db.create("events", {"k": "int64", "mail": "string"}, sopnb.IndexSpecification.of("k", unique=False))
    store.create_index("by_mail", "mail", unique=True)
    counts = store.insert(pd.DataFrame({"k": [1, 1], "mail": ["a", "a"]}), on_error="report")
    assert (counts.inserted, counts.rejected.columns.tolist()) == (1, ["k", "mail", "_reason"])


def test_positions_that_move_up_are_refused_up_to_the_one_that_has_no_place(db: sopnb.Database) -> None:
    n = 2000
    store = db.load("list", pd.DataFrame({"k": range(n), "place": range(n)}), "k")
    store.create_index("by_place", "place", unique=True)
    moved = pd.DataFrame({"k": range(n - 1), "place": range(1, n)})
    counts = store.update(moved, on_error="report")
    assert (counts.updated, len(counts.rejected)) == (0, n - 1)
    moved.loc[n // 2, "place"] = n + 5  # those before it find their places free
    counts = store.update(moved, on_error="report")
    assert (counts.updated, len(counts.rejected)) == (n // 2 + 1, n - 1 - (n // 2 + 1))


def test_a_transaction_reports_what_its_own_earlier_writes_do_not_allow(db: sopnb.Database, people: sopnb.Store) -> None:
    with db.transaction() as tx:
        tx["people"].update(5, {"mail": "free@x"})
        counts = tx["people"].insert([{"k": 1, "mail": "free@x"}, {"k": 2, "mail": "e@x"}], on_error="report")
        assert counts.rejected["k"].tolist() == [1]
    assert sorted(people[:].to_pandas()["mail"]) == ["e@x", "free@x", "g@x"]


SMALL = st.integers(0, 5)
ROWS = st.dictionaries(st.integers(0, 7), st.tuples(SMALL, SMALL, st.integers(0, 1)), max_size=8)


@given(before=ROWS, write=ROWS, kind=st.sampled_from(["insert", "upsert", "update"]))
def test_a_row_is_refused_only_if_another_has_its_place_in_the_end(before: Any, write: Any, kind: str) -> None:
    columns = ["k", "a", "b", "c"]
    with sopnb.open(":memory:", handle=QUIET) as db:
        store = db.create("s", dict.fromkeys(columns, "int64"), "k")
        for name in UNIQUE:
            store.create_index(f"by_{name}", name, unique=True)
        store.insert(pd.DataFrame([(k, *row) for k, row in before.items()], columns=columns), on_error="report")
        there = rows(store)
        wanted = {k: row for k, row in write.items() if kind == "upsert" or (k in there) == (kind == "update")}
        after = {**there, **wanted}
        frame = pd.DataFrame([(k, *row) for k, row in write.items()], columns=columns)
        counts = getattr(store, kind)(frame, on_error="report")
        refused = {} if counts.rejected is None else dict(zip(counts.rejected["k"], counts.rejected["_reason"], strict=True))
        now = rows(store)
        for k, row in wanted.items():
            if k not in refused:
                assert now[k] == row
                continue
            assert now.get(k) == there.get(k)
            assert any(
                f"by_{name}" in refused[k] and row[at] == other[at]
                for at, name in enumerate(UNIQUE) for other_key, other in now.items() if other_key != k
            )  # fmt: skip
        if all(len({row[at] for row in after.values()}) == len(after) for at in range(len(UNIQUE))):
            assert not refused.keys() & wanted.keys()
        assert (counts.inserted, counts.updated, counts.unchanged) == (
            len(now.keys() - there.keys()),
            sum(there[k] != now[k] for k in there),
            sum(wanted[k] == there[k] and k not in refused for k in wanted.keys() & there.keys()),
        )
        assert db.check().ok
