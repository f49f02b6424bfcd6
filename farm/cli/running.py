"""Commands that run one part of a farm: `worker`, `control`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from farm.access import KeyFile
from farm.cli.ending import until_told
from farm.config import DAY_S, read_connected
from farm.control import Control
from farm.engines import FAMILIES
from farm.errors import InvalidInput
from farm.outgoing import Outgoing
from farm.slots import slots
from farm.tasks.app import create_celery, create_farm
from farm.tasks.worker import run_worker
from farm.webhooks import Deliveries


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command()(control)


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
    families = sorted({"cpu", *FAMILIES.values()})
    if family not in families:
        raise InvalidInput(f"unknown family {family!r}; choose one of {', '.join(families)}")
    settings = read_connected()
    devices, per_device = devices or settings.devices, per_device or settings.per_device
    places = slots(family, devices, per_device, settings.cores)
    raise typer.Exit(run_worker(settings, family, places))


def signing_secrets(keys: KeyFile) -> Callable[[str], str | None]:
    """Return what gives the secret that signs the webhooks of a key; a revoked key's, too."""

    def secret(id: str) -> str | None:
        key = keys.get(id)
        return key.webhook_secret if key else None

    return secret


def control() -> None:
    """Run the control process: leases, windows, recovery, webhooks."""
    settings = read_connected()
    over = until_told()
    farm = create_farm(settings, create_celery(settings))
    outgoing = Outgoing(tuple(settings.webhook_networks))
    secrets = signing_secrets(KeyFile(settings.keys_path))
    deliveries = Deliveries(farm.store, farm.id, secrets, outgoing)
    Control(farm, deliveries=deliveries, segment_s=settings.segment_days * DAY_S).run(over)
