"""What the engine that sopnb takes the place of gets wrong, row by row; each test is named for its row of the comparison.

M1, M4 and M5 are in ``tests/race``, M11 by the frame in ``tests/frames``.
"""

from __future__ import annotations

import math
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb import errors
from tests.api_support import QUIET, SMALL


@pytest.fixture(params=["memory", "folder"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    where = ":memory:" if request.param == "memory" else tmp_path / "x.sop"
    with sopnb.open(where, settings=SMALL, handle=QUIET) as db:
        yield db
        assert db.check().ok


def _numbers(db: Any, n: int = 0) -> Any:
    return db.load("numbers", pd.DataFrame({"k": np.arange(n), "v": np.arange(n) * 10}), "k")


# -- M2: no wrong-row effect --------------------------------------------------------------------------------------------------

Step = tuple[str, int]


@given(st.lists(st.tuples(st.sampled_from(["insert", "delete", "update", "upsert"]), st.integers(0, 30)), max_size=40),
       st.lists(st.tuples(st.sampled_from(["insert", "delete", "update", "upsert"]), st.integers(0, 30)), max_size=40),
       st.booleans())  # fmt: skip
def test_m2_merged_changes_touch_the_rows_they_name_and_no_other(one: list[Step], two: list[Step], fold: bool) -> None:
    """Two transactions begin on one state. The second commits or conflicts; what is there is what was acknowledged, in commit order."""
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        numbers = _numbers(db, 20)
        model = {k: k * 10 for k in range(20)}
        transactions = [(db.transaction(), steps, mark) for steps, mark in ((one, 1000), (two, 2000))]
        for tx, steps, mark in transactions:
            for way, k in steps:
                _apply(lambda way=way, k=k, tx=tx, mark=mark: _written(tx["numbers"], way, k, mark))
        for tx, steps, mark in transactions:
            if fold:
                db.fold()
            lost = _conflict(tx)
            if lost is None and tx.seq:  # without a commit it changed nothing, and counts as having come first
                for way, k in steps:
                    _apply(lambda way=way, k=k, mark=mark: _remembered(model, way, k, mark))
            elif lost is not None:
                assert steps is two
                assert lost.key in {k for _, k in one} & {k for _, k in two}
        assert {record["k"]: record["v"] for record in numbers[:].records()} == model
        assert len(numbers) == numbers[:].count() == len(model)
        assert db.check().ok


def _conflict(tx: Any) -> errors.Conflict | None:
    try:
        tx.commit()
    except errors.Conflict as error:
        return error
    return None


def _apply(step: Callable[[], object]) -> None:
    try:
        step()
    except KeyError:
        return
    except errors.DuplicateKey:
        return


def _written(store: Any, way: str, k: int, mark: int) -> None:
    if way == "delete":
        store.delete(k)
    else:
        getattr(store, way)({"k": k, "v": mark + k})


def _remembered(model: dict[int, int], way: str, k: int, mark: int) -> None:
    if way == "delete":
        model.pop(k, None)
    elif (k not in model) if way == "insert" else (k in model) if way == "update" else True:
        model[k] = mark + k


def test_m2_a_delete_merged_into_a_changed_neighbourhood_deletes_that_row_alone(db: Any) -> None:
    numbers = _numbers(db, 400)
    db.fold()
    tx = db.transaction()
    for k in range(50, 350, 50):
        tx["numbers"].delete(k)
    for k in range(49, 350, 50):
        numbers.delete([k, k + 2])
        numbers.insert({"k": 1000 + k, "v": 0})
    db.fold()
    tx.commit()
    gone = {k for b in range(49, 350, 50) for k in (b, b + 2)} | set(range(50, 350, 50))
    assert [k for k in numbers if k < 1000] == [k for k in range(400) if k not in gone]


# -- M6: fresh reads and snapshot reads ---------------------------------------------------------------------------------------


def test_m6_a_transaction_sees_one_point_in_time_whatever_is_committed(db: Any) -> None:
    """A row that moves from one store to another is in exactly one of them, in every transaction."""
    _numbers(db, 1)
    db.create("others", {"k": "int64", "v": "int64"}, "k")
    stop = threading.Event()
    seen: list[int] = []

    def move() -> None:
        for i in range(150):
            here, there = ("numbers", "others") if i % 2 == 0 else ("others", "numbers")
            with db.transaction() as tx:
                tx[here].delete(0)
                tx[there].insert({"k": 0, "v": i})
            if i % 40 == 0:
                db.fold()
        stop.set()

    def look() -> None:
        while not stop.is_set():
            with db.transaction("read") as tx:
                seen.append(tx["numbers"][:].count() + len(list(tx["others"])))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(move), pool.submit(look)]:
            done.result()
    assert set(seen) == {1}


def test_m6_a_long_lived_reader_sees_new_commits_at_its_next_read(tmp_path: Path) -> None:
    kernel, other = (sopnb.open(tmp_path / "x.sop", handle=QUIET) for _ in range(2))
    numbers = _numbers(kernel, 3)
    selection = numbers[0:]
    for i in range(5):
        other["numbers"].update(1, {"v": i})
        assert numbers[1]["v"] == i
        assert selection.to_pandas()["v"].tolist() == [0, i, 20]
        with kernel.transaction() as tx:
            tx["numbers"].update(2, {"v": 20})
            tx["numbers"].update(0, {"v": 0})
    kernel.close()
    other.close()


def test_m6_absent_keys_and_counts_that_were_read_are_protected(db: Any) -> None:
    numbers = _numbers(db, 3)
    for read in (lambda s: s.get(7), lambda s: s[5:].count(), lambda s: list(s)):
        tx = db.transaction()
        read(tx["numbers"])
        tx["numbers"].update(0, {"v": db.seq})
        numbers.insert({"k": 7, "v": 0})
        with pytest.raises(errors.Conflict):
            tx.commit()
        numbers.delete(7)


# -- M11: type fidelity -------------------------------------------------------------------------------------------------------

VALUES: list[tuple[str, list[Any]]] = [
    ("int64", [0, -1, 2**53 + 1, 2**53 + 2, 2**63 - 1, -(2**63)]),
    ("uint64", [0, 2**64 - 1, 2**53 + 1]),
    ("float64", [0.1, 1.0, -1e308, 5e-324, math.inf, -math.inf]),
    ("string", ["", "a", "a\0b", "é", "\U0001f600", "1"]),
    ("binary", [b"", b"\0", b"\xff\0", bytes(range(256))]),
    ("decimal128(38, 10)", [Decimal("0"), Decimal("-1.5"), Decimal("1234567890123456789012345678.0123456789")]),
    ("date32", [date(1, 1, 1), date(2013, 1, 31), date(9999, 12, 31)]),
    ("timestamp[us, UTC]", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2013, 1, 31, 23, 59, 59, 999999, UTC)]),
    ("bool", [True, False]),
]


