"""SQL over the stores of a database: one statement that reads, over one state, and its result."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopnb import display
from sopnb.errors import InvalidInput, StoreNotFound
from sopnb.selection import Selection

Parameters = Mapping[str, Any] | Sequence[Any]


class Result:
    """What a query gave: a table in memory that stays as it is. Made by ``sql`` of a database, a transaction or a snapshot.

    It has nothing to do with the database any more. ``db.load(name, result, index=[...])`` makes a store of it; anything else that
    reads Arrow takes it too.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 149, 182]}), index="tailnum")
    >>> db.sql("select count(*) as n, max(seats) as most from planes where seats > $least", {"least": 100})
    Result: 1 record; 2 columns
      n  most
      2   182
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame with a RangeIndex; integers and booleans come as nullable dtypes, whether any is null or not."""
        return importlib.import_module("sopnb.frames.pandas").plain(self._table)

    def to_arrow(self) -> Any:
        """Return the rows as a ``pyarrow.Table``."""
        return self._table

    def to_reader(self) -> Any:
        """Return a ``pyarrow.RecordBatchReader`` over the rows."""
        return self._table.to_reader()

    def to_polars(self) -> Any:
        """Return the rows as a polars DataFrame. Raises ``MissingPackage``."""
        return importlib.import_module("sopnb.frames.polars").to_polars(self._table)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as a list of dicts."""
        rows: list[dict[str, Any]] = self._table.to_pylist()
        return rows

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def _panel(self) -> display.Panel:
        return display.table_panel("Result", self._table)

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)


def run(
    query: str, parameters: Parameters | None, stores: Iterable[str], everything: Callable[[str], Selection], *, push_down: bool = True
) -> Result:
    """Return the result of a query over the stores of these names, each read by way of ``everything(name)``."""
    if not isinstance(query, str):
        raise InvalidInput(f"sql() takes the text of a query, not {type(query).__name__}")
    names = tuple(stores)
    tables = {name: _Table(everything(name)) for name in _named(query, names)}
    try:
        table = importlib.import_module("sopnb.frames.duckdb").query(query, parameters, tables, push_down=push_down)
    except StoreNotFound as error:
        raise StoreNotFound(error.store, tuple(sorted(names))) from None
    return Result(table)


@dataclass(frozen=True, slots=True)
class _Table:
    """A store as a table of SQL."""

    selection: Selection

    @property
    def schema(self) -> Any:
        return self.selection.to_reader().schema

    def reader(self, columns: Sequence[str] | None, condition: Any) -> Any:
        chosen = self.selection if condition is None else self.selection.where(condition)
        return (chosen.select(*columns) if columns else chosen).to_reader()


def _named(query: str, names: Iterable[str]) -> list[str]:
    """Return the names that a query may mean: those that stand in it. SQL tells upper from lower case only where we have both.

    It may be more than the query means, which does no harm: what it does not mean is not read.
    """
    chosen: dict[str, list[str]] = {}
    for name in names:
        if name.replace('"', '""').casefold() in query.casefold():
            chosen.setdefault(name.casefold(), []).append(name)
    meant = []
    for alike in chosen.values():
        exact = [name for name in alike if name.replace('"', '""') in query] if len(alike) > 1 else alike
        if len(exact) > 1:
            told = " and ".join(map(repr, exact))
            raise InvalidInput(f"SQL does not tell upper from lower case: the query cannot name both {told}; rename one of them")
        meant += exact
    return meant
