"""Where contenders meet: the same data, loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tests.benchmarks.data import changed, chosen, in_order, keys_of, trades
from tests.benchmarks.measure import Times, race
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import Sqlite

UPSERTS = 10_000
"""Rows of a middling change of a million."""


class Arena:
    """A folder of its own, ``rows`` trades, and the contenders that hold them.

    ``rounds`` says how often to run what takes long, ``nbytes`` how much a workload loads that is measured by bytes (0: by the rows).
    """

    def __init__(self, folder: Path, rows: int, rounds: int = 7, nbytes: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rows, self.rounds, self.nbytes = folder, rows, rounds, nbytes

    @cached_property
    def table(self) -> pa.Table:
        """The trades, in no order."""
        return trades(self.rows)

    @cached_property
    def ordered(self) -> pa.Table:
        """The trades in the order of their key."""
        return in_order(self.table)

    @cached_property
    def ours(self) -> Ours:
        ours = Ours(self.folder)
        ours.load(self.table)
        return ours

    @cached_property
    def sqlite(self) -> Sqlite:
        sqlite = Sqlite(self.folder)
        sqlite.load(self.ordered)
        return sqlite

    @property
    def share(self) -> int:
        """As many rows of this arena as ``UPSERTS`` are of a million."""
        return max(self.rows * UPSERTS // 1_000_000, 10)

    @property
    def commits(self) -> int:
        """How many commits of one record are measured."""
        return min(max(self.rows // 1000, 4), 1000)

    def keys(self, count: int, *, seed: int) -> list[tuple[Any, ...]]:
        """Return random keys."""
        return keys_of(chosen(self.table, count, seed=seed))

    def changes(self) -> Iterator[pa.Table]:
        """Yield one middling change after another: other rows, other values."""
        for seed in range(100, 10_000):
            yield changed(chosen(self.table, self.share, seed=seed), seed=seed)

    def race(
        self, *, rounds: int | None = None, each: int = 1, before: Callable[[], object] | None = None, **runs: Any
    ) -> dict[str, Times]:
        """Run the contenders in turns."""
        return race(self.rounds if rounds is None else rounds, each=each, before=before, **runs)

    def close(self) -> None:
        """Close the contenders that were opened."""
        for name in ("ours", "sqlite"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()


def agree(ours: Any, theirs: Any) -> None:
    """Fail unless both contenders say the same."""
    if isinstance(ours, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
    else:
        assert ours == theirs