@pytest.mark.parametrize(("kind", "values"), VALUES)
def test_m11_keys_and_values_come_back_as_they_were(db: Any, kind: str, values: list[Any]) -> None:
    store = db.create("things", {"k": kind, "v": kind, "nothing": kind}, "k")
    for value in values:
        store.insert({"k": value, "v": value})
    for _ in range(2):
        assert len(store) == len(values)
        for value in values:
            record = store[value]
            assert (record["k"], record["v"], record["nothing"]) == (value, value, None)
            assert type(record["v"]) is type(value)
        assert sorted(store, key=values.index) == values
        assert store[:].to_arrow()["v"].to_pylist() == sorted(values)
        db.fold()


def test_m11_numbers_keep_their_kind(db: Any) -> None:
    store = db.create("things", {"k": "int64", "f": "float64", "d": "json"}, "k")
    store.insert([{"k": 1, "f": 1.0, "d": {"1": 1, "f": 1.0, "l": [2**60]}}, {"k": 2, "f": float("nan")}, {"k": 3, "f": None}])
    assert type(store[1]["f"]) is float
    assert store[1]["d"] == {"1": 1, "f": 1.0, "l": [2**60]}
    assert math.isnan(store[2]["f"])
    assert store[3]["f"] is None
    assert store[:].to_arrow()["f"].null_count == 1
    assert store.upsert([{"k": 2, "f": float("nan")}, {"k": 3, "f": None}]).unchanged == 2


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("int64", [1.0, "1", True, 2**63, b"1", Decimal(1), [1]]),
        ("float64", ["1.0", b"1", [1.0]]),
        ("string", [1, b"a", ["a"], {"a": 1}]),
        ("binary", ["a", 1]),
        ("bool", [1, "true"]),
        ("date32", [5, "31.1.2013", datetime(2013, 1, 1, 5)]),
        ("timestamp[us, UTC]", [datetime(2013, 1, 1), 5, "soon"]),
        ("decimal128(4, 2)", [Decimal("123.00"), Decimal("0.001"), "x", Decimal("NaN")]),
    ],
)
def test_m11_mixed_types_are_refused_by_name_and_never_abort(db: Any, kind: str, wrong: list[Any]) -> None:
    store = db.create("things", {"k": "int64", "v": kind}, "k")
    keyed = db.create("keyed", {"v": kind}, "v")
    for value in wrong:
        with pytest.raises(errors.SchemaMismatch, match="store 'things', column 'v'"):
            store.insert({"k": 1, "v": value})
        with pytest.raises(errors.SchemaMismatch, match="store 'things', column 'v'"):
            store.insert([{"k": 1, "v": value}])
        with pytest.raises(errors.SchemaMismatch, match="store 'keyed', key column 'v'"):
            keyed.get(value if not isinstance(value, list) else (value,))
    assert len(store) == len(keyed) == 0


