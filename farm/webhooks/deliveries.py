"""A delivery as it is stored, from the end of a job until it is made or given up."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from farm import keys
from farm.errors import NotFound
from farm.jobs import Spec, check_id
from farm.schema import SCHEMA, from_json, to_json
from farm.storage import Store

#: Seconds from one attempt to the next; after the last of them a delivery is dead. As the
#: specification advises: soon at first, and a day for who has to mend something.
DELAYS_S = (5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 86_400.0)
#: By how much of itself a delay is shorter or longer, so that what failed at once returns spread.
JITTER = 0.2
#: The longest wait that a receiver's `Retry-After` is given, in seconds.
RETRY_AFTER_S = 21_600.0
#: Seconds that a dead delivery is kept for being replayed.
DEAD_S = 30 * 86_400.0

#: What a payload tells of a job, besides its id, revision and state.
COUNTS = (
    "items_total",
    "items_done",
    "segments_total",
    "segments",
    "failed",
    "warned",
    "characters",
    "audio_ms",
)


@dataclass(frozen=True)
class Delivery:
    """One event for one receiver."""

    schema: int
    id: str
    """`msg_...`: the same in every attempt."""
    farm: str
    owner: str
    key: str
    """Id of the API key whose secret signs; the secret itself is stored nowhere here."""
    job: str
    url: str
    payload: Mapping[str, Any]
    first_at: float
    """When it was noted, Unix seconds."""
    next_at: float
    """When the next attempt is due."""
    tries: int = 0
    """Attempts that failed since it was noted or replayed."""
    last_error: str = ""

    @property
    def body(self) -> bytes:
        """What is sent, the same bytes each time."""
        return json.dumps(self.payload, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def receiver(self) -> str:
        """The host that it goes to; the rest of the address may be a secret."""
        try:
            return parse_url(self.url).host or ""
        except LocationParseError:
            return ""


def note(store: Store, spec: Spec, record: Mapping[str, Any]) -> None:
    """Have a job's receiver told of its end, once, however often this is called.

    `record` is the revision's terminal record. Durable when this returns.
    """
    noted = keys.revision(spec.id, int(record["revision"]), "webhook")
    if not spec.webhook or store.exists(noted):
        return
    delivery = _delivery(spec, record)
    store.put(pending_key(spec.farm, delivery.id), to_json(delivery), if_absent=True)
    store.put(noted, delivery.id.encode(), if_absent=True, durable=False)


def _delivery(spec: Spec, record: Mapping[str, Any]) -> Delivery:
    ended = float(record["ended"])
    event = f"job.{record['state']}"
    identity = [spec.farm, spec.id, spec.created, record["revision"], event]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    data = {
        "id": keys.called(spec.id),
        "revision": record["revision"],
        "state": record["state"],
        **{name: record.get(name, 0) for name in COUNTS},
    }
    when = datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds")
    payload = {"type": event, "timestamp": when.replace("+00:00", "Z"), "data": data}
    return Delivery(
        schema=SCHEMA,
        id=f"msg_{digest[:32]}",
        farm=spec.farm,
        owner=spec.owner,
        key=spec.key,
        job=spec.id,
        url=spec.webhook,
        payload=payload,
        first_at=ended,
        next_at=0.0,  # at once, whatever the difference between two clocks
    )


def dead(store: Store, farm: str, owner: str = "", after: str = "") -> Iterator[Delivery]:
    """Yield the deliveries of an owner, or of all, that were given up, by id.

    `after` is the last one that the caller has (with an owner: an id).
    """
    begins = f"{folder(farm)}dead/" + (f"{check_id(owner, 'owner')}/" if owner else "")
    last = f"{begins}{check_id(after, 'delivery')}.json" if after else ""
    for key in store.list(begins, after=last):
        found = read(store, key)
        if found is not None:
            yield found


def replay(store: Store, farm: str, owner: str, id: str) -> Delivery:
    """Make a dead delivery again, from the first attempt on; it is due at once.

    Raises:
        NotFound: the owner has no such dead delivery.
    """
    key = dead_key(farm, check_id(owner, "owner"), check_id(id, "delivery"))
    found = read(store, key)
    if found is None:
        raise NotFound(f"no dead delivery {id!r}: it may have been replayed already")
    again = replace(found, tries=0, next_at=0.0)
    store.put(pending_key(farm, id), to_json(again))
    store.delete(key)
    return again


def forget(store: Store, farm: str, before: float) -> int:
    """Delete the dead deliveries whose last attempt was before a time; return how many."""
    gone = [each for each in dead(store, farm) if each.next_at < before]
    for each in gone:
        store.delete(dead_key(farm, each.owner, each.id))
    return len(gone)


def after_failure(delivery: Delivery, now: float, error: str, asked_s: float = 0.0) -> Delivery:
    """Return a delivery as it stands after an attempt that failed.

    The jitter is a function of id and attempt. `asked_s` is the receiver's `Retry-After`.
    """
    delay_s = DELAYS_S[min(delivery.tries, len(DELAYS_S) - 1)]
    delay_s *= random.Random(f"{delivery.id} {delivery.tries}").uniform(1 - JITTER, 1 + JITTER)
    wait_s = max(delay_s, min(asked_s, RETRY_AFTER_S))
    return replace(delivery, tries=delivery.tries + 1, next_at=now + wait_s, last_error=error)


def given_up(delivery: Delivery, now: float, error: str) -> Delivery:
    """Return a delivery that is dead after this attempt, whatever is left of its retries."""
    return replace(delivery, tries=len(DELAYS_S) + 1, next_at=now, last_error=error)


def read(store: Store, key: str) -> Delivery | None:
    """Return the delivery that is stored under a key; None: there is none."""
    try:
        return from_json(Delivery, store.get(key))
    except NotFound:
        return None


def folder(farm: str) -> str:
    """What the keys of a farm's deliveries begin with."""
    return f"webhooks/{farm}/"


def pending_key(farm: str, id: str) -> str:
    """Key of a delivery that is still to be made."""
    return f"{folder(farm)}pending/{id}.json"


def dead_key(farm: str, owner: str, id: str) -> str:
    """Key of a delivery that was given up."""
    return f"{folder(farm)}dead/{owner}/{id}.json"
