"""Taking a voice back: nothing more is spoken with it, and what was stored of it is erased.

The note in the store goes first. From then on no chunk with the voice is begun, and one that was
being spoken removes its own segments when it finds the note at its end: so the erasing, which
comes after, misses nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from farm import keys, lifecycle, standing, voices
from farm.errors import Conflict, NotFound, Unavailable
from farm.farm import Farm
from farm.jobs import Spec
from farm.schema import SCHEMA
from farm.storage import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Revocation:
    """What became of a voice and of what was made with it."""

    voice: str
    cancelled: tuple[str, ...]
    """Jobs that had not ended."""
    segments: int
    """Segments erased."""
    objects: int
    """Files of the voice itself erased in the store."""
    outputs: tuple[dict[str, Any], ...]
    """What was published with it and is still there: job, revision, title, name, key."""


def known(farm: Farm, voice: str) -> bool:
    """Whether the store holds anything of a voice, or a job names it."""
    stored = next(farm.store.list(voices.prefix(voice)), "")
    return bool(stored) or any(_digests(spec, voice) for spec in _specs(farm))


def revoke(farm: Farm, voice: str, when: str) -> Revocation:
    """Take a voice back for ever; may be done again, where it was interrupted.

    Jobs of this farm that may use it are cancelled; their outputs are listed, not erased.

    Raises:
        InvalidInput: the id cannot be a voice's.
    """
    note = {"schema": SCHEMA, "voice": voice, "revoked": when}
    farm.store.put(voices.revocation(voice), json.dumps(note).encode(), if_absent=True)
    specs = [spec for spec in _specs(farm) if _digests(spec, voice)]
    own = [spec for spec in specs if spec.farm == farm.id]
    cancelled = tuple(spec.id for spec in own if _cancel(farm, spec.id))
    digests = {key.split("/")[2] for key in farm.store.list(voices.prefix(voice))}
    segments = _erase_segments(farm, digests.union(*(_digests(s, voice) for s in specs)))
    objects = voices.erase(voice, farm.store)  # last: it tells what the voice's digests were
    outputs = tuple(row for spec in own for row in _outputs(farm, spec, voice))
    return Revocation(voice, cancelled, segments, objects, outputs)


def begin_sweep(farm: Farm) -> threading.Thread:
    """Remove the voices that were revoked from this host's cache; return the thread that does.

    In a thread, so that a store that does not answer keeps nobody from work: no revoked voice is
    spoken with anyway.
    """
    thread = threading.Thread(target=_sweep, args=(farm,), daemon=True, name="sweep")
    thread.start()
    return thread


def _sweep(farm: Farm) -> None:
    try:
        for voice in voices.sweep(farm.store, farm.cache):
            log.warning("voice %s was revoked: removed from %s", voice, farm.cache)
    except Unavailable as error:
        log.warning("revoked voices may still be in %s: %s", farm.cache, error)


def _specs(farm: Farm) -> Iterator[Spec]:
    """Yield every job of the store."""
    for job in _folders(farm.store, "jobs/"):
        try:
            yield farm.spec(job)
        except NotFound:  # removed meanwhile, or what is left of a job
            continue


def _folders(store: Store, prefix: str) -> Iterator[str]:
    """Yield the steps that follow a prefix: a request for each, however much lies below it."""
    after = ""
    while key := next(store.list(prefix, after=after), ""):
        name = key.removeprefix(prefix).partition("/")[0]
        yield name
        after = f"{prefix}{name}0"  # "0" is the first character after "/"


def _digests(spec: Spec, voice: str) -> set[str]:
    """Return the digests under which a job names a voice."""
    return {each.digest for each in spec.voices.values() if each.id == voice}


def _cancel(farm: Farm, job: str) -> bool:
    if not farm.store.exists(keys.open_marker(job, standing.current(farm, job))):
        return False
    try:
        lifecycle.cancel(farm, job)
    except (Conflict, NotFound):  # it ended, or was removed, meanwhile
        return False
    return True


def _erase_segments(farm: Farm, digests: set[str]) -> int:
    """Erase every segment of these voices, whoever's; return how many."""
    count = 0
    for scope in _folders(farm.store, keys.SEGMENTS):
        for digest in digests:
            for key in [*farm.store.list(keys.spoken(scope, digest))]:
                farm.store.delete(key)
                count += 1
    return count


def _outputs(farm: Farm, spec: Spec, voice: str) -> Iterator[dict[str, Any]]:
    """Yield the files of a job's manifests in which a voice speaks: items', and every package."""
    names = {name for name, each in spec.voices.items() if each.id == voice}
    for revision in range(1, standing.current(farm, spec.id) + 1):
        key = keys.manifest(spec.id, revision)
        if not farm.store.exists(key):
            continue
        listed = json.loads(farm.store.get(key))
        # An item of an older farm does not say who speaks in it.
        items = [row for row in listed["items"] if names.intersection(row.get("voices", names))]
        rows = [listed["package"], *(item.get("files", {}) for item in items)]
        for file in (file for row in rows for file in row.values()):
            named = {name: file[name] for name in ("name", "key")}
            yield {"job": spec.id, "revision": revision, "title": listed["title"], **named}
