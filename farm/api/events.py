"""`GET /v1/jobs/{name}/events`: what a job tells, as server-sent events (WHATWG HTML, 9.2).

    event: snapshot   the job as `GET /v1/jobs/{name}` shows it, where a client has nothing yet or
                      too old an id to go on from
    event: state      {state, rev?}
    event: chunk      {segments, audio_ms}: spoken so far
    event: items      {done, items}: how many items have their files, and the new ones' indices
    event: waiting    {stage, tries}: a unit of work was given back, and is tried again

`id` is the event's in the ledger; a client that comes back gives it as `Last-Event-ID`. The stream
ends after the event, or the snapshot, of a terminal state; whoever has that event and asks again
gets 204, which tells an EventSource to stop asking.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from farm.access import Key
from farm.api import records
from farm.api.callers import Held, Reader
from farm.api.jobs import Name
from farm.api.service import Service
from farm.api.watching import Event, Subscription, Watch, order
from farm.errors import InvalidInput, NotFound, Unavailable
from farm.jobs import Spec, State
from farm.ledger import Events, parse

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Seconds of silence after which a comment keeps the connection, and its middlemen, awake.
HEARTBEAT_S = 15.0
#: Milliseconds after which a client that lost its connection should come back.
RETRY_MS = 1000
#: Seconds between two attempts to read what a client lacks.
AGAIN_S = 1.0
#: An id of an event, as far as Redis takes it.
_ID = re.compile(r"\d{1,19}-\d{1,19}")
_HEARTBEAT = b": \n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Stream:
    """One client's way along the events of a job."""

    def __init__(
        self, held: Service, watch: Watch, spec: Spec, last: str, key: Key | None = None
    ) -> None:
        """Go on from an event's id; empty, or no id: from a snapshot. It ends with the key."""
        self._held, self._watch, self._spec, self._key = held, watch, spec, key
        self._events = Events(held.farm.ledger)
        self.last = last if _ID.fullmatch(last) else ""
        self._ended = False

    def missed(self) -> list[Event]:
        """Return what the client lacks, a snapshot first where it must begin anew; blocks.

        Raises:
            NotFound: the job is no more.
        """
        job = self._spec.id
        if self.last and self._events.remembers(job, self.last):
            found = [Event(*row) for row in self._events.of(job, self.last)]
        else:
            id_ = self._events.newest(job)  # before the record: what follows it is told again
            shown = records.job(self._held.record(self._spec))
            found = [Event(id_, "snapshot", shown.model_dump(mode="json"))]
        return self._noted(found)

    def terminal(self) -> bool:
        """Whether the job has ended; blocks."""
        return State(self._held.record(self._spec)["state"]).terminal

    def _noted(self, events: list[Event]) -> list[Event]:
        """Note that the client is sent these."""
        if events:
            self.last = events[-1].id
            tells = events[-1].type in ("state", "snapshot")
            self._ended = tells and State(events[-1].data["state"]).terminal
        return events

    def ended(self) -> bool:
        """Whether the client has been sent a terminal state, and nothing since."""
        return self._ended

    async def run(self, first: list[Event]) -> AsyncIterator[bytes]:
        """Yield the stream, after what the client lacked when it came."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        for event in first:
            yield written(event)
        if self.ended():
            return
        with self._watch.watched(self._spec.id, self.last) as told:
            while not (self.ended() or told.over):
                try:
                    events = await self._next(told)
                except NotFound:
                    return
                if self._revoked():
                    return
                for event in events:
                    yield written(event)
                if not events:
                    yield _HEARTBEAT

    def _revoked(self) -> bool:
        """Whether its client may hear no more."""
        if self._key is None:
            return False
        try:
            key = self._held.keys.get(self._key.id)
        except (InvalidInput, Unavailable):
            return True
        return key is None or bool(key.revoked)

    async def _next(self, told: Subscription) -> list[Event]:
        """Return what the client is to be sent next; nothing where that took too long."""
        found = await told.events(HEARTBEAT_S)
        if found:
            return self._noted([event for event in found if self._new(event)])
        # Some are missing; or it was silent for long, because Redis has forgotten the job?
        if told.over or (found is not None and await self._watch.read(self._known)):
            return []
        try:
            return await self._watch.read(self.missed)
        except Unavailable:
            told.tell(lost=True)
            await asyncio.sleep(AGAIN_S)
            return []

    def _new(self, event: Event) -> bool:
        return not self.last or event.order > order(self.last)

    def _known(self) -> bool:
        try:
            return self._held.farm.ledger.knows(self._spec.id)
        except Unavailable:
            return True  # the watch tells when it is back


def written(event: Event) -> bytes:
    """Write an event as it is sent."""
    text = json.dumps(_public(event), ensure_ascii=False)
    return f"id: {event.id}\nevent: {event.type}\ndata: {text}\n\n".encode()


def _public(event: Event) -> Any:
    """Leave out what is the operator's: units' names, and reasons that may name hosts."""
    if event.type == "waiting":
        return {"stage": parse(event.data["unit"]).stage, "tries": event.data["tries"]}
    if event.type == "items":
        items = sorted(int(place.partition("@")[0]) for place in event.data["items"].split(","))
        return {"done": event.data["done"], "items": items}
    return event.data


class EventStream(StreamingResponse):
    """An endless answer."""

    media_type = "text/event-stream"


def watch(request: Request) -> Watch:
    """Return the application's."""
    found: Watch = request.app.state.watch
    return found


@router.get(
    "/{name}/events",
    response_class=EventStream,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: {"description": "The job has ended, and the client has its last event"},
    },
)
def events(
    name: Name,
    held: Held,
    caller: Reader,
    watch: Annotated[Watch, Depends(watch)],
    last_event_id: Annotated[str, Header(max_length=100)] = "",
) -> Response:
    """Stream what a job tells, from `Last-Event-ID` on or from a snapshot, until its end."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    stream = Stream(held, watch, spec, last_event_id, caller.key)
    first = stream.missed()
    if not first and stream.terminal():
        return Response(status_code=204)
    return EventStream(stream.run(first), headers=_HEADERS)
