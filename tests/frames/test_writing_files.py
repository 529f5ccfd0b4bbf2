"""Files written: whole or not at all, whatever comes between, and in bounded memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sopnb.errors import InvalidInput
from sopnb.frames.files import delimited
from sopnb.frames.files.files import source
from sopnb.frames.files.writing import write
from tests.frames.files import AWKWARD, SUFFIXES, read, write_text

# -- writing ------------------------------------------------------------------------------------------------------------------


def test_what_a_kind_cannot_hold_is_refused_by_column_and_the_target_stays(tmp_path: Path) -> None:
    arrays = {
        "csv": pa.array([[1]]),
        "tsv": pa.array([b"x"], pa.large_binary()),
        "jsonl": pa.array([b"x"]),
        "orc": pa.array([1], pa.uint64()),
    }
    for suffix, array in arrays.items():
        path = write_text(tmp_path, f"x.{suffix}", "old")
        with pytest.raises(InvalidInput, match="column 'odd' of type .* cannot be written as"):
            write(pa.table({"k": [1], "odd": array}).to_reader(), path)
        assert path.read_text() == "old"
    with pytest.raises(InvalidInput, match="'nan'.*NaN"):
        write(pa.table({"nan": [1.0, float("nan")]}).to_reader(), tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == "old"
    with pytest.raises(InvalidInput, match="must end in one of"):
        write(pa.table({"k": [1]}).to_reader(), tmp_path / "x.doc")
    with pytest.raises(InvalidInput, match="is no file"):
        write(pa.table({"k": [1]}).to_reader(), tmp_path, kind="csv")
    with pytest.raises(InvalidInput, match="no folder"):
        write(pa.table({"k": [1]}).to_reader(), tmp_path / "none" / "x.csv")
    with pytest.raises(InvalidInput, match="kind='xlsx'"):
        write(pa.table({"k": [1]}).to_reader(), tmp_path / "x.csv", kind="xlsx")
    assert len(list(tmp_path.iterdir())) == 4


def test_dictionaries_that_differ_between_batches_are_written(tmp_path: Path) -> None:
    kind = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("x", kind)])
    batches = [
        pa.record_batch([pa.array(values).dictionary_encode().cast(kind)], schema=schema)
        for values in (["a", "b"], ["c", "a"], ["b", None])
    ]
    for suffix in SUFFIXES:
        path = tmp_path / f"x.{suffix}"
        write(pa.RecordBatchReader.from_batches(schema, batches), path)
        assert read(path).column("x").to_pylist() == ["a", "b", "c", "a", "b", None], suffix


@pytest.mark.parametrize("suffix", ["csv.gz", "jsonl", "parquet", "feather", "orc"])
def test_an_interrupt_leaves_the_old_target_and_no_draft(tmp_path: Path, suffix: str) -> None:
    path = write_text(tmp_path, f"x.{suffix}", "old")

    def interrupted(rows: int) -> None:
        raise KeyboardInterrupt

    for reader, done in (
        (AWKWARD.to_reader(), interrupted),
        (pa.RecordBatchReader.from_batches(AWKWARD.schema, _failing(AWKWARD)), lambda rows: None),
    ):
        with pytest.raises((KeyboardInterrupt, RuntimeError, pa.ArrowException)):
            write(reader, path, done=done)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


def _failing(table: Any) -> Iterator[Any]:
    yield from table.to_batches()
    raise RuntimeError("the source failed")


def test_an_interrupted_import_leaves_the_database_as_it_was(db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_text(tmp_path, "x.csv", "k,x\n" + "".join(f"{n},{n}\n" for n in range(2000)))
    monkeypatch.setattr(delimited, "BLOCK", 2000)
    db.load("there", [{"k": 1}], index="k")
    seq = db.seq
    for at in (1, 4, 12):
        seen = 0
        true = delimited.values

        def values_then_interrupt(*args: Any, at: int = at, true: Callable[..., Any] = true, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == at:
                signal.raise_signal(signal.SIGINT)
            return true(*args, **more)

        with monkeypatch.context() as patch:
            patch.setattr(delimited, "values", values_then_interrupt)
            with pytest.raises(KeyboardInterrupt):
                db.load("x", path, index="k")
        assert seen == at
        assert db.stores() == ("there",)
        assert db.seq == seq


FULL = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from sopnb.errors import NoSpace
from sopnb.frames.files.writing import write
mount = Path(sys.argv[1])
large = pa.table({"k": np.random.default_rng(1).integers(0, 2**62, 200_000)})
for suffix in ("csv", "csv.gz", "jsonl", "parquet", "feather", "arrows", "orc"):
    path = mount / f"x.{suffix}"
    path.write_text("old")
    try:
        write(large.to_reader(max_chunksize=20_000), path)
    except NoSpace:
        print(suffix, path.read_text(), len(list(mount.iterdir())))
    path.unlink()
"""


def test_a_full_disk_leaves_the_old_target(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    inside = 'mount -t tmpfs -o size=512k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, "sh", str(mount), sys.executable, FULL]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout.splitlines() == [f"{suffix} old 1" for suffix in ("csv", "csv.gz", "jsonl", "parquet", "feather", "arrows", "orc")], (
        run.stderr
    )


def test_how_many_rows_are_to_come_is_known_or_guessed_from_bytes(db: Any, tmp_path: Path) -> None:
    path = write_text(tmp_path, "x.csv", "k,x\n" + "".join(f"{n:07},{n:07}\n" for n in range(100_000, 400_000)))
    files = source(path)
    seen: list[int] = []
    files.look(seen.append)
    assert sum(seen) == files.bytes
    assert (files.rows, files.expected()) == (300_000, 300_000)
    typed = source(path).into(pa.schema([("k", pa.string()), ("x", pa.string())]))
    assert typed.rows is typed.expected() is None
    guesses = [typed.expected() for _ in typed.batches()]
    assert guesses[-1] == 300_000
    assert all(guess is not None and guess < 600_000 for guess in guesses)


# -- large files --------------------------------------------------------------------------------------------------------------

LARGE = """
import sys
from pathlib import Path
import pyarrow as pa
import sopnb
from sopnb import HandleSettings
from sopnb.frames.files.writing import write

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

folder = Path(sys.argv[1])
handle = HandleSettings(progress=False, maintenance="off", load_bytes=16 << 20, cache_bytes=8 << 20)
with sopnb.open(folder / "large.sop", handle=handle) as db:
    small = folder / "small.csv"
    with small.open("w") as file:
        file.write("k,name,x\\n" + "".join(f"{n},name of {n},{n}.5\\n" for n in range(20_000)))
    db.load("small", small, index="k")
    write(db["small"][:].to_reader(), folder / "small.parquet")
    before = peak()
    db.load("large", folder / "large.csv", index="k")
    write(db["large"][:].to_reader(), folder / "out.csv.zst")
    print(peak() - before, len(db["large"]), (folder / "large.csv").stat().st_size)
"""


def test_memory_stays_bounded_while_a_large_file_goes_in_and_out(tmp_path: Path) -> None:
    with (tmp_path / "large.csv").open("w") as file:
        file.write("k,name,x\n")
        for start in range(0, 3_000_000, 100_000):
            file.write(
                "".join(f"{n * 7919 % 3_000_017},the name of a record whose number is {n},{n}.25\n" for n in range(start, start + 100_000))
            )
    run = subprocess.run([sys.executable, "-c", LARGE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    more, rows, size = map(int, run.stdout.split())
    assert rows == 3_000_000
    assert size > 150_000_000
    assert more < size, "less than the text of the file"
