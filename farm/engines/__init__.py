"""Engines: what turns segments into audio. Importing this registry imports no engine.

A new engine is one file with a class that keeps `base.Engine`'s contract, one line in each table
below, and a voice's YAML that names it; `tests/engines/test_contract.py` then judges it.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from farm.engines.base import Engine
from farm.errors import EngineError, Unavailable
from farm.jobs import Voice

__all__ = ["ENGINES", "FAMILIES", "Engine", "family", "load", "phonemiser"]

#: Engine to the class that speaks it.
ENGINES = {
    "piper": "farm.engines.piper:Piper",
    "tone": "farm.engines.tone:Tone",
}

#: Engine to the family whose workers and queue it shares.
FAMILIES = {
    "piper": "piper",
    "tone": "tone",
}

#: Engine to the phonemiser's name and the package whose version names code and data.
_PHONEMISERS = {
    "piper": ("espeak-ng", "piper-tts"),
}


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
            f"install the extra 'farm[{voice.engine}]'"
        ) from error
    return kind(voice, folder, device)


def family(engine: str) -> str:
    """Return the family of an engine, or raise `EngineError`."""
    return FAMILIES[_known(engine)]


def phonemiser(engine: str) -> str:
    """Name what turns text into phonemes for an engine, with its version, without importing it.

    Raises:
        EngineError: there is no such engine.
        Unavailable: the engine's package is not installed here.
    """
    if _known(engine) not in _PHONEMISERS:
        return "none"
    name, package = _PHONEMISERS[engine]
    try:
        return f"{name}/{package}-{version(package)}"
    except PackageNotFoundError as error:
        raise Unavailable(
            f"engine {engine!r} is not installed here: install the extra 'farm[{engine}]'"
        ) from error


def _known(engine: str) -> str:
    if engine not in ENGINES:
        raise EngineError(f"unknown engine {engine!r}: choose one of {', '.join(sorted(ENGINES))}")
    return engine
