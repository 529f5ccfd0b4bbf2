"""The errors of sopnb, named by what the caller does next.

    SopError
    ├── Conflict                      run the transaction again (``db.run`` does it)
    ├── CommitUnknown                 ask ``db.outcome(txid)``; the commit is whole or absent
    ├── Timeout (TimeoutError)        wait longer, or look at the holder that the message names
    ├── Corruption                    restore, or repair; never wrong rows
    ├── StorageError (OSError)        the disk or the service failed
    │   └── NoSpace                   free some space; nothing was changed
    ├── UnsupportedFormat             install a newer sopnb, or open another folder
    ├── InvalidInput (ValueError)     mend the argument
    │   ├── SchemaMismatch (TypeError)  mend the column or record that the message names
    │   └── DuplicateKey              use ``upsert``, or drop the duplicate
    ├── NotFound (KeyError)           look at what there is
    │   ├── KeyNotFound
    │   ├── StoreNotFound
    │   ├── IndexNotFound
    │   └── TagNotFound
    ├── StoreExists (ValueError)      choose ``if_exists``, or another name
    ├── HistoryGone (LookupError)     read a newer state
    │   ├── HistoryTrimmed            the past asked for lies before the horizon
    │   ├── SnapshotGone              this reader's snapshot was collected; open a new one
    │   └── Trimmed                   (between engine and registry) start from a checkpoint
    ├── SeqTaken                      (between engine and registry) validate again, append again
    ├── InvalidState (RuntimeError)   closed, read-only, finished, or nested the wrong way
    │   ├── Closed
    │   ├── ReadOnly (PermissionError)
    │   └── NestedTransaction
    ├── MissingPackage (ImportError)  install the package that the message names
    └── InternalError                 a bug of ours; please report it

Each error takes its facts as arguments, keeps them as attributes and writes its own sentence.
"""

from __future__ import annotations

from typing import Any


class SopError(Exception):
    """Base of every error that sopnb raises on purpose."""

    def __str__(self) -> str:
        """Return the sentence (``KeyError`` would show its representation)."""
        return str(self.args[0]) if self.args else self.__class__.__name__


class Conflict(SopError):
    """Another commit changed what this transaction read or wrote. Nothing was written; run it again.

    ``store`` and ``key`` say where (``key`` is None for a catalogue change), ``seq`` which commit it was.
    """

    def __init__(
        self,
        reason: str,
        *,
        store: str | None = None,
        key: object = None,
        seq: int | None = None,
        remedy: str = "run the transaction again, or use db.run(fn)",
    ) -> None:
        self.store, self.key, self.seq = store, key, seq
        where = "" if store is None else f" in store {store!r}"
        which = "" if key is None else f" at key {key!r}"
        by = "" if seq is None else f" (commit {seq})"
        super().__init__(f"conflict{where}{which}: {reason}{by}; {remedy}")


class CommitUnknown(SopError):
    """The answer to a commit was lost: it is wholly there or wholly absent; ``db.outcome(txid)`` settles which."""

    def __init__(self, txid: str, *, epoch: int, seq: int, reason: str = "the answer was lost") -> None:
        self.txid, self.epoch, self.seq, self.reason = txid, epoch, seq, reason
        super().__init__(f"commit {txid}: {reason}; ask db.outcome({txid!r}) whether it is committed")


class Timeout(SopError, TimeoutError):
    """A wait passed its limit. ``waited`` is in seconds; ``holder`` names who holds it, where that is known."""

    def __init__(self, what: str, *, waited: float, holder: str | None = None) -> None:
        self.what, self.waited, self.holder = what, waited, holder
        by = "" if holder is None else f", held by {holder}"
        super().__init__(f"waited {waited:g} s for {what}{by}")


class Corruption(SopError):
    """Stored bytes are not what was written. ``where`` names the file or blob and the place in it."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{where}: {reason}; run check() on the database and restore from a backup or a tag")


class StorageError(SopError, OSError):
    """A file, disk or service failed. ``errno`` is the system's number where there is one."""

    def __init__(self, where: str, reason: str, *, errno: int | None = None) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{where}: {reason}")
        self.errno = errno


class NoSpace(StorageError):
    """The disk or quota is full. Nothing was changed."""


