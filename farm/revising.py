"""A job's next revision: run again for what failed, with another reading, or other words.

What is stored is not spoken again, so a revision costs what it changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from farm import keys, lifecycle, standing
from farm.errors import Conflict, NotFound
from farm.farm import Farm
from farm.jobs import Edit
from farm.schema import from_json


def retry(farm: Farm, job: str, edits: Sequence[Edit] = ()) -> int:
    """Run an ended job again, paying only for what is not stored; return the new revision.

    The edits of earlier revisions stay; a new one of the same segment goes before its old one.

    Raises:
        Conflict: the job is still running, or another is just beginning its next revision.
    """
    revision = standing.current(farm, job)
    if not farm.store.exists(keys.status(job, revision)):
        raise Conflict(f"job {job!r} has not ended; cancel it first")
    lifecycle.settle(farm, farm.spec(job), revision)
    following = revision + 1
    merged = list(_merged(edits_of(farm, job, revision), edits))
    marker = keys.open_marker(job, following)
    if not farm.store.put(marker, str(time.time()).encode(), if_absent=True):
        raise Conflict(f"revision {following} of job {job!r} begins just now")
    # With its edits a revision is accepted; a marker without them is taken away again.
    wanted = TypeAdapter(list[Edit]).dump_json(merged)
    if not farm.store.put(keys.edits(job, following), wanted, if_absent=True):
        raise Conflict(f"revision {following} of job {job!r} was there already")
    if not farm.store.exists(marker):  # to somebody it seemed to be given up
        farm.store.put(marker, b"0")
    farm.store.put(keys.job(job, "current"), str(following).encode())
    lifecycle.begin_soon(farm, farm.spec(job), following)
    return following


def edits_of(farm: Farm, job: str, revision: int) -> list[Edit]:
    """Return the edits with which a revision is planned."""
    try:
        return from_json(list[Edit], farm.store.get(keys.edits(job, revision)))
    except NotFound:
        return []


def _merged(before: Iterable[Edit], new: Iterable[Edit]) -> Iterable[Edit]:
    found = {(edit.item, edit.start): edit for edit in before}
    for edit in new:
        old = found.get((edit.item, edit.start), edit)
        found[edit.item, edit.start] = replace(
            edit, text=edit.text or old.text, take=edit.take or old.take
        )
    return found.values()
