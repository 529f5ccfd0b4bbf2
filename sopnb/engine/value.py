"""One large value as a file: read or written piece by piece, in memory bounded by a few pieces."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from types import TracebackType
from typing import Any

from sopnb.engine.blob import Tell
from sopnb.engine.branch import Extent
from sopnb.engine.far import PIECE
from sopnb.errors import SopError

TOGETHER = 16
"""Pieces that are written to one blob; a value that has fewer of them is handed on whole."""


class ValueReader(io.RawIOBase):
    """The bytes of one value in one state, which ``hold`` keeps readable.

    ``fetch`` reads a piece and checks it, ``alive`` raises when there is nothing to read any more.
    """

    def __init__(self, pieces: Sequence[Extent], fetch: Callable[[Extent], bytes], alive: Callable[[], object], hold: object) -> None:
        self._pieces, self._fetch, self._alive, self._hold = pieces, fetch, alive, hold
        self._starts = list(accumulate((piece.length for piece in pieces), initial=0))
        self._at = 0
        self._kept: tuple[int, bytes] = -1, b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position in bytes, from the beginning, from here, or from the end; return it."""
        self._check()
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        if start + offset < 0:
            raise ValueError(f"there is no position {start + offset} in a value")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the piece at the position goes; return how many bytes that were, 0 at the end.

        Raises ``Corruption`` if the piece is not what was written, ``SnapshotGone`` or ``Closed``.
        """
        self._check()
        into = memoryview(buffer).cast("B")
        number = bisect_right(self._starts, self._at) - 1
        if number == len(self._pieces) or not len(into):
            return 0
        if self._kept[0] != number:
            self._kept = -1, b""
            self._kept = number, self._fetch(self._pieces[number])
        start = self._at - self._starts[number]
        part = memoryview(self._kept[1])[start : start + len(into)]
        into[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Let go of the value and of the state that it is of. Harmless to repeat."""
        self._kept, self._hold = (-1, b""), None
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the value is closed")
        self._alive()


class ValueWriter(io.BufferedIOBase):
    """Takes the bytes of one value and puts them into blobs ahead of the commit, which ``close`` makes, by ``finish``.

    ``finish`` gets the value if it is small, and else where its pieces lie; from then on the blobs are its own. ``check`` is called with
    one piece after another, and whether it is the last. An exception here or within ``with`` abandons the value, and so does whoever
    forgets to close it.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Iterable[bytes], Tell], list[Extent]],
        discard: Callable[[Iterable[str]], object],
        finish: Callable[[bytes | None, list[Extent]], object],
        check: Callable[[bytes, bool], object] | None = None,
    ) -> None:
        self.name = name
        """What people call it."""
        self._write, self._discard, self._finish, self._check = write, discard, finish, check
        self._piece = bytearray()
        self._waiting: list[bytes] = []
        self._extents: list[Extent] = []
        self._blobs: set[str] = set()
        self._size = 0
        self._abandoned = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def write(self, data: Any) -> int:
        """Append bytes; return how many."""
        if self.closed:
            raise ValueError("the value is closed")
        view = memoryview(data).cast("B")
        try:
            for start in range(0, 0 if self._abandoned else len(view), PIECE):
                self._append(view[start : start + PIECE])
        except BaseException:
            self.abandon()
            raise
        self._size += len(view)
        return len(view)

    def _append(self, data: memoryview) -> None:
        room = PIECE - len(self._piece)
        self._piece += data[:room]
        if len(self._piece) == PIECE:
            self._hand_on(final=False)
            self._piece += data[room:]

    def _hand_on(self, *, final: bool) -> None:
        piece, self._piece = bytes(self._piece), bytearray()
        if self._check is not None:
            self._check(piece, final)
        self._waiting += [piece] if piece else []
        if len(self._waiting) == TOGETHER or (final and self._extents and self._waiting):
            self._extents += self._write(self._waiting, self._blobs.add)
            self._waiting = []

    def close(self) -> None:
        """Commit the value, durably; in a transaction, leave it to that. Harmless to repeat. When it raises, nothing was changed."""
        if self.closed:
            return
        try:
            if not self._abandoned:
                self._end()
        except BaseException:
            self.abandon()
            raise
        finally:
            super().close()

    def _end(self) -> None:
        self._hand_on(final=True)
        self._blobs = set()
        self._finish(None if self._extents else b"".join(self._waiting), self._extents)

    def abandon(self) -> None:
        """Forget what was written; closing does nothing then."""
        self._abandoned = True
        blobs, self._blobs, self._waiting, self._piece = self._blobs, set(), [], bytearray()
        if blobs:
            self._discard(blobs)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.abandon()
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            with suppress(SopError):
                self.abandon()
            self.close()
