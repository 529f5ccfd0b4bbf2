"""The past of a database or of one store on the screen."""

from __future__ import annotations

from typing import Any

import traitlets

from sopnb import display
from sopnb.database import Database
from sopnb.display import Panel
from sopnb.store import Store
from sopnb.view import View
from sopnb.widgets.asking import asked
from sopnb.widgets.browser import Shell
from sopnb.widgets.watching import Watching

SHOWN = 10
"""Commits that are shown without a kernel."""
_COUNTS = ("inserted", "updated", "deleted")


class History(Shell):
    """The commits of a database or of one store: what each did, what differs between two, and undoing one.

    The page lists the newest commits, shows the records that differ between the two that are chosen, old and new under each other with
    the changed cells marked, and reverts a commit after asking; that is a new commit, and a change that others have built upon is refused.

    - ``seq``: the newest commit that the widget knows; it follows commits of others while it is shown.
    - ``between``: the two commits that are compared, the older one first; it may be set.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum", message="begin")
    >>> _ = planes.update({"tailnum": "N1", "seats": 56}, message="one more seat")
    >>> history = sopnb.History(planes)
    >>> history
    History of store 'planes' at commit 2
    >>> history.between
    [1, 2]
    >>> history.close()
    """

    seq = traitlets.Int(0, read_only=True).tag(sync=True)
    between: Any = traitlets.List(traitlets.Int(min=0), maxlen=2, help="two commits").tag(sync=True)
    data: Any = traitlets.Dict(read_only=True, help="the store whose history it is").tag(sync=True)

    def __init__(self, target: Database | Store, *, height: int = 480) -> None:
        view = View(target, edit=True)
        log = asked(view, "log", limit=SHOWN)
        super().__init__(view, height=height, kind="history")
        self._word = "store" if isinstance(target, Store) else "database"
        self.set_trait("seq", log["seq"])
        self.set_trait("data", {"store": view.title if isinstance(target, Store) else None, "reverts": view.edit})
        self.between = [commit["seq"] for commit in reversed(log["commits"][:2])]
        self._watching = Watching(view, self._tell)

    def _tell(self, event: dict[str, Any]) -> None:
        self.set_trait("seq", max(self.seq, event["seq"]))
        super()._tell(event)

    def _answer(self, message: Any) -> dict[str, Any]:
        answer = super()._answer(message)
        if isinstance(message, dict) and message.get("op") in ("log", "revert"):
            self.set_trait("seq", max(self.seq, answer.get("ok", {}).get("seq", 0)))
        if self._view.watching:  # for good: another page may still show it when one says that it does not
            self._watching.begin(self.seq)
        return answer

    def _panel(self) -> Panel:
        log = asked(self._view, "log", limit=SHOWN)
        heads = (
            display.Column("seq", right=True),
            display.Column("message"),
            display.Column("stores"),
            *(display.Column(name, right=True) for name in _COUNTS),
        )
        rows = tuple(
            (
                str(one["seq"]),
                display.clean(one["message"]),
                display.clean(", ".join(one["stores"])),
                *(f"{one[name]:,}" for name in _COUNTS),
            )
            for one in log["commits"]
        )
        return Panel("History", self._view.title, (f"commit {log['seq']}",), heads, rows)

    def __repr__(self) -> str:
        return f"History of {self._word} {self._view.title!r} at commit {self.seq}"

    def close(self) -> None:
        """End the widget; what was reverted stays so."""
        self._watching.end()
        super().close()
