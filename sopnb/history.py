"""The commits of a database, as people read them: a frame of one row for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from sopnb.engine.engine import CommitInfo
from sopnb.engine.past import visible
from sopnb.engine.state import State

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = pa.schema(
    [
        ("seq", pa.int64()),
        ("time", pa.timestamp("us", "UTC")),
        ("author", pa.string()),
        ("message", pa.string()),
        ("stores", pa.string()),
        ("inserted", pa.int64()),
        ("updated", pa.int64()),
        ("deleted", pa.int64()),
        ("notes", pa.string()),
        ("txid", pa.string()),
    ]
)


def log_frame(infos: Sequence[CommitInfo], state: State, *, store: str | None = None, limit: int | None = None) -> Any:
    """Return commits as a frame, oldest first; ``state`` is the newest one.

    Stores go by the name they have now, those dropped by now by the last name they had. Those that have none are the engine's own and are
    left out. ``store`` leaves out the commits that did nothing to stores of this name, and counts what they did to others not.
    """
    names = _Names(infos, state)
    chosen = set(names.known) if store is None else {id for id, name in names.known.items() if name == store}
    columns: list[list[Any]] = [[] for _ in _COLUMNS]
    for info in reversed(infos) if limit is not None else infos:
        if limit is not None and len(columns[0]) >= limit:
            break
        told = _told(info, names, chosen, tags=store is None)
        if told is not None:
            for column, value in zip(columns, told, strict=True):
                column.append(value)
    if limit is not None:
        columns = [column[::-1] for column in columns]
    return pa.table(columns, schema=_COLUMNS).to_pandas()


class _Names:
    """What the stores of a log are called: ``known`` by id, ``since`` the commit with which one took the place of another."""

    def __init__(self, infos: Sequence[CommitInfo], state: State) -> None:
        self.known = {id: name for info in infos for _, id, name in info.catalogue} | visible(state)
        self.since = {id: info.seq for info in infos for kind, id, _, _ in info.steps if kind == "replace"}
        for info in reversed(infos):
            for kind, id, of, _ in info.steps:
                if kind == "replace" and id in self.known:
                    self.known[of] = self.known[id]

    def step(self, kind: str, of: int, index: str) -> str:
        """Return what became of an index, or of a store that was altered, in words."""
        return f"{'dropped' if kind == 'drop' else 'created'} index {index} of {self.known[of]}" if index else f"altered {self.known[of]}"


def _told(info: CommitInfo, names: _Names, chosen: set[int], *, tags: bool) -> tuple[Any, ...] | None:
    """Return a line of the log; None for a commit that did nothing to the stores chosen."""
    counts = {id: did for id, did in info.stores.items() if id in chosen and names.since.get(id, 0) <= info.seq}
    catalogue = [(kind, id, name) for kind, id, name in info.catalogue if id in chosen]
    steps = [step for step in info.steps if step[2] in chosen]
    notes = [*(_catalogued(kind, name) for kind, _, name in catalogue), *(names.step(kind, of, index) for kind, _, of, index in steps)]
    if tags:
        notes += [f"tagged commit {seq:,} {name}" if seq else f"untagged {name}" for name, seq in info.tags]
    if not (counts or notes):
        return None
    stores = sorted({names.known[id] for id in (*counts, *(id for _, id, _ in catalogue), *(of for _, _, of, _ in steps))})
    sums = [sum(did[i] for did in counts.values()) for i in range(3)]
    return info.seq, info.time, info.author, info.message, ", ".join(stores), *sums, "; ".join(notes), info.txid


def _catalogued(kind: str, name: str) -> str:
    words = {"create": "created", "drop": "dropped", "rename": "renamed to"}
    return f"{words.get(kind, 'changed')} {name}"
