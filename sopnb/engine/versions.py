"""One record through time: its versions, as far back as the past is kept.

Only commits that wrote to the store are decoded, of their runs only those between whose first and last key the record may lie, and no
state is made but the oldest one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sopnb.engine.entries import Entries
from sopnb.engine.past import Ancestor, Stretch, change_of, differs, visible
from sopnb.engine.record import DELETE, decode
from sopnb.engine.state import State
from sopnb.errors import HistoryGone, Trimmed
from sopnb.protocols import Commit
from sopnb.schema import Schema

if TYPE_CHECKING:
    from sopnb.engine.engine import Engine

Kind = Literal["insert", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Version:
    """What one commit made of a record: ``record`` is one row as it was then, of a deletion the row that was deleted.

    ``kind`` is None for the version that was there when the kept past begins: what stood before it is not known. ``made`` is None where
    the record of the commit itself is gone.
    """

    seq: int
    kind: Kind | None
    record: Entries
    made: tuple[Commit, str, str] | None
    """The commit, its author and its message."""


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of one record that are known, oldest first, in the schema that its store has now; none is missing after ``since``."""

    schema: Schema
    since: int
    versions: tuple[Version, ...]


def versions(engine: Engine, state: State, id: int, key: bytes) -> Versions:
    """Return the versions of a record up to a state, through other names of its store, and through those dropped before it of its name."""
    stretch, schema = _kept(engine, state), state.store(id).schema
    while True:
        line = stretch.lineage(id)
        known = next((at for at, each in enumerate(line) if each.fault is not None), len(line))
        since = line[known - 1].since if known < len(line) else stretch.since.seq
        if known == len(line) or not line[known - 1].moved:
            return Versions(schema, since, tuple(_History(engine, stretch, line[:known], schema, key).versions()))
        stretch = Stretch.after(engine, since, state)  # it begins with the records that it took over


def _kept(engine: Engine, state: State) -> Stretch:
    """Return all commits up to a state whose states before them are kept; none for a tagged state that lies before all those."""
    while True:
        horizon = engine.state().horizon
        if state.seq <= horizon:
            return Stretch(engine, state, state)
        try:
            return Stretch.after(engine, horizon, state)
        except HistoryGone:
            if engine.state().horizon == horizon:
                raise


class _History:
    """Follows one record through a stretch of commits."""

    def __init__(self, engine: Engine, stretch: Stretch, line: Sequence[Ancestor], schema: Schema, key: bytes) -> None:
        self._engine, self._stretch, self._schema, self._key = engine, stretch, schema, key
        self._line = {ancestor.id: ancestor for ancestor in line}

    def versions(self) -> Iterator[Version]:
        """Yield the versions, oldest first."""
        record = self._first()
        if record is not None:
            yield Version(int(record.seqs[0]), None, record, self._made(int(record.seqs[0])))
        for commit, payload in self._stretch.commits():
            before, told = record, False
            for change in payload.catalogue:
                if change.kind == "drop" and self._follows(change.store, commit.seq):
                    record = None
            for written in payload.changes:
                if not self._follows(written.store, commit.seq):
                    continue
                entry = change_of(written, commit.seq, self._key, self._line[written.store].schema, self._engine)
                if entry is not None:
                    told = not payload.catalogue
                    record = None if entry.op == DELETE or entry.row is None else self._row(written.store, entry.row, commit.seq)
            kind = _kind(before, record, told or (record is not before and self._differ(before, record)))
            shown = before if record is None else record
            if kind is not None and shown is not None:
                yield Version(commit.seq, kind, shown, (commit, payload.author, payload.message))

    def _follows(self, id: int, seq: int) -> bool:
        return id in self._line and self._line[id].since <= seq <= self._line[id].until

    def _first(self) -> Entries | None:
        """Return the record as the oldest state has it."""
        for id in self._line:
            if id in visible(self._stretch.since):
                entry = self._stretch.since.store(id).stack.get(self._key)
                if entry is not None and entry.row is not None:
                    return self._row(id, entry.row, entry.seq)
        return None

    def _row(self, id: int, row: tuple[Any, ...], seq: int) -> Entries:
        ancestor = self._line[id]
        return ancestor.fit(Entries(ancestor.schema.batch([row]), seq=seq))

    def _differ(self, before: Entries | None, after: Entries | None) -> bool:
        return before is None or after is None or bool(differs(after, before, self._schema)[0])

    def _made(self, seq: int) -> tuple[Commit, str, str] | None:
        """Return the commit that wrote what the oldest state has, if its record is still there."""
        try:
            commit = self._engine.backend.registry.read(seq - 1, seq)[0]
        except Trimmed:
            return None
        payload = decode(commit.payload)
        return commit, payload.author, payload.message


def _kind(before: Entries | None, after: Entries | None, changed: bool) -> Kind | None:
    """Return what became of a record, None if nothing."""
    if before is None:
        return None if after is None else "insert"
    if after is None:
        return "delete"
    return "update" if changed else None
