"""pandas frames to Arrow and back, equal.

What Arrow does not say (the index, the kinds of the columns, labels, ``attrs``) is a ``Description``, which the schema of the store keeps,
so that a page and the whole have the same dtypes. What cannot be brought back is a fault: it forbids to make a store of the frame, and
does not matter where the frame is written into a store that has its own description.

A numpy column of integers or booleans cannot hold null, so its Arrow field may not be null either: a missing value is refused by
name later on, instead of turning the column into floats. Integers and booleans that may be null, in stores that were not loaded
from pandas, come as the nullable dtypes ``Int64`` and ``boolean``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pandas as pd
import pyarrow as pa

from sopnb import literals
from sopnb.errors import InvalidInput
from sopnb.fields import formed, holds, is_document, meaning, plain_type
from sopnb.frames import adopting, kinds
from sopnb.frames.kinds import NULLABLE, Arrow, Category, Interval, Kind, Nullable, Numpy, Objects, Period, Plain, Text, restored
from sopnb.frames.labels import Labels, are_text, renamed, text, text_dtype
from sopnb.schema import Schema

Backend = Literal["numpy_nullable", "pyarrow"]
_LABELS = ("object", "str", "string")


class Description(msgspec.Struct, frozen=True):
    """What a frame says beyond its Arrow form; the schema of a store keeps it as a dict of plain values.

    ``index`` names the columns that are its index, None where it has none of its own; ``columns`` are the kinds by name, those of the
    index too; ``freq`` is the frequency of the index; ``labels`` is the dtype of the column names, ``label`` their name, and
    ``odd`` all about them where they are more than text; ``attrs`` is JSON, or with ``tagged`` literals; ``faults`` says why a frame like
    this would not come back.
    """

    index: list[str] | None
    columns: dict[str, Kind]
    freq: str | None = None
    labels: str = "object"
    label: str | None = None
    attrs: str = "{}"
    unique_labels: bool = False
    faults: list[str] = []
    odd: Labels | None = None
    tagged: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values and bytes."""
        said: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return said

    @classmethod
    def of(cls, said: dict[str, Any]) -> Description:
        """Return the description that ``to_dict`` gave."""
        return msgspec.convert(said, cls, builtin_types=(bytes,))


# -- in -----------------------------------------------------------------------------------------------------------------------


def adopt(frame: Any, *, documents: Collection[str] = ()) -> tuple[Any, tuple[str, ...] | None, dict[str, Any] | None]:
    """Return (table, the names of the index if all its levels have one, the description of the frame).

    An index without a name is left out. ``documents`` names columns whose values become JSON documents whatever they are. Raises
    ``InvalidInput`` naming the column that cannot be stored.
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(f"rows cannot be read from {type(frame).__name__}; give a DataFrame")
    names = None if None in frame.index.names else tuple(map(text, frame.index.names))
    arrays, fields, found, faults = [], [], {}, []
    for name, values in _columns(frame, names or ()):
        column = adopting.documents(values.astype(object), name) if name in documents else adopting.adopted(values, name)
        arrays.append(column.array)
        fields.append(column.field(name, solid=adopting.solid(values.dtype) and name not in documents))
        found[name] = column.kind
        faults += column.faults
    attrs, more = _attrs(frame.attrs)
    odd, odder = _odd(frame)
    if names is None and any(name is not None for name in frame.index.names):
        more.append(f"the index has levels without a name ({list(frame.index.names)}); name all, or use reset_index()")
    description = Description(
        list(names) if names else None,
        found,
        freq=kinds.freq_text(frame.index),
        labels="range" if isinstance(frame.columns, pd.RangeIndex) else str(frame.columns.dtype),
        label=frame.columns.name if isinstance(frame.columns.name, str) else None,
        attrs=attrs,
        unique_labels=not frame.flags.allows_duplicate_labels,
        faults=faults + more + odder,
        odd=odd,
        tagged='{"$' in attrs,  # of no text in JSON, which has its quotes escaped
    )
    return pa.table(arrays, schema=pa.schema(fields)) if fields else _rows_only(len(frame)), names, description.to_dict()


def _rows_only(n: int) -> Any:
    return pa.table({"": pa.nulls(n)}).select([])


def _columns(frame: Any, index: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the columns and the levels of the index by the names they have in a store. Raises ``InvalidInput`` if one is there twice."""
    taken: dict[str, Any] = {}
    for label in frame.columns:
        name = text(label)
        if name in taken:
            alike = (type(label), repr(label)) == (type(taken[name]), repr(taken[name]))
            how = "is there twice" if alike else f"would have the same name as {taken[name]!r} in a store"
            raise InvalidInput(f"column {label!r} {how}; rename one of them")
        taken[name] = label
    for at, name in enumerate(index):
        if name in taken or name in index[:at]:
            raise InvalidInput(f"column {name!r} is there twice, as index too; rename one of them")
    for at, name in enumerate(taken):
        yield name, frame.iloc[:, at]
    levels = frame.index.set_names([None] * frame.index.nlevels)  # numbers may be names of levels
    for at, name in enumerate(index):
        yield name, levels.get_level_values(at)


