"""A machine that crashes at every step, and a script whose outcome is known after each of its commits.

``Machine`` is a simulated disk with a clock, and the database in it. ``Script`` is a list of commits, each of which also counts itself,
and of upkeep in between; it keeps a plain model of every database that there may be. ``moments`` runs a script and keeps the machine as it
was before each step that changes the disk; ``verify`` opens what a crash has left and compares it with the model: the last acknowledged
commit, or the one that was in flight, whole.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sopnb.engine.engine import Engine
from sopnb.engine.work import Work
from sopnb.errors import Conflict, StoreNotFound
from sopnb.index import IndexSpecification, Keys
from sopnb.schema import Schema
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.location import open_backend
from sopnb.testing.clock import ManualClock
from sopnb.testing.disk import GRAIN, Choose, SimulatedDisk, SimulatedFiles, Step

PATH = Path("/data/base.sop")
SMALL = DatabaseSettings(
    leaf_bytes=256, leaf_rows=4, branch_bytes=200, value_bytes=48, inline_rows=6, inline_bytes=512, segment_bytes=2048, segment_limit=4096,
    log_bytes=16 * 1024, retention_seconds=0,
)  # fmt: skip
"""Settings under which a few dozen rows make a tree of several levels, and a few commits roll the log."""
COUNTER = "counter"
SCHEMA = Schema.of({"k": "int64", "v": "string"}, IndexSpecification.of("k"))
Stores = dict[str, dict[int, str]]
Writing = tuple[int, bytes, int]
"""A file by its number, the bytes that are about to be written to it, and where."""
NOTHING: Writing = (0, b"", 0)


class Machine:
    """One simulated machine: ``open`` gives an engine of a process of its own on the one database there is."""

    def __init__(self, settings: DatabaseSettings = SMALL, *, seed: int = 0) -> None:
        self.settings = settings
        self.disk = SimulatedDisk()
        self.clock = ManualClock(seed=seed)
        self.engines: list[Engine] = []
        self.writing = NOTHING

    def open(self, files: SimulatedFiles | None = None, **handle: Any) -> Engine:
        """Open the database in a new process, or in one given, with maintenance off unless asked for."""
        backend, settings = open_backend(
            PATH,
            settings=self.settings,
            handle=HandleSettings(**{"maintenance": "off", **handle}),
            clock=self.clock,
            files=files or self.process(),
        )
        engine = Engine.open(backend, settings, HandleSettings(**{"maintenance": "off", **handle}))
        self.engines.append(engine)
        return engine

    def process(self) -> SimulatedFiles:
        """Return the files of a new process; ``writing`` is what one of them is about to write."""
        files = self.disk.process()
        write = files.pwrite

        def pwrite(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
            self.writing = files.identity(fd)[1], bytes(data), offset
            write(fd, data, offset)

        files.pwrite = pwrite  # type: ignore[method-assign]
        return files

    def copy(self) -> Machine:
        """Return a machine in the same state, on which no process runs."""
        other = Machine.__new__(Machine)
        other.settings, other.disk, other.engines, other.writing = self.settings, self.disk.copy(), [], NOTHING
        other.clock = copy.deepcopy(self.clock)
        return other

    def cut_power(self, choose: Choose) -> None:
        """Let the power fail and come back: ``choose`` picks what of the unsynced is on the disk."""
        self.disk.power_on(choose)
        self.clock.reboot()
        self.engines.clear()


class Draws:
    """Chance for ``choose``: the same seed draws the same; ``bias`` 0 draws old versions only, 1 new ones only, None any."""

    def __init__(self, seed: int, bias: int | None = None) -> None:
        self._clock, self._bias = ManualClock(seed=seed), bias

    def __call__(self, n: int) -> int:
        """Pick one of n."""
        if self._bias is not None:
            return (n - 1) * self._bias
        return min(int(self._clock.random() * n), n - 1)


# -- scripts ------------------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What a database holds after a commit: records by store, and the tagged models."""

    stores: Stores = field(default_factory=dict)
    tags: dict[str, Model] = field(default_factory=dict)

    def copy(self) -> Model:
        """Return one to be changed."""
        return Model({name: dict(rows) for name, rows in self.stores.items()}, dict(self.tags))


