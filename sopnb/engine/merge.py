"""Several layers read as one, piece by piece, in memory bounded by a few pieces of each.

Two neighbouring layers are laid over each other, then two neighbours of what there is now, and so on, always the two that are smallest
together: so what is large is touched once however much lies over it, and many of one size are merged by halves. A piece that nothing
above touches is handed on as it is, not even loaded: a scan over a store that hardly changed never looks at keys, and a fold may name a
leaf anew instead of writing it again. Neighbours that are all touched are taken together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sopnb.engine.entries import Entries, concatenated, overlaid
from sopnb.engine.layer import Layer, Piece
from sopnb.engine.prune import Prune
from sopnb.index import Keys
from sopnb.schema import Schema

TOGETHER = 16
"""At most so many neighbouring pieces are taken together; fewer at the beginning, for who wants only the first rows."""
Part = Entries | Piece


def merged(layers: Sequence[Layer], schema: Schema, lo: bytes = b"", hi: bytes | None = None, *, columns: Sequence[str] | None = None,
           reverse: bool = False, prune: Prune | None = None) -> Iterator[Part]:  # fmt: skip
    """Yield the changes of ``layers`` (oldest first) in ``[lo, hi)`` as one: newer over older, each key once.

    Each part is ascending in itself; with ``reverse`` the parts come in descending order. ``columns`` are those that entries must
    hold besides the key columns. With ``prune`` records that are not sought may be absent, for those who look at live records only.
    """
    needed = None if columns is None else tuple(dict.fromkeys((*columns, *schema.stored_key_names)))
    over = _down if reverse else _up
    full = [layer for layer in layers if layer.entries]
    pieces = [layer.pieces(lo, hi, reverse=reverse, prune=prune, lowest=layer is full[0]) for layer in full]
    streams = [_within(each, schema, lo, hi, needed) for each in pieces]
    sizes = [layer.entries for layer in full]
    while len(streams) > 1:
        i = min(range(len(sizes) - 1), key=lambda i: sizes[i] + sizes[i + 1])
        streams[i : i + 2] = [over(_Stream(streams[i]), _Stream(streams[i + 1]), schema, needed)]
        sizes[i : i + 2] = [sizes[i] + sizes[i + 1]]
    for piece in streams[0] if streams else ():
        yield piece if piece.made is None else piece.made


def loaded(part: Part, columns: Sequence[str] | None = None) -> Entries:
    """Return the entries of a part, with these columns."""
    entries = part if isinstance(part, Entries) else part.load() if part.made is None else part.made
    return entries if columns is None else entries.select(columns)


def _made(entries: Entries, first: bytes, stop: bytes | None) -> Piece:
    return Piece(first, stop, lambda: entries, made=entries)


def _within(pieces: Iterator[Piece], schema: Schema, lo: bytes, hi: bytes | None, needed: Sequence[str] | None) -> Iterator[Piece]:
    """Yield the pieces of a layer, without what lies outside the range asked for."""
    for piece in pieces:
        if piece.first >= lo and (hi is None or (piece.stop is not None and piece.stop <= hi)):
            yield piece
            continue
        entries = loaded(piece, needed)
        start = 0 if piece.first >= lo else entries.before(lo, schema)
        stop = len(entries) if hi is None else entries.before(hi, schema)
        if start < stop:
            first = piece.first if start == 0 else entries.key(start, schema)
            yield _made(entries.slice(start, stop), first, hi if piece.stop is None or (hi is not None and piece.stop > hi) else piece.stop)


class _Stream:
    """Pieces one after another."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._waiting: list[Piece] = []

    @property
    def piece(self) -> Piece | None:
        """The next piece, None at the end."""
        if not self._waiting:
            self._waiting.extend(islice(self._pieces, 1))
        return self._waiting[-1] if self._waiting else None

    def take(self) -> Piece:
        """Return the next piece, which there must be, and go on."""
        return self._waiting.pop()

    def give_back(self, entries: Entries, first: bytes, stop: bytes | None) -> None:
        """Put what is left of a piece before all others."""
        self._waiting.append(_made(entries, first, stop))

    def rest(self) -> Iterator[Piece]:
        """Yield all that is left."""
        yield from reversed(self._waiting)
        yield from self._pieces


