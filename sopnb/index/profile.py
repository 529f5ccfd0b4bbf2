"""What a column of data is like as a key field: its values as codes, how many they are, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.fields import formed, one_array, plain_type
from sopnb.index.specification import orderable

SAMPLED_ROWS = 16_384
"""So many rows, in blocks spread over the data, refute before all rows are looked at."""
BLOCK_ROWS = 512
READ_VALUES = 4096
"""So many different texts are read to see of what form they are."""
LONG_TEXT = 64
"""Texts longer than this on average, in bytes, make large keys."""
CALENDAR = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
"""Columns of whole numbers with these names are parts of a time, from coarse to fine."""
_MOMENT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:.*)?$"
_MOST = 1 << 62


@dataclass(frozen=True, eq=False)
class Profile:
    """A column that can be a key field. ``codes`` number its values for all rows, null among them; there are ``distinct`` of them.

    ``place`` is that of the column in the data; ``time`` says whether it is a moment, 1, or a part of one by name, finer the higher;
    ``poor`` is what speaks against it, empty if nothing does.
    """

    name: str
    place: int
    codes: Any
    distinct: int
    time: int
    text: bool
    poor: str

    @classmethod
    def of(cls, name: str, place: int, column: Any) -> Profile | str:
        """Return what a column is like; if it cannot be a key field the reason."""
        if not orderable(plain_type(column.type)):
            return f"{column.type} cannot be a key"
        column = _plain(column)
        kind = column.type
        if pa.types.is_floating(kind):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), pc.add(column, pa.scalar(0.0, kind)))
        encoded = column.dictionary_encode(null_encoding="encode")
        distinct = len(encoded.dictionary)
        if distinct < 2:
            return "the same in every row"
        values = encoded.dictionary.slice(0, READ_VALUES).drop_null()
        text = bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
        moment = bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or (text and _all_match(values, _MOMENT)))
        part = name.casefold() if pa.types.is_integer(kind) else ""
        time = 1 if moment else 2 + CALENDAR.index(part) if part in CALENDAR else 0
        poor = "has nulls" if column.null_count else "floating point" if pa.types.is_floating(kind) else ""
        if text and not moment:
            poor = poor or _form(values)
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.min_scalar_type(distinct - 1))
        return cls(name, place, codes, distinct, time, text, poor)

    @property
    def names(self) -> bool:
        """Whether it is of a type that names things or moments; numbers may be measures."""
        return bool(self.text or self.time)

    @cached_property
    def sample(self) -> Any:
        """The codes of the sampled rows."""
        return self.codes[_sampled(len(self.codes))]


def distinct(columns: Sequence[Profile], *, sample: bool = False) -> int:
    """Return how many different rows these columns have, of all rows or of the sampled ones."""
    codes = columns[0].sample if sample else columns[0].codes
    if len(columns) == 1 and not sample:
        return columns[0].distinct
    codes = codes.astype(np.int64)
    size = columns[0].distinct
    for column in columns[1:]:
        if size * column.distinct > _MOST:
            encoded = pa.array(codes).dictionary_encode()
            codes, size = encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
        codes = codes * column.distinct + (column.sample if sample else column.codes)
        size *= column.distinct
    if size <= 8 * len(codes):
        there = np.zeros(size, bool)
        there[codes] = True
        return int(np.count_nonzero(there))
    if size <= 1 << 32:
        codes = codes.astype(np.uint32)
    codes.sort()  # numpy sorts quicker than Arrow hashes
    return int(np.count_nonzero(codes[1:] != codes[:-1])) + 1


def sample_rows(rows: int) -> int:
    """Return how many of so many rows are sampled."""
    return min(rows, SAMPLED_ROWS)


def _sampled(rows: int) -> Any:
    if rows <= SAMPLED_ROWS:
        return slice(None)
    starts = np.linspace(0, rows - BLOCK_ROWS, SAMPLED_ROWS // BLOCK_ROWS).astype(np.int64)
    return (starts[:, None] + np.arange(BLOCK_ROWS)).ravel()


def _plain(column: Any) -> Any:
    """Return a column as one array, dictionaries as their values, texts and bytes with large offsets."""
    t = pa.types
    plain = plain_type(column.type)
    kind = pa.large_string() if t.is_string(plain) else pa.large_binary() if t.is_binary(plain) else plain
    column = one_array(formed(column, plain) if t.is_dictionary(column.type) else column)
    return column if column.type == kind else column.cast(kind)


def _all_match(values: Any, pattern: str) -> bool:
    return len(values) > 0 and bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _form(values: Any) -> str:
    if not len(values):
        return ""
    if pc.mean(pc.binary_length(values)).as_py() > LONG_TEXT:
        return "long text"
    spaced = pc.sum(pc.match_substring_regex(values, r"\s")).as_py()
    return "free text" if 2 * spaced > len(values) else ""
