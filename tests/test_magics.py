"""``%sop`` as people type it, in a shell, and across two kernels."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import KernelManager
from traitlets.config import Config

import sopnb
from sopnb.magics import parameters


class Shell:
    """A shell that runs one cell after another, and what they print and return."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
        self.names: dict[str, Any] = self.shell.user_ns
        self("%load_ext sopnb")

    def __call__(self, cell: str) -> Any:
        """Run a cell and return its value."""
        self._capsys.readouterr()
        ran = self.shell.run_cell(cell, store_history=False)
        self.printed, self.error = self._capsys.readouterr()
        if ran.error_in_exec is not None and "UsageError" not in type(ran.error_in_exec).__name__:
            raise ran.error_in_exec
        return ran.result


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    made = Shell(capsys)
    yield made
    for value in made.names.values():
        if isinstance(value, sopnb.Database) and not value.closed:
            assert value.check().ok
            value.close()


def test_variables_are_kept_and_come_back(shell: Shell) -> None:
    shell("%sop open 'my trips.sop'")
    assert shell.printed == "db: database 'my trips.sop'; 0 stores; variables: none yet\n"
    frame = pd.DataFrame({"seats": [55, 182]}, index=["N1", "N3"])
    shell.names.update(frame=frame, limit=(60, "minutes"))
    shell("%sop save frame limit")
    assert shell.printed == "saved frame (pandas.DataFrame, 2 x 1)\nsaved limit (value, tuple, 2)\n"
    assert shell.names["db"].seq == 1
    del shell.names["frame"], shell.names["limit"]
    shell("%sop load frame limit")
    pd.testing.assert_frame_equal(shell.names["frame"], frame)
    assert shell.names["limit"] == (60, "minutes")
    assert repr(shell("%sop ls")).splitlines() == [
        "Variables 'my trips.sop': 2 kept",
        "  variable  kind              type   shape",
        "  frame     pandas.DataFrame         2 x 1",
        "  limit     value             tuple  2",
    ]
    shell("%sop rm frame")
    shell("%sop")
    assert shell.printed == "db: database 'my trips.sop'; 0 stores; variables: limit\n"


def test_lines_are_completed_with_commands_and_names(shell: Shell) -> None:
    def completed(line: str) -> list[str]:
        with provisionalcompleter():
            return [found.text for found in shell.shell.Completer.completions(line, len(line))]

    assert completed("%sop l") == ["load", "ls"]
    shell("%sop open a.sop as trips")
    shell.names.update(table_one=1, table_two=2)
    shell("%sop save table_one")
    assert completed("%sop load t") == ["table_one"]
    assert completed("%sop rm ta") == ["table_one"]
    assert completed("%sop save ta") == ["table_one", "table_two"]
    assert completed("%sop use tr") == ["trips"]


def test_one_variable_under_another_name(shell: Shell) -> None:
    shell("%sop open trips.sop as trips")
    shell.names["x"] = 1
    shell("%sop save x as first")
    shell("%sop load first as y")
    assert shell.names["y"] == 1
    assert "first" not in shell.names


def test_another_database_under_the_same_name_takes_its_place(shell: Shell) -> None:
    shell("%sop open a.sop")
    first = shell.names["db"]
    shell("%sop open b.sop")
    assert first.closed
    assert shell.names["db"].name == "b.sop"
    shell("%sop open a.sop as other")
    shell("%sop use db")
    assert shell.printed.startswith("db: database 'b.sop'")
    shell("%sop close")
    assert shell.names["db"].closed
    shell("%sop")
    assert shell.printed == "no database is open; %sop open PATH\n"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("%sop save x", "no database is open"),
        ("%sop open", "say which database"),
        ("%sop open a b", "say which database"),
        ("%sop open a as 1b", "'1b' cannot be the name of a variable"),
        ("%sop use nothing", "say which variable holds an open database"),
        ("%sop nonsense", "there is no command 'nonsense'"),
        ("%sop open 'a", "No closing quotation"),
        ("%sop open a.sop\n%sop save", "say which variables"),
        ("%sop open a.sop\n%sop save x y as z", "say which variables"),
        ("%sop open a.sop\n%sop save nothing", "there is no variable 'nothing' to save"),
        ("%sop open a.sop\n%sop load nothing", "no variable 'nothing' is kept here; there are: none yet"),
        ("%sop open a.sop\n%sop rm nothing", "no variable 'nothing' is kept here"),
        ("%sop open a.sop\n%sop save x", "x is of type builtins.object, which cannot be kept"),
        ("%%sop a b\nselect 1", "the name of one variable"),
        ("%%sop --params x\nselect 1", "--params takes the name of a dict"),
        ("%%sop\nselect $nothing", "the query names $nothing, and there is no variable 'nothing'"),
        ("%%sop\nselect 1", "no database is open"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(shell: Shell, cell: str, told: str) -> None:
    shell.names["x"] = object()
    shell(cell)
    assert told in shell.error
    assert "Traceback" not in shell.error
    assert shell.error.startswith("UsageError: ")


@pytest.fixture
def planes(shell: Shell) -> Shell:
    shell("%sop open planes.sop")
    frame = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 149, 182]})
    shell.names["db"].load("planes", frame, index="tailnum")
    return shell


