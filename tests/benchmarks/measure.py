"""Running contenders in turns, and telling what came of it."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Times:
    """How long something took, in seconds for one operation."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    def __str__(self) -> str:
        return f"{told(self.median)} / {told(self.least)}"


@dataclass(frozen=True)
class Line:
    """One line of the table: what was measured, ours (or a figure that is no time), a peer's (None: not installed) and the goal.

    ``ratio`` is by how much ours is the quicker; ``met`` says whether the goal is, None where there is none.
    """

    what: str
    ours: Times | str
    peer: str = ""
    theirs: Times | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None or isinstance(self.ours, str) else self.theirs.median / self.ours.median

    @property
    def ratios(self) -> str:
        """The ratio of the medians and that of the least: where they are far apart the machine was busy with something else."""
        if self.ratio is None or self.theirs is None or isinstance(self.ours, str):
            return ""
        return f"{self.ratio:.2f}x / {self.theirs.least / self.ours.least:.2f}x"


def race(rounds: int, *, each: int = 1, before: Callable[[], object] | None = None, **runs: Callable[[], object]) -> dict[str, Times]:
    """Call every run once a round, each round beginning with another one; ``each`` is how many operations a call makes."""
    times = {name: Times() for name in runs}
    names = list(runs)
    gc.collect()  # once: before each run it would leave the processor's caches cold
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if before is not None:
                before()
            began = time.perf_counter()
            runs[name]()
            times[name].seconds.append((time.perf_counter() - began) / each)
    return times


def against(what: str, times: dict[str, Times], goals: dict[str, float | None], note: str = "") -> list[Line]:
    """Return a line for each peer in ``goals``, which says how many times as quick we are to be; None: no goal."""
    lines = []
    for peer, wanted in goals.items():
        theirs = times.get(peer)
        line = Line(what, times["ours"], peer, theirs, "" if wanted is None else f"{wanted:g}x", None, note)
        if wanted is not None and line.ratio is not None:
            line = Line(line.what, line.ours, peer, theirs, line.goal, line.ratio >= wanted, note)
        lines.append(line)
    return lines


def within(what: str, times: Times, limit: float, note: str = "") -> Line:
    """Return the line of something that is to take no longer than ``limit`` seconds; the least counts, as others use the machine too."""
    return Line(what, times, goal=f"< {told(limit)}", met=times.least < limit, note=note)


def figure(what: str, value: float, unit: str, most: float | None = None, note: str = "") -> Line:
    """Return the line of a figure that is no time, and is to be no more than ``most``."""
    goal, met = ("", None) if most is None else (f"<= {most:,.0f} {unit}".strip(), value <= most)
    return Line(what, f"{value:,.0f} {unit}".strip(), goal=goal, met=met, note=note)


def told(seconds: float) -> str:
    """Return a time for people.

    >>> told(0.0000123), told(0.25)
    ('12.3 us', '250 ms')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"


HEADINGS = ("workload", "ours (median / least)", "peer", "peer (median / least)", "ratio (median / least)", "goal", "")


def table(lines: Iterable[Line]) -> str:
    """Return lines as a table of text."""
    cells: list[Sequence[str]] = [HEADINGS]
    for line in lines:
        theirs = "not installed" if line.peer and line.theirs is None else str(line.theirs or "")
        met = {True: "met", False: "MISSED", None: ""}[line.met]
        cells.append((line.what, str(line.ours), line.peer, theirs, line.ratios, line.goal, "; ".join(filter(None, (met, line.note)))))
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    rows = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([rows[0], "-|-".join("-" * width for width in widths), *rows[1:]])
