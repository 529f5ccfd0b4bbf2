"""The commits of a database, as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import overload

from sopnb import display
from sopnb.engine.engine import CommitInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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

    Stores go by the name they have now; those dropped by now by the last name they had. ``notes`` says in words which stores the commit
    created, dropped or renamed, and which tags it set or took away.
    """

    seq: int
    time: datetime = field(repr=False)
    txid: str = field(repr=False)
    author: str
    message: str
    stores: dict[str, Changes]
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """All that it did, in one line of words."""
        return "; ".join((*self.notes, *(f"{name}: {changes}" for name, changes in self.stores.items())))


def commits(infos: Sequence[CommitInfo], names: Mapping[int, str]) -> list[Commit]:
    """Return commits for people; ``names`` are those of the stores that there are now, by id."""
    last = {id: name for info in infos for _, id, name in info.catalogue}
    known = {**last, **names}
    return [
        Commit(
            info.seq,
            EPOCH + timedelta(microseconds=info.time),
            info.txid,
            info.author,
            info.message,
            {known.get(id, f"#{id:x}"): Changes(*counts) for id, counts in info.stores.items()},
            (*(_catalogued(*change) for change in info.catalogue), *(_tagged(*tag) for tag in info.tags)),
        )
        for info in infos
    ]


def _catalogued(kind: str, id: int, name: str) -> str:
    return f"renamed to {name}" if kind == "rename" else f"{'created' if kind == 'create' else 'dropped'} {name}"


def _tagged(name: str, seq: int) -> str:
    return f"tagged commit {seq:,} {name}" if seq else f"untagged {name}"


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
                display.clean(commit.told),
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
