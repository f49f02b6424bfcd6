"""Print how the API stands many clients: `scripts/bench api`.

A farm of real processes on this machine, its workers working, and clients in a process of their
own: they submit small jobs (a sentence for a voice that costs nothing) and poll them each second.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks import service_load_farm as farms
from benchmarks.service_load_clients import Seen

#: Seconds of a run that nobody measures: processes start, voices are loaded.
WARM_UP_S = 5


def measure(up: farms.Up, clients: int, seconds: float, rate: float) -> Seen:
    """Let clients have their way with a farm."""
    words = [up.url, up.key, str(clients), str(seconds), str(rate)]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.service_load_clients", *words],
        check=True,
        capture_output=True,
    )
    return Seen(**json.loads(run.stdout))


def line(name: str, times: Sequence[float]) -> str:
    """Format a route's latencies as a line of a table: ms."""
    ranked = sorted(times) or [0.0]
    parts = [ranked[min(len(ranked) - 1, int(len(ranked) * p))] for p in (0.5, 0.9, 0.99, 1)]
    return f"| {name} | {len(times)} | " + " | ".join(f"{1000 * p:.0f}" for p in parts) + " |"


def ready(up: farms.Up) -> None:
    """Wait until the API answers: its port is open, so a request waits by itself."""
    request = urllib.request.Request(f"{up.url}/healthz")
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def main(arguments: list[str]) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=60, help="jobs a second, of all together")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="farm-load-"))
    with farms.up(folder / "home", {}) as up:
        ready(up)
        measure(up, chosen.clients, WARM_UP_S, chosen.rate)
        with up.used() as use:
            seen = measure(up, chosen.clients, chosen.seconds, chosen.rate)
    print("| request | answers | p50 ms | p90 | p99 | max |\n|---|---|---|---|---|---|")
    print(line("`POST /v1/jobs`", seen.submits))
    print(line("`GET /v1/jobs/{id}`", seen.polls))
    print(f"\naccepted: {len(seen.submits) / chosen.seconds:.1f} a second")
    print(f"errors: {len(seen.errors)} {seen.errors[:3] or ''}")
    print(f"polls that found their job ended: {seen.ended}")
    for name, value in use.rows():
        print(f"{name}: {value}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
