"""HTTP services that speak with one loaded model: Piper's and YourTTS's.

    desk.py      the queue that requests wait in, and the thread that speaks them in batches
    speech.py    a text to segments, and their signals to one
    measuring.py how many segments a call of the engine gets, and how it decodes them
    service.py   a service: its voices, whether they are loaded, how it ends
    speakers.py  registered speakers, each with its d-vector, in files
    web.py       what both services share of HTTP: limits, problem documents, waiting
    piper.py     `POST /tts`, `GET /voices`, `GET /health`
    yourtts.py   `POST /register_speaker`, `POST /synthesize`, `GET /health`
    ports.py     ports that servers listen at
    server.py    a web server: what it logs, how it ends
    running.py   a service's process: its socket, its end

Importing this package imports no web framework: that is the extra `api`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from farm.calibration import Budgets
from farm.engines import Engine
from farm.errors import Unavailable
from farm.jobs import Voice

Loader = Callable[[], tuple[Voice, Engine]]
"""Loads a voice; slow."""


@dataclass(frozen=True)
class Options:
    """How a service runs."""

    kind: Literal["piper", "yourtts"]
    host: str = "127.0.0.1"
    port: int = 0
    """0: a free one."""
    device: str = "cpu"
    queue: int = 32
    """Requests that wait or are spoken at a time."""
    timeout_s: float = 300.0
    """Seconds that a request may take, the waiting included."""
    speakers: Path = Path("speakers")
    """Folder of the registered speakers: `yourtts` only."""
    budgets: Callable[[], Budgets] | None = None
    """What is measured on this kind of device, asked when the voices are loaded; None: nothing."""
    revoked: Callable[[Voice], bool] = lambda _: False
    """Whether a voice was revoked since it was loaded; asked for each request."""


def serve(options: Options, loaders: Sequence[Loader], ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the URL as soon as the port is taken.

    Raises:
        Unavailable: the extra `api` is not installed, a voice cannot be loaded here, or its device
            is lost.
        EngineError: a voice's files are not what it says.
        Conflict: the port is another process's.
    """
    try:
        running = importlib.import_module("farm.serving.running")
    except ImportError as error:
        raise Unavailable(f"no web server here ({error}): install the extra 'farm[api]'") from error
    running.serve(options, loaders, ready)
