"""What ``import sopnb`` loads, and where other libraries may be imported."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import sopnb

PACKAGE = Path(sopnb.__file__).parent
LAZY = {"pandas", "polars", "duckdb", "redis", "cassandra", "anywidget", "ipywidgets", "IPython", "starlette", "uvicorn", "click", "tqdm",
        "cel_expr_python", "celpy"}  # fmt: skip


def test_import_sopnb_loads_no_library_for_frames_servers_or_screens() -> None:
    code = f"import sys, sopnb; print(sorted({LAZY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_only_the_modules_that_the_design_names_use_files_the_clock_or_chance() -> None:
    allowed = {
        "os": {"storage", "testing", "engine"},  # in the engine: its hook for forks, and the process id
        "random": {"storage", "testing"},
        "time": {"storage", "testing"},
        "fcntl": {"storage", "testing"},
    }
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0]
        for name in _imported(path):
            assert name not in allowed or part in allowed[name], f"{path.relative_to(PACKAGE)} imports {name}"


def test_no_module_runs_what_it_reads() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert not _imported(path) & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}, path
        calls = {node.func.id for node in ast.walk(_tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert not calls & {"eval", "exec", "compile"}, path


def test_the_layers_that_are_explained_are_those_that_are_checked() -> None:
    root = PACKAGE.parent
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    drawing = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layers")[2].split("```")[1]
    assert [re.split(r"  +", line)[0] for line in drawing.strip().splitlines()] == layers


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names
