"""M3: the wait for the commit lock has a limit, names the holder and ends with Ctrl-C; then nothing is written and nothing held."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

import sopnb
from sopnb import HandleSettings
from sopnb.errors import Timeout
from sopnb.storage import lock
from tests.race.forkserver import ForkServer, Worker


def holding(server: ForkServer, path: Path) -> Worker:
    holder = server.start("turn", path)
    holder.wait_for(1)
    return holder


def everybody_goes_on(server: ForkServer, path: Path, holder: Worker) -> None:
    """Let the holder leave; then another process and this one must get the lock."""
    holder.tell()
    holder.end()
    writer = server.start("write", path, 1, 3)
    assert writer.end() == ["0", "1", "2"]


def test_m3_a_wait_ends_at_its_limit_and_names_the_holder(server: ForkServer, path: Path) -> None:
    # A wait that was given up went on in a helper thread, which got the lock in the end and kept it.
    holder = holding(server, path)
    with sopnb.open(path, handle=HandleSettings(lock_seconds=0.2)) as db:
        for _ in range(3):
            with pytest.raises(Timeout, match=f"waited 0.2 s for .* held by process {holder.pid}"):
                db["shared"].insert({"k": 1, "v": 1})
        assert len(db["shared"]) == 0
        everybody_goes_on(server, path, holder)
        db["shared"].insert({"k": 1, "v": 1})
        assert len(db["rows"]) == 3
        assert db.check().ok


def test_m3_ctrl_c_ends_the_wait(server: ForkServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = holding(server, path)
    waiting = threading.Event()
    run = lock._Helper.run

    def said(self: lock._Helper) -> None:
        waiting.set()
        run(self)

    monkeypatch.setattr(lock._Helper, "run", said)

    def interrupt() -> None:
        assert waiting.wait(30)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with sopnb.open(path) as db:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            db["shared"].insert({"k": 1, "v": 1})
        thread.join()
        assert len(db["shared"]) == 0
        everybody_goes_on(server, path, holder)
        db["shared"].insert({"k": 1, "v": 1})
        assert len(db["shared"]) == 1


def test_m3_readers_do_not_wait_for_whoever_holds_the_lock(server: ForkServer, path: Path) -> None:
    with sopnb.open(path) as db:
        db["shared"].insert({"k": 1, "v": 1})
    holder = holding(server, path)
    with sopnb.open(path, handle=HandleSettings(lock_seconds=0.2)) as db, db.transaction(mode="read") as tx:
        assert tx["shared"][1]["v"] == 1
    with sopnb.open(path, "r") as db:
        assert db["shared"][1]["v"] == 1
        assert db.check().ok
    holder.tell()
    holder.end()
