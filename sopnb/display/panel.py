"""What is to be seen of databases, stores and selections: a title, some facts, the first records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from sopnb.display.distribution import Distribution, distribution
from sopnb.display.sample import SEQ, Passes, sampled, with_commits
from sopnb.display.values import clean, told
from sopnb.engine import far
from sopnb.engine.entries import Entries
from sopnb.engine.layers import Stack
from sopnb.fields import is_document
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from sopnb.values import storage_type

FIRST_ROWS = 5
SEARCHED_ROWS = 4096
"""So many records are searched for the first that pass a filter, ..."""
SEARCHED_BYTES = 4 * 1024 * 1024
"""... fewer if their values out of line are larger than this."""
SEARCHED_STEP = 1024
MOST_COLUMNS = 20
MOST_LINES = 20
"""So many stores of a database are listed."""
LARGE = "(large value)"


@dataclass(frozen=True, slots=True)
class Column:
    """A column to draw: ``key`` is its place in the key, from 1, or 0; ``right`` aligns its values."""

    name: str
    kind: str = ""
    key: int = 0
    descending: bool = False
    right: bool = False

    @property
    def arrow(self) -> str:
        """The direction of a key column."""
        return "" if not self.key else "↓" if self.descending else "↑"


@dataclass(frozen=True, slots=True)
class Panel:
    """What is to be seen of an object: a title, some facts, and a table of texts, in which None is null.

    ``note`` stands below the table. ``look`` makes what the columns are like, for those who draw it.
    """

    kind: str
    name: str = ""
    facts: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    note: str = ""
    look: Callable[[], tuple[Distribution | None, ...]] | None = None

    def distributions(self) -> tuple[Distribution | None, ...]:
        """Return what each column is like, as far as that can be said."""
        try:
            return (None,) * len(self.columns) if self.look is None else self.look()
        except Exception:  # the records are shown without it
            return (None,) * len(self.columns)


class Shown(Protocol):
    """What can be drawn."""

    def _panel(self) -> Panel:
        """Return what is to be seen."""


def panel_of(shown: Shown) -> Panel:
    """Return what is to be seen of an object, whatever is broken."""
    try:
        return shown._panel()
    except Exception as error:
        return Panel(type(shown).__name__, facts=(_cannot(error),))


def _cannot(error: Exception) -> str:
    return f"cannot be shown now ({type(error).__name__})"


# -- what there is to see -----------------------------------------------------------------------------------------------------


def store_panel(name: str, schema: Schema, stack: Stack) -> Panel:
    """Return the panel of a whole store."""
    columns = f"{len(schema.arrow)} columns" if len(schema.arrow) != 1 else "1 column"
    facts = (_records(stack.rows), columns, f"{'' if schema.unique else 'not unique, '}index {indexed(schema.specification)}")
    return _table("Store", name, facts, schema, stack)


def selection_panel(
    name: str,
    schema: Schema,
    stack: Stack,
    *,
    lo: bytes = b"",
    hi: bytes | None = None,
    columns: Sequence[str] | None = None,
    reverse: bool = False,
    facts: Iterable[str] = (),
    passes: Passes | None = None,
) -> Panel:
    """Return the panel of a selection: a key range of encoded keys, chosen columns, a direction.

    ``facts`` are what else the selection says of itself. With ``passes`` there is no count, which would need reading all.
    """
    said = tuple(facts) + (("reversed",) if reverse else ())
    if passes is None:
        said = (_records(stack.count(lo, hi)), *said)
    return _table("Selection", name, said, schema, stack, lo=lo, hi=hi, columns=columns, reverse=reverse, passes=passes)


def database_panel(seq: int, stores: Mapping[str, tuple[int, Schema]], tags: Mapping[str, int] | None = None) -> Panel:
    """Return the panel of a database: ``stores`` gives (rows, schema) by name."""
    facts = [f"{len(stores)} stores" if len(stores) != 1 else "1 store", f"commit {seq}"]
    if tags:
        facts.append("tags " + ", ".join(f"{tag} ({at})" for tag, at in sorted(tags.items())[:MOST_LINES]))
    columns = (Column("store"), Column("records", right=True), Column("columns", right=True), Column("index"))
    rows = tuple(
        (clean(name), f"{count:,}", str(len(schema.arrow)), indexed(schema.specification) + ("" if schema.unique else " (not unique)"))
        for name, (count, schema) in sorted(stores.items())[:MOST_LINES]
    )
    more = len(stores) - len(rows)
    return Panel("Database", "", tuple(facts), columns if rows else (), rows, f"{more:,} more" if more else "")


def table_panel(kind: str, table: Any) -> Panel:
    """Return the panel of an Arrow table: its first rows."""
    columns = f"{table.num_columns} columns" if table.num_columns != 1 else "1 column"
    shown = table.slice(0, FIRST_ROWS).select(range(min(table.num_columns, MOST_COLUMNS)))
    heads = tuple(Column(clean(field.name), kind_of(field), right=_is_number(field.type)) for field in shown.schema)
    rows = tuple(zip(*map(_texts_of, shown.columns), strict=True))
    more = table.num_rows - shown.num_rows
    hidden = table.num_columns - shown.num_columns
    notes = [f"{more:,} more" if more else "", f"{hidden} more columns" if hidden else ""]
    return Panel(kind, facts=(_records(table.num_rows), columns), columns=heads, rows=rows, note=", ".join(filter(None, notes)))


def _texts_of(column: Any) -> list[str | None]:
    try:
        values = column.cast(storage_type(column.type)).to_pylist()
    except (pa.ArrowException, ValueError):  # a type that no store has
        values = column.to_pylist()
    return [None if value is None else told(value, column.type) for value in values]


def indexed(specification: IndexSpecification) -> str:
    """Return an index specification with an arrow for each direction.

    >>> indexed(IndexSpecification.of("author", "-written"))
    'author ↑, written ↓'
    """
    return ", ".join(f"{clean(f.name)} {'↓' if f.descending else '↑'}" for f in specification.fields)


def kind_of(arrow_field: Any) -> str:
    """Return the type of a column in the words that people type.

    >>> kind_of(pa.field("written", pa.timestamp("us", "UTC")))
    'timestamp[us, UTC]'
    """
    kind = arrow_field.type
    if is_document(arrow_field):
        return "json"
    if pa.types.is_dictionary(kind):
        return "category"
    if pa.types.is_struct(kind):
        return "struct"
    if pa.types.is_timestamp(kind) and kind.tz:
        return f"timestamp[{kind.unit}, {kind.tz}]"
    words = {pa.float64(): "float64", pa.float32(): "float32", pa.float16(): "float16", pa.date32(): "date", pa.string_view(): "string"}
    return words.get(kind) or str(kind).removeprefix("large_").replace("list<item: ", "list<")


def _records(n: int) -> str:
    return f"{n:,} records" if n != 1 else "1 record"


def _table(
    kind: str,
    name: str,
    facts: tuple[str, ...],
    schema: Schema,
    stack: Stack,
    *,
    lo: bytes = b"",
    hi: bytes | None = None,
    columns: Sequence[str] | None = None,
    reverse: bool = False,
    passes: Passes | None = None,
) -> Panel:
    """Return a panel with the first records; the key columns stand first where no columns are chosen."""
    names = (
        list(columns)
        if columns is not None
        else [*(n for n in schema.key_names if n in schema.names), *(n for n in schema.names if n not in schema.key_names)]
    )
    shown = names[:MOST_COLUMNS]
    try:
        rows, more = _first(stack, schema, lo, hi, shown, reverse, passes)
    except Exception as error:
        return Panel(kind, name, (*facts, f"records {_cannot(error)}"))
    notes = [f"{more:,} more" if more else "", f"{len(names) - len(shown)} more columns" if len(names) > len(shown) else ""]
    if passes is not None:
        notes.insert(0, "the first that pass" if rows else "none of the first passes")

    def look() -> tuple[Distribution | None, ...]:
        sample = sampled(stack, schema, shown, lo=lo, hi=hi, passes=passes)
        if sample.of <= FIRST_ROWS or sample.columns is None:
            return (None,) * len(shown)
        return tuple(distribution(sample, n, document=n in schema.documents) for n in shown)

    columns_shown = tuple(_column(schema, n) for n in shown)
    return Panel(kind, name, facts, columns_shown, tuple(rows), ", ".join(filter(None, notes)), look)


def _column(schema: Schema, name: str) -> Column:
    if name not in schema.arrow.names:
        return Column(name)
    arrow_field = schema.arrow.field(name)
    right = _is_number(arrow_field.type)
    place = schema.key_names.index(name) + 1 if name in schema.key_names else 0
    descending = bool(place) and schema.specification.fields[place - 1].descending
    return Column(clean(name), kind_of(arrow_field), place, descending, right)


def _is_number(kind: Any) -> bool:
    t = pa.types
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_duration(kind))


def _first(
    stack: Stack, schema: Schema, lo: bytes, hi: bytes | None, names: Sequence[str], reverse: bool, passes: Passes | None
) -> tuple[list[tuple[str | None, ...]], int]:
    """Return the first records as texts, and how many more there are (0 under a filter).

    Each is looked up by its position: between two there may be millions of deletions that no fold has taken away yet.
    """
    start, stop = stack.rank(lo), stack.rank(hi)
    rows: list[tuple[str | None, ...]] = []
    searched = min(max(stop - start, 0), FIRST_ROWS if passes is None else SEARCHED_ROWS)
    step, left = (1, 0) if passes is None else (SEARCHED_STEP, SEARCHED_BYTES)
    for done in range(0, searched, step):
        here = min(step, searched - done)
        at = stop - done - here if reverse else start + done
        parts = [part for part, _ in stack.walk(at, at + here) if len(part)]
        if passes is not None:
            left -= sum(size for part in parts if part.far is not None for _, size in far.bytes_by_blob(part.far))
            if left < 0:
                break
            whole = parts if all(part.far is None for part in parts) else list(stack.slice(at, at + here))
            parts = [part.take(passes(with_commits(each))) for part, each in zip(parts, whole, strict=True)]
        for part in parts[:: -1 if reverse else 1]:
            order = range(len(part))[:: -1 if reverse else 1]
            rows += [_texts(part.slice(row, row + 1), schema, names) for row in order[: FIRST_ROWS - len(rows)]]
        if len(rows) == FIRST_ROWS:
            break
    return rows, max(stop - start, 0) - len(rows) if passes is None else 0


def _texts(one: Entries, schema: Schema, names: Sequence[str]) -> tuple[str | None, ...]:
    (row,) = schema.rows(one.batch)
    values = dict(zip(schema.physical.names, row, strict=True)) | {SEQ: int(one.seqs[0])}
    if one.far is not None and one.far[0].is_valid:
        values |= {schema.physical.names[place[0]]: LARGE for place in far.decode(one.far[0].as_py())}
    kinds = {field.name: field.type for field in schema.physical}
    return tuple(None if values[name] is None else told(values[name], kinds.get(name, pa.int64())) for name in names)
