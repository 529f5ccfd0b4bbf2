"""Other columns, types or another key for a store that is in use: what is asked for, and the schema that comes of it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from sopnb.computed import Computed
from sopnb.engine.projection import Column
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.fields import is_document, meaning, plain_type, worded
from sopnb.frames.widening import joined
from sopnb.index import IndexField, IndexSpecification, expression_of
from sopnb.schema import ID, Schema


@dataclass(frozen=True)
class Alteration:
    """What is to become of a store's schema. Names in ``types`` and ``index`` are the new ones."""

    add: Mapping[str, Any]
    drop: tuple[str, ...]
    rename: Mapping[str, str]
    types: Mapping[str, Any]
    index: IndexSpecification | None

    @property
    def told(self) -> str:
        """The same in words."""
        parts = [f"add {name}" for name in self.add] + [f"drop {name}" for name in self.drop]
        parts += [f"rename {old} to {new}" for old, new in self.rename.items()]
        parts += [f"widen {name} to {word}" for name, word in self.types.items()]
        return ", ".join([*parts, *([] if self.index is None else [f"index {self.index}"])])

    def of(self, old: Schema, indexes: Mapping[str, IndexSpecification], *, store: str) -> tuple[Schema, tuple[Column, ...]]:
        """Return the new schema, and where each of its physical columns comes from.

        Raises ``InvalidInput`` or ``SchemaMismatch`` naming the column and the remedy.
        """
        if not self.told:
            raise InvalidInput(f"store {store!r}: alter() was asked for nothing; give add, drop, rename, types or index")
        for name in (*self.drop, *self.rename):
            if name not in old.names:
                raise InvalidInput(f"store {store!r} has no column {name!r}; its columns are {', '.join(map(repr, old.names))}")
        kept = [field for field in old.arrow if field.name not in self.drop]
        self._keep_indexed(indexes, store)
        self._keep_expressions(old, indexes, store)
        specification = self.index or self._renamed(old.specification, store)
        fields = [self._field(field, store) for field in kept]
        for name in self.types:
            if name not in [field.name for field in fields]:
                raise InvalidInput(f"store {store!r} has no column {name!r} to widen; new columns have their type in add=")
        columns = [Column(new.name, field.name) for field, new in zip(kept, fields, strict=True)]
        added = [self._added(name, said, store) for name, said in self.add.items()]
        arrow = pa.schema([*fields, *(field for field, _ in added)])
        categories = {self.rename.get(name, name): values for name, values in old.categories.items() if name not in self.drop}
        frame = old.frame
        if frame is not None:
            frame = importlib.import_module("sopnb.frames.pandas").altered(frame, self.rename, self.drop)
        schema = Schema(arrow, specification, categories=categories, frame=frame)
        specification.validate(arrow)
        columns += [self._filled(field, value, schema, store) for field, value in added]
        columns += [Column(each.name, None) for each in schema.computed]
        if not schema.unique:
            columns.append(Column(ID, None if old.unique else ID))
        return schema, tuple(columns)

    def index_for(self, old: IndexSpecification) -> IndexSpecification:
        """Return a secondary index of the old store as one of the new one."""
        fields = tuple(IndexField(self.rename.get(f.name, f.name), f.descending, f.nulls) for f in old.fields)
        return replace(old, fields=fields, carrying=tuple(self.rename.get(name, name) for name in old.carrying))

    def _keep_indexed(self, indexes: Mapping[str, IndexSpecification], store: str) -> None:
        for index, specification in indexes.items():
            for name in (*specification.names, *specification.carrying):
                if name in self.drop:
                    raise InvalidInput(f"store {store!r}: column {name!r} is part of the index {index!r}; drop the index first")

    def _keep_expressions(self, old: Schema, indexes: Mapping[str, IndexSpecification], store: str) -> None:
        types = {name: old.physical.field(name).type for name in old.names}
        own = [] if self.index is not None else [("the key; give another key with index=[...] as well", old.specification)]
        for told, specification in (*own, *((f"the index {name!r}; drop the index first", each) for name, each in indexes.items())):
            for name in filter(expression_of, specification.names):
                for source in Computed.of(name, types, old.documents).sources:
                    if source in self.drop or source in self.rename:
                        raise InvalidInput(f"store {store!r}: column {source!r} is in the expression {name!r} of {told}")

    def _renamed(self, old: IndexSpecification, store: str) -> IndexSpecification:
        for name in old.names:
            if name in self.drop:
                raise InvalidInput(f"store {store!r}: column {name!r} is part of the key; give another key with index=[...] as well")
        return self.index_for(old)

    def _field(self, old: Any, store: str) -> Any:
        """Return the field of a column that stays, wider if that was asked for."""
        name = self.rename.get(old.name, old.name)
        word = self.types.get(name)
        if word is None:
            return old.with_name(name)
        new = worded(name, word)
        wider = None if is_document(new) or meaning(old) != meaning(new) else joined(plain_type(old.type), plain_type(new.type))
        if wider is None or wider != plain_type(new.type):
            raise SchemaMismatch(
                f"store {store!r}, column {name!r}: {old.type} cannot become {word} without loss; add a column, fill it with update(), and "
                "drop this one",
                store=store,
                column=name,
            )
        return new.with_nullable(old.nullable)

    def _added(self, name: str, said: Any, store: str) -> tuple[Any, Any]:
        word, value = said if isinstance(said, tuple) else (said, None)
        field = worded(name, word)
        if value is None and not field.nullable:
            remedy = f"give the value of the records that are there: ({word!r}, value)"
            raise InvalidInput(f"store {store!r}, column {name!r} may not be null; {remedy}")
        return field, value

    def _filled(self, field: Any, value: Any, schema: Schema, store: str) -> Column:
        """Return a new column, filled with a value."""
        stored = schema.partial({field.name: value}, store=store)[field.name]
        return Column(field.name, None, None if stored is None else schema.batch([(stored,)], [field.name]).column(0)[0])


def asked(
    add: Mapping[str, Any] | None,
    drop: str | Iterable[str],
    rename: Mapping[str, str] | None,
    types: Mapping[str, Any] | None,
    index: IndexSpecification | None,
) -> Alteration:
    """Return an alteration of what a person gave."""
    return Alteration(dict(add or {}), (drop,) if isinstance(drop, str) else tuple(drop), dict(rename or {}), dict(types or {}), index)
