"""A farm of real processes with its API, for the load benches, and what its processes use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from redis import Redis

_FARM = [sys.executable, "-m", "farm.cli"]
#: A voice whose speech costs next to nothing, so that the service is measured.
VOICE = (
    "engine: tone\nlanguage: en\nlicence: CC0-1.0\nrtf: 0.001\nparameters: {sample_rate: 8000}\n"
)
#: Seconds between two looks at the processes.
LOOK_S = 0.2
MB = 1e6


@dataclass
class Use:
    """What the API's processes and Redis hold, in MB, and the CPU seconds of all processes."""

    api: list[float] = field(default_factory=list)
    """Resident, of its processes together, look by look."""
    redis: list[float] = field(default_factory=list)
    """Redis's own `used_memory`."""
    cpu: dict[str, float] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str]]:
        """Return it for a table: before, peak."""
        held = {"API's processes, resident MB": self.api, "Redis, used_memory MB": self.redis}
        return [
            (name, f"{looks[0]:.1f} before, {max(looks):.1f} peak (+{max(looks) - looks[0]:.1f})")
            for name, looks in held.items()
        ] + [("CPU seconds", ", ".join(f"{k} {v:.1f}" for k, v in self.cpu.items()))]


@dataclass(frozen=True)
class Up:
    """A running farm."""

    home: Path
    url: str
    """Of the API."""
    key: str
    broker: str
    pid: int

    @contextmanager
    def used(self) -> Iterator[Use]:
        """Watch its processes during the block."""
        use, over = Use(), threading.Event()
        named = [(self._name(each), each) for each in psutil.Process(self.pid).children()]
        apis = [each for name, each in named if name == "api"]
        before = [_cpu(each) for _, each in named]
        redis = Redis.from_url(self.broker)

        def look() -> None:
            while True:
                use.api.append(sum(each.memory_info().rss for each in apis) / MB)
                use.redis.append(redis.info("memory")["used_memory"] / MB)
                if over.wait(LOOK_S):
                    return

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield use
        finally:
            over.set()
            watcher.join()
            redis.close()
            for (name, each), spent in zip(named, before, strict=True):
                use.cpu[name] = use.cpu.get(name, 0.0) + _cpu(each) - spent

    def _name(self, process: psutil.Process) -> str:
        words = process.cmdline()
        if "farm.cli" not in words:
            return "redis"
        words = [word for word in words[words.index("farm.cli") + 1 :] if word[0] != "-"]
        return " ".join(words[:2] if words[0] == "worker" else words[:1])


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and those it started."""
    times = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def up(
    home: Path, more: Mapping[str, str], voice: str = VOICE, flower_port: int = 0
) -> Iterator[Up]:
    """Run an embedded farm with its API, with the voice `load`, and a key without limits."""
    (home / "voices").mkdir(parents=True)
    (home / "voices" / "load.yaml").write_text(voice)
    environment = {**os.environ, "FARM_VOICE": "load", **more, "FARM_HOME": str(home)}
    key = _key(environment)
    command = [*_FARM, "up", "--api-port", "8321", "--flower-port", str(flower_port)]
    with (home / "up.log").open("w") as log:
        farm = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        while not (home / "connection.json").exists():
            time.sleep(0.1)
        said = json.loads((home / "connection.json").read_text())
        yield Up(home, said["api_url"], key, said["broker_url"], said["pid"])
    finally:
        farm.terminate()
        farm.wait()


def _key(environment: Mapping[str, str]) -> str:
    """Make a key whose limits are counted, and never reached."""
    limits = ["--requests-per-minute", "--jobs-in-flight", "--characters-per-day"]
    raised = [word for limit in limits for word in (limit, str(10**9))]
    made = subprocess.run(
        [*_FARM, "keys", "add", "--owner", "load", "--json", *raised],
        env=environment,
        check=True,
        capture_output=True,
    )
    return str(json.loads(made.stdout)["key"])
