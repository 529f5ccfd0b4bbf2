"""A machine with a simulated disk, processes that use one local registry on it, and an oracle that knows what they were told."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sopnb.errors import CommitUnknown, NotFound, StorageError, Timeout, Trimmed
from sopnb.protocols import Backend, Draft, Registry
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.location import open_backend
from sopnb.storage.log import LogFormat, Position
from sopnb.testing.clock import ManualClock
from sopnb.testing.disk import Choose, Fault, File, Killed, SimulatedDisk, Step, chance

FOLDER = Path("/data")
SMALL = DatabaseSettings(segment_bytes=1024, segment_limit=2048, log_bytes=4096)


class Violation(AssertionError):
    """A promise of the registry was broken."""


@dataclass
class Oracle:
    """What was promised: commits acknowledged or acted upon stay, ids that were refused never appear, settled answers are final."""

    acknowledged: dict[int, bytes] = field(default_factory=dict)
    acted: dict[int, bytes] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    unknown: dict[bytes, int] = field(default_factory=dict)
    settled: dict[bytes, bool] = field(default_factory=dict)
    flipped: bool = False

    def look(self, view: Sequence[bytes], who: str, *, fresh: dict[int, bytes] | None = None) -> None:
        """Check what somebody sees. ``fresh`` is what was acknowledged before a reader read the head, which is all that it must see."""
        damage = " (damage cut silently)" if self.flipped else ""
        for seq, id in (self.acknowledged if fresh is None else fresh).items():
            if len(view) < seq or view[seq - 1] != id:
                raise Violation(f"{who}: acknowledged commit {seq} is lost{damage}")
        for seq, id in self.acted.items():
            if view[seq - 1 : seq] != [id] and (fresh is None or len(view) >= seq):
                raise Violation(f"{who}: commit {seq} was acted upon and is gone{damage}")
        for id in view:
            if id in self.refused:
                raise Violation(f"{who}: a commit that was refused is there")
            if self.settled.get(id) is False:
                raise Violation(f"{who}: a commit that was settled as aborted is there")
        if fresh is None and any(there and id not in view for id, there in self.settled.items()):
            raise Violation(f"{who}: a commit that was settled as committed is gone")
        self.acted.update(enumerate(view, 1))


class World:
    """One machine."""

    def __init__(self, choose: Choose, *, settings: DatabaseSettings = SMALL, maintenance: str = "inline") -> None:
        self.choose, self.settings, self.maintenance = choose, settings, maintenance
        self.disk = SimulatedDisk(choose)
        self.clock = ManualClock()
        self.oracle = Oracle()
        self._ids = 0

    def after(self, disk: SimulatedDisk, *, rebooted: bool, choose: Choose | None = None) -> World:
        """Return a world like this one on another disk."""
        world = copy.copy(self)
        world.disk, world.clock, world.oracle = disk, copy.deepcopy(self.clock), copy.deepcopy(self.oracle)
        world.choose = disk.choose = choose or self.choose
        if rebooted:
            world.clock.reboot()
        return world

    def new_id(self) -> bytes:
        """Return an id that no other commit has."""
        self._ids += 1
        return self._ids.to_bytes(8, "big")

    def open(self, mode: Literal["a", "r"] = "a") -> Process:
        """Start a process that opens the database."""
        return Process(self, mode)

    def segments(self) -> Iterator[tuple[int, File]]:
        """Yield the number and file of each segment."""
        for name, entry in sorted(self.disk.folder(FOLDER / "log").cache.items()):
            if name.endswith(".segment") and isinstance(entry, File):
                yield int(name.partition(".")[0]), entry

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return FOLDER / "checkpoints"

    def records(self, uuid: bytes) -> Iterator[tuple[File, int, int, int, bytes]]:
        """Yield (file, start, end, seq, id) of every whole record in the page cache."""
        format = LogFormat(uuid, self.settings.pad_records)
        for number, file in self.segments():
            data = bytes(file.cache)
            for start in range(0, len(data), format.alignment):
                found = format.decode(data, start, Position(number, start))
                if found is not None:
                    yield file, start, found[1].end.position.offset, found[0].seq, found[0].id

    def image(self) -> dict[str, bytes]:
        """Return every file's bytes by name, as processes see them."""
        return {path.as_posix(): bytes(file.cache) for path, file in self.disk.tree()}


