"""What a projection is: a store without a name of its own that holds the rows of another one, some of their columns, in another order.

A secondary index is a projection of the key fields; while a store gets other columns or another key, its successor is one of all columns.
Whoever changes the source writes the changes of its projections into the same commit, computed from the old row and the new one; so a
projection never lags, and its rows are counted and found by the code that serves every store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import xxhash

from sopnb.computed import Computed
from sopnb.errors import InvalidInput
from sopnb.fields import from_ipc, one_array, to_ipc
from sopnb.index import IndexSpecification, expression_of
from sopnb.schema import ID, ID_BYTES, Schema

Role = Literal["index", "successor"]


@dataclass(frozen=True, slots=True)
class Column:
    """Where one column of a projection comes from: the source's column of that name, or, for a new one, a value (an Arrow scalar).

    A key field that is an expression has neither: a successor's is computed from its other columns, an index's from columns of the source,
    those that it ``needs``. An ``_id`` that the source has not is made of the source's key, so it is the same whenever it is made.
    """

    name: str
    source: str | None
    value: Any = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Projection:
    """How a projection is made of its source, the store ``of``, and how far it is.

    ``name`` is the index's. ``schema`` is that of its rows. It was begun by the engine ``owner`` with the commit ``since``; it is
    ``attached`` when what was there before is beneath what was written since, and ``ready`` when that was found to be right.
    """

    of: int
    name: str
    role: Role
    schema: Schema
    columns: tuple[Column, ...]
    unique: bool
    """Whether no two rows may have the same leading ``fields``."""
    fields: int
    """How many of the key fields were asked for; the others are the source's key, which tells equal ones apart."""
    owner: str
    since: int = 0
    attached: bool = False
    ready: bool = False

    def __post_init__(self) -> None:
        physical = self.schema.physical.names
        if [column.name for column in self.columns] != physical:
            raise InvalidInput(f"a projection of the columns {physical} was described by {[column.name for column in self.columns]}")

    @property
    def specification(self) -> IndexSpecification:
        """The index that was asked for."""
        keyed = self.schema.stored_key_names
        carrying = () if self.role == "successor" else tuple(column.name for column in self.columns if column.name not in keyed)
        return IndexSpecification(self.schema.specification.fields[: self.fields], self.unique, carrying)

    def called(self, source: str) -> str:
        """Return what it is called in messages, for the name of its source."""
        return f"{source}/{self.name}" if self.role == "index" else source

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The columns of the source that are needed."""
        needed = [needs for column in self.columns for needs in (*column.needs, *([] if column.source is None else [column.source]))]
        return tuple(dict.fromkeys(needed))

    def plain(self, source: Schema) -> bool:
        """Say whether every column is one of the source as it is, so that a row is made by picking values."""
        there, here = source.physical, self.schema.physical
        return all(c.source is not None and there.field(c.source).type == here.field(c.name).type for c in self.columns)

    def positions(self, source: Schema) -> list[int]:
        """Return where in a row of the source the values are, for a plain one."""
        return [source.physical.get_field_index(column.source or "") for column in self.columns]

    def batch(self, batch: Any, source: Schema) -> Any:
        """Return the rows of the projection for rows of the source, in the same order. Raises ``SchemaMismatch`` naming the column."""
        given = {name: batch.column(batch.schema.get_field_index(name)) for name in batch.schema.names}
        made: dict[str, Any] = {}  # those that are computed from others come after them
        for column, field in zip(self.columns, self.schema.physical, strict=True):
            if column.source is not None:
                made[column.name] = self._taken(column.name, given[column.source], field.type)
            elif column.needs:
                made[column.name] = self._expression(column.name, field.type, source).column(_table(given, column.needs), store=self.name)
            elif column.name == ID:
                made[column.name] = _ids(source, batch)
            elif column.name in self._computed:
                made[column.name] = self._computed[column.name].column(_table(made, self.schema.names), store=self.name)
            else:
                value = pa.scalar(None, field.type) if column.value is None else column.value
                made[column.name] = pa.repeat(value, batch.num_rows)
        return pa.RecordBatch.from_arrays([one_array(array) for array in made.values()], schema=self.schema.physical)

    @cached_property
    def _computed(self) -> dict[str, Computed]:
        return {each.name: each for each in self.schema.computed}

    def _taken(self, name: str, array: Any, kind: Any) -> Any:
        """Return a column of the source in the type that it has here."""
        return array if array.type == kind else self.schema.column(name, array, store=self.name)

    def _expression(self, name: str, kind: Any, source: Schema) -> Computed:
        found = source.memo.get((name, kind))
        if found is None:
            types = {name: source.physical.field(name).type for name in source.names}
            found = source.memo[name, kind] = Computed(name, kind, types, source.documents)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return a description of plain values and bytes; how far it is is not part of it."""
        columns = [[c.name, c.source, None if c.value is None else to_ipc(pa.repeat(c.value, 1)), list(c.needs)] for c in self.columns]
        return {
            "name": self.name,
            "role": self.role,
            "schema": self.schema.to_dict(),
            "columns": columns,
            "unique": self.unique,
            "fields": self.fields,
            "owner": self.owner,
        }

    @classmethod
    def from_dict(cls, of: int, data: dict[str, Any]) -> Projection:
        """Return the projection that ``to_dict`` described."""
        columns = tuple(
            Column(name, source, None if raw is None else from_ipc(raw)[0], tuple(needs)) for name, source, raw, needs in data["columns"]
        )
        schema = Schema.from_dict(data["schema"])
        return cls(of, data["name"], data["role"], schema, columns, data["unique"], data["fields"], data["owner"])


