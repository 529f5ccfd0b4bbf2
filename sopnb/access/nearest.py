"""What a search for a key found."""

from __future__ import annotations

from typing import NamedTuple

from sopnb.access.record import Record


class Nearest(NamedTuple):
    """The record that was found, or the one nearest to its place; None where there is no record at all."""

    found: bool
    record: Record | None
