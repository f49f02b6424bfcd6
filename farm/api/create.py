"""The application: its routes, in every dialect, and the answers to errors."""

from __future__ import annotations

from fastapi import FastAPI

from farm import __version__
from farm.api import jobs, problems
from farm.api.service import Service
from farm.config import Settings


def create_app(settings: Settings) -> FastAPI:
    """Return the API of a farm; it connects with the first request."""
    app = FastAPI(title="farm", version=__version__, docs_url="/docs", redoc_url=None)
    app.state.service = Service(settings)
    problems.install(app, {})
    app.include_router(jobs.router)
    return app
