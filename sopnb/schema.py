"""What the records of a store look like: the columns a person sees, the columns a leaf holds, and the key.

Invariants: a schema never changes (another schema is another object); types come from here and never from a batch; the physical
columns are the user's in their order, each in its stored type (dictionaries as their values, maps as lists of structs), documents as
JSON text, then the values of key fields that are expressions, and ``_id`` last where keys need not be unique.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import call
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.computed import Computed
from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.fields import (
    fits,
    formed,
    from_ipc,
    holds,
    holds_nothing,
    is_document,
    one_array,
    plain_type,
    stored_type,
    to_ipc,
    type_text,
    widens,
    worded,
)
from sopnb.index import IndexSpecification, KeyCodec, Keys, NotDirect, direct_writer
from sopnb.values import Converter, from_storage, restorer, scalar_reader, storage_type, to_storage

ID = "_id"
ID_BYTES = 16
RESERVED = ("_id", "_seq", "_reason")


class Schema:
    """The columns and the key of a store.

    ``frame`` is what a pandas frame says beyond its Arrow form; ``frames.pandas`` writes and reads it.

    >>> schema = Schema.of({"author": "string", "written": "timestamp[us, UTC]"}, IndexSpecification.of("author", "-written"))
    >>> schema.record(schema.row({"author": "ada", "written": "2013-01-01"}))["author"]
    'ada'
    """

    def __init__(
        self,
        arrow: Any,
        specification: IndexSpecification,
        *,
        categories: Mapping[str, Any] | None = None,
        frame: dict[str, Any] | None = None,
        computed: Mapping[str, Any] | None = None,
    ) -> None:
        self.arrow, self.specification, self.frame = arrow.remove_metadata(), specification, frame
        self.names: tuple[str, ...] = tuple(arrow.names)
        """The columns that people see."""
        self.categories = dict(categories or {})
        for name in arrow.names:
            if name in RESERVED:
                raise InvalidInput(f"column {name!r}: the name is reserved; rename the column")
            if arrow.names.count(name) > 1:
                raise InvalidInput(f"column {name!r} is there twice; rename one of them")
        self.documents = frozenset(field.name for field in arrow if is_document(field))
        """The columns of JSON documents."""
        visible = self._visible()
        self.computed = self._computed({field.name: field.type for field in visible}, computed or {})
        """The key fields that are expressions, by name."""
        hidden = [pa.field(each.name, each.type, nullable=True) for each in self.computed]
        id = [] if specification.unique else [pa.field(ID, pa.binary(ID_BYTES), nullable=True)]
        self.physical = pa.schema([*visible, *hidden, *id])
        self.physical_names: tuple[str, ...] = tuple(self.physical.names)
        keyed = [pa.field(field.name, self.physical.field(field.name).type, nullable=field.nullable) for field in self.arrow]
        self.codec = KeyCodec(specification, pa.schema([*keyed, *hidden]))
        self.memo: dict[Any, Any] = {}
        """What others derive from this schema and keep with it."""
        for name in specification.names:
            if name in self.documents:
                raise InvalidInput(
                    f"column {name!r} holds JSON documents and cannot be a key; use a number, text, bytes, date or time column"
                )
        self._nullable = frozenset(field.name for field in arrow if field.nullable)

    @classmethod
    def of(
        cls,
        columns: Any,
        specification: IndexSpecification,
        *,
        categories: Mapping[str, Any] | None = None,
        frame: dict[str, Any] | None = None,
    ) -> Schema:
        """Return a schema of a ``pyarrow.Schema``, or of names and type words such as ``"decimal128(10, 2)"`` or ``"json"``."""
        if not isinstance(columns, pa.Schema):
            columns = pa.schema([worded(name, word, key=name in specification.names) for name, word in columns.items()])
        return cls(columns, specification, categories=categories, frame=frame)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        """Return the schema that ``to_dict`` described."""
        arrow = pa.ipc.read_schema(pa.py_buffer(data["arrow"]))
        categories = {name: from_ipc(raw) for name, raw in data["categories"].items()}
        computed = {field.name: field.type for field in pa.ipc.read_schema(pa.py_buffer(data["computed"]))} if "computed" in data else None
        return cls(arrow, IndexSpecification.from_json(data["index"]), categories=categories, frame=data["frame"], computed=computed)

    def to_dict(self) -> dict[str, Any]:
        """Return a description of plain values and bytes; of expressions it says nothing where there are none."""
        hidden = pa.schema([(each.name, each.type) for each in self.computed])
        return {
            **({"computed": hidden.serialize().to_pybytes()} if self.computed else {}),
            "arrow": self.arrow.serialize().to_pybytes(),
            "index": self.specification.to_json(),
            "categories": {name: to_ipc(values) for name, values in self.categories.items()},
            "frame": self.frame,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        columns = ", ".join(f"{f.name} {'json' if f.name in self.documents else f.type}{'' if f.nullable else '!'}" for f in self.arrow)
        return f"Schema({columns}; {self.specification!r})"

    @property
    def key_names(self) -> tuple[str, ...]:
        """The key columns in order."""
        return self.specification.names

    def field(self, name: str) -> Any:
        """Return the Arrow field of a column, or of a key field that is an expression."""
        return self.arrow.field(name) if name in self.names else self.physical.field(name)

    @cached_property
    def key_sources(self) -> dict[str, str]:
        """The columns that must not change, by name, and the key field that each is, or that is computed from it."""
        computed = {source: each.name for each in self.computed for source in each.sources}
        return {**computed, **{name: name for name in self.key_names}}

    @cached_property
    def flat(self) -> bool:
        """Whether no value of a record holds others, as lists, structs and documents do."""
        return not self.documents and not any(pa.types.is_nested(field.type) for field in self.arrow)

    @cached_property
    def stored_key_names(self) -> tuple[str, ...]:
        """The physical columns that make the encoded key: the key columns, and ``_id`` where keys need not be unique."""
        return self.key_names if self.unique else (*self.key_names, ID)

    @cached_property
    def not_in_key(self) -> tuple[str, ...]:
        """The physical columns that records of one key may differ in: also key fields of floats, where 0.0 is -0.0 and NaN is null."""
        keyed = self.stored_key_names
        return tuple(field.name for field in self.physical if field.name not in keyed or pa.types.is_floating(field.type))

    @property
    def unique(self) -> bool:
        """Whether no two records have the same key."""
        return self.specification.unique

    def _computed(self, types: dict[str, Any], known: Mapping[str, Any]) -> tuple[Computed, ...]:
        """Return the key fields that are expressions; of ``known`` ones the types are given."""
        names = sorted(field.name for field in self.specification.fields if field.name not in types and field.expression is not None)
        made = (Computed(n, known[n], types, self.documents) if n in known else Computed.of(n, types, self.documents) for n in names)
        return tuple(made)

    def _visible(self) -> list[Any]:
        """Return the physical fields of the columns that people see."""
        fields = []
        for field in self.arrow:
            if holds(field.type, _is_odd_dictionary):
                raise InvalidInput(f"column {field.name!r}: a dictionary in {field.type} cannot be stored; cast it to its values")
            try:
                to_storage(field.type)
                kind = stored_type(field.type)
                formed(pa.nulls(1, kind), field.type)
            except InvalidInput as error:
                raise InvalidInput(f"column {field.name!r}: {error}") from None
            except pa.ArrowNotImplementedError as error:
                raise InvalidInput(f"column {field.name!r}: {field.type} cannot be stored ({error}); cast it to its values") from None
            fields.append(pa.field(field.name, kind, nullable=True))
        return fields

    # -- one record -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _in(self) -> dict[str, Converter]:
        return {name: to_storage(self.arrow.field(name).type, document=name in self.documents) for name in self.names}

    @cached_property
    def _out(self) -> list[tuple[str, Converter | None]]:
        return [(name, from_storage(self.arrow.field(name).type, document=name in self.documents)) for name in self.names]

    @cached_property
    def _made(self) -> list[tuple[str, Converter]]:
        return [(name, make) for name, make in self._out if make is not None]

    @cached_property
    def _makers(self) -> dict[str, Converter]:
        """What makes Python values of storage values, of columns and of key fields that are expressions; none where they are the same."""
        hidden = ((each.name, from_storage(each.type)) for each in self.computed)
        return {name: make for name, make in (*self._out, *hidden) if make is not None}

    def _complete(self, values: dict[str, Any], store: str) -> None:
        """Add the key fields that are computed from columns which are all there."""
        for each in self.computed:
            if all(name in values for name in each.sources):
                table = pa.Table.from_batches([self.batch([[values[name] for name in each.sources]], each.sources)])
                values[each.name] = scalar_reader(each.type)(each.column(table, store=store)[0])

    def partial(self, record: Mapping[str, Any], *, store: str = "") -> dict[str, Any]:
        """Return the storage values of the columns that a record gives, and of key fields that are computed from these alone.

        Raises ``SchemaMismatch`` naming the column.
        """
        values, known, closed = {}, self._in, self.categories
        for name, value in record.items():
            convert = known.get(name)
            if convert is not None:
                try:
                    stored = convert(value)
                except InvalidInput as error:
                    raise SchemaMismatch(f"store {store!r}, column {name!r}: {error}", store=store, column=name) from None
                values[name] = self._allowed(name, value, stored, store) if stored is None or name in closed else stored
            elif name != ID or self.unique:
                columns = ", ".join(map(repr, self.names))
                raise SchemaMismatch(f"store {store!r} has no column {name!r}; its columns are {columns}", store=store, column=str(name))
        if self.computed:
            self._complete(values, store)
        return values

    def _allowed(self, name: str, value: Any, stored: Any, store: str) -> Any:
        """Return the storage value of ``value``, if it is null where it may be, or one of the categories."""
        if stored is None and name not in self._nullable:
            raise SchemaMismatch(f"store {store!r}, column {name!r} may not be null; give a value", store=store, column=name)
        if name in self.categories and stored is not None and not self._known(name, stored):
            raise SchemaMismatch(f"store {store!r}, column {name!r}: {value!r} is none of its categories", store=store, column=name)
        return stored

    def _known(self, name: str, value: Any) -> bool:
        known = self._known_values[name]
        return bool(pc.is_in(pa.scalar(value, storage_type(known.type)).cast(known.type), known).as_py())

    @cached_property
    def _known_values(self) -> dict[str, Any]:
        """The categories in physical types."""
        return {name: values.cast(self.physical.field(name).type) for name, values in self.categories.items()}

    def needs_key(self, values: Mapping[str, Any], *, store: str = "") -> None:
        """Raise ``SchemaMismatch`` naming what is missing of the key in storage values as ``partial`` gives them."""
        for name in self.stored_key_names:
            if name in values:
                continue
            sources = [source for each in self.computed if each.name == name for source in each.sources if source not in values]
            told = f"{sources[0]!r}, from which the key field {name!r} is computed" if sources else f"{name!r}, which is part of the key"
            raise SchemaMismatch(f"store {store!r}: the record has no {told}", store=store, column=sources[0] if sources else name)

    def row(self, record: Mapping[str, Any], *, store: str = "") -> tuple[Any, ...]:
        """Return a whole record as storage values in physical order; columns left out are null, if they may be."""
        row = self.filled(self.partial(record, store=store), store=store)
        return row if self.unique else (*row, record.get(ID))

    def filled(self, given: Mapping[str, Any], *, store: str = "") -> tuple[Any, ...]:
        """Return the storage values of every column, in order; those left out are null. Raises ``SchemaMismatch`` if they may not be."""
        row = [given[name] if name in given else self._allowed(name, None, None, store) for name in self.names]
        if self.computed:
            values = {**given, **dict(zip(self.names, row, strict=True))}
            if any(each.name not in given for each in self.computed):
                self._complete(values, store)
            row += [values[each.name] for each in self.computed]
        return tuple(row)

    def record(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return a row as Python values by column."""
        record = dict(zip(self.names, row, strict=False))
        for name, make in self._made:
            record[name] = make(record[name])
        return record

    def key(self, value: Any, *, partial: bool = False, store: str = "") -> tuple[Any, ...]:
        """Return what a person typed for a key as storage values: one value, or a tuple of the key's fields.

        In a store that is not unique the full key ends in ``_id``. ``partial`` allows fewer fields.
        """
        fields = value if isinstance(value, tuple) else (value,)
        names = self.key_names if self.unique else (*self.key_names, ID)
        if len(fields) > len(names) or (len(fields) < len(names) and not partial):
            message = f"store {store!r}: the key has {len(names)} fields ({', '.join(names)}), {len(fields)} were given: {value!r}"
            remedy = "; for the leading fields alone use prefix()" if 0 < len(fields) < len(names) else ""
            raise InvalidInput(message + remedy)
        return tuple([self._stored_key(name, field, store) for name, field in zip(names, fields, strict=False)])

    def _stored_key(self, name: str, value: Any, store: str) -> Any:
        if name == ID:
            if not isinstance(value, bytes) or len(value) != ID_BYTES:
                raise SchemaMismatch(f"store {store!r}: {value!r} is no {ID}; take it from record.key", store=store, column=ID)
            return value
        try:
            stored = (self._in.get(name) or to_storage(self.physical.field(name).type))(value)
        except InvalidInput as error:
            raise SchemaMismatch(f"store {store!r}, key column {name!r}: {error}", store=store, column=name) from None
        if (stored is None or stored != stored) and name in self._in and name not in self._nullable:
            raise SchemaMismatch(f"store {store!r}, key column {name!r} may not be null; give a value", store=store, column=name)
        return stored

    @cached_property
    def _direct(self) -> list[Converter]:
        writers = [
            direct_writer(self.physical.field(f.name).type, f.descending, self.field(f.name).nullable) for f in self.specification.fields
        ]
        return writers if self.unique else [*writers, _id_bytes]

    def lookup_key(self, value: Any, *, store: str = "") -> bytes:
        """Return the bytes of a full key as a person typed it: ``key`` and ``encode_key`` in one, quick for plain values."""
        fields = value if type(value) is tuple else (value,)
        direct = self._direct
        if len(fields) == len(direct):
            try:
                return b"".join(map(call, direct, fields))
            except NotDirect:
                pass
        return self.encode_key(self.key(value, store=store))

    def encode_key(self, stored: Sequence[Any]) -> bytes:
        """Return the bytes of a full key given as storage values (with its ``_id`` where there is one)."""
        if self.unique:
            return self.codec.encode(stored)
        return self.codec.encode(stored[:-1], stored[-1])

    def public_key(self, stored: Sequence[Any]) -> Any:
        """Return a key's storage values as Python values: a tuple, or the one value of a key of one field."""
        makers = self._makers
        values = tuple(v if (make := makers.get(n)) is None else make(v) for n, v in zip(self.key_names, stored, strict=False))
        values += tuple(stored[len(values) :])
        return values[0] if len(values) == 1 else values

    @cached_property
    def _key_positions(self) -> list[int]:
        return [self.physical.get_field_index(name) for name in self.key_names]

    def key_bytes(self, row: Sequence[Any]) -> bytes:
        """Return the encoded key of a row."""
        return self.codec.encode([row[i] for i in self._key_positions], b"" if self.unique else row[-1])

    def shown_key(self, row: Sequence[Any]) -> Any:
        """Return the key of a row as people know it if it is not among the columns that they see; else None."""
        if not self.computed:
            return None
        stored = [row[at] for at in self._key_positions]
        return self.public_key(stored if self.unique else [*stored, row[-1]])

    def blank(self, key: bytes) -> tuple[Any, ...]:
        """Return a row that holds a key and nothing else: what stands for a deleted record in columns."""
        row: list[Any] = [None] * len(self.physical)
        for at, value in zip(self._key_positions, self.codec.decode(key), strict=True):
            row[at] = value
        if not self.unique:
            row[-1] = key[-16:]
        return tuple(row)

    @cached_property
    def _restorers(self) -> list[tuple[int, Converter]]:
        return [(i, restore) for i, field in enumerate(self.physical) if (restore := restorer(field.type)) is not None]

    def restored(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row as it was before it went through msgpack, which has no decimals."""
        if not self._restorers:
            return tuple(row)
        values = list(row)
        for i, restore in self._restorers:
            if values[i] is not None:
                values[i] = restore(values[i])
        return tuple(values)

    @cached_property
    def _readers(self) -> list[Converter]:
        return [scalar_reader(field.type) for field in self.physical]

    def row_at(self, batch: Any, at: int) -> tuple[Any, ...]:
        """Return one row of a batch of physical columns as storage values."""
        return tuple([read(column[at]) for read, column in zip(self._readers, batch.columns, strict=True)])

    # -- many records ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _storage(self) -> Any:
        return pa.schema([pa.field(field.name, storage_type(field.type)) for field in self.physical])

    def batch(self, rows: Sequence[Sequence[Any]], columns: Sequence[str] | None = None) -> Any:
        """Return rows of storage values as a record batch of the physical columns, or of those named, in the order given."""
        physical = self.physical if columns is None else pa.schema([self.physical.field(name) for name in columns])
        stored = self._storage if columns is None else pa.schema([self._storage.field(name) for name in columns])
        values = list(zip(*rows, strict=True)) or [()] * len(physical)
        arrays = [pa.array(v, kind.type).cast(field.type) for v, kind, field in zip(values, stored, physical, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=physical)

    def empty(self, columns: Sequence[str]) -> Any:
        """Return a batch of no rows of these physical columns."""
        return pa.RecordBatch.from_pylist([], schema=pa.schema([self.physical.field(name) for name in columns]))

    def rows(self, batch: Any) -> list[tuple[Any, ...]]:
        """Return a batch of physical columns as rows of storage values."""
        columns = [batch.column(i).cast(field.type).to_pylist() for i, field in enumerate(self._storage)]
        return list(zip(*columns, strict=True))

    def values(self, batch: Any, columns: Sequence[str]) -> list[list[Any]]:
        """Return some columns of a batch as lists of Python values; a column that is none of the schema's as Arrow makes them."""
        lists = []
        for name in columns:
            column = batch.column(name)
            at = self._storage.get_field_index(name)
            stored = (column if at < 0 else column.cast(self._storage.field(at).type)).to_pylist()
            make = self._makers.get(name)
            lists.append(stored if make is None else [make(value) for value in stored])
        return lists

    def public_keys(self, batch: Any) -> list[Any]:
        """Return the full keys of a batch as people know them: tuples, or values where the key has one field."""
        lists = self.values(batch, self.stored_key_names)
        return lists[0] if len(lists) == 1 else list(zip(*lists, strict=True))

    def keys(self, data: Any) -> Keys:
        """Return the encoded keys of a batch or table of physical columns."""
        ids = None if self.unique else one_array(data.column(ID))
        return self.codec.encode_columns([one_array(data.column(name)) for name in self.key_names], ids)

    def conform(self, table: Any, *, store: str = "", partial: bool = False, keyed: bool = False) -> Any:
        """Return a table in physical types, its columns in the schema's order, and the values of key fields that are expressions.

        Numbers widen; nothing is rounded or cut: what does not fit is refused naming the column. A column that holds nothing but null
        fits any type. ``partial`` allows columns to be absent, else they become null where they may be; ``keyed`` that those values are
        given. Raises ``SchemaMismatch``, with all differences of the columns at once.
        """
        hidden = [each for each in self.computed if not (keyed and each.name in table.column_names)]
        given = [each for each in self.computed if each not in hidden]
        self._compare(table.drop_columns([each.name for each in given]) if given else table, store, partial, hidden)
        arrays, fields = [], []
        for field in self.arrow:
            physical = self.physical.field(field.name)
            if field.name in table.column_names:
                column = table.column(field.name)
                if column.null_count == len(column):
                    column = pa.nulls(len(column), physical.type)
            elif partial and field.name not in self.key_names:
                continue
            else:
                column = pa.nulls(table.num_rows, physical.type)
            column = self.column(field.name, column, store=store)
            arrays.append(column)
            fields.append(physical)
        if self.computed:
            seen = pa.table(arrays, schema=pa.schema(fields))
            for each in self.computed:
                arrays.append(each.column(seen, store=store) if each in hidden else self._given(each, table.column(each.name), store))
                fields.append(self.physical.field(each.name))
        if ID in table.column_names:
            arrays.append(table.column(ID).cast(pa.binary(ID_BYTES)))
            fields.append(self.physical.field(ID))
        return pa.table(arrays, schema=pa.schema(fields))

    def _given(self, each: Computed, column: Any, store: str) -> Any:
        """Return values of a key field that is an expression, as someone gave them for a key."""
        try:
            return self._conformed(column, pa.field(each.name, each.type), each.type, store)
        except InvalidInput:
            take = to_storage(each.type)
            return self.batch([(take(value),) for value in column.to_pylist()], [each.name]).column(0)

    def _compare(self, table: Any, store: str, partial: bool, hidden: Sequence[Computed]) -> None:
        """Raise ``SchemaMismatch`` naming all columns that do not fit whatever their values."""
        differences = {}
        for field in table.schema:
            name = field.name
            if name == ID and not self.unique:
                continue
            if table.column_names.count(name) > 1:
                differences[name] = f"{name!r}: twice in the frame"
            elif name not in self.names:
                differences[name] = f"no column {name!r} in the store, frame {type_text(field)}"
            elif not (fits(field, self.arrow.field(name)) or holds_nothing(table.column(name))):
                differences[name] = f"{name!r}: store {type_text(self.arrow.field(name))}, frame {type_text(field)}"
        for field in self.arrow:
            needed = not field.nullable and table.num_rows and (not partial or field.name in self.key_names)
            if needed and field.name not in table.column_names:
                differences[field.name] = f"{field.name!r} may not be null: store {type_text(field)}, not in the frame"
        for each in hidden if partial and table.num_rows else ():
            for name in each.sources:
                if name not in table.column_names:
                    differences[name] = f"{name!r} is not in the frame, and the key field {each.name!r} is computed from it"
        if differences:
            told = "; ".join(differences.values())
            remedy = "cast, rename, drop or give these columns, or widen the store with db.load(..., widen=True)"
            known = "" if set(differences) <= set(self.names) else f"; the store's columns are {', '.join(map(repr, self.names))}"
            message = f"store {store!r} and the frame differ: {told}{known}; {remedy}"
            raise SchemaMismatch(message, store=store, column=next(iter(differences)), columns=tuple(differences))

    def column(self, name: str, column: Any, *, store: str = "") -> Any:
        """Return one column in its physical type. Raises ``SchemaMismatch`` for a value that does not fit."""
        field = self.arrow.field(name)
        column = self._conformed(column, field, self.physical.field(name).type, store)
        if column.null_count and not field.nullable:
            row = pc.index(column.is_null(), True).as_py()
            raise SchemaMismatch(f"store {store!r}, column {name!r} may not be null; row {row} is", store=store, column=name)
        return column

    def _conformed(self, column: Any, field: Any, wanted: Any, store: str) -> Any:
        column = formed(column, plain_type(column.type))
        kind = column.type
        if kind != wanted:
            if not (widens(kind, plain_type(field.type)) or holds_nothing(column)):
                message = f"store {store!r}, column {field.name!r}: {kind} does not fit {wanted}; cast the column before writing it"
                raise SchemaMismatch(message, store=store, column=field.name)
            try:
                if pa.types.is_nested(kind) and not widens(kind, plain_type(field.type)):
                    column = pa.chunked_array([pa.array(column.to_pylist(), wanted)])  # empty lists, of which none says of what
                elif pa.types.is_nested(kind) and holds(kind, pa.types.is_null):
                    column = formed(column, wanted)  # Arrow's own cast of such lists is broken
                if pa.types.is_integer(kind) and pa.types.is_decimal(wanted):
                    column = column.cast(pa.decimal128(20, 0))  # as many digits as any has; what fits is seen in the next step
                column = column.cast(wanted)
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                message = f"store {store!r}, column {field.name!r}: a value of type {kind} does not fit {wanted} ({error})"
                raise SchemaMismatch(message, store=store, column=field.name) from None
        if field.name in self.categories:
            known = pc.or_(pc.is_in(column, self._known_values[field.name]), column.is_null())
            if not pc.all(known, min_count=0).as_py():
                value = column.filter(pc.invert(known))[0].as_py()
                message = f"store {store!r}, column {field.name!r}: {value!r} is none of its categories"
                raise SchemaMismatch(message, store=store, column=field.name)
        return column

    def present(self, table: Any, columns: Sequence[str] | None = None) -> Any:
        """Return a table of physical columns in the types that people see; ``columns`` chooses and orders them."""
        arrays, fields = [], []
        for name in self.names if columns is None else columns:
            column = table.column(name)
            if name in self.names:
                field = self.arrow.field(name)
                column = self._encoded(column, name, field.type) if name in self.categories else self._formed(column, field.type)
            else:
                field = table.schema.field(name)
            arrays.append(column)
            fields.append(field)
        return pa.table(arrays, schema=pa.schema(fields)) if fields else table.select([])

    def _formed(self, column: Any, kind: Any) -> Any:
        return formed(pa.chunked_array([one_array(column)]) if pa.types.is_dictionary(kind) else column, kind)

    def _encoded(self, column: Any, name: str, kind: Any) -> Any:
        values, known = self.categories[name], self._known_values[name]
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        chunks = chunks or [pa.array([], known.type)]  # even no rows have their categories
        made = [pa.DictionaryArray.from_arrays(pc.index_in(c, known).cast(kind.index_type), values, ordered=kind.ordered) for c in chunks]
        return pa.chunked_array(made, kind)


def _is_odd_dictionary(kind: Any) -> bool:
    t = pa.types
    return bool(t.is_dictionary(kind)) and bool(t.is_nested(kind.value_type) or t.is_null(kind.value_type) or t.is_float16(kind.value_type))


def _id_bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise NotDirect
    return value
