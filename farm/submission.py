"""A client's wish to an accepted job: its id, its voices, its limits, its conflict with another.

Every dialect of the API submits through here. Ids are each owner's own: inside the farm the job
`x` of the owner `ann` is `ann~x`; those of the command line's owner are as they are.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from farm import keys, lifecycle
from farm.access import LOCAL, Key
from farm.errors import Conflict, FarmError, InvalidInput
from farm.farm import Farm
from farm.jobs import Spec, from_json, to_json
from farm.ledger.limits import Limits, Verdict

#: What clients may call a job.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


class Exceeded(FarmError):
    """A key has used up what it may; `verdict` tells when to come back."""

    def __init__(self, what: str, verdict: Verdict) -> None:
        """Say what was exceeded: `characters per day`, `jobs in flight`."""
        super().__init__(f"{what}: the limit of this key is {verdict.limit}")
        self.verdict = verdict


@dataclass(frozen=True)
class Draft:
    """A job as a client wants it, and its input."""

    spec: Spec
    """Without `id`, `farm`, `owner`, `created`, `input`; its voices pinned."""
    data: bytes | Path
    characters: int
    """Of its text, as far as they are known: what counts against the key's day."""


def inside(owner: str, name: str) -> str:
    """Return the farm's id of a job that its owner calls `name`.

    Raises:
        InvalidInput: a job cannot be called so.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(
            f"job id {name!r} is not valid: letters, digits, '_', '.', '-', 80 at most, "
            "beginning with a letter or digit"
        )
    return name if owner == LOCAL else f"{owner}~{name}"


def outside(job: str) -> str:
    """Return what the owner of a job calls it."""
    return job.rpartition("~")[2]


def named_by(owner: str, idempotency_key: str) -> str:
    """Return the name of the job that a request with this Idempotency-Key makes, each time."""
    return "i-" + hashlib.sha256(f"{owner}\0{idempotency_key}".encode()).hexdigest()[:24]


def accept(
    farm: Farm, draft: Draft, owner: str, key: Key | None = None, name: str = ""
) -> tuple[Spec, bool]:
    """Accept a job; durable when this returns. False with one that was accepted before.

    Without a name it gets one of its own.

    Raises:
        Conflict: there is a job of this name, made from another request.
        Exceeded: the key's limits do not allow it. Nothing was written.
    """
    id_ = inside(owner, name or f"job-{secrets.token_hex(8)}")
    spec = replace(
        draft.spec,
        id=id_,
        farm=farm.id,
        owner=owner,
        created=time.time(),
        input=keys.job(id_, "input", "text"),
        key=key.id if key else "",
        request=_digest(draft),
    )
    if name and farm.store.exists(keys.spec(id_)):
        return _accepted(farm, spec), False
    with _charged(farm, draft, spec, key) as taken:
        taken.append(lifecycle.submit(farm, spec, draft.data))
    return (spec, True) if taken == [True] else (_accepted(farm, spec), False)


def _accepted(farm: Farm, spec: Spec) -> Spec:
    """Return the job that has this id already, if it was made from the same request."""
    stored = from_json(Spec, farm.store.get(keys.spec(spec.id)))
    if stored.request != spec.request:
        raise Conflict(f"there is a job {outside(spec.id)!r} already, from another request")
    return stored


@contextmanager
def _charged(farm: Farm, draft: Draft, spec: Spec, key: Key | None) -> Iterator[list[bool]]:
    """Charge a key for a job; give it back where the block does not note that it was new."""
    new: list[bool] = []
    if key is None:
        yield new
        return
    limits, per_day = Limits(farm.ledger), key.limits.characters_per_day
    if 0 < per_day < draft.characters:
        raise InvalidInput(
            f"{draft.characters} characters: this key may have {per_day} a day; cut the text"
        )
    spent = limits.spend(key.id, draft.characters, per_day)
    if not spent.allowed:
        raise Exceeded("characters per day", spent)
    try:
        entered = limits.enter(key.id, spec.id, key.limits.jobs_in_flight)
        if not entered.allowed:
            raise Exceeded("jobs in flight", entered)
        yield new
    finally:
        if new != [True]:
            limits.refund(key.id, draft.characters, spent)
            if not farm.ledger.knows(spec.id):
                limits.leave(key.id, spec.id)


def _digest(draft: Draft) -> str:
    """Name a request by all that its client chose: what the farm adds is left out."""
    found = hashlib.sha256(to_json(replace(draft.spec, deadline=0.0)))
    if isinstance(draft.data, Path):
        with draft.data.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    else:
        found.update(hashlib.sha256(draft.data).digest())
    return found.hexdigest()
