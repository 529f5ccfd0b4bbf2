"""The columns of a store as the browser knows them, and what a value must be to be written into one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.access.expression import SEQ
from sopnb.errors import InvalidInput
from sopnb.fields import type_text
from sopnb.schema import ID, Schema
from sopnb.values import storage_type
from sopnb.view.refusal import invalid
from sopnb.view.wire import Form, form


@dataclass(frozen=True)
class Column:
    """One column: its Arrow field, and how its values go over the wire. ``shown`` is false for what people see only by name."""

    name: str
    field: Any
    form: Form
    shown: bool = True
    known: Any = None
    """The categories in physical types; None where anything goes."""

    @property
    def nullable(self) -> bool:
        """Whether a value may be missing."""
        return bool(self.field.nullable)

    def say(self, stored: Any) -> Any:
        """Return a storage value, null too, as it goes over the wire, whole."""
        return None if stored is None else self.form.say(stored)

    def read(self, wire: Any) -> Any:
        """Return the storage value of a wire value. Raises ``Refusal`` naming the column."""
        if wire is None:
            if not self.nullable:
                raise invalid(f"{self.name!r} may not be null; give a value", column=self.name)
            return None
        try:
            stored = self.form.read(wire)
        except InvalidInput as error:
            raise invalid(f"{self.name}: {error}", column=self.name) from None
        except RecursionError:
            raise invalid(f"{self.name}: the value is nested too deep", column=self.name) from None
        if self.known is not None and not self._is_known(stored):
            raise invalid(f"{self.name}: {wire!r} is none of its categories", column=self.name)
        return stored

    def is_said(self, stored: Any, wire: Any) -> bool:
        """Whether a wire value is how a storage value goes over the wire: then it is that value, even where it could not be read again."""
        said = self.say(stored)
        return bool(said == wire) and isinstance(said, bool) == isinstance(wire, bool)

    def typed(self, cell: str) -> Any:
        """Return the storage value of a cell of a spreadsheet; an empty one is null where it may be. Raises ``Refusal``."""
        if cell == "" and (self.nullable or self.form.kind not in ("text", "category")):
            return self.read(None)
        if self.form.kind == "bool":
            return self.read({"true": True, "false": False}.get(cell.strip().lower(), cell))
        if self.form.kind == "float":
            try:
                return self.read(float(cell) if cell.strip()[:1] in "+-.0123456789" and cell != "-Infinity" else cell)
            except ValueError:
                raise invalid(f"{self.name}: {cell!r} is not a number", column=self.name) from None
        return self.read(cell)

    def _is_known(self, stored: Any) -> bool:
        return bool(pc.is_in(pa.scalar(stored, storage_type(self.known.type)).cast(self.known.type), self.known).as_py())


class Columns:
    """All columns of a store. Made once for each schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        visible = [self._visible(name) for name in schema.names]
        hidden = [Column(each.name, pa.field(each.name, each.type), form(each.type), shown=False) for each in schema.computed]
        id = [] if schema.unique else [Column(ID, pa.field(ID, pa.binary(16)), form(pa.binary(16)), shown=False)]
        seq = Column(SEQ, pa.field(SEQ, pa.int64(), nullable=False), form(pa.int64()), shown=False)
        self._by_name = {column.name: column for column in (*visible, *hidden, *id, seq)}
        self.shown = schema.names

    @classmethod
    def of(cls, schema: Schema) -> Columns:
        """Return the columns of a schema."""
        found = schema.memo.get("columns of a view")
        if found is None:
            found = schema.memo["columns of a view"] = cls(schema)
        return found

    def _visible(self, name: str) -> Column:
        schema, field = self.schema, self.schema.arrow.field(name)
        known = schema.categories[name].cast(schema.physical.field(name).type) if name in schema.categories else None
        return Column(name, field, form(field.type, document=name in schema.documents), known=known)

    def __getitem__(self, name: str) -> Column:
        found = self._by_name.get(name)
        if found is None:
            raise invalid(f"there is no column {name!r}; the columns are {', '.join(map(repr, self.shown))}", column=name)
        return found

    def writable(self, name: str) -> None:
        """Raise ``Refusal`` unless the values of a column may be edited in place."""
        if not self[name].shown:
            raise invalid(f"{name!r} is no column that can be edited", column=name)
        field = self.schema.key_sources.get(name)
        if field is not None:
            what = "is part of the key" if field == name else f"is what the key field {field!r} is computed from"
            raise invalid(f"{name!r} {what} and cannot be changed; delete the record and add it anew", column=name)

    @cached_property
    def told(self) -> list[dict[str, Any]]:
        """The columns as op ``schema`` tells them: those that people see, then key fields that are expressions."""
        names = [*self.schema.names, *(each.name for each in self.schema.computed)]
        return [self._told(self._by_name[name]) for name in names]

    @cached_property
    def _labels(self) -> dict[str, str]:
        """What people call the columns: their labels in a frame, where these are more than their names."""
        if not (self.schema.frame or {}).get("odd"):
            return {}
        found = importlib.import_module("sopnb.frames.pandas").labels(self.schema)
        return dict(zip(self.schema.names, map(_label, found), strict=True))

    def _told(self, column: Column) -> dict[str, Any]:
        schema, name = self.schema, column.name
        place = schema.key_names.index(name) + 1 if name in schema.key_names else 0
        return {
            "name": name,
            "label": self._labels.get(name, name),
            "type": type_text(column.field),
            "kind": column.form.kind,
            "nullable": column.nullable,
            "key": place,
            "descending": bool(place and schema.specification.fields[place - 1].descending),
            "computed": not column.shown,
            "editable": column.shown and name not in schema.key_sources and not pa.types.is_null(column.field.type),
            "categories": None if column.known is None else column.form.column(column.known),
            "zone": column.field.type.tz if pa.types.is_timestamp(column.field.type) else None,
        }


def _label(label: Any) -> str:
    return " · ".join(str(part) for part in label if part != "") if isinstance(label, tuple) else str(label)
