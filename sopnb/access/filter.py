"""What a selection keeps: a condition on the columns of a record, checked against the schema before anything is read.

Conditions are three-valued, as in SQL: a comparison with null is neither true nor false, and only what is true is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.schema import ID, Schema

SEQ = "_seq"
"""The column of the commits that wrote the records."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition and the columns that it looks at; ``columns`` may name ``_seq``, which is not among the physical ones."""

    expression: Any
    columns: tuple[str, ...]

    @classmethod
    def of(cls, condition: Any, schema: Schema, *, store: str = "") -> Filter:
        """Return a filter of a ``pyarrow.compute`` expression. Raises ``InvalidInput`` or ``SchemaMismatch`` if it does not fit."""
        if not isinstance(condition, pc.Expression):
            given = type(condition).__name__
            raise InvalidInput(f"store {store!r}: where() takes a pyarrow.compute expression like pc.field('seats') > 100, not {given}")
        table = _one_record(schema)
        try:
            kind = _evaluated(condition, table).type
        except pa.ArrowInvalid as error:
            raise _refused(condition, str(error), schema, store) from None
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError) as error:
            raise SchemaMismatch(f"store {store!r}: {condition} does not fit the columns: {error}", store=store) from None
        if not (pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            raise SchemaMismatch(f"store {store!r}: {condition} is of type {kind}, and a condition is true or false", store=store)
        if "FieldPath(" in str(condition):
            raise InvalidInput(f"store {store!r}: {condition} names a column by its number; use pc.field with its name")
        return cls(condition, _needed(condition, table))

    def __and__(self, other: Filter) -> Filter:
        """Return what both keep."""
        return Filter(self.expression & other.expression, tuple(dict.fromkeys((*self.columns, *other.columns))))

    def passing(self, batch: Any, *, store: str = "") -> Any:
        """Return the positions of the rows of a batch that are kept, ascending. Raises as ``mask`` does."""
        return np.flatnonzero(self.mask(pa.Table.from_batches([batch]), store=store))

    def mask(self, table: Any, *, store: str = "") -> Any:
        """Return for each row of a table whether it is kept. Raises ``InvalidInput`` if a value cannot be judged."""
        try:
            kept = _evaluated(self.expression, table)
        except pa.ArrowInvalid as error:
            raise InvalidInput(f"store {store!r}: {self.expression} cannot be judged for every record: {error}") from None
        if pa.types.is_null(kept.type):
            return np.zeros(table.num_rows, bool)
        return kept.fill_null(False).to_numpy()

    def __str__(self) -> str:
        return str(self.expression)


def _evaluated(expression: Any, table: Any) -> Any:
    """Return the values of an expression, one for each row of a table, in order."""
    # loaded late, for it takes as long as all of pyarrow.compute and most programs never filter
    from pyarrow import acero

    plan = [
        acero.Declaration("table_source", acero.TableSourceNodeOptions(table)),
        acero.Declaration("project", acero.ProjectNodeOptions([expression], ["kept"])),
    ]
    return acero.Declaration.from_sequence(plan).to_table(use_threads=False).column(0)


def _one_record(schema: Schema) -> Any:
    """Return a record of nulls: some types are only compared when there is something to compare."""
    columns = {field.name: pa.nulls(1, field.type) for field in schema.physical}
    return pa.table({**columns, SEQ: pa.nulls(1, pa.int64())})


def _needed(expression: Any, table: Any) -> tuple[str, ...]:
    """Return the columns without which the expression means nothing, by leaving out halves of them."""

    def without(names: list[str]) -> bool:
        try:
            _evaluated(expression, table.drop_columns(names) if len(names) < table.num_columns else _rows_only)
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


def _refused(condition: Any, reason: str, schema: Schema, store: str) -> InvalidInput:
    if "No match for FieldRef" in reason:
        known = ", ".join(map(repr, schema.names if schema.unique else (*schema.names, ID)))
        missing = reason.partition("FieldRef.Name(")[2].partition(")")[0] or str(condition)
        return InvalidInput(f"store {store!r} has no column {missing!r}; its columns are {known}")
    return SchemaMismatch(f"store {store!r}: {condition} does not fit the columns: {reason}", store=store)
