"""The voice that ships with the farm: its two graphs are merged to one once per home folder."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path

#: The acoustic model, the vocoder, their configuration and the voice file, as packaged.
SOURCE = Path(str(resources.files("farm"))) / "data" / "slt"


def prepare(home: Path) -> Path:
    """Return the folder of the built-in voice's file, made if it is not there yet."""
    parts = [SOURCE / name for name in ("acoustic.onnx", "vocoder.onnx", "voice.json", "slt.yaml")]
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:12]
    folder = home.absolute() / "built-in" / digest
    if not (folder / "slt.yaml").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".merge-") as name:
            _make(parts, Path(name) / "voice")
            _move_in(Path(name) / "voice", folder)
    return folder


def _make(parts: list[Path], folder: Path) -> None:
    folder.mkdir()
    # Loaded here, because it is slow and only the first command of a home needs it.
    importlib.import_module("farm.merge").merge(parts[0], parts[1], folder / "slt.onnx")
    shutil.copyfile(parts[2], folder / "slt.onnx.json")
    shutil.copyfile(parts[3], folder / "slt.yaml")


def _move_in(made: Path, folder: Path) -> None:
    """Give the folder its name, unless another command was first."""
    try:
        made.rename(folder)
    except OSError:
        if not (folder / "slt.yaml").exists():
            raise
