"""The process that is measured: it loads one speaker, then speaks the lines that it is sent.

Started by `benchmarks.engines` with a `Setup`; a line of JSON goes each way. The first two that it
sends say that it has loaded, and how long its first sentence took.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import psutil

from benchmarks import rivals, service
from farm import batching, calibration
from farm.audio import Audio
from farm.engines import load
from farm.jobs import Segment, Voice
from farm.schema import from_json


@dataclass(frozen=True)
class Setup:
    """What a process is to load."""

    speaker: str
    """`engine`, or one of `rivals.SPEAKERS`."""
    folder: str
    """Where the model's files are."""
    first: str
    """The sentence that warms up."""
    voice: str = ""
    """A pinned `Voice` in JSON, for an engine."""
    threads: int = 1
    """Of a rival; engines have one."""
    budget: int = 1
    """Padded characters of a batch; 1: one line at a time. Only engines batch."""
    serve: str = ""
    """The service (`farm serve`) that an engine speaks through; it is started beside."""


class Probe:
    """A running process, from the outside."""

    def __init__(self, setup: Setup, log: Path) -> None:
        """Start it and wait until it is warm; what it says besides goes to a file."""
        self._log, begin = log, time.perf_counter()
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "benchmarks.probe"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.send(asdict(setup))
        self.read()
        self.load_s = time.perf_counter() - begin
        warm = self.read()
        self.warm_s: float = warm["seconds"]
        self.budget: int = warm["budget"]
        """What the farm's calibration finds, where it was to batch."""

    def send(self, what: object) -> None:
        """Send it something: lines to speak."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """Wait for its answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            said = self._log.read_text("utf-8").strip()
            raise RuntimeError(f"a measured process ended:\n{said[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def speak(self, lines: Sequence[str]) -> dict[str, Any]:
        """Speak lines; return the answer: see `_measured`."""
        self.send(lines)
        return self.read()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # An answer's missing pipe says the same as its end: the process is gone.
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def engine(setup: Setup) -> tuple[rivals.Speak, Callable[[Sequence[Segment]], list[Audio]]]:
    """Load an engine; return what speaks lines with it, and its own method."""
    voice = from_json(Voice, setup.voice)
    if setup.serve:
        url = service.start(setup.serve, Path(setup.folder), voice.id)
        voice = replace(voice, parameters={**voice.parameters, "url": url})
    loaded = load(voice, Path(setup.folder), "cpu")

    def speak(lines: Sequence[str]) -> list[float]:
        batches = batching.cut([segment(line) for line in lines], setup.budget)
        return [audio.seconds for batch in batches for audio in loaded.speak(batch)]

    return speak, loaded.speak


def segment(line: str) -> Segment:
    """Make a segment of a line."""
    return Segment(hashlib.sha256(line.encode()).hexdigest(), line, "bench")


def _answer(to: IO[str], **what: object) -> None:
    to.write(json.dumps(what) + "\n")
    to.flush()


def _measured(speak: rivals.Speak, lines: Sequence[str]) -> dict[str, Any]:
    """Speak lines; return seconds of CPU, the peak of memory, and the seconds of each line."""
    before = _cpu()
    spoken = speak(lines)
    return {"cpu": _cpu() - before, "peak_mb": _peak_mb(), "spoken": spoken}


def _cpu() -> float:
    times = [each.cpu_times() for each in _family()]
    return sum(each.user + each.system for each in times)


def _peak_mb() -> float:
    """Return the peak of the children, who do the work where there are any, else the own one."""
    me, *children = _family()
    return sum(map(_high_water_mb, children or [me]))


def _high_water_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


@lru_cache(maxsize=1)
def _family() -> list[psutil.Process]:
    """Return this process and its children, which it has started by then."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def main() -> None:
    """Load, warm up, then speak until there is nothing more to read."""
    # What libraries print must not come between the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    setup, own = Setup(**json.loads(sys.stdin.readline())), None
    if setup.speaker == "engine":
        speak, own = engine(setup)
    else:
        speak = rivals.SPEAKERS[setup.speaker](Path(setup.folder), setup.threads)
    _answer(out)
    begin = time.perf_counter()
    speak([setup.first])
    seconds, budget = time.perf_counter() - begin, 1
    if own and setup.budget > 1:
        budget = calibration.choose(calibration.measure(own, segment(setup.first))).budget
    _answer(out, seconds=seconds, budget=budget)
    for line in sys.stdin:
        _answer(out, **_measured(speak, json.loads(line)))


if __name__ == "__main__":
    main()
