"""What a worker and its children tell of themselves, every few seconds: that they live, and how.

The slots that a worker keeps alive decide how much of its family's work is sent out; all else is
for people.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from celery import signals

from farm import warming
from farm.config import Settings
from farm.errors import Unavailable
from farm.farm import Farm
from farm.ledger import Ledger, Roster
from farm.slots import Slot

#: Seconds between two signs of life.
BEAT_S = 5.0


def keep_alive(settings: Settings, family: str, slots: Sequence[Slot]) -> None:
    """Have the worker of this process tell that its slots live, while it takes work."""
    over = threading.Event()

    def start(sender: Any, **_: Any) -> None:
        name, ledger = str(sender.hostname), Ledger(settings.broker_url.get_secret_value())
        roster, worker = Roster(ledger), _worker(os.getpid())
        about = {
            "name": name,
            "family": family,
            "slots": [slot.name for slot in slots],
            "since": time.time(),
        }

        def tell() -> None:
            ledger.beat(family, name, len(slots))
            roster.worker(worker, about)

        _every(BEAT_S, over, tell)

    def stop(**_: Any) -> None:
        over.set()

    signals.worker_ready.connect(start, weak=False)
    signals.worker_shutting_down.connect(stop, weak=False)


def _worker(pid: int) -> str:
    return f"{socket.gethostname()}/{pid}"


def _every(seconds: float, over: threading.Event, tell: Callable[[], None]) -> None:
    """Tell from a thread, until `over` is set."""

    def run() -> None:
        while not over.is_set():
            with contextlib.suppress(Unavailable):  # Celery itself reports a lost broker
                tell()
            over.wait(seconds)

    threading.Thread(target=run, daemon=True, name="beat").start()


@dataclass(frozen=True)
class Doing:
    """The unit that a child is at."""

    job: str
    what: str
    """Voice and items of a chunk; what else a unit is about."""
    since: float
    """Unix seconds."""


class Child:
    """What one child of a worker tells: its slot, its voices, what it is doing."""

    def __init__(self, settings: Settings, family: str) -> None:
        """Begin in silence."""
        self._settings, self._family = settings, family
        self._doing: Doing | None = None
        self.farm: Farm | None = None
        """Its hold on the farm, once it has one."""

    def begin(self, slot: Slot) -> None:
        """Tell, from a thread, for as long as this process lives."""
        roster = Roster(Ledger(self._settings.broker_url.get_secret_value()))
        worker, pid = _worker(os.getppid()), os.getpid()

        def tell() -> None:
            known = {"pid": pid, "slot": slot.name, "device": slot.card}
            doing = asdict(self._doing) if self._doing else None
            roster.child(worker, str(pid), {**known, "voices": self._voices(), "doing": doing})

        _every(BEAT_S, threading.Event(), tell)

    @contextlib.contextmanager
    def doing(self, job: str, what: str) -> Iterator[None]:
        """Tell what is done in the block, should it last."""
        self._doing = Doing(job, what, time.time())
        try:
            yield
        finally:
            self._doing = None

    def _voices(self) -> list[str]:
        """Name the loaded voices, those used last first, as far as this host remembers names."""
        farm = self.farm
        if farm is None:
            return []
        return [v.id for v in warming.recent(farm, self._family) if v.digest in farm.engines]
