"""The ledger brought to what the store says: after a loss of Redis, or of whoever was at work."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress

from farm import keys, lifecycle, standing
from farm.errors import JobError, LedgerUnavailable, NotFound, TooNew
from farm.farm import Farm
from farm.jobs import Spec, State

log = logging.getLogger(__name__)

#: Seconds in which whoever began to write a job's next revision must have come to the end.
WRITING_S = 60.0
#: How many times as long he has for the job itself, whose input may be large.
FIRST = 60


def recover(farm: Farm) -> int:
    """Bring the ledger to what the store says of unfinished jobs; return how many were taken up.

    What the ledger knows of a job is brought to what the store says, where they differ, and else
    left alone, so this may run at any time.
    """
    taken, marked = 0, set()
    for key in list(farm.store.list(keys.OPEN)):
        try:
            job, revision = keys.opened(key)
            marked.add(job)
            taken += _look(farm, job, revision)
        except (JobError, TooNew, ValueError) as error:
            log.warning("%s cannot be taken up: %s", key, error)
    for job in set(farm.ledger.live()) - marked:
        _end(farm, job)
    return taken


def take_up(farm: Farm, job: str) -> None:
    """Begin a job whose acceptor died before he did; nothing if the ledger knows it, or it ended.

    Who asks for it again need not wait for the control process's next look. Where Redis is away,
    that look begins it.
    """
    with suppress(LedgerUnavailable):
        marker = keys.open_marker(job, 1)
        if not farm.ledger.knows(job) and farm.store.exists(marker):
            _look(farm, job, 1)


def _end(farm: Farm, job: str) -> None:
    """End in the ledger what has ended by the store: a replica did not hear of it."""
    with suppress(NotFound):  # it has gone from the ledger meanwhile
        revision = int(farm.ledger.job(job)["rev"])
        if farm.store.exists(keys.status(job, revision)):
            record = json.loads(farm.store.get(keys.status(job, revision)))
            farm.ledger.close(job, revision, State(record["state"]), {})
        elif not farm.store.exists(keys.spec(job)):
            farm.ledger.remove(job)


def _look(farm: Farm, job: str, revision: int) -> bool:
    """Take up a revision that was accepted; take back what was given up before that."""
    spec = farm.spec(job) if farm.store.exists(keys.spec(job)) else None
    if spec is not None and spec.farm != farm.id:
        return False
    if spec is not None and _accepted(farm, spec, revision):
        return _recover(farm, spec, revision)
    if _given_up(farm, job, revision) or (spec is not None and _is_second(farm, spec)):
        _take_back(farm, job, revision)
    return False


def _recover(farm: Farm, spec: Spec, revision: int) -> bool:
    job = spec.id
    if farm.store.exists(keys.status(job, revision)):
        lifecycle.settle(farm, spec, revision)
        return False
    if farm.store.exists(keys.revision(job, revision, "cancel")):
        lifecycle.know(farm, job, revision)
        lifecycle.close(farm, job, revision, State.CANCELLED)
        return False
    if _live_revision(farm, job) == revision:
        lifecycle.record_end(farm, job, revision)
        _pause_or_resume(farm, job, revision)
        for ref in farm.ledger.follow(job):
            farm.send(ref, "taken up")
        return False
    if standing.current(farm, job) != revision:
        farm.store.put(keys.job(job, "current"), str(revision).encode())
    lifecycle.enlist(farm, spec)
    lifecycle.begin(farm, spec, revision)
    if farm.store.exists(keys.revision(job, revision, "pause")):
        farm.ledger.pause(job)
    return True


def _pause_or_resume(farm: Farm, job: str, revision: int) -> None:
    """Have a live job wait, or go on, as its owner asked for."""
    state = farm.ledger.job(job)["state"]  # before the store, which is written first
    paused = farm.store.exists(keys.revision(job, revision, "pause"))
    if paused:
        farm.ledger.pause(job)
    elif state == State.PAUSED:
        farm.ledger.resume(job)


def _accepted(farm: Farm, spec: Spec, revision: int) -> bool:
    if revision > 1:
        return farm.store.exists(keys.edits(spec.id, revision))
    if not spec.request:  # of the command line: its id is its own name
        return True
    return _holder(farm, spec) == spec.id


def _is_second(farm: Farm, spec: Spec) -> bool:
    """Whether another job was accepted under the same name."""
    return bool(spec.request) and _holder(farm, spec) not in ("", spec.id)


def _holder(farm: Farm, spec: Spec) -> str:
    """Return which job its owner calls so; empty where none is accepted yet."""
    try:
        return farm.store.get(keys.name(spec.owner, keys.called(spec.id))).decode()
    except NotFound:
        return ""


def _take_back(farm: Farm, job: str, revision: int) -> None:
    """Take back a revision that nobody goes on writing, unless it is accepted at this moment.

    The marker goes first: who accepts looks for it afterwards. So one of the two sees the other,
    however slow the store and however wrong a clock.
    """
    marker = keys.open_marker(job, revision)
    began = farm.store.get(marker)
    farm.store.delete(marker)
    spec = farm.spec(job) if farm.store.exists(keys.spec(job)) else None
    if spec is not None and _accepted(farm, spec, revision):
        farm.store.put(marker, began)
    elif revision == 1:
        lifecycle.withdraw(farm, job)


def _given_up(farm: Farm, job: str, revision: int) -> bool:
    """Whether whoever began to write a revision must be dead by now."""
    age_s = time.time() - float(farm.store.get(keys.open_marker(job, revision)))
    return age_s > WRITING_S * (FIRST if revision == 1 else 1)


def _live_revision(farm: Farm, job: str) -> int:
    try:
        return int(farm.ledger.job(job)["rev"])
    except NotFound:
        return 0
