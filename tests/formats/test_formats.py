"""M18: a database that an earlier release wrote opens, reads equal, passes its check and can be written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import sopnb
from tests.formats.write import EXPECTED, HERE, build, digest, read, told

RELEASES = sorted(path.parent.name for path in HERE.glob(f"*/{EXPECTED}"))


@pytest.fixture(params=RELEASES)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a release wrote."""
    return Path(shutil.copytree(HERE / request.param, tmp_path / request.param))


def test_there_is_at_least_one_release() -> None:
    assert {"0.1.0", "0.2.0", "0.3.0"} <= set(RELEASES)


@pytest.mark.parametrize("mode", ["r", "a"])
def test_what_a_release_wrote_is_read(written: Path, mode: str) -> None:
    expected = json.loads((written / EXPECTED).read_text(encoding="utf-8"))
    with sopnb.open(written / "database", mode=mode) as db:
        assert read(db) == expected["now"]
        for tag in db.tags():
            with db.at(tag=tag) as past:
                assert digest(read(past)) == expected[f"tag {tag}"]
        assert {f"tag {tag}" for tag in db.tags()} | {"now", "version"} == set(expected)
        assert [(a, m) for a, m in db.log()[["author", "message"]].itertuples(index=False) if m][-1] == ("ada", "the tail")
        frame = db["frame"][:].to_pandas()
        assert list(frame.index.names) == ["group", "when"]
        assert frame.attrs == {"source": "sopnb"}
        if "month" in frame:  # not in 0.1.0
            assert frame.dtypes.map(str)[["n", "x", "month", "word"]].tolist() == ["Int64", "float64", "period[M]", "string"]
            assert frame["age"].cat.categories.tolist() == [pd.Interval(0, 10), pd.Interval(10, 20), pd.Interval(20, 40)]
        assert db.check().ok


def test_what_a_release_wrote_can_be_written(written: Path) -> None:
    with sopnb.open(written / "database") as db:
        before = read(db)
        db["types"].insert({"key": 1000, "string": "new"})
        db.compact(keep=0)
        assert db.check().ok
    with sopnb.open(written / "database", mode="r") as db:
        after = read(db)
        assert after["types"]["records"][-1][0] == 1000
        after["types"]["records"].pop()
        assert after == before
        assert set(db.tags()) == {"folded", "with a run"}


def test_reading_a_database_changes_none_of_its_files(written: Path) -> None:
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}
    with sopnb.open(written / "database", mode="r") as db:
        read(db)
    assert {path: path.read_bytes() for path in written.rglob("*") if path.is_file()} == before


def test_this_release_writes_the_same_content(tmp_path: Path) -> None:
    expected = json.loads((HERE / RELEASES[-1] / EXPECTED).read_text(encoding="utf-8"))
    assert json.loads(json.dumps(build(tmp_path / "database"))) == expected


def test_told_keeps_kinds_apart() -> None:
    assert told(1) != told(1.0) != told("1.0") != told(b"1.0")
