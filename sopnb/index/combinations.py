"""Which columns follow from others, and which combinations of them are unique: a search level by level, of bounded work.

A combination is refuted by the number of values that its columns have, then on sampled rows; what is left is verified on all rows, so
what is said to be unique is. Only minimal combinations are looked for: no column can be left out of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import prod

from sopnb.index.profile import Profile, distinct, sample_rows

WIDEST = 4
"""Columns of a combination at most."""
MOST_COLUMNS = 40
"""So many columns are combined, texts and times first, then those with the most values; ..."""
MOST_COMBINATIONS = 4096
"""... so many combinations are tried on sampled rows, ..."""
MOST_VERIFIED = 64
"""... and so many on all rows."""
MANY_ROWS = 2
"""A column of which each value has fewer rows than this on average seems to tell all others, by chance."""


@dataclass(frozen=True)
class Unique:
    """The minimal unique combinations; ``bounded`` if the search ended at a limit, so that there may be others."""

    combinations: tuple[tuple[Profile, ...], ...] = ()
    bounded: bool = False


def unique(columns: Sequence[Profile], rows: int) -> Unique:
    """Return the minimal unique combinations of one and two columns; where there are none, of three, and then of four.

    Wider ones than the narrowest are mostly unique by chance.
    """
    if not columns or distinct(columns) < rows:
        return Unique()
    kept = sorted(columns, key=lambda c: (not c.names, -c.distinct, c.place))[:MOST_COLUMNS]
    bounded = len(kept) < len(columns)
    found: list[tuple[Profile, ...]] = []
    tried = verified = 0
    for width in range(1, min(WIDEST, len(kept)) + 1):
        if found and width > 2:
            break
        several = [each for each in combinations(kept, width) if prod(c.distinct for c in each) >= rows]
        several.sort(key=lambda each: (-sum(c.names for c in each), -prod(c.distinct for c in each)))
        narrower = [set(each) for each in found]
        for each in several:
            if any(one <= set(each) for one in narrower):
                continue
            if tried == MOST_COMBINATIONS or verified == MOST_VERIFIED:
                return Unique(tuple(found), True)
            tried += 1
            if distinct(each, sample=True) == sample_rows(rows):
                verified += 1
                if distinct(each) == rows:
                    found.append(each)
    return Unique(tuple(found), bounded)


def derived(columns: Sequence[Profile], rows: int) -> dict[Profile, Profile]:
    """Return the columns that follow from another one, which has more values or comes first, with that one.

    Whatever is unique with the column is unique with the one that it follows from, so nothing is lost without it. No column is given up
    for a poorer one, or for one that is nearly unique.
    """
    several = sorted((column for column in columns if column.distinct < rows), key=lambda c: (bool(c.poor), -c.distinct, c.place))[
        :MOST_COLUMNS
    ]
    counted: dict[frozenset[Profile], int] = {}
    follows: dict[Profile, Profile] = {}
    for column, by in permutations(several, 2):
        if column in follows or by in follows or by.distinct * MANY_ROWS > rows or bool(by.poor) > bool(column.poor):
            continue
        if (by.distinct, -by.place) < (column.distinct, -column.place):
            continue
        pair = frozenset((column, by))
        if pair not in counted:
            counted[pair] = distinct((column, by), sample=True)
        if counted[pair] == distinct((by,), sample=True) and distinct((column, by)) == by.distinct:
            follows[column] = by
    return follows


def needed(columns: Sequence[Profile]) -> tuple[Profile, ...]:
    """Return the columns without those that add nothing: as many different rows are there without them. The last go first."""
    kept = list(columns)
    whole = distinct(kept)
    for column in reversed(columns):
        rest = [each for each in kept if each is not column]
        if rest and distinct(rest) == whole:
            kept = rest
    return tuple(kept)


def widest(columns: Sequence[Profile]) -> tuple[Profile, ...]:
    """Return few columns that tell most rows apart: the one with the most values, then what adds the most, as long as it is worth it."""
    left = sorted(columns, key=lambda c: (-c.distinct, c.place))[:MOST_COLUMNS]
    chosen = left[:1]
    while left and len(chosen) < WIDEST:
        before = distinct(chosen, sample=True)
        counted = [(distinct((*chosen, each), sample=True), -at) for at, each in enumerate(left) if each not in chosen]
        if not counted or max(counted)[0] < before * 1.01:
            break
        chosen.append(left[-max(counted)[1]])
    return needed(chosen) if chosen else ()
