"""The rig's Redis: killed, emptied, without memory, or replaced by a replica that heard less."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import redis

from farm.embedded import redis_executable
from farm.processes import die_with_parent
from tests.homes import until
from tests.storage.servers import free_port

#: Seconds that a server may take to answer, or to follow another, on a busy machine.
START_S = 120.0
#: A password that is not written on a command line.
PASSWORD = "of-the-rig"
#: Bytes that a server without memory may use: fewer than it needs for itself.
NO_MEMORY = 1 << 20

_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
loglevel warning
"""
_FOLLOWS = """\
replicaof 127.0.0.1 {port}
masterauth {password}
"""


#: Linux ends what dies with its parent when the thread that started it ends; this one never does.
_STARTER = ThreadPoolExecutor(1)


def _begin(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, preexec_fn=die_with_parent)


class Redis:
    """A Redis at an address and with a folder of its own."""

    def __init__(self, folder: Path, follows: int | None = None) -> None:
        """Make it, not started; a replica follows the server at a port."""
        folder.mkdir()
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._folder, self._conf = folder, folder / "redis.conf"
        lines = _CONF.format(port=self.port, password=PASSWORD, folder=folder)
        if follows is not None:
            lines += _FOLLOWS.format(port=follows, password=PASSWORD)
        self._conf.write_text(lines)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            command = [redis_executable(), str(self._conf)]
            self.process = _STARTER.submit(_begin, command, log).result()

        def answers() -> bool:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                return bool(client.ping())
            return False

        until(answers, START_S)

    # Any: what redis-py answers depends on how it was asked.
    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """Talk to it for the length of the block."""
        client = redis.Redis.from_url(self.url, decode_responses=True)
        try:
            yield client
        finally:
            client.close()

    def kill(self) -> None:
        """End it as the kernel does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def lose(self) -> None:
        """Forget everything; to be done while it is dead."""
        for path in self._data():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def limit(self, memory: int) -> None:
        """Let it use so many bytes and refuse what needs more; 0: as many as there are."""
        with self.client() as client:
            client.config_set("maxmemory", memory)

    def refused(self) -> int:
        """Count the commands that it refused for want of memory."""
        with self.client() as client:
            return int(client.info("errorstats").get("errorstat_OOM", {}).get("count", 0))

    @contextlib.contextmanager
    def replica(self) -> Iterator[Redis]:
        """Run a replica that has all of this server, in memory and in its file."""
        folder = self._folder.with_name("replica")
        made = Redis(folder, self.port)
        try:
            made.start()
            with made.client() as client:
                until(lambda: _follows(client.info()), START_S)
            yield made
        finally:
            made.kill()
            shutil.rmtree(folder)

    def cut_off(self) -> None:
        """Have a replica hear of nothing more."""
        with self.client() as client:
            client.replicaof("NO", "ONE")

    def heard(self) -> int:
        """Count the bytes of all writes, of which a replica may have heard fewer."""
        with self.client() as client:
            return int(client.info("replication")["master_repl_offset"])

    def replaced(self, replica: Redis) -> None:
        """Have what a replica has and nothing else; to be done while both are dead."""
        self.lose()
        for path in replica._data():
            shutil.move(path, self._folder)

    def _data(self) -> list[Path]:
        """Its append-only file, of Redis 6 or 7."""
        return [*self._folder.glob("*.aof"), *self._folder.glob("appendonlydir")]


def _follows(info: dict[str, Any]) -> bool:
    """Whether a replica has heard all, and its file has what it heard."""
    busy = info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]
    return info["master_link_status"] == "up" and not busy
