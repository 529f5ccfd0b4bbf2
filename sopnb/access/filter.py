"""What a selection keeps: a condition on the columns of a record, checked against the schema before anything is read.

Conditions are three-valued, as in SQL: a comparison with null is neither true nor false, and only what is true is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.access.expression import SEQ, checked, is_expression
from sopnb.access.pruning import Pushed
from sopnb.cel import Program
from sopnb.cel.vectorised import evaluated
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.schema import Schema


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition and the columns that it looks at; ``columns`` may name ``_seq``, which is not among the physical ones.

    ``pushed`` is what of it is decided before records are read; every record that is read is judged by the whole condition all the same:
    by ``expression`` many at once (None if there is none), and those that are left one by one by ``residual``.
    """

    expression: Any
    columns: tuple[str, ...]
    pushed: Pushed
    said: str
    residual: tuple[Program, ...] = ()

    @classmethod
    def of(cls, condition: Any, schema: Schema, parameters: Mapping[str, Any] | None = None, *, store: str = "") -> Filter:
        """Return a filter of a text of CEL, whose parameters are given by name, or of a ``pyarrow.compute`` expression.

        Raises ``InvalidInput`` or ``SchemaMismatch`` if it does not fit, ``MissingPackage`` if it needs an engine and there is none.
        """
        if isinstance(condition, str):
            return cls._of_text(condition, schema, parameters or {}, store)
        if not is_expression(condition):
            given = type(condition).__name__
            example = "'seats > 100', or a pyarrow.compute expression like pc.field('seats') > 100"
            raise InvalidInput(f"store {store!r}: where() takes text like {example}, not {given}")
        if parameters:
            raise InvalidInput(f"store {store!r}: parameters such as {next(iter(parameters))!r} belong to text; an expression has none")
        found = checked(condition, schema, store=store)
        if not (pa.types.is_boolean(found.type) or pa.types.is_null(found.type)):
            raise SchemaMismatch(f"store {store!r}: {condition} is of type {found.type}, and a condition is true or false", store=store)
        return cls(condition, found.columns, Pushed.of(condition, schema), str(condition))

    @classmethod
    def _of_text(cls, text: str, schema: Schema, parameters: Mapping[str, Any], store: str) -> Filter:
        types = {field.name: field.type for field in schema.physical} | {SEQ: pa.int64()}
        try:
            given = Program.of(text, types, parameters, documents=schema.documents)
            program = given.knowing(dict(each.known for each in schema.computed)).ready()
        except InvalidInput as error:
            raise InvalidInput(f"store {store!r}: {error}") from None
        if program.kind not in ("bool", "dyn", "null"):
            raise SchemaMismatch(f"store {store!r}: {text!r} is of type {program.kind}, and a condition is true or false", store=store)
        parts = [each.expression for each in program.conjuncts if each.expression is not None]
        residual = () if program.residual is None else (program.residual,)
        expression = reduce(and_, parts) if parts else None
        pushed = Pushed.of(expression, schema) if parts else Pushed(None, schema)
        return cls(expression, program.columns, pushed, str(given), residual)

    def __and__(self, other: Filter) -> Filter:
        """Return what both keep."""
        columns = tuple(dict.fromkeys((*self.columns, *other.columns)))
        parts = [each.expression for each in (self, other) if each.expression is not None]
        said = " and ".join(f"({each.said})" for each in (self, other))
        return Filter(reduce(and_, parts) if parts else None, columns, self.pushed & other.pushed, said, (*self.residual, *other.residual))

    @property
    def judged(self) -> tuple[str, ...]:
        """How records that are read are judged, in words."""
        if not self.residual:
            return ("many at once",)
        many = [] if self.expression is None else [f"many at once: {self.expression}"]
        return (*many, *(f"record by record: {program}" for program in self.residual))

    def passing(self, batch: Any, *, store: str = "") -> Any:
        """Return the positions of the rows of a batch that are kept, ascending. Raises as ``mask`` does."""
        return np.flatnonzero(self.mask(pa.Table.from_batches([batch]), store=store))

    def mask(self, table: Any, *, store: str = "") -> Any:
        """Return for each row of a table whether it is kept. Raises ``InvalidInput`` if a value cannot be judged."""
        kept = np.ones(table.num_rows, bool) if self.expression is None else self._vectorised(table, store)
        for program in self.residual:
            left = np.flatnonzero(kept)
            try:
                kept[left] = program.values(table.take(pa.array(left))).fill_null(False).to_numpy(zero_copy_only=False)
            except InvalidInput as error:
                raise InvalidInput(f"store {store!r}: {error}") from None
        return kept

    def _vectorised(self, table: Any, store: str) -> Any:
        try:
            kept = evaluated(self.expression, table)
        except pa.ArrowInvalid as error:
            raise InvalidInput(f"store {store!r}: {self.expression} cannot be judged for every record: {error}") from None
        if pa.types.is_null(kept.type):
            return np.zeros(table.num_rows, bool)
        mask = kept.fill_null(False).to_numpy()
        return mask.copy() if self.residual else mask

    def __str__(self) -> str:
        return self.said
