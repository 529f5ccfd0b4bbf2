"""Each failure that the local log was designed against, by name: the shortest story of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import pytest

from sopnb.errors import Corruption, StorageError, Trimmed
from sopnb.protocols import Draft
from sopnb.settings import DatabaseSettings
from sopnb.testing.disk import SECTOR, Choose, Fault, File, Killed, Step
from tests.crash.log_world import FOLDER, Trap, World, aftermath

ROOMY = DatabaseSettings(segment_bytes=16384, segment_limit=16384)
SMALL = DatabaseSettings(segment_bytes=1024, segment_limit=1024)
LOG, HEAD = FOLDER / "log", FOLDER / "log" / "head"


def oldest(n: int) -> int:
    """Choose the oldest version: nothing that was not synced is on the disk."""
    return 0


def newest(n: int) -> int:
    """Choose the newest version."""
    return n - 1


def world(settings: DatabaseSettings = ROOMY, choose: Choose = oldest) -> World:
    made = World(choose, settings=settings)
    process = made.open()
    process.look()
    process.close()
    return made


def segment(here: World, number: int = 1) -> File:
    return dict(here.segments())[number]


def records(here: World) -> list[tuple[File, int, int]]:
    process = here.open("r")
    uuid = process.registry.uuid
    process.close()
    return [(file, start, end) for file, start, end, _, _ in here.records(uuid)]


def cut(here: World, choose: Choose = oldest) -> World:
    here.disk.power_off()
    here.disk.power_on(choose)
    return here.after(here.disk, rebooted=True, choose=newest)


def keep(file: File, *sectors: int) -> None:
    """Decide what a power cut leaves of a file: these unsynced sectors new, the others as they were."""
    for sector, versions in file.pending.items():
        file.pending[sector] = [versions[-1] if sector in sectors else versions[0]]


def during(here: World, name: str, path: str, work: Callable[[], object], fault: Fault | None = None) -> list[Step]:
    """Have ``work`` done once, by others, just before the next operation of this kind, which then may fail."""
    met: list[Step] = []

    def before(step: Step) -> Fault | None:
        if met or step.name != name or path not in step.path.name:
            return None
        met.append(step)
        work()
        return fault

    here.disk.before = before
    return met


# -- readers -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["a", "r", "opening a", "opening r"])
def reader(request: pytest.FixtureRequest) -> Callable[[World], Callable[[], None]]:
    """Make what reads: a process that has the database open, or one that opens it."""

    def make(here: World) -> Callable[[], None]:
        opening, _, _ = request.param.rpartition(" ")
        mode: Literal["a", "r"] = "r" if request.param.endswith("r") else "a"
        if opening:
            return lambda: here.open(mode).glance()
        process = here.open(mode)
        process.glance()
        return process.glance

    return make


def test_a_reader_acts_on_no_record_whose_sync_then_fails(reader: Callable[[World], Callable[[], None]]) -> None:
    here = world()
    writer = here.open()
    writer.commit(10)
    met = during(here, "sync", "segment", reader(here), Fault("error"))
    assert writer.commit(20) is None
    assert met
    assert list(here.oracle.acted) == [1]
    aftermath(cut(here))


def test_a_reader_acts_on_no_record_whose_writer_was_killed_before_its_sync(reader: Callable[[World], Callable[[], None]]) -> None:
    """Whole in the page cache, past the head, with nobody who holds the lock; a writer that comes makes it durable first."""
    here = world()
    writer = here.open()
    writer.commit(10)
    look = reader(here)
    here.disk.before = Trap(1, Fault("kill"), "sync", "segment")
    with pytest.raises(Killed):
        writer.commit(20)
    look()
    assert list(here.oracle.acted) == [1]
    aftermath(cut(here))


def test_a_reader_racing_an_overwrite_sees_nothing_torn(reader: Callable[[World], Callable[[], None]]) -> None:
    """Of a record that is half written it sees nothing; what is damaged before the head it does not pass over."""
    here = world(choose=lambda n: n // 2)
    writer = here.open()
    writer.commit(10)
    look = reader(here)
    here.disk.before = Trap(1, Fault("kill"), "pwrite", "segment")
    with pytest.raises(Killed):
        writer.commit(900)
    assert any(segment(here).cache[160:])
    look()
    assert list(here.oracle.acted) == [1]


@pytest.mark.parametrize("mode", ["a", "r"])
def test_nobody_trusts_a_head_of_another_boot(mode: Literal["a", "r"]) -> None:
    """It may be any old version."""
    here = world()
    writer = here.open()
    writer.commit(10)
    old = bytes(here.disk.file(HEAD).cache)
    writer.commit(20)
    writer.commit(30)
    after = cut(here, newest)
    after.disk.file(HEAD).write(old, 0)
    assert len(after.open(mode).look()) == 3
    aftermath(after)


def test_a_head_that_is_torn_or_gone_is_made_anew() -> None:
    here = world()
    first, second = here.open(), here.open()
    first.commit(10)
    second.commit(20)
    here.disk.file(HEAD).write(b"\xff" * 40, 20)
    second.glance()
    assert first.commit(30) is True
    for process in (first, second, here.open("r")):
        process.look()
    here.disk.folder(LOG).set("head", None)
    third = here.open()
    for process in (first, third, second, first):
        assert process.commit(40) is True
    here.disk.folder(LOG).set("head", None)
    aftermath(here)


def test_a_head_that_went_back_does_not_let_records_be_overwritten() -> None:
    """It is in no fault that is counted with, but a folder may be restored by hand under those who use it."""
    here = world()
    writer = here.open()
    writer.commit(10)
    old = bytes(here.disk.file(HEAD).cache)
    writer.commit(20)
    here.disk.file(HEAD).write(old, 0)
    assert writer.commit(30) is True
    assert len(writer.look()) == 3
    aftermath(here)


def test_a_head_that_went_back_before_a_roll_lets_no_segment_be_used_twice() -> None:
    here = world(SMALL)
    writer = here.open()
    writer.commit(600)
    old = bytes(here.disk.file(HEAD).cache)
    writer.commit(600)
    here.disk.file(HEAD).write(old, 0)
    with writer.registry.turn(0), pytest.raises(StorageError, match="past the end"):
        writer.registry.append([Draft(bytes(8), bytes(600))], 1)
    with writer.registry.turn(0):
        writer.look()
    aftermath(here)


def test_a_torn_record_half_covered_by_zeros_is_no_damage() -> None:
    """A failed sync left some of it; who recovered was killed while he wrote zeros over its header."""
    here = world(choose=oldest)
    first, second = here.open(), here.open()
    first.commit(10)
    here.disk.before = Trap(1, Fault("error"), "sync", "segment")
    outcomes = iter([1, 1, 0])
    here.disk.choose = lambda n: next(outcomes)
    assert first.commit(900) is None
    for file in here.disk.files():
        file.evict()
    here.disk.choose = lambda n: 5
    here.disk.before = Trap(1, Fault("kill"), "pwrite", "segment")
    with pytest.raises(Killed):
        second.commit(20)
    _, _, end = records(here)[-1]
    assert not any(segment(here).cache[end : end + 80])
    assert any(segment(here).cache[end + 80 : end + 128])
    aftermath(here)


def test_a_recovery_killed_while_it_writes_zeros_is_begun_again() -> None:
    """Nobody had said that something lies past the end; now the first of it reads as zeros, and the rest does not."""
    here = world(choose=lambda n: 2)
    first, second = here.open(), here.open()
    first.commit(10)
    _, _, end = records(here)[-1]
    segment(here).write(b"garbage" * 2 + bytes(900) + b"garbage", end)
    here.disk.before = Trap(1, Fault("kill"), "pwrite", "segment")
    with pytest.raises(Killed):
        first.commit(20)
    assert not any(segment(here).cache[end : end + 32])
    assert second.commit(20) is True
    assert not any(segment(here).cache[records(here)[-1][2] :])
    aftermath(here)


# -- failed syncs and killed writers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evicted", [False, True], ids=["cached", "evicted"])
def test_a_failed_sync_is_seen_by_another_process(evicted: bool) -> None:
    """It finds the record in the page cache, clean, with nothing of it on the disk."""
    here = world()
    first, second = here.open(), here.open()
    first.commit(10)
    second.look()
    here.disk.before = Trap(1, Fault("error"), "sync", "segment")
    assert first.commit(1500) is None
    if evicted:
        for file in here.disk.files():
            file.evict()
    assert second.commit(1500) is True
    assert len(second.look()) == (2 if evicted else 3)
    aftermath(cut(here))


def test_a_page_that_leaves_the_cache_during_recovery_takes_no_record_with_it() -> None:
    """The record was whole when it was looked at; what is written again is that, not what the disk shows by then."""
    here = world()
    first, second = here.open(), here.open()
    first.commit(10)
    second.look()
    here.disk.before = Trap(1, Fault("error"), "sync", "segment")
    assert first.commit(1500) is None
    met = during(here, "open_write", "segment", lambda: [file.evict() for file in here.disk.files()])
    assert second.commit(30) is True
    assert met
    aftermath(cut(here))


def test_zeros_that_failed_to_reach_the_disk_are_written_again() -> None:
    """A torn record is on the disk, the zeros over it only in the cache, and those pages are clean."""
    here = world(choose=lambda n: 32 if n > 32 else 1)
    first, second = here.open(), here.open()
    first.commit(10)
    here.disk.before = Trap(1, Fault("kill"), "pwrite", "segment")
    with pytest.raises(Killed):
        first.commit(800)
    here.disk.before = Trap(1, Fault("error"), "sync", "segment")
    assert second.commit(800) is False
    torn = segment(here)
    assert any(torn.disk[160:512])
    assert not any(torn.cache[160:])
    here.disk.before = Trap(2, Fault("cut"), "sync", "segment")
    with pytest.raises(Killed):
        second.commit(800)
    assert sorted(torn.pending) == [0, 1, 2]
    keep(torn, 1, 2)
    aftermath(cut(here))


def test_garbage_in_the_next_segment_is_zeroed_too() -> None:
    """A writer was killed in a record that had rolled; shorter ones then fit before it."""
    here = world(SMALL, choose=lambda n: n // 2)
    first, second = here.open(), here.open()
    first.commit(600)
    here.disk.before = Trap(1, Fault("kill"), "pwrite", "segment")
    with pytest.raises(Killed):
        first.commit(600)
    assert any(segment(here, 2).cache)
    for size in (20, 600, 20):
        assert second.commit(size) is True
    aftermath(here)


def test_garbage_before_the_roll_does_not_end_the_log() -> None:
    """The next segment goes on from the last record here, whatever lies between."""
    here = world(SMALL)
    writer = here.open()
    writer.commit(600)
    writer.commit(600)
    file, _, end = records(here)[0]
    file.write(b"garbage", end + 32)
    file.sync()
    for mode in ("a", "r"):
        here.open(mode).look()
    after = cut(here)
    after.open().look()
    aftermath(after)


def test_bytes_past_a_place_that_reads_as_zeros_are_not_built_upon() -> None:
    """Of a record whose sync failed only the second sector came to the disk, and the cache has let go of the first: the mark tells."""
    here = world(choose=oldest)
    first, second = here.open(), here.open()
    here.disk.before = Trap(1, Fault("error"), "sync", "segment")
    outcomes = iter([0, 1, 0])
    here.disk.choose = lambda n: next(outcomes)
    assert first.commit(900) is None
    file = segment(here)
    file.evict()
    assert not any(file.cache[:512])
    assert any(file.cache[512:1024])
    assert second.commit(10) is True
    assert not any(file.cache[512:])
    aftermath(here)


def test_a_device_that_swallows_a_sync_gets_no_acknowledgement() -> None:
    here = world()
    writer = here.open()
    writer.commit(10)

    def die() -> None:
        here.disk.dead = True

    during(here, "sync", "segment", die)
    assert writer.commit(20) is None
    aftermath(cut(here))


# -- power cuts and damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [(10,), (10, 15500)], ids=["here", "after a roll"])
def test_of_two_records_before_one_sync_only_the_second_on_the_disk_is_no_damage(before: tuple[int, ...]) -> None:
    here = world()
    writer = here.open()
    for size in before:
        writer.commit(size)
    here.disk.before = Trap(1, Fault("cut"), "sync", "segment")
    with pytest.raises(Killed):
        writer.commit(700, 300)
    file = segment(here, len(before))
    assert sorted(file.pending) == [0, 1, 2]
    keep(file, 1, 2)
    after = cut(here)
    assert len(records(after)) == len(before) + 1
    assert len(after.open().look()) == len(before)
    aftermath(after)


@pytest.fixture(params=["first", "last"])
def damaged(request: pytest.FixtureRequest) -> tuple[World, File, int, int]:
    """Make three commits, of which the first or last will be damaged; the payload has whole sectors of zeros by nature."""
    here = world()
    writer = here.open()
    for _ in range(3):
        writer.commit(3000)
    writer.close()
    file, start, end = records(here)[0 if request.param == "first" else -1]
    return here, file, start, end


@pytest.mark.parametrize("head", ["kept", "lost"])
@pytest.mark.parametrize("where", [0.0, 0.02, 0.3, 0.7, 0.9999])
def test_damage_to_what_was_durable_is_reported_and_never_cut(damaged: tuple[World, File, int, int], where: float, head: str) -> None:
    """In the header, the zeros of the payload, the rest of it, the closing checksum; also when nothing comes after it."""
    here, file, start, end = damaged
    file.flip(start + int(where * (end - start)), 0x40)
    here.oracle.flipped = True
    after = cut(here, newest if head == "kept" else oldest)
    if head == "lost":
        after.disk.folder(LOG).set("head", None)
    before = after.image()
    for mode in ("a", "r"):
        with pytest.raises(Corruption, match="segment"):
            after.open(mode).look()
    process = after.open()
    with pytest.raises(Corruption, match="segment"), process.registry.turn(0):
        pass
    assert {name: data for name, data in after.image().items() if "segment" in name} == {n: d for n, d in before.items() if "segment" in n}


@pytest.mark.parametrize("evidence", ["an old head", "a later record"])
def test_a_sector_that_reads_as_zeros_is_damage_where_something_covers_it(evidence: str) -> None:
    here = world()
    writer = here.open()
    for size in [3000] if evidence == "an old head" else [3000, 10]:
        writer.commit(size)
    file, _, end = records(here)[0]
    file.write(bytes(SECTOR), end // SECTOR * SECTOR - SECTOR)
    file.sync()
    here.oracle.flipped = True
    after = cut(here, newest)
    if evidence != "an old head":
        after.disk.folder(LOG).set("head", None)
    with pytest.raises(Corruption, match="durable"):
        after.open().look()


def test_a_segment_that_is_gone_is_damage() -> None:
    here = world(SMALL)
    writer = here.open()
    for size in (600, 600, 600):
        writer.commit(size)
    here.oracle.flipped = True
    here.disk.folder(LOG).set("0000000002.segment", None)
    with pytest.raises(Corruption, match=r"0000000002\.segment"):
        writer.look()
    with pytest.raises(Corruption, match="segment"):
        here.open("r").look()
    with pytest.raises(Corruption, match="segment"):
        cut(here, newest).open().look()


def test_damage_below_a_checkpoint_stops_nobody_but_who_reads_there() -> None:
    here = world()
    writer = here.open()
    writer.commit(100)
    writer.commit(100)
    writer.checkpoint()
    writer.commit(100)
    file, start, _ = records(here)[0]
    file.flip(start + 20, 1)
    after = cut(here)
    process = after.open()
    process.look()
    with pytest.raises(Corruption):
        process.registry.read(0)
    aftermath(after)


def test_a_damaged_checkpoint_is_passed_over() -> None:
    here = world(SMALL)
    writer = here.open()
    for size in (100, 100, 600, 600):
        writer.commit(size)
        writer.checkpoint(trim=False)
    name = max(here.disk.folder(here.checkpoints).cache)
    file = here.disk.file(here.checkpoints / name)
    for offset in (5, len(file.cache) - 1):
        copied = here.after(here.disk.copy(), rebooted=False)
        copied.disk.file(here.checkpoints / name).flip(offset, 1)
        process = copied.open()
        assert [kept.seq for kept in process.registry.checkpoints()] == [3, 2, 1]
        process.look()
        process.checkpoint(trim=False)
        assert [kept.seq for kept in process.registry.checkpoints()] == [4, 3, 2, 1]
        aftermath(copied)


def test_segments_whose_removal_was_not_durable_are_trimmed_all_the_same() -> None:
    """A power cut brings some of them back, with a gap."""
    here = world(SMALL)
    writer = here.open()
    for _ in range(6):
        writer.commit(600)
        writer.checkpoint(trim=False)
    writer.registry.trim(5)
    assert [number for number, _ in here.segments()] == [5, 6, 7]
    for name, versions in here.disk.folder(LOG).pending.items():
        versions[:] = [versions[0] if name.startswith(("0000000001", "0000000003")) else versions[-1]]
    after = cut(here, newest)
    assert [number for number, _ in after.segments()] == [1, 3, 5, 6, 7]
    process = after.open()
    process.look()
    assert [commit.seq for commit in process.registry.read(5)] == [6]
    with pytest.raises(Trimmed) as caught:
        process.registry.read(0)
    assert caught.value.oldest == 5
    assert [commit.seq for commit in process.registry.read(4)] == [5, 6]
    aftermath(after)


def test_a_reader_that_others_overtake_and_trim_under_is_told_or_reads_on() -> None:
    """Between its look at the head and its look at the segments the log went on, and what it wanted is gone."""
    here = world(SMALL)
    writer, reader = here.open(), here.open()
    writer.commit(600)
    reader.look()
    writer.commit(600)

    def overtake() -> None:
        for _ in range(3):
            writer.commit(600)
            writer.checkpoint()

    for name in ("open_read", "listdir"):
        met = during(here, name, "segment" if name == "open_read" else "log", overtake)
        with suppress(Trimmed):
            assert [commit.seq for commit in reader.registry.read(0)] == list(range(1, len(here.oracle.acknowledged) + 1))
        assert met
    reader.look()
    with pytest.raises(Trimmed):
        reader.registry.read(0)


def test_a_head_in_a_segment_that_was_trimmed_is_damage_and_not_waited_for() -> None:
    """It was put back by hand: nobody comes who would move it on."""
    here = world(SMALL)
    writer = here.open()
    writer.commit(600)
    old = bytes(here.disk.file(HEAD).cache)
    for _ in range(4):
        writer.commit(600)
        writer.checkpoint()
    here.disk.file(HEAD).write(old, 0)
    for mode in ("a", "r"):
        with pytest.raises(Corruption, match=r"0000000001\.segment"):
            here.open(mode).registry.read(0)
    with pytest.raises(Corruption, match=r"0000000001\.segment"), writer.registry.turn(0):
        pass
    here.disk.folder(LOG).set("head", None)
    aftermath(here)
