"""Carries out a schedule on a rig, and writes down what was done to whom.

Roles: `child`, a process that speaks (one in the midst of it, if there is any); `parent`, a worker
that keeps such processes or those of planning and audio (one of which is at work); `planner` and
`assembler`, a process at planning or making files; `api`; `control`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults import notes
from tests.faults.database import NO_MEMORY, Redis
from tests.faults.proxy import Act, Rule
from tests.faults.rig import Rig, waiting
from tests.faults.schedule import Fault

#: Seconds that a fault waits for somebody to be at what it is to meet.
MEET_S = 15.0
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}
#: What the proxy does to which requests, beside its act; wrong bytes come from segments only, whose
#: checksums are the farm's own.
STORE: dict[str, dict[str, Any]] = {
    "error": {"chance": 0.7},
    "slow_down": {"chance": 0.7},
    "denied": {"chance": 0.7},
    "full": {"method": "PUT"},
    "late": {"chance": 0.3, "delay_s": 10.0},
    "reset_request": {"chance": 0.7},
    "reset_answer": {"chance": 0.7},
    "lost": {"chance": 0.5},
    "cut": {"chance": 0.5},
    "short": {"key": r"/segments/.*\.flac$", "times": 2},
    "wrong": {"key": r"/segments/.*\.flac$", "times": 2},
}
#: At which stages of the farm's work whom is to be met.
MEETS = {
    "parent": ("read", "page", "chunk", "items", "package"),
    "planner": ("read", "page"),
    "assembler": ("items", "package"),
}
#: Families of the workers that speak.
SPEAKING = ("piper", "tone")


@dataclass
class Struck:
    """What was done."""

    fault: Fault
    at: float
    """When, on the machine's monotonic clock, as the notes have it."""
    pids: list[int] = field(default_factory=list)
    """The processes that were at work and were met, the children of a parent with it."""
    over: float = 0.0
    """When whoever was away was back."""
    requests: int = 0
    """Of a fault of the store, or of the memory of Redis: requests that it met."""

    def row(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


class Striker:
    """What makes faults on one rig."""

    def __init__(self, rig: Rig) -> None:
        self.struck: list[Struck] = []
        self.over = threading.Event()
        self._rig = rig
        self._redis = threading.Lock()

    def run(self, faults: Sequence[Fault]) -> None:
        """Make every fault at its time, whether or not earlier ones last; return after the last."""
        begin = time.monotonic()
        with ThreadPoolExecutor(max(1, len(faults))) as pool:
            made = []
            for fault in faults:
                if self.over.wait(max(0.0, begin + fault.at - time.monotonic())):
                    break
                made.append(pool.submit(self.strike, fault))
            for each in made:
                each.result()

    def strike(self, fault: Fault) -> Struck:
        """Make one fault; return when it is over."""
        if fault.who == "redis":
            return self._strike_redis(fault)
        if fault.who == "store":
            return self._strike_store(fault)
        return self._strike_process(fault)

    def _note(self, fault: Fault, pids: Sequence[int] = ()) -> Struck:
        struck = Struck(fault, time.monotonic(), list(pids))
        self.struck.append(struck)
        return struck

    def _strike_process(self, fault: Fault) -> Struck:
        pid = self._choose(fault)
        parents = [p for p in self._rig.processes if p.running and p.running.pid == pid]
        # A worker that is stopped or told to end leaves its child at what it is doing.
        below = parents[0].children() if parents and fault.act == "kill" else []
        struck = self._note(fault, [pid, *below])
        with suppress(ProcessLookupError):
            os.kill(pid, SIGNALS[fault.act])
            if fault.act == "stop":
                self.over.wait(fault.seconds)
                os.kill(pid, signal.SIGCONT)
        struck.over = time.monotonic()
        return struck

    def _strike_redis(self, fault: Fault) -> Struck:
        with self._redis:  # one after another: there is one
            waiting(lambda: bool(self._candidates("child")), MEET_S)
            struck = self._note(fault)
            server, away = self._rig.redis, lambda: self.over.wait(fault.seconds)
            struck.requests = REDIS[fault.act](server, away)
            struck.over = time.monotonic()
        return struck

    def _strike_store(self, fault: Fault) -> Struck:
        struck = self._note(fault)
        act: Act = fault.act  # type: ignore[assignment]
        before = self._rig.proxy.count(act)
        self._rig.proxy.add(Rule(act, seconds=fault.seconds, **STORE[fault.act]))
        self.over.wait(fault.seconds)
        struck.over = time.monotonic()
        struck.requests = self._rig.proxy.count(act) - before
        return struck

    def _choose(self, fault: Fault) -> int:
        """Wait until there is somebody to be met; return his process."""
        found: list[int] = []

        def look() -> bool:
            found[:] = self._candidates(fault.who)
            return bool(found)

        if not waiting(look, MEET_S):
            assert waiting(lambda: bool(self._anybody(fault.who)), 30), fault
            found[:] = self._anybody(fault.who)
        return found[int(fault.pick * len(found))]

    def _candidates(self, who: str) -> list[int]:
        rig = self._rig
        if who in ("api", "control"):
            return self._anybody(who)
        noted = rig.noted()
        at_it = notes.speaking(noted) if who == "child" else notes.busy(noted, *MEETS[who])
        if who == "parent":
            kept = {p.running.pid: p.children() for p in rig.of(*SPEAKING, "cpu") if p.running}
            return [pid for pid, children in kept.items() if at_it & set(children)]
        return [pid for pid in self._anybody(who) if pid in at_it]

    def _anybody(self, who: str) -> list[int]:
        rig = self._rig
        if who == "child":
            return [pid for process in rig.of(*SPEAKING) for pid in process.children()]
        if who in ("planner", "assembler"):
            return [pid for process in rig.of("cpu") for pid in process.children()]
        roles = (*SPEAKING, "cpu") if who == "parent" else (who,)
        alive = [process for process in rig.of(*roles) if process.alive]
        return [process.running.pid for process in alive if process.running is not None]


Away = Callable[[], object]
"""Returns when whoever is away is to be back."""


def _stop(server: Redis, away: Away) -> int:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    away()
    server.process.send_signal(signal.SIGCONT)
    return 0


def _kill(server: Redis, away: Away) -> int:
    server.kill()
    away()
    server.start()
    return 0


def _empty(server: Redis, away: Away) -> int:
    server.kill()
    server.lose()
    away()
    server.start()
    return 0


def _full(server: Redis, away: Away) -> int:
    """Have no memory; return how many commands were refused."""
    before = server.refused()
    server.limit(NO_MEMORY)
    away()
    server.limit(0)
    refused = server.refused() - before
    assert refused, "nobody wanted memory"
    return refused


def _fail_over(server: Redis, away: Away) -> int:
    """Cut a replica off, let writes go on, and have what it knows take the server's place."""
    with server.replica() as replica:
        replica.cut_off()
        away()
        assert server.heard() > replica.heard(), "no write was lost"
        server.kill()
        replica.kill()
        server.replaced(replica)
    server.start()
    return 0


#: What is done to Redis; each returns how many requests were refused.
REDIS: dict[str, Callable[[Redis, Away], int]] = {
    "stop": _stop,
    "kill": _kill,
    "empty": _empty,
    "full": _full,
    "failover": _fail_over,
}
