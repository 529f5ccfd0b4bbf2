"""Several layers read as one, piece by piece, in memory bounded by one piece of each.

At every step each layer stands in one piece; the step goes up to the nearest end of any of them. Where one layer alone has entries
and the step takes a whole piece of it, the piece is handed on as it is, not even loaded: a scan over a store that hardly changed
never looks at keys, and a fold may name a leaf anew instead of writing it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

from sopnb.engine.entries import Entries, overlaid
from sopnb.engine.layer import Layer, Piece
from sopnb.schema import Schema

Part = Entries | Piece


def merged(layers: Sequence[Layer], schema: Schema, lo: bytes = b"", hi: bytes | None = None, *, columns: Sequence[str] | None = None,
           reverse: bool = False) -> Iterator[Part]:  # fmt: skip
    """Yield the changes of ``layers`` (oldest first) in ``[lo, hi)`` as one: newer over older, each key once.

    Each part is ascending in itself; with ``reverse`` the parts come in descending order. ``columns`` are those that entries must
    hold besides the key columns.
    """
    needed = None if columns is None else tuple(dict.fromkeys((*columns, *schema.stored_key_names)))
    ways = [_Way(layer, schema, lo, hi, needed, reverse=reverse) for layer in layers if layer.entries]
    while ways := [way for way in ways if way.piece is not None]:
        edge = _edge(ways, lo, hi, reverse=reverse)
        parts = [part for way in ways if (part := way.take(edge)) is not None]
        if len(parts) == 1:
            yield parts[0]
        elif parts:
            both = reduce(lambda lower, upper: overlaid(lower, upper, schema), (loaded(part, needed) for part in parts))
            if len(both):
                yield both


def loaded(part: Part, columns: Sequence[str] | None = None) -> Entries:
    """Return the entries of a part, with these columns."""
    entries = part.load() if isinstance(part, Piece) else part
    return entries if columns is None else entries.select(columns)


def _edge(ways: Sequence[_Way], lo: bytes, hi: bytes | None, *, reverse: bool) -> bytes | None:
    """Return where this step ends: all keys before it (or, in reverse, from it on) are taken."""
    if reverse:
        return max(lo, *(way.first for way in ways)) if ways else lo
    stops = [way.stop for way in ways if way.stop is not None]
    if hi is not None:
        stops.append(hi)
    return min(stops) if stops else None


class _Way:
    """One layer on its way through the merge: the piece it stands in, and how far."""

    def __init__(self, layer: Layer, schema: Schema, lo: bytes, hi: bytes | None, columns: Sequence[str] | None, *, reverse: bool) -> None:
        self._schema, self._lo, self._hi, self._columns, self._reverse = schema, lo, hi, columns, reverse
        self._pieces = layer.pieces(lo, hi, reverse=reverse)
        self.piece: Piece | None = None
        self._rest: Entries | None = None
        self.first = b""
        self.stop: bytes | None = None
        self._advance()

    def _advance(self) -> None:
        self._rest = None
        self.piece = piece = next(self._pieces, None)
        if piece is None:
            return
        self.first, self.stop = piece.first, piece.stop
        outside = piece.first < self._lo or (self._hi is not None and (piece.stop is None or piece.stop > self._hi))
        if outside:
            self._cut(piece)

    def _cut(self, piece: Piece) -> None:
        """Leave out what lies outside the range asked for."""
        entries = loaded(piece, self._columns)
        keys = entries.keys(self._schema)
        start = keys.search(self._lo)
        stop = len(keys) if self._hi is None else keys.search(self._hi)
        if start >= stop:
            self._advance()
            return
        self._rest = entries.slice(start, stop)
        self.first = keys[start]
        if self._hi is not None and (self.stop is None or self.stop > self._hi):
            self.stop = self._hi

    def take(self, edge: bytes | None) -> Part | None:
        """Return what the current piece holds on this side of the edge, and go on to the next piece when it is used up."""
        piece = self.piece
        if piece is None:
            return None
        if self._reverse:
            return self._take_back(piece, edge or b"")
        if edge is not None and self.first >= edge:
            return None
        if edge is None or (self.stop is not None and self.stop <= edge):
            part: Part = piece if self._rest is None else self._rest
            self._advance()
            return part
        rest = self._rest if self._rest is not None else loaded(piece, self._columns)
        keys = rest.keys(self._schema)
        at = keys.search(edge)
        if at == len(keys):
            self._advance()
            return rest
        self._rest, self.first = rest.slice(at, len(rest)), keys[at]
        return rest.slice(0, at) if at else None

    def _take_back(self, piece: Piece, edge: bytes) -> Part | None:
        if self.stop is not None and self.stop <= edge:
            return None
        if self.first >= edge:
            part: Part = piece if self._rest is None else self._rest
            self._advance()
            return part
        rest = self._rest if self._rest is not None else loaded(piece, self._columns)
        at = rest.keys(self._schema).search(edge)
        self._rest, self.stop = rest.slice(0, at), edge
        return rest.slice(at, len(rest)) if at < len(rest) else None
