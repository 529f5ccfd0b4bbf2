"""What orders a store: its key fields, each ascending or descending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import pyarrow as pa

from sopnb.cel.comparer import compared
from sopnb.errors import InvalidInput
from sopnb.fields import is_document, worded
from sopnb.index import forms

Nulls = Literal["first", "last"]
MOST_NAMES = 30
"""So many columns are named where one is not found."""
_KEYS = "use a number, text, bytes, date or time column"
_EXPRESSION = "cel:"
"""So the name of a field begins that is an expression; the rest is its text."""


@dataclass(frozen=True, slots=True)
class IndexField:
    """One key field: a column, its direction, and where its nulls stand (whatever the direction).

    A name such as ``"cel: origin + dest"`` is an expression over the columns, computed when a record is written; where it is unknown the
    field is null.
    """

    name: str
    descending: bool = False
    nulls: Nulls = "last"

    def __post_init__(self) -> None:
        if self.expression is not None:
            object.__setattr__(self, "name", f"{_EXPRESSION} {self.expression}")

    @property
    def expression(self) -> str | None:
        """The text of the expression that the field is, None for a column."""
        return expression_of(self.name)

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name


@dataclass(frozen=True, slots=True)
class IndexSpecification:
    """Ordered key fields, unique or not, and columns that ride along.

    ``carrying`` names columns that neither order nor identify a record, and that an index keeps beside its keys, so that they are read
    without touching the records.

    >>> IndexSpecification.of("region", "-ts")
    IndexSpecification(region, -ts)
    >>> IndexSpecification.of("region", "-ts", carrying=("status", "size"))
    IndexSpecification(region, -ts, carrying=(status, size))
    """

    fields: tuple[IndexField, ...]
    unique: bool = True
    carrying: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fields:
            raise InvalidInput("an index specification needs at least one field")
        for name in self.names:
            if self.names.count(name) > 1:
                raise InvalidInput(f"column {name!r} is twice in the index specification; name it once")
        for name in self.carrying:
            if name in self.names:
                raise InvalidInput(f"column {name!r} is a key field, which is read with the key anyway; do not carry it")
            if self.carrying.count(name) > 1:
                raise InvalidInput(f"column {name!r} is carried twice by the index specification; name it once")

    @classmethod
    def of(cls, *names: str, unique: bool = True, nulls: Nulls = "last", carrying: str | Iterable[str] = ()) -> IndexSpecification:
        """Return a specification of these columns; a leading ``-`` makes one descending, ``carrying`` names those that ride along.

        ``"cel: origin + dest"`` and ``"-cel: size(name)"`` are fields that are computed by an expression.
        """
        fields = tuple(IndexField(name.removeprefix("-"), name.startswith("-"), nulls) for name in names)
        return cls(fields, unique, (carrying,) if isinstance(carrying, str) else tuple(carrying))

    @classmethod
    def from_comparer(cls, text: str, *, unique: bool = True) -> IndexSpecification:
        """Return the specification that orders as a comparer of SOP does: an expression over ``mapX`` and ``mapY``, below, at or above 0.

        In whatever form, it must order by one field after the other: ``mapX.a < mapY.a ? -1 : (mapX.a > mapY.a ? 1 : ...)``, or for
        numbers ``mapX.a - mapY.a``. Raises ``InvalidInput`` for any other, with the nearest equivalent.

        >>> IndexSpecification.from_comparer("mapX.a < mapY.a ? -1 : (mapX.a > mapY.a ? 1 : mapY.b - mapX.b)")
        IndexSpecification(a, -b)
        """
        return cls(tuple(IndexField(name, descending) for name, descending in compared(text)), unique)

    @classmethod
    def of_frame(cls, frame: Any, *, unique: bool = True) -> IndexSpecification:
        """Return the specification that the named index of a pandas frame is, or that index by itself; each level is a field, ascending.

        Raises ``InvalidInput`` if it has no index, or one without names.

        >>> import pandas as pd
        >>> IndexSpecification.of_frame(pd.DataFrame({"region": ["a"], "ts": [1], "size": [9]}).set_index(["region", "ts"]))
        IndexSpecification(region, ts)
        """
        index: Any = frame if hasattr(frame, "nlevels") else getattr(frame, "index", None)
        if not hasattr(index, "nlevels"):
            raise InvalidInput(f"{type(frame).__name__} has no index; name the key columns with IndexSpecification.of(...)")
        for level, name in enumerate(index.names):
            if not isinstance(name, str):
                told = "has no name" if name is None else f"is named {name!r}, which is no text"
                raise InvalidInput(f"level {level} of the index {told}; name it, or name the key columns with IndexSpecification.of(...)")
        return cls(tuple(IndexField(name) for name in index.names), unique)

    @classmethod
    def from_json(cls, data: Any) -> IndexSpecification:
        """Return the specification that plain values or JSON text describe: ``to_json``, ``to_sop``, or a list of fields or names.

        Nothing is guessed: raises ``InvalidInput`` naming the part that is unknown, missing or of another type.

        >>> IndexSpecification.from_json('{"index_fields": [{"field_name": "ts", "ascending_sort_order": false}]}')
        IndexSpecification(-ts)
        """
        said = forms.stored(data)
        fields = tuple(IndexField(f["name"], f["descending"], f["nulls"]) for f in said["fields"])
        return cls(fields, said["unique"], tuple(said["carrying"]))

    def to_json(self) -> dict[str, Any]:
        """Return a description of plain values; it says nothing of carried columns where there are none."""
        fields = [{"name": f.name, "descending": f.descending, "nulls": f.nulls} for f in self.fields]
        carried = {"carrying": list(self.carrying)} if self.carrying else {}
        return {"fields": fields, "unique": self.unique, **carried}

    def to_sop(self) -> dict[str, Any]:
        """Return the field list that SOP has; it has no word for uniqueness, the place of nulls and carried columns.

        >>> IndexSpecification.of("region", "-ts").to_sop()["index_fields"][1]
        {'field_name': 'ts', 'ascending_sort_order': False}
        """
        return forms.listed((field.name, field.descending) for field in self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """The key columns in order."""
        return tuple(field.name for field in self.fields)

    def validate(self, schema: pa.Schema | Mapping[str, Any]) -> None:
        """Raise ``InvalidInput`` naming the column and the remedy if the schema has no such key, or not what it carries.

        ``schema`` is a ``pyarrow.Schema``, or types or type words by column, as ``db.create`` takes them.
        """
        if isinstance(schema, Mapping):
            schema = pa.schema([worded(name, word) for name, word in schema.items()])
        for name in self.names:
            if name not in schema.names and expression_of(name) is not None:
                continue  # what it means is seen when there is a schema
            if name not in schema.names:
                raise InvalidInput(f"there is no column {name!r} to index; {instead(name, schema.names)}")
            field = schema.field(name)
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if is_document(field):
                raise InvalidInput(f"column {name!r} holds JSON documents and cannot be a key; {_KEYS}")
            if not orderable(kind):
                raise InvalidInput(f"column {name!r} of type {kind} cannot be a key; {_KEYS}")
        for name in self.carrying:
            if name not in schema.names:
                raise InvalidInput(f"there is no column {name!r} to carry; {instead(name, schema.names)}")

    def explain(self, selection: Any) -> Any:
        """Return how a selection uses this index, whether its store has it or not: what bounds the keys, what is filtered, the order.

        Raises ``InvalidInput`` naming the column if the store cannot have it.

        >>> import pandas as pd, sopnb
        >>> frame = pd.DataFrame({"region": ["a", "b"], "ts": [1, 2], "size": [9, 8]})
        >>> events = sopnb.open(":memory:").load("events", frame, index=["region", "ts"])
        >>> IndexSpecification.of("ts", "size").explain(events.prefix("a"))
        index (ts, size) for a selection of store 'events'
          keys      all: ts, the first field, is not asked for; region in vain, as ts comes before
          filtered  region, record by record
          order     ts: free
        """
        return selection.usage(self)

    def __repr__(self) -> str:
        carried = f", carrying=({', '.join(self.carrying)})" if self.carrying else ""
        return f"IndexSpecification({self}{'' if self.unique else ', unique=False'}{carried})"

    def __str__(self) -> str:
        return ", ".join(map(str, self.fields))


def expression_of(name: str) -> str | None:
    """Return the text of the expression that a field of this name is, None for a column."""
    return name[len(_EXPRESSION) :].strip() if name.startswith(_EXPRESSION) else None


def instead(name: str, columns: Iterable[str]) -> str:
    """Return which columns may have been meant, and which there are."""
    known = list(columns)
    folded = {column.casefold(): column for column in reversed(known)}
    near = [folded[each] for each in get_close_matches(name.casefold(), folded, 3, 0.7)]
    meant = f"did you mean {' or '.join(map(repr, near))}? The columns are" if near else "the columns are"
    more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    return f"{meant} {', '.join(map(repr, known[:MOST_NAMES]))}{more}"


def orderable(kind: Any) -> bool:
    """Say whether a column of this Arrow type can be a key field."""
    t = pa.types
    plain = (
        t.is_boolean(kind),
        t.is_integer(kind),
        t.is_float32(kind),
        t.is_float64(kind),
        t.is_decimal128(kind),
        t.is_temporal(kind) and not t.is_interval(kind),
        t.is_string(kind),
        t.is_large_string(kind),
        t.is_binary(kind),
        t.is_large_binary(kind),
        t.is_fixed_size_binary(kind),
    )
    return any(plain)
