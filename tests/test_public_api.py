"""The public names: all there, all explained, and no word of the documentation names what does not exist."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sopnb
from sopnb import errors, protocols, settings

ROOT = Path(__file__).parent.parent
WORDS = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
MODULES = sorted(found.name for found in pkgutil.walk_packages(sopnb.__path__, "sopnb."))


def _public_errors() -> dict[str, type[BaseException]]:
    return {name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, errors.SopError)}


def test_all_names_what_can_be_imported() -> None:
    assert len(sopnb.__all__) == len(set(sopnb.__all__))
    named = {name for name, each in vars(sopnb).items() if not name.startswith("_") and not inspect.ismodule(each)}
    named.discard("annotations")
    assert set(sopnb.__all__) == named | ({"errors"} & set(sopnb.__all__))


@pytest.mark.parametrize("name", sopnb.__all__)
def test_each_public_name_and_method_has_a_docstring(name: str) -> None:
    thing = getattr(sopnb, name)
    assert inspect.getdoc(thing), name
    if inspect.isclass(thing):
        for member, each in vars(thing).items():
            refused = getattr(each, "__name__", "").startswith("_")
            if not member.startswith("_") and not refused and (callable(each) or isinstance(each, property | classmethod | staticmethod)):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"


def test_the_public_names_live_in_sopnb_wherever_they_are_defined() -> None:
    for name, error in _public_errors().items():
        assert not hasattr(sopnb, name) or getattr(sopnb, name) is error


def test_the_tree_of_errors_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, tuple[str | None, set[str]]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^ {4}([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        drawn[found[2]] = (above[depth - 1] if depth else None, {found[3]} if found[3] else set())
        above[depth:] = [found[2]]
    real = {
        name: (
            next((base.__name__ for base in error.__bases__ if issubclass(base, errors.SopError)), None),
            {base.__name__ for base in error.__bases__ if not issubclass(base, errors.SopError)} - {"Exception"},
        )
        for name, error in _public_errors().items()
    }
    assert drawn == real


def _docstrings() -> Iterator[tuple[str, str]]:
    for name in MODULES:
        module = importlib.import_module(name)
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield name, ast.get_docstring(node) or ""


def test_every_error_that_a_docstring_says_is_raised_exists() -> None:
    for module, told in _docstrings():
        for sentence in re.findall(r"[Rr]aises? ([^.]*)", told):
            for name in re.findall(r"``([A-Z]\w+)``", sentence):
                assert name in _public_errors() or hasattr(builtins, name) or _known(name, module), f"{module}: {name}"


def _known(name: str, module: str) -> bool:
    """Say whether a module, or one beside it, has the name: errors that stay within a package are none that users catch."""
    package = module.rpartition(".")[0]
    near = [each for each in MODULES if package != "sopnb" and each.rpartition(".")[0] == package]
    return any(hasattr(importlib.import_module(each), name) for each in (module, *near))


def test_every_error_that_the_documents_name_exists() -> None:
    classes = {name for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", WORDS)}
    known = {*_public_errors(), *sopnb.__all__, *vars(protocols), *vars(settings)}
    assert {"Conflict", "CommitUnknown", "Corruption"} <= classes
    assert classes <= known, classes - known


def test_every_attribute_that_the_documents_name_exists() -> None:
    owners: dict[str, Any] = {"db": sopnb.Database, "tx": sopnb.Transaction, "store": sopnb.Store, "sopnb": sopnb}
    for owner, name in re.findall(r"\b(db|tx|store|sopnb)\.([a-z]\w+)", re.sub(r"sopnb\.(errors|settings|storage|\w+\.\w+)", "", WORDS)):
        assert hasattr(owners[owner], name) or f"{owner}.{name}" in MODULES, f"{owner}.{name}"


def test_every_setting_is_explained_and_has_a_place_in_open() -> None:
    for kind in (settings.DatabaseSettings, settings.HandleSettings):
        source = inspect.getsource(kind)
        for each in dataclasses.fields(kind):
            assert re.search(rf"^    {each.name}: .*$", source, re.MULTILINE), each.name
    parameters = inspect.signature(sopnb.open).parameters
    known = {each.name for kind in (settings.DatabaseSettings, settings.HandleSettings) for each in dataclasses.fields(kind)}
    told = set(re.findall(r"``(\w+(?:_bytes|_rows|_seconds|_limit|_ratio|_share))``", "".join(text for _, text in _docstrings())))
    assert told <= known | set(parameters) | {"outcome_seconds"}, told - known


def test_the_changelog_speaks_of_this_version() -> None:
    from importlib.metadata import version

    heading = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    assert heading == "Unreleased" or version("sopnb").startswith(heading.split()[0])
