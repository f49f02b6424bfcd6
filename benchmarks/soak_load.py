"""The mixed load of a soak: clients of the API, somebody who cleans up, and somebody who kills.

Everything is chosen by a seed, but for the order in which the farm gets to it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psutil
import urllib3

from benchmarks.material import SAMPLE
from benchmarks.service_load_farm import Up
from benchmarks.soak_looks import roles

#: Clients that have one job after another, and seconds between two looks of each at its job.
CLIENTS = 3
POLL_S = 0.5
#: Seconds between two speeches, two rounds of cleaning up, two kills.
SPEECH_S, CLEAN_S, KILL_S = 1.5, 5.0, 40.0
#: Seconds that an ended job is kept, by whoever cleans up or by its own time to live.
KEPT_S = 45
#: Seconds that a job may take, and a request.
JOB_S, ASK_S = 300.0, 60.0
_ENDED = ("completed", "failed", "cancelled", "expired")


@dataclass
class Seen:
    """What the clients saw; times are seconds since the load began."""

    speeches: list[tuple[float, float]] = field(default_factory=list)
    """When, and seconds until the first audio."""
    polls: list[tuple[float, float]] = field(default_factory=list)
    """When, and seconds of a `GET /v1/jobs/{id}`."""
    errors: list[tuple[float, str]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Load:
    """A mixed load on a farm until `over` is set."""

    def __init__(self, up: Up, seed: int, over: threading.Event) -> None:
        """Take a farm; `start` begins."""
        self.seen = Seen()
        self._up, self._seed, self._over = up, seed, over
        self._http = urllib3.PoolManager(maxsize=16, headers={"X-API-Key": up.key})
        self._numbers = count()
        self._begin = time.monotonic()

    def start(self) -> list[threading.Thread]:
        """Begin; return the threads, which end by themselves after `over` is set."""
        acts: list[tuple[Callable[[random.Random], None], float]] = [(self._job, 0.5)] * CLIENTS
        acts += [(self._speech, SPEECH_S), (self._clean, CLEAN_S), (self._kill, KILL_S)]
        threads = [
            threading.Thread(target=self._repeat, args=(number, *act), name=f"load {number}")
            for number, act in enumerate(acts)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _repeat(self, number: int, act: Callable[[random.Random], None], pause_s: float) -> None:
        chance = random.Random(f"{self._seed} {number}")
        while not self._over.wait(pause_s):
            try:
                act(chance)
            except Exception as error:  # whatever it is, it is what this counts
                self._wrong(f"{type(error).__name__}: {error}")

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _wrong(self, what: str) -> None:
        self.seen.errors.append((self._now(), what))

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Return an answer's JSON; None of one without."""
        answer = self._http.request(
            method, self._up.url + path, timeout=ASK_S, retries=False, **more
        )
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:200]!r}")
        return answer.json() if answer.data else None

    # Clients

    def _job(self, chance: random.Random) -> None:
        kinds = {self._batch: 5, self._real: 2, self._book: 2, self._failing: 2, self._cancelled: 2}
        (act,) = chance.choices(list(kinds), list(kinds.values()))
        act(chance)
        self.seen.counts[act.__name__.strip("_")] += 1

    def _batch(self, chance: random.Random) -> None:
        self._ends(self._submit(chance, "load", chance.randint(10, 60)))

    def _real(self, chance: random.Random) -> None:
        self._ends(self._submit(chance, "slt", chance.randint(2, 6)))

    def _failing(self, chance: random.Random) -> None:
        job = self._submit(chance, "load", 10, "[[fail]]")
        failed = self._ends(job)["counts"]["failed"]
        if failed != 1:
            self._wrong(f"{failed} failures of 1")
        self._ask("POST", f"/v1/jobs/{job}/retry")
        self._ends(job)

    def _cancelled(self, chance: random.Random) -> None:
        job = self._submit(chance, "load", 400)
        self._over.wait(chance.uniform(0.2, 2.0))
        with suppress(RuntimeError):  # it may have ended
            self._ask("POST", f"/v1/jobs/{job}/cancel")
        self._ends(job, *_ENDED)

    def _book(self, chance: random.Random) -> None:
        # Another speed makes every segment another one.
        speed = round(chance.uniform(0.8, 1.2), 4)
        wish = {"kind": "book", "voice": "load", "speed": speed, "ttl_s": KEPT_S}
        fields = {
            "job": json.dumps(wish),
            "file": (SAMPLE.name, SAMPLE.read_bytes(), "application/epub+zip"),
        }
        self._ends(self._ask("POST", "/v1/jobs/upload", fields=fields)["id"])

    def _submit(self, chance: random.Random, voice: str, lines: int, mark: str = "") -> str:
        """Submit a batch, nothing of which was ever spoken; the last line has a mark."""
        number = next(self._numbers)
        texts = [
            f"Line {n} of batch {number} of soak {self._seed} is read aloud by whoever is free."
            for n in range(lines)
        ]
        texts[-1] += mark and f" {mark}"
        rows = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
        ttl_s = chance.choice([0, KEPT_S])
        wish = {"kind": "batch", "voice": voice, "ttl_s": ttl_s, "lines": rows}
        return str(self._ask("POST", "/v1/jobs", json=wish)["id"])

    def _ends(self, job: str, *states: str) -> Any:
        """Wait for the end of a job; return its record."""
        end = time.monotonic() + JOB_S
        while time.monotonic() < end:
            began = time.monotonic()
            record = self._ask("GET", f"/v1/jobs/{job}")
            self.seen.polls.append((self._now(), time.monotonic() - began))
            if record["state"] in _ENDED:
                self.seen.counts[record["state"]] += 1
                if record["state"] not in (states or ("completed",)):
                    self._wrong(f"a job is {record['state']}: {record['error']}")
                return record
            time.sleep(POLL_S)
        raise TimeoutError(f"job {job} has not ended after {JOB_S:g} s")

    def _speech(self, chance: random.Random) -> None:
        voice = chance.choice(["load", "load", "load", "slt"])
        text = f"Sentence {next(self._numbers)} of soak {self._seed} is wanted at once."
        wish = {"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm"}
        began = time.monotonic()
        answer = self._http.request(
            "POST",
            f"{self._up.url}/v1/audio/speech",
            json=wish,
            timeout=ASK_S,
            retries=False,
            preload_content=False,
        )
        first = answer.read(1)
        self.seen.speeches.append((self._now(), time.monotonic() - began))
        answer.read()
        answer.release_conn()
        if answer.status != 200 or not first:
            self._wrong(f"speech: {answer.status}")

    # Others

    def _clean(self, _: random.Random) -> None:
        """Delete jobs that ended a while ago, with what only they had spoken."""
        listed = self._ask("GET", "/v1/jobs?limit=200")["data"]
        for job in listed:
            if (job["ended"] or time.time()) < time.time() - KEPT_S:
                with suppress(RuntimeError):  # its own time may have come
                    self._ask("DELETE", f"/v1/jobs/{job['id']}?purge=true")
                    self.seen.counts["deleted"] += 1

    def _kill(self, chance: random.Random) -> None:
        """Kill a worker's child, or have a segment do it."""
        if chance.random() < 0.25:
            failed = self._ends(self._submit(chance, "load", 5, "[[crash]]"))["counts"]["failed"]
            self.seen.counts["poisonous"] += 1
            if failed != 1:
                self._wrong(f"{failed} failures of 1 poisonous segment")
            return
        children = [each for role, each in roles(self._up.pid) if role.endswith(": children")]
        if children:
            with suppress(psutil.Error, ProcessLookupError):
                os.kill(chance.choice(children).pid, signal.SIGKILL)
                self.seen.kills.append(self._now())