def _attrs(attrs: dict[Any, Any]) -> tuple[str, list[str]]:
    """Return (attrs as literals, what of them cannot be kept)."""
    kept, faults = {}, []
    for name, value in attrs.items():
        try:
            literals.dumps({name: value}, "attrs")
            kept[name] = value
        except InvalidInput as error:
            try:
                kept.update(_as_json({name: value}))
            except (TypeError, ValueError):
                faults.append(f"{error}, or delete attrs[{name!r}]")
    return literals.dumps(kept, "attrs"), faults


def _as_json(value: Any) -> Any:
    """Return an equal value of plain types. Raises ``TypeError`` or ``ValueError`` if JSON has none."""
    same = json.loads(json.dumps(value, allow_nan=False))
    if same != value:
        raise ValueError(f"{value!r} would come back as {same!r}")
    return same


def _odd(frame: Any) -> tuple[Labels | None, list[str]]:
    """Return (the labels of a frame if they are more than text, why they would not come back)."""
    named = [] if None in frame.index.names else list(frame.index.names)
    empty = isinstance(frame.columns, pd.RangeIndex) and not len(frame.columns) and isinstance(frame.columns.name, str | None)
    if (are_text(frame.columns) or empty) and all(isinstance(name, str) for name in named):
        return None, []
    try:
        return Labels.of(frame.columns, named), []
    except InvalidInput as error:
        return None, [f"the labels of the columns cannot be kept: {error}"]


def kept(said: dict[str, Any], *, index: bool) -> dict[str, Any]:
    """Return the description that a new store keeps; without ``index`` the index comes back as columns.

    Raises ``InvalidInput`` naming the column that would not come back as it is.
    """
    if "pandas" in said:  # of a file
        return said if index else {**said, "index": None}
    description = Description.of(said)
    for fault in description.faults:
        raise InvalidInput(fault)
    if index:
        return said
    return msgspec.structs.replace(description, index=None, freq=None).to_dict()


def widened(old: dict[str, Any], new: dict[str, Any] | None, before: Any, after: Any) -> dict[str, Any]:
    """Return the description of a store whose Arrow schema was ``before`` and is ``after``, for frames of ``new`` too."""
    if "pandas" in old:
        return old
    description, given = Description.of(old), Description.of(new) if new is not None and "pandas" not in new else None
    columns = dict(description.columns)
    for field in after:
        name, kind = field.name, columns.get(field.name)
        other = Plain() if given is None else given.columns.get(name, Plain())
        if kind is None or pa.types.is_null(before.field(name).type):
            kind = other
        elif isinstance(kind, Category) and isinstance(other, Category):
            kind = adopting.grown(kind, other)
        solid = pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)
        columns[name] = Nullable() if isinstance(kind, Numpy) and solid and field.nullable else kind
    odd = description.odd
    if odd is not None and given is not None and given.odd is not None:
        odd = odd.grown(given.odd, [field.name for field in after])
    return msgspec.structs.replace(description, columns=columns, odd=odd).to_dict()


def altered(old: dict[str, Any], rename: Mapping[str, str], drop: Collection[str]) -> dict[str, Any]:
    """Return the description of a store whose columns got other names or went."""
    if "pandas" in old:
        return old
    description = Description.of(old)
    columns = {rename.get(name, name): kind for name, kind in description.columns.items() if name not in drop}
    index, freq = description.index, description.freq
    if index is not None:
        index = None if set(index) & set(drop) else [rename.get(name, name) for name in index]
    return msgspec.structs.replace(description, columns=columns, index=index, freq=freq if index else None).to_dict()


