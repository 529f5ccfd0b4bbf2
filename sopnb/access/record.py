"""One record as people hold it: a dict that cannot be changed, because changing it would change nothing in the store."""

from __future__ import annotations

from typing import Any, NoReturn

from sopnb.errors import ReadOnly


class Record(dict[str, Any]):
    """The columns of one record by name, read-only.

    ``seq`` is the commit that wrote it (0 within the transaction that is about to), ``key`` its full key, as ``store[key]`` takes it.
    A record is a copy: it stays as it is when the store changes, and an edit raises ``ReadOnly``. ``dict(record)`` is an editable copy.
    Lists and dicts within it are copies too, of which nothing is written back.

    >>> import sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.create("planes", schema={"tailnum": "string", "seats": "int64"}, index="tailnum")
    >>> planes.insert({"tailnum": "N123", "seats": 55}).inserted
    1
    >>> record = planes["N123"]
    >>> record["seats"], record.key, record.seq
    (55, 'N123', 2)
    """

    __slots__ = ("_id", "_key", "_names", "_store", "seq")

    def __init__(self, columns: dict[str, Any], *, store: str, seq: int, names: tuple[str, ...], id: bytes | None = None, key: Any = None):
        super().__init__(columns)
        self._store, self.seq, self._names, self._id, self._key = store, seq, names, id, key

    @property
    def store(self) -> str:
        """The name of its store."""
        return self._store

    @property
    def key(self) -> Any:
        """The full key: a tuple, or the one value of a key of one field; in a store that is not unique it ends in ``_id``."""
        if self._key is None:
            fields = tuple([self[name] for name in self._names])
            self._key = fields[0] if self._id is None and len(fields) == 1 else fields if self._id is None else (*fields, self._id)
        return self._key

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise ``ReadOnly``: a record is a copy of what the store holds."""
        raise ReadOnly(
            f"a record of store {self._store!r} is a copy that cannot be edited; use store.update(record.key, {{...}}) to change the "
            "store, or dict(record) for a dict of your own"
        )

    __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = __ior__ = _refuse

    def copy(self) -> dict[str, Any]:
        """Return an editable dict."""
        return dict(self)

    def __copy__(self) -> Record:
        return self

    def __deepcopy__(self, memo: Any) -> Record:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
