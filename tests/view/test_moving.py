"""Data that comes in by the import wizard, and goes out to variables and files."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sopnb
from sopnb import IndexSpecification
from sopnb.access import progress
from sopnb.view.task import Task
from tests.api_support import QUIET
from tests.view.support import Browser

TEXT = 'tailnum\tseats\tbuilt\tdoc\nN1\t55\t2001-02-03\t"{""a"": 1}"\nN3\t\t2004-05-06\t\nN2\t182\t\t[]\n'
KEY = IndexSpecification.of("tailnum").to_json()


@pytest.fixture
def db() -> Iterator[Any]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        yield db
        assert db.check().ok


# -- in -----------------------------------------------------------------------------------------------------------------------


def test_pasted_text_is_looked_at_and_loaded(db: Any) -> None:
    browser = Browser(db)
    told = browser.ask("import.preview", text=TEXT, store="planes")
    assert [(c["name"], c["type"], c["kind"]) for c in told["columns"]] == [
        ("tailnum", "string", "text"), ("seats", "int64", "int"), ("built", "date32[day]", "date"), ("doc", "string", "text"),
    ]  # fmt: skip
    assert "json" in told["columns"][3]["choices"]
    assert told["rows"][0] == ["N1", "55", "2001-02-03", '{"a": 1}']
    assert (told["total"], told["key"], told["exists"]) == (3, None, False)
    assert told["suggestions"][0]["specification"]["fields"][0]["name"] == "tailnum"
    told = browser.ask("import.preview", text=TEXT, types={"doc": "json", "seats": "float64"})
    assert [c["kind"] for c in told["columns"]] == ["text", "float", "date", "json"]
    done = browser.ask("import.run", text=TEXT, types={"doc": "json"}, store="planes", specification=KEY, message="wizard")
    assert done == {
        "store": "planes", "seq": 1, "counts": {"inserted": 3, "updated": 0, "unchanged": 0}, "rejected": [], "rejected_rows": 0,
    }  # fmt: skip
    assert db["planes"]["N1"]["doc"] == {"a": 1}
    assert db["planes"]["N2"]["built"] is None
    assert db["planes"]["N1"]["built"] == date(2001, 2, 3)
    assert browser.ask("import.preview", text=TEXT, store="planes")["exists"] is True
    assert db.log()["message"].iloc[-1] == "wizard"


def test_rows_that_do_not_fit_are_reported(db: Any) -> None:
    browser = Browser(db)
    browser.ask("import.run", text="k,v\n1,a\n2,b\n", store="s", specification=IndexSpecification.of("k").to_json())
    browser.refused("import.run", "invalid", text="k,v\n1,x\n", store="s")
    browser.refused("import.run", "invalid", text="k,v\n1,x\n", store="s", if_exists="insert")
    done = browser.ask("import.run", text="k,v\n1,x\n5,y\n", store="s", if_exists="insert", on_error="report")
    assert (done["counts"]["inserted"], done["rejected_rows"]) == (1, 1)
    assert done["rejected"][0]["cells"] == {"k": "1", "v": "x"}
    assert "already there" in done["rejected"][0]["reason"]
    assert browser.ask("import.run", text="k,v\n1,x\n", store="s", if_exists="upsert")["counts"]["updated"] == 1
    assert db["s"][1]["v"] == "x"


def test_rows_of_lists_that_do_not_fit_are_reported(db: Any, tmp_path: Path) -> None:
    path = tmp_path / "legs.parquet"
    pq.write_table(pa.table({"k": [1, 2], "legs": [[1, 2], None]}), path)
    db.load("s", path, "k")
    done = Browser(db).ask("import.run", source=str(path), store="s", if_exists="insert", on_error="report")
    assert [each["cells"] for each in done["rejected"]] == [{"k": "1", "legs": "[1 2]"}, {"k": "2", "legs": None}]


def test_files_are_looked_at_and_loaded(db: Any, tmp_path: Path) -> None:
    path = tmp_path / "planes.csv"
    path.write_text("tailnum,seats\n" + "".join(f"N{n},{n}\n" for n in range(1000)))
    browser = Browser(db)
    told = browser.ask("import.preview", source=str(path))
    assert [(c["name"], c["type"]) for c in told["columns"]] == [("tailnum", "string"), ("seats", "int64")]
    assert (len(told["rows"]), told["total"], told["suggestions"][0]["unique"]) == (20, 1000, True)
    done = browser.ask("import.run", source=str(path), types={"seats": "float64"}, store="planes", specification=KEY)
    assert done["counts"]["inserted"] == 1000
    assert db["planes"]["N7"]["seats"] == 7.0
    browser.refused("import.preview", "invalid", source=str(tmp_path / "nothing.csv"))
    db["planes"][:].to_parquet(tmp_path / "planes.parquet")
    told = browser.ask("import.preview", source=[str(tmp_path / "planes.parquet")])
    assert (told["total"], told["rows"][0]) == (1000, ["N0", 0.0])


def test_frames_are_looked_at_and_loaded(db: Any) -> None:
    browser = Browser(db)
    browser.view.frames["df"] = pd.DataFrame({"seats": [55, 182]}, index=pd.Index(["N1", "N3"], name="tailnum"))
    told = browser.ask("import.preview", frame="df")
    assert (told["key"], told["total"]) == (["tailnum"], 2)
    assert all(column["choices"] == [] for column in told["columns"])
    assert browser.ask("import.run", frame="df", store="planes")["counts"]["inserted"] == 2
    assert db["planes"][:].to_pandas().equals(browser.view.frames["df"])
    browser.refused("import.run", "invalid", frame="df", types={"seats": "float64"}, store="x")
    browser.refused("import.run", "missing", frame="other", store="x")


def test_how_far_a_load_is_can_be_asked_meanwhile(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, told = Browser(db), []
    browser.view.frames["df"] = pd.DataFrame({"k": range(5000)})
    write = sopnb.Database.load

    def load(*args: Any, **how: Any) -> Any:
        hear: Any = progress._hears.get()
        with progress.heard(lambda *said: (hear(*said), told.append(browser.view.handle({"id": 9, "op": "progress"})["ok"]))):
            return write(*args, **how)

    monkeypatch.setattr(sopnb.Database, "load", load)
    browser.ask("import.run", frame="df", store="s", specification=IndexSpecification.of("k").to_json())
    assert told[0] == {"what": "load s", "done": 0, "total": 5000}
    assert told[-1] == {"what": "load s", "done": 5000, "total": 5000}
    assert browser.ask("progress") == {}


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"text": ""},
        {"text": "a,a\n1,2"},
        {"text": "a,\n1,2"},
        {"text": "a,b\n1,2,3"},
        {"text": 5},
        {"text": "a\n1", "types": {"b": "int64"}},
        {"text": "a\nx", "types": {"a": "int64"}},
        {"text": "a\n1", "types": {"a": "what"}},
        {"text": "a\n1", "types": {"a": "list[int64]"}},
        {"text": "a\n1", "types": {"a": 5}},
        {"text": "a\n{", "types": {"a": "json"}},
        {"text": "a\n\ud800"},
        {"text": "a\n1", "source": "x.csv"},
        {"source": 5},
        {"source": []},
        {"source": "nothing-of-this-name.xyz"},
        {"source": "a\0b.csv"},
    ],
)
def test_what_cannot_be_read_is_refused(db: Any, args: Any) -> None:
    Browser(db).refused("import.preview", "invalid", **args)
    Browser(db).refused("import.run", "invalid", store="s", specification=IndexSpecification.of("a").to_json(), **args)
    assert db.stores() == ()


def test_a_view_that_only_shows_loads_nothing(db: Any) -> None:
    Browser(db, edit=False).refused("import.run", "locked", text="a\n1", store="s")
    db.create("one", schema={"k": "int64"}, index="k")
    Browser(db["one"]).refused("import.run", "missing", text="a\n1", store="s")


# -- out ----------------------------------------------------------------------------------------------------------------------


def test_what_is_looked_at_is_taken_along(db: Any, tmp_path: Path) -> None:
    store = db.load("s", pd.DataFrame({"k": range(10), "v": [k % 3 for k in range(10)]}), index="k")
    store.create_index("by_v", "-v")
    browser, bound = Browser(db), {}
    query = {"store": "s", "order": "by_v", "where": "k > 2", "columns": ["v", "k"]}
    browser.refused("export", "locked", query=query, to="variable", name="df")
    browser.view.bind = bound.__setitem__
    assert browser.ask("export", query=query, to="variable", name="df") == {"rows": 7, "name": "df"}
    assert bound["df"].equals(store.by("by_v").where("k > 2").select("v", "k").to_pandas())
    browser.edit("s", browser.row("s", k="5"), "v", "9")
    browser.ask("export", query=query, to="variable", name="df")
    assert bound["df"].iloc[0].tolist() == [9, 5]
    path = tmp_path / "s.csv"
    assert browser.ask("export", query={**query, "reverse": True}, to="csv", name=str(path))["rows"] == 7
    assert pd.read_csv(path).iloc[-1].tolist() == [9, 5]
    path = tmp_path / "s.parquet"
    assert browser.ask("export", query={"store": "s"}, to="parquet", name=str(path))["rows"] == 10
    assert pd.read_parquet(path).shape == (10, 2)
    for to, name in (("variable", "not a name"), ("variable", "class"), ("csv", " "), ("excel", "x")):
        browser.refused("export", "invalid", query=query, to=to, name=name)


@pytest.mark.parametrize("query", [{}, {"order": "by_v"}])
def test_neither_a_jump_nor_an_export_holds_a_store_in_memory(tmp_path: Path, query: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    n, hear, most = 60_000, Task.hear, [0]
    frame = pd.DataFrame({"k": range(n), "v": [k * 7919 % n for k in range(n)], "text": [f"{k:0500d}" for k in range(n)]})
    with sopnb.open(tmp_path / "db", handle=replace(QUIET, cache_bytes=1 << 20)) as db:
        store = db.load("s", frame, index="k")
        store.create_index("by_v", IndexSpecification.of("v", carrying="text"))
        browser, whole, before = Browser(db), store.info()["bytes"], pa.total_allocated_bytes()

        def weighed(task: Task, *said: Any) -> None:
            hear(task, *said)
            most[0] = max(most[0], pa.total_allocated_bytes() - before)

        monkeypatch.setattr(Task, "hear", weighed)
        tracemalloc.start()
        try:
            assert len(browser.ask("page", query={"store": "s", **query}, start=n // 2, size=100)["rows"]) == 100
            assert browser.ask("export", query={"store": "s", **query}, to="csv", name=str(tmp_path / "s.csv"))["rows"] == n
            assert 0 < tracemalloc.get_traced_memory()[1] + most[0] < whole
        finally:
            tracemalloc.stop()
