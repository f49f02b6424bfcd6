"""`farm voices`: list, show, add, pull, check, clone, revoke. Only the last needs a farm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from farm import engines, voices
from farm.cli import adding, cloning, installing, pulling, revoking, trying
from farm.cli.printing import (
    JsonOption,
    any_failed,
    findings_json,
    out,
    print_finding,
    print_json,
    print_table,
)
from farm.config import read_settings
from farm.errors import JobError
from farm.studio import catalogue
from farm.voices import VoiceFile, tongues

app = typer.Typer(help="Voices: list, show, add, pull, check, clone, revoke.", no_args_is_help=True)

VoiceArgument = Annotated[str, typer.Argument(metavar="VOICE", help="Id of a voice.")]

#: Columns of `list`.
COLUMNS = ("id", "language", "engine", "sample_rate", "licence")


@app.command("list")
def list_voices(json: JsonOption = False) -> None:
    """List the voices of this host."""
    rows = [describe(file) for _, file in sorted(catalogue(read_settings()).items())]
    if json:
        print_json(rows)
    else:
        print_table([[name.upper() for name in COLUMNS], *map(_row, rows)])


@app.command()
def show(voice: VoiceArgument, json: JsonOption = False) -> None:
    """Show a voice: engine, language, licence, files, digest."""
    found = describe(voices.find(catalogue(read_settings()), voice))
    if json:
        print_json(found)
    else:
        print_table([(name, _said(value)) for name, value in found.items() if value])


@app.command()
def add(
    model: Annotated[Path, typer.Argument(help="Piper's .onnx, its .json beside it; or a folder.")],
    id: Annotated[str, typer.Option(help="Id; the model's name if not given.")] = "",
    language: Annotated[str, typer.Option(help="Such as en-US; else as the files say.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the voice.")] = "",
    sample_rate: Annotated[int, typer.Option(help="Hertz, where no file says it.", min=0)] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="In place of one there is.")] = False,
    json: JsonOption = False,
) -> None:
    """Add a voice of this host's files, once it has loaded and spoken."""
    wish = adding.Wish(model, id, language, licence, sample_rate, replace)
    file = adding.add(read_settings(), wish)
    if json:
        print_json(describe(file))
    else:
        out.print(f"added {file.id}: {file.path}; try it with: farm voices check {file.id}")


pulling.register(app)


@app.command()
def check(voice: VoiceArgument, json: JsonOption = False) -> None:
    """Have a voice speak, judge what it says, and measure its speed."""
    settings = read_settings()
    file = voices.find(catalogue(settings), voice)
    found, rtf = trying.check(file, settings.device)
    if not any_failed(found) and installing.is_own(settings, file):
        adding.keep_rtf(file, rtf)
    if json:
        print_json({"id": file.id, "rtf": rtf, "findings": findings_json(found)})
    else:
        for name, finding in found.items():
            print_finding(name, finding)
    raise typer.Exit(any_failed(found))


cloning.register(app)
revoking.register(app)


def describe(file: VoiceFile) -> dict[str, Any]:
    """Return what there is to know of a voice; `error` says why it cannot be used."""
    about: dict[str, Any] = {
        "id": file.id,
        "engine": file.engine,
        "family": engines.family(file.engine),
        "language": file.language,
        "languages": [],
        "sample_rate": None,
        "licence": file.licence,
        "owner": file.owner,
        "visibility": file.visibility,
        "rtf": file.rtf,
        "parameters": dict(file.parameters),
        "source": file.source,
        "consent": file.consent,
        "revoked": file.revoked,
        "files": {role: str(path) for role, path in file.files.items()},
        "path": str(file.path),
    }
    try:
        pinned = voices.pin(file)
    except JobError as error:
        return about | {"error": str(error)}
    return about | {
        "language": pinned.language,
        "languages": [*tongues.spoken(pinned)],
        "sample_rate": pinned.sample_rate,
        "digest": pinned.digest,
    }


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _row(about: dict[str, Any]) -> Sequence[object]:
    cells = [about[name] or "-" for name in COLUMNS]
    return [*cells[:-1], about.get("error", cells[-1])]
