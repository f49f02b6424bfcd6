"""The object store in a bucket of Amazon S3 or of a server with its protocol.

Credentials come from boto3's own chain (environment, files, the machine's role). The first write
of an object wins by the server's own doing (`If-None-Match: *`); where a server does not know
that, `S3Store` asks first and then writes, so of two writers at the same moment the last wins.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from farm.errors import Damaged, NotFound
from farm.storage import s3_client
from farm.storage.atomic import write_atomically
from farm.storage.base import Store, check_key, check_prefix
from farm.storage.local import open_source
from farm.storage.s3_client import Body, ClientError, Sink, Spoilt, code

_THERE_ALREADY = {"PreconditionFailed", "412"}
#: Tried again: another writer came between, or the server got other bytes than were sent.
_AGAIN = {"ConditionalRequestConflict", "409", "BadDigest", "XAmzContentSHA256Mismatch"}
_UNKNOWN_HEADER = {"NotImplemented", "501", "InvalidRequest", "InvalidArgument", "400"}
#: Seconds before the second try of what botocore does not try again; doubled before each further.
_PAUSE_S = 0.05

T = TypeVar("T")


class S3Store(Store):
    """Objects in a bucket, below a prefix."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str = "",
        public_url: str = "",
        region: str = "us-east-1",
        attempts: int = 5,
        timeout_s: float = 20.0,
    ) -> None:
        """Take the names; nothing is connected before the first call.

        Addresses for clients begin with `public_url`, or else with `endpoint_url`.
        Each request is tried `attempts` times, waiting between tries (botocore's `standard`
        retries), and a try fails after `timeout_s` seconds without a byte.
        """
        self.bucket, self.prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.endpoint_url, self.region = endpoint_url, region
        self.public_url = public_url or endpoint_url
        self.attempts, self.timeout_s = attempts, timeout_s
        self._clients: dict[tuple[int, str, bool], Any] = {}
        self._conditional: bool | None = None

    def put(
        self,
        key: str,
        data: bytes,
        *,
        if_absent: bool = False,
        durable: bool = True,  # noqa: ARG002
    ) -> bool:
        """Store bytes in one request; S3 is always durable."""
        return self._write(key, io.BytesIO(data), if_absent)

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        if_absent: bool = False,
        durable: bool = True,  # noqa: ARG002
    ) -> bool:
        """Store a file's content, in parallel parts where it is large."""
        with open_source(path) as file:
            return self._write(key, file, if_absent)

    def get(self, key: str) -> bytes:
        """Return an object's bytes; a transfer that breaks off, or brings others, starts again."""

        def fetch() -> bytes:
            answer = self._client().get_object(**self._name(key))
            with s3_client.transfer():
                data = bytes(answer["Body"].read())
            s3_client.check(answer, hashlib.sha256(data).hexdigest(), len(data))
            return data

        return self._whole(key, fetch)

    def open(self, key: str) -> BinaryIO:
        """Open an object as a stream.

        A transfer that breaks off, or has brought other bytes than were put, raises
        `StoreUnavailable`: where it breaks off, or at its end.
        """
        with self._mapped(key):
            answer = self._client().get_object(**self._name(key))
        return cast(BinaryIO, io.BufferedReader(Body(answer, str(self), key), 1 << 20))

    def get_file(self, key: str, path: Path) -> None:
        """Write an object to a local file, fetched in parallel parts where it is large."""
        name = self._name(key)

        def fetch(file: BinaryIO) -> None:
            answer, sink = self._client().get_object(**name), Sink(file)
            with s3_client.transfer(), answer["Body"] as body:
                if answer["ContentLength"] <= s3_client.PART_BYTES:
                    shutil.copyfileobj(body, sink, 1 << 20)
                else:
                    body.close()
                    self._client().download_fileobj(*name.values(), sink, Config=s3_client.TRANSFER)
            s3_client.check(answer, sink.came, sink.size)

        write_atomically(path, lambda file: self._whole(key, lambda: fetch(file)))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def size(self, key: str) -> int:
        """Bytes of an object."""
        with self._mapped(key):
            return int(self._client().head_object(**self._name(key))["ContentLength"])

    def delete(self, key: str) -> None:
        """Remove an object."""
        with suppress(NotFound), self._mapped(key):
            self._client().delete_object(**self._name(key))

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with a prefix, a request for each thousand."""
        for each in self._listed(prefix, after):
            yield str(each["Key"]).removeprefix(self.prefix)

    def list_older(self, prefix: str, than: float) -> Iterator[str]:
        """Yield old keys, by the bucket's own times."""
        for each in self._listed(prefix):
            if each["LastModified"].timestamp() < than:
                yield str(each["Key"]).removeprefix(self.prefix)

    def _listed(self, prefix: str, after: str = "") -> Iterator[Any]:
        pages = self._client().get_paginator("list_objects_v2")
        begins = self.prefix + check_prefix(prefix)
        follow = {"StartAfter": self.prefix + after} if after else {}
        with self._mapped(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=begins, **follow):
                yield from page.get("Contents", ())

    def url(self, key: str, *, seconds: int = 3600) -> str:
        """Return a presigned address; S3 takes at most a week."""
        with self._mapped(key):
            signed: str = self._client(self.public_url).generate_presigned_url(
                "get_object", Params=self._name(key), ExpiresIn=seconds
            )
        return signed

    def supports_if_absent(self) -> bool:
        """Whether the server keeps `If-None-Match: *`; found out once, by a probe object."""
        if self._conditional is None:
            self._conditional = self._probe()
        return self._conditional

    def __str__(self) -> str:
        """Name bucket and server, as error messages do."""
        return f"s3://{self.bucket} at {self.endpoint_url or 'Amazon'}"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connections behind when pickled."""
        return self.__dict__ | {"_clients": {}}

    def _name(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + check_key(key)}

    def _mapped(self, key: str) -> AbstractContextManager[None]:
        return s3_client.mapped(str(self), key)

    def _whole(self, key: str, fetch: Callable[[], T]) -> T:
        """Fetch an object, again where that was spoilt on the way.

        Raises:
            Damaged: the same wrong bytes came each time, as many as the server says are there.
        """
        came = set()
        with self._mapped(key):
            for attempt in range(self.attempts):
                try:
                    return fetch()
                except Spoilt as error:
                    came.add(error.came)
                    if attempt + 1 < self.attempts:
                        time.sleep(_PAUSE_S * 2**attempt)
                    elif len(came) == 1 and error.came and error.size == self.size(key):
                        raise Damaged(key, str(error)) from error
                    else:
                        raise
        raise AssertionError("unreachable")

    def _write(self, key: str, file: BinaryIO, if_absent: bool) -> bool:
        if if_absent and not self.supports_if_absent():
            return not self.exists(key) and self._write(key, file, if_absent=False)
        digest = s3_client.named(file)
        with self._mapped(key):
            for attempt in range(self.attempts):
                file.seek(0)
                try:
                    self._upload(self._name(key), file, digest, conditional=if_absent)
                except ClientError as error:
                    if code(error) in _THERE_ALREADY:
                        return self._is_ours(key, digest, error)
                    if code(error) not in _AGAIN or attempt + 1 == self.attempts:
                        raise
                    time.sleep(_PAUSE_S * 2**attempt)
                else:
                    return True
        raise AssertionError("unreachable")

    def _is_ours(self, key: str, digest: dict[str, str], error: ClientError) -> bool:
        """Whether what is there already was put by a try whose answer was lost."""
        tries = int(error.response["ResponseMetadata"].get("RetryAttempts", 0))
        if not tries:
            return False
        found: dict[str, str] = self._client().head_object(**self._name(key))["Metadata"]
        return digest.items() <= found.items()

    def _upload(
        self, name: dict[str, str], file: BinaryIO, digest: dict[str, str], *, conditional: bool
    ) -> None:
        client = self._client(conditional=conditional)
        if _length(file) <= s3_client.PART_BYTES:
            client.put_object(**name, Body=file, Metadata=digest)
        else:
            extra = {"Metadata": digest}
            client.upload_fileobj(file, *name.values(), extra, Config=s3_client.TRANSFER)

    def _probe(self) -> bool:
        name = self._name(f"probe/{secrets.token_hex(8)}")
        with self._mapped(name["Key"]):
            try:
                self._client(conditional=True).put_object(**name, Body=b"")
                self._client(conditional=True).put_object(**name, Body=b"")
            except ClientError as error:
                if code(error) not in _THERE_ALREADY | _UNKNOWN_HEADER:
                    raise
                return code(error) in _THERE_ALREADY
            finally:
                self._client().delete_object(**name)
        return False

    def _client(self, url: str | None = None, conditional: bool = False) -> Any:
        """One client per process: connections do not survive a fork."""
        url = self.endpoint_url if url is None else url
        slot = (os.getpid(), url, conditional)
        if slot not in self._clients:
            self._clients[slot] = s3_client.connect(
                url, self.region, self.attempts, self.timeout_s, conditional
            )
        return self._clients[slot]


def _length(file: BinaryIO) -> int:
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    return length
