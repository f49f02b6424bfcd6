"""A real HTTP server that misbehaves as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Scripted"], None]


class Scripted(BaseHTTPRequestHandler):
    """Answers each POST with the next reply of its script, the last one for ever."""

    protocol_version = "HTTP/1.1"
    script: Sequence[Reply]
    bodies: list[Any]
    listed: Any

    def do_GET(self) -> None:
        self.answer(200, json.dumps(self.listed).encode(), "application/json")

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        number = min(len(self.bodies), len(self.script)) - 1
        self.script[number](self)

    def answer(self, status: int, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@dataclass
class Faulty:
    """A server that follows a script."""

    url: str
    bodies: list[Any]
    """What it was sent."""
    server: ThreadingHTTPServer


@contextmanager
def scripted(listed: Any, *script: Reply, port: int = 0) -> Iterator[Faulty]:
    """Run a server whose GETs give `listed`, and whose POSTs follow a script."""
    bodies: list[Any] = []
    kind = type("Handler", (Scripted,), {"script": script, "bodies": bodies, "listed": listed})
    server = ThreadingHTTPServer(("127.0.0.1", port), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Faulty(f"http://127.0.0.1:{server.server_port}", bodies, server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
