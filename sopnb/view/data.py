"""Data that a message names: a store, or a frame that the transport offers by a name; as a table in physical types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sopnb.access.scan import Scan
from sopnb.computed import Computed
from sopnb.fields import formed, is_document, one_array, stored_type
from sopnb.frames.arrow import adopt
from sopnb.index import IndexSpecification, expression_of
from sopnb.view.refusal import Refusal
from sopnb.view.sight import Sight
from sopnb.view.wire import form

MOST = 5_000_000
"""Of a store so many keys at most are compared."""
MOST_ROWS = 500_000
"""Of a store so many whole rows at most are looked at."""


@dataclass(frozen=True)
class Data:
    """Rows to look at: a table in the types that people see, and how many rows there are in all."""

    table: Any
    total: int
    key: tuple[str, ...] | None = None
    """The key that the data has already."""

    @property
    def documents(self) -> frozenset[str]:
        """The columns of JSON documents."""
        return frozenset(field.name for field in self.table.schema if is_document(field))

    def stored(self, name: str) -> Any:
        """Return one column in its stored type, as one array."""
        column = self.table.column(name)
        return one_array(formed(column, stored_type(column.type)))

    def keys(self, specification: IndexSpecification) -> list[Any]:
        """Return the columns of a key, those that are computed too. Raises ``InvalidInput`` naming the column and the remedy."""
        specification.validate(self.table.schema)
        types = {field.name: stored_type(field.type) for field in self.table.schema}
        arrays = []
        for name in specification.names:
            if name in types or expression_of(name) is None:
                arrays.append(self.stored(name))
                continue
            computed = Computed.of(name, types, self.documents)
            seen = pa.table({each: self.stored(each) for each in computed.sources})
            arrays.append(one_array(computed.column(seen)))
        return arrays

    def column(self, name: str, rows: Any) -> list[Any]:
        """Return some rows of one column as they go over the wire."""
        field = self.table.schema.field(name)
        picked = self.table.select([name]).take(pa.array(rows)).column(0)
        return form(field.type, document=is_document(field)).column(one_array(formed(picked, stored_type(field.type))))


def of_store(sight: Sight, store: str, columns: tuple[str, ...] | None = None) -> Data:
    """Return the rows of a store as it is seen, or these columns of them; of a very large one the first rows."""
    reading, schema = sight.reading(store), sight.schema(store)
    names = schema.names if columns is None else columns
    scan = Scan(schema, store)
    table = scan.table(reading, scan.taken(reading, names, MOST_ROWS if columns is None else MOST), names)
    return Data(schema.present(table, names), reading.rows, schema.key_names)


def needed(sight: Sight, store: str, wanted: IndexSpecification) -> tuple[str, ...]:
    """Return the columns that the fields of a specification are made of. Raises ``InvalidInput`` naming the column and the remedy."""
    schema = sight.schema(store)
    wanted.validate(schema.arrow)
    types = {name: schema.physical.field(name).type for name in schema.names}
    found: dict[str, None] = {}
    for name in wanted.names:
        found |= dict.fromkeys((name,) if name in types else Computed.of(name, types, schema.documents).sources)
    return tuple(found)


def of_frame(frames: dict[str, Any], name: str) -> Data:
    """Return the rows of a frame that is offered. Raises ``Refusal``."""
    if name not in frames:
        raise Refusal("missing", f"no frame {name!r} is offered here; there are: {', '.join(map(repr, frames)) or 'none'}")
    table, names, _ = adopt(frames[name])
    return Data(table, table.num_rows, names)
