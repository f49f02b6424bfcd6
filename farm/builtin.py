"""The voice that ships with the farm: its two graphs are merged to one once per home folder."""

from __future__ import annotations

import hashlib
import shutil
from importlib import resources
from pathlib import Path

from farm.merge import merge

#: The acoustic model, the vocoder, their configuration and the voice file, as packaged.
SOURCE = Path(str(resources.files("farm"))) / "data" / "slt"


def prepare(home: Path) -> Path:
    """Return the folder of the built-in voice's file, made if it is not there yet."""
    parts = [SOURCE / name for name in ("acoustic.onnx", "vocoder.onnx", "voice.json", "slt.yaml")]
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:12]
    folder = home.absolute() / "built-in" / digest
    yaml = folder / "slt.yaml"
    if not yaml.exists():
        folder.mkdir(parents=True, exist_ok=True)
        merge(parts[0], parts[1], folder / "slt.onnx")
        shutil.copyfile(parts[2], folder / "slt.onnx.json")
        shutil.copyfile(parts[3], folder / "slt.yaml.part")
        (folder / "slt.yaml.part").replace(yaml)  # last: the folder is whole now
    return folder
