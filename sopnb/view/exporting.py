"""What is looked at, taken along: as a frame under a name, or as a file."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

from sopnb.access.ways import ByIndex
from sopnb.selection import Selection
from sopnb.view.query import Query
from sopnb.view.refusal import Refusal, invalid
from sopnb.view.sight import Sight

Bind = Callable[[str, Any], object]
"""Takes the name of a variable and its value."""


def export(query: Query, sight: Sight, to: str, name: str, bind: Bind | None) -> dict[str, Any]:
    """Export all that a query asks for, and return how many rows that is."""
    access = sight.access(query.store)
    chosen = Selection(ByIndex(access, query.order) if query.order else access, query.scan, query.columns)
    if to in ("csv", "parquet"):
        if not name.strip():
            raise invalid("give the file a name")
        return {"rows": chosen.to_file(name, kind=to), "name": name}
    if to != "variable":
        raise invalid(f'to={to!r}; it is "variable", "csv" or "parquet"')
    if not name.isidentifier() or keyword.iskeyword(name):
        raise invalid(f"{name!r} cannot be the name of a variable; use letters, digits and _, a letter first")
    if bind is None:
        raise Refusal("locked", "there are no variables here; export to a file")
    frame = chosen.to_pandas()
    bind(name, frame)
    return {"rows": len(frame), "name": name}
