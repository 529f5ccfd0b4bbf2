"""Variables of a notebook, kept in a database under their names.

The store ``variables`` lists them: what kind of thing each is, its type and shape, and as literals whatever of it is no rows. The rows
of a frame, series or table, and the bytes of an array, lie in a store of their own, ``var.NAME``, which can be read and queried like
any other. Invariants: what is loaded equals what was saved, in value and type, or the save was refused; nothing is pickled, and
nothing that is read is run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from sopnb import literals
from sopnb.database import Database
from sopnb.errors import InvalidInput, NotFound
from sopnb.frames.numbered import numbered, unnumbered
from sopnb.snapshot import Snapshot
from sopnb.transaction import Transaction

LIST = "variables"
"""The store that lists the variables."""
PREFIX = "var."
"""What the names of the stores begin with that hold their rows."""
CHUNK = 4 * 1024 * 1024
"""Bytes of an array in one record."""
_COLUMNS = {"name": "string", "kind": "string!", "type": "string!", "shape": "string!", "says": "string!"}


@dataclass(frozen=True, slots=True)
class Variable:
    """What is kept under a name: ``kind`` is the class of a frame, table or array, else "value"; ``seq`` is the commit that saved it."""

    name: str
    kind: str
    type: str
    shape: str
    seq: int


@dataclass(frozen=True, slots=True)
class _Form:
    """A value in the form that is stored: what it says as literals, and what is written into its own store, if anything."""

    kind: str
    type: str
    shape: str
    says: dict[str, Any]
    write: Callable[[Transaction, str], object] | None = None


class Variables:
    """The variables that a database keeps. They are saved in one commit, durably, and read back in any process.

    Kept are pandas frames and series with any index, Arrow tables, polars frames and series, numpy arrays and scalars, and values:
    None, numbers, text, bytes, dates and times, ``Decimal``, and lists, tuples, sets and dicts of these, in any nesting. Each comes back
    equal and of the same type. Anything else raises ``InvalidInput`` naming the place and the remedy; nothing is pickled.

    >>> import pandas as pd, sopnb
    >>> kept = Variables(sopnb.open(":memory:"))
    >>> saved = kept.save({"planes": pd.DataFrame({"seats": [55, 182]}), "limit": (60, "minutes")})
    >>> kept.names(), kept.load("limit")
    (('limit', 'planes'), (60, 'minutes'))
    >>> kept.load("planes")
       seats
    0     55
    1    182
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, values: Mapping[str, Any], *, message: str = "") -> tuple[Variable, ...]:
        """Save values under their names in one commit, in place of what had these names, and return what is kept now.

        Raises ``InvalidInput`` naming the variable, with nothing saved, if one cannot be kept.
        """
        forms = {name: _form(value, _checked(name)) for name, value in values.items()}

        def body(tx: Transaction) -> None:
            if LIST not in tx:
                tx.create(LIST, _COLUMNS, "name")
            _ours(tx)
            for name, form in forms.items():
                if PREFIX + name in tx:
                    tx.drop(PREFIX + name)
                if form.write is not None:
                    form.write(tx, PREFIX + name)
                record = {"kind": form.kind, "type": form.type, "shape": form.shape, "says": literals.dumps(form.says, name)}
                tx[LIST].delete(name)
                tx[LIST].insert({"name": name, **record})

        self._db.run(body, message=message or f"save {', '.join(forms)}")
        with self._db.at() as now:
            return tuple(_variable(now, name) for name in forms if name in now[LIST])

    def load(self, name: str) -> Any:
        """Return the value that was saved under a name. Raises ``NotFound`` naming those that there are."""
        return self.several([name])[0]

    def several(self, names: Iterable[str]) -> list[Any]:
        """Return the values of several names, all of one state of the database."""
        with self._db.at() as now:
            return [_value(now, name) for name in names]

    def names(self) -> tuple[str, ...]:
        """Return the names in order."""
        return tuple(variable.name for variable in self.list())

    def list(self) -> tuple[Variable, ...]:
        """Return what is kept, by name in order."""
        with self._db.at() as now:
            if LIST not in now:
                return ()
            _ours(now)
            return tuple(_variable(now, name) for name in now[LIST])

    def remove(self, *names: str, message: str = "") -> None:
        """Remove variables in one commit, durably. Raises ``NotFound`` if one is not there, with none removed."""

        def body(tx: Transaction) -> None:
            for name in names:
                _record(tx, name)
            for name in names:
                tx[LIST].delete(name)
                if PREFIX + name in tx:
                    tx.drop(PREFIX + name)

        self._db.run(body, message=message or f"remove {', '.join(names)}")


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name.isidentifier() or len(name) > 100:
        raise InvalidInput(f"{name!r} cannot be the name of a variable: use letters, digits and _, a letter first, up to 100 of them")
    return name


def _ours(state: Transaction | Snapshot) -> None:
    """Raise ``InvalidInput`` if the store of this name is somebody else's."""
    if tuple(state[LIST].schema.names) != tuple(_COLUMNS):
        raise InvalidInput(f"the store {LIST!r} is no list of variables; rename it, so that variables can be kept here")


def _record(state: Transaction | Snapshot, name: str) -> Any:
    if LIST in state:
        _ours(state)
        found = state[LIST].get(name)
        if found is not None:
            return found
    known = ", ".join(state[LIST]) if LIST in state else ""
    raise NotFound(f"no variable {name!r} is kept here; there are: {known or 'none yet'}")


def _value(state: Snapshot, name: str) -> Any:
    """Return the value that is kept under a name."""
    record = _record(state, name)
    return _KINDS[record["kind"]].value(state, PREFIX + name, literals.loads(record["says"]))


