"""What a write did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """The answer of every write: how many records were inserted, updated and so on, and the commit that holds them.

    ``missing`` counts keys to delete that were not there, ``rejected`` is None or a table of the rows that were refused with a
    ``_reason`` column, ``seq`` is 0 until the write is committed (or when it changed nothing).

    >>> Counts(inserted=2) + Counts(deleted=1)
    Counts(inserted=2, updated=0, unchanged=0, deleted=1, missing=0, seq=0)
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    missing: int = 0
    rejected: Any = field(default=None, repr=False)
    seq: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum of two answers; the later one's rejected rows and seq win."""
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.deleted + other.deleted,
            self.missing + other.missing,
            other.rejected if other.rejected is not None else self.rejected,
            other.seq or self.seq,
        )

    def at(self, seq: int) -> Counts:
        """Return this answer with the commit that holds it."""
        return Counts(self.inserted, self.updated, self.unchanged, self.deleted, self.missing, self.rejected, seq)
