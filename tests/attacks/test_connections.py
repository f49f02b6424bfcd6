"""Requests that no client would send: smuggled, endless, or so slow that they never end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest

from farm.api import bounds
from farm.serving import connections
from farm.serving.connections import HEAD_BYTES
from tests.api.conftest import Api, serving

#: Seconds after which a connection counts as kept for ever.
PATIENCE_S = 30.0
POST = b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
UPLOAD = b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
#: What would be a request of its own, were the first one's end read otherwise.
SMUGGLED = b"GET /healthz?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def api(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for all: no request leaves a trace."""
    with serving(redis_server, tmp_path_factory.mktemp("api")) as api:
        api.key()
        yield api


@pytest.fixture
def wire(api: Api) -> Iterator[socket.socket]:
    """A connection to the API."""
    with closing(connected(api)) as found:
        yield found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without patience."""
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(bounds, "IDLE_S", 0.5)
    monkeypatch.setattr(bounds, "BODY_S", 1.0)


def connected(api: Api) -> socket.socket:
    address = urlsplit(api.url)
    assert address.hostname
    return socket.create_connection((address.hostname, address.port or 0), timeout=PATIENCE_S)


def answers(wire: socket.socket) -> bytes:
    """Everything that comes until the server closes the connection."""
    got = b""
    with suppress(ConnectionResetError):
        while piece := wire.recv(1 << 16):
            got += piece
    return got


def trickle(wire: socket.socket, first: bytes, then: bytes, pause_s: float = 0.05) -> None:
    """Send a first piece, and then the same one again and again, for 30 s at most."""
    wire.sendall(first)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        wire.sendall(then)
        time.sleep(pause_s)


def statuses(got: bytes) -> list[int]:
    """The status of every answer in what came."""
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


def test_a_connection_serves_one_request_after_another(wire: socket.socket) -> None:
    wire.sendall(GET + b"\r\n" + GET + b"\r\n" + GET + b"Connection: close\r\n\r\n")
    assert statuses(answers(wire)) == [200, 200, 200]


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 400\r\n",
        b"Content-Length: 4, 400\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: -4\r\n",
        b"Content-Length: 0x4\r\n",
        b"Content-Length: 4x\r\n",
        b"Content-Length : 4\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"X: a\0b\r\n",
        b"X: a\rb\r\n",
        b"X\n: a\r\n",
        b" X: a\r\n",
    ],
)
def test_a_request_whose_end_is_in_doubt_is_refused_with_what_follows(
    head: bytes, wire: socket.socket
) -> None:
    wire.sendall(POST + head + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert statuses(answers(wire)) == [400]


@pytest.mark.parametrize("size", [b"0x4", b"-1", b"+4", b"4 4", b"FFFFFFFFFFFFFFFFF", b"", b"g"])
def test_a_chunk_without_a_plain_size_ends_the_connection(size: bytes, wire: socket.socket) -> None:
    wire.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabcd\r\n" + SMUGGLED)
    assert set(statuses(answers(wire))) <= {400}


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"a" * 4 * HEAD_BYTES,
        b"X: a\r\n" * HEAD_BYTES,
        b"X" * 4 * HEAD_BYTES,
    ],
    ids=["value", "many", "name"],
)
def test_a_head_without_an_end_is_not_kept(head: bytes, wire: socket.socket) -> None:
    with suppress(ConnectionError):
        trickle(wire, GET, head, 0)
    assert statuses(answers(wire)) in ([431], [])


def test_an_address_without_an_end_is_not_kept(wire: socket.socket) -> None:
    with suppress(ConnectionError):
        wire.sendall(b"GET /" + b"a" * 100 * HEAD_BYTES)
    assert statuses(answers(wire)) in ([431], [])


@pytest.mark.parametrize("piece", [b"X: a\r\n", b"X: " + b"a" * 65_536])
def test_trailers_without_an_end_are_not_kept(piece: bytes, wire: socket.socket, api: Api) -> None:
    _, key = api.key()
    head = (
        POST
        + f"X-API-Key: {key}\r\n".encode()
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    )
    wire.sendall(head)
    with pytest.raises(ConnectionError):
        trickle(wire, piece, piece * (100_000 // len(piece) + 1), 0)


def test_a_trailer_is_no_header(wire: socket.socket, api: Api) -> None:
    _, key = api.key("ann", "submit", "read", "admin")
    wire.sendall(
        POST
        + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n"
        + f"Authorization: Bearer {key}\r\n\r\n".encode()
    )
    assert statuses(answers(wire)) == [401]


def test_a_body_in_chunks_is_counted_as_any_other(wire: socket.socket, api: Api) -> None:
    _, key = api.key()
    wire.sendall(POST + f"X-API-Key: {key}\r\n".encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with suppress(ConnectionError):
        for _ in range(20):
            wire.sendall(piece)
    assert statuses(answers(wire)) in ([413], [])


def test_chunks_of_one_byte_are_a_body_too(wire: socket.socket, api: Api) -> None:
    _, key = api.key()
    wire.sendall(
        POST
        + f"X-API-Key: {key}\r\nConnection: close\r\n".encode()
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * 50_000
        + b"2\r\n{}\r\n0\r\n\r\n"
    )
    assert statuses(answers(wire)) == [400]  # fields are missing


# --- slow


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("sent", [b"", b"G", GET, GET + b"X: "])
def test_who_does_not_finish_a_head_is_left(sent: bytes, wire: socket.socket) -> None:
    start = time.monotonic()
    wire.sendall(sent)
    assert statuses(answers(wire)) == [408]
    assert time.monotonic() - start < 10


@pytest.mark.usefixtures("hasty")
def test_who_trickles_a_head_is_left(wire: socket.socket) -> None:
    with pytest.raises(ConnectionError):
        trickle(wire, b"GET / HTTP/1.1\r\n", b"X: a\r\n")


@pytest.mark.usefixtures("hasty")
def test_who_trickles_the_second_head_is_left(wire: socket.socket) -> None:
    wire.sendall(GET + b"\r\n")
    assert wire.recv(1 << 16)
    with pytest.raises(ConnectionError):
        trickle(wire, GET, b"X: a\r\n")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("request_", [POST, UPLOAD], ids=["job", "upload"])
def test_who_trickles_a_body_is_left(request_: bytes, wire: socket.socket, api: Api) -> None:
    _, key = api.key()
    start = time.monotonic()
    head = f"X-API-Key: {key}\r\nContent-Length: 1000000\r\n\r\n".encode()
    with pytest.raises(ConnectionError):
        trickle(wire, request_ + head + b"--b\r\n", b"a", 0.1)
    assert time.monotonic() - start < 10


@pytest.mark.usefixtures("hasty")
def test_who_goes_on_with_a_body_that_was_refused_is_left(wire: socket.socket, api: Api) -> None:
    api.key()
    wire.sendall(POST + b"Content-Length: 1000000\r\n\r\n")
    assert b" 401 " in wire.recv(1 << 16)
    with pytest.raises(ConnectionError):
        trickle(wire, b"", b"a")


def test_an_upload_may_take_as_long_as_it_brings_something(
    wire: socket.socket, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "BODY_S", 2.0)
    _, key = api.key()
    body = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + b"x" * 40_000
        + b"\r\n--b--\r\n"
    )
    head = f"X-API-Key: {key}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    wire.sendall(UPLOAD + head.encode())
    for start in range(0, len(body), 5_000):
        wire.sendall(body[start : start + 5_000])
        time.sleep(0.3)
    assert statuses(answers(wire)) == [200]
