"""Print the tables of docs/performance.md.

`scripts/bench [farm]`: bare engine, farm, farm on a slow store, piper. `scripts/bench engines`: see
`benchmarks.engines`. `scripts/bench api`, `batch`: see `benchmarks.service_load`, `..._batch`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import (
    bare,
    engines,
    farm_run,
    material,
    piper_command,
    service_load,
    service_load_batch,
)
from farm import builtin, voices
from farm.voices import VoiceFile

#: Milliseconds that the slow store adds to every call.
DELAY_MS = 50
SLOW = {
    "BENCH_STORE_DELAY_MS": str(DELAY_MS),
    "PYTHONPATH": str(Path(__file__).parent / "slow"),
}


@dataclass
class Row:
    """What was measured of one contender, round by round."""

    name: str
    rates: list[float] = field(default_factory=list)
    """Characters a second."""
    times: list[float] = field(default_factory=list)
    """Seconds of audio a second."""

    def add(self, characters: int, seconds: float, audio: float = 0.0) -> None:
        """Add a round."""
        self.rates.append(characters / seconds)
        self.times.append(audio / seconds)

    def line(self, bare: Row) -> str:
        """Format as a line of a table: medians, and the median of the ratios within a round."""
        times = f"{median(self.times):.0f}" if any(self.times) else ""
        ratios = [mine / theirs for mine, theirs in zip(self.rates, bare.rates, strict=True)]
        span = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        return f"| {self.name} | {median(self.rates):.0f} | {times} | {span} |"


def measure(file: VoiceFile, seconds: float, rounds: int, folder: Path) -> list[Row]:
    """Measure one voice: rounds of about `seconds` of work for the bare engine."""
    processes = len(os.sched_getaffinity(0))
    model = file.files["model"]
    rows = [
        Row(f"(a) bare engine, {processes} processes"),
        Row("(b) the farm, a file a paragraph"),
        Row("(b) the farm, a file a sentence"),
        Row(f"(b) a file a paragraph, {DELAY_MS} ms more a store call"),
        Row("(c) the `piper` command"),
    ]
    with (
        farm_run.running(folder / "farm", _own(file)) as farm,
        farm_run.running(folder / "slow", _own(file) | SLOW) as slow,
    ):
        trial = material.sentences(4_000, 900_000)
        spent, _ = bare.run(file, model.parent, trial, processes)
        for name, environment in (("w1", farm), ("w2", slow)):
            farm_run.batch(trial, file.id, folder / name, environment)
        for number in range(rounds):
            lines = material.sentences(round(4_000 * seconds / spent), number * 100_000)
            size, where = _size(lines), folder / str(number)
            rows[0].add(size, *bare.run(file, model.parent, lines, processes))
            paragraphs = material.paragraphs(lines)
            rows[1].add(size, *farm_run.measure(paragraphs, file.id, where / "farm", farm))
            again = material.sentences(size, number * 100_000 + 50_000)
            rows[2].add(_size(again), *farm_run.measure(again, file.id, where / "lines", farm))
            rows[3].add(size, *farm_run.measure(paragraphs, file.id, where / "slow", slow))
            rows[4].add(size, piper_command.run(model, lines, where / "piper"))
            shutil.rmtree(where)
    return rows


def _size(lines: list[str]) -> int:
    """Characters."""
    return sum(map(len, lines))


def _own(file: VoiceFile) -> dict[str, str]:
    """Let the measured farm find the voice."""
    return {"FARM_VOICES": f'["{file.path.parent}"]'}


def farm(arguments: list[str]) -> None:
    """Measure every voice that is at hand."""
    parser = argparse.ArgumentParser(prog="scripts/bench farm", description=farm.__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of (a), in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--voices", default="slt,medium")
    chosen = parser.parse_args(arguments)
    cache = Path(os.environ.get("BENCH_CACHE", ".bench"))
    folders = {"slt": builtin.prepare(cache), "medium": material.medium_voice(cache / "medium")}
    for name in chosen.voices.split(","):
        folder = folders[name]
        if folder is None:
            print(f"{name}: not made; see scripts/make-medium-voice")
            continue
        work = Path(tempfile.mkdtemp(prefix="farm-bench-"))
        rows = measure(voices.catalogue([folder])[name], chosen.seconds, chosen.rounds, work)
        print(f"\n### {name}\n\n| | characters/s | x real time | to (a) |\n|---|---|---|---|")
        for row in rows:
            print(row.line(rows[0]), flush=True)
        shutil.rmtree(work)


def main() -> None:
    """Run the bench that the first word names: `farm` where none does."""
    benches = {
        "farm": farm,
        "engines": engines.main,
        "api": service_load.main,
        "batch": service_load_batch.main,
    }
    name, *rest = sys.argv[1:] or ["farm"]
    if name in benches:
        benches[name](rest)
    else:
        farm([name, *rest])


if __name__ == "__main__":
    main()
