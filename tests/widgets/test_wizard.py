"""The import of data as a widget: its choices both ways, loads from here and from a page, and what a notebook keeps of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import traitlets

import sopnb
from sopnb import IndexSpecification
from tests.api_support import QUIET
from tests.widgets.conftest import Wire

PLANES = pd.DataFrame({"tailnum": ["N1", "N2", "N3"], "seats": [55, 100, 182]})
TAILNUM = IndexSpecification.of("tailnum")


@pytest.fixture
def db() -> Iterator[sopnb.Database]:
    with sopnb.open(":memory:", handle=QUIET) as db:
        yield db
        assert db.check().ok


def _wire(widget: Any) -> Wire:
    found: Wire = widget.comm
    return found


def test_a_frame_is_loaded_as_chosen_here(db: sopnb.Database) -> None:
    wizard = sopnb.ImportWizard(db, PLANES)
    assert TAILNUM in wizard.suggestions()
    wizard.name, wizard.value = "planes", TAILNUM
    seen = []
    wizard.observe(lambda change: seen.append((change["new"], wizard.rows)), "store")
    wizard.load(message="planes of a day")
    assert seen == [("planes", 3)]
    assert db["planes"][:].to_pandas().equals(PLANES)
    assert db.log().message.iloc[-1] == "planes of a day"


def test_the_named_index_of_a_frame_is_the_key_unless_another_one_is_chosen(db: sopnb.Database) -> None:
    wizard = sopnb.ImportWizard(db, PLANES.set_index("tailnum"))
    wizard.name = "planes"
    wizard.load()
    assert db["planes"].index == TAILNUM


def test_a_file_is_loaded_with_types_and_what_does_not_fit_is_counted(db: sopnb.Database, tmp_path: Path) -> None:
    path = tmp_path / "planes.csv"
    path.write_text("tailnum,seats\nN1,055\nN1,060\nN3,182\n")
    wizard = sopnb.ImportWizard(db, path)
    assert wizard.source == str(path)
    wizard.name, wizard.types, wizard.value, wizard.on_error = "planes", {"seats": "string"}, TAILNUM, "report"
    wizard.load()
    assert (wizard.store, wizard.rows, wizard.rejected) == ("planes", 2, 1)
    assert db["planes"]["N1"]["seats"] == "055"


def test_what_cannot_be_loaded_is_told_and_nothing_is_lost(db: sopnb.Database) -> None:
    wizard = sopnb.ImportWizard(db)
    with pytest.raises(sopnb.InvalidInput, match="no name yet"):
        wizard.load()
    wizard.name, wizard.value = "planes", TAILNUM
    with pytest.raises(sopnb.InvalidInput, match="no data yet"):
        wizard.load()
    wizard = sopnb.ImportWizard(db, PLANES)
    wizard.name, wizard.value = "planes", IndexSpecification.of("tail")
    with pytest.raises(sopnb.InvalidInput, match="'tail'"):
        wizard.load()
    assert (wizard.store, wizard.rows, list(db)) == ("", 0, [])
    with pytest.raises(traitlets.TraitError):
        wizard.if_exists = "perhaps"
    with pytest.raises(sopnb.InvalidInput, match="into a database"):
        sopnb.ImportWizard(PLANES, PLANES)


def test_a_snapshot_and_a_database_for_reading_take_nothing(tmp_path: Path) -> None:
    sopnb.open(tmp_path / "one.sop", handle=QUIET).close()
    with sopnb.open(tmp_path / "one.sop", mode="r", handle=QUIET) as db, pytest.raises(sopnb.ReadOnly, match="for reading only"):
        sopnb.ImportWizard(db, PLANES)


def test_the_page_looks_and_loads_and_the_traits_follow(db: sopnb.Database) -> None:
    wizard = sopnb.ImportWizard(db, PLANES)
    wire = _wire(wizard)
    assert wire.state["data"] == {"frame": "data"}
    assert wire.ask("import.preview", frame="data")["total"] == 3
    wire.set(name="planes", specification=TAILNUM.to_json())
    assert (wizard.name, wizard.value) == ("planes", TAILNUM)
    done = wire.ask("import.run", frame="data", store="planes", specification=TAILNUM.to_json())
    assert done["counts"]["inserted"] == 3
    assert (wizard.store, wizard.rows, wire.state["store"]) == ("planes", 3, "planes")
    wizard.close()


@pytest.mark.parametrize("cancelled", [False, True])
def test_whatever_is_asked_during_a_load_is_answered(db: sopnb.Database, cancelled: bool) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def pieces() -> Iterator[pd.DataFrame]:
        yield PLANES
        begun.set()
        assert go_on.wait(60)
        yield PLANES.assign(tailnum=["N4", "N5", "N6"])

    wizard = sopnb.ImportWizard(db, PLANES)
    wizard._view.frames["data"] = pieces()
    wire = _wire(wizard)
    wire.custom({"id": 1, "op": "import.run", "args": {"frame": "data", "store": "planes", "specification": TAILNUM.to_json()}})
    assert begun.wait(60)
    assert wire.ask("progress")["what"]
    assert wire.ask("tree")["stores"] == []
    if cancelled:
        assert wire.ask("cancel") == {"cancelled": 1}
    go_on.set()
    answer, _ = wire.sent.get(timeout=60)
    assert answer["id"] == 1
    if cancelled:
        assert answer["error"]["code"] == "cancelled"
        assert (wizard.store, wizard.rows, db.stores()) == ("", 0, ())
    else:
        assert (answer["ok"]["counts"]["inserted"], wizard.store) == (6, "planes")
    wizard.close()


def test_what_a_cell_shows_is_the_same_in_every_run(db: sopnb.Database) -> None:
    def shown() -> Any:
        data, _ = sopnb.ImportWizard(db, PLANES)._repr_mimebundle_()
        assert data.pop("application/vnd.jupyter.widget-view+json")
        return data

    once = shown()
    assert once == shown()
    assert once["text/plain"] == "ImportWizard into database ':memory:'"
    assert "N3" in once["text/html"]
    wizard = sopnb.ImportWizard(db, PLANES)
    wizard.name, wizard.value = "planes", TAILNUM
    wizard.load()
    assert repr(wizard) == "ImportWizard into database ':memory:': 3 rows in store 'planes'"
    assert "3 rows loaded" in wizard._repr_mimebundle_()[0]["text/html"]
