"""What was measured of one contender run in one way, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, median
from typing import Any

from benchmarks.contenders import Contender, Goal, Way
from benchmarks.probe import Probe, segment
from farm import batching


@dataclass
class Row:
    """What was measured of one contender run in one way, round by round."""

    contender: Contender
    way: Way
    probes: list[Probe]
    budget: int
    rates: list[float] = field(default_factory=list)
    """Seconds of audio per second, of all processes together."""
    costs: list[float] = field(default_factory=list)
    """Seconds of CPU per second of audio."""
    peak_mb: float = 0.0
    """Of one process."""
    fill: float = 0.0
    waste: float = 0.0

    def run(self, lines: Sequence[str]) -> float:
        """Speak lines, dealt out to the processes as they get free; return the seconds it took."""
        begin = time.perf_counter()
        if len(self.probes) == 1:
            answers = [self.probes[0].speak(lines)]
        else:
            # The longest first: none is left with a long one at the end.
            waiting = sorted(lines, key=len)
            with ThreadPoolExecutor(len(self.probes)) as pool:
                parts = pool.map(partial(_emptied, waiting), self.probes)
                answers = [answer for part in parts for answer in part]
        seconds = time.perf_counter() - begin
        spoken = [each for answer in answers for each in answer["spoken"]]
        self.rates.append(sum(spoken) / seconds)
        self.costs.append(sum(answer["cpu"] for answer in answers) / sum(spoken))
        self.peak_mb = max(answer["peak_mb"] for answer in answers)
        if self.way.batched:
            self.fill, self.waste = filled(lines, spoken, self.budget)
        return seconds

    def line(self) -> str:
        """Format as a line of the table."""
        rate, probe = median(self.rates), self.probes[0]
        span = f"{_short(rate)} ({_short(min(self.rates))}-{_short(max(self.rates))})"
        # The command cannot be seen to have loaded: only its first sentence shows it.
        load = "" if self.contender.rival == "piper" else f"{probe.load_s:.1f}"
        cells = [self.contender.title, self.way.title, span, f"{1 / rate:.3g}"]
        cells += [f"{median(self.costs):.3g}", load, f"{probe.warm_s:.2g}", f"{self.peak_mb:.0f}"]
        batch = self.way.batched
        cells += [f"{self.fill:.0%}", f"{self.waste:.0%}", f"{probe.budget}"] if batch else [""] * 3
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| | | x real time | RTF | CPU s/s | load s | warm-up s | MB | fill | waste | budget |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def _emptied(waiting: list[str], probe: Probe) -> list[dict[str, Any]]:
    """Have a process speak the last of the lines that wait until none is left."""
    answers = []
    with suppress(IndexError):
        while True:
            answers.append(probe.speak([waiting.pop()]))
    return answers


def filled(lines: Sequence[str], seconds: Sequence[float], budget: int) -> tuple[float, float]:
    """Return how full batches are of their budget, and what share of their audio is padding."""
    batches = list(batching.cut([segment(line) for line in lines], budget))
    padded = [len(batch) * max(len(each.text) for each in batch) for batch in batches]
    left, decoded = iter(seconds), 0.0
    for batch in batches:
        decoded += len(batch) * max(next(left) for _ in batch)
    return mean(min(1.0, each / budget) for each in padded), 1 - sum(seconds) / decoded


def ratio(ours: Sequence[Row], theirs: Sequence[Row]) -> list[float]:
    """Return how many times as fast, round by round, the best of ours is as the best of theirs."""
    mine, other = best(ours), best(theirs)
    return [one / two for one, two in zip(mine.rates, other.rates, strict=True)]


def best(rows: Sequence[Row]) -> Row:
    """Return the row with the highest rate, batches apart."""
    return max((row for row in rows if not row.way.batched), key=lambda row: median(row.rates))


def fastest(rows: Sequence[Row]) -> float:
    """Return the highest rate of any round: that of the round least disturbed by other work."""
    return max(rate for row in rows if not row.way.batched for rate in row.rates)


def judged(goal: Goal, rows: Sequence[Row]) -> tuple[bool, str]:
    """Return whether a goal is met, and a sentence that says so."""
    ours = _of(goal.ours, rows)
    if goal.theirs:
        theirs = _of(goal.theirs, rows)
        rates = ratio(ours, theirs)
        cost = median(best(theirs).costs) / median(best(ours).costs)
        beside = f" times as fast as {goal.theirs} ({best(theirs).way.title}), "
        beside += f"{_short(fastest(ours) / fastest(theirs))} in their fastest rounds, "
        beside += f"{_short(cost)} by CPU seconds"
    else:
        rates, beside = best(ours).rates, " times real time"
    met = median(rates) >= goal.least
    span = f"{median(rates):.3g} ({min(rates):.3g}-{max(rates):.3g})"
    said = f"{goal.ours} ({best(ours).way.title}) is {span}{beside}"
    return met, f"{said}; goal {goal.least:g}: {'met' if met else 'NOT met'}"


def _of(title: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.contender.title == title]


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
