"""A transactional ordered store for DataFrames, opened straight from a notebook.

``sopnb.open`` opens a ``Database``, which holds named ``Store`` objects; a ``Selection`` reads many records of one, a ``Cursor`` goes
from one to the next, a ``Record`` is one. A ``Transaction`` changes several stores together, a ``Snapshot`` shows the past. What can go
wrong is in ``sopnb.errors``. In a notebook ``%load_ext sopnb`` adds the magics ``%sop`` and ``%%sop``.
"""

import importlib

from sopnb import errors
from sopnb.access.record import Record
from sopnb.admin import Admin
from sopnb.cursor import Cursor
from sopnb.database import Database, open
from sopnb.engine.counts import Counts
from sopnb.errors import (
    Closed,
    CommitUnknown,
    Conflict,
    Corruption,
    DuplicateKey,
    HistoryGone,
    HistoryTrimmed,
    IndexNotFound,
    InvalidInput,
    InvalidState,
    KeyNotFound,
    MissingPackage,
    NestedTransaction,
    NoSpace,
    NotFound,
    ReadOnly,
    SchemaMismatch,
    SnapshotGone,
    SopError,
    StorageError,
    StoreExists,
    StoreNotFound,
    TagNotFound,
    Timeout,
    UnsupportedFormat,
)
from sopnb.index import IndexField, IndexSpecification, Suggestion
from sopnb.schema import Schema
from sopnb.selection import Selection
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.snapshot import Snapshot
from sopnb.store import Store
from sopnb.suggestions import Suggestions, suggest
from sopnb.transaction import Transaction
from sopnb.watch import Watch

__all__ = [
    "Admin",
    "Closed",
    "CommitUnknown",
    "Conflict",
    "Corruption",
    "Counts",
    "Cursor",
    "Database",
    "DatabaseSettings",
    "DuplicateKey",
    "HandleSettings",
    "HistoryGone",
    "HistoryTrimmed",
    "IndexField",
    "IndexNotFound",
    "IndexSpecification",
    "InvalidInput",
    "InvalidState",
    "KeyNotFound",
    "MissingPackage",
    "NestedTransaction",
    "NoSpace",
    "NotFound",
    "ReadOnly",
    "Record",
    "Schema",
    "SchemaMismatch",
    "Selection",
    "Snapshot",
    "SnapshotGone",
    "SopError",
    "StorageError",
    "Store",
    "StoreExists",
    "StoreNotFound",
    "Suggestion",
    "Suggestions",
    "TagNotFound",
    "Timeout",
    "Transaction",
    "UnsupportedFormat",
    "Watch",
    "errors",
    "load_ipython_extension",
    "open",
    "suggest",
]


def __getattr__(name: str) -> object:
    """Load the widgets when they are first asked for. Raises ``MissingPackage`` where the package anywidget is not installed."""
    if name not in ("browse", "Browser", "History", "ImportWizard", "IndexBuilder"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module("sopnb.widgets"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("anywidget", "traitlets"):
            raise
        raise MissingPackage("anywidget", "widgets") from error


def load_ipython_extension(shell: object) -> None:
    """Add ``%sop`` and ``%%sop`` to a notebook; ``%load_ext sopnb`` calls it."""
    importlib.import_module("sopnb.magics").register(shell)
