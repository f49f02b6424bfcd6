"""`/v1/workers`, `/v1/queues`: what an operator looks at first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from farm.api.callers import Admin, Held
from farm.batching import CHUNK_COMPUTE_S
from farm.ledger import Lane, Ledger, Roster, queue

router = APIRouter(prefix="/v1", tags=["operating"])

Count = Annotated[int, Field(ge=0)]


class Doing(BaseModel):
    """The unit of work that a child is at."""

    job: str
    """As the farm names it."""
    what: str
    """Voice and items of a chunk; what else a unit is about."""
    since: float
    """Unix seconds."""


class Child(BaseModel):
    """One place of a worker, as it was a few seconds ago."""

    pid: int
    slot: str
    """`cpu`, or `cuda:1#0` for the first place on the second GPU."""
    device: str
    """Model of the processor or the card."""
    voices: list[str]
    """Loaded, those used last first."""
    doing: Doing | None = None
    """Null: it waits for work."""


class Worker(BaseModel):
    """A live worker: it gave a sign of life in the last 20 s."""

    name: str
    """As Flower shows it."""
    family: str
    """Of its engines; `cpu`: it plans, and makes audio files."""
    slots: list[str]
    since: float
    """Unix seconds at which it was ready."""
    children: list[Child]


class Workers(BaseModel):
    """All of them, by host."""

    data: list[Worker]


class Queue(BaseModel):
    """The work of one lane."""

    lane: str
    """An engine family, `control` (planning) or `audio` (files); `.now`: somebody waits for it."""
    queue: str
    """Of Celery, as Flower shows it."""
    slots: Count
    """Live slots of the workers that take this lane; both lanes of a family share them."""
    waiting: Count
    """Messages in the queue."""
    under_way: Count
    """Units that a worker is at."""
    todo: Count
    """Chunks that are planned and wait for their turn; none of paused jobs."""
    backlog_s: Annotated[float, Field(ge=0)] | None = None
    """About how many seconds the live slots need for all of that; null where nobody can tell:
    of planning and of files, and where work waits for a family without a worker."""


class Refused(BaseModel):
    """A message that was no work of the farm; it was taken off its queue."""

    where: str
    """The queue, or the worker that read it."""
    why: str
    at: float
    """Unix seconds."""


class Queues(BaseModel):
    """The lanes that ever had work."""

    data: list[Queue]
    refused: list[Refused]
    """The last 100 messages that no worker could make sense of, the newest first."""


def backlog_s(lane: Lane, slots: int) -> float | None:
    """Estimate the seconds that so many slots need for a lane's chunks.

    Every chunk that is not finished counts in full, as 1.5 s of one slot: that is what chunks are
    cut for, by the cost that a voice declares or that was measured. The error: a chunk holds
    10 s of audio at least and 300 s at most, so that of a very fast voice is done sooner and that
    of a very slow one later; what is stored already costs next to nothing; and pages that are
    not planned yet are not in it.
    """
    if lane.name.partition(".")[0] in ("control", "audio"):
        return None
    chunks = lane.todo + lane.sent
    if not chunks:
        return 0.0
    return round(chunks * CHUNK_COMPUTE_S / slots, 1) if slots else None


def queues(ledger: Ledger) -> Queues:
    """Return what every lane holds."""
    rows = []
    for lane in Roster(ledger).lanes():
        family = lane.name.partition(".")[0]
        slots = ledger.slots("cpu" if family in ("control", "audio") else family)
        rows.append(
            Queue(
                lane=lane.name,
                queue=queue(lane.name),
                slots=slots,
                waiting=lane.queued,
                under_way=lane.claimed,
                todo=lane.todo,
                backlog_s=backlog_s(lane, slots),
            )
        )
    return Queues.model_validate({"data": rows, "refused": Roster(ledger).refused()})


def workers(ledger: Ledger) -> Workers:
    """Return every live worker and its children."""
    rows = [{**about, "children": told} for about, told in Roster(ledger).workers()]
    return Workers.model_validate({"data": rows})


@router.get("/workers")
def list_workers(held: Held, _: Admin) -> Workers:
    """List the live workers: their slots, their devices, the voices loaded, what they do."""
    return workers(held.farm.ledger)


@router.get("/queues")
def list_queues(held: Held, _: Admin) -> Queues:
    """List the queues: what waits, what is under way, how many seconds of work that is."""
    return queues(held.farm.ledger)
