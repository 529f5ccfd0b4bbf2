"""A database in the memory of one process: for scratch work and tests, and the specification of what a backend does.

Nothing here is durable; everything else holds as the protocols say, for any number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sopnb.errors import Corruption, InvalidInput, SeqTaken, Timeout, Trimmed
from sopnb.protocols import Checkpoint, Clock, Commit, Draft, Head, Pin, Reserved


class MemoryRegistry:
    """The log as a list; the turn is a lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uuid = clock.new_id()
        self._commits: list[Commit] = []
        self._trimmed = 0
        self._time = 0
        self._bytes = 0
        self._checkpoints: dict[int, bytes] = {}
        self._turn = threading.RLock()
        self._grown = threading.Condition()

    @property
    def uuid(self) -> bytes:
        """The database's own 16 bytes."""
        return self._uuid

    def head(self) -> Head:
        """Return the newest commit."""
        return Head(1, self._trimmed + len(self._commits))

    def read(self, after: int, until: int | None = None) -> Sequence[Commit]:
        """Return the commits after ``after``, up to ``until``."""
        with self._grown:
            newest = self.head().seq if until is None else until
            if after >= newest:
                return []
            if after < self._trimmed:
                raise Trimmed(after, self._trimmed + 1)
            return self._commits[after - self._trimmed : newest - self._trimmed]

    @contextmanager
    def turn(self, timeout: float) -> Iterator[None]:
        """Hold the turn."""
        if not self._turn.acquire(timeout=timeout):
            raise Timeout("the turn to commit", waited=timeout, holder="another thread of this process")
        try:
            yield
        finally:
            self._turn.release()

    def append(self, drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        """Append all drafts, or none."""
        with self._grown:
            head = self.head().seq
            if after != head:
                raise SeqTaken(after, head)
            time = self._time = max(self._clock.now(), self._time)
            new = [Commit(1, head + i, draft.id, time, bytes(draft.payload)) for i, draft in enumerate(drafts, 1)]
            self._commits.extend(new)
            self._bytes += sum(len(commit.payload) for commit in new)
            self._grown.notify_all()
            return new

    def checkpoint(self, seq: int, state: bytes) -> None:
        """Keep a checkpoint."""
        with self._grown:
            if not 0 < seq <= self.head().seq:
                raise InvalidInput(f"a checkpoint at {seq} needs a commit of that number; the newest is {self.head().seq}")
            self._checkpoints[seq] = bytes(state)
            newest = max(self._checkpoints)
            self._bytes = sum(len(commit.payload) for commit in self._commits if commit.seq > newest)

    def checkpoints(self, at_or_before: int | None = None) -> Iterator[Checkpoint]:
        """Yield the checkpoints, newest first."""
        with self._grown:
            kept = sorted(self._checkpoints.items(), reverse=True)
        return (Checkpoint(seq, state) for seq, state in kept if at_or_before is None or seq <= at_or_before)

    def trim(self, before: int, keep: Collection[int] = ()) -> None:
        """Forget commits up to ``before`` and the checkpoints below it."""
        with self._grown:
            gone = max(0, min(before, self.head().seq) - self._trimmed)
            del self._commits[:gone]
            self._trimmed += gone
            self._checkpoints = {seq: s for seq, s in self._checkpoints.items() if seq >= before or seq in keep}

    def wait(self, after: int, timeout: float) -> bool:
        """Return whether the head came past ``after`` in time."""
        with self._grown:
            return self._grown.wait_for(lambda: self.head().seq > after, timeout)

    def size(self) -> int:
        """Return the bytes of the commits beyond the newest checkpoint."""
        return self._bytes

    def close(self) -> None:
        """Do nothing: the memory goes with the object."""


class MemoryBlobs:
    """Blobs in a dict."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        """Keep the chunks as one blob."""
        data = b"".join(chunks)
        if self._blobs.setdefault(name, data) is not data:
            raise InvalidInput(f"blob {name!r} is already there; a name is never used twice")
        return len(data)

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        """Return the bytes of each range."""
        if name not in self._blobs:
            raise FileNotFoundError(name)
        data = self._blobs[name]
        for offset, length in ranges:
            if offset + length > len(data):
                raise Corruption(f"blob {name}", f"it has {len(data)} bytes, {length} were asked for at {offset}")
        return [data[offset : offset + length] for offset, length in ranges]

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs."""
        for name in names:
            self._blobs.pop(name, None)

    def names(self, owner: str | None = None) -> Iterator[tuple[str, int]]:
        """Yield every blob's name and length."""
        return ((name, len(data)) for name, data in list(self._blobs.items()) if owner is None or name.startswith(owner))

    def close(self) -> None:
        """Do nothing."""


class MemoryPins:
    """The one pin that a database in memory can have."""

    def __init__(self, clock: Clock) -> None:
        self._owner = clock.new_id(8).hex()
        self._seq: int | None = None
        self._reserved: tuple[Reserved, ...] = ()

    @property
    def owner(self) -> str:
        """This engine's id."""
        return self._owner

    def pin(self, seq: int) -> None:
        """Hold ``seq``."""
        self._seq = seq

    def advance(self, seq: int) -> None:
        """Move the pin forward."""
        self._seq = seq if self._seq is None else max(self._seq, seq)

    def reserve(self, reserved: Sequence[Reserved]) -> None:
        """Say what is being folded."""
        self._reserved = tuple(reserved)

    def held(self) -> Sequence[Pin]:
        """Return the pin, if it is held."""
        return [] if self._seq is None else [Pin(self._owner, self._seq, self._reserved)]

    def alive(self, owner: str) -> bool:
        """Say whether this is our own id."""
        return owner == self._owner and self._seq is not None

    def close(self) -> None:
        """Give the pin up."""
        self._seq, self._reserved = None, ()
