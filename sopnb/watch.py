"""Being called with the changes of each new commit, whoever makes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from sopnb.access import past
from sopnb.access.lease import Lease
from sopnb.engine.engine import Engine
from sopnb.engine.past import Step, Stretch
from sopnb.engine.state import State
from sopnb.engine.written import written
from sopnb.errors import Closed

PATIENCE = 0.2
"""Seconds after which a thread that waits for commits looks whether it is to stop."""


class Watch:
    """Calls a function with what each new commit changed, from a thread of its own. Made by ``db.watch``.

    End it with ``stop``, or use it with ``with``; closing the database ends it too. As long as it runs, the commits that it has not told
    yet are kept. An error of the function, or a gap in what can be told, ends it; ``stop`` raises that error.

    In a forked child there is no such thread: only the process that began a watch is called.
    """

    def __init__(self, lease: Lease, callback: Callable[[Any], object], since: State, store: str | None) -> None:
        self._lease, self._callback, self._since, self._store = lease, callback, since, store
        self._stopping = False
        self._raised = False
        self.seq = since.seq
        """The newest commit that was told, or had nothing to be told."""
        self.error: BaseException | None = None
        """What ended it; None while it runs, or after it was stopped."""
        self._thread = threading.Thread(target=self._run, name="sopnb-watch", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether new commits are still told."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it, after the call that is being made. Raises the error that ended it, once. Harmless to repeat."""
        self.end()
        if self.error is not None and not self._raised:
            self._raised = True
            raise self.error

    def end(self) -> None:
        """End it without a word about errors."""
        self._stopping = True
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.stop()
            return
        self.end()
        if self.error is not None:
            error.add_note(f"the watch had ended before: {self.error!r}")

    def _run(self) -> None:
        state = self._since
        del self._since
        try:
            engine = self._lease.engine
            while not self._stopping:
                if engine.backend.registry.wait(state.seq, PATIENCE):
                    state = self._tell(engine, state)
        except Closed as error:
            self.error = None if self._lease.closed else error
        except BaseException as error:  # it is raised where somebody asks
            self.error = error

    def _tell(self, engine: Engine, state: State) -> State:
        """Tell the commits after a state; return the newest one."""
        newest = engine.state()
        for step in Stretch(engine, state, newest, held=True).steps():
            for frame in self._frames(step):
                if self._stopping:
                    return newest
                self._callback(frame)
            self.seq = step.commit.seq
        return newest

    def _frames(self, step: Step) -> Any:
        if self._store is None:
            return past.mixed_frames(past.changes(written([step]), named=True), past.BATCH_ROWS)
        found = written([step], lambda id, name, seq: name == self._store)
        return past.frames(past.changes(found, named=False), past.BATCH_ROWS)

    def __repr__(self) -> str:
        what = "every store" if self._store is None else f"store {self._store!r}"
        return f"Watch of {what}, {'running' if self.running else 'over'}"
