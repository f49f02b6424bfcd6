"""The command line: thin skins over the farm, each command a few lines."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from farm import config
from farm.cli import logs
from farm.cli.printing import printable
from farm.errors import FarmError, InvalidInput

#: Command to the module that has it: only the one that runs is loaded.
COMMANDS = {
    "demo": "book",
    "say": "say",
    "book": "book",
    "batch": "batches",
    "up": "supervising",
    "jobs": "jobs",
    "voices": "voices",
    "worker": "running",
    "control": "running",
    "api": "apis",
    "flower": "flowering",
    "serve": "serving",
    "keys": "keys",
    "export": "exporting",
    "recover": "recovering",
    "gc": "collecting",
    "doctor": "doctor",
    "supervise": "supervising",
}


errors = Console(stderr=True, soft_wrap=True, highlight=False)


class _Commands(TyperGroup):
    """Commands that are loaded when they are asked for."""

    # Any: what Typer hands over and wants back are types of its own.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # Typer itself would end without a word
            errors.print("farm: stopped; the same command goes on where this one was")
            raise typer.Exit(130) from None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in self.commands and name in COMMANDS:
            module = importlib.import_module(f"farm.cli.{COMMANDS[name]}")
            self.add_command(_command(module, name), name)
        return super().get_command(ctx, name)


def _command(module: Any, name: str) -> Any:
    one = typer.Typer(add_completion=False)
    if hasattr(module, "app"):  # a group of commands
        one.add_typer(module.app, name=name)
    else:
        module.register(one)
    found: Any = typer.main.get_command(one)
    return found.commands[name] if hasattr(found, "commands") else found


app = typer.Typer(
    name="farm",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _farm() -> None:
    """A task-queue batch synthesis farm for speech."""


def _warn_of_unknown(environment: Mapping[str, str]) -> None:
    """Say which variables were meant for the farm, and are read by nobody."""
    if "FARM_EMBEDDED" in environment:  # a part of a farm: whoever started it has been told
        return
    for name, near in config.unknown(environment).items():
        hint = f"; is {near} meant?" if near else ", see docs/cli.md"
        errors.print(f"farm: {name} is no setting{hint}", style="yellow", markup=False)


def _open_errors() -> None:
    """Have a closed standard error lead nowhere: what is opened first would be taken for it.

    A worker's watch and Celery write there, too, and fail without it.
    """
    if sys.stderr is None:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) < 2:
            pass  # a closed standard input, too
        os.set_inheritable(descriptor, True)
        sys.stderr = sys.__stderr__ = os.fdopen(descriptor, "w")  # type: ignore[misc]


def _check_output() -> None:
    """Refuse a closed standard output: what a command says, or a key that it makes, would be lost.

    What it opens first would also be taken for it by all that it starts.
    """
    if sys.stdout is None:
        raise InvalidInput("standard output is closed; if nobody reads it, send it to /dev/null")


def main() -> None:
    """Run the command line: one line for a person where something fails, exit code 0 on success."""
    _open_errors()
    logs.set_up()
    _warn_of_unknown(os.environ)
    try:
        _check_output()
        app(standalone_mode=True)
    except (FarmError, OSError) as error:  # OSError: a disk that nobody below has a word for
        errors.print(f"farm: {printable(error)}", style="red", markup=False)
        sys.exit(1)
