"""Engines: what turns segments into audio. Importing this registry imports no engine.

A new engine is one file with a class that keeps `base.Engine`'s contract, one line in each table
below, and a voice's YAML that names it; `tests/engines/test_contract.py` then judges it.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from farm import phonemes
from farm.engines.base import Engine
from farm.errors import EngineError, Unavailable
from farm.jobs import Voice

__all__ = ["ENGINES", "FAMILIES", "Engine", "family", "load", "phonemiser"]

#: Engine to the class that speaks it.
ENGINES = {
    "fastspeech2": "farm.engines.fastspeech2:FastSpeech2",
    "piper": "farm.engines.piper:Piper",
    "piper_http": "farm.engines.piper_http:PiperHttp",
    "tone": "farm.engines.tone:Tone",
    "vits": "farm.engines.vits:Vits",
    "yourtts": "farm.engines.yourtts:YourTts",
    "yourtts_http": "farm.engines.yourtts_http:YourttsHttp",
    "yourtts_onnx": "farm.engines.yourtts_onnx:YourTtsOnnx",
}

#: Engine to the family whose workers and queue it shares.
FAMILIES = {
    "fastspeech2": "onnx",
    "piper": "piper",
    "piper_http": "http",
    "tone": "tone",
    "vits": "onnx",
    "yourtts": "yourtts",
    "yourtts_http": "http",
    "yourtts_onnx": "onnx",
}

#: Engine to what may turn its texts into symbols: alphabets of `farm.phonemes`, and the number of
#: the engine's own rules. Which of them a voice uses, its files say; all count.
_ALPHABETS: dict[str, tuple[str, ...]] = {
    "fastspeech2": ("paddle", "arpabet", "espeak"),
    "piper": ("espeak",),
    "vits": ("espeak",),
    "yourtts_onnx": ("espeak",),
}
_RULES = {"vits": "dialects-1"}


def load(voice: Voice, folder: Path, device: str) -> Engine:
    """Load a voice from its folder on a device, `cpu` or `cuda:<n>`.

    Raises:
        EngineError: there is no such engine, or the files are not what the voice says.
        Unavailable: the engine is not installed here, the device is not there, or the model
            does not fit on it.
    """
    module, _, name = ENGINES[_known(voice.engine)].partition(":")
    try:
        kind: type[Engine] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise Unavailable(
            f"engine {voice.engine!r} is not installed here ({error}): "
            f"install the extra 'farm[{family(voice.engine)}]'"
        ) from error
    return kind(voice, folder, device)


def family(engine: str) -> str:
    """Return the family of an engine, or raise `EngineError`."""
    return FAMILIES[_known(engine)]


def phonemiser(engine: str) -> str:
    """Name what turns text into symbols for an engine, with all versions, without importing it.

    Raises:
        EngineError: there is no such engine.
        Unavailable: the package of the only alphabet that the engine reads is not installed here.
    """
    alphabets = _ALPHABETS.get(_known(engine), ())
    names = [_RULES[engine]] if engine in _RULES else []
    for alphabet in alphabets:
        try:
            names.append(phonemes.phonemiser(alphabet))
        except Unavailable as error:
            if len(alphabets) == 1:
                raise Unavailable(
                    f"engine {engine!r} is not installed here: "
                    f"install the extra 'farm[{family(engine)}]'"
                ) from error
            names.append(f"{alphabet}-absent")
    return "/".join(names) or "none"


def _known(engine: str) -> str:
    if engine not in ENGINES:
        raise EngineError(f"unknown engine {engine!r}: choose one of {', '.join(sorted(ENGINES))}")
    return engine
