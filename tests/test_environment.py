"""The conda environment asks for what pyproject.toml asks for, by the names of conda-forge."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONDA = {"xxhash": "python-xxhash", "duckdb": "python-duckdb"}
"""Names that differ."""


def test_environment_yml_equals_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {f"python{project['requires-python']}", "pip"}
    for requirement in [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]:
        name = re.match(r"[\w-]+", requirement)
        assert name is not None
        wanted.add(CONDA.get(name[0], name[0]) + requirement.partition(";")[0][name.end() :])
    listed = re.findall(r"^ +- ([\w-]+[^:\s]*)$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == wanted
