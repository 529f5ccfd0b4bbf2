"""The stores of a state by their ids: a map that is copied piece by piece, so a commit costs what it changes and not what there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from sopnb.protocols import Clock

T = TypeVar("T")
_PIECES = 64


def new_id(clock: Clock) -> int:
    """Return the id of a new store, which nobody else will draw."""
    return int.from_bytes(clock.new_id(6), "big")


class Catalogue(Mapping[int, T]):
    """An immutable map from ids to values.

    >>> before = Catalogue([(7, "a")])
    >>> after = before.replaced({7: None, 8: "b"})
    >>> dict(before), dict(after)
    ({7: 'a'}, {8: 'b'})
    """

    __slots__ = ("_pieces",)

    def __init__(self, items: Iterable[tuple[int, T]] = ()) -> None:
        pieces: list[dict[int, T]] = [{} for _ in range(_PIECES)]
        for id, value in items:
            pieces[id % _PIECES][id] = value
        self._pieces = pieces

    def __getitem__(self, id: int) -> T:
        return self._pieces[id % _PIECES][id]

    def __contains__(self, id: object) -> bool:
        return isinstance(id, int) and id in self._pieces[id % _PIECES]

    def __iter__(self) -> Iterator[int]:
        return (id for piece in self._pieces for id in piece)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def replaced(self, changes: Mapping[int, T | None]) -> Catalogue[T]:
        """Return the map with some values replaced, or taken out where they are None."""
        new: Catalogue[T] = Catalogue.__new__(Catalogue)
        pieces = new._pieces = self._pieces.copy()
        for id, value in changes.items():
            at = id % _PIECES
            piece = pieces[at]
            if piece is self._pieces[at]:
                piece = pieces[at] = piece.copy()
            if value is None:
                piece.pop(id, None)
            else:
                piece[id] = value
        return new
