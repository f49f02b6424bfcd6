"""The farm itself on the same text: (b). Its workers are warm, as those of (a) are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.material import write_lines

_FARM = [sys.executable, "-m", "farm.cli"]


@contextmanager
def running(home: Path, more: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run an embedded farm in a home; give the environment in which commands join it."""
    environment = {**os.environ, **more, "FARM_HOME": str(home)}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.log").open("w") as log:
        farm = subprocess.Popen(
            [*_FARM, "up", "--api-port", "0", "--flower-port", "0"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        while not (home / "connection.json").exists():
            time.sleep(0.1)
        yield environment
    finally:
        farm.terminate()
        farm.wait()


def batch(lines: list[str], voice: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Speak lines by the command line, one FLAC each."""
    folder.mkdir(parents=True)
    write_lines(lines, folder / "lines.jsonl")
    command = [*_FARM, "batch", str(folder / "lines.jsonl"), "-o", str(folder / "out")]
    subprocess.run([*command, "--voice", voice], env=environment, check=True, capture_output=True)


def measure(
    lines: list[str], voice: str, folder: Path, environment: Mapping[str, str]
) -> tuple[float, float]:
    """Return seconds from the acceptance of a batch to its end, and seconds of audio spoken."""
    batch(lines, voice, folder, environment)
    shown = subprocess.run(
        [*_FARM, "jobs", "list", "--json"], env=environment, check=True, capture_output=True
    )
    record = max(json.loads(shown.stdout), key=lambda job: float(job["created"]))
    return float(record["ended"]) - float(record["begun"]), record["audio_ms"] / 1000
