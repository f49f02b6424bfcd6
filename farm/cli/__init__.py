"""The command line: thin skins over the farm, each command a few lines."""

from __future__ import annotations

import logging
import sys

import typer
from rich.console import Console

from farm.cli import doctor, jobs, running, speaking, voices
from farm.errors import FarmError

app = typer.Typer(
    name="farm",
    help="A task-queue batch synthesis farm for speech.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (speaking, running, doctor):
    module.register(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(voices.app, name="voices")

errors = Console(stderr=True, soft_wrap=True, highlight=False)


def main() -> None:
    """Run the command line: one line for a person where something fails, exit code 0 on success."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        app(standalone_mode=True)
    except FarmError as error:
        errors.print(f"farm: {error}", style="red", markup=False)
        sys.exit(1)
    except OSError as error:  # a home, a disk or a pipe that nobody below has a word for
        errors.print(f"farm: {error}", style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("farm: stopped; the same command goes on where this one was")
        sys.exit(130)
