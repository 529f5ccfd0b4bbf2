"""A damaged folder gives a typed error or the right answer; never wrong rows, never a crash. A full disk changes nothing.

A small database with all there is in it (a base, a run, a tail, values out of line, a tag, two checkpoints) is damaged one place at a
time: bytes flipped, files cut and removed. Each time it is opened and everything is read; what was read must be right, and where reading
failed, ``check`` must name it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sopnb
from sopnb import DatabaseSettings, HandleSettings
from sopnb.errors import CommitUnknown, Corruption, HistoryGone, NotFound, SopError, StorageError, UnsupportedFormat

SETTINGS = DatabaseSettings(
    leaf_bytes=512, leaf_rows=8, branch_bytes=400, inline_rows=6, value_bytes=100, segment_bytes=4096, segment_limit=4096
)
TYPED = (Corruption, UnsupportedFormat, HistoryGone, NotFound, StorageError)
"""What a damaged file may raise."""


@dataclass
class Original:
    """A sound folder, and all that can be read of it."""

    folder: Path
    files: list[Path]
    frames: dict[str, pd.DataFrame]


def everything(db: sopnb.Database) -> dict[str, pd.DataFrame]:
    """Read all records, of now and of the tagged state, by scans, and some by key."""
    frames = {name: db[name][:].to_pandas() for name in db.stores()}
    for key in (5, 25, 59):
        record = db["s"][key]
        assert frames["s"].set_index("k").loc[key, "v"] == record["v"]
    with db.at(tag="before") as old:
        frames |= {f"{name} before": old[name][:].to_pandas() for name in old.stores()}
    return frames


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp("sound") / "base.sop"
    with sopnb.open(folder, settings=SETTINGS, handle=HandleSettings(maintenance="off")) as db:
        upkeep = db._lease.engine.upkeep
        frame = pd.DataFrame(
            {"k": np.arange(60), "v": [f"value {k}" for k in range(60)], "w": ["long " * 40 if k % 20 == 19 else "" for k in range(60)]}
        )
        db.load("s", frame, index="k")
        db.load("t", pd.DataFrame({"a": ["x", "y"], "b": [1.5, np.nan]}), index=["a"])
        db.tag("before")
        db["s"].upsert(pd.DataFrame({"k": np.arange(30, 40), "v": ["new"] * 10}))
        db.fold()
        upkeep.checkpoint()
        db["s"].upsert(pd.DataFrame({"k": np.arange(20, 30), "v": ["newer"] * 10}))
        db["s"].upsert({"k": 5, "v": "in the tail"})
        db["s"].delete(7)
        for k in range(3):
            db["t"].insert({"a": f"row {k}", "b": float(k)})
        assert db.info()["stores"]["s"]["runs"] == 1
        assert db.info()["stores"]["s"]["tail"] == 2
        frames = everything(db)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return Original(folder, files, frames)


@pytest.fixture
def damaged(original: Original, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.folder, tmp_path / "damaged.sop"))


def judged(original: Original, folder: Path, told: str, mode: Any = "r") -> str:
    """Open a damaged folder and read it all; return the name of the error, or ``right``."""
    try:
        with sopnb.open(folder, mode) as db:
            failed: SopError | None = None
            try:
                found = everything(db)
            except TYPED as error:
                failed = error
            if failed is not None:
                named = not db.check().ok
                past = all(_reads(db, name) for name in db.stores())  # check looks at the newest state
                assert named or past, f"{told}: check() found nothing of {failed!r}"
                return type(failed).__name__
    except TYPED as error:
        return type(error).__name__
    for name, frame in original.frames.items():
        pd.testing.assert_frame_equal(found[name], frame, obj=f"{told}: {name}")
    return "right"


def _reads(db: sopnb.Database, name: str) -> bool:
    try:
        db[name][:].to_pandas()
    except SopError:
        return False
    return True


def places(original: Original, request: pytest.FixtureRequest, most: int) -> Iterator[tuple[Path, list[int]]]:
    """Yield every file with some places in it: the first and last bytes and some between; all of them with ``--long``."""
    for path in original.files:
        size = path.stat().st_size
        random = np.random.default_rng(zlib.crc32(path.parent.name.encode()) + size)
        if request.config.getoption("--long") or size <= most:
            chosen = list(range(size))
        else:
            used = len(path.read_bytes().rstrip(b"\0"))
            chosen = sorted({0, size - 1, used - 1, *random.integers(used, size=most).tolist()})
        yield path.relative_to(original.folder), chosen


def test_a_flipped_byte_anywhere_is_an_error_or_does_no_harm(original: Original, damaged: Path, request: pytest.FixtureRequest) -> None:
    answers: dict[str, set[str]] = {}
    for name, offsets in places(original, request, 40):
        path = damaged / name
        sound = path.read_bytes()
        for offset in offsets:
            mask = 1 << (offset * 7 % 8)
            path.write_bytes(sound[:offset] + bytes([sound[offset] ^ mask]) + sound[offset + 1 :])
            kind = name.parts[0] if name.name != "head" else "head"
            answers.setdefault(kind, set()).add(judged(original, damaged, f"{name} byte {offset} xor {mask}"))
        path.write_bytes(sound)
    assert answers["blobs"] >= {"Corruption"}
    assert answers["log"] >= {"Corruption"}
    assert answers["head"] == {"right"}
    assert answers["checkpoints"] == {"right"}
    assert answers["format"] <= {"Corruption", "UnsupportedFormat"}
    assert judged(original, damaged, "nothing") == "right"


def test_a_file_cut_anywhere_is_an_error_or_does_no_harm(original: Original, damaged: Path, request: pytest.FixtureRequest) -> None:
    answers: dict[str, set[str]] = {}
    for name, offsets in places(original, request, 12):
        path = damaged / name
        sound = path.read_bytes()
        for offset in offsets:
            path.write_bytes(sound[:offset])
            kind = name.parts[0] if name.name != "head" else "head"
            answers.setdefault(kind, set()).add(judged(original, damaged, f"{name} cut to {offset}"))
        path.write_bytes(sound)
    assert "Corruption" in answers["blobs"]
    assert "Corruption" in answers["log"]
    assert answers["head"] == {"right"}
    assert answers["checkpoints"] == {"right"}
    assert answers["format"] <= {"Corruption", "UnsupportedFormat", "right"}, "without its last line end it is whole"


def test_a_missing_file_is_an_error_or_does_no_harm(original: Original, damaged: Path) -> None:
    answers: dict[str, set[str]] = {}
    for path in original.files:
        name = path.relative_to(original.folder)
        (damaged / name).unlink()
        kind = name.parts[0] if name.name != "head" else "head"
        answers.setdefault(kind, set()).add(judged(original, damaged, f"{name} removed"))
        shutil.copy2(path, damaged / name)
    assert "Corruption" in answers["blobs"]
    assert "Corruption" in answers["log"]
    assert answers["head"] == {"right"}
    assert answers["checkpoints"] == {"right"}
    assert answers["format"] == {"UnsupportedFormat"}


def test_what_a_writer_meets_is_an_error_too_and_it_never_makes_things_worse(original: Original, tmp_path: Path) -> None:
    # A writer recovers and may cut a torn tail; of damage it must not make one.
    for n, path in enumerate(path for path in original.files for _ in range(6)):
        random = np.random.default_rng(n)
        folder = Path(shutil.copytree(original.folder, tmp_path / str(n)))
        victim = folder / path.relative_to(original.folder)
        data = bytearray(victim.read_bytes())
        offset = int(random.integers(len(bytes(data).rstrip(b"\0"))))
        data[offset] ^= 1 << int(random.integers(8))
        victim.write_bytes(data)
        told = f"{victim.relative_to(folder)} byte {offset}, seed {n}"
        try:
            with sopnb.open(folder) as db:
                db["t"].insert({"a": "after", "b": 0.0})
                assert len(db["t"]) == len(original.frames["t"]) + 1, told
                db["t"].delete("after")
        except TYPED:
            victim.write_bytes(path.read_bytes())
            shutil.copy2(original.folder / "log" / "head", folder / "log" / "head")
        assert judged(original, folder, told, "a") in ("right", "Corruption"), told
        shutil.rmtree(folder)


def test_swapped_blobs_are_found(original: Original, damaged: Path) -> None:
    blobs = [path.relative_to(original.folder) for path in original.files if path.parent.name == "blobs"]
    assert len(blobs) >= 3
    for one, other in pairwise(blobs):
        (damaged / one).write_bytes((original.folder / other).read_bytes())
        (damaged / other).write_bytes((original.folder / one).read_bytes())
        assert judged(original, damaged, f"{one} and {other} swapped") == "Corruption"
        for name in (one, other):
            shutil.copy2(original.folder / name, damaged / name)


def test_the_blobs_of_another_database_are_not_taken_for_its_own(original: Original, damaged: Path, tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "other.sop", settings=SETTINGS) as other:
        other.load("s", original.frames["s"], index="k")
    (theirs,) = [path for path in (tmp_path / "other.sop" / "blobs").iterdir() if path.is_file()]
    for path in original.files:
        if path.parent.name == "blobs":
            (damaged / path.relative_to(original.folder)).write_bytes(theirs.read_bytes())
    assert judged(original, damaged, "blobs of another database") == "Corruption"


def test_check_names_every_damaged_blob_and_the_store_it_is_of(original: Original, damaged: Path) -> None:
    with sopnb.open(damaged, "r") as db:
        needed = {blob: name for name, store in db._lease.engine.state().stores.items() for blob in store.blobs}
    for path in original.files:
        if path.parent.name != "blobs":
            continue
        victim = damaged / path.relative_to(original.folder)
        victim.write_bytes(bytes(victim.stat().st_size))
        with sopnb.open(damaged, "r") as db:
            report = db.check()
            assert any(path.name in problem.where for problem in report), "those of past states, too"
            assert not report.ok
            if path.name in needed:
                assert any(path.name in problem.what and problem.store == needed[path.name] for problem in report), report
        victim.unlink()
        with sopnb.open(damaged, "r") as db:
            assert any(path.name in problem.where for problem in db.check())
        shutil.copy2(path, victim)
    with sopnb.open(damaged, "r") as db:
        assert db.check().ok


@pytest.mark.parametrize("how", ["cut to nothing", "cut in half", "removed", "zeros"])
def test_a_file_damaged_under_an_open_database_is_an_error_not_a_crash(damaged: Path, how: str) -> None:
    with sopnb.open(damaged) as db:
        rows = len(db["s"])
        assert [db["s"][k]["k"] for k in (0, 25, 35, 59)] == [0, 25, 35, 59]  # now the files are open, and a few leaves are kept
        for path in (damaged / "blobs").iterdir():
            _damage(path, how)
        try:
            whole = db["s"][:].to_pandas()
        except Corruption:
            pass
        else:  # a file that is removed while it is open is still all there
            assert how == "removed"
            assert len(whole) == rows
        assert not db.check().ok
        assert len(db["s"]) == rows  # the counts are known without the blobs
        db["t"].insert({"a": "after", "b": 1.0})
        with sopnb.open(":memory:") as another:  # this process goes on
            assert another.stores() == ()


@pytest.mark.parametrize("how", ["cut to nothing", "cut in half", "removed"])
def test_a_log_damaged_under_an_open_database_is_an_error_not_a_crash(damaged: Path, how: str) -> None:
    with sopnb.open(damaged) as db:
        db["t"].insert({"a": "before", "b": 1.0})
        for path in (damaged / "log").glob("*.segment"):
            _damage(path, how)
        with pytest.raises((*TYPED, CommitUnknown)):
            _write_and_read(db, damaged)


def _write_and_read(db: sopnb.Database, folder: Path) -> None:
    """Go on until somebody notices."""
    for n in range(50):
        db["t"].insert({"a": f"after {n}", "b": 1.0})
        with sopnb.open(folder, "r") as reader:
            reader["t"][:].to_pandas()


def _damage(path: Path, how: str) -> None:
    size = path.stat().st_size
    if how == "removed":
        path.unlink()
    elif how == "zeros":
        path.write_bytes(bytes(size))
    else:
        with path.open("r+b") as file:
            file.truncate(0 if how == "cut to nothing" else size // 2)


# -- a full disk --------------------------------------------------------------------------------------------------------------

FULL = """
import json, sys
from pathlib import Path
import numpy as np, pandas as pd
import sopnb
from sopnb.errors import NoSpace

