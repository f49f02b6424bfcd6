"""Pinning: a voice's YAML and files become a `Voice` named by the digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from farm.engines import family
from farm.engines.dialects import languages
from farm.errors import InvalidInput, UnknownVoice
from farm.jobs import Voice
from farm.voices import graphs, tongues
from farm.voices.files import Parameters, VoiceFile, naming

#: Hertz of a voice whose files do not say.
DEFAULT_SAMPLE_RATE = 16_000
#: Roles of ONNX models.
_GRAPHS = frozenset({"model", "encoder", "decoder", "acoustic", "postnet", "vocoder"})


def pin(file: VoiceFile) -> Voice:
    """Name a voice by the digest of its files, parameters and engine.

    Sample rate and language come from the model's own config where it has one.

    Raises:
        InvalidInput: a file is missing, lies elsewhere, or is not what its role says, or not what
            was pulled.
        UnknownVoice: the voice was revoked.
    """
    voice = named(file)
    check(file)
    return voice


def named(file: VoiceFile) -> Voice:
    """Do as `pin`, but leave out what `check` looks for inside the models."""
    if file.revoked:
        said = f"voice {file.id!r} was revoked on {file.revoked}: choose another"
        raise UnknownVoice(said, value=file.id)
    for role, path in file.files.items():
        _check_file(file, role, path)
    with naming(file.path, "files"):
        digest = content_digest(file.engine, file.parameters, file.files)
        _check_pulled(file)
    sample_rate, language = _described(file)
    return Voice(
        id=file.id,
        digest=digest,
        engine=file.engine,
        family=family(file.engine),
        language=language,
        languages=tongues.several(file, _config(file)),
        sample_rate=sample_rate,
        licence=file.licence,
        consent=file.consent,
        rtf=file.rtf,
        files={role: path.name for role, path in file.files.items()},
        parameters=file.parameters,
    )


def check(file: VoiceFile) -> None:
    """Raise `InvalidInput` for a model that declares what no voice has.

    That is weights where the voice has no file, and tensors larger than a voice's.
    """
    siblings = {each.name for each in file.files.values()}
    for role, path in file.files.items():
        where = f"{file.path}: files.{role}: {str(path)!r}"
        outside = sorted(_external(path, where) - siblings) if _is_graph(role, path) else []
        if outside:
            raise InvalidInput(
                f"{where} keeps weights in {outside}, which are none of the voice's files: "
                "save the model as one file"
            )


def _is_graph(role: str, path: Path) -> bool:
    """Whether a file is loaded as an ONNX model, however it is called."""
    return path.suffix == ".onnx" or (role in _GRAPHS and path.suffix != ".pth")


def _check_file(file: VoiceFile, role: str, path: Path) -> None:
    where = f"{file.path}: files.{role}: {str(path)!r}"
    if not path.is_file():
        raise InvalidInput(f"{where} is no file")
    if not path.resolve().is_relative_to(file.path.parent.resolve()):
        raise InvalidInput(f"{where} leads out of the voice's folder: copy the file there")


def _check_pulled(file: VoiceFile) -> None:
    """Raise `InvalidInput` for a file that is not what was pulled."""
    for role, path in file.files.items():
        wanted, found = file.sha256.get(role), sha256(path)
        if wanted and wanted != found:
            raise InvalidInput(
                f"{role} {str(path)!r} has the SHA-256 {found}, but {wanted} was pulled: "
                f"pull it again, or take its sha256 out of the YAML if the change is meant"
            )


def _external(path: Path, where: str) -> frozenset[str]:
    """Names of the files, beside a model's own, that hold its weights."""
    try:
        return graphs.look_through(path, *_version(path))
    except ValueError as error:
        raise InvalidInput(f"{where}: {error}") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read once while it does not change."""
    return _sha256_of(path, *_version(path))


@lru_cache(maxsize=1024)
def _sha256_of(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(path: Path) -> tuple[int, int]:
    """Size and time of change: while they stay, so does what was read of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def content_digest(engine: str, parameters: Parameters, files: Mapping[str, Path]) -> str:
    """SHA-256 over everything that decides how a voice sounds."""
    content = {
        "engine": engine,
        "parameters": {
            name: value if isinstance(value, str) else float(value)
            for name, value in parameters.items()
        },
        "files": {role: sha256(path) for role, path in files.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _described(file: VoiceFile) -> tuple[int, str]:
    """Return sample rate and language: the YAML's, else the model's config's, else the model's."""
    if file.sample_rate and file.language:
        return file.sample_rate, file.language
    config = _config(file)
    if file.engine == "vits" and not isinstance(_field(config, "audio", "sample_rate"), int):
        sample_rate, named = tongues.in_model(f"{file.path}: files", file.files)
        language = file.language or next(map(languages.tag, named), "")
        if not language:
            raise InvalidInput(f"{file.path}: language: neither given nor said by the model")
        return file.sample_rate or sample_rate, language
    language = file.language or _language(file, config)
    return _sample_rate(file, config), language


def _config(file: VoiceFile) -> Mapping[str, Any]:
    if "config" not in file.files:
        return {}
    path = file.files["config"]
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidInput(f"{path} is no config: it holds no fields")
    return config


def _sample_rate(file: VoiceFile, config: Mapping[str, Any]) -> int:
    if file.sample_rate:
        return file.sample_rate
    if "config" not in file.files:
        return int(file.parameters.get("sample_rate", DEFAULT_SAMPLE_RATE))
    rate = _field(config, "audio", "sample_rate")
    if not isinstance(rate, int) or rate <= 0:
        raise InvalidInput(f"{file.files['config']}: audio.sample_rate: {rate!r} is no rate in Hz")
    return rate


def _language(file: VoiceFile, config: Mapping[str, Any]) -> str:
    """The BCP 47 tag of a model's config (`en_US`), or of its phonemiser (`en-us`)."""
    tag = _field(config, "language", "code") or _field(config, "espeak", "voice")
    if not isinstance(tag, str):
        raise InvalidInput(f"{file.path}: language: neither given nor in the model's config")
    first, _, region = tag.replace("_", "-").partition("-")
    return f"{first}-{region.upper()}" if len(region) == 2 else tag


def _field(config: Any, *steps: str) -> Any:
    for step in steps:
        config = config.get(step) if isinstance(config, dict) else None
    return config
