"""The registry in a folder of one machine: a log that is written in place, one lock, and a head that everybody reads.

Appending: the process's mutex, ``flock``, read ``head``, recover if need be, mark ``head`` poisoned, one ``pwrite`` at a known
place, which is sent on its way while the new ``head`` is put together, ``fdatasync``, open the log by its name and read a byte (a
dead device can swallow a sync), publish ``head``, unlock. The mark means: something may lie past the end. Whoever finds it, or a
``head`` that is torn or of another boot, recovers before it writes (``sopnb.storage.recovery``); a failed sync and a killed writer
leave it.

Readers take no lock while ``head`` is of this boot. They go up to its end and no further: what lies beyond may be half written,
or may be written and never become durable.

Fork: the child has descriptors and locks of its own; a turn that the parent was in is over for the child.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from sopnb.errors import Closed, CommitUnknown, Corruption, InvalidInput, InvalidState, ReadOnly, SeqTaken, StorageError, Timeout, Trimmed
from sopnb.protocols import Checkpoint, Clock, Commit, Draft, Head, transaction_id
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.checkpoints import Checkpoints
from sopnb.storage.files import Files, Forkable
from sopnb.storage.folder import Description, segments
from sopnb.storage.head import HeadFile, Seen
from sopnb.storage.index import PlaceIndex
from sopnb.storage.lock import PATIENCE, FileLock
from sopnb.storage.log import ALIGNMENT, Entry, HeadState, LogFormat, Place, Position, boot_key
from sopnb.storage.recovery import examine, rewrite

_STRIDE = 64 * 1024
"""While a log is read, a place is remembered about every so many bytes."""
_PAUSE = 0.001
_LONGEST_PAUSE = 0.02


class _Writer(NamedTuple):
    """The descriptor of the segment that is written."""

    segment: int
    path: Path
    fd: int
    size: int


class LocalRegistry(Forkable):
    """The ``Registry`` protocol over a folder. With ``writable`` false it writes nothing at all to the folder."""

    def __init__(
        self, folder: Path, description: Description, *, files: Files, clock: Clock, handle: HandleSettings, writable: bool = True
    ) -> None:
        settings: DatabaseSettings = description.settings
        self._files, self._clock, self._handle, self._writable = files, clock, handle, writable
        self._uuid, self._epoch, self._log_bytes = description.uuid, description.epoch, settings.log_bytes
        self._boot = boot_key(clock.boot_id())
        self._format = LogFormat(description.uuid, settings.pad_records)
        self._segments = segments(folder, description, files=files, clock=clock, format=self._format)
        self._checkpoints = Checkpoints(folder / "checkpoints", files=files, clock=clock, format=self._format)
        self._lock = FileLock(folder / "log" / "lock", files=files, clock=clock, shared=not writable)
        self._head = HeadFile(folder / "log" / "head", files=files, format=self._format, writable=writable)
        self._index = PlaceIndex()
        self._mutex = threading.RLock()
        self._depth = self._life = self._owner = 0
        self._closed = False
        self._state: HeadState | None = None
        self._writer: _Writer | None = None
        self._adopted: tuple[bytes, HeadState] | None = None
        self._noted: Seen | None = None
        self._newest: Place | None = None
        self._prepared = self._wanted = 0
        self._maker: threading.Thread | None = None
        files.at_fork(self)

    @property
    def uuid(self) -> bytes:
        """The database's own 16 bytes."""
        return self._uuid

    # -- reading --------------------------------------------------------------------------------------------------------------

    def head(self) -> Head:
        """Return the newest durable commit: one read of the head file."""
        state = self._current()
        return Head(state.epoch, state.place.seq)

    def read(self, after: int, until: int | None = None) -> Sequence[Commit]:
        """Return the commits after ``after``, up to ``until`` or the head. Raises ``Trimmed`` or ``Corruption``."""
        while after < min((end := self._current().place).seq, end.seq if until is None else until):
            try:
                return self._between_seqs(after, end.seq if until is None else until, end)
            except FileNotFoundError as missing:
                self._forget(missing, end)
        return []

    def _between_seqs(self, after: int, until: int, end: Place) -> list[Commit]:
        found = []
        for entry in self._entries(after, end):
            if entry.commit.seq > after:
                found.append(entry.commit)
            if entry.commit.seq >= until:  # what comes after it is not looked at, but for what lies in the same piece of the file
                break
        return found

    def wait(self, after: int, timeout: float) -> bool:
        """Return whether the head came past ``after`` in time. Looks at the head every few milliseconds."""
        deadline = self._clock.monotonic() + timeout
        pause = _PAUSE
        while self.head().seq <= after:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            self._clock.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return True

    def size(self) -> int:
        """Return the bytes of log past the newest checkpoint; others' checkpoints are looked for when the limit is reached."""
        end = self._current().place
        known = self._newest
        if known is None or self._between(known, end) >= self._log_bytes:
            known = self._newest = self._checkpoints.newest() or self._format.genesis
        return self._between(known, end)

    def _between(self, start: Place, end: Place) -> int:
        total = end.position.offset - start.position.offset
        for number in range(start.position.segment, end.position.segment):
            try:
                total += self._segments.size(number)
            except FileNotFoundError:  # trimmed: it lies before a checkpoint that another process made
                continue
        return max(0, total)

    def _current(self) -> HeadState:
        """Return the head, of this boot; recover if it is not. Within a turn it is known."""
        if self._closed:
            raise Closed("the registry is closed")
        own = self._state
        if own is not None and self._owner == threading.get_ident():
            return own  # this thread has the turn: nobody else writes
        seen = self._head.read()
        state = seen.state
        if state is not None and state.boot == self._boot:
            if seen is not self._noted:
                self._index.add(state.place)
                self._noted = seen
            return state
        if not self._writable:
            return self._adopt(seen)
        with self.turn(self._handle.lock_seconds):
            return self._settled()

    def _adopt(self, seen: Seen) -> HeadState:
        """Recover in memory only: what a writer would find, if one came now."""
        with self._mutex:
            known = self._adopted
            if known is not None and known[0] == seen.raw:
                return known[1]
            locked = self._shared_lock()
            try:
                seen = self._head.read()
                state = seen.state
                if state is None or state.boot != self._boot:
                    end = examine(self._segments, self._checkpoints, state, this_boot=False).end
                    state = HeadState(self._boot, self._epoch, end)
                    self._adopted = seen.raw, state
                return state
            finally:
                if locked:
                    self._lock.release()

    def _shared_lock(self) -> bool:
        """Keep writers out; there are none where there is no lock file."""
        try:
            self._lock.acquire(self._handle.lock_seconds)
        except FileNotFoundError:
            return False
        return True

    def _entries(self, after: int, end: Place) -> Iterator[Entry]:
        """Yield the entries from some place at or before commit ``after`` up to ``end``, all of them durable.

        Raises ``FileNotFoundError`` if a segment is missing.
        """
        place = self._start(after, end)
        noted = place.position
        for entry in self._segments.entries(place, end.position):
            place = entry.end
            if place.position.segment != noted.segment or place.position.offset - noted.offset >= _STRIDE:
                noted = place.position
                self._index.add(place)
            yield entry
        if place != end:
            where = f"{self._segments.path(place.position.segment)} at {place.position.offset}"
            raise Corruption(where, f"the record of commit {place.seq + 1} is damaged")

    def _start(self, after: int, end: Place) -> Place:
        """Return the best place known at or before commit ``after``. Raises ``Trimmed`` if that is no longer there."""
        best = self._index.before(after)
        if best is not None and best.seq == after:
            return best
        there = self._segments.run(end.position.segment)
        known = [place for place in (best, self._checkpoints.newest(after)) if place is not None and place.position.segment >= there[0]]
        best = max(known, key=lambda place: place.seq, default=None)
        for number in reversed(there):
            if best is not None and (best.seq == after or best.position.segment >= number):
                break
            first = self._segments.first(number)
            if first is not None and first.seq <= after:
                best = first
        if best is None and there[0] == 1:
            best = self._format.genesis
        if best is None:
            raise self._trimmed(after, there, end)
        return best

    def _trimmed(self, after: int, there: Sequence[int], end: Place) -> Trimmed | Corruption:
        """Return why the records after ``after`` are not there: a checkpoint explains it, or it is damage."""
        firsts = (self._segments.first(number) for number in there)
        oldest = next((first.seq + 1 for first in firsts if first is not None), end.seq + 1)
        newest = self._checkpoints.newest()
        if newest is None or newest.seq < oldest - 1:
            return Corruption(
                str(self._segments.path(there[0])), f"the log begins with commit {oldest}, and no checkpoint stands for what was before"
            )
        return Trimmed(after, oldest)

    def _forget(self, missing: FileNotFoundError, end: Place) -> None:
        """Forget what was known of a missing segment, if others went on from ``end`` and trimmed it; else it is damage."""
        newest = self._checkpoints.newest()
        number = self._segments.number(missing)
        trimmed = newest is not None and number is not None and number < newest.position.segment
        if number is None or not trimmed or (number >= end.position.segment and self._current().place.seq <= end.seq):
            raise Corruption(str(missing.filename), "this segment of the log is missing") from missing
        self._index.forget(number)

    # -- checkpoints ----------------------------------------------------------------------------------------------------------

    def checkpoint(self, seq: int, state: bytes) -> None:
        """Keep a checkpoint, with the place in the log that it stands for."""
        self._must_write()
        end = self._current().place
        if not 0 < seq <= end.seq:
            raise InvalidInput(f"a checkpoint at {seq} needs a commit of that number; the newest is {end.seq}")
        place = self._place(seq)
        self._checkpoints.save(place, state)
        if self._newest is None or self._newest.seq < seq:
            self._newest = place

    def _place(self, seq: int) -> Place:
        """Return the log's end just after commit ``seq``."""
        for known in (self._index.before(seq), self._checkpoints.newest(seq)):
            if known is not None and known.seq == seq:
                return known
        while True:
            end = self._current().place
            try:
                return next(entry.end for entry in self._entries(seq - 1, end) if entry.end.seq == seq)
            except FileNotFoundError as missing:
                self._forget(missing, end)

    def checkpoints(self, at_or_before: int | None = None) -> Iterator[Checkpoint]:
        """Yield the valid checkpoints, newest first."""
        for seq in self._checkpoints.seqs():
            if at_or_before is None or seq <= at_or_before:
                found = self._checkpoints.load(seq)
                if found is not None:
                    yield Checkpoint(seq, found[1])

    def trim(self, before: int, keep: Collection[int] = ()) -> None:
        """Remove the segments that end before the checkpoint at ``before``, and the checkpoints below it that are not in ``keep``.

        Where there is no valid checkpoint at ``before``, the newest valid one below it takes its place.
        """
        self._must_write()
        seqs = [seq for seq in self._checkpoints.seqs() if seq <= before]
        for seq in seqs:
            found = self._checkpoints.load(seq)
            if found is not None:
                segment = found[0].position.segment
                self._segments.remove_below(segment)
                self._index.forget(segment - 1)
                self._checkpoints.remove([old for old in seqs if old < seq and old not in keep])
                return

    # -- writing --------------------------------------------------------------------------------------------------------------

    def turn(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock of the database, with the log recovered. A thread that holds it may take it again."""
        return _Turn(self, timeout)

    def enter(self, timeout: float) -> int:
        """Begin a turn; return what ``leave`` is to be told. For ``turn``."""
        self._must_write()
        mutex, left = self._mutex, timeout
        while not mutex.acquire(blocking=False):
            if left <= 0:
                raise Timeout("the turn to commit", waited=timeout, holder="another thread of this process")
            started = self._clock.monotonic()
            if mutex.acquire(timeout=min(left, PATIENCE)):
                left -= self._clock.monotonic() - started
                break
            left -= PATIENCE
        try:
            if not self._depth:
                self._lock.acquire(left)
                self._owner = threading.get_ident()
                self._state = self._settled()
            self._depth += 1
        except BaseException as error:
            if not self._depth:
                self._lock.release()
            mutex.release()
            if isinstance(error, Timeout):
                raise Timeout(error.what, waited=timeout, holder=error.holder) from None
            raise
        return self._life

    def leave(self, life: int) -> None:
        """End a turn; not in a forked child, whose parent goes on with it. For ``turn``."""
        if life != self._life:
            return
        wanted = 0
        try:
            self._depth -= 1
            if not self._depth:
                self._state = None
                wanted, self._wanted = self._wanted, 0
                self._lock.release()
        finally:
            self._mutex.release()
        if wanted:
            self._prepare(wanted)

    def append(self, drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        """Append all drafts, durable when this returns. An interrupt (Ctrl-C) in it leaves what ``CommitUnknown`` means."""
        if not self._depth or self._owner != threading.get_ident():
            raise InvalidState("append belongs inside a turn of this thread and process")
        state = self._state
        if state is None:
            raise StorageError(str(self._segments.folder), "an append of this turn failed; the next turn recovers the log")
        place = state.place
        if after != place.seq:
            raise SeqTaken(after, place.seq)
        if not drafts:
            return []
        length = sum(self._format.length(len(draft.payload)) for draft in drafts)
        fd, size, position = self._room(place, length)
        data, entries = self._format.encode(drafts, place, position, self._epoch, self._clock.now())
        end = entries[-1].end
        self._state = None
        self._head.poison()
        try:
            self._files.pwrite(fd, data, position.offset)
            self._files.begin_sync(fd, position.offset)
            head = self._head.saying(HeadState(self._boot, self._epoch, end))
            commits = [entry.commit for entry in entries]
            self._files.sync(fd)
            self._probe(position)
            self._head.publish(head)
        except BaseException as error:
            self._drop_writer()  # if another process recovers, this one goes on without doing so
            if not isinstance(error, Exception):
                raise
            txid = transaction_id(self._epoch, after + 1, drafts[0].id)
            raise CommitUnknown(txid, epoch=self._epoch, seq=after + 1, reason=f"writing it failed ({error})") from error
        self._state = head.state
        self._index.add(end)
        if 2 * end.position.offset > size and end.position.segment >= self._prepared:
            self._wanted = end.position.segment + 1
        return commits

    def _settled(self) -> HeadState:
        """Return the head, with nothing after it; recover if that is not sure. The lock is held."""
        state = self._head.read().state
        mine = state is not None and state.boot == self._boot
        if state is not None and mine and not state.poisoned and not self._used(state.place.position):
            self._index.add(state.place)
            return state
        self._drop_writer()
        if state is not None and mine and not state.poisoned:
            self._head.poison()
        found = examine(self._segments, self._checkpoints, state, this_boot=mine)
        rewrite(self._segments, found)
        self._probe(found.end.position)
        if state is not None and not mine:  # nobody of this boot came further than here, so drafts are of the dead
            self._segments.remove_drafts()
            self._checkpoints.remove_drafts()
        state = HeadState(self._boot, self._epoch, found.end)
        self._head.publish(self._head.saying(state))
        self._index.add(found.end)
        return state

    def _used(self, position: Position) -> bool:
        """Say whether something was written at a position."""
        fd, _ = self._opened(position.segment)
        return any(self._files.pread(fd, ALIGNMENT, position.offset))

    def _room(self, place: Place, length: int) -> tuple[int, int, Position]:
        """Return a descriptor, the size and the position for a group of this length: here, or in the next segment."""
        segment, offset = place.position
        fd, size = self._opened(segment)
        if offset + length <= size:
            return fd, size, place.position
        self._segments.ensure(segment + 1, length)
        start = Position(segment + 1, 0)
        if self._used(start):
            self._state = None
            self._head.poison()
            raise StorageError(
                str(self._segments.path(segment + 1)), "there is something past the end of the log; the next turn recovers it"
            )
        fd, size = self._opened(segment + 1)
        return fd, size, start

    def _opened(self, segment: int) -> tuple[int, int]:
        """Return the descriptor that is written through, and the size of its segment."""
        writer = self._writer
        if writer is None or writer.segment != segment:
            self._drop_writer()
            path = self._segments.path(segment)
            try:
                fd = self._files.open_write(path)
            except FileNotFoundError as missing:
                raise Corruption(str(path), "this segment of the log is missing") from missing
            try:
                size = self._files.size(fd)
            except BaseException:
                self._files.close(fd)
                raise
            writer = self._writer = _Writer(segment, path, fd, size)
        return writer.fd, writer.size

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self._files.close(writer.fd)

    def _probe(self, position: Position) -> None:
        """Open the log by its name and read a byte: a device that died may have swallowed the sync, but cannot do this."""
        writer = self._writer
        path = writer.path if writer is not None else self._segments.path(position.segment)
        fd = self._files.open_read(path)
        try:
            self._files.pread(fd, 1, position.offset)
        finally:
            self._files.close(fd)

    def _prepare(self, number: int) -> None:
        """Make the next segment ahead of its use: behind the commits, or within them, as the handle says."""
        self._prepared = number
        how = self._handle.maintenance
        if how == "inline":
            self._make(number)
        elif how == "thread":
            maker = threading.Thread(target=self._make, args=(number,), name="sopnb segment")
            maker.start()
            self._maker = maker

    def _make(self, number: int) -> None:
        with suppress(OSError):  # whoever needs the segment makes it, or fails
            self._segments.ensure(number)

    def _must_write(self) -> None:
        if not self._writable:
            raise ReadOnly('the database was opened with mode="r"; open it with mode="a" to write')
        if self._closed:
            raise Closed("the registry is closed")

    # -- the end --------------------------------------------------------------------------------------------------------------

    def after_fork(self) -> None:
        """Begin anew in a child: no turn, no descriptors."""
        self._life += 1
        self._mutex = threading.RLock()
        self._depth = 0
        self._state = self._maker = None
        self._wanted = 0
        self._index.after_fork()
        self._drop_writer()

    def close(self) -> None:
        """Let go of descriptors, once a turn in progress is over."""
        maker = self._maker
        if maker is not None:
            maker.join()
        with self._mutex:
            self._closed = True
            self._drop_writer()
            self._lock.close()
            self._head.close()


class _Turn:
    """The turn as a context."""

    __slots__ = ("_life", "_registry", "_timeout")

    def __init__(self, registry: LocalRegistry, timeout: float) -> None:
        self._registry, self._timeout = registry, timeout

    def __enter__(self) -> None:
        self._life = self._registry.enter(self._timeout)

    def __exit__(self, *error: object) -> None:
        self._registry.leave(self._life)
