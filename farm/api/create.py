"""The application: its routes, in every dialect, and the answers to errors."""

from __future__ import annotations

from fastapi import FastAPI

from farm import __version__
from farm.api import (
    downloads,
    events,
    health,
    hooks,
    jobs,
    openai,
    openai_batches,
    openai_files,
    operating,
    problems,
)
from farm.api.bounds import Bounded
from farm.api.callers import Headed
from farm.api.service import Service
from farm.api.watching import Watch
from farm.config import Settings
from farm.farm import Farm

#: Where errors have the form of another dialect.
SHAPES = {f"/v1/{path}": openai.shape for path in ("audio", "models", "files", "batches")}


def create_app(settings: Settings, farm: Farm | None = None) -> FastAPI:
    """Return the API of a farm: of this hold on one, or of the settings' own."""
    app = FastAPI(title="farm", version=__version__, docs_url="/docs", redoc_url=None)
    app.state.service = held = Service(settings, farm)
    app.state.probes = health.Probes(settings, held.farm)
    app.state.watch = Watch(held.farm.ledger)
    problems.install(app, SHAPES)
    app.add_middleware(Bounded, upload_bytes=settings.upload_bytes)
    app.add_middleware(Headed)
    app.include_router(health.router)
    app.include_router(operating.router)
    app.include_router(events.router)
    app.include_router(jobs.router)
    app.include_router(downloads.router)
    app.include_router(hooks.router)
    for dialect in (openai, openai_files, openai_batches):
        app.include_router(dialect.router)
    return app
