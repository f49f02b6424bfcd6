"""`farm recover`: take up unfinished jobs."""

from __future__ import annotations

import typer

from farm import lifecycle
from farm.cli.session import session


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recover)


def recover() -> None:
    """Take up unfinished jobs that Redis has lost (the control process does so by itself)."""
    with session() as joined:
        typer.echo(f"took up {lifecycle.recover(joined.farm)} jobs")
