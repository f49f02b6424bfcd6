"""What the processes noted, read: who was at what, what was spoken again, how soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Turn:
    """One process at one unit of work, from its beginning to its end if that came."""

    unit: str
    pid: int
    begun: float
    ended: float = float("inf")
    passes: list[float] = field(default_factory=list)
    """When forward passes were begun."""

    @property
    def stage(self) -> str:
        """`read`, `page`, `chunk`, `items` or `package`."""
        return self.unit.split("/")[1]

    def open(self, at: float) -> bool:
        """Whether it was under way at a time."""
        return self.begun <= at < self.ended

    @property
    def at_it(self) -> float:
        """When it was done: a chunk spoken, or found stored whole; anything else begun."""
        return min([*self.passes, self.ended]) if self.stage == "chunk" else self.begun


def turns(noted: Sequence[Sequence[Any]]) -> list[Turn]:
    """Put the lines of the notes together.

    A suspect's process does not know whose unit it speaks: that of its digest, whoever is at it.
    """
    made: list[Turn] = []
    current: dict[tuple[int, str], Turn] = {}
    latest: dict[str, Turn] = {}
    units: dict[str, str] = {}
    for at, pid, what, unit, *digests in noted:
        if what == "begins":
            made.append(Turn(unit, pid, at))
            current[pid, unit] = latest[unit] = made[-1]
        elif what == "ends" and (pid, unit) in current:
            current[pid, unit].ended = at
        elif what == "speaks":
            units.update(dict.fromkeys(digests, unit) if unit else {})
            turn = current.get((pid, unit)) or latest.get(units.get(digests[0], ""))
            if turn is not None:
                turn.passes.append(at)
    return made


def speaking(noted: Sequence[Sequence[Any]]) -> set[int]:
    """The processes that are in a forward pass."""
    last = {pid: what for _, pid, what, *_ in noted if what in ("speaks", "spoke")}
    return {pid for pid, what in last.items() if what == "speaks"}


def busy(noted: Sequence[Sequence[Any]], *stages: str) -> set[int]:
    """The processes that are at a unit of these stages."""
    return {t.pid for t in turns(noted) if t.stage in stages and t.ended == float("inf")}


def again(noted: Sequence[Sequence[Any]]) -> tuple[int, int]:
    """Count what was begun to be spoken more than once: chunks, and forward passes too many."""
    spoken: Counter[str] = Counter()
    chunks: dict[str, set[str]] = {}
    for _, _, what, unit, *digests in noted:
        if what == "speaks":
            spoken.update(digests)
            for digest in digests:
                chunks.setdefault(digest, set()).update({unit} - {""})
    twice = {digest: count for digest, count in spoken.items() if count > 1}
    redone = {unit for digest in twice for unit in chunks[digest]}
    return len(redone), sum(twice.values()) - len(twice)


def recoveries(made: Sequence[Turn], pids: Sequence[int], at: float) -> Iterator[float]:
    """Yield, for each unit that one of these processes was at, the seconds until it is done again.

    By whomever: by another process, or by the same that went on.
    """
    for turn in made:
        if turn.pid not in pids or not turn.open(at):
            continue
        others = [t.at_it for t in made if t.unit == turn.unit and t.begun > turn.begun]
        soonest = min([*others, *(p for p in turn.passes if p > at), turn.ended])
        if soonest < float("inf"):
            yield max(soonest, at) - at


def next_pass(made: Sequence[Turn], at: float) -> float | None:
    """Return the seconds from a time to the next forward pass that was begun."""
    later = [moment for turn in made for moment in turn.passes if moment >= at]
    return min(later) - at if later else None
