"""Numbers that a user may set; nothing here does any work.

``DatabaseSettings`` belong to the database: they are stored when it is created and every process uses the same.
``HandleSettings`` belong to one open handle: caches, deadlines and who does the maintenance.
"""

from __future__ import annotations

from dataclasses import dataclass

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Settings stored with the database.

    Sizes are in bytes, times in seconds.
    """

    leaf_bytes: int = 64 * KiB
    """Aimed size of a leaf."""
    leaf_rows: int = 4096
    """Most rows in a leaf."""
    branch_bytes: int = 64 * KiB
    """Aimed size of a branch."""
    inline_rows: int = 1000
    """A commit of more operations than this on one store brings a run blob."""
    inline_bytes: int = 64 * KiB
    """A commit whose operations on one store take more bytes than this brings a run blob."""
    value_bytes: int = 64 * KiB
    """Column values larger than this are stored out of line."""
    tail_rows: int = 16_384
    """A tail of more operations is folded into a run."""
    tail_bytes: int = 8 * MiB
    """A tail of more bytes is folded into a run."""
    run_ratio: int = 4
    """Runs are merged with their neighbour when that is less than this many times as large."""
    run_limit: int = 32
    """With this many layers a writer merges before it commits."""
    base_share: float = 0.1
    """Runs are folded into the base when they hold this share of its rows."""
    retention_seconds: float = 7 * 24 * 3600.0
    """How long past states stay readable by ``at``."""
    retention_bytes: int = 1 * GiB
    """At most this many bytes of dropped blobs, or the live size if that is more, are kept for the past."""
    outcome_seconds: float = 24 * 3600.0
    """How long the outcome of a transaction id is remembered."""
    log_bytes: int = 16 * MiB
    """A checkpoint is made when the log beyond the newest one is longer than this."""
    segment_bytes: int = 1 * MiB
    """Size of the first log segment; each next one doubles, up to ``segment_limit``."""
    segment_limit: int = 64 * MiB
    pad_records: bool = False
    """Pad log records to 4 KiB, for disks that may harm neighbouring sectors when power fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleSettings:
    """Settings of one open handle.

    Sizes are in bytes, times in seconds.
    """

    cache_bytes: int = 256 * MiB
    """Bound of the cache of leaves, branches and key lists."""
    load_bytes: int = 256 * MiB
    """A bulk write sorts pieces of at most this size in memory."""
    descriptors: int = 64
    """Most blob files kept open."""
    lock_seconds: float = 30.0
    """Longest wait for the commit turn."""
    run_seconds: float = 30.0
    """Longest time that ``db.run`` and single calls retry after conflicts."""
    pin_seconds: float = 1.0
    """A pin is moved forward at most this often."""
    maintenance: str = "thread"
    """``"thread"``: fold, checkpoint and collect behind the commits; ``"inline"``: within them; ``"off"``: only when called."""
    progress: bool | None = None
    """Show progress bars: always, never, or (None) for work that takes longer than a second."""
