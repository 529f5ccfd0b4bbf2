"""Which past stays readable, and which blobs may go.

The horizon is the seq of a checkpoint: states from it on stay readable, and tagged states. It moves forward by age, and sooner when the
dropped blobs take too much space. Collection follows one order: the ``collect`` record is durable, then the pins are read, then blobs
are deleted, then a record says which are gone. So a reader that pins and then reads the registry again either sees the record, and starts
again if its state lies before the horizon, or is seen by the collector.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sopnb.engine.state import Dropped, State
from sopnb.protocols import Pin
from sopnb.settings import DatabaseSettings


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkpoint: its seq, and the time of its commit in microseconds since 1970 UTC."""

    seq: int
    time: int


def horizon(state: State, marks: Iterable[Mark], now: int, settings: DatabaseSettings, keep: float | None = None) -> int:
    """Return the seq from which on states shall stay readable: that of the newest checkpoint old enough, never before today's.

    ``keep`` (seconds) stands for the retention of the settings; then their limit in bytes does not count.
    """
    age = settings.retention_seconds if keep is None else keep
    ordered = sorted({mark.seq: mark for mark in marks if mark.seq >= state.horizon}.values(), key=lambda mark: mark.seq)
    chosen = state.horizon
    for mark in ordered:
        if mark.time <= now - int(age * 1e6):
            chosen = max(chosen, mark.seq)
    if keep is None:
        most = max(settings.retention_bytes, sum(live.size for live in state.live.values()))
        for mark in ordered:
            past = sum(other.seq > chosen for other in ordered) - 1  # between two checkpoints lies at least so much of the log
            if _kept_bytes(state, chosen) + past * settings.log_bytes <= most:
                break
            chosen = max(chosen, mark.seq)
    return chosen


def _kept_bytes(state: State, horizon: int) -> int:
    return sum(said.size for said in state.dropped.values() if said.dropped > horizon)


def needed(said: Dropped, horizon: int, tags: Collection[int], pins: Sequence[Pin]) -> bool:
    """Say whether a blob that the newest state dropped is still needed: by a state from the horizon on, a tagged one or a reader's."""
    if said.dropped > horizon:
        return True
    if any(said.born < tag < said.dropped for tag in tags):
        return True
    return any(said.dropped > pin.seq for pin in pins)


def droppable(state: State, horizon: int, pins: Sequence[Pin]) -> list[str]:
    """Return the dropped blobs that nobody needs."""
    tags = set(state.tags.values())
    return sorted(blob for blob, said in state.dropped.items() if not needed(said, horizon, tags, pins))
