"""Add a voice from files of this host, and keep what a trial measured of one."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from farm import voices
from farm.cli import checking, installing
from farm.cli.installing import Draft
from farm.config import Settings
from farm.errors import InvalidInput, NotFound
from farm.jobs import check_id
from farm.storage.atomic import write_atomically
from farm.voices import VoiceFile, recognising

_RTF = re.compile(r"^rtf:.*\n?", re.MULTILINE)


#: The file of a folder that says what its voice is, as `farm export` writes it.
TELLING = "voice.yaml"


@dataclass(frozen=True)
class Wish:
    """A voice that a person wants to have here."""

    model: Path
    """`.onnx`, with its config `.onnx.json` beside it; or a voice's folder."""
    id: str = ""
    """Empty: the model's name, or the folder's."""
    language: str = ""
    """Empty: as the files say."""
    licence: str = ""
    sample_rate: int = 0
    """Hertz; 0: as the files say."""
    replace: bool = False


def add(settings: Settings, wish: Wish) -> VoiceFile:
    """Copy a voice to this host's own, once it has loaded and spoken.

    Raises:
        NotFound: model or config is not there.
        InvalidInput, EngineError: they are no voice that the farm can speak, or links.
        Conflict: the id is taken.
    """
    checking.check_language(wish.language)
    if not wish.model.is_dir():
        draft = _of_model(wish)
    elif (wish.model / TELLING).is_file():
        draft = _of_yaml(wish, voices.read(wish.model / TELLING))
    else:
        draft = _of_files(wish)
    installing.check_free(settings, draft.id, replace=wish.replace)
    return installing.install(settings, draft, str(wish.model))


def _of_model(wish: Wish) -> Draft:
    """Draft a Piper voice of its model and what Piper keeps beside it."""
    model, config = wish.model, wish.model.with_name(f"{wish.model.name}.json")
    if model.suffix != ".onnx":
        raise InvalidInput(f"{str(model)!r}: a Piper voice is a model named <voice>.onnx")
    for path, what in ((model, "model"), (config, "config")):
        _check(path, what)
        if not path.is_file():
            beside = ", which belongs beside the model" if what == "config" else ""
            raise NotFound(f"no {what} {str(path)!r}{beside}")
    name = check_id(wish.id or model.stem, "voice")
    fields = {
        "engine": "piper",
        "language": wish.language,
        "licence": wish.licence,
        "sample_rate": wish.sample_rate,
    }
    files = {"model": (model, f"{name}.onnx"), "config": (config, f"{name}.onnx.json")}
    return Draft(name, fields, files)


def _of_yaml(wish: Wish, told: VoiceFile) -> Draft:
    """Draft what a folder's YAML says."""
    fields = {
        "engine": told.engine,
        "language": wish.language or told.language,
        "licence": wish.licence or told.licence,
        "parameters": dict(told.parameters),
        "sample_rate": wish.sample_rate or told.sample_rate,
        "rtf": told.rtf,
    }
    return Draft(check_id(wish.id or told.id, "voice"), fields, _files(told.files))


def _of_files(wish: Wish) -> Draft:
    """Draft what the files of a folder are seen to be."""
    where, folder = repr(str(wish.model)), wish.model.resolve()
    names = [path.name for path in folder.iterdir() if path.is_file()]
    roles = recognising.choose(names, "", where, folder.joinpath)
    name = wish.id or recognising.named_after(recognising.main(roles), folder.name)
    files = {role: folder / each for role, each in roles.items()}
    found = recognising.described(files, where)
    fields = found.fields(wish.language, wish.sample_rate, where)
    return Draft(check_id(name, "voice"), fields | {"licence": wish.licence}, _files(files))


def _files(files: Mapping[str, Path]) -> dict[str, tuple[Path, str]]:
    for role, path in files.items():
        _check(path, role)
    return {role: (path, path.name) for role, path in files.items()}


def _check(path: Path, what: str) -> None:
    if path.is_symlink():
        raise InvalidInput(f"{str(path)!r} is a symbolic link: give the {what} itself")


def keep_rtf(file: VoiceFile, rtf: float) -> None:
    """Write a measured real-time factor into a voice's YAML; the rest stays as it is."""
    text = _RTF.sub("", file.path.read_text(encoding="utf-8"))
    end = "" if text.endswith("\n") or not text else "\n"
    content = f"{text}{end}rtf: {rtf}\n".encode()
    write_atomically(file.path, lambda target: shutil.copyfileobj(io.BytesIO(content), target))
