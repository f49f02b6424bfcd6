"""Add a Piper voice to this host, and keep what a trial measured of one."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from farm import voices
from farm.cli import trying
from farm.cli.session import catalogue
from farm.config import Settings
from farm.errors import Conflict, EngineError, InvalidInput, NotFound
from farm.jobs import check_id
from farm.storage.atomic import mapped, write_atomically
from farm.voices import VoiceFile

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_RTF = re.compile(r"^rtf:.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Wish:
    """A voice that a person wants to have here."""

    model: Path
    """`.onnx`; its config `.onnx.json` lies beside it."""
    id: str = ""
    """Empty: the model's name."""
    language: str = ""
    """Empty: as the config says."""
    licence: str = ""
    replace: bool = False

    @property
    def voice(self) -> str:
        """The id that the voice gets."""
        return check_id(self.id or self.model.stem, "voice")

    @property
    def config(self) -> Path:
        """Where Piper keeps a model's config."""
        return self.model.with_name(f"{self.model.name}.json")


def folder(settings: Settings) -> Path:
    """Where this host's own voices are."""
    return settings.home.absolute() / "voices"


def add(settings: Settings, wish: Wish) -> VoiceFile:
    """Copy a voice to this host's own, once it has loaded and spoken.

    Raises:
        NotFound: model or config is not there.
        InvalidInput, EngineError: they are no Piper voice, or links.
        Conflict: the id is taken.
    """
    _check_files(wish)
    _check_free(settings, wish)
    own = folder(settings)
    with mapped("write", own):
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".add-", dir=own) as name:
            draft = _draft(Path(name), wish)
            with _named_after(wish.model, name), trying.loaded(draft, settings.device) as loaded:
                voice, engine = loaded
                engine.speak(trying.segments(voice)[:1])
            _move_in(draft.path, own)
    return voices.read(own / draft.path.name)


@contextmanager
def _named_after(model: Path, place: str) -> Iterator[None]:
    """Say of errors which model they are about, not in which temporary place it was tried."""
    try:
        yield
    except (InvalidInput, EngineError) as error:
        kind = EngineError if isinstance(error, EngineError) else InvalidInput
        raise kind(f"{str(model)!r}: {str(error).replace(f'{place}/', '')}") from error


def _check_files(wish: Wish) -> None:
    if wish.model.suffix != ".onnx":
        raise InvalidInput(f"{str(wish.model)!r}: a Piper voice is a model named <voice>.onnx")
    if wish.language and not _LANGUAGE.fullmatch(wish.language):
        raise InvalidInput(f"language {wish.language!r} is not valid: give a tag such as en-US")
    for path, what in ((wish.model, "model"), (wish.config, "config")):
        if path.is_symlink():
            raise InvalidInput(f"{str(path)!r} is a symbolic link: give the {what} itself")
        if not path.is_file():
            beside = ", which belongs beside the model" if what == "config" else ""
            raise NotFound(f"no {what} {str(path)!r}{beside}")


def _check_free(settings: Settings, wish: Wish) -> None:
    there = catalogue(settings).get(wish.voice)
    if there is None:
        return
    if not wish.replace:
        raise Conflict(
            f"voice {wish.voice!r} is there already ({there.path}): choose another --id, "
            "or give --replace"
        )
    if is_own(settings, there) and there.path.absolute().parent != folder(settings):
        raise Conflict(f"voice {wish.voice!r} is {there.path}, which goes first: remove it there")


def is_own(settings: Settings, file: VoiceFile) -> bool:
    """Whether a voice is this host's, not the one that ships with the farm."""
    built_in = settings.home.absolute() / "built-in"
    return not file.path.absolute().is_relative_to(built_in)


def _draft(place: Path, wish: Wish) -> VoiceFile:
    """Write a voice's folder and YAML to a temporary place."""
    voice = wish.voice
    files = {"model": f"{voice}/{voice}.onnx", "config": f"{voice}/{voice}.onnx.json"}
    (place / voice).mkdir()
    shutil.copyfile(wish.model, place / files["model"])
    shutil.copyfile(wish.config, place / files["config"])
    fields: Mapping[str, object] = {
        "id": voice,
        "engine": "piper",
        "language": wish.language,
        "licence": wish.licence,
        "files": files,
    }
    given = {name: value for name, value in fields.items() if value}
    path = place / f"{voice}.yaml"
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


def keep_rtf(file: VoiceFile, rtf: float) -> None:
    """Write a measured real-time factor into a voice's YAML; the rest stays as it is."""
    text = _RTF.sub("", file.path.read_text(encoding="utf-8"))
    end = "" if text.endswith("\n") or not text else "\n"
    content = f"{text}{end}rtf: {rtf}\n".encode()
    write_atomically(file.path, lambda target: shutil.copyfileobj(io.BytesIO(content), target))
