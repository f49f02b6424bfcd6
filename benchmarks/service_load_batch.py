"""Print how the API takes a large batch, and how long speech waits beside it.

`scripts/bench batch`: a farm of real processes, with a voice that takes 0.05 s for a second of
audio, as a small model does. The batch is uploaded, watched until it is planned, spoken beside, and
cancelled.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from benchmarks import service_load_farm as farms
from benchmarks.material import sentences
from benchmarks.service_load import ready

#: Seconds of compute per second of audio, and what is told of it.
COST = 0.05
VOICE = (
    f"engine: tone\nlanguage: en\nlicence: CC0-1.0\nrtf: {COST}\n"
    f"parameters: {{sample_rate: 8000, seconds_per_audio_second: {COST}}}\n"
)
#: Characters of a line, so that 100,000 of them are 20 MB.
LINE_CHARACTERS = 170
#: Seconds that planning may take.
PATIENCE_S = 600.0
#: Put into every line where there is to be something to normalise.
NUMBERS = " It cost $12.50 on 3 May 1921."
_EDGE = "----farm-load"


@dataclass
class Taken:
    """What was measured of one batch."""

    accepted_s: float = 0.0
    """From the first byte of the upload to the answer."""
    claimed_s: float = 0.0
    """From the answer to the claim of the first chunk; so are the next two."""
    planned_s: float = 0.0
    quiet: list[float] = field(default_factory=list)
    """Seconds until the first audio of a speech, before there was a batch."""
    planning: list[float] = field(default_factory=list)
    """While it is planned."""
    speaking: list[float] = field(default_factory=list)
    """While it is spoken."""


class Client:
    """One kept connection to the API."""

    def __init__(self, up: farms.Up) -> None:
        """Connect at the first request."""
        self._link = http.client.HTTPConnection(up.url.removeprefix("http://"), timeout=120)
        self._key = {"X-API-Key": up.key}

    def ask(self, method: str, path: str, body: Any = None, **more: str) -> dict[str, Any]:
        """Return the answer's JSON."""
        self._link.request(method, path, body, {**self._key, **more})
        answer = self._link.getresponse()
        read = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {read.decode()}")
        return dict(json.loads(read))

    def first_audio(self, text: str) -> float:
        """Return the seconds until the first byte of a speech's audio, and hear it to its end."""
        wanted = {"model": "tts-1", "voice": "load", "input": text, "response_format": "pcm"}
        began = time.monotonic()
        headers = {**self._key, "Content-Type": "application/json"}
        self._link.request("POST", "/v1/audio/speech", json.dumps(wanted), headers)
        answer = self._link.getresponse()
        answer.read(1)
        seconds = time.monotonic() - began
        answer.read()
        return seconds


def write_upload(path: Path, lines: int, more: str) -> None:
    """Write a multipart body: a batch of so many lines, each with something `more`."""
    job = json.dumps({"kind": "batch", "priority": "bulk", "output": {"loudness": None}})
    part = f"--{_EDGE}\r\nContent-Disposition: form-data; name="
    text = iter(sentences(3_000_000))
    with path.open("w", newline="") as file:
        file.write(f'{part}"job"\r\n\r\n{job}\r\n{part}"file"; filename="lines.jsonl"\r\n\r\n')
        for number in range(lines):
            said = next(text, "")
            if not said:
                text = iter(sentences(3_000_000, number))
                said = next(text)
            while len(said) + len(more) < LINE_CHARACTERS:
                said += " " + next(text, "And so it was, they said, for years and years.")
            said = said[: LINE_CHARACTERS - len(more)] + more
            file.write(json.dumps({"id": f"{number:06d}", "text": said}) + "\n")
        file.write(f"\r\n--{_EDGE}--\r\n")


def measure(up: farms.Up, body: Path, speeches: int) -> Taken:
    """Upload a batch, wait until it is planned, and speak beside it."""
    client, taken = Client(up), Taken()
    client.first_audio("The first one loads the voice.")
    taken.quiet = [client.first_audio(f"Good morning, number {n}.") for n in range(speeches)]
    began = time.monotonic()
    with body.open("rb") as file:
        kind, size = f"multipart/form-data; boundary={_EDGE}", str(body.stat().st_size)
        said = {"Content-Type": kind, "Content-Length": size}
        job = client.ask("POST", "/v1/jobs/upload", file, **said)["id"]
    taken.accepted_s = time.monotonic() - began
    began = time.monotonic()
    redis = Redis.from_url(up.broker, decode_responses=True)
    _until(lambda: any(f"/chunk/load~{job}" in ref for ref in redis.zrange("farm:leases", 0, -1)))
    taken.claimed_s = time.monotonic() - began
    number = 0
    while not client.ask("GET", f"/v1/jobs/{job}")["planned"]:
        if number < speeches:
            taken.planning.append(client.first_audio(f"Good evening, number {number}."))
            number += 1
        else:
            time.sleep(0.2)
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError(f"not planned after {PATIENCE_S} s")
    taken.planned_s = time.monotonic() - began
    taken.speaking = [client.first_audio(f"Good night, number {n}.") for n in range(speeches)]
    client.ask("POST", f"/v1/jobs/{job}/cancel")
    redis.close()
    return taken


def _until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not found():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE_S} s in vain")
        time.sleep(0.02)


def main(arguments: list[str]) -> None:
    """Measure a batch without anything to normalise, and one with something in each line."""
    parser = argparse.ArgumentParser(prog="scripts/bench batch", description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--speeches", type=int, default=20, help="at each stage of a batch")
    parser.add_argument("--only", choices=["plain", "numbers"])
    chosen = parser.parse_args(arguments)
    kinds = {"plain": "", "numbers": NUMBERS}
    for kind in [chosen.only] if chosen.only else list(kinds):
        folder = Path(tempfile.mkdtemp(prefix="farm-load-"))
        write_upload(folder / "body", chosen.lines, kinds[kind])
        with farms.up(folder / "home", {}, VOICE) as up:
            ready(up)
            with up.used() as use:
                taken = measure(up, folder / "body", chosen.speeches)
        size = (folder / "body").stat().st_size / farms.MB
        print(f"\n### {chosen.lines:,} lines, {kind}, {size:.1f} MB\n")
        print(f"accepted after {taken.accepted_s:.1f} s, first chunk claimed {taken.claimed_s:.1f}")
        print(f"s later, planned {taken.planned_s:.1f} s after the answer")
        for name in ("quiet", "planning", "speaking"):
            waits = [1000 * wait for wait in getattr(taken, name)] or [0.0]
            print(f"first audio, {name}: {median(waits):.0f} ms, at worst {max(waits):.0f}")
        for name, value in use.rows():
            print(f"{name}: {value}", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
