"""Random histories of a machine: several processes at once, paused at every operation on the disk, with kills, power cuts and damage."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sopnb.errors import Corruption, SopError
from sopnb.settings import DatabaseSettings
from sopnb.testing.disk import SECTOR, Choose, Fault, File, Killed, Step, chance
from tests.crash.log_world import Process, Violation, World, aftermath

SETTINGS = (
    DatabaseSettings(segment_bytes=1024, segment_limit=1024, log_bytes=4096),
    DatabaseSettings(segment_bytes=1024, segment_limit=4096, log_bytes=4096),
    DatabaseSettings(segment_bytes=16384, segment_limit=16384),
    DatabaseSettings(segment_bytes=8192, segment_limit=16384, pad_records=True),
)
SIZES = ((1,), (30,), (300,), (700,), (20, 20), (400, 30), (10, 10, 10), (30, 900), (1500,))


class Actor:
    """Work that stops before each operation on the disk until it is let go on. One actor runs at a time."""

    def __init__(self, process: Process | None, work: Callable[[], None]) -> None:
        self.process, self.work = process, work
        self.fault: Fault | None = None
        self.step: Step | None = None
        self.done = False
        self.error: BaseException | None = None
        self._go, self._stopped = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._stopped.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def resume(self, fault: Fault | None = None) -> None:
        """Let it do one operation, or fail in it; return when it stopped again."""
        self.fault = fault
        self._go.release()
        self._stopped.acquire()
        if self.done:
            self._thread.join()

    def pause(self, step: Step) -> Fault | None:
        """Stop before an operation; called by the disk in this actor's thread."""
        self.step = step
        self._stopped.release()
        self._go.acquire()
        fault, self.fault = self.fault, None
        return fault

    def mine(self) -> bool:
        """Say whether it is this actor's thread that asks."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        self._go.acquire()
        try:
            self.work()
        except BaseException as error:
            self.error = error
        self.done = True
        self._stopped.release()


class History:
    """One random history; the seed decides everything."""

    def __init__(self, seed: object, *, flips: bool = False) -> None:
        self.choose: Choose = chance(seed)
        self.world = World(self.choose, settings=SETTINGS[self.choose(len(SETTINGS))])
        self.flips = 1 if flips else 0
        self.kills, self.cuts, self.fails = self.choose(4), self.choose(4), self.choose(3)
        self.actors: list[Actor] = []
        self.idle: list[Process] = []
        self.world.open().close()
        self.uuid = self.world.open("r").registry.uuid
        self.world.disk.before = self._before

    def run(self, steps: int) -> bool:
        """Live on for so many steps; return False if damage was reported, rightly. Raises ``Violation``."""
        try:
            for _ in range(steps):
                self._one()
            while self.actors:
                self._resume(self.actors[self.choose(len(self.actors))], safely=True)
            self.world.disk.before = lambda step: None
            aftermath(self.world)
            self.world.disk.power_off()
            self.world.disk.power_on(self.choose)
            aftermath(self.world.after(self.world.disk, rebooted=True))
        except Corruption as error:
            if not self.world.oracle.flipped:
                raise Violation(f"an ordinary crash was reported as damage: {error}") from error
            return False
        finally:
            self._stop()
        return True

    def _before(self, step: Step) -> Fault | None:
        for actor in self.actors:
            if actor.mine():
                return actor.pause(step)
        return None

    def _one(self) -> None:
        """Let something happen."""
        x = self.choose(1000)
        if x < 15 and self.cuts:
            self.cuts -= 1
            self._cut()
        elif x < 18 and self.flips:
            self._flip()
        elif x < 30:
            for file in self.world.disk.files():
                file.evict()
        elif self.actors and x < 900:
            self._resume(self.actors[self.choose(len(self.actors))])
        elif len(self.actors) < 3:
            self._begin()

    def _resume(self, actor: Actor, *, safely: bool = False) -> None:
        """Let an actor go on: up to a change, or through one, which may fail."""
        fault = None
        step, x = actor.step, self.choose(100)
        if step is not None and step.changes and not safely:
            if x < 4 and self.kills and actor.process is not None:
                self.kills -= 1
                fault = Fault("kill")
            elif x < 12 and self.fails and step.name == "sync" and actor.process is not None:
                self.fails -= 1
                fault = Fault("error")
        for _ in range(1 + self.choose(8) * self.choose(8)):
            actor.resume(fault)
            if fault is not None or actor.done or (actor.step is not None and actor.step.changes):
                break
        if actor.done:
            self._over(actor)

    def _over(self, actor: Actor) -> None:
        """Take note of how it ended."""
        self.actors.remove(actor)
        if actor.error is None:
            if actor.process is not None:
                self.idle.append(actor.process)
        elif isinstance(actor.error, Violation | Corruption) or not isinstance(actor.error, Killed | SopError):
            raise actor.error
        elif actor.process is not None and actor.process.files.alive:
            self.idle.append(actor.process)

    def _begin(self) -> None:
        """Start a process, or some work of one that has none."""
        world = self.world
        if len(self.idle) + len(self.actors) < 4 and (not self.idle or not self.choose(3)):
            mode = "r" if not self.choose(4) else "a"
            self.actors.append(Actor(None, lambda: self.idle.append(world.open(mode))))
        elif self.idle:
            process = self.idle.pop(self.choose(len(self.idle)))
            self.actors.append(Actor(process, self._work(process)))

    def _work(self, process: Process) -> Callable[[], None]:
        x = self.choose(20)
        if process.mode == "r" or x < 5:
            return process.glance
        if x < 7:
            return process.checkpoint
        if x < 9 and self.world.oracle.unknown:
            return process.settle
        sizes = SIZES[self.choose(len(SIZES))]
        return lambda: process.commit(*sizes) and None

    def _cut(self) -> None:
        """Let the power fail: everybody dies where he is."""
        if self.actors and self.choose(2):
            self.actors[0].resume(Fault("cut"))
        self._stop()
        self.world.disk.power_on(self.choose)
        self.world = self.world.after(self.world.disk, rebooted=True)

    def _stop(self) -> None:
        self.world.disk.power_off()
        for actor in self.actors:
            while not actor.done:
                actor.resume()
            if isinstance(actor.error, Violation):
                raise actor.error
        self.actors.clear()
        self.idle.clear()

    def _flip(self) -> None:
        """Damage a byte of an acknowledged record that is on the disk, past the newest checkpoint."""
        world = self.world
        covered = max((int(name.partition(".")[0]) for name in world.disk.folder(world.checkpoints).cache if "tmp" not in name), default=0)
        places: list[tuple[File, int]] = []
        for file, start, end, seq, id in world.records(self.uuid):
            if seq > covered and world.oracle.acknowledged.get(seq) == id:
                clean = (at for at in range(start, end) if at // SECTOR not in file.pending and at < len(file.disk))
                places += [(file, at) for at in clean if file.disk[at] == file.cache[at]]
        if places:
            file, at = places[self.choose(len(places))]
            file.flip(at, 1 + self.choose(255))
            world.oracle.flipped = True
            self.flips -= 1
