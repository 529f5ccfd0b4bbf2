"""The local registry among real processes and threads: its lock, forks, kills, and what its operations cost."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from sopnb.errors import Closed, InvalidState, ReadOnly, StorageError, Timeout
from sopnb.protocols import Draft
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.files import Files
from sopnb.storage.location import open_backend
from sopnb.storage.system import SystemClock
from sopnb.testing.clock import ManualClock
from tests.storage.support import Waiting, append, forked, line, local, opened, process, rest

SMALL = DatabaseSettings(segment_bytes=1024, segment_limit=4096)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.sop"


# -- the lock ------------------------------------------------------------------------------------------------------------------


def test_a_timeout_names_the_process_that_holds_the_lock(path: Path) -> None:
    mine = opened(path).registry
    with process("hold", path) as holder:
        assert line(holder) == "held"
        with pytest.raises(Timeout) as caught, mine.turn(0.05):
            pass
        assert f"process {holder.pid}" in str(caught.value)
        assert "0.05 s" in str(caught.value)
        with pytest.raises(Timeout, match=str(holder.pid)), mine.turn(0):
            pass
    assert append(mine, b"x") == 1


def test_a_waiter_gets_the_lock_when_the_holder_leaves_it(path: Path) -> None:
    files = Waiting()
    mine = opened(path, files=files).registry
    with process("hold", path) as holder:
        line(holder)
        done: list[int] = []
        thread = threading.Thread(target=lambda: done.append(append(mine, b"x")))
        thread.start()
        assert files.blocked.wait(60)
        assert not done
        holder.communicate("\n")
        thread.join()
    assert done == [1]


def test_a_killed_holder_is_not_waited_for(path: Path) -> None:
    mine = opened(path).registry
    with process("hold", path) as holder:
        line(holder)
        holder.kill()
        holder.wait()
        assert append(mine, b"x") == 1


def test_an_abandoned_wait_neither_takes_nor_keeps_the_lock(path: Path) -> None:
    """The helper thread gets it after all: it must not become anybody's turn, nor bar others from theirs."""
    files = Waiting()
    mine = opened(path, files=files).registry
    other = opened(path).registry
    with other.turn(0):
        while not files.blocked.is_set():  # a busy machine may not come to it in so short a time
            with pytest.raises(Timeout), mine.turn(0.02):
                pass
        assert not files.over.is_set()
    assert files.over.wait(60)
    with other.turn(60):
        with pytest.raises(Timeout), mine.turn(0):
            pass
        with pytest.raises(Timeout), mine.turn(0.01):
            pass
    for registry in (mine, other, mine):
        append(registry, b"x")


def test_an_abandoned_wait_leaves_no_descriptor(path: Path) -> None:
    mine, other = opened(path).registry, opened(path).registry
    with other.turn(0):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            with pytest.raises(Timeout), mine.turn(0.02):
                pass
        assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_ctrl_c_ends_the_wait_for_the_lock(path: Path) -> None:
    files = Waiting()
    mine, other = opened(path, files=files).registry, opened(path).registry

    def interrupt() -> None:
        files.blocked.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests without one
    try:
        with other.turn(0):
            thread.start()
            with pytest.raises(KeyboardInterrupt), mine.turn(60):
                pass
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    with other.turn(60):
        pass
    assert append(mine, b"x") == 1


def test_another_thread_waits_for_the_turn_and_no_longer_than_it_may(path: Path) -> None:
    mine = opened(path).registry
    caught: list[Timeout] = []

    def wait() -> None:
        try:
            with mine.turn(0.01):
                pass
        except Timeout as error:
            caught.append(error)

    with mine.turn(0):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert caught[0].holder == "another thread of this process"


def test_a_folder_that_is_replaced_under_its_users_is_not_written(path: Path) -> None:
    mine = opened(path).registry
    append(mine, b"x")
    path.rename(path.with_name("moved"))
    with pytest.raises(StorageError, match="moved, replaced or removed"):
        append(mine, b"y")
    other = opened(path).registry
    append(other, b"z")
    with pytest.raises(StorageError, match="moved, replaced or removed"):
        append(mine, b"y")
    assert [commit.payload for commit in other.read(0)] == [b"z"]
    assert [commit.payload for commit in opened(path.with_name("moved")).registry.read(0)] == [b"x"]


