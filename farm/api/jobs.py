"""`/v1/jobs`: the farm's own dialect."""

from __future__ import annotations

from fastapi import APIRouter

from farm.api.callers import Held, Reader
from farm.contents import Record

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{name}")
def show(name: str, held: Held, caller: Reader) -> Record:
    """Show a job: its state, counts and times."""
    return held.record(held.job(caller.owner, name, admin=caller.admin))
