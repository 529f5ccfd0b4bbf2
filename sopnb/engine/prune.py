"""Which leaves a scan may leave out, by what is known of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sopnb.engine.branch import Branch
from sopnb.engine.record import PUT
from sopnb.engine.statistics import Bounds
from sopnb.schema import Schema


class Prune(Protocol):
    """What is sought. ``columns`` are those whose bounds it looks at."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The physical columns, by name."""

    def keeps(self, bounds: Sequence[Bounds], entries: Sequence[int]) -> Any:
        """Return a numpy array that says of each leaf whether it may hold what is sought; a wrong no would lose records.

        ``bounds`` has one for each column, ``entries`` says how many rows each leaf has.
        """


def kept(prune: Prune, branch: Branch, schema: Schema, *, lowest: bool) -> Any:
    """Return which leaves of a branch have to be read.

    A leaf of the ``lowest`` layer need not be if it cannot hold what is sought: what it holds is not sought, or replaced above. One
    that lies over others hides older versions of its keys, which must not come back: it need not be read only if all its rows are new.
    """
    columns = {schema.physical.get_field_index(name): schema.physical.field(name).type for name in prune.columns}
    keeps = prune.keeps(branch.bounds(columns), branch.entries)
    if lowest or keeps.all():
        return keeps
    return keeps | [(shape := branch.shape(i)).op != PUT or shape.delta != 1 for i in range(len(branch))]
