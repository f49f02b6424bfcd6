"""Print how the memory of a farm under a mixed load develops: `scripts/soak --minutes 30`.

An embedded farm with its API and Flower, and clients over loopback. DIR gets `samples.jsonl` (one
look every 5 s), `soak.png` and `soak.md`, the tables that are printed. Ended jobs are deleted after
45 s, so that the farm holds as much after a day as after a minute.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import service_load_farm as farms
from benchmarks import soak_plot
from benchmarks.service_load import line, ready
from benchmarks.soak_load import Load, Seen
from benchmarks.soak_looks import Figures, Look, Looks, slope

#: Seconds that jobs have to end after the load did; and what is kept of results and of segments:
#: with the defaults, an hour and for ever, Redis and the store would fill up during the whole run.
END_S = 120.0
ENVIRONMENT = {
    "FARM_RESULT_EXPIRES_S": "120",
    "FARM_MODEL_BYTES": str(256 << 20),
    "FARM_SEGMENT_DAYS": "0.003",
}


def run(folder: Path, minutes: float, seed: int) -> tuple[list[Look], Seen]:
    """Run a farm under the load."""
    over, done = threading.Event(), threading.Event()
    with farms.up(folder / "home", ENVIRONMENT, flower_port=5565) as up:
        ready(up)
        looks, load = Looks(up), Load(up, seed, over)
        watcher = threading.Thread(target=looks.watch, args=(done,))
        watcher.start()
        threads = load.start()
        time.sleep(60 * minutes)
        over.set()
        end = time.monotonic() + END_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        done.set()
        watcher.join()
    return looks.looks, load.seen


def tables(looks: Sequence[Look], seen: Seen) -> Iterator[str]:
    """Yield the lines of the tables."""
    yield "| | at half MB | at the end MB | slope MB/h |\n|---|---|---|---|"
    yield from _rows(looks, lambda look: look.pss)
    yield from _rows(looks, lambda look: look.held)
    yield "\n| | at half | at the end | slope 1/h |\n|---|---|---|---|"
    yield from _rows(looks, lambda look: look.counts)
    yield "\n| request | answers | p50 ms | p90 | p99 | max |\n|---|---|---|---|---|---|"
    yield line("`POST /v1/audio/speech`, first audio", [s for _, s in seen.speeches])
    yield line("`GET /v1/jobs/{id}`", [s for _, s in seen.polls])
    yield "\n| | count |\n|---|---|"
    for name, number in sorted(seen.counts.items()):
        yield f"| {name} | {number} |"
    yield f"| children killed | {len(seen.kills)} |\n| errors | {len(seen.errors)} |"
    for what, number in Counter(what for _, what in seen.errors).most_common(5):
        yield f"\n{number} x {what}"


def _rows(looks: Sequence[Look], kind: Callable[[Look], Figures]) -> Iterator[str]:
    half = len(looks) // 2
    for name in sorted({name for look in looks for name in kind(look)}):
        by_look = {n: kind(look)[name] for n, look in enumerate(looks) if name in kind(look)}
        late = {n: value for n, value in by_look.items() if n >= half}
        if late:
            first, last = late[min(late)], late[max(late)]
            yield f"| {name} | {first:.1f} | {last:.1f} | {slope(looks, late):+.1f} |"


def main() -> None:
    """Run, write the files, print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/soak"), metavar="DIR")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="farm-soak-") as folder:
        looks, seen = run(Path(folder), chosen.minutes, chosen.seed)
    rows = "".join(json.dumps(asdict(look)) + "\n" for look in looks)
    (chosen.output / "samples.jsonl").write_text(rows)
    (chosen.output / "seen.json").write_text(json.dumps(vars(seen)))
    soak_plot.draw(looks, seen, chosen.output / "soak.png")
    said = "\n".join(tables(looks, seen))
    (chosen.output / "soak.md").write_text(said + "\n")
    print(said)


if __name__ == "__main__":
    main()
