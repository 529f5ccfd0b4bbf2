"""Loading: data becomes a store, or goes into one, within one transaction and in bounded memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from sopnb.access.names import checked_name
from sopnb.access.progress import Progress
from sopnb.engine.bulk import OnError
from sopnb.engine.counts import Counts
from sopnb.engine.engine import Engine
from sopnb.engine.storework import StoreWork
from sopnb.engine.work import Work
from sopnb.errors import InvalidInput, StoreExists
from sopnb.frames.arrow import is_stream, reader
from sopnb.frames.incoming import Incoming, conformed
from sopnb.frames.pieces import Pieces, opened, streams
from sopnb.frames.widening import widened
from sopnb.index import IndexField, IndexSpecification
from sopnb.schema import ID, Schema

IfExists = Literal["raise", "replace", "insert", "upsert"]
Index = str | Iterable[Hashable] | Hashable | IndexSpecification
"""A column, several of them, or more exactly what they mean; a column is named by its name or by its label in a frame."""
PIECE = 4
"""Pieces of a stream are joined to this part of what a bulk write may sort in memory."""


def specification(index: Index, *, label: bool = False) -> IndexSpecification:
    """Return an index as people give it: a specification, a column, or several; a leading ``-`` makes one descending.

    With ``label`` a tuple is the label of one column, else it is several.
    """
    if isinstance(index, IndexSpecification):
        return index
    one = label or isinstance(index, str) or not isinstance(index, Iterable)
    return IndexSpecification(tuple(map(_field, [index] if one else index)))  # type: ignore[arg-type]


def _field(label: Any) -> IndexField:
    if isinstance(label, str):
        return IndexSpecification.of(label).fields[0]
    return IndexField(importlib.import_module("sopnb.frames.labels").text(label))


@dataclass(frozen=True)
class Load:
    """One load: what goes where, and what is done with a store or rows that are there."""

    name: str
    data: Any
    index: Index | None = None
    if_exists: IfExists = "raise"
    on_error: OnError = "raise"
    types: Mapping[str, str] | None = None
    widen: bool = False

    def __post_init__(self) -> None:
        checked_name(self.name, "store")
        if self.if_exists not in ("raise", "replace", "insert", "upsert"):
            raise InvalidInput(f'if_exists={self.if_exists!r}; it is one of "raise", "replace", "insert", "upsert"')
        if self.widen and self.if_exists not in ("insert", "upsert"):
            raise InvalidInput('widen=True is for a store that is there; use it with if_exists="insert" or "upsert"')
        if self.on_error not in ("raise", "report"):
            raise InvalidInput(f'on_error={self.on_error!r}; it is "raise" or "report"')

    @property
    def repeatable(self) -> bool:
        """Whether the data can be gone through again after a conflict."""
        return not streams(self.data)

    def begun(self) -> Load:
        """Return the same load with its stream begun: it may come from the database itself, which is not read in a transaction."""
        return replace(self, data=reader(self.data)) if streams(self.data) and is_stream(self.data) else self

    @cached_property
    def _source(self) -> Any:
        """The data, opened if it is in files: they are looked through once, however often the load is tried."""
        return opened(self.data, self.types)

    def schema(self, engine: Engine) -> Schema:
        """Return the schema of the store that it would make."""
        refused: list[Any] = []
        return self._schema(self._pieces(engine, refuse=refused.append if self.on_error == "report" else None))

    def _pieces(self, engine: Engine, into: Schema | None = None, refuse: Callable[[Any], object] | None = None) -> Pieces:
        return Pieces(self._source, into=into, refuse=refuse, bar=Progress(engine.handle, engine.clock).bar)

    def into(self, work: Work, engine: Engine) -> Counts:
        """Write the data within a transaction of this engine.

        Raises ``StoreExists``, ``DuplicateKey``, ``InvalidInput`` or ``SchemaMismatch``.
        """
        work.writing()
        misfits: list[Any] = []
        refuse = misfits.append if self.on_error == "report" else None
        exists = self.name in work.stores()
        if exists and self.if_exists == "raise":
            raise StoreExists(self.name)
        if exists and self.if_exists != "replace":
            store = work.store(self.name)
            self._same_index(store.schema)
            pieces = self._pieces(engine, store.schema, refuse)
            if self.widen:
                new = self._made(pieces, store.schema.specification, pieces.says)
                store = _rewritten(work, store, widened(store.schema, new, store=self.name), engine)
            return self._write(store, pieces, engine, misfits)
        pieces = self._pieces(engine, refuse=refuse)
        schema = self._schema(pieces)
        store = work.replace(self.name, schema) if exists else work.create(self.name, schema)
        return self._write(store, pieces, engine, misfits)

    def _write(self, store: StoreWork, pieces: Pieces, engine: Engine, misfits: list[Any]) -> Counts:
        schema, report = store.schema, self.on_error == "report"
        kind: Literal["insert", "upsert"] = "upsert" if self.if_exists == "upsert" else "insert"
        tables = conformed(
            pieces,
            schema,
            store=self.name,
            partial=kind == "upsert",
            size=max(engine.handle.load_bytes // PIECE, 1),
            refused=misfits if report else None,
        )
        with Progress(engine.handle, engine.clock).bar(f"load {self.name}", pieces.expected) as done:
            counts = store.load(kind, tables, on_error=self.on_error, progress=done)
        refused = [] if counts.rejected is None else [counts.rejected]
        return replace(counts, rejected=Incoming(refused_tables=misfits).rejected(schema, refused))

    def _schema(self, pieces: Pieces) -> Schema:
        says = pieces.says
        if self.index is not None:
            key = self._specification(says)
        elif pieces.names is None:
            raise InvalidInput(
                f"store {self.name!r}: the data has no named index to be the key; say which columns are it with index=[...], or name the "
                "index of the frame"
            )
        else:
            key = IndexSpecification(tuple(IndexField(name) for name in pieces.names))
        if says is not None:
            says = importlib.import_module("sopnb.frames.pandas").kept(says, index=self.index is None)
        return self._made(pieces, key, says)

    def _made(self, pieces: Pieces, key: IndexSpecification, says: dict[str, Any] | None) -> Schema:
        """Return a schema of the columns of the data."""
        table = pieces.table
        categories = {
            field.name: _categories(table.column(field.name))
            for field in table.schema
            if pa.types.is_dictionary(field.type) and (says is not None or field.type.ordered)
        }
        return Schema(table.schema, key, categories=categories, frame=says)

    def _specification(self, says: dict[str, Any] | None) -> IndexSpecification:
        assert self.index is not None
        if says is None or not isinstance(self.index, tuple):
            return specification(self.index)
        return specification(self.index, label=importlib.import_module("sopnb.frames.pandas").has_label(says, self.index))

    def _same_index(self, schema: Schema) -> None:
        if self.index is None:
            return
        there, asked = schema.specification, self._specification(schema.frame)
        same = asked == there if isinstance(self.index, IndexSpecification) else asked.fields == there.fields
        if not same:
            raise InvalidInput(
                f'store {self.name!r} has the index ({there}), not ({asked}); leave index= out, or use if_exists="replace" to make it anew'
            )


def _rewritten(work: Work, store: StoreWork, schema: Schema, engine: Engine) -> StoreWork:
    """Return a store made anew with a wider schema and the records that it has, ids included; as it is if the schema is the same."""
    old = store.schema
    if schema is old:
        return store
    name, stack = store.name, store.stack
    store.reads.range(b"", None)  # whoever writes to it meanwhile is in conflict
    new = work.replace(name, schema)
    seen = old.names if old.unique else (*old.names, ID)
    tables = (old.present(pa.Table.from_batches([part.batch]), seen) for part in stack.scan())
    size = max(engine.handle.load_bytes // PIECE, 1)
    with Progress(engine.handle, engine.clock).bar(f"widen {name}", lambda: stack.rows) as done:
        for table in conformed(tables, schema, store=name, partial=False, size=size):
            new.write("insert" if schema.unique else "replace", table)
            done(table.num_rows)
    new.counts = Counts()
    return new


def _categories(column: Any) -> Any:
    """Return all categories of a column, the unused ones too."""
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return pa.array([], column.type.value_type) if not whole.num_chunks else whole.chunk(0).dictionary
    return whole.dictionary
