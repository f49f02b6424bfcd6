"""Real S3 servers as processes of the tests, each on a free loopback port.

Both check signatures (SigV4). `nanio` knows no conditional writes; `moto` does, but cannot serve
presigned addresses while it checks signatures. So the contract runs over both.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from farm.processes import die_with_parent

BUCKET = "farm"

#: Requests that moto takes unsigned: those that make the user whose key then signs the rest.
_UNSIGNED = 4

_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}

_START_S = 30.0

#: Ports that Linux gives nobody who asks for any: what is free stays so until it is taken.
_PORTS = range(20_000, 32_768)


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    data: Path
    """Where nanio keeps the bucket, an object a file."""


@contextmanager
def serve(name: str, folder: Path) -> Iterator[Server]:
    """Run a server with an empty bucket `BUCKET` for the length of the block."""
    port, log = free_port(), folder / f"{name}.log"
    (folder / "data").mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *_arguments(name, port, folder / "data")],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {"NANIO_ACCESS_KEY": "farmtest", "NANIO_SECRET_KEY": "farmtestsecret"}
            | {"INITIAL_NO_AUTH_ACTION_COUNT": str(_UNSIGNED)},
            preexec_fn=die_with_parent,
        )
    try:
        _wait(port, process, log)
        url = f"http://127.0.0.1:{port}"
        keys = _make_user(url) if name == "moto" else ("farmtest", "farmtestsecret")
        server = Server(name, url, *keys, folder / "data")
        client = connect(server)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield server
    finally:
        process.kill()
        process.wait()


def connect(server: Server) -> Any:
    """Return a plain client of a server."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        ),
    )


def free_port() -> int:
    """Return a loopback port that nobody listens on, for a server that is started later."""
    while True:
        port = secrets.choice(_PORTS)  # `random` may be seeded, in all test processes alike
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _arguments(name: str, port: int, data: Path) -> list[str]:
    if name == "moto":
        return ["moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return ["nanio", "serve", "--data-dir", str(data), "--host", "127.0.0.1", "--port", str(port)]


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no server at port {port}:\n{log.read_text()}")


def _make_user(url: str) -> tuple[str, str]:
    iam = boto3.client(
        "iam",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    iam.create_user(UserName="farm")
    iam.put_user_policy(UserName="farm", PolicyName="s3", PolicyDocument=json.dumps(_POLICY))
    key = iam.create_access_key(UserName="farm")["AccessKey"]
    for _ in range(_UNSIGNED - 3):
        iam.list_users()
    iam.close()
    return key["AccessKeyId"], key["SecretAccessKey"]
