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
