"""How a job stands: its revision, its record, and what could not be spoken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from farm import keys
from farm.errors import NotFound
from farm.farm import Farm
from farm.jobs import State, check_id
from farm.schema import SCHEMA

#: Counters that a job's record shows.
COUNTERS = [
    "segments_total",
    "segments",
    "hits",
    "misses",
    "failed",
    "warned",
    "items_total",
    "items_done",
    "chunks_total",
    "chunks_done",
    "pages_total",
    "pages_done",
    "characters",
    "audio_ms",
    "compute_ms",
]

#: What else it shows where it is known.
NAMED = ("kind", "owner", "voice", "title", "priority", "labels", "error")
#: When a job was accepted, when its revision began and ended (Unix seconds), and how long its
#: audio is.
TIMES = ("created", "begun", "ended", "seconds")


def current(farm: Farm, job: str) -> int:
    """Return a job's latest revision; `NotFound` if there is no such job.

    It is written with the second one: a job that has none is in its first.
    """
    try:
        return int(farm.store.get(keys.job(check_id(job, "job id"), "current")))
    except NotFound as error:
        if farm.store.exists(keys.spec(job)):
            return 1
        raise NotFound(f"no job {job!r}; `farm jobs list` shows them") from error


def show(farm: Farm, job: str) -> dict[str, Any]:
    """Return what is known of a job: its state, counters and, once it has ended, its error."""
    revision = current(farm, job)
    try:
        live = farm.ledger.job(job)
    except NotFound:
        live = {}
    key = keys.status(job, revision)
    if int(live.get("rev", 0)) != revision:
        if farm.store.exists(key):
            return dict(json.loads(farm.store.get(key)))
        return {"job": job, "revision": revision, "state": State.QUEUED.value}
    found = record(job, revision, live)
    if State(found["state"]).terminal:  # what a client is told is stored
        try:
            return dict(json.loads(farm.store.get(key)))
        except NotFound:
            found["state"] = State.FINALIZING.value
    return found


def record(job: str, revision: int, live: Mapping[str, str]) -> dict[str, Any]:
    """Return the record of a revision that the ledger has in these fields (`Ledger.job`)."""
    named: dict[str, Any] = {name: live[name] for name in NAMED if live.get(name)}
    if "labels" in named:
        named["labels"] = json.loads(named["labels"])
    counts = {name: int(live.get(name, 0)) for name in COUNTERS}
    times = {name: float(live[name]) for name in TIMES if name in live}
    state = {"schema": SCHEMA, "job": job, "revision": revision, "state": live["state"]}
    devices = {name[3:]: int(live[name]) for name in sorted(live) if name.startswith("on:")}
    return {**state, **named, **counts, **times, "devices": devices}


def failures(farm: Farm, job: str) -> Iterator[dict[str, Any]]:
    """Yield what could not be spoken."""
    key = keys.revision(job, current(farm, job), "failures.jsonl")
    if farm.store.exists(key):
        yield from map(json.loads, farm.store.get(key).splitlines())
    else:
        yield from farm.ledger.failures(job, 0, 10_000)
