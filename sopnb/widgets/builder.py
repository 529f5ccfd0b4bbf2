"""Building an index specification on the screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import traitlets

from sopnb import display
from sopnb.display import Panel
from sopnb.errors import InvalidInput
from sopnb.index import IndexSpecification
from sopnb.index.specification import expression_of, instead
from sopnb.store import Store
from sopnb.view import View
from sopnb.view.data import of_frame
from sopnb.widgets.asking import asked, line
from sopnb.widgets.browser import Shell
from sopnb.widgets.specified import FRAME, SHOWN, Specified


class IndexBuilder(Specified, Shell):
    """Builds an index specification for a store or a frame: fields are picked, ordered and turned, and the effect is seen at once.

    ``target`` is a store, or a frame of pandas, Polars or Arrow. The page shows the first rows in the order that is chosen, whether the
    key is unique, and which keys are there twice; it suggests keys with the reasons. For a store that may be written its button
    creates the index, in one commit.

    - ``value``: the ``IndexSpecification``, None before anything is chosen. It may be set and, as a trait, observed and linked.
    - ``specification``: the same as plain values, as ``IndexSpecification.to_json`` gives it.

    Both raise ``InvalidInput`` naming the column where the target cannot have the index, and stay as they were. An index that was
    created stays when the widget is closed.

    >>> import pandas as pd, sopnb
    >>> weather = pd.DataFrame({"origin": ["EWR", "JFK", "EWR"], "hour": [2, 1, 1], "temp": [39.0, 39.9, 38.5]})
    >>> builder = sopnb.IndexBuilder(weather)
    >>> builder.value = sopnb.IndexSpecification.of("origin", "-hour")
    >>> builder
    IndexBuilder of DataFrame of 3 rows: origin, -hour
    >>> builder.check()
    {'unique': True, 'duplicates': 0, 'share': 1.0}
    >>> builder.value = sopnb.IndexSpecification.of("origins")
    Traceback (most recent call last):
    ...
    sopnb.errors.InvalidInput: there is no column 'origins' to index; did you mean 'origin'? The columns are 'origin', 'hour', 'temp'
    >>> builder.value
    IndexSpecification(origin, -hour)
    """

    data: Any = traitlets.Dict(read_only=True, help="how messages name the target").tag(sync=True)

    def __init__(self, target: Any, *, height: int = 480) -> None:
        self._target, self._of_store = target, isinstance(target, Store)
        view = View(target if self._of_store else None, edit=self._of_store)
        if not self._of_store:
            view.frames[FRAME] = target
        self._named = {"store": view.title} if self._of_store else {"frame": FRAME}
        self._columns: list[dict[str, Any]] = asked(view, "index.fields", **self._named)["columns"]
        super().__init__(view, height=height, kind="index")
        self.set_trait("data", {**self._named, "creates": view.edit})

    def check(self) -> dict[str, Any]:
        """Return whether no two rows have the same key, how many do, and the share of different keys.

        Raises ``InvalidInput`` if nothing is chosen.
        """
        found = asked(self._view, "index.check", **self._named, specification=self._chosen())
        return {name: found[name] for name in ("unique", "duplicates", "share")}

    def _chosen(self) -> dict[str, Any]:
        if self.value is None:
            raise InvalidInput("no field is chosen yet; choose one, or set value")
        found: dict[str, Any] = self.value.to_json()
        return found

    def _allowed(self, value: IndexSpecification) -> None:
        for name in (*value.names, *value.carrying):
            column = next((column for column in self._columns if column["name"] == name), None)
            text = expression_of(name)
            if column is None and text is not None and name in value.names:
                asked(self._view, "index.expression", **self._named, expression=text)
            elif column is None:
                raise InvalidInput(f"there is no column {name!r} to index; {instead(name, [each['name'] for each in self._columns])}")
            elif not column["orderable"] and name in value.names:
                raise InvalidInput(
                    f"column {name!r} of type {column['type']} cannot be a key; use a number, text, bytes, date or time column"
                )

    def _panel(self) -> Panel:
        if self.value is None:
            found: Panel = (
                self._target._panel() if self._of_store else display.table_panel("Frame", of_frame(self._view.frames, FRAME).table)
            )
            return replace(found, facts=(*found.facts, "no field is chosen yet"))
        title = self._view.title if self._of_store else ""
        shown = asked(self._view, "index.sample", **self._named, specification=self._chosen())
        kinds = {column["name"]: column["type"] for column in self._columns}
        descending = {field.name: field.descending for field in self.value.fields}
        heads = tuple(
            display.Column(display.clean(name), kinds.get(name, ""), place if name in descending else 0, descending.get(name, False))
            for place, name in enumerate(shown["columns"], 1)
        )
        facts = (display.indexed(self.value), "unique" if self.value.unique else "not unique")
        rows = shown["rows"]
        more = f"{shown['total'] - SHOWN:,} more" if shown["total"] > SHOWN else ""
        return Panel("Index", title, facts, heads, tuple(line(row) for row in rows[:SHOWN]), more)

    def __repr__(self) -> str:
        told = f"store {self._view.title!r}" if self._of_store else f"{type(self._target).__name__} of {len(self._target):,} rows"
        return f"IndexBuilder of {told}{'' if self.value is None else f': {self.value}'}"
