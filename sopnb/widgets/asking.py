"""Asking a view from Python: what a page would be told as a refusal is an exception here."""

from __future__ import annotations

from typing import Any

from sopnb.errors import Closed, InvalidInput, ReadOnly, SopError
from sopnb.view import View

_ERRORS: dict[str, type[SopError]] = {"closed": Closed, "locked": ReadOnly}


def asked(view: View, op: str, **args: Any) -> dict[str, Any]:
    """Return the answer of a view. Raises as ``told``."""
    return told(view.handle({"id": 0, "op": op, "args": args}))


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer says. Raises ``Closed``, ``ReadOnly``, or else ``InvalidInput`` with the words of the refusal."""
    if "ok" in answer:
        found: dict[str, Any] = answer["ok"]
        return found
    error = answer["error"]
    raise _ERRORS.get(error["code"], InvalidInput)(error["message"])


def line(cells: list[Any]) -> tuple[str | None, ...]:
    """Return values of the wire as the texts of a row that is drawn."""
    return tuple(None if cell is None else f"{cell['cut']}…" if isinstance(cell, dict) else str(cell) for cell in cells)
