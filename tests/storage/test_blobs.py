"""What a folder of blobs promises beyond its protocol: bounded descriptors, forks, damage, order of syncs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sopnb.errors import Corruption, InvalidInput
from sopnb.storage.blobs import LocalBlobs
from sopnb.storage.files import Files
from sopnb.storage.system import SystemClock


def _blobs(path: Path, files: Files | None = None, descriptors: int = 4) -> LocalBlobs:
    (path / "blobs").mkdir(exist_ok=True)
    return LocalBlobs(path, files=files or Files(), clock=SystemClock(), descriptors=descriptors)


def _open_files(folder: Path) -> int:
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.path.lexists(link) and os.readlink(link).startswith(str(folder)) for link in links)


class _Recorded(Files):
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def sync(self, fd: int) -> None:
        self.calls.append(("sync", ""))
        super().sync(fd)

    def link(self, source: Path, target: Path) -> None:
        self.calls.append(("link", target.name))
        super().link(source, target)

    def sync_dir(self, path: Path) -> None:
        self.calls.append(("sync_dir", path.name))
        super().sync_dir(path)


def test_bytes_are_synced_before_the_name_and_the_name_before_the_answer(tmp_path: Path) -> None:
    files = _Recorded()
    _blobs(tmp_path, files).put("owner-01", [b"x"])
    assert files.calls == [("sync", ""), ("link", "owner-01"), ("sync_dir", "blobs")]


def test_only_so_many_descriptors_stay_open(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path, descriptors=3)
    for i in range(10):
        blobs.put(f"owner-{i:02}", [b"%d" % i])
    for i in range(10):
        assert blobs.read(f"owner-{i:02}", [(0, 1)]) == [b"%d" % i]
    assert _open_files(tmp_path) == 3
    blobs.close()
    assert _open_files(tmp_path) == 0


def test_threads_share_few_descriptors(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path, descriptors=2)
    for i in range(8):
        blobs.put(f"owner-{i:02}", [b"%d" % i * 1000])
    wrong: list[int] = []

    def read(start: int) -> None:
        for i in range(start, start + 400):
            if blobs.read(f"owner-{i % 8:02}", [(10, 5)]) != [b"%d" % (i % 8) * 5]:
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert _open_files(tmp_path) <= 2


def test_a_blob_deleted_under_a_reader_is_not_found_and_leaves_no_descriptor(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path)
    blobs.put("owner-01", [b"x"])
    assert blobs.read("owner-01", [(0, 1)]) == [b"x"]
    blobs.delete(["owner-01"])
    with pytest.raises(FileNotFoundError):
        blobs.read("owner-01", [(0, 1)])
    assert _open_files(tmp_path) == 0


def test_a_blob_truncated_while_it_is_open_is_corruption(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path)
    blobs.put("owner-01", [b"x" * 100])
    assert blobs.read("owner-01", [(0, 1)]) == [b"x"]
    os.truncate(tmp_path / "blobs" / "owner-01", 50)
    with pytest.raises(Corruption, match="owner-01"):
        blobs.read("owner-01", [(40, 20)])


def test_a_name_is_never_used_twice(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path)
    blobs.put("owner-01", [b"a"])
    with pytest.raises(InvalidInput, match="never used twice"):
        blobs.put("owner-01", [b"b"])
    assert blobs.read("owner-01", [(0, 1)]) == [b"a"]
    assert [p.name for p in (tmp_path / "blobs").iterdir()] == ["owner-01"]


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a/b", "x.tmp"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        _blobs(tmp_path).put(name, [b"x"])


def test_a_forked_child_reads_through_descriptors_of_its_own(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path)
    blobs.put("owner-01", [b"abc"])
    blobs.read("owner-01", [(0, 1)])
    child = os.fork()
    if not child:
        before = _open_files(tmp_path)
        os._exit(0 if before == 0 and blobs.read("owner-01", [(1, 2)]) == [b"bc"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert blobs.read("owner-01", [(0, 3)]) == [b"abc"]


def test_what_a_killed_writer_left_is_listed_under_its_owner_and_can_be_deleted(tmp_path: Path) -> None:
    blobs = _blobs(tmp_path)
    blobs.put("other-01", [b"x"])
    child = os.fork()
    if not child:
        blobs.put("owner-01", (_die() if i else b"half" for i in range(2)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    ((left, size),) = blobs.names("owner")
    assert left.startswith("owner-01.")
    assert size == 4
    blobs.delete([left])
    assert list(blobs.names()) == [("other-01", 1)]


def _die() -> bytes:
    os._exit(9)
