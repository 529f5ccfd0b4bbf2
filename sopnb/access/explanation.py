"""What reading a selection does, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a selection is read. ``found``, ``leaves``, ``leaves_skipped`` and ``branches`` are None unless it was run.

    ``keys`` tells the key range, ``pushed`` what of the condition is decided before records are read (by key fields it narrows the range
    further, by the bounds of columns leaves are skipped), ``judged`` how the records that are read are judged: many at once, or, where only
    an engine for CEL can, record by record; ``columns`` are those that are read, ``in_range`` and ``in_store`` count records, ``layers``
    says how many layers are merged: the base, the runs and the tail. ``narrower`` is None, or the secondary index of which the condition
    leaves far fewer records to read, in its order, and how many.
    """

    store: str
    keys: tuple[str, ...]
    condition: str | None
    pushed: tuple[str, ...]
    judged: tuple[str, ...]
    narrower: tuple[str, int] | None
    columns: tuple[str, ...]
    reverse: bool
    in_range: int
    in_store: int
    layers: int
    found: int | None
    leaves: int | None
    leaves_skipped: int | None
    branches: int | None

    def __repr__(self) -> str:
        lines = [
            f"selection of store {self.store!r}",
            f"  keys       {'; '.join(self.keys) or 'all'}: {self.in_range:,} of {self.in_store:,} records",
            f"  condition  {self.condition or 'none'}",
            *([f"  pushed     {'; '.join(self.pushed) or 'nothing'}"] if self.condition else []),
            *(f"  judged     {how}" for how in self.judged),
            *([] if self.narrower is None else [self._narrower(*self.narrower)]),
            f"  columns    {', '.join(self.columns)}",
            f"  order      {'reversed' if self.reverse else 'of the index'}, {self.layers} layers merged",
        ]
        if self.found is not None:
            skipped = f" ({self.leaves_skipped:,} skipped)" if self.condition else ""
            lines.append(f"  run        {self.found:,} records found, {self.leaves:,} leaves{skipped} and {self.branches:,} branches used")
        return "\n".join(lines)

    @staticmethod
    def _narrower(index: str, rows: int) -> str:
        return f"  narrower   {rows:,} records by index {index!r}, in its order: store.by({index!r}).where(...), or store.find(...)"
