"""Commands that run one part of a farm: `worker`, `control`."""

from __future__ import annotations

from typing import Annotated

import typer

from farm.cli.ending import until_told
from farm.config import Settings, read_settings
from farm.control import Control
from farm.errors import InvalidInput
from farm.slots import slots
from farm.tasks.app import create_celery, create_farm
from farm.tasks.worker import run_worker


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command()(control)


def _connected() -> Settings:
    settings = read_settings()
    if not settings.broker_url.get_secret_value():
        raise InvalidInput(
            "FARM_BROKER_URL is not set; give the Redis of the farm, or use `farm up`"
        )
    return settings


def worker(
    family: Annotated[str, typer.Option(help="Engine family, or `cpu`: planning and audio.")],
    devices: Annotated[
        str, typer.Option(help="`cpu`, or GPUs: `cuda:0,cuda:1`; without: the settings'.")
    ] = "",
    per_device: Annotated[
        int, typer.Option(help="Children per device; 0: one per core on a CPU, two on a GPU.")
    ] = 0,
) -> None:
    """Run a worker of one family, with one child for each of its slots."""
    settings = _connected()
    devices, per_device = devices or settings.devices, per_device or settings.per_device
    places = slots(family, devices, per_device, settings.cores)
    raise typer.Exit(run_worker(settings, family, places))


def control() -> None:
    """Run the control process: leases, windows, recovery."""
    settings = _connected()
    over = until_told()
    Control(create_farm(settings, create_celery(settings))).run(over)
