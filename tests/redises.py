"""A Redis of a test's own, which can be stopped, started again and wiped."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from farm.embedded import redis_executable


class Server:
    """A Redis on a Unix socket whose data outlives its process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.options = ("--port", "0", "--unixsocket", str(self.socket), *options)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        append = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        self.process = subprocess.Popen(
            [redis_executable(), *self.options, *append, "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        client = redis.Redis.from_url(self.url)
        for _ in range(200):
            try:
                client.ping()
            except redis.AuthenticationError:
                break
            except redis.RedisError:
                time.sleep(0.05)
            else:
                break
        client.close()

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)

    def lose(self) -> None:
        """Forget everything; to be done while it is stopped."""
        for path in (self.folder / "appendonlydir").glob("*"):
            path.unlink()


@contextmanager
def redis_server(*options: str) -> Iterator[Server]:
    """Run a Redis; the path of its socket is short, as the kernel wants it."""
    with tempfile.TemporaryDirectory(prefix="farm-redis-") as folder:
        server = Server(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
