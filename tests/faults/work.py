"""Jobs for a farm under test, every sentence its own, and a client who does not give up."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import urllib3

#: Whose jobs they are that faults happen to, and whose are the same ones that none happens to.
OWNER, CALM = "ann", "carl"
#: Seconds until a client asks the other API.
ANSWER_S = 8.0
#: Statuses after which a client asks again.
AGAIN = {408, 425, 429, 500, 502, 503, 504}

_SUBJECTS = "baker captain doctor farmer fiddler gardener hunter keeper miller painter"
_ADJECTIVES = "amber brittle clever dusty early faithful gentle hollow idle jolly"
_THINGS = "basket candle dragon ember falcon garden harbour island jacket kettle"
_PLACES = "bridge chapel dairy forge granary inn jetty kitchen library mill"


@dataclass(frozen=True)
class Order:
    """A job to be submitted."""

    at: float
    """Seconds after the first."""
    name: str
    body: dict[str, Any]
    """JSON of `POST /v1/jobs`."""


def sentences(seed: int, count: int) -> list[str]:
    """Make sentences of about five seconds each, no two of them alike."""
    chance = random.Random(seed)
    made = [
        f"The {adjective} {subject} carried a {thing} past the old {place} at dusk."
        for adjective in _ADJECTIVES.split()
        for subject in _SUBJECTS.split()
        for thing in _THINGS.split()
        for place in _PLACES.split()
    ]
    return chance.sample(made, count)


def orders(
    seed: int, jobs: int, each: int, seconds: float, voices: Sequence[str] = ("reader", "tone")
) -> list[Order]:
    """Make jobs of so many sentences, submitted over so many seconds, the voices in turn."""
    found = sentences(seed, jobs * each)
    made = []
    for number in range(jobs):
        words = found[number * each : (number + 1) * each]
        kind = ("book", "batch")[number // len(voices) % 2]
        body = _book(words) if kind == "book" else _batch(words)
        name = f"{kind}-{seed}-{number:02d}"
        output = {"format": "flac", "loudness": None}
        asked = {"kind": kind, "voice": voices[number % len(voices)], "title": name}
        made.append(
            Order(round(number * seconds / jobs, 1), name, {**asked, **body, "output": output})
        )
    return made


def _book(words: Sequence[str]) -> dict[str, Any]:
    half = len(words) // 2
    parts = [f"# {part[0]}\n\n{' '.join(part[1:])}\n" for part in (words[:half], words[half:])]
    return {"text": "\n".join(parts), "name": "book.md"}


def _batch(words: Sequence[str]) -> dict[str, Any]:
    pairs = [words[at : at + 2] for at in range(0, len(words), 2)]
    return {"lines": [{"id": f"l{n:03d}", "text": " ".join(pair)} for n, pair in enumerate(pairs)]}


class Client:
    """Submits jobs, as often as it takes, to whichever API answers; notes what was accepted."""

    def __init__(self, urls: Sequence[str], owner: str, key: str, webhook: str) -> None:
        self.accepted: list[dict[str, Any]] = []
        """Name, owner and time of every job of which an API said that it is accepted."""
        self._urls, self._owner, self._webhook = urls, owner, webhook
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    def submit(self, wanted: Sequence[Order]) -> None:
        """Submit jobs at their times, each in a thread of its own."""
        begin = time.monotonic()
        for order in wanted:
            thread = threading.Thread(target=self._submit, args=(order, begin), daemon=True)
            thread.start()
            self._threads.append(thread)

    def done(self) -> bool:
        """Whether every job was accepted."""
        return not any(thread.is_alive() for thread in self._threads)

    def give_up(self) -> None:
        """Ask no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _submit(self, order: Order, begin: float) -> None:
        self._over.wait(begin + order.at - time.monotonic())
        data, tries = json.dumps({**order.body, "webhook": self._webhook}), 0
        while not self._over.is_set():
            url = self._urls[tries % len(self._urls)]
            tries += 1
            if self._accepted(f"{url}/v1/jobs/{order.name}", data):
                row = {"name": order.name, "owner": self._owner, "webhook": True}
                self.accepted.append({**row, "t": time.monotonic(), "tries": tries})
                return
            self._over.wait(0.5)

    def _accepted(self, url: str, data: str) -> bool:
        """Ask once; whether the answer was yes."""
        try:
            with urllib3.PoolManager(retries=False, timeout=ANSWER_S) as pool:
                answer = pool.request("PUT", url, body=data, headers=self._headers)
        except urllib3.exceptions.HTTPError:
            return False
        assert answer.status in (200, 202) or answer.status in AGAIN, answer.data.decode()
        return answer.status in (200, 202)