# -- out ----------------------------------------------------------------------------------------------------------------------


def to_pandas(table: Any, schema: Schema, *, nullable: bool = False, dtype_backend: Backend | None = None) -> Any:
    """Return a table of the user's columns (``Schema.present``) as a frame with the dtypes that the schema says.

    With ``nullable`` integers and booleans come as the nullable dtypes, because rows may be missing that the schema knows nothing of.
    ``dtype_backend`` is as in ``pandas.read_parquet``: "numpy_nullable" for nullable numbers, booleans and text, "pyarrow" for Arrow
    dtypes; categories, periods, intervals and JSON documents stay what they are. Dictionary columns whose categories the schema does not
    know come as their values, for a page has not the categories of the whole. Raises ``InvalidInput`` for another backend.
    """
    if dtype_backend not in (None, "numpy_nullable", "pyarrow"):
        raise InvalidInput(f'dtype_backend={dtype_backend!r}; it is None, "numpy_nullable" or "pyarrow"')
    return _restored(*_chosen_of(table, schema, dtype_backend), _description(schema), nullable=nullable)


def _chosen_of(table: Any, schema: Schema, backend: Backend | None) -> tuple[Any, dict[str, Kind]]:
    """Return (a table, the kinds that its columns come back as), what pandas has no form for in a plain one."""
    description = _description(schema)
    chosen = {f.name: _chosen(f, description, backend) for f in table.schema}
    for at, field in enumerate(table.schema):
        if isinstance(chosen[field.name], Plain) and field.name not in schema.categories and not holds(field.type, _has_values):
            plain = plain_type(field.type)
            table = table.set_column(at, field.with_type(plain), formed(table.column(at), plain))
    return table, chosen


def _has_values(kind: Any) -> bool:
    """Say whether pandas has values of its own for this type, other than for the plain one."""
    return bool(pa.types.is_map(kind) or pa.types.is_interval(kind))


def _restored(table: Any, chosen: dict[str, Kind], description: Description | None, *, nullable: bool = False) -> Any:
    """Return a table as a frame, its columns of the kinds chosen."""
    levels = [name for name in (description and description.index) or () if name in table.column_names]
    columns = {name: chosen[name] for name in table.column_names if name not in levels}
    frame = _framed(table.select(list(columns)), columns, nullable=nullable)
    if levels:
        frame.index = _index(table, levels, chosen, description)
    return _labelled(frame, list(columns), description)


def _framed(table: Any, columns: dict[str, Kind], *, nullable: bool) -> Any:
    """Return a frame of these columns with a fresh index: Arrow makes of all at once what it makes as it is wanted."""
    dtypes: dict[Any, Any] = {}
    rest = {}
    for at, kind in enumerate(columns.values()):
        arrow = table.schema.field(at).type
        known, dtype = kinds.dtype_of(kind, arrow, nullable=nullable)
        if not known or dtypes.setdefault(arrow, dtype) != dtype:
            rest[at] = restored(table.column(at), kind, nullable=nullable)
            table = table.set_column(at, table.schema.names[at], pa.nulls(table.num_rows))
    frame = table.to_pandas(types_mapper=dtypes.get, ignore_metadata=True)
    for at, values in rest.items():
        frame.isetitem(at, pd.Series(values, dtype=values.dtype, copy=False))
    return frame


def _description(schema: Schema) -> Description | None:
    if schema.frame is None:
        return None
    if "pandas" not in schema.memo:
        schema.memo["pandas"] = _as_shared(schema) if "pandas" in schema.frame else Description.of(schema.frame)
    described: Description = schema.memo["pandas"]
    return described


def _chosen(field: Any, description: Description | None, backend: Backend | None) -> Kind:
    """Return the kind that a column comes back as."""
    kind = None if description is None else description.columns.get(field.name)
    if kind is None:
        kind = Objects("document") if is_document(field) else Plain()
    if backend is None or isinstance(kind, Category | Period | Interval) or (isinstance(kind, Objects) and kind.form == "document"):
        return kind
    if backend == "pyarrow":
        return Arrow()
    t = pa.types
    if field.type in NULLABLE or t.is_float32(field.type) or t.is_float64(field.type):
        return Nullable()
    if t.is_string(field.type) or t.is_large_string(field.type):
        return Text(pd.StringDtype().storage, "NA")
    return kind


