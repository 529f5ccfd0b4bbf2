"""One pending change of one record: what it was made on, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sopnb.engine.same import same_row
from sopnb.schema import Schema

Kind = Literal["insert", "update", "delete"]
Row = tuple[Any, ...]


@dataclass
class Theirs:
    """What others made of a record since: its row and commit, None and 0 if it is gone. ``reason`` says what else is in the way."""

    row: Row | None
    seq: int
    reason: str = ""


@dataclass
class Change:
    """A change that waits to be committed. ``old`` is the row that it was made on, None of a new record; ``new`` the row to be, or None.

    Rows are whole and of storage values. ``seq`` is the commit that wrote ``old``, 0 for a new record. With ``theirs`` it is stale.
    """

    id: int
    store: str
    layout: tuple[int, int]
    """The number of the store and of its layout: another one is another store."""
    schema: Schema
    key: bytes
    seq: int
    old: Row | None
    new: Row | None
    theirs: Theirs | None = field(default=None)

    @property
    def kind(self) -> Kind:
        """What it does."""
        return "insert" if self.old is None else "delete" if self.new is None else "update"

    @property
    def stale(self) -> bool:
        """Whether others changed the record since."""
        return self.theirs is not None

    @property
    def shown(self) -> str:
        """The state of its row on the screen."""
        return "stale" if self.stale else {"insert": "new", "update": "edited", "delete": "deleted"}[self.kind]

    @property
    def columns(self) -> list[str]:
        """The columns that it changes, of those that people see."""
        return self._differing(self.new)

    @property
    def touched(self) -> list[str]:
        """The columns that it changes, or that others changed since."""
        both = {*(self.columns if self.kind == "update" else ()), *self._differing(None if self.theirs is None else self.theirs.row)}
        return [name for name in self.schema.names if name in both]

    def _differing(self, new: Row | None) -> list[str]:
        """Return the columns in which a row differs from the one that the change was made on."""
        old = self.old
        if old is None or new is None:
            return list(self.schema.names)
        return [name for at, name in enumerate(self.schema.names) if not same_row(old[at : at + 1], new[at : at + 1])]

    @property
    def edited(self) -> list[str]:
        """The columns of its row that are marked on the screen."""
        return self.columns if self.kind == "update" else []

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return same_row(self.old, self.new) if self.old is not None and self.new is not None else self.old is self.new
