"""Committing: transactions of several threads become one append.

Threads queue; the first to get hold of the lead takes all that wait, compares each with the commits since its snapshot and with those
taken before it, and appends them together, so they share one sync. What takes long to compare is compared before the turn. However
the lead ends, every member has an answer: committed, refused, or unknown if it was written and not answered.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

from sopnb.engine import record
from sopnb.engine.conflict import Past
from sopnb.engine.record import Payload
from sopnb.errors import CommitUnknown, Conflict, InvalidState, SeqTaken, SopError, Timeout
from sopnb.protocols import Backend, Commit, Draft, transaction_id

Validation = Callable[[Sequence[Past]], None]
MOST_TOGETHER = 4 * 1024 * 1024
"""Members whose payloads take more bytes than this wait for the next append."""
LOSSES = 3
"""After so many times that others were quicker, the comparison is finished within the turn."""


class History(Protocol):
    """What a committer needs of the engine."""

    def refresh(self) -> int:
        """Apply what others committed and return the newest seq."""

    def since(self, seq: int) -> Sequence[Past]:
        """Return the commits after ``seq``. Raises ``Conflict`` if they are no longer kept."""

    def applied(self, commit: Commit, payload: Payload) -> None:
        """Take a commit of this process that is durable."""

    def fenced(self) -> bool:
        """Whether this engine was taken for dead and may commit no more."""


class Member:
    """One transaction that waits to be committed. ``seq`` or ``error`` is set when ``done``."""

    def __init__(self, payload: Payload, snapshot: int, validation: Validation, id: bytes) -> None:
        self.payload, self.checked, self.validation = payload, snapshot, validation
        self.draft = Draft(id, record.encode(payload))
        self.seq = 0
        self.error: BaseException | None = None
        self.taken = False
        self.written = 0
        """The seq as which it was handed to the registry, until it is known that nothing came of it."""
        self.done = False

    def compare(self, past: Sequence[Past], group: Sequence[Past]) -> None:
        """Validate against commits that were not looked at yet, and against those that go before it if its group is written."""
        new = [commit for commit in past if commit.seq > self.checked]
        if new or group:
            self.validation([*new, *group])
        if new:
            self.checked = new[-1].seq

    def settle(self, seq: int = 0, error: BaseException | None = None) -> None:
        """Give the answer."""
        self.seq, self.error, self.done = seq, error, True


class Committer:
    """Takes members from any thread and appends them in groups."""

    def __init__(self, backend: Backend, history: History, timeout: float) -> None:
        self._backend, self._history, self._timeout = backend, history, timeout
        self._mutex = threading.Lock()
        self._lead = threading.Lock()
        self._queue: deque[Member] = deque()
        self._epoch = backend.registry.head().epoch

    def after_fork(self) -> None:
        """Begin anew in a forked child: the threads that held the locks are not there."""
        self._mutex, self._lead, self._queue = threading.Lock(), threading.Lock(), deque()

    def commit(self, payload: Payload, snapshot: int, validation: Validation) -> int:
        """Commit and return the seq. Raises ``Conflict``, ``Timeout``, ``StorageError`` (nothing written) or ``CommitUnknown``."""
        member = Member(payload, snapshot, validation, self._backend.clock.new_id(8))
        try:
            with self._mutex:
                self._queue.append(member)
            while not member.done:
                with self._lead:
                    if member.taken and not member.done:  # who led it was broken off, twice
                        self._unanswered([member])
                    elif not member.done:
                        self._lead_group()
        except BaseException as error:
            self._interrupted(member, error)
            raise
        answer = member.error
        if answer is not None:
            member.error = None
            try:
                raise answer
            finally:
                del answer  # a cycle through this frame would keep the state that was compared with readable
        return member.seq

    def _interrupted(self, member: Member, error: BaseException) -> None:
        """Withdraw a member that still waits, or learn what became of it and say so in the error."""
        with self._mutex:
            if member in self._queue:
                self._queue.remove(member)
        if member.taken:
            with self._lead:  # whoever leads has given every member its answer when it lets go
                pass
            told = f"commit {member.seq} is durable" if member.seq else f"the commit is not made: {member.error!r}"
            error.add_note(told)

    # -- leading --------------------------------------------------------------------------------------------------------------

    def _take(self) -> list[Member]:
        members: list[Member] = []
        size = 0
        with self._mutex:
            while self._queue and (not members or size < MOST_TOGETHER):
                member = self._queue.popleft()
                member.taken = True
                size += len(member.draft.payload)
                members.append(member)
        return members

    def _lead_group(self) -> None:
        members = self._take()
        deadline = self._backend.clock.monotonic() + self._timeout
        losses = 0
        try:
            while not self._append(members, patient=losses < LOSSES):
                losses += 1
                self._history.refresh()
                for member in members:
                    if not member.done:
                        self._judge(member)
                if self._backend.clock.monotonic() > deadline:
                    raise Timeout("other writers to let this commit through", waited=self._timeout)
        except Exception as error:
            for member in members:
                if not member.done and not member.written:
                    member.settle(error=error)
        finally:
            self._unanswered([member for member in members if not member.done])

    def _append(self, members: Sequence[Member], *, patient: bool) -> bool:
        """Compare with the rest and append, within the turn; False if the rest should be compared outside, or another was quicker."""
        waiting = [member for member in members if not member.done]
        if not waiting:
            return True
        with self._backend.registry.turn(self._timeout):
            after = self._history.refresh()
            if self._history.fenced():
                raise InvalidState("this process was taken for dead by another; open the database again")
            for member in waiting:
                if patient and member.checked < after and any(past.heavy for past in self._rest(member)):
                    return False
            group: list[Past] = []
            for member in waiting:
                if not member.done and (group or member.checked < after):
                    self._judge(member, group)
                if not member.done and member is not waiting[-1]:
                    group.append(Past(after + len(group) + 1, member.payload))
            return self._written([member for member in waiting if not member.done], after)

    def _rest(self, member: Member) -> Sequence[Past]:
        """Return what a member was not compared with yet; nothing if that is no longer known, which is its answer."""
        try:
            return self._history.since(member.checked)
        except Exception as error:
            member.settle(error=error)
            return ()

    def _judge(self, member: Member, group: Sequence[Past] = ()) -> None:
        """Compare a member with what it was not compared with yet, and with those that go before it in its group."""
        try:
            member.compare(self._history.since(member.checked), group)
        except Exception as error:
            member.settle(error=error)

    def _written(self, members: Sequence[Member], after: int) -> bool:
        if not members:
            return True
        for member, seq in zip(members, count(after + 1)):
            member.written = seq
        try:
            commits = self._backend.registry.append([member.draft for member in members], after)
        except SeqTaken:
            for member in members:
                member.written = 0
            return False
        except CommitUnknown as error:
            self._unanswered(members, error.reason, error.epoch)
            return True
        except SopError as error:
            for member in members:
                member.settle(error=error)
            return True
        except Exception as error:
            self._unanswered(members, f"the registry failed: {error!r}")
            return True
        for member, commit in zip(members, commits, strict=True):
            member.settle(commit.seq)
        self._epoch = commits[-1].epoch
        for member, commit in zip(members, commits, strict=True):
            self._history.applied(commit, member.payload)
        return True

    def _unanswered(self, members: Sequence[Member], reason: str = "it was interrupted while it was written", epoch: int = 0) -> None:
        """Settle members that have no answer: those that were written may be there, the others are not."""
        for member in members:
            if not member.written:
                member.settle(error=Conflict("it was interrupted before it was written"))
                continue
            txid = transaction_id(epoch or self._epoch, member.written, member.draft.id)
            member.settle(error=CommitUnknown(txid, epoch=epoch or self._epoch, seq=member.written, reason=reason))