def _index(table: Any, levels: Sequence[str], chosen: dict[str, Kind], description: Description | None) -> Any:
    odd = None if description is None else description.odd
    names = [name if odd is None else odd.other(name) for name in levels]
    if len(levels) > 1:
        indexes = [kinds.index(table.column(level), chosen[level]) for level in levels]
        return pd.MultiIndex.from_arrays(indexes, names=names)
    return kinds.index(table.column(levels[0]), chosen[levels[0]], names[0], description.freq if description else None)


def _labelled(frame: Any, names: list[str], description: Description | None) -> Any:
    if description is None:
        frame.columns = pd.Index(names) if names else frame.columns
        return frame
    frame.columns = _labels(names, description)
    frame.attrs = literals.loads(description.attrs) if description.tagged else json.loads(description.attrs)
    return frame.set_flags(allows_duplicate_labels=False) if description.unique_labels else frame


def _labels(names: list[str], description: Description) -> Any:
    """Return the labels of the columns that have these names in the store."""
    if description.odd is not None:
        return description.odd.named(names)
    if names or description.labels in _LABELS:
        labels = description.labels if description.labels in _LABELS else "object"
        return pd.Index(names, dtype=text_dtype(labels), name=description.label)
    return pd.RangeIndex(0, name=description.label)


def shared(schema: Schema, names: Sequence[str]) -> bytes | None:
    """Return what a store says of its frames in the form that pandas and pyarrow agree on, for these columns in a file.

    Periods, intervals and documents are told as what they are in Arrow, for that form has no others. None where it cannot say it.
    """
    description = _description(schema)
    fields = [schema.arrow.field(name).remove_metadata() for name in names if name in schema.names]
    empty = schema.present(schema.physical.empty_table(), [field.name for field in fields])
    if description is None:
        return b"{}"
    plain = {name: Plain() if meaning(schema.arrow.field(name)) else kind for name, kind in description.columns.items()}
    index = [name for name in description.index or () if name in names] or None
    bare = msgspec.structs.replace(description, columns=plain, index=index, freq=None, odd=None, attrs="{}", tagged=False)
    frame = _restored(empty, plain, bare)
    try:
        said = json.loads(pa.Table.from_pandas(frame, preserve_index=index is not None).schema.metadata[b"pandas"])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):  # labels of several types
        return None
    for column in said["columns"]:
        if not _readable(column["numpy_type"]):
            column["numpy_type"], column["metadata"] = "object", None
    attrs = {name: value for name, value in json.loads(description.attrs).items() if not description.tagged or _in_json(name, value)}
    return json.dumps({**said, "attributes": attrs}).encode()


def _in_json(name: str, value: Any) -> bool:
    """Say whether what literals say is JSON by itself, as it is for those who know nothing of literals."""
    return not name.startswith("$") and '{"$' not in json.dumps(value)


def _readable(dtype: str) -> bool:
    """Say whether pandas understands the name of a dtype: of some that it gives it does not."""
    try:
        pd.api.types.pandas_dtype(dtype)
    except (TypeError, ValueError, NotImplementedError):
        return False
    return True


def _as_shared(schema: Schema) -> Description:
    """Return the description in the form that pandas and pyarrow agree on as one of ours: of a file, or of a store of earlier times."""
    said = schema.frame or {}
    blank = json.loads(said["pandas"])
    empty = schema.present(schema.physical.empty_table(), schema.names)
    framed = empty.replace_schema_metadata({b"pandas": said["pandas"].encode()}).to_pandas()
    found = {}
    for name in schema.names:
        values = framed[name] if name in framed.columns else framed.index.get_level_values(name)
        document = name in said["documents"]
        found[name] = Objects("document") if document else _shared_kind(values, schema.arrow.field(name).type)
    attrs = json.dumps(blank.get("attributes") or {})
    return Description(said["index"], found, labels=str(pd.Index(["a"]).dtype), attrs=attrs)


def _shared_kind(values: Any, kind: Any) -> Kind:
    if values.dtype != object:
        return adopting.adopted(values, values.name).kind
    t = pa.types
    forms = {
        "text": t.is_string(kind) or t.is_large_string(kind),
        "bytes": t.is_binary(kind) or t.is_large_binary(kind),
        "decimal": t.is_decimal(kind),
        "array": t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind),
    }
    return Objects(next((form for form, fits in forms.items() if fits), "other"))


