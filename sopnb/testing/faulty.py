"""A registry and blobs that fail on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from sopnb.errors import CommitUnknown, NoSpace
from sopnb.protocols import Blobs, Commit, Draft, Registry, transaction_id


class FaultyRegistry:
    """Passes everything on to ``inner``; ``lose`` says what happens to the answer of the next append.

    ``"request"``: it never arrives; ``"answer"``: it is carried out and nobody is told. Both raise ``CommitUnknown``.
    """

    def __init__(self, inner: Registry) -> None:
        self._inner = inner
        self.lose: Literal["request", "answer"] | None = None

    def append(self, drafts: Sequence[Draft], after: int) -> Sequence[Commit]:
        """Append, or lose the request or the answer once."""
        lose, self.lose = self.lose, None
        if lose != "request":
            commits = self._inner.append(drafts, after)
            if lose is None:
                return commits
        epoch = self._inner.head().epoch
        raise CommitUnknown(transaction_id(epoch, after + 1, drafts[0].id), epoch=epoch, seq=after + 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FaultyBlobs:
    """Passes everything on to ``inner``; the disk is full once ``room`` more bytes were put (None: never)."""

    def __init__(self, inner: Blobs) -> None:
        self._inner = inner
        self.room: int | None = None

    def put(self, name: str, chunks: Iterable[bytes]) -> int:
        """Put the blob while there is room."""
        return self._inner.put(name, self._measured(chunks))

    def _measured(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.room is not None:
                if len(chunk) > self.room:
                    raise NoSpace("the disk", "no room left (a fault made on purpose)")
                self.room -= len(chunk)
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
