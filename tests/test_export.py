"""Selections as files: what they choose is what the file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest

import sopnb
from sopnb.errors import InvalidInput

FRAME = pd.DataFrame(
    {"seats": pd.array([55, None, 182, 149], "Int64"), "kind": pd.Categorical(["jet", "prop", None, "jet"])},
    index=pd.Index(["N1", "N2", "N3", "N4"], name="tailnum"),
)


@pytest.fixture
def db() -> Any:
    with sopnb.open(":memory:") as db:
        db.load("planes", FRAME)
        yield db
        assert db.check().ok


@pytest.mark.parametrize("kind", ["parquet", "feather", "orc", "csv", "jsonl"])
def test_each_kind_holds_the_selected_records_and_loads_again(db: Any, tmp_path: Path, kind: str) -> None:
    selection = db["planes"]["N2":].where(pc.field("seats") > 100).reverse().select("seats", "tailnum")
    path = tmp_path / f"planes.{kind}"
    assert getattr(selection, f"to_{kind}")(path) == 2
    again = db.load("again", path, index="tailnum")
    assert [(r["tailnum"], r["seats"]) for r in again[:].records()] == [("N3", 182), ("N4", 149)]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_pandas_reads_the_frame_that_was_loaded(db: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"planes.{kind}"
    assert db["planes"][:].to_file(path) == 4
    pd.testing.assert_frame_equal(getattr(pd, f"read_{kind}")(path), db["planes"][:].to_pandas())


def test_the_name_says_the_kind_and_an_unknown_one_is_refused(db: Any, tmp_path: Path) -> None:
    assert db["planes"][:].to_file(tmp_path / "a.csv.gz") == 4
    assert db["planes"][:].to_file(tmp_path / "b", kind="jsonl") == 4
    assert (tmp_path / "b").read_text().count("\n") == 4
    with pytest.raises(InvalidInput, match="parquet"):
        db["planes"][:].to_file(tmp_path / "c.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv.gz", "b"]


def test_a_transaction_writes_what_it_sees_and_a_past_state_what_it_was(db: Any, tmp_path: Path) -> None:
    with db.transaction() as tx:
        tx["planes"].delete("N1")
        assert tx["planes"][:].to_parquet(tmp_path / "now.parquet") == 3
        tx.rollback()
    seq = db.seq
    db["planes"].delete(["N1", "N2"])
    with db.at(seq) as old:
        assert old["planes"][:].to_parquet(tmp_path / "old.parquet") == 4
    assert list(pd.read_parquet(tmp_path / "now.parquet").index) == ["N2", "N3", "N4"]
    assert list(pd.read_parquet(tmp_path / "old.parquet").index) == ["N1", "N2", "N3", "N4"]


def test_a_frame_is_read_in_the_dtypes_that_are_asked_for(db: Any) -> None:
    planes = db["planes"][:]
    assert str(planes.to_pandas()["seats"].dtype) == "Int64"
    assert isinstance(planes.to_pandas(dtype_backend="pyarrow")["seats"].dtype, pd.ArrowDtype)
    assert str(planes.to_pandas(dtype_backend="numpy_nullable")["seats"].dtype) == "Int64"
    with pytest.raises(InvalidInput, match="dtype_backend='numpy'"):
        planes.to_pandas(dtype_backend="numpy")
