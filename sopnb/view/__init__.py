"""The view-model of the browser of stores: what it shows and what edits wait in it, as messages of plain JSON values."""

from sopnb.view.view import View

__all__ = ["View"]