mount = Path(sys.argv[1])
said = {}
settings = sopnb.DatabaseSettings(segment_bytes=64 * 1024, segment_limit=64 * 1024, inline_rows=50)
with sopnb.open(mount / "base.sop", settings=settings) as db:
    db.create("s", schema={"k": "int64", "v": "string"}, index="k")
    ballast = mount / "ballast"
    ballast.write_bytes(bytes(5 * 1024 * 1024))
    acknowledged, blobs = 0, sorted(p.name for p in (mount / "base.sop" / "blobs").iterdir())
    try:  # small commits until the log cannot grow
        while True:
            db["s"].insert({"k": acknowledged, "v": "x" * 2000})
            acknowledged += 1
    except NoSpace as error:
        said["small"] = str(error)
    try:  # and a bulk write, which needs a blob
        db["s"].insert(pd.DataFrame({"k": np.arange(10**6, 10**6 + 500), "v": ["%0500d" % k for k in range(500)]}))
    except NoSpace as error:
        said["bulk"] = str(error)
    try:
        db.fold()
    except NoSpace as error:
        said["fold"] = str(error)
    said["rows"], said["acknowledged"] = len(db["s"][:].to_pandas()), acknowledged
    said["checked"] = db.check().ok
    said["drafts"] = [p.name for p in (mount / "base.sop").rglob("*.tmp")]
    ballast.unlink()
    db["s"].insert({"k": acknowledged, "v": "after"})
    db.compact(keep=0)
    said["after"] = len(db["s"])
    said["last"] = db["s"].last()["v"]
with sopnb.open(mount / "base.sop") as db:
    said["reopened"] = len(db["s"][:].to_pandas())
    said["sound"] = db.check().ok
print(json.dumps(said))
"""


def test_a_full_disk_changes_nothing_and_all_goes_on_once_there_is_room(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    inside = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, "sh", str(mount), sys.executable, FULL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["acknowledged"] > 100
    assert said["rows"] == said["acknowledged"]
    assert {"small", "bulk"} <= said.keys()
    assert "No space left" in said["small"]
    assert said["drafts"] == []
    assert said["checked"]
    assert said["after"] == said["reopened"] == said["acknowledged"] + 1
    assert said["last"] == "after"
    assert said["sound"]
