"""Finding records by the values of some columns: which index is used, and what is left to a condition."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce
from operator import and_
from typing import Any

import pyarrow.compute as pc

from sopnb.index import IndexSpecification
from sopnb.schema import Schema


def chosen(
    own: IndexSpecification, indexes: Mapping[str, IndexSpecification], wanted: Collection[str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return (the index that narrows it most, None for the store's own; its leading fields that are wanted).

    It is the one of which most leading fields are wanted; of several the store's own, else a unique one, else the shortest.
    """
    best: tuple[str | None, tuple[str, ...]] = (None, leading(own, wanted))
    rank = (len(best[1]), 2, 0)
    for name, specification in sorted(indexes.items()):
        used = leading(specification, wanted)
        here = (len(used), int(specification.unique), -len(specification.fields))
        if used and here > rank:
            best, rank = (name, used), here
    return best


def leading(specification: IndexSpecification, wanted: Collection[str]) -> tuple[str, ...]:
    """Return the leading fields that are wanted."""
    used: list[str] = []
    for name in specification.names:
        if name not in wanted:
            break
        used.append(name)
    return tuple(used)


def equal(schema: Schema, stored: Mapping[str, Any]) -> Any:
    """Return the condition that columns have these storage values; null and NaN are looked for as such."""
    return reduce(and_, (_is(schema, name, value) for name, value in stored.items()))


def _is(schema: Schema, name: str, stored: Any) -> Any:
    if stored is None:
        return pc.field(name).is_null()
    if stored != stored:
        return pc.is_nan(pc.field(name))
    return pc.field(name) == pc.scalar(schema.batch([(stored,)], [name]).column(0)[0])
