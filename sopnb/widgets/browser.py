"""The browser of stores as a widget."""

from __future__ import annotations

import threading
from abc import abstractmethod
from typing import Any

import anywidget
import traitlets
from IPython import get_ipython

from sopnb import display
from sopnb.database import Database
from sopnb.display import Panel
from sopnb.errors import ReadOnly, StoreNotFound
from sopnb.selection import Selection
from sopnb.snapshot import Snapshot
from sopnb.store import Store
from sopnb.view import TASKS, View
from sopnb.widgets.bundle import content, stub
from sopnb.widgets.watching import Watching

Target = Database | Store | Selection | Snapshot


class Shell(anywidget.AnyWidget):
    """A widget whose script is the bundle and whose requests a view answers: one request, one answer.

    What takes long is done in a thread of its own: so the kernel hears of what else is asked, how far it is and whether it is to end.
    What shows a saved notebook and draws no widgets (a code host, nbconvert, a notebook that is not trusted) shows the first page as HTML;
    what draws widgets has nothing to draw from another kernel until the cell is run again.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Unicode("browser").tag(sync=True)
    height = traitlets.Int(480, min=120, help="pixels").tag(sync=True)

    def __init__(self, view: View, **traits: Any) -> None:
        self._view = view
        self._tasks: list[threading.Thread] = []
        shell = get_ipython()
        view.bind = None if shell is None else shell.user_ns.__setitem__
        super().__init__(**traits)
        self.on_msg(self._asked)

    @traitlets.default("_esm")
    def _script(self) -> str:
        return stub()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what a page sets; what only the view knows stays, whatever a page says of it."""
        super().set_state({name: value for name, value in sync_data.items() if not self.traits()[name].read_only})

    def _asked(self, widget: object, message: Any, buffers: object) -> None:
        op = message.get("op") if isinstance(message, dict) else None
        if op == "bundle":
            self.send({"op": "bundle"}, buffers=[content()])
        elif isinstance(op, str) and op in TASKS:
            task = threading.Thread(target=lambda: self.send(self._answer(message)), name="sopnb-task", daemon=True)
            self._tasks = [each for each in self._tasks if each.is_alive()] + [task]
            task.start()
        else:
            self.send(self._answer(message))

    def _answer(self, message: Any) -> dict[str, Any]:
        return self._view.handle(message)

    def _tell(self, event: dict[str, Any]) -> None:
        """Tell the page of a commit. marimo closes the comm of a cell that runs again, and says nothing: its widget ends here."""
        if self.comm is None or self.comm._closed:
            self.close()
        else:
            self.send(event)

    @abstractmethod
    def _panel(self) -> Panel:
        """Return what a page without a kernel shows."""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        return {**data, "text/plain": repr(self), "text/html": display.html(self)}, metadata

    def close(self) -> None:
        """End the widget, after what is being done for it, and let go of what it has read."""
        for task in self._tasks:
            task.join()
        self._view.close()
        super().close()

    def __del__(self) -> None:
        """Do nothing: a widget lives until it is closed, and what could not be made has nothing to close."""


