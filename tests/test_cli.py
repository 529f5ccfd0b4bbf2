"""The command line: readable, scriptable, one line for a failure, and nothing written by a command that reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import sopnb
from sopnb.cli import main

Run = Callable[..., Result]
COLUMNS = {
    "author": "string",
    "written": "timestamp[us, UTC]",
    "stars": "float",
    "price": "decimal128(10, 2)",
    "raw": "bytes",
    "tags": "json",
    "day": "date",
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = str(tmp_path / "notes.sop")
    with sopnb.open(path) as db:
        notes = db.create("notes", schema=COLUMNS, index=sopnb.IndexSpecification.of("author", "-written"))
        first = {"author": "ada", "written": datetime(2013, 1, 1, 10, tzinfo=UTC), "stars": float("nan"), "tags": ["a", {"b": None}]}
        notes.insert(first | {"price": Decimal("3.50"), "raw": b"\x00\xff", "day": date(2013, 1, 2)})
        notes.insert({"author": "bob", "written": "2013-01-01 11:00"})
        db.tag("two")
        with db.transaction(message="a third", author="eve") as tx:
            tx["notes"].insert({"author": "bob", "written": "2013-01-02 11:00", "stars": 4.5})
            tx["notes"].update(("bob", "2013-01-01 11:00"), {"stars": 1.0})
        assert db.check().ok
    return path


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return invoke


def _json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _files(path: str) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in Path(path).rglob("*") if p.is_file()}


def test_info(run: Run, path: str) -> None:
    lines = dict(line.split("  ", 1) for line in run("info", path).stdout.splitlines())
    told = {name: value.strip() for name, value in lines.items()}
    assert told["stores"] == "1, with 3 records"
    assert told["tags"] == "two (3)"
    assert set(_json(run("info", path, "--json"))) >= {"seq", "stores", "tags", "log_bytes"}


def test_stores(run: Run, path: str) -> None:
    head, line = run("stores", path).stdout.splitlines()
    assert head.split()[:2] == ["store", "records"]
    assert line.split()[:5] == ["notes", "3", "author,", "-written", "yes"]
    facts = _json(run("stores", path, "--json"))["notes"]
    assert facts["rows"] == 3
    assert facts["schema"]["written"] == "timestamp[us, tz=UTC]"


def test_head(run: Run, path: str) -> None:
    lines = run("head", path, "notes", "-n", "2", "-c", "author,stars").stdout.splitlines()
    assert [line.split() for line in lines] == [["author", "stars"], ["0", "ada", "NaN"], ["1", "bob", "4.5"]]
    first, *others = _json(run("head", path, "notes", "--json"))
    assert first == {
        "author": "ada",
        "written": "2013-01-01T10:00:00+00:00",
        "stars": None,
        "price": "3.50",
        "raw": "00ff",
        "tags": ["a", {"b": None}],
        "day": "2013-01-02",
    }
    assert [record["stars"] for record in others] == [4.5, 1.0]
    assert [record["stars"] for record in _json(run("head", path, "notes", "-r", "-n", "1", "--json"))] == [1.0]
    assert _json(run("head", path, "notes", "-n", "0", "--json")) == []


def test_check_says_that_all_is_well(run: Run, path: str) -> None:
    assert run("check", path).stdout == "check: nothing is wrong\n"
    assert _json(run("check", path, "--json")) == {"ok": True, "problems": []}


def test_check_exits_with_1_where_something_is_wrong(run: Run, path: str) -> None:
    with sopnb.open(path) as db:
        db.fold()
    (blob,) = [p for p in Path(path, "blobs").rglob("*") if p.is_file()]
    data = blob.read_bytes()
    blob.write_bytes(data[: len(data) // 2])
    result = run("check", path)
    assert result.exit_code == 1
    assert "notes" in result.stdout
    report = run("check", path, "--json")
    assert report.exit_code == 1
    assert not json.loads(report.stdout)["ok"]


def test_compact(run: Run, path: str) -> None:
    result = run("compact", path, "--keep", "0")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("blobs")
    assert set(_json(run("compact", path, "--json"))) == {"blobs_before", "blobs_after", "log_before", "log_after"}
    assert _json(run("stores", path, "--json"))["notes"]["tail"] == 0


def test_log(run: Run, path: str) -> None:
    newest, *others = _json(run("log", path, "--json"))
    assert (newest["author"], newest["message"]) == ("eve", "a third")
    assert (newest["stores"], newest["inserted"], newest["updated"], newest["deleted"]) == (["notes"], 1, 1, 0)
    assert datetime.fromisoformat(newest["time"]).tzinfo is not None
    assert [commit["seq"] for commit in others] == sorted((commit["seq"] for commit in others), reverse=True)
    head, line = run("log", path, "-n", "1").stdout.splitlines()
    assert head.split()[0] == "commit"
    assert line.endswith("a third  notes   1 inserted, 1 updated")
    assert run("log", path, "-s", "others").stdout.splitlines()[1:] == []


@pytest.mark.parametrize("command", ["info", "stores", "check", "log", "head"])
def test_what_reads_writes_nothing(run: Run, path: str, command: str) -> None:
    before = _files(path)
    assert run(command, path, *(["notes"] if command == "head" else [])).exit_code == 0
    assert _files(path) == before


@pytest.mark.parametrize("command", ["info", "stores", "check", "log", "head", "compact"])
def test_a_path_without_a_database_is_one_line_and_is_not_created(run: Run, tmp_path: Path, command: str) -> None:
    missing = tmp_path / "missing.sop"
    result = run(command, str(missing), *(["notes"] if command == "head" else []))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "missing.sop" in result.stderr
    assert not missing.exists()


def test_failures_name_what_there_is(run: Run, path: str, tmp_path: Path) -> None:
    assert run("head", path, "nots").stderr == "Error: no store 'nots'; there are: 'notes'\n"
    assert "'stars'" in run("head", path, "notes", "-c", "starz").stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file.txt").write_text("not ours")
    other = run("info", str(tmp_path / "other"))
    assert (other.exit_code, len(other.stderr.splitlines())) == (2, 1)


def test_it_is_installed_as_a_command_and_ends_quietly_when_nobody_reads_on(path: str) -> None:
    command = Path(sys.executable).with_name("sopnb")
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("sopnb, version ")
    with subprocess.Popen([command, "info", path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
