"""A package that need not be there: imported when it is, else named with the command that installs it."""

from __future__ import annotations

import json.decoder
import sys
from pathlib import Path

import pytest

from sopnb.errors import MissingPackage
from sopnb.frames.optional import optional


def test_a_package_that_is_there_is_returned() -> None:
    assert optional("json.decoder", "sql") is json.decoder


@pytest.mark.parametrize("module", ["duckdb", "duckdb.typing"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.delitem(sys.modules, "duckdb.typing", raising=False)
    with pytest.raises(MissingPackage, match=r"package duckdb, .* pip install 'sopnb\[sql\]'") as caught:
        optional(module, "sql")
    assert (caught.value.package, caught.value.extra) == ("duckdb", "sql")
    assert isinstance(caught.value, ImportError)


def test_a_package_that_lacks_one_of_its_own_says_so_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halfthere.py").write_text("import notthereatall")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="notthereatall") as caught:
        optional("halfthere", "sql")
    assert not isinstance(caught.value, MissingPackage)
