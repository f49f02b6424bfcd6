"""`farm flower`: Celery's monitor, behind a password."""

from __future__ import annotations

from typing import Annotated

import typer

from farm.cli.ending import end_well
from farm.config import FLOWER_USER, read_connected
from farm.tasks.monitor import run_flower


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(flower)


def flower(
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 5555,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
) -> None:
    """Serve Flower: workers and tasks, for a person to look at."""
    end_well()
    settings = read_connected()
    path = settings.flower_password_path

    def ready(taken: int) -> None:
        typer.echo(f"Flower is at http://{host}:{taken} (user {FLOWER_USER}, password in {path})")

    run_flower(settings, host, port, ready)
