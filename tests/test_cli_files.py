"""The command line loads files and writes them: shown first, whole or not at all, one line for a failure."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import sopnb
from sopnb.cli import files, main

Run = Callable[..., Result]
DAY = "hour,carrier,flight,tail\n10,UA,1545,N14228\n10,AA,1,\n9,B6,7,007\n"


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: object, input: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(each) for each in arguments], input=input)

    return invoke


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "trips.sop"


def _day(folder: Path, name: str = "2013-01-01.csv", text: str = DAY) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _records(base: Path, store: str = "flights") -> list[dict[str, object]]:
    with sopnb.open(base, mode="r") as db:
        assert db.check().ok
        return db[store][:].to_dicts()


def test_load_shows_the_columns_and_says_what_it_did(run: Run, base: Path, tmp_path: Path) -> None:
    result = run("load", base, "flights", _day(tmp_path), "--index", "hour,-carrier", "-m", "the first day")
    assert result.exit_code == 0, result.output
    head, *lines, did = result.stdout.splitlines()
    assert head.split() == ["column", "type", "index"]
    assert [line.split() for line in lines] == [
        ["hour", "int64", "key", "1"],
        ["carrier", "string", "key", "2,", "descending"],
        ["flight", "int64"],
        ["tail", "string"],
    ]
    assert did == "3 inserted"
    assert [(record["hour"], record["carrier"], record["tail"]) for record in _records(base)] == [
        (9, "B6", "007"),
        (10, "UA", "N14228"),
        (10, "AA", None),
    ]
    with sopnb.open(base, mode="r") as db:
        assert db.log()["message"].iloc[-1] == "the first day"


def test_load_of_a_pattern_upserts(run: Run, base: Path, tmp_path: Path) -> None:
    _day(tmp_path)
    _day(tmp_path, "2013-01-02.csv", "hour,carrier,flight,tail\n11,UA,2,N1\n")
    assert run("load", base, "flights", tmp_path / "2013-*.csv", "-i", "hour,carrier,flight").stdout.endswith("4 inserted\n")
    again = run("load", base, "flights", tmp_path / "2013-01-01.csv", tmp_path / "2013-01-02.csv", "--if-exists", "upsert")
    assert again.stdout.endswith("4 unchanged\n")
    assert again.stdout.startswith("into Store 'flights'")
    refused = run("load", base, "flights", tmp_path / "2013-01-01.csv")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "already there" in refused.stderr


def test_a_dry_run_and_a_no_load_nothing(run: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run("load", base, "flights", _day(tmp_path), "-i", "flight", "-t", "hour=int8", "--dry-run")
    assert shown.exit_code == 0
    assert "int8" in shown.stdout
    assert not base.exists()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    class System:
        stdin, stderr = Terminal(), io.StringIO()

    monkeypatch.setattr(files, "sys", System)
    result = run("load", base, "flights", _day(tmp_path), "-i", "flight", input="n\n")
    assert result.exit_code == 2
    assert "nothing was loaded" in result.stderr
    with sopnb.open(base) as db:
        assert db.stores() == ()
    assert run("load", base, "flights", _day(tmp_path), "-i", "flight", input="y\n").exit_code == 0
    assert run("load", base, "flights", _day(tmp_path), "--if-exists", "replace", "-i", "flight", "--yes").exit_code == 0
    assert len(_records(base)) == 3


def test_failures_are_one_line_and_load_nothing(run: Run, base: Path, tmp_path: Path) -> None:
    short = _day(tmp_path, "short.csv", "hour,flight\n1,2\n3\n")
    for arguments, message in (
        ((short, "-i", "flight"), "short.csv, line 3"),
        ((tmp_path / "none-*.csv", "-i", "flight"), "no file matches"),
        ((_day(tmp_path),), "index=[...]"),
        ((_day(tmp_path), "-i", "flight", "-t", "carrier"), "--type carrier"),
        ((_day(tmp_path), "-i", "flight", "-t", "carrier=int64"), "line 2, column 'carrier': 'UA' is no int64"),
    ):
        result = run("load", base, "flights", *arguments)
        assert result.exit_code == 2, result.output
        assert len(result.stderr.splitlines()) == 1
        assert message in result.stderr
    with sopnb.open(base) as db:
        assert db.stores() == ()


def test_rows_left_out_are_told_or_written_into_a_file(run: Run, base: Path, tmp_path: Path) -> None:
    path = _day(tmp_path, "bad.csv", "hour,flight\n1,2\n3,x\n4\n5,2\n")
    arguments = ("flights", path, "-i", "flight", "-t", "flight=int64", "--on-error", "report")
    result = run("load", base, *arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout.endswith("1 inserted\n")
    assert "3 rows were left out" in result.stderr
    assert "'x' is no int64" in result.stderr
    rejected = tmp_path / "rejected.csv"
    result = run("load", base, *arguments, "--if-exists", "replace", "--rejected", rejected)
    assert result.exit_code == 1
    assert "'x' is no int64" not in result.stderr
    assert len(pd.read_csv(rejected)) == 3
    assert len(_records(base)) == 1


def test_rows_left_out_are_told_whatever_their_columns_hold(run: Run, base: Path, tmp_path: Path) -> None:
    path = tmp_path / "legs.parquet"
    pd.DataFrame({"year": [2020, 2021], "legs": [[1, 2], None]}).to_parquet(path)
    run("load", base, "flights", path, "-i", "year")
    for more in ((), ("--rejected", tmp_path / "rejected.csv"), ("--rejected", tmp_path / "rejected.parquet")):
        result = run("load", base, "flights", path, "--if-exists", "insert", "--on-error", "report", *more)
        assert result.exit_code == 1, result.output
        assert "2 rows were left out" in result.stderr
        assert more or '"2020","[1 2]",' in result.stderr
    assert pd.read_parquet(tmp_path / "rejected.parquet")["legs"][0].tolist() == [1, 2]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "jsonl", "parquet", "feather", "arrows", "orc"])
def test_what_is_dumped_loads_again(run: Run, base: Path, tmp_path: Path, suffix: str) -> None:
    run("load", base, "flights", _day(tmp_path), "-i", "hour,carrier")
    out = tmp_path / f"out.{suffix}"
    result = run("dump", base, "flights", out)
    assert (result.exit_code, result.stdout) == (0, "3 records\n"), result.output
    assert run("load", base, "again", out, "-i", "hour,carrier").exit_code == 0
    assert _records(base, "again") == _records(base)


def test_dump_of_a_part(run: Run, base: Path, tmp_path: Path) -> None:
    run("load", base, "flights", _day(tmp_path), "-i", "hour,carrier")
    result = run("dump", base, "flights", "-", "--kind", "csv", "--prefix", "10", "-c", "flight,carrier")
    assert result.stdout == '"flight","carrier"\n1,"AA"\n1545,"UA"\n'
    result = run("dump", base, "flights", "-", "-k", "jsonl", "-p", "10", "-p", "UA")
    assert json.loads(result.stdout) == {"hour": 10, "carrier": "UA", "flight": 1545, "tail": "N14228"}
    out = tmp_path / "out"
    assert run("dump", base, "flights", out, "-k", "parquet").exit_code == 0
    assert len(pd.read_parquet(out)) == 3


def test_dump_fails_in_one_line_and_leaves_what_is_there(run: Run, base: Path, tmp_path: Path) -> None:
    run("load", base, "flights", _day(tmp_path), "-i", "hour,carrier")
    for arguments, message in (
        (("flights", "-"), "--kind"),
        (("flights", "x.xlsx"), "must end in one of"),
        (("none", "x.csv"), "no store 'none'"),
        (("flights", tmp_path), "must end in one of"),
        (("flights", "x.csv", "-p", "ten"), "--prefix ten: the key column 'hour' is int64"),
        (("flights", "x.csv", "-c", "nope"), "'nope'"),
        (("flights", tmp_path / "none" / "x.csv"), "no folder"),
    ):
        result = run("dump", base, *arguments)
        assert result.exit_code == 2, result.output
        assert len(result.stderr.splitlines()) == 1
        assert message in result.stderr
    assert run("dump", tmp_path / "no.sop", "flights", "x.csv").exit_code == 2
    assert not (tmp_path / "no.sop").exists()


def test_dump_ends_quietly_when_nobody_reads_on(base: Path) -> None:
    with sopnb.open(base) as db:
        db.load("numbers", pd.DataFrame({"n": range(200_000)}), index="n")
    command = [Path(sys.executable).with_name("sopnb"), "dump", base, "numbers", "-", "--kind", "csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'"n"\n'
        process.stdout.close()
        assert process.stderr.read() == b""
