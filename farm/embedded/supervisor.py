"""The process that starts an embedded farm's children, and again those that die."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from farm.config import Settings
from farm.embedded.server import await_redis, create_redis
from farm.errors import LedgerUnavailable
from farm.ledger import Ledger, queue
from farm.processes import Child, locked, stop
from farm.serving import ports
from farm.slots import slots

#: Seconds between two looks at the children and the clients.
LOOK_S = 0.5
#: Seconds that a supervisor waits for its first client, and after its last.
LINGER_S = 3.0
#: Processes of the API: one spends most of a core on Python alone at 50 jobs a second.
API_PROCESSES = 2
#: How far workers stand back: whoever waits for an answer comes before what is spoken meanwhile.
NICENESS = 5
#: The family whose worker, with one child per core, starts with the farm; that of another starts
#: when there is work for it.
FIRST_FAMILY = "piper"


@dataclass
class Supervisor:
    """Runs an embedded farm in this process until `over` is set or its clients are gone."""

    settings: Settings
    stay: bool
    """Whether it lives without clients (`farm up`)."""
    over: threading.Event = field(default_factory=threading.Event)
    api_port: int = 0
    """Port of the API on loopback, or near it where that is taken; 0: there is none."""
    flower_port: int = 0
    """The same of Flower."""
    urls: dict[str, str] = field(default_factory=dict)
    """What is published beside the broker's and the store's: `api_url`, `flower_url`."""

    def __post_init__(self) -> None:
        """Name the folders."""
        self.home = self.settings.home.absolute()
        self.logs = self.home / "logs"

    def run(self, ready: Callable[[], None] = lambda: None) -> bool:
        """Supervise; return false at once when another supervisor has this home.

        `ready` is called when Redis answers, before any other child is started.

        Raises:
            Unavailable: a CUDA device is set that is not there, or Redis does not start.
            InvalidInput: the devices that are set are none.
        """
        for folder in (self.home, self.logs, self.home / "redis"):
            folder.mkdir(parents=True, exist_ok=True)
        with locked(self.home / "supervisor.lock", fcntl.LOCK_EX) as lock, ExitStack() as stack:
            if lock is None:
                return False
            self._check_devices()
            redis, url = create_redis(self.home / "redis", self.logs / "redis.log")
            environment = {**os.environ, **self._environment(url)}
            children = [self._child("control", "control"), self._worker("cpu")]
            children += stack.enter_context(self._servers())
            try:
                redis.keep(environment)
                await_redis(url, redis)
                told = {"broker_url": url, "store_url": self.settings.store, **self.urls}
                self._publish({**told, "stays": self.stay})
                ready()
                self._supervise(redis, children, environment, Ledger(url))
            finally:
                (self.home / "connection.json").unlink(missing_ok=True)
                stop(children)
                stop([redis])
        return True

    def _check_devices(self) -> None:
        """Raise as every worker would that speaks."""
        wanted = self.settings
        slots(FIRST_FAMILY, wanted.devices, wanted.per_device, wanted.cores)

    def _environment(self, url: str) -> dict[str, str]:
        return {
            "FARM_BROKER_URL": url,
            "FARM_HOME": str(self.home),
            "FARM_STORE_URL": self.settings.store,
            "FARM_EMBEDDED": "1",
            "OMP_NUM_THREADS": "1",
            # glibc keeps a heap for each thread otherwise, and none of them ever shrinks.
            "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
        }

    def _child(self, name: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", "farm.cli", *arguments]
        return Child(name, command, self.logs / f"{name}.log")

    def _worker(self, family: str) -> Child:
        child = self._child(f"worker-{family}", "worker", "--family", family)
        return replace(child, niceness=NICENESS)

    def _api(self, descriptor: int) -> Iterator[Child]:
        """Give the API's processes, which take clients of one port as they come."""
        for number in range(1, API_PROCESSES + 1):
            name = "api" if number == 1 else f"api-{number}"
            child = self._child(name, "api", "--fd", str(descriptor))
            yield replace(child, inherits=(descriptor,))

    @contextmanager
    def _servers(self) -> Iterator[list[Child]]:
        """Give the API and Flower, as far as they are wanted, with a port for each.

        The API's stays open while the API is started again: clients wait, and are not refused.
        """
        with ExitStack() as stack:
            children: list[Child] = []
            if self.api_port:
                taken = stack.enter_context(ports.listen_near(self.api_port))
                self.urls["api_url"] = ports.url(taken)
                children += self._api(taken.fileno())
            if self.flower_port:
                with ports.listen_near(self.flower_port) as found:
                    self.urls["flower_url"] = ports.url(found)
                    port = found.getsockname()[1]
                children.append(self._child("flower", "flower", "--port", str(port)))
            yield children

    def _publish(self, connection: Mapping[str, object]) -> None:
        path = self.home / "connection.json"
        temporary = path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({**connection, "pid": os.getpid()}, file)
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
