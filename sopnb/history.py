"""The commits of a database, as people read them: a frame of one row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from sopnb.engine.engine import CommitInfo

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


def log_frame(infos: Sequence[CommitInfo], names: Mapping[int, str], *, store: str | None = None, limit: int | None = None) -> Any:
    """Return commits as a frame, oldest first; ``names`` are those of the stores that there are now, by id.

    Stores go by the name they have now, those dropped by now by the last name they had. Those that never had one are the engine's own
    and are left out. ``store`` leaves out the commits that did nothing to stores of this name, and counts what they did to others not.
    """
    last = {id: name for info in infos for _, id, name in info.catalogue if name}
    known = {**last, **names}
    chosen = set(known) if store is None else {id for id, name in known.items() if name == store}
    columns: list[list[Any]] = [[] for _ in _COLUMNS]
    for info in reversed(infos) if limit is not None else infos:
        if limit is not None and len(columns[0]) >= limit:
            break
        told = _told(info, known, chosen, tags=store is None)
        if told is not None:
            for column, value in zip(columns, told, strict=True):
                column.append(value)
    if limit is not None:
        columns = [column[::-1] for column in columns]
    return pa.table(columns, schema=_COLUMNS).to_pandas()


def _told(info: CommitInfo, known: Mapping[int, str], chosen: set[int], *, tags: bool) -> tuple[Any, ...] | None:
    """Return a line of the log; None for a commit that did nothing to the stores chosen."""
    counts = {id: did for id, did in info.stores.items() if id in chosen}
    notes = [_catalogued(kind, name) for kind, id, name in info.catalogue if name and id in chosen and kind != "replace"]
    notes += [
        f"{'dropped' if kind == 'drop' else 'created'} index {name} of {known[id]}" for kind, id, name in info.indexes if id in chosen
    ]
    if tags:
        notes += [f"tagged commit {seq:,} {name}" if seq else f"untagged {name}" for name, seq in info.tags]
    if not (counts or notes):
        return None
    touched = [id for _, id, name in (*info.catalogue, *info.indexes) if name and id in chosen]
    stores = sorted({known[id] for id in (*counts, *touched)})
    sums = [sum(did[i] for did in counts.values()) for i in range(3)]
    return info.seq, info.time, info.author, info.message, ", ".join(stores), *sums, "; ".join(notes), info.txid


def _catalogued(kind: str, name: str) -> str:
    words = {"create": "created", "drop": "dropped", "rename": "renamed to", "alter": "altered"}
    return f"{words.get(kind, 'changed')} {name}"
