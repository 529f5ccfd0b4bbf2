"""Doing something in a transaction until it goes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sopnb.engine.engine import Engine
from sopnb.engine.work import Mode, Work
from sopnb.errors import CommitUnknown, Conflict, SopError

T = TypeVar("T")
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.25


def attempt(
    engine: Engine,
    body: Callable[[Work], T],
    *,
    mode: Mode = "write",
    message: str = "",
    author: str = "",
    deadline: float | None = None,
    repeatable: bool = True,
) -> tuple[T, int]:
    """Call ``body`` in a transaction and commit; return its value and the commit (0 if nothing was written).

    After a ``Conflict`` it is called again on the newest state, after a short random pause, until ``deadline`` seconds have passed
    (None: as long as the handle's ``run_seconds``); then the conflict is raised. A commit whose answer was lost is settled first. Any
    other exception rolls back and is raised. With ``repeatable`` false there is one attempt only.
    """
    clock = engine.clock
    began, tries, pause = clock.monotonic(), 0, _FIRST_PAUSE
    limit = began + (engine.handle.run_seconds if deadline is None else deadline)
    while True:
        tries += 1
        work = engine.begin(mode, message, author)
        try:
            value = body(work)
        except Conflict as error:  # of a commit that the body made itself
            work.rollback()
            conflict = error
        except BaseException as error:
            forget(work, error)
            raise
        else:
            if work.done:
                return value, 0
            try:
                return value, engine.commit(work)
            except CommitUnknown as unknown:
                if _committed(engine, unknown):
                    return value, unknown.seq
                conflict = Conflict(f"commit {unknown.txid} was not made", seq=unknown.seq)
            except Conflict as error:
                conflict = error
        pause = min(pause * 2, _LONGEST_PAUSE)
        wait = pause * (0.5 + clock.random())
        if not repeatable or clock.monotonic() + wait > limit:
            conflict.add_note(f"given up after {tries} attempts in {clock.monotonic() - began:.3g} s")
            raise conflict
        clock.sleep(wait)


def forget(work: Work, error: BaseException) -> None:
    """Roll back because of ``error``, which is what the caller must see, whatever happens here."""
    try:
        work.rollback()
    except SopError as trouble:
        error.add_note(f"while rolling back: {trouble}")


def _committed(engine: Engine, unknown: CommitUnknown) -> bool:
    try:
        return engine.outcome(unknown.txid) == "committed"
    except SopError as trouble:
        raise unknown from trouble
