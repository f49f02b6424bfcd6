"""`farm voices revoke`: a voice is taken back, and what this host and the store have of it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from farm import revocation
from farm.cli import installing
from farm.cli.printing import JsonOption, out, print_json, print_table
from farm.cli.session import Session, session
from farm.config import Settings, read_settings
from farm.errors import Conflict, UnknownVoice
from farm.jobs import check_id
from farm.revocation import Revocation
from farm.storage.atomic import mapped, write_atomically
from farm.studio import catalogue
from farm.voices import VoiceFile, forget


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(revoke)


def revoke(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="Id of a voice.")],
    json: JsonOption = False,
) -> None:
    """Take a voice back for ever: refuse it, cancel its jobs, erase it and what it spoke."""
    settings, when = read_settings(), datetime.now(UTC).date().isoformat()
    file = catalogue(settings).get(check_id(voice, "voice"))
    if file and not installing.is_own(settings, file):
        raise Conflict(f"voice {voice!r} ships with the farm: it is nobody's to take back")
    with session() as joined:
        done, erased = take_back(joined, file, voice, when)
    if json:
        print_json({**asdict(done), "erased": erased})
    else:
        _print(done, erased)


def take_back(
    joined: Session, file: VoiceFile | None, voice: str, when: str
) -> tuple[Revocation, list[str]]:
    """Revoke a voice in the store and on this host; return the paths erased here, too.

    Raises:
        UnknownVoice: neither this host nor the store knows it.
    """
    if file is None and not revocation.known(joined.farm, voice):
        raise UnknownVoice(f"unknown voice {voice!r}: nothing of it is here or in the store")
    done = revocation.revoke(joined.farm, voice, when)
    erased = [str(path) for path in erase(joined.settings, file, when)] if file else []
    if forget(voice, joined.farm.cache):
        erased.append(str(joined.farm.cache / voice))
    return done, erased


def erase(settings: Settings, file: VoiceFile, when: str) -> Iterator[Path]:
    """Erase what tells who a voice is, all of a voice of this host's own; yield what is gone.

    Its YAML stays, and says that it was revoked: nobody takes its id without noticing.
    """
    if not file.revoked:
        with mapped("read", file.path):
            text = file.path.read_text(encoding="utf-8").rstrip("\n")
        content = f"{text}\nrevoked: '{when}'\n".encode()
        write_atomically(file.path, lambda target: shutil.copyfileobj(io.BytesIO(content), target))
    whole = installing.folder(settings) / file.id
    found = [path for role, path in file.files.items() if role.startswith(("d_vector", "refer"))]
    for path in [*found, *file.references, whole]:
        with mapped("remove", path):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
            else:
                continue
        yield path


def _print(done: Revocation, erased: list[str]) -> None:
    cancelled = ", ".join(done.cancelled) or "none"
    out.print(f"revoked {done.voice}; jobs cancelled: {cancelled}")
    out.print(f"erased {done.segments} segments and {done.objects} files of the voice in the store")
    for path in erased:
        out.print(f"erased {path}")
    if done.outputs:
        out.print("outputs that were made with it are still there:")
        print_table([(row["job"], row["revision"], row["name"]) for row in done.outputs])
