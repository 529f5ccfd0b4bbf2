"""A range of keys, in the order of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sopnb.errors import InvalidInput
from sopnb.index import successor
from sopnb.schema import ID, Schema

Closed = Literal["left", "right", "both", "neither"]


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The encoded keys in ``[lo, hi)``; ``hi`` is None where there is no end. Never upside down."""

    lo: bytes = b""
    hi: bytes | None = None

    @classmethod
    def between(cls, schema: Schema, start: Any, stop: Any, *, closed: Closed = "left", store: str = "") -> KeyRange:
        """Return the range from ``start`` to ``stop``, in index order; see ``Store.range``.

        Raises ``InvalidInput`` naming the descending field if ``start`` comes after ``stop``.
        """
        if closed not in ("left", "right", "both", "neither"):
            raise InvalidInput(f'closed={closed!r}; it is one of "left", "right", "both", "neither"')
        lo = b"" if start is None else encoded(schema, start, store=store)
        hi = None if stop is None else encoded(schema, stop, store=store)
        if hi is not None and lo > hi and not lo.startswith(hi):
            raise _upside_down(schema, start, stop, store)
        if start is not None and closed in ("right", "neither"):
            after = successor(lo)
            if after is None:
                return NOTHING
            lo = after
        if hi is not None and closed in ("right", "both"):
            hi = successor(hi)
        return cls(lo, hi)._upright()

    @classmethod
    def beginning(cls, schema: Schema, values: tuple[Any, ...], *, startswith: str | bytes | None = None, store: str = "") -> KeyRange:
        """Return the range of the keys whose leading fields are ``values``, and whose next field begins with ``startswith``."""
        if startswith is None:
            lo = encoded(schema, values, store=store)
            return cls(lo, successor(lo))
        stored = schema.key(values, partial=True, store=store)
        try:
            return cls(*schema.codec.encode_startswith(stored, startswith))
        except (InvalidInput, TypeError, AttributeError) as error:
            reason = error if isinstance(error, InvalidInput) else f"startswith={startswith!r} is neither text nor bytes"
            raise InvalidInput(f"store {store!r}: {reason}") from None

    def meet(self, other: KeyRange) -> KeyRange:
        """Return what lies in both."""
        hi = other.hi if self.hi is None else self.hi if other.hi is None else min(self.hi, other.hi)
        return KeyRange(max(self.lo, other.lo), hi)._upright()

    def fixed(self, schema: Schema) -> tuple[int, ...]:
        """Return where in ``lo`` each of the leading fields ends of which all keys in the range have one value."""
        found: list[int] = []
        for end in schema.codec.ends(self.lo):
            after = successor(self.lo[:end])
            if self.hi is None or (after is not None and self.hi > after):
                break
            found.append(end)
        return tuple(found)

    def _upright(self) -> KeyRange:
        return self if self.hi is None or self.lo <= self.hi else NOTHING


EVERYTHING = KeyRange()
NOTHING = KeyRange(b"", b"")


def encoded(schema: Schema, value: Any, *, store: str = "") -> bytes:
    """Return the bytes with which every key begins that has these leading fields; a full key's own bytes.

    Raises ``InvalidInput`` or ``SchemaMismatch`` naming the field.
    """
    stored = schema.key(value, partial=True, store=store)
    n = len(schema.key_names)
    return schema.codec.encode_prefix(stored[:n]) + b"".join(stored[n:])


def _upside_down(schema: Schema, start: Any, stop: Any, store: str) -> InvalidInput:
    down = [field.name for field in schema.specification.fields if field.descending]
    why = f"; {', '.join(map(repr, down))} is descending, so larger values come first" if down else ""
    return InvalidInput(
        f"store {store!r}: the range starts at {start!r}, after its stop {stop!r}, in the order of the index "
        f"({schema.specification}{'' if schema.unique else ', ' + ID}){why}"
    )
