"""Changes that wait to be committed, and the transaction that shows them.

The changes are the truth, one for each record; the transaction only shows them, over the newest state, so that positions, counts, orders
and searches are right with them. When others have committed, it is begun anew and the changes are made again, one by one; one whose
record is of another commit by now is stale: it is kept beside what others made of the record, and not shown, until somebody resolves it.

Invariants: a change is only ever made on the version of the record that it was made for; nothing is written before ``commit``, which
writes all or nothing; no transaction is held while there is nothing pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from sopnb.access.attempt import attempt
from sopnb.access.lease import Lease
from sopnb.engine.counts import Counts
from sopnb.engine.work import Work
from sopnb.errors import DuplicateKey, InvalidInput
from sopnb.view.change import Change, Theirs
from sopnb.view.refusal import Refusal, invalid
from sopnb.view.sight import Sight

MOST = 100_000
"""So many changes may wait."""


class _Stale(Exception):
    """Somebody was quicker."""


class Pending:
    """The pending changes of one view. Not for use by two threads at once."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._changes: dict[tuple[str, bytes], Change] = {}
        self._work: Work | None = None
        self._ids = 0
        self.version = 0
        """Grows with whatever is done to the changes."""

    # -- what is seen ---------------------------------------------------------------------------------------------------------

    def sight(self) -> Sight:
        """Return the newest state with the changes over it."""
        engine = self._lease.engine
        state = engine.state()
        if not self._changes:
            self._release()
            return Sight(self._lease, state)
        if self._work is None or self._work.done or self._work.state.seq != state.seq:
            self._rebuild()
        if not self._changes or self._work is None:
            self._release()
            return Sight(self._lease, state)
        return Sight(self._lease, self._work.state, self._work)

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def changes(self) -> list[Change]:
        """The changes, oldest first."""
        return list(self._changes.values())

    def of(self, store: str) -> Mapping[bytes, Change]:
        """Return the changes of one store by key."""
        return {key: change for (name, key), change in self._changes.items() if name == store}

    def get(self, store: str, key: bytes) -> Change | None:
        """Return the change of a record, None if there is none."""
        return self._changes.get((store, key))

    def named(self, id: int) -> Change:
        """Return a change by its number. Raises ``Refusal``."""
        for change in self._changes.values():
            if change.id == id:
                return change
        raise Refusal("missing", f"there is no pending change {id}")

    # -- more and fewer changes -----------------------------------------------------------------------------------------------

    def new_id(self) -> int:
        """Return the number of the next change."""
        self._ids += 1
        return self._ids

    def put(self, changes: Iterable[Change]) -> None:
        """Add changes, or put them in the place of those of the same records; one that changes nothing goes.

        Raises ``Refusal``, and then all is as it was, if a unique index does not allow them, or if they are too many.
        """
        self.version += 1
        before = dict(self._changes)
        dropped = False
        fresh: list[Change] = []
        for change in changes:
            place = change.store, change.key
            if change.idle:
                dropped |= self._changes.pop(place, None) is not None
            else:
                self._changes[place] = change
                fresh.append(change)
        try:
            if len(self._changes) > MOST:
                raise invalid(f"more than {MOST:,} changes wait; commit some, or load such data into the store")
            self._show(fresh, anew=dropped or self._work is None)
        except BaseException:
            self._changes = before
            self._release()
            raise

    def put_each(self, changes: Sequence[Change]) -> dict[int, Refusal]:
        """Add new rows of records of one store as ``put`` does, but for those that a unique index does not allow.

        Return these by the number of the change. Raises ``Refusal``, and then all is as it was, if there are too many.
        """
        reasons = self._tried(changes)
        self.put(change for change in changes if change.key not in reasons)
        refused = [change for change in changes if change.key in reasons]
        return {change.id: invalid(reasons[change.key], column=self._unique_column(change)) for change in refused}

    def _tried(self, changes: Sequence[Change]) -> dict[bytes, str]:
        """Return the keys of the changes that a unique index does not allow after all that wait, and why."""
        self.sight()
        work = self._lease.engine.begin("unchecked")
        try:
            for change in self._changes.values():
                if not change.stale:
                    _make(change, work)
            rows = [change.new for change in changes if change.new is not None and judged(change, work) is None]
            if not rows:
                return {}
            schema = changes[0].schema
            table = pa.Table.from_batches([schema.batch(rows)])
            rejected = work.store(_name(changes[0], work) or "").write("replace", table, on_error="report").rejected
            return {} if rejected is None else dict(zip(schema.keys(rejected).tolist(), rejected["_reason"].to_pylist(), strict=True))
        finally:
            work.rollback()

    def _show(self, fresh: list[Change], *, anew: bool) -> None:
        if anew or self._work is None or self._work.done:
            refused = {change.id for change in self._changes.values() if change.theirs is not None and change.theirs.reason}
            self._rebuild()
            for change in self._changes.values():  # one that was there before may be the one that does not go with it
                if change.theirs is not None and change.theirs.reason and change.id not in refused:
                    raise invalid(change.theirs.reason, column=self._unique_column(change))
            return
        for change in fresh:
            _make(change, self._work)
        try:
            self._work.project()
        except DuplicateKey as error:
            column = next((self._unique_column(change) for change in fresh), None)
            raise invalid(str(error), column=column) from None

    def _unique_column(self, change: Change) -> str | None:
        """Return a column that a change changes and a unique index has, for the message."""
        changed = change.columns
        for projection in Sight(self._lease, self._lease.engine.state()).indexes(change.store).values():
            if projection.unique:
                for name in projection.sources:
                    if name in changed and name not in change.schema.key_names:
                        return name
        return None

    def discard(self, id: int) -> None:
        """Forget one change. Raises ``Refusal``."""
        change = self.named(id)
        del self._changes[change.store, change.key]
        self.version += 1
        self._release()

    def resolve(self, id: int, *, mine: bool) -> None:
        """Settle a stale change: make it again on what others made of the record, or forget it. Raises ``Refusal``."""
        self.sight()
        change = self.named(id)
        if change.theirs is None:
            raise invalid(f"change {id} is not stale; there is nothing to resolve")
        if mine and change.theirs.reason:
            raise Refusal("conflict", f"it cannot be made: {change.theirs.reason}; discard it, or change the record otherwise")
        before = dict(self._changes)
        del self._changes[change.store, change.key]
        self.version += 1
        self._release()
        if not mine:
            return
        try:
            self.put([_on_theirs(change, change.theirs)])
        except BaseException:
            self._changes = before
            raise

    def rollback(self) -> None:
        """Forget all changes."""
        self._changes.clear()
        self.version += 1
        self._release()

    # -- the transaction ------------------------------------------------------------------------------------------------------

    def _release(self) -> None:
        if self._work is not None:
            self._work.rollback()
            self._work = None

    def _rebuild(self) -> None:
        """Begin on the newest state and make the changes again, those that still can be made."""
        refused: dict[int, str] = {}
        self._release()
        while True:
            work = self._lease.engine.begin("unchecked")
            try:
                self._judge(work)
                for change in self._changes.values():
                    if change.id in refused:
                        change.theirs = _refused(change, refused[change.id])
                live = [change for change in self._changes.values() if not change.stale]
                for change in live:
                    _make(change, work)
                work.project()
            except DuplicateKey:
                fresh = _not_allowed(live, work)
                work.rollback()
                refused |= fresh or self._culprit(live)
            except BaseException:  # half of it must never be taken for the whole
                work.rollback()
                raise
            else:
                self._work = work
                return

    def _judge(self, work: Work) -> None:
        """Say of every change whether it is stale; forget deletions of what others have deleted."""
        for place, change in list(self._changes.items()):
            name = _name(change, work)
            if name is not None and name != change.store:
                del self._changes[place]
                change.store = name
                self._changes[name, change.key] = change
            change.theirs = judged(change, work)
            if change.kind == "delete" and change.theirs == Theirs(None, 0):
                del self._changes[change.store, change.key]

    def _culprit(self, live: list[Change]) -> dict[int, str]:
        """Return the first change that does not go with the ones before it in the key that a store is getting, and why."""
        work = self._lease.engine.begin("unchecked")
        try:
            for change in live:
                _make(change, work)
                try:
                    work.project()
                except DuplicateKey as error:
                    return {change.id: str(error)}
        finally:
            work.rollback()
        return {}

    # -- its end --------------------------------------------------------------------------------------------------------------

    def commit(self, message: str) -> tuple[int, Counts]:
        """Write all changes in one commit; return its number and what it did.

        Raises ``Refusal`` with code "stale", nothing written and all changes kept, if one of them is; ``Conflict`` if others are always
        quicker; ``StorageError``.
        """
        sight = self.sight()
        if not self._changes:
            return sight.seq, Counts()
        self._refuse_stale()
        changes = list(self._changes.values())

        def body(work: Work) -> Counts:
            for change in changes:
                if judged(change, work) is not None:
                    raise _Stale
                _make(change, work)
            return sum((store.counts for store in work.drafts() if store.base.projection is None), Counts())

        self._release()
        try:
            counts, seq = attempt(self._lease.engine, body, message=message)
        except (_Stale, DuplicateKey) as error:
            self.sight()
            self._refuse_stale()
            raise Refusal("conflict", f"others have changed what this changes: {error}; try again") from None
        self._changes.clear()
        return seq, counts

    def _refuse_stale(self) -> None:
        stale = [change.id for change in self._changes.values() if change.stale]
        if stale:
            told = "1 change is" if len(stale) == 1 else f"{len(stale):,} changes are"
            raise Refusal("stale", f"{told} of records that others have changed; keep yours or theirs, then commit", changes=stale)


