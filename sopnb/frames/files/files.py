"""Files that are read as one table, never more than a piece of it in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.fields import MEANING, from_ipc, is_document, worded
from sopnb.frames.files.description import Description, described
from sopnb.frames.files.kind import Found, Kind, Passing, Refuse
from sopnb.frames.files.kinds import kind_of
from sopnb.frames.files.path import found
from sopnb.frames.files.text import is_text, values

Done = Callable[[int], object]
t = pa.types


def source(data: Any, *, types: Mapping[str, str] | None = None) -> Files:
    """Return files as one table: a path, a pattern such as ``"2013-*.csv"``, or a list of these.

    The files of a pattern come in the order of their names. ``types`` says the type of some columns, in the words of ``db.create``; the
    others have those of the file, or those that all of its values have. Raises ``InvalidInput`` if there is no such file, or no such kind.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "planes.csv"
    >>> _ = path.write_text("tailnum,seats\\nN1,55\\nN3,\\n")
    >>> [(field.name, str(field.type)) for field in source(path).schema]
    [('tailnum', 'string'), ('seats', 'int64')]
    """
    paths = found(data)
    kinds = [kind_of(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind is not kinds[0]:
            raise InvalidInput(f"{paths[0]} and {path} are of different kinds; load them one after another")
    return Files(paths, kinds[0], {name: worded(name, word) for name, word in (types or {}).items()})


class Files:
    """Files of one kind and with the same columns. They are looked through once, when something first asks for their types.

    ``asked`` are the fields that somebody gave types for, ``known`` those of a store that they go into, which text is read in.
    """

    def __init__(self, paths: tuple[Path, ...], kind: Kind, asked: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> None:
        self.paths, self.kind = paths, kind
        self.bytes = sum(path.stat().st_size for path in paths)
        """How large the files are together."""
        self.refuse: Refuse | None = None
        """Takes tables of rows that cannot be read, with a ``_reason``, instead of an error."""
        self._asked, self._known = dict(asked), dict(known or {})
        self._looked: list[Found] | None = None
        self._passed, self._before, self._rows_read = 0, 0, 0

    def into(self, schema: Any) -> Files:
        """Return the same files read in the types of a store, where they have none of their own: so "007" stays text in a text column."""
        return Files(self.paths, self.kind, self._asked, {field.name: _plain(field) for field in schema} if self.kind.text else None)

    # -- what they hold ---------------------------------------------------------------------------------------------------------

    @property
    def schema(self) -> Any:
        """The columns of all files. Raises ``InvalidInput`` naming two files that differ, ``SchemaMismatch`` naming the column."""
        return self._schema

    @property
    def names(self) -> tuple[str, ...] | None:
        """The key that a pandas frame had as its named index."""
        return self._description.index

    @property
    def says(self) -> dict[str, Any] | None:
        """What pandas says of the frame."""
        return self._description.says

    @property
    def rows(self) -> int | None:
        """How many rows there are; None if that is not known before the end."""
        counts = [each.rows for each in self._found]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def documents(self) -> frozenset[str]:
        """The columns of JSON documents."""
        return frozenset(field.name for field in self._schema if is_document(field))

    def expected(self) -> int | None:
        """Return how many rows there are, guessed from those read so far where it is not known; None before any were."""
        if self.rows is not None:
            return self.rows
        return self._rows_read * self.bytes // self._passed if self._passed and self._rows_read else None

    @cached_property
    def sample(self) -> Any:
        """A table of no rows; its dictionaries have all values of the files."""
        arrays = []
        for field in self._schema:
            if t.is_dictionary(field.type):
                values = self._dictionary(field)
                empty = pa.DictionaryArray.from_arrays(pa.array([], field.type.index_type), values, ordered=field.type.ordered)
                arrays.append(pa.chunked_array([empty], field.type))
            else:
                arrays.append(pa.chunked_array([], field.type))
        return pa.table(arrays, schema=self._schema)

    def _dictionary(self, field: Any) -> Any:
        if field.name in self._description.categories:
            return from_ipc(self._description.categories[field.name])
        known = pa.array([], field.type.value_type)
        for path, each in zip(self.paths, self._found, strict=True):
            for batch in self.kind.read(path, pa.schema([field]), each, Passing()):
                column = batch.column(0)
                values = column.dictionary if t.is_dictionary(column.type) else column.drop_null().unique()
                if not values.equals(known):
                    known = pa.chunked_array([known, values]).unique()
        return known

    def look(self, done: Done = lambda passed: None) -> None:
        """Look through the files for their types, once; ``done`` is called with the bytes read since the last call."""
        if self._looked is not None:
            return
        types = {**self._known, **self._asked} if self.kind.text else {}
        skip: Refuse | None = None if self.refuse is None else lambda table: None
        looked = []
        for path in self.paths:
            last = 0

            def at(passed: int) -> None:
                nonlocal last
                done(passed - last)
                last = passed

            looked.append(self.kind.scan(path, types, Passing(at, skip)))
        self._looked = looked

    @property
    def _found(self) -> list[Found]:
        self.look()
        assert self._looked is not None
        return self._looked

    @cached_property
    def _description(self) -> Description:
        """What all files say alike of the frame that they were."""
        fields = [field for field in self._found[0].columns.values() if isinstance(field, pa.Field)]
        all_said = [described(fields, each.metadata) for each in self._found]
        first = all_said[0]
        if all(said == first for said in all_said):
            return first
        alike = all(said.index == first.index for said in all_said)
        return Description(first.index if alike else None, None, first.left_out, frozenset(), first.counted if alike else None)

    @cached_property
    def _schema(self) -> Any:
        first, description = self._found[0], self._description
        fields = []
        for name in self._all_names():
            field = self._asked.get(name)
            field = field if field is not None else self._joined(name)
            nullable = field.nullable and name not in description.solid
            meaning = None if field.metadata is None else field.metadata.get(MEANING)
            fields.append(pa.field(name, field.type, nullable=nullable, metadata=None if meaning is None else {MEANING: meaning}))
        for name in self._asked:
            if name not in [field.name for field in fields]:
                known = ", ".join(map(repr, first.columns))
                raise SchemaMismatch(f"{self.paths[0]} has no column {name!r}, for which types gives a type; it has {known}", column=name)
        return pa.schema(fields)

    def _all_names(self) -> list[str]:
        """Return the columns, the counted index first. Raises ``InvalidInput`` if the files have different ones."""
        first, description = self._found[0], self._description
        if self.kind.name == "jsonl":
            return list(dict.fromkeys(name for each in self._found for name in each.columns))
        for path, each in zip(self.paths, self._found, strict=True):
            odd = sorted(set(first.columns) ^ set(each.columns))
            if odd:
                there, absent = (self.paths[0], path) if odd[0] in first.columns else (path, self.paths[0])
                raise SchemaMismatch(f"{there} has a column {odd[0]!r}, {absent} has none; load them apart", column=odd[0])
        names = [name for name in first.columns if name not in description.left_out]
        return names if description.counted is None else [description.counted[0], *names]

    def _joined(self, name: str) -> Any:
        """Return the field of a column in all files. Raises ``SchemaMismatch`` if no type holds the values of all without loss."""
        counted = self._description.counted
        if counted is not None and name == counted[0]:
            return pa.field(name, pa.int64())
        having = [(path, each.columns[name]) for path, each in zip(self.paths, self._found, strict=True) if name in each.columns]
        column = having[0][1]
        for path, other in having[1:]:
            if isinstance(column, pa.Field):
                kind = promoted(column.type, other.type)
                if kind is None or is_document(column) != is_document(other):
                    message = f"column {name!r} is {column.type} in {having[0][0]} and {other.type} in {path}; give types={{{name!r}: ...}}"
                    raise SchemaMismatch(message, column=name)
                column = column.with_type(kind).with_nullable(column.nullable or other.nullable)
            else:
                column = column.join(other)
        return column if isinstance(column, pa.Field) else column.field(name)

    # -- reading ----------------------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[Any]:
        """Yield all rows as record batches of ``schema``, file by file; it may be called again.

        Raises ``SchemaMismatch`` naming file, line and column for a value that does not fit, unless ``refuse`` takes its row.
        """
        schema = self._schema
        self._before = self._passed = self._rows_read = 0
        for path, each in zip(self.paths, self._found, strict=True):
            yield from self._batches(path, each, schema)
            self._before += path.stat().st_size
            self._passed = self._before

    def _batches(self, path: Path, each: Found, schema: Any) -> Iterator[Any]:
        counted, first = self._description.counted, 0
        there = [field for field in schema if field.name in each.columns]
        stored = pa.schema(there if self.kind.text else [each.columns[field.name] for field in there])
        for batch in self.kind.read(path, stored, each, Passing(self._at, self.refuse)):
            arrays = []
            for field in schema:
                if counted is not None and field.name == counted[0]:
                    array = pa.array(np.arange(first, first + batch.num_rows) * counted[2] + counted[1])
                elif field.name in each.columns:
                    array = batch.column(field.name)
                else:
                    array = pa.nulls(batch.num_rows)
                arrays.append(_cast(array, field, path))
            first += batch.num_rows
            self._rows_read += batch.num_rows
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _at(self, passed: int) -> None:
        self._passed = self._before + passed


def _plain(field: Any) -> Any:
    """Return a field of a store as text is read for it: any value may be missing, which the store then judges."""
    kind = field.type.value_type if t.is_dictionary(field.type) else field.type
    return pa.field(field.name, kind, metadata=field.metadata)


def _cast(array: Any, field: Any, path: Path) -> Any:
    if array.type == field.type:
        return array
    try:
        if is_text(array.type) and not is_text(field.type) and not t.is_dictionary(field.type):
            return values(array, field.type)
        if t.is_dictionary(field.type) and not t.is_dictionary(array.type):
            array = array.cast(field.type.value_type).dictionary_encode()
            indices, kind = array.indices.cast(field.type.index_type), field.type
            return pa.DictionaryArray.from_arrays(indices, array.dictionary, ordered=kind.ordered)
        return array.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatch(
            f"{path}, column {field.name!r}: {array.type} does not become {field.type}: {error}", column=field.name
        ) from None


def promoted(a: Any, b: Any) -> Any:
    """Return the type that holds all values of two others without loss; None if there is none.

    >>> promoted(pa.int8(), pa.int64()), promoted(pa.int64(), pa.float64()), promoted(pa.float32(), pa.int16())
    (DataType(int64), None, DataType(float))
    """
    if a == b:
        return a
    if t.is_floating(a) != t.is_floating(b):
        whole, broken = (b, a) if t.is_floating(a) else (a, b)
        digits = {16: 11, 32: 24, 64: 53}[broken.bit_width]
        if not t.is_null(whole) and not (t.is_integer(whole) and whole.bit_width < digits):
            return None
        return broken
    if is_text(a) != is_text(b) and not t.is_null(a) and not t.is_null(b):
        return None
    if t.is_boolean(a) != t.is_boolean(b) and not t.is_null(a) and not t.is_null(b):
        return None
    try:
        kind = pa.unify_schemas([pa.schema([("x", a)]), pa.schema([("x", b)])], promote_options="permissive").field("x").type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None
    mixed = t.is_date(a) != t.is_date(b) and not t.is_null(a) and not t.is_null(b)
    unsigned = t.is_uint64(a) or t.is_uint64(b)
    return None if mixed or (unsigned and not t.is_uint64(kind)) else kind
