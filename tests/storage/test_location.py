"""From a location to a backend: what is made, what is refused, and what a folder says of itself."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from xxhash import xxh3_64_hexdigest

from sopnb.errors import Corruption, InvalidInput, NotFound, ReadOnly, StorageError, Timeout, UnsupportedFormat
from sopnb.protocols import Backend
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.files import Files
from sopnb.storage.location import identity, open_backend
from sopnb.storage.lock import FileLock
from sopnb.storage.system import SystemClock
from tests.storage.support import append, opened

HANDLE = HandleSettings()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.sop"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_memory_is_a_new_database_each_time() -> None:
    settings = DatabaseSettings(leaf_rows=7)
    first, stored = open_backend(":memory:", settings=settings, handle=HANDLE)
    second, _ = open_backend(":memory:", handle=HANDLE)
    assert stored == settings
    assert first.registry.uuid != second.registry.uuid
    assert first.name == ":memory:"
    assert identity(":memory:") is None
    with pytest.raises(InvalidInput, match="nothing to read"):
        open_backend(":memory:", mode="r", handle=HANDLE)


def test_a_folder_is_made_with_those_above_it_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "data.sop"
    backend = opened(path)
    assert backend.name == "data.sop"
    assert backend.writable
    append(backend.registry, b"x")
    uuid = backend.registry.uuid
    backend.close()
    assert sorted(os.listdir(path)) == ["blobs", "checkpoints", "format", "log", "pins"]
    again = opened(str(path))
    assert again.registry.uuid == uuid
    assert again.registry.head().seq == 1


def test_the_folder_may_be_moved_while_nobody_has_it_open(path: Path) -> None:
    backend = opened(path)
    append(backend.registry, b"x")
    backend.registry.checkpoint(1, b"state")
    backend.blobs.put("owner-1", [b"blob"])
    backend.close()
    moved = opened(path.rename(path.with_name("elsewhere")))
    assert next(moved.registry.checkpoints()).state == b"state"
    assert moved.blobs.read("owner-1", [(0, 4)]) == [b"blob"]
    assert append(moved.registry, b"y") == 2


def test_settings_are_kept_and_others_are_refused(path: Path) -> None:
    settings = DatabaseSettings(leaf_bytes=1234, base_share=0.25, pad_records=True)
    backend, stored = open_backend(path, settings=settings, handle=HANDLE)
    assert stored == settings
    backend.close()
    for given in (None, settings):
        backend, stored = open_backend(path, settings=given, handle=HANDLE)
        assert stored == settings
        backend.close()
    for mode in ("a", "r"):
        with pytest.raises(InvalidInput, match="leaf_bytes=1234, base_share=0.25, pad_records=True"):
            open_backend(path, mode=mode, settings=DatabaseSettings(), handle=HANDLE)


def test_settings_that_cannot_be_are_refused(path: Path) -> None:
    wrong: Any = "many"
    for settings in (
        DatabaseSettings(segment_bytes=100),
        DatabaseSettings(segment_bytes=2048, segment_limit=1024),
        DatabaseSettings(segment_bytes=wrong),
        DatabaseSettings(segment_bytes=object()),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInput, match="segment_bytes|stored"):
            open_backend(path, settings=settings, handle=HANDLE)
    assert not path.exists()


def test_reading_what_is_not_there_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nothing", "empty"):
        with pytest.raises(NotFound, match="no database at"):
            open_backend(tmp_path / name, mode="r", handle=HANDLE)
    assert os.listdir(tmp_path) == ["empty"]
    assert os.listdir(tmp_path / "empty") == []


def test_reading_writes_nothing(path: Path) -> None:
    backend = opened(path)
    append(backend.registry, b"x")
    backend.registry.checkpoint(1, b"")
    backend.pins.pin(1)
    for _ in range(2):
        before = _files(path)
        reader, _ = open_backend(path, mode="r", handle=HANDLE)
        assert not reader.writable
        assert reader.registry.head().seq == 1
        assert [pin.seq for pin in reader.pins.held()] == ([] if (path / "pins" / "dead").exists() else [1])
        with pytest.raises(ReadOnly):
            reader.pins.pin(1)
        with pytest.raises(ReadOnly):
            reader.blobs.put("owner-1", [b"x"])
        with pytest.raises(ReadOnly):
            reader.blobs.delete(["owner-1"])
        reader.close()
        assert _files(path) == before
        backend.close()
        (path / "log" / "head").unlink(missing_ok=True)
        (path / "pins" / "dead").write_text("1")


@pytest.mark.parametrize("name", ["notes.txt", "log/app.log", "blobs/picture.png", "format"])
def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(path: Path, name: str) -> None:
    (path / name).parent.mkdir(parents=True)
    (path / name).write_text("mine")
    for mode in ("a", "r"):
        with pytest.raises(UnsupportedFormat, match="choose another folder"):
            open_backend(path, mode=mode, handle=HANDLE)
    assert _files(path) == {name: b"mine"}


def test_a_file_is_no_folder(path: Path) -> None:
    path.write_text("mine")
    for mode in ("a", "r"):
        with pytest.raises(InvalidInput, match="is a file"):
            open_backend(path, mode=mode, handle=HANDLE)
    with pytest.raises(StorageError):
        opened(path / "below")


@pytest.mark.parametrize("location", [None, 7, b"bytes", "", "cassandra://host/keyspace", "nul\0"])
def test_what_is_no_location_is_refused(location: Any) -> None:
    with pytest.raises(InvalidInput, match="location"):
        open_backend(location, handle=HANDLE)


def test_an_unknown_mode_is_refused(path: Path) -> None:
    with pytest.raises(InvalidInput, match="mode='w'"):
        open_backend(path, mode="w", handle=HANDLE)  # type: ignore[arg-type]


def _rewrite(path: Path, **changes: object) -> None:
    body = msgspec.json.encode({**msgspec.json.decode((path / "format").read_bytes().split(b"\n")[0]), **changes})
    (path / "format").write_bytes(body + b"\n" + xxh3_64_hexdigest(body).encode() + b"\n")


def test_a_newer_format_is_refused(path: Path) -> None:
    opened(path).close()
    _rewrite(path, sopnb=2)
    for mode in ("a", "r"):
        with pytest.raises(UnsupportedFormat, match="has format 2"):
            open_backend(path, mode=mode, handle=HANDLE)


def test_a_feature_that_a_writer_must_understand_keeps_writers_out(path: Path) -> None:
    opened(path).close()
    _rewrite(path, features=["folded-time"])
    with pytest.raises(UnsupportedFormat, match="folded-time"):
        opened(path)
    reader, _ = open_backend(path, mode="r", handle=HANDLE)
    assert reader.registry.head().seq == 0


def test_a_damaged_format_file_is_corruption(path: Path) -> None:
    opened(path).close()
    data = bytearray((path / "format").read_bytes())
    for at in (20, len(data) - 3):
        data[at] ^= 1
        (path / "format").write_bytes(data)
        with pytest.raises(Corruption, match="format"):
            opened(path)
        data[at] ^= 1


class _Foreign(Files):
    def __init__(self, kind: str) -> None:
        self.kind = kind

    def filesystem(self, path: Path) -> str:
        return self.kind


@pytest.mark.parametrize("kind", ["nfs4", "nfs", "9p", "fuse", "fuse.sshfs", "cifs"])
def test_a_file_system_that_others_may_mount_is_refused(path: Path, kind: str) -> None:
    for mode in ("a", "r"):
        with pytest.raises(InvalidInput, match=kind):
            open_backend(path, mode=mode, handle=HANDLE, files=_Foreign(kind))
    assert not path.exists()


def test_the_kind_of_file_system_is_known_before_the_folder_is_there() -> None:
    files = Files()
    assert files.filesystem(Path("/proc/nothing/here")) == "proc"
    assert files.filesystem(Path("/proc")) == "proc"
    assert files.shared(Path("/proc")) is None


def test_the_identity_is_that_of_the_folder_however_it_is_spelt(path: Path) -> None:
    assert identity(path) is None
    opened(path).close()
    link = path.with_name("link")
    link.symlink_to(path)
    wanted = identity(path)
    assert wanted is not None
    assert {identity(str(link)), identity(path / ".." / path.name), identity(os.path.relpath(path))} == {wanted}
    other = path.with_name("other")
    opened(other).close()
    assert identity(other) != wanted


def test_of_racing_creators_one_makes_the_database(path: Path) -> None:
    made: list[Backend] = []
    threads = [threading.Thread(target=lambda: made.append(opened(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({backend.registry.uuid for backend in made}) == 1
    assert sorted(append(backend.registry, b"x") for backend in made) == list(range(1, 9))


def test_creation_waits_for_the_lock_no_longer_than_it_may(path: Path) -> None:
    (path / "log").mkdir(parents=True)
    (path / "log" / "lock").touch()
    lock = FileLock(path / "log" / "lock", files=Files(), clock=SystemClock())
    lock.acquire(0)
    with pytest.raises(Timeout, match=str(os.getpid())):
        opened(path, lock_seconds=0.01)
    lock.release()
    assert append(opened(path).registry, b"x") == 1


class _Full(Files):
    def __init__(self) -> None:
        self.room = 0

    def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        if len(data) > self.room:
            raise StorageError("the disk", "no room left", errno=errno.ENOSPC)
        super().pwrite(fd, data, offset)


def test_a_creation_that_fails_is_taken_up_again(path: Path) -> None:
    files = _Full()
    with pytest.raises(StorageError):
        opened(path, files=files)
    assert not list(path.rglob("*.tmp"))
    files.room = 10**9
    assert append(opened(path, files=files).registry, b"x") == 1


def test_a_file_of_another_owner_is_opened_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a file's owner may ask that the time of access is not kept."""
    append(opened(path).registry, b"x")
    real = os.open

    def refused(file: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "not the owner")
        return real(file, flags, mode)

    monkeypatch.setattr(os, "open", refused)
    assert append(opened(path).registry, b"y") == 2
