"""A wheel from a clean clone, made without Node and installed where nothing else is, shows the browser of stores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
from playwright.sync_api import Browser

import sopnb
from tests.api_support import QUIET
from tests.browser.host import ROOT
from tests.browser.lab import lab


def _run(*command: object, **how: str) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, env={**os.environ, **how}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_a_wheel_made_without_node_shows_the_grid(browser: Browser, tmp_path: Path) -> None:
    clone, bare, wheels = tmp_path / "clone", tmp_path / "bin", tmp_path / "wheels"
    _run("git", "clone", "--quiet", "--no-local", ROOT, clone)
    bare.mkdir()
    for name in ("sh", "env", "uname"):  # of what the machine has, npm needs these
        (bare / name).symlink_to(str(shutil.which(name)))
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, clone, PATH=str(bare), PYTHONPATH="")
    (wheel,) = wheels.glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("sopnb/widgets/static/")}
    assert {name.rsplit("/", 1)[1] for name in packed} >= {"browser.js", "THIRD-PARTY-LICENSES.txt"}

    _run(sys.executable, "-m", "venv", tmp_path / "venv", PYTHONPATH="")
    python = tmp_path / "venv" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", f"{wheel}[widgets]", "jupyterlab", PYTHONPATH="")
    with sopnb.open(tmp_path / "planes.sop", handle=QUIET) as db:
        db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
        with lab(browser, tmp_path / "lab", tmp_path / "planes.sop", installed=python) as served:
            grid = served.notebook().show("db")
            grid.shows(1, tailnum="N3", seats="182")
            assert Path(served.kernel().value("sopnb.__file__")).is_relative_to(tmp_path / "venv")
            assert served.outside == []
        assert db.check().ok
