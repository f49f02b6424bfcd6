"""Real HTTP servers for the tests of what goes out: one that notes requests, and worse ones."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """What a receiver got."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass
class Receiver:
    """A server that notes what it gets and answers what it is told to."""

    url: str = ""
    port: int = 0
    got: list[Request] = field(default_factory=list)
    answer: Callable[[Request], tuple[int, Mapping[str, str], bytes]] = lambda _: (204, {}, b"")


@contextmanager
def receiver(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve on a free port for as long as the block lasts."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            found.got.append(request)
            status, answered, content = found.answer(request)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **answered}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # who does not want the rest has hung up
                self.wfile.write(content)

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that breaks off is what is tested

    with Server((host, 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        found.port = server.server_address[1]
        found.url = f"http{'s' if tls else ''}://{host}:{found.port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def answering(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Give each connection to a function until the block ends; yield the port."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            answer(connection, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def trickling(head: bytes, drop: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Send a head at once, then a drop every 50 ms for ever."""

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(0.05):
            connection.sendall(drop)

    return answer
