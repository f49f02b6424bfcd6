"""A web server that stops in good order when it is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from farm.serving.connections import Connection


class Server(uvicorn.Server):
    """A server of one application, until SIGTERM or SIGINT."""

    def __init__(self, app: FastAPI, grace_s: int, connections: int | None = None) -> None:
        """Serve an application; nothing is logged of requests, for they may hold secrets.

        Requests may go on for `grace_s` seconds after it was told to stop. So many `connections`
        are kept at a time; None: any number.
        """
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=connections,
                timeout_graceful_shutdown=grace_s,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the signals of `farm.cli.ending`, and return; uvicorn raises them once more."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, then in before.items():
                signal.signal(number, then)
