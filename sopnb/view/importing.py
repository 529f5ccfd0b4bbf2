"""Data on its way into a store: looked at first, with the types and the keys that it may have, and then loaded."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

import numpy as np
import pyarrow as pa

from sopnb.access.loading import Load
from sopnb.database import Database
from sopnb.errors import InvalidInput
from sopnb.fields import is_document, worded
from sopnb.frames.pieces import Pieces, opened
from sopnb.index import IndexSpecification
from sopnb.view.arguments import Arguments
from sopnb.view.data import Data, of_frame
from sopnb.view.refusal import Refusal, invalid
from sopnb.view.specifications import fields, specification, suggest
from sopnb.view.wire import form

SHOWN = 20
"""Rows of a preview."""
LOOKED_AT = 200_000
"""So many rows at most are looked at for suggestions of keys."""
LONGEST = 50_000_000
"""Characters of pasted text."""
REJECTED = 100
"""So many of the rows that were left out are told."""
CHOICES = (
    "int64", "float64", "decimal128(18, 2)", "bool", "string", "date32", "time64[us]", "timestamp[us]", "timestamp[us, UTC]", "json",
)  # fmt: skip
"""The types that columns of text may be given, in the words of ``db.create``."""


@dataclass(frozen=True)
class Source:
    """What is to be loaded: files by path or pattern, a frame that is offered, or pasted text. ``types`` are of columns of text."""

    data: Any
    types: dict[str, str]
    text: bool
    """Whether the types of its columns may be chosen."""

    @classmethod
    def of(cls, args: Arguments, frames: dict[str, Any]) -> Source:
        """Return what a message names as "source", "frame" or "text". Raises ``Refusal``."""
        types = dict(args.part("types", {}).given)
        if not all(isinstance(word, str) for word in types.values()):
            raise invalid("'types' is an object of type words by column")
        if sum(args.has(name) for name in ("source", "frame", "text")) != 1:
            raise invalid("one of 'source', 'frame' and 'text' says what to load")
        if args.has("frame"):
            name = args.text("frame")
            if name not in frames:
                raise Refusal("missing", f"no frame {name!r} is offered here; there are: {', '.join(map(repr, frames)) or 'none'}")
            if types:
                raise invalid("a frame has types already; cast its columns instead")
            return cls(frames[name], {}, text=False)
        if args.has("text"):
            return cls(_table(args.text("text"), types), {}, text=True)
        return cls(_paths(args), types, text=True)

    def preview(self) -> tuple[Data, int | None]:
        """Return the first rows, and how many there are, None if that is not known. Raises ``InvalidInput``."""
        if isinstance(self.data, str | list):
            pieces = Pieces(opened(self.data, self.types or None))
            tables, rows = [pieces.table], 0
            for table in pieces:
                tables.append(table.slice(0, LOOKED_AT - rows))
                rows += tables[-1].num_rows
                if rows >= LOOKED_AT:
                    break
            whole = pa.concat_tables(tables, promote_options="permissive")
            return Data(whole, pieces.rows or rows, pieces.names), pieces.rows if rows >= LOOKED_AT else rows
        found = of_frame({"": self.data}, "")
        return Data(found.table.slice(0, LOOKED_AT), found.total, found.key), found.total


def _paths(args: Arguments) -> Any:
    given = args.any("source")
    if isinstance(given, str) or (isinstance(given, list) and given and all(isinstance(each, str) for each in given)):
        return given
    raise invalid("'source' is a path, a pattern of paths, or a list of these")


def preview(source: Source, database: Database, name: str | None) -> dict[str, Any]:
    """Return the columns, the first rows and the keys that data may have."""
    data, total = source.preview()
    told = [{**field, "choices": list(CHOICES) if source.text else []} for field in fields(data)]
    first = np.arange(min(SHOWN, data.table.num_rows))
    cells = [data.column(each, first) for each in data.table.column_names]
    return {
        "columns": told,
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "total": total,
        "key": None if data.key is None else list(data.key),
        "suggestions": suggest(data, [])["suggestions"],
        "exists": name is not None and name in database,
    }


def run(source: Source, database: Database, args: Arguments) -> dict[str, Any]:
    """Load the data into a store in one commit, and return what was done and which rows were left out."""
    name = args.text("store")
    if_exists, on_error = args.text("if_exists", "raise"), args.text("on_error", "raise")
    index = None if not args.has("specification") else _unique(specification(args.any("specification")))
    Load(name, None, index, if_exists, on_error, None, args.flag("widen", False))  # refuses what is none of the words
    store = database.load(
        name, source.data, index, if_exists=if_exists, on_error=on_error, types=source.types or None, widen=args.flag("widen", False),
        message=args.text("message", ""),
    )  # fmt: skip
    counts = store.loaded
    assert counts is not None
    rejected = [] if counts.rejected is None else _rejected(counts.rejected)
    return {
        "store": name,
        "seq": counts.seq,
        "counts": {kind: getattr(counts, kind) for kind in ("inserted", "updated", "unchanged")},
        "rejected": rejected,
        "rejected_rows": 0 if counts.rejected is None else len(counts.rejected),
    }


def _unique(wanted: IndexSpecification) -> IndexSpecification:
    if wanted.carrying:
        raise invalid("the key of a store carries no columns; leave 'carrying' out")
    return wanted


def _rejected(frame: Any) -> list[dict[str, Any]]:
    told = []
    first = frame.head(REJECTED).reset_index()
    missing = first.isna().to_dict("records")
    for row, gone in zip(first.to_dict("records"), missing, strict=True):
        cells = {str(column): None if gone[column] else str(value)[:200] for column, value in row.items()}
        told.append({"reason": cells.pop("_reason", ""), "cells": {k: v for k, v in cells.items() if k != "index"}})
    return told


# -- pasted text --------------------------------------------------------------------------------------------------------------


def _table(text: str, types: Mapping[str, str]) -> Any:
    """Return text of rows and cells as a table: the first row names the columns, an empty cell is null."""
    if len(text) > LONGEST:
        raise invalid(f"the text is longer than {LONGEST:,} characters; load it from a file")
    first = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise invalid(f"this is no text of rows and cells: {error}") from None
    if not rows or len(set(rows[0])) < len(rows[0]) or not all(rows[0]):
        raise invalid("the first row must name the columns, each by another name")
    header, body = rows[0], rows[1:]
    for number, row in enumerate(body, 2):
        if len(row) > len(header):
            raise invalid(f"row {number} has {len(row)} cells, and there are {len(header)} columns")
    unknown = next((name for name in types if name not in header), None)
    if unknown is not None:
        raise invalid(f"there is no column {unknown!r} to give a type", column=unknown)
    columns = list(islice(zip_longest(*body), len(header))) if body else []
    columns += [(None,) * len(body)] * (len(header) - len(columns))
    made = [_column(name, cells, types.get(name)) for name, cells in zip(header, columns, strict=True)]
    return pa.table([column for _, column in made], schema=pa.schema([field for field, _ in made]))


def _column(name: str, cells: tuple[str | None, ...], word: str | None) -> tuple[Any, Any]:
    try:
        texts = pa.array([cell or None for cell in cells], pa.string())
    except UnicodeEncodeError:
        raise invalid(f"{name}: the text holds half a character (a lone surrogate), which cannot be stored", column=name) from None
    if word is None:
        known = _texts().TextColumn()
        known.add(texts)
        field = known.field(name)
    else:
        field = worded(name, word)
    if is_document(field):
        read = form(field.type, document=True).read
        return field, pa.array([None if cell is None else _refusing(read, cell, name) for cell in texts.to_pylist()], pa.string())
    _texts().check_readable(name, field.type)
    try:
        return field, _texts().values(texts, field.type)
    except pa.ArrowInvalid as error:
        raise invalid(f"{name}: a value is no {field.type}: {error}", column=name) from None


def _refusing(read: Any, cell: str, name: str) -> Any:
    try:
        return read(cell)
    except InvalidInput as error:
        raise invalid(f"{name}: {error}", column=name) from None


def _texts() -> Any:
    """Return the module that finds types in text; it loads pandas with its package."""
    return importlib.import_module("sopnb.frames.files.text")
