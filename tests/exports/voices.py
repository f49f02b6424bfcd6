"""Voices of the engine `vits` that speak through the exports."""

from __future__ import annotations

from pathlib import Path

from farm.jobs import Voice
from tests.exports import copy

#: File to role, for the files of every export.
ROLES = {
    "model.onnx": "model",
    "config.json": "config",
    "model.onnx.json": "config",
    "vocab.json": "vocab",
    "tokenizer_config.json": "tokenizer",
    "speakers.json": "speakers",
    "language_ids.json": "languages",
    "tokens.txt": "tokens",
    "lexicon.txt": "lexicon",
}

#: Export to its language and sample rate in Hz.
VOICES = {
    "mms": ("en", 16_000),
    "mms_deterministic": ("ro", 16_000),
    "mms_phonemes": ("en", 16_000),
    "mms_uroman": ("ko", 16_000),
    "coqui": ("en", 16_000),
    "coqui_deterministic": ("en", 16_000),
    "coqui_languages": ("en", 16_000),
    "coqui_phonemes": ("en-US", 16_000),
    "coqui_speakers": ("en", 16_000),
    "piper": ("en-US", 22_050),
    "piper_speakers": ("en-US", 22_050),
    "sherpa_characters": ("fr", 16_000),
    "sherpa_coqui": ("fr", 16_000),
    "sherpa_english": ("en", 22_050),
    "sherpa_icefall": ("en", 22_050),
    "sherpa_jieba": ("zh", 16_000),
    "sherpa_piper": ("en", 22_050),
    "sherpa_speakers": ("zh", 8_000),
}


def roles(folder: Path) -> dict[str, Path]:
    """The files of an export by role."""
    return {ROLES[path.name]: path for path in folder.iterdir() if path.name in ROLES}


def voice(name: str, folder: Path, **parameters: float | int | str) -> Voice:
    """Copy an export into a folder and return the voice that speaks it."""
    copy(name, folder)
    language, rate = VOICES[name]
    return Voice(
        id=name,
        digest="0" * 64,
        engine="vits",
        family="onnx",
        language=language,
        sample_rate=rate,
        files={role: path.name for role, path in roles(folder).items()},
        parameters=parameters,
    )