def index_of(of: int, name: str, source: Schema, wanted: IndexSpecification, owner: str, *, store: str = "") -> Projection:
    """Return the projection that is a secondary index of a store.

    Its key is what was asked for and then the source's own key, so no two rows are alike; the columns it carries are beside it. Raises
    ``InvalidInput`` naming the column and the remedy.
    """
    try:
        wanted.validate(source.arrow)
    except InvalidInput as error:
        raise InvalidInput(f"store {store!r}, index {name!r}: {error}") from None
    expressions: dict[str, Computed] = {}
    for each in wanted.names:
        if expression_of(each) is not None and each not in source.physical_names:
            try:
                expressions[each] = Computed.of(each, {n: source.physical.field(n).type for n in source.names}, source.documents)
            except InvalidInput as error:
                raise InvalidInput(f"store {store!r}, index {name!r}: {error}") from None
        if each in source.documents:
            raise InvalidInput(f"store {store!r}, index {name!r}: column {each!r} holds JSON documents and cannot be indexed")
    rest = [field for field in source.specification.fields if field.name not in wanted.names]
    specification = IndexSpecification((*wanted.fields, *rest), unique=source.unique)
    names = list(dict.fromkeys([*specification.names, *wanted.carrying]))
    fields = [
        pa.field(each, expressions[each].type)
        if each in expressions
        else pa.field(each, source.physical.field(each).type, nullable=source.field(each).nullable)
        for each in names
    ]
    schema = Schema(pa.schema(fields), specification)
    columns = tuple(
        Column(each, None, needs=expressions[each].sources) if each in expressions else Column(each, each) for each in schema.physical.names
    )
    return Projection(of, name, "index", schema, columns, wanted.unique, len(wanted.fields), owner)


def own_schema(schema: Schema) -> Schema:
    """Return the schema of the store itself, for one that was put in the order of an index."""
    found: Schema = schema.memo.get("own", schema)
    return found


def in_its_order(source: Schema, index: Projection) -> Schema:
    """Return the source's schema as if the index were its key: for keys, ranges and pages in the order of the index."""
    key = ("in the order of", index.schema.specification)
    found = source.memo.get(key)
    if found is None:
        specification = IndexSpecification(index.schema.specification.fields, unique=source.unique)
        computed = {field.name: index.schema.physical.field(field.name).type for field in specification.fields}
        found = source.memo[key] = Schema(
            source.arrow, specification, categories=source.categories, frame=source.frame, computed=computed
        )  # fmt: skip
        found.memo["own"] = source
    return found


def _table(columns: Mapping[str, Any], names: Sequence[str]) -> Any:
    return pa.table({name: columns[name] for name in names})


def _ids(source: Schema, batch: Any) -> Any:
    """Return ids that are made of the keys of the source's records."""
    ids = b"".join(map(xxhash.xxh3_128_digest, source.keys(batch).tolist())) if batch.num_rows else b""
    return pa.Array.from_buffers(pa.binary(ID_BYTES), batch.num_rows, [None, pa.py_buffer(ids)])
