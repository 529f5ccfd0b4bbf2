"""The lock of a folder: a short wait ends within a few tries, a long one in the system's queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopnb.errors import Timeout
from sopnb.storage import lock
from sopnb.storage.files import Files
from sopnb.storage.lock import FileLock
from sopnb.testing.clock import ManualClock


class Pauses(ManualClock):
    """A clock that calls something while it sleeps."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self.slept: list[float] = []
        self.meanwhile: dict[int, FileLock] = {}

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.slept.append(seconds)
        if len(self.slept) in self.meanwhile:
            self.meanwhile[len(self.slept)].release()


class Watched(Files):
    """Files that count who waits in the system's queue."""

    def __init__(self) -> None:
        self.blocked = 0

    def flock(self, fd: int, exclusive: bool = True, block: bool = False) -> bool:
        self.blocked += block
        return super().flock(fd, exclusive, block)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lock").touch()
    return tmp_path / "lock"


@pytest.mark.parametrize("seed", range(20))
def test_a_lock_that_is_let_go_of_soon_is_got_without_a_thread(path: Path, seed: int) -> None:
    clock, files = Pauses(seed), Watched()
    holder, waiter = FileLock(path, files=Files(), clock=clock), FileLock(path, files=files, clock=clock)
    holder.acquire(1)
    clock.meanwhile[1 + seed % 5] = holder
    waiter.acquire(1)
    assert (len(clock.slept), files.blocked) == (1 + seed % 5, 0)
    with pytest.raises(Timeout):
        holder.acquire(0)
    for each in (holder, waiter):
        each.close()


@pytest.mark.parametrize("seed", range(20))
def test_who_tried_a_few_times_waits_in_the_queue(path: Path, seed: int) -> None:
    clock, files = Pauses(seed), Watched()
    holder, waiter = FileLock(path, files=Files(), clock=clock), FileLock(path, files=files, clock=clock)
    holder.acquire(1)
    with pytest.raises(Timeout, match="the lock of the database"):
        waiter.acquire(0.02)
    assert files.blocked == 1
    assert 3 <= len(clock.slept) <= 10
    assert sum(clock.slept) < 5 * lock.LONGEST_PAUSE
    assert max(clock.slept) <= 1.5 * lock.LONGEST_PAUSE
    holder.release()
    waiter.acquire(60)
    for each in (holder, waiter):
        each.close()


@pytest.mark.parametrize("timeout", [0.0, 0.0001, 0.0015])
def test_tries_take_no_longer_than_the_wait_may(path: Path, timeout: float) -> None:
    clock = Pauses(7)
    holder, waiter = FileLock(path, files=Files(), clock=clock), FileLock(path, files=Files(), clock=clock)
    holder.acquire(1)
    with pytest.raises(Timeout):
        waiter.acquire(timeout)
    assert sum(clock.slept) <= timeout
    for each in (holder, waiter):
        each.close()
