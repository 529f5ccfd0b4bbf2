"""An operation on the disk fails, once or from then on: each commit is made, not made, or unknown until it is settled; then all goes on.

The workload runs with its n-th operation failing, whatever that is: a read, a write, a sync, a name. A commit that raised
``StorageError`` must not be there; one that raised ``CommitUnknown`` is what ``outcome`` says. The same engine goes on once the disk is
well again, and in the end nothing is left over: no descriptor, no temporary file, no blob that nobody needs.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from sopnb.engine.engine import Engine
from sopnb.errors import CommitUnknown, NoSpace, SopError, StorageError
from sopnb.testing.crash import PATH, Both, Change, Draws, Ledger, Machine, Script, Upkeep, contents, counted, recover, verify
from sopnb.testing.disk import Fault, File, Folder, Step

ROWS = {k: f"value {k}" for k in range(24)}
NEVER_FAIL = {"close", "unlock"}
"""Whatever these answer, what they do is done."""


def _beginning(both: Both) -> None:
    both.create("s")
    both.load("s", ROWS)


STEPS: list[Change | tuple[Upkeep]] = [
    *[lambda both, k=k: both.put("s", {k: "row" * 60}) for k in range(6)],  # type: ignore[misc]
    lambda both: both.load("s", {k: "again" for k in range(20)}),
    (lambda engine: engine.upkeep.fold(),),
    lambda both: both.tag("before"),
    lambda both: both.put("s", {3: "long " * 30}),
    (lambda engine: engine.upkeep.compact(keep=0),),
    lambda both: both.create("t"),
    lambda both: both.delete("s", range(5, 9)),
]


class Sick:
    """Lets the n-th operation of one process fail, and the following ones too if ``lasting``, until ``heal``."""

    def __init__(self, machine: Machine, process: str, n: int, number: int, *, lasting: bool) -> None:
        self._machine, self._process, self._n, self._errno, self._lasting = machine, process, n, number, lasting
        self.failed: Step | None = None
        self.count = 0
        machine.disk.before = self._before

    def _before(self, step: Step) -> Fault | None:
        if step.process != self._process or step.name in NEVER_FAIL:
            return None
        self.count += 1
        if self.count == self._n or (self._lasting and self.count > self._n):
            self.failed = self.failed or step
            return Fault("error", self._errno)
        return None

    def heal(self) -> None:
        self._machine.disk.before = lambda step: None


def attempted(engine: Engine, script: Script, step: Change | tuple[Upkeep], ledger: Ledger, heal: Callable[[], None]) -> SopError | None:
    """Do one step; what it raised must be right about what became of it."""
    try:
        if isinstance(step, tuple):
            step[0](engine)
        else:
            script.commit(engine, step, ledger)
        return None
    except CommitUnknown as unknown:
        heal()
        if engine.outcome(unknown.txid) == "committed" and not isinstance(step, tuple):
            ledger.acknowledged += 1
        error: SopError = unknown
    except StorageError as failure:  # it is sure that nothing was written
        error = failure
    ledger.in_flight = None
    return error


def run(n: int, number: int, *, lasting: bool, seed: int) -> tuple[Sick, list[SopError]]:
    """Run the workload with operation n failing and verify what comes of it."""
    machine, ledger, script = Machine(seed=seed), Ledger(), Script(_beginning)
    script.run(machine, ledger).close()
    machine.disk.choose = Draws(seed)
    files = machine.process()
    engine = machine.open(files)
    sick = Sick(machine, files.name, n, number, lasting=lasting)
    errors = []
    for step in STEPS:
        machine.clock.sleep(1)
        error = attempted(engine, script, step, ledger, sick.heal)
        if error is not None:
            errors.append(error)
            if len(errors) == 3:
                sick.heal()
    sick.heal()
    assert counted(engine) == ledger.acknowledged, "the same engine sees something else than was answered"
    assert contents(engine) == script.models[ledger.acknowledged].stores
    script.commit(engine, lambda both: None, ledger)
    engine.upkeep.compact(keep=0)
    engine.close()
    assert files.descriptors == 0
    verify(machine, script, ledger)
    if lasting or (sick.failed and sick.failed.name == "unlink"):
        # it could not even remove its drafts of the log; the next boot does, if it can see that it is one
        machine.disk.file(PATH / "log" / "head").sync()
        machine.cut_power(Draws(0, bias=1))
        recover(machine)
    assert left_over(machine) == []
    return sick, errors


def left_over(machine: Machine) -> list[str]:
    """Return temporary files, pins of the dead, and blobs that the newest state neither needs nor keeps for a tag."""
    engine = machine.open()
    engine.upkeep.compact(keep=0)
    state = engine.state()
    blobs = [name for name, _ in engine.backend.blobs.names() if name not in state.live and name not in state.dropped]
    engine.close()
    names = _names(machine.disk.folder(PATH), PATH)
    return [str(name) for name in names if name.suffix == ".tmp" or name.parent.name == "pins"] + blobs


def _names(folder: Folder, path: Path) -> list[Path]:
    found = []
    for name, entry in folder.cache.items():
        found += [path / name] if isinstance(entry, File) else _names(entry, path / name)
    return found


def operations() -> int:
    """Return how many operations the workload makes when all is well."""
    sick, errors = run(0, errno.EIO, lasting=False, seed=0)
    assert not errors
    return sick.count


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=["EIO", "ENOSPC", "EROFS"])
def test_whatever_operation_fails_the_answers_are_right_and_the_database_goes_on(
    number: int, lasting: bool, request: pytest.FixtureRequest
) -> None:
    every = 1 if request.config.getoption("--long") else 9
    raised = 0
    for n in range(1 + (number + lasting) % every, operations() + 1, every):
        try:
            _, errors = run(n, number, lasting=lasting, seed=n)
        except BaseException as error:
            error.add_note(f"operation {n} failed with {errno.errorcode[number]}, lasting={lasting}; seed {n}")
            raise
        raised += bool(errors)
        if number == errno.ENOSPC:
            assert all(isinstance(error, NoSpace | CommitUnknown) for error in errors), errors
    assert raised
