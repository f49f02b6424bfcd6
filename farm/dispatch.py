"""One unit of work from its message to the messages of what follows.

    message -> claim -> stage -> recorded in the ledger -> messages

What happens to a stage's errors follows from their branch (`farm.errors`).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from farm.errors import Damaged, DeviceLost, FarmError, JobError, TooNew, Unavailable
from farm.farm import HARD_LIMIT_S, Farm
from farm.ledger import Ledger, Ref, parse
from farm.lifecycle import fail, mend, restart
from farm.stages import STAGES
from farm.tape import Lost
from farm.work import Work

log = logging.getLogger(__name__)

#: Seconds between two renewals of a claim; a third of the ledger's lease.
RENEW_S = 5.0
#: Times that a unit may end in an error that is not the farm's own before its job is failed.
BUG_TRIES = 5
#: Chunks kept in a lane for each live slot: one being spoken, one on its way.
WINDOW = 2
#: Chunks kept in the queue of a family that has no worker yet.
IDLE_WINDOW = 2
#: A lane without a window: somebody waits for this speech.
NO_WINDOW = 1_000_000


def top_up(farm: Farm, lane: str) -> int:
    """Fill a family's window with the chunks whose turn it is; return how many."""
    family, _, now = lane.partition(".")
    window = NO_WINDOW if now else max(IDLE_WINDOW, WINDOW * farm.ledger.slots(family))
    taken = farm.ledger.take(lane, window)
    for ref, label in taken:
        farm.send(ref, label)
    return len(taken)


def speaking_lanes(ledger: Ledger) -> list[str]:
    """Return the lanes that carry chunks."""
    return [lane for lane in ledger.lanes() if lane.split(".")[0] not in ("control", "audio")]


def perform(
    farm: Farm, name: str, spoken: Callable[[dict[str, Any]], None] = lambda _: None
) -> dict[str, Any]:
    """Do one unit of work, if it is still to be done. Returns a few numbers for people.

    With `too_new` among them the unit was given back, for a process of a newer version.

    `spoken` is called with such numbers as soon as a chunk needs its device no more.

    Raises:
        DeviceLost: the unit was given back, and this process can do nothing more.
    """
    ref, holder = parse(name), uuid.uuid4().hex
    claim = farm.ledger.claim(ref, holder)
    if claim.verdict != "go":
        _go_on(farm, ref, [])
        return {"skipped": claim.verdict}
    with _renewed(farm.ledger, ref, holder):
        try:
            result, following = STAGES[ref.stage](Work(farm, ref, claim, holder, spoken))
        except Lost as error:
            log.warning("%s: %s; the job is taken up again", ref, error)
            restart(farm, ref.job, ref.revision)
            return {"restarted": str(error)}
        except Damaged as error:
            log.error("%s: %s", ref, error)
            if mend(farm, ref.job, ref.revision, error.key):
                return {"restarted": str(error)}
            _give_back(farm, ref, holder, error)
            return {"waiting": str(error)}
        except TooNew as error:
            _give_back(farm, ref, holder, error)
            return {"too_new": str(error)}
        except JobError as error:
            fail(farm, ref.job, ref.revision, str(error))
            return {"failed": str(error)}
        except Exception as error:
            _give_back(farm, ref, holder, error)
            if isinstance(error, DeviceLost):
                raise
            return {"waiting": str(error)}
    _go_on(farm, ref, following)
    return result


def postpone(farm: Farm, ref: Ref, reason: str) -> dict[str, Any]:
    """Give a unit back undone: after a pause it is sent again, to whoever can do it.

    Returns what `perform` does of a unit that is `too_new`.
    """
    holder = uuid.uuid4().hex
    claim = farm.ledger.claim(ref, holder)
    if claim.verdict == "go":
        farm.ledger.release(ref, holder, reason)
    return {"too_new": reason}


def _go_on(farm: Farm, ref: Ref, following: list[Ref]) -> None:
    """Send what follows a unit of work; what cannot be sent now is the control process's."""
    try:
        for unit in following:
            farm.send(unit, unit.what)
        lanes = {"chunk": [ref.lane], "page": speaking_lanes(farm.ledger)}
        for lane in lanes.get(ref.stage, []):
            top_up(farm, lane)
    except Unavailable as error:
        log.warning("%s: what follows waits: %s", ref, error)


def _give_back(farm: Farm, ref: Ref, holder: str, error: Exception) -> None:
    """Have a unit done again later; a job whose unit ends in a bug again and again fails."""
    if isinstance(error, FarmError):
        reason = str(error)
    else:
        reason = f"{type(error).__name__}: {error}"
        log.exception("%s", ref)
    tries = farm.ledger.release(ref, holder, reason, died=isinstance(error, DeviceLost))
    if tries >= BUG_TRIES and not isinstance(error, Unavailable):
        fail(farm, ref.job, ref.revision, f"{ref.stage}: {reason}")


@contextmanager
def _renewed(ledger: Ledger, ref: Ref, holder: str) -> Iterator[None]:
    """Renew a claim from a thread while the block runs.

    A claim that was lost is left alone and the work goes on: its end is counted once, whoever
    comes to it first.
    """
    over = threading.Event()

    def renew() -> None:
        for _ in range(int(HARD_LIMIT_S / RENEW_S)):
            if over.wait(RENEW_S):
                return
            try:
                if not ledger.renew(ref, holder):
                    log.warning("%s: no claim to renew: stopped, another's, or just done", ref)
                    return
            except Unavailable as error:
                log.warning("%s: claim not renewed: %s", ref, error)

    thread = threading.Thread(target=renew, daemon=True, name=f"renew {ref}")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
