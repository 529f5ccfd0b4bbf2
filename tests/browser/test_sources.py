"""The sources of the front end, and what is made of them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import sopnb

FRONTEND = Path(__file__).parents[2] / "frontend"
STATIC = Path(sopnb.__file__).parent / "widgets" / "static"


def _bundle() -> Any:
    spec = importlib.util.spec_from_file_location("bundle", FRONTEND / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_types_hold() -> None:
    node, _, environment = _bundle().tools()
    checked = subprocess.run(
        [*node, "node_modules/typescript/bin/tsc", "--noEmit"], cwd=FRONTEND, env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_bundle_is_made_of_these_sources() -> None:
    assert _bundle().up_to_date()


def test_the_bundle_names_no_place_of_the_machine_that_made_it() -> None:
    text = (STATIC / "browser.js").read_text()
    assert str(FRONTEND.parent) not in text
    assert "sourceMappingURL" not in text


def test_every_package_in_the_bundle_has_its_licence_beside_it() -> None:
    licences = (STATIC / "THIRD-PARTY-LICENSES.txt").read_text()
    lock = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    asked = json.loads((FRONTEND / "package.json").read_text())["dependencies"]
    for name, version in asked.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} has no exact version"
        if name != "esbuild":
            assert f"{name} {lock[f'node_modules/{name}']['version']} (" in licences
    assert set(re.findall(r"^\S+ \S+ \(([^)]+)\)$", licences, re.MULTILINE)) == {"MIT"}