class Both:
    """Changes a transaction and the model of what it makes; ``newest`` is the model of the state that it began on."""

    def __init__(self, work: Work, newest: Model) -> None:
        self.work, self.newest, self.model = work, newest, newest.copy()

    def create(self, name: str) -> None:
        """Create a store."""
        self.work.create(name, SCHEMA)
        self.model.stores[name] = {}

    def drop(self, name: str) -> None:
        """Drop a store."""
        self.work.drop(name)
        del self.model.stores[name]

    def rename(self, old: str, new: str) -> None:
        """Rename a store."""
        self.work.rename(old, new)
        self.model.stores[new] = self.model.stores.pop(old)

    def put(self, name: str, rows: Mapping[int, str]) -> None:
        """Write records one by one."""
        store = self.work.store(name)
        for row in rows.items():
            store.put("upsert", row)
        self.model.stores[name].update(rows)

    def load(self, name: str, rows: Mapping[int, str]) -> None:
        """Write records as one table."""
        self.work.store(name).write("upsert", pa.Table.from_batches([SCHEMA.batch(list(rows.items()))]))
        self.model.stores[name].update(rows)

    def loads(self, name: str, *tables: Mapping[int, str]) -> None:
        """Write records as one load of several tables, which are written ahead and then put together."""
        self.work.store(name).load("upsert", [pa.Table.from_batches([SCHEMA.batch(list(rows.items()))]) for rows in tables])
        for rows in tables:
            self.model.stores[name].update(rows)

    def value(self, name: str, key: int, *pieces: str) -> None:
        """Give a record that is there a value that is written ahead in pieces."""
        room: Any = self.work.room
        extents = room.write_values([piece.encode() for piece in pieces])
        self.work.spilled |= {extent.blob for extent in extents}
        self.work.store(name).put_value(SCHEMA.encode_key((key,)), "v", None, extents)
        self.model.stores[name][key] = "".join(pieces)

    def delete(self, name: str, keys: Iterator[int] | range | list[int]) -> None:
        """Delete records; those that are not there are passed over."""
        wanted = sorted(keys)
        self.work.store(name).delete(Keys.of([SCHEMA.encode_key((k,)) for k in wanted]))
        for k in wanted:
            self.model.stores[name].pop(k, None)

    def tag(self, name: str) -> None:
        """Tag the state that the transaction began on."""
        self.work.tag(name, self.work.state.seq)
        self.model.tags[name] = self.newest

    def untag(self, name: str) -> None:
        """Take a tag away."""
        self.work.tag(name, 0)
        del self.model.tags[name]


Change = Callable[[Both], None]
Upkeep = Callable[[Engine], object]


@dataclass
class Ledger:
    """What whoever ran a script knows: the last commit that was acknowledged, and the one whose answer is missing."""

    acknowledged: int = 0
    in_flight: int | None = None


class Script:
    """Commits and upkeep in order. ``models[n]`` is what the database holds after commit ``n``; 0 is the empty one."""

    def __init__(self, *steps: Change | tuple[Upkeep]) -> None:
        self._steps = [_create_counter, *steps]
        self.models: dict[int, Model] = {0: Model()}

    def branch(self) -> Script:
        """Return a script of the same past, whose further commits are its own."""
        other = Script()
        other._steps, other.models = self._steps, dict(self.models)
        return other

    def run(self, machine: Machine, ledger: Ledger, *, start: int = 0, stop: int | None = None, **handle: Any) -> Engine:
        """Do the steps from ``start`` on; each commit counts itself. Return the engine, still open."""
        engine = machine.open(**handle)
        for step in self._steps[start:stop]:
            machine.clock.sleep(1)
            if isinstance(step, tuple):
                step[0](engine)
            else:
                self.commit(engine, step, ledger)
        return engine

    def commit(self, engine: Engine, change: Change, ledger: Ledger) -> None:
        """Make one change in a commit that counts itself."""
        number = ledger.acknowledged + 1
        work = engine.begin()
        both = Both(work, self.models[ledger.acknowledged])
        change(both)
        both.put(COUNTER, {0: str(number)})
        self.models[number] = both.model
        ledger.in_flight = number
        engine.commit(work)
        ledger.acknowledged, ledger.in_flight = number, None


def _create_counter(both: Both) -> None:
    both.create(COUNTER)


