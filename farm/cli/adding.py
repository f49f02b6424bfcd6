"""Add a Piper voice to this host, and keep what a trial measured of one."""

from __future__ import annotations

import io
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from farm.cli import installing
from farm.config import Settings
from farm.errors import InvalidInput, NotFound
from farm.jobs import check_id
from farm.storage.atomic import write_atomically
from farm.voices import VoiceFile

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


def add(settings: Settings, wish: Wish) -> VoiceFile:
    """Copy a voice to this host's own, once it has loaded and spoken.

    Raises:
        NotFound: model or config is not there.
        InvalidInput, EngineError: they are no Piper voice, or links.
        Conflict: the id is taken.
    """
    _check_files(wish)
    installing.check_free(settings, wish.voice, replace=wish.replace)
    fields = {"engine": "piper", "language": wish.language, "licence": wish.licence}
    files = {
        "model": (wish.model, f"{wish.voice}.onnx"),
        "config": (wish.config, f"{wish.voice}.onnx.json"),
    }
    draft = installing.Draft(wish.voice, fields, files)
    return installing.install(settings, draft, str(wish.model))


def _check_files(wish: Wish) -> None:
    if wish.model.suffix != ".onnx":
        raise InvalidInput(f"{str(wish.model)!r}: a Piper voice is a model named <voice>.onnx")
    installing.check_language(wish.language)
    for path, what in ((wish.model, "model"), (wish.config, "config")):
        if path.is_symlink():
            raise InvalidInput(f"{str(path)!r} is a symbolic link: give the {what} itself")
        if not path.is_file():
            beside = ", which belongs beside the model" if what == "config" else ""
            raise NotFound(f"no {what} {str(path)!r}{beside}")


def keep_rtf(file: VoiceFile, rtf: float) -> None:
    """Write a measured real-time factor into a voice's YAML; the rest stays as it is."""
    text = _RTF.sub("", file.path.read_text(encoding="utf-8"))
    end = "" if text.endswith("\n") or not text else "\n"
    content = f"{text}{end}rtf: {rtf}\n".encode()
    write_atomically(file.path, lambda target: shutil.copyfileobj(io.BytesIO(content), target))
