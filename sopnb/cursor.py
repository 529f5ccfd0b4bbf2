"""A place in a store that moves from record to record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from sopnb.access import changes
from sopnb.access.keyrange import encoded
from sopnb.access.reading import Reading, commit_of, note, unnoted
from sopnb.access.record import Record
from sopnb.access.ways import Access, Change
from sopnb.engine.counts import Counts
from sopnb.engine.entries import Entries
from sopnb.errors import Closed, InvalidState
from sopnb.index import Keys, successor


class Cursor:
    """A place in a store, in index order: at a record, or between two. Made by ``store.cursor()``; use it with ``with``.

    It begins before the first record. It sees the state in which it was made, and goes on to the newest one with each change that it
    makes itself; inside a transaction it sees what the transaction sees. After ``delete`` it stands between the neighbours, so deleting
    while iterating passes no record over. Not for use by two threads at once.

    >>> import sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
    >>> planes.insert([{"tailnum": "N1", "seats": 55}, {"tailnum": "N3", "seats": 182}]).inserted
    2
    >>> with planes.cursor() as c:
    ...     print(c.seek("N1"), c.key, c.seek("N2"), c.key, c.next(), c.previous(), c.key)
    True N1 False N3 False True N3
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._reading: Reading | None = access.reading()
        self._schema = self._reading.schema
        # the records before _left are before the cursor, those from _right on after it; None is behind the last
        self._left: bytes | None = b""
        self._right: bytes | None = b""
        self._walk: _Walk | None = None
        self._at_record = False

    # -- moving ---------------------------------------------------------------------------------------------------------------

    def seek(self, key: Any) -> bool:
        """Go to the record with this key, or to the first one after it. True if it is this key's, False if it is another's or none.

        The leading fields of a key will do: then it is True if the record begins with them.
        """
        sought = encoded(self._schema, key, store=self._access.name)
        self._stand(sought, sought)
        return self.next() and self._here.startswith(sought)

    def seek_before(self, key: Any) -> bool:
        """Go to the record with this key, or to the last one before it. True if it is this key's, False if it is another's or none."""
        sought = encoded(self._schema, key, store=self._access.name)
        after = successor(sought)
        self._stand(after, after)
        return self.previous() and self._here.startswith(sought)

    def first(self) -> bool:
        """Go to the first record; False if there is none."""
        self._stand(b"", b"")
        return self.next()

    def last(self) -> bool:
        """Go to the last record; False if there is none."""
        self._stand(None, None)
        return self.previous()

    def next(self) -> bool:
        """Go to the next record. False at the end: the cursor then stands behind the last record, and stays there."""
        reading = self._open()
        if self._right is None:
            return False
        if self._walk is None or not self._walk.goes_on(reading, reverse=False):
            self._walk = _Walk(reading, self._right, None, reverse=False)
        return self._arrive(self._walk.step(), None)

    def previous(self) -> bool:
        """Go to the record before. False at the beginning: the cursor then stands before the first record, and stays there."""
        reading = self._open()
        if self._walk is None or not self._walk.goes_on(reading, reverse=True):
            self._walk = _Walk(reading, b"", self._left, reverse=True)
        return self._arrive(self._walk.step(), b"")

    def __iter__(self) -> Iterator[Record]:
        """Yield the records from the next one to the last."""
        while self.next():
            yield self.record

    def _arrive(self, key: bytes | None, end: bytes | None) -> bool:
        if key is None:
            self._stand(end, end)
            return False
        self._left, self._right, self._at_record = key, key + b"\0", True
        return True

    def _stand(self, left: bytes | None, right: bytes | None) -> None:
        self._left, self._right, self._at_record, self._walk = left, right, False, None

    # -- the record here ------------------------------------------------------------------------------------------------------

    @property
    def key(self) -> Any:
        """The full key of the record here. Raises ``InvalidState`` where there is no record."""
        stored = self._schema.codec.decode(self._here)
        return self._schema.public_key(stored if self._schema.unique else (*stored, self._here[-16:]))

    @property
    def record(self) -> Record:
        """The record here. Raises ``InvalidState`` where there is no record: at either end, and after ``delete``."""
        here, reading = self._here, self._open()
        entry = unnoted(reading).get(here)
        if entry is None or entry.row is None:
            raise InvalidState(f"store {self._access.name!r}: the record {self.key!r} is gone; move the cursor on")
        id = None if self._schema.unique else entry.row[-1]
        seq = commit_of(reading, entry.seq)
        return Record(
            self._schema.record(entry.row),
            store=self._access.name,
            seq=seq,
            names=self._schema.key_names,
            id=id,
            key=self._schema.shown_key(entry.row),
        )

    @property
    def _here(self) -> bytes:
        self._open()
        if not self._at_record or self._left is None:
            raise InvalidState(f"the cursor of store {self._access.name!r} is at no record; move it with seek(), next() or previous()")
        return self._left

    # -- changes --------------------------------------------------------------------------------------------------------------

    def update(self, columns: Mapping[str, Any]) -> Counts:
        """Change columns of the record here; durable when it returns, unless in a transaction. Raises as ``Store.update`` does."""
        here = self._here
        return self._change(lambda store: changes.change(store, here, columns))

    def replace(self, record: Mapping[str, Any]) -> Counts:
        """Replace the record here by a whole one of the same key. Raises as ``Store.replace`` does."""
        here = self._here
        return self._change(lambda store: changes.replace(store, here, record))

    def delete(self) -> Counts:
        """Delete the record here: the cursor then stands between its neighbours."""
        here = self._here
        counts = self._change(lambda store: store.delete(Keys.of([here])))
        self._at_record = False
        return counts

    def _change(self, change: Change) -> Counts:
        counts = self._access.write(change)
        self._reading = self._access.reading()
        return counts

    # -- life -----------------------------------------------------------------------------------------------------------------

    def _open(self) -> Reading:
        if self._reading is None:
            raise Closed("the cursor is closed; make another one")
        return self._reading

    def close(self) -> None:
        """Let go of the state that it reads. Harmless to repeat."""
        self._reading = self._walk = None

    def __enter__(self) -> Cursor:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "closed" if self._reading is None else f"at {self.key!r}" if self._at_record else "between records"
        return f"Cursor of store {self._access.name!r}, {where}"


class _Walk:
    """Steps through a key range in one direction, a part at a time, as long as what is read does not change."""

    def __init__(self, reading: Reading, lo: bytes, hi: bytes | None, *, reverse: bool) -> None:
        self._stack, self._schema, self._reverse = unnoted(reading), reading.schema, reverse
        self._reading, self._lo, self._hi = reading, lo, hi
        self._parts: Iterator[Entries] = self._stack.scan(lo, hi, reverse=reverse, columns=self._schema.stored_key_names)
        self._keys: Keys | None = None
        self._at = 0

    def goes_on(self, reading: Reading, *, reverse: bool) -> bool:
        """Say whether a step of this walk is a step in this direction through what is read now."""
        return self._reverse is reverse and self._stack is unnoted(reading)

    def step(self) -> bytes | None:
        """Return the next key, None at the end of the range."""
        if self._keys is None or not 0 <= self._at < len(self._keys):
            part = next(self._parts, None)
            if part is None:
                note(self._reading, self._lo, self._hi)
                return None
            self._keys = part.keys(self._schema)
            self._at = len(self._keys) - 1 if self._reverse else 0
        key = self._keys[self._at]
        self._at += -1 if self._reverse else 1
        note(self._reading, *((key, self._hi) if self._reverse else (self._lo, key + b"\0")))
        return key
