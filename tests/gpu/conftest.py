"""What the tests on a card share. Without one they are skipped, and say what is missing.

A further engine takes part with a line in `MAKERS`. Who names the device, as `make gpu` does, wants
it: where it is not there, all fail. `FARM_GPU_TESTS_DEVICE=cpu` runs all but what only a card has,
to try the tests themselves where there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import onnxruntime
import pytest
import yaml

from farm import builtin, cuda
from farm.errors import Unavailable
from farm.voices import VoiceFile, catalogue, read
from tests.exports import copy, voices, your_voices

#: Where the voices speak, when somebody has said so.
ASKED = os.environ.get("FARM_GPU_TESTS_DEVICE", "")
#: Where the voices speak.
DEVICE = ASKED or "cuda:0"


def shipped(name: str, folder: Path) -> VoiceFile:
    """A voice that ships with the farm."""
    return catalogue([builtin.prepare(folder)])[name]


def exported(name: str, folder: Path) -> VoiceFile:
    """A VITS of another program's exporter."""
    files = {role: path.name for role, path in voices.roles(copy(name, folder)).items()}
    return described(folder, name, "vits", files)


def checkpoint(folder: Path) -> VoiceFile:
    """A small YourTTS of Coqui's own layout, untrained."""
    copy("yourtts", folder)
    return described(
        folder, "small", "yourtts", your_voices.CHECKPOINT, speaker=your_voices.SPEAKERS[0]
    )


def described(
    folder: Path, id_: str, engine: str, files: dict[str, str], **parameters: float | int | str
) -> VoiceFile:
    """Write the YAML of an English voice."""
    fields = {"engine": engine, "language": "en", "files": files, "parameters": parameters}
    path = folder / f"{id_}.yaml"
    path.write_text(yaml.safe_dump(fields | {"sample_rate": your_voices.SAMPLE_RATE}))
    return read(path)


#: Engine, and its form where it has several, to what makes a voice of it in a folder.
MAKERS: dict[str, Callable[[Path], VoiceFile]] = {
    "fastspeech2": lambda folder: shipped("slt-pair", folder),
    "piper": lambda folder: shipped("slt", folder),
    "vits-coqui": lambda folder: exported("coqui", folder),
    "vits-mms": lambda folder: exported("mms", folder),
    "yourtts": checkpoint,
    "yourtts_onnx": lambda _: catalogue([your_voices.exported()])["your-onnx"],
    "yourtts_onnx-pair": lambda folder: shipped("flite", folder),
}


@pytest.fixture(scope="session")
def card() -> str:
    """The name of the first card; it and a runtime that can use it must be there."""
    if DEVICE == "cpu":
        return "the CPU"
    try:
        name = cuda.names()[0]
    except Unavailable as error:
        _lacking(str(error))
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        _lacking(f"{name} is there, but onnxruntime-gpu is not installed: make setup EXTRAS=gpu")
    return name


def _lacking(reason: str) -> NoReturn:
    if ASKED:
        pytest.fail(f"{reason} (device {ASKED!r} was asked for)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", params=MAKERS)
def file(
    card: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> VoiceFile:
    """A voice of each engine."""
    assert card
    if request.param == "yourtts":
        pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))
