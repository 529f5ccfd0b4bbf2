"""The command line: look at a database, check it, tidy it up.

Every command names the database first. All but ``compact`` open it with ``mode="r"`` and write nothing. A failure is one line on standard
error and exit code 2; ``check`` exits with 1 where something is wrong.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import click

import sopnb
from sopnb import display
from sopnb.errors import SopError

_database = click.argument("path", metavar="DATABASE")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class _Failure(click.ClickException):
    exit_code = 2


class _Commands(click.Group):
    """Commands whose failures are one line, and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (SopError, OSError) as error:
            raise _Failure(" ".join(str(error).split()) or type(error).__name__) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sopnb")
def main() -> None:
    """Look at a sopnb database, check it, tidy it up."""


@main.command()
@_database
@_as_json
def info(path: str, as_json: bool) -> None:
    """Say what a database holds, how large it is, and who reads it."""
    with sopnb.open(path, mode="r") as db:
        facts = db.info()
    if as_json:
        _print_json(facts)
        return
    stores = facts["stores"].values()
    _print_facts(
        {
            "newest commit": f"{facts['seq']:,}",
            "oldest kept": f"{facts['horizon']:,}",
            "stores": f"{len(stores):,}, with {sum(store['rows'] for store in stores):,} records",
            "tags": ", ".join(f"{tag} ({seq})" for tag, seq in sorted(facts["tags"].items())) or "none",
            "records": size(sum(store["bytes"] for store in stores)),
            "past": size(facts["dropped_bytes"]),
            "log": size(facts["log_bytes"]),
            "readers": ", ".join(f"{owner} at commit {seq}" for owner, seq in facts["pins"]) or "none",
        }
    )


@main.command()
@_database
@_as_json
def stores(path: str, as_json: bool) -> None:
    """List the stores: records, key, size, and what is not folded yet."""
    with sopnb.open(path, mode="r") as db:
        facts = db.info()["stores"]
    if as_json:
        _print_json(facts)
        return
    heads = ("store", "records", "index", "unique", "size", "runs", "tail", "commit")
    lines = [
        (
            display.clean(name),
            f"{store['rows']:,}",
            store["index"],
            "yes" if store["unique"] else "no",
            size(store["bytes"]),
            f"{store['runs']:,}",
            f"{store['tail']:,}",
            f"{store['last_commit']:,}",
        )
        for name, store in facts.items()
    ]
    _print_table(heads, lines, right="records size runs tail commit")


@main.command()
@_database
@click.argument("store")
@click.option("-n", "--rows", default=10, show_default=True, type=click.IntRange(min=0), help="How many records.")
@click.option("-c", "--columns", metavar="A,B,...", help="Only these columns, in this order.")
@click.option("-r", "--reverse", is_flag=True, help="The last records, the last one first.")
@_as_json
def head(path: str, store: str, rows: int, columns: str | None, reverse: bool, as_json: bool) -> None:
    """Print the first records of a store in the order of its key."""
    with sopnb.open(path, mode="r") as db:
        selection = db[store][:]
        if columns is not None:
            selection = selection.select(*(name.strip() for name in columns.split(",")))
        if reverse:
            selection = selection.reverse()
        if as_json:
            _print_json([dict(record) for record in itertools.islice(selection.records(), rows)])
        else:
            frame = selection.head(rows)
            click.echo(frame.to_string(max_colwidth=display.LONGEST_VALUE, line_width=shutil.get_terminal_size().columns))


@main.command()
@_database
@_as_json
def check(path: str, as_json: bool) -> None:
    """Read everything and compare it with what is said of it; exit with 1 where something is wrong."""
    with sopnb.open(path, mode="r") as db:
        report = db.check()
    if as_json:
        _print_json({"ok": report.ok, "problems": [{"store": p.store, "where": p.where, "what": p.what} for p in report]})
    else:
        click.echo(repr(report))
    if not report.ok:
        raise SystemExit(1)


@main.command()
@_database
@click.option("--keep", type=click.FloatRange(min=0), metavar="SECONDS", help="Keep less of the past than the settings say.")
@_as_json
def compact(path: str, keep: float | None, as_json: bool) -> None:
    """Fold every store into one layer, and let go of the past that is no longer kept."""
    sopnb.open(path, mode="r").close()  # to write would create what is not there
    with sopnb.open(path) as db:
        sizes = db.compact() if keep is None else db.compact(keep=keep)
    if as_json:
        _print_json(sizes)
        return
    _print_facts({what: f"{size(sizes[f'{what}_before'])} before, {size(sizes[f'{what}_after'])} after" for what in ("blobs", "log")})


@main.command()
@_database
@click.option("-n", "--commits", default=20, show_default=True, type=click.IntRange(min=1), help="How many.")
@_as_json
def log(path: str, commits: int, as_json: bool) -> None:
    """List the newest commits, the newest first."""
    with sopnb.open(path, mode="r") as db:
        newest = list(db.log())[: -commits - 1 : -1]
    if as_json:
        _print_json(
            [
                {
                    "seq": commit.seq,
                    "time": commit.time,
                    "txid": commit.txid,
                    "author": commit.author,
                    "message": commit.message,
                    "stores": {
                        name: {"inserted": did.inserted, "updated": did.updated, "deleted": did.deleted}
                        for name, did in commit.stores.items()
                    },
                    "notes": list(commit.notes),
                }
                for commit in newest
            ]
        )
        return
    lines = [
        (
            f"{commit.seq:,}",
            f"{commit.time:%Y-%m-%d %H:%M:%S}",
            display.clean(commit.author),
            display.clean(commit.message),
            display.clean(commit.told),
        )
        for commit in newest
    ]
    _print_table(("commit", "time (UTC)", "author", "message", "changes"), lines, right="commit")


# -- what is printed ----------------------------------------------------------------------------------------------------------


def size(n: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> size(0), size(1536), size(5 * 1024 * 1024)
    ('0 B', '1.5 KiB', '5.0 MiB')
    """
    value = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{n} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _print_facts(facts: dict[str, str]) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {value}")


def _print_table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, right: str) -> None:
    """Print a table without the columns in which nothing stands."""
    shown = [i for i in range(len(heads)) if not lines or any(line[i] for line in lines)]
    widths = {i: max(len(line[i]) for line in (heads, *lines)) for i in shown}
    for line in (heads, *lines):
        cells = [line[i].rjust(widths[i]) if heads[i] in right.split() else line[i].ljust(widths[i]) for i in shown]
        click.echo("  ".join(cells).rstrip())


def _print_json(value: Any) -> None:
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Return a value of a record as JSON can hold it: times as ISO text, decimals as text, bytes in hexadecimal, NaN as null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    tell: Callable[[], str] = getattr(value, "isoformat", value.__str__)
    return tell()