class Ordered(Files):
    """Files that keep what was done with the log, and may not send anything ahead."""

    def __init__(self, ahead: bool) -> None:
        self.ahead = ahead
        self.done: list[str] = []

    def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        self.done.append("pwrite")
        super().pwrite(fd, data, offset)

    def begin_sync(self, fd: int, offset: int) -> None:
        self.done.append("begin_sync")
        super().begin_sync(fd if self.ahead else -1, offset)

    def sync(self, fd: int) -> None:
        self.done.append("sync")
        super().sync(fd)


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("size", [1, 5000, 300_000])
def test_what_was_sent_ahead_is_synced_all_the_same_before_it_is_told(path: Path, size: int, ahead: bool) -> None:
    """Sending ahead only hastens: a system that refuses it makes no difference."""
    files = Ordered(ahead)
    registry = opened(path, files=files).registry
    append(registry, b"first")
    files.done.clear()
    append(registry, bytes(size))
    assert files.done == ["pwrite", "pwrite", "begin_sync", "sync", "pwrite"]
    assert [len(commit.payload) for commit in opened(path).registry.read(0)] == [5, size]


# -- forks and kills -----------------------------------------------------------------------------------------------------------


def test_the_child_of_a_fork_in_a_turn_neither_holds_nor_ends_it(path: Path) -> None:
    """It leaves the block, which unlocks nothing; it cannot append in it; it gets a turn of its own when the parent is done."""
    mine, other = opened(path).registry, opened(path).registry

    def work() -> bool:
        with pytest.raises(InvalidState):
            mine.append([Draft(bytes(8), b"child")], 0)
        with pytest.raises(Timeout), mine.turn(0.01):
            pass
        return True

    with mine.turn(0):
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            with pytest.raises(Timeout), other.turn(0):
                pass
            mine.append([Draft(bytes(8), b"parent")], 0)
    if not child:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    assert forked(lambda: append(mine, b"child") == 2) == 0
    assert [commit.payload for commit in mine.read(0)] == [b"parent", b"child"]


def test_a_child_that_lives_on_does_not_keep_the_lock_of_its_dead_parent(path: Path) -> None:
    mine = opened(path).registry
    with process("hold and fork", path) as holder:
        child = int(line(holder))
        try:
            holder.kill()
            holder.wait()
            assert append(mine, b"x") == 1
        finally:
            os.kill(child, signal.SIGKILL)


def test_the_parent_gives_the_lock_back_though_a_child_shares_it(path: Path) -> None:
    """A child made without Python's knowledge keeps the description, and with it a lock that is not let go of by name."""
    mine, other = local(opened(path)), opened(path).registry
    with mine.turn(0):
        shared = [os.dup(fd) for fd in [mine._lock._fd] if fd is not None]
    assert shared
    assert append(other, b"x") == 1
    for fd in shared:
        os.close(fd)


def test_a_child_forked_while_another_thread_waits_does_not_get_its_lock(path: Path) -> None:
    """The wait is given up, the helper's description closed; a child that kept it would hold the lock from then on."""
    files = Waiting()
    mine, other = opened(path, files=files).registry, opened(path).registry
    stay, leave = os.pipe()
    caught: list[Timeout] = []

    def wait() -> None:
        try:
            with mine.turn(1):
                pass
        except Timeout as error:
            caught.append(error)

    with other.turn(0):
        thread = threading.Thread(target=wait)
        thread.start()
        assert files.blocked.wait(60)
        child = os.fork()
        if not child:
            os.close(leave)
            os.read(stay, 1)
            os._exit(0)
        thread.join()
    try:
        assert caught
        assert files.over.wait(60)
        with other.turn(5):
            pass
    finally:
        os.close(leave)
        os.waitpid(child, 0)
        os.close(stay)


def test_a_writer_killed_before_its_sync_is_recovered_from_at_once(path: Path) -> None:
    """Its record is whole in the page cache: it is made durable, and its successor follows."""
    mine = opened(path).registry
    append(mine, b"first")
    with process("append in the dark", path) as writer:
        assert line(writer) == "ready"
        while not _waits(writer.pid):
            os.sched_yield()
        assert [commit.payload for commit in mine.read(0)] == [b"first"]
        writer.kill()
        writer.wait()
    assert append(mine, b"third") == 3
    assert [commit.payload for commit in mine.read(0)] == [b"first", b"in the dark", b"third"]


