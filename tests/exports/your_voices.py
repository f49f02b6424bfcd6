"""Voices of the tiny YourTTS: the checkpoint, and what `farm export yourtts` makes of it.

The export is made by the command itself, kept on disk, and made again when the command's source
or the checkpoint's maker changes. Nothing here loads torch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from farm.jobs import Voice
from tests.exports import export

_FARM = Path(__file__).parents[2] / "farm"

#: What decides how an export turns out, beside the checkpoint.
_SOURCES = ("export/*.py", "engines/cloning/passes.py", "engines/cloning/checkpoint.py")

SAMPLE_RATE = 16_000
LANGUAGES = {"en": 0, "fr-fr": 1, "pt-br": 2}
SPEAKERS = ("female-en-5", "male-en-2", "male-pt-3")

LICENCE = "none: random weights"

#: Role in a voice to file of a checkpoint, and of an export.
CHECKPOINT = {
    "config": "config.json",
    "model": "model_file.pth",
    "languages": "language_ids.json",
    "speakers": "speakers.json",
    "encoder_config": "config_se.json",
    "encoder": "model_se.pth",
}
EXPORT = {"model": "model.onnx", "encoder": "speaker_encoder.onnx", "config": "config.json"}


def exported() -> Path:
    """Return the export's folder, made now if need be; skip the test if it cannot be made."""
    checkpoint = export("yourtts")
    digest = hashlib.sha256(checkpoint.name.encode())
    for path in sorted(path for source in _SOURCES for path in _FARM.glob(source)):
        digest.update(path.read_bytes())
    folder = checkpoint.parent / f"yourtts_onnx-{digest.hexdigest()[:16]}"
    if not folder.exists():
        making = folder.with_name(f".making-{os.getpid()}")
        # The name is the voice's id.
        arguments = ["export", "yourtts", str(checkpoint), str(making), "--voice", "your-onnx"]
        run = subprocess.run(
            [sys.executable, "-m", "farm.cli", *arguments, "--licence", LICENCE],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise RuntimeError(f"farm export yourtts failed:\n{run.stdout}{run.stderr}")
        making.rename(folder)
    return folder


def torch_voice(**parameters: float | int | str) -> Voice:
    """Return a voice of the checkpoint."""
    return _voice("yourtts", "yourtts", CHECKPOINT, parameters)


def onnx_voice(**parameters: float | int | str) -> Voice:
    """Return a voice of the export."""
    return _voice("yourtts_onnx", "onnx", EXPORT, parameters)


def torch_voice_in(folder: Path) -> Voice:
    """Copy the checkpoint into a folder and return the voice."""
    shutil.copytree(export("yourtts"), folder, dirs_exist_ok=True)
    return torch_voice()


def onnx_voice_in(folder: Path) -> Voice:
    """Copy the export into a folder and return the voice."""
    shutil.copytree(exported(), folder, dirs_exist_ok=True)
    return onnx_voice()


def _voice(
    engine: str, family: str, files: dict[str, str], parameters: dict[str, float | int | str]
) -> Voice:
    return Voice(
        id=engine,
        digest="1" * 64,
        engine=engine,
        family=family,
        language="en",
        sample_rate=SAMPLE_RATE,
        files=files,
        parameters={"speaker": SPEAKERS[0]} | parameters,
    )
