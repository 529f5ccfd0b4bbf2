"""Bringing data into a store on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import traitlets

from sopnb import display
from sopnb.database import Database
from sopnb.display import Panel
from sopnb.errors import InvalidInput, ReadOnly
from sopnb.index import IndexSpecification
from sopnb.view import View
from sopnb.widgets.asking import asked, line, told
from sopnb.widgets.browser import Shell
from sopnb.widgets.specified import FRAME, SHOWN, Specified

IF_EXISTS = ("raise", "replace", "insert", "upsert")


class ImportWizard(Specified, Shell):
    """Loads data into a store, step by step: columns and first rows are seen, types and key are chosen, and one commit loads it.

    ``data`` is a frame of pandas, Polars or Arrow, or a path or pattern of files; without it the page asks for a path, or for rows that
    are pasted from a spreadsheet. The page suggests keys with the reasons, tells how far the load is, and which rows were left out.

    What is chosen are traits, the same on the page and here, and ``load`` does what its button does:

    - ``source``: the path or pattern of the files; "" for a frame. ``name``: of the store. ``types``: type words by column of text.
    - ``value``: the key as an ``IndexSpecification``, None for that of the data; ``specification`` is the same as plain values.
    - ``if_exists``: "raise", "replace", "insert" or "upsert". ``on_error``: "raise", or "report" to leave out what does not fit.
    - ``store``: the store that was loaded, "" before. ``rows``: how many records it got from the data; ``rejected``: how many it did not.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> wizard = sopnb.ImportWizard(db, pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}))
    >>> wizard
    ImportWizard into database ':memory:'
    >>> wizard.suggestions()
    [IndexSpecification(tailnum), IndexSpecification(seats)]
    >>> wizard.name, wizard.value = "planes", sopnb.IndexSpecification.of("tailnum")
    >>> wizard.load()
    >>> wizard.store, wizard.rows, db["planes"]["N3"]["seats"]
    ('planes', 2, 182)
    """

    source = traitlets.Unicode("").tag(sync=True)
    name = traitlets.Unicode("").tag(sync=True)
    types: Any = traitlets.Dict(value_trait=traitlets.Unicode(), key_trait=traitlets.Unicode()).tag(sync=True)
    if_exists = traitlets.Enum(IF_EXISTS, "raise").tag(sync=True)
    on_error = traitlets.Enum(("raise", "report"), "raise").tag(sync=True)
    store = traitlets.Unicode("", read_only=True).tag(sync=True)
    rows = traitlets.Int(0, read_only=True).tag(sync=True)
    rejected = traitlets.Int(0, read_only=True).tag(sync=True)
    data: Any = traitlets.Dict(read_only=True, help="how messages name the data").tag(sync=True)

    def __init__(self, db: Database, data: Any = None, *, height: int = 480) -> None:
        if not isinstance(db, Database):
            raise InvalidInput(f"data is loaded into a database, not into {type(db).__name__}; give the one that sopnb.open returned")
        view = View(db, edit=True)
        if not view.edit:
            raise ReadOnly(f"{view.title!r} is open for reading only")
        named = data is not None and not isinstance(data, str | Path)
        if named:
            view.frames[FRAME] = data
            asked(view, "index.fields", frame=FRAME)
        super().__init__(view, height=height, kind="import", source="" if named or data is None else str(data))
        self.set_trait("data", {"frame": FRAME} if named else {})

    def suggestions(self) -> list[IndexSpecification]:
        """Return the keys that suit the data, the best first. Raises ``InvalidInput`` if there is none yet, or it cannot be read."""
        return [IndexSpecification.from_json(each["specification"]) for each in self._preview()["suggestions"]]

    def load(self, *, message: str = "") -> None:
        """Load the data as chosen, in one commit, which is durable when this returns.

        Raises ``InvalidInput`` with what is to be mended, or ``Closed``; nothing was loaded then, and the choices stay.
        """
        chosen = {"store": self.name, "if_exists": self.if_exists, "on_error": self.on_error, "message": message}
        if not self.name:
            raise InvalidInput("the store has no name yet; set name")
        key = {} if self.specification is None else {"specification": self.specification}
        told(self._answer({"id": 0, "op": "import.run", "args": {**self._given(), **chosen, **key}}))

    def _given(self) -> dict[str, Any]:
        types = {"types": self.types} if self.types else {}
        if self.data:
            return {**self.data, **types}
        if not self.source:
            raise InvalidInput("there is no data yet; set source to a path")
        return {"source": self.source, **types}

    def _preview(self) -> dict[str, Any]:
        return asked(self._view, "import.preview", **self._given())

    def _answer(self, message: Any) -> dict[str, Any]:
        answer = super()._answer(message)
        if "ok" in answer and message["op"] == "import.run":
            done = answer["ok"]
            self.set_trait("rows", sum(done["counts"].values()))
            self.set_trait("rejected", done["rejected_rows"])
            self.set_trait("store", done["store"])
        return answer

    def _panel(self) -> Panel:
        if self.store:
            return Panel("Import", self.store, (f"{self.rows:,} rows loaded", *([f"{self.rejected:,} left out"] if self.rejected else [])))
        if not self.data and not self.source:
            return Panel("Import", facts=("no data is chosen yet",))
        shown = self._preview()
        heads = tuple(display.Column(display.clean(column["name"]), column["type"]) for column in shown["columns"])
        total = shown["total"]
        facts = () if total is None else (f"{total:,} rows",)
        return Panel("Import", self.source and Path(self.source).name, facts, heads, tuple(line(row) for row in shown["rows"][:SHOWN]))

    def __repr__(self) -> str:
        done = f": {self.rows:,} rows in store {self.store!r}" if self.store else ""
        return f"ImportWizard into database {self._view.title!r}{done}"