def test_m11_an_absent_value_is_null_and_never_ends_the_process(db: Any) -> None:
    store = db.create("things", {"k": "int64", "v": "string"}, "k")
    store.insert({"k": 1, "v": None})
    assert store[1] == {"k": 1, "v": None}
    for key in (None, float("nan")):
        with pytest.raises(errors.SchemaMismatch, match="'k'"):
            store.insert({"k": key})


# -- M12: prefixes and ranges under descending fields -------------------------------------------------------------------------


def test_m12_a_prefix_is_exact_whatever_the_direction_of_the_next_field(db: Any) -> None:
    for name, index in (("up", ["region", "n"]), ("down", ["region", "-n"]), ("both", ["-region", "-n"])):
        rows = [{"region": region, "n": n} for region in ("a", "aa", "b", "1") for n in (0, 5, -5)]
        store = db.create(name, {"region": "string", "n": "int64"}, index)
        store.insert(rows)
        for region in ("a", "aa", "b", "1"):
            want = sorted((-5, 0, 5), reverse=index[1] == "-n")
            assert [record["n"] for record in store.prefix(region).records()] == want
        assert store.prefix("c").count() == 0
        assert store.prefix(startswith="a").count() == 6


# -- M13: cursor and paging ---------------------------------------------------------------------------------------------------


def test_m13_iteration_and_paging_stop_at_the_end(db: Any) -> None:
    numbers = _numbers(db, 25)
    assert list(numbers) == list(range(25))
    with numbers.cursor() as c:
        assert sum(1 for _ in c) == 25
        assert not c.next()
        assert not c.next()
    frames, token = [], None
    while True:
        frame, token = numbers[:].next_page(token, size=10)
        frames.append(frame)
        if token is None:
            break
    assert [len(frame) for frame in frames] == [10, 10, 5]
    assert pd.concat(frames)["k"].tolist() == list(range(25))
    assert len(numbers[:].page(3, size=10)) == len(numbers[:].page(99, size=10)) == 0
    frame, token = numbers[:].reverse().next_page(size=25)
    assert (frame["k"].tolist(), token) == (list(range(24, -1, -1)), None)


def test_m13_an_empty_store_gives_an_empty_page(db: Any) -> None:
    numbers = _numbers(db)
    frame, token = numbers[:].next_page()
    assert (len(frame), token, list(frame.columns)) == (0, None, ["k", "v"])
    with numbers.cursor() as c:
        assert not any((c.first(), c.last(), c.next(), c.previous(), c.seek(1)))


def test_m13_a_page_token_is_a_key_and_good_after_changes_and_in_another_handle(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "x.sop") as db:
        _, token = _numbers(db, 25)[:].next_page(size=10)
    with sopnb.open(tmp_path / "x.sop") as db:
        db["numbers"].delete(range(5, 12))
        frame, _ = db["numbers"][:].next_page(token, size=3)
        assert frame["k"].tolist() == [12, 13, 14]


def test_m13_deleting_while_iterating_passes_nothing_over(db: Any) -> None:
    numbers = _numbers(db, 30)
    with numbers.cursor() as c:
        seen = []
        while c.next():
            seen.append(c.key)
            if c.key % 3:
                c.delete()
    assert seen == list(range(30))
    assert list(numbers) == list(range(0, 30, 3))
    with db.transaction() as tx, tx["numbers"].cursor() as c:
        while c.next():
            c.delete()
    assert len(numbers) == 0


