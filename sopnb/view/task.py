"""Work of a view that takes long: how far it is, and its end before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sopnb.access.progress import heard
from sopnb.view.refusal import Refusal


@dataclass(eq=False)
class Task:
    """The work for one message."""

    id: Any
    """That of the message."""
    told: dict[str, Any] = field(default_factory=dict)
    """What is done, how far it is, and how much there is, None if that is not known; nothing before it began."""
    cancelled: bool = False

    def hear(self, what: str, done: int, total: int | None) -> None:
        """Take down how far it is. Raises ``Refusal`` if it is not wanted any more: what it wrote is undone, as after any error."""
        if self.cancelled:
            raise Refusal("cancelled", f"{what}: cancelled; nothing of it was kept")
        self.told = {"what": what, "done": done, "total": total}


class Tasks:
    """The tasks of one view that are under way, the oldest first. Safe for threads."""

    def __init__(self) -> None:
        self._under_way: list[Task] = []

    @contextmanager
    def begun(self, id: Any) -> Iterator[None]:
        """Tell how far the work of this thread is, for the message ``id``, and let it be cancelled."""
        task = Task(id)
        self._under_way.append(task)
        try:
            with heard(task.hear):
                yield
        finally:
            self._under_way.remove(task)

    def told(self, id: Any = None) -> dict[str, Any]:
        """Return how far the task of a message is, or the newest one that tells; nothing where there is none."""
        return next((task.told for task in self._of(id) if task.told), {})

    def cancel(self, id: Any = None) -> int:
        """Cancel the task of a message, or all, and return how many; each ends when it would next tell how far it is."""
        found = self._of(id)
        for task in found:
            task.cancelled = True
        return len(found)

    def _of(self, id: Any) -> list[Task]:
        return [task for task in reversed(self._under_way) if id is None or task.id == id]
