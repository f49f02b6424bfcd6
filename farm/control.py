"""The control process: sends again what was lost, fills windows, takes up jobs after a loss.

Two of them are safe: one holds the lock, and every step is the ledger's.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from farm import dispatch, recovery, retention
from farm.errors import Unavailable
from farm.farm import Farm
from farm.ledger import queue
from farm.webhooks import Deliveries

log = logging.getLogger(__name__)

#: Seconds between two looks.
TICK_S = 2.0
#: Seconds after which another control process may take over.
LOCK_S = 10
#: Looks between two searches for accepted jobs that the ledger does not know.
RECOVER_EVERY = 30
#: Looks between two searches for jobs to expire or delete.
DUE_EVERY = 5
#: Seconds between two searches for old segments, at most.
SWEEP_S = 3600.0


@dataclass
class Control:
    """One control process."""

    farm: Farm
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    deliveries: Deliveries | None = None
    """Its webhooks, made in threads while this process holds the lock."""
    segment_s: float = 0.0
    """Seconds that a stored segment is kept; 0: until somebody deletes it."""
    _known: tuple[str, str] = ("", "")
    """The epoch and the life of Redis that was last looked at."""
    _ticks: int = 0
    _recovery: threading.Event = field(default_factory=threading.Event)
    _retention: threading.Event = field(default_factory=threading.Event)
    _sweep: threading.Event = field(default_factory=threading.Event)
    """Set while it is due."""

    def run(self, over: threading.Event) -> None:
        """Look every `TICK_S` until `over` is set; outages are waited for.

        What asks the store goes on beside it: a slow store holds up no claim that ran out.
        """
        if self.deliveries:
            self.deliveries.active = False
            threading.Thread(target=self.deliveries.run, args=(over,), daemon=True).start()
        with ThreadPoolExecutor(1) as pool:
            caring = pool.submit(_every_tick, self.care, over)
            try:
                _every_tick(self._lead, over, caring)
            finally:
                over.set()
            caring.result()

    def _lead(self) -> None:
        holds = self.look()
        if self.deliveries:
            self.deliveries.active = holds

    def tick(self) -> bool:
        """Look once and do what is due; return whether this process holds the lock."""
        holds = self.look()
        self.care()
        return holds

    def look(self) -> bool:
        """Send again, fill windows, see what is due; return whether this process holds the lock."""
        ledger = self.farm.ledger
        if not ledger.lock(self.holder, LOCK_S):
            self._known = ("", "")
            self._recovery.clear()
            self._retention.clear()
            self._sweep.clear()
            return False
        # A Redis that came back, or a replica in its place, may have lost its last writes.
        known = (ledger.epoch(uuid.uuid4().hex)[0], ledger.life())
        if known != self._known or self._ticks % RECOVER_EVERY == 0:
            self._recovery.set()
        if self._ticks % DUE_EVERY == 0:
            self._retention.set()
        if self.segment_s and self._ticks % self._sweep_every == 0:
            self._sweep.set()
        self._known = known
        self._ticks += 1
        self._send_again()
        for lane in dispatch.speaking_lanes(ledger):
            dispatch.top_up(self.farm, lane)
        return True

    def care(self) -> None:
        """Do what is due and asks the store: take up jobs, end and delete those past their time."""
        with _done_once(self._recovery) as due:
            if due and (taken := recovery.recover(self.farm)):
                log.warning("control: took up %d unfinished jobs", taken)
        with _done_once(self._retention) as due:
            if due:
                # Of two clocks the earlier: one that has jumped ahead ends no job before its time.
                retention.act(self.farm, min(time.time(), self.farm.ledger.time()))
        with _done_once(self._sweep) as due:
            if due and (gone := retention.sweep(self.farm, time.time() - self.segment_s)):
                log.warning("control: deleted %d old segments", gone)

    @property
    def _sweep_every(self) -> int:
        """Looks between two searches for old segments: an hour, or a quarter of what they last."""
        return max(1, int(min(SWEEP_S, self.segment_s / 4) / TICK_S))

    def _send_again(self) -> None:
        ledger = self.farm.ledger
        idle = [lane for lane in ledger.lanes() if ledger.queued(queue(lane)) == 0]
        for ref in ledger.overdue(idle):
            log.warning("control: sends %s again", ref)
            self.farm.send(ref, "again")


@contextmanager
def _done_once(due: threading.Event) -> Iterator[bool]:
    """Say whether something is due; it still is where the block does not come to its end."""
    was = due.is_set()
    if was:
        due.clear()
    try:
        yield was
    except Unavailable:
        due.set()
        raise


def _every_tick(
    act: Callable[[], None], over: threading.Event, beside: Future[None] | None = None
) -> None:
    """Act every `TICK_S` until `over` is set, or what goes on `beside` has ended."""
    while not over.is_set() and not (beside and beside.done()):
        try:
            act()
        except Unavailable as error:
            log.warning("control: %s", error)
        over.wait(TICK_S)
