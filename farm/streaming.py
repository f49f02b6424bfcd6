"""Speech that somebody waits for: planned here and now, its segments yielded as they are stored.

The job is a job like any other. What is planned in this process is a claimed unit, as in a worker:
should the process die, the control process has the rest done. Whoever stops listening stops
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from farm import contents, dispatch, standing
from farm.audio import Audio, flac
from farm.contents import Record
from farm.errors import EngineError, JobError, NotFound, Unavailable
from farm.farm import Farm
from farm.jobs import Spec, State
from farm.ledger import Ref

#: Seconds between two looks for the next segment, rising from the first to the second.
LOOK_S = (0.01, 0.1)
#: Seconds between two looks whether the job still goes on.
CHECK_S = 0.5
#: Seconds for which nothing may come before a listener is told so.
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Spoken:
    """One segment of a speech."""

    segment: Record
    """As `contents.segments` has it."""
    audio: Audio | None
    """None: it could not be spoken."""


def planning_here(farm: Farm) -> Farm:
    """Return a hold on a farm that reads and plans speech itself instead of sending for it."""

    def send(ref: Ref, label: str) -> None:
        if ref.lane == "control.now":
            dispatch.perform(here, str(ref))
        else:
            farm.send(ref, label)

    here = replace(farm, send=send)
    return here


def spoken(farm: Farm, spec: Spec, patience_s: float = PATIENCE_S) -> Iterator[Spoken]:
    """Yield the segments of an accepted speech job in order, each as soon as it is stored.

    Raises:
        JobError: the job failed, was cancelled or expired, before or after some segments.
        EngineError: nothing of it could be spoken.
        Unavailable: nothing came for `patience_s` seconds.
    """
    some = False
    for row in _planned(farm, spec.id, patience_s):
        data = _stored(farm, spec.id, row, patience_s)
        some = some or data is not None
        yield Spoken(row, flac.decode(data)[0] if data else None)
    if not some:
        reasons = [row["error"] for row in standing.failures(farm, spec.id)]
        raise EngineError(reasons[0] if reasons else "nothing in this text can be spoken")


def _planned(farm: Farm, job: str, patience_s: float) -> list[Record]:
    """Return all segments, as soon as every page is planned."""
    for _ in _looks(job, patience_s):
        record = standing.show(farm, job)
        total = record.get("pages_total", 0)
        if total and record["pages_done"] == total:
            return contents.segments(farm, job, 0)
        _check(record)
    raise AssertionError("looks end by themselves only with an error")


def _stored(farm: Farm, job: str, row: Record, patience_s: float) -> bytes | None:
    """Return a segment as soon as it is stored; None where it could not be spoken."""
    checked = time.monotonic()
    for now in _looks(job, patience_s):
        with suppress(NotFound):
            return farm.store.get(row["key"])
        if now - checked > CHECK_S:
            checked = now
            record = standing.show(farm, job)
            if record["failed"] and row["digest"] in _failed(farm, job):
                return None
            if not farm.store.exists(row["key"]):
                _check(record)
    raise AssertionError("looks end by themselves only with an error")


def _failed(farm: Farm, job: str) -> set[str]:
    return {failure["digest"] for failure in standing.failures(farm, job)}


def _check(record: Record) -> None:
    """Raise what a job ended with that has nothing more to give."""
    if State(record["state"]).terminal:
        reason = record.get("error") or f"it is {record['state']}"
        raise JobError(f"job {record['job']}: {reason}")


def _looks(job: str, patience_s: float) -> Iterator[float]:
    """Yield the time, again and again with a pause between, until patience is at its end."""
    pause, longest = LOOK_S
    now = begin = time.monotonic()
    while now - begin < patience_s:
        yield now
        time.sleep(pause)
        pause = min(2 * pause, longest)
        now = time.monotonic()
    raise Unavailable(f"job {job}: nothing was spoken for {patience_s:g} s")
