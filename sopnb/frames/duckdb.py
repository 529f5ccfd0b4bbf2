"""SQL by DuckDB, over tables that lie elsewhere: they are read while the query runs, only the columns and rows that it asks for.

A table is given to DuckDB as a ``pyarrow.dataset.Dataset`` of ours, the kind of object that it hands its filters and its choice of
columns to. It does not apply a filter again that it handed over; so whoever reads must apply it in full. The connection sees no file,
no network, no variable of the program and no extension that is not built in, and cannot be talked into it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.dataset

from sopnb.errors import InvalidInput, MissingPackage, StoreNotFound
from sopnb.frames.optional import optional

Parameters = Mapping[str, Any] | Sequence[Any]
_CONFIGURATION = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}
_MISSING = re.compile(r"Table with name (.+?) does not exist")


class Table(Protocol):
    """What SQL can read, as often as it likes."""

    @property
    def schema(self) -> Any:
        """The columns, as an Arrow schema."""

    def reader(self, columns: Sequence[str] | None, condition: Any) -> Any:
        """Return a reader over these columns (None: all) of the rows for which an expression is true (None: all rows)."""


def query(text: str, parameters: Parameters | None, tables: Mapping[str, Table], *, push_down: bool = True) -> Any:
    """Return the result of one reading statement over ``tables`` as an Arrow table.

    The time zone of the session is that of the tables' columns where they share one, else UTC. Raises ``InvalidInput`` with DuckDB's own
    words and the place in the query, ``StoreNotFound``, ``MissingPackage``, and what reading a table raises.
    """
    duckdb = _duckdb()
    reading, values = _Reading(), _values(parameters)
    with duckdb.connect(":memory:", config=_CONFIGURATION) as connection:
        try:
            _checked(connection.extract_statements(text), duckdb)
            connection.execute("SET TimeZone = ?", [_zone(tables)])
            connection.execute("SET python_enable_replacements = false")
            if not push_down:
                connection.execute("SET disabled_optimizers = 'filter_pushdown,unused_columns'")
            connection.execute("SET lock_configuration = true")
            for name, table in tables.items():
                _register(connection, name, table, reading)
            return _interruptibly(connection, lambda: connection.sql(text, params=values).to_arrow_table())
        except duckdb.Error as error:
            if reading.failure is not None:
                raise reading.failure from None
            raise _told(error, tables) from None


def _duckdb() -> Any:
    """Return the module. Before version 2 it handed over comparisons in which NaN is not what it is for DuckDB: the largest number."""
    duckdb = optional("duckdb", "sql")
    if int(duckdb.__version__.partition(".")[0]) < 2:
        raise MissingPackage("duckdb>=2", "sql")
    return duckdb


def _interruptibly(connection: Any, run: Callable[[], Any]) -> Any:
    """Return what ``run`` returns; it runs in another thread, for this one hears of Ctrl-C only while it waits in Python."""
    with ThreadPoolExecutor(1, "sopnb-sql") as thread:
        result = thread.submit(run)
        try:
            return result.result()
        except BaseException:
            while not result.done():  # an interrupt that comes before the query has begun is not heard
                connection.interrupt()
                wait([result], timeout=0.05)
            raise


def _values(parameters: Parameters | None) -> Any:
    """Return parameters as DuckDB takes them: it knows the numbers of Python, not those of numpy."""
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        return {name: _value(value) for name, value in parameters.items()}
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence):
        raise InvalidInput(f"parameters are a dict for $name or a list for ?, not {type(parameters).__name__}")
    return [_value(value) for value in parameters]


def _value(value: Any) -> Any:
    return value.item() if isinstance(value, np.number | np.bool_ | np.str_) else value


def _checked(statements: Sequence[Any], duckdb: Any) -> None:
    if len(statements) != 1:
        raise InvalidInput(f"sql() takes one statement, {len(statements)} were given")
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise InvalidInput(
            f"sql() only reads, and this is a statement of the kind {kind.name}; write with store.upsert(), .update(), .delete(), "
            "or load the result of a query: db.load(name, db.sql(...), index=[...])"
        )


def _zone(tables: Mapping[str, Table]) -> str:
    kinds = [field.type for table in tables.values() for field in table.schema]
    zones = {kind.tz for kind in kinds if pa.types.is_timestamp(kind) and kind.tz is not None}
    only = zones.pop() if len(zones) == 1 else "UTC"
    return only if only[0] not in "+-" else "UTC"  # DuckDB knows no offsets


def _register(connection: Any, name: str, table: Table, reading: _Reading) -> None:
    try:
        connection.register(name, _Dataset(table, reading))
    except _duckdb().NotImplementedException as error:
        raise InvalidInput(f"store {name!r} has a column that SQL cannot read ({error}); read it without SQL") from None


def _told(error: Exception, tables: Mapping[str, Table]) -> Exception:
    missing = _MISSING.search(str(error))
    if missing is not None:
        return StoreNotFound(missing[1], tuple(sorted(tables)))
    return InvalidInput(f"SQL: {error}")


class _Reading:
    """What the threads of one query share: one of them reads at a time, and what went wrong is kept whole."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.failure: BaseException | None = None

    def batches(self, reader: Any) -> Iterator[Any]:
        """Yield the batches of a reader."""
        while True:
            with self.mutex:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except BaseException as error:
                    self.failure = error
                    raise
            yield batch


class _Dataset(pyarrow.dataset.Dataset):  # type: ignore[misc]
    """A table as DuckDB wants it: it calls ``scanner``, and ``to_reader`` of what that returns."""

    def __init__(self, table: Table, reading: _Reading) -> None:
        self._table, self._reading = table, reading

    @property
    def schema(self) -> Any:
        """The columns."""
        return self._table.schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> _Scanner:
        """Return a way through these columns of the rows that pass."""
        try:
            with self._reading.mutex:
                reader = self._table.reader(columns, filter)
        except BaseException as error:
            self._reading.failure = error
            raise
        return _Scanner(pa.RecordBatchReader.from_batches(reader.schema, self._reading.batches(reader)))


class _Scanner:
    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def to_reader(self) -> Any:
        return self._reader
