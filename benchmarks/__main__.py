"""Print the table of docs/performance.md: bare engine, farm, farm on a slow store, piper."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bare, farm_run, material, piper_command
from farm import builtin, voices
from farm.voices import VoiceFile

#: Milliseconds that the slow store adds to every call.
DELAY_MS = 50
SLOW = {
    "BENCH_STORE_DELAY_MS": str(DELAY_MS),
    "PYTHONPATH": str(Path(__file__).parent / "slow"),
}


@dataclass(frozen=True)
class Row:
    """One measurement."""

    name: str
    seconds: float
    audio: float
    characters: int

    def line(self, bare_rate: float) -> str:
        """Format as a line of a table; the ratio compares characters a second."""
        rate = self.characters / self.seconds
        times = f"{self.audio / self.seconds:.1f}" if self.audio else ""
        ratio = f"{rate / bare_rate:.2f}"
        return f"| {self.name} | {self.seconds:.1f} | {rate:.0f} | {times} | {ratio} |"


def measure(file: VoiceFile, seconds: float, folder: Path) -> list[Row]:
    """Measure one voice: about `seconds` of work for the bare engine in all its processes."""
    processes = len(os.sched_getaffinity(0))
    model = file.files["model"]
    trial, _ = bare.run(file, model.parent, material.sentences(4_000), processes)
    lines = material.sentences(round(4_000 * seconds / trial))
    size = sum(map(len, lines))
    elapsed, audio = bare.run(file, model.parent, lines, processes)
    rows = [Row(f"(a) bare engine, {processes} processes", elapsed, audio, size)]
    farmed, spoken = farm_run.measure(lines, file.id, folder / "farm", _own(file))
    rows.append(Row("(b) the farm", farmed, spoken, size))
    slow, spoken = farm_run.measure(lines, file.id, folder / "slow", _own(file) | SLOW)
    rows.append(Row(f"(b) with {DELAY_MS} ms more a store call", slow, spoken, size))
    alone = piper_command.run(model, lines, folder / "piper")
    rows.append(Row("(c) the `piper` command", alone, 0, size))
    return rows


def _own(file: VoiceFile) -> dict[str, str]:
    """Let the measured farm find the voice."""
    return {"FARM_VOICES": f'["{file.path.parent}"]'}


def main() -> None:
    """Measure every voice that is at hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of (a), for each voice")
    parser.add_argument("--voices", default="slt,medium")
    chosen = parser.parse_args()
    cache = Path(os.environ.get("BENCH_CACHE", ".bench"))
    folders = {"slt": builtin.prepare(cache), "medium": material.medium_voice(cache / "medium")}
    for name in chosen.voices.split(","):
        folder = folders[name]
        if folder is None:
            print(f"{name}: not made; see scripts/make-medium-voice")
            continue
        work = Path(tempfile.mkdtemp(prefix="farm-bench-"))
        rows = measure(voices.catalogue([folder])[name], chosen.seconds, work)
        print(f"\n### {name}\n\n| | s | characters/s | x real time | to (a) |")
        print("|---|---|---|---|---|")
        for row in rows:
            print(row.line(rows[0].characters / rows[0].seconds), flush=True)
        shutil.rmtree(work)


main()
