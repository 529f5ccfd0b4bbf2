"""Opening, loading, the past and the care of a database."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import sopnb
from sopnb import DatabaseSettings, HandleSettings, IndexSpecification
from sopnb.errors import (
    Closed,
    Conflict,
    DuplicateKey,
    HistoryTrimmed,
    InvalidInput,
    NotFound,
    ReadOnly,
    StoreExists,
    StoreNotFound,
    TagNotFound,
    UnsupportedFormat,
)

QUIET = HandleSettings(maintenance="off", progress=False)
PLANES = pd.DataFrame({"tailnum": ["N3", "N1", "N2"], "seats": [182, 55, 149]})


def _engine(db: Any) -> Any:
    return db._lease.engine


# -- opening ------------------------------------------------------------------------------------------------------------------


def test_a_folder_is_made_kept_and_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sopnb.open("trips.sop") as db:
        db.load("planes", PLANES, "tailnum")
        assert (db.name, db.mode) == ("trips.sop", "a")
    (tmp_path / "trips.sop").rename(tmp_path / "moved.sop")
    with sopnb.open(tmp_path / "moved.sop") as db:
        assert db["planes"]["N1"]["seats"] == 55
        assert db.check().ok


def test_opening_twice_in_one_process_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = sopnb.open("trips.sop", handle=QUIET)
    two = sopnb.open(tmp_path / "." / "trips.sop")
    assert _engine(one) is _engine(two)
    one.load("planes", PLANES, "tailnum")
    assert len(two["planes"]) == 3
    one.close()
    one.close()
    assert (one.closed, two.closed) == (True, False)
    two["planes"].delete("N1")
    with pytest.raises(Closed):
        one.stores()
    with pytest.raises(InvalidInput, match="other handle settings"):
        sopnb.open("trips.sop", handle=HandleSettings(cache_bytes=1))
    two.close()
    with sopnb.open("trips.sop", handle=HandleSettings(cache_bytes=1)) as three:
        assert three.handle.cache_bytes == 1
        assert list(three["planes"]) == ["N2", "N3"]


def test_memory_is_always_a_database_of_its_own() -> None:
    with sopnb.open(":memory:") as one, sopnb.open(":memory:") as two:
        one.create("things", {"k": "int64"}, "k")
        assert two.stores() == ()


def test_after_close_everything_says_so(tmp_path: Path) -> None:
    db = sopnb.open(tmp_path / "trips.sop")
    planes = db.load("planes", PLANES, "tailnum")
    selection, cursor, snapshot = planes[:], planes.cursor(), db.at()
    old = snapshot["planes"]
    db.close()
    for use in (
        db.stores,
        db.info,
        lambda: db.seq,
        lambda: planes["N1"],
        lambda: planes.delete("N1"),
        selection.count,
        lambda: old["N1"],
        db.transaction,
        db.__enter__,
        db.check,
        cursor.delete,
    ):
        with pytest.raises((Closed, sopnb.InvalidState)):
            use()
    assert repr(db) == "Database, closed"
    assert "cannot be shown now" in planes._repr_html_()


def test_a_forgotten_handle_is_closed_but_not_under_its_stores(tmp_path: Path) -> None:
    planes = sopnb.open(tmp_path / "trips.sop").load("planes", PLANES, "tailnum")
    engine = planes._access.engine
    gc.collect()
    assert planes["N1"]["seats"] == 55
    del planes
    gc.collect()
    assert engine.closed


def test_a_folder_made_again_is_another_database(tmp_path: Path) -> None:
    path = tmp_path / "trips.sop"
    old = sopnb.open(path)
    old.load("planes", PLANES, "tailnum")
    shutil.rmtree(path)
    with sopnb.open(path) as new:
        assert new.stores() == ()
        new.create("things", {"k": "int64"}, "k")
    old.close()


def test_reading_only_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trips.sop"
    with pytest.raises(NotFound, match="no database"):
        sopnb.open(path, "r")
    assert not path.exists()
    with sopnb.open(path) as db:
        db.load("planes", PLANES, "tailnum")
    before = {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    with sopnb.open(path, mode="r") as db:
        assert db.mode == "r"
        assert db["planes"][:].to_pandas()["seats"].sum() == PLANES["seats"].sum()
        with db.transaction("read") as tx:
            assert tx["planes"]["N1"]["seats"] == 55
        for write in (
            lambda: db["planes"].delete("N1"),
            lambda: db["planes"][:].update({"seats": 1}),
            lambda: db.drop("planes"),
            lambda: db.load("x", PLANES, "tailnum"),
            db.transaction,
            lambda: db.tag("x"),
            db.fold,
            db.compact,
        ):
            with pytest.raises(ReadOnly, match="mode"):
                write()
        assert db.check().ok
    assert {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()} == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UnsupportedFormat, match="not empty"):
        sopnb.open(tmp_path)
    for wrong in (5, "", "s3://bucket/x", tmp_path / "notes.txt"):
        with pytest.raises(InvalidInput):
            sopnb.open(wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match='mode="w"|mode=.w.'):
        sopnb.open(tmp_path / "x", "w")  # type: ignore[arg-type]


def test_settings_belong_to_the_database(tmp_path: Path) -> None:
    settings = DatabaseSettings(leaf_rows=7)
    with sopnb.open(tmp_path / "x.sop", settings=settings) as db:
        assert db.settings == settings
    with sopnb.open(tmp_path / "x.sop") as db:
        assert db.settings.leaf_rows == 7
    with pytest.raises(InvalidInput, match="leaf_rows=7"):
        sopnb.open(tmp_path / "x.sop", settings=DatabaseSettings())


def test_another_process_is_seen_at_the_next_read(tmp_path: Path) -> None:
    path = tmp_path / "trips.sop"
    with sopnb.open(path) as db:
        planes = db.load("planes", PLANES, "tailnum")
        with db.transaction() as tx:
            before = len(tx["planes"])
            code = f"import sopnb; sopnb.open({str(path)!r})['planes'].insert({{'tailnum': 'N9', 'seats': 1}})"
            subprocess.run([sys.executable, "-c", code], check=True)
            assert len(tx["planes"]) == before
        assert planes["N9"]["seats"] == 1


def test_import_loads_no_pandas_and_is_quick_to_say_so() -> None:
    code = "import sys, sopnb; print([name for name in ('pandas', 'tqdm', 'pyarrow.acero', 'pyarrow.dataset') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


# -- stores -------------------------------------------------------------------------------------------------------------------


def test_stores_are_found_by_name(db: Any) -> None:
    db.load("planes", PLANES, "tailnum")
    db.create("notes", {"author": "string", "written": "timestamp[us, UTC]"}, IndexSpecification.of("author", "-written"))
    assert db.stores() == tuple(db) == ("notes", "planes")
    assert "planes" in db
    assert "trains" not in db
    with pytest.raises(StoreNotFound, match="no store 'trains'; there are: 'notes', 'planes'"):
        db["trains"]
    with pytest.raises(StoreExists, match="'planes' is already there"):
        db.create("planes", {"k": "int64"}, "k")
    planes = db["planes"]
    db.rename("planes", "aircraft", message="grown up")
    with pytest.raises(StoreNotFound):
        planes.first()
    assert db["aircraft"]["N1"]["seats"] == 55
    db.drop("aircraft")
    assert db.stores() == ("notes",)
    for gone in (lambda: db.drop("aircraft"), lambda: db.rename("aircraft", "x"), lambda: db.fold("aircraft")):
        with pytest.raises(StoreNotFound, match="'aircraft'"):
            gone()


def test_what_cannot_be_stored_is_refused_when_the_store_is_made(db: Any) -> None:
    for schema, index, reason in [
        ({"k": "moment"}, "k", "'k'.*no type"),
        ({"k": "int64"}, "j", "no column 'j' to index"),
        ({"k": "json"}, "k", "'k' holds JSON documents"),
        ({"k": pa.list_(pa.int64())}, "k", "'k'.*cannot be a key"),
        ({"_id": "int64"}, "_id", "reserved"),
        ({"k": "int64"}, [], "at least one field"),
        ({"k": "int64"}, ["k", "-k"], "twice"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            db.create("wrong", schema, index)
    assert db.stores() == ()


# -- loading ------------------------------------------------------------------------------------------------------------------


def test_index_columns_come_back_as_columns_with_a_fresh_index(db: Any) -> None:
    frame = PLANES.set_index(pd.Index([7, 8, 9]))
    store = db.load("planes", frame, index=["tailnum"], message="first")
    want = PLANES.sort_values("tailnum").reset_index(drop=True)
    pd.testing.assert_frame_equal(store[:].to_pandas(), want)
    assert store.loaded == sopnb.Counts(inserted=3, seq=db.seq)
    assert db["planes"].loaded is None
    assert db.log()["message"].iloc[-1] == "first"
    named = db.load("again", PLANES.set_index("tailnum"), index="tailnum")
    pd.testing.assert_frame_equal(named[:].to_pandas()[["tailnum", "seats"]], want)


def test_a_named_index_is_the_key_and_comes_back(db: Any) -> None:
    frame = PLANES.set_index("tailnum")
    pd.testing.assert_frame_equal(db.load("planes", frame)[:].to_pandas(), frame.sort_index())
    assert db["planes"].index == IndexSpecification.of("tailnum")


def test_an_index_without_a_name_is_refused_with_the_remedy(db: Any) -> None:
    for data in (PLANES, pa.table({"k": [1]}), [{"k": 1}], PLANES.set_index(["tailnum", PLANES.index])):
        with pytest.raises(InvalidInput, match=r"'planes'.*index=\[...\].*name the index"):
            db.load("planes", data)
    assert db.stores() == ()


def test_a_descending_index_and_one_that_is_not_unique(db: Any) -> None:
    assert list(db.load("down", PLANES, ["-tailnum"])) == ["N3", "N2", "N1"]
    twice = pd.concat([PLANES, PLANES])
    with pytest.raises(DuplicateKey, match="'up'.*'N1' is twice"):
        db.load("up", twice, "tailnum")
    store = db.load("up", twice, IndexSpecification.of("tailnum", unique=False))
    assert store.select("tailnum").to_arrow()["tailnum"].to_pylist() == ["N1", "N1", "N2", "N2", "N3", "N3"]


def test_if_exists_says_what_is_done_with_what_is_there(db: Any) -> None:
    db.load("planes", PLANES, "tailnum")
    more = pd.DataFrame({"tailnum": ["N1", "N9"], "seats": [1, 9]})
    with pytest.raises(StoreExists, match="if_exists"):
        db.load("planes", more, "tailnum")
    with pytest.raises(DuplicateKey, match="'N1'"):
        db.load("planes", more, if_exists="insert")
    assert len(db["planes"]) == 3
    assert db.load("planes", more, if_exists="upsert").loaded == sopnb.Counts(inserted=1, updated=1, seq=db.seq)
    with pytest.raises(InvalidInput, match=r"has the index \(tailnum\), not \(-tailnum\)"):
        db.load("planes", more, "-tailnum", if_exists="upsert")
    assert list(db.load("planes", more, "-tailnum", if_exists="replace")) == ["N9", "N1"]
    assert db.load("new", more, "tailnum", if_exists="upsert").loaded.inserted == 2
    with pytest.raises(InvalidInput, match='"raise", "replace", "insert", "upsert"'):
        db.load("planes", more, if_exists="append")


def test_a_frame_for_a_store_that_is_there_needs_no_index(db: Any) -> None:
    db.load("planes", PLANES.set_index("tailnum"))
    for frame in (PLANES.assign(seats=1), PLANES.assign(seats=1).set_index("tailnum")):
        db.load("planes", frame, if_exists="upsert")
    assert db["planes"][:].to_pandas()["seats"].tolist() == [1, 1, 1]


def test_a_load_that_fails_leaves_everything_as_it_was(db: Any) -> None:
    db.load("planes", PLANES, "tailnum")
    seq = db.seq
    for data, reason in [
        (pd.DataFrame({"tailnum": ["N1", "N1"]}), "twice"),
        (pd.DataFrame({"big": [2**70], "tailnum": ["x"]}), "'big'.*beyond 64 bits"),
        (pd.DataFrame({"tailnum": [[1]]}), "'tailnum'.*cannot be a key"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            db.load("planes", data, "tailnum", if_exists="replace")
    assert (db.seq, len(db["planes"])) == (seq, 3)


def _days(n: int, alive: list[Any] | None = None) -> Iterator[Any]:
    for day in range(n):
        frame = pd.DataFrame({"day": day, "hour": np.arange(1000), "text": f"day {day}"})
        if alive is not None:
            alive.append(weakref.ref(frame))
        yield frame
        del frame


def test_an_iterator_of_frames_is_loaded_piece_by_piece(db: Any) -> None:
    alive: list[Any] = []
    most = 0

    def watched() -> Iterator[Any]:
        nonlocal most
        for frame in _days(40, alive):
            most = max(most, sum(each() is not None for each in alive))
            yield frame
            del frame

    store = db.load("days", watched(), ["day", "hour"])
    assert most <= 3
    assert store.loaded.inserted == len(store) == 40_000
    pd.testing.assert_frame_equal(store[:].to_pandas(), pd.concat(_days(40), ignore_index=True))


def test_a_large_stream_is_written_ahead_and_read_back(tmp_path: Path) -> None:
    handle = HandleSettings(load_bytes=200_000, maintenance="off", progress=False)
    with sopnb.open(tmp_path / "x.sop", handle=handle) as db:
        table = pa.Table.from_pandas(pd.concat(_days(30), ignore_index=True).sample(frac=1, random_state=1), preserve_index=False)
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=500))
        store = db.load("days", reader, ["day", "-hour"])
        assert store[:].to_arrow().equals(table.sort_by([("day", "ascending"), ("hour", "descending")]))
        copy = db.load("copy", store[:], ["hour", "day"])
        assert copy[:].to_arrow().equals(table.sort_by([("hour", "ascending"), ("day", "ascending")]))
        assert db.load("copy", (frame for frame in store[:].iter_batches(size=999)), if_exists="upsert").loaded.unchanged == 30_000
        assert db.check().ok


def test_an_interrupt_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    handle = HandleSettings(load_bytes=20_000, maintenance="off", progress=False)
    with sopnb.open(tmp_path / "x.sop", handle=handle) as db:
        db.load("planes", PLANES, "tailnum")
        seq, blobs = db.seq, set(_engine(db).backend.blobs.names())

        def interrupted() -> Iterator[Any]:
            yield from _days(20)
            raise KeyboardInterrupt

        for where in ({"name": "days", "index": ["day", "hour"]}, {"name": "planes", "index": ["day", "hour"], "if_exists": "replace"}):
            with pytest.raises(KeyboardInterrupt):
                db.load(data=interrupted(), **where)
            assert (db.seq, db.stores()) == (seq, ("planes",))
            assert set(_engine(db).backend.blobs.names()) == blobs
        assert len(db["planes"]) == 3
        assert db.check().ok


def test_the_first_piece_gives_the_types(db: Any) -> None:
    def pieces(*frames: Any) -> Iterator[Any]:
        yield from frames

    first = pd.DataFrame({"k": [1], "n": [1], "c": pd.Categorical(["a"])})
    for second, reason in [
        (first.assign(k=2, n=[None]), "'n'"),
        (first.assign(k=2, n=1.5), "'n': store int64, frame double"),
        (first.assign(k=2, c=pd.Categorical(["b"])), "'c': 'b' is none of its categories"),
        (first.assign(k=2, more=1), "differ in their columns"),
        (first.assign(k=2)[["k", "n"]], "differ in their columns"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            db.load("x", pieces(first, second), "k")
    assert db.stores() == ()
    assert len(db.load("x", pieces(first, first[["c", "n", "k"]].assign(k=2)), "k")) == 2
    assert len(db.load("y", ({"k": i, "v": "x"} for i in range(25_000)), "k")) == 25_000
    assert len(db.load("z", pa.schema([("k", pa.int64())]).empty_table().to_reader(), "k")) == 0
    with pytest.raises(InvalidInput, match="iterator is empty"):
        db.load("w", pieces(), "k")


def test_data_that_can_be_had_once_is_not_loaded_twice(db: Any) -> None:
    db.load("planes", PLANES, "tailnum")

    def meanwhile() -> Iterator[Any]:
        yield PLANES.assign(seats=1)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: db["planes"].update("N1", {"seats": 7})).result()

    with pytest.raises(Conflict, match="'planes'") as caught:
        db.load("planes", meanwhile(), if_exists="upsert")
    assert "after 1 attempt" in caught.value.__notes__[0]
    assert db["planes"]["N1"]["seats"] == 7


def test_a_load_reports_the_rows_that_do_not_fit(db: Any) -> None:
    db.load("planes", PLANES, "tailnum")
    more = pd.DataFrame({"tailnum": ["N1", "N9", "N9", None], "seats": [1, 2, 3, 4]})
    loaded = db.load("planes", more, if_exists="insert", on_error="report").loaded
    assert (loaded.inserted, sorted(loaded.rejected["seats"].tolist())) == (2, [1, 3])
    assert loaded.rejected.columns.tolist() == ["tailnum", "seats", "_reason"]
    frames = iter([more.assign(seats=[5, 6, 7, 8], tailnum=["M1", "M2", "M2", "M3"]), more.assign(tailnum=["M1", "M4", "M5", "M6"])])
    loaded = db.load("planes", frames, if_exists="insert", on_error="report").loaded
    assert (loaded.inserted, sorted(loaded.rejected["tailnum"])) == (6, ["M1", "M2"])
    with pytest.raises(InvalidInput, match='"raise" or "report"'):
        db.load("planes", more, on_error="skip")


def test_a_dry_run_tells_the_schema_and_writes_nothing(db: Any) -> None:
    schema = db.load("planes", PLANES, ["-tailnum"], dry_run=True)
    assert schema.specification == IndexSpecification.of("-tailnum")
    assert repr(schema).startswith("Schema(tailnum ")
    assert db.stores() == ()
    assert db.seq == 0


def test_long_work_shows_a_bar_where_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    for wanted, shown in ((True, True), (False, False), (None, False)):
        with sopnb.open(":memory:", handle=HandleSettings(progress=wanted)) as db:
            db.load("planes", PLANES, "tailnum")
            db["planes"].delete("N1")
            db.fold()
        said = capsys.readouterr().err
        assert ("load planes" in said) is shown
        assert ("fold planes" in said) is shown


# -- the past -----------------------------------------------------------------------------------------------------------------


def test_tags_and_numbers_open_older_states(db: Any) -> None:
    planes = db.load("planes", PLANES, "tailnum")
    db.tag("full")
    planes.delete("N1")
    db.tag("start", 1)
    assert db.tags() == {"full": 1, "start": 1}
    assert db.seq == 4
    for where in ({"tag": "full"}, {"seq": 1}):
        with db.at(**where) as old:
            assert (old.seq, old.stores(), tuple(old), "planes" in old) == (1, ("planes",), ("planes",), True)
            assert len(old["planes"]) == 3
            assert old["planes"]["N1"]["seats"] == 55
            assert old["planes"]["N2":].count() == 2
            with pytest.raises(ReadOnly, match=r"db\['planes'\]"):
                old["planes"].delete("N1")
            with pytest.raises(StoreNotFound):
                old["trains"]
        with pytest.raises(Closed):
            old.seq  # noqa: B018
    assert len(planes) == 2
    with db.at() as now, db.at(0) as empty:
        planes.delete("N2")
        assert (len(now["planes"]), empty.stores()) == (2, ())
    db.untag("full")
    assert db.tags() == {"start": 1}
    for wrong, error in [
        (lambda: db.at(99), InvalidInput),
        (lambda: db.at(tag="nope"), TagNotFound),
        (lambda: db.untag("nope"), TagNotFound),
        (lambda: db.at(1, tag="start"), InvalidInput),
        (lambda: db.tag("late", 99), InvalidInput),
        (lambda: db.tag("no/path"), InvalidInput),
    ]:
        with pytest.raises(error):
            wrong()


def test_a_tag_is_moved_only_on_purpose(db: Any) -> None:
    with pytest.raises(InvalidInput, match="no commit 0 to tag"):
        db.tag("x")
    db.load("planes", PLANES, "tailnum")
    db.tag("x")
    db.tag("x", 1)
    assert db.seq == 2
    with pytest.raises(InvalidInput, match="'x' is at commit 1 already.*move=True"):
        db.tag("x")
    db.tag("x", move=True)
    assert db.tags() == {"x": 2}
    with db.transaction() as tx:
        tx.tag("y")
        tx.untag("x")
    assert db.tags() == {"y": 3}


def test_a_time_needs_a_zone(db: Any) -> None:
    db.load("planes", PLANES, "tailnum")
    with db.at(time=datetime.now(UTC) + timedelta(days=1)) as newest, db.at(time=datetime(2000, 1, 1, tzinfo=UTC)) as before:
        assert (newest.seq, before.seq) == (1, 0)
        assert abs(newest.time - datetime.now(UTC)) < timedelta(minutes=5)
    for wrong in (datetime(2013, 1, 1), "2013-01-01", 5):
        with pytest.raises(InvalidInput, match="with a zone"):
            db.at(time=wrong)


def test_what_is_no_longer_kept_says_so(db: Any) -> None:
    planes = db.load("planes", PLANES, "tailnum")
    planes.delete("N1")
    db.compact(keep=0)
    db.compact(keep=0)
    with pytest.raises(HistoryTrimmed, match="no longer kept"):
        db.at(1)
    assert len(planes) == 2


def test_the_log_tells_what_people_did(db: Any) -> None:
    planes = db.load("planes", PLANES, "tailnum", message="day 1")
    planes.update("N1", {"seats": 1}, message="mend")
    db.fold()
    planes.delete(["N1", "N2"])
    log = db.log()
    assert log[["seq", "message", "stores", "inserted", "updated", "deleted"]].to_numpy().tolist() == [
        [1, "day 1", "planes", 3, 0, 0],
        [2, "mend", "planes", 0, 1, 0],
        [4, "", "planes", 0, 0, 2],
    ]
    assert str(log["time"].dt.tz) == "UTC"
    assert list(log["txid"].str.count("[.]")) == [2, 2, 2]
    assert db.log(limit=2)["seq"].tolist() == db.log(since=1)["seq"].tolist() == [2, 4]
    assert db.log(since=1, limit=1)["seq"].tolist() == [4]
    empty = db.log(limit=0)
    assert (len(empty), empty.dtypes.to_list()) == (0, log.dtypes.to_list())
    db.rename("planes", "aircraft")
    db.tag("end")
    db.drop("aircraft")
    db.untag("end")
    db.create("planes", {"n": "int64"}, "n")
    assert db.log()[["stores", "notes"]].to_numpy().tolist() == [
        ["aircraft", "created planes"],  # by the last name it had
        ["aircraft", ""],
        ["aircraft", ""],
        ["aircraft", "renamed to aircraft"],
        ["", "tagged commit 5 end"],
        ["aircraft", "dropped aircraft"],
        ["", "untagged end"],
        ["planes", "created planes"],
    ]
    assert db.log(store="planes")["seq"].tolist() == [9]
    for wrong in ({"since": -1}, {"limit": -1}):
        with pytest.raises(InvalidInput, match="from 0 on"):
            db.log(**wrong)


# -- care ---------------------------------------------------------------------------------------------------------------------


def test_fold_and_compact_say_what_they_did(db: Any) -> None:
    planes = db.load("planes", PLANES, "tailnum")
    db.fold()
    planes.delete("N1")
    assert db.fold("planes") == {"planes": (2, 1)}
    assert db.fold() == {"planes": (1, 1)}
    assert set(db.compact()) == {"blobs_before", "log_before", "blobs_after", "log_after"}
    assert len(planes) == 2


def test_info_names_forgotten_readers(db: Any) -> None:
    planes = db.load("planes", PLANES, "tailnum")
    old = db.at(1)
    planes.delete("N1")
    info = db.info()
    assert (info["seq"], info["stores"]["planes"]["rows"], info["readers"]) == (2, 2, [1])
    old.close()
    del old
    gc.collect()
    assert db.info()["readers"] == []


def test_representations_hold_no_path_time_or_size(tmp_path: Path) -> None:
    texts = []
    for name in ("a.sop", "b.sop"):
        with sopnb.open(tmp_path / name) as db:
            planes = db.load("planes", PLANES, "tailnum")
            shown = [db, planes, planes["N1":], db.at(), planes["N1"], planes[:].explain()]
            texts.append([repr(each) for each in shown] + [each._repr_html_() for each in shown[:4]])
    assert texts[0] == texts[1]
    assert texts[0][0].splitlines()[0] == "Database: 1 store; commit 1"
