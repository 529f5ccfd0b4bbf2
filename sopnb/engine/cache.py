"""What was read and decoded, kept up to a number of bytes: leaves and branches, and single records."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from sopnb.engine import forks


class Sized(Protocol):
    """Something that knows how many bytes of memory it takes; it may grow while it is kept."""

    @property
    def nbytes(self) -> int:
        """About how many bytes it takes now."""


T = TypeVar("T", bound=Sized)


class Cache:
    """A map bounded in bytes, safe for threads; the entry that was used longest ago goes first.

    An entry that has grown is weighed again when ``weigh`` is called for it.
    """

    def __init__(self, limit: int) -> None:
        self.spare = limit // 4
        """What is left to single records (``Shelves``)."""
        self.limit = limit - self.spare
        self.bytes = 0
        self._mutex = threading.Lock()
        forks.register(self)
        self._kept: OrderedDict[Hashable, tuple[Sized, int]] = OrderedDict()

    def after_fork(self) -> None:
        """Make the lock anew, and the sum: another thread may have been about to change it."""
        self._mutex = threading.Lock()
        self.bytes = sum(size for _, size in self._kept.values())

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


class Shelf:
    """What single look-ups found lately, by key. Whoever looks something up may ask ``new`` directly: most look-ups end there."""

    __slots__ = ("__weakref__", "new", "old")

    def __init__(self) -> None:
        self.new: dict[bytes, Any] = {}
        self.old: dict[bytes, Any] = {}


class Shelves:
    """Shelves that together keep to a number of bytes: when the new things take half of it they become the old, and the old ones go.

    So a find costs no more than that in a dict, and what is asked for again and again stays.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        """What the new things take; the old ones take no more than half of ``limit``."""
        self._mutex = threading.Lock()
        forks.register(self)
        self._shelves: weakref.WeakSet[Shelf] = weakref.WeakSet()

    def after_fork(self) -> None:
        """Make the lock anew."""
        self._mutex = threading.Lock()

    def shelf(self) -> Shelf:
        """Return a new shelf."""
        shelf = Shelf()
        with self._mutex:
            self._shelves.add(shelf)
        return shelf

    def keep(self, shelf: Shelf, key: bytes, value: Any, size: int) -> None:
        """Put something on a shelf."""
        with self._mutex:
            if self.bytes + size > self.limit // 2:
                for each in self._shelves:
                    each.new, each.old = {}, each.new
                self.bytes = 0
            shelf.new[key] = value
            self.bytes += size