def _up(low: _Stream, up: _Stream, schema: Schema, needed: Sequence[str] | None) -> Iterator[Piece]:
    """Yield ``up`` laid over ``low``, ascending."""
    most = 1
    while (below := low.piece) is not None and (above := up.piece) is not None:
        if _ends_by(below, above.first):
            yield low.take()
        elif _ends_by(above, below.first):
            yield up.take()
        elif above.first < below.first:
            upper = loaded(up.take(), needed)
            at = upper.before(below.first, schema)
            yield _made(upper.slice(0, at), above.first, below.first)
            if at < len(upper):
                up.give_back(upper.slice(at, len(upper)), upper.key(at, schema), above.stop)
        else:
            upper = loaded(up.take(), needed)
            keys = upper.keys(schema)
            group = _group(low, keys, most)
            most = min(2 * most, TOGETHER)
            lower, end = concatenated([loaded(piece, needed) for piece in group]), group[-1].stop
            edge = _least(end, above.stop)
            in_lower = len(lower) if edge == end else lower.keys(schema).search(edge or b"")
            in_upper = len(upper) if edge == above.stop else keys.search(edge or b"")
            both = overlaid(lower.slice(0, in_lower), upper.slice(0, in_upper), schema)
            if len(both):
                yield _made(both, both.key(0, schema), edge)
            if in_lower < len(lower):
                low.give_back(lower.slice(in_lower, len(lower)), lower.key(in_lower, schema), end)
            if in_upper < len(upper):
                up.give_back(upper.slice(in_upper, len(upper)), keys[in_upper], above.stop)
    yield from low.rest()
    yield from up.rest()


def _down(low: _Stream, up: _Stream, schema: Schema, needed: Sequence[str] | None) -> Iterator[Piece]:
    """Yield ``up`` laid over ``low``, the pieces descending, each ascending in itself."""
    most = 1
    while (below := low.piece) is not None and (above := up.piece) is not None:
        if _ends_by(above, below.first):
            yield low.take()
        elif _ends_by(below, above.first):
            yield up.take()
        else:
            upper = loaded(up.take(), needed)
            keys = upper.keys(schema)
            group = _group(low, keys, most)[::-1]
            most = min(2 * most, TOGETHER)
            lower, first = concatenated([loaded(piece, needed) for piece in group]), group[0].first
            edge = max(first, above.first)
            from_lower = 0 if edge == first else lower.keys(schema).search(edge)
            from_upper = 0 if edge == above.first else keys.search(edge)
            both = overlaid(lower.slice(from_lower, len(lower)), upper.slice(from_upper, len(upper)), schema)
            if len(both):
                stop = None if below.stop is None or above.stop is None else max(below.stop, above.stop)
                yield _made(both, both.key(0, schema), stop)
            if from_lower:
                low.give_back(lower.slice(0, from_lower), first, edge)
            if from_upper:
                up.give_back(upper.slice(0, from_upper), above.first, edge)
    yield from low.rest()
    yield from up.rest()


def _group(low: _Stream, keys: Keys, most: int) -> list[Piece]:
    """Take the next piece, and those after it as long as each holds the place of one of ``keys``."""
    group = [low.take()]
    while len(group) < most and (piece := low.piece) is not None:
        stop = len(keys) if piece.stop is None else keys.search(piece.stop)
        if keys.search(piece.first) == stop:
            break
        group.append(low.take())
    return group


def _ends_by(piece: Piece, key: bytes) -> bool:
    return piece.stop is not None and piece.stop <= key


def _least(one: bytes | None, other: bytes | None) -> bytes | None:
    return other if one is None else one if other is None else min(one, other)
