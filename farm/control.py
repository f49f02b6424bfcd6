"""The control process: sends again what was lost, fills windows, takes up jobs after a loss.

Two of them are safe: one holds the lock, and every step is the ledger's.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
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


@dataclass
class Control:
    """One control process."""

    farm: Farm
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    deliveries: Deliveries | None = None
    """Its webhooks, made in threads while this process holds the lock."""
    _known: tuple[str, str] = ("", "")
    """The epoch and the life of Redis that was last looked at."""
    _ticks: int = 0

    def run(self, over: threading.Event) -> None:
        """Look every `TICK_S` until `over` is set; outages are waited for."""
        if self.deliveries:
            self.deliveries.active = False
            threading.Thread(target=self.deliveries.run, args=(over,), daemon=True).start()
        while not over.is_set():
            try:
                holds = self.tick()
                if self.deliveries:
                    self.deliveries.active = holds
            except Unavailable as error:
                log.warning("control: %s", error)
            over.wait(TICK_S)

    def tick(self) -> bool:
        """Look once; return whether this process holds the lock."""
        ledger = self.farm.ledger
        if not ledger.lock(self.holder, LOCK_S):
            self._known = ("", "")
            return False
        # A Redis that came back, or a replica in its place, may have lost its last writes.
        known = (ledger.epoch(uuid.uuid4().hex)[0], ledger.life())
        if known != self._known or self._ticks % RECOVER_EVERY == 0:
            taken = recovery.recover(self.farm)
            if taken:
                log.warning("control: took up %d unfinished jobs", taken)
        self._known = known
        if self._ticks % DUE_EVERY == 0:
            # Of two clocks the earlier: one that has jumped ahead ends no job before its time.
            retention.act(self.farm, min(time.time(), ledger.time()))
        self._ticks += 1
        self._send_again()
        for lane in dispatch.speaking_lanes(ledger):
            dispatch.top_up(self.farm, lane)
        return True

    def _send_again(self) -> None:
        ledger = self.farm.ledger
        idle = [lane for lane in ledger.lanes() if ledger.queued(queue(lane)) == 0]
        for ref in ledger.overdue(idle):
            log.warning("control: sends %s again", ref)
            self.farm.send(ref, "again")
