"""Voices of every form that the engine knows, from exports with random weights and the farm's own.

`tests.exports` makes PaddleSpeech's, Coqui's and Vocos's; the farm's own acoustic model and vocoder
are trained.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from farm.builtin import SOURCE
from farm.engines.fastspeech2 import FastSpeech2
from farm.jobs import Prosody, Segment, Voice
from tests.data.paddle.maps import csmsc
from tests.exports import copy, export

#: The id sequences of which `golden.npz` of the export `paddle` has Paddle's own results.
IDS = ([3, 9, 14, 5, 22, 7, 2], [2, 30, 11, 8, 40, 17, 6, 6, 25, 33, 19, 4, 12, 2])

#: The farm's own model: log(F0 / 185 Hz) times 5, and log energy (training/acoustic.py).
OWN_UNITS: Mapping[str, float | int | str] = {
    "pitch_unit": "log",
    "pitch_std": 0.2,
    "energy_unit": "log",
    "energy_std": 1.0,
}

_ENGLISH = (
    "A short one.",
    "A sentence that is a good deal longer than the other.",
    "No!",
    "So it is.",
)
_CHINESE = ("你好。", "今天我们在北京的大学里读了很多有意思的书。", "不！", "他是谁？")
_COQUI_FILES = {
    "acoustic": "acoustic.onnx",
    "vocoder": "vocoder.onnx",
    "config": "config.json",
    "vocoder_config": "vocoder.json",
}


def segment(text: str, language: str = "", **prosody: Any) -> Segment:
    """Return a segment with a prosody."""
    return Segment("d" * 64, text, "voice", Prosody(**prosody), language=language)


def make(form: str, folder: Path, **parameters: float | int | str) -> Voice:
    """Copy the files of a form to a folder and return its voice."""
    voice = FORMS[form](folder)
    return dataclasses.replace(voice, parameters={**voice.parameters, **parameters})


def load(form: str, folder: Path, **parameters: float | int | str) -> FastSpeech2:
    """Load a form on the CPU."""
    return FastSpeech2(make(form, folder, **parameters), folder, "cpu")


def texts(form: str) -> tuple[str, ...]:
    """Four texts in the form's language: shorter and much longer ones."""
    return _CHINESE if form.startswith("paddle") else _ENGLISH


def symbols(ids: list[int]) -> str:
    """Write ids in the symbols of the Paddle map."""
    names = csmsc()
    return " ".join(names[each] for each in ids)


def paddle(folder: Path, **files: str) -> Voice:
    """Return a voice of PaddleSpeech's exports with further files by role."""
    copy("paddle", folder)
    common = {
        "vocoder": "hifigan.onnx",
        "phones": "phone_id_map.txt",
        "acoustic_config": "default.yaml",
        "vocoder_config": "default.yaml",
        "pitch": "pitch_stats.npy",
        "energy": "energy_stats.npy",
    }
    return _voice("zh-CN", 24_000, {**common, **files})


def _streaming(folder: Path) -> Voice:
    parts = {name: f"cnndecoder_{name}.onnx" for name in ("decoder", "postnet")}
    return paddle(folder, acoustic="cnndecoder_encoder.onnx", stats="speech_stats.npy", **parts)


def _aishell(folder: Path) -> Voice:
    speakers = "speaker_id_map.txt"
    return paddle(folder, acoustic="fastspeech2_aishell3.onnx", speakers=speakers)


def coqui(kind: str, folder: Path, **files: str) -> Voice:
    """Return a voice of Coqui's exports with further files by role."""
    copy(kind, folder)
    return _voice("en", 22_050, {**_COQUI_FILES, **files})


def _vocos(padding: str, folder: Path) -> Voice:
    shutil.copyfile(export("vocos") / f"{padding}.onnx", folder / "vocos.onnx")
    told = {"audio": json.loads((copy("forward_tts", folder) / "config.json").read_text())["audio"]}
    (folder / "vocoder.json").write_text(json.dumps(told), "utf-8")
    return _voice("en", 22_050, {**_COQUI_FILES, "vocoder": "vocos.onnx"})


def own(folder: Path) -> Voice:
    """Return the farm's own voice as a pair."""
    for name in ("acoustic.onnx", "vocoder.onnx", "voice.json"):
        shutil.copyfile(SOURCE / "slt" / name, folder / name)
    files = {"acoustic": "acoustic.onnx", "vocoder": "vocoder.onnx", "config": "voice.json"}
    return _voice("en", 16_000, files, OWN_UNITS)


def _voice(
    language: str,
    rate: int,
    files: Mapping[str, str],
    parameters: Mapping[str, float | int | str] = MappingProxyType({}),
) -> Voice:
    return Voice(
        id="tiny",
        digest="0" * 64,
        engine="fastspeech2",
        family="onnx",
        language=language,
        sample_rate=rate,
        files=files,
        parameters=parameters,
    )


#: Every form that a model may have.
FORMS: dict[str, Callable[[Path], Voice]] = {
    "coqui": lambda folder: coqui("forward_tts", folder),
    "coqui_convolutions": lambda folder: coqui("forward_tts_convolutions", folder),
    "coqui_speakers": lambda f: coqui("forward_tts_speakers", f, speakers="speakers.json"),
    "coqui_vocos": lambda folder: _vocos("same", folder),
    "coqui_vocos_centred": lambda folder: _vocos("center", folder),
    "own": own,
    "paddle": lambda folder: paddle(folder, acoustic="fastspeech2_csmsc.onnx"),
    "paddle_mb_melgan": lambda folder: paddle(
        folder, acoustic="fastspeech2_csmsc.onnx", vocoder="mb_melgan.onnx"
    ),
    "paddle_speakers": _aishell,
    "paddle_streaming": _streaming,
}
