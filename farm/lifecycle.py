"""A job from its acceptance to its end: the store first, then the ledger.

What a client was told is in the store before it hears so: the spec, a cancel, a pause, the end.
The ledger follows, and `farm.recovery` brings it to what the store says whenever it was lost.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from farm import keys, standing, webhooks
from farm.errors import Conflict, LedgerUnavailable, NotFound, StoreUnavailable
from farm.farm import Farm
from farm.jobs import Spec, State, check_id
from farm.ledger import Ref
from farm.schema import to_json

log = logging.getLogger(__name__)

#: Items assembled in one task, by kind: a chapter by itself, lines by the dozen.
RUN_SIZE = {"book": 1, "batch": 20, "speech": 1}


def submit(
    farm: Farm,
    spec: Spec,
    data: bytes | Path,
    pointer: str = "",
    also: Mapping[str, bytes | Path] | None = None,
) -> bool:
    """Accept a job: durable when this returns. False when a job of this id was there already.

    `also` is stored beside the input, by name. With a `pointer`, a key that is to hold the id, it
    is the first one to write that key that is accepted, and of the others nothing stays. A farm
    whose Redis is away accepts jobs, too.

    Raises:
        InvalidInput: the id or the owner cannot be part of a key.
        StoreUnavailable: it may or may not be accepted; who asks again finds out.
    """
    check_id(spec.id, "job id")
    check_id(spec.owner, "owner")
    if farm.store.exists(keys.spec(spec.id)) or (pointer and farm.store.exists(pointer)):
        return False
    # First, so that recovery takes away what is there should this process die.
    farm.store.put(keys.open_marker(spec.id, 1), str(time.time()).encode())
    named = {keys.job(spec.id, "input", name): each for name, each in (also or {}).items()}
    for key, content in {**named, spec.input: data}.items():
        if isinstance(content, Path):
            farm.store.put_file(key, content)
        else:
            farm.store.put(key, content)
    if not farm.store.put(keys.spec(spec.id), to_json(spec), if_absent=True):
        return False
    if pointer and not farm.store.put(pointer, spec.id.encode(), if_absent=True):
        withdraw(farm, spec.id)
        return False
    if not _stands(farm, spec.id):
        if pointer:
            farm.store.delete(pointer)
        withdraw(farm, spec.id)
        raise StoreUnavailable(f"job {keys.called(spec.id)!r} took too long to be stored")
    enlist(farm, spec)
    begin_soon(farm, spec, 1)
    return True


def _stands(farm: Farm, job: str) -> bool:
    """Whether a job was not taken back by somebody to whom it seemed to be given up."""
    marked = farm.store.exists(keys.open_marker(job, 1))
    return marked or farm.store.exists(keys.status(job, 1))


def enlist(farm: Farm, spec: Spec) -> None:
    """Put an accepted job where it is listed, and looked for when it is due."""
    farm.store.put(keys.index(spec.owner, spec.created, spec.id), b"")
    if spec.deadline:
        farm.store.put(keys.due(spec.deadline, spec.id), b"")


def withdraw(farm: Farm, job: str) -> None:
    """Take back a job that was not accepted after all."""
    for key in list(farm.store.list(keys.job(job) + "/")):
        farm.store.delete(key)
    farm.store.delete(keys.open_marker(job, 1))


def begin_soon(farm: Farm, spec: Spec, revision: int) -> None:
    """Begin a revision; where Redis is away, its marker has the control process begin it later."""
    try:
        begin(farm, spec, revision)
    except LedgerUnavailable as error:
        log.warning("job %s begins later: %s", spec.id, error)


def _fields(spec: Spec) -> dict[str, str | int | float]:
    return {
        "attempt": uuid.uuid4().hex[:12],
        "owner": spec.owner,
        "kind": spec.kind,
        "priority": spec.priority,
        "created": spec.created,
        "voice": spec.voice,
        "title": spec.title,
        "labels": json.dumps(dict(spec.labels), ensure_ascii=False) if spec.labels else "",
        "key": spec.key,
        "suffix": ".now" if spec.kind == "speech" else "",
        "run_size": RUN_SIZE[spec.kind],
    }


def begin(farm: Farm, spec: Spec, revision: int, *, again: bool = False) -> None:
    """Make a revision known to the ledger and send its first unit; nothing if it is known."""
    fields = _fields(spec)
    if farm.ledger.open(spec.id, revision, fields, again=again):
        ref = Ref(f"control{fields['suffix']}", "read", spec.id, revision, "0")
        if farm.ledger.send(ref):
            farm.send(ref, spec.title or spec.name or spec.kind)


def restart(farm: Farm, job: str, revision: int) -> None:
    """Take up a revision from its beginning: what is stored is not spoken again."""
    begin(farm, farm.spec(job), revision, again=True)


def mend(farm: Farm, job: str, revision: int, key: str) -> bool:
    """Have a damaged object of a revision made again; False where nothing can make it.

    Its plan is a function of the input, and what an attempt made one of the plan and the segments.
    """
    made = [keys.revision(job, revision, name, "") for name in ("plan", "attempt")]
    if not key.startswith(tuple(made)) or not farm.store.exists(keys.spec(job)):
        return False
    for each in (keys.head(job, revision), key):
        farm.store.delete(each)
    restart(farm, job, revision)
    return True


def fail(farm: Farm, job: str, revision: int, error: str) -> None:
    """End a job that cannot be done."""
    close(farm, job, revision, State.FAILED, error)


def close(
    farm: Farm,
    job: str,
    revision: int,
    state: State,
    error: str = "",
    fields: Mapping[str, str | int | float] | None = None,
) -> None:
    """Bring a revision to its end, once, and write the record of it."""
    farm.ledger.close(job, revision, state, {**(fields or {}), "error": error})
    record_end(farm, job, revision)


def record_end(farm: Farm, job: str, revision: int) -> None:
    """Write the terminal record of a job that has ended in the ledger; the first one stands."""
    try:
        live = farm.ledger.job(job)
    except NotFound:
        return  # the ledger was lost: the job's open marker brings it back
    if not State(live["state"]).terminal or int(live["rev"]) != revision:
        return
    try:
        spec = farm.spec(job)
    except NotFound:  # removed, and Redis is one that has lost that
        farm.ledger.remove(job)
        return
    rows = farm.ledger.failures(job, 0, 10_000)
    if rows:
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        farm.store.put(keys.revision(job, revision, "failures.jsonl"), lines.encode())
    record = json.dumps(standing.record(job, revision, live), ensure_ascii=False).encode()
    farm.store.put(keys.status(job, revision), record, if_absent=True)
    settle(farm, spec, revision)


def settle(farm: Farm, spec: Spec, revision: int) -> None:
    """Do what follows from the end that a revision's record tells of; may be done again."""
    if spec.ttl_s or spec.webhook:
        record = json.loads(farm.store.get(keys.status(spec.id, revision)))
        if spec.ttl_s:
            farm.store.put(keys.due(float(record["ended"]) + spec.ttl_s, spec.id), b"")
        if spec.webhook:
            webhooks.note(farm.store, spec, record)
    farm.store.delete(keys.open_marker(spec.id, revision))


