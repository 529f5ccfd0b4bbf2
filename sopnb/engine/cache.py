"""What was read and decoded, kept up to a number of bytes: the entry that was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from typing import Protocol, TypeVar


class Sized(Protocol):
    """Something that knows how many bytes of memory it takes; it may grow while it is kept."""

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes now."""


T = TypeVar("T", bound=Sized)


class Cache:
    """A map bounded in bytes; safe for threads. An entry that has grown is weighed again when ``weigh`` is called for it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._mutex = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Sized, int]] = OrderedDict()

    def get(self, key: Hashable) -> Sized | None:
        """Return what is kept under ``key``, or None."""
        found = self._kept.get(key)
        if found is None:
            return None
        with suppress(KeyError):  # another thread may have dropped it meanwhile; what was found is still right
            self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Sized) -> None:
        """Keep a value; drop others if there is no room."""
        size = value.nbytes
        with self._mutex:
            old = self._kept.pop(key, None)
            if old is not None:
                self.bytes -= old[1]
            if size > self.limit:
                return
            self._kept[key] = value, size
            self.bytes += size
            while self.bytes > self.limit:
                _, (_, dropped) = self._kept.popitem(last=False)
                self.bytes -= dropped

    def weigh(self, key: Hashable, value: Sized) -> None:
        """Account for a kept value that has grown."""
        found = self._kept.get(key)
        if found is not None and found[0] is value:
            self.put(key, value)

    def forget(self) -> None:
        """Drop everything."""
        with self._mutex:
            self._kept.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)
