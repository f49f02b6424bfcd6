"""Makes the deliveries that are due: signed, several at a time, none held up by a dead receiver."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

from standardwebhooks import Webhook

from farm.errors import FarmError, InvalidInput, Unavailable
from farm.outgoing import Outgoing
from farm.schema import to_json
from farm.storage import Store
from farm.webhooks.deliveries import (
    DEAD_S,
    DELAYS_S,
    Delivery,
    after_failure,
    dead_key,
    folder,
    forget,
    given_up,
    pending_key,
    read,
)

log = logging.getLogger(__name__)

#: Deliveries under way at a time: in all, of one owner, to one receiver. A receiver that answers
#: nobody holds up its own.
AT_ONCE, PER_OWNER, PER_RECEIVER = 32, 16, 4
#: Seconds between two looks for what is due, and for what has been dead for long.
LOOK_S, SWEEP_S = 2.0, 3_600.0
#: Seconds after which a delivery is looked at again that this farm could not make.
OUTAGE_S = 30.0
#: Seconds between two looks where something due waits for others: a look lists all that is pending.
PAUSE_S = 0.1
#: The receiver wants no more of this (HTTP 410).
_GONE = 410


class _Waiting(NamedTuple):
    """What is kept in memory of a pending delivery."""

    due: float
    owner: str
    receiver: str


@dataclass
class Deliveries:
    """The deliveries of one farm, as one process makes them."""

    store: Store
    farm: str
    secrets: Callable[[str], str | None]
    """The secret (`whsec_...`) of an API key by its id; None: there is none."""
    outgoing: Outgoing = field(default_factory=Outgoing)
    clock: Callable[[], float] = time.time
    active: bool = True
    """Whether this process is the one that delivers; another one doing so, too, does no harm."""
    _known: dict[str, _Waiting] = field(default_factory=dict)
    _busy: dict[str, tuple[threading.Thread, _Waiting]] = field(default_factory=dict)
    _rest: dict[str, float] = field(default_factory=dict)
    """Until when those are left alone that this farm itself could not make."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _swept: float = 0.0

    def run(self, over: threading.Event) -> None:
        """Look every `LOOK_S` until `over` is set, sooner where some waited for others."""
        while not over.is_set():
            waiting = False
            try:
                waiting = self.active and self.look()
            except FarmError as error:
                log.warning("webhooks: %s", error)
            except Exception:
                log.exception("webhooks: a look failed")  # and the next one may not
            if waiting:
                self._ended.wait(LOOK_S)
            over.wait(PAUSE_S if waiting else LOOK_S)

    def look(self) -> bool:
        """Begin what is due; return whether something due has to wait for others to end."""
        self._ended.clear()
        now = self.clock()
        self._busy = {id: one for id, one in self._busy.items() if one[0].is_alive()}
        begins = f"{folder(self.farm)}pending/"
        ids = [key.removeprefix(begins).removesuffix(".json") for key in self.store.list(begins)]
        self._remember(ids)
        due = [(one.due, id) for id, one in self._known.items() if one.due <= now]
        left = 0
        for _, id in sorted(due):
            if self._rest.get(id, 0.0) > now:
                continue
            if self._has_room(self._known[id]):
                self._begin(id)
            else:
                left += 1
        self._sweep(now)
        return left > 0

    def wait(self) -> None:
        """Wait for the deliveries that are under way."""
        for thread, _ in self._busy.values():
            thread.join()

    def deliver(self, id: str) -> None:
        """Make one attempt, if it is due still, and store what came of it."""
        key = pending_key(self.farm, id)
        delivery = read(self.store, key)
        if delivery is None or delivery.next_at > self.clock():
            return  # another process was quicker
        again = self._attempt(delivery)
        if again is None:
            self.store.delete(key)
            log.info("webhook %s of job %s: delivered", id, delivery.job)
            return
        told = id, delivery.job, again.tries, again.last_error
        if again.tries > len(DELAYS_S):
            self.store.put(dead_key(self.farm, again.owner, id), to_json(again))
            self.store.delete(key)
            log.warning("webhook %s of job %s is dead after attempt %d: %s", *told)
        else:
            self.store.put(key, to_json(again))
            log.info("webhook %s of job %s: attempt %d failed: %s", *told)

    def _attempt(self, delivery: Delivery) -> Delivery | None:
        """Send a delivery; None: it was taken. Otherwise as it stands now."""
        now = self.clock()
        secret = self.secrets(delivery.key)
        if not secret:
            return given_up(delivery, now, f"API key {delivery.key!r} has no secret to sign with")
        stamp = datetime.fromtimestamp(int(now), UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": Webhook(secret).sign(delivery.id, stamp, delivery.body.decode()),
        }
        try:
            answer = self.outgoing.post(delivery.url, delivery.body, headers)
        except (InvalidInput, Unavailable) as error:
            return after_failure(delivery, self.clock(), str(error))
        if 200 <= answer.status < 300:
            return None
        if answer.status == _GONE:
            return given_up(delivery, now, "the receiver wants no more (410)")
        said = f"the receiver answers {answer.status}"
        return after_failure(delivery, self.clock(), said, answer.retry_after_s or 0.0)

    def _remember(self, ids: list[str]) -> None:
        """Read what is listed and not known yet, and forget the rest."""
        known, self._known, listed = self._known, {}, set(ids)
        self._rest = {id: until for id, until in self._rest.items() if id in listed}
        for id in ids:
            if id in self._busy:
                continue
            one = known.get(id) or self._read(id)
            if one is not None:
                self._known[id] = one

    def _read(self, id: str) -> _Waiting | None:
        try:
            delivery = read(self.store, pending_key(self.farm, id))
        except InvalidInput as error:
            log.warning("webhook %s cannot be read and is left alone: %s", id, error)
            return _Waiting(inf, "", "")
        if delivery is None:
            return None  # made by another process since it was listed
        return _Waiting(delivery.next_at, delivery.owner, delivery.receiver)

    def _has_room(self, one: _Waiting) -> bool:
        busy = [waiting for _, waiting in self._busy.values()]
        of_owner = sum(each.owner == one.owner for each in busy)
        to_receiver = sum(each.receiver == one.receiver for each in busy)
        return len(busy) < AT_ONCE and of_owner < PER_OWNER and to_receiver < PER_RECEIVER

    def _begin(self, id: str) -> None:
        one = self._known.pop(id)  # what comes of it is read when it has ended
        # A daemon: what is under way when the process ends is pending, and made again.
        thread = threading.Thread(target=self._deliver, args=(id,), daemon=True)
        self._busy[id] = thread, one
        thread.start()

    def _deliver(self, id: str) -> None:
        try:
            self.deliver(id)
        except Exception as error:
            # An outage of the store or of the file of keys, or a bug: no attempt of the receiver's.
            expected = isinstance(error, FarmError)
            log.warning("webhook %s could not be tried: %s", id, error, exc_info=not expected)
            self._rest[id] = self.clock() + OUTAGE_S
        finally:
            self._ended.set()

    def _sweep(self, now: float) -> None:
        if now - self._swept >= SWEEP_S:
            self._swept = now
            forget(self.store, self.farm, now - DEAD_S)