def _variable(state: Snapshot, name: str) -> Variable:
    record = _record(state, name)
    return Variable(name, record["kind"], record["type"], record["shape"], record.seq)


# -- each kind of value -------------------------------------------------------------------------------------------------------


def _form(value: Any, name: str) -> _Form:
    """Return a value in the form that is stored. Raises ``InvalidInput`` naming the variable."""
    cls = type(value)
    kind = _KINDS.get(f"{cls.__module__.partition('.')[0]}.{cls.__qualname__}", _KINDS["value"])
    return kind.form(value, name)


def _frame_form(frame: Any, name: str) -> _Form:
    flat, key, says = _flat().flattened(frame, name)
    return _Form("pandas.DataFrame", "", _shape(frame.shape), says, _rows(flat, key, name))


def _frame_value(state: Snapshot, store: str, says: dict[str, Any]) -> Any:
    return _flat().restored(state[store][:].to_pandas(), says)


def _series_form(series: Any, name: str) -> _Form:
    frame = series.to_frame("value")
    frame.attrs = series.attrs
    form = _frame_form(frame, name)
    says = form.says | {"name": literals.dumps(series.name, f"{name}.name")}
    return _Form("pandas.Series", str(series.dtype), _shape(series.shape), says, form.write)


def _series_value(state: Snapshot, store: str, says: dict[str, Any]) -> Any:
    frame = _frame_value(state, store, says)
    series = frame["value"].rename(literals.loads(says["name"]))
    series.attrs = frame.attrs
    return series


def _table_form(table: Any, name: str) -> _Form:
    """Return an Arrow table: its own schema is kept beside the rows, with all that this says."""
    flat = numbered(table)
    says = {"schema": table.schema.serialize().to_pybytes()}
    return _Form("pyarrow.Table", "", _shape(table.shape), says, _rows(flat, (flat.column_names[0],), name))


def _table_value(state: Snapshot, store: str, says: dict[str, Any]) -> Any:
    return unnumbered(state[store][:].to_arrow(), pa.ipc.read_schema(pa.py_buffer(says["schema"])))


def _polars_form(frame: Any, name: str) -> _Form:
    form = _table_form(pa.table(frame), name)
    return _Form("polars.DataFrame", "", form.shape, form.says, form.write)


def _polars_value(state: Snapshot, store: str, says: dict[str, Any]) -> Any:
    return importlib.import_module("sopnb.frames.polars").to_polars(_table_value(state, store, says))


def _polars_series_form(series: Any, name: str) -> _Form:
    form = _polars_form(series.to_frame("value"), name)
    return _Form("polars.Series", str(series.dtype), _shape(series.shape), form.says | {"name": series.name}, form.write)


def _polars_series_value(state: Snapshot, store: str, says: dict[str, Any]) -> Any:
    return _polars_value(state, store, says)["value"].alias(says["name"])


def _array_form(array: Any, name: str) -> _Form:
    kind = array.dtype
    if not literals.is_plain(kind):
        raise InvalidInput(f"{name} is an array of {kind}, which cannot be kept; make it numbers, times or text, or a DataFrame")
    order: Literal["C", "F"] = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    says = {"dtype": kind.str, "shape": array.shape, "order": order}

    def write(tx: Transaction, store: str) -> None:
        chunks = tx.create(store, {"chunk": "int64", "data": "bytes!"}, "chunk")
        data = memoryview(array.tobytes(order))
        for number, start in enumerate(range(0, len(data), CHUNK)):
            part = pa.array([data[start : start + CHUNK]], pa.binary())
            chunks.insert(pa.table({"chunk": [number], "data": part}))

    return _Form("numpy.ndarray", str(kind), _shape(array.shape), says, write)


def _array_value(state: Snapshot, store: str, says: dict[str, Any]) -> Any:
    data = bytearray()
    for record in state[store][:].records():
        data += record["data"]
    return np.ndarray(says["shape"], literals.plain_type(says["dtype"]), data, order=says["order"])


def _literal_form(value: Any, name: str) -> _Form:
    try:
        literals.dumps(value, name)
    except InvalidInput as error:
        remedy = "save frames, tables and arrays under names of their own; what would need pickle is refused"
        raise InvalidInput(f"{error}; {remedy}") from None
    return _Form("value", type(value).__name__, f"{len(value):,}" if hasattr(value, "__len__") else "", {"value": value})


def _rows(data: Any, key: tuple[str, ...], name: str) -> Callable[[Transaction, str], object]:
    """Return what writes rows into a store."""

    def write(tx: Transaction, store: str) -> None:
        try:
            tx.load(store, data, index=key)
        except InvalidInput as error:
            raise InvalidInput(f"{name} cannot be kept: {error}") from error

    return write


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{n:,}" for n in shape)


def _flat() -> Any:
    """Return the module that takes frames apart; it loads pandas."""
    return importlib.import_module("sopnb.frames.flat")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of one kind become what is stored, and how they are made again."""

    form: Callable[[Any, str], _Form]
    value: Callable[[Snapshot, str, dict[str, Any]], Any]


_KINDS = {
    "pandas.DataFrame": _Kind(_frame_form, _frame_value),
    "pandas.Series": _Kind(_series_form, _series_value),
    "pyarrow.Table": _Kind(_table_form, _table_value),
    "polars.DataFrame": _Kind(_polars_form, _polars_value),
    "polars.Series": _Kind(_polars_series_form, _polars_series_value),
    "numpy.ndarray": _Kind(_array_form, _array_value),
    "value": _Kind(_literal_form, lambda state, store, says: says["value"]),
}
