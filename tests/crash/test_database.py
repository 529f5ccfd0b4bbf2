"""After a crash at any step the database holds what was acknowledged, or that and the commit in flight, whole, and goes on.

Each workload is a script (``sopnb.testing.crash``) in which every commit raises a counter. It runs once on a simulated disk; what a kill
or a power cut would leave is kept before each step that changes the disk. Then each of these machines is opened, compared with the
model and written to; and recovering them crashes at each of its own steps too.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from sopnb.engine.engine import Engine
from sopnb.engine.projection import Column, Projection, index_of
from sopnb.engine.state import State, StoreState
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from sopnb.testing.crash import SMALL, Both, Change, Draws, Ledger, Machine, Moment, Script, counted, moments, recover, verify
from sopnb.testing.disk import Fault, Killed, Step

ROWS = {k: f"value {k}" for k in range(24)}


LOAD_AGAIN: Change = lambda both: both.load("s", {k: "again" for k in ROWS})  # noqa: E731


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


def put(k: int, v: str = "small", store: str = "s") -> Change:
    return lambda both: both.put(store, {k: v})


def tag(name: str) -> Change:
    return lambda both: both.tag(name)


def untag(name: str) -> Change:
    return lambda both: both.untag(name)


def _catalogue(both: Both) -> None:
    both.create("t")
    both.load("t", ROWS)
    both.rename("s", "u")


def _swap(both: Both) -> None:
    both.drop("u")
    both.create("u")
    both.put("u", {1: "another store of this name"})


def _beginning(both: Both) -> None:
    both.create("s")
    both.load("s", ROWS)


FOLD, CHECKPOINT = (lambda engine: engine.upkeep.fold(),), (lambda engine: engine.upkeep.checkpoint(),)
COLLECT, COMPACT = (lambda engine: engine.upkeep.collect(keep=0),), (lambda engine: engine.upkeep.compact(keep=0),)


def _index(engine: Engine) -> None:
    """Build an index of the values, unless it is there already."""
    state = engine.state()
    if "by_v" not in state.indexes(state.names["s"]):
        wanted, owner = IndexSpecification.of("v", unique=False), engine.backend.pins.owner
        engine.builder.build(state.names["s"], lambda at, state: index_of(at.id, "by_v", at.schema, wanted, owner))


def _no_index(engine: Engine) -> None:
    state = engine.state()
    for index in state.indexes(state.names["s"]).values():
        engine.upkeep.end_projection(index)


def _turn_round(engine: Engine) -> None:
    """Give the store the same key in the other direction."""
    owner = engine.backend.pins.owner

    def turned(at: StoreState, state: State) -> Projection:
        (field,) = at.schema.specification.fields
        schema = Schema.of(at.schema.arrow, IndexSpecification((replace(field, descending=not field.descending),)))
        return Projection(at.id, "", "successor", schema, tuple(Column(name, name) for name in schema.physical.names), True, 1, owner)

    engine.builder.succeed(engine.state().names["s"], turned, lambda index: index)


INDEX, NO_INDEX, TURN_ROUND = (_index,), (_no_index,), (_turn_round,)
WORKLOADS = {
    "an index built, kept and dropped": [INDEX, put(2, "in it"), LOAD_AGAIN, FOLD, NO_INDEX],
    "another key": [INDEX, TURN_ROUND, put(2, "after it")],
    "small commits over several segments": [put(k, f"row {k}" * 10) for k in range(16)],
    "a bulk commit": [
        put(1),
        lambda both: both.load("s", {k: f"new {k}" for k in range(12, 40)}),
        put(2),
        lambda both: both.delete("s", range(3, 20)),
    ],
    "folds": [*[put(k) for k in range(4)], FOLD, LOAD_AGAIN, FOLD, put(5), FOLD],
    "checkpoints and the trimming of the log": [
        step for k in range(4) for step in (*[put(i, f"row {i}" * 10) for i in range(4)], CHECKPOINT, COLLECT)
    ],
    "collection": [LOAD_AGAIN, FOLD, CHECKPOINT, COLLECT, put(1), FOLD, CHECKPOINT, COLLECT],
    "stores created, renamed and dropped": [_catalogue, put(1, store="u"), _swap, CHECKPOINT, lambda both: both.drop("t")],
    "tags": [tag("before"), put(1), tag("after"), COMPACT, put(2), COMPACT, untag("before"), COMPACT],
    "compaction": [put(1), lambda both: both.delete("s", range(0, 24, 2)), COMPACT, put(2), COMPACT],
    "values out of line": [
        put(1, "long " * 30),
        lambda both: both.load("s", {2: "long " * 40, 3: "x"}),
        FOLD,
        put(1, "x"),
        COMPACT,
    ],
    "loads of several tables": [
        lambda both: both.loads("s", {k: f"new {k}" for k in range(0, 40, 2)}, {k: f"newer {k}" for k in range(0, 40, 3)}, {50: "last"}),
        put(1),
        lambda both: both.loads("s", {60: "in order"}, {k: "long " * 30 for k in range(61, 64)}),
        COMPACT,
    ],
    "values in pieces": [
        lambda both: both.value("s", 1, "one piece " * 20, "and another"),
        put(2),
        FOLD,
        lambda both: both.value("s", 1, "the next " * 20, "value"),
        COMPACT,
    ],
}


def recorded(name: str) -> tuple[Script, list[Moment]]:
    """Run a workload; its first two commits (the counter, and a store with some rows) are made before the crashes begin."""
    machine, ledger, workload = Machine(), Ledger(), Script(_beginning, *WORKLOADS[name])
    workload.run(machine, ledger, stop=2).close()
    found = moments(machine, lambda m, known: workload.run(m, known, start=2).close(), ledger)
    assert len(found) > 20
    return workload, found


def crashed(moment: Moment, seed: int, cuts: int) -> list[tuple[str, Machine]]:
    """Return some machines that a crash at a moment may leave, and what was done to each."""
    made = [("kill", moment.killed())]
    if moment.step.name == "pwrite":
        made.append((f"kill within the write, seed {seed}", moment.killed(Draws(seed))))
    made.append(("cut, nothing of the unsynced left", moment.cut(Draws(0, bias=0))))
    made.append(("cut, all of the unsynced left", moment.cut(Draws(0, bias=1))))
    made += [(f"cut, seed {seed + i}", moment.cut(Draws(seed + i))) for i in range(cuts)]
    return made


def checked(machine: Machine, workload: Script, ledger: Ledger, told: str, engine: Engine | None = None) -> tuple[Script, Ledger]:
    try:
        return verify(machine, workload, ledger, engine)
    except BaseException as error:
        error.add_note(told)
        raise


@pytest.mark.parametrize("name", WORKLOADS)
def test_after_a_crash_at_any_step_every_acknowledged_commit_is_there(name: str, long: bool) -> None:
    workload, found = recorded(name)
    for number, moment in enumerate(found):
        for what, machine in crashed(moment, 1000 * number, 50 if long else 1):
            checked(machine, workload, moment.ledger, f"{name!r}, {what}, before step {number}: {moment.step}")


def test_after_a_crash_in_its_creation_a_database_is_made_or_made_again(long: bool) -> None:
    workload = Script(_beginning)
    found = moments(Machine(), lambda machine, ledger: workload.run(machine, ledger).close())
    for number, moment in enumerate(found):
        for what, machine in crashed(moment, 1000 * number, 100 if long else 4):
            checked(machine, workload, moment.ledger, f"{what}, before step {number}: {moment.step}")


@pytest.mark.parametrize("name", WORKLOADS)
def test_recovery_may_crash_at_any_step_too(name: str, long: bool) -> None:
    workload, found = recorded(name)
    every = 1 if long else 12
    for number, moment in enumerate(found[::every]):
        for first, machine in crashed(moment, 1000 * number, 0)[1:]:
            again = moments(machine, recover, moment.ledger)
            for step, second in enumerate(again[:: 1 if long else 3]):
                what, last = crashed(second, step, 1)[-1 if step % 2 else 0]
                checked(last, workload, moment.ledger, f"{name!r}, {first}, before {moment.step}; then {what}, before {second.step}")


def test_with_records_padded_to_blocks_crashes_leave_the_same(long: bool) -> None:
    settings = dataclasses.replace(SMALL, pad_records=True, segment_bytes=16 * 1024, segment_limit=16 * 1024)
    workload = Script(_beginning, *[put(k) for k in range(4)], FOLD, put(5))
    found = moments(Machine(settings), lambda machine, ledger: workload.run(machine, ledger).close())
    for number, moment in enumerate(found):
        for what, machine in crashed(moment, number, 20 if long else 0):
            checked(machine, workload, moment.ledger, f"{what}, before step {number}: {moment.step}")


@pytest.mark.parametrize("name", ["small commits over several segments", "folds", "collection"])
def test_a_neighbour_goes_on_whatever_a_killed_process_was_doing(name: str, long: bool) -> None:
    killed = 0
    while True:
        machine, ledger, workload = Machine(seed=killed), Ledger(), Script(_beginning, *WORKLOADS[name])
        workload.run(machine, ledger, stop=2).close()
        neighbour = machine.open()
        assert counted(neighbour) == ledger.acknowledged
        machine.disk.choose = Draws(killed)
        _kill_at(machine, 1 + killed * (1 if long else 2))
        try:
            workload.run(machine, ledger, start=2).close()
            break
        except Killed:
            killed += 1
        machine.disk.before = lambda step: None
        told = f"{name!r}, kill {killed}"
        after, now = checked(machine, workload, ledger, f"{told}, by the neighbour", neighbour)
        checked(machine, after, now, f"{told}, by a newcomer, after the neighbour")
    assert killed > 20


def _kill_at(machine: Machine, n: int) -> None:
    """Kill whoever makes the n-th operation that changes the disk from now on, within it."""
    count = itertools.count(1)

    def before(step: Step) -> Fault | None:
        return Fault("kill") if step.changes and next(count) == n else None

    machine.disk.before = before


def test_what_a_crash_in_a_collection_leaves_is_named_and_is_no_damage() -> None:
    # The owner of a draft died and was fenced; before its draft went, power failed: check said that the database was not in order.
    machine, ledger, workload = Machine(), Ledger(), Script(_beginning)
    workload.run(machine, ledger).close()
    machine.disk.before = _at("sync", "blobs", Fault("kill"))
    with pytest.raises(Killed):
        workload.commit(machine.open(), LOAD_AGAIN, ledger)
    machine.disk.before = _at("unlink", "blobs", Fault("kill"))
    with pytest.raises(Killed):
        machine.open().upkeep.collect()
    machine.disk.before = lambda step: None
    engine = machine.open()
    report = engine.check()
    assert [problem.leftover for problem in report] == [True]
    assert report.ok
    engine.upkeep.collect()
    assert len(engine.check()) == 0


def _at(name: str, folder: str, fault: Fault) -> Callable[[Step], Fault | None]:
    return lambda step: fault if step.name == name and folder in step.path.parts else None