# -- crashes ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """A machine as it was before a step, and what was known then. ``writing`` says what a write is about to do."""

    machine: Machine
    ledger: Ledger
    step: Step
    writing: Writing = NOTHING

    def killed(self, choose: Choose | None = None) -> Machine:
        """Return the machine after a kill: before the step, or within the write that it is, as far as ``choose`` says."""
        machine = self.machine.copy()
        if choose is not None and self.step.name == "pwrite":
            number, data, offset = self.writing
            for file in machine.disk.files():
                if file.number == number:
                    file.write(data[: choose(-(-len(data) // GRAIN) + 1) * GRAIN], offset)
        return machine

    def cut(self, choose: Choose) -> Machine:
        """Return the machine after a power cut."""
        machine = self.machine.copy()
        machine.cut_power(choose)
        return machine


def moments(machine: Machine, run: Callable[[Machine, Ledger], object], ledger: Ledger | None = None) -> list[Moment]:
    """Run something on a machine; return what a crash before each step that changes the disk would leave, and one at the end."""
    known = ledger or Ledger()
    found: list[Moment] = []

    def before(step: Step) -> None:
        if step.changes:
            found.append(Moment(machine.copy(), replace(known), step, machine.writing))

    machine.disk.before = before
    try:
        run(machine, known)
    finally:
        machine.disk.before = lambda step: None
    found.append(Moment(machine.copy(), replace(known), Step(machine.disk.steps, "", "end", PATH, False)))
    return found


def recover(machine: Machine, ledger: Ledger | None = None) -> None:
    """Open the database and take a turn, which finds out what a crash has left."""
    engine = machine.open()
    with engine.backend.registry.turn(5):
        pass
    engine.close()


def contents(engine: Engine) -> Stores:
    """Return every record of every store."""
    return _contents(engine.state())


def _contents(state: Any) -> Stores:
    found: Stores = {}
    for name, store in state.stores.items():
        rows: dict[int, str] = {}
        for part in store.stack.scan():
            batch = part.batch
            rows.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
        found[name] = rows
        if len(rows) != store.rows or store.stack.count() != store.rows:
            counts = f"{store.stack.count()} by position, its count says {store.rows}"
            raise AssertionError(f"store {name!r} holds {len(rows)} records, {counts}")
    return found


def counted(engine: Engine) -> int:
    """Return which commit of its script a database is at."""
    try:
        work = engine.begin("read")
        entry = work.store(COUNTER).get(SCHEMA.encode_key((0,)))
    except StoreNotFound:
        return 0
    return 0 if entry is None or entry.row is None else int(entry.row[1])


def verify(machine: Machine, script: Script, ledger: Ledger, engine: Engine | None = None) -> tuple[Script, Ledger]:
    """Look at what a crash has left: it must hold what the last acknowledged commit left, or the one in flight, be sound, and go on.

    ``engine`` is one that survived; without it a new one is opened, and closed again. Returns the script with the commit that was made
    to see that it goes on, and what is known now.
    """
    used = engine or machine.open()
    number = _sound(used, script, ledger)
    try:
        made = _one_more(used, script, number)
    except Conflict:  # a writer finds whole what no reader may act on before: the commit in flight
        now = _sound(used, script, ledger)
        if now == number:
            raise
        made = _one_more(used, script, now)
    if engine is None:
        used.close()
    return made


def _sound(engine: Engine, script: Script, ledger: Ledger) -> int:
    """Compare all that a database holds with the model; return which commit of its script it is at."""
    number = counted(engine)
    allowed = {ledger.acknowledged} if ledger.in_flight is None else {ledger.acknowledged, ledger.in_flight}
    if number not in allowed:
        raise AssertionError(f"the database is at commit {number} of its script; {sorted(allowed)} may be")
    model = script.models[number]
    _compare(contents(engine), model.stores, f"after commit {number}")
    for tag, tagged in model.tags.items():
        _compare(_contents(engine.at(tag=tag)), tagged.stores, f"at tag {tag!r}")
    report = engine.check()
    if not report.ok:
        raise AssertionError(repr(report))
    return number


def _one_more(engine: Engine, script: Script, number: int) -> tuple[Script, Ledger]:
    branch, now = script.branch(), Ledger(number)
    branch.commit(engine, (lambda both: None) if number else _create_counter, now)
    if counted(engine) != number + 1:
        raise AssertionError("the commit after the crash is not there")
    return branch, now


def _compare(found: Stores, wanted: Stores, when: str) -> None:
    if found != wanted:
        stores = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        told = "; ".join(f"{name!r}: {found.get(name)} instead of {wanted.get(name)}" for name in stores)
        raise AssertionError(f"{when}: {told}")
