"""A child takes its next unit while the last objects of a chunk are still being stored.

So a device does not wait for a slow store between two chunks. The claim is renewed until the
chunk is finished, whether or not its message was acknowledged before.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from farm import dispatch
from farm.errors import DeviceLost
from farm.farm import Farm
from farm.ledger import Ref

log = logging.getLogger(__name__)

#: Exit code of a child whose device is lost (EX_TEMPFAIL of sysexits.h).
LOST = 75
#: Units that a child has in hand at once: one that is spoken, one that is stored.
IN_HAND = 2
#: Seconds that a child which ends has for what it has in hand.
CLOSE_S = 30.0


class Hands:
    """What a child has in hand."""

    def __init__(self, farm: Farm, end: Callable[[int], None] = os._exit) -> None:
        """Begin with nothing in hand; `end` ends this process at once."""
        self._farm = farm
        self._end = end
        self._threads = ThreadPoolExecutor(IN_HAND, thread_name_prefix="unit")
        self._units: set[Future[dict[str, Any]]] = set()

    def perform(self, ref: str) -> dict[str, Any]:
        """Do one unit of work; of a chunk, return as soon as it is spoken.

        Returns a few numbers for people. What fails later is logged; the claim runs out then.
        Where the device is lost, this process ends as soon as nothing is in hand: another takes
        its slot.
        """
        spoken: Future[dict[str, Any]] = Future()
        whole = self._threads.submit(dispatch.perform, self._farm, ref, spoken.set_result)
        self._units.add(whole)
        whole.add_done_callback(self._units.discard)
        wait((spoken, whole), return_when=FIRST_COMPLETED)
        if not spoken.done():
            try:
                return whole.result()
            except DeviceLost as error:
                log.error("this process ends, for its device is lost: %s", error)
                self._threads.shutdown()
                self._end(LOST)
                raise
        whole.add_done_callback(_report)
        return spoken.result()

    def postpone(self, ref: Ref, reason: str) -> dict[str, Any]:
        """Give a unit back undone."""
        return dispatch.postpone(self._farm, ref, reason)

    def close(self) -> None:
        """Return when nothing is in hand any more, or after `CLOSE_S` seconds."""
        wait(self._units.copy(), CLOSE_S)


def _report(whole: Future[dict[str, Any]]) -> None:
    if error := whole.exception():
        log.error("a chunk that was spoken could not be finished: %s", error)
