"""`/healthz`: this process answers. `/readyz`: what it stands on answers, too, or why not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from farm.config import Settings
from farm.errors import FarmError
from farm.farm import Farm
from farm.ledger import Roster

log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])

#: Seconds for which an answer holds: of Redis and all it knows, of the store.
FRESH_S = 2.0
STORE_FRESH_S = 15.0
#: Seconds that a component may take to answer before it counts as away.
PATIENCE_S = 3.0
#: Written over and over again: whether the store takes what clients send.
PROBE = "probe/ready"
#: The family that plans every job and makes every audio file.
ALWAYS = "cpu"


class Alive(BaseModel):
    """This process answers."""

    status: Literal["ok"] = "ok"


class Component(BaseModel):
    """Something that the API stands on."""

    ready: bool
    reason: str = ""
    """Why it is not ready."""


class Readiness(BaseModel):
    """Whether jobs can be accepted and done."""

    ready: bool
    components: dict[str, Component]
    """`redis`, `store`, `control`, and `worker:<family>` of each family that is wanted: `cpu`,
    those of the setting `expected_families`, and those that have work."""


class Probes:
    """Asks the components, not more often than is good for them, and waits for none too long."""

    def __init__(self, settings: Settings, farm: Farm) -> None:
        """Ask nothing yet."""
        self._farm, self._wanted = farm, {ALWAYS, *settings.expected_families}
        self._roster = Roster(farm.ledger)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="probe")
        self._asked: dict[str, tuple[float, Future[Mapping[str, Component]]]] = {}
        self._lock = threading.Lock()

    def look(self) -> Readiness:
        """Return what the components say, or said a few seconds ago."""
        live = self._ask("redis", FRESH_S, self._live)
        stored = self._ask("store", STORE_FRESH_S, self._store)
        wait((live, stored), PATIENCE_S)
        found = {**_said("redis", live), **_said("store", stored)}
        return Readiness(ready=all(each.ready for each in found.values()), components=found)

    def _ask(
        self, name: str, fresh_s: float, act: Callable[[], Mapping[str, Component]]
    ) -> Future[Mapping[str, Component]]:
        """Return the answer that holds, or is being waited for; else ask."""
        with self._lock:
            at, last = self._asked.get(name, (0.0, None))
            if last is not None and (not last.done() or _holds(last, at, fresh_s)):
                return last
            asked = self._pool.submit(act)
            self._asked[name] = time.monotonic(), asked
            return asked

    def _store(self) -> Mapping[str, Component]:
        self._farm.store.put(PROBE, b"ready", durable=False)
        return {"store": Component(ready=True)}

    def _live(self) -> Mapping[str, Component]:
        ledger = self._farm.ledger
        ledger.check()
        held = ledger.controlled()
        reason = "" if held else "no control process holds the lock: start `farm control`"
        busy = {lane.name.partition(".")[0] for lane in self._roster.lanes() if lane.busy}
        families = self._wanted | busy - {"control", "audio"}
        return {
            "redis": Component(ready=True),
            "control": Component(ready=held, reason=reason),
            **{f"worker:{family}": self._worker(family) for family in sorted(families)},
        }

    def _worker(self, family: str) -> Component:
        if self._farm.ledger.slots(family):
            return Component(ready=True)
        reason = f"no live worker of this family: start `farm worker --family {family}`"
        return Component(ready=False, reason=reason)


def _holds(last: Future[Mapping[str, Component]], at: float, fresh_s: float) -> bool:
    """Whether an answer still holds; that something is away, never for long."""
    well = last.exception() is None
    return time.monotonic() - at < (fresh_s if well else min(FRESH_S, fresh_s))


def _said(name: str, asked: Future[Mapping[str, Component]]) -> Mapping[str, Component]:
    """Return an answer; an error's text may name hosts and folders, so it goes to the log."""
    if not asked.done():
        return {name: Component(ready=False, reason=f"no answer in {PATIENCE_S:.0f} s")}
    error = asked.exception()
    if error is None:
        return asked.result()
    log.warning("/readyz: %s: %s", name, error)
    known = type(error).__name__ if isinstance(error, FarmError) else "an error of the farm's own"
    return {name: Component(ready=False, reason=f"{known}: it does not answer, or refuses")}


def probes(request: Request) -> Probes:
    """Return the application's."""
    found: Probes = request.app.state.probes
    return found


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that this process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Something is away"}})
def readyz(probes: Annotated[Probes, Depends(probes)], response: Response) -> Readiness:
    """Say whether jobs can be accepted and done, and what keeps them from it."""
    found = probes.look()
    response.status_code = 200 if found.ready else 503
    return found
