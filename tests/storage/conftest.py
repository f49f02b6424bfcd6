"""Stores of every kind, one parameter each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from farm.storage import Store
from farm.storage.local import LocalStore
from farm.storage.s3 import S3Store
from tests.storage.servers import BUCKET, Server, serve

OpenS3 = Callable[..., S3Store]


@pytest.fixture(scope="session")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without conditional writes."""
    with serve("nanio", tmp_path_factory.mktemp("nanio")) as server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps conditional writes."""
    with serve("moto", tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those of a test, whatever the machine has."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")


@pytest.fixture
def open_s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OpenS3:
    """Return what opens an empty store on a server, with its credentials in the environment."""

    def open_(server: Server, **options: Any) -> S3Store:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        return S3Store(BUCKET, f"of/{tmp_path.name}", endpoint_url=server.endpoint_url, **options)

    return open_


@pytest.fixture(params=["local", "nanio", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path, open_s3: OpenS3) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    return open_s3(request.getfixturevalue(request.param))
