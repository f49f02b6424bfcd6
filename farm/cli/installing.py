"""A voice becomes this host's own: copied, tried, then moved in whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from farm import voices
from farm.cli import trying
from farm.config import Settings
from farm.errors import Conflict, EngineError, InvalidInput
from farm.storage.atomic import mapped
from farm.studio import catalogue
from farm.voices import VoiceFile


@dataclass(frozen=True)
class Draft:
    """A voice that is to be this host's own."""

    id: str
    fields: Mapping[str, object]
    """Of its YAML, but `id`, `files` and `references`; empty ones are left out."""
    files: Mapping[str, tuple[Path, str]]
    """Role to a file and the name that it gets."""
    references: Mapping[str, Path] = field(default_factory=dict)
    """Name to a recording that stays on this host."""


def folder(settings: Settings) -> Path:
    """Where this host's own voices are."""
    return settings.home.absolute() / "voices"


def is_own(settings: Settings, file: VoiceFile) -> bool:
    """Whether a voice is this host's, not the one that ships with the farm."""
    built_in = settings.home.absolute() / "built-in"
    return not file.path.absolute().is_relative_to(built_in)


def check_free(settings: Settings, voice: str, *, replace: bool) -> None:
    """Raise `Conflict` where an id is taken, and may not or cannot be replaced."""
    there = catalogue(settings).get(voice)
    if there is None:
        return
    if there.revoked:
        raise Conflict(f"voice {voice!r} was revoked on {there.revoked}: choose another id")
    if not replace:
        raise Conflict(
            f"voice {voice!r} is there already ({there.path}): choose another --id, "
            "or give --replace"
        )
    if is_own(settings, there) and there.path.absolute().parent != folder(settings):
        raise Conflict(f"voice {voice!r} is {there.path}, which goes first: remove it there")


def install(settings: Settings, draft: Draft, source: str) -> VoiceFile:
    """Copy a voice to this host's own, once it has loaded and spoken.

    `source` names it in errors.

    Raises:
        InvalidInput, EngineError: the files are no voice.
        Unavailable: its engine or the device is not here.
    """
    own = folder(settings)
    with mapped("write", own):
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".add-", dir=own) as name:
            with _named_after(source, name):
                written = _write(Path(name), draft)
                with trying.loaded(written, settings.device) as (voice, engine):
                    engine.speak(trying.segments(voice)[:1])
            _move_in(written.path, own)
    return voices.read(own / written.path.name)


@contextmanager
def _named_after(source: str, place: str) -> Iterator[None]:
    """Say of errors which voice they are about, not in which temporary place it was tried."""
    try:
        yield
    except (InvalidInput, EngineError) as error:
        kind = EngineError if isinstance(error, EngineError) else InvalidInput
        raise kind(f"{source!r}: {str(error).replace(f'{place}/', '')}") from error


def _write(place: Path, draft: Draft) -> VoiceFile:
    """Write a voice's folder and YAML to a temporary place."""
    (place / draft.id).mkdir()
    for path, name in (*draft.files.values(), *((p, n) for n, p in draft.references.items())):
        shutil.copyfile(path, place / draft.id / name)
    fields = {
        "id": draft.id,
        **draft.fields,
        "files": {role: f"{draft.id}/{name}" for role, (_, name) in draft.files.items()},
        "references": [f"{draft.id}/{name}" for name in draft.references],
    }
    given = {name: value for name, value in fields.items() if value}
    path = place / f"{draft.id}.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return voices.read(path)


def _move_in(draft: Path, own: Path) -> None:
    """Put a drafted voice in its place; its YAML goes first and comes last."""
    target = own / draft.stem
    (own / draft.name).unlink(missing_ok=True)
    if target.exists():
        shutil.rmtree(target)
    draft.with_suffix("").rename(target)
    draft.rename(own / draft.name)