def test_m13_floor_ceiling_and_found_are_told_apart(db: Any) -> None:
    numbers = _numbers(db, 10)
    numbers.delete([4, 5])
    with numbers.cursor() as c:
        assert (c.seek(4), c.key) == (False, 6)
        assert (c.seek_before(5), c.key) == (False, 3)
        assert (c.seek(6), c.key) == (True, 6)
        assert (c.seek_before(6), c.key) == (True, 6)


def test_m13_reading_a_page_costs_the_same_anywhere(db: Any) -> None:
    numbers = _numbers(db, 3000)
    costs = set()
    for place in (0, 1500, 2900):
        before = db.info()["leaves_used"]
        numbers[:].rows(place, place + 10)
        costs.add(db.info()["leaves_used"] - before)
    assert max(costs) <= 40


# -- M14: errors --------------------------------------------------------------------------------------------------------------


def test_m14_each_error_says_what_to_do_and_where(db: Any) -> None:
    numbers = _numbers(db, 3)
    stale = db.transaction()
    stale["numbers"].update(1, {"v": 1})
    numbers.update(1, {"v": 2})
    for act, kind, also, told in [
        (lambda: numbers[9], errors.KeyNotFound, KeyError, "'numbers' has no record with key 9"),
        (lambda: numbers.insert({"k": 1, "v": 5}), errors.DuplicateKey, ValueError, "'numbers': key 1 is already there; use upsert"),
        (lambda: numbers.insert({"k": "x", "v": 5}), errors.SchemaMismatch, TypeError, "'numbers', column 'k'"),
        (lambda: db["none"], errors.StoreNotFound, KeyError, "no store 'none'; there are: 'numbers'"),
        (lambda: _numbers(db), errors.StoreExists, ValueError, "'numbers' is already there"),
        (lambda: db.at(tag="none"), errors.TagNotFound, KeyError, "no tag 'none'"),
        (stale.commit, errors.Conflict, errors.SopError, "'numbers' at key 1.*db.run"),
        (stale.commit, errors.InvalidState, RuntimeError, "finished"),
    ]:
        with pytest.raises(kind, match=told) as caught:
            act()
        assert isinstance(caught.value, also)
        assert isinstance(caught.value, errors.SopError)


def test_m14_a_batch_reports_which_rows(db: Any) -> None:
    numbers = _numbers(db, 3)
    frame = pd.DataFrame({"k": [2, 3, 4, 4], "v": [1, 2, 3, 4]})
    counts = numbers.insert(frame, on_error="report")
    assert counts.inserted == 2
    rejected = dict(zip(counts.rejected["v"], counts.rejected["_reason"], strict=True))
    assert set(rejected) == {1, 4}
    assert "already" in rejected[1]
    assert "twice" in rejected[4]
    with pytest.raises(errors.DuplicateKey, match="key 4 is twice"):
        numbers.insert(frame)


def test_m14_run_retries_and_a_transaction_tells_its_conflict_from_other_errors(db: Any) -> None:
    numbers = _numbers(db, 1)

    def add(_: int) -> int:
        def step(tx: Any) -> int:
            value = int(tx["numbers"][0]["v"]) + 1
            tx["numbers"].update(0, {"v": value})
            return value

        return int(db.run(step))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(60))) == list(range(1, 61))
    assert numbers[0]["v"] == 60


def test_m14_a_failed_call_leaves_the_transaction_open_and_the_cause_visible(db: Any) -> None:
    _numbers(db, 3)
    with db.transaction() as tx:
        with pytest.raises(errors.StoreNotFound):
            tx["none"]
        with pytest.raises(errors.KeyNotFound):
            tx["numbers"].update({"k": 9, "v": 1})
        tx["numbers"].update(0, {"v": 1})
    assert db["numbers"][0]["v"] == 1


# -- M15: stores --------------------------------------------------------------------------------------------------------------


