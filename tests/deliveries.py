"""Ends of jobs, receivers of which are told, for the tests of webhooks."""

from __future__ import annotations

import base64
import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from farm import keys, webhooks
from farm.jobs import Spec, Voice
from farm.outgoing import Outgoing
from farm.schema import from_json
from farm.storage.local import LocalStore
from farm.webhooks import Deliveries, Delivery
from tests.receivers import Receiver, Request

SECRET = "whsec_" + base64.b64encode(b"twenty-four secret bytes").decode()
ENDED = 1_790_000_000.25
PATH = "/hooks/t0ken-in-the-path"


@dataclass
class Clock:
    """Unix seconds, as the test says."""

    now: float = ENDED

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A store, a clock and a process that delivers, to receivers on loopback."""

    store: LocalStore
    clock: Clock = field(default_factory=Clock)
    secrets: dict[str, str] = field(default_factory=lambda: {"0123abcd": SECRET})

    def process(self, **changes: Any) -> Deliveries:
        """A process of the farm that delivers."""
        outgoing = Outgoing((ipaddress.ip_network("127.0.0.0/8"),), total_s=2.0)
        fields: dict[str, Any] = {"secrets": self.secrets.get, "clock": self.clock, **changes}
        return Deliveries(self.store, "farm", outgoing=outgoing, **fields)

    def note(self, url: str, job: str = "ann~book-1~0", owner: str = "ann", **changes: Any) -> None:
        """Have the end of a job noted."""
        webhooks.note(self.store, spec(url, job, owner), {**record(), **changes})

    def keys(self) -> list[str]:
        """What the store has of deliveries, without the ids of messages."""
        return [key.partition("msg_")[0] for key in self.store.list("webhooks/")]

    def pending(self) -> Delivery:
        """The one delivery that is pending."""
        (key,) = self.store.list("webhooks/farm/pending/")
        return from_json(Delivery, self.store.get(key))


def spec(url: str, job: str = "ann~book-1~0", owner: str = "ann") -> Spec:
    voice = Voice("tone", "d" * 64, "tone", "tone", "en", 8_000)
    return Spec(
        id=job,
        kind="book",
        farm="farm",
        owner=owner,
        input=keys.job(job, "input", "text"),
        voice="tone",
        voices={"tone": voice},
        created=ENDED - 60,
        title="A Private Diary",
        key="0123abcd",
        webhook=url,
    )


def record(**changes: Any) -> dict[str, Any]:
    """The terminal record of a job, as `farm.lifecycle` writes it."""
    return {
        "schema": 1,
        "job": "ann~book-1~0",
        "revision": 1,
        "state": "completed",
        "title": "A Private Diary",
        "labels": {"shelf": "secret"},
        "error": "line 3: cannot speak 'dear diary'",
        "items_total": 3,
        "items_done": 3,
        "segments_total": 40,
        "segments": 39,
        "failed": 1,
        "warned": 2,
        "hits": 7,
        "characters": 2_000,
        "audio_ms": 90_000,
        "ended": ENDED,
        "devices": {"gpu-host:cuda:0": 40},
        **changes,
    }


def make(world: World, process: Deliveries | None = None) -> Deliveries:
    """Make what is due, and wait for it."""
    process = process or world.process()
    process.look()
    process.wait()
    return process


def slow(there: Receiver, go: threading.Event, path: str) -> None:
    """Have a receiver keep requests to a path waiting until `go` is set."""

    def answer(request: Request) -> tuple[int, Mapping[str, str], bytes]:
        if request.path == path:
            go.wait(10)
        return 204, {}, b""

    there.answer = answer
