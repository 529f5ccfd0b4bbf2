"""How databases, stores, selections and logs look: as HTML in a notebook, as fixed text elsewhere.

An object says what is to be seen of it as a ``Panel``; ``html`` and ``text`` draw panels. Invariants: the same data gives the same
characters (no path, time, byte size or address); drawing never raises; it reads the first few records and a sample by their positions,
so a bounded number of leaves however large or unfolded the store is, and no value out of line; it counts as no read of a transaction.
"""

from sopnb.display.page import html
from sopnb.display.panel import (
    LARGE,
    MOST_LINES,
    SEARCHED_ROWS,
    Column,
    Panel,
    database_panel,
    indexed,
    selection_panel,
    store_panel,
    table_panel,
)
from sopnb.display.plain import TEXT_WIDTH, text
from sopnb.display.values import LONGEST_VALUE, clean

__all__ = [
    "LARGE",
    "LONGEST_VALUE",
    "MOST_LINES",
    "SEARCHED_ROWS",
    "TEXT_WIDTH",
    "Column",
    "Panel",
    "clean",
    "database_panel",
    "html",
    "indexed",
    "selection_panel",
    "store_panel",
    "table_panel",
    "text",
]
