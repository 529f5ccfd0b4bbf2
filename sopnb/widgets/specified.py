"""What the widgets have in common in which an index specification is chosen for data."""

from __future__ import annotations

from typing import Any

import traitlets

from sopnb.index import IndexSpecification

FRAME = "data"
"""What messages call a frame that was given."""
SHOWN = 5
"""Rows that are shown without a kernel."""


class Specified(traitlets.HasTraits):
    """Has an index specification twice: as a value for Python, and as plain values for the page. Each follows the other; None is none."""

    specification: Any = traitlets.Instance(dict, allow_none=True, help="plain values").tag(sync=True)
    value: Any = traitlets.Instance(IndexSpecification, allow_none=True)

    def _allowed(self, value: IndexSpecification) -> None:
        """Raise ``InvalidInput`` where this widget cannot have the index."""

    @traitlets.validate("value")
    def _possible(self, proposal: Any) -> Any:
        if proposal["value"] is not None:
            self._allowed(proposal["value"])
        return proposal["value"]

    @traitlets.validate("specification")
    def _readable(self, proposal: Any) -> Any:
        if proposal["value"] is None:
            return None
        value = IndexSpecification.from_json(proposal["value"])
        self._allowed(value)
        return value.to_json()

    @traitlets.observe("specification")
    def _described(self, change: Any) -> None:
        self.value = None if change["new"] is None else IndexSpecification.from_json(change["new"])

    @traitlets.observe("value")
    def _set(self, change: Any) -> None:
        self.specification = None if change["new"] is None else change["new"].to_json()
