"""The job service: an API in three dialects (the farm's own, OpenAI's, Azure's), and a web page.

    create.py     the application: its routes, what it holds
    openai/       OpenAI's dialect
    azure/        Azure's batch synthesis
    callers.py    who asks: API keys, scopes, rate limits
    problems.py   the error tree as problem documents
    service.py    what all routes work with
    running.py    a server process: its port, its end

Every route is thin: it reads a request, calls what the commands call, and writes an answer.
Importing this package imports no web framework: that is the extra `api`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.util import find_spec

from farm.config import Settings
from farm.errors import Unavailable


def installed() -> bool:
    """Whether this environment can serve it."""
    return all(find_spec(name) for name in ("fastapi", "python_multipart", "uvicorn"))


def serve(settings: Settings, host: str, port: int, fd: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the URL as soon as the port is taken.

    `fd` is a port that is open already, or -1.

    Raises:
        Unavailable: the extra `api` is not installed.
        InvalidInput: there are no API keys, and others than this machine would reach the API.
        Conflict: the port is another process's.
    """
    if not installed():
        raise Unavailable("no web server here: install the extra 'farm[api]'")
    importlib.import_module("farm.api.running").serve(settings, host, port, fd, ready)
