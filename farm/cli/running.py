"""Commands that run parts of the farm: `up`, `worker`, `control`, `recover`."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from farm import lifecycle
from farm.cli.session import session
from farm.config import Settings, read_settings
from farm.control import Control
from farm.embedded import Supervisor
from farm.errors import Conflict, InvalidInput
from farm.tasks import create_celery, create_farm, run_worker


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(worker)
    app.command()(control)
    app.command()(recover)
    app.command(hidden=True)(supervise)


def _until_told() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over


def _connected() -> Settings:
    settings = read_settings()
    if not settings.broker_url.get_secret_value():
        raise InvalidInput(
            "FARM_BROKER_URL is not set; give the Redis of the farm, or use `farm up`"
        )
    return settings


def up() -> None:
    """Run an embedded farm here until Ctrl-C."""
    settings = read_settings()
    supervisor = Supervisor(settings, stay=True, over=_until_told())

    def ready() -> None:
        typer.echo(f"the farm runs in {supervisor.home}; Ctrl-C stops it")

    if not supervisor.run(ready):
        raise Conflict(f"a farm runs in {supervisor.home} already; commands will join it")


def supervise() -> None:
    """Run an embedded farm for as long as commands use it."""
    Supervisor(read_settings(), stay=False, over=_until_told()).run()


def worker(
    family: Annotated[str, typer.Option(help="Engine family, or `cpu`: planning and audio.")],
    slots: Annotated[int, typer.Option(help="Children; 0: one per core.")] = 0,
) -> None:
    """Run a worker of one family."""
    settings = _connected()
    raise typer.Exit(run_worker(settings, family, slots or settings.cores))


def control() -> None:
    """Run the control process: leases, windows, recovery."""
    settings = _connected()
    over = _until_told()
    Control(create_farm(settings, create_celery(settings))).run(over)


def recover() -> None:
    """Take up unfinished jobs that Redis has lost (the control process does so by itself)."""
    with session() as joined:
        typer.echo(f"took up {lifecycle.recover(joined.farm)} jobs")
