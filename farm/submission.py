"""A client's wish to an accepted job: its id, its limits, its conflict with another.

Every dialect of the API submits through here. What clients call a job is each owner's own and may
be used again when the job is gone, so inside the farm a job has an id that never comes twice,
`<owner>~<name>~<nonce>` (without the owner for the command line's), and `names/<owner>/<name>` in
the store says which it is: the one that wrote that key is accepted.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from farm import keys, lifecycle, recovery
from farm.access import LOCAL, Key
from farm.errors import Conflict, FarmError, InvalidInput, NotFound
from farm.farm import Farm
from farm.jobs import Spec
from farm.ledger.limits import Limits, Verdict
from farm.schema import to_json

#: What clients may call a job.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
#: The same in words.
NAMES = "letters, digits, '_', '.', '-', 80 at most, beginning with a letter or digit"


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
    """Without `id`, `farm`, `owner`, `created`, `input`; its voices pinned; `request` told."""
    data: bytes | Path
    characters: int
    """Of its text, as far as they are known: what counts against the key's day."""
    also: Mapping[str, bytes | Path] = field(default_factory=dict)
    """Further files, stored beside the input by these names."""


def check_name(name: str) -> str:
    """Return what a job may be called, or raise `InvalidInput`."""
    if not NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(f"job id {name!r} is not valid: {NAMES}", value=name, valid=NAMES)
    return name


def named_by(owner: str, idempotency_key: str) -> str:
    """Return the name of the job that a request with this Idempotency-Key makes, each time."""
    return "i-" + hashlib.sha256(f"{owner}\0{idempotency_key}".encode()).hexdigest()[:24]


def find(farm: Farm, owner: str, name: str) -> Spec:
    """Return the job that an owner calls so; `NotFound` where he has none."""
    check_name(name)
    try:
        return farm.spec(farm.store.get(keys.name(owner, name)).decode())
    except NotFound:
        if owner != LOCAL:
            raise
    spec = farm.spec(name)  # the command line's jobs are called by their ids
    if spec.owner != owner:
        raise NotFound(f"no job {name!r}")
    return spec


def found(farm: Farm, owner: str, name: str, request: str) -> Spec | None:
    """Return the job that a request of this name made before; None where it is the first.

    It is begun, should whoever accepted it have died before he did.

    Raises:
        Conflict: the name is that of a job from another request.
    """
    if not name:
        return None
    try:
        spec = find(farm, owner, name)
    except NotFound:
        return None
    if spec.request != request:
        raise Conflict(f"there is a job {name!r} already, from another request")
    recovery.take_up(farm, spec.id)
    return spec


def accept(
    farm: Farm, draft: Draft, owner: str, key: Key | None = None, name: str = ""
) -> tuple[Spec, bool]:
    """Accept a job; durable when this returns. False with one that was accepted before.

    Without a name it gets one of its own.

    Raises:
        Conflict: there is a job of this name, made from another request.
        Exceeded: the key's limits do not allow it. Nothing was written.
    """
    before = found(farm, owner, name, draft.spec.request)
    if before is not None:
        return before, False
    spec = _named(farm, draft, owner, key, check_name(name or f"job-{secrets.token_hex(8)}"))
    try:
        with charged(farm, spec, key, draft.characters):
            _submit(farm, draft, spec)
    except _Late:
        before = found(farm, owner, name, draft.spec.request)
        if before is None:  # and it is gone already
            raise Conflict(f"a job {name!r} came and went just now; ask again") from None
        return before, False
    return spec, True


class _Late(Exception):
    """Another request of this name was accepted meanwhile."""


def _submit(farm: Farm, draft: Draft, spec: Spec) -> None:
    pointer = keys.name(spec.owner, keys.called(spec.id))
    if not lifecycle.submit(farm, spec, draft.data, pointer, draft.also):
        raise _Late


def _named(farm: Farm, draft: Draft, owner: str, key: Key | None, name: str) -> Spec:
    steps = ([] if owner == LOCAL else [owner]) + [name, secrets.token_hex(4)]
    id_ = "~".join(steps)
    return replace(
        draft.spec,
        id=id_,
        farm=farm.id,
        owner=owner,
        created=time.time(),
        input=keys.job(id_, "input", "text"),
        key=key.id if key else "",
    )


@contextmanager
def charged(farm: Farm, spec: Spec, key: Key | None, characters: int) -> Iterator[None]:
    """Charge a key for a job, and give it back where the block raises.

    Raises:
        InvalidInput: it is more than the key may have on any day.
        Exceeded: the key's limits do not allow it.
    """
    if key is None:
        yield
        return
    limits, per_day = Limits(farm.ledger), key.limits.characters_per_day
    if 0 < per_day < characters:
        raise InvalidInput(
            f"{characters} characters: this key may have {per_day} a day; cut the text"
        )
    spent = limits.spend(key.id, characters, per_day)
    if not spent.allowed:
        raise Exceeded("characters per day", spent)
    try:
        entered = limits.enter(key.id, spec.id, key.limits.jobs_in_flight)
        if not entered.allowed:
            raise Exceeded("jobs in flight", entered)
        yield
    except BaseException:
        limits.refund(key.id, characters, spent)
        if not farm.ledger.knows(spec.id):
            limits.leave(key.id, spec.id)
        raise


def digest(draft: Spec, data: bytes | Path) -> str:
    """Name a request by all that its client chose; `draft` has no voices pinned yet."""
    found = hashlib.sha256(to_json(replace(draft, deadline=0.0)))
    if isinstance(data, Path):
        with data.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    else:
        found.update(hashlib.sha256(data).digest())
    return found.hexdigest()
