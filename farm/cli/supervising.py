"""Commands that run an embedded farm: `up`, and `supervise` for the other commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from farm import api
from farm.access import LOCAL, SCOPES, KeyFile
from farm.cli.ending import until_told
from farm.cli.printing import JsonOption, print_json
from farm.config import FLOWER_USER, Settings, read_settings
from farm.embedded import Supervisor, stays
from farm.errors import Conflict

#: Seconds between two looks whether another farm has ended.
LOOK_S = 0.25


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command(hidden=True)(supervise)


def up(
    api_port: Annotated[int, typer.Option(help="Port of the API; 0: no API.")] = 8000,
    flower_port: Annotated[int, typer.Option(help="Port of Flower; 0: no Flower.")] = 5555,
    json: JsonOption = False,
) -> None:
    """Run an embedded farm here until Ctrl-C, with its API, web page and Flower.

    Where a port is taken, a free one is used.
    """
    settings = read_settings()
    if api_port and not api.installed():
        typer.echo("farm: no API and no web page: install the extra 'farm[api]'", err=True)
        api_port = 0
    supervisor = Supervisor(settings, True, until_told(), api_port, flower_port)

    def ready() -> None:
        key = _first_key(settings) if api_port else ""
        if json:
            told = {"home": str(supervisor.home), "store": settings.store, "pid": os.getpid()}
            print_json({**told, **supervisor.urls, **({"api_key": key} if key else {})})
        else:
            typer.echo("\n".join(_said(supervisor, settings, key)))

    _run(supervisor, ready)


def _run(supervisor: Supervisor, ready: Callable[[], None]) -> None:
    """Supervise until told to stop, once no farm of other commands runs here any more.

    Raises:
        Conflict: a farm that stays runs here.
    """
    told = False
    while not supervisor.run(ready):
        if stays(supervisor.settings):
            raise Conflict(f"a farm runs in {supervisor.home} already; commands will join it")
        if not told:
            said = f"a farm runs in {supervisor.home} until its last command ends: waiting for it"
            typer.echo(f"farm: {said}", err=True)
            told = True
        if supervisor.over.wait(LOOK_S):
            return


def _first_key(settings: Settings) -> str:
    """Make a key where there never was one, so that the API is nobody's who only reaches it."""
    keys = KeyFile(settings.keys_path)
    return keys.add(LOCAL, SCOPES, label="farm up")[1] if keys.empty else ""


def _said(supervisor: Supervisor, settings: Settings, key: str) -> list[str]:
    lines = [f"the farm runs in {supervisor.home}; Ctrl-C stops it"]
    if url := supervisor.urls.get("api_url"):
        lines.append(f"web page: {url}/")
        lines.append(f"API key: {key or 'as at the first start; `farm keys add` makes another'}")
    if url := supervisor.urls.get("flower_url"):
        path = settings.flower_password_path.absolute()
        lines.append(f"Flower: {url} (user {FLOWER_USER}, password in {path})")
    return lines


def supervise() -> None:
    """Run an embedded farm for as long as commands use it."""
    Supervisor(read_settings(), stay=False, over=until_told()).run()
