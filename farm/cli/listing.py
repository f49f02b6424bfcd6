"""What there is to know of jobs: by a beginning of their id, in a list, one with all it made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from farm import keys, lifecycle
from farm.cli.watching import manifest
from farm.errors import Conflict, NotFound
from farm.farm import Farm
from farm.jobs import check_id

Record = dict[str, Any]

#: Records read from the store at once.
READERS = 8
#: Ids read from the ledger at once.
PAGE = 1_000
#: Ids that an error names.
NAMED = 5


def live_ids(farm: Farm) -> list[str]:
    """Return the jobs that the ledger knows, newest first."""
    found: list[str] = []
    while page := farm.ledger.jobs(len(found), PAGE):
        found += page
    return found


def stored_ids(farm: Farm, begin: str = "") -> Iterator[str]:
    """Yield the jobs of the store whose ids begin so; reads the name of everything they made."""
    for key in farm.store.list(keys.job(begin)):
        steps = key.split("/")
        if len(steps) == 3 and key == keys.spec(steps[1]):
            yield steps[1]


def resolve(farm: Farm, begin: str) -> str:
    """Return the one job whose id is, or begins with, what a person typed.

    Raises:
        NotFound: there is none.
        Conflict: there are several.
    """
    if farm.store.exists(keys.spec(check_id(begin, "job id"))):
        return begin
    found = sorted(stored_ids(farm, begin))
    if not found:
        raise NotFound(f"no job {begin!r}; `farm jobs list` shows them")
    if len(found) > 1:
        named = ", ".join(found[:NAMED]) + (", ..." if len(found) > NAMED else "")
        raise Conflict(f"{begin!r} is the beginning of {len(found)} jobs: {named}; give more of it")
    return found[0]


def record(farm: Farm, job: str) -> Record:
    """Return a job's record, with its file's name where it has no title."""
    found = lifecycle.show(farm, job)
    if not found.get("title") or "created" not in found:
        spec = farm.spec(job)
        known = {"kind": spec.kind, "owner": spec.owner, "voice": spec.voice}
        found = {**known, "created": spec.created, **found, "title": spec.title or spec.name}
    return found


def records(farm: Farm, count: int, *, live: bool = False) -> list[Record]:
    """Return the newest jobs' records: of those the ledger knows and, unless `live`, all others."""
    known = live_ids(farm)
    others = set() if live else set(stored_ids(farm)).difference(known)
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(partial(_own_record, farm), [*known[:count], *others]))
    rows = [row for row in found if row]
    return sorted(rows, key=lambda row: float(row["created"]), reverse=True)[:count]


def _own_record(farm: Farm, job: str) -> Record | None:
    """Return a record; None for a job that was removed just now, or is another farm's."""
    try:
        return record(farm, job) if farm.spec(job).farm == farm.id else None
    except NotFound:
        return None


def details(farm: Farm, job: str) -> Record:
    """Return a job's record with its real-time factor, outputs, failures and warnings."""
    found = record(farm, job)
    listed = _manifest(farm, job)
    lost = list(_failures(listed, list(lifecycle.failures(farm, job))))
    made = {"outputs": list(outputs(listed)), "failures": lost, "warnings": _warnings(listed)}
    return {**found, "rtf": rtf(found), **made}


def rtf(record: Record) -> float | None:
    """Seconds of compute per second of audio that this revision spoke; None: it spoke none."""
    audio_ms = record.get("audio_ms", 0)
    return round(record["compute_ms"] / audio_ms, 4) if audio_ms else None


def _manifest(farm: Farm, job: str) -> Record:
    try:
        return manifest(farm, job)
    except NotFound:
        return {"package": {}, "items": []}


def _failures(listed: Record, lost: list[Record]) -> Iterator[Record]:
    """Yield what could not be spoken, by item; then the items that held nothing to speak."""
    names = {row["index"]: row["id"] for row in listed["items"]}
    for row in lost:
        yield {**row, "id": names.get(row["item"], str(row["item"]))}
    told = {row["item"] for row in lost}
    for row in listed["items"]:
        if row.get("error") and row["index"] not in told:
            yield {"item": row["index"], "text": "", "error": row["error"], "id": row["id"]}


def _warnings(listed: Record) -> list[Record]:
    """Return what was spoken with something missing, by item."""
    rows = [(row, notice) for row in listed["items"] for notice in row.get("warnings", ())]
    return [{"item": row["index"], "id": row["id"], **notice} for row, notice in rows]


def outputs(listed: Record) -> Iterator[Record]:
    """Yield every file of a manifest: the package first, then item by item."""
    for format_, file in listed["package"].items():
        yield {"item": None, "format": format_, **file}
    for row in listed["items"]:
        for format_, file in row.get("files", {}).items():
            yield {"item": row["id"], "format": format_, **file}
