"""Widgets with a comm that keeps what is sent, in the place of a kernel's."""

from __future__ import annotations

import queue
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm


class Wire(BaseComm):  # type: ignore[misc]
    """A comm whose messages to the page are taken from a queue, and to which the page's are given."""

    def __init__(self, **given: Any) -> None:
        self.sent: queue.SimpleQueue[tuple[dict[str, Any], list[Any]]] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.state: dict[str, Any] = {}
        super().__init__(**given)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any) -> None:
        if msg_type == "comm_open":
            self.state = dict(data["state"])
        elif data and data.get("method") == "update":
            self.state.update(data["state"])
        elif data and data.get("method") == "custom" and "event" in data["content"]:
            self.events.put(data["content"])
        elif data and data.get("method") == "custom":
            self.sent.put((data["content"], buffers or []))

    def ask(self, op: str, **args: Any) -> Any:
        """Send a request as the page does, and return the answer."""
        self.custom({"id": 7, "op": op, "args": args})
        answer, _ = self.sent.get(timeout=60)
        assert answer["id"] == 7
        return answer.get("ok", answer)

    def custom(self, content: Any) -> None:
        self._give({"method": "custom", "content": content})

    def set(self, **state: Any) -> None:
        """Set traits as the page does."""
        self._give({"method": "update", "state": state})

    def _give(self, data: dict[str, Any]) -> None:
        self.handle_msg({"content": {"data": data}, "buffers": []})


@pytest.fixture(autouse=True)
def _wires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", lambda **given: Wire(**given))
