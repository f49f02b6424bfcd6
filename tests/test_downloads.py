from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.errors import InvalidInput, Unavailable
from farm.outgoing import Outgoing
from tests.receivers import Receiver, Request, answering, receiver, trickling

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def open_way() -> Outgoing:
    """The way out of a farm whose operator allows loopback."""
    return Outgoing(LOOPBACK)


def test_a_download_is_written_to_a_file(
    there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 1_000
    there.answer = lambda _: (200, {"Content-Type": "audio/wav"}, content)
    found = open_way.download(f"{there.url}/a.wav", tmp_path / "a.wav", len(content))
    assert (tmp_path / "a.wav").read_bytes() == content
    assert (found.url, found.content_type, found.size) == (
        f"{there.url}/a.wav",
        "audio/wav",
        len(content),
    )


def test_a_download_follows_three_redirects_and_no_fourth(
    there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        left = int(request.path.strip("/"))
        return (302, {"Location": f"/{left - 1}"}, b"") if left else (200, {}, b"here")

    there.answer = answer
    assert open_way.download(f"{there.url}/3", tmp_path / "a", 100).url == f"{there.url}/0"
    assert (tmp_path / "a").read_bytes() == b"here"
    there.got.clear()
    with pytest.raises(InvalidInput, match="redirects more than 3 times"):
        open_way.download(f"{there.url}/4", tmp_path / "b", 100)
    assert [got.path for got in there.got] == ["/4", "/3", "/2", "/1"]
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{}/", "//127.1:{}/", "http://[::ffff:127.0.0.1]:{}/"]
)
def test_a_redirect_to_this_machine_is_refused(location: str, tmp_path: Path) -> None:
    allowed = (ipaddress.ip_network("127.0.0.2/32"),)
    with receiver("127.0.0.2") as outside, receiver() as within:
        outside.answer = lambda _: (302, {"Location": location.format(within.port)}, b"")
        with pytest.raises(InvalidInput, match="not public"):
            Outgoing(allowed).download(outside.url, tmp_path / "a", 100)
        assert len(outside.got) == 1
        assert within.got == []


def test_a_redirect_to_a_file_is_refused(
    there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    there.answer = lambda _: (302, {"Location": "file:///etc/passwd"}, b"")
    with pytest.raises(InvalidInput, match="is not valid"):
        open_way.download(there.url, tmp_path / "a", 10_000)


def test_a_download_that_says_it_is_too_large_is_refused_unread(
    there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    there.answer = lambda _: (200, {}, b"x" * 1_001)
    with pytest.raises(InvalidInput, match="larger than 1000 bytes"):
        open_way.download(there.url, tmp_path / "a", 1_000)
    assert not (tmp_path / "a").exists()


def test_a_download_that_does_not_end_is_left_at_its_limit(
    open_way: Outgoing, tmp_path: Path
) -> None:
    sent = 0

    def flood(connection: socket.socket, over: threading.Event) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            sent += 65_536

    with answering(flood) as port:
        with pytest.raises(InvalidInput, match="larger than 1000000 bytes"):
            open_way.download(f"http://127.0.0.1:{port}/", tmp_path / "a", 1_000_000)
        assert not (tmp_path / "a").exists()
    assert sent < 20_000_000  # the rest lies in the system's buffers


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"],
    ids=["until it ends", "of a length"],
)
def test_a_download_that_trickles_is_left_in_time(head: bytes, tmp_path: Path) -> None:
    with answering(trickling(head, b"x")) as port:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            Outgoing(LOOPBACK, total_s=0.4).download(
                f"http://127.0.0.1:{port}/", tmp_path / "a", 10_000
            )
        assert 0.3 < time.monotonic() - begun < 10
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
    ],
    ids=["length", "chunked"],
)
def test_half_a_download_is_none(head: bytes, open_way: Outgoing, tmp_path: Path) -> None:
    with (
        answering(lambda connection, _over: connection.sendall(head)) as port,
        pytest.raises(Unavailable),
    ):
        open_way.download(f"http://127.0.0.1:{port}/", tmp_path / "a", 10_000)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("status", "raised"),
    [(404, InvalidInput), (403, InvalidInput), (429, Unavailable), (503, Unavailable)],
)
def test_a_download_that_is_refused_says_by_whom_it_was(
    status: int, raised: type[Exception], there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    there.answer = lambda _: (status, {}, b"internal words")
    with pytest.raises(raised, match=f"answers {status}") as caught:
        open_way.download(there.url, tmp_path / "a", 10_000)
    assert "internal" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_an_answer_that_is_compressed_unasked_is_refused(
    there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    there.answer = lambda _: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    with pytest.raises(InvalidInput, match="compressed"):
        open_way.download(there.url, tmp_path / "a", 10_000)
    assert there.got[0].headers["accept-encoding"] == "identity"


def test_a_full_disk_is_not_said_to_be_the_server(
    there: Receiver, open_way: Outgoing, tmp_path: Path
) -> None:
    there.answer = lambda _: (200, {}, b"x" * 100)
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(Unavailable, match=r"cannot write '.*/full'"):
        open_way.download(there.url, full, 10_000)
