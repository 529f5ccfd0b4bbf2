"""Index specifications in the making: what suits data, how it would be ordered, whether a key would be unique."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.computed import Computed
from sopnb.fields import stored_type
from sopnb.index import IndexSpecification
from sopnb.index.ordering import arrange
from sopnb.suggestions import suggest as suggestions
from sopnb.view.data import Data
from sopnb.view.refusal import invalid
from sopnb.view.wire import form

SHOWN = 20
"""Rows of a sample."""
EXAMPLES = 5
"""Keys that are there twice are told up to so many."""


def specification(given: Any) -> IndexSpecification:
    """Return the specification of a message: what ``to_json`` gives. Raises ``InvalidInput``."""
    if not isinstance(given, dict | list):
        raise invalid("'specification' is an object with fields, unique and carrying")
    return IndexSpecification.from_json(given)


def suggest(data: Data, queries: list[Any]) -> dict[str, Any]:
    """Return specifications that suit data, the best first, with the reasons."""
    if not all(isinstance(query, str | list) for query in queries):
        raise invalid("'queries' is a list of texts, or of lists of columns")
    found = suggestions(data.table, queries or None)
    told = [
        {
            "specification": s.specification.to_json(),
            "text": str(s.specification),
            "unique": s.unique,
            "share": s.distinct,
            "reason": s.reason,
        }
        for s in found
    ]
    return {
        "suggestions": told,
        "notes": list(found.notes),
        "left_out": dict(found.left_out),
        "rows": data.table.num_rows,
        "total": data.total,
    }


def sample(data: Data, wanted: IndexSpecification) -> dict[str, Any]:
    """Return the first rows in the order of a specification: its fields first, then the other columns."""
    arrays = data.keys(wanted)
    order, _ = arrange(arrays, wanted)
    rows = np.arange(min(SHOWN, data.table.num_rows)) if order is None else order[:SHOWN]
    others = [name for name in data.table.column_names if name not in wanted.names]
    cells = [*_key_cells(data, wanted, arrays, rows), *(data.column(name, rows) for name in others)]
    return {
        "columns": [*wanted.names, *others],
        "key": len(wanted.names),
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "looked_at": data.table.num_rows,
        "total": data.total,
    }


def _key_cells(data: Data, wanted: IndexSpecification, arrays: list[Any], rows: Any) -> list[list[Any]]:
    told = []
    for name, array in zip(wanted.names, arrays, strict=True):
        if name in data.table.column_names:
            told.append(data.column(name, rows))
        else:
            told.append(form(array.type).column(array.take(pa.array(rows))))
    return told


def check(data: Data, wanted: IndexSpecification) -> dict[str, Any]:
    """Return whether no two rows have the same key, how many rows have that of another one, and the share of different keys."""
    arrays, n = data.keys(wanted), data.table.num_rows
    order, repeats = arrange(arrays, wanted)
    again = np.zeros(0, np.int64) if repeats is None else np.flatnonzero(repeats)
    first = again[:EXAMPLES] if order is None else order[again[:EXAMPLES]]
    examples = [list(row) for row in zip(*_key_cells(data, wanted, arrays, first), strict=True)] if len(again) else []
    return {
        "unique": not len(again),
        "duplicates": len(again),
        "share": 1.0 if not n else (n - len(again)) / n,
        "examples": examples,
        "looked_at": n,
        "total": data.total,
    }


def fields(data: Data) -> list[dict[str, Any]]:
    """Return the columns of data as a builder offers them: name, type, kind, and whether one can be a key field."""
    return [_field(data, field) for field in data.table.schema]


def _field(data: Data, field: Any) -> dict[str, Any]:
    document = field.name in data.documents
    try:
        IndexSpecification.of(field.name).validate(data.table.schema)
        orderable = True
    except ValueError:
        orderable = False
    kind = form(field.type, document=document).kind
    return {"name": field.name, "type": "json" if document else str(field.type), "kind": kind, "orderable": orderable}


def expression(data: Data, name: str) -> dict[str, Any]:
    """Return the type of a key field that is an expression, ``"cel: ..."``. Raises ``InvalidInput`` with the place in the text."""
    computed = Computed.of(name, {f.name: stored_type(f.type) for f in data.table.schema}, data.documents)
    return {"type": str(computed.type), "kind": form(computed.type).kind, "columns": list(computed.sources)}
