"""What there is to know of jobs: by a beginning of their id, in a list, one with all it made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from farm import keys
from farm.contents import Record, record
from farm.errors import Conflict, NotFound
from farm.farm import Farm
from farm.jobs import State, check_id

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


def records(
    farm: Farm, count: int, *, live: bool = False, state: State | None = None
) -> list[Record]:
    """Return the newest jobs' records: of those the ledger knows and, unless `live`, all others.

    With `state` those in that state alone.
    """
    known = live_ids(farm)
    others = set() if live else set(stored_ids(farm)).difference(known)
    newest = known if state else known[:count]
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(partial(_own_record, farm), [*newest, *others]))
    rows = [row for row in found if row and state in (None, row["state"])]
    return sorted(rows, key=lambda row: float(row["created"]), reverse=True)[:count]


def _own_record(farm: Farm, job: str) -> Record | None:
    """Return a record; None for a job that was removed just now, or is another farm's."""
    try:
        return record(farm, job) if farm.spec(job).farm == farm.id else None
    except NotFound:
        return None
