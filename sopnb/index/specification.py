"""What orders a store: its key fields, each ascending or descending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from sopnb.errors import InvalidInput

Nulls = Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class IndexField:
    """One key field: a column, its direction, and where its nulls stand (whatever the direction)."""

    name: str
    descending: bool = False
    nulls: Nulls = "last"

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
        """Return a specification of these columns; a leading ``-`` makes one descending, ``carrying`` names those that ride along."""
        fields = tuple(IndexField(name.removeprefix("-"), name.startswith("-"), nulls) for name in names)
        return cls(fields, unique, (carrying,) if isinstance(carrying, str) else tuple(carrying))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> IndexSpecification:
        """Return the specification that ``to_json`` described."""
        fields: Iterable[Mapping[str, Any]] = data["fields"]
        return cls(
            tuple(IndexField(f["name"], f["descending"], f["nulls"]) for f in fields), data["unique"], tuple(data.get("carrying", ()))
        )

    def to_json(self) -> dict[str, Any]:
        """Return a description of plain values; it says nothing of carried columns where there are none."""
        fields = [{"name": f.name, "descending": f.descending, "nulls": f.nulls} for f in self.fields]
        carried = {"carrying": list(self.carrying)} if self.carrying else {}
        return {"fields": fields, "unique": self.unique, **carried}

    @property
    def names(self) -> tuple[str, ...]:
        """The key columns in order."""
        return tuple(field.name for field in self.fields)

    def validate(self, schema: pa.Schema) -> None:
        """Raise ``InvalidInput`` naming the column and the remedy if the schema has no such key."""
        for name in self.names:
            if name not in schema.names:
                raise InvalidInput(f"there is no column {name!r} to index; the columns are {', '.join(map(repr, schema.names))}")
            kind = schema.field(name).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not orderable(kind):
                raise InvalidInput(f"column {name!r} of type {kind} cannot be a key; use a number, text, bytes, date or time column")
        for name in self.carrying:
            if name not in schema.names:
                raise InvalidInput(f"there is no column {name!r} to carry; the columns are {', '.join(map(repr, schema.names))}")

    def __repr__(self) -> str:
        carried = f", carrying=({', '.join(self.carrying)})" if self.carrying else ""
        return f"IndexSpecification({self}{'' if self.unique else ', unique=False'}{carried})"

    def __str__(self) -> str:
        return ", ".join(map(str, self.fields))


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
