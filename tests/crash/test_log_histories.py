"""The local log through random histories: three processes at once, readers, kills, failed syncs, power cuts, damage. A seed replays one."""

from __future__ import annotations

import pytest

from tests.crash.log_history import History

SEEDS = 16


@pytest.fixture
def many(request: pytest.FixtureRequest) -> int:
    """How many histories of each seed."""
    return 300 if request.config.getoption("--long") else 3


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_promised_is_broken_by_crashes(seed: int, many: int) -> None:
    for number in range(many):
        assert History(("crash", seed, number)).run(1200), f"history {seed}, {number}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_damage_is_never_cut_silently(seed: int, many: int) -> None:
    for number in range(many):
        History(("flip", seed, number), flips=True).run(1200)
