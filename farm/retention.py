"""What does not last: jobs past their deadline or time to live, or purged; old segments.

`due/<time>-<job>` in the store says when to look at a job; what is due then is told by the job
itself, so a marker that is out of date does nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from farm import keys, lifecycle, standing
from farm.errors import JobError, NotFound, TooNew
from farm.farm import Farm
from farm.jobs import Spec, State
from farm.plans import Part
from farm.schema import from_json

log = logging.getLogger(__name__)


def act(farm: Farm, now: float, most: int = 1_000) -> int:
    """Expire and delete the jobs that are due; return how many. Looks at `most` markers."""
    acted = 0
    for number, key in enumerate(farm.store.list(keys.DUE)):
        at, _, job = key.removeprefix(keys.DUE).partition("-")
        if not at.isdecimal():
            log.warning("%s is no marker of a job: it is left alone", key)
            continue
        if int(at) > now or number == most:
            break
        try:
            spec = farm.spec(job)
            if spec.farm != farm.id:
                continue
            acted += _act(farm, spec, now)
        except TooNew as error:
            log.warning("%s is left to a newer farm: %s", key, error)
            continue
        except JobError:
            pass  # removed, or ended, by somebody else at this moment
        farm.store.delete(key)
    return acted


def _act(farm: Farm, spec: Spec, now: float) -> bool:
    revision = standing.current(farm, spec.id)
    try:
        record = json.loads(farm.store.get(keys.status(spec.id, revision)))
    except NotFound:
        if not spec.deadline or now < spec.deadline:
            return False
        lifecycle.stop(farm, spec.id, revision, State.EXPIRED)
        return True
    if not spec.ttl_s or now < float(record["ended"]) + spec.ttl_s:
        return False
    lifecycle.remove(farm, spec.id)
    return True


def purge(farm: Farm, job: str) -> int:
    """Delete an ended job, and those of its segments that no other job of its owner refers to.

    Reads the plans of all the owner's jobs. A job of his that is being spoken meanwhile finds
    what it lacks and speaks it again. Returns the number of segments deleted.

    Raises:
        Conflict: the job is still running.
    """
    spec = farm.spec(job)
    own = set(_segments(farm, spec))
    lifecycle.remove(farm, job)
    for key in farm.store.list(keys.index(spec.owner)):
        if not own:
            return 0
        try:
            own.difference_update(_segments(farm, farm.spec(keys.indexed(key))))
        except NotFound:
            continue
    for key in own:
        farm.store.delete(key)
    return len(own)


def sweep(farm: Farm, before: float) -> int:
    """Delete the segments stored before a time (Unix seconds); return how many.

    Those of every farm on this store. What a job still needs of them it speaks again, so this may
    run at any time; a segment that is used again does not grow younger by that.
    """
    number = 0
    for key in farm.store.list_older(keys.SEGMENTS, before):
        farm.store.delete(key)
        number += 1
    return number


def _segments(farm: Farm, spec: Spec) -> Iterator[str]:
    """Yield the keys of the segments that a job's revisions refer to."""
    for key in list(farm.store.list(keys.job(spec.id, "rev") + "/")):
        if "/plan/pages/" in key:
            for row in farm.store.get(key).splitlines():
                for segment in from_json(Part, row).segments:
                    yield keys.segment(
                        spec.owner, spec.voices[segment.voice].digest, segment.digest
                    )
