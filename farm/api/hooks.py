"""`/v1/webhooks/dead`: deliveries that were given up, and their replay."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from farm import webhooks
from farm.api.callers import Held, Reader, Submitter
from farm.api.records import Page, Unix
from farm.errors import blaming

router = APIRouter(prefix="/v1/webhooks/dead", tags=["webhooks"])

Id = Annotated[str, Path(max_length=100)]


class Delivery(BaseModel):
    """A delivery that was not taken."""

    id: str
    url: str
    payload: Mapping[str, Any]
    tries: int
    last_error: str
    first_at: Unix


class Deliveries(Page):
    """Deliveries, by id."""

    data: list[Delivery]
    next_cursor: str | None = None


@router.get("")
def dead(
    held: Held,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> Deliveries:
    """List the caller's deliveries that were given up."""
    found = webhooks.dead(held.farm.store, held.farm.id, caller.owner, cursor)
    with blaming("cursor"):
        rows = [_shown(each) for each in islice(found, limit + 1)]
    more = rows[limit - 1].id if len(rows) > limit else None
    return Deliveries(data=rows[:limit], next_cursor=more)


def _shown(delivery: webhooks.Delivery) -> Delivery:
    return Delivery(**{name: getattr(delivery, name) for name in Delivery.model_fields})


@router.post("/{id}/replay", status_code=202)
def replay(id: Id, held: Held, caller: Submitter) -> Delivery:
    """Make a delivery again, from the first attempt on."""
    with blaming("id", id):
        return _shown(webhooks.replay(held.farm.store, held.farm.id, caller.owner, id))
