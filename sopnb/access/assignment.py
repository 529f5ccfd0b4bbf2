"""New values for columns of many records: the same for all, or computed from each by an expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.access.changes import refuse_key_fields
from sopnb.access.expression import SEQ, Checked, checked, is_expression
from sopnb.cel.vectorised import evaluated
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.fields import fits
from sopnb.schema import Schema


@dataclass(frozen=True, slots=True)
class Assignment:
    """Columns of a store and what they become. ``constants`` is a batch of one row; ``columns`` are those that the expressions look at."""

    schema: Schema
    store: str
    constants: Any
    computed: Mapping[str, Checked]

    @classmethod
    def of(cls, values: Mapping[str, Any], schema: Schema, *, store: str = "") -> Assignment:
        """Return an assignment of Python values and ``pyarrow.compute`` expressions.

        Raises ``InvalidInput`` for key fields, ``SchemaMismatch`` naming the column whose type an expression does not fit.
        """
        refuse_key_fields(values, schema, store)
        given = schema.partial({name: value for name, value in values.items() if not is_expression(value)}, store=store)
        schema.partial(dict.fromkeys(name for name in values if name not in schema.names), store=store)  # it refuses unknown columns
        computed = {}
        for name, value in values.items():
            if not is_expression(value):
                continue
            found = checked(value, schema, store=store)
            if SEQ in found.columns:
                raise InvalidInput(f"store {store!r}, column {name!r}: {SEQ} is no column to compute with; use it in where()")
            if not (_both_integers(found.type, name, schema) or fits(pa.field(name, found.type), schema.arrow.field(name))):
                told = f"{value} is of type {found.type}, the column {schema.physical.field(name).type}; cast the expression"
                raise SchemaMismatch(f"store {store!r}, column {name!r}: {told}", store=store, column=name)
            computed[name] = found
        return cls(schema, store, schema.batch([tuple(given.values())], list(given)), computed)

    @property
    def columns(self) -> tuple[str, ...]:
        """The physical columns that must be read: the key, and what is computed with."""
        return tuple(dict.fromkeys((*self.schema.stored_key_names, *(name for each in self.computed.values() for name in each.columns))))

    @property
    def nbytes(self) -> int:
        """About how many bytes the new values of a row take."""
        return int(self.constants.nbytes) + 16 * len(self.computed)

    def table(self, records: Any) -> Any:
        """Return the keys of some records with their new values. Raises ``InvalidInput`` or ``SchemaMismatch`` naming the column."""
        keys = records.select(list(self.schema.stored_key_names))
        same = self.constants.take(pa.array(np.zeros(len(records), np.int64)))
        columns = {**dict(zip(keys.column_names, keys.columns, strict=True)), **dict(zip(same.schema.names, same.columns, strict=True))}
        for name, found in self.computed.items():
            try:
                values = evaluated(found.expression, records)
            except pa.ArrowInvalid as error:
                message = f"store {self.store!r}, column {name!r}: {found.expression} cannot be computed for every record: {error}"
                raise InvalidInput(message) from None
            columns[name] = _fitted(values, name, self.schema, self.store)
        return pa.table(columns)


def _fitted(values: Any, name: str, schema: Schema, store: str) -> Any:
    """Return computed values in the type of a column. Integers may be narrowed, for a literal is wide; none is cut."""
    if _both_integers(values.type, name, schema):
        try:
            values = values.cast(schema.physical.field(name).type)
        except pa.ArrowInvalid as error:
            raise SchemaMismatch(f"store {store!r}, column {name!r}: {error}", store=store, column=name) from None
    return schema.column(name, values, store=store)


def _both_integers(kind: Any, name: str, schema: Schema) -> bool:
    return bool(pa.types.is_integer(kind) and pa.types.is_integer(schema.physical.field(name).type))