def plain(table: Any) -> Any:
    """Return a table that no schema describes as a frame; integers and booleans come as nullable dtypes."""
    return table.to_pandas(types_mapper=NULLABLE.get)


def has_label(said: dict[str, Any], label: tuple[Any, ...]) -> bool:
    """Say whether a column of the frame of this description has this label of several parts."""
    odd = None if "pandas" in said else Description.of(said).odd
    return odd is not None and odd.has(label)


def labels(schema: Schema) -> list[Any]:
    """Return the labels that the columns of a store have in its frames, in the order of the columns."""
    description = _description(schema)
    return list(schema.names) if description is None else list(_labels(list(schema.names), description))


def index_columns(schema: Schema) -> tuple[str, ...]:
    """Return the columns that come back as the index of a frame."""
    return () if schema.frame is None else tuple(schema.frame["index"] or ())


# -- keys ---------------------------------------------------------------------------------------------------------------------


def key_frame(keys: Any, names: Sequence[str]) -> Any:
    """Return keys given as an Index, Series or frame as a frame with these columns; a frame's own columns or index go by name."""
    if isinstance(keys, pd.MultiIndex) and keys.nlevels != len(names):
        raise InvalidInput(f"the keys have {keys.nlevels} levels, the key has the fields {', '.join(names)}")
    if isinstance(keys, pd.Index):
        named = list(names) if isinstance(keys, pd.MultiIndex) else names[0]
        return keys.to_frame(index=False, name=named) if keys.nlevels == len(names) else _from_tuples(keys, names)
    if isinstance(keys, pd.Series):
        return key_frame(pd.Index(keys), names)
    keys = renamed(keys)
    named = [name for name in keys.index.names if name in names]
    twice = [name for name in named if name in keys.columns]
    if twice:
        raise InvalidInput(f"the frame of keys has {twice[0]!r} as a column and in its index; give it once")
    frame = keys.reset_index(level=named) if named else keys
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidInput(f"the frame of keys has no column {missing[0]!r}; a key has the fields {', '.join(names)}")
    return frame[list(names)]


def _from_tuples(keys: Any, names: Sequence[str]) -> Any:
    tuples = list(keys)
    if any(not isinstance(key, tuple) or len(key) != len(names) for key in tuples):
        raise InvalidInput(f"a key has the fields {', '.join(names)}; give an index of as many levels")
    return pd.DataFrame(tuples, columns=list(names))


def rejected_frame(tables: Sequence[Any], records: Sequence[tuple[Any, str]], schema: Schema) -> Any:
    """Return what a write refused as one frame, with the column ``_reason`` last; the index of the store's frames comes as columns."""
    frames = []
    for table in tables:
        known = [name for name in table.column_names if name in schema.names]
        physical = all(table.schema.field(name).type == schema.physical.field(name).type for name in known)
        if physical:
            seen, chosen = _chosen_of(schema.present(table, table.column_names), schema, None)
            texts = dict.fromkeys(schema.documents.intersection(chosen), Plain())  # a document may go into a file
            frames.append(_framed(seen, chosen | texts, nullable=True))
        else:
            frames.append(plain(table))
    if records:  # objects, for in a column of numbers some of which are missing large ones would be rounded
        given = pd.DataFrame([record for record, _ in records], dtype=object)
        frames.append(given.assign(_reason=[reason for _, reason in records]))
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    frame = frame[[*(name for name in frame.columns if name != "_reason"), "_reason"]]
    description = _description(schema)
    return frame if description is None or description.odd is None else frame.set_axis(description.odd.named(list(frame.columns)), axis=1)


def mixed(frames: Sequence[Any], columns: Sequence[Sequence[str]], order: Any) -> Any:
    """Return frames of several stores as one, the rows in this order; ``columns`` are those of each, its index among them.

    What a row has not is missing.
    """
    plain = []
    for frame, names in zip(frames, columns, strict=True):
        named = renamed(frame)
        whole = named if len(named.columns) == len(names) else named.reset_index()
        whole = whole[list(names)].reset_index(drop=True)
        whole.columns, whole.attrs = pd.Index(list(names)), {}
        plain.append(whole)
    return plain[0] if len(plain) == 1 else pd.concat(plain, ignore_index=True).iloc[order].reset_index(drop=True)
