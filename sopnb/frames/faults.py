"""Which rows of a table do not fit a store, for writes that report bad rows instead of refusing all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.errors import SchemaMismatch
from sopnb.fields import formed, holds, plain_type
from sopnb.schema import Schema

REASON = "_reason"


def sound(table: Any, schema: Schema, *, store: str, partial: bool) -> tuple[Any, Any]:
    """Return (the rows that fit, in physical types; None or the others as they were given, with a ``_reason``).

    Raises ``SchemaMismatch`` where a column as a whole is unknown, absent or of the wrong type.
    """
    refused = []
    for at, field in enumerate(table.schema):
        if holds(field.type, pa.types.is_run_end_encoded):  # which cannot be filtered
            plain = plain_type(field.type)
            table = table.set_column(at, field.with_type(plain), formed(table.column(at), plain))
    while True:
        try:
            conformed = schema.conform(table, store=store, partial=partial)
        except SchemaMismatch as error:
            if error.columns or error.column is None or error.column not in table.column_names:
                raise
            bad, reason = _misfits(table.column(error.column), error.column, schema, store, table.num_rows)
            gone = table.filter(pa.array(bad))
            refused.append(gone.append_column(REASON, pa.array([reason] * gone.num_rows, pa.string())))
            table = table.filter(pa.array(~bad))
            continue
        return conformed, pa.concat_tables(refused) if refused else None


def _fits(column: Any, name: str, schema: Schema) -> bool:
    try:
        schema.column(name, column)
    except SchemaMismatch:
        return False
    return True


def _misfits(column: Any, name: str, schema: Schema, store: str, n: int) -> tuple[Any, str]:
    """Return which values do not fit, found by halving, and why the first of them does not."""
    bad = np.zeros(n, bool)
    bad[list(halved(lambda start, stop: _fits(column.slice(start, stop - start), name, schema), 0, n))] = True
    first = int(np.argmax(bad))
    try:
        schema.column(name, column.slice(first, 1), store=store)
    except SchemaMismatch as error:
        return bad, str(error).replace("; row 0 is", "")
    return bad, f"store {store!r}, column {name!r} does not fit"


def halved(fits: Callable[[int, int], bool], start: int, stop: int) -> Iterator[int]:
    """Yield the places between two that do not fit, found by halving: ``fits`` says whether all of a piece do."""
    if start == stop or fits(start, stop):
        return
    if stop - start == 1:
        yield start
        return
    middle = (start + stop) // 2
    yield from halved(fits, start, middle)
    yield from halved(fits, middle, stop)
