"""What only S3 can get wrong, on real servers."""

from __future__ import annotations

import inspect
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import boto3.exceptions
import botocore.exceptions
import pytest
import s3transfer.exceptions
import urllib3.exceptions
from botocore.exceptions import ClientError

from farm.errors import NotFound, StoreUnavailable
from farm.storage import s3_client
from farm.storage.local import LocalStore
from farm.storage.s3 import S3Store
from tests.storage.conftest import OpenS3
from tests.storage.servers import BUCKET, Server, free_port

THIEF = {"AWS_ACCESS_KEY_ID": "farmtest", "AWS_SECRET_ACCESS_KEY": "wrong"}


@pytest.fixture(params=["nanio", "moto"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def test_a_wrong_secret_is_refused(
    server: Server, open_s3: OpenS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_s3(server).put("a", b"mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    thief = S3Store(BUCKET, "of", endpoint_url=server.endpoint_url)
    with pytest.raises(StoreUnavailable, match="SignatureDoesNotMatch"):
        thief.put("a", b"stolen")
    with pytest.raises(StoreUnavailable, match=f"s3://{BUCKET} at http://127"):
        list(thief.list(""))


def test_without_credentials_the_store_says_so(server: Server) -> None:
    store = S3Store(BUCKET, endpoint_url=server.endpoint_url)
    with pytest.raises(StoreUnavailable, match="NoCredentialsError"):
        store.get("a")


def test_an_address_is_one_that_clients_reach(nanio: Server, open_s3: OpenS3) -> None:
    public = nanio.endpoint_url.replace("127.0.0.1", "localhost")
    store = open_s3(nanio, public_url=public)
    store.put("a", b"1")
    assert store.get("a") == b"1"
    address = store.url("a")
    assert address.startswith(f"{public}/{BUCKET}/")
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"1"


def test_a_presigned_address_is_good_for_its_time_alone(nanio: Server, open_s3: OpenS3) -> None:
    store = open_s3(nanio)
    store.put("a", b"1")
    address = store.url("a", seconds=1)
    time.sleep(2.1)  # both clocks count whole seconds
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address)
    with refused.value as answer:
        assert answer.code == 403


def test_a_presigned_address_is_good_for_its_object_alone(nanio: Server, open_s3: OpenS3) -> None:
    store = open_s3(nanio)
    store.put("a", b"1")
    store.put("b", b"2")
    address = store.url("a", seconds=60)
    assert "X-Amz-Expires=60" in address
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address.replace("/a?", "/b?"))


def test_conditional_writes_are_found_out_by_a_probe_that_leaves_nothing(
    nanio: Server, moto: Server, open_s3: OpenS3
) -> None:
    for server, able in ((moto, True), (nanio, False)):
        store = open_s3(server)
        assert store.supports_if_absent() is able
        assert list(store.list("")) == []


def test_an_unknown_bucket_is_named(server: Server, open_s3: OpenS3) -> None:
    store = open_s3(server)
    other = S3Store("elsewhere", endpoint_url=server.endpoint_url)
    with pytest.raises(StoreUnavailable, match=r"s3://elsewhere at .*NoSuchBucket"):
        other.put("a", b"")
    with pytest.raises(NotFound):
        store.get("a")


def test_a_prefix_keeps_two_farms_in_one_bucket_apart(server: Server, open_s3: OpenS3) -> None:
    store = open_s3(server)
    one, two = (
        S3Store(BUCKET, f"{store.prefix}{name}/", endpoint_url=server.endpoint_url)
        for name in ("one", "two")
    )
    one.put("a", b"1")
    two.put("b", b"2")
    assert list(one.list("")) == ["a"]
    assert not two.exists("a")


def test_more_than_a_thousand_keys_are_listed(nanio: Server, open_s3: OpenS3) -> None:
    store = open_s3(nanio)
    keys = [f"many/{number // 100}/{number:04}" for number in range(2100)]
    for key in keys:
        path = nanio.data / BUCKET / store.prefix / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list(store.list("many/")) == sorted(keys)
    assert list(store.list("many/3/"))[-1] == "many/3/0399"


def test_a_server_that_is_down_is_unavailable_within_seconds(tmp_path: Path) -> None:
    store = _nowhere()
    (tmp_path / "file").write_bytes(b"1")
    began = time.monotonic()
    for use in (
        lambda: store.put("a", b""),
        lambda: store.put("a", b"", if_absent=True),
        lambda: store.put_file("a", tmp_path / "file"),
        lambda: store.get("a"),
        lambda: store.open("a"),
        lambda: store.get_file("a", tmp_path / "copy"),
        lambda: store.exists("a"),
        lambda: store.size("a"),
        lambda: store.delete("a"),
        lambda: list(store.list("")),
    ):
        with pytest.raises(StoreUnavailable, match=r"s3://farm at http.*EndpointConnectionError"):
            use()
    assert time.monotonic() - began < 20


def test_an_address_is_made_without_asking_the_server() -> None:
    assert _nowhere().url("a").startswith("http://127.0.0.1")


def test_a_stream_that_breaks_off_is_unavailable() -> None:
    class Broken:
        def read(self, _: int) -> bytes:
            raise urllib3.exceptions.ProtocolError("cut")

        def close(self) -> None:
            """Nothing to close."""

    with pytest.raises(StoreUnavailable, match="ProtocolError: cut"):
        s3_client.Body({"Body": Broken()}, "s3://farm", "a").read(10)


@pytest.mark.parametrize(("cut", "good"), [(2, True), (9, False)])
def test_a_transfer_that_breaks_off_starts_again_a_few_times(
    cut: int, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in THIEF.items():
        monkeypatch.setenv(name, value)
    with _cutting(cut) as address:
        store = S3Store(BUCKET, endpoint_url=address, attempts=3)
        if good:
            assert store.get("a") == b"0123456789"
        else:
            with pytest.raises(StoreUnavailable, match=r"s3://farm at .*(Incomplete|Protocol)"):
                store.get("a")


def test_a_full_local_disk_is_told_apart_from_the_server(
    server: Server, open_s3: OpenS3, tmp_path: Path
) -> None:
    store = open_s3(server)
    store.put("a", b"1")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match=r"cannot write .*file/copy"):
        store.get_file("a", tmp_path / "file" / "copy")


#: A service model of botocore itself is broken.
NOT_THE_WORLDS_FAULT = {"MissingServiceIdError", "UndefinedModelAttributeError"}


@pytest.mark.parametrize(
    "module",
    [botocore.exceptions, boto3.exceptions, s3transfer.exceptions, urllib3.exceptions],
    ids=lambda module: module.__name__,
)
def test_every_error_of_every_layer_is_mapped(module: ModuleType) -> None:
    errors = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
        and not issubclass(kind, Warning)
        and kind.__module__ == module.__name__
        and kind.__name__ not in NOT_THE_WORLDS_FAULT
    ]
    assert len(errors) > 5
    unmapped = [kind for kind in errors if not issubclass(kind, (*s3_client.ERRORS, ClientError))]
    assert unmapped == []


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "InternalError", "503", "Teapot"])
def test_a_refusal_keeps_its_code(code: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "because"}}, "PutObject")
    with pytest.raises(StoreUnavailable, match=f"here: {code}: because"), s3_client.mapped("here"):
        raise error


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "NotFound"])
def test_a_missing_object_is_not_found(code: str) -> None:
    error = ClientError({"Error": {"Code": code}}, "GetObject")
    with (
        pytest.raises(NotFound, match=r"^no object 'k' in the store$"),
        s3_client.mapped("here", "k"),
    ):
        raise error


def test_amazon_itself_is_addressed_by_bucket_and_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in THIEF.items():
        monkeypatch.setenv(name, value)
    address = S3Store("books", "farm", region="eu-west-1").url("a b")
    assert address.startswith("https://books.s3.eu-west-1.amazonaws.com/farm/a%20b?")


def test_what_is_stored_here_can_be_stored_there(
    server: Server, open_s3: OpenS3, tmp_path: Path
) -> None:
    here, there = LocalStore(tmp_path / "here"), open_s3(server)
    here.put("a", b"moved")
    here.get_file("a", tmp_path / "file")
    there.put_file("a", tmp_path / "file")
    assert there.get("a") == b"moved"


def _nowhere() -> S3Store:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in THIEF.items():
            patch.setenv(name, value)
        store = S3Store(BUCKET, endpoint_url=f"http://127.0.0.1:{free_port()}", attempts=2)
        store.url("connects")
    return store


@contextmanager
def _cutting(times: int) -> Iterator[str]:
    """Serve ten bytes, but so many times only half of them."""
    left = iter(range(times))

    class Half(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"01234" if next(left, None) is not None else b"0123456789")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Half) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
