"""What a selection keeps: a condition on the columns of a record, checked against the schema before anything is read.

Conditions are three-valued, as in SQL: a comparison with null is neither true nor false, and only what is true is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.access.expression import checked, is_expression
from sopnb.access.pruning import Pushed
from sopnb.cel.vectorised import evaluated
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.schema import Schema


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition and the columns that it looks at; ``columns`` may name ``_seq``, which is not among the physical ones.

    ``pushed`` is what of it is decided before records are read; every record that is read is judged by the whole condition all the same.
    """

    expression: Any
    columns: tuple[str, ...]
    pushed: Pushed

    @classmethod
    def of(cls, condition: Any, schema: Schema, *, store: str = "") -> Filter:
        """Return a filter of a ``pyarrow.compute`` expression. Raises ``InvalidInput`` or ``SchemaMismatch`` if it does not fit."""
        if not is_expression(condition):
            given = type(condition).__name__
            raise InvalidInput(f"store {store!r}: where() takes a pyarrow.compute expression like pc.field('seats') > 100, not {given}")
        found = checked(condition, schema, store=store)
        if not (pa.types.is_boolean(found.type) or pa.types.is_null(found.type)):
            raise SchemaMismatch(f"store {store!r}: {condition} is of type {found.type}, and a condition is true or false", store=store)
        return cls(condition, found.columns, Pushed.of(condition, schema))

    def __and__(self, other: Filter) -> Filter:
        """Return what both keep."""
        columns = tuple(dict.fromkeys((*self.columns, *other.columns)))
        return Filter(self.expression & other.expression, columns, self.pushed & other.pushed)

    def passing(self, batch: Any, *, store: str = "") -> Any:
        """Return the positions of the rows of a batch that are kept, ascending. Raises as ``mask`` does."""
        return np.flatnonzero(self.mask(pa.Table.from_batches([batch]), store=store))

    def mask(self, table: Any, *, store: str = "") -> Any:
        """Return for each row of a table whether it is kept. Raises ``InvalidInput`` if a value cannot be judged."""
        try:
            kept = evaluated(self.expression, table)
        except pa.ArrowInvalid as error:
            raise InvalidInput(f"store {store!r}: {self.expression} cannot be judged for every record: {error}") from None
        if pa.types.is_null(kept.type):
            return np.zeros(table.num_rows, bool)
        return kept.fill_null(False).to_numpy()

    def __str__(self) -> str:
        return str(self.expression)