def judged(change: Change, work: Work) -> Theirs | None:
    """Return what others made of the record that a change was made on; None if it is as it was."""
    name = _name(change, work)
    if name is None:
        return Theirs(None, 0, f"the store {change.store!r} was dropped, replaced or altered")
    entry = work.state.store(work.names[name]).stack.get(change.key)
    seq, row = (0, None) if entry is None else (entry.seq, entry.row)
    return None if seq == change.seq else Theirs(row, seq)


def _name(change: Change, work: Work) -> str | None:
    """Return what the store of a change is called now; None if it is gone."""
    id, layout = change.layout
    names = work.names
    name = change.store if names.get(change.store) == id else next((name for name, each in names.items() if each == id), None)
    return name if name is not None and work.state.store(id).layout == layout else None


def _not_allowed(changes: Iterable[Change], work: Work) -> dict[int, str]:
    """Return which of the changes that a transaction makes unique indexes do not allow, and why."""
    refused: dict[int, str] = {}
    reasons: dict[str, dict[bytes, str]] = {}
    for change in changes:
        if change.store not in reasons:
            store = work.store(change.store)
            reasons[change.store] = work.refusals(store, store.base.stack, store.drafts())
        if change.key in reasons[change.store]:
            refused[change.id] = reasons[change.store][change.key]
    return refused


def _make(change: Change, work: Work) -> None:
    """Make a change within a transaction, in place of another one of the same record; its store may have another name by now."""
    store = work.store(_name(change, work) or change.store)
    if change.new is None:
        store.delete_one(change.key)
    else:
        store.become(change.key, store.get(change.key), change.new)


def _refused(change: Change, reason: str) -> Theirs:
    return Theirs(change.old, change.seq, reason)


def _on_theirs(change: Change, theirs: Theirs) -> Change:
    """Return a change made again on what others made of its record."""
    if theirs.row is None:
        return replace(change, seq=0, old=None, theirs=None)
    new = change.new
    if change.old is not None and new is not None:  # of an update the columns that it changes
        changed = {change.schema.names.index(name) for name in change.columns}
        new = tuple(mine if at in changed else their for at, (mine, their) in enumerate(zip(new, theirs.row, strict=True)))
    return replace(change, seq=theirs.seq, old=theirs.row, new=new, theirs=None)


def refused_input(error: InvalidInput) -> Refusal:
    """Return what the schema says against a record, as a refusal."""
    column = getattr(error, "column", None)
    return invalid(str(error), **({} if column is None else {"column": column}))