class Process:
    """A process of the machine, with the database open."""

    def __init__(self, world: World, mode: Literal["a", "r"] = "a") -> None:
        self.world, self.mode = world, mode
        self.files = world.disk.process()
        self.name = f"{self.files.name} ({mode})"
        handle = HandleSettings(lock_seconds=0, maintenance=world.maintenance)
        self.backend: Backend
        self.backend, _ = open_backend(
            FOLDER, mode=mode, settings=world.settings if mode == "a" else None, handle=handle, clock=world.clock, files=self.files
        )

    @property
    def registry(self) -> Registry:
        """The registry under test."""
        return self.backend.registry

    def view(self) -> list[bytes]:
        """Return the ids of all commits, in order: those of the newest checkpoint, then those of the log."""
        while True:
            newest = next(self.registry.checkpoints(), None)
            ids = [] if newest is None else [newest.state[i : i + 8] for i in range(0, len(newest.state), 8)]
            try:
                return ids + [commit.id for commit in self.registry.read(len(ids))]
            except Trimmed:
                continue

    def look(self) -> list[bytes]:
        """Read everything and act upon it; for the holder of the turn, or somebody alone."""
        view = self.view()
        self.world.oracle.look(view, self.name)
        return view

    def glance(self) -> None:
        """Read as a reader does among writers: it must see what was acknowledged before it began."""
        fresh = dict(self.world.oracle.acknowledged)
        try:
            view = self.view()
        except Timeout:
            return
        self.world.oracle.look(view, self.name, fresh=fresh)

    def commit(self, *sizes: int) -> bool | None:
        """Append a group of payloads; return whether it is committed, None if unknown."""
        oracle = self.world.oracle
        drafts = [Draft(self.world.new_id(), bytes(size // 2) + b"x" * (size - size // 2)) for size in sizes]
        ids = [draft.id for draft in drafts]
        after = len(oracle.acknowledged)
        try:
            with self.registry.turn(0):
                after = len(self.look())
                commits = self.registry.append(drafts, after)
                oracle.acknowledged.update((commit.seq, commit.id) for commit in commits)
            return True
        except CommitUnknown:
            oracle.unknown.update((id, after + i) for i, id in enumerate(ids, 1))
            return None
        except (Timeout, StorageError):
            oracle.refused.update(id for id in ids if id not in oracle.acknowledged.values())
            return False
        except Killed:
            oracle.unknown.update((id, after + i) for i, id in enumerate(ids, 1) if id not in oracle.acknowledged.values())
            raise

    def settle(self) -> None:
        """Settle every unknown outcome: fill the log up to the seq, then look."""
        oracle = self.world.oracle
        for id, seq in list(oracle.unknown.items()):
            with self.registry.turn(0):
                view = self.look()
                while len(view) < seq:
                    commits = self.registry.append([Draft(self.world.new_id(), b"")], len(view))
                    oracle.acknowledged.update((commit.seq, commit.id) for commit in commits)
                    view = self.look()
            if oracle.settled.setdefault(id, id in view) != (id in view):
                raise Violation(f"commit {seq} was settled both ways")
            oracle.unknown.pop(id, None)

    def checkpoint(self, *, trim: bool = True) -> None:
        """Write a checkpoint of what is seen, and trim below the second newest."""
        view = self.view()
        if view:
            self.registry.checkpoint(len(view), b"".join(view))
        if trim:
            seqs = [kept.seq for kept in self.registry.checkpoints()]
            if len(seqs) > 1:
                self.registry.trim(seqs[1])

    def close(self) -> None:
        """End the process in an orderly way."""
        self.backend.close()
        if self.files.descriptors:
            raise Violation(f"{self.name} left {self.files.descriptors} descriptors open")
        self.world.disk.kill(self.files)


class Choices:
    """Goes through every sequence of outcomes, one run after the other; of more than ``most`` outcomes only the first and last ones."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._taken: list[list[int]] = []
        self._next = 0

    def __call__(self, n: int) -> int:
        """Return the outcome of this run's next choice among n."""
        if self._next == len(self._taken):
            self._taken.append([0, min(n, self._most)])
        taken, few = self._taken[self._next]
        self._next += 1
        return taken if taken < few // 2 else n - few + taken

    def advance(self) -> bool:
        """Begin the next run; False after the last."""
        del self._taken[self._next :]
        self._next = 0
        while self._taken:
            self._taken[-1][0] += 1
            if self._taken[-1][0] < self._taken[-1][1]:
                return True
            self._taken.pop()
        return False


def outcomes(world: World, limit: int, seed: int) -> Iterator[World]:
    """Yield the world after each outcome of a power cut; where there are more than ``limit``, that many random ones."""
    choices = Choices()
    for _ in range(limit):
        disk = world.disk.copy()
        disk.power_on(choices)
        yield world.after(disk, rebooted=True)
        if not choices.advance():
            return
    choose = chance(seed)
    for _ in range(limit):
        disk = world.disk.copy()
        disk.power_on(choose)
        yield world.after(disk, rebooted=True)


class Trap:
    """A hook that lets the n-th changing operation (of this name, on such a path) fail."""

    def __init__(self, number: int, fault: Fault, name: str | None = None, path: str = "") -> None:
        self.left, self.fault, self.name, self.path = number, fault, name, path
        self.step: Step | None = None

    def __call__(self, step: Step) -> Fault | None:
        """Count down, and fail at the end."""
        if step.changes and self.name in (None, step.name) and self.path in step.path.name:
            self.left -= 1
            if not self.left:
                self.step = step
                return self.fault
        return None


def aftermath(world: World) -> None:
    """Whatever happened: everybody finds what was promised, goes on, and settles what was unknown."""
    before = world.image()
    try:
        reader = world.open("r")
    except NotFound:
        world.open().look()
        reader = world.open("r")
    else:
        reader.look()
        if world.image() != before:
            raise Violation("mode r wrote something")
    first = world.open()
    first.look()
    reader.look()
    if first.commit(20, 700) is not True:
        raise Violation("no commit is possible")
    second = world.open()
    second.settle()
    if second.commit(30) is not True:
        raise Violation("no commit is possible in a second process")
    for process in (first, reader, second):
        process.look()
        process.close()