class UnsupportedFormat(SopError):
    """The folder holds another or a newer format than this release understands."""


class InvalidInput(SopError, ValueError):
    """An argument cannot be used; the message names it and the remedy."""


class SchemaMismatch(InvalidInput, TypeError):
    """A value or column does not fit the store's schema. ``store`` and ``column`` say which.

    ``columns`` names all that do not fit whatever their values: of another type, not in the store, or missing.
    """

    def __init__(self, message: str, *, store: str | None = None, column: str | None = None, columns: tuple[str, ...] = ()) -> None:
        self.store, self.column, self.columns = store, column, columns
        super().__init__(message)


class DuplicateKey(InvalidInput):
    """A key is already there, or twice in one frame."""

    def __init__(self, store: str, key: object, *, reason: str = "is already there; use upsert to change it") -> None:
        self.store, self.key = store, key
        super().__init__(f"store {store!r}: key {key!r} {reason}")


class NotFound(SopError, KeyError):
    """Something named is not there."""


class KeyNotFound(NotFound):
    """No record has this key."""

    def __init__(self, store: str, key: object, *, remedy: str = "") -> None:
        self.store, self.key = store, key
        super().__init__(f"store {store!r} has no record with key {key!r}{remedy and '; '}{remedy}")


class StoreNotFound(NotFound):
    """No store has this name."""

    def __init__(self, store: str, known: tuple[str, ...] = ()) -> None:
        self.store = store
        names = ", ".join(repr(n) for n in known[:10]) or "none yet"
        super().__init__(f"no store {store!r}; there are: {names}")


class IndexNotFound(NotFound):
    """The store has no secondary index of this name."""

    def __init__(self, store: str, index: str, known: tuple[str, ...] = ()) -> None:
        self.store, self.index = store, index
        names = ", ".join(repr(n) for n in known[:10]) or "none yet"
        super().__init__(f"store {store!r} has no index {index!r}; there are: {names}; make one with create_index()")


class TagNotFound(NotFound):
    """No tag has this name."""

    def __init__(self, tag: str, known: tuple[str, ...] = ()) -> None:
        self.tag = tag
        names = ", ".join(repr(n) for n in known[:10]) or "none yet"
        super().__init__(f"no tag {tag!r}; there are: {names}")


class StoreExists(SopError, ValueError):
    """A store of this name is already there."""

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(f'store {store!r} is already there; choose if_exists="replace", "insert" or "upsert", or drop it')


class HistoryGone(SopError, LookupError):
    """The state asked for is no longer kept."""


class HistoryTrimmed(HistoryGone):
    """The state asked for lies before the horizon of the retention setting."""


class SnapshotGone(HistoryGone):
    """The blobs of this reader's snapshot were collected. Open a new snapshot."""


class Trimmed(HistoryGone):
    """The registry no longer holds the records asked for; ``oldest`` is the first seq that it holds."""

    def __init__(self, after: int, oldest: int) -> None:
        self.after, self.oldest = after, oldest
        super().__init__(f"the records after commit {after} are trimmed; the oldest kept is {oldest}")


class SeqTaken(SopError):
    """Another writer appended first; ``head`` is the newest seq now."""

    def __init__(self, after: int, head: int) -> None:
        self.after, self.head = after, head
        super().__init__(f"cannot append after commit {after}: the newest is {head}")


class InvalidState(SopError, RuntimeError):
    """The object cannot do this now."""


class Closed(InvalidState):
    """The database, transaction or cursor is closed."""


class ReadOnly(InvalidState, PermissionError):
    """The database or transaction was opened for reading."""


class NestedTransaction(InvalidState):
    """The database handle was used inside an open transaction of the same thread."""


class MissingPackage(SopError, ImportError):
    """A package that only some calls need is not installed. ``package`` names it, ``extra`` the extra of sopnb that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"this needs the package {package}, which is not installed; install it with: pip install 'sopnb[{extra}]'")


class InternalError(SopError):
    """A promise of sopnb's own was broken: a bug of ours."""

    def __init__(self, message: str, **facts: Any) -> None:
        self.facts = facts
        told = "".join(f"; {name}={value!r}" for name, value in facts.items())
        super().__init__(f"{message}{told} (a bug in sopnb; please report it)")
