"""Some records of a key range, spread evenly over it, as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.engine import far
from sopnb.engine.entries import Entries
from sopnb.engine.layers import Stack
from sopnb.schema import Schema

PLACES = 48
"""A sample is taken at up to so many places, ..."""
PLACE_ROWS = 200
"""... of up to so many rows at each, ..."""
BYTES = 4 * 1024 * 1024
"""... until it takes about this much."""
DEAD = 20_000
"""It ends where so many deletions were met that no fold has taken away yet."""
_GOLDEN, _SHIFT = 0.618034, 0.414214
SEQ = "_seq"
Passes = Callable[[Any], Any]
"""Takes a batch of physical columns and ``_seq``, returns the positions of the rows that a condition keeps, ascending."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Columns in physical types, of ``rows`` rows that were looked at out of ``of``; under a condition only those that pass.

    ``large`` counts by column the values out of line, which stand as null here.
    """

    columns: Any
    rows: int
    of: int
    large: dict[str, int]


def sampled(
    stack: Stack, schema: Schema, names: Sequence[str], *, lo: bytes = b"", hi: bytes | None = None, passes: Passes | None = None
) -> Sample:
    """Return a sample of a key range, or all of a small one. It reads a bounded number of leaves, and no value out of line."""
    first = stack.rank(lo)
    of = max(stack.rank(hi) - first, 0)
    physical = [name for name in names if name != SEQ]
    wanted = None if passes is not None or not physical else tuple(dict.fromkeys((*physical, *schema.stored_key_names)))
    tables, rows = [], 0
    large: dict[str, int] = {}
    for part in _parts(stack, first, of, wanted):
        rows += len(part)
        if passes is not None:
            if part.far is not None:  # what the condition asks may be out of line
                continue
            part = part.take(passes(with_commits(part)))
        for column in () if part.far is None else _large(part):
            name = schema.physical.names[column]
            large[name] = large.get(name, 0) + 1
        tables.append(pa.Table.from_batches([with_commits(part)]).select(list(names)))
    return Sample(pa.concat_tables(tables) if tables else None, rows, of, large)


def _parts(stack: Stack, first: int, of: int, columns: Sequence[str] | None) -> Iterator[Entries]:
    """Yield the records at some positions, the same ones however they are spread over layers.

    One place comes after another so that those until any of them are spread evenly. Within its share of the range a place lies here or
    there, so that what comes back in regular steps, as the days of a month do, is met in all its parts.
    """
    places = min(-(-of // PLACE_ROWS), PLACES)
    size = min(-(-of // max(places, 1)), PLACE_ROWS)
    nbytes = dead = 0
    for place in sorted(range(places), key=lambda place: place * _GOLDEN % 1):
        at, stop = place * of // places, (place + 1) * of // places
        if stop - at > size:
            at = of - size if place == places - 1 else at + int(place * _SHIFT % 1 * (stop - at - size))
            stop = at + size
        for part, gone in stack.walk(first + at, first + stop, columns=columns):
            nbytes, dead = nbytes + part.nbytes, dead + gone
            if len(part):
                yield part
            if dead > DEAD:
                break
        if nbytes > BYTES or dead > DEAD:
            return


def _large(part: Entries) -> Iterator[int]:
    """Yield the column of each value out of line."""
    for cell in part.far.drop_null().to_pylist():
        yield from (place[0] for place in far.decode(cell))


def with_commits(part: Entries) -> Any:
    """Return the batch of some entries with the column ``_seq``."""
    return part.batch.append_column(SEQ, pa.array(np.asarray(part.seqs), pa.int64()))
