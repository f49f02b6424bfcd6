"""What goes wrong, and when: plain data, made from a seed, read back from JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

#: Seconds between two faults, at least and at most.
GAPS_S = (2.0, 8.0)
#: Seconds that a process is stopped or a server is away: from what nobody notices to what ends
#: leases.
AWAY_S = (2.0, 22.0)


@dataclass(frozen=True)
class Fault:
    """One fault."""

    at: float
    """Seconds after the first job was submitted."""
    act: str
    """`kill`, `term`, `stop` of a process; `kill`, `empty`, `stop`, `full` (no memory), `failover`
    (to a replica without the last writes) of Redis; an act of the proxy before the store."""
    who: str
    """A role (see `tests.faults.striking`), `redis` or `store`."""
    pick: float = 0.0
    """Which of several processes: their part of 1."""
    seconds: float = 0.0
    """How long whoever is stopped, or the server, or its memory, is away; of a fail-over, how long
    the replica has heard of nothing."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.act} {self.who}"


#: Of how many such faults a headline's deck is made: every one at least once. A card more would be
#: another schedule of every seed; so what came later has a test of its own (`test_single.py`).
DECK = {
    ("kill", "child"): 8,
    ("stop", "child"): 4,
    ("term", "child"): 3,
    ("kill", "parent"): 4,
    ("stop", "parent"): 2,
    ("term", "parent"): 2,
    ("kill", "planner"): 2,
    ("stop", "planner"): 1,
    ("term", "planner"): 1,
    ("kill", "assembler"): 2,
    ("stop", "assembler"): 1,
    ("term", "assembler"): 1,
    ("kill", "api"): 2,
    ("stop", "api"): 1,
    ("term", "api"): 1,
    ("kill", "control"): 2,
    ("stop", "control"): 1,
    ("term", "control"): 1,
    ("kill", "redis"): 2,
    ("empty", "redis"): 2,
    ("stop", "redis"): 1,
    ("error", "store"): 1,
    ("slow_down", "store"): 1,
    ("denied", "store"): 1,
    ("late", "store"): 1,
    ("reset_request", "store"): 1,
    ("reset_answer", "store"): 1,
    ("lost", "store"): 1,
    ("cut", "store"): 1,
    ("short", "store"): 1,
    ("wrong", "store"): 1,
}

#: Of a minute's: one of each kind that there is time for.
FEW = {
    ("kill", "child"): 2,
    ("kill", "planner"): 1,
    ("kill", "control"): 1,
    ("error", "store"): 1,
    ("empty", "redis"): 1,
}

Deck = dict[tuple[str, str], int]


def schedule(
    seed: int,
    deck: Deck = DECK,
    gaps_s: tuple[float, float] = GAPS_S,
    away_s: tuple[float, float] = AWAY_S,
) -> list[Fault]:
    """Shuffle a deck and give each fault its time, its victim and its length; all by the seed."""
    chance = random.Random(seed)
    cards = [card for card, count in deck.items() for _ in range(count)]
    chance.shuffle(cards)
    at, faults = 0.0, []
    for act, who in cards:
        at += chance.uniform(*gaps_s)
        faults.append(
            Fault(round(at, 1), act, who, round(chance.random(), 3), _away(act, chance, away_s))
        )
    return faults


def _away(act: str, chance: random.Random, away_s: tuple[float, float]) -> float:
    return 0.0 if act == "term" else round(chance.uniform(*away_s), 1)


def write(path: Path, faults: Sequence[Fault]) -> None:
    """Write a schedule, a fault a line."""
    path.write_text("\n".join(json.dumps(asdict(fault)) for fault in faults) + "\n")


def read(path: Path) -> list[Fault]:
    """Read a schedule."""
    return [Fault(**json.loads(line)) for line in path.read_text().splitlines()]