def _waits(pid: int) -> bool:
    """Say whether the process is in ``pause``."""
    return "pause" in Path(f"/proc/{pid}/wchan").read_text() or Path(f"/proc/{pid}/syscall").read_text().startswith(("34 ", "-1 "))


def test_writers_killed_at_any_time_lose_nothing_that_they_told(path: Path, request: pytest.FixtureRequest) -> None:
    mine = opened(path, settings=SMALL).registry
    told = 0
    for round in range(200 if request.config.getoption("--long") else 3):
        with process("append", path, 10_000) as one, process("append", path, 10_000) as two:
            for _ in range(3 + 7 * (round % 20)):
                told = max(told, int(line(one)), int(line(two)))
            one.kill()
            assert append(mine, b"mine") > told
            two.kill()
            told = max([told, *map(int, rest(one)), *map(int, rest(two))])
        assert append(mine, b"mine") > told
    commits = mine.read(0)
    assert [commit.seq for commit in commits] == list(range(1, len(commits) + 1))
    assert len({commit.id for commit in commits}) == len(commits)


def test_threads_and_processes_append_side_by_side(path: Path) -> None:
    mine = opened(path, settings=SMALL).registry
    with process("append", path, 60) as one, process("append", path, 60) as two:
        seqs: list[int] = []
        threads = [threading.Thread(target=lambda: seqs.extend(append(mine, b"x") for _ in range(30))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = [int(text) for started in (one, two) for text in started.communicate()[0].split()]
    assert sorted(seqs + told) == list(range(1, 211))
    assert len(mine.read(0)) == 210


def test_waiting_sees_the_commit_of_another_process(path: Path) -> None:
    mine = opened(path).registry
    with process("append", path, 1) as other:
        assert mine.wait(0, 60)
        assert line(other) == "1"


# -- what it costs -------------------------------------------------------------------------------------------------------------


class _Counted(Files):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bytes = 0

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = super().pread(fd, size, offset)
        self.calls.append("pread")
        self.bytes += len(data)
        return data

    def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
        self.calls.append("pwrite")
        super().pwrite(fd, data, offset)

    def sync(self, fd: int) -> None:
        self.calls.append("sync")
        super().sync(fd)

    def open_read(self, path: Path) -> int:
        self.calls.append("open")
        return super().open_read(path)

    def create(self, path: Path) -> int:
        self.calls.append("create")
        return super().create(path)

    def listdir(self, path: Path) -> list[str]:
        self.calls.append("listdir")
        return super().listdir(path)


def test_the_head_costs_one_read_and_a_commit_one_sync(path: Path) -> None:
    files = _Counted()
    mine = opened(path, files=files).registry
    append(mine, b"x")
    files.calls.clear()
    for _ in range(3):
        mine.head()
    assert files.calls == ["pread"] * 3
    files.calls.clear()
    append(mine, b"y")
    assert files.calls.count("sync") == 1
    assert len(files.calls) <= 9


def test_opening_an_old_database_reads_what_is_new_and_not_the_log(path: Path) -> None:
    mine = opened(path, settings=DatabaseSettings(segment_bytes=4096, segment_limit=65536)).registry
    for i in range(300):
        append(mine, b"x" * 900)
        if i == 280:
            mine.checkpoint(281, b"state")
    files = _Counted()
    fresh = opened(path, files=files).registry
    newest = next(fresh.checkpoints())
    assert [commit.seq for commit in fresh.read(newest.seq)] == list(range(282, 301))
    assert files.bytes < 30_000
    files.bytes = 0
    assert [commit.seq for commit in fresh.read(150)] == list(range(151, 301))
    assert files.bytes < 250_000
    files.bytes = 0
    assert len(fresh.read(299)) == 1
    assert files.bytes < 70_000
    files.bytes = 0
    append(mine, b"y")
    assert len(fresh.read(300)) == 1
    assert files.bytes < 400
    for after in (0, 10, 55, 140, 222, 281):
        assert [commit.seq for commit in fresh.read(after)] == list(range(after + 1, 302))


def test_a_roll_finds_its_segment_made(path: Path) -> None:
    files = _Counted()
    settings = DatabaseSettings(segment_bytes=4096, segment_limit=4096)
    backend, _ = open_backend(path, settings=settings, handle=HandleSettings(maintenance="inline"), files=files)
    registry = backend.registry
    for _ in range(100):
        with registry.turn(60):
            files.calls.clear()
            registry.append([Draft(bytes(8), b"x" * 300)], registry.head().seq)
            assert "create" not in files.calls
    assert len(list((path / "log").glob("*.segment"))) > 5
    assert not list((path / "log").glob("*.tmp"))


def test_segments_double_up_to_their_limit_and_a_large_group_gets_its_own(path: Path) -> None:
    mine = opened(path, settings=SMALL).registry
    for _ in range(40):
        append(mine, b"x" * 500)
    mine.close()
    sizes = [file.stat().st_size for file in sorted((path / "log").glob("*.segment"))]
    assert sizes[:4] == [1024, 2048, 4096, 4096]
    assert set(sizes[3:]) == {4096}
    mine = opened(path).registry
    append(mine, b"y" * 20_000, b"z" * 9_000)
    append(mine, b"x")
    assert max(file.stat().st_size for file in (path / "log").glob("*.segment")) >= 29_000
    assert [len(commit.payload) for commit in opened(path).registry.read(40)] == [20_000, 9_000, 1]


def test_trimming_removes_whole_segments_and_what_was_left_of_making_them(path: Path) -> None:
    mine = opened(path, settings=DatabaseSettings(segment_bytes=1024, segment_limit=1024)).registry
    for i in range(1, 11):
        append(mine, b"x" * 500)
        mine.checkpoint(i, b"%d" % i)
    (path / "log" / "3.0badcafe.tmp").write_bytes(b"")
    mine.trim(8, keep={2})
    assert [kept.seq for kept in mine.checkpoints()] == [10, 9, 8, 2]
    mine.close()
    names = sorted(name for name in os.listdir(path / "log") if name[0].isdigit())
    assert names[0] == "0000000008.segment"
    mine = opened(path).registry
    assert [commit.seq for commit in mine.read(8)] == [9, 10]
    assert append(mine, b"y") == 11


# -- the rest ------------------------------------------------------------------------------------------------------------------


def test_the_time_of_commits_never_goes_back_even_if_the_clock_does(path: Path) -> None:
    clock = ManualClock()
    backend, _ = open_backend(path, handle=HandleSettings(), clock=clock)
    append(backend.registry, b"x")
    clock.set(5)
    append(backend.registry, b"y")
    first, second = backend.registry.read(0)
    assert first.time == second.time == 1_700_000_000_000_000


def test_append_belongs_inside_a_turn_of_the_same_thread(path: Path) -> None:
    mine = opened(path).registry
    with pytest.raises(InvalidState):
        mine.append([Draft(bytes(8), b"x")], 0)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            mine.append([Draft(bytes(8), b"x")], 0)
        except InvalidState as error:
            caught.append(error)

    with mine.turn(0):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with mine.turn(0):
            pass
        assert mine.append([], 0) == []
        mine.append([Draft(bytes(8), b"x")], 0)
        mine.append([Draft(bytes(8), b"y")], 1)
    assert len(caught) == 1
    assert len(mine.read(0)) == 2


def test_a_reader_refuses_to_write_and_needs_no_lock_file(path: Path) -> None:
    append(opened(path).registry, b"x")
    (path / "log" / "lock").unlink()
    (path / "log" / "head").unlink()
    backend, _ = open_backend(path, mode="r", handle=HandleSettings())
    reader = backend.registry
    assert [commit.payload for commit in reader.read(0)] == [b"x"]
    assert reader.head().seq == 1
    for refused in (lambda: reader.turn(0).__enter__(), lambda: reader.checkpoint(1, b""), lambda: reader.trim(1)):
        with pytest.raises(ReadOnly):
            refused()
    assert append(opened(path).registry, b"y") == 2
    assert [commit.payload for commit in reader.read(0)] == [b"x", b"y"]


def test_after_closing_there_is_nothing_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    backend = opened(path)
    append(backend.registry, b"x")
    backend.pins.pin(1)
    backend.blobs.put("owner-1", [b"x"])
    backend.blobs.read("owner-1", [(0, 1)])
    for _ in range(2):
        backend.close()
    assert len(os.listdir("/proc/self/fd")) == before
    for refused in (backend.registry.head, backend.registry.turn(0).__enter__, lambda: backend.registry.read(0)):
        with pytest.raises(Closed):
            refused()


def test_the_boot_is_the_machines_own() -> None:
    assert SystemClock().boot_id() == SystemClock().boot_id()