class Browser(Shell):
    """A tree of stores and a grid over millions of records, in a notebook. Made by ``sopnb.browse``.

    The grid reads what it shows, and nothing more; its scroll bar is true to positions. Commits of others are shown as they come. With
    ``edit=True`` cells are edited, rows added, deleted and pasted; nothing is written before Commit, which is one commit of all pending
    changes, durable when it is told, and refuses what others changed meanwhile, with both values.

    Traits, which may be observed and linked as those of any widget:

    - ``store``: the name of the store that is shown; set it to show another. Raises ``StoreNotFound``.
    - ``selected``: the keys of the selected records, as ``store[key]`` takes them.
    - ``pending``: how many changes wait. ``seq``: the commit that is shown. ``edit``: whether records may be changed.
    - ``height``: in pixels; it may be set.

    In marimo, ``grid = mo.ui.anywidget(sopnb.browse(db))`` makes the cells that use ``grid`` follow it: they run again when rows are
    selected, edited or committed there, and when others commit; ``grid.selected`` and all other traits are had from it.

    The kernel keeps the pending changes, so a page that is loaded again shows them; ``close`` and the end of the kernel forget them.

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
    >>> browser = sopnb.browse(db, edit=True)
    >>> browser
    Browser of database ':memory:', editing
    >>> browser.store, browser.pending, browser.selected
    ('planes', 0, [])
    >>> browser.close()
    """

    store = traitlets.Unicode("").tag(sync=True)
    pending = traitlets.Int(0, read_only=True).tag(sync=True)
    seq = traitlets.Int(0, read_only=True).tag(sync=True)
    edit = traitlets.Bool(False, read_only=True).tag(sync=True)
    tokens = traitlets.List(traitlets.Unicode(), help="what the page calls the selected records").tag(sync=True)
    selected: Any = traitlets.List(read_only=True, help="keys")

    def __init__(self, target: Target, *, edit: bool = False, height: int = 480) -> None:
        self._target = target
        view = View(target, edit=edit)
        if edit and not view.edit:
            raise ReadOnly(f"{view.title!r} is open for reading only; browse it without edit=True")
        opened = view.handle({"id": 0, "op": "open", "args": {}})["ok"]
        super().__init__(view, height=height, store=opened["store"] or "")
        self.set_trait("edit", edit)
        self.set_trait("seq", opened["seq"])
        self._watching = Watching(view, self._tell)

    def _answer(self, message: Any) -> dict[str, Any]:
        answer = super()._answer(message)
        self.set_trait("pending", self._view.pending)
        self.set_trait("seq", max(self.seq, answer.get("ok", {}).get("seq", 0)))
        if self._view.watching:  # for good: another page may still show it when one says that it does not
            self._watching.begin(self.seq)
        return answer

    @traitlets.validate("store")
    def _known(self, proposal: Any) -> str:
        name: str = proposal["value"]
        if name and "error" in self._view.handle({"id": 0, "op": "schema", "args": {"store": name}}):
            tree = self._view.handle({"id": 0, "op": "tree", "args": {}})
            raise StoreNotFound(name, tuple(store["name"] for store in tree.get("ok", {}).get("stores", ())))
        return name

    @traitlets.observe("store")
    def _left(self, change: Any) -> None:
        self.tokens = []

    @traitlets.observe("tokens")
    def _chosen(self, change: Any) -> None:
        self.set_trait("selected", self._view.keys(self.store, change["new"]))

    def _panel(self) -> Panel:
        panel: Panel = self._target._panel()
        return panel

    def __repr__(self) -> str:
        return f"Browser of {type(self._target).__name__.lower()} {self._view.title!r}{', editing' if self.edit else ''}"

    def close(self) -> None:
        """End the widget; pending changes are forgotten."""
        self._watching.end()
        super().close()


def browse(target: Target, *, edit: bool = False, height: int = 480) -> Browser:
    """Show a database, a store, a selection or a snapshot in a grid, ``height`` pixels high; the last line of a cell shows it.

    With ``edit=True`` records are changed there, and committed by its button; see ``Browser``, which also has its traits. Raises
    ``ReadOnly`` where the target can only be read, such as the past, ``InvalidState`` for a part of an open transaction, and
    ``MissingPackage`` without the package anywidget (``pip install 'sopnb[widgets]'``).

    >>> import pandas as pd, sopnb
    >>> db = sopnb.open(":memory:")
    >>> planes = db.load("planes", pd.DataFrame({"tailnum": ["N1", "N3"], "seats": [55, 182]}), index="tailnum")
    >>> sopnb.browse(planes.where("seats > 100"))
    Browser of selection 'planes'
    >>> sopnb.browse(db.at(db.seq), edit=True)
    Traceback (most recent call last):
    ...
    sopnb.errors.ReadOnly: 'commit 1' is open for reading only; browse it without edit=True
    """
    return Browser(target, edit=edit, height=height)
