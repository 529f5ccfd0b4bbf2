"""The errors keep their facts, write their sentence and are what people already catch."""

from __future__ import annotations

import pytest

from sopnb import errors


def test_an_error_is_also_the_builtin_that_people_catch() -> None:
    pairs = [
        (errors.KeyNotFound("flights", 7), KeyError),
        (errors.Timeout("the commit turn", waited=30, holder="process 12"), TimeoutError),
        (errors.StorageError("blob a", "input/output error", errno=5), OSError),
        (errors.SchemaMismatch("no", store="s", column="c"), TypeError),
        (errors.DuplicateKey("flights", 7), ValueError),
        (errors.ReadOnly("read only"), PermissionError),
        (errors.MissingPackage("duckdb", "sql"), ImportError),
    ]
    for error, builtin in pairs:
        assert isinstance(error, builtin)
        assert isinstance(error, errors.SopError)


def test_a_missing_key_is_told_as_a_sentence() -> None:
    assert str(errors.KeyNotFound("flights", ("UA", 7))) == "store 'flights' has no record with key ('UA', 7)"


def test_a_conflict_names_store_key_and_commit() -> None:
    error = errors.Conflict("written by another", store="flights", key=("UA", 7), seq=12)
    assert (error.store, error.key, error.seq) == ("flights", ("UA", 7), 12)
    assert "flights" in str(error)
    assert "commit 12" in str(error)


def test_a_storage_error_keeps_the_number_of_the_system() -> None:
    assert errors.StorageError("blob a", "failed", errno=5).errno == 5


@pytest.mark.parametrize("name", [n for n in vars(errors) if isinstance(getattr(errors, n), type) and n != "Any"])
def test_every_error_is_drawn_in_the_tree(name: str) -> None:
    assert name in (errors.__doc__ or "")
