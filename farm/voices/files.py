"""The catalogue: the voices that a host knows, each a YAML file.

A voice is `<id>.yaml` in one of the catalogue's folders:

    engine: piper              # see farm.engines
    language: en-US            # if not as in the model's own config
    licence: MIT
    owner: alice               # whose it is, where farms know owners
    visibility: private        # or `shared` (if not given): who may speak with it
    files:                     # role to path, below the YAML's folder
      model: slt/slt.onnx
      config: slt/slt.onnx.json
    parameters: {noise_scale: 0}
    rtf: 0.05                  # seconds of compute per second of audio

What the commands write there besides:

    sample_rate: 16000         # Hz, where no config of Piper's kind says it
    source: hf:rhasspy/piper-voices/en/en_US/lessac/medium@<commit>
    sha256: {model: 5efe...}   # of the files as they were pulled: others are refused
    consent: Ann Smith, 2026-11-22
    references: [ann/a.wav]    # recordings that stay on this host
    revoked: '2026-11-22'      # nothing more is spoken with it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from farm.engines import ENGINES
from farm.errors import InvalidInput, UnknownVoice
from farm.jobs import check_id
from farm.storage import check_key

Parameters = Mapping[str, float | int | str]


class _Fields(BaseModel):
    """What a voice's YAML may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    engine: str
    language: str = ""
    licence: str = ""
    owner: str = ""
    visibility: Literal["shared", "private"] = "shared"
    files: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    rtf: float = Field(default=0.1, gt=0)
    sample_rate: int = Field(default=0, ge=0)
    source: str = ""
    sha256: dict[str, str] = Field(default_factory=dict)
    consent: str = ""
    references: list[str] = Field(default_factory=list)
    revoked: str = ""


@dataclass(frozen=True)
class VoiceFile:
    """A voice as its YAML on this host has it."""

    id: str
    path: Path
    """The YAML itself."""
    engine: str
    language: str
    """Empty: as the model's own config says."""
    licence: str
    owner: str
    visibility: str
    files: Mapping[str, Path]
    """Role to file."""
    parameters: Parameters
    rtf: float
    sample_rate: int = 0
    """Hertz; 0: as the model's own config says."""
    source: str = ""
    """Where it was pulled from."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Role to what the file was when it was pulled."""
    consent: str = ""
    """Whose voice it is and when they agreed, where it is a clone."""
    references: Sequence[Path] = ()
    """Recordings that it was cloned from; they leave this host no more than the YAML does."""
    revoked: str = ""
    """When it was revoked; empty: it was not."""


def catalogue(folders: Sequence[Path]) -> dict[str, VoiceFile]:
    """Read every `*.yaml` of the folders, by voice id; of two the earlier folder's goes before.

    Raises:
        InvalidInput: a YAML is broken; the message names file and field.
    """
    found: dict[str, VoiceFile] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml"), key=lambda each: each.stem):
            voice = read(path)
            found.setdefault(voice.id, voice)
    return found


def find(known: Mapping[str, VoiceFile], voice: str) -> VoiceFile:
    """Return a voice of a catalogue, or raise `UnknownVoice` with the valid ids."""
    if voice not in known:
        valid = sorted(id_ for id_, file in known.items() if not file.revoked)
        choices = ", ".join(valid) or "none; add one with 'farm voices add'"
        said = f"unknown voice {voice!r}: choose one of {choices}"
        raise UnknownVoice(said, value=voice, valid=valid)
    return known[voice]


def read(path: Path) -> VoiceFile:
    """Read a voice's YAML; its model files are not touched.

    Raises:
        InvalidInput: it cannot be read, or a field is wrong; the message names both.
    """
    try:
        fields = _Fields.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise InvalidInput(f"{path}: {where}: {first['msg']}") from error
    if fields.engine not in ENGINES:
        choices = ", ".join(sorted(ENGINES))
        raise InvalidInput(f"{path}: engine: {fields.engine!r} is none of {choices}")
    with naming(path, "id"):
        name = check_id(fields.id or path.stem, "voice")
    return VoiceFile(
        **fields.model_dump(exclude={"id", "files", "references"}),
        id=name,
        path=path,
        files=dict(_located(path, fields.files)),
        references=tuple(_references(path, fields.references)),
    )


def _located(path: Path, files: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for role, name in files.items():
        with naming(path, f"files.{role}"):
            check_key(name)
        yield role, path.parent / name
    names = [Path(name).name for name in files.values()]
    if len(set(names)) < len(names):
        raise InvalidInput(f"{path}: files: two of {names} have the same name")


def _references(path: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        with naming(path, "references"):
            check_key(name)
        yield path.parent / name


@contextmanager
def naming(path: Path, field: str) -> Iterator[None]:
    """Begin an `InvalidInput` or a file's error with the YAML and the field that led to it."""
    try:
        yield
    except (InvalidInput, OSError) as error:
        raise InvalidInput(f"{path}: {field}: {error}") from error