def _unfinished(farm: Farm, job: str) -> int:
    """Return a job's revision; `Conflict` when it has ended."""
    revision = standing.current(farm, job)
    if farm.store.exists(keys.status(job, revision)):
        raise Conflict(f"job {job!r} has ended already")
    return revision


def cancel(farm: Farm, job: str) -> State:
    """Stop a job at once; what is stored stays. Raises `Conflict` when it has ended."""
    revision = _unfinished(farm, job)
    farm.store.put(keys.revision(job, revision, "cancel"), b"")
    stop(farm, job, revision, State.CANCELLED)
    return State.CANCELLED


def stop(farm: Farm, job: str, revision: int, state: State) -> None:
    """Drop what a revision still has to do and end it so."""
    know(farm, job, revision)
    farm.ledger.cancel(job)
    close(farm, job, revision, state)


def pause(farm: Farm, job: str) -> State:
    """Send no more of a job's chunks until it is resumed. Raises `Conflict` when it has ended."""
    revision = _unfinished(farm, job)
    farm.store.put(keys.revision(job, revision, "pause"), b"")
    return farm.ledger.pause(job) or State.PAUSED


def resume(farm: Farm, job: str) -> State:
    """Go on with a paused job. Raises `Conflict` when it has ended."""
    revision = _unfinished(farm, job)
    farm.store.delete(keys.revision(job, revision, "pause"))
    return farm.ledger.resume(job) or State.QUEUED


def remove(farm: Farm, job: str) -> None:
    """Delete a job with all its outputs; its segments stay for others.

    Raises:
        Conflict: the job is still running.
    """
    revision = standing.current(farm, job)
    last = keys.job(job, "current")  # by which the job is found, should this be interrupted
    with suppress(NotFound):  # where this was interrupted before
        spec = farm.spec(job)
        if not farm.store.exists(keys.status(job, revision)):
            raise Conflict(f"job {job!r} has not ended; cancel it first")
        settle(farm, spec, revision)
        farm.store.put(last, str(revision).encode())
        _forget_name(farm, spec)
        farm.store.delete(keys.index(spec.owner, spec.created, job))
    farm.ledger.remove(job)
    found = set(farm.store.list(keys.job(job) + "/"))
    for key in [*sorted(found - {last}), last]:
        farm.store.delete(key)


def _forget_name(farm: Farm, spec: Spec) -> None:
    pointer = keys.name(spec.owner, keys.called(spec.id))
    with suppress(NotFound):
        if farm.store.get(pointer) == spec.id.encode():
            farm.store.delete(pointer)


def know(farm: Farm, job: str, revision: int) -> None:
    """Make sure that the ledger has a job, without starting it."""
    farm.ledger.open(job, revision, _fields(farm.spec(job)))
