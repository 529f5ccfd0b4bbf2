"""Where in the log the commits lie: places met while reading and appending, so that a read begins near what it is asked for."""

from __future__ import annotations

import threading
from bisect import bisect_right

from sopnb.storage.log import Place

_MOST = 8192
_NEWEST = 1024


class PlaceIndex:
    """Some durable places, ordered by seq: the newest ones densely, older ones thinned out. Safe for threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._places: list[Place] = []

    def after_fork(self) -> None:
        """Do not wait for a thread that the child does not have."""
        self._mutex = threading.Lock()

    def add(self, place: Place) -> None:
        """Remember a place."""
        with self._mutex:
            places = self._places
            newest = places[-1].seq if places else -1
            if place.seq > newest:
                places.append(place)
                if len(places) > _MOST:
                    del places[: len(places) - _NEWEST : 2]
            elif place.seq < newest:
                at = bisect_right(places, place.seq, key=_seq)
                if not at or places[at - 1].seq != place.seq:
                    places.insert(at, place)

    def before(self, seq: int) -> Place | None:
        """Return the newest place known at or before ``seq``."""
        with self._mutex:
            places = self._places
            if places and places[-1].seq <= seq:
                return places[-1]
            at = bisect_right(places, seq, key=_seq)
            return places[at - 1] if at else None

    def forget(self, segment: int) -> None:
        """Forget the places in a segment and those before it."""
        with self._mutex:
            self._places = [place for place in self._places if place.position.segment > segment]


def _seq(place: Place) -> int:
    return place.seq
