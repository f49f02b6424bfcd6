"""The store of the fault tests: an S3 server that keeps every version of an object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.rig import versioned
from tests.storage.servers import Server


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all farms of these tests, each under a prefix of its own."""
    with versioned(tmp_path_factory.mktemp("s3")) as running:
        yield running
