"""What docker-compose.yml starts, as plain processes: its commands, environments, files, checks.

Each path that a container sees, host name and port is replaced by one of this machine, in commands,
environments and mounted files alike. Everything else is as it is written there.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.storage.servers import free_port

ROOT = Path(__file__).parent.parent
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
#: Seconds that a service may take to be healthy, or to end, on a busy machine.
PATIENCE_S = 90.0

#: What a container may listen at, a process of a test may not.
LOOPBACK = {"0.0.0.0": "127.0.0.1"}

Service = dict[str, Any]


def read(**variables: str) -> dict[str, Any]:
    """Read docker-compose.yml with these variables, and the defaults of all others."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(VARIABLE.sub(lambda m: variables.get(m[1], m[2]), text))
    return found


def mounts(service: Service) -> dict[str, str]:
    """Path in a service's container to what is mounted there: a volume, or a folder of ours."""
    found = {}
    for text in service.get("volumes", ()):
        source, path, *options = text.split(":")
        found[path] = ":".join([source, *options])
    return found


def mapped(text: str, places: Mapping[str, str]) -> str:
    """Return a text with everything of a container in its place."""
    words = "|".join(re.escape(each) for each in sorted(places, key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{words})(?!\w)", lambda match: places[match[0]], text)


class Stack:
    """The services of a profile as processes in a folder."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """Make the secrets as a user does; start nothing."""
        self.folder = folder
        self.ports = {name: str(free_port()) for name in ("6379", "8333", "8000", "5555")}
        self.compose = read(**variables)
        self.services: dict[str, Service] = self.compose["services"]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.key = ""
        """Of the API, once there is one."""
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        subprocess.run([ROOT / "scripts/make-secrets", folder], check=True, capture_output=True)

    def secret(self, name: str) -> str:
        """The text of a secret."""
        place: str = self.compose["secrets"][name]["file"]
        return (self.folder / place).read_text()

    @property
    def secrets(self) -> set[str]:
        """All that nobody must see."""
        (identity,) = json.loads(self.secret("s3_identities"))["identities"]
        (key,) = identity["credentials"]
        passwords = {self.secret(f"{name}_password").strip() for name in ("redis", "flower")}
        return {*passwords, key["secretKey"]}

    def places(self, name: str) -> dict[str, str]:
        """Return what of a container becomes what of this machine."""
        service = self.services[name]
        found = {f"/run/secrets/{each}": self._secret(each) for each in service["secrets"]}
        for path in service["tmpfs"]:
            found[path] = str(self._made("tmpfs", name, path.strip("/")))
        for path, source in mounts(service).items():
            found[path] = str(self._mounted(name, source))
        found.update(self.ports)
        hosts = {"redis:6379": self.ports["6379"], "store:8333": self.ports["8333"]}
        return found | {host: f"127.0.0.1:{port}" for host, port in hosts.items()} | LOOPBACK

    def _secret(self, name: str) -> str:
        return str(self.folder / self.compose["secrets"][name]["file"])

    def _mounted(self, name: str, source: str) -> Path:
        """Return the folder of a volume; a copy where the service may not write to it."""
        volume = self._made("volumes", source.removesuffix(":ro"))
        if not source.endswith(":ro") or source.startswith("./"):
            return self._made("files", name) if source.startswith("./") else volume
        copy = self.folder / "read-only" / name
        return copy if copy.exists() else Path(shutil.copytree(volume, copy))

    def _made(self, *steps: str) -> Path:
        path = self.folder.joinpath(*steps)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _prepare(self, name: str, places: Mapping[str, str]) -> None:
        """Copy what a service has of the repository, with everything in its place."""
        for path, source in mounts(self.services[name]).items():
            if source.startswith("./"):
                for file in (ROOT / source.removesuffix(":ro")).iterdir():
                    if file.is_file():
                        text = mapped(file.read_text(encoding="utf-8"), places)
                        Path(places[path], file.name).write_text(text, encoding="utf-8")

    def begin(
        self, name: str, command: list[str], output: int | Any = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start a command as in a service's container: with its environment and files alone."""
        places = self.places(name)
        self._prepare(name, places)
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        given = {
            key: mapped(str(value), places)
            for key, value in self.services[name].get("environment", {}).items()
        }
        words = [mapped(word, places) for word in command]
        program = shutil.which(words[0], path=path)
        assert program, words[0]
        return subprocess.Popen(
            [program, *words[1:]],
            env={"PATH": path, "PYTHONPATH": str(ROOT), **given},
            cwd=self._made("work", name),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def start(self, name: str) -> None:
        """Start a service."""
        service = self.services[name]
        command = [*service.get("entrypoint", ()), *service.get("command", ())]
        with (self.logs / name).open("ab") as log:
            self.running[name] = self.begin(name, command, log)

    def run(self, name: str, *command: str) -> str:
        """Do as `docker compose run` or `exec`; return what it prints."""
        with self.begin(name, list(command)) as process:
            output, errors = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, errors.decode()
        return output.decode()

    def healthy(self, name: str) -> bool:
        """Do a service's health check once."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        with self.begin(name, command, subprocess.DEVNULL) as process:
            return process.wait(PATIENCE_S) == 0

    def await_healthy(self, *names: str) -> None:
        """Wait until services are healthy."""
        end, left = time.monotonic() + PATIENCE_S, list(names)
        while left:
            assert time.monotonic() < end, f"{left} not healthy:\n{self.said(left[0])}"
            for name in left:
                assert self.running[name].poll() is None, self.said(name)
            left = [name for name in left if not self.healthy(name)]

    def finish(self, name: str) -> int:
        """Wait for the end of a service; its exit code."""
        return self.running.pop(name).wait(PATIENCE_S)

    def said(self, name: str) -> str:
        """What a service has printed."""
        return (self.logs / name).read_text()

    def processes(self) -> list[psutil.Process]:
        """Every process of the services, children included."""
        living = [each for each in self.running.values() if each.poll() is None]
        parents = [psutil.Process(each.pid) for each in living]
        return [*parents, *(child for each in parents for child in each.children(recursive=True))]

    def stop(self) -> dict[str, int]:
        """End all as compose does, the last started first; return their exit codes."""
        codes = {}
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name in list(self.running):
            codes[name] = self.finish(name)
        return codes

    def kill(self) -> None:
        """End what is left."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for name in list(self.running):
            self.finish(name)
