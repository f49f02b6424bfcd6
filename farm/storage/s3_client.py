"""S3 clients: how they are made, and what their errors mean. The only home of boto3."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import boto3.exceptions
import boto3.session
import s3transfer.exceptions
import urllib3.exceptions
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from farm.errors import NotFound, StoreUnavailable

__all__ = ["BROKEN_OFF", "ERRORS", "TRANSFER", "Body", "ClientError", "code", "connect", "mapped"]

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


@contextmanager
def mapped(where: str, key: str = "") -> Iterator[None]:
    """Turn every error of boto3 into `NotFound` or one line of `StoreUnavailable`."""
    try:
        yield
    except ClientError as error:
        if code(error) in _MISSING:
            raise NotFound(f"no object {key!r} in {where}") from error
        reason = error.response.get("Error", {}).get("Message", "")
        raise StoreUnavailable(f"{where}: {code(error)}: {reason}") from error
    except ERRORS as error:
        raise StoreUnavailable(f"{where}: {type(error).__name__}: {error}") from error


def code(error: ClientError) -> str:
    """Return S3's name of an error, or its HTTP status where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def connect(
    endpoint_url: str, region: str, attempts: int, timeout_s: float, conditional: bool
) -> Any:
    """Make a client; `conditional` ones write only what is not there (`If-None-Match: *`).

    Checksums beyond SigV4's own are left to Amazon: other servers refuse or garble them.
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
    if conditional:
        # s3transfer passes no condition on; the hook serves parts and single requests alike.
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"provide-client-params.s3.{operation}", _if_none_match)
    return client


class Body(io.RawIOBase):
    """An object's content as it arrives, its errors mapped."""

    def __init__(self, body: Any, where: str) -> None:
        """Take botocore's stream and the store's name for messages."""
        self._body, self._where = body, where

    def readable(self) -> bool:
        """Return True: it can only be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return how many bytes came, 0 at the end."""
        with mapped(self._where):
            content: bytes = self._body.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()
        super().close()


def _if_none_match(params: dict[str, Any], **_: Any) -> None:
    params["IfNoneMatch"] = "*"
