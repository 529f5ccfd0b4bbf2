"""The commits of a database, as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import overload

from sopnb import display


@dataclass(frozen=True, slots=True)
class Changes:
    """How many records of one store a commit inserted, updated and deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        told = [f"{n:,} {what}" for n, what in ((self.inserted, "inserted"), (self.updated, "updated"), (self.deleted, "deleted")) if n]
        return ", ".join(told) or "nothing"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: its number, when and by whom it was made (``time`` in UTC), its id, and what it did to each store by name.

    A store that is dropped by now goes by its number.
    """

    seq: int
    time: datetime = field(repr=False)
    txid: str = field(repr=False)
    author: str
    message: str
    stores: dict[str, Changes]


class Log(Sequence[Commit]):
    """Commits, the oldest first. Folds and other upkeep are not among them."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self._commits = tuple(commits)

    @overload
    def __getitem__(self, index: int) -> Commit: ...
    @overload
    def __getitem__(self, index: slice) -> Log: ...
    def __getitem__(self, index: int | slice) -> Commit | Log:
        return Log(self._commits[index]) if isinstance(index, slice) else self._commits[index]

    def __len__(self) -> int:
        return len(self._commits)

    def _panel(self) -> display.Panel:
        shown = self._commits[-display.MOST_LINES :]
        columns = (display.Column("commit", right=True), display.Column("author"), display.Column("message"), display.Column("changes"))
        rows = tuple(
            (
                str(commit.seq),
                display.clean(commit.author),
                display.clean(commit.message),
                display.clean("; ".join(f"{name}: {changes}" for name, changes in commit.stores.items())),
            )
            for commit in shown
        )
        older = len(self) - len(shown)
        facts = (f"{len(self):,} commits" if len(self) != 1 else "1 commit",)
        return display.Panel("Log", "", facts, columns if rows else (), rows, f"{older:,} older" if older else "")

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)
