"""A service of the farm's own, started for the engine that speaks through it."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import urllib3

#: Seconds that a service may take to load its voice.
LOAD_S = 120


def start(kind: str, catalogue: Path, voice: str) -> str:
    """Start `farm serve KIND` with a voice of a catalogue; return its URL once it has loaded.

    It ends with this process.

    Raises:
        RuntimeError: it did not come up.
    """
    home = tempfile.TemporaryDirectory(prefix="bench-service-")
    atexit.register(home.cleanup)
    places = {"FARM_HOME": home.name, "FARM_VOICES": f'["{catalogue}"]'}
    process = subprocess.Popen(
        [sys.executable, "-m", "farm.cli", "serve", kind, "--port", "0", "--voice", voice],
        env=os.environ | places,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, process)
    assert process.stdout is not None
    url = process.stdout.readline().strip().rpartition(" ")[2]
    until = time.monotonic() + LOAD_S
    while not url or urllib3.request("GET", f"{url}/health", retries=False).status != 200:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"farm serve {kind} did not come up")
        time.sleep(0.1)
    return url


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()
