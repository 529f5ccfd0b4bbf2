"""What sopnb asks of a backend: the one seam between the engine and where the bytes live.

The docstrings speak to whoever implements a protocol. A backend is accepted when it passes the suites of
``sopnb.testing``; the reference, short enough to be read as the specification, is ``sopnb.storage.memory``.

The registry is the only truth: a blob that no commit names does not exist, whatever the disk holds, and a lock, a clock or
a lease only reduces conflicts. Safety is the conditional ``append``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit on its way into the registry: ``id`` (8 random bytes) recognises it when an answer was lost."""

    id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit in the registry. ``time`` is in microseconds since 1970 UTC and never decreases with ``seq``."""

    epoch: int
    seq: int
    id: bytes
    time: int
    payload: bytes

    @property
    def txid(self) -> str:
        """The public transaction id, ``epoch.seq.id``."""
        return transaction_id(self.epoch, self.seq, self.id)


def transaction_id(epoch: int, seq: int, id: bytes) -> str:
    """Return the public form of a transaction id."""
    return f"{epoch}.{seq}.{id.hex()}"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest commit of the registry: ``seq`` is 0 before the first one."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the engine knew after commit ``seq``, in its own encoding."""

    seq: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Reserved:
    """Layers of a store, those of commits ``(lo, hi]``, that somebody is folding: whoever can leaves them alone meanwhile."""

    store: int
    lo: int
    hi: int

    def meets(self, other: Reserved) -> bool:
        """Say whether both speak of the same layers of the same store."""
        return self.store == other.store and self.lo < other.hi and other.lo < self.hi


@dataclass(frozen=True, slots=True)
class Pin:
    """A reader: blobs dropped after ``seq`` and records after ``seq`` are still needed by ``owner``, who is folding ``reserved``."""

    owner: str
    seq: int
    reserved: tuple[Reserved, ...] = ()


@runtime_checkable
class Registry(Protocol):
    """The conditional log of commits and its checkpoints.

    Invariants: commits are numbered 1, 2, 3 ... without a gap; a commit that ``append`` returned is durable and is seen by
    every later ``read`` of every process; a commit that was read never disappears and never changes; at one seq there is at
    most one commit. All methods may be called from several threads.
    """

    @property
    def uuid(self) -> bytes:
        """The database's own 16 bytes, drawn when it was created."""

    def head(self) -> Head:
        """Return the newest commit that is durable. Takes no lock, blocks nobody; must cost microseconds when nothing changed."""

    def read(self, after: int, until: int | None = None) -> Sequence[Commit]:
        """Return every commit with ``seq > after`` up to the head, in order; with ``until`` none that is newer, nor is one read.

        Raises ``Trimmed`` when they are no longer all there, ``Corruption`` for damage before the newest of them.
        """

    def turn(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the turn to validate and append. A lock where there is one, a hint elsewhere.

        Entering recovers what a crashed writer left, so that ``read`` then shows all there is. Raises ``Timeout`` naming the
        holder after ``timeout`` seconds; obeys Ctrl-C while it waits; a dead holder must not be waited for.
        """

    def append(self, drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        """Append all drafts in order as commits ``after + 1``, ``after + 2`` ..., durable before it returns.

        Called inside ``turn``. All are appended or none. Raises ``SeqTaken`` (nothing written) if the head is not ``after``;
        ``StorageError`` if it is sure that nothing was written; ``CommitUnknown`` if the drafts may or may not become visible.
        """

    def checkpoint(self, seq: int, state: bytes) -> None:
        """Keep ``state`` durably as what the database was after commit ``seq`` (not above the head). Repeating one is harmless."""

    def checkpoints(self, at_or_before: int | None = None) -> Iterator[Checkpoint]:
        """Yield the valid checkpoints, newest first; damaged ones are passed over."""

    def trim(self, before: int, keep: Collection[int] = ()) -> None:
        """Forget commits up to and including ``before`` and checkpoints below ``before``, except those in ``keep``.

        The engine calls it with a seq that has a checkpoint. May forget less (whole segments), never more.
        """

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as the head is past ``after``, False after ``timeout`` seconds."""

    def size(self) -> int:
        """Return how many bytes of commits lie beyond the newest checkpoint."""

    def close(self) -> None:
        """Let go of descriptors; harmless to repeat."""


@runtime_checkable
class Blobs(Protocol):
    """Files written once. Names are made by the engine and begin with the owner's id; a name is never used twice."""

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write the chunks as one blob, durable with its name before this returns; return its length.

        When it raises, or when ``chunks`` raises, nothing of that name stays behind that ``names`` would list. Raises ``NoSpace``
        or ``StorageError``.
        """

    def read(self, name: str, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        """Return the bytes at each (offset, length). Raises ``FileNotFoundError`` if there is no such blob and ``Corruption`` if
        it is shorter than asked: never fewer bytes.
        """

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs; those that are not there are passed over."""

    def names(self, owner: str | None = None) -> Iterator[tuple[str, int]]:
        """Yield (name, length) of every blob, or of those whose name begins with ``owner``."""

    def close(self) -> None:
        """Let go of descriptors; harmless to repeat."""


@runtime_checkable
class Pins(Protocol):
    """Who still reads what. One pin per open engine; it vanishes by itself when the process dies."""

    @property
    def owner(self) -> str:
        """This engine's own id: 16 hexadecimal digits, drawn anew for each open engine."""

    def pin(self, seq: int) -> None:
        """Hold ``seq`` for this engine: visible to every ``held`` that begins after this returns."""

    def advance(self, seq: int) -> None:
        """Move this engine's pin forward; cheap; never moves it back."""

    def reserve(self, reserved: Sequence[Reserved]) -> None:
        """Say beside this engine's pin what it is folding from now on: visible to every ``held`` that begins after this returns.

        A hint: it saves others useless work, and is forgotten with the pin. More than a few may be left out.
        """

    def held(self) -> Sequence[Pin]:
        """Return every living pin, this engine's own included. Called after the ``collect`` record is durable."""

    def alive(self, owner: str) -> bool:
        """Say whether this owner's engine may still be running."""

    def close(self) -> None:
        """Give the pin up; harmless to repeat."""


@runtime_checkable
class Clock(Protocol):
    """Time, identity and chance. Nothing else in the package reads the clock, sleeps or draws random numbers."""

    def now(self) -> int:
        """Return microseconds since 1970 UTC."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Pause this thread."""

    def new_id(self, size: int = 16) -> bytes:
        """Return random bytes that nobody else will draw."""

    def random(self) -> float:
        """Return a number in [0, 1) for jitter."""

    def boot_id(self) -> str:
        """Return a name of this boot of the machine: after a power cut it is another one."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of one database, put together by ``storage.location``; replace one to test or to wrap it."""

    registry: Registry
    blobs: Blobs
    pins: Pins
    clock: Clock
    name: str
    """What people call it: the last part of the path, or ``:memory:``."""
    writable: bool = True

    def close(self) -> None:
        """Close every part."""
        self.pins.close()
        self.blobs.close()
        self.registry.close()
