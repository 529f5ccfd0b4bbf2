"""Commands that look at a database, check it and tidy it up. All but ``compact`` write nothing."""

from __future__ import annotations

import itertools
import shutil

import click

import sopnb
from sopnb import display
from sopnb.cli.group import as_json_option, database_argument, main
from sopnb.cli.printing import print_facts, print_json, print_table, size


@main.command()
@database_argument
@as_json_option
def info(path: str, as_json: bool) -> None:
    """Say what a database holds, how large it is, and who reads it."""
    with sopnb.open(path, mode="r") as db:
        facts = db.info()
    if as_json:
        print_json(facts)
        return
    stores = facts["stores"].values()
    print_facts(
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
@database_argument
@as_json_option
def stores(path: str, as_json: bool) -> None:
    """List the stores: records, key, size, and what is not folded yet."""
    with sopnb.open(path, mode="r") as db:
        facts = db.info()["stores"]
    if as_json:
        print_json(facts)
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
    print_table(heads, lines, right="records size runs tail commit")


@main.command()
@database_argument
@click.argument("store")
@click.option("-n", "--rows", default=10, show_default=True, type=click.IntRange(min=0), help="How many records.")
@click.option("-c", "--columns", metavar="A,B,...", help="Only these columns, in this order.")
@click.option("-r", "--reverse", is_flag=True, help="The last records, the last one first.")
@as_json_option
def head(path: str, store: str, rows: int, columns: str | None, reverse: bool, as_json: bool) -> None:
    """Print the first records of a store in the order of its key."""
    with sopnb.open(path, mode="r") as db:
        selection = db[store][:]
        if columns is not None:
            selection = selection.select(*(name.strip() for name in columns.split(",")))
        if reverse:
            selection = selection.reverse()
        if as_json:
            print_json([dict(record) for record in itertools.islice(selection.records(), rows)])
        else:
            frame = selection.head(rows)
            click.echo(frame.to_string(max_colwidth=display.LONGEST_VALUE, line_width=shutil.get_terminal_size().columns))


@main.command()
@database_argument
@as_json_option
def check(path: str, as_json: bool) -> None:
    """Read everything and compare it with what is said of it; exit with 1 where something is wrong."""
    with sopnb.open(path, mode="r") as db:
        report = db.check()
    if as_json:
        print_json({"ok": report.ok, "problems": [{"store": p.store, "where": p.where, "what": p.what} for p in report]})
    else:
        click.echo(repr(report))
    if not report.ok:
        raise SystemExit(1)


@main.command()
@database_argument
@click.option("--keep", type=click.FloatRange(min=0), metavar="SECONDS", help="Keep less of the past than the settings say.")
@as_json_option
def compact(path: str, keep: float | None, as_json: bool) -> None:
    """Fold every store into one layer, and let go of the past that is no longer kept."""
    sopnb.open(path, mode="r").close()  # to write would create what is not there
    with sopnb.open(path) as db:
        sizes = db.compact() if keep is None else db.compact(keep=keep)
    if as_json:
        print_json(sizes)
        return
    print_facts({what: f"{size(sizes[f'{what}_before'])} before, {size(sizes[f'{what}_after'])} after" for what in ("blobs", "log")})


@main.command()
@database_argument
@click.option("-n", "--commits", default=20, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("-s", "--store", metavar="NAME", help="Only what was done to the store of this name.")
@as_json_option
def log(path: str, commits: int, store: str | None, as_json: bool) -> None:
    """List the newest commits, the newest first."""
    with sopnb.open(path, mode="r") as db:
        newest = db.log(store=store, limit=commits).iloc[::-1].to_dict("records")
    if as_json:
        print_json([{**commit, "stores": commit["stores"].split(", ") if commit["stores"] else []} for commit in newest])
        return
    lines = [
        (
            f"{commit['seq']:,}",
            f"{commit['time']:%Y-%m-%d %H:%M:%S}",
            display.clean(commit["author"]),
            display.clean(commit["message"]),
            commit["stores"],
            ", ".join(f"{commit[what]:,} {what}" for what in ("inserted", "updated", "deleted") if commit[what]),
            display.clean(commit["notes"]),
        )
        for commit in newest
    ]
    print_table(("commit", "time (UTC)", "author", "message", "stores", "records", "notes"), lines, right="commit")
