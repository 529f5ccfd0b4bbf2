"""What reading a selection does, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a selection is read. ``found``, ``leaves`` and ``branches`` are None unless it was run.

    ``keys`` tells the key range, ``columns`` are those that are read, ``in_range`` and ``in_store`` count records, ``layers`` says how
    many layers are merged: the base, the runs and the tail.
    """

    store: str
    keys: tuple[str, ...]
    condition: str | None
    columns: tuple[str, ...]
    reverse: bool
    in_range: int
    in_store: int
    layers: int
    found: int | None
    leaves: int | None
    branches: int | None

    def __repr__(self) -> str:
        lines = [
            f"selection of store {self.store!r}",
            f"  keys       {'; '.join(self.keys) or 'all'}: {self.in_range:,} of {self.in_store:,} records",
            f"  condition  {self.condition or 'none'}",
            f"  columns    {', '.join(self.columns)}",
            f"  order      {'reversed' if self.reverse else 'of the index'}, {self.layers} layers merged",
        ]
        if self.found is not None:
            lines.append(f"  run        {self.found:,} records found, {self.leaves:,} leaves and {self.branches:,} branches used")
        return "\n".join(lines)
