"""The application: its routes, in every dialect, and the answers to errors."""

from __future__ import annotations

from fastapi import FastAPI

from farm import __version__
from farm.api import jobs, problems
from farm.api.callers import Headed
from farm.api.service import Service
from farm.config import Settings
from farm.farm import Farm


def create_app(settings: Settings, farm: Farm | None = None) -> FastAPI:
    """Return the API of a farm: of this hold on one, or of the settings' own."""
    app = FastAPI(title="farm", version=__version__, docs_url="/docs", redoc_url=None)
    app.state.service = Service(settings, farm)
    problems.install(app, {})
    app.add_middleware(Headed)
    app.include_router(jobs.router)
    return app
