from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from farm.errors import InvalidInput, Unavailable
from farm.outgoing import Outgoing, Target, public
from tests.receivers import Receiver, answering, receiver, trickling

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
#: An address that belongs to somebody, for what is looked up and never connected to.
PUBLIC = "93.184.215.14"


def leading(*addresses: str) -> Callable[[str, int], list[str]]:
    """A resolver by which every name leads to these addresses."""
    return lambda _host, _port: list(addresses)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def open_way() -> Outgoing:
    """The way out of a farm whose operator allows loopback."""
    return Outgoing(LOOPBACK)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not public(ipaddress.ip_address(address))
    with pytest.raises(InvalidInput, match="not public"):
        Outgoing(look_up=leading(address)).check("http://somewhere.example/")


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1"])
def test_a_public_address_is_taken(address: str) -> None:
    found = Outgoing(look_up=leading(address)).check("https://somewhere.example/a?b=c#d")
    assert found == Target("https", "somewhere.example", 443, "/a?b=c", (address,))
    assert found.url == "https://somewhere.example/a?b=c"


@pytest.mark.parametrize(
    "url",
    [
        "http://0.0.0.0/",
        "http://0/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://localhost/",
        "http://LOCALHOST:8080/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_no_way_of_writing_it_leads_to_this_machine(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"not public|no such host"):
        Outgoing().check(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://good.example\\@127.0.0.1/", "good.example"),
        ("http://good.example#@127.0.0.1/", "good.example"),
        ("http://good.example?@127.0.0.1/", "good.example"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_the_host_that_is_looked_up_is_the_one_that_is_asked(url: str, host: str) -> None:
    looked: list[str] = []

    def look_up(name: str, _port: int) -> list[str]:
        looked.append(name)
        return [PUBLIC]

    assert Outgoing(look_up=look_up).check(url).host == host
    assert looked == [host]


@pytest.mark.parametrize("url", ["http://127.1/", "http://0x7f.1/", "http://2130706433/"])
def test_such_a_way_of_writing_is_refused_for_where_it_leads(url: str) -> None:
    assert Outgoing(LOOPBACK).check(url).addresses == ("127.0.0.1",)
    with pytest.raises(InvalidInput, match="not public"):
        Outgoing().check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "somewhere.example",
        "//somewhere.example/",
        "ftp://somewhere.example/",
        "file:///etc/passwd",
        "gopher://somewhere.example/",
        "http:///path",
        "http://",
        "http://a:99999/",
        "http://[::1/",
        "http://x\r\ny/",
        "http://somewhere.example/" + "a" * 2_000,
    ],
)
def test_what_is_no_address_of_http_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="is not valid"):
        Outgoing(look_up=leading(PUBLIC)).check(url)


@pytest.mark.parametrize("url", ["http://ann:hunter2@a.example/", "http://ann:hunter2@a b/"])
def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Outgoing(look_up=leading(PUBLIC)).check(url)
    assert "hunter2" not in str(caught.value)


def test_one_address_that_is_not_public_among_others_is_enough() -> None:
    with pytest.raises(InvalidInput, match="FARM_WEBHOOK_NETWORKS") as caught:
        Outgoing(look_up=leading(PUBLIC, "10.1.2.3")).check("http://both.example/")
    assert "10.1.2.3" not in str(caught.value)


def test_a_network_that_the_operator_allows_may_be_reached() -> None:
    allowed = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("::1/128"))
    way = Outgoing(allowed, leading("10.1.2.3", "::1", PUBLIC))
    assert way.check("http://within.example/").addresses == ("10.1.2.3", "::1", PUBLIC)
    with pytest.raises(InvalidInput, match="not public"):
        Outgoing(allowed, leading("10.2.0.1")).check("http://within.example/")


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), InvalidInput),
        (socket.gaierror(socket.EAI_AGAIN, "later"), Unavailable),
        (UnicodeError("label too long"), InvalidInput),
    ],
)
def test_a_name_that_is_not_found_is_the_callers_fault_and_a_silent_resolver_is_not(
    error: Exception, raised: type[Exception]
) -> None:
    def fail(_host: str, _port: int) -> list[str]:
        raise error

    with pytest.raises(raised, match=r"nowhere\.example"):
        Outgoing(look_up=fail).check("http://nowhere.example/")


def test_a_post_brings_body_and_headers_and_the_receivers_status(
    there: Receiver, open_way: Outgoing
) -> None:
    there.answer = lambda _: (202, {}, b"thanks")
    answer = open_way.post(f"{there.url}/hook?a=b#c", b"{}", {"X-Given": "yes"})
    assert (answer.status, answer.retry_after_s) == (202, None)
    (got,) = there.got
    assert (got.method, got.path, got.body) == ("POST", "/hook?a=b", b"{}")
    assert got.headers["x-given"] == "yes"
    assert got.headers["host"] == f"127.0.0.1:{there.port}"
    assert got.headers["user-agent"].startswith("farm/")


