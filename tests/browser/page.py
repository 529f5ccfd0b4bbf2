"""A page that shows the browser of stores without a notebook: the bundle, and a model that asks a real ``View`` by HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sopnb
from sopnb.view import View

BUNDLE = Path(sopnb.__file__).parent / "widgets" / "static" / "browser.js"
AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

# what a notebook does with keys: those that come here are lost
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A page with a browser of stores</title><link rel="icon" href="data:,">
<style>body { margin: 16px; background: %(background)s } #place { width: %(width)s }</style></head>
<body><main><h1 style="font: 600 14px sans-serif; color: %(ink)s">A page</h1><div id="place"></div></main>
<script type="module">
import view from "/browser.js";
class HttpModel {
  listeners = new Map();
  traits = %(traits)s;
  on(event, callback) { this.listeners.set(event, [...(this.listeners.get(event) ?? []), callback]); }
  off(event, callback) { this.listeners.set(event, (this.listeners.get(event) ?? []).filter((one) => one !== callback)); }
  get(name) { return this.traits[name]; }
  set(name, value) {
    if (JSON.stringify(this.traits[name]) === JSON.stringify(value)) return;
    this.traits[name] = value;
    for (const one of [...(this.listeners.get(`change:${name}`) ?? [])]) one();
  }
  save_changes() {}
  tell(message) { for (const one of this.listeners.get("msg:custom") ?? []) one(message); }
  // of one kind they come in the order in which they were sent, as to a kernel; pages may pass each other
  asked = new Map();
  async inTurn(message) {
    const before = message.op === "page" ? null : this.asked.get(message.op);
    const answer = Promise.resolve(before).then(() => this.post("/rpc", message));
    this.asked.set(message.op, answer.catch(() => null));
    return answer;
  }
  async post(path, body) { return (await fetch(path, { method: "POST", body: JSON.stringify(body) })).json(); }
  send(message) { this.carry(message).catch((error) => window.lost.push(String(error))); }
  async carry(message) {
    const watches = message.op === "watch" && message.args.on;
    const seq = watches ? (await this.post("/rpc", { id: 0, op: "poll", args: { seq: 0 } })).ok.seq : 0;
    this.tell(await this.inTurn(message));
    if (watches) this.watch(seq);
  }
  async watch(seq) {
    while (this.listeners.get("msg:custom")?.length) {
      const event = await this.post("/changed", { seq });
      if (event) { seq = event.seq; this.tell(event); }
    }
  }
}
window.keys = [];
window.lost = [];
document.addEventListener("keydown", (event) => window.keys.push(event.key));
window.model = new HttpModel();
window.show = (model = window.model) => (window.close = view.render({ model, el: document.getElementById("place") }));
window.HttpModel = HttpModel;
window.show();
</script></body></html>
"""


class Served:
    """A view at an address. ``messages`` are the ops that were asked.

    ``holds`` keep the messages of an op back until they are set, ``late`` the answers to them, which are made before.
    Commits of others are told while ``watched`` is set.
    """

    def __init__(self, target: Any, *, edit: bool = True) -> None:
        self.view = View(target, edit=edit)
        self.messages: list[dict[str, Any]] = []
        self.holds: dict[str, threading.Event] = {}
        self.late: dict[str, threading.Event] = {}
        self.watched = threading.Event()
        self.watched.set()
        self.ended = False

    def handle(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer a message, as a kernel would."""
        self.messages.append(message)
        held, late = self.holds.get(message["op"]), self.late.get(message["op"])
        if held is not None:
            held.wait(30)
        answer = self.view.handle(message)
        if late is not None:
            late.wait(30)
        return answer

    @contextmanager
    def held(self, op: str) -> Iterator[None]:
        """Keep back the messages of an op that come meanwhile; they are handled after."""
        self.holds[op] = held = threading.Event()
        try:
            yield
        finally:
            self.holds.pop(op, None)
            held.set()

    @contextmanager
    def answered_late(self, op: str) -> Iterator[None]:
        """Handle the messages of an op that come meanwhile, and keep their answers back until after."""
        self.late[op] = late = threading.Event()
        try:
            yield
        finally:
            self.late.pop(op, None)
            late.set()

    def changed(self, seq: int) -> dict[str, Any] | None:
        """Wait a moment for commits."""
        if self.ended or not self.watched.wait(0.2):
            return None
        return self.view.changed_since(seq, wait=0.2)

    def asked(self, op: str) -> list[dict[str, Any]]:
        """Return the arguments of the messages of one op."""
        return [message.get("args", {}) for message in self.messages if message["op"] == op]


@contextmanager
def served(target: Any, *, edit: bool = True) -> Iterator[tuple[Served, str]]:
    """Serve a database, a store or a selection on this machine; yields the view and the address of the page."""
    shown = Served(target, edit=edit)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            dark = asked.get("scheme") == "dark"
            given = {
                "background": "#111318" if dark else "#ffffff",
                "ink": "#e8eaee" if dark else "#1b1f24",
                "width": asked.get("width", "auto"),
                "traits": json.dumps(
                    {"height": int(asked.get("height", "520")), "edit": shown.view.edit, "selection_key": None, "tokens": [], "store": ""}
                    | json.loads(asked.get("traits", "{}"))
                ),
            }
            if url.path == "/":
                self._answer("text/html; charset=utf-8", (PAGE % given).encode())
            elif url.path == "/browser.js":
                self._answer("text/javascript; charset=utf-8", BUNDLE.read_bytes())
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = shown.handle(asked) if self.path == "/rpc" else shown.changed(asked["seq"])
            self._answer("application/json", json.dumps(answer, allow_nan=False).encode())

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline' data:")
            self.end_headers()
            with suppress(ConnectionError):  # the page is closed already
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield shown, f"http://127.0.0.1:{server.server_port}/"
    finally:
        shown.ended = True
        server.shutdown()
        server.server_close()
        thread.join()
