"""A server of notebooks on this machine with Chromium before it: pages that ask nothing of other machines, and what their consoles say."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

import sopnb
from sopnb.widgets import bundle

PATIENCE = 30_000
"""Milliseconds that anything on the page may take on a busy machine."""
expect.set_options(timeout=PATIENCE)

ROOT = Path(sopnb.__file__).parents[1]


class Host:
    """A server at ``url``, whose last lines are ``lines``. ``outside`` is what its pages wanted from other machines, and did not get."""

    def __init__(self, url: str, lines: list[str], browser: Browser) -> None:
        self.url, self.lines = url, lines
        self.outside: list[str] = []
        self._contexts: list[BrowserContext] = []
        self._browser = browser

    def told(self) -> str:
        """The last lines of the server."""
        return "\n".join(self.lines[-30:])

    def page(self, **how: Any) -> Page:
        """Return an empty page in a browser of its own: nothing is shared with other pages."""
        context = self._browser.new_context(**{"viewport": {"width": 1500, "height": 1000}, **how})
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.route(re.compile(r"^(?!(https?|wss?)://localhost[:/]|blob:|data:)"), self._refuse)
        page = context.new_page()
        page.on("websocket", lambda socket: None if socket.url.startswith("ws://localhost:") else self.outside.append(socket.url))
        return page

    def _refuse(self, route: Any) -> None:
        self.outside.append(route.request.url)
        route.abort()

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def errors_of(page: Page) -> list[str]:
    """Return a list that comes to hold every error that the page tells to its console."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def serving(command: Sequence[str], ready: str, environment: Mapping[str, str], folder: Path) -> Iterator[list[str]]:
    """Run a server from when it says that it is ready; yields its lines, which grow."""
    lines: list[str] = []
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
    told = server.stdout
    assert told is not None
    try:
        for line in told:
            lines.append(line.rstrip())
            if ready in line:
                break
        else:
            pytest.fail(f"{command[2]} does not start\n" + "\n".join(lines))
        threading.Thread(target=lambda: lines.extend(told), daemon=True).start()  # a kernel may keep the pipe longer than the server
        yield lines
    finally:
        server.terminate()
        server.wait()


def needs_bundle() -> None:
    try:
        bundle.content()
    except sopnb.StorageError as error:
        pytest.fail(f"{error}: python frontend/bundle.py")
