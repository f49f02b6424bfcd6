"""The API as a server process: its port, who may reach it, its end by SIGTERM."""

from __future__ import annotations

import socket
from collections.abc import Callable

from fastapi import FastAPI

from farm.api.create import create_app
from farm.api.nearby import Nearby
from farm.config import Settings
from farm.errors import InvalidInput
from farm.serving import ports
from farm.serving.server import Server

#: Seconds that requests may go on after the server was told to stop: fewer than whoever stops it
#: waits before he kills it (`farm up` 8 s, container runtimes 10 s).
GRACE_S = 5


def serve(settings: Settings, host: str, port: int, fd: int, ready: Callable[[str], None]) -> None:
    """Serve as `farm.api.serve` says."""
    app = create_app(settings)
    with socket.socket(fileno=fd) if fd >= 0 else ports.listen(host, port) as taken:
        # Asked of the object that the routes ask, too: should the file vanish, it is no excuse.
        keys = app.state.service.keys
        if keys.empty and not ports.on_loopback(taken):
            raise InvalidInput(
                f"there are no API keys, so the API may listen at loopback only, not at {host!r}: "
                "make one with `farm keys add`, or leave --host out"
            )
        if keys.empty:
            app.add_middleware(Nearby, open=lambda: keys.empty)
        ready(ports.url(taken))
        Streaming(app).run(sockets=[taken])


class Streaming(Server):
    """A server that first ends the streams that would otherwise never end."""

    def __init__(self, app: FastAPI) -> None:
        """Serve an application that has a watch."""
        super().__init__(app, GRACE_S)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events: their clients come back to the next server."""
        self._app.state.watch.end()
        await super().shutdown(sockets)
