"""`farm recover`: take up unfinished jobs."""

from __future__ import annotations

import typer

from farm import recovery
from farm.cli.printing import JsonOption, print_json
from farm.cli.session import session


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recover)


def recover(json: JsonOption = False) -> None:
    """Take up unfinished jobs that Redis has lost (the control process does so by itself)."""
    with session() as joined:
        taken = recovery.recover(joined.farm)
    if json:
        print_json({"taken_up": taken})
    else:
        typer.echo(f"took up {taken} jobs")
