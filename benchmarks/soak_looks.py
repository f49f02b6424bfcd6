"""What a running farm holds, look by look: memory by role, Redis, the store, the queues."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from redis import Redis, RedisError

from benchmarks.service_load_farm import MB, Up
from farm.errors import Unavailable
from farm.ledger import Ledger, Roster

#: Seconds between two looks, and between two walks over the files.
LOOK_S = 5.0
WALK_S = 30.0

Figures = dict[str, float]


@dataclass
class Look:
    """One look."""

    at: float
    """Seconds since the first."""
    pss: Figures
    """MB by role: each page shared by n processes counts as 1/n of it."""
    rss: Figures
    processes: Figures
    held: Figures
    """MB of Redis and of files."""
    counts: Figures
    """Keys in Redis; messages and units in the queues."""


@dataclass
class Looks:
    """All looks at a farm, made by a thread."""

    up: Up
    looks: list[Look] = field(default_factory=list)
    _files: Figures = field(default_factory=dict)
    _walked: float = -WALK_S

    def watch(self, over: threading.Event) -> None:
        """Look until `over` is set."""
        redis: Redis = Redis.from_url(self.up.broker)
        roster = Roster(Ledger(self.up.broker))
        begin = time.monotonic()
        while not over.is_set():
            at = time.monotonic() - begin
            if at - self._walked >= WALK_S:
                self._files, self._walked = sizes(self.up.home), at
            pss, rss, count = memory(self.up.pid)
            held, counts = _redis(redis)
            counts |= _queues(roster)
            self.looks.append(Look(at, pss, rss, count, {**self._files, **held}, counts))
            over.wait(max(0.0, LOOK_S - (time.monotonic() - begin - at)))
        redis.close()


def _redis(redis: Redis) -> tuple[Figures, Figures]:
    with suppress(RedisError):
        used = redis.info("memory")["used_memory"] / MB
        return {"Redis, used_memory": used}, {"keys in Redis": redis.dbsize()}
    return {}, {}


def _queues(roster: Roster) -> Figures:
    with suppress(Unavailable):
        lanes = roster.lanes()
        waiting = sum(lane.queued for lane in lanes)
        return {"messages": waiting, "units": sum(lane.sent + lane.todo for lane in lanes)}
    return {}


def memory(boss: int) -> tuple[Figures, Figures, Figures]:
    """Return PSS and RSS in MB, and the number of processes, by role, of a supervisor's tree."""
    pss, rss, count = Counter[str](), Counter[str](), Counter[str]()
    for role, process in roles(boss):
        with suppress(psutil.Error):
            held = process.memory_full_info()
            pss[role] += held.pss / MB
            rss[role] += held.rss / MB
            count[role] += 1
    return dict(pss), dict(rss), dict(count)


def roles(boss: int) -> list[tuple[str, psutil.Process]]:
    """Name every process of a supervisor's tree by what it is there for."""
    found: list[tuple[str, psutil.Process]] = []
    with suppress(psutil.Error):
        top = psutil.Process(boss)
        found.append(("supervisor", top))
        for child in top.children():
            with suppress(psutil.Error):
                role = _role(child.cmdline())
                found.append((role, child))
                inner = child.children(recursive=True)
                found += [(f"{role}: children", each) for each in inner]
    return found


def _role(words: Sequence[str]) -> str:
    if "farm.cli" not in words:
        return "redis"
    plain = [word for word in words[words.index("farm.cli") + 1 :] if word[0] != "-"]
    return " ".join(plain[:2] if plain[0] == "worker" else plain[:1])


def sizes(home: Path) -> Figures:
    """Return MB of a home's files, by kind."""
    found = Counter[str]()
    for folder, _, names in os.walk(home):
        kind = _kind(Path(folder).relative_to(home).parts)
        for name in names:
            with suppress(OSError):
                found[kind] += Path(folder, name).stat().st_size / MB
    return dict(found)


def _kind(parts: Sequence[str]) -> str:
    if parts[:1] == ("store",):
        return "store: segments" if parts[1:2] == ("segments",) else "store: all else"
    return {"redis": "Redis's file", "logs": "logs", "flower": "Flower's file"}.get(
        parts[0] if parts else "", "other files"
    )


def slope(looks: Sequence[Look], value: Mapping[int, float]) -> float:
    """Return the slope per hour, by least squares, of values by number of the look."""
    numbers = sorted(value)
    if len(numbers) < 2:
        return 0.0
    hours = [looks[number].at / 3600 for number in numbers]
    return float(np.polyfit(hours, [value[number] for number in numbers], 1)[0])
