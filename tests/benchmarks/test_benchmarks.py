"""Every workload runs on a little data, and the contenders agree; how long it takes is not judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.__main__ import WORKLOADS
from tests.benchmarks.arena import Arena
from tests.benchmarks.measure import Times, against, figure, race, table, within


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_runs_and_the_contenders_agree(name: str, tmp_path: Path) -> None:
    arena = Arena(tmp_path / name, 2000, rounds=1)
    lines = WORKLOADS[name](arena)
    arena.close()
    assert lines
    assert len(table(lines).splitlines()) == 2 + len(lines)


def test_contenders_run_in_turns_and_the_table_tells_who_won() -> None:
    ran: list[str] = []
    times = race(2, ours=lambda: ran.append("ours"), peer=lambda: ran.append("peer"))
    assert ran == ["ours", "peer", "peer", "ours"]
    assert all(len(each.seconds) == 2 for each in times.values())
    made = {"ours": Times([1.0, 2.0, 3.0]), "peer": Times([6.0, 6.0, 6.0])}
    lines = [*against("work", made, {"peer": 4, "absent": 2}), within("work", made["ours"], 3.0), figure("size", 7, "MiB", 5)]
    told = table(lines).splitlines()[2:]
    assert "3.00x / 6.00x" in told[0]
    assert "MISSED" in told[0]
    assert "not installed" in told[1]
    assert told[2].endswith("met")
    assert told[3].endswith("MISSED")
