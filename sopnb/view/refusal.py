"""Why a message was not answered, in the words of the protocol: a code that says what to do next, a sentence, and facts."""

from __future__ import annotations

from typing import Any

from sopnb.errors import (
    Closed,
    Conflict,
    HistoryGone,
    InvalidInput,
    MissingPackage,
    NotFound,
    ReadOnly,
    SchemaMismatch,
    SopError,
    StoreExists,
    Timeout,
)

Code = str
_CODES: tuple[tuple[type[Exception], Code], ...] = (
    (Conflict, "conflict"),
    (Timeout, "busy"),
    (ReadOnly, "locked"),
    (Closed, "closed"),
    (NotFound, "missing"),
    (HistoryGone, "missing"),
    (InvalidInput, "invalid"),
    (StoreExists, "invalid"),
    (MissingPackage, "invalid"),
    (RecursionError, "invalid"),
)


class Refusal(Exception):
    """A message that is not answered. ``code`` is one of invalid, stale, conflict, missing, locked, closed, busy, cancelled,
    internal."""

    def __init__(self, code: Code, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code, self.facts = code, facts


def invalid(message: str, **facts: Any) -> Refusal:
    """Return the refusal of an input that can be mended; ``column`` names where."""
    return Refusal("invalid", message, **facts)


def told(error: Exception | KeyboardInterrupt) -> dict[str, Any]:
    """Return an error as the browser gets it."""
    if isinstance(error, KeyboardInterrupt):
        return {"code": "busy", "message": "the work was interrupted; ask again"}
    if isinstance(error, Refusal):
        return {"code": error.code, "message": str(error), **error.facts}
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "internal")
    if isinstance(error, RecursionError):
        return {"code": code, "message": "the message is nested too deep"}
    message = str(error) if isinstance(error, SopError) else f"{type(error).__name__}: {error}"
    facts = {"column": error.column} if isinstance(error, SchemaMismatch) and error.column is not None else {}
    return {"code": code, "message": message, **facts}
