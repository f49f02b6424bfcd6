"""S3 clients: how they are made, and what their errors mean. The only home of boto3.

Every object carries the SHA-256 of its content as metadata, and what is read is checked by it:
other servers than Amazon's, and plain HTTP, check nothing of an answer. What is sent is checked by
the server itself, by `Content-MD5`. Objects that were put by other programs are taken as they come.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, cast

import boto3.exceptions
import boto3.session
import s3transfer.exceptions
import urllib3.exceptions
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from farm.errors import NotFound, StoreUnavailable

__all__ = [
    "ERRORS",
    "TRANSFER",
    "Body",
    "ClientError",
    "Sink",
    "Spoilt",
    "check",
    "code",
    "connect",
    "mapped",
    "named",
    "transfer",
]

#: A transfer that broke off in the middle of an answer, which botocore does not try again.
BROKEN_OFF: tuple[type[Exception], ...] = (
    BotoCoreError,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.ProxySchemeUnsupported,
    ConnectionError,
    TimeoutError,
)

#: Everything that boto3 and what lies below it raise, beside `ClientError`, which has a code.
ERRORS: tuple[type[Exception], ...] = (
    *BROKEN_OFF,
    boto3.exceptions.Boto3Error,
    s3transfer.exceptions.CancelledError,
    s3transfer.exceptions.InvalidSubscriberMethodError,
    s3transfer.exceptions.RetriesExceededError,
    s3transfer.exceptions.S3CopyFailedError,
    s3transfer.exceptions.S3DownloadFailedError,
    s3transfer.exceptions.S3UploadFailedError,
    s3transfer.exceptions.S3ValidationError,
    s3transfer.exceptions.TransferNotDoneError,
)

#: Bytes above which a file is sent in parts, and of each part.
PART_BYTES = 16 << 20

TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4
)

_MISSING = {"NoSuchKey", "NotFound", "404"}

#: The metadata that holds an object's SHA-256, in hex.
_DIGEST = "sha256"


class Spoilt(Exception):
    """A transfer broke off, or brought other bytes than were put: the next one may be better.

    `came` is the SHA-256 of the wrong bytes, empty where it broke off, and `size` their number.
    """

    def __init__(self, reason: str, came: str = "", size: int = 0) -> None:
        """Say what happened."""
        super().__init__(reason)
        self.came, self.size = came, size


@contextmanager
def mapped(where: str, key: str = "") -> Iterator[None]:
    """Turn every error of boto3 into `NotFound` or one line of `StoreUnavailable`."""
    try:
        yield
    except Spoilt as error:
        raise StoreUnavailable(f"{where}: {key!r}: {error}") from error
    except ClientError as error:
        if code(error) in _MISSING:
            # Not where: clients of the API are told this.
            raise NotFound(f"no object {key!r} in the store") from error
        reason = error.response.get("Error", {}).get("Message", "")
        raise StoreUnavailable(f"{where}: {code(error)}: {reason}") from error
    except ERRORS as error:
        raise StoreUnavailable(f"{where}: {type(error).__name__}: {error}") from error


@contextmanager
def transfer() -> Iterator[None]:
    """Turn a transfer that breaks off in the middle of an answer into `Spoilt`."""
    try:
        yield
    except BROKEN_OFF as error:
        raise Spoilt(f"{type(error).__name__}: {error}") from error


def named(file: BinaryIO) -> dict[str, str]:
    """Return the metadata of an object with a file's content; the file is rewound."""
    file.seek(0)
    digest = hashlib.file_digest(cast(Any, file), _DIGEST).hexdigest()
    file.seek(0)
    return {_DIGEST: digest}


def check(answer: Mapping[str, Any], came: str, size: int) -> None:
    """Raise `Spoilt` where bytes, known by their SHA-256, are not those of the answer's object."""
    put = answer.get("Metadata", {}).get(_DIGEST, came)
    if put != came:
        raise Spoilt(f"{size} bytes came, not those that were put", came, size)


def code(error: ClientError) -> str:
    """Return S3's name of an error, or its HTTP status where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def connect(
    endpoint_url: str, region: str, attempts: int, timeout_s: float, conditional: bool
) -> Any:
    """Make a client; `conditional` ones write only what is not there (`If-None-Match: *`).

    The checksums of newer S3 are left to Amazon: other servers refuse or garble them. These know
    `Content-MD5`.
    """
    checksums: Literal["when_required", "when_supported"] = (
        "when_required" if endpoint_url else "when_supported"
    )
    config = Config(
        region_name=region,
        signature_version="s3v4",
        connect_timeout=min(timeout_s, 5.0),
        read_timeout=timeout_s,
        tcp_keepalive=True,
        max_pool_connections=32,
        retries={"mode": "standard", "total_max_attempts": attempts},
        s3={"addressing_style": "path" if endpoint_url else "virtual"},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )
    session = boto3.session.Session()
    client = session.client("s3", endpoint_url=endpoint_url or None, config=config)
    if endpoint_url:
        # After boto3 has cut a file in parts, which take no parameter of ours.
        for operation in ("PutObject", "UploadPart"):
            client.meta.events.register(f"before-call.s3.{operation}", _content_md5)
    if conditional:
        # s3transfer passes no condition on; the hook serves parts and single requests alike.
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"provide-client-params.s3.{operation}", _if_none_match)
    return client


class Body(io.RawIOBase):
    """An object's content as it arrives: its errors mapped, its bytes checked at their end."""

    def __init__(self, answer: Mapping[str, Any], where: str, key: str) -> None:
        """Take botocore's answer, and the store's name and the key for messages."""
        self._answer, self._where, self._key = answer, where, key
        self._body = answer["Body"]
        self._came, self._size = hashlib.sha256(), 0

    def readable(self) -> bool:
        """Return True: it can only be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return how many bytes came, 0 at the end."""
        with mapped(self._where, self._key):
            content: bytes = self._body.read(len(buffer))
            self._came.update(content)
            self._size += len(content)
            if len(buffer) and not content:
                check(self._answer, self._came.hexdigest(), self._size)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()
        super().close()


class Sink:
    """What passes on to a file, in order, and takes the SHA-256 of it."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin at the start of a file, which is emptied."""
        file.seek(0)
        file.truncate()
        self._file, self._came = file, hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> int:
        """Write bytes."""
        self._came.update(content)
        self.size += len(content)
        return self._file.write(content)

    @property
    def came(self) -> str:
        """SHA-256 of all that was written, in hex."""
        return self._came.hexdigest()


def _content_md5(params: dict[str, Any], **_: Any) -> None:
    """Have the server check what it is sent. `params` is the request before it is signed."""
    body = params["body"]
    if isinstance(body, bytes):
        found = hashlib.md5(body, usedforsecurity=False)
    else:
        at = body.tell()
        found = hashlib.md5(usedforsecurity=False)
        while piece := body.read(1 << 20):
            found.update(piece)
        body.seek(at)
    params["headers"]["Content-MD5"] = base64.b64encode(found.digest()).decode()


def _if_none_match(params: dict[str, Any], **_: Any) -> None:
    params["IfNoneMatch"] = "*"
