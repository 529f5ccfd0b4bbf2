"""The local log at every single crash: power cuts, kills and failed operations, at each operation that changes something."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sopnb.errors import SopError
from sopnb.settings import DatabaseSettings
from sopnb.testing.disk import Fault, Killed, chance
from tests.crash.log_world import SMALL, Choices, Trap, World, aftermath, outcomes

PADDED = DatabaseSettings(segment_bytes=8192, segment_limit=16384, pad_records=True)
BOTH = pytest.mark.parametrize("settings", [SMALL, PADDED], ids=["aligned", "padded"])


@pytest.fixture
def limit(request: pytest.FixtureRequest) -> int:
    """How many outcomes of one power cut are looked at."""
    return 300 if request.config.getoption("--long") else 6


def workload(world: World) -> None:
    """Create, commit alone and in groups, across sectors and segments, by two processes; checkpoint, trim; larger than a segment."""
    first = world.open()
    first.commit(10)
    first.commit(300, 10, 200)
    second = world.open()
    second.commit(40)
    second.checkpoint()
    first.commit(500)
    first.commit(20, 20)
    first.checkpoint()
    second.commit(2500)
    second.commit(5)
    first.look()


def crashes(fault: Fault, name: str | None = None, *, settings: DatabaseSettings = SMALL, most: int = 1) -> Iterator[World]:
    """Yield the world just after a fault at each changing operation of the workload, with ``most`` outcomes of each choice in it."""
    for number in itertools.count(1):
        choices = Choices(most)
        more = True
        while more:
            world = World(choices, settings=settings)
            world.disk.before = trap = Trap(number, fault, name)
            with suppress(Killed, SopError):
                workload(world)
            if trap.step is None:
                return
            world.disk.before = lambda step: None
            world.choose = world.disk.choose = chance(number)
            yield world
            more = choices.advance()


@BOTH
def test_after_a_power_cut_at_any_change_nothing_acknowledged_is_lost(settings: DatabaseSettings, limit: int) -> None:
    for world in crashes(Fault("cut"), settings=settings):
        for after in outcomes(world, limit, seed=1):
            aftermath(after)


@BOTH
def test_after_a_kill_at_any_change_the_others_go_on(settings: DatabaseSettings, limit: int) -> None:
    for world in crashes(Fault("kill"), settings=settings, most=limit):
        aftermath(world)


def test_a_power_cut_after_a_kill_loses_nothing(limit: int) -> None:
    """What a killed writer left in the page cache is not durable, and the one who finds it acknowledges."""
    for number, world in enumerate(crashes(Fault("kill"), most=4)):
        with suppress(Killed):
            survivor = world.open()
            world.disk.before = Trap(number % 7 + 8, Fault("cut"))
            survivor.look()
            survivor.commit(30)
        world.disk.power_off()
        for after in outcomes(world, limit // 4, seed=number):
            aftermath(after)


def test_a_power_cut_in_the_recovery_after_a_power_cut_loses_nothing(limit: int) -> None:
    for number, world in enumerate(crashes(Fault("cut"))):
        for after in outcomes(world, 1 + limit // 100, seed=number):
            again(after, number, min(limit, 40))


def again(world: World, seed: int, limit: int) -> None:
    """Cut the power at several changes of the recovery."""
    for change in range(1 + seed % 3, 1 + limit, 3):
        world = world.after(world.disk.copy(), rebooted=False, choose=chance((seed, change)))
        world.disk.before = Trap(change, Fault("cut"))
        with suppress(Killed):
            world.open().look()
        world.disk.power_off()
        world.disk.before = lambda step: None
        after = world.after(world.disk.copy(), rebooted=True)
        after.disk.power_on(world.choose)
        aftermath(after)


@pytest.mark.parametrize("evicted", [False, True], ids=["cached", "evicted"])
def test_after_a_failed_sync_the_outcome_is_one_and_stays(evicted: bool, limit: int) -> None:
    """Whatever part of it came to the disk, and whether the page cache still shows all of it."""
    for number, world in enumerate(crashes(Fault("error"), "sync", most=3)):
        if evicted:
            for file in world.disk.files():
                file.evict()
        cut = world.after(world.disk.copy(), rebooted=True, choose=chance(number))
        cut.disk.power_on(cut.choose)
        aftermath(cut)
        aftermath(world)
        world.disk.power_off()
        for after in outcomes(world, limit // 4, seed=number):
            aftermath(after)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_an_operation_that_fails_leaves_a_database_that_goes_on(number: int, limit: int) -> None:
    """Each changing operation once: what was refused never appears, what was acknowledged stays, through a power cut too."""
    for seed, world in enumerate(crashes(Fault("error", number), most=3)):
        aftermath(world)
        world.disk.power_off()
        for after in outcomes(world, limit // 8, seed=seed):
            aftermath(after)
