"""The application: its routes, in every dialect, and the answers to errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from pydantic import BaseModel

from farm import __version__
from farm.api import (
    downloads,
    events,
    health,
    hooks,
    jobs,
    listening,
    operating,
    pages,
    problems,
    uploads,
)
from farm.api.azure import syntheses
from farm.api.azure.records import AzureError
from farm.api.bounds import Bounded
from farm.api.callers import Headed, valid
from farm.api.describing import allowed, describe
from farm.api.openai import batches, files, speech
from farm.api.service import Service
from farm.api.watching import Watch
from farm.config import Settings
from farm.farm import Farm
from farm.ledger import Events

#: Where errors have the form of another dialect.
SHAPES = {f"/v1/{path}": speech.shape for path in ("audio", "models", "files", "batches")}
SHAPES["/texttospeech/"] = syntheses.shape
#: And what that form is.
ERRORS: dict[str, type[BaseModel]] = {
    f"/v1/{path}": speech.Error for path in ("audio", "models", "files", "batches")
}
ERRORS["/texttospeech/"] = AzureError


#: Requests at work at once. Most of them wait for the store's disk: with anyio's 40, whoever looks
#: at a job waits behind those who submit.
THREADS = 160


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield
    await asyncio.to_thread(app.state.watch.close)


def create_app(settings: Settings, farm: Farm | None = None) -> FastAPI:
    """Return the API of a farm: of this hold on one, or of the settings' own."""
    app = FastAPI(
        title="farm",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_life,
        form_limits=uploads.LIMITS,
    )
    app.state.service = held = Service(settings, farm)
    app.state.listeners = CapacityLimiter(speech.LISTENERS)
    app.state.probes = health.Probes(settings, held.farm)
    app.state.watch = Watch(Events(held.farm.ledger))
    problems.install(app, SHAPES, allowed)
    app.add_middleware(
        Bounded,
        upload_bytes=settings.upload_bytes,
        shapes=SHAPES,
        check=lambda request: valid(held, request),
    )
    app.add_middleware(Headed)
    app.include_router(health.router)
    app.include_router(operating.router)
    app.include_router(events.router)
    app.include_router(jobs.router)
    app.include_router(listening.router)
    app.include_router(downloads.router)
    app.include_router(pages.router)
    app.include_router(hooks.router)
    for dialect in (speech, files, batches, syntheses):
        app.include_router(dialect.router)
    app.openapi = lru_cache(lambda: describe(app, ERRORS))  # type: ignore[method-assign]
    return app
