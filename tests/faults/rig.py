"""A farm of real processes, each started by the farm's own command and again when it has ended.

A Redis with a password and a file, an S3 server that keeps every version of an object, a proxy
before it that makes trouble, control processes, workers and APIs: what several hosts would run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import urllib3

from farm.access import KeyFile
from farm.builtin import prepare
from farm.processes import die_with_parent
from tests.faults.checker import Bucket
from tests.faults.database import Redis
from tests.faults.proxy import Proxy, faulty
from tests.faults.work import CALM, OWNER, Client
from tests.homes import until
from tests.receivers import Receiver, receiver
from tests.storage.servers import BUCKET, Server, connect, free_port, serve

#: Seconds after which a process that ended is started again.
RESTART_S = 0.5
#: Seconds that a farm may take to start on a busy machine.
START_S = 120.0
#: The families of the workers.
FAMILIES = ("piper", "tone", "cpu")

#: The farm's own voice, and a tone that takes its time; chunks of both hold ten seconds of audio.
_READER = """\
engine: piper
language: en
files: {model: slt.onnx, config: slt.onnx.json}
rtf: 1
"""
_TONE = """\
engine: tone
language: en
parameters: {sample_rate: 8000}
rtf: 1
"""


@dataclass(frozen=True)
class Size:
    """Of how many processes a farm is made."""

    workers: Mapping[str, int] = field(default_factory=lambda: {"piper": 2, "tone": 2, "cpu": 2})
    """Family to number of parents, each with one child."""
    controls: int = 2
    apis: int = 2


#: What fits into a minute of the usual tests.
SMALL = Size({"piper": 1, "tone": 2, "cpu": 1}, 2, 1)


@dataclass
class Process:
    """One process that is started again when it has ended."""

    role: str
    """`control`, `api`, or the family of a worker."""
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    ended: float = 0.0
    """When its end was seen; 0: it runs."""

    def start(self) -> None:
        """Start it, in a process group of its own."""
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # Of a test run that is killed nothing goes on. Its threads outlive their processes.
                preexec_fn=partial(die_with_parent, signal.SIGKILL),
            )
        self.ended = 0.0

    def keep(self) -> None:
        """Start it again if it ended some time ago."""
        if self.running is not None and self.running.poll() is not None:
            self.ended = self.ended or time.monotonic()
            if time.monotonic() - self.ended > RESTART_S:
                self.start()

    def end(self) -> None:
        """Kill it, and all it started."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs, or is stopped."""
        return self.running is not None and self.running.poll() is None

    def children(self) -> list[int]:
        """The processes that it forked: of a worker, those that do the work."""
        if not self.alive or self.running is None:
            return []
        try:
            parent = psutil.Process(self.running.pid)
            lines = parent.cmdline()
            return sorted(c.pid for c in parent.children() if c.cmdline() == lines)
        except psutil.NoSuchProcess:
            return []


@dataclass
class Rig:
    """A farm that runs."""

    folder: Path
    redis: Redis
    proxy: Proxy
    store: Bucket
    """As the server has it, past the proxy."""
    processes: list[Process]
    receiver: Receiver
    keys: dict[str, str]
    """API key by owner."""
    urls: list[str]
    """Of the APIs."""
    notes: Path
    """What the processes note of their work."""

    def client(self, owner: str) -> Client:
        """Return a client of this farm, whose jobs tell the receiver of their end."""
        return Client(self.urls, owner, self.keys[owner], f"{self.receiver.url}/{owner}")

    def of(self, *roles: str) -> list[Process]:
        """The processes of these roles."""
        return [process for process in self.processes if process.role in roles]

    def ready(self) -> bool:
        """Whether everything takes work."""
        return all(map(_answers, self.urls)) and all(
            process.children() for process in self.of(*FAMILIES)
        )

    def noted(self) -> list[list[Any]]:
        """Everything that was noted: time, process, what, unit, digests."""
        lines = self.notes.read_bytes().splitlines() if self.notes.exists() else []
        return [json.loads(line) for line in lines]

    def told(self, owner: str) -> list[str]:
        """The jobs of whose end the receiver was told, as often as it was."""
        got = [request for request in list(self.receiver.got) if request.path == f"/{owner}"]
        bodies = [json.loads(request.body) for request in got]
        return [str(body["data"]["id"]) for body in bodies]


