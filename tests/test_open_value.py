"""Values as files: read and written piece by piece, in one state, against plain bytes."""

from __future__ import annotations

import gc
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sopnb
from sopnb.engine import far, value
from sopnb.engine.storework import StoreWork
from sopnb.errors import (
    Closed,
    CommitUnknown,
    Conflict,
    Corruption,
    InvalidInput,
    InvalidState,
    KeyNotFound,
    NoSpace,
    ReadOnly,
    SchemaMismatch,
)
from tests.api_support import QUIET

SETTINGS = sopnb.DatabaseSettings(value_bytes=100, retention_seconds=0)
PIECE = 1000
LONG = bytes(range(256)) * 40
SCHEMA = pa.schema([pa.field("k", pa.int64(), nullable=False), ("raw", pa.binary()), ("text", pa.string()), ("n", pa.int64())])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces short, so that values of a few thousand bytes have several, in several blobs."""
    monkeypatch.setattr(far, "PIECE", PIECE)
    monkeypatch.setattr(value, "PIECE", PIECE)
    monkeypatch.setattr(value, "TOGETHER", 3)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sopnb.Database]:
    with sopnb.open(tmp_path / "values.sop", settings=SETTINGS, handle=QUIET) as db:
        store = db.create("s", schema=SCHEMA, index="k")
        store.insert([{"k": 1, "raw": LONG, "text": "é" * 3000, "n": 1}, {"k": 2, "raw": b"short", "text": "", "n": 2}, {"k": 3}])
        yield db
        assert db.check().ok


def blobs(db: sopnb.Database) -> set[str]:
    return {name for name, _ in db._lease.engine.backend.blobs.names()}


def fill(opened: Any, data: Any, then: Callable[[], object] = lambda: None) -> None:
    """Write a value, and do something else before it is closed."""
    with opened as file:
        file.write(data)
        then()


def fail() -> None:
    raise ZeroDivisionError


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "seek", "end", "here"]), st.integers(-3000, 12_000), st.integers(0, 4000)), min_size=1, max_size=12
)


@given(st.sampled_from([0, 1, 99, 101, 999, 1000, 1001, 2000, 10_240]), STEPS)
def test_a_value_reads_and_seeks_as_a_file_of_the_same_bytes_does(size: int, steps: list[Step]) -> None:
    with sopnb.open(":memory:", settings=SETTINGS, handle=QUIET) as db:
        store = db.create("s", schema=SCHEMA, index="k")
        store.insert(pa.table({"k": [1, 2], "raw": [LONG[:size], b"other"]}))
        with store.open_value(1, "raw") as file, io.BytesIO(LONG[:size]) as plain:
            assert file.seekable()
            for what, offset, length in steps:
                for one in (file, plain):
                    try:
                        if what == "read":
                            continue
                        one.seek(max(offset, 0) if what == "seek" else offset, {"seek": 0, "here": 1, "end": 2}[what])
                    except (ValueError, OSError):
                        one.seek(0)
                assert file.tell() == plain.tell()
                assert file.read(length) == plain.read(length)
            assert file.read() == plain.read()


@given(st.lists(st.binary(max_size=2500), max_size=8), st.booleans())
def test_what_is_written_in_any_parts_is_the_value(parts: list[bytes], within: bool) -> None:
    with sopnb.open(":memory:", settings=SETTINGS, handle=QUIET) as db:
        store = db.create("s", schema=SCHEMA, index="k")
        store.insert({"k": 1, "raw": b"old", "text": "t" * 500, "n": 7})
        before = db.seq
        if within:
            with db.transaction() as tx:
                with tx["s"].open_value(1, "raw", "wb") as file:
                    for part in parts:
                        assert file.write(part) == len(part)
                assert tx["s"][1]["raw"] == b"".join(parts)
                assert tx["s"].open_value(1, "raw").read() == b"".join(parts)
        else:
            with store.open_value(1, "raw", "wb", message="a scan") as file:
                file.writelines(parts)
            assert db.log()["message"].iloc[-1] == "a scan"
        assert db.seq == before + 1
        assert dict(store[1]) == {"k": 1, "raw": b"".join(parts), "text": "t" * 500, "n": 7}
        with store.open_value(1, "raw") as file:
            assert file.read() == b"".join(parts)
        db.fold()
        assert store[1]["raw"] == b"".join(parts)
        assert db.check().ok


def test_texts_open_as_text_and_as_bytes(db: sopnb.Database) -> None:
    store = db["s"]
    text = "grüße\r\n" * 1000 + "\n\r𝄞"
    with store.open_value(1, "text", "w") as file:
        file.write(text)
        print("and more", file=file)
    text += "and more\n"
    assert store[1]["text"] == text
    with store.open_value(1, "text", "r") as file:
        assert file.read() == text
        file.seek(0)
        assert file.readline() == "grüße\r\n"
    with store.open_value(1, "text") as raw:
        assert raw.read() == text.encode()
    with store.open_value(2, "text", "wb") as raw:
        raw.write("é".encode() * 5000)
    assert store[2]["text"] == "é" * 5000
    for bad in (b"\xff", b"\xc3" * 3000, "é".encode() * 700 + b"\xc3"):
        with pytest.raises(SchemaMismatch, match="store 's': column 'text' holds text"), store.open_value(2, "text", "wb") as raw:
            raw.write(bad)
    assert store[2]["text"] == "é" * 5000


def test_an_open_value_is_of_one_state_and_keeps_it_readable(db: sopnb.Database) -> None:
    store = db["s"]
    with store.open_value(1, "raw") as file:
        first = file.read(3)
        store.update(1, {"raw": b"new" * 1000})
        store.delete(1)
        db.compact(keep=0)
        assert first + file.read() == LONG
        assert db.info()["readers"]
    assert not db.info()["readers"], "it is let go when the file is closed"
    db.compact(keep=0)
    assert 1 not in store
    with db.at() as past, past["s"].open_value(2, "raw") as file:
        assert file.read() == b"short"
        with pytest.raises(ReadOnly):
            past["s"].open_value(2, "raw", "wb")


def test_a_value_is_closed_with_its_file_and_with_the_database(tmp_path: Path) -> None:
    db = sopnb.open(tmp_path / "closed.sop", settings=SETTINGS, handle=QUIET)
    store = db.create("s", schema=SCHEMA, index="k")
    store.insert({"k": 1, "raw": LONG, "text": "x"})
    files = [store.open_value(1, "raw"), store.open_value(1, "text")]
    closed = store.open_value(1, "raw")
    closed.close()
    writer = store.open_value(1, "raw", "wb")
    writer.write(LONG)
    db.close()
    for file in files:
        with pytest.raises(Closed):
            file.read()
    with pytest.raises(ValueError, match="closed"):
        closed.read()
    with pytest.raises(Closed):
        writer.close()
    assert writer.closed


def test_an_exception_or_forgetting_it_leaves_the_value_and_no_blob(db: sopnb.Database) -> None:
    store, before = db["s"], blobs(db)
    old, seq = dict(store[1]), db.seq
    for column, mode, data in (("raw", "wb", LONG), ("text", "w", "x" * 9000)):
        with pytest.raises(ZeroDivisionError):
            fill(store.open_value(1, column, mode), data, fail)  # type: ignore[call-overload]
        assert blobs(db) == before
        forgotten: Any = store.open_value(1, column, mode)  # type: ignore[call-overload]
        forgotten.write(data)
        assert blobs(db) > before, "some of it was written ahead"
        del forgotten
        gc.collect()
        assert blobs(db) == before
    assert (dict(store[1]), db.seq) == (old, seq)
    tx = db.transaction()
    fill(tx["s"].open_value(1, "raw", "wb"), LONG[::-1])
    assert tx["s"][1]["raw"] == LONG[::-1]
    tx.rollback()
    assert (dict(store[1]), db.seq, blobs(db)) == (old, seq, before)


def test_a_record_that_goes_or_changes_meanwhile(db: sopnb.Database) -> None:
    """Another column may change: each write is of its own column. The record must be there when the value is closed."""
    store, before = db["s"], blobs(db)
    with store.open_value(1, "raw", "wb") as file:
        file.write(LONG * 2)
        store.update(1, {"n": 5, "text": "t" * 400})
    assert dict(store[1]) == {"k": 1, "raw": LONG * 2, "text": "t" * 400, "n": 5}
    written = blobs(db)
    with pytest.raises(KeyNotFound):
        fill(store.open_value(1, "raw", "wb"), LONG * 3, lambda: store.delete(1))
    assert blobs(db) <= written | before
    with db.transaction() as tx:
        late = tx["s"].open_value(2, "raw", "wb")
        late.write(LONG)
    with pytest.raises(InvalidState):
        late.close()
    assert store[2]["raw"] == b"short"
    db.create("made anew", schema=SCHEMA, index="k").insert({"k": 1})
    late = db["made anew"].open_value(1, "raw", "wb")
    db.load("made anew", pa.table({"k": [1], "raw": ["a text now"]}), index="k", if_exists="replace")
    with pytest.raises(InvalidState, match="another schema"):
        late.close()
    tx = db.transaction()
    fill(tx["s"].open_value(2, "raw", "wb"), LONG)
    store.update(2, {"raw": b"quicker"})
    with pytest.raises(Conflict):
        tx.commit()
    assert store[2]["raw"] == b"quicker"
    assert blobs(db) <= written | before


def test_what_was_written_ahead_outlives_a_conflict_and_goes_when_no_commit_comes(
    db: sopnb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, put = db["s"], StoreWork.put_value
    quicker = [{"n": 77}, {"n": 78}]

    def overtaken(self: StoreWork, *args: Any) -> Any:
        counts = put(self, *args)
        if quicker:
            store.update(1, quicker.pop())
        return counts

    monkeypatch.setattr(StoreWork, "put_value", overtaken)
    fill(store.open_value(1, "raw", "wb"), LONG * 2)
    assert (store[1]["raw"], store[1]["n"]) == (LONG * 2, 77)
    assert store.open_value(1, "raw").read() == LONG * 2
    db.compact(keep=0)
    before = blobs(db)
    monkeypatch.setattr(StoreWork, "put_value", lambda *args: fail())
    with pytest.raises(ZeroDivisionError):
        fill(store.open_value(1, "raw", "wb"), LONG * 3)
    assert blobs(db) == before
    registry = db._lease.engine.backend.registry
    for error, gone in ((NoSpace("log", "it is full"), True), (CommitUnknown("0.9.00", epoch=0, seq=10**7), False)):
        monkeypatch.setattr(StoreWork, "put_value", put)
        with monkeypatch.context() as patch:
            patch.setattr(registry, "append", lambda *args, error=error: raises(error))
            with pytest.raises(type(error)):
                fill(store.open_value(1, "raw", "wb"), LONG * 3)
        assert (blobs(db) == before) is gone, "what a commit may yet name is kept"


def raises(error: Exception) -> None:
    raise error


def test_what_cannot_be_opened_says_why(db: sopnb.Database) -> None:
    db.create("kinds", schema={"k": "string", "doc": "json", "n": "int64", "raw": "binary"}, index="k").insert({"k": "a", "doc": {"x": 1}})
    kinds, store = db["kinds"], db["s"]
    for error, match, call in (
        (KeyNotFound, r"has no record with key 9$", lambda: store.open_value(9, "raw")),
        (KeyError, "insert the record first", lambda: store.open_value(9, "raw", "wb")),
        (InvalidInput, "key 3: column 'raw' is null.*mode=\"wb\"", lambda: store.open_value(3, "raw")),
        (SchemaMismatch, "has no column 'scan'; its columns are", lambda: store.open_value(1, "scan")),
        (SchemaMismatch, "'n' holds int64", lambda: store.open_value(1, "n")),
        (SchemaMismatch, "JSON", lambda: kinds.open_value("a", "doc")),
        (InvalidInput, 'holds bytes; open it with mode="rb"', lambda: store.open_value(1, "raw", "r")),
        (InvalidInput, "mode='a'", lambda: store.open_value(1, "raw", "a")),  # type: ignore[call-overload]
        (InvalidInput, "part of the key", lambda: kinds.open_value("a", "k", "w")),
    ):
        with pytest.raises(error, match=match):
            call()
    assert kinds.open_value("a", "k", "r").read() == "a"


def test_damage_of_one_piece_is_found_when_it_is_read_and_no_sooner(db: sopnb.Database, tmp_path: Path) -> None:
    store = db["s"]
    with store.open_value(1, "raw", "wb") as file:
        file.write(LONG)
    with store.open_value(1, "raw") as reader:
        piece = reader.raw._pieces[4]  # type: ignore[attr-defined]
    path = tmp_path / "values.sop" / "blobs" / piece.blob
    data = bytearray(path.read_bytes())
    data[piece.offset + 10] ^= 1
    path.write_bytes(data)
    with store.open_value(1, "raw") as file:
        assert file.read(4 * PIECE) == LONG[: 4 * PIECE]
        with pytest.raises(Corruption, match=piece.blob):
            file.read(1)
        file.seek(5 * PIECE)
        assert file.read() == LONG[5 * PIECE :]
    data[piece.offset + 10] ^= 1
    path.write_bytes(data)


def test_a_store_that_is_not_unique_has_values_too(db: sopnb.Database) -> None:
    store = db.create("many", schema={"k": "int64", "raw": "binary"}, index=sopnb.IndexSpecification.of("k", unique=False))
    store.insert([{"k": 1, "raw": b"a"}, {"k": 1, "raw": b"b"}])
    key = list(store)[1]
    with store.open_value(key, "raw", "wb") as file:
        file.write(LONG)
    assert [record["raw"] for record in store[:].records()] == [b"a", LONG]


CHILD = """
import json, sys, sopnb
from tests.benchmarks.child import memory
path, size = sys.argv[1], int(sys.argv[2])
part = bytes(range(256)) * 4096
with sopnb.open(path, handle=sopnb.HandleSettings(progress=False)) as db:
    store = db.create("s", schema={"k": "int64", "raw": "binary"}, index="k")
    store.insert([{"k": k, "raw": b"x" * 100_000} for k in range(3)])
    with store.open_value(1, "raw", "wb") as file:
        file.write(b"warm")
    before = memory()["now"]
    for times in (1, 2):
        with store.open_value(1, "raw", "wb") as file:
            for _ in range(size >> 20):
                file.write(part)
    written = memory()["most"] - before
    with store.open_value(1, "raw") as file:
        equal = all(file.read(1 << 20) == part for _ in range(size >> 20)) and not file.read(1)
    print(json.dumps({"written": written, "grown": memory()["most"] - before, "equal": equal}))
"""


def test_200_mb_are_written_and_read_within_64_mib(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "large.sop"), str(200 << 20)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent).stdout)
    assert said["equal"]
    assert said["grown"] < 64 << 20, said
    with sopnb.open(tmp_path / "large.sop") as db:
        assert np.unique([len(blob) for blob in blobs(db)]).size == 1
