"""Commands that run an embedded farm: `up`, and `supervise` for the other commands."""

from __future__ import annotations

import os

import typer

from farm.cli.ending import until_told
from farm.cli.printing import JsonOption, print_json
from farm.config import read_settings
from farm.embedded import Supervisor
from farm.errors import Conflict


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command(hidden=True)(supervise)


def up(json: JsonOption = False) -> None:
    """Run an embedded farm here until Ctrl-C."""
    settings = read_settings()
    supervisor = Supervisor(settings, stay=True, over=until_told())

    def ready() -> None:
        if json:
            print_json({"home": str(supervisor.home), "store": settings.store, "pid": os.getpid()})
        else:
            typer.echo(f"the farm runs in {supervisor.home}; Ctrl-C stops it")

    if not supervisor.run(ready):
        raise Conflict(f"a farm runs in {supervisor.home} already; commands will join it")


def supervise() -> None:
    """Run an embedded farm for as long as commands use it."""
    Supervisor(read_settings(), stay=False, over=until_told()).run()
