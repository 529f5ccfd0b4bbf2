"""Files of every kind, and what they are to hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from sopnb.frames.files.files import source

SUFFIXES = [
    "csv",
    "csv.gz",
    "csv.zst",
    "csv.bz2",
    "tsv",
    "tsv.gz",
    "jsonl",
    "ndjson",
    "jsonl.zst",
    "parquet",
    "pq",
    "feather",
    "arrow",
    "ipc",
    "arrows",
    "orc",
]
TYPED = ["parquet", "feather", "arrow", "ipc", "arrows"]
"""Kinds that know every type of Arrow's, and what pandas says."""
AWKWARD = pa.table(
    {
        "k": pa.array([1, 2, 3, 4], pa.int64()),
        "text": ["", None, 'say "hi", or\r\n\tnot', "é\U0001f600\\"],
        "like numbers": ["007", "1e5", "NA", "null"],
        "large": pa.array([2**63 - 1, -(2**63), None, 2**53 + 1], pa.int64()),
        "zoned": pa.array([datetime(2013, 1, 1, 10, microsecond=1, tzinfo=UTC), None, None, None], pa.timestamp("us", "Europe/Berlin")),
        "naive": pa.array([datetime(2013, 1, 1, 10), None, datetime(1999, 12, 31, 23, 59, 59, 999_999), None], pa.timestamp("us")),
        "day": pa.array([date(2013, 1, 1), None, date(1900, 2, 28), None], pa.date32()),
        "price": pa.array([Decimal("3.50"), Decimal("-12345678.90"), None, Decimal(0)], pa.decimal128(10, 2)),
        "part": pa.array([0.1, None, 1e300, -5e-324], pa.float64()),
        "yes": pa.array([True, False, None, True]),
        "small": pa.array([1, None, -128, 127], pa.int8()),
    }
)


def write_text(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def types_of(path: Any, **types: str) -> dict[str, str]:
    return {field.name: str(field.type) for field in source(path, types=types or None).schema}


def read(path: Any, **types: str) -> Any:
    files = source(path, types=types or None)
    return pa.Table.from_batches(files.batches(), schema=files.schema)
