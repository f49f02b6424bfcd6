"""A farm of real processes in a home of its own: commands are run, watched, interrupted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil

#: A voice of the tone engine: quick to encode, and slow enough to be interrupted.
VOICE = """\
engine: tone
language: en
rtf: {cost}
parameters: {{sample_rate: 8000, seconds_per_audio_second: {cost}}}
"""
#: Seconds that anything may take on a busy machine.
PATIENCE_S = 60.0
#: Seconds after its last command in which a farm and all its processes must be gone.
ORPHANS_S = 15.0

T = TypeVar("T")
_WORDS = "amber basket candle dragon ember falcon garden harbour island jacket kettle lantern"


def book_text(chapters: int, sentences: int) -> str:
    """Return a Markdown book in which no two sentences are alike; about 3 s of tone in each."""
    words = _WORDS.split()
    pairs = [f"{first} and the {second}" for first in words for second in words]
    parts = []
    for chapter in range(chapters):
        told = (f"The {pairs[chapter * sentences + n]} stayed at home." for n in range(sentences))
        parts.append(f"# The {words[chapter]}\n\n{' '.join(told)}\n")
    return "\n".join(parts)


def files_below(folder: Path, suffix: str = "") -> list[Path]:
    """List files of a folder in which others write and delete meanwhile (`rglob` would raise)."""
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.name.endswith(suffix))


class Home:
    """A folder with a home for an embedded farm; its commands run in that folder."""

    def __init__(self, folder: Path, cost: float = 0.001, **environment: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FARM_")},
            "FARM_HOME": str(self.home),
            "FARM_CHILDREN": "2",
            "FARM_VOICE": "slow",
            **environment,
        }
        self.commands: list[subprocess.Popen[str]] = []
        self.said: list[str] = []
        """What a farm printed at its start."""
        voices = self.home / "voices"
        voices.mkdir(parents=True)
        (voices / "slow.yaml").write_text(VOICE.format(cost=cost))

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command, in a process group of its own as a shell does."""
        command = subprocess.Popen(
            [sys.executable, "-m", "farm.cli", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            # A test run in the background ignores Ctrl-C, and so would all it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.commands.append(command)
        return command

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return ended(self.start(*arguments, **environment))

    def spoken(self) -> dict[Path, tuple[int, int]]:
        """Every stored segment, with what changes when it is written anew."""
        paths = files_below(self.home / "store" / "segments", ".flac")
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}

    def processes(self) -> list[psutil.Process]:
        """Every process of this home, known by its environment; Redis by its folder."""
        return [process for process in psutil.process_iter() if self._has(process)]

    def _has(self, process: psutil.Process) -> bool:
        try:
            own = process.environ().get("FARM_HOME") == str(self.home)
            return own or process.cwd().startswith(str(self.home))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            return False

    def find(self, *words: str) -> list[psutil.Process]:
        """The processes whose command lines hold all of these words, the oldest first."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if set(words) <= set(process.cmdline()):
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def supervisor(self) -> psutil.Process:
        """The process that supervises this home's farm, once its Redis answers."""
        path = self.home / "connection.json"
        until(path.exists)
        return psutil.Process(json.loads(path.read_text())["pid"])

    def child(self, *words: str) -> psutil.Process:
        """A process that the supervisor keeps: `redis`, `control`, or a worker by its family."""
        boss = self.supervisor()
        if words == ("redis",):
            return next(p for p in boss.children() if p.cwd() == str(self.home / "redis"))
        return next(p for p in boss.children() if set(words) <= set(p.cmdline()))

    def gone(self) -> bool:
        """Whether every process of this home ends within `ORPHANS_S`."""
        with contextlib.suppress(TimeoutError):
            until(lambda: not self.processes(), ORPHANS_S)
        return not self.processes()

    def end(self) -> None:
        """Kill whatever is left."""
        for command in self.commands:
            command.kill()
            command.communicate()
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, 5)


def ended(
    process: subprocess.Popen[str], seconds: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Wait for a command, and return what it printed."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"{process.args!r} hangs:\n{output}\n{errors}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def until(found: Callable[[], T], seconds: float = PATIENCE_S) -> T:
    """Wait for something to be true, and return it."""
    end = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        time.sleep(0.05)
    return value


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def home(folder: Path, cost: float = 0.001, **environment: str) -> Iterator[Home]:
    """Give a home, and leave no process of it behind."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Home(folder, cost, **environment)
    try:
        yield made
    finally:
        made.end()


def kill(process: psutil.Process | subprocess.Popen[str]) -> None:
    """End a process as the kernel does when memory is short."""
    os.kill(process.pid, signal.SIGKILL)
