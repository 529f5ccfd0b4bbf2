"""What a forked child must make anew: another thread of its parent may have held a lock, and that thread is not in the child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something with locks."""

    def after_fork(self) -> None:
        """Make the locks anew. Runs in the child, before anything else."""


_all: weakref.WeakSet[Forked] = weakref.WeakSet()


def register(owner: Forked) -> None:
    """Have ``owner.after_fork()`` called in every forked child, as long as the owner lives."""
    _all.add(owner)


def _in_child() -> None:
    for owner in list(_all):
        owner.after_fork()


os.register_at_fork(after_in_child=_in_child)