def _answers(url: str) -> bool:
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        return urllib3.request("GET", f"{url}/healthz", retries=False, timeout=10).status == 200
    return False


def _voices(home: Path) -> None:
    built, voices = prepare(home), home / "voices"
    voices.mkdir()
    for name in ("slt.onnx", "slt.onnx.json"):
        shutil.copyfile(built / name, voices / name)
    (voices / "reader.yaml").write_text(_READER)
    (voices / "tone.yaml").write_text(_TONE)


def _environment(
    home: Path, broker: str, store: Server, prefix: str, **more: str
) -> dict[str, str]:
    paths = [str(Path(__file__).with_name("path")), os.environ.get("PYTHONPATH", "")]
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("FARM_", "AWS_"))}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "FARM_HOME": str(home),
        "FARM_BROKER_URL": broker,
        "FARM_STORE_URL": f"s3://{BUCKET}/{prefix}",
        "FARM_S3_ENDPOINT_URL": store.endpoint_url,
        "FARM_CHILDREN": "1",
        "FARM_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        **more,
    }


def _processes(
    size: Size, ports: Sequence[int], environment: Mapping[str, str], logs: Path
) -> list[Process]:
    commands: list[tuple[str, list[str]]] = [("control", ["control"])] * size.controls
    commands += [("api", ["api", "--port", str(port)]) for port in ports]
    for family, count in size.workers.items():
        commands += [(family, ["worker", "--family", family])] * count
    return [
        Process(
            role,
            [sys.executable, "-m", "farm.cli", *arguments],
            environment,
            logs / f"{number:02d}-{role}.log",
        )
        for number, (role, arguments) in enumerate(commands)
    ]


@contextlib.contextmanager
def _kept(processes: Sequence[Process]) -> Iterator[None]:
    """Run processes, each started again when it ends, and leave none behind."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.1):
            for process in processes:
                process.keep()

    keeper = threading.Thread(target=keep, daemon=True)
    try:
        for process in processes:
            process.start()
        keeper.start()
        yield
    finally:
        over.set()
        if keeper.ident is not None:
            keeper.join()
        for process in processes:
            process.end()


@contextlib.contextmanager
def versioned(folder: Path) -> Iterator[Server]:
    """Run an S3 server that checks signatures and keeps every version of an object."""
    with serve("moto", folder) as server:
        client = connect(server)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        client.close()
        yield server


@contextlib.contextmanager
def rig(
    folder: Path,
    server: Server,
    prefix: str,
    size: Size = Size(),
    *,
    mutation: str = "",
    pause_s: float = 0.3,
    seed: int = 1,
) -> Iterator[Rig]:
    """Run a farm whose objects lie under a prefix; yield when it takes work."""
    folder.mkdir(parents=True)
    home, notes = folder / "home", folder / "notes.jsonl"
    _voices(home)
    with contextlib.ExitStack() as stack:
        through, proxy = stack.enter_context(faulty(server, seed))
        heard = stack.enter_context(receiver())
        database = Redis(folder / "redis")
        database.start()
        stack.callback(lambda: database.kill())
        more = {"FAULTS_NOTES": str(notes), "FAULTS_PAUSE_S": str(pause_s)}
        environment = _environment(
            home, database.url, through, prefix, FAULTS_MUTATION=mutation, **more
        )
        ports = [free_port() for _ in range(size.apis)]
        processes = _processes(size, ports, environment, folder)
        file = KeyFile(home / "keys.json")
        keys = {owner: file.add(owner)[1] for owner in (OWNER, CALM)}
        client = connect(server)
        stack.callback(client.close)
        stack.enter_context(_kept(processes))
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        store = Bucket(client, BUCKET, prefix)
        made = Rig(folder, database, proxy, store, processes, heard, keys, urls, notes)
        until(made.ready, START_S)
        yield made


def waiting(found: Callable[[], bool], seconds: float) -> bool:
    """Wait for something, but not longer; whether it came."""
    with contextlib.suppress(TimeoutError):
        until(found, seconds)
    return found()
