"""Key fields that are expressions: columns that nobody sees, computed when a record is written and stored beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from sopnb.cel import Column, Program
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.index import expression_of


@dataclass(frozen=True, eq=False)
class Computed:
    """A column of this name and type, the value of an expression in CEL over the columns of ``types``; null where it is unknown.

    The type is what it was when the store got its key, and is kept with it. The expression is read when it is first needed: for writing,
    not for reading.
    """

    name: str
    type: Any
    types: Mapping[str, Any]
    documents: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, types: Mapping[str, Any], documents: Collection[str]) -> Computed:
        """Return the column of an index field. Raises ``InvalidInput`` if its expression means nothing, or gives no key."""
        program = _program(name, types, documents)
        try:
            kind = program.type
            program.ready()
        except InvalidInput as error:
            raise _refused(name, str(error)) from None
        if pa.types.is_null(kind) or not program.columns:
            raise _refused(name, "it is the same for every record; name a column in it")
        return cls(name, kind, types, frozenset(documents))

    @cached_property
    def program(self) -> Program:
        """The expression, ready to be used."""
        return _program(self.name, self.types, self.documents)

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return self.program.columns

    @cached_property
    def known(self) -> tuple[str, Column]:
        """How the expression reads, and the column that stands for it."""
        return str(self.program), Column((self.name,), self.program.kind, 0, self.type)

    def column(self, table: Any, *, store: str = "") -> Any:
        """Return its values for the rows of a table. Raises ``SchemaMismatch`` if a record would be too much work."""
        try:
            return self.program.values(table).cast(self.type)
        except InvalidInput as error:
            raise SchemaMismatch(f"store {store!r}, key field {self.name!r}: {error}", store=store, column=self.sources[0]) from None


def _program(name: str, types: Mapping[str, Any], documents: Collection[str]) -> Program:
    try:
        return Program.of(expression_of(name) or "", types, documents=documents)
    except InvalidInput as error:
        raise _refused(name, str(error)) from None


def _refused(name: str, reason: str) -> InvalidInput:
    return InvalidInput(f"index field {name!r}: {reason}")
