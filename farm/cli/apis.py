"""`farm api`: the job service over HTTP, in a process of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from farm import api as service
from farm.cli.ending import end_well
from farm.config import read_connected


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(api)


def api(
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen at; only loopback while there are no API keys.")
    ] = "127.0.0.1",
    fd: Annotated[int, typer.Option(hidden=True, help="A port that is open already.")] = -1,
) -> None:
    """Serve the API and the web page of a farm."""
    end_well()
    settings = read_connected()
    service.serve(settings, host, port, fd, lambda url: typer.echo(f"the API is at {url}"))
