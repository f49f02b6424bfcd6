"""An HTTP proxy in front of a real S3 server that makes trouble by rules, from a seed.

The farm signs for the proxy's address; the Host header goes through as it came, so the server
still checks the signature. Every request has a connection of its own to the server.
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote, urlsplit

from tests.storage.servers import Server

Act = Literal[
    "error",  # 500 InternalError
    "slow_down",  # 503 SlowDown
    "denied",  # 403 AccessDenied
    "full",  # 507 of a server whose disk is full
    "late",  # done, but the answer comes `delay_s` later
    "reset_request",  # the connection is reset in the middle of the request's body
    "reset_answer",  # done, but the connection is reset in the middle of the answer's body
    "lost",  # done, but the connection is reset before the answer
    "wrong",  # one bit of the answer's body is flipped
    "wrong_request",  # one bit of the request's body is flipped
    "short",  # half of the answer's body, with the length of that half
    "cut",  # half of the answer's body, then the end, with the length of the whole
]

_REFUSALS = {
    "error": (500, "InternalError"),
    "slow_down": (503, "SlowDown"),
    "denied": (403, "AccessDenied"),
    "full": (507, "InsufficientStorage"),
}
#: Acts on an answer that are none where the answer has no body.
_ON_BODIES = {"reset_answer", "wrong", "short", "cut"}
#: Headers of one connection, which are not passed on.
_OWN = {"connection", "expect", "keep-alive", "transfer-encoding"}

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Rule:
    """What happens to which requests."""

    act: Act
    method: str = ".*"
    """Regular expression of the whole method."""
    key: str = ""
    """Regular expression found somewhere in the path: `/<bucket>/<prefix>/<key>`."""
    chance: float = 1.0
    times: int | None = None
    """How often, at most; None: always."""
    seconds: float | None = None
    """For how long after it was set; None: until it is cleared."""
    delay_s: float = 10.0
    """Of `late`."""


@dataclass(frozen=True)
class Fault:
    """One fault that was made."""

    at: float
    """Unix seconds."""
    act: Act
    method: str
    path: str


class Proxy:
    """The running proxy and its rules; safe to use from any thread."""

    def __init__(self, endpoint_url: str, upstream: str, seed: int) -> None:
        self.endpoint_url = endpoint_url
        """What the farm is told instead of the server's own address."""
        self.upstream = upstream
        """Host and port of the server; may be changed while it runs."""
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        """By method."""
        self.over = threading.Event()
        self._random = random.Random(seed)
        self._rules: list[tuple[Rule, float, int]] = []
        self._lock = threading.Lock()

    def set(self, *rules: Rule) -> None:
        """Replace all rules; the first that fits a request decides."""
        with self._lock:
            self._rules = [(rule, time.monotonic(), 0) for rule in rules]

    def add(self, *rules: Rule) -> None:
        """Put rules behind those there are."""
        with self._lock:
            self._rules += [(rule, time.monotonic(), 0) for rule in rules]

    def seed(self, seed: int) -> None:
        """Begin to choose from another seed."""
        with self._lock:
            self._random.seed(seed)

    def count(self, act: Act) -> int:
        """How often something was done."""
        return sum(fault.act == act for fault in self.faults)

    def judge(self, method: str, path: str, length: int) -> Rule | None:
        """Choose what is done to a request with so many bytes of body, and note it."""
        path = unquote(urlsplit(path).path)
        with self._lock:
            self.requests[method] += 1
            for index, (rule, since, done) in enumerate(self._rules):
                if not self._fits(rule, since, done, method, path, length):
                    continue
                self._rules[index] = (rule, since, done + 1)
                self.faults.append(Fault(time.time(), rule.act, method, path))
                return rule
        return None

    def bit(self, data: bytes) -> bytes:
        """Flip one bit, chosen from the seed."""
        with self._lock:
            at = self._random.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        return bytes(changed)

    def _fits(
        self, rule: Rule, since: float, done: int, method: str, path: str, length: int
    ) -> bool:
        return (
            re.fullmatch(rule.method, method) is not None
            and re.search(rule.key, path) is not None
            and not (rule.act in ("reset_request", "wrong_request") and not length)
            and not (rule.act in _ON_BODIES and method not in ("GET", "POST"))
            and (rule.times is None or done < rule.times)
            and (rule.seconds is None or time.monotonic() < since + rule.seconds)
            and (rule.chance >= 1 or self._random.random() < rule.chance)
        )


@contextmanager
def faulty(server: Server, seed: int = 1) -> Iterator[tuple[Server, Proxy]]:
    """Run a proxy before a server; yields the server as it is seen through it, and the proxy."""

    class Handler(_Handler):
        pass

    with _Listener(("127.0.0.1", 0), Handler) as listener:
        address = f"http://127.0.0.1:{listener.server_port}"
        proxy = Handler.proxy = Proxy(address, urlsplit(server.endpoint_url).netloc, seed)
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield replace(server, endpoint_url=address), proxy
        finally:
            proxy.over.set()
            listener.shutdown()
            thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that was killed."""


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on, but for what the rules want."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        rule = self.proxy.judge(self.command, self.path, length)
        try:
            self._act(rule, length)
        except (OSError, http.client.HTTPException):
            self._reset()  # the client or the server is gone

    def do_GET(self) -> None:
        self._pass()

    def do_PUT(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def do_HEAD(self) -> None:
        self._pass()

    def do_DELETE(self) -> None:
        self._pass()

    def _act(self, rule: Rule | None, length: int) -> None:
        act = rule.act if rule else ""
        if act == "reset_request":
            self.rfile.read(length // 2)
            self._reset()
            return
        body = self.rfile.read(length)
        if act in _REFUSALS:
            self._refuse(*_REFUSALS[act])
            return
        if act == "wrong_request":
            body = self.proxy.bit(body)
        status, headers, answer = self._ask(body)
        if rule and act == "late":
            self.proxy.over.wait(rule.delay_s)
        if act == "lost":
            self._reset()
            return
        self._answer(act if answer else "", status, headers, answer)

    def _ask(self, body: bytes) -> tuple[int, Headers, bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in _OWN:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            found = connection.getresponse()
            return found.status, found.getheaders(), found.read()
        finally:
            connection.close()

    def _answer(self, act: str, status: int, headers: Headers, body: bytes) -> None:
        length, half = len(body), body[: len(body) // 2]
        if act == "short":
            body, length = half, len(half)
        elif act == "wrong":
            body = self.proxy.bit(body)
        elif act in ("cut", "reset_answer"):
            body = half
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in (*_OWN, "content-length") or self._of_head(name):
                self.send_header(name, value)
        if not self._of_head("content-length") and status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        if act == "reset_answer":
            self._reset()
        self.close_connection |= act == "cut"

    def _of_head(self, name: str) -> bool:
        """Whether this is the length that a HEAD tells of a body that does not come."""
        return self.command == "HEAD" and name.lower() == "content-length"

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>made by a test</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """End the connection with a RST, not a FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""
