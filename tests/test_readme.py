"""What the README shows works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from sopnb.cli import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_python_blocks_run_in_order_and_print_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = _blocks("python")
    assert len(blocks) >= 3
    names: dict[str, Any] = {}
    blocks.insert(0, blocks[0])  # what is tried first is tried again
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    said = [line.rpartition("# ")[2] for block in blocks for line in block.splitlines() if line.lstrip().startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said


def test_the_scripts_and_commands_exist() -> None:
    lines = [line.partition("#")[0].split() for block in _blocks("sh") for line in block.splitlines()]
    assert ["sh", ".ci/start"] in lines
    assert ["sh", ".ci/test"] in lines
    shown = set()
    for words in lines:
        if words[:1] == ["sh"]:
            assert (ROOT / words[1]).is_file()
        elif words:
            assert words[0] == "sopnb"
            assert isinstance(main.commands[words[1]], click.Command)
            shown.add(words[1])
    assert shown == set(main.commands), "every command is in the README"


def test_files_that_the_words_name_exist() -> None:
    for name in re.findall(r"`((?:notebooks|\.ci)/[\w.-]+|[A-Z]+\.md)`", TEXT + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        assert (ROOT / name).exists() or name == "notebooks/NAME.ipynb", name


def test_its_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert pictures
    for name in pictures:
        assert (ROOT / name).stat().st_size < 150_000
