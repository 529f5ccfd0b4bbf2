"""The thread that tells of commits."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pandas as pd
import pytest

import sopnb
from sopnb.errors import Timeout
from sopnb.view import View
from sopnb.widgets.watching import Watching
from tests.api_support import QUIET


def test_commits_during_a_request_that_outlasts_the_patience_are_told_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with sopnb.open(":memory:", handle=QUIET) as db:
        planes = db.load("planes", pd.DataFrame({"tailnum": ["N1"], "seats": [55]}), index="tailnum")
        monkeypatch.setattr("sopnb.view.view.PATIENCE", 0.01)
        view, told = View(db), queue.SimpleQueue[dict[str, Any]]()
        changed_since, timed_out = view.changed_since, threading.Event()

        def noted(seq: int, wait: float = 0.0) -> dict[str, Any] | None:
            try:
                return changed_since(seq, wait)
            except Timeout:
                timed_out.set()
                raise

        monkeypatch.setattr(view, "changed_since", noted)
        watching = Watching(view, told.put)
        with view._alone():
            watching.begin(db.seq)
            planes.insert({"tailnum": "N2", "seats": 100})
            assert timed_out.wait(60)
        assert told.get(timeout=60) == {"event": "changed", "seq": db.seq, "stores": ["planes"]}
        watching.end()
        assert db.check().ok
