"""Messages to a view, and what comes back."""

from __future__ import annotations

import json
from typing import Any

from sopnb.view import View


class Browser:
    """Stands for the browser: every message and answer goes through JSON."""

    def __init__(self, target: Any, *, edit: bool = True) -> None:
        self.view = View(target, edit=edit)
        self._id = 0

    def answer(self, op: str, **args: Any) -> dict[str, Any]:
        self._id = id = self._id + 1
        message = json.loads(json.dumps({"id": id, "op": op, "args": args}))
        answer = json.loads(json.dumps(self.view.handle(message), allow_nan=False))
        assert answer["id"] == id
        assert set(answer) in ({"id", "ok"}, {"id", "error"})
        found: dict[str, Any] = answer
        return found

    def ask(self, op: str, **args: Any) -> Any:
        """Ask until what is searched for is found."""
        while True:
            answer = self.answer(op, **args)
            assert "ok" in answer, answer
            told = answer["ok"]
            if told.get("searched") is None:
                return {name: value for name, value in told.items() if name != "searched"}

    def refused(self, op: str, code: str, **args: Any) -> Any:
        answer = self.answer(op, **args)
        assert "error" in answer, answer
        assert answer["error"]["code"] == code, answer
        assert answer["error"]["message"]
        return answer["error"]

    def rows(self, store: str, start: int = 0, size: int = 1000, **query: Any) -> list[dict[str, Any]]:
        """The rows of a page, each with its cells by name."""
        page = self.ask("page", query={"store": store, **query}, start=start, size=size)
        return [{**row, "cells": dict(zip(page["columns"], row["cells"], strict=True))} for row in page["rows"]]

    def cells(self, store: str, **query: Any) -> list[dict[str, Any]]:
        return [row["cells"] for row in self.rows(store, **query)]

    def row(self, store: str, **cells: Any) -> dict[str, Any]:
        """The one row that holds these cells."""
        (row,) = [row for row in self.rows(store) if all(row["cells"][name] == cell for name, cell in cells.items())]
        return row

    def edit(self, store: str, row: dict[str, Any], column: str, value: Any) -> Any:
        return self.ask("edit", store=store, key=row["key"], seq=row["seq"], column=column, value=value)


def record(k: int, name: str = "a", n: int | None = 0) -> dict[str, Any]:
    return {"k": k, "name": name, "n": n, "must": "m", "doc": None}


def kept(store: Any) -> dict[int, tuple[Any, ...]]:
    return {r["k"]: (r["name"], r["n"]) for r in store[:].to_dicts()}


def changes(browser: Browser) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.ask("pending")["changes"]
    return found
