"""A server process: its socket, and its end by SIGTERM."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence

from fastapi import FastAPI

from farm.serving import Loader, Options, piper, ports, yourtts
from farm.serving.desk import BATCH, Desk
from farm.serving.server import Server
from farm.serving.service import Service
from farm.serving.speakers import Speakers

_LOGGER = logging.getLogger(__name__)

#: Seconds that requests may go on after the server was told to stop.
GRACE_S = 30
#: Connections beyond the queue's that are kept: for `/health`, and to say no.
SPARE_CONNECTIONS = 32


def serve(options: Options, loaders: Sequence[Loader], ready: Callable[[str], None]) -> None:
    """Serve as `farm.serving.serve` says."""
    with ports.listen(options.host, options.port) as taken:
        if not ports.on_loopback(taken):
            warning = "%s is not loopback: whoever reaches it can use this service"
            _LOGGER.warning(warning, options.host)
        service = create_service(options, loaders)
        ready(ports.url(taken))
        run(create_app(options, service), service, taken)
        if service.busy:  # native code that comes back to an interpreter in its end aborts it
            os._exit(0)


def create_service(options: Options, loaders: Sequence[Loader]) -> Service:
    """Return a service that has loaded nothing yet; see `Desk` for batches on a CPU."""
    desk = Desk(options.queue, 1 if options.device == "cpu" else BATCH)
    return Service(
        loaders,
        options.device,
        desk,
        options.timeout_s,
        revoked=options.revoked,
        budgets=options.budgets,
    )


def create_app(options: Options, service: Service) -> FastAPI:
    """Return the application of a service."""
    if options.kind == "piper":
        return piper.create_app(service)
    return yourtts.create_app(service, Speakers(options.speakers))


def run(app: FastAPI, service: Service, taken: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT: no new connections, open requests get `GRACE_S`.

    Raises whatever kept the voices from being loaded, and that their device is lost.
    """
    server = Server(app, GRACE_S, service.desk.limit + SPARE_CONNECTIONS)

    def stop() -> None:
        server.should_exit = True

    service.stop = stop
    server.run(sockets=[taken])
    if service.error is not None:
        raise service.error
