"""Commands that load files into a store, and write files from one."""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from typing import Any, Literal

import click
import pyarrow as pa

import sopnb
from sopnb.cli.group import Failure, database_argument, main
from sopnb.cli.printing import print_table
from sopnb.errors import InvalidInput, StoreExists
from sopnb.schema import Schema
from sopnb.selection import Selection
from sopnb.settings import HandleSettings


@main.command()
@database_argument
@click.argument("store")
@click.argument("files", nargs=-1, required=True)
@click.option("-i", "--index", metavar="A,-B,...", help="The key columns; a leading - makes one descending.")
@click.option("--if-exists", type=click.Choice(["raise", "replace", "insert", "upsert"]), default="raise", show_default=True)
@click.option("-t", "--type", "types", metavar="COLUMN=TYPE", multiple=True, help='Such as "zip=string"; may be repeated.')
@click.option("--on-error", type=click.Choice(["raise", "report"]), default="raise", show_default=True, help="report leaves bad rows out.")
@click.option("--rejected", metavar="FILE", help="Write rows left out into this file, instead of standard error.")
@click.option("-m", "--message", default="", help="Goes into the log.")
@click.option("--dry-run", is_flag=True, help="Print the columns that would be loaded, and load nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def load(
    path: str,
    store: str,
    files: tuple[str, ...],
    index: str | None,
    if_exists: Literal["raise", "replace", "insert", "upsert"],
    types: tuple[str, ...],
    on_error: Literal["raise", "report"],
    rejected: str | None,
    message: str,
    dry_run: bool,
    yes: bool,
) -> None:
    """Load files into a store, in one commit: CSV, JSON lines, Parquet, Arrow or ORC, by their suffixes, or patterns of them.

    The columns and their types are shown first, and a person at a terminal is asked. Rows that --on-error report leaves out are printed
    as CSV on standard error, with the reason, and the exit code is 1.
    """
    source = importlib.import_module("sopnb.frames.files.files").source(list(files), types=_types(types))
    key = None if index is None else [name.strip() for name in index.split(",")]
    with _opened(path, dry_run) as db:
        there = store in db
        if there and if_exists == "raise":
            raise StoreExists(store)
        if there and if_exists != "replace":
            click.echo(f"into {db[store]!r}")
        else:
            _print_schema(db.load(store, source, key, on_error=on_error, dry_run=True))
        if dry_run:
            return
        if not yes and sys.stdin.isatty() and not click.confirm(f"Load {len(source.paths)} files into {store!r}?", default=True, err=True):
            raise Failure("nothing was loaded")
        counts = db.load(store, source, key, if_exists=if_exists, on_error=on_error, message=message).loaded
    assert counts is not None
    did = {"inserted": counts.inserted, "updated": counts.updated, "unchanged": counts.unchanged}
    click.echo(", ".join(f"{n:,} {what}" for what, n in did.items() if n) or "nothing was written")
    if counts.rejected is not None:
        _tell_rejected(counts.rejected, rejected)
        raise SystemExit(1)


@main.command()
@database_argument
@click.argument("store")
@click.argument("file")
@click.option("-p", "--prefix", metavar="VALUE", multiple=True, help="Only keys that begin so; repeated for each field of the key.")
@click.option("-c", "--columns", metavar="A,B,...", help="Only these columns, in this order.")
@click.option("-k", "--kind", help="csv, tsv, jsonl, parquet, feather, arrows or orc, where the name of the file does not say.")
def dump(path: str, store: str, file: str, prefix: tuple[str, ...], columns: str | None, kind: str | None) -> None:
    """Write a store, or a part of it, into a file, of the kind that its suffix says; "-" is standard output, which needs a --kind.

    The file is there whole or not at all; one that was there before is replaced at the end.
    """
    if file == "-" and kind is None:
        raise InvalidInput('"-" is standard output: say what is written with --kind, such as --kind csv')
    with sopnb.open(path, mode="r", handle=_handle()) as db:
        selection = db[store][:]
        if prefix:
            selection = selection.prefix(*_values(selection, prefix))
        if columns is not None:
            selection = selection.select(*(name.strip() for name in columns.split(",")))
        if file == "-":
            writing = importlib.import_module("sopnb.frames.files.writing")
            writing.write_to(_described(selection), sys.stdout.buffer, kind)
            return
        rows = selection.to_file(file, kind=kind)
    click.echo(f"{rows:,} records")


def _opened(path: str, dry_run: bool) -> sopnb.Database:
    """Open the database; to look at files there need not be one."""
    if not dry_run:
        return sopnb.open(path, handle=_handle())
    return sopnb.open(path, mode="r") if Path(path).exists() else sopnb.open(":memory:")


def _handle() -> HandleSettings:
    return HandleSettings(progress=None if sys.stderr.isatty() else False)


def _types(words: tuple[str, ...]) -> dict[str, str]:
    types = {}
    for word in words:
        column, sign, kind = word.rpartition("=")
        if not sign:
            raise InvalidInput(f"--type {word}: write a column and its type, such as zip=string")
        types[column] = kind
    return types


def _print_schema(schema: Schema) -> None:
    keys = {field.name: f"key {at + 1}{', descending' if field.descending else ''}" for at, field in enumerate(schema.specification.fields)}
    lines = [
        (field.name, "json" if field.name in schema.documents else str(field.type), keys.get(field.name, "")) for field in schema.arrow
    ]
    print_table(("column", "type", "index"), lines, right="")


def _values(selection: Selection, texts: tuple[str, ...]) -> list[Any]:
    """Return the values of key fields that a person typed."""
    values = importlib.import_module("sopnb.frames.files.text").values
    schema = selection._schema
    found = []
    for name, text in zip(schema.key_names, texts, strict=False):
        try:
            found.append(values(pa.array([text]), schema.physical.field(name).type)[0].as_py())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InvalidInput(f"--prefix {text}: the key column {name!r} is {schema.arrow.field(name).type}") from None
    return found + list(texts[len(schema.key_names) :])


def _described(selection: Selection) -> Any:
    """Return a reader that says what pandas needs to make the frame again."""
    return importlib.import_module("sopnb.frames.files.description").with_description(selection.to_reader(), selection._schema)


def _tell_rejected(frame: Any, file: str | None) -> None:
    table = pa.table({name: _column(frame[name]) for name in frame.columns})
    try:
        _tell(table, file)
    except InvalidInput:  # not every kind of file holds lists, or periods
        _tell(pa.table({name: _texts(frame[name]) for name in frame.columns}), file)


def _tell(table: Any, file: str | None) -> None:
    writing = importlib.import_module("sopnb.frames.files.writing")
    if file is None:
        text = io.BytesIO()
        writing.write_to(table.to_reader(), text, "csv")
        click.echo(f"{table.num_rows:,} rows were left out:", err=True)
        click.echo(text.getvalue().decode(), err=True, nl=False)
    else:
        writing.write(table.to_reader(), file)
        click.echo(f"{table.num_rows:,} rows were left out; they are in {file}", err=True)


def _column(series: Any) -> Any:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _texts(series)


def _texts(series: Any) -> Any:
    missing = series.isna()
    return pa.array([None if gone else str(value) for value, gone in zip(series, missing, strict=True)], pa.string())