def test_a_query_takes_the_variables_that_it_names(planes: Shell) -> None:
    planes.names.update(least=100, most=160, other=3)
    found = planes("%%sop found\nselect tailnum, '$other' as text from planes where seats > $least and seats < $most -- $nothing")
    assert found.to_dict("list") == {"tailnum": ["N2"], "text": ["$other"]}
    assert planes.names["found"] is found
    assert planes("%%sop\nselect count(*) as n from planes")["n"].tolist() == [3]


def test_a_query_takes_the_items_of_a_dict(planes: Shell) -> None:
    planes.names.update(limits={"least": 160, "other": 1}, least=0, most=7)
    assert planes("%%sop --params limits\nselect tailnum from planes where seats > $least")["tailnum"].tolist() == ["N3"]
    planes("%%sop --params limits\nselect $most")
    assert "the query names $most, and there is no variable 'most'" in planes.error


def test_a_value_is_never_a_part_of_the_query(planes: Shell) -> None:
    planes.names["tailnum"] = "N1' or 'a' = 'a"
    assert len(planes("%%sop\nselect * from planes where tailnum = $tailnum")) == 0
    planes.names["tailnum"] = "N1"
    assert len(planes("%%sop\nselect * from planes where tailnum = $tailnum")) == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("select * from trains", "no store 'trains'; there are: 'planes'"),
        ("select nothing from planes", "nothing"),
        ("selec 1", "syntax error"),
        ("drop table planes", "only reads"),
        ("select $object", "object"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_without_a_trace(planes: Shell, query: str, told: str) -> None:
    planes.names["object"] = object()
    planes(f"%%sop found\n{query}")
    assert planes.error.startswith("UsageError: ")
    assert told in planes.error
    assert "Traceback" not in planes.error
    assert "found" not in planes.names


def test_kept_rows_can_be_queried(planes: Shell) -> None:
    planes.names["frame"] = pd.DataFrame({"a": [1, 2, 3]})
    planes("%sop save frame")
    assert planes('%%sop\nselect sum(a) as total from "var.frame"')["total"].tolist() == [6]


def test_only_parameters_are_taken_for_such() -> None:
    query = """select '$a', 'it''s $b', "$c", $$ $d $$, $tag$ $e $tag$, /* $f
        $g */ $h -- $i
        , $j1, $h"""
    assert parameters(query) == ("h", "j1")


def test_variables_outlive_their_kernel(tmp_path: Path) -> None:
    first = Kernel(tmp_path)
    first.run("%load_ext sopnb\n%sop open kept.sop")
    first.run(
        "import pandas as pd, numpy as np\nframe = pd.DataFrame({'a': [1, None], 'b': ['x', 'y']})\narray = np.arange(6).reshape(2, 3)"
    )
    first.run("%sop save frame array")
    first.kill()
    second = Kernel(tmp_path)
    try:
        second.run("%load_ext sopnb\n%sop open kept.sop\n%sop load frame array")
        assert second.run("(frame.to_dict('list'), array.tolist())") == "({'a': [1.0, nan], 'b': ['x', 'y']}, [[0, 1, 2], [3, 4, 5]])"
        assert second.run("db.check().ok") == "True"
    finally:
        second.kill()


class Kernel:
    """A kernel of its own process, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=120)

    def run(self, cell: str) -> str:
        """Run a cell and return its value as text; raises what it raises."""
        sent = self._client.execute(cell)
        value, failed = "", ""
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=120)
            except queue.Empty:
                raise AssertionError(f"the kernel does not answer to {cell!r}") from None
            if message["parent_header"].get("msg_id") != sent:
                continue
            content = message["content"]
            if message["msg_type"] == "execute_result":
                value = content["data"]["text/plain"]
            elif message["msg_type"] == "error" or content.get("name") == "stderr":
                failed += str(content)
            elif content.get("execution_state") == "idle":
                assert not failed, failed
                return value

    def kill(self) -> None:
        """End the process as a crash does."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
