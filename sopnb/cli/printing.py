"""What commands print: facts, tables and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import click


def size(n: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> size(0), size(1536), size(5 * 1024 * 1024)
    ('0 B', '1.5 KiB', '5.0 MiB')
    """
    value = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{n} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def print_facts(facts: dict[str, str]) -> None:
    """Print facts by name, one a line."""
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {value}")


def print_table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, right: str) -> None:
    """Print a table without the columns in which nothing stands."""
    shown = [i for i in range(len(heads)) if not lines or any(line[i] for line in lines)]
    widths = {i: max(len(line[i]) for line in (heads, *lines)) for i in shown}
    for line in (heads, *lines):
        cells = [line[i].rjust(widths[i]) if heads[i] in right.split() else line[i].ljust(widths[i]) for i in shown]
        click.echo("  ".join(cells).rstrip())


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Return a value of a record as JSON can hold it: times as ISO text, decimals as text, bytes in hexadecimal, NaN as null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    tell: Callable[[], str] = getattr(value, "isoformat", value.__str__)
    return tell()
