"""The schema that a store needs to hold its own records and those of a frame that has more to say.

Widened is only what loses nothing: new columns, which are null in the records that are there; whole numbers, and whole numbers to floats
that hold each of them; finer units of time; longer decimals; columns of nothing but null, which get a type; more categories. A column
whose values fit as it is stays as it is.
"""

from __future__ import annotations

import importlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.errors import SchemaMismatch
from sopnb.fields import fits, meaning, plain_type, type_text
from sopnb.schema import Schema

_UNITS = ("s", "ms", "us", "ns")
_EXACT_BITS = {16: 8, 32: 16, 64: 32}
"""Of floats of so many bits, the widest whole numbers that each of them holds exactly."""


def widened(old: Schema, new: Schema, *, store: str = "") -> Schema:
    """Return a schema that takes the records of both; ``old`` itself if it does already.

    ``new`` is that of the frame, with the key of ``old``. Raises ``SchemaMismatch`` naming all columns that cannot be widened without
    loss.
    """
    fields, differences = [], {}
    for field in old.arrow:
        given = new.arrow.field(field.name) if field.name in new.names else field
        wider = _field(field, given, key=field.name in old.key_names)
        if wider is None:
            differences[field.name] = f"{field.name!r}: store {type_text(field)}, frame {type_text(given)}"
        fields.append(field if wider is None else wider)
    if differences:
        raise SchemaMismatch(
            f"store {store!r} cannot be widened without loss: {'; '.join(differences.values())}; cast these columns before writing them",
            store=store,
            column=next(iter(differences)),
            columns=tuple(differences),
        )
    fields += [field.with_nullable(True) for field in new.arrow if field.name not in old.names]
    categories = {}
    for at, field in enumerate(fields):
        known = [schema.categories[field.name] for schema in (old, new) if field.name in schema.categories]
        if known and pa.types.is_dictionary(field.type):
            categories[field.name] = _categories([values.cast(field.type.value_type) for values in known])
            fields[at] = field.with_type(_roomy(field.type, categories[field.name]))
    arrow = pa.schema(fields)
    grown = any(len(categories[name]) > len(values) for name, values in old.categories.items())
    if arrow.equals(old.arrow, check_metadata=True) and not grown:
        return old
    frame = old.frame
    if frame is not None:
        frame = importlib.import_module("sopnb.frames.pandas").widened(frame, new.frame, old.arrow, arrow)
    return Schema(arrow, old.specification, categories=categories, frame=frame)


def _field(old: Any, new: Any, *, key: bool) -> Any:
    """Return a field that holds the values of both; None if there is none."""
    nullable = old.nullable or (new.nullable and not key)
    if pa.types.is_null(old.type):
        return new.with_nullable(True)
    if pa.types.is_null(new.type):
        return old.with_nullable(nullable)
    if meaning(old) == meaning(new):
        kind = joined(plain_type(old.type), plain_type(new.type))
        if kind is not None and kind != plain_type(old.type):
            if not _shaped(old.type):
                return old.with_type(_as(old.type, kind)).with_nullable(nullable)
            return new.with_nullable(nullable) if _shaped(new.type) and kind == plain_type(new.type) else None
    return old.with_nullable(nullable) if fits(new, old) else None


def _shaped(kind: Any) -> bool:
    """Say whether a type has a form that its plain type has not and that is more than an index or a view of its values, as maps have."""
    t = pa.types
    return bool(plain_type(kind) != kind and not (t.is_dictionary(kind) or t.is_string_view(kind) or t.is_binary_view(kind)))


def _as(old: Any, kind: Any) -> Any:
    """Return the wider type in the form that a column had."""
    return pa.dictionary(old.index_type, kind, old.ordered) if pa.types.is_dictionary(old) else kind


def _roomy(kind: Any, categories: Any) -> Any:
    """Return a dictionary type whose indices count so many categories."""
    index = next(i for i in (pa.int8(), pa.int16(), pa.int32(), pa.int64()) if len(categories) <= 2 ** (i.bit_width - 1))
    return kind if index.bit_width <= kind.index_type.bit_width else pa.dictionary(index, kind.value_type, kind.ordered)


def _categories(known: list[Any]) -> Any:
    """Return the first categories, and after them those of the others that are new."""
    first, *others = known
    for values in others:
        first = pa.concat_arrays([first, values.filter(pc.invert(pc.is_in(values, first)))])
    return first


def joined(a: Any, b: Any) -> Any:
    """Return the type that holds every value of both; None if there is none that loses nothing."""
    t = pa.types
    if a == b or t.is_null(b):
        return a
    if t.is_null(a):
        return b
    if t.is_integer(a) and t.is_integer(b):
        return _integer(a, b)
    if (t.is_integer(a) and t.is_floating(b)) or (t.is_floating(a) and t.is_integer(b)):
        whole, real = (a, b) if t.is_integer(a) else (b, a)
        return next(
            (f for f in (pa.float32(), pa.float64()) if f.bit_width >= real.bit_width and whole.bit_width <= _EXACT_BITS[f.bit_width]), None
        )
    if t.is_floating(a) and t.is_floating(b):
        return a if a.bit_width >= b.bit_width else b
    if t.is_decimal(a) and t.is_decimal(b):
        return _decimal(a, b)
    if t.is_timestamp(a) and t.is_timestamp(b) and (a.tz is None) == (b.tz is None):
        return pa.timestamp(_finer(a, b), a.tz)
    if t.is_duration(a) and t.is_duration(b):
        return pa.duration(_finer(a, b))
    if t.is_time(a) and t.is_time(b):
        unit = _finer(a, b)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    return _nested(a, b)


def _finer(a: Any, b: Any) -> str:
    return str(max(a.unit, b.unit, key=_UNITS.index))


def _integer(a: Any, b: Any) -> Any:
    unsigned = [pa.types.is_unsigned_integer(kind) for kind in (a, b)]
    if all(unsigned) or not any(unsigned):
        return a if a.bit_width >= b.bit_width else b
    bits = max(kind.bit_width * (2 if is_unsigned else 1) for kind, is_unsigned in zip((a, b), unsigned, strict=True))
    return pa.type_for_alias(f"int{bits}") if bits <= 64 else None


def _decimal(a: Any, b: Any) -> Any:
    scale = max(a.scale, b.scale)
    precision = max(a.precision - a.scale, b.precision - b.scale) + scale
    if precision <= 38 and not (pa.types.is_decimal256(a) or pa.types.is_decimal256(b)):
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale) if precision <= 76 else None


def _nested(a: Any, b: Any) -> Any:
    """Return lists or structs whose values hold those of both."""
    t = pa.types
    if (t.is_list(a) or t.is_large_list(a)) and (t.is_list(b) or t.is_large_list(b)):
        inner = joined(a.value_type, b.value_type)
        value = None if inner is None else a.value_field.with_type(inner)
        return None if value is None else pa.list_(value) if t.is_list(a) else pa.large_list(value)
    if t.is_struct(a) and t.is_struct(b) and [f.name for f in a] == [f.name for f in b]:
        inners = [joined(x.type, y.type) for x, y in zip(a, b, strict=True)]
        return None if None in inners else pa.struct([x.with_type(inner) for x, inner in zip(a, inners, strict=True)])
    return None
