"""Variables that are kept: equal when they come back, in one commit, never by pickle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import sopnb
from sopnb import literals
from sopnb.errors import Corruption, InvalidInput, NotFound
from sopnb.variables import Variables
from tests.api_support import QUIET, SMALL


@pytest.fixture
def kept() -> Any:
    db = sopnb.open(":memory:", settings=SMALL, handle=QUIET)
    yield Variables(db)
    assert db.check().ok
    db.close()


def same(value: Any, other: Any) -> None:
    assert type(value) is type(other)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(value, other, check_freq=not isinstance(value.index, pd.MultiIndex))
        assert value.columns.identical(other.columns)
        assert value.attrs == other.attrs
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(value, other)
        assert value.attrs == other.attrs
    elif isinstance(value, np.ndarray):
        assert value.dtype == other.dtype
        assert value.shape == other.shape
        assert value.tobytes() == other.tobytes()
        assert value.flags.f_contiguous == other.flags.f_contiguous
    elif isinstance(value, pa.Table):
        assert value.equals(other, check_metadata=True)
    elif isinstance(value, pl.DataFrame):
        assert value.schema == other.schema
        assert value.equals(other)
    elif isinstance(value, pl.Series):
        assert value.equals(other, check_dtypes=True, check_names=True)
    else:
        assert literals.dumps(value, "v") == literals.dumps(other, "v")


def indexes(n: int) -> Any:
    """Return indexes of n rows: of numbers, texts, times, categories, several levels; named or not; sorted or not, with repeats."""
    levels = [
        st.lists(st.integers(-3, 3), min_size=n, max_size=n).map(lambda v: pd.Index(v, dtype="int64")),
        st.lists(st.integers(-(2**62), 2**62), min_size=n, max_size=n, unique=True).map(lambda v: pd.Index(sorted(v), dtype="int64")),
        st.lists(st.text(max_size=3), min_size=n, max_size=n).map(lambda v: pd.Index(v, dtype="str")),
        st.lists(st.text(max_size=3), min_size=n, max_size=n, unique=True).map(lambda v: pd.Index(sorted(v), dtype="str")),
        st.sampled_from(["h", "D"]).map(lambda freq: pd.date_range("2013-01-01", periods=n, freq=freq, tz="Europe/Berlin")),
        st.lists(st.sampled_from("ab"), min_size=n, max_size=n).map(lambda v: pd.CategoricalIndex(v, categories=["c", "b", "a"])),
        st.lists(st.floats(), min_size=n, max_size=n).map(lambda v: pd.Index(v, dtype="float64")),
    ]
    label = st.none() | st.sampled_from(["key", "a", "_row", ""]) | st.just(3)
    single = st.builds(lambda index, name: index.rename(name), st.one_of(levels), label)
    ranges = st.builds(
        lambda start, step, name: pd.RangeIndex(start, start + n * step, step, name=name),
        st.integers(-3, 3),
        st.sampled_from([1, -2]),
        label,
    )
    several = st.lists(single, min_size=2, max_size=3).map(lambda parts: pd.MultiIndex.from_arrays(parts, names=[p.name for p in parts]))
    return ranges | single | several


@st.composite
def frames(draw: Any) -> pd.DataFrame:
    n = draw(st.integers(0, 6))
    kinds = [
        st.lists(st.integers(-3, 3), min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype="int64")),
        st.lists(st.none() | st.floats(), min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype="float64")),
        st.lists(st.none() | st.text(max_size=3), min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype="str")),
        st.lists(st.none() | st.integers(-3, 3), min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype="Int64")),
        st.lists(st.none() | st.sampled_from("xy"), min_size=n, max_size=n).map(lambda v: pd.Series(pd.Categorical(v, ["y", "z", "x"]))),
    ]
    columns = draw(st.lists(st.one_of(kinds), max_size=4))
    labels = draw(
        st.sampled_from(
            [
                pd.Index(["a", "b", "_id", "_row"][: len(columns)], dtype="str"),
                pd.Index(["a", "a", "a_", "b"][: len(columns)], dtype="str", name="names"),
                pd.RangeIndex(len(columns)),
                pd.date_range("2013-01-01", periods=len(columns), tz="UTC").rename("day"),
                pd.Index([3, 1, 2, 7][: len(columns)], name="number"),
                pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1), ("b", 2)], names=["x", None])[: len(columns)],
            ]
        )
    )
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n))
    frame.columns, frame.index = labels, draw(indexes(n))
    frame.attrs = draw(st.sampled_from([{}, {"unit": ("minutes", date(2013, 1, 31))}]))
    return frame


PLAIN = arrays.scalar_dtypes() | arrays.byte_string_dtypes() | arrays.unicode_string_dtypes()
ARRAYS = arrays.arrays(PLAIN, arrays.array_shapes(min_dims=0, min_side=0, max_side=4)) | arrays.arrays(">i2", (2, 3)).map(np.asfortranarray)


@given(frames() | ARRAYS)
def test_frames_and_arrays_come_back_equal(value: Any) -> None:
    with sopnb.open(":memory:", settings=SMALL, handle=QUIET) as db:
        Variables(db).save({"value": value})
        same(Variables(db).load("value"), value)
        assert db.check().ok


@pytest.mark.parametrize(
    "value",
    [
        pd.Series([1.5, None], name=("a", 1)),
        pd.Series(["x", "y"], index=pd.Index([2, 1], name="n")).rename(3),
        pa.table({"a": [1, None], "b": pa.array(["x", "y"]).dictionary_encode()}, metadata={"made": "here"}),
        pa.table([pa.array([1]), pa.array([[{"x": 1}]])], names=["a", "a"]),
        pa.table({}),
        pl.DataFrame({"a": [1, None], "b": ["x", "y"]}).with_columns(c=pl.col("b").cast(pl.Enum(["y", "x"])), d=pl.lit([1.5])),
        pl.Series("s", ["x", None, "x"], dtype=pl.Categorical),
        np.array(Decimal("1.5"), dtype="float32"),
        {"model": {"limits": (1, None), "day": date(2013, 1, 31)}, "x" * 100_000: [b"\0"]},
        "",
        None,
        Decimal("1.10"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_every_kind_come_back_equal(kept: Variables, value: Any) -> None:
    kept.save({"value": value})
    same(kept.load("value"), value)


def test_an_array_larger_than_a_chunk_comes_back_equal(kept: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopnb.variables.CHUNK", 1000)
    value = np.arange(1000, dtype="int64").reshape(10, 100)
    kept.save({"value": value, "none": value[:0]})
    same(kept.load("value"), value)
    loaded = kept.load("value")
    loaded[0, 0] = 7  # it is the caller's own
    assert kept.load("none").shape == (0, 100)


def test_several_are_saved_in_one_commit_or_not_at_all(kept: Variables) -> None:
    db = kept._db
    saved = kept.save({"frame": pd.DataFrame({"a": [1]}), "x": 1})
    assert [variable.seq for variable in saved] == [db.seq, db.seq] == [1, 1]
    with pytest.raises(InvalidInput, match="y is of type"):
        kept.save({"x": 2, "y": object()})
    with pytest.raises(InvalidInput, match="frame cannot be kept: column 'a' of dtype complex"):
        kept.save({"x": 2, "frame": pd.DataFrame({"a": [1j]})})
    assert db.seq == 1
    assert kept.load("x") == 1


def test_what_is_saved_again_takes_the_place_of_what_was(kept: Variables) -> None:
    for value in (pd.DataFrame({"a": [1, 2]}), np.arange(3), 5, 5, pd.DataFrame({"b": ["x"]})):
        (saved,) = kept.save({"value": value})
        assert saved.seq == kept._db.seq
        same(kept.load("value"), value)
    kept.save({"value": None})
    assert kept._db.stores() == ("variables",)


def test_a_sorted_named_index_is_the_key_of_the_rows(kept: Variables) -> None:
    frame = pd.DataFrame({"seats": [55, 182]}, index=pd.Index(["N1", "N3"], name="tailnum"))
    kept.save({"planes": frame, "turned": frame[::-1]})
    planes = kept._db["var.planes"]
    assert planes["N3"]["seats"] == 182
    planes.upsert({"tailnum": "N2", "seats": 7})
    assert kept.load("planes").index.tolist() == ["N1", "N2", "N3"]
    assert kept._db["var.turned"].index.names == ("_row",)


def test_rows_may_be_edited_as_a_store(kept: Variables) -> None:
    kept.save({"frame": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2013-01-01", periods=2, freq="D"))})
    kept._db["var.frame"].delete(0)
    assert kept.load("frame").index.tolist() == [pd.Timestamp("2013-01-02")]


def test_variables_are_removed_together(kept: Variables) -> None:
    kept.save({"a": 1, "b": pd.DataFrame({"x": [1]})})
    with pytest.raises(NotFound, match="no variable 'c' is kept here; there are: a, b"):
        kept.remove("a", "c")
    kept.remove("a", "b")
    assert kept.list() == ()
    assert kept._db.stores() == ("variables",)


def test_a_store_that_is_somebody_elses_is_left_alone(kept: Variables) -> None:
    kept._db.create("variables", schema={"name": "string"}, index="name")
    for use in (lambda: kept.save({"a": 1}), lambda: kept.load("a"), kept.list):
        with pytest.raises(InvalidInput, match="'variables' is no list of variables; rename it"):
            use()


@pytest.mark.parametrize("name", ["", "a b", "1", "a.b", "a" * 101])
def test_names_are_those_that_python_has(kept: Variables, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a variable"):
        kept.save({name: 1})


def test_bytes_of_a_damaged_list_are_never_taken_for_objects(kept: Variables) -> None:
    kept.save({"a": np.zeros(4)})
    says = kept._db["variables"]["a"]["says"].replace("<f8", "O")
    kept._db["variables"].update("a", {"says": says})
    with pytest.raises(Corruption):
        kept.load("a")


@pytest.mark.parametrize("value", [np.array([object()]), np.zeros(2, "i4,i4"), np.ma.array([1]), pd.Index([1]), [pd.DataFrame()]])
def test_other_things_are_refused_with_the_remedy(kept: Variables, value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"value(\[0\])? is .*which cannot be kept; (make it|keep) "):
        kept.save({"value": value})


def test_many_may_save_at_once(tmp_path: Path) -> None:
    def save(worker: int) -> None:
        with sopnb.open(tmp_path / "a.sop", handle=QUIET) as db:
            for turn in range(5):
                Variables(db).save({f"own{worker}": pd.DataFrame({"a": [worker, turn]}), "shared": worker})

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(save, range(4)))
    with sopnb.open(tmp_path / "a.sop", handle=QUIET) as db:
        kept = Variables(db)
        assert kept.names() == ("own0", "own1", "own2", "own3", "shared")
        assert [kept.load(f"own{worker}")["a"].tolist() for worker in range(4)] == [[worker, 4] for worker in range(4)]
        assert kept.load("shared") in range(4)
        assert db.check().ok


def test_all_that_is_loaded_at_once_is_of_one_state(tmp_path: Path) -> None:
    with sopnb.open(tmp_path / "a.sop", handle=QUIET) as db, sopnb.open(tmp_path / "a.sop", mode="r") as other:
        Variables(db).save({"a": 1, "b": 2})
        assert Variables(other).several(["b", "a"]) == [2, 1]
        assert Variables(other).names() == ("a", "b")
        with pytest.raises(sopnb.ReadOnly):
            Variables(other).save({"a": 3})
        assert db.check().ok
