"""Expressions over the columns of a record (``pyarrow.compute``): checked against a schema before anything is read, and evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.cel.vectorised import evaluated
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.schema import ID, Schema

SEQ = "_seq"
"""The column of the commits that wrote the records."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An expression that fits the columns of a store: the type of its values and the columns without which it means nothing."""

    expression: Any
    type: Any
    columns: tuple[str, ...]


def checked(expression: Any, schema: Schema, *, store: str = "") -> Checked:
    """Return what an expression over the columns of a schema, ``_seq`` among them, is. Raises ``InvalidInput`` or ``SchemaMismatch``."""
    table = _one_record(schema)
    try:
        kind = evaluated(expression, table).type
    except pa.ArrowInvalid as error:
        raise _refused(expression, str(error), schema, store) from None
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError) as error:
        raise SchemaMismatch(f"store {store!r}: {expression} does not fit the columns: {error}", store=store) from None
    if "FieldPath(" in str(expression):
        raise InvalidInput(f"store {store!r}: {expression} names a column by its number; use pc.field with its name")
    return Checked(expression, kind, _needed(expression, table))


def is_expression(value: object) -> bool:
    """Say whether a value is an expression."""
    return isinstance(value, pc.Expression)


def _one_record(schema: Schema) -> Any:
    """Return a record of nulls: some types are only compared when there is something to compare."""
    columns = {field.name: pa.nulls(1, field.type) for field in schema.physical}
    return pa.table({**columns, SEQ: pa.nulls(1, pa.int64())})


def _needed(expression: Any, table: Any) -> tuple[str, ...]:
    """Return the columns without which the expression means nothing, by leaving out halves of them."""

    def without(names: list[str]) -> bool:
        try:
            evaluated(expression, table.drop_columns(names) if len(names) < table.num_columns else _rows_only)
        except pa.ArrowInvalid:
            return False
        return True

    def search(names: list[str]) -> list[str]:
        if without(names):
            return []
        if len(names) == 1:
            return names
        middle = len(names) // 2
        return search(names[:middle]) + search(names[middle:])

    return tuple(search(table.column_names))


_rows_only = pa.table({"": pa.nulls(1)})


def _refused(expression: Any, reason: str, schema: Schema, store: str) -> InvalidInput:
    if "No match for FieldRef" in reason:
        known = ", ".join(map(repr, schema.names if schema.unique else (*schema.names, ID)))
        missing = reason.partition("FieldRef.Name(")[2].partition(")")[0] or str(expression)
        return InvalidInput(f"store {store!r} has no column {missing!r}; its columns are {known}")
    return SchemaMismatch(f"store {store!r}: {expression} does not fit the columns: {reason}", store=store)