def test_m15_names_are_checked_and_never_become_paths(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "x.sop") as db:
        for name in ("../x", "..", ".", "", "a/b", "a\\b", "a\nb", "a\0", " a", "a ", "-a", "x" * 129, "a..b", 5, None):
            for make in (
                lambda name=name: db.create(name, {"k": "int64"}, "k"),
                lambda name=name: db.load(name, pd.DataFrame({"k": [1]}), "k"),
            ):
                with pytest.raises(errors.InvalidInput, match="cannot be the name of a store"):
                    make()
        assert db.stores() == ()
        for name in ("flights", "Flüge 2013", "a.b-c_d:e", "x" * 128, "7"):
            db.create(name, {"k": "int64"}, "k").insert({"k": 1})
            with pytest.raises(errors.InvalidInput, match="cannot be the name"):
                db.rename(name, "../y")
        assert len(db.stores()) == 5
        assert {path.name for path in tmp_path.iterdir()} == {"x.sop"}


def test_m15_a_store_exists_from_its_commit_on_and_not_before(db: Any) -> None:
    tx = db.transaction()
    tx.create("things", {"k": "int64"}, "k").insert({"k": 1})
    assert db.stores() == ()
    with pytest.raises(errors.StoreNotFound):
        db["things"]
    tx.rollback()
    assert db.stores() == ()
    first, second = db.transaction(), db.transaction()
    for each in (first, second):
        each.create("things", {"k": "int64"}, "k")
    first.commit()
    with pytest.raises(errors.Conflict, match="'things'"):
        second.commit()
    assert db.stores() == ("things",)


def test_m15_stores_are_listed_renamed_dropped_and_told_of(db: Any) -> None:
    numbers = _numbers(db, 100)
    numbers.delete(5)
    info = db.info()["stores"]["numbers"]
    assert info == numbers.info()
    assert (info["rows"], info["index"], info["unique"], set(info["schema"])) == (99, "k", True, {"k", "v"})
    assert all(isinstance(info[name], int) for name in ("bytes", "leaves", "runs", "tail", "last_commit"))
    db.rename("numbers", "figures")
    assert db.stores() == ("figures",)
    assert set(db.compact()) == {"blobs_before", "blobs_after", "log_before", "log_after"}
    db.drop("figures")
    assert db.stores() == ()


def test_m15_dropping_a_store_under_a_writer_is_a_conflict_not_a_broken_file(db: Any) -> None:
    _numbers(db, 3)
    tx = db.transaction()
    tx["numbers"].update(0, {"v": 1})
    db.drop("numbers")
    db.compact(keep=0)
    with pytest.raises(errors.Conflict, match="'numbers'"):
        tx.commit()


def test_m15_disk_space_comes_back_after_deletes(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "x.sop", handle=QUIET) as db:
        numbers = db.load("numbers", pa.table({"k": np.arange(50_000), "v": np.random.default_rng(1).random(50_000)}), "k")
        numbers.where(pc.field("k") >= 500).delete()
        sizes = db.compact(keep=0)
        assert sizes["blobs_after"] < sizes["blobs_before"] / 5
        assert db.check().ok
        assert len(numbers) == numbers[:].to_arrow().num_rows == 500


# -- M18: scale ---------------------------------------------------------------------------------------------------------------


def test_m18_a_row_costs_leaves_by_the_layers_and_not_by_the_store() -> None:
    costs = []
    for n in (1_000, 8_000):
        with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
            numbers = _numbers(db, n)
            random = np.random.default_rng(2)
            for _ in range(5):
                numbers.upsert(pd.DataFrame({"k": random.choice(n, 8, replace=False), "v": 1}))
            for k in range(40):
                assert numbers[k]["k"] == k
            before = db.info()["leaves_used"]
            for k in range(0, n, n // 20):
                assert numbers[k]["k"] == k
            costs.append(db.info()["leaves_used"] - before)
    assert max(costs) <= 20 * 6


def test_m18_a_bulk_load_is_one_commit_and_makes_no_object_per_row() -> None:
    n = 300_000
    frame = pd.DataFrame({"k": np.random.default_rng(3).permutation(n), "text": np.arange(n).astype(str)})
    with sopnb.open(":memory:", handle=QUIET) as db:
        before = db.seq
        tracemalloc.start()
        store = db.load("many", frame, "k")
        assert db.seq == before + 1
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 120 * n  # numpy's arrays are counted too; an object for each row and value would take more than that alone
        assert len(store) == n
        pd.testing.assert_frame_equal(store[:].to_pandas(), frame.sort_values("k").reset_index(drop=True))