def test_nothing_is_connected_where_the_address_is_refused(there: Receiver, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        Outgoing().post(there.url, b"", {})
    with pytest.raises(InvalidInput):
        Outgoing().download(there.url, tmp_path / "file", 100)
    assert there.got == []


def test_a_name_that_leads_elsewhere_at_the_second_look_finds_no_second_look() -> None:
    looks = iter([["127.0.0.2"], ["127.0.0.1"]])
    allowed = (ipaddress.ip_network("127.0.0.2/32"),)
    with receiver("127.0.0.2") as meant:
        way = Outgoing(allowed, lambda _host, _port: next(looks))
        assert way.post(f"http://rebinding.example:{meant.port}/", b"", {}).status == 204
    assert [got.headers["host"] for got in meant.got] == [f"rebinding.example:{meant.port}"]
    assert next(looks) == ["127.0.0.1"]  # it was not asked for


def test_a_name_that_was_public_when_it_was_checked_is_checked_again_at_use(
    there: Receiver,
) -> None:
    looks = iter([[PUBLIC], ["127.0.0.1"]])
    way = Outgoing(look_up=lambda _host, _port: next(looks))
    url = f"http://rebinding.example:{there.port}/"
    assert way.check(url).addresses == (PUBLIC,)
    with pytest.raises(InvalidInput, match="not public"):
        way.post(url, b"", {})
    assert there.got == []


def test_the_second_address_of_a_host_is_tried_where_the_first_does_not_answer(
    there: Receiver,
) -> None:
    way = Outgoing(LOOPBACK, leading("127.0.0.9", "127.0.0.1"))
    assert way.post(f"http://two.example:{there.port}/", b"", {}).status == 204


def test_a_post_follows_no_redirect(there: Receiver, open_way: Outgoing) -> None:
    there.answer = lambda _: (307, {"Location": f"{there.url}/other"}, b"")
    assert open_way.post(f"{there.url}/hook", b"", {}).status == 307
    assert [got.path for got in there.got] == ["/hook"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("soon", None), ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), ("-5", None)],
)
def test_when_a_receiver_asks_to_come_back_is_told(
    header: str, seconds: float | None, there: Receiver, open_way: Outgoing
) -> None:
    there.answer = lambda _: (503, {"Retry-After": header}, b"")
    assert open_way.post(there.url, b"", {}).retry_after_s == seconds


def test_proxies_of_the_environment_are_not_used(
    there: Receiver, open_way: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert open_way.post(there.url, b"", {}).status == 204


def tls(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def ca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """An authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def test_under_tls_the_host_that_was_meant_is_named_and_verified(ca: trustme.CA) -> None:
    named: list[str | None] = []
    context = tls(ca, "hooks.example")
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    with receiver(tls=context) as there:
        way = Outgoing(LOOPBACK, leading("127.0.0.1"))
        assert way.post(f"https://hooks.example:{there.port}/", b"x", {}).status == 204
    assert named == ["hooks.example"]
    assert there.got[0].headers["host"] == f"hooks.example:{there.port}"


def test_a_certificate_of_another_host_is_refused(ca: trustme.CA) -> None:
    with receiver(tls=tls(ca, "other.example")) as there:
        way = Outgoing(LOOPBACK, leading("127.0.0.1"))
        with pytest.raises(Unavailable, match=r"certificate of 'hooks\.example:\d+' is not valid"):
            way.post(f"https://hooks.example:{there.port}/", b"x", {})
    assert there.got == []


def test_a_certificate_of_an_unknown_authority_is_refused(ca: trustme.CA) -> None:
    stranger = trustme.CA()
    assert stranger.cert_pem.bytes() != ca.cert_pem.bytes()
    with receiver(tls=tls(stranger, "hooks.example")) as there:
        way = Outgoing(LOOPBACK, leading("127.0.0.1"))
        with pytest.raises(Unavailable, match="certificate"):
            way.post(f"https://hooks.example:{there.port}/", b"x", {})
    assert there.got == []


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "headers", "header", "continue"],
)
def test_a_receiver_that_trickles_its_head_is_left_in_time(head: bytes, drop: bytes) -> None:
    with answering(trickling(head, drop)) as port:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer"):
            Outgoing(LOOPBACK, total_s=0.4).post(f"http://127.0.0.1:{port}/", b"", {})
        assert 0.3 < time.monotonic() - begun < 10


def test_a_receiver_that_trickles_its_handshake_is_left_in_time() -> None:
    # The head of a TLS record of 4,000 bytes (RFC 8446, 5.1), and its content drop by drop.
    with answering(trickling(b"\x16\x03\x03\x0f\xa0\x02\x00\x0f\x9c", b"\0")) as port:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            Outgoing(LOOPBACK, total_s=0.4).post(f"https://127.0.0.1:{port}/", b"", {})
        assert 0.3 < time.monotonic() - begun < 10


def test_a_receiver_that_takes_no_connection_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            Outgoing(LOOPBACK, connect_s=0.2).post(f"http://127.0.0.1:{port}/", b"", {})
        assert time.monotonic() - begun < 4
        for one in crowd:
            one.close()


def test_what_does_not_speak_http_is_told_so(open_way: Outgoing) -> None:
    def greet(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(b"220 mail.example ESMTP\r\n")

    with answering(greet) as port, pytest.raises(Unavailable, match="does not answer as HTTP"):
        open_way.post(f"http://127.0.0.1:{port}/", b"", {})
