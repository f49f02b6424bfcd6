"""`farm gc`: room in the store."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from farm import retention
from farm.cli.printing import JsonOption, print_json
from farm.cli.session import session
from farm.config import DAY_S


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gc)


def gc(
    days: Annotated[float, typer.Option(help="Segments stored this many days ago go.", min=0)],
    json: JsonOption = False,
) -> None:
    """Delete old segments; what is still needed of them is spoken again (FARM_SEGMENT_DAYS)."""
    with session() as joined:
        deleted = retention.sweep(joined.farm, time.time() - days * DAY_S)
    if json:
        print_json({"deleted": deleted})
    else:
        typer.echo(f"segments deleted: {deleted}")
