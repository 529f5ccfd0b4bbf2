"""The browser of stores as a widget."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from sopnb import display
from sopnb.database import Database
from sopnb.selection import Selection
from sopnb.store import Store
from sopnb.view import View
from sopnb.widgets.bundle import content, stub
from sopnb.widgets.watching import Watching

Target = Database | Store | Selection


class Shell(anywidget.AnyWidget):
    """A widget whose script is the bundle and whose requests a view answers: one request, one answer.

    Where a saved notebook is shown without its kernel, the first page is there as HTML.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Unicode("browser").tag(sync=True)
    height = traitlets.Int(480, min=120, help="pixels").tag(sync=True)

    def __init__(self, view: View, **traits: Any) -> None:
        self._view = view
        super().__init__(**traits)
        self.on_msg(self._asked)

    @traitlets.default("_esm")
    def _script(self) -> str:
        return stub()

    def _asked(self, widget: object, message: Any, buffers: object) -> None:
        if isinstance(message, dict) and message.get("op") == "bundle":
            self.send({"op": "bundle"}, buffers=[content()])
        else:
            self.send(self._answer(message))

    def _answer(self, message: Any) -> dict[str, Any]:
        return self._view.handle(message)

    def _static(self) -> str:
        """Return what a page without a kernel shows."""
        return ""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown: Any = super()._repr_mimebundle_(**kwargs)
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        return {**data, "text/plain": repr(self), "text/html": self._static()}, metadata

    def close(self) -> None:
        """End the widget and let go of what it has read."""
        self._view.close()
        super().close()


class Browser(Shell):
    """A tree of stores and a grid over millions of records, in a notebook. Made by ``sopnb.browse``.

    The grid reads what it shows, and nothing more; its scroll bar is true to positions. With ``edit=True`` cells are edited, rows added,
    deleted and pasted; nothing is written before Commit, which is one commit of all pending changes, and refuses what others changed
    meanwhile, with both values.

    Traits, which may be observed and linked: ``store`` (the name of the one shown; set it to show another), ``selected`` (keys of the
    selected records, as ``store[key]`` takes them), ``pending`` (how many changes wait), ``seq`` (the commit that is shown).
    """

    store = traitlets.Unicode("").tag(sync=True)
    pending = traitlets.Int(0, read_only=True).tag(sync=True)
    seq = traitlets.Int(0, read_only=True).tag(sync=True)
    edit = traitlets.Bool(False, read_only=True).tag(sync=True)
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected: Any = traitlets.List(help="keys")

    def __init__(self, target: Target, *, edit: bool = False, height: int = 480) -> None:
        self._target = target
        view = View(target, edit=edit)
        opened = view.handle({"id": 0, "op": "open", "args": {}})["ok"]
        super().__init__(view, height=height, store=opened["store"] or "")
        self.set_trait("edit", edit)
        self.set_trait("seq", opened["seq"])
        self._watching = Watching(view, self.send)

    def _answer(self, message: Any) -> dict[str, Any]:
        if isinstance(message, dict) and message.get("op") == "watch":
            answer = self._view.handle(message)
            self._watching.switch(on=self._view.watching, seq=self.seq)
            return answer
        answer = self._view.handle(message)
        said = answer.get("ok", {})
        for trait in ("pending", "seq"):
            if isinstance(said.get(trait), int):
                self.set_trait(trait, said[trait])
        return answer

    @traitlets.observe("tokens")
    def _chosen(self, change: Any) -> None:
        self.selected = self._view.keys(self.store, change["new"])

    def _static(self) -> str:
        return display.html(self._target)

    def __repr__(self) -> str:
        what = type(self._target).__name__.lower()
        name = self._target.name if isinstance(self._target, Store | Database) else self.store
        return f"Browser of {what} {name!r}{', editing' if self.edit else ''}"

    def close(self) -> None:
        """End the widget; pending changes are forgotten."""
        self._watching.switch(on=False)
        super().close()


def browse(target: Target, *, edit: bool = False, height: int = 480) -> Browser:
    """Show a database, a store or a selection in a grid; see ``Browser``. With ``edit=True`` it is edited there too."""
    return Browser(target, edit=edit, height=height)
