"""`farm keys`: add, list and revoke keys of the API. They need no farm, only the file."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from farm.access import LOCAL, SCOPES, Allowance, Key, KeyFile
from farm.cli.printing import JsonOption, out, print_json, print_table
from farm.config import read_settings

app = typer.Typer(help="Keys of the API: add, list, revoke.", no_args_is_help=True)

HEADINGS = ("ID", "KEY", "OWNER", "SCOPES", "A DAY", "IN FLIGHT", "A MINUTE", "CREATED", "LABEL")

LimitOption = Annotated[int, typer.Option(min=0, help="0: no limit.")]


@app.command()
def add(
    owner: Annotated[str, typer.Option(help="Whose jobs, files and voices it sees.")] = LOCAL,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(SCOPES)}; repeat it. submit, read if none."),
    ] = None,
    characters_per_day: LimitOption = 0,
    jobs_in_flight: LimitOption = 0,
    requests_per_minute: LimitOption = 0,
    json: JsonOption = False,
) -> None:
    """Make a key and print it, this once: the farm keeps only a hash."""
    limits = Allowance(characters_per_day, jobs_in_flight, requests_per_minute)
    key, text = _file().add(owner, scope or ("submit", "read"), limits, label)
    if json:
        print_json({**described(key), "key": text, "webhook_secret": key.webhook_secret})
    else:
        out.print(f"API key: {text}\nwebhooks are signed with: {key.webhook_secret}")


@app.command("list")
def list_keys(json: JsonOption = False) -> None:
    """List the keys; of each its id, its end, whose it is and what it may."""
    keys = _file().list()
    if json:
        print_json([described(key) for key in keys])
    elif keys:
        print_table([HEADINGS, *map(_row, keys)])


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, not the key.")],
    json: JsonOption = False,
) -> None:
    """Make a key invalid; a running API knows it at the next request."""
    key = _file().revoke(id)
    if json:
        print_json(described(key))
    else:
        out.print(f"revoked {key.id}, of {key.owner}")


def described(key: Key) -> dict[str, Any]:
    """Return what anybody may know of a key."""
    return {
        name: value
        for name, value in asdict(key).items()
        if name not in ("digest", "webhook_secret")
    }


def _file() -> KeyFile:
    return KeyFile(read_settings().keys_path)


def _row(key: Key) -> tuple[object, ...]:
    scopes = "revoked" if key.revoked else ",".join(key.scopes)
    limits = [value or "-" for value in vars(key.limits).values()]
    created = time.strftime("%Y-%m-%d", time.gmtime(key.created))
    return key.id, f"...{key.last}", key.owner, scopes, *limits, created, key.label
