"""Arrow tables as rows that are numbered, so that a store keeps their order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.schema import RESERVED

ROW = "_row"
"""The column that numbers the rows."""


def numbered(table: Any) -> Any:
    """Return a table with the number of each row as its first column, and names of columns of which none is there twice."""
    names = unlike([ROW, *table.column_names])
    return pa.table([pa.array(np.arange(table.num_rows)), *table.columns], names=names)


def unnumbered(table: Any, schema: Any) -> Any:
    """Return the table of which ``numbered`` numbered the rows, given its schema."""
    return table.drop_columns(table.column_names[:1]).rename_columns(schema.names).cast(schema)


def unlike(names: Iterable[str]) -> list[str]:
    """Return names of which none is there twice or is reserved: underscores are added to the later ones.

    >>> unlike(["a", "b", "a"])
    ['a', 'b', 'a_']
    """
    taken = set(RESERVED)
    made = []
    for name in names:
        while name in taken:
            name += "_"
        taken.add(name)
        made.append(name)
    return made
