"""How databases, stores, selections and logs look: as HTML in a notebook, as fixed text elsewhere.

An object says what is to be seen of it as a ``Panel``; ``html`` and ``text`` draw panels. Invariants: the same data gives the same
characters (no path, time, byte size or address); drawing never raises; it reads the first few records by their positions, so a
bounded number of leaves however large or unfolded the store is, and no value out of line. The HTML takes its colours from the page,
light or dark, and has no effect on anything else there.
"""

from __future__ import annotations

import html as escaping
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pyarrow as pa

from sopnb.engine import far
from sopnb.engine.entries import Entries
from sopnb.engine.layers import Stack
from sopnb.index import IndexSpecification
from sopnb.schema import Schema, is_document
from sopnb.values import UNITS, zone

FIRST_ROWS = 5
SEARCHED_ROWS = 4096
"""So many records are searched for the first that pass a filter, ..."""
SEARCHED_BYTES = 4 * 1024 * 1024
"""... fewer if their values out of line are larger than this."""
SEARCHED_STEP = 1024
MOST_COLUMNS = 20
MOST_LINES = 20
"""So many stores of a database are listed."""
LONGEST_VALUE = 48
TEXT_WIDTH = 100
LARGE = "(large value)"
SEQ = "_seq"

Passes = Callable[[Any], Any]
"""Takes a batch of physical columns and ``_seq``, returns the positions of the rows that a condition keeps, ascending."""


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

    ``note`` stands below the table.
    """

    kind: str
    name: str = ""
    facts: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    note: str = ""


class Shown(Protocol):
    """What can be drawn."""

    def _panel(self) -> Panel:
        """Return what is to be seen."""


def html(shown: Shown) -> str:
    """Return an object as a piece of HTML."""
    return _html(_panel_of(shown))


def text(shown: Shown) -> str:
    """Return an object as lines of text, at most 100 characters wide."""
    return _text(_panel_of(shown))


def _panel_of(shown: Shown) -> Panel:
    try:
        return shown._panel()
    except Exception as error:  # a representation never raises, whatever is broken
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
    names = list(columns) if columns is not None else [*schema.key_names, *(n for n in schema.arrow.names if n not in schema.key_names)]
    shown = names[:MOST_COLUMNS]
    try:
        rows, more = _first(stack, schema, lo, hi, shown, reverse, passes)
    except Exception as error:
        return Panel(kind, name, (*facts, f"records {_cannot(error)}"))
    notes = [f"{more:,} more" if more else "", f"{len(names) - len(shown)} more columns" if len(names) > len(shown) else ""]
    if passes is not None:
        notes.insert(0, "the first that pass" if rows else "none of the first passes")
    return Panel(kind, name, facts, tuple(_column(schema, n) for n in shown), tuple(rows), ", ".join(filter(None, notes)))


def _column(schema: Schema, name: str) -> Column:
    if name not in schema.arrow.names:
        return Column(name)
    arrow_field = schema.arrow.field(name)
    t, kind = pa.types, arrow_field.type
    right = bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_duration(kind))
    place = schema.key_names.index(name) + 1 if name in schema.key_names else 0
    descending = bool(place) and schema.specification.fields[place - 1].descending
    return Column(clean(name), kind_of(arrow_field), place, descending, right)


def _first(
    stack: Stack, schema: Schema, lo: bytes, hi: bytes | None, names: Sequence[str], reverse: bool, passes: Passes | None
) -> tuple[list[tuple[str | None, ...]], int]:
    """Return the first records as texts, and how many more there are (0 under a filter).

    Each is looked up by its position: between two there may be millions of deletions that no fold has taken away yet.
    """
    bare = Stack(stack.layers, schema, None, stack)
    start, stop = bare.rank(lo), bare.rank(hi)
    rows: list[tuple[str | None, ...]] = []
    searched = min(max(stop - start, 0), FIRST_ROWS if passes is None else SEARCHED_ROWS)
    step, left = (1, 0) if passes is None else (SEARCHED_STEP, SEARCHED_BYTES)
    for done in range(0, searched, step):
        here = min(step, searched - done)
        at = stop - done - here if reverse else start + done
        parts = list(bare.slice(at, at + here))
        if passes is not None:
            left -= sum(size for part in parts if part.far is not None for _, size in far.bytes_by_blob(part.far))
            if left < 0:
                break
            whole = parts if all(part.far is None for part in parts) else list(stack.slice(at, at + here))
            parts = [part.take(passes(_with_commits(each))) for part, each in zip(parts, whole, strict=True)]
        for part in parts[:: -1 if reverse else 1]:
            order = range(len(part))[:: -1 if reverse else 1]
            rows += [_texts(part.slice(row, row + 1), schema, names) for row in order[: FIRST_ROWS - len(rows)]]
        if len(rows) == FIRST_ROWS:
            break
    return rows, max(stop - start, 0) - len(rows) if passes is None else 0


def _with_commits(part: Entries) -> Any:
    return part.batch.append_column(SEQ, pa.array(part.seqs, pa.int64()))


def _texts(one: Entries, schema: Schema, names: Sequence[str]) -> tuple[str | None, ...]:
    (row,) = schema.rows(one.batch)
    values = dict(zip(schema.physical.names, row, strict=True)) | {SEQ: int(one.seqs[0])}
    if one.far is not None and one.far[0].is_valid:
        values |= {schema.physical.names[place[0]]: LARGE for place in far.decode(one.far[0].as_py())}
    kinds = {field.name: field.type for field in schema.physical}
    return tuple(None if values[name] is None else _told(values[name], kinds.get(name, pa.int64())) for name in names)


# -- values as text -----------------------------------------------------------------------------------------------------------


def clean(value: str, longest: int = LONGEST_VALUE) -> str:
    """Return text on one line, what does not print escaped, cut where it is too long.

    >>> clean("a" + chr(10) + "b")
    'a\\\\nb'
    """
    cut = value[: longest + 1]
    shown = cut if cut.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return shown if len(value) <= longest and len(shown) <= 2 * longest else shown[: longest - 1] + "…"


def _told(value: Any, kind: Any) -> str:
    """Return a storage value of a column of this type as text; a time beyond what a calendar can say as its number."""
    t = pa.types
    try:
        if t.is_timestamp(kind):
            return _moment(value, kind.unit, kind.tz)
        if t.is_time(kind):
            return _moment(value, kind.unit).partition(" ")[2]
        if t.is_date(kind):
            days = value if t.is_date32(kind) else value // 86_400_000
            return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
        if t.is_duration(kind):
            return str(timedelta(microseconds=value * 1_000_000 // UNITS[kind.unit]))
    except (OverflowError, ValueError):
        return str(value)
    return _plain(value)


def _moment(n: int, unit: str, tz: str | None = None) -> str:
    seconds, rest = divmod(n, UNITS[unit])
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    if tz is not None:
        there = there.astimezone(zone(tz))
    fraction = f".{rest + UNITS[unit]}".replace(".1", ".", 1).rstrip("0") if rest else ""
    return there.replace(tzinfo=None).isoformat(" ", "seconds") + fraction


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes | memoryview):
        return clean(repr(bytes(value[: LONGEST_VALUE + 1])))
    if isinstance(value, float):
        short = repr(value)
        return short if len(short) <= 12 else f"{value:.6g}"
    if isinstance(value, bool | int | Decimal):
        return str(value)
    return clean(json.dumps(value, ensure_ascii=False, default=lambda other: str(other)[:LONGEST_VALUE]))


# -- text ---------------------------------------------------------------------------------------------------------------------


def _text(panel: Panel) -> str:
    head = f"{panel.kind} {panel.name!r}" if panel.name else panel.kind
    lines = [f"{head}: {'; '.join(panel.facts)}" if panel.facts else head]
    if panel.columns and panel.rows:
        lines += _grid(panel)
    if panel.note:
        lines.append(f"  … {panel.note}")
    return "\n".join(lines)


def _grid(panel: Panel) -> list[str]:
    heads = [f"{column.name} {column.arrow}".rstrip() for column in panel.columns]
    cells = [["null" if cell is None else cell for cell in row] for row in panel.rows]
    table = [heads, *cells]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    fits, width = 0, 0
    while fits < len(heads) and width + 2 + widths[fits] <= TEXT_WIDTH - (0 if fits == len(heads) - 1 else 3):
        width += 2 + widths[fits]
        fits += 1
    fits = max(fits, 1)
    more = "  …" if fits < len(heads) else ""
    lines = []
    for line in table:
        placed = [
            cell.rjust(w) if column.right else cell.ljust(w) for cell, w, column in zip(line, widths[:fits], panel.columns, strict=False)
        ]
        lines.append(("  " + "  ".join(placed) + more).rstrip())
    return lines


# -- HTML ---------------------------------------------------------------------------------------------------------------------

_LINE = "1px solid;border-{}-color:color-mix(in srgb,currentColor 35%,transparent)"
_DIM = "opacity:.62"
_CELL = "padding:3px 10px;white-space:nowrap;vertical-align:top;text-align:"


def _html(panel: Panel) -> str:
    """Return a panel as HTML. Styles are attributes: notebooks that are not trusted yet take style sheets away, and these cannot leak."""
    esc = escaping.escape
    title = esc(clean(panel.name, 2 * LONGEST_VALUE)) if panel.name else panel.kind
    kind = [_span(_DIM, panel.kind.lower())] if panel.name else []
    facts = f" {_span(_DIM, '·')} ".join([*kind, *map(esc, panel.facts)])
    parts = [
        '<div style="font-size:13px;line-height:1.5">',
        f'<div style="margin-bottom:4px"><b style="font-size:14px">{title}</b> {facts}</div>',
    ]
    if panel.columns and panel.rows:
        last = max(column.key for column in panel.columns)
        heads = "".join(_head(column, last) for column in panel.columns)
        table = "border-collapse:collapse;margin:0;color:inherit;font-size:12px;font-variant-numeric:tabular-nums"
        parts.append(f'<div style="overflow-x:auto"><table style="{table}"><thead><tr>{heads}</tr></thead><tbody>')
        parts += ["<tr>" + "".join(map(_cell, row, panel.columns, [last] * len(row))) + "</tr>" for row in panel.rows]
        parts.append("</tbody></table></div>")
    if panel.note:
        parts.append(f'<div style="margin-top:4px;font-size:12px;{_DIM}">… {esc(panel.note)}</div>')
    return "\n".join([*parts, "</div>"])


def _span(style: str, text: str) -> str:
    return f'<span style="{style}">{text}</span>'


def _style(column: Column, last: int) -> str:
    """Return the style of a cell; a line stands after the last column of the key."""
    line = f";border-right:{_LINE.format('right')}" if column.key and column.key == last else ""
    return _CELL + ("right" if column.right else "left") + line


def _head(column: Column, last: int) -> str:
    esc = escaping.escape
    weight = "font-weight:bold" if column.key else "font-weight:500"
    told = f' title="key field {column.key}, {"descending" if column.descending else "ascending"}"' if column.key else ""
    arrow = f"\N{NO-BREAK SPACE}{column.arrow}" if column.key else ""
    kind = f'<br><small style="font-weight:normal;{_DIM}">{esc(column.kind)}</small>' if column.kind else ""
    style = f"{_style(column, last)};{weight};border-bottom:{_LINE.format('bottom')}"
    return f'<th style="{style}"{told}>{esc(column.name)}{arrow}{kind}</th>'


def _cell(cell: str | None, column: Column, last: int) -> str:
    shown = _span("font-style:italic;opacity:.5", "null") if cell is None else escaping.escape(cell)
    return f'<td style="{_style(column, last)}">{shown}</td>'
