"""Print how fast every engine is beside the programs that speak the same model files.

    scripts/bench engines [--groups piper,vits,yourtts,home] [--seconds 4] [--rounds 3]

Every speaker has processes of its own, which stay loaded; in each round every way of every
contender speaks the same text, one after another. Seconds of audio are counted from the samples.
Where a goal is not met, the engine's profile follows.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import profiles
from benchmarks.contenders import GROUPS, USUAL, Contender, Group, Way, setup
from benchmarks.material import sentences
from benchmarks.probe import Probe, Setup
from benchmarks.rows import HEAD, Row, judged

#: Characters of the first text, which says how much fills a round.
TRIAL = 300
#: Characters of a round at most.
MOST = 60_000


class Bench:
    """The loaded processes of one group, and where they keep things."""

    def __init__(self, cache: Path, logs: Path, batch: int, stack: ExitStack) -> None:
        """Begin with none; `batch` is how many usual lines a batch holds."""
        self._cache, self._logs, self._stack = cache, logs, stack
        self._loaded: dict[Setup, list[Probe]] = {}
        lengths = sorted(sentences(TRIAL), key=len)
        self._first = lengths[len(lengths) // 2]
        self._budget = batch * len(self._first)

    def row(self, contender: Contender, way: Way) -> Row:
        """Load what is not yet loaded for a contender's way."""
        wanted = setup(contender, way, self._cache, self._first, self._budget)
        probes = self._loaded.setdefault(wanted, [])
        while len(probes) < way.processes:
            probes.append(Probe(wanted, self._logs / f"{sum(map(len, self._loaded.values()))}.log"))
            self._stack.callback(probes[-1].close)
        return Row(contender, way, probes[: way.processes], self._budget)


def measure(group: Group, bench: Bench, seconds: float, rounds: int) -> list[Row]:
    """Load all contenders of a group, and measure them in turns.

    A round has as much text as the first contender speaks in so many seconds.
    """
    rows = [bench.row(each, way) for each in group.contenders for way in each.ways]
    trial = bench.row(group.contenders[0], group.contenders[0].ways[0])
    spent = trial.run(sentences(TRIAL))
    size = min(MOST, round(TRIAL * seconds / spent))
    for number in range(rounds):
        lines = sorted(sentences(size, number * 10_000), key=len)
        for row in rows:
            # Padding costs several times as much: once is enough.
            if not (row.way.batched and number):
                row.run(lines)
    return rows


def _print(group: Group, rows: list[Row], cache: Path, profiled: bool) -> None:
    print(f"\n### {group.about}\n\n{HEAD}")
    for row in rows:
        print(row.line(), flush=True)
    missed = set()
    for goal in group.goals:
        met, said = judged(goal, rows)
        print(f"\n{said}.", flush=True)
        if not met:
            missed.add(goal.ours)
    for contender in group.contenders:
        if contender.title in missed or (profiled and not contender.rival):
            print(f"\n{profiles.of(contender, cache)}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure the groups that are asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench engines", description=__doc__)
    parser.add_argument("--groups", default=",".join(USUAL), help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--seconds", type=float, default=4, help="of a group's first, in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8, help="usual lines that a batch holds")
    parser.add_argument("--profile", action="store_true", help="of every engine, goals met or not")
    chosen = parser.parse_args(arguments)
    names = chosen.groups.split(",")
    if unknown := sorted(set(names) - set(GROUPS)):
        parser.error(f"no group {unknown[0]!r}: choose of {', '.join(GROUPS)}")
    cache = Path(os.environ.get("BENCH_CACHE", ".bench")).absolute()
    print(f"{len(os.sched_getaffinity(0))} cores, {chosen.rounds} rounds")
    for name in names:
        group = GROUPS[name]
        with tempfile.TemporaryDirectory(prefix="bench-") as logs, ExitStack() as stack:
            try:
                bench = Bench(cache, Path(logs), chosen.batch, stack)
                rows = measure(group, bench, chosen.seconds, chosen.rounds)
            except RuntimeError as error:
                print(f"\n### {group.about}\n\nnot measured: {error}")
                continue
        _print(group, rows, cache, chosen.profile)
