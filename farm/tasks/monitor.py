"""Flower, Celery's monitor, as the farm wants it: behind a password, its memory kept in a file.

Its options are set in this process: no password and no broker's address on a command line, in the
environment or in a file beside the password's own.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from flower.app import Flower
from flower.options import options
from flower.urls import settings as handlers
from flower.views.monitor import Metrics
from tornado.web import authenticated

from farm.config import FLOWER_USER, Settings
from farm.errors import Conflict
from farm.tasks.app import create_celery

#: Tasks that it remembers; a chunk is one.
TASKS = 10_000
#: Milliseconds between two times that it stores what it remembers.
SAVE_MS = 60_000
#: Seconds after which a worker that is gone is no longer shown.
PURGE_S = 24 * 3600
#: Columns of the list of tasks: what a person looks for first.
COLUMNS = "name,state,kwargs,result,received,runtime,worker"


def password(path: Path) -> str:
    """Return Flower's password from its file, which is made, with one, where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text().strip()


def run_flower(settings: Settings, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve Flower until this process is told to end; `ready` is told the port.

    Raises:
        Conflict: another process has the port.
    """
    folder = settings.home / "flower"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    chosen: dict[str, Any] = {
        "address": host,
        "port": port,
        "basic_auth": [f"{FLOWER_USER}:{password(settings.flower_password_path)}"],
        "db": str(folder / "state"),
        "persistent": True,
        "state_save_interval": SAVE_MS,
        "max_tasks": TASKS,
        "purge_offline_workers": PURGE_S,
        "tasks_columns": COLUMNS,
    }
    for name, value in chosen.items():
        setattr(options, name, value)
    # Requests, and workers that do not answer because there is none: no news.
    for name in ("tornado.access", "flower.inspector"):
        logging.getLogger(name).setLevel(logging.ERROR)
    flower = Flower(capp=create_celery(settings, results=True), options=options, **handlers)
    # Flower's own tells anybody the names of workers and tasks.
    own = type("Own", (Metrics,), {"get": authenticated(Metrics.get)})
    flower.add_handlers(".*", [("/metrics", own)])
    for number in (signal.SIGTERM, signal.SIGINT):  # what it knows is stored when it stops
        signal.signal(
            number, lambda *_: flower.io_loop.add_callback_from_signal(flower.io_loop.stop)
        )
    try:
        ready(flower.start_http_server())
        flower.start()
    except OSError as error:
        raise Conflict(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
    finally:
        flower.stop()
