"""What of a repository's files makes a voice: told by their content, not by the repository's name.

Piper keeps `<voice>.onnx` and `<voice>.onnx.json`. The other forms of VITS keep files of known
names beside the model or in a folder above it; which form it is, the model and they say
(`farm.engines.dialects`). So do YourTTS checkpoints, and what the farm exports of them. FastSpeech
2 voices of PaddleSpeech are told by their graphs (`farm.voices.pairs`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from farm.engines import dialects
from farm.engines.dialects import languages
from farm.errors import EngineError, InvalidInput
from farm.jobs import check_id
from farm.voices import pairs

#: Name of a file beside a VITS model to its role.
_ROLES = {
    "config.json": "config",
    "vocab.json": "vocab",
    "tokenizer_config.json": "tokenizer",
    "speakers.json": "speakers",
    "speaker_ids.json": "speakers",
    "language_ids.json": "languages",
    "config_se.json": "encoder_config",
    "model_se.pth": "encoder",
    "encoder.onnx": "encoder",
    "speaker_encoder.onnx": "encoder",
    "vocoder.onnx": "vocoder",
    "tokens.txt": "tokens",
    "lexicon.txt": "lexicon",
}

#: Files that an error names.
_NAMED = 12

#: Names of models that say nothing of a voice.
_NAMELESS = ("model", "model_file")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_.-]+")


def choose(
    names: Iterable[str], model: str, where: str, read: Callable[[str], Path]
) -> dict[str, str]:
    """Return role to path for the voice among the files of a repository.

    `model` names the model by its path, or the end of it; empty: there is only one, or one named
    `model.onnx`. A model beside which lies `<model>.json` is Piper's. `read` gives a file, which is
    asked for where names do not tell.

    Raises:
        InvalidInput: there is no such model, or there are several; the message lists what is there.
        EngineError: a file that was asked for is no ONNX model.
    """
    known = sorted(names)
    if any(_name(each) == pairs.MAP for each in known):
        return pairs.choose(known, model, where, read)
    found = _model(known, model, where)
    config = f"{found}.json"
    if config in known:
        return {"model": found, "config": config}
    return {"model": found, **_beside(PurePosixPath(found), known)}


def main(roles: Mapping[str, str]) -> str:
    """Return the path of the model that a voice is named after."""
    return roles.get("model") or roles["acoustic"]


def named_after(model: str, folder: str) -> str:
    """Return the id of a voice: its model's name, or its folder's where that says nothing.

    Raises:
        InvalidInput: such an id cannot be.
    """
    name = PurePosixPath(model).stem
    return check_id(_NOT_IN_ID.sub("-", folder if name in _NAMELESS else name), "voice")


def _model(names: list[str], wanted: str, where: str) -> str:
    models = [each for each in names if each.endswith(".onnx") and _name(each) not in _ROLES]
    # A checkpoint of Coqui's, where nobody has exported it.
    models = models or [each for each in names if _name(each) == "model_file.pth"]
    if wanted:
        fitting = [each for each in models if f"/{each}".endswith(f"/{wanted}")]
    else:
        plain = [each for each in models if _name(each) == "model.onnx"]
        fitting = plain if len(models) > 1 and len(plain) == 1 else models
    if len(fitting) == 1:
        return fitting[0]
    if not models:
        raise InvalidInput(f"{where} holds no ONNX model, but {_listed(names)}")
    asked = f"no model {wanted!r}" if wanted and not fitting else f"{len(fitting)} models"
    raise InvalidInput(
        f"{where} holds {asked}: choose one of {_listed(fitting or models)} with --model, "
        "or name its folder after the repository"
    )


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "nothing") + more


def _beside(model: PurePosixPath, names: list[str]) -> dict[str, str]:
    """Return the known files beside a model; what is nearer goes before what is above."""
    roles: dict[str, str] = {}
    for folder in model.parents:
        for name, role in _ROLES.items():
            if str(folder / name) in names:
                roles.setdefault(role, str(folder / name))
    return roles


@dataclass(frozen=True)
class Described:
    """What a voice's files say of it."""

    engine: str
    sample_rate: int
    """Hertz; 0: they do not say."""
    language: str
    """Empty: they do not say."""
    speaker: str = ""
    """Who speaks where nobody is asked for; empty: the voice has one, or a first."""

    def fields(self, language: str, sample_rate: int, where: str) -> dict[str, object]:
        """Return what a voice's YAML says of it, with the language and rate given or its own.

        Raises:
            InvalidInput: there is neither; `where` names the files.
        """
        if not (sample_rate or self.sample_rate):
            raise InvalidInput(f"{where} does not say its sample rate: give it with --sample-rate")
        if not (language or self.language):
            raise InvalidInput(f"{where} does not say its language: give it with --language")
        return {
            "engine": self.engine,
            "language": language or self.language,
            "sample_rate": sample_rate or self.sample_rate,
            "parameters": {"speaker": self.speaker} if self.speaker else {},
        }


def described(roles: Mapping[str, Path], where: str) -> Described:
    """Tell by its files who speaks a voice, and how.

    Raises:
        InvalidInput: they are no voice that the farm can speak; the message names the files.
    """
    try:
        if "acoustic" in roles:
            return Described("fastspeech2", pairs.sample_rate(roles), pairs.language(roles))
        zero_shot = _zero_shot(roles)
        return zero_shot or _vits(roles, where)
    except (EngineError, KeyError, TypeError, ValueError, AttributeError) as error:
        names = ", ".join(f"{role} {path.name!r}" for role, path in roles.items())
        reason = error if isinstance(error, EngineError) else f"{where}: {error!r}"
        raise InvalidInput(f"{reason}; found: {names}") from error


def _vits(roles: Mapping[str, Path], where: str) -> Described:
    dialect = dialects.read(where, roles)
    engine = "piper" if dialect.name == "piper" else "vits"
    language = next(map(languages.tag, dialect.languages), "")
    return Described(engine, dialect.sample_rate, language)


def _zero_shot(roles: Mapping[str, Path]) -> Described | None:
    """Describe a YourTTS checkpoint of Coqui's, or what `farm export yourtts` makes of one."""
    # Any: these are other people's files.
    config: Any = _json(roles, "config")
    exported = isinstance(config.get("d_vector"), dict)
    if not exported and roles["model"].suffix != ".pth":
        return None
    if exported:
        engine, spoken, speakers = "yourtts_onnx", config["languages"], [*config["speakers"]]
    else:
        spoken = _json(roles, "languages") or config.get("languages") or []
        engine, clips = "yourtts", _json(roles, "speakers")
        speakers = [str(clip["name"]) for clip in clips.values()]
    rate, language = int(config["audio"]["sample_rate"]), next(map(languages.tag, spoken), "")
    return Described(engine, rate, language, next(iter(speakers), ""))


def _json(roles: Mapping[str, Path], role: str) -> Any:
    """Read a role's JSON object; empty where there is no such file."""
    path = roles.get(role)
    return json.loads(path.read_text(encoding="utf-8")) if path else {}
