"""Expressions of Arrow's, evaluated."""

from __future__ import annotations

from typing import Any


def evaluated(expression: Any, table: Any) -> Any:
    """Return the values of an expression, one for each row of a table, in order."""
    # loaded late, for it takes as long as all of pyarrow.compute and most programs never filter
    from pyarrow import acero

    plan = [
        acero.Declaration("table_source", acero.TableSourceNodeOptions(table)),
        acero.Declaration("project", acero.ProjectNodeOptions([expression], ["value"])),
    ]
    return acero.Declaration.from_sequence(plan).to_table(use_threads=False).column(0)
