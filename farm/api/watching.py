"""Many watch the events of many jobs: one thread reads them all, over one connection to Redis."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from farm.errors import Unavailable
from farm.ledger import Events

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Milliseconds that one read waits for something to happen: how long a job that nobody watched
#: before may wait to be read, too.
ROUND_MS = 500
#: Seconds between two reads, so that what happens at the same time is told at once.
PAUSE_S = 0.02
#: Seconds between two attempts to reach a Redis that is away.
AGAIN_S = 0.5
#: Threads that all who watch use together to read what they lack.
READERS = 4
#: Events that wait for one client; one that is slower starts again from what it has.
WAITING = 256


@dataclass(frozen=True)
class Event:
    """Something that a job told."""

    id: str
    """`<ms>-<n>`, growing."""
    type: str
    data: Any

    @property
    def order(self) -> tuple[int, int]:
        """The id as numbers."""
        return order(self.id)


def order(id: str) -> tuple[int, int]:
    """Return an event's id as numbers, which compare as the ids do."""
    ms, _, n = id.partition("-")
    return int(ms), int(n)


class Subscription:
    """What one client is told, in its event loop."""

    def __init__(self, job: str) -> None:
        """Wait for a job's events, in the running loop."""
        self.job = job
        self.over = False
        """Whether there will be no more, because the server stops."""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Event] = []
        self._lost = True  # what happened before
        self._something = asyncio.Event()
        self._something.set()

    def tell(self, events: Iterable[Event] = (), *, lost: bool = False, over: bool = False) -> None:
        """Hand events over, from any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take, tuple(events), lost, over)

    def _take(self, events: tuple[Event, ...], lost: bool, over: bool) -> None:
        self._waiting += events
        self._lost |= lost or len(self._waiting) > WAITING
        self.over |= over
        self._something.set()

    async def events(self, wait_s: float) -> list[Event] | None:
        """Return what came, waiting for it so many seconds.

        None, at first too, where some may be missing: to be read from the last that was seen.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), wait_s)
        self._something.clear()
        (found, self._waiting), (lost, self._lost) = (self._waiting, []), (self._lost, False)
        return None if lost else found


class Watch:
    """Reads the events of all jobs that are watched, and hands them over to those who watch."""

    def __init__(self, events: Events) -> None:
        """Read nothing yet."""
        self._events = events
        self._lock = threading.Lock()
        self._watchers: dict[str, set[Subscription]] = {}
        self._after: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._over = False
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="events")

    @contextmanager
    def watched(self, job: str, after: str) -> Iterator[Subscription]:
        """Watch a job in the block: events after this one, some of them perhaps twice.

        To be used in an event loop; it does not block.
        """
        subscription = Subscription(job)
        self._enter(subscription, after)
        try:
            yield subscription
        finally:
            self._leave(subscription)

    async def read(self, act: Callable[[], T]) -> T:
        """Do something that blocks, in one of the few threads of all who watch."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, act)

    def end(self) -> None:
        """Tell all who watch that there will be no more, and read no more."""
        with self._lock:
            self._over = True
            told = [each for group in self._watchers.values() for each in group]
        for each in told:
            each.tell(over=True)

    def close(self) -> None:
        """End, and wait until nothing is read any more."""
        self.end()
        thread = self._thread
        if thread is not None:
            thread.join(2 * ROUND_MS / 1000)
        self._readers.shutdown(wait=False)

    def _enter(self, subscription: Subscription, after: str) -> None:
        with self._lock:
            subscription.over = self._over
            self._watchers.setdefault(subscription.job, set()).add(subscription)
            # Others are further on already: what is between, this one has to read by itself.
            self._after.setdefault(subscription.job, after)
            if self._thread is None and not self._over:
                self._thread = threading.Thread(target=self._read, daemon=True, name="events")
                self._thread.start()

    def _leave(self, subscription: Subscription) -> None:
        with self._lock:
            group = self._watchers[subscription.job]
            group.discard(subscription)
            if not group:
                del self._watchers[subscription.job], self._after[subscription.job]

    def _read(self) -> None:
        """Read until nobody watches any more."""
        away = False
        while after := self._wanted():
            try:
                rows = self._events.of_several(after, ROUND_MS)
            except Unavailable as error:
                if not away:
                    log.warning("events: %s", error)
                away = True
                time.sleep(AGAIN_S)
                continue
            self._tell(rows, lost=away)
            away = False
            time.sleep(PAUSE_S)

    def _wanted(self) -> dict[str, str]:
        with self._lock:
            wanted = {} if self._over else dict(self._after)
            if not wanted:
                self._thread = None
            return wanted

    def _tell(self, rows: Iterable[tuple[str, str, str, Any]], *, lost: bool) -> None:
        """Hand over what was read; after an outage everybody is told that some may be lost."""
        found: dict[str, list[Event]] = {}
        for job, *event in rows:
            found.setdefault(job, []).append(Event(*event))
        with self._lock:
            for job, events in found.items():
                if job in self._after:
                    self._after[job] = events[-1].id
            told = [(each, found.get(job, [])) for job, g in self._watchers.items() for each in g]
        for each, events in told:
            if events or lost:
                each.tell(events, lost=lost)
