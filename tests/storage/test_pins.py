"""Pins across processes: they die with their owner, and only with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sopnb.protocols import Pin
from sopnb.storage.files import Files
from sopnb.storage.pins import LocalPins
from sopnb.storage.system import SystemClock

HOLDER = """
import sys
from pathlib import Path
from sopnb.storage.files import Files
from sopnb.storage.pins import LocalPins
from sopnb.storage.system import SystemClock
pins = LocalPins(Path(sys.argv[1]), files=Files(), clock=SystemClock())
pins.pin(7)
print(pins.owner, flush=True)
sys.stdin.read()
"""


def _pins(path: Path) -> LocalPins:
    return LocalPins(path, files=Files(), clock=SystemClock())


def test_a_killed_process_leaves_no_pin(tmp_path: Path) -> None:
    mine = _pins(tmp_path)
    mine.pin(9)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    owner = holder.stdout.readline().strip()
    assert sorted(mine.held(), key=lambda p: p.seq) == [Pin(owner, 7), Pin(mine.owner, 9)]
    assert mine.alive(owner)
    holder.kill()
    holder.communicate()
    assert list(mine.held()) == [Pin(mine.owner, 9)]
    assert not mine.alive(owner)
    assert [p.name for p in (tmp_path / "pins").iterdir()] == [mine.owner]


def test_a_forked_child_neither_takes_the_pin_nor_gives_it_up(tmp_path: Path) -> None:
    mine = _pins(tmp_path)
    mine.pin(3)
    owner = mine.owner
    child = os.fork()
    if not child:
        other = mine.owner != owner
        mine.pin(4)
        seen = {pin.seq for pin in mine.held()} == {3, 4}
        mine.close()
        os._exit(0 if other and seen else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(_pins(tmp_path).held()) == [Pin(owner, 3)]


def test_a_child_that_lives_on_does_not_keep_its_dead_parents_pin(tmp_path: Path) -> None:
    stay, leave = os.pipe()
    ready, tell = os.pipe()
    parent = os.fork()
    if not parent:
        pins = _pins(tmp_path)
        pins.pin(5)
        if not os.fork():
            os.close(leave)
            os.write(tell, b"x")
            os.read(stay, 1)
            os._exit(0)
        os._exit(0)
    os.waitpid(parent, 0)
    os.read(ready, 1)
    try:
        assert list(_pins(tmp_path).held()) == []
    finally:
        for fd in (stay, leave, ready, tell):
            os.close(fd)


def test_a_file_without_an_owner_is_removed(tmp_path: Path) -> None:
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins" / ("a" * 16)).write_text("00000000000000000001")
    assert list(_pins(tmp_path).held()) == []
    assert list((tmp_path / "pins").iterdir()) == []


class _Torn(Files):
    """Files that read a pin's first half as it was before."""

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        data = super().pread(fd, size, offset)
        return b"00000000000000000008" + data[20:]


def test_a_pin_read_while_it_is_written_keeps_everything(tmp_path: Path) -> None:
    mine = _pins(tmp_path)
    mine.pin(9)
    assert list(LocalPins(tmp_path, files=_Torn(), clock=SystemClock()).held()) == [Pin(mine.owner, 0)]


class _Looking(Files):
    """Files that let somebody look at the pins before each step of making one."""

    def __init__(self, folder: Path) -> None:
        self.others = _pins(folder)
        self.left = 2

    def _look(self) -> None:
        if self.left:
            self.left -= 1
            self.others.held()

    def flock(self, fd: int, exclusive: bool = True, block: bool = False) -> bool:
        self._look()
        return super().flock(fd, exclusive, block)

    def rename(self, source: Path, target: Path) -> None:
        self._look()
        super().rename(source, target)


def test_a_pin_taken_for_dead_while_it_is_made_is_made_again(tmp_path: Path) -> None:
    mine = LocalPins(tmp_path, files=_Looking(tmp_path), clock=SystemClock())
    mine.pin(4)
    assert list(_pins(tmp_path).held()) == [Pin(mine.owner, 4)]
    assert [p.name for p in (tmp_path / "pins").iterdir()] == [mine.owner]


class _Forking(Files):
    """Files that fork a child just after a lock is got; the child lives until ``leave`` is closed."""

    def __init__(self) -> None:
        self.stay, self.leave = os.pipe()
        self.child = 0

    def flock(self, fd: int, exclusive: bool = True, block: bool = False) -> bool:
        got = super().flock(fd, exclusive, block)
        if got and not self.child:
            self.child = os.fork()
            if not self.child:
                os.close(self.leave)
                os.read(self.stay, 1)
                os._exit(0)
        return got


def test_a_look_at_a_dead_pin_leaves_it_dead_for_others(tmp_path: Path) -> None:
    """Also where the one who looked forked meanwhile, and only looks."""
    (tmp_path / "pins").mkdir()
    dead = tmp_path / "pins" / ("a" * 16)
    dead.write_text("0" * 40)
    files = _Forking()
    assert list(LocalPins(tmp_path, files=files, clock=SystemClock(), writable=False).held()) == []
    assert files.child
    assert dead.exists()
    assert list(_pins(tmp_path).held()) == []
    assert not dead.exists()
    os.close(files.leave)
    os.waitpid(files.child, 0)
    os.close(files.stay)


def test_a_pin_may_go_back_and_be_given_up_and_taken_again(tmp_path: Path) -> None:
    mine, other = _pins(tmp_path), _pins(tmp_path)
    mine.pin(9)
    mine.pin(3)
    assert list(other.held()) == [Pin(mine.owner, 3)]
    mine.close()
    mine.close()
    assert list(other.held()) == []
    mine.pin(5)
    assert list(other.held()) == [Pin(mine.owner, 5)]
