"""The kernel of a notebook, asked beside its page."""

from __future__ import annotations

import ast
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient

from tests.browser.host import PATIENCE


class Kernel:
    """The kernel of the notebook ``name`` at a server of Jupyter; it is looked for when it is first asked."""

    def __init__(self, url: str, runtime: Path, name: str) -> None:
        self._url, self._runtime, self._path = url, runtime, f"{name}.ipynb"
        self._open: BlockingKernelClient | None = None

    def do(self, code: str, **wanted: str) -> dict[str, Any]:
        """Run code in the kernel, and return the values of expressions there, as JSON has them."""
        asked = {name: f"__import__('json').dumps({each}, default=str)" for name, each in wanted.items()}
        answer = self._client().execute_interactive(
            code, user_expressions=asked, store_history=False, output_hook=lambda _: None, timeout=60
        )
        content = answer["content"]
        assert content["status"] == "ok", content
        found = content["user_expressions"]
        assert all(each["status"] == "ok" for each in found.values()), found
        return {name: json.loads(ast.literal_eval(each["data"]["text/plain"])) for name, each in found.items()}

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the kernel."""
        return self.do("", value=expression)["value"]

    def becomes(self, expression: str, wanted: Any) -> None:
        """Assert that an expression comes to have a value in the kernel; what the page sets may get there after the page shows it."""
        end = time.monotonic() + PATIENCE / 1000
        while (found := self.value(expression)) != wanted and time.monotonic() < end:
            pass
        assert found == wanted

    def wait(self) -> None:
        """Wait until the server has started it and it is idle."""
        end = time.monotonic() + PATIENCE / 1000
        while (found := self._found()) is None or found["execution_state"] != "idle":
            assert time.monotonic() < end, f"{self._path} has no kernel that is idle"

    def _found(self) -> dict[str, Any] | None:
        with urllib.request.urlopen(f"{self._url}/api/sessions") as answer:
            return next((session["kernel"] for session in json.load(answer) if session["path"] == self._path), None)

    def _id(self) -> str:
        found = self._found()
        assert found is not None, f"{self._path} has no kernel"
        return str(found["id"])

    def _client(self) -> BlockingKernelClient:
        if self._open is None:
            kernel = BlockingKernelClient(connection_file=str(self._runtime / f"kernel-{self._id()}.json"))
            kernel.load_connection_file()
            kernel.start_channels()
            kernel.hb_channel.time_to_dead = PATIENCE / 1000  # a kernel that is slow to begin is not dead
            kernel.wait_for_ready(timeout=60)
            self._open = kernel
        return self._open

    def close(self) -> None:
        """Ask no more."""
        if self._open is not None:
            self._open.stop_channels()
            self._open = None
